/* Metrics as JSON, for Prometheus and by name, and the log queue. */
#include "check.h"

static double metric(simledger_ledger *ledger, const char *name) {
    double value = -1;
    CHECK_OK(simledger_metric_get(ledger, name, NUL_TERMINATED, &value, &error));
    return value;
}

/* A ledger on which something happened, with a name that needs escapes, and a queue of two lines.
 */
static simledger_ledger *used_ledger(void) {
    simledger_config *config =
        config_with("a \"b\\c.db", "on_duplicate", "ignore", "commit", "sqlite", END);
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 2, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    for (int i = 0; i < 5; i++)
        append(ledger, i, "n");
    CHECK(append(ledger, 4, "n") == 5); /* is there */
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                simledger_append_json(ledger, "{}", 2, NULL, &error));
    for (int i = 0; i < 3; i++) {
        simledger_entry *entry = NULL;
        simledger_entries *entries = NULL;
        CHECK_OK(simledger_get_by_id(ledger, 5, &entry, &error));
        CHECK_OK(simledger_read_by_node(ledger, "n", 1, 2, &entries, &error));
        simledger_entry_free(entry);
        simledger_entries_free(entries);
    }
    for (int i = 0; i < 3; i++)
        CHECK_OK(simledger_cleanup_before_id(ledger, 3, NULL, &error));
    return ledger;
}

static void each_number_is_asked_for_by_its_name(simledger_ledger *ledger) {
    static const struct {
        const char *name;
        double value; /* below 0: whatever it is */
    } NUMBERS[] = {{"entries_appended", 5},
                   {"duplicates_ignored", 1},
                   {"entries_deleted", 2},
                   {"rows_skipped", 0},
                   {"entry_cache_hits", 2},
                   {"entry_cache_misses", 1},
                   {"query_cache_hits", 2},
                   {"query_cache_misses", 1},
                   {"retries", 0},
                   {"writer_resets", 0},
                   {"retention_runs", 0},
                   {"retention_failures", 0},
                   {"log_lines_dropped", 2}, /* what opening said, and a cleanup */
                   {"entries", 3},
                   {"first_id", 3},
                   {"last_id", 5},
                   {"ledger_bytes", -1},
                   {"wal_bytes", -1},
                   {"connections_max", 10},
                   {"connections_open", -1},
                   {"connections_idle", -1},
                   {"connections_out", 0},
                   {"connections_awaited", 0},
                   {"oldest_reader_seconds", 0},
                   {"entry_cache_entries", -1},
                   {"query_cache_results", -1},
                   {"integrity_check_progress", 0},
                   {"errors.INVALID_ENTRY", 1},
                   {"latency_seconds.append.count", -1},
                   {"latency_seconds.cleanup.count", 3},
                   {"latency_seconds.sql.count", 0}};
    char *json = NULL;
    size_t len = 0;
    CHECK_OK(simledger_metrics_json(ledger, &json, &len, &error));
    CHECK(strlen(json) == len && json[0] == '{' && json[len - 1] == '}');
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        const char *name = NUMBERS[i].name;
        const double value = metric(ledger, name);
        if (value != NUMBERS[i].value && NUMBERS[i].value >= 0) {
            fprintf(stderr, "%s is %g and must be %g\n", name, value, NUMBERS[i].value);
            CHECK(!"it has counted what happened");
        }
        if (strchr(name, '.') == NULL && NUMBERS[i].value >= 0) {
            char member[100];
            snprintf(member, sizeof member, "\"%s\":%.0f,", name, value);
            CHECK(strstr(json, member) != NULL);
        }
    }
    CHECK(metric(ledger, "ledger_bytes") >= 4096 && metric(ledger, "wal_bytes") > 0);
    CHECK(strstr(json, "\"connections_out_seconds\":[]") != NULL);
    simledger_string_free(json);
}

static void errors_and_latencies_have_every_status_and_operation(simledger_ledger *ledger) {
    char name[100];
    double value = 0;
    for (int status = SIMLEDGER_INVALID_ARGUMENT; status <= SIMLEDGER_INTERNAL; status++) {
        snprintf(name, sizeof name, "errors.%s", simledger_status_name(status));
        CHECK(metric(ledger, name) == (status == SIMLEDGER_INVALID_ENTRY));
    }
    /* Outcomes are no errors. */
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "name", NULL,
                simledger_metric_get(ledger, "errors.NOT_FOUND", NUL_TERMINATED, &value, &error));
    static const char *const OPERATIONS[] = {
        "append",          "append_many", "poll",     "read_all", "get_by_id",
        "read_by_node",    "query",       "count",    "sql",      "cleanup",
        "checkpoint",      "reindex",     "optimize", "vacuum",   "integrity_check",
        "connection_wait", "writer_wait", "other"};
    static const char *const PARTS[] = {"p50", "p90", "p99", "max", "sum"};
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
        snprintf(name, sizeof name, "latency_seconds.%s.count", OPERATIONS[i]);
        const double count = metric(ledger, name);
        double before = 0;
        for (int part = 0; part < 5; part++) {
            snprintf(name, sizeof name, "latency_seconds.%s.%s", OPERATIONS[i], PARTS[part]);
            value = metric(ledger, name);
            CHECK(value >= before && (count > 0) == (value > 0));
            before = value;
        }
    }
}

