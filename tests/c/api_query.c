/* Queries and SQL: setters, results, pages, filters of polls, plans. */
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
    const simledger_status invalid = SIMLEDGER_INVALID_ARGUMENT;
    CHECK_FAILS(invalid, "from", "holds no time",
                simledger_query_set_time_range(query, 5, 5, &error));
    CHECK_FAILS(invalid, "from", "from must be below to",
                simledger_query_set_time_range(query, 6, 5, &error));
    CHECK_FAILS(invalid, "to", "NaN", simledger_query_set_time_range(query, 5, NAN, &error));
    CHECK_FAILS(invalid, "first", "ids begin at 1",
                simledger_query_set_id_range(query, 0, 5, &error));
    CHECK_FAILS(invalid, "last", "holds no id", simledger_query_set_id_range(query, 6, 5, &error));
    CHECK_FAILS(invalid, "node_id", "blank", simledger_query_add_node(query, " ", 1, &error));
    CHECK_FAILS(invalid, "node_id", "UTF-8",
                simledger_query_exclude_node(query, "\xff", 1, &error));
    CHECK_FAILS(invalid, "min_confidence", "0 to 1",
                simledger_query_set_min_confidence(query, -0.1, &error));
    CHECK_FAILS(invalid, "order", "SIMLEDGER_ORDER_ID",
                simledger_query_set_order(query, 5, &error));
    CHECK_FAILS(invalid, "order", "order is 0", simledger_query_set_order(query, 0, &error));
    CHECK_FAILS(invalid, "limit", "at least 1", simledger_query_set_limit(query, 0, &error));
    CHECK_FAILS(invalid, "timestamp", "finite",
                simledger_query_set_after(query, INFINITY, 1, &error));
    CHECK_FAILS(invalid, "id", "ids begin at 1", simledger_query_set_after(query, 1, 0, &error));
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
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "last_seen_id", NULL,
                simledger_query_poll(ledger, query, -1, &entries, &error));
    CHECK(entries == NULL);
    CHECK_OK(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "query", "another order",
                simledger_query_poll(ledger, query, 0, &entries, &error));

    char *plan = NULL;
    size_t len = 0;
    CHECK_OK(simledger_query_plan(ledger, query, &plan, &len, &error));
    CHECK(strstr(plan, "idx_ledger_timestamp") != NULL && strlen(plan) == len);
    simledger_string_free(plan);
    simledger_query_free(query);
}

static void check_sql(simledger_ledger *ledger, const char *sql, const char *parameters,
                      size_t rows_max, const char *expected) {
    char *json = NULL;
    size_t len = 0;
    CHECK_OK(simledger_sql(ledger, sql, NUL_TERMINATED, parameters, NUL_TERMINATED, rows_max, &json,
                           &len, &error));
    CHECK(strlen(json) == len);
    CHECK_TEXT(json, expected);
    simledger_string_free(json);
}

static void sql_reads_and_nothing_else(simledger_ledger *ledger) {
    check_sql(ledger, "SELECT node_id AS node, count(*) AS n FROM ledger GROUP BY 1 ORDER BY 1",
              NULL, SIMLEDGER_NO_LIMIT,
              "{\"columns\":[\"node\",\"n\"],\"rows\":[[\"a\",4],[\"b\",3],[\"c\",3]],"
              "\"truncated\":false}");
    check_sql(ledger, "SELECT id FROM ledger WHERE node_id = :node ORDER BY id", "{\"node\":\"b\"}",
              2, "{\"columns\":[\"id\"],\"rows\":[[2],[5]],\"truncated\":true}");
    static const char *const REFUSED[] = {"DELETE FROM ledger",
                                          "INSERT INTO ledger DEFAULT VALUES RETURNING id",
                                          "ATTACH ':memory:' AS x",
                                          "PRAGMA journal_mode = DELETE",
                                          "BEGIN",
                                          "VACUUM",
                                          "SELECT 1; SELECT 2",
                                          "nonsense",
                                          "",
                                          "SELECT load_extension('x')"};
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        char *json = GARBAGE_POINTER(char);
        size_t len = 77;
        CHECK_FAILS(
            SIMLEDGER_INVALID_ARGUMENT, "sql", NULL,
            simledger_sql(ledger, REFUSED[i], NUL_TERMINATED, NULL, 0, 1, &json, &len, &error));
        CHECK(json == NULL && len == 0);
    }
    char *json = NULL;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "parameters_json", "has no value",
                simledger_sql(ledger, "SELECT ?", NUL_TERMINATED, NULL, 0, 1, &json, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "rows_max", NULL,
                simledger_sql(ledger, "SELECT 1", NUL_TERMINATED, NULL, 0, 0, &json, NULL, &error));
    CHECK_OK(simledger_option_set(ledger, "sql_timeout", NUL_TERMINATED, "0.05", 4, &error));
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "sql_timeout", NULL,
                simledger_sql(ledger,
                              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n",
                              NUL_TERMINATED, NULL, 0, 1, &json, NULL, &error));
    CHECK(count_of(ledger) == 10);
}

int main(void) {
    simledger_ledger *ledger = open_with("query.db", END);
    fill(ledger);
    each_condition_narrows_and_all_must_hold(ledger);
    what_is_out_of_range_is_refused_and_changes_nothing(ledger);
    a_filtered_poll_passes_over_what_it_leaves_out(ledger);
    sql_reads_and_nothing_else(ledger);
    close_ledger(ledger);
    return 0;
}
