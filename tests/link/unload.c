/* A plug-in host loads the library, a thread of it calls in, and the library is closed while that
 * thread lives on: when the thread ends, the code that frees its thread-local data must still be
 * there.
 *
 * usage: unload <path of libsimledger.so> */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <simledger.h>
#include <stdio.h>
#include <string.h>

static const char *library_path;

struct worker {
    pthread_t thread;
    void *library;
    sem_t has_called;
    sem_t may_end;
};

/* Sets the function pointer at `function`; ISO C has no cast for that. */
static void load_function(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    assert(address != NULL);
    memcpy(function, &address, sizeof address);
}

static void call_in(void *library) {
    simledger_status (*open_path)(const char *, size_t, simledger_ledger **, simledger_error **);
    simledger_status (*append_json)(simledger_ledger *, const char *, size_t, int64_t *,
                                    simledger_error **);
    simledger_status (*close)(simledger_ledger *, simledger_error **);
    load_function(library, "simledger_open_path", &open_path);
    load_function(library, "simledger_append_json", &append_json);
    load_function(library, "simledger_close", &close);

    const char *json = "{\"timestamp\": 1, \"node_id\": \"plug-in\", \"features\": {}, "
                       "\"confidence\": 1}";
    simledger_ledger *ledger = NULL;
    assert(open_path(":memory:", SIMLEDGER_NUL_TERMINATED, &ledger, NULL) == SIMLEDGER_OK);
    assert(append_json(ledger, json, SIMLEDGER_NUL_TERMINATED, NULL, NULL) == SIMLEDGER_OK);
    assert(close(ledger, NULL) == SIMLEDGER_OK);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    call_in(worker->library);
    sem_post(&worker->has_called);
    sem_wait(&worker->may_end);
    return NULL;
}

static void *load_library(void) {
    void *library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
    }
    assert(library != NULL);
    return library;
}

static void unload_under_a_living_thread(void) {
    struct worker worker = {.library = load_library()};
    assert(sem_init(&worker.has_called, 0, 0) == 0);
    assert(sem_init(&worker.may_end, 0, 0) == 0);
    assert(pthread_create(&worker.thread, NULL, work, &worker) == 0);
    sem_wait(&worker.has_called);

    assert(dlclose(worker.library) == 0);

    sem_post(&worker.may_end);
    assert(pthread_join(worker.thread, NULL) == 0);
    sem_destroy(&worker.has_called);
    sem_destroy(&worker.may_end);
}

int main(int argc, char **argv) {
    assert(argc == 2);
    library_path = argv[1];

    for (int round = 0; round < 100; round++) {
        unload_under_a_living_thread();
    }

    /* All handles are closed, and it is there all the same: that is what made the above safe. */
    void *still_there = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
    assert(still_there != NULL);
    assert(dlclose(still_there) == 0);
    return 0;
}
