/* Options of an open ledger: which can change when, for whom, and what they do then. */
#include "check.h"

#define SET_OPTION(ledger, key, value)                                                             \
    simledger_option_set(ledger, key, NUL_TERMINATED, value, NUL_TERMINATED, &error)

static void check_option(simledger_ledger *ledger, const char *key, const char *expected) {
    char *value = NULL;
    size_t len = 0;
    CHECK_OK(simledger_option_get(ledger, key, NUL_TERMINATED, &value, &len, &error));
    CHECK_TEXT(value, expected);
    CHECK(len == strlen(expected));
    simledger_string_free(value);
}

/* Whose a value is, and so who sees a change of it. */
enum owner { OF_THE_HANDLE, OF_ALL_HANDLES, OF_THE_FILE, OF_NOBODY };

static const struct {
    const char *key;
    enum owner owner;
    const char *value, *wrong;
} KEYS[] = {{"path", OF_NOBODY, "other.db", ""},
            {"read_only", OF_NOBODY, "true", "maybe"},
            {"timeout", OF_THE_HANDLE, "1.5", "-1"},
            {"retry_count", OF_THE_HANDLE, "7", "-1"},
            {"retry_delay", OF_THE_HANDLE, "0.25", "1e10"},
            {"sql_timeout", OF_THE_HANDLE, "0.5", "NaN"},
            {"check_same_thread", OF_NOBODY, "true", "2"},
            {"on_duplicate", OF_THE_HANDLE, "ignore", "replace"},
            {"strict_fields", OF_THE_HANDLE, "true", ""},
            {"entry_bytes_max", OF_THE_HANDLE, "5000", "0"},
            {"features_depth_max", OF_THE_HANDLE, "3", "1025"},
            {"result_bytes_max", OF_THE_HANDLE, "60000", "0"},
            {"file_mode", OF_NOBODY, "0640", "0755"},
            {"journal_mode", OF_NOBODY, "DELETE", "OFF"},
            {"synchronous_mode", OF_NOBODY, "FULL", "SOMETIMES"},
            {"cache_size", OF_NOBODY, "20000", "-1"},
            {"max_connections", OF_ALL_HANDLES, "3", "0"},
            {"entry_cache_size", OF_ALL_HANDLES, "0", "-1"},
            {"query_cache_size", OF_ALL_HANDLES, "5", "1.5"},
            {"cache_ttl", OF_ALL_HANDLES, "7", "soon"},
            {"retention_seconds", OF_ALL_HANDLES, "1", "-1"},
            {"tail_bytes_max", OF_ALL_HANDLES, "100000", "-1"},
            {"log_bytes", OF_NOBODY, "131072", "1"},
            {"unique", OF_THE_FILE, "none", "node_id"},
            {"clock", OF_THE_FILE, "simulated", "lamport"},
            {"guards", OF_THE_FILE, "off", "true"},
            {"commit", OF_THE_FILE, "sqlite", "raft"}};
enum { KEY_COUNT = sizeof KEYS / sizeof *KEYS };

static const char *default_of(const char *key) {
    for (size_t i = 0; i < simledger_config_key_count(); i++) {
        if (strcmp(simledger_config_key_name(i), key) == 0)
            return simledger_config_key_default(i);
    }
    CHECK(!"there is such a key");
    return NULL;
}

