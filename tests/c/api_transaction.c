/* Transactions: what is collected is written whole or not at all. */
#include "transactions.h"
#include <fcntl.h>

static void what_is_collected_is_written_together(simledger_ledger *ledger) {
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    size_t index = 77;
    CHECK_OK(simledger_transaction_append_json(
        transaction, "{\"timestamp\":2,\"node_id\":\"n\",\"features\":[],\"confidence\":1}",
        NUL_TERMINATED, &index, &error));
    CHECK(index == 1 && simledger_transaction_len(transaction) == 2 && count_of(ledger) == 0);
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "confidence", NULL,
                simledger_transaction_append(transaction, 3, "n", 1, "{}", 2, 1.5, &index, &error));
    CHECK(index == 0 && simledger_transaction_len(transaction) == 2);
    append(ledger, 1, "other"); /* nobody is held up */
    int64_t first_id = 0;
    size_t count = 0;
    CHECK_OK(simledger_transaction_commit(transaction, &first_id, &count, &error));
    CHECK(first_id == 2 && count == 2 && count_of(ledger) == 3);

    /* It has ended. */
    CHECK(simledger_transaction_len(transaction) == 0);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", "transaction was closed",
                simledger_transaction_commit(transaction, &first_id, &count, &error));
    CHECK(first_id == 0 && count == 0);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_append(transaction, 9, "n", 1, "{}", 2, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_expect_last_id(transaction, 1, &error));
    simledger_transaction_free(transaction);
    simledger_transaction_free(transaction);
}

static void what_fails_stays_as_it_was(simledger_ledger *ledger) {
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 5, 0);
    CHECK_OK(simledger_transaction_expect_last_id(transaction, 1, &error));
    simledger_error *failure = NULL;
    CHECK(simledger_transaction_commit(transaction, NULL, NULL, &failure) == SIMLEDGER_CONFLICT);
    CHECK(simledger_error_entry_id(failure) == 3 && !simledger_error_retryable(failure));
    simledger_error_free(failure);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "id", NULL,
                simledger_transaction_expect_last_id(transaction, -1, &error));
    CHECK_OK(simledger_transaction_expect_last_id(transaction, 3, &error));
    add(transaction, 1, 1); /* is there */
    CHECK(simledger_transaction_commit(transaction, NULL, NULL, &failure) == SIMLEDGER_DUPLICATE);
    CHECK(simledger_error_index(failure) == 1 && simledger_error_entry_id(failure) == 2);
    simledger_error_free(failure);
    CHECK(simledger_transaction_len(transaction) == 2 && count_of(ledger) == 3);
    CHECK_OK(simledger_option_set(ledger, "on_duplicate", NUL_TERMINATED, "ignore", 6, &error));
    size_t count = 0;
    CHECK_OK(simledger_transaction_commit(transaction, NULL, &count, &error));
    CHECK(count == 1 && count_of(ledger) == 4);

    transaction = begin(ledger);
    add(transaction, 50, 0);
    simledger_transaction_free(transaction);
    CHECK(count_of(ledger) == 4);
}

static void what_may_only_be_read_is_not_written(void) {
    close_ledger(open_with("read.db", END));
    simledger_ledger *ledger = open_with("read.db", "read_only", "true", END);
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    CHECK_FAILS(SIMLEDGER_READ_ONLY, "read_only", NULL,
                simledger_transaction_commit(transaction, NULL, NULL, &error));
    simledger_transaction_free(transaction);
    close_ledger(ledger);
}

/* Nothing in it is no failure, and ends it like any other. */
static void an_empty_one_is_committed_too(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_transaction *transaction = begin(ledger);
    CHECK_OK(simledger_transaction_expect_last_id(transaction, 0, &error));
    int64_t first_id = 77;
    size_t count = 77;
    CHECK_OK(simledger_transaction_commit(transaction, &first_id, &count, &error));
    CHECK(first_id == 0 && count == 0);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_commit(transaction, &first_id, &count, &error));
    close_ledger(ledger);
}

/* Of two that were decided on the same news, the second is told. */
static void only_one_of_two_decisions_on_the_same_news_is_written(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_transaction *both[] = {begin(ledger), begin(ledger)};
    for (int i = 0; i < 2; i++) {
        add(both[i], i, 0);
        add(both[i], i + 10, 1);
        CHECK_OK(simledger_transaction_expect_last_id(both[i], 0, &error));
    }
    CHECK_OK(simledger_transaction_commit(both[1], NULL, NULL, &error));
    int64_t first_id = 77;
    size_t count = 77;
    simledger_error *failure = NULL;
    CHECK(simledger_transaction_commit(both[0], &first_id, &count, &failure) == SIMLEDGER_CONFLICT);
    CHECK(first_id == 0 && count == 0 && simledger_error_entry_id(failure) == 2);
    simledger_error_free(failure);
    CHECK(count_of(ledger) == 2 && simledger_transaction_len(both[0]) == 2);
    /* What cleanup took counts: the last id is that of the newest there ever was. */
    CHECK_OK(simledger_cleanup_before_id(ledger, 3, NULL, &error));
    CHECK_OK(simledger_transaction_expect_last_id(both[0], 0, &error));
    CHECK_FAILS(SIMLEDGER_CONFLICT, NULL, NULL,
                simledger_transaction_commit(both[0], NULL, NULL, &error));
    CHECK_OK(simledger_transaction_expect_last_id(both[0], 2, &error));
    CHECK_OK(simledger_transaction_commit(both[0], &first_id, &count, &error));
    CHECK(first_id == 3 && count == 2);
    close_ledger(ledger);
}

