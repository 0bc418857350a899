/* Transactions: what is collected is written whole or not at all, and handles of what has ended are
 * clean errors. */
#include "check.h"
#include <pthread.h>

static simledger_transaction *begin(simledger_ledger *ledger) {
    simledger_transaction *transaction = NULL;
    CHECK_OK(simledger_transaction_begin(ledger, &transaction, &error));
    return transaction;
}

static void add(simledger_transaction *transaction, double timestamp, size_t expected_index) {
    size_t index = 77;
    CHECK_OK(
        simledger_transaction_append(transaction, timestamp, "n", 1, "{}", 2, 0.5, &index, &error));
    CHECK(index == expected_index);
}

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
    CHECK(simledger_error_entry_id(failure) == 3 && simledger_error_retryable(failure));
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

static void handles_that_are_none_are_clean_errors(simledger_ledger *ledger) {
    simledger_transaction *made_up = (simledger_transaction *)(uintptr_t)0x1234567890;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "transaction", "simledger_transaction_begin",
                simledger_transaction_commit(made_up, NULL, NULL, &error));
    /* Nor is a ledger a transaction, nor a transaction a ledger. */
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "transaction", NULL,
                simledger_transaction_commit((simledger_transaction *)ledger, NULL, NULL, &error));
    simledger_transaction *transaction = begin(ledger);
    int64_t count = 0;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "ledger", NULL,
                simledger_count((simledger_ledger *)transaction, &count, &error));
    CHECK(simledger_transaction_len(made_up) == 0);
    simledger_transaction_free(made_up);
    simledger_transaction_free((simledger_transaction *)ledger);
    CHECK(count_of(ledger) == 4);
    simledger_transaction_free(transaction);
}

static void a_ledger_may_be_closed_before(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    close_ledger(ledger);
    add(transaction, 2, 1);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", "ledger was closed",
                simledger_transaction_commit(transaction, NULL, NULL, &error));
    CHECK(simledger_transaction_len(transaction) == 2);
    simledger_transaction_free(transaction);
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

/* Against the rule, two threads at once: whoever comes second is told, and nothing breaks. */
struct adder {
    simledger_transaction *transaction;
    pthread_t thread;
    size_t added;
};

static void *add_many(void *argument) {
    struct adder *adder = (struct adder *)argument;
    for (int i = 0; i < times(5000, 500); i++) {
        simledger_status status =
            simledger_transaction_append(adder->transaction, i, "n", 1, "{}", 2, 1, NULL, NULL);
        CHECK(status == SIMLEDGER_OK || status == SIMLEDGER_INVALID_ARGUMENT);
        adder->added += status == SIMLEDGER_OK;
    }
    return NULL;
}

static void two_threads_at_once_do_no_harm(void) {
    simledger_ledger *ledger = open_with(":memory:", "unique", "none", END);
    simledger_transaction *transaction = begin(ledger);
    struct adder adders[2];
    for (int i = 0; i < 2; i++) {
        adders[i].transaction = transaction;
        adders[i].added = 0;
        CHECK(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]) == 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(adders[i].thread, NULL) == 0);
    size_t held = simledger_transaction_len(transaction), count = 0;
    CHECK(held > 0 && held == adders[0].added + adders[1].added);
    CHECK_OK(simledger_transaction_commit(transaction, NULL, &count, &error));
    CHECK(count == held);
    close_ledger(ledger);
}

/* From inside the log callback of its own commit it cannot be freed, and waits for nobody. */
static int times_tried;

static void free_it(int32_t level, const char *message, size_t message_len, void *user_data) {
    (void)level, (void)message, (void)message_len;
    simledger_transaction *transaction = *(simledger_transaction **)user_data;
    if (transaction != NULL) {
        times_tried++;
        simledger_transaction_free(transaction);
    }
}

static void a_callback_of_the_commit_may_try_to_free_it(void) {
    simledger_transaction *transaction = NULL;
    simledger_config *config = config_with("free.db", "clock", "simulated", END);
    CHECK_OK(
        simledger_config_set_log(config, SIMLEDGER_LOG_DEBUG, free_it, &transaction, NULL, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    for (int i = 0; i < 5; i++)
        append(ledger, i, "n");
    /* What the background has to say comes with the next call, and is to come with a commit. */
    CHECK_OK(simledger_option_set(ledger, "retention_seconds", NUL_TERMINATED, "2.5", 3, &error));
    for (int i = 100; times_tried == 0; i++) {
        simledger_transaction *begun = begin(ledger);
        add(begun, i, 0);
        transaction = begun;
        size_t count = 0;
        CHECK_OK(simledger_transaction_commit(begun, NULL, &count, &error));
        CHECK(count == 1);
        transaction = NULL;
    }
    close_ledger(ledger);
}

int main(void) {
    simledger_ledger *ledger = open_with("transaction.db", END);
    what_is_collected_is_written_together(ledger);
    what_fails_stays_as_it_was(ledger);
    handles_that_are_none_are_clean_errors(ledger);
    close_ledger(ledger);
    a_ledger_may_be_closed_before();
    what_may_only_be_read_is_not_written();
    two_threads_at_once_do_no_harm();
    a_callback_of_the_commit_may_try_to_free_it();
    return 0;
}
