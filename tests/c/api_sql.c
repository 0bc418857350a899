/* SQL that reads: its results and parameters, what is refused, and how it ends where it would not.
 */
#include "check.h"
#include <pthread.h>

static void fill(simledger_ledger *ledger) {
    static const char *const NODES[] = {"a", "b", "c"};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(simledger_append(ledger, 100 - i, NODES[i % 3], 1, "{}", 2, 1, NULL, &error));
    }
}

/* The whole result. */
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

/* The rows alone. */
static void check_rows(simledger_ledger *ledger, const char *sql, const char *parameters,
                       const char *expected) {
    char *json = NULL;
    CHECK_OK(simledger_sql(ledger, sql, NUL_TERMINATED, parameters, NUL_TERMINATED,
                           SIMLEDGER_NO_LIMIT, &json, NULL, &error));
    char end[300];
    snprintf(end, sizeof end, "\"rows\":%s,\"truncated\":false}", expected);
    CHECK_TEXT(strstr(json, "\"rows\":"), end);
    simledger_string_free(json);
}

static void check_refused(simledger_ledger *ledger, simledger_status expected, const char *field,
                          const char *words, const char *sql, const char *parameters) {
    char *json = GARBAGE_POINTER(char);
    size_t len = 77;
    CHECK_FAILS(expected, field, words,
                simledger_sql(ledger, sql, NUL_TERMINATED, parameters, NUL_TERMINATED,
                              SIMLEDGER_NO_LIMIT, &json, &len, &error));
    CHECK(json == NULL && len == 0);
}

static void a_statement_gives_columns_and_rows(simledger_ledger *ledger) {
    check_sql(ledger, "SELECT node_id AS node, count(*) AS n FROM ledger GROUP BY 1 ORDER BY 1",
              NULL, SIMLEDGER_NO_LIMIT,
              "{\"columns\":[\"node\",\"n\"],\"rows\":[[\"a\",4],[\"b\",3],[\"c\",3]],"
              "\"truncated\":false}");
    check_sql(ledger, "SELECT id FROM ledger WHERE id > 10; -- none", NULL, 1,
              "{\"columns\":[\"id\"],\"rows\":[],\"truncated\":false}");
    check_rows(
        ledger,
        "VALUES (NULL, -1.5, 9223372036854775807, 'e\"', x'00fF', 9e999, CAST(x'ff' AS TEXT))",
        NULL, "[[null,-1.5,9223372036854775807,\"e\\\"\",\"00ff\",null,\"\xef\xbf\xbd\"]]");
    /* Without parameters the length of their text is not looked at. */
    char *json = NULL;
    CHECK_OK(simledger_sql(ledger, "SELECT 1;xx", 9, NULL, 0, 1, &json, NULL, &error));
    simledger_string_free(json);
}

static void truncated_tells_of_more_rows_and_of_no_others(simledger_ledger *ledger) {
    static const char SQL[] = "SELECT id FROM ledger WHERE id < 4 ORDER BY id DESC";
    check_sql(ledger, SQL, NULL, 2, "{\"columns\":[\"id\"],\"rows\":[[3],[2]],\"truncated\":true}");
    check_sql(ledger, SQL, NULL, 3,
              "{\"columns\":[\"id\"],\"rows\":[[3],[2],[1]],\"truncated\":false}");
    check_sql(ledger, SQL, NULL, 4,
              "{\"columns\":[\"id\"],\"rows\":[[3],[2],[1]],\"truncated\":false}");
    char *json = GARBAGE_POINTER(char);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "rows_max", "at least 1",
                simledger_sql(ledger, SQL, NUL_TERMINATED, NULL, 0, 0, &json, NULL, &error));
    CHECK(json == NULL);
}