static void each_key_changes_for_those_whose_it_is(void) {
    CHECK(simledger_config_key_count() == KEY_COUNT); /* a new one belongs into the table */
    simledger_ledger *ledger = open_with("each.db", END), *other = open_with("each.db", END);
    for (int i = 0; i < KEY_COUNT; i++) {
        const char *key = KEYS[i].key, *value = KEYS[i].value;
        const char *before = i == 0 ? "each.db" : default_of(key);
        check_option(ledger, key, before);
        switch (KEYS[i].owner) {
        case OF_NOBODY:
            CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, key, "cannot change",
                        SET_OPTION(ledger, key, value));
            check_option(ledger, key, before);
            break;
        case OF_THE_FILE:
            CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, key, "no other handle",
                        SET_OPTION(ledger, key, value));
            check_option(ledger, key, before);
            break;
        default:
            CHECK_OK(SET_OPTION(ledger, key, value));
            check_option(ledger, key, value);
            check_option(other, key, KEYS[i].owner == OF_ALL_HANDLES ? value : before);
        }
        CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, key, key, SET_OPTION(ledger, key, KEYS[i].wrong));
    }
    close_ledger(other);
    for (int i = 0; i < KEY_COUNT; i++) {
        if (KEYS[i].owner == OF_THE_FILE)
            CHECK_OK(SET_OPTION(ledger, KEYS[i].key, KEYS[i].value));
        if (KEYS[i].owner != OF_NOBODY)
            check_option(ledger, KEYS[i].key, KEYS[i].value);
    }
    close_ledger(ledger);

    /* What is in the file is there at the next opening, and what was not is as it was. */
    ledger = open_with("each.db", END);
    for (int i = 1; i < KEY_COUNT; i++) {
        const char *key = KEYS[i].key;
        check_option(ledger, key, KEYS[i].owner == OF_THE_FILE ? KEYS[i].value : default_of(key));
    }
    close_ledger(ledger);
    simledger_config *config = config_with("each.db", "unique", "timestamp_node_id", END);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "unique", NULL, simledger_open(config, &ledger, &error));
    simledger_config_free(config);
}

static void values_have_one_normal_form_and_keys_two_names(void) {
    simledger_ledger *ledger = open_in_memory();
    CHECK_OK(SET_OPTION(ledger, "timeout", "1.50"));
    check_option(ledger, "timeout", "1.5");
    CHECK_OK(SET_OPTION(ledger, "strict_fields", "Yes"));
    check_option(ledger, "strict_fields", "true");
    CHECK_OK(SET_OPTION(ledger, "on_duplicate", "IGNORE"));
    check_option(ledger, "on_duplicate", "ignore");
    CHECK_OK(SET_OPTION(ledger, "connection_pool_size", "4"));
    check_option(ledger, "max_connections", "4");
    check_option(ledger, "connection_pool_size", "4");
    CHECK_OK(SET_OPTION(ledger, "retry_attempts", "5"));
    check_option(ledger, "retry_count", "5");
    /* As long as their lengths say. */
    CHECK_OK(simledger_option_set(ledger, "timeoutx", 7, "25", 1, &error));
    check_option(ledger, "timeout", "2");
    close_ledger(ledger);
}

static void what_is_no_key_is_answered_with_the_nearest(void) {
    simledger_ledger *ledger = open_in_memory();
    static const char *const CASES[][2] = {
        {"timeuot", "\"timeout\""},        {"Timeout", "\"timeout\""},
        {"cache_tl", "\"cache_ttl\""},     {"max_conections", "\"max_connections\""},
        {"colour", "the keys are path, "}, {"", "the keys are"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char *value = GARBAGE_POINTER(char);
        size_t len = 77;
        CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, CASES[i][0], CASES[i][1],
                    SET_OPTION(ledger, CASES[i][0], "1"));
        CHECK_FAILS(
            SIMLEDGER_INVALID_CONFIG, CASES[i][0], CASES[i][1],
            simledger_option_get(ledger, CASES[i][0], NUL_TERMINATED, &value, &len, &error));
        CHECK(value == NULL && len == 0);
    }
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "key", "UTF-8", SET_OPTION(ledger, "\xff", "1"));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "value", "UTF-8",
                SET_OPTION(ledger, "timeout", "\xff"));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "key", "length",
                simledger_option_set(ledger, "timeout", SIZE_MAX - 1, "1", 1, &error));
    check_option(ledger, "timeout", "30");
    close_ledger(ledger);
}

