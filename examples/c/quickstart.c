/* Appends an entry to a ledger, and reads what is in it. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "simledger.h"

int main(void) {
    simledger_ledger *ledger = NULL;
    simledger_entries *fresh = NULL;
    simledger_error *error = NULL;
    int64_t last_seen = 0; /* nothing yet */

    struct timespec now;
    timespec_get(&now, TIME_UTC);
    char json[160];
    snprintf(json, sizeof json,
             "{\"timestamp\": %lld.%09ld, \"node_id\": \"node-7\", "
             "\"features\": {\"rate\": 910}, \"confidence\": 0.93}",
             (long long)now.tv_sec, now.tv_nsec);

    if (simledger_open_path("quickstart.db", SIMLEDGER_NUL_TERMINATED, &ledger, &error) ||
        simledger_append_json(ledger, json, SIMLEDGER_NUL_TERMINATED, NULL, &error) ||
        simledger_poll_since(ledger, last_seen, SIMLEDGER_NO_LIMIT, &fresh, &error)) {
        fprintf(stderr, "%s\n", simledger_error_message(error));
        simledger_error_free(error);
        simledger_close(ledger, NULL);
        return 1;
    }
    for (size_t i = 0; i < simledger_entries_len(fresh); i++) {
        const simledger_entry *entry = simledger_entries_get(fresh, i);
        printf("%" PRId64 ": %s found %s, confidence %.2f\n", simledger_entry_id(entry),
               simledger_entry_node_id(entry, NULL), simledger_entry_features_json(entry, NULL),
               simledger_entry_confidence(entry));
    }
    last_seen = simledger_entries_position(fresh); /* the next poll begins here */
    printf("seen up to %" PRId64 "\n", last_seen);
    simledger_entries_free(fresh);

    if (simledger_close(ledger, &error)) {
        fprintf(stderr, "%s\n", simledger_error_message(error));
        simledger_error_free(error);
        return 1;
    }
    return 0;
}
