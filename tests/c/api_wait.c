/* Waiting: what ends a wait, and what it gives. Two threads and more; tests/waiting.rs has
 * processes. */
#include "check.h"
#include <math.h>
#include <pthread.h>
#include <sched.h>

/* A wait in another thread, and what became of it. */
struct wait {
    simledger_ledger *ledger;
    int64_t last_seen_id;
    double timeout;
    const simledger_query *filter;
    simledger_status status;
    simledger_entries *entries;
    pthread_t thread;
};

static struct wait wait_at(simledger_ledger *ledger, double timeout) {
    struct wait wait;
    memset(&wait, 0, sizeof wait);
    wait.ledger = ledger;
    wait.timeout = timeout;
    return wait;
}

static void *run_wait(void *pointer) {
    struct wait *wait = (struct wait *)pointer;
    simledger_error *error = NULL;
    wait->entries = GARBAGE_POINTER(simledger_entries);
    wait->status = simledger_wait_since(wait->ledger, wait->last_seen_id, SIMLEDGER_NO_LIMIT,
                                        wait->timeout, wait->filter, &wait->entries, &error);
    /* Outcomes come without an error, failures without entries. */
    const bool is_outcome = wait->status == SIMLEDGER_OK || wait->status == SIMLEDGER_TIMEOUT;
    CHECK(is_outcome == (error == NULL) && is_outcome == (wait->entries != NULL));
    simledger_error_free(error);
    return NULL;
}

static double waiting(simledger_ledger *ledger) {
    double value = 0;
    CHECK_OK(simledger_metric_get(ledger, "waiting", NUL_TERMINATED, &value, &error));
    return value;
}

/* Begins to wait, and comes back when as many do as are to. */
static void begin_wait(struct wait *wait, int of_all) {
    CHECK(pthread_create(&wait->thread, NULL, run_wait, wait) == 0);
    while (waiting(wait->ledger) < of_all)
        sched_yield();
}

static void end_wait(struct wait *wait, simledger_status expected, size_t len, int64_t position) {
    CHECK(pthread_join(wait->thread, NULL) == 0);
    CHECK(wait->status == expected);
    CHECK(simledger_entries_len(wait->entries) == len);
    CHECK(simledger_entries_position(wait->entries) == position);
    simledger_entries_free(wait->entries);
}

static void what_is_there_and_what_is_not(void) {
    simledger_ledger *ledger = open_with("here.db", END);
    append(ledger, 1, "a");
    append(ledger, 2, "b");
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_wait_since(ledger, 0, 1, 100, NULL, &entries, &error));
    CHECK(simledger_entries_len(entries) == 1 && simledger_entries_position(entries) == 1);
    simledger_entries_free(entries);
    /* Nothing, at once and after a while: a result all the same. */
    const double times[] = {0, 0.0, 0.002};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        CHECK_STATUS(SIMLEDGER_TIMEOUT,
                     simledger_wait_since(ledger, 2, 1, times[i], NULL, &entries, &error));
        CHECK(entries != NULL && simledger_entries_len(entries) == 0);
        CHECK(simledger_entries_position(entries) == 2);
        size_t len = 77;
        CHECK_TEXT(simledger_entries_json(entries, &len), "[]");
        simledger_entries_free(entries);
    }
    close_ledger(ledger);
}

static void arguments_out_of_range(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    const double bad[] = {-1, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "timeout_seconds", "from 0",
                    simledger_wait_since(ledger, 0, 1, bad[i], NULL, &entries, &error));
        CHECK(entries == NULL);
    }
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "limit", "at least 1",
                simledger_wait_since(ledger, 0, 0, 1, NULL, &entries, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "last_seen_id", NULL,
                simledger_wait_since(ledger, -1, 1, 1, NULL, &entries, &error));
    /* A filter of a poll has no order but that of the ids. */
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "filter", "order",
                simledger_wait_since(ledger, 0, 1, 1, query, &entries, &error));
    simledger_watch *watch = GARBAGE_POINTER(simledger_watch);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "filter", "order",
                simledger_watch_open(ledger, 0, query, &watch, &error));
    CHECK(watch == NULL);
    simledger_query_free(query);
    close_ledger(ledger);
}

