/* Strings in and out: lengths, UTF-8, NULs. */
#include "check.h"

#define ENTRY "{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":0.5}"

static simledger_ledger *ledger;
static simledger_config *config;

/* Every string that the API takes, made with this pointer and length, is refused for these words.
 */
static void check_all_refuse(const char *text, size_t len, const char *words) {
    simledger_ledger *opened = GARBAGE_POINTER(simledger_ledger);
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    int64_t id = 77;
    size_t count = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "path", words,
                simledger_open_path(text, len, &opened, &error));
    CHECK(opened == NULL);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "key", words,
                simledger_config_set(config, text, len, "5", 1, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "value", words,
                simledger_config_set(config, "timeout", 7, text, len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "json", words,
                simledger_append_json(ledger, text, len, &id, &error));
    CHECK(id == 0);
    id = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", words,
                simledger_append(ledger, 1, text, len, "{}", 2, 0.5, &id, &error));
    CHECK(id == 0);
    id = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "features_json", words,
                simledger_append(ledger, 1, "n", 1, text, len, 0.5, &id, &error));
    CHECK(id == 0);
    id = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "json", words,
                simledger_append_many_json(ledger, text, len, &id, &count, &error));
    CHECK(id == 0 && count == 0);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "json", words,
                simledger_validate_json(ledger, text, len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "json", words,
                simledger_validate_json(NULL, text, len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", words,
                simledger_read_by_node(ledger, text, len, 1, &entries, &error));
    CHECK(entries == NULL);
    CHECK(count_of(ledger) == 0);
}

static void invalid_utf8_is_refused_with_its_place(void) {
    check_all_refuse("\xff", 1, "not UTF-8 at byte 0");
    check_all_refuse("ab\xc3", NUL_TERMINATED, "not UTF-8 at byte 2");            /* cut off */
    check_all_refuse("a\xc3\xa4\xc0\x80", NUL_TERMINATED, "not UTF-8 at byte 3"); /* overlong */
    check_all_refuse("\xed\xa0\x80", 3, "not UTF-8 at byte 0");                   /* a surrogate */
    check_all_refuse("\xf4\x90\x80\x80", 4, "not UTF-8 at byte 0"); /* above U+10FFFF */
    check_all_refuse("\xc3\xa4", 1, "not UTF-8 at byte 0");         /* the length cuts it */
}

/* Before a byte is read: the address is none. */
static void impossible_lengths_are_refused_unread(void) {
    const char *nowhere = GARBAGE_POINTER(const char);
    check_all_refuse(nowhere, (size_t)PTRDIFF_MAX + 1, "has a length of 9223372036854775808");
    check_all_refuse(nowhere, SIZE_MAX - 1, "has a length of");
}

static void null_is_refused_whatever_its_length(void) {
    check_all_refuse(NULL, 0, "is NULL");
    check_all_refuse(NULL, 1, "is NULL");
    check_all_refuse(NULL, PTRDIFF_MAX, "is NULL");
    check_all_refuse(NULL, SIZE_MAX - 1, "is NULL");
    check_all_refuse(NULL, NUL_TERMINATED, "is NULL");
}

