/* A forked child opens the file that its parent has open, and both work on it at once. */
#include "child.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

enum { WRITERS = 2 };

static const char *journal_mode;
static simledger_ledger *ledger;

/* What all processes of the test had acknowledged. */
static int64_t *acknowledged;

static int stop;

static int64_t acknowledged_now(void) { return __atomic_load_n(acknowledged, __ATOMIC_SEQ_CST); }

static void append_one(double timestamp, const char *node_id) {
    CHECK(append(ledger, timestamp, node_id) > 0);
    __atomic_add_fetch(acknowledged, 1, __ATOMIC_SEQ_CST);
}

static void *append_on(void *node_id) {
    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); i++) {
        append_one(i, (const char *)node_id);
        usleep(100); /* so that what each child checks as a whole stays small */
    }
    return NULL;
}

/* Polls on from a position: every id comes once and in order, and what was acknowledged is there.
 */
static int64_t poll_from(int64_t position) {
    const int64_t before = acknowledged_now();
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_poll_since(ledger, position, SIMLEDGER_NO_LIMIT, &entries, &error));
    const size_t len = simledger_entries_len(entries);
    for (size_t i = 0; i < len; i++)
        CHECK(simledger_entry_id(simledger_entries_get(entries, i)) == position + 1 + (int64_t)i);
    position = simledger_entries_position(entries);
    CHECK(position >= before);
    simledger_entries_free(entries);
    return position;
}

static void *poll_on(void *unused) {
    int64_t position = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        position = poll_from(position);
    return unused;
}

static void open_shared(void) {
    ledger = open_with("shared.db", "journal_mode", journal_mode, "unique", "none", "timeout", "60",
                       END);
}

static void close_sound(void) {
    size_t count = 77;
    CHECK_OK(simledger_integrity_check(ledger, 10, NULL, NULL, NULL, &count, &error));
    CHECK(count == 0);
    close_ledger(ledger);
}

static void remove_shared(void) {
    unlink("shared.db");
    *acknowledged = 0;
}

static pthread_t threads[WRITERS + 1];

static void begin_work(void) {
    static char names[WRITERS][16];
    stop = 0;
    open_shared();
    for (int i = 0; i < WRITERS; i++) {
        snprintf(names[i], sizeof names[i], "parent-%d", i);
        CHECK(pthread_create(&threads[i], NULL, append_on, names[i]) == 0);
    }
    CHECK(pthread_create(&threads[WRITERS], NULL, poll_on, NULL) == 0);
}

static void end_work(void) {
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i <= WRITERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* The others go on meanwhile. */
static void wait_for_others(int64_t appends) {
    const int64_t goal = acknowledged_now() + appends;
    while (acknowledged_now() < goal)
        sched_yield();
}

/* The good end of a child. What the parent's threads had in hand at the fork nobody can free here:
 * in a program of its own valgrind does not look for it. */
static void end_child(void) {
    execlp("true", "true", (char *)NULL);
    CHECK(!"true cannot be started");
}

static int generations;

static void work_in_child(void) {
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED); /* the inherited one */
    open_shared();
    int64_t position = 0;
    const int appends = times(60, 3);
    for (int i = 0; i < appends; i++) {
        append_one(i, "child");
        position = poll_from(position);
    }
    wait_for_others(times(20, 1));
    poll_from(position);
    /* A child of the child, which has the file open at that fork, as its parent has. */
    if (generations-- > 1)
        in_child(work_in_child);
    append_one(appends, "child");
    close_sound();
    end_child();
}

static void parent_and_children_work_at_once(void) {
    remove_shared();
    begin_work();
    const int children = times(8, 2);
    for (int i = 0; i < children; i++) {
        wait_for_others(times(20, 1));
        generations = 1 + i % 3;
        in_child(work_in_child);
    }
    end_work();
    CHECK(count_of(ledger) == acknowledged_now());
    CHECK(poll_from(0) == acknowledged_now());
    close_sound();
}

/* A child lives on that never looks at the ledger. */
static void child_that_stays(int told, int stays) {
    char end;
    CHECK(write(told, "f", 1) == 1);
    CHECK(read(stays, &end, 1) == 0);
    end_child();
}

/* The locks of a process go when it ends, whatever it was doing when it forked. */
static void a_child_keeps_no_locks_of_its_dead_parent(void) {
    remove_shared();
    const int rounds = times(20, 2);
    for (int i = 0; i < rounds; i++) {
        int told[2], stays[2];
        char forked;
        CHECK(pipe(told) == 0 && pipe(stays) == 0);
        fflush(NULL);
        const pid_t parent = fork();
        CHECK(parent >= 0);
        if (parent == 0) {
            close(stays[1]);
            begin_work();
            wait_for_others(1 + i);
            if (fork() == 0)
                child_that_stays(told[1], stays[0]);
            for (;;)
                pause();
        }
        CHECK(read(told[0], &forked, 1) == 1);
        CHECK(kill(parent, SIGKILL) == 0 && waitpid(parent, NULL, 0) == parent);
        open_shared();
        append_one(i, "test");
        CHECK(count_of(ledger) >= acknowledged_now());
        close_sound();
        /* Whoever is alone takes it along. */
        CHECK(access("shared.db-wal", F_OK) != 0);
        CHECK(close(stays[1]) == 0 && close(stays[0]) == 0 && close(told[0]) == 0 &&
              close(told[1]) == 0);
    }
}

int main(void) {
    static const char *const MODES[] = {"WAL", "DELETE"};
    acknowledged = (int64_t *)mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(acknowledged != MAP_FAILED);
    for (int i = 0; i < 2; i++) {
        journal_mode = MODES[i];
        parent_and_children_work_at_once();
        a_child_keeps_no_locks_of_its_dead_parent();
    }
    return 0;
}
