/* Transactions as handles: of what has ended, of other threads and processes, and from callbacks.
 */
#include "child.h"
#include "transactions.h"
#include <pthread.h>

static void handles_that_are_none_are_clean_errors(void) {
    simledger_ledger *ledger = open_in_memory();
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
    CHECK(count_of(ledger) == 0);
    simledger_transaction_free(transaction);
    close_ledger(ledger);
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

static void *commit_elsewhere(void *transaction) {
    CHECK_FAILS(
        SIMLEDGER_WRONG_THREAD, "check_same_thread", NULL,
        simledger_transaction_commit((simledger_transaction *)transaction, NULL, NULL, &error));
    return NULL;
}

static void the_thread_of_the_ledger_commits(void) {
    simledger_ledger *ledger = open_with(":memory:", "check_same_thread", "true", END);
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 1, 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, commit_elsewhere, transaction) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(simledger_transaction_commit(transaction, NULL, NULL, &error));
    CHECK(count_of(ledger) == 1);
    close_ledger(ledger);
}

/* Opening the file anew, or a child's inheritance, brings no transaction back. */
static simledger_transaction *inherited;

static void it_is_closed_in_the_child(void) {
    CHECK(simledger_transaction_len(inherited) == 0);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_append(inherited, 9, "n", 1, "{}", 2, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_commit(inherited, NULL, NULL, &error));
    simledger_transaction_free(inherited);
}

static void a_transaction_belongs_to_its_handle_and_its_process(void) {
    simledger_ledger *ledger = open_with("mine.db", END);
    inherited = begin(ledger);
    add(inherited, 1, 0);
    in_child(it_is_closed_in_the_child);
    add(inherited, 2, 1);
    CHECK_OK(simledger_transaction_commit(inherited, NULL, NULL, &error));
    simledger_transaction *transaction = begin(ledger);
    add(transaction, 3, 0);
    CHECK_OK(simledger_shutdown(&error));
    ledger = open_with("mine.db", END);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", "ledger was closed",
                simledger_transaction_commit(transaction, NULL, NULL, &error));
    simledger_transaction_free(transaction);
    CHECK(count_of(ledger) == 2);
    transaction = GARBAGE_POINTER(simledger_transaction);
    close_ledger(ledger);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL,
                simledger_transaction_begin(ledger, &transaction, &error));
    CHECK(transaction == NULL);
}

static void so_many_may_be_open_and_no_more(void) {
    enum { MOST = 65536 };
    simledger_ledger *ledger = open_in_memory();
    static simledger_transaction *open_ones[MOST];
    for (int i = 0; i < MOST; i++)
        open_ones[i] = begin(ledger);
    simledger_transaction *one_more = GARBAGE_POINTER(simledger_transaction);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "", "65536",
                simledger_transaction_begin(ledger, &one_more, &error));
    CHECK(one_more == NULL);
    add(open_ones[MOST - 1], 1, 0);
    CHECK_OK(simledger_transaction_commit(open_ones[MOST - 1], NULL, NULL, &error));
    one_more = begin(ledger); /* has the place of the one that ended, and another handle */
    CHECK(one_more != open_ones[MOST - 1] && simledger_transaction_len(open_ones[MOST - 1]) == 0);
    simledger_transaction_free(one_more);
    for (int i = 0; i < MOST; i++)
        simledger_transaction_free(open_ones[i]);
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
    alarm((unsigned)times(120, 900)); /* ends what would wait for ever */
    handles_that_are_none_are_clean_errors();
    a_ledger_may_be_closed_before();
    the_thread_of_the_ledger_commits();
    a_transaction_belongs_to_its_handle_and_its_process();
    so_many_may_be_open_and_no_more();
    two_threads_at_once_do_no_harm();
    a_callback_of_the_commit_may_try_to_free_it();
    return 0;
}
