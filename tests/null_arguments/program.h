/* What the generated program stands on: valid objects for each call, and what is checked after it.
 */
#include <simledger.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What results hold before a call. As an address it is none, so that a call that reads it ends
 * there. */
#define GARBAGE 0x6767676767676761

static const char *current = "";
static int failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s: %s does not hold\n", current, #condition);                        \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* A feature for each of the functions that read one. */
static const char FEATURES[] =
    "{\"number\":1.5,\"integer\":2,\"boolean\":false,\"text\":\"t\",\"numbers\":[1]}";

/* New for each call, so that none sees what another did. */
static struct {
    simledger_ledger *ledger;
    simledger_config *config;
    simledger_entries *entries;
    const simledger_entry *entry;
    simledger_error *failure;
    simledger_transaction *transaction;
    simledger_watch *watch;
    simledger_features *features;
    simledger_query *query;
    simledger_entry_view view;
    simledger_columns columns;
    double numbers[1];
    int64_t integers[1];
} valid;

static void must(simledger_status status, simledger_status expected) {
    if (status != expected) {
        fprintf(stderr, "%s: no valid objects for it: %s\n", current,
                simledger_status_name(status));
        exit(2);
    }
}

static void begin(const char *name) {
    current = name;
    valid.config = simledger_config_new();
    must(simledger_config_set(valid.config, "path", 4, ":memory:", 8, NULL), SIMLEDGER_OK);
    must(simledger_config_set_log_queue(valid.config, SIMLEDGER_LOG_INFO, 10, NULL), SIMLEDGER_OK);
    must(simledger_open(valid.config, &valid.ledger, NULL), SIMLEDGER_OK);
    must(simledger_append(valid.ledger, 1, "node", 4, FEATURES, sizeof FEATURES - 1, 0.5, NULL,
                          NULL),
         SIMLEDGER_OK);
    must(simledger_read_all(valid.ledger, &valid.entries, NULL), SIMLEDGER_OK);
    valid.entry = simledger_entries_get(valid.entries, 0);
    must(simledger_append(valid.ledger, 1, "node", 4, "{}", 2, 0.5, NULL, &valid.failure),
         SIMLEDGER_DUPLICATE);
    simledger_entry *cached = NULL;
    must(simledger_get_by_id(valid.ledger, 1, &cached, NULL), SIMLEDGER_OK);
    simledger_entry_free(cached);
    must(simledger_transaction_begin(valid.ledger, &valid.transaction, NULL), SIMLEDGER_OK);
    must(simledger_transaction_append(valid.transaction, 3, "node", 4, "{}", 2, 0.5, NULL, NULL),
         SIMLEDGER_OK);
    must(simledger_watch_open(valid.ledger, 0, NULL, &valid.watch, NULL), SIMLEDGER_OK);
    valid.features = simledger_features_new();
    valid.query = simledger_query_new();
    valid.view.struct_size = sizeof valid.view;
    memset(&valid.columns, 0x67, sizeof valid.columns);
    valid.columns.struct_size = sizeof valid.columns;
    valid.numbers[0] = 1;
}

static void end(void) {
    simledger_transaction_free(valid.transaction); /* unless it was committed */
    simledger_watch_close(valid.watch, NULL);      /* unless the call did */
    simledger_features_free(valid.features);
    simledger_query_free(valid.query);
    simledger_error_free(valid.failure);
    simledger_entries_free(valid.entries);
    simledger_config_free(valid.config);
    simledger_close(valid.ledger, NULL); /* unless the call did */
}

static void check_ok(simledger_status status, const simledger_error *error) {
    CHECK(status == SIMLEDGER_OK);
    CHECK(error == NULL);
    if (status != SIMLEDGER_OK && error != NULL) {
        fprintf(stderr, "%s: %s\n", current, simledger_error_message(error));
    }
}

static void check_missing(const char *parameter, simledger_status status, simledger_error *error) {
    CHECK(status == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_error_status(error) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(strcmp(simledger_error_field(error), parameter) == 0);
    CHECK(strstr(simledger_error_message(error), parameter) != NULL);
    simledger_error_free(error);
}

static void on_log(int32_t level, const char *message, size_t message_len, void *user_data) {
    (void)level, (void)message, (void)message_len, (void)user_data;
}

static int32_t on_progress(double part, void *user_data) {
    (void)part, (void)user_data;
    return 0;
}

static void on_drop(void *user_data) { (void)user_data; }
