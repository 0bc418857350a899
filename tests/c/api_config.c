/* Configuration: what is refused when it is set, what when it is opened, and what each key does. */
#include "check.h"
#include <pthread.h>
#include <sys/stat.h>

static void check_value_refused(const char *key, const char *value, const char *words) {
    simledger_config *config = simledger_config_new();
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, key, words,
                simledger_config_set(config, key, NUL_TERMINATED, value, NUL_TERMINATED, &error));
    simledger_config_free(config);
}

static void values_out_of_range_are_refused_with_the_range(void) {
    static const char *const CASES[][3] = {
        {"path", "", "the name of a file"},
        {"read_only", "maybe", "true or false"},
        {"read_only", "2", "true or false"},
        {"timeout", "-1", "0 to 1000000000"},
        {"timeout", "-0.001", "0 to 1000000000"},
        {"timeout", "1e10", "0 to 1000000000"},
        {"timeout", "NaN", "0 to 1000000000"},
        {"timeout", "inf", "0 to 1000000000"},
        {"timeout", "5 s", "timeout is \"5 s\""},
        {"timeout", "", "timeout is \"\""},
        {"check_same_thread", "", "true or false"},
        {"on_duplicate", "replace", "error, ignore"},
        {"strict_fields", "strict", "true or false"},
        {"entry_bytes_max", "0", "1 to 900000000"},
        {"entry_bytes_max", "900000001", "1 to 900000000"},
        {"features_depth_max", "0", "1 to 1024"},
        {"features_depth_max", "1025", "1 to 1024"},
        {"result_bytes_max", "0", "from 1"},
        {"result_bytes_max", "99999999999999999999", "from 1"},
        {"journal_mode", "OFF", "could damage the file"},
        {"journal_mode", "off", "could damage the file"},
        {"journal_mode", "MEMORY", "could damage the file"},
        {"journal_mode", "Memory", "could damage the file"},
        {"journal_mode", "WAL2", "WAL, DELETE, TRUNCATE, PERSIST"},
        {"synchronous_mode", "SOMETIMES", "OFF, NORMAL, FULL, EXTRA"},
        {"cache_size", "-1", "a whole number"},
        {"cache_size", "2147483648", "a whole number"},
        {"max_connections", "0", "1 to 1000"},
        {"max_connections", "1001", "1 to 1000"},
        {"max_connections", "1.5", "1 to 1000"},
        {"entry_cache_size", "-1", "a whole number"},
        {"query_cache_size", "x", "a whole number"},
        {"cache_ttl", "-1", "a number of seconds"},
        {"unique", "node_id", "timestamp_node_id, none"},
        {"clock", "lamport", "wall, simulated"},
        {"guards", "true", "on, off"},
        {"commit", "raft", "sqlite"},
        {"profile", "fast", "default, high_throughput, low_latency"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_value_refused(CASES[i][0], CASES[i][1], CASES[i][2]);
    }
}

static void an_unknown_key_is_answered_with_the_nearest(void) {
    static const char *const CASES[][2] = {
        {"timout", "\"timeout\""},
        {"Timeout", "\"timeout\""},
        {"pth", "\"path\""},
        {"journalmode", "\"journal_mode\""},
        {"max_conections", "\"max_connections\""},
        {"profil", "\"profile\""},
        {"chache_size", "\"cache_size\""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_value_refused(CASES[i][0], "1", CASES[i][1]);
    }
}

/* A refused value changes nothing of what was set before. */
static void a_refused_value_leaves_the_one_before(void) {
    simledger_config *config = config_with(":memory:", "on_duplicate", "ignore", END);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "on_duplicate", NULL,
                simledger_config_set(config, "on_duplicate", 12, "wrong", 5, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "path", NULL,
                simledger_config_set(config, "path", 4, "", 0, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    CHECK(append(ledger, 1, "n") == 1);
    CHECK(append(ledger, 1, "n") == 1);
    close_ledger(ledger);
}

static void a_config_opens_many_and_is_not_needed_then(void) {
    simledger_config *config = config_with(":memory:", END);
    simledger_ledger *ledgers[3];
    for (int i = 0; i < 3; i++)
        CHECK_OK(simledger_open(config, &ledgers[i], &error));
    simledger_config_free(config);
    for (int i = 0; i < 3; i++) { /* each :memory: is a ledger of its own */
        CHECK(count_of(ledgers[i]) == 0);
        CHECK(append(ledgers[i], 1, "n") == 1);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(count_of(ledgers[i]) == 1);
        close_ledger(ledgers[i]);
    }
    simledger_ledger *again = open_in_memory();
    CHECK(count_of(again) == 0);
    close_ledger(again);
}

static void without_a_config_the_ledger_is_ledger_db(void) {
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(NULL, &ledger, &error));
    append(ledger, 1, "n");
    close_ledger(ledger);
    struct stat file;
    CHECK(stat("ledger.db", &file) == 0 && file.st_size > 0);
}

/* Another opening of an open file that asks for another value than it has. */
static void check_conflict(const char *path, const char *key, const char *value) {
    simledger_config *config = config_with(path, key, value, END);
    simledger_ledger *second = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, key, key, simledger_open(config, &second, &error));
    CHECK(second == NULL);
    simledger_config_free(config);
}

static void what_contradicts_the_open_ledger_is_refused_by_key(void) {
    simledger_ledger *first = open_with("shared.db", END);
    static const char *const CASES[][2] = {
        {"journal_mode", "DELETE"}, {"synchronous_mode", "FULL"}, {"cache_size", "1"},
        {"max_connections", "3"},   {"entry_cache_size", "0"},    {"query_cache_size", "1"},
        {"cache_ttl", "0"},         {"unique", "none"},           {"clock", "simulated"},
        {"guards", "off"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_conflict("shared.db", CASES[i][0], CASES[i][1]);
    }
    /* A profile asks for its values too. */
    check_value_refused("profile", "no such", NULL);
    simledger_config *config = config_with("shared.db", "profile", "low_latency", END);
    simledger_ledger *second = NULL;
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, NULL, NULL, simledger_open(config, &second, &error));
    simledger_config_free(config);
    /* What is there, asked for in other words, and what belongs to each handle. */
    second = open_with("./shared.db", "journal_mode", "wal", "max_connections", "010", "cache_ttl",
                       "300.0", "unique", "TIMESTAMP_NODE_ID", "timeout", "0.25", "on_duplicate",
                       "ignore", "check_same_thread", "yes", "strict_fields", "on", "read_only",
                       "1", "entry_bytes_max", "1000", "result_bytes_max", "1000", END);
    append(first, 1, "n");
    CHECK(count_of(second) == 1);
    close_ledger(first);
    close_ledger(second);
    /* What belongs to the file stays; the rest is free again. */
    check_conflict("shared.db", "unique", "none");
    check_conflict("shared.db", "clock", "simulated");
    check_conflict("shared.db", "guards", "off");
    close_ledger(open_with("shared.db", "max_connections", "3", "cache_ttl", "0", END));
}

static void profiles_set_what_no_key_sets(void) {
    simledger_ledger *first =
        open_with("fast.db", "profile", "high_throughput", "cache_size", "77", END);
    check_conflict("fast.db", "max_connections", "10");
    check_conflict("fast.db", "cache_size", "50000");
    close_ledger(open_with("fast.db", "max_connections", "20", "cache_size", "77", END));
    close_ledger(first);

    first = open_with("quick.db", "synchronous_mode", "FULL", "profile", "low_latency", END);
    check_conflict("quick.db", "max_connections", "10");
    check_conflict("quick.db", "synchronous_mode", "OFF");
    close_ledger(open_with("quick.db", "max_connections", "5", END));
    close_ledger(first);
}

static void read_only_reads_and_creates_nothing(void) {
    simledger_config *config = config_with("not-there.db", "read_only", "true", END);
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_IO, "path", "read_only", simledger_open(config, &ledger, &error));
    CHECK(ledger == NULL && access("not-there.db", F_OK) != 0);
    simledger_config_free(config);

    simledger_ledger *writer = open_with("both.db", END);
    append(writer, 1, "n");
    for (int alone = 0; alone < 2; alone++) {
        ledger = open_with("both.db", "read_only", "true", END);
        if (alone)
            close_ledger(writer);
        int64_t id = 77, deleted = 77;
        CHECK_FAILS(SIMLEDGER_READ_ONLY, "read_only", NULL,
                    simledger_append(ledger, 2, "n", 1, "{}", 2, 1, &id, &error));
        CHECK_FAILS(SIMLEDGER_READ_ONLY, "read_only", NULL,
                    simledger_cleanup_before_id(ledger, 9, &deleted, &error));
        CHECK(id == 0 && deleted == 0);
        CHECK(count_of(ledger) == 1);
        close_ledger(ledger);
    }
    config = config_with(":memory:", "read_only", "true", END);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "read_only", NULL,
                simledger_open(config, &ledger, &error));
    simledger_config_free(config);
}