/* From the next call on, and of this handle alone. */
static void what_was_changed_counts(void) {
    /* With a commit log the newest are in memory anyway, and in no cache. */
    simledger_ledger *ledger = open_with("counts.db", "commit", "sqlite", END);
    simledger_ledger *other = open_with("counts.db", END);
    append(ledger, 1, "n");
    CHECK_OK(SET_OPTION(ledger, "on_duplicate", "ignore"));
    CHECK(append(ledger, 1, "n") == 1);
    CHECK_FAILS(SIMLEDGER_DUPLICATE, NULL, NULL,
                simledger_append(other, 1, "n", 1, "{}", 2, 1, NULL, &error));
    static const char MORE[] =
        "{\"timestamp\":2,\"node_id\":\"n\",\"features\":[[1]],\"confidence\":1,\"more\":1}";
    static const char *const LIMITS[][2] = {
        {"strict_fields", "true"}, {"entry_bytes_max", "20"}, {"features_depth_max", "1"}};
    for (int i = 0; i < 3; i++) {
        char *before = NULL;
        CHECK_OK(simledger_option_get(ledger, LIMITS[i][0], NUL_TERMINATED, &before, NULL, &error));
        CHECK_OK(simledger_validate_json(ledger, MORE, NUL_TERMINATED, &error));
        CHECK_OK(SET_OPTION(ledger, LIMITS[i][0], LIMITS[i][1]));
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                    simledger_validate_json(ledger, MORE, NUL_TERMINATED, &error));
        CHECK_OK(simledger_validate_json(other, MORE, NUL_TERMINATED, &error));
        CHECK_OK(SET_OPTION(ledger, LIMITS[i][0], before));
        simledger_string_free(before);
    }
    CHECK_OK(SET_OPTION(ledger, "result_bytes_max", "1"));
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "result_bytes_max", NULL,
                simledger_read_all(ledger, &entries, &error));
    CHECK(entries == NULL);
    simledger_entries_free(read_all(other));

    CHECK_OK(SET_OPTION(ledger, "max_connections", "3"));
    double value = 0;
    CHECK_OK(simledger_metric_get(other, "connections_max", NUL_TERMINATED, &value, &error));
    CHECK(value == 3);
    CHECK_OK(SET_OPTION(ledger, "entry_cache_size", "0"));
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(other, 1, &entry, &error));
    simledger_entry_free(entry);
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_cache_age(other, &value, &error));
    CHECK_OK(SET_OPTION(ledger, "entry_cache_size", "1"));
    CHECK_OK(simledger_get_by_id(other, 1, &entry, &error));
    simledger_entry_free(entry);
    CHECK_OK(simledger_cache_age(other, &value, &error));
    close_ledger(other);
    close_ledger(ledger);
}

/* What stays the same in the file: its entries, where ids go on, what cleanup took, and its guards,
 * but for the one that only a unique ledger has. */
static char *state_of(simledger_ledger *ledger) {
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_poll_since(ledger, 0, SIMLEDGER_NO_LIMIT, &entries, &error));
    int64_t last = 0;
    CHECK_OK(simledger_last_id(ledger, &last, &error));
    char *guards = NULL;
    CHECK_OK(simledger_sql(ledger,
                           "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' "
                           "AND name <> 'simledger_guard_insert_duplicate' ORDER BY 1",
                           NUL_TERMINATED, NULL, 0, SIMLEDGER_NO_LIMIT, &guards, NULL, &error));
    size_t findings = 77;
    CHECK_OK(simledger_integrity_check(ledger, 10, NULL, NULL, NULL, &findings, &error));
    CHECK(findings == 0);
    const char *json = simledger_entries_json(entries, NULL);
    const size_t size = strlen(json) + strlen(guards) + 100;
    char *state = (char *)malloc(size);
    snprintf(state, size, "%s position %d gap %d last %d guards %s", json,
             (int)simledger_entries_position(entries), (int)simledger_entries_gap_before(entries),
             (int)last, guards);
    simledger_string_free(guards);
    simledger_entries_free(entries);
    return state;
}

static void check_state(simledger_ledger *ledger, const char *expected) {
    char *state = state_of(ledger);
    CHECK_TEXT(state, expected);
    free(state);
}