static void an_append_ends_waits_without_end(void) {
    const char *paths[] = {"append.db", ":memory:"};
    for (int k = 0; k < 2; k++) {
        simledger_ledger *ledger = open_with(paths[k], END);
        struct wait waits[3] = {wait_at(ledger, INFINITY), wait_at(ledger, 1e300),
                                wait_at(ledger, 100)};
        for (int i = 0; i < 3; i++)
            begin_wait(&waits[i], i + 1);
        append(ledger, 1, "n");
        for (int i = 0; i < 3; i++)
            end_wait(&waits[i], SIMLEDGER_OK, 1, 1);
        CHECK(waiting(ledger) == 0);
        close_ledger(ledger);
    }
}

static void closing_and_interrupting_end_waits(void) {
    simledger_ledger *ledger = open_with("close.db", END);
    simledger_ledger *other = open_with("close.db", END);
    struct wait waits[3] = {wait_at(ledger, INFINITY), wait_at(ledger, INFINITY),
                            wait_at(other, INFINITY)};
    for (int i = 0; i < 2; i++)
        begin_wait(&waits[i], i + 1);
    CHECK_OK(simledger_interrupt(ledger, &error));
    for (int i = 0; i < 2; i++)
        end_wait(&waits[i], SIMLEDGER_INTERRUPTED, 0, 0);
    for (int i = 0; i < 3; i++)
        begin_wait(&waits[i], i + 1);
    close_ledger(ledger);
    for (int i = 0; i < 2; i++)
        end_wait(&waits[i], SIMLEDGER_CLOSED, 0, 0);
    /* A wait at another handle of the file goes on. */
    append(other, 1, "n");
    end_wait(&waits[2], SIMLEDGER_OK, 1, 1);
    waits[2].last_seen_id = 1;
    begin_wait(&waits[2], 1);
    CHECK_OK(simledger_shutdown(&error));
    end_wait(&waits[2], SIMLEDGER_CLOSED, 0, 0);
}

static void a_filter_may_be_freed_when_the_wait_has_ended(void) {
    simledger_ledger *ledger = open_with("filter.db", END);
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_set_min_confidence(query, 0.9, &error));
    struct wait wait = wait_at(ledger, INFINITY);
    wait.filter = query;
    begin_wait(&wait, 1);
    append(ledger, 1, "n");
    CHECK_OK(simledger_append(ledger, 2, "n", 1, "{}", 2, 0.95, NULL, &error));
    end_wait(&wait, SIMLEDGER_OK, 1, 2);
    wait.last_seen_id = 0;
    wait.timeout = 0.001;
    CHECK_OK(simledger_query_set_min_confidence(query, 0.99, &error));
    begin_wait(&wait, 0);
    end_wait(&wait, SIMLEDGER_TIMEOUT, 0, 2);
    simledger_query_free(query);
    close_ledger(ledger);
}

static void *wait_elsewhere(void *pointer) {
    simledger_ledger *ledger = (simledger_ledger *)pointer;
    simledger_entries *entries = NULL;
    CHECK_FAILS(SIMLEDGER_WRONG_THREAD, "check_same_thread", NULL,
                simledger_wait_since(ledger, 0, 1, 1, NULL, &entries, &error));
    return NULL;
}

static void the_thread_of_the_ledger_waits(void) {
    simledger_ledger *ledger = open_with(":memory:", "check_same_thread", "true", END);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_elsewhere, ledger) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    close_ledger(ledger);
}

int main(void) {
    what_is_there_and_what_is_not();
    arguments_out_of_range();
    an_append_ends_waits_without_end();
    closing_and_interrupting_end_waits();
    a_filter_may_be_freed_when_the_wait_has_ended();
    the_thread_of_the_ledger_waits();
    return 0;
}
