/* Appends an entry to a ledger, and reads what is in it. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "simledger.h"

int main(void) {
    simledger_ledger *ledger = NULL;
    simledger_entries *fresh = NULL;
    simledger_error *error = NULL;
    struct timespec now;
    timespec_get(&now, TIME_UTC);

    if (simledger_open_path("quickstart.db", SIMLEDGER_NUL_TERMINATED, &ledger, &error) ||
        simledger_append(ledger, (double)now.tv_sec + (double)now.tv_nsec / 1e9, /* seconds */
                         "node-7", SIMLEDGER_NUL_TERMINATED,                     /* who */
                         "{\"rate\": 910}", SIMLEDGER_NUL_TERMINATED, /* what: any JSON */
                         0.93, NULL, &error) ||
        simledger_poll_since(ledger, 0, SIMLEDGER_NO_LIMIT, &fresh, &error)) {
        fprintf(stderr, "%s\n", simledger_error_message(error));
    }
    for (size_t i = 0; i < simledger_entries_len(fresh); i++) {
        const simledger_entry *entry = simledger_entries_get(fresh, i);
        printf("%" PRId64 ": %s found %s, confidence %.2f\n", simledger_entry_id(entry),
               simledger_entry_node_id(entry, NULL), simledger_entry_features_json(entry, NULL),
               simledger_entry_confidence(entry));
    }
    printf("the next poll goes on from %" PRId64 "\n", simledger_entries_position(fresh));

    int failed = error != NULL;
    simledger_error_free(error);
    simledger_entries_free(fresh);
    return simledger_close(ledger, NULL) != SIMLEDGER_OK || failed;
}