static bool is_guarded_from_duplicates(simledger_ledger *ledger) {
    char *found = NULL;
    CHECK_OK(simledger_sql(ledger, "SELECT name FROM sqlite_schema WHERE name LIKE '%_duplicate'",
                           NUL_TERMINATED, NULL, 0, 1, &found, NULL, &error));
    const bool guarded = strstr(found, "\"rows\":[[\"simledger_guard_insert_duplicate\"]]") != NULL;
    simledger_string_free(found);
    return guarded;
}

static void uniqueness_is_given_up_and_taken_on_without_losing_anything(void) {
    simledger_ledger *ledger = open_with("unique.db", END);
    for (int i = 0; i < 6; i++)
        append(ledger, i, "n");
    CHECK_OK(simledger_cleanup_before_id(ledger, 3, NULL, &error));
    char *before = state_of(ledger);
    CHECK(strstr(before, "gap 2 last 6") != NULL && strstr(before, "simledger_guard") != NULL);
    for (int round = 0; round < 3; round++) {
        CHECK(is_guarded_from_duplicates(ledger));
        CHECK_OK(SET_OPTION(ledger, "unique", "none"));
        CHECK(!is_guarded_from_duplicates(ledger));
        check_state(ledger, before);
        CHECK_OK(SET_OPTION(ledger, "unique", "timestamp_node_id"));
        CHECK(is_guarded_from_duplicates(ledger));
        check_state(ledger, before);
        CHECK_FAILS(SIMLEDGER_DUPLICATE, NULL, NULL,
                    simledger_append(ledger, 5, "n", 1, "{}", 2, 1, NULL, &error));
        if (round == 1) { /* and after an opening too */
            close_ledger(ledger);
            ledger = open_with("unique.db", END);
        }
    }
    free(before);
    CHECK_OK(SET_OPTION(ledger, "unique", "none"));
    CHECK(append(ledger, 5, "n") == 7);
    before = state_of(ledger);
    CHECK_FAILS(SIMLEDGER_DUPLICATE, "unique", NULL,
                SET_OPTION(ledger, "unique", "timestamp_node_id"));
    check_option(ledger, "unique", "none");
    check_state(ledger, before);
    free(before);
    CHECK(append(ledger, 5, "n") == 8);
    close_ledger(ledger);
}

static void guards_and_clock_change_in_the_file(void) {
    simledger_ledger *ledger = open_with("guards.db", END);
    append(ledger, 1, "n");
    append(ledger, 100, "n");
    char *before = state_of(ledger);
    CHECK_OK(SET_OPTION(ledger, "guards", "off"));
    char *without = state_of(ledger);
    CHECK(strstr(without, "simledger_guard") == NULL);
    free(without);
    CHECK_OK(SET_OPTION(ledger, "guards", "on"));
    check_state(ledger, before);
    free(before);
    CHECK_OK(SET_OPTION(ledger, "clock", "simulated"));
    int64_t deleted = 77;
    CHECK_OK(simledger_cleanup(ledger, 200, &deleted, &error)); /* by the system's both are old */
    CHECK(deleted == 0);
    CHECK_OK(simledger_cleanup(ledger, 98, &deleted, &error));
    CHECK(deleted == 1);
    close_ledger(ledger);
    ledger = open_with("guards.db", "read_only", "true", END);
    check_option(ledger, "clock", "simulated");
    CHECK_FAILS(SIMLEDGER_READ_ONLY, NULL, NULL, SET_OPTION(ledger, "clock", "wall"));
    CHECK_OK(SET_OPTION(ledger, "timeout", "3"));
    close_ledger(ledger);
}

int main(void) {
    each_key_changes_for_those_whose_it_is();
    values_have_one_normal_form_and_keys_two_names();
    what_is_no_key_is_answered_with_the_nearest();
    what_was_changed_counts();
    uniqueness_is_given_up_and_taken_on_without_losing_anything();
    guards_and_clock_change_in_the_file();
    return 0;
}
