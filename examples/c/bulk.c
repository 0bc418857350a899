/* For callers who pay for each call, such as interpreters: many entries written with one commit,
 * and read as columns, or as views a hundred at a time, instead of field by field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simledger.h"

#define NODES 4
#define ENTRIES 20000
#define VIEWS 100
#define NUL SIMLEDGER_NUL_TERMINATED

static simledger_error *error = NULL; /* of the call that failed */

static void check(simledger_status status, const char *call) {
    if (status != SIMLEDGER_OK) {
        fprintf(stderr, "%s: %s\n", call, simledger_error_message(error));
        exit(EXIT_FAILURE);
    }
}

/* All entries or none, and only if nobody appended since we looked. */
static void fill(simledger_ledger *ledger) {
    simledger_transaction *transaction = NULL;
    int64_t last_id = 0;
    check(simledger_last_id(ledger, &last_id, &error), "last_id");
    check(simledger_transaction_begin(ledger, &transaction, &error), "begin");
    check(simledger_transaction_expect_last_id(transaction, last_id, &error), "expect_last_id");
    for (int i = 0; i < ENTRIES; i++) {
        char node_id[16];
        snprintf(node_id, sizeof node_id, "node-%d", i % NODES);
        check(simledger_transaction_append(transaction, i * 0.1, node_id, NUL, "{\"rate\":910}",
                                           NUL, i % 97 / 96.0, NULL, &error),
              "transaction_append");
    }
    check(simledger_transaction_commit(transaction, NULL, NULL, &error), "commit");
}

struct sums {
    double time;
    double confidence[NODES];
    size_t count[NODES];
};

static void add(struct sums *sums, double timestamp, const char *node_id, double confidence) {
    unsigned long node = strtoul(node_id + strlen("node-"), NULL, 10) % NODES;
    sums->time += timestamp;
    sums->confidence[node] += confidence;
    sums->count[node]++;
}

int main(void) {
    simledger_ledger *ledger = NULL;
    simledger_entries *entries = NULL;
    check(simledger_open_path(":memory:", NUL, &ledger, &error), "open");
    fill(ledger);
    check(simledger_read_all(ledger, &entries, &error), "read_all");
    check(simledger_close(ledger, &error), "close"); /* the entries stay */

    /* A call for each chunk: arrays of its fields, and all its strings in one text. */
    struct sums by_columns = {0};
    size_t chunks = simledger_entries_chunk_count(entries);
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        simledger_columns columns = {.struct_size = sizeof columns};
        check(simledger_entries_columns(entries, chunk, &columns, &error), "columns");
        for (size_t i = 0; i < columns.len; i++)
            add(&by_columns, columns.timestamps[i], columns.text + columns.node_id_offsets[i],
                columns.confidences[i]);
    }

    /* A call for each hundred entries: a struct for each. */
    struct sums by_views = {0};
    simledger_entry_view views[VIEWS] = {{.struct_size = sizeof *views}};
    size_t filled = VIEWS;
    for (size_t first = 0; filled == VIEWS; first += filled) {
        check(simledger_entries_views(entries, first, views, VIEWS, &filled, &error), "views");
        for (size_t i = 0; i < filled; i++)
            add(&by_views, views[i].timestamp, views[i].node_id, views[i].confidence);
    }

    /* Four calls for each entry. */
    struct sums by_fields = {0};
    for (size_t i = 0; i < simledger_entries_len(entries); i++) {
        const simledger_entry *entry = simledger_entries_get(entries, i);
        add(&by_fields, simledger_entry_timestamp(entry), simledger_entry_node_id(entry, NULL),
            simledger_entry_confidence(entry));
    }

    printf("%zu entries in %zu chunks, their timestamps add up to %.1f\n",
           simledger_entries_len(entries), chunks, by_columns.time);
    for (int node = 0; node < NODES; node++)
        printf("node-%d: %zu entries, mean confidence %.4f\n", node, by_columns.count[node],
               by_columns.confidence[node] / (double)by_columns.count[node]);
    /* The same numbers, added in the same order: equal to the last bit. */
    bool same = memcmp(&by_columns, &by_fields, sizeof by_fields) == 0 &&
                memcmp(&by_views, &by_fields, sizeof by_fields) == 0;
    printf("columns, views and fields %s\n", same ? "agree" : "differ");
    simledger_entries_free(entries);
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}
