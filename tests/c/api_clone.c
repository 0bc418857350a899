/* A child that the system call clone made, for which the C library runs no fork handlers. It cannot
 * be made ready to use ledgers, and must not take those of its parent for its own. */
#include "child.h"
#include "every_call.h"
#include <sys/prctl.h>

static const char *program, *journal_mode;
static simledger_ledger *ledger, *in_memory;
static simledger_transaction *transaction;
static simledger_watch *watch;
static simledger_entries *entries;

static void it_has_no_ledgers(void) {
    check_every_call(ledger, SIMLEDGER_CLOSED);
    check_every_call(in_memory, SIMLEDGER_CLOSED);
    int64_t id = 77;
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, NULL,
                simledger_transaction_commit(transaction, &id, NULL, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, NULL, simledger_watch_poll(watch, 1, &entries, &error));
    static const char *const PATHS[] = {"parent.db", "child.db", ":memory:"};
    for (int i = 0; i < 3; i++) {
        simledger_ledger *own = GARBAGE_POINTER(simledger_ledger);
        CHECK_FAILS(SIMLEDGER_UNSUPPORTED, NULL, "exec",
                    simledger_open_path(PATHS[i], NUL_TERMINATED, &own, &error));
        CHECK(own == NULL);
    }
    CHECK(access("child.db", F_OK) != 0);
    CHECK_OK(simledger_shutdown(&error));
}

static void nor_does_its_child(void) { in_child(it_has_no_ledgers); }

static void what_is_in_memory_it_may_read(void) {
    CHECK(simledger_entries_len(entries) == 1);
    CHECK_TEXT(simledger_entry_node_id(simledger_entries_get(entries, 0), NULL), "parent");
    simledger_entries_free(entries);
    CHECK_OK(simledger_validate_json(
        NULL, "{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1}",
        NUL_TERMINATED, &error));
}

static void a_program_that_it_runs_may_do_all(void) {
    execl(program, program, "use", (char *)NULL);
    CHECK(!"it cannot be started");
}

static void children_of_a_parent_that_goes_on(void) {
    unlink("parent.db");
    ledger = open_with("parent.db", "journal_mode", journal_mode, END);
    in_memory = open_in_memory();
    append(ledger, 0, "parent");
    entries = read_all(ledger);
    CHECK_OK(simledger_transaction_begin(ledger, &transaction, &error));
    CHECK_OK(simledger_watch_open(ledger, 0, NULL, &watch, &error));
    /* The threads of the library have nothing to do: whatever they have in hand, a lock of malloc
     * say, would be taken in the child for ever. */
    CHECK_OK(simledger_flush(ledger, &error));

    static void (*const CHILDREN[])(void) = {
        it_has_no_ledgers,
        nor_does_its_child,
        what_is_in_memory_it_may_read,
    };
    for (size_t i = 0; i < sizeof CHILDREN / sizeof *CHILDREN; i++) {
        in_child_made_by(clone_behind_the_library, CHILDREN[i]);
        append(ledger, (double)i + 1, "parent");
        CHECK_OK(simledger_flush(ledger, &error));
    }
    const int64_t before = count_of(ledger);
    in_child_made_by(clone_behind_the_library, a_program_that_it_runs_may_do_all);
    CHECK(count_of(ledger) > before);

    size_t findings = 77;
    CHECK_OK(simledger_integrity_check(ledger, 10, NULL, NULL, NULL, &findings, &error));
    CHECK(findings == 0);
    simledger_transaction_free(transaction);
    CHECK_OK(simledger_watch_close(watch, &error));
    simledger_entries_free(entries);
    close_ledger(in_memory);
    close_ledger(ledger);
}

static int64_t told(int from) {
    int64_t number = -1;
    CHECK(read(from, &number, sizeof number) == sizeof number);
    return number;
}

static void tell(int to, int64_t number) {
    CHECK(write(to, &number, sizeof number) == sizeof number);
}

/* It has its parent's descriptors, and their locks, for as long as it lives or until it closes
 * them. What was acknowledged is there all the same, and the others go on when it has ended. */
static void one_that_lives_longer_than_its_parent(bool parent_closes) {
    unlink("parent.db");
    int news[2], life[2];
    CHECK(pipe(news) == 0 && pipe(life) == 0);
    fflush(NULL);
    const pid_t parent = fork();
    CHECK(parent >= 0);
    if (parent == 0) {
        close(life[1]);
        ledger = open_with("parent.db", "journal_mode", journal_mode, END);
        for (int i = 0; i < 10; i++)
            append(ledger, i, "parent");
        const pid_t child = clone_behind_the_library();
        if (child == 0) {
            char end;
            _exit(read(life[0], &end, 1) == 0 ? 0 : 1);
        }
        CHECK(child > 0);
        if (parent_closes)
            close_ledger(ledger);
        tell(news[1], parent_closes ? 10 : 10 + (append(ledger, 10, "parent") == 11));
        for (;;)
            pause();
    }
    close(life[0]);
    close(news[1]);
    const int64_t acknowledged = told(news[0]);
    CHECK(kill(parent, SIGKILL) == 0 && waitpid(parent, NULL, 0) == parent);
    close(life[1]);
    int status = -1;
    CHECK(waitpid(-1, &status, 0) > 0 && status == 0); /* the child, which is ours now */
    ledger = open_with("parent.db", "journal_mode", journal_mode, END);
    CHECK(count_of(ledger) == acknowledged && append(ledger, 77, "test") == acknowledged + 1);
    close_ledger(ledger);
    close(news[0]);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "use") == 0) {
        ledger = open_with("parent.db", END);
        append(ledger, 1e9, "exec");
        close_ledger(ledger);
        return 0;
    }
    program = argv[0];
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    static const char *const MODES[] = {"WAL", "DELETE"};
    for (int i = 0; i < 2; i++) {
        journal_mode = MODES[i];
        children_of_a_parent_that_goes_on();
        one_that_lives_longer_than_its_parent(false);
        one_that_lives_longer_than_its_parent(true);
    }
    return 0;
}
