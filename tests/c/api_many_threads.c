/* 64 threads that call all functions on one handle at once; the ledger is closed under them, by
 * each of the ways to close it, calls are interrupted, and the process forks in the middle of it.
 */
#include "all_calls.h"
#include "child.h"
#include <pthread.h>
#include <sched.h>

enum { THREADS_MAX = 64 };

/* What calls that wait are waiting for never comes: they are ended, or hang. */
enum { NEVER_SECONDS = 1000000 };

static Caller callers[THREADS_MAX];
static pthread_t threads[THREADS_MAX];
static int threads_len;

/* How many threads have called everything that they were to call. */
static int done;

static int load(const int *number) { return __atomic_load_n(number, __ATOMIC_SEQ_CST); }

static void begin(simledger_ledger *ledger, const Caller *like, void *(*work)(void *)) {
    threads_len = times(THREADS_MAX, 4);
    done = 0;
    for (int i = 0; i < threads_len; i++) {
        callers[i] = *like;
        callers[i].ledger = ledger;
        callers[i].number = i + 1;
        CHECK(pthread_create(&threads[i], NULL, work, &callers[i]) == 0);
    }
}

static void end(void) {
    for (int i = 0; i < threads_len; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* How many groups of calls were made in all. */
static long calls;

static void call(const Group *group, Caller *caller) {
    group->call(caller);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

/* Each thread begins with another function. */
static void call_all(Caller *caller) {
    for (int i = 0; i < GROUPS_LEN; i++)
        call(&GROUPS[(caller->number + i) % GROUPS_LEN], caller);
}

static void *call_all_on_thread(void *argument) {
    call_all((Caller *)argument);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void end_child_well(void) {
    use_a_ledger(":memory:");
    use_a_ledger("child.db");
    execlp("true", "true", (char *)NULL); /* see api_fork_busy.c */
}

static void everybody_calls_everything(const char *path) {
    Caller like;
    memset(&like, 0, sizeof like);
    for (int interrupted = 0; interrupted < times(2, 1); interrupted++) {
        like.may_be_interrupted = interrupted != 0;
        like.turn = interrupted * 100000; /* no entry of the round before */
        simledger_ledger *ledger = open_with(path, "max_connections", "4", "timeout", "1000", END);
        append(ledger, 5e8 + interrupted, "first");
        begin(ledger, &like, call_all_on_thread);
        for (int forks = 0; forks < times(3, 1) || load(&done) < threads_len / 2; forks++)
            in_child(end_child_well);
        end();
        size_t findings = 77;
        CHECK_OK(simledger_integrity_check(ledger, 9, NULL, NULL, NULL, &findings, &error));
        CHECK(findings == 0);
        close_ledger(ledger);
    }
}

/* Until the ledger is closed. */
static void *call_all_until_closed(void *argument) {
    Caller *caller = (Caller *)argument;
    int64_t count = 0;
    for (int i = 0; simledger_count(caller->ledger, &count, NULL) != SIMLEDGER_CLOSED; i++) {
        call(&GROUPS[(caller->number + i) % GROUPS_LEN], caller);
        __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    }
    call_all(caller); /* and so it stays */
    return NULL;
}

/* Waits for what does not come: closing must end it. */
static void *wait_until_closed(void *argument) {
    Caller *caller = (Caller *)argument;
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, NULL,
                simledger_wait_since(caller->ledger, INT64_MAX - 1, 1, NEVER_SECONDS, NULL,
                                     &entries, &error));
    CHECK(entries == NULL);
    return NULL;
}

static void close_it(simledger_ledger *ledger) { CHECK_OK(simledger_close(ledger, &error)); }

static void shut_down(simledger_ledger *ledger) {
    (void)ledger;
    CHECK_OK(simledger_shutdown(&error));
}

static void closed_under_calls_of_every_kind(const char *path) {
    static void *(*const WORK[])(void *) = {call_all_until_closed, wait_until_closed};
    static void (*const CLOSE[])(simledger_ledger *) = {close_it, shut_down};
    Caller like;
    memset(&like, 0, sizeof like);
    like.may_be_closed = true;
    for (int i = 0; i < 4; i += times(1, 3)) {
        simledger_ledger *ledger = open_with(path, "unique", "none", "timeout", "1000", END);
        append(ledger, 1, "first");
        begin(ledger, &like, WORK[i % 2]);
        while (load(&done) < threads_len)
            sched_yield();
        CLOSE[i / 2](ledger);
        CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
        end();
    }
}

int main(void) {
    const int rounds = longer(1);
    for (int round = 0; round < rounds; round++) {
        char path[32], closed[32];
        alarm((unsigned)times(300, 1500)); /* whoever hangs is ended */
        snprintf(path, sizeof path, "threads-%d.db", round);
        snprintf(closed, sizeof closed, "closed-%d.db", round);
        everybody_calls_everything(path);
        everybody_calls_everything(":memory:");
        closed_under_calls_of_every_kind(closed);
        closed_under_calls_of_every_kind(":memory:");
    }
    printf("%ld groups of calls on %d threads at once\n", calls, threads_len);
    return 0;
}
