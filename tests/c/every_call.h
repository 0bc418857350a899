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
#define CHECK_NUMBER(call)                                                                         \
    number = 77;                                                                                   \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(number == 0)
#define CHECK_ENTRIES(call)                                                                        \
    entries = GARBAGE_POINTER(simledger_entries);                                                  \
    CHECK_FAILS(expected, NULL, NULL, call);                                                       \
    CHECK(entries == NULL)

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
    size = 77;
    CHECK_FAILS(expected, NULL, NULL, simledger_metrics_json(ledger, &text, &size, &error));
    CHECK(text == NULL && size == 0);
    CHECK_FAILS(expected, NULL, NULL, simledger_close(ledger, &error));
#undef CHECK_NUMBER
#undef CHECK_ENTRIES
}

#endif
