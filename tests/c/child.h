/* What the tests of forked children share. */
#ifndef TESTS_C_CHILD_H
#define TESTS_C_CHILD_H

#include "check.h"
#include <sys/wait.h>

/* Runs `work` in a forked child and waits for its good end. A child that hangs is ended by its
 * alarm. */
static inline void in_child(void (*work)(void)) {
    fflush(NULL);
    const pid_t child = fork();
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
