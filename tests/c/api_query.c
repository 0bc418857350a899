/* Queries: setters, results, pages, filters of polls, plans. */
#include "check.h"
#include <math.h>

/* Ten entries of three nodes; the later ones have the earlier timestamps. */
static void fill(simledger_ledger *ledger) {
    static const char *const NODES[] = {"a", "b", "c"};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(
            simledger_append(ledger, 100 - i, NODES[i % 3], 1, "{}", 2, i / 10.0, NULL, &error));
    }
}

static void check_ids(simledger_entries *entries, const char *expected) {
    char found[256] = "";
    for (size_t i = 0; i < simledger_entries_len(entries); i++) {
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d", i ? " " : "",
                 (int)simledger_entry_id(simledger_entries_get(entries, i)));
    }
    CHECK_TEXT(found, expected);
    simledger_entries_free(entries);
}

static void run(simledger_ledger *ledger, const simledger_query *query, const char *expected) {
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_query_run(ledger, query, &entries, &error));
    CHECK(simledger_entries_position(entries) == 10);
    check_ids(entries, expected);
}

static void each_condition_narrows_and_all_must_hold(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    run(ledger, query, "1 2 3 4 5 6 7 8 9 10");
    CHECK_OK(simledger_query_set_id_range(query, 2, 9, &error));
    run(ledger, query, "2 3 4 5 6 7 8 9");
    CHECK_OK(simledger_query_set_time_range(query, 93, INFINITY, &error));
    run(ledger, query, "2 3 4 5 6 7 8");
    CHECK_OK(simledger_query_exclude_node(query, "c", 1, &error));
    run(ledger, query, "2 4 5 7 8");
    CHECK_OK(simledger_query_set_min_confidence(query, 0.3, &error));
    run(ledger, query, "4 5 7 8");
    CHECK_OK(simledger_query_add_node(query, "b", NUL_TERMINATED, &error));
    run(ledger, query, "5 8");
    CHECK_OK(simledger_query_add_node(query, "a", 1, &error));
    run(ledger, query, "4 5 7 8");
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_ID_DESCENDING, &error));
    run(ledger, query, "8 7 5 4");
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME, &error));
    run(ledger, query, "8 7 5 4");
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME_DESCENDING, &error));
    CHECK_OK(simledger_query_set_limit(query, 3, &error));
    run(ledger, query, "4 5 7");
    CHECK_OK(simledger_query_set_after(query, 94, 7, &error));
    run(ledger, query, "8");
    CHECK_OK(simledger_query_set_time_range(query, 94, 97, &error)); /* 94 is in it, 97 is not */
    CHECK_OK(simledger_query_set_after(query, 97, 1, &error));
    run(ledger, query, "5 7");
    simledger_query_free(query);
}

