/* A plug-in host loads the library, a thread of it calls in, and the library is closed while that
 * thread lives on: when the thread ends, the code that frees its thread-local data must still be
 * there; and so must what runs at a fork, and the threads of a ledger that nobody closed. A hundred
 * times, and nothing is left: no thread, no descriptor, no mapping.
 *
 * usage: unload <path of libsimledger.so> */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <simledger.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* A ledger in a file has a log that is mapped and a thread that folds it, or, with LEDGER_TEST_COMMIT=sqlite, one that
 * folds the WAL. */
static simledger_ledger *open_in(void *library, const char *path) {
    simledger_config *(*config_new)(void);
    simledger_status (*config_set)(simledger_config *, const char *, size_t, const char *, size_t,
                                   simledger_error **);
    void (*config_free)(simledger_config *);
    simledger_status (*open)(const simledger_config *, simledger_ledger **, simledger_error **);
    load_function(library, "simledger_config_new", &config_new);
    load_function(library, "simledger_config_set", &config_set);
    load_function(library, "simledger_config_free", &config_free);
    load_function(library, "simledger_open", &open);

    const size_t whole = SIMLEDGER_NUL_TERMINATED;
    const char *commit = strcmp(path, ":memory:") == 0 ? NULL : getenv("LEDGER_TEST_COMMIT");
    simledger_config *config = config_new();
    assert(config_set(config, "path", whole, path, whole, NULL) == SIMLEDGER_OK);
    assert(commit == NULL ||
           config_set(config, "commit", whole, commit, whole, NULL) == SIMLEDGER_OK);
    simledger_ledger *ledger = NULL;
    assert(open(config, &ledger, NULL) == SIMLEDGER_OK);
    config_free(config);
    return ledger;
}

static void call_in(void *library, const char *path) {
    simledger_status (*append_json)(simledger_ledger *, const char *, size_t, int64_t *,
                                    simledger_error **);
    simledger_status (*close)(simledger_ledger *, simledger_error **);
    load_function(library, "simledger_append_json", &append_json);
    load_function(library, "simledger_close", &close);

    const char *json = "{\"timestamp\": 1, \"node_id\": \"plug-in\", \"features\": {}, "
                       "\"confidence\": 1}";
    simledger_ledger *ledger = open_in(library, path);
    const simledger_status appended =
        append_json(ledger, json, SIMLEDGER_NUL_TERMINATED, NULL, NULL);
    assert(appended == SIMLEDGER_OK || appended == SIMLEDGER_DUPLICATE); /* of an earlier round */
    assert(close(ledger, NULL) == SIMLEDGER_OK);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    call_in(worker->library, ":memory:");
    call_in(worker->library, "unload.db");
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

/* Not on the main thread: a library with data of a thread that lives is not unloaded anyway. */
static void on_a_thread(void *(*function)(void *)) {
    pthread_t thread;
    assert(pthread_create(&thread, NULL, function, NULL) == 0);
    assert(pthread_join(thread, NULL) == 0);
}

static void *call_in_once(void *unused) {
    void *library = load_library();
    call_in(library, ":memory:");
    call_in(library, "unload.db");
    assert(dlclose(library) == 0);
    return unused;
}

/* Nobody has it any more, no thread that ever called in lives, and it is there all the same. That
 * is what makes the rest safe wherever the C library does not keep the code of living threads
 * itself. */
static void unload_when_nobody_is_left(void) {
    void *library = load_library();
    on_a_thread(call_in_once);
    assert(dlclose(library) == 0);
    void *still_there = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
    assert(still_there != NULL);
    assert(dlclose(still_there) == 0);
}

/* Opens a ledger that nobody closes before the library is. */
static void *leave_open(void *unused) {
    void *library = load_library();
    open_in(library, "left.db");
    assert(dlclose(library) == 0);
    return unused;
}

/* What is open is found again by whoever loads it next. */
static void *shut_down(void *unused) {
    void *library = load_library();
    simledger_status (*shutdown)(simledger_error **);
    load_function(library, "simledger_shutdown", &shutdown);
    assert(shutdown(NULL) == SIMLEDGER_OK);
    assert(dlclose(library) == 0);
    return unused;
}

/* A fork of a process that has closed the library, with a ledger open or without. */
static void fork_unloaded(void) {
    fflush(NULL);
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        alarm(60);
        void *library = load_library();
        call_in(library, ":memory:");
        assert(dlclose(library) == 0);
        _exit(0);
    }
    int status = -1;
    assert(waitpid(child, &status, 0) == child);
    assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Entries of a folder of /proc. */
static int entries_in(const char *folder) {
    DIR *directory = opendir(folder);
    assert(directory != NULL);
    int count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static int mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    assert(maps != NULL);
    int lines = 0;
    for (int c; (c = getc(maps)) != EOF;) {
        lines += c == '\n';
    }
    fclose(maps);
    return lines;
}

/* A thread that was waited for may still be seen for a moment. */
static void wait_for_threads(int most) {
    while (entries_in("/proc/self/task") > most) {
        sched_yield();
    }
}

static void use_in_every_way(void) {
    unload_when_nobody_is_left();
    unload_under_a_living_thread();
    on_a_thread(leave_open);
    fork_unloaded();
    on_a_thread(shut_down);
    fork_unloaded();
}

int main(int argc, char **argv) {
    assert(argc == 2);
    library_path = argv[1];
    /* Valgrind's own mappings come and go. */
    const int is_slow = getenv("SIMLEDGER_VALGRIND") != NULL;
    const int rounds = is_slow ? 10 : 100;
    const int threads = entries_in("/proc/self/task");

    /* What is made once is made in the first rounds. */
    for (int round = 0; round < 5; round++) {
        use_in_every_way();
    }
    wait_for_threads(threads);
    const int descriptors = entries_in("/proc/self/fd");
    const int mapped = mappings();
    for (int round = 0; round < rounds; round++) {
        use_in_every_way();
    }
    wait_for_threads(threads);
    assert(entries_in("/proc/self/fd") == descriptors);
    assert(is_slow || mappings() <= mapped);

    return 0;
}
