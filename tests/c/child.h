/* What the tests of forked children share. */
#ifndef TESTS_C_CHILD_H
#define TESTS_C_CHILD_H

#include "check.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A child that the C library does not know of: no handlers are run for it. */
static inline pid_t clone_behind_the_library(void) {
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* Runs `work` in a child that `make_child` makes, and waits for its good end. One that hangs is
 * ended by its alarm. */
static inline void in_child_made_by(pid_t (*make_child)(void), void (*work)(void)) {
    fflush(NULL);
    const pid_t child = make_child();
    CHECK(child >= 0);
    if (child == 0) {
        alarm((unsigned)times(20, 300));
        work();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        fprintf(stderr, "the child ended by signal %d\n", WTERMSIG(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void in_child(void (*work)(void)) { in_child_made_by(fork, work); }

/* Opens a ledger, uses it, and closes it. */
static inline void use_a_ledger(const char *path) {
    simledger_ledger *ledger = open_with(path, END);
    const int64_t before = count_of(ledger);
    const int64_t id = append(ledger, (double)before + 1, "child");
    simledger_entry *own = NULL;
    CHECK_OK(simledger_get_by_id(ledger, id, &own, &error));
    CHECK_TEXT(simledger_entry_node_id(own, NULL), "child");
    simledger_entry_free(own);
    simledger_entries *all = read_all(ledger);
    CHECK((int64_t)simledger_entries_len(all) == before + 1);
    simledger_entries_free(all);
    close_ledger(ledger);
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
}

#endif