static void what_is_out_of_range_is_refused_and_changes_nothing(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_set_time_range(query, 92, 99, &error));
    CHECK_OK(simledger_query_set_id_range(query, 3, 8, &error));
    CHECK_OK(simledger_query_set_min_confidence(query, 0.2, &error));
    CHECK_OK(simledger_query_add_node(query, "a", 1, &error));
    CHECK_OK(simledger_query_add_node(query, "b", 1, &error));
    CHECK_OK(simledger_query_exclude_node(query, "c", 1, &error));
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_ID_DESCENDING, &error));
    CHECK_OK(simledger_query_set_limit(query, 3, &error));
    CHECK_OK(simledger_query_set_after(query, 0, 8, &error));
    const simledger_status invalid = SIMLEDGER_INVALID_ARGUMENT;
    static const struct {
        double from, to;
        const char *field, *words;
    } TIMES[] = {{5, 5, "from", "holds no time"},
                 {6, 5, "from", "from must be below to"},
                 {INFINITY, -INFINITY, "from", "holds no time"},
                 {INFINITY, INFINITY, "from", "holds no time"},
                 {5, NAN, "to", "NaN"},
                 {NAN, 5, "from", "NaN"}};
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
        CHECK_FAILS(invalid, TIMES[i].field, TIMES[i].words,
                    simledger_query_set_time_range(query, TIMES[i].from, TIMES[i].to, &error));
    }
    CHECK_FAILS(invalid, "first", "ids begin at 1",
                simledger_query_set_id_range(query, 0, 5, &error));
    CHECK_FAILS(invalid, "first", "ids begin at 1",
                simledger_query_set_id_range(query, INT64_MIN, INT64_MAX, &error));
    CHECK_FAILS(invalid, "last", "holds no id", simledger_query_set_id_range(query, 6, 5, &error));
    char longest[1025];
    memset(longest, 'x', sizeof longest);
    static const struct {
        const char *node;
        size_t len;
        const char *words;
    } NODES[] = {{"", 0, "blank"},   {" \t\n", 3, "blank"}, {"\xff", 1, "UTF-8"},
                 {"a\0b", 3, "NUL"}, {NULL, 1025, "1024"},  {"a", SIZE_MAX - 1, "length"}};
    for (size_t i = 0; i < sizeof NODES / sizeof *NODES; i++) {
        const char *node = NODES[i].node != NULL ? NODES[i].node : longest;
        CHECK_FAILS(invalid, "node_id", NODES[i].words,
                    simledger_query_add_node(query, node, NODES[i].len, &error));
        CHECK_FAILS(invalid, "node_id", NODES[i].words,
                    simledger_query_exclude_node(query, node, NODES[i].len, &error));
    }
    const double confidences[] = {-0.1, 1.000001, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        CHECK_FAILS(invalid, "min_confidence", "0 to 1",
                    simledger_query_set_min_confidence(query, confidences[i], &error));
    }
    const int32_t orders[] = {0, 5, -1, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 5; i++) {
        CHECK_FAILS(invalid, "order", "SIMLEDGER_ORDER_ID",
                    simledger_query_set_order(query, orders[i], &error));
    }
    CHECK_FAILS(invalid, "limit", "at least 1", simledger_query_set_limit(query, 0, &error));
    CHECK_FAILS(invalid, "timestamp", "finite",
                simledger_query_set_after(query, INFINITY, 1, &error));
    CHECK_FAILS(invalid, "timestamp", "finite", simledger_query_set_after(query, NAN, 1, &error));
    CHECK_FAILS(invalid, "id", "ids begin at 1", simledger_query_set_after(query, 1, 0, &error));
    run(ledger, query, "7 5 4");

    /* What replaces an earlier one, and what opens a side again. */
    CHECK_OK(simledger_query_set_time_range(query, -INFINITY, INFINITY, &error));
    CHECK_OK(simledger_query_set_id_range(query, 1, INT64_MAX, &error));
    CHECK_OK(simledger_query_set_min_confidence(query, 0, &error));
    CHECK_OK(simledger_query_set_limit(query, SIMLEDGER_NO_LIMIT, &error));
    CHECK_OK(simledger_query_set_after(query, 0, INT64_MAX, &error));
    run(ledger, query, "10 8 7 5 4 2 1");
    simledger_query_free(query);
}

static void a_query_names_a_thousand_nodes_and_no_more(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    char node[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(node, sizeof node, "node-%d", i);
        CHECK_OK(simledger_query_exclude_node(query, node, NUL_TERMINATED, &error));
        CHECK_OK(simledger_query_add_node(query, i == 500 ? "b" : node, NUL_TERMINATED, &error));
    }
    CHECK_OK(simledger_query_add_node(query, "b", 1, &error)); /* is named already */
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "1000",
                simledger_query_add_node(query, "c", 1, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "1000",
                simledger_query_exclude_node(query, "b", 1, &error));
    run(ledger, query, "2 5 8");
    simledger_query_free(query);
}

/* Page by page, in every order and with every size of a page: each entry once, none left out. Two
 * entries have the same time, so that their ids decide. */
