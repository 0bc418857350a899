/* Looks into a ledger as somebody on watch would: which findings of some nodes matter, newest
 * first; how many there are; how they were found; what the library logged and counted. The settings
 * come from a file and from the environment: try SIMLEDGER_TIMEOUT=5, or SIMLEDGER_TIMEOUT=soon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simledger.h"

#define NUL SIMLEDGER_NUL_TERMINATED
#define PAGE 3

static simledger_error *error = NULL; /* of the call that failed */

static void check(simledger_status status, const char *call) {
    if (status != SIMLEDGER_OK) {
        fprintf(stderr, "%s: %s\n", call, simledger_error_message(error));
        exit(EXIT_FAILURE);
    }
}

static void print(const char *what, char *text) {
    printf("%s: %s\n", what, text);
    simledger_string_free(text);
}

static simledger_ledger *open_ledger(void) {
    FILE *file = fopen("watchlist.yaml", "w");
    if (!file || fputs("database:\n  path: watchlist.db\n  timeout: 2.5\n", file) < 0 ||
        fclose(file) != 0) {
        perror("watchlist.yaml");
        exit(EXIT_FAILURE);
    }
    simledger_ledger *ledger = NULL;
    simledger_config *config = simledger_config_new();
    check(simledger_config_load_file(config, "watchlist.yaml", NUL, &error), "load_file");
    check(simledger_config_load_environment(config, &error), "load_environment"); /* wins */
    check(simledger_config_set(config, "on_duplicate", NUL, "ignore", NUL, &error), "config_set");
    check(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 100, &error), "log_queue");
    check(simledger_open(config, &ledger, &error), "open");
    simledger_config_free(config);
    return ledger;
}

/* Surely anomalous, of two nodes, from second 10 up to 50. */
static void print_findings(simledger_ledger *ledger) {
    simledger_query *query = simledger_query_new();
    check(simledger_query_set_time_range(query, 10, 50, &error), "set_time_range");
    check(simledger_query_add_node(query, "node-1", NUL, &error), "add_node");
    check(simledger_query_add_node(query, "node-3", NUL, &error), "add_node");
    check(simledger_query_set_min_confidence(query, 0.7, &error), "set_min_confidence");
    check(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME_DESCENDING, &error), "set_order");
    check(simledger_query_set_limit(query, PAGE, &error), "set_limit");
    char *plan = NULL;
    check(simledger_query_plan(ledger, query, &plan, NULL, &error), "plan");
    print("plan", plan);
    for (size_t found = PAGE; found == PAGE;) { /* a page that is not full is the last */
        simledger_entries *page = NULL;
        check(simledger_query_run(ledger, query, &page, &error), "run");
        found = simledger_entries_len(page);
        for (size_t i = 0; i < found; i++) {
            const simledger_entry *entry = simledger_entries_get(page, i);
            double second = simledger_entry_timestamp(entry);
            printf("%s second %2.0f, %s, confidence %.2f\n", i ? "     " : "page:", second,
                   simledger_entry_node_id(entry, NULL), simledger_entry_confidence(entry));
            check(simledger_query_set_after(query, second, simledger_entry_id(entry), &error),
                  "set_after");
        }
        simledger_entries_free(page);
    }
    simledger_query_free(query);
}

int main(void) {
    simledger_ledger *ledger = open_ledger();
    char *text = NULL;
    check(simledger_option_get(ledger, "timeout", NUL, &text, NULL, &error), "option_get");
    print("timeout", text);
    for (int i = 0; i < 60; i++) { /* in a second run they are there already, and ignored */
        char node_id[16];
        snprintf(node_id, sizeof node_id, "node-%d", i % 4);
        check(simledger_append(ledger, i, node_id, NUL, "{\"kind\":\"spike\"}", NUL, i % 10 / 9.0,
                               NULL, &error),
              "append");
    }
    print_findings(ledger);

    check(simledger_sql(ledger,
                        "SELECT node_id, count(*) AS findings, max(confidence) AS surest "
                        "FROM ledger WHERE timestamp >= :from AND confidence >= :least "
                        "GROUP BY node_id ORDER BY findings DESC",
                        NUL, "{\"from\": 10, \"least\": 0.7}", NUL, SIMLEDGER_NO_LIMIT, &text, NULL,
                        &error),
          "sql");
    print("by node", text);

    check(simledger_metrics_prometheus(ledger, &text, NULL, &error), "metrics_prometheus");
    size_t len = 0;
    for (int lines = 0; lines < 3 && text[len]; lines++)
        len += strcspn(text + len, "\n") + 1;
    printf("%.*s", (int)len, text);
    simledger_string_free(text);

    simledger_status status = SIMLEDGER_OK;
    while (!(status = simledger_log_next(ledger, NULL, &text, NULL, &error)))
        print("log", text);
    check(status == SIMLEDGER_NOT_FOUND ? SIMLEDGER_OK : status, "log_next"); /* there is no more */
    check(simledger_close(ledger, &error), "close");
    return EXIT_SUCCESS;
}
