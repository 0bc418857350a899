/* Views and columns say what the accessors say. */
#include "check.h"

#define ENTRIES 5000 /* more than one chunk */

static simledger_ledger *filled_ledger(void) {
    simledger_ledger *ledger = open_with("bulk.db", END);
    simledger_transaction *transaction = NULL;
    CHECK_OK(simledger_transaction_begin(ledger, &transaction, &error));
    for (int i = 0; i < ENTRIES; i++) {
        char node[32], features[64];
        snprintf(node, sizeof node, i % 3 == 0 ? "node-%d" : "n\xc5\x93ud %d", i % 100);
        snprintf(features, sizeof features, i % 2 == 0 ? "{\"i\":%d}" : "[\"\xc3\xa9\",%d]", i);
        CHECK_OK(simledger_transaction_append(transaction, i / 2.0, node, NUL_TERMINATED, features,
                                              NUL_TERMINATED, i % 101 / 100.0, NULL, &error));
    }
    CHECK_OK(simledger_transaction_commit(transaction, NULL, NULL, &error));
    return ledger;
}

static void columns_hold_every_entry_once_and_in_order(const simledger_entries *entries) {
    size_t chunks = simledger_entries_chunk_count(entries), index = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        simledger_columns columns;
        columns.struct_size = sizeof columns;
        CHECK_OK(simledger_entries_columns(entries, chunk, &columns, &error));
        CHECK(columns.struct_size == sizeof columns && columns.len > 0);
        for (size_t i = 0; i < columns.len; i++, index++) {
            const simledger_entry *entry = simledger_entries_get(entries, index);
            size_t node_len = 0, features_len = 0;
            const char *node = simledger_entry_node_id(entry, &node_len);
            const char *features = simledger_entry_features_json(entry, &features_len);
            CHECK(columns.ids[i] == simledger_entry_id(entry));
            CHECK(columns.timestamps[i] == simledger_entry_timestamp(entry));
            CHECK(columns.confidences[i] == simledger_entry_confidence(entry));
            CHECK(columns.created_at[i] == simledger_entry_created_at(entry));
            CHECK(columns.text + columns.node_id_offsets[i] == node);
            CHECK(columns.node_id_lengths[i] == node_len && node[node_len] == '\0');
            CHECK(columns.text + columns.features_offsets[i] == features);
            CHECK(columns.features_lengths[i] == features_len && features[features_len] == '\0');
            CHECK(columns.features_offsets[i] + features_len < columns.text_len);
            CHECK(columns.node_id_offsets[i] + node_len < columns.text_len);
        }
    }
    CHECK(index == simledger_entries_len(entries));
}

static void views_hold_what_is_asked_for(const simledger_entries *entries) {
    simledger_entry_view views[300];
    size_t filled = 77, index = 0;
    do {
        memset(views, 0x67, sizeof views);
        views[0].struct_size = sizeof *views;
        CHECK_OK(simledger_entries_views(entries, index, views, 300, &filled, &error));
        for (size_t i = 0; i < filled; i++, index++) {
            const simledger_entry *entry = simledger_entries_get(entries, index);
            CHECK(views[i].struct_size == sizeof *views &&
                  views[i].id == simledger_entry_id(entry));
            CHECK(views[i].timestamp == simledger_entry_timestamp(entry));
            CHECK(views[i].confidence == simledger_entry_confidence(entry));
            CHECK(views[i].created_at == simledger_entry_created_at(entry));
            CHECK(views[i].node_id == simledger_entry_node_id(entry, NULL));
            CHECK(views[i].node_id_len == strlen(views[i].node_id));
            CHECK(views[i].features_json == simledger_entry_features_json(entry, NULL));
            CHECK(views[i].features_json_len == strlen(views[i].features_json));
        }
    } while (filled == 300);
    const size_t len = simledger_entries_len(entries);
    CHECK(index == len && filled == len % 300);
    /* Only as many as there are, and none of the others is touched. */
    memset(views, 0x67, sizeof views);
    views[0].struct_size = sizeof *views;
    CHECK_OK(simledger_entries_views(entries, len - 1, views, 300, &filled, &error));
    CHECK(filled == 1 &&
          views[0].id == simledger_entry_id(simledger_entries_get(entries, len - 1)));
    CHECK(views[1].id == 0x6767676767676767);
    views[0].struct_size = sizeof *views;
    CHECK_OK(simledger_entries_views(entries, len, views, 300, &filled, &error));
    CHECK(filled == 0);
    CHECK_OK(simledger_entries_views(entries, SIZE_MAX, views, SIZE_MAX, &filled, &error));
    CHECK(filled == 0);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "views_max", NULL,
                simledger_entries_views(entries, 0, views, 0, &filled, &error));
}

/* A caller of a later version has larger structs: what this library does not know is zeroed. */
struct later_view {
    simledger_entry_view known;
    uint64_t unknown;
};

struct later_columns {
    simledger_columns known;
    void *unknown[2];
};