static void pages_follow_one_another_in_every_order(void) {
    static const double TIMES[] = {5, 3, 5, 1, 3, 4, 5};
    static const char *const NODES[] = {"a", "a", "b", "a", "b", "a", "c"};
    static const char *const EXPECTED[] = {"1 2 3 4 5 6 7", "7 6 5 4 3 2 1", "4 2 5 6 1 3 7",
                                           "7 3 1 6 5 2 4"};
    simledger_ledger *ledger = open_with("pages.db", END);
    for (int i = 0; i < 7; i++)
        append(ledger, TIMES[i], NODES[i]);
    for (int32_t order = SIMLEDGER_ORDER_ID; order <= SIMLEDGER_ORDER_TIME_DESCENDING; order++) {
        for (size_t limit = 1; limit <= 8; limit++) {
            simledger_query *query = simledger_query_new();
            CHECK_OK(simledger_query_set_order(query, order, &error));
            CHECK_OK(simledger_query_set_limit(query, limit, &error));
            char found[64] = "";
            size_t len = 0;
            do {
                simledger_entries *page = NULL;
                CHECK_OK(simledger_query_run(ledger, query, &page, &error));
                len = simledger_entries_len(page);
                CHECK(len <= limit);
                for (size_t i = 0; i < len; i++) {
                    const simledger_entry *entry = simledger_entries_get(page, i);
                    const int64_t id = simledger_entry_id(entry);
                    CHECK(simledger_entry_timestamp(entry) == TIMES[id - 1]);
                    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d",
                             *found != '\0' ? " " : "", (int)id);
                    CHECK_OK(simledger_query_set_after(query, TIMES[id - 1], id, &error));
                }
                simledger_entries_free(page);
            } while (len == limit);
            CHECK_TEXT(found, EXPECTED[order - 1]);
            simledger_query_free(query);
        }
    }
    close_ledger(ledger);
}

/* A query belongs to no ledger, and a result to no query. */
static void a_query_needs_no_ledger_and_a_result_no_query(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_add_node(query, "b", 1, &error));
    run(ledger, query, "2 5 8");
    simledger_ledger *other = open_in_memory();
    append(other, 1, "b");
    append(other, 2, "c");
    simledger_entries *kept = NULL;
    CHECK_OK(simledger_query_run(other, query, &kept, &error));
    close_ledger(other);
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, NULL, simledger_query_run(other, query, &entries, &error));
    CHECK(entries == NULL);
    CHECK_OK(simledger_query_add_node(query, "c", 1, &error)); /* a query may change after it ran */
    run(ledger, query, "2 3 5 6 8 9");
    simledger_query_free(query);
    check_ids(kept, "1");
}

static void a_result_that_is_too_large_is_refused_or_cut(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "300", 3, &error));
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "result_bytes_max", "limit",
                simledger_query_run(ledger, query, &entries, &error));
    CHECK(entries == NULL);
    /* A poll gives what has room, and goes on from there. */
    int64_t position = 0, polls = 0, found = 0;
    while (position < 10) {
        CHECK_OK(simledger_query_poll(ledger, query, position, &entries, &error));
        CHECK(simledger_entries_position(entries) > position);
        position = simledger_entries_position(entries);
        found += (int64_t)simledger_entries_len(entries);
        polls++;
        simledger_entries_free(entries);
    }
    CHECK(found == 10 && polls > 1);
    CHECK_OK(simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "10", 2, &error));
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "result_bytes_max", NULL,
                simledger_query_poll(ledger, query, 0, &entries, &error));
    CHECK(entries == NULL);
    CHECK_OK(
        simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "1000000", 7, &error));
    run(ledger, query, "1 2 3 4 5 6 7 8 9 10");
    simledger_query_free(query);
}

