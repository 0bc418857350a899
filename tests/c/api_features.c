/* Values out of features by JSON Pointer, and features made of values. */
#include "check.h"
#include <math.h>

static const char FEATURES[] =
    "{\"rate\":910,\"ratio\":-2.5e-3,\"whole\":1e3,\"half\":1.5,\"huge\":1e999,"
    "\"max\":9223372036854775807,\"beyond\":9223372036854775808,\"min\":-9223372036854775808,"
    "\"yes\":true,\"no\":false,\"nothing\":null,\"text\":\"a\\u0000\\ud83d\\ude00\\n\","
    "\"values\":[1,2.5,-3],\"mixed\":[1,\"x\"],\"a/b\":{\"m~n\":[[7]]},\"\":0}";

static simledger_entry *entry_with(simledger_ledger *ledger, const char *features) {
    int64_t id = 0;
    static double second = 0;
    CHECK_OK(
        simledger_append(ledger, second++, "n", 1, features, NUL_TERMINATED, 0.5, &id, &error));
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(ledger, id, &entry, &error));
    return entry;
}

static void each_kind_of_value_is_found(const simledger_entry *entry) {
    double number = NAN;
    CHECK_OK(simledger_entry_feature_number(entry, "/rate", 5, &number, &error));
    CHECK(number == 910);
    CHECK_OK(simledger_entry_feature_number(entry, "/ratio", NUL_TERMINATED, &number, &error));
    CHECK(number == -2.5e-3);
    CHECK_OK(simledger_entry_feature_number(entry, "/values/2", NUL_TERMINATED, &number, &error));
    CHECK(number == -3);
    CHECK_OK(
        simledger_entry_feature_number(entry, "/a~1b/m~0n/0/0", NUL_TERMINATED, &number, &error));
    CHECK(number == 7);
    CHECK_OK(simledger_entry_feature_number(entry, "/", NUL_TERMINATED, &number, &error));
    CHECK(number == 0);

    int64_t integer = 0;
    CHECK_OK(simledger_entry_feature_integer(entry, "/max", NUL_TERMINATED, &integer, &error));
    CHECK(integer == INT64_MAX);
    CHECK_OK(simledger_entry_feature_integer(entry, "/min", NUL_TERMINATED, &integer, &error));
    CHECK(integer == INT64_MIN);
    CHECK_OK(simledger_entry_feature_integer(entry, "/whole", NUL_TERMINATED, &integer, &error));
    CHECK(integer == 1000);

    bool boolean = false;
    CHECK_OK(simledger_entry_feature_boolean(entry, "/yes", NUL_TERMINATED, &boolean, &error));
    CHECK(boolean);
    CHECK_OK(simledger_entry_feature_boolean(entry, "/no", NUL_TERMINATED, &boolean, &error));
    CHECK(!boolean);

    char *text = NULL;
    size_t len = 0;
    CHECK_OK(simledger_entry_feature_text(entry, "/text", NUL_TERMINATED, &text, &len, &error));
    CHECK(len == 7 && memcmp(text, "a\0\xf0\x9f\x98\x80\n", 8) == 0);
    simledger_string_free(text);
    CHECK_OK(simledger_entry_feature_json(entry, "/a~1b", NUL_TERMINATED, &text, &len, &error));
    CHECK_TEXT(text, "{\"m~n\":[[7]]}");
    simledger_string_free(text);
    CHECK_OK(simledger_entry_feature_json(entry, "", NUL_TERMINATED, &text, NULL, &error));
    CHECK_TEXT(text, FEATURES);
    simledger_string_free(text);

    double values[3] = {0};
    CHECK_OK(simledger_entry_feature_array_len(entry, "/values", NUL_TERMINATED, &len, &error));
    CHECK(len == 3);
    CHECK_OK(
        simledger_entry_feature_numbers(entry, "/values", NUL_TERMINATED, values, 3, &len, &error));
    CHECK(len == 3 && values[0] == 1 && values[1] == 2.5 && values[2] == -3);

    static const char *const PLACES[] = {"/nothing", "/yes", "/rate", "/text", "/values", "/a~1b"};
    for (int32_t i = 0; i < 6; i++) {
        int32_t type = 0;
        CHECK_OK(simledger_entry_feature_type(entry, PLACES[i], NUL_TERMINATED, &type, &error));
        CHECK(type == SIMLEDGER_TYPE_NULL + i);
    }
}

