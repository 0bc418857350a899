/* Features made of keys and values, appended, and read back. */
#include "check.h"
#include <float.h>
#include <math.h>

static void check_json(const simledger_features *features, const char *expected) {
    size_t len = 0;
    CHECK_TEXT(simledger_features_json(features, &len), expected);
    CHECK(len == strlen(expected));
}

/* What was made can be appended, and what is read is what was made. */
static void append_and_check(simledger_ledger *ledger, const simledger_features *features) {
    static double second = 0;
    int64_t id = 0;
    size_t len = 0;
    const char *json = simledger_features_json(features, &len);
    CHECK_OK(simledger_append(ledger, second++, "n", 1, json, len, 0.5, &id, &error));
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(ledger, id, &entry, &error));
    CHECK_TEXT(simledger_entry_features_json(entry, NULL), json);
    simledger_entry_free(entry);
}

static void values_of_each_kind_are_written_as_json(simledger_ledger *ledger) {
    simledger_features *features = simledger_features_new();
    check_json(features, "{}");
    append_and_check(ledger, features);
    const double values[] = {1, 2.5};
    CHECK_OK(simledger_features_set_number(features, "rate", NUL_TERMINATED, 910.25, &error));
    CHECK_OK(simledger_features_set_integer(features, "count", 5, INT64_MIN, &error));
    CHECK_OK(simledger_features_set_boolean(features, "ok", 2, true, &error));
    CHECK_OK(simledger_features_set_boolean(features, "bad", 3, false, &error));
    CHECK_OK(simledger_features_set_text(features, "a \"key\"", 7, "x\\\n\0y", 5, &error));
    CHECK_OK(simledger_features_set_numbers(features, "values", 6, values, 2, &error));
    CHECK_OK(simledger_features_set_numbers(features, "none", 4, NULL, 0, &error));
    CHECK_OK(simledger_features_set_json(features, "in", 2, " { \"x\" : 1.50 } ", NUL_TERMINATED,
                                         &error));
    check_json(features, "{\"rate\":910.25,\"count\":-9223372036854775808,\"ok\":true,"
                         "\"bad\":false,\"a \\\"key\\\"\":\"x\\\\\\n\\u0000y\","
                         "\"values\":[1.0,2.5],\"none\":[],\"in\":{\"x\":1.50}}");
    append_and_check(ledger, features);
    simledger_features_free(features);
}

static void a_key_keeps_its_place_when_it_is_set_again(void) {
    simledger_features *features = simledger_features_new();
    const double values[] = {3};
    CHECK_OK(simledger_features_set_integer(features, "a", 1, 1, &error));
    CHECK_OK(simledger_features_set_integer(features, "b", 1, 2, &error));
    CHECK_OK(simledger_features_set_integer(features, "", 0, 3, &error));
    CHECK_OK(simledger_features_set_integer(features, "a\0", 2, 4, &error));
    check_json(features, "{\"a\":1,\"b\":2,\"\":3,\"a\\u0000\":4}");
    CHECK_OK(simledger_features_set_text(features, "a", NUL_TERMINATED, "", 0, &error));
    CHECK_OK(simledger_features_set_json(features, "b", 1, "null", 4, &error));
    CHECK_OK(simledger_features_set_numbers(features, "", 0, values, 1, &error));
    CHECK_OK(simledger_features_set_boolean(features, "a\0", 2, false, &error));
    check_json(features, "{\"a\":\"\",\"b\":null,\"\":[3.0],\"a\\u0000\":false}");
    CHECK_OK(simledger_features_set_number(features, "a", 1, 0.1, &error));
    check_json(features, "{\"a\":0.1,\"b\":null,\"\":[3.0],\"a\\u0000\":false}");
    simledger_features_clear(features);
    check_json(features, "{}");
    CHECK_OK(simledger_features_set_integer(features, "b", 1, 5, &error));
    check_json(features, "{\"b\":5}");
    simledger_features_free(features);
}

/* Every number and every text comes back as it went in. */
static void what_goes_in_comes_out(simledger_ledger *ledger) {
    static const double NUMBERS[] = {0.1,     -0.0,     1e21,       1e-7,    5e-324,
                                     1.0 / 3, DBL_MAX,  -DBL_MAX,   DBL_MIN, 9007199254740993.0,
                                     1e16,    4.9e-320, 123456789.5};
    enum { COUNT = sizeof NUMBERS / sizeof *NUMBERS };
    static const char TEXT[] =
        "\0\x01\x1f\x7f\"\\/\b\f\n\r\t\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80</x>";
    simledger_features *features = simledger_features_new();
    CHECK_OK(simledger_features_set_numbers(features, "numbers", 7, NUMBERS, COUNT, &error));
    for (int i = 0; i < COUNT; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        CHECK_OK(simledger_features_set_number(features, key, NUL_TERMINATED, NUMBERS[i], &error));
    }
    CHECK_OK(simledger_features_set_text(features, "~/\"", 3, TEXT, sizeof TEXT - 1, &error));
    CHECK_OK(simledger_features_set_integer(features, "max", 3, INT64_MAX, &error));

    int64_t id = 0;
    CHECK_OK(simledger_append(ledger, 1000, "n", 1, simledger_features_json(features, NULL),
                              NUL_TERMINATED, 0.5, &id, &error));
    simledger_features_free(features);
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(ledger, id, &entry, &error));
    double numbers[COUNT], number = 77;
    size_t len = 0;
    CHECK_OK(simledger_entry_feature_numbers(entry, "/numbers", 8, numbers, COUNT, &len, &error));
    CHECK(len == COUNT && memcmp(numbers, NUMBERS, sizeof NUMBERS) == 0);
    for (int i = 0; i < COUNT; i++) {
        char pointer[8];
        snprintf(pointer, sizeof pointer, "/%d", i);
        CHECK_OK(simledger_entry_feature_number(entry, pointer, NUL_TERMINATED, &number, &error));
        CHECK(memcmp(&number, &NUMBERS[i], sizeof number) == 0);
    }
    char *text = NULL;
    CHECK_OK(simledger_entry_feature_text(entry, "/~0~1\"", NUL_TERMINATED, &text, &len, &error));
    CHECK(len == sizeof TEXT - 1 && memcmp(text, TEXT, sizeof TEXT) == 0);
    simledger_string_free(text);
    int64_t integer = 0;
    CHECK_OK(simledger_entry_feature_integer(entry, "/max", 4, &integer, &error));
    CHECK(integer == INT64_MAX);
    simledger_entry_free(entry);
}