static void a_filtered_poll_passes_over_what_it_leaves_out(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_exclude_node(query, "a", 1, &error));
    CHECK_OK(simledger_query_set_limit(query, 4, &error));
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_query_poll(ledger, query, 0, &entries, &error));
    CHECK(simledger_entries_position(entries) == 6);
    check_ids(entries, "2 3 5 6");
    CHECK_OK(simledger_query_poll(ledger, query, 6, &entries, &error));
    CHECK(simledger_entries_position(entries) == 10);
    check_ids(entries, "8 9");
    /* Also where nothing passes, and where nothing is new. */
    CHECK_OK(simledger_query_exclude_node(query, "b", 1, &error));
    CHECK_OK(simledger_query_exclude_node(query, "c", 1, &error));
    CHECK_OK(simledger_query_poll(ledger, query, 3, &entries, &error));
    CHECK(simledger_entries_position(entries) == 10);
    check_ids(entries, "");
    CHECK_OK(simledger_query_poll(ledger, query, 50, &entries, &error));
    CHECK(simledger_entries_position(entries) == 50);
    check_ids(entries, "");

    const simledger_status invalid = SIMLEDGER_INVALID_ARGUMENT;
    CHECK_FAILS(invalid, "last_seen_id", "-1",
                simledger_query_poll(ledger, query, -1, &entries, &error));
    CHECK(entries == NULL);
    for (int32_t order = SIMLEDGER_ORDER_ID_DESCENDING; order <= SIMLEDGER_ORDER_TIME_DESCENDING;
         order++) {
        CHECK_OK(simledger_query_set_order(query, order, &error));
        entries = GARBAGE_POINTER(simledger_entries);
        CHECK_FAILS(invalid, "query", "another order",
                    simledger_query_poll(ledger, query, 0, &entries, &error));
        CHECK(entries == NULL);
    }
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_ID, &error));
    CHECK_OK(simledger_query_set_after(query, 95, 3, &error));
    CHECK_FAILS(invalid, "query", "go on from",
                simledger_query_poll(ledger, query, 0, &entries, &error));
    simledger_query_free(query);
}

static void check_plan(simledger_ledger *ledger, const simledger_query *query, const char *words) {
    char *plan = NULL;
    size_t len = 0;
    CHECK_OK(simledger_query_plan(ledger, query, &plan, &len, &error));
    CHECK(strlen(plan) == len && strstr(plan, "TEMP B-TREE") == NULL); /* nothing is sorted */
    if (strstr(plan, words) == NULL) {
        fprintf(stderr, "%s", plan);
        CHECK(!"the plan has the words");
    }
    simledger_string_free(plan);
}

static void the_plan_names_the_index(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    check_plan(ledger, query, "ledger");
    CHECK_OK(simledger_query_set_min_confidence(query, 0.9, &error));
    check_plan(ledger, query, "idx_ledger_confidence");
    CHECK_OK(simledger_query_set_time_range(query, 1, 2, &error));
    check_plan(ledger, query, "idx_ledger_timestamp");
    CHECK_OK(simledger_query_add_node(query, "a", 1, &error));
    check_plan(ledger, query, "idx_ledger_node_id");
    simledger_query_free(query);
    query = simledger_query_new();
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME_DESCENDING, &error));
    check_plan(ledger, query, "idx_ledger_timestamp");
    simledger_query_free(query);
}

int main(void) {
    simledger_ledger *ledger = open_with("query.db", END);
    fill(ledger);
    each_condition_narrows_and_all_must_hold(ledger);
    what_is_out_of_range_is_refused_and_changes_nothing(ledger);
    a_query_names_a_thousand_nodes_and_no_more(ledger);
    pages_follow_one_another_in_every_order();
    a_query_needs_no_ledger_and_a_result_no_query(ledger);
    a_filtered_poll_passes_over_what_it_leaves_out(ledger);
    the_plan_names_the_index(ledger);
    a_result_that_is_too_large_is_refused_or_cut(ledger);
    close_ledger(ledger);
    return 0;
}
