/* Configuration from files and the environment, and its list of keys. */
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

/* Every way in which the layers can say something about one key: the strongest of those that do is
 * heard. The layers, from the strongest: set, environment, file, profile, default. */
static void each_layer_is_heard_where_no_stronger_one_speaks(void) {
    static const char *const VALUES[] = {"11", "12", "13", "60", "30"};
    for (int speaking = 0; speaking < 16; speaking++) {
        int strongest = 0;
        while (strongest < 4 && (speaking & 1 << strongest) == 0)
            strongest++;
        for (int reversed = 0; reversed < 2; reversed++) {
            simledger_config *config = simledger_config_new();
            for (int i = 0; i < 4; i++) {
                const int layer = reversed ? 3 - i : i;
                if ((speaking & 1 << layer) == 0)
                    continue;
                if (layer == 0) {
                    set(config, "timeout", VALUES[0]);
                } else if (layer == 1) {
                    CHECK(setenv("SIMLEDGER_TIMEOUT", VALUES[1], 1) == 0);
                    CHECK_OK(simledger_config_load_environment(config, &error));
                    CHECK(unsetenv("SIMLEDGER_TIMEOUT") == 0);
                } else if (layer == 2) {
                    load(config, "database: {timeout: 13}");
                } else {
                    set(config, "profile", "high_throughput");
                }
            }
            check_value(config, "timeout", VALUES[strongest]);
            simledger_config_free(config);
        }
    }
}

/* The profile itself is a value of its layer, by which the other layers are not covered. */
static void a_profile_comes_from_any_layer_and_counts_below_all(void) {
    simledger_config *config = simledger_config_new();
    load(config, "database: {profile: low_latency, timeout: 7}");
    check_value(config, "max_connections", "5");
    check_value(config, "synchronous_mode", "OFF");
    CHECK(setenv("SIMLEDGER_PROFILE", "high_throughput", 1) == 0);
    CHECK_OK(simledger_config_load_environment(config, &error));
    CHECK(unsetenv("SIMLEDGER_PROFILE") == 0);
    check_value(config, "profile", "high_throughput");
    check_value(config, "max_connections", "20");
    check_value(config, "synchronous_mode", "NORMAL");
    check_value(config, "cache_size", "50000");
    check_value(config, "timeout", "7");
    set(config, "profile", "default");
    check_value(config, "max_connections", "10");
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "profile", "low_latency",
                simledger_config_set(config, "profile", 7, "fastest", 7, &error));
    check_value(config, "profile", "default");
    simledger_config_free(config);
}

static void the_file_of_the_python_module_is_read(void) {
    simledger_config *config = simledger_config_new();
    load(config, "# of the simulation\n"
                 "simulation:\n  agents: 50\n  rates: [0.1, {x: 1}]\n"
                 "database:\n"
                 "  path: \"from file.db\" # with a remark\n"
                 "  connection_pool_size: 7\n"
                 "  timeout: 12.50\n"
                 "  check_same_thread: False\n"
                 "  retry_attempts: 3\n"
                 "  retry_delay: '0.1'\n"
                 "  journal_mode: delete\n"
                 "logging: {level: INFO, timeout: 99}\n");
    static const char *const EXPECTED[][2] = {
        {"path", "from file.db"}, {"max_connections", "7"},       {"connection_pool_size", "7"},
        {"timeout", "12.5"},      {"check_same_thread", "false"}, {"retry_count", "3"},
        {"retry_attempts", "3"},  {"retry_delay", "0.1"},         {"journal_mode", "DELETE"},
        {"cache_size", "10000"}};
    for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
        check_value(config, EXPECTED[i][0], EXPECTED[i][1]);
    /* A second file adds to the first. */
    load(config, "database: {timeout: 5, read_only: on}");
    check_value(config, "timeout", "5");
    check_value(config, "read_only", "true");
    check_value(config, "retry_count", "3");
    /* And what it says is so: */
    load(config, "database: {read_only: off}");
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    append(ledger, 1, "n");
    struct stat file;
    CHECK(stat("from file.db", &file) == 0 && stat("from file.db-wal", &file) != 0);
    close_ledger(ledger);
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
                                        "x: &x 2\ndatabase: {timeout: *x}",
                                        "database: {timeout: {a: 1}}",
                                        "database: {timeout: }",
                                        "database: {timeout: soon}",
                                        "database: {timeout: true}",
                                        "database: {timeout: -1}",
                                        "database: {timeout: 2, read_only: 5}",
                                        "database: {timeout: 2, journal_mode: OFF}",
                                        "database: {timeout: 2, max_connections: 1.5}",
                                        "database: {timeout: 2, profile: fastest}",
                                        "database: [timeout]",
                                        "database: {timeout: 2}\ndatabase: {timeout: 2}",
                                        "database:\n\ttimeout: 2",
                                        "database: {timeout: 2, path: \"\xff\"}",
                                        "- database",
                                        "5"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        write_file("config.yaml", WRONG[i], strlen(WRONG[i]));
        CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, NULL, "config.yaml",
                    simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
        check_value(config, "timeout", "30");
    }
    /* The message names the line. */
    static const char LINES[] = "\n\ndatabase:\n  timeout: 2\n  max_connections: many\n";
    write_file("config.yaml", LINES, sizeof LINES - 1);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "max_connections", "line 5",
                simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
    static char large[(1 << 20) + 1];
    memset(large, ' ', sizeof large);
    memcpy(large, "database: {timeout: 2}", 22);
    write_file("config.yaml", large, sizeof large);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "path", "1048576",
                simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "path", "UTF-8",
                simledger_config_load_file(config, "\xff", 1, &error));
    check_value(config, "timeout", "30");
    write_file("config.yaml", large, sizeof large - 1);
    CHECK_OK(simledger_config_load_file(config, "config.yaml", NUL_TERMINATED, &error));
    check_value(config, "timeout", "2");
    simledger_config_free(config);
}

