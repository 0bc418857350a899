/* Configuration from files and the environment, its list of keys, and options of an open ledger. */
#include "check.h"
#include <sys/stat.h>

static void check_value(const simledger_config *config, const char *key, const char *expected) {
    char *value = NULL;
    size_t len = 0;
    CHECK_OK(simledger_config_get(config, key, NUL_TERMINATED, &value, &len, &error));
    CHECK_TEXT(value, expected);
    CHECK(strlen(value) == len);
    simledger_string_free(value);
}

static void load(simledger_config *config, const char *yaml) {
    write_file("config.yaml", yaml, strlen(yaml));
    CHECK_OK(simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
}

static void set(simledger_config *config, const char *key, const char *value) {
    CHECK_OK(simledger_config_set(config, key, NUL_TERMINATED, value, NUL_TERMINATED, &error));
}

/* In every order of the calls. */
static void the_stronger_layer_wins(void) {
    CHECK(setenv("SIMLEDGER_TIMEOUT", "3", 1) == 0);
    CHECK(setenv("SIMLEDGER_CACHE_SIZE", "4", 1) == 0);
    for (int order = 0; order < 6; order++) {
        simledger_config *config = simledger_config_new();
        static const int ORDERS[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        for (int i = 0; i < 3; i++) {
            switch (ORDERS[order][i]) {
            case 0:
                load(config, "database: {timeout: 2, cache_size: 2, connection_pool_size: 2, "
                             "profile: high_throughput}");
                break;
            case 1:
                CHECK_OK(simledger_config_load_environment(config, &error));
                break;
            default:
                set(config, "cache_size", "5");
            }
        }
        check_value(config, "timeout", "3");
        check_value(config, "cache_size", "5");
        check_value(config, "max_connections", "2");
        check_value(config, "connection_pool_size", "2");
        check_value(config, "profile", "high_throughput");
        check_value(config, "retry_delay", "0.001");
        simledger_config_free(config);
    }
    CHECK(setenv("SIMLEDGER_TIMEOUT", "soon", 1) == 0);
    simledger_config *config = simledger_config_new();
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "timeout", "SIMLEDGER_TIMEOUT",
                simledger_config_load_environment(config, &error));
    check_value(config, "cache_size", "10000");
    char *value = GARBAGE_POINTER(char);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "time", "timeout",
                simledger_config_get(config, "time", 4, &value, NULL, &error));
    CHECK(value == NULL);
    simledger_config_free(config);
    unsetenv("SIMLEDGER_TIMEOUT");
    unsetenv("SIMLEDGER_CACHE_SIZE");
}

static void a_file_that_is_wrong_changes_nothing(void) {
    simledger_config *config = simledger_config_new();
    CHECK(mkdir("folder", 0777) == 0);
    CHECK_FAILS(SIMLEDGER_IO, "path", "missing.yaml",
                simledger_config_load_file(config, "missing.yaml", NUL_TERMINATED, &error));
    CHECK_FAILS(SIMLEDGER_IO, "path", "regular file",
                simledger_config_load_file(config, "folder", NUL_TERMINATED, &error));
    static const char *const WRONG[] = {"database: {timeout: 2, max_connections: many}",
                                        "database: {timeout: [2]}",
                                        "database: {timeout: 2, timeout: 3}",
                                        "database: 5",
                                        "database: {timeout: 2",
                                        "x: &x 2\ndatabase: {timeout: *x}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        write_file("config.yaml", WRONG[i], strlen(WRONG[i]));
        CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, NULL, "config.yaml",
                    simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
        check_value(config, "timeout", "30");
    }
    simledger_config_free(config);
}