static void *from_another_thread(void *handle) {
    simledger_ledger *ledger = (simledger_ledger *)handle;
    int64_t number = 77;
    size_t size = 77;
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    simledger_entry *entry = GARBAGE_POINTER(simledger_entry);
    char *text = GARBAGE_POINTER(char);
    static const char JSON[] =
        "{\"timestamp\":9,\"node_id\":\"n\",\"features\":{},\"confidence\":1}";
#define WRONG(call)                                                                                \
    CHECK_FAILS(SIMLEDGER_WRONG_THREAD, "check_same_thread", "check_same_thread", call)
    WRONG(simledger_append(ledger, 9, "n", 1, "{}", 2, 1, &number, &error));
    CHECK(number == 0);
    WRONG(simledger_append_json(ledger, JSON, NUL_TERMINATED, NULL, &error));
    WRONG(simledger_append_many_json(ledger, JSON, NUL_TERMINATED, NULL, &size, &error));
    CHECK(size == 0);
    WRONG(simledger_poll_since(ledger, 0, 1, &entries, &error));
    CHECK(entries == NULL);
    WRONG(simledger_read_all(ledger, &entries, &error));
    WRONG(simledger_read_by_node(ledger, "n", 1, 1, &entries, &error));
    WRONG(simledger_get_by_id(ledger, 1, &entry, &error));
    CHECK(entry == NULL);
    WRONG(simledger_count(ledger, &number, &error));
    WRONG(simledger_first_id(ledger, &number, &error));
    WRONG(simledger_last_id(ledger, &number, &error));
    WRONG(simledger_cleanup(ledger, 1, NULL, &error));
    WRONG(simledger_cleanup_before_id(ledger, 1, NULL, &error));
    WRONG(simledger_cleanup_before_timestamp(ledger, 1, NULL, &error));
    WRONG(simledger_invalidate_caches(ledger, &error));
    WRONG(simledger_metrics_json(ledger, &text, NULL, &error));
#undef WRONG
    return NULL;
}