static void entries_that_contradict_one_another_are_found(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_transaction *transaction = begin(ledger);
    for (size_t i = 0; i < 3; i++)
        add(transaction, i == 2 ? 0 : (double)i, i);
    simledger_error *failure = NULL;
    CHECK(simledger_transaction_commit(transaction, NULL, NULL, &failure) == SIMLEDGER_DUPLICATE);
    CHECK(simledger_error_index(failure) == 2);
    simledger_error_free(failure);
    CHECK(simledger_transaction_len(transaction) == 3 && count_of(ledger) == 0);
    simledger_transaction_free(transaction);
    int64_t last = 77;
    CHECK_OK(simledger_last_id(ledger, &last, &error));
    CHECK(last == 0);
    close_ledger(ledger);
}

/* Whatever an entry is refused for, the others stay, and the index goes on. */
static void a_refused_entry_leaves_the_others(void) {
    simledger_ledger *ledger = open_with(":memory:", "strict_fields", "true", "entry_bytes_max",
                                         "200", "features_depth_max", "2", END);
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    static const char *const REFUSED[][2] = {
        {"{\"timestamp\":2,\"node_id\":\"n\",\"features\":{},\"confidence\":1,\"x\":1}", "x"},
        {"{\"timestamp\":2,\"node_id\":\" \",\"features\":{},\"confidence\":1}", "node_id"},
        {"{\"timestamp\":2,\"node_id\":\"n\",\"features\":[[[]]],\"confidence\":1}", "features"},
        {"{\"timestamp\":2", NULL},
        {"[]", NULL},
        {"", NULL}};
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        size_t index = 77;
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, REFUSED[i][1], NULL,
                    simledger_transaction_append_json(transaction, REFUSED[i][0], NUL_TERMINATED,
                                                      &index, &error));
        CHECK(index == 0 && simledger_transaction_len(transaction) == 1);
    }
    char long_text[300];
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "[\"", 2);
    memcpy(long_text + 298, "\"]", 2);
    CHECK_FAILS(
        SIMLEDGER_INVALID_ENTRY, NULL, "entry_bytes_max",
        simledger_transaction_append(transaction, 2, "n", 1, long_text, 300, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "UTF-8",
                simledger_transaction_append(transaction, 2, "\xff", 1, "{}", 2, 1, NULL, &error));
    add(transaction, 2, 1);
    size_t count = 0;
    CHECK_OK(simledger_transaction_commit(transaction, NULL, &count, &error));
    CHECK(count == 2);
    close_ledger(ledger);
}

/* Another program holds SQLite's lock on writing: this byte of the file, with a rollback journal.
 */
static void one_that_came_to_a_lock_is_committed_again(void) {
    simledger_ledger *ledger =
        open_with("busy.db", "journal_mode", "DELETE", "timeout", "0", "commit", "sqlite", END);
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    const int descriptor = open("busy.db", O_RDWR);
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_start = 0x40000001;
    lock.l_len = 1;
    CHECK(descriptor >= 0 && fcntl(descriptor, F_OFD_SETLK, &lock) == 0);
    int64_t first_id = 77;
    CHECK_FAILS(SIMLEDGER_BUSY, NULL, NULL,
                simledger_transaction_commit(transaction, &first_id, NULL, &error));
    CHECK(first_id == 0 && simledger_transaction_len(transaction) == 1);
    add(transaction, 2, 1); /* collecting waits for nobody */
    close(descriptor);
    size_t count = 0;
    CHECK_OK(simledger_transaction_commit(transaction, &first_id, &count, &error));
    CHECK(first_id == 1 && count == 2);
    close_ledger(ledger);
}

int main(void) {
    simledger_ledger *ledger = open_with("transaction.db", END);
    what_is_collected_is_written_together(ledger);
    what_fails_stays_as_it_was(ledger);
    close_ledger(ledger);
    what_may_only_be_read_is_not_written();
    an_empty_one_is_committed_too();
    only_one_of_two_decisions_on_the_same_news_is_written();
    entries_that_contradict_one_another_are_found();
    a_refused_entry_leaves_the_others();
    one_that_came_to_a_lock_is_committed_again();
    return 0;
}