static void json_inside_is_kept_compact_and_digit_for_digit(simledger_ledger *ledger) {
    static const char *const CASES[][2] = {
        {"true", "true"},
        {" null\n", "null"},
        {"-0.00e+00", "-0.00e+00"},
        {"123456789012345678901234567890.10", "123456789012345678901234567890.10"},
        {"\"x\\u0041\"", NULL},
        {"[ 1 , { \"a\" : [ ] } ]", "[1,{\"a\":[]}]"},
        {"{}", "{}"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        simledger_features *features = simledger_features_new();
        CHECK_OK(
            simledger_features_set_json(features, "k", 1, CASES[i][0], NUL_TERMINATED, &error));
        if (CASES[i][1] != NULL) {
            char expected[100];
            snprintf(expected, sizeof expected, "{\"k\":%s}", CASES[i][1]);
            check_json(features, expected);
        }
        append_and_check(ledger, features);
        simledger_features_free(features);
    }
}

static void what_is_refused_changes_nothing(void) {
    simledger_features *features = simledger_features_new();
    CHECK_OK(simledger_features_set_integer(features, "k", 1, 1, &error));
    const simledger_status invalid = SIMLEDGER_INVALID_ARGUMENT;
    static const double BAD[] = {NAN, INFINITY, -INFINITY};
    static const char *const NAMES[] = {"NaN", "inf", "-inf"};
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(invalid, "value", NAMES[i],
                    simledger_features_set_number(features, "k", 1, BAD[i], &error));
        const double values[] = {1, 2, BAD[i], 4};
        simledger_error *failure = NULL;
        CHECK(simledger_features_set_numbers(features, "k", 1, values, 4, &failure) == invalid);
        CHECK(simledger_error_index(failure) == 2);
        simledger_error_free(failure);
    }
    static const char *const NO_JSON[] = {
        "",    "{",  "[1,]",    "1 2",         "{\"a\":1,\"a\":2}", "nul", "NaN",     "01",
        "'x'", "[1", "\"\\x\"", "\"\\ud800\"", "\"a\nb\"",          "+1",  "{\"a\"}", "// x\n1"};
    for (size_t i = 0; i < sizeof NO_JSON / sizeof *NO_JSON; i++) {
        CHECK_FAILS(
            SIMLEDGER_INVALID_ENTRY, "k", "JSON",
            simledger_features_set_json(features, "k", 1, NO_JSON[i], NUL_TERMINATED, &error));
    }
    char deep[2001];
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "k", "128",
                simledger_features_set_json(features, "k", 1, deep, 2000, &error));
    CHECK_FAILS(invalid, "json", "UTF-8",
                simledger_features_set_json(features, "k", 1, "\"\xff\"", 3, &error));
    CHECK_FAILS(invalid, "value", "UTF-8 at byte 1",
                simledger_features_set_text(features, "k", 1, "a\xff", 2, &error));
    CHECK_FAILS(invalid, "len", "more than any array",
                simledger_features_set_numbers(features, "k", 1, BAD, SIZE_MAX / 4, &error));

    /* A key that is no text, for each of them. */
    const char *key = "\xc3";
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_number(features, key, 1, 1, &error));
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_integer(features, key, 1, 1, &error));
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_boolean(features, key, 1, true, &error));
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_text(features, key, 1, "", 0, &error));
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_json(features, key, 1, "1", 1, &error));
    CHECK_FAILS(invalid, "key", "UTF-8",
                simledger_features_set_numbers(features, key, 1, NULL, 0, &error));
    CHECK_FAILS(invalid, "key", "length",
                simledger_features_set_integer(features, "k", SIZE_MAX - 1, 1, &error));
    check_json(features, "{\"k\":1}");
    simledger_features_free(features);
}

int main(void) {
    simledger_ledger *ledger = open_in_memory();
    values_of_each_kind_are_written_as_json(ledger);
    a_key_keeps_its_place_when_it_is_set_again();
    what_goes_in_comes_out(ledger);
    json_inside_is_kept_compact_and_digit_for_digit(ledger);
    what_is_refused_changes_nothing();
    close_ledger(ledger);
    return 0;
}