static void *closing(void *handle) {
    CHECK_OK(simledger_close((simledger_ledger *)handle, &error));
    return NULL;
}

static void in_thread(void *(*work)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void check_same_thread_refuses_all_but_close(void) {
    simledger_ledger *ledger = open_with(":memory:", "check_same_thread", "true", END);
    append(ledger, 1, "n");
    in_thread(from_another_thread, ledger);
    CHECK(count_of(ledger) == 1);
    in_thread(closing, ledger);
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
    /* It belongs to the handle, not to the file. */
    simledger_ledger *mine = open_with("threads.db", "check_same_thread", "true", END);
    simledger_ledger *everyones = open_with("threads.db", END);
    in_thread(from_another_thread, mine);
    in_thread(closing, everyones);
    close_ledger(mine);
}

static simledger_status append_as(simledger_ledger *ledger, const char *features, double confidence,
                                  int64_t *id) {
    return simledger_append(ledger, 1, "n", 1, features, NUL_TERMINATED, confidence, id, NULL);
}

static void on_duplicate_has_two_modes(void) {
    simledger_ledger *strict = open_with("twice.db", END);
    simledger_ledger *lenient = open_with("twice.db", "on_duplicate", "ignore", END);
    int64_t id = 0;
    CHECK(append_as(strict, "{\"a\":1,\"b\":2}", 0.5, &id) == SIMLEDGER_OK && id == 1);
    CHECK(append_as(strict, "{\"a\":1,\"b\":2}", 0.5, &id) == SIMLEDGER_DUPLICATE && id == 0);
    CHECK(append_as(lenient, "{\"a\":1,\"b\":2}", 0.5, &id) == SIMLEDGER_OK && id == 1);
    CHECK(append_as(lenient, " {\"b\": 2, \"a\": 1}", 0.5, &id) == SIMLEDGER_OK && id == 1);
    CHECK(append_as(lenient, "{\"a\":1.0,\"b\":2}", 0.5, &id) == SIMLEDGER_DUPLICATE && id == 0);
    CHECK(append_as(lenient, "{\"a\":1,\"b\":2}", 0.6, &id) == SIMLEDGER_DUPLICATE && id == 0);
    CHECK_FAILS(SIMLEDGER_DUPLICATE, NULL, "unique = none",
                simledger_append(lenient, 1, "n", 1, "[]", 2, 0.5, &id, &error));
    /* In a batch equal ones are not counted; those that differ stop all of it. */
    static const char batch[] =
        "[{\"timestamp\":1,\"node_id\":\"n\",\"features\":{\"a\":1,\"b\":2},\"confidence\":0.5},"
        "{\"timestamp\":2,\"node_id\":\"n\",\"features\":{},\"confidence\":0.5},"
        "{\"timestamp\":2,\"node_id\":\"n\",\"features\":{},\"confidence\":0.5}]";
    int64_t first_id = 0;
    size_t count = 0;
    CHECK_OK(simledger_append_many_json(lenient, batch, NUL_TERMINATED, &first_id, &count, &error));
    CHECK(first_id == 2 && count == 1);
    CHECK_OK(simledger_append_many_json(lenient, batch, NUL_TERMINATED, &first_id, &count, &error));
    CHECK(first_id == 0 && count == 0);
    CHECK(count_of(strict) == 2);
    close_ledger(strict);
    close_ledger(lenient);
}

static void unique_none_takes_any_number(void) {
    simledger_ledger *ledger = open_with("many.db", "unique", "none", END);
    for (int i = 1; i <= 3; i++)
        CHECK(append(ledger, 1, "n") == i);
    close_ledger(ledger);
    ledger = open_with("many.db", END); /* it is the file's */
    CHECK(append(ledger, 1, "n") == 4);
    check_conflict("many.db", "unique", "timestamp_node_id");
    close_ledger(ledger);
}

/* A result is never larger than result_bytes_max: polls stop before, reads of all say how to page.
 */
static void result_bytes_max_bounds_results(void) {
    simledger_ledger *ledger = open_with("large.db", END);
    simledger_ledger *small = open_with("large.db", "result_bytes_max", "4000", END);
    for (int i = 1; i <= 20; i++) {
        char features[1100];
        snprintf(features, sizeof features, "[\"%1000d\"]", i);
        CHECK_OK(simledger_append(ledger, i, "n", 1, features, NUL_TERMINATED, 1, NULL, &error));
    }
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, NULL, "result_bytes_max",
                simledger_read_all(small, &entries, &error));
    CHECK(entries == NULL);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, NULL, "limit",
                simledger_read_by_node(small, "n", 1, SIMLEDGER_NO_LIMIT, &entries, &error));
    int64_t position = 0;
    size_t seen = 0, pages = 0;
    while (position < 20) {
        CHECK_OK(simledger_poll_since(small, position, SIMLEDGER_NO_LIMIT, &entries, &error));
        CHECK(simledger_entries_len(entries) > 0 && simledger_entries_position(entries) > position);
        position = simledger_entries_position(entries);
        seen += simledger_entries_len(entries);
        pages++;
        simledger_entries_free(entries);
    }
    CHECK(seen == 20 && pages >= 5);
    close_ledger(small);
    /* One that is too large alone cannot be stepped over in silence. */
    small = open_with("large.db", "result_bytes_max", "500", END);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, NULL, "result_bytes_max",
                simledger_poll_since(small, 0, 1, &entries, &error));
    close_ledger(small);
    close_ledger(ledger);
}