static void what_is_no_number_is_said_with_the_nearest_name(simledger_ledger *ledger) {
    static const char *const CASES[][2] = {
        {"entriess", "\"entries\""},
        {"Entries", "\"entries\""},
        {"errors.BUZY", "\"errors.BUSY\""},
        {"latency_seconds.append.p95", "latency_seconds.append."},
        {"errors", "errors"},
        {"connections_out_seconds", "connections_out_seconds"},
        {"latency_seconds.append", "latency_seconds.append"},
        {"", "no metric \"\""}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        double value = 77;
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "name", CASES[i][1],
                    simledger_metric_get(ledger, CASES[i][0], NUL_TERMINATED, &value, &error));
        CHECK(value == 0);
    }
    double value = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "name", "UTF-8",
                simledger_metric_get(ledger, "\xff", 1, &value, &error));
    CHECK_OK(simledger_metric_get(ledger, "entriess", 7, &value, &error)); /* as long as it says */
    CHECK(value == 3);
}

/* Of a ledger in memory some numbers are not to be had: that is an outcome. */
static void there_is_no_file_in_memory(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "n");
    static const char *const NAMES[] = {"ledger_bytes", "wal_bytes"};
    char *json = NULL, *text = NULL;
    CHECK_OK(simledger_metrics_json(ledger, &json, NULL, &error));
    CHECK_OK(simledger_metrics_prometheus(ledger, &text, NULL, &error));
    for (int i = 0; i < 2; i++) {
        double value = 77;
        CHECK_STATUS(SIMLEDGER_NOT_FOUND,
                     simledger_metric_get(ledger, NAMES[i], NUL_TERMINATED, &value, &error));
        CHECK(value == 0);
        char member[60];
        snprintf(member, sizeof member, "\"%s\":null", NAMES[i]);
        CHECK(strstr(json, member) != NULL);
        CHECK(strstr(text, NAMES[i]) == NULL);
    }
    CHECK(strstr(text, "\nsimledger_entries{ledger=\":memory:\"} 1\n") != NULL);
    simledger_string_free(json);
    simledger_string_free(text);
    close_ledger(ledger);
}

/* Each line is a remark or a number with the label of its ledger, and each number has its type. */
static void prometheus_gets_lines_with_a_label(simledger_ledger *ledger) {
    static const char LABEL[] = "ledger=\"a \\\"b\\\\c.db\"";
    char *text = NULL;
    size_t len = 0;
    CHECK_OK(simledger_metrics_prometheus(ledger, &text, &len, &error));
    CHECK(strlen(text) == len && text[len - 1] == '\n');
    static const char *const LINES[] = {
        "# TYPE simledger_entries_appended_total counter\nsimledger_entries_appended_total{%s} 5\n",
        "# TYPE simledger_entries gauge\nsimledger_entries{%s} 3\n",
        "\nsimledger_log_lines_dropped_total{%s} 2\n",
        "\nsimledger_errors_total{%s,status=\"INVALID_ENTRY\"} 1\n",
        "\nsimledger_errors_total{%s,status=\"BUSY\"} 0\n",
        "\n# TYPE simledger_latency_seconds histogram\n",
        "\nsimledger_latency_seconds_bucket{%s,operation=\"cleanup\",le=\"+Inf\"} 3\n",
        "\nsimledger_latency_seconds_count{%s,operation=\"cleanup\"} 3\n"};
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        char line[200];
        const char *place = strstr(LINES[i], "%s");
        const int before = place != NULL ? (int)(place - LINES[i]) : (int)strlen(LINES[i]);
        snprintf(line, sizeof line, "%.*s%s%s", before, LINES[i], place != NULL ? LABEL : "",
                 place != NULL ? place + 2 : "");
        CHECK(strstr(text, line) != NULL);
    }
    int numbers = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP simledger_", 17) == 0 ||
            strncmp(line, "# TYPE simledger_", 17) == 0)
            continue;
        const char *label = strchr(line, '{'), *value = strrchr(line, ' ');
        CHECK(strncmp(line, "simledger_", 10) == 0 && label != NULL && value != NULL);
        CHECK(strncmp(label + 1, LABEL, sizeof LABEL - 1) == 0);
        char *end = NULL;
        CHECK(strtod(value + 1, &end) >= 0 && *end == '\0');
        numbers++;
    }
    CHECK(numbers > 100);
    simledger_string_free(text);
}

