/* An event loop that hears of entries as of anything else: no thread waits, and nobody polls. Here
 * it is poll() of POSIX; epoll, libuv and asyncio take the same descriptor. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "simledger.h"

enum { FINDINGS = 5 };

/* Somebody else, in a thread here; it may be in any process that has the ledger open. */
static void *find_anomalies(void *ledger) {
    for (int second = 0; second < FINDINGS; second++) {
        simledger_error *error = NULL;
        if (simledger_append((simledger_ledger *)ledger, second, "node-7", SIMLEDGER_NUL_TERMINATED,
                             "{\"rate\":910}", SIMLEDGER_NUL_TERMINATED, 0.9, NULL, &error)) {
            fprintf(stderr, "not appended: %s\n", simledger_error_message(error));
            simledger_error_free(error);
        }
    }
    return NULL;
}

/* Takes what is there: the descriptor is readable again when more comes. */
static int take(simledger_watch *watch, int *seen, simledger_error **error) {
    simledger_entries *fresh = NULL;
    if (simledger_watch_poll(watch, 2, &fresh, error)) {
        return -1;
    }
    for (size_t i = 0; i < simledger_entries_len(fresh); i++, ++*seen) {
        const simledger_entry *entry = simledger_entries_get(fresh, i);
        printf("%" PRId64 ": %s found %s\n", simledger_entry_id(entry),
               simledger_entry_node_id(entry, NULL), simledger_entry_features_json(entry, NULL));
    }
    simledger_entries_free(fresh);
    return 0;
}

int main(void) {
    simledger_ledger *ledger = NULL;
    simledger_watch *watch = NULL;
    simledger_error *error = NULL;
    int64_t last_id = 0;
    int32_t descriptor = -1;
    pthread_t finder;
    int seen = 0, failed = 1;

    if (simledger_open_path(":memory:", SIMLEDGER_NUL_TERMINATED, &ledger, &error) ||
        simledger_last_id(ledger, &last_id, &error) || /* what comes from now on */
        simledger_watch_open(ledger, last_id, NULL, &watch, &error) ||
        simledger_watch_descriptor(watch, &descriptor, &error)) {
        goto end;
    }
    if (pthread_create(&finder, NULL, find_anomalies, ledger) != 0) {
        goto end;
    }
    while (seen < FINDINGS) {
        /* Here would be the other descriptors of the program, too. */
        struct pollfd sources[] = {{descriptor, POLLIN, 0}};
        if (poll(sources, 1, 10000) <= 0 || take(watch, &seen, &error) != 0) {
            break;
        }
    }
    pthread_join(finder, NULL);
    failed = seen != FINDINGS;
end:
    if (error != NULL) {
        fprintf(stderr, "%s\n", simledger_error_message(error));
        simledger_error_free(error);
    }
    simledger_watch_close(watch, NULL);
    return simledger_close(ledger, NULL) != SIMLEDGER_OK || failed;
}