/* With `clock = simulated`, age counts from the newest timestamp. */
static void the_clock_of_a_cleanup_is_the_files(void) {
    simledger_ledger *wall = open_in_memory();
    simledger_ledger *simulated = open_with(":memory:", "clock", "simulated", END);
    int64_t deleted = 77;
    for (int i = 1; i <= 4; i++) {
        append(wall, i, "n");
        append(simulated, i, "n");
    }
    CHECK_OK(simledger_cleanup(simulated, 1.5, &deleted, &error));
    CHECK(deleted == 2);
    CHECK_OK(simledger_cleanup(simulated, 1.5, &deleted, &error));
    CHECK(deleted == 0);
    CHECK_OK(simledger_cleanup(wall, 1.5, &deleted, &error)); /* 1970 is long ago */
    CHECK(deleted == 4);
    close_ledger(wall);
    close_ledger(simulated);
}

static void levels_of_the_log_are_checked(void) {
    simledger_config *config = simledger_config_new();
    const int32_t levels[] = {0, 5, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "level", "SIMLEDGER_LOG_ERROR",
                    simledger_config_set_log(config, levels[i], NULL, NULL, NULL, &error));
    }
    simledger_config_free(config);
}

int main(void) {
    values_out_of_range_are_refused_with_the_range();
    an_unknown_key_is_answered_with_the_nearest();
    a_refused_value_leaves_the_one_before();
    a_config_opens_many_and_is_not_needed_then();
    without_a_config_the_ledger_is_ledger_db();
    what_contradicts_the_open_ledger_is_refused_by_key();
    profiles_set_what_no_key_sets();
    read_only_reads_and_creates_nothing();
    check_same_thread_refuses_all_but_close();
    on_duplicate_has_two_modes();
    unique_none_takes_any_number();
    result_bytes_max_bounds_results();
    the_clock_of_a_cleanup_is_the_files();
    levels_of_the_log_are_checked();
    return 0;
}
