/* Callbacks that call the library and that wait: others go on meanwhile. */
#include "all_calls.h"
#include <pthread.h>
#include <semaphore.h>

/* A callback that waits until it may go on. */
typedef struct {
    sem_t inside, may_go_on;
    int waits; /* how often it is still to wait */
} Gate;

static void wait_in(Gate *gate) {
    if (gate->waits == 0)
        return;
    gate->waits--;
    CHECK(sem_post(&gate->inside) == 0);
    while (sem_wait(&gate->may_go_on) != 0)
        continue;
}

static void new_gate(Gate *gate) {
    gate->waits = 1;
    CHECK(sem_init(&gate->inside, 0, 0) == 0 && sem_init(&gate->may_go_on, 0, 0) == 0);
}

static void wait_in_log(int32_t level, const char *message, size_t message_len, void *user_data) {
    (void)level, (void)message_len;
    if (strstr(message, "cleanup") != NULL)
        wait_in((Gate *)user_data);
}

static int32_t wait_in_progress(double part, void *user_data) {
    (void)part;
    wait_in((Gate *)user_data);
    return 0;
}

static simledger_ledger *ledger;

static void *clean(void *unused) {
    CHECK_OK(simledger_cleanup_before_id(ledger, 1, NULL, &error));
    return unused;
}

static void *check(void *gate) {
    size_t count = 77;
    CHECK_OK(simledger_integrity_check(ledger, 9, wait_in_progress, gate, NULL, &count, &error));
    CHECK(count == 0);
    return NULL;
}

/* Everything but what cannot be done beside somebody who reads. */
static void call_all_beside(bool beside_a_reader) {
    Caller caller;
    memset(&caller, 0, sizeof caller);
    caller.ledger = ledger;
    caller.number = beside_a_reader + 1;
    for (int i = 0; i < GROUPS_LEN; i++) {
        const bool is_alone = strncmp(GROUPS[i].name, "storage", 7) == 0;
        if (!(beside_a_reader && is_alone))
            GROUPS[i].call(&caller);
    }
}

static void others_go_on_while_a_callback_waits(const char *path) {
    static const bool IN_PROGRESS[] = {false, true};
    for (int i = 0; i < 2; i++) {
        /* In memory who reads holds up who writes. */
        if (IN_PROGRESS[i] && strcmp(path, ":memory:") == 0)
            continue;
        Gate gate;
        new_gate(&gate);
        simledger_config *config = config_with(path, "unique", "none", END);
        CHECK_OK(
            simledger_config_set_log(config, SIMLEDGER_LOG_INFO, wait_in_log, &gate, NULL, &error));
        CHECK_OK(simledger_open(config, &ledger, &error));
        simledger_config_free(config);
        append(ledger, 5e8, "first");
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, IN_PROGRESS[i] ? check : clean, &gate) == 0);
        while (sem_wait(&gate.inside) != 0)
            continue;
        call_all_beside(IN_PROGRESS[i]);
        CHECK(sem_post(&gate.may_go_on) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        close_ledger(ledger);
    }
}

/* Told that nobody uses it any more, it may use the library too. */
static void use_the_library(void *user_data) {
    Caller caller;
    memset(&caller, 0, sizeof caller);
    caller.number = 9;
    caller.ledger = open_with("dropped.db", "unique", "none", END);
    for (int i = 0; i < GROUPS_LEN; i++)
        GROUPS[i].call(&caller);
    close_ledger(caller.ledger);
    ++*(int *)user_data;
}

static void ignore(int32_t level, const char *message, size_t message_len, void *user_data) {
    (void)level, (void)message, (void)message_len, (void)user_data;
}

static void the_library_may_be_called_where_user_data_ends(void) {
    int drops = 0;
    simledger_config *config = config_with("dropping.db", END);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, ignore, &drops,
                                          use_the_library, &error));
        CHECK(drops == i);
    }
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    CHECK(drops == 2);
    close_ledger(ledger);
    CHECK(drops == 3);
    config = config_with("dropping.db", END);
    CHECK_OK(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, ignore, &drops, use_the_library,
                                      &error));
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    CHECK_OK(simledger_shutdown(&error));
    CHECK(drops == 4);
}

int main(void) {
    alarm((unsigned)times(100, 1000)); /* whoever hangs is ended */
    others_go_on_while_a_callback_waits("waiting.db");
    others_go_on_while_a_callback_waits(":memory:");
    the_library_may_be_called_where_user_data_ends();
    return 0;
}