static void parameters_are_bound_by_place_or_by_name(simledger_ledger *ledger) {
    check_rows(ledger, "SELECT id FROM ledger WHERE node_id = ? AND id > ? ORDER BY id",
               "[\"b\",2]", "[[5],[8]]");
    check_rows(ledger, "SELECT ?2, ?1", "[1,2]", "[[2,1]]");
    check_rows(ledger, "SELECT :a, @b, $c, :a", "{\"c\":3,\"b\":2,\"a\":1}", "[[1,2,3,1]]");
    check_rows(ledger, "SELECT typeof(?1), ?2, ?3, ?4, ?5, ?6, ?7",
               "[null, true, false, -9223372036854775808, 0.5, \"'; --\\u00e9\", {\"x\" : [1]}]",
               "[[\"null\",1,0,-9223372036854775808,0.5,\"'; --\xc3\xa9\",\"{\\\"x\\\":[1]}\"]]");
    check_rows(ledger, "SELECT 1", " [ ] ", "[[1]]");
    check_rows(ledger, "SELECT 1", "{}", "[[1]]");

    static const char *const WRONG[][3] = {
        {"SELECT ?", NULL, "parameter 1 of the 1 of the statement"},
        {"SELECT ?, ?", "[1]", "parameter 2 of the 2"},
        {"SELECT :a, :b", "{\"a\":1}", "(:b)"},
        {"SELECT :a", "{}", "(:a)"},
        {"SELECT ?", "[1,2]", "more parameters than the 1"},
        {"SELECT 1", "[1]", "more parameters than the 0"},
        {"SELECT :a", "{\"a\":1,\"z\":2}", "no parameter named \"z\""},
        {"SELECT ?", "{\"1\":2}", "no parameter named \"1\""},
        {"SELECT ?", "5", "a number; they must be an array"},
        {"SELECT ?", "\"x\"", "a string"},
        {"SELECT ?", "null", "null"},
        {"SELECT ?", "", "not valid JSON"},
        {"SELECT ?", "[1", "not valid JSON"},
        {"SELECT ?", "[1,]", "not valid JSON"},
        {"SELECT ?", "[1]]", "not valid JSON"},
        {"SELECT ?", "[01]", "not valid JSON"},
        {"SELECT :a", "{\"a\" 1}", "not valid JSON"},
        {"SELECT ?", "[\"\\ud800\"]", "not valid JSON"},
        {"SELECT ?", "[\"\xff\"]", "UTF-8"}};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        check_refused(ledger, SIMLEDGER_INVALID_ARGUMENT, "parameters_json", WRONG[i][2],
                      WRONG[i][0], WRONG[i][1]);
    }
}

static void what_does_not_read_is_refused_and_changes_nothing(simledger_ledger *ledger) {
    simledger_entries *before = read_all(ledger), *after = NULL;
    static const char *const REFUSED[] = {
        "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (1, 'x', '{}', 1)",
        "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (1, 'x', '{}', 1) "
        "RETURNING id",
        "REPLACE INTO ledger (id, timestamp, node_id, features, confidence) "
        "VALUES (1, 1, 'x', '{}', 1) RETURNING id",
        "UPDATE ledger SET confidence = 0",
        "UPDATE ledger SET confidence = 0 RETURNING id",
        "DELETE FROM ledger",
        "WITH x AS (SELECT 1) DELETE FROM ledger RETURNING id",
        "EXPLAIN DELETE FROM ledger",
        "DROP TABLE ledger",
        "DROP INDEX idx_ledger_node_id",
        "ALTER TABLE ledger RENAME TO other",
        "CREATE TABLE other (x)",
        "CREATE TEMP TABLE other (x)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON ledger BEGIN SELECT 1; END",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'other.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT x",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA journal_mode(DELETE)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 5",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA foreign_keys = ON",
        "SELECT load_extension('x')",
        "SELECT writefile('other.db', 'x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM ledger",
        "SELECT 1; nonsense",
        "",
        "   ",
        ";",
        "-- a remark",
        "/* another */",
        "nonsense",
        "SELECT",
        "SELECT (1",
        "SELECT 'unfinished",
        "SELECT nothing FROM ledger",
        "SELECT \"nothing\" FROM ledger",
        "SELECT * FROM nothing",
        "SELECT nothing(1)",
        "SELECT 1 LIMIT 'x'"};
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        check_refused(ledger, SIMLEDGER_INVALID_ARGUMENT, "sql", NULL, REFUSED[i], NULL);
    char *json = GARBAGE_POINTER(char);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "sql", "NUL character at byte 8",
                simledger_sql(ledger, "SELECT 1\0DELETE", 15, NULL, 0, 1, &json, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "sql", "UTF-8",
                simledger_sql(ledger, "SELECT '\xff'", 10, NULL, 0, 1, &json, NULL, &error));
    CHECK(json == NULL);
    static char long_text[(1 << 20) + 1];
    memset(long_text, ' ', sizeof long_text);
    memcpy(long_text, "SELECT 1", 8);
    CHECK_FAILS(
        SIMLEDGER_INVALID_ARGUMENT, "sql", "1048576",
        simledger_sql(ledger, long_text, sizeof long_text, NULL, 0, 1, &json, NULL, &error));
    CHECK_OK(
        simledger_sql(ledger, long_text, sizeof long_text - 1, NULL, 0, 1, &json, NULL, &error));
    simledger_string_free(json);

    after = read_all(ledger);
    CHECK_TEXT(simledger_entries_json(after, NULL), simledger_entries_json(before, NULL));
    simledger_entries_free(before);
    simledger_entries_free(after);
    CHECK(access("other.db", F_OK) != 0);
    check_rows(ledger, "SELECT name FROM sqlite_schema WHERE name = 'other'", NULL, "[]");
    check_rows(ledger, "SELECT name FROM sqlite_schema WHERE name = 'idx_ledger_node_id'", NULL,
               "[[\"idx_ledger_node_id\"]]");
    check_rows(ledger, "PRAGMA journal_mode", NULL, "[[\"wal\"]]");
}