static void
structs_of_other_sizes_are_filled_as_far_as_both_know(const simledger_entries *entries) {
    struct later_view views[3];
    memset(views, 0x67, sizeof views);
    views[0].known.struct_size = sizeof *views;
    size_t filled = 0;
    CHECK_OK(simledger_entries_views(entries, 7, &views[0].known, 2, &filled, &error));
    CHECK(filled == 2 && views[1].known.id == 9 && views[0].known.id == 8);
    CHECK(views[0].unknown == 0 && views[1].unknown == 0);
    CHECK(views[2].unknown == 0x6767676767676767); /* nothing is written behind what was asked */
    struct later_columns columns;
    memset(&columns, 0x67, sizeof columns);
    columns.known.struct_size = sizeof columns;
    CHECK_OK(simledger_entries_columns(entries, 0, &columns.known, &error));
    CHECK(columns.known.struct_size == sizeof columns && columns.known.ids[0] == 1);
    CHECK(columns.unknown[0] == NULL && columns.unknown[1] == NULL);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "chunk", "the result has 2 chunks",
                simledger_entries_columns(entries, 2, &columns.known, &error));
    CHECK(columns.known.ids == NULL && columns.known.len == 0 && columns.known.text_len == 0);

    const size_t wrong[] = {0,    1,       sizeof(simledger_columns) - 1, sizeof columns + 1,
                            5000, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        columns.known.struct_size = wrong[i];
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "columns", "struct_size",
                    simledger_entries_columns(entries, 0, &columns.known, &error));
        views[0].known.struct_size = i == 2 ? sizeof(simledger_entry_view) - 1 : wrong[i];
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "views", "struct_size",
                    simledger_entries_views(entries, 0, &views[0].known, 1, &filled, &error));
        CHECK(filled == 0);
    }
}

/* However a result came about: its columns are its own entries and no others of a shared chunk. */
static void parts_of_what_there_is_have_columns_of_their_own(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    simledger_entries *entries = NULL;
    const size_t limits[] = {1, 3, 4500, SIMLEDGER_NO_LIMIT};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(simledger_poll_since(ledger, 150, limits[i], &entries, &error));
        CHECK(simledger_entry_id(simledger_entries_get(entries, 0)) == 151);
        CHECK(simledger_entries_len(entries) == (i < 3 ? limits[i] : ENTRIES - 150));
        columns_hold_every_entry_once_and_in_order(entries);
        views_hold_what_is_asked_for(entries);
        simledger_entries_free(entries);
        /* Twice: from the file and from memory. */
        for (int twice = 0; twice < 2; twice++) {
            CHECK_OK(simledger_read_by_node(ledger, "node-0", 6, limits[i], &entries, &error));
            CHECK(simledger_entries_len(entries) > 0 &&
                  simledger_entries_len(entries) <= limits[i]);
            columns_hold_every_entry_once_and_in_order(entries);
            views_hold_what_is_asked_for(entries);
            simledger_entries_free(entries);
        }
        CHECK_OK(simledger_query_set_limit(query, limits[i], &error));
        CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME_DESCENDING, &error));
        CHECK_OK(simledger_query_run(ledger, query, &entries, &error));
        CHECK(simledger_entry_id(simledger_entries_get(entries, 0)) == ENTRIES);
        columns_hold_every_entry_once_and_in_order(entries);
        simledger_entries_free(entries);
    }
    simledger_query_free(query);
}

static void nothing_has_no_chunks_and_no_views(simledger_ledger *ledger) {
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_poll_since(ledger, ENTRIES, 5, &entries, &error));
    CHECK(simledger_entries_len(entries) == 0 && simledger_entries_chunk_count(entries) == 0);
    simledger_entry_view view;
    memset(&view, 0x67, sizeof view);
    view.struct_size = sizeof view;
    size_t filled = 77;
    CHECK_OK(simledger_entries_views(entries, 0, &view, 1, &filled, &error));
    CHECK(filled == 0 && view.id == 0x6767676767676767);
    simledger_columns columns;
    memset(&columns, 0x67, sizeof columns);
    columns.struct_size = sizeof columns;
    const size_t chunks[] = {0, 1, SIZE_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "chunk", "the result has 0 chunks",
                    simledger_entries_columns(entries, chunks[i], &columns, &error));
        CHECK(columns.len == 0 && columns.ids == NULL && columns.timestamps == NULL);
        CHECK(columns.confidences == NULL && columns.created_at == NULL && columns.text == NULL);
        CHECK(columns.node_id_offsets == NULL && columns.node_id_lengths == NULL);
        CHECK(columns.features_offsets == NULL && columns.features_lengths == NULL);
        CHECK(columns.text_len == 0 && columns.struct_size == sizeof columns);
    }
    simledger_entries_free(entries);
}

int main(void) {
    simledger_ledger *ledger = filled_ledger();
    simledger_entries *entries = read_all(ledger);
    CHECK(simledger_entries_len(entries) == ENTRIES && simledger_entries_chunk_count(entries) == 2);
    parts_of_what_there_is_have_columns_of_their_own(ledger);
    nothing_has_no_chunks_and_no_views(ledger);
    close_ledger(ledger);
    /* A result outlives the ledger, and so do its columns and views. */
    columns_hold_every_entry_once_and_in_order(entries);
    views_hold_what_is_asked_for(entries);
    structs_of_other_sizes_are_filled_as_far_as_both_know(entries);
    simledger_entries_free(entries);
    return 0;
}