static void a_length_of_0_is_an_empty_text(void) {
    const char *nowhere = "x"; /* not one byte of it is read */
    simledger_ledger *opened = GARBAGE_POINTER(simledger_ledger);
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    int64_t id = 77;
    size_t count = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "path", "path is \"\"",
                simledger_open_path(nowhere, 0, &opened, &error));
    CHECK(opened == NULL);
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, NULL, "no configuration key \"\"",
                simledger_config_set(config, nowhere, 0, "5", 1, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "timeout", "timeout is \"\"",
                simledger_config_set(config, "timeout", 7, nowhere, 0, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "ends early",
                simledger_append_json(ledger, nowhere, 0, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "ends early",
                simledger_validate_json(NULL, nowhere, 0, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "node_id", "blank",
                simledger_append(ledger, 1, nowhere, 0, "{}", 2, 0.5, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "features", "ends early",
                simledger_append(ledger, 1, "n", 1, nowhere, 0, 0.5, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "blank",
                simledger_read_by_node(ledger, nowhere, 0, 1, &entries, &error));
    /* A batch of none is fine. */
    CHECK_OK(simledger_append_many_json(ledger, nowhere, 0, &id, &count, &error));
    CHECK(id == 0 && count == 0);
}

/* With a length, what is behind it does not count, and a NUL inside is a character. */
static void an_explicit_length_is_what_counts(void) {
    int64_t id = 0;
    const char tail[] = ENTRY "and more";
    CHECK_OK(simledger_append_json(ledger, tail, strlen(ENTRY), &id, &error));
    /* Without a NUL behind it. */
    char *exact = (char *)malloc(strlen(ENTRY));
    memcpy(exact, ENTRY, strlen(ENTRY));
    CHECK_OK(simledger_validate_json(NULL, exact, strlen(ENTRY), &error));
    free(exact);

    static const char nul[] =
        "{\"timestamp\":2,\0\"node_id\":\"n\",\"features\":{},\"confidence\":0.5}";
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "at byte 15",
                simledger_append_json(ledger, nul, sizeof nul - 1, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "node_id", "NUL",
                simledger_append(ledger, 2, "a\0b", 3, "{}", 2, 0.5, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "features", "byte 2",
                simledger_append(ledger, 2, "a", 1, "{}\0", 3, 0.5, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "timeout", "\"5\\0\"",
                simledger_config_set(config, "timeout", 7, "5\0", 2, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, NULL, "timeout\\0",
                simledger_config_set(config, "timeout\0", 8, "5", 1, &error));
    simledger_ledger *opened = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "path", "NUL",
                simledger_open_path("a\0b", 3, &opened, &error));
    simledger_entries *entries = NULL;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "NUL",
                simledger_read_by_node(ledger, "n\0", 2, 1, &entries, &error));
    CHECK(count_of(ledger) == 1);
    CHECK_OK(simledger_cleanup_before_id(ledger, id + 1, NULL, &error));
}

static void nul_terminated_is_a_length(void) {
    int64_t id = 0;
    CHECK_OK(simledger_append(ledger, 3, "n\0xx", NUL_TERMINATED, "[1]\0]", NUL_TERMINATED, 0.5,
                              &id, &error));
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_read_by_node(ledger, "n\0", NUL_TERMINATED, 1, &entries, &error));
    const simledger_entry *entry = simledger_entries_get(entries, 0);
    CHECK_TEXT(simledger_entry_node_id(entry, NULL), "n");
    CHECK_TEXT(simledger_entry_features_json(entry, NULL), "[1]");
    simledger_entries_free(entries);
}

static void check_lent(const char *text, size_t len, const char *expected) {
    CHECK_TEXT(text, expected);
    CHECK(strlen(text) == len);
}

static void strings_out_end_with_a_nul_and_say_their_length(void) {
    /* Neighbours in memory, of different lengths, the second with characters of 1 to 4 bytes. */
    static const char *const NODES[] = {"a", "z\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                        "node-with-a-longer-name"};
    static const char *const FEATURES[] = {"[]", "{\"\xc3\xa4\":\"\xf0\x9f\x98\x80\"}",
                                           "{\"a\":[1,2,3]}"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(simledger_append(ledger, 100 + i, NODES[i], NUL_TERMINATED, FEATURES[i],
                                  NUL_TERMINATED, 0.5, NULL, &error));
    }
    simledger_entries *all = read_all(ledger);
    const size_t before = simledger_entries_len(all) - 3;
    for (size_t i = 0; i < 3; i++) {
        const simledger_entry *entry = simledger_entries_get(all, before + i);
        size_t len = 77;
        const char *text = simledger_entry_node_id(entry, &len);
        check_lent(text, len, NODES[i]);
        text = simledger_entry_features_json(entry, &len);
        check_lent(text, len, FEATURES[i]);
    }
    size_t len = 77;
    const char *json = simledger_entries_json(all, &len);
    CHECK(strlen(json) == len);
    simledger_entries_free(all);

    char *metrics = NULL;
    CHECK_OK(simledger_metrics_json(ledger, &metrics, &len, &error));
    CHECK(strlen(metrics) == len && metrics[0] == '{' && metrics[len - 1] == '}');
    CHECK(strstr(metrics, "\"entries_appended\":") != NULL);
    simledger_string_free(metrics);
}

/* The library keeps nothing of what it was lent. */
static void strings_in_are_copied(void) {
    char node[] = "lent", features[] = "{\"a\":1}";
    int64_t id = 0;
    CHECK_OK(simledger_append(ledger, 200, node, 4, features, 7, 0.5, &id, &error));
    memset(node, 'x', 4);
    memset(features, 'x', 7);
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(ledger, id, &entry, &error));
    CHECK_TEXT(simledger_entry_node_id(entry, NULL), "lent");
    CHECK_TEXT(simledger_entry_features_json(entry, NULL), "{\"a\":1}");
    simledger_entry_free(entry);
}

static void versions_are_those_of_the_header(void) {
    CHECK_TEXT(simledger_version(), SIMLEDGER_VERSION);
    CHECK_TEXT(simledger_sqlite_version(), SIMLEDGER_SQLITE_VERSION);
    CHECK(simledger_abi_version() == SIMLEDGER_ABI_VERSION);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SIMLEDGER_VERSION_MAJOR, SIMLEDGER_VERSION_MINOR,
             SIMLEDGER_VERSION_PATCH);
    CHECK_TEXT(version, SIMLEDGER_VERSION);
}

int main(void) {
    ledger = open_in_memory();
    config = simledger_config_new();
    invalid_utf8_is_refused_with_its_place();
    impossible_lengths_are_refused_unread();
    null_is_refused_whatever_its_length();
    a_length_of_0_is_an_empty_text();
    an_explicit_length_is_what_counts();
    nul_terminated_is_a_length();
    strings_out_end_with_a_nul_and_say_their_length();
    strings_in_are_copied();
    versions_are_those_of_the_header();
    simledger_config_free(config);
    close_ledger(ledger);
    return 0;
}