static void an_unknown_key_of_a_file_is_said_to_the_log(void) {
    simledger_config *config = simledger_config_new();
    load(config, "database:\n  path: \":memory:\"\n  timeouts: 5\n");
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_WARN, 5, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    int32_t level = 0;
    char *line = NULL;
    CHECK_OK(simledger_log_next(ledger, &level, &line, NULL, &error));
    CHECK(level == SIMLEDGER_LOG_WARN && strstr(line, "\"timeouts\"") != NULL);
    simledger_string_free(line);
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_log_next(ledger, &level, &line, NULL, &error));
    CHECK(level == 0 && line == NULL);
    close_ledger(ledger);
}

static void check_option(simledger_ledger *ledger, const char *key, const char *expected) {
    char *value = NULL;
    CHECK_OK(simledger_option_get(ledger, key, NUL_TERMINATED, &value, NULL, &error));
    CHECK_TEXT(value, expected);
    simledger_string_free(value);
}

#define SET_OPTION(ledger, key, value)                                                             \
    simledger_option_set(ledger, key, NUL_TERMINATED, value, NUL_TERMINATED, &error)

static void every_key_is_listed_with_what_it_is_for(void) {
    simledger_ledger *ledger = open_in_memory();
    size_t count = simledger_config_key_count();
    CHECK(count >= 24);
    for (size_t i = 0; i < count; i++) {
        const char *name = simledger_config_key_name(i);
        CHECK(*name != '\0' && *simledger_config_key_range(i) != '\0');
        CHECK(strlen(simledger_config_key_doc(i)) > 20);
        if (strcmp(name, "path") != 0 && strcmp(name, "journal_mode") != 0)
            check_option(ledger, name, simledger_config_key_default(i));
    }
    CHECK_TEXT(simledger_config_key_name(count), "");
    CHECK_TEXT(simledger_config_key_doc(SIZE_MAX), "");
    close_ledger(ledger);
}

static void options_change_while_the_ledger_is_open(void) {
    simledger_ledger *ledger = open_with("options.db", END);
    simledger_ledger *other = open_with("options.db", END);
    CHECK_OK(SET_OPTION(ledger, "timeout", "1.50"));
    check_option(ledger, "timeout", "1.5");
    check_option(other, "timeout", "30");
    CHECK_OK(SET_OPTION(ledger, "cache_ttl", "7"));
    check_option(other, "cache_ttl", "7");
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "timeout", "0 to", SET_OPTION(ledger, "timeout", "-1"));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "journal_mode", "cannot change",
                SET_OPTION(ledger, "journal_mode", "DELETE"));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "timeuot", "\"timeout\"",
                SET_OPTION(ledger, "timeuot", "1"));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "unique", "no other handle",
                SET_OPTION(ledger, "unique", "none"));
    close_ledger(other);

    append(ledger, 1, "n");
    append(ledger, 2, "n");
    for (int i = 0; i < 2; i++) {
        CHECK_OK(SET_OPTION(ledger, "unique", "none"));
        CHECK_OK(SET_OPTION(ledger, "unique", "timestamp_node_id"));
        CHECK_FAILS(SIMLEDGER_DUPLICATE, "timestamp", NULL,
                    simledger_append(ledger, 1, "n", 1, "{}", 2, 1, NULL, &error));
    }
    CHECK_OK(SET_OPTION(ledger, "unique", "none"));
    CHECK(append(ledger, 1, "n") == 3);
    CHECK_FAILS(SIMLEDGER_DUPLICATE, "unique", NULL,
                SET_OPTION(ledger, "unique", "timestamp_node_id"));
    check_option(ledger, "unique", "none");
    CHECK(count_of(ledger) == 3);
    CHECK_OK(SET_OPTION(ledger, "clock", "simulated"));
    close_ledger(ledger);
    ledger = open_with("options.db", END);
    check_option(ledger, "clock", "simulated");
    check_option(ledger, "unique", "none");
    close_ledger(ledger);
}

int main(void) {
    the_stronger_layer_wins();
    a_file_that_is_wrong_changes_nothing();
    an_unknown_key_of_a_file_is_said_to_the_log();
    every_key_is_listed_with_what_it_is_for();
    options_change_while_the_ledger_is_open();
    return 0;
}