static void what_leads_nowhere_is_no_error(const simledger_entry *entry) {
    static const char *const NOWHERE[] = {"/none",
                                          "/values/3",
                                          "/values/-",
                                          "/values/01",
                                          "/rate/0",
                                          "/a~1b/x/y",
                                          "/values/99999999999999999999"};
    for (size_t i = 0; i < sizeof NOWHERE / sizeof *NOWHERE; i++) {
        double number = 77;
        size_t len = 77;
        char *text = GARBAGE_POINTER(char);
        CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_entry_feature_number(
                                              entry, NOWHERE[i], NUL_TERMINATED, &number, &error));
        CHECK_STATUS(
            SIMLEDGER_NOT_FOUND,
            simledger_entry_feature_text(entry, NOWHERE[i], NUL_TERMINATED, &text, &len, &error));
        CHECK(number == 0 && text == NULL && len == 0);
    }
}

static void what_is_malformed_or_of_another_kind_is_said(const simledger_entry *entry) {
    double number = 77;
    int64_t integer = 77;
    bool boolean = true;
    size_t len = 77;
    char *text = GARBAGE_POINTER(char);
    double values[2] = {0};
    const simledger_status invalid = SIMLEDGER_INVALID_ARGUMENT;
    const simledger_status limit = SIMLEDGER_LIMIT_EXCEEDED;
    CHECK_FAILS(invalid, "pointer", "begin with '/'",
                simledger_entry_feature_number(entry, "rate", 4, &number, &error));
    CHECK_FAILS(invalid, "pointer", "~0",
                simledger_entry_feature_number(entry, "/a~2", 4, &number, &error));
    CHECK_FAILS(invalid, "pointer", "UTF-8",
                simledger_entry_feature_number(entry, "/\xff", 2, &number, &error));
    CHECK_FAILS(invalid, "pointer", "\"/text\": the value there is a string, not a number",
                simledger_entry_feature_number(entry, "/text", 5, &number, &error));
    CHECK_FAILS(limit, "pointer", "double",
                simledger_entry_feature_number(entry, "/huge", 5, &number, &error));
    CHECK(number == 0);
    CHECK_FAILS(invalid, "pointer", "1.5, which is no whole number",
                simledger_entry_feature_integer(entry, "/half", 5, &integer, &error));
    CHECK_FAILS(limit, "pointer", "64 bits",
                simledger_entry_feature_integer(entry, "/beyond", 7, &integer, &error));
    CHECK_FAILS(limit, "pointer", "53 bits",
                simledger_entry_feature_integer(entry, "/huge", 5, &integer, &error));
    CHECK(integer == 0);
    CHECK_FAILS(invalid, "pointer", "null, not a boolean",
                simledger_entry_feature_boolean(entry, "/nothing", 8, &boolean, &error));
    CHECK(!boolean);
    CHECK_FAILS(invalid, "pointer", "a number, not a string",
                simledger_entry_feature_text(entry, "/rate", 5, &text, &len, &error));
    CHECK(text == NULL && len == 0);
    len = 77;
    CHECK_FAILS(invalid, "pointer", "an object, not an array",
                simledger_entry_feature_array_len(entry, "", 0, &len, &error));
    CHECK(len == 0);
    len = 77;
    CHECK_FAILS(limit, "values_max", "has 3 elements, and there is room for 2",
                simledger_entry_feature_numbers(entry, "/values", 7, values, 2, &len, &error));
    CHECK(len == 0 && values[0] == 0);
    CHECK_FAILS(invalid, "pointer", "element 1",
                simledger_entry_feature_numbers(entry, "/mixed", 6, values, 2, &len, &error));
    CHECK_FAILS(limit, "values_max", "3 elements",
                simledger_entry_feature_numbers(entry, "/values", 7, NULL, 0, &len, &error));
    CHECK_FAILS(
        invalid, "values_max", "more than any array",
        simledger_entry_feature_numbers(entry, "/values", 7, values, SIZE_MAX, &len, &error));
}