static const char ENDLESS[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n";

static void a_statement_that_never_ends_does_end(simledger_ledger *ledger) {
    CHECK_OK(simledger_option_set(ledger, "sql_timeout", NUL_TERMINATED, "0.05", 4, &error));
    check_refused(ledger, SIMLEDGER_INTERRUPTED, "sql_timeout", NULL, ENDLESS, NULL);
    check_refused(ledger, SIMLEDGER_INTERRUPTED, "sql_timeout", NULL,
                  "SELECT a.id FROM ledger a, ledger b, ledger c, ledger d, ledger e, ledger f, "
                  "ledger g, ledger h, ledger i, ledger j WHERE a.id + b.id + c.id + d.id + e.id + "
                  "f.id + g.id + h.id + i.id + j.id = 0",
                  NULL);
    check_rows(ledger, "SELECT 1", NULL, "[[1]]"); /* has a time of its own */
    CHECK(count_of(ledger) == 10);
}

static void *run_endless(void *ledger) {
    check_refused((simledger_ledger *)ledger, SIMLEDGER_INTERRUPTED, "", "interrupted", ENDLESS,
                  NULL);
    return NULL;
}

static void another_thread_ends_it(simledger_ledger *ledger) {
    CHECK_OK(simledger_option_set(ledger, "sql_timeout", NUL_TERMINATED, "1e9", 3, &error));
    CHECK_OK(simledger_option_set(ledger, "timeout", NUL_TERMINATED, "1e9", 3, &error));
    CHECK_OK(simledger_interrupt(ledger, &error)); /* does nothing to what begins later */
    double out = 77;
    CHECK_OK(simledger_metric_get(ledger, "connections_out", NUL_TERMINATED, &out, &error));
    CHECK(out == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_endless, ledger) == 0);
    while (out == 0) /* until it runs */
        CHECK_OK(simledger_metric_get(ledger, "connections_out", NUL_TERMINATED, &out, &error));
    CHECK_OK(simledger_interrupt(ledger, &error));
    CHECK(pthread_join(thread, NULL) == 0);
    check_rows(ledger, "SELECT count(*) FROM ledger", NULL, "[[10]]");
}

static void what_is_too_large_is_refused_before_it_is_made(simledger_ledger *ledger) {
    CHECK_OK(simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "100000", 6, &error));
    static const char *const LARGE[] = {
        "SELECT zeroblob(1000000000)",
        "SELECT hex(zeroblob(500000000))",
        "SELECT hex(zeroblob(60000))",
        "SELECT length(hex(zeroblob(60000)))", /* also inside, where the result is small */
        "SELECT zeroblob(60000)",              /* as hexadecimal digits */
        "SELECT printf('%.1000000000c', 'x')",
        "SELECT replace(hex(zeroblob(30000)), '0', 'xxxxxxxxxx')",
        "SELECT group_concat(hex(randomblob(1000))) FROM ledger a, ledger b, ledger c",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT hex(zeroblob(30000)), hex(zeroblob(30000))"};
    for (size_t i = 0; i < sizeof LARGE / sizeof *LARGE; i++)
        check_refused(ledger, SIMLEDGER_LIMIT_EXCEEDED, "result_bytes_max", NULL, LARGE[i], NULL);
    check_rows(ledger, "SELECT length(hex(zeroblob(49000)))", NULL, "[[98000]]");
    CHECK_OK(
        simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "1000000", 7, &error));
    check_rows(ledger, "SELECT length(hex(zeroblob(60000)))", NULL, "[[120000]]");
}

static void sql_reads_where_only_reading_is_allowed(void) {
    simledger_ledger *ledger = open_with("sql.db", "read_only", "true", END);
    check_rows(ledger, "SELECT max(id) FROM ledger", NULL, "[[11]]");
    check_refused(ledger, SIMLEDGER_INVALID_ARGUMENT, "sql", NULL, "DELETE FROM ledger", NULL);
    close_ledger(ledger);
}

int main(void) {
    alarm((unsigned)times(120, 900)); /* nothing here waits for long, unless it does not end */
    simledger_ledger *ledger = open_with("sql.db", END);
    fill(ledger);
    a_statement_gives_columns_and_rows(ledger);
    truncated_tells_of_more_rows_and_of_no_others(ledger);
    parameters_are_bound_by_place_or_by_name(ledger);
    what_does_not_read_is_refused_and_changes_nothing(ledger);
    a_statement_that_never_ends_does_end(ledger);
    another_thread_ends_it(ledger);
    what_is_too_large_is_refused_before_it_is_made(ledger);
    CHECK(append(ledger, 0, "a") == 11); /* no lock and no limit is left behind */
    close_ledger(ledger);
    sql_reads_where_only_reading_is_allowed();
    return 0;
}
