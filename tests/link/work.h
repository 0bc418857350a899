/* A little work with a ledger in memory, for hosts that want to see that it still works. */
#ifndef TESTS_LINK_WORK_H
#define TESTS_LINK_WORK_H

#include <assert.h>
#include <simledger.h>
#include <stdint.h>
#include <stdio.h>

static inline void check_ok(simledger_status status, simledger_error *error) {
    if (status != SIMLEDGER_OK) {
        fprintf(stderr, "status %d: %s\n", (int)status, simledger_error_message(error));
    }
    assert(status == SIMLEDGER_OK);
}

static inline simledger_ledger *open_in_memory(void) {
    simledger_ledger *ledger = NULL;
    simledger_error *error = NULL;
    check_ok(simledger_open_path(":memory:", SIMLEDGER_NUL_TERMINATED, &ledger, &error), error);
    return ledger;
}

/* Appends `count` entries; a ledger takes them once. */
static inline void append_some(simledger_ledger *ledger, int count) {
    for (int i = 0; i < count; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{\"timestamp\": %d, \"node_id\": \"host\", \"features\": {\"i\": %d}, "
                 "\"confidence\": 0.5}",
                 i + 1, i);
        int64_t id = 0;
        simledger_error *error = NULL;
        check_ok(simledger_append_json(ledger, json, SIMLEDGER_NUL_TERMINATED, &id, &error), error);
        assert(id == i + 1);
    }
}

static inline void check_count_and_close(simledger_ledger *ledger, int64_t expected) {
    int64_t count = 0;
    simledger_error *error = NULL;
    check_ok(simledger_count(ledger, &count, &error), error);
    assert(count == expected);
    check_ok(simledger_close(ledger, &error), error);
}

#endif