static void what_is_not_known_is_said_to_the_log(void) {
    simledger_config *config = simledger_config_new();
    load(config, "database:\n  path: \":memory:\"\n  timeouts: 5\n");
    CHECK(setenv("SIMLEDGER_TIMEOUTS", "5", 1) == 0 && setenv("TIMEOUT", "5", 1) == 0);
    CHECK_OK(simledger_config_load_environment(config, &error));
    CHECK(unsetenv("SIMLEDGER_TIMEOUTS") == 0 && unsetenv("TIMEOUT") == 0);
    load(config, "other: 5\n");
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_WARN, 5, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    int32_t level = 0;
    char *line = NULL;
    static const char *const SAID[][2] = {{"\"timeouts\"", "\"timeout\""},
                                          {"SIMLEDGER_TIMEOUTS", "\"timeout\""},
                                          {"config.yaml", "no section \"database\""}};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(simledger_log_next(ledger, &level, &line, NULL, &error));
        CHECK(level == SIMLEDGER_LOG_WARN);
        CHECK(strstr(line, SAID[i][0]) != NULL && strstr(line, SAID[i][1]) != NULL);
        simledger_string_free(line);
    }
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_log_next(ledger, &level, &line, NULL, &error));
    CHECK(level == 0 && line == NULL);
    close_ledger(ledger);
}

static void every_key_is_listed_with_what_it_is_for(void) {
    simledger_config *config = simledger_config_new();
    size_t count = simledger_config_key_count();
    CHECK(count >= 24);
    for (size_t i = 0; i < count; i++) {
        const char *name = simledger_config_key_name(i);
        CHECK(*name != '\0' && *simledger_config_key_range(i) != '\0');
        CHECK(strlen(simledger_config_key_doc(i)) > 20);
        /* By the names and defaults that are listed, a configuration can be made. */
        check_value(config, name, simledger_config_key_default(i));
        set(config, name, simledger_config_key_default(i));
        check_value(config, name, simledger_config_key_default(i));
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(name, simledger_config_key_name(j)) != 0);
    }
    const size_t none[] = {count, count + 1, SIZE_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK_TEXT(simledger_config_key_name(none[i]), "");
        CHECK_TEXT(simledger_config_key_default(none[i]), "");
        CHECK_TEXT(simledger_config_key_range(none[i]), "");
        CHECK_TEXT(simledger_config_key_doc(none[i]), "");
    }
    simledger_config_free(config);
}

int main(void) {
    unsetenv("SIMLEDGER_VALGRIND"); /* ours, and no key: it would be said to the log */
    the_stronger_layer_wins();
    each_layer_is_heard_where_no_stronger_one_speaks();
    a_profile_comes_from_any_layer_and_counts_below_all();
    the_file_of_the_python_module_is_read();
    a_file_that_is_wrong_changes_nothing();
    what_is_not_known_is_said_to_the_log();
    every_key_is_listed_with_what_it_is_for();
    return 0;
}
