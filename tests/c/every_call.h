/* Every function that takes a ledger, with arguments that are valid but for the ledger. */
#ifndef TESTS_C_EVERY_CALL_H
#define TESTS_C_EVERY_CALL_H

#include "check.h"

/* Each ends with this status and a message, and leaves nothing in its results. */
static inline void check_every_call(simledger_ledger *ledger, simledger_status expected) {
    static const char JSON[] =
        "{\"timestamp\":77,\"node_id\":\"n\",\"features\":{},\"confidence\":0.5}";
    int64_t number = 77;
    size_t size = 77;
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    simledger_entry *entry = GARBAGE_POINTER(simledger_entry);
    char *text = GARBAGE_POINTER(char);
    double real = 77;
#define CHECK_NUMBER(call)                                                                         \
    number = 77;                                                                                   \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(number == 0)
#define CHECK_ENTRIES(call)                                                                        \
    entries = GARBAGE_POINTER(simledger_entries);                                                  \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(entries == NULL)
#define CHECK_OWNED_TEXT(call)                                                                     \
    text = GARBAGE_POINTER(char);                                                                  \
    size = 77;                                                                                     \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(text == NULL && size == 0)
#define CHECK_REAL(call)                                                                           \
    real = 77;                                                                                     \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(real == 0)

    CHECK_NUMBER(simledger_append_json(ledger, JSON, NUL_TERMINATED, &number, &error));
    CHECK_NUMBER(simledger_append(ledger, 77, "n", 1, "{}", 2, 0.5, &number, &error));
    CHECK_NUMBER(simledger_append_many_json(ledger, JSON, NUL_TERMINATED, &number, &size, &error));
    CHECK(size == 0);
    CHECK_FAILS(expected, NULL, NULL,
                simledger_validate_json(ledger, JSON, NUL_TERMINATED, &error));
    CHECK_ENTRIES(simledger_poll_since(ledger, 0, 1, &entries, &error));
    CHECK_ENTRIES(simledger_read_all(ledger, &entries, &error));
    CHECK_ENTRIES(simledger_read_by_node(ledger, "n", 1, 1, &entries, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_get_by_id(ledger, 1, &entry, &error));
    CHECK(entry == NULL);
    CHECK_NUMBER(simledger_count(ledger, &number, &error));
    CHECK_NUMBER(simledger_first_id(ledger, &number, &error));
    CHECK_NUMBER(simledger_last_id(ledger, &number, &error));
    CHECK_NUMBER(simledger_cleanup(ledger, 1, &number, &error));
    CHECK_NUMBER(simledger_cleanup_before_timestamp(ledger, 0, &number, &error));
    CHECK_NUMBER(simledger_cleanup_before_id(ledger, 1, &number, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_invalidate_caches(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_flush(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_checkpoint(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_reindex(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_optimize(ledger, &error));
    CHECK_NUMBER(simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, &number, &error));
    CHECK_OWNED_TEXT(simledger_integrity_check(ledger, 1, NULL, NULL, &text, &size, &error));
    CHECK_REAL(simledger_cache_age(ledger, &real, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_release_connections(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_interrupt(ledger, &error));
    CHECK_FAILS(expected, NULL, NULL,
                simledger_option_set(ledger, "timeout", NUL_TERMINATED, "1", 1, &error));
    CHECK_OWNED_TEXT(simledger_option_get(ledger, "timeout", NUL_TERMINATED, &text, &size, &error));

    simledger_query *query = simledger_query_new();
    CHECK_ENTRIES(simledger_query_run(ledger, query, &entries, &error));
    CHECK_ENTRIES(simledger_query_poll(ledger, query, 0, &entries, &error));
    CHECK_ENTRIES(simledger_wait_since(ledger, 0, 1, 9, query, &entries, &error));
    simledger_watch *watch = GARBAGE_POINTER(simledger_watch);
    CHECK_FAILS(expected, NULL, NULL, simledger_watch_open(ledger, 0, query, &watch, &error));
    CHECK(watch == NULL);
    CHECK_OWNED_TEXT(simledger_query_plan(ledger, query, &text, &size, &error));
    simledger_query_free(query);
    CHECK_OWNED_TEXT(
        simledger_sql(ledger, "SELECT 1", NUL_TERMINATED, NULL, 0, 1, &text, &size, &error));
    simledger_transaction *transaction = GARBAGE_POINTER(simledger_transaction);
    CHECK_FAILS(expected, NULL, NULL, simledger_transaction_begin(ledger, &transaction, &error));
    CHECK(transaction == NULL);

    CHECK_OWNED_TEXT(simledger_metrics_prometheus(ledger, &text, &size, &error));
    CHECK_REAL(simledger_metric_get(ledger, "entries", NUL_TERMINATED, &real, &error));
    int32_t level = 77;
    CHECK_OWNED_TEXT(simledger_log_next(ledger, &level, &text, &size, &error));
    CHECK(level == 0);
    CHECK_OWNED_TEXT(simledger_metrics_json(ledger, &text, &size, &error));
    CHECK_FAILS(expected, NULL, NULL, simledger_close(ledger, &error));
#undef CHECK_NUMBER
#undef CHECK_ENTRIES
#undef CHECK_OWNED_TEXT
#undef CHECK_REAL
}

#endif