static void features_are_made_and_read_back(simledger_ledger *ledger) {
    simledger_features *features = simledger_features_new();
    CHECK_TEXT(simledger_features_json(features, NULL), "{}");
    const double values[] = {1, 2.5};
    CHECK_OK(simledger_features_set_number(features, "rate", NUL_TERMINATED, 910.25, &error));
    CHECK_OK(simledger_features_set_integer(features, "count", 5, INT64_MIN, &error));
    CHECK_OK(simledger_features_set_boolean(features, "ok", 2, true, &error));
    CHECK_OK(simledger_features_set_text(features, "a \"key\"", 7, "x\\\n\0y", 5, &error));
    CHECK_OK(simledger_features_set_numbers(features, "values", 6, values, 2, &error));
    CHECK_OK(simledger_features_set_numbers(features, "none", 4, NULL, 0, &error));
    const int64_t ids[] = {1, INT64_MAX};
    CHECK_OK(simledger_features_set_integers(features, "ids", 3, ids, 2, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "len", "more than any array",
                simledger_features_set_integers(features, "ids", 3, ids, SIZE_MAX, &error));
    CHECK_OK(simledger_features_set_json(features, "in", 2, " { \"x\" : 1.50 } ", NUL_TERMINATED,
                                         &error));
    CHECK_OK(simledger_features_set_integer(features, "rate", 4, 1, &error));
    static const char EXPECTED[] = "{\"rate\":1,\"count\":-9223372036854775808,\"ok\":true,\"a "
                                   "\\\"key\\\"\":\"x\\\\\\n\\u0000y\","
                                   "\"values\":[1.0,2.5],\"none\":[],\"ids\":[1,9223372036854775807],\"in\":{\"x\":1.50}}";
    size_t len = 0;
    const char *json = simledger_features_json(features, &len);
    CHECK(len == strlen(EXPECTED));
    CHECK_TEXT(json, EXPECTED);
    simledger_entry *entry = entry_with(ledger, json);
    CHECK_TEXT(simledger_entry_features_json(entry, NULL), EXPECTED);
    simledger_entry_free(entry);

    /* What is refused changes nothing. */
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "value", "NaN",
                simledger_features_set_number(features, "rate", 4, NAN, &error));
    const double bad[] = {1, INFINITY};
    simledger_error *failure = NULL;
    CHECK(simledger_features_set_numbers(features, "values", 6, bad, 2, &failure) ==
          SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_error_index(failure) == 1);
    simledger_error_free(failure);
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "in", "stands twice",
                simledger_features_set_json(features, "in", 2, "{\"a\":1,\"a\":2}", NUL_TERMINATED,
                                            &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "len", "more than any array",
                simledger_features_set_numbers(features, "values", 6, bad, SIZE_MAX, &error));
    CHECK_TEXT(simledger_features_json(features, NULL), EXPECTED);
    simledger_features_clear(features);
    CHECK_TEXT(simledger_features_json(features, &len), "{}");
    CHECK(len == 2);
    simledger_features_free(features);
}

int main(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_entry *entry = entry_with(ledger, FEATURES);
    each_kind_of_value_is_found(entry);
    what_leads_nowhere_is_no_error(entry);
    what_is_malformed_or_of_another_kind_is_said(entry);
    features_are_made_and_read_back(ledger);
    close_ledger(ledger);
    /* An entry outlives the ledger, and so do its features. */
    each_kind_of_value_is_found(entry);
    simledger_entry_free(entry);
    return 0;
}