static void check_line(simledger_ledger *ledger, int32_t expected_level, const char *words) {
    int32_t level = 77;
    char *line = GARBAGE_POINTER(char);
    size_t len = 77;
    if (words == NULL) {
        CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_log_next(ledger, &level, &line, &len, &error));
        CHECK(level == 0 && line == NULL && len == 0);
        return;
    }
    CHECK_OK(simledger_log_next(ledger, &level, &line, &len, &error));
    CHECK(level == expected_level && len == strlen(line) && strchr(line, '\n') == NULL);
    CHECK(strstr(line, words) != NULL);
    simledger_string_free(line);
}

static void a_full_queue_drops_the_oldest(simledger_ledger *ledger) {
    check_line(ledger, SIMLEDGER_LOG_INFO, "cleanup deleted 0 entries");
    check_line(ledger, SIMLEDGER_LOG_INFO, "cleanup deleted 0 entries");
    check_line(ledger, 0, NULL);
    /* And it goes on. */
    CHECK_OK(simledger_cleanup_before_id(ledger, 4, NULL, &error));
    check_line(ledger, SIMLEDGER_LOG_INFO, "cleanup deleted 1 entries");
    check_line(ledger, 0, NULL);
    CHECK(metric(ledger, "log_lines_dropped") == 2);
}

static void count_line(int32_t level, const char *message, size_t message_len, void *user_data) {
    CHECK(level <= SIMLEDGER_LOG_INFO && strlen(message) == message_len);
    ++*(int *)user_data;
}

/* Each ledger has its own queue, beside the callback, for lines of its level and graver ones. */
static void a_queue_belongs_to_one_handle(void) {
    int lines = 0;
    simledger_config *config = config_with("queue.db", END);
    CHECK_OK(
        simledger_config_set_log(config, SIMLEDGER_LOG_INFO, count_line, &lines, NULL, &error));
    const int32_t no_levels[] = {0, 5, -1, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "level", NULL,
                    simledger_config_set_log_queue(config, no_levels[i], 2, &error));
    }
    simledger_ledger *ledgers[4];
    CHECK_OK(simledger_open(config, &ledgers[0], &error)); /* none was set */
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 1000000, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "lines_max", "1000000",
                simledger_config_set_log_queue(config, SIMLEDGER_LOG_ERROR, 1000001, &error));
    CHECK_OK(simledger_open(config, &ledgers[1], &error)); /* the one before stays */
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_WARN, 5, &error));
    CHECK_OK(simledger_open(config, &ledgers[2], &error));
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 0, &error));
    CHECK_OK(simledger_open(config, &ledgers[3], &error));
    simledger_config_free(config);
    CHECK(lines == 4);
    for (int i = 0; i < 4; i++)
        CHECK_OK(simledger_cleanup_before_id(ledgers[i], 1, NULL, &error));
    CHECK(lines == 8);
    check_line(ledgers[0], 0, NULL);
    check_line(ledgers[1], SIMLEDGER_LOG_INFO, "opened \"queue.db\"");
    check_line(ledgers[1], SIMLEDGER_LOG_INFO, "cleanup deleted 0 entries");
    check_line(ledgers[1], 0, NULL);
    check_line(ledgers[2], 0, NULL);
    check_line(ledgers[3], 0, NULL);
    CHECK(metric(ledgers[0], "log_lines_dropped") == 0);
    for (int i = 0; i < 4; i++)
        close_ledger(ledgers[i]);
}

int main(void) {
    simledger_ledger *ledger = used_ledger();
    each_number_is_asked_for_by_its_name(ledger);
    errors_and_latencies_have_every_status_and_operation(ledger);
    prometheus_gets_lines_with_a_label(ledger);
    a_full_queue_drops_the_oldest(ledger);
    close_ledger(ledger);
    there_is_no_file_in_memory();
    a_queue_belongs_to_one_handle();
    ledger = open_with("names.db", END);
    for (int i = 0; i < 3; i++)
        append(ledger, i, "n");
    what_is_no_number_is_said_with_the_nearest_name(ledger);
    close_ledger(ledger);
    return 0;
}
