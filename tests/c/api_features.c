/* Values out of features by JSON Pointer. */
#include "check.h"
#include <math.h>

static const char FEATURES[] =
    "{\"rate\":910,\"ratio\":-2.5e-3,\"whole\":1e3,\"half\":1.5,\"huge\":1e999,"
    "\"max\":9223372036854775807,\"beyond\":9223372036854775808,\"min\":-9223372036854775808,"
    "\"yes\":true,\"no\":false,\"nothing\":null,\"text\":\"a\\u0000\\ud83d\\ude00\\n\","
    "\"values\":[1,2.5,-3],\"mixed\":[1,\"x\"],\"empty\":[],\"a/b\":{\"m~n\":[[7]]},\"\":0}";

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

/* All ways to read a value, each begun with something else than nothing in its results. */
enum { READERS = 8 };

static simledger_status read_with(int reader, const simledger_entry *entry, const char *pointer,
                                  bool *is_nothing, simledger_error **error) {
    simledger_status status = SIMLEDGER_INTERNAL;
    int32_t type = 77;
    double number = 77, numbers[4] = {0, 0, 0, 0};
    int64_t integer = 77;
    bool boolean = true;
    size_t len = 77;
    char *text = GARBAGE_POINTER(char);
    const size_t whole = NUL_TERMINATED;
    switch (reader) {
    case 0:
        status = simledger_entry_feature_type(entry, pointer, whole, &type, error);
        *is_nothing = type == 0;
        return status;
    case 1:
        status = simledger_entry_feature_json(entry, pointer, whole, &text, &len, error);
        *is_nothing = text == NULL && len == 0;
        break;
    case 2:
        status = simledger_entry_feature_number(entry, pointer, whole, &number, error);
        *is_nothing = number == 0;
        return status;
    case 3:
        status = simledger_entry_feature_integer(entry, pointer, whole, &integer, error);
        *is_nothing = integer == 0;
        return status;
    case 4:
        status = simledger_entry_feature_boolean(entry, pointer, whole, &boolean, error);
        *is_nothing = !boolean;
        return status;
    case 5:
        status = simledger_entry_feature_text(entry, pointer, whole, &text, &len, error);
        *is_nothing = text == NULL && len == 0;
        break;
    case 6:
        status = simledger_entry_feature_array_len(entry, pointer, whole, &len, error);
        *is_nothing = len == 0;
        return status;
    default:
        status = simledger_entry_feature_numbers(entry, pointer, whole, numbers, 4, &len, error);
        *is_nothing = len == 0;
        return status;
    }
    if (status == SIMLEDGER_OK)
        simledger_string_free(text);
    return status;
}

static void what_leads_nowhere_is_no_error(const simledger_entry *entry) {
    static const char *const NOWHERE[] = {
        "/none",  "/Rate",      "/rate ",      "/values/3",
        "/rate/", "/values/-",  "/values/01",  "/values/99999999999999999999",
        "/text/", "/values/",   "/values/0/0", "/values/18446744073709551616",
        "/yes/0", "/values/+1", "/a~1b/x/y",   "/rate/0"};
    for (size_t i = 0; i < sizeof NOWHERE / sizeof *NOWHERE; i++) {
        for (int reader = 0; reader < READERS; reader++) {
            bool is_nothing = false;
            CHECK_STATUS(SIMLEDGER_NOT_FOUND,
                         read_with(reader, entry, NOWHERE[i], &is_nothing, &error));
            CHECK(is_nothing);
        }
    }
}

static void what_is_no_pointer_is_said_by_every_reader(const simledger_entry *entry) {
    static const char *const MALFORMED[][2] = {{"rate", "begin with '/'"},
                                               {" /rate", "begin with '/'"},
                                               {"0", "begin with '/'"},
                                               {"/a~2", "~0"},
                                               {"/a~", "~0"},
                                               {"/none/~", "~0"},
                                               {"/~~1", "~0"},
                                               {"/\xff", "UTF-8"}};
    for (size_t i = 0; i < sizeof MALFORMED / sizeof *MALFORMED; i++) {
        for (int reader = 0; reader < READERS; reader++) {
            bool is_nothing = false;
            CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "pointer", MALFORMED[i][1],
                        read_with(reader, entry, MALFORMED[i][0], &is_nothing, &error));
            CHECK(is_nothing);
        }
    }
}

/* Of each type one value, in the order of their numbers, read by those that want another. */
static void a_value_of_another_type_is_said_with_both_types(const simledger_entry *entry) {
    static const char *const VALUES[][2] = {{"/nothing", "null"},    {"/yes", "a boolean"},
                                            {"/rate", "a number"},   {"/text", "a string"},
                                            {"/values", "an array"}, {"/a~1b", "an object"}};
    static const int WANTED[READERS] = {0, 0, 3, 3, 2, 4, 5, 5}; /* 0: any */
    for (int reader = 0; reader < READERS; reader++) {
        for (int type = 1; type <= 6; type++) {
            const int wanted = WANTED[reader];
            bool is_nothing = false;
            if (wanted == 0 || wanted == type) {
                CHECK_OK(read_with(reader, entry, VALUES[type - 1][0], &is_nothing, &error));
                CHECK(!is_nothing);
                continue;
            }
            char words[100];
            snprintf(words, sizeof words, "\"%s\": the value there is %s, not %s",
                     VALUES[type - 1][0], VALUES[type - 1][1], VALUES[wanted - 1][1]);
            CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "pointer", words,
                        read_with(reader, entry, VALUES[type - 1][0], &is_nothing, &error));
            CHECK(is_nothing);
        }
    }
}

static void whole_numbers_are_exact_or_refused(simledger_ledger *ledger) {
    static const struct {
        const char *json;
        int64_t value;
        const char *refusal;
    } CASES[] = {{"0", 0, NULL},
                 {"-0", 0, NULL},
                 {"-0.0", 0, NULL},
                 {"9223372036854775807", INT64_MAX, NULL},
                 {"9223372036854775808", 0, "64 bits"},
                 {"-9223372036854775808", INT64_MIN, NULL},
                 {"-9223372036854775809", 0, "64 bits"},
                 {"123456789012345678901234567890", 0, "64 bits"},
                 {"9007199254740993", 9007199254740993, NULL}, /* no double */
                 {"1e3", 1000, NULL},
                 {"-1E+3", -1000, NULL},
                 {"0.1e1", 1, NULL},
                 {"1.0", 1, NULL},
                 {"9007199254740992.0", 9007199254740992, NULL},
                 {"-9007199254740992e0", -9007199254740992, NULL},
                 {"9007199254740993.0", 9007199254740993, NULL}, /* nor this */
                 {"-1e16", -10000000000000000, NULL},
                 {"1e999", 0, "64 bits"},
                 {"1.5", 0, "the value is no whole number"},
                 {"-25e-1", 0, "no whole number"},
                 {"1e-9", 0, "no whole number"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char features[60];
        snprintf(features, sizeof features, "[%s]", CASES[i].json);
        simledger_entry *entry = entry_with(ledger, features);
        int64_t value = 77;
        const char *refusal = CASES[i].refusal;
        if (refusal == NULL) {
            CHECK_OK(simledger_entry_feature_integer(entry, "/0", 2, &value, &error));
        } else {
            const bool is_fraction = strstr(refusal, "whole") != NULL;
            CHECK_FAILS(is_fraction ? SIMLEDGER_INVALID_ARGUMENT : SIMLEDGER_LIMIT_EXCEEDED,
                        "pointer", refusal,
                        simledger_entry_feature_integer(entry, "/0", 2, &value, &error));
        }
        CHECK(value == CASES[i].value);
        simledger_entry_free(entry);
    }
}

static void numbers_are_the_nearest_doubles_or_refused(simledger_ledger *ledger) {
    static const char FEATURES_OF_NUMBERS[] =
        "[0.1,9223372036854775807,5e-324,1e-999,-0.0,1.7976931348623157e308,1e999]";
    simledger_entry *entry = entry_with(ledger, FEATURES_OF_NUMBERS);
    static const double EXPECTED[] = {0.1, 9223372036854775808.0, 5e-324, 0,
                                      0,   1.7976931348623157e308};
    double value = 77;
    for (int i = 0; i < 6; i++) {
        char pointer[] = {'/', (char)('0' + i), '\0'};
        CHECK_OK(simledger_entry_feature_number(entry, pointer, 2, &value, &error));
        CHECK(value == EXPECTED[i]);
    }
    CHECK_OK(simledger_entry_feature_number(entry, "/4", 2, &value, &error));
    CHECK(signbit(value));
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "pointer", "the value is too large for a double",
                simledger_entry_feature_number(entry, "/6", 2, &value, &error));
    CHECK(value == 0);
    double values[7];
    size_t len = 77;
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "pointer", "element 6",
                simledger_entry_feature_numbers(entry, "", 0, values, 7, &len, &error));
    CHECK(len == 0);
    simledger_entry_free(entry);
}

/* A pointer is as long as its length says, and needs no NUL. */
static void a_pointer_ends_at_its_length(const simledger_entry *entry) {
    double value = 77;
    const char letters[] = {'/', 'r', 'a', 't', 'e'};
    CHECK_OK(simledger_entry_feature_number(entry, letters, sizeof letters, &value, &error));
    CHECK(value == 910);
    CHECK_STATUS(SIMLEDGER_NOT_FOUND,
                 simledger_entry_feature_number(entry, letters, 4, &value, &error));
    CHECK_STATUS(SIMLEDGER_NOT_FOUND,
                 simledger_entry_feature_number(entry, "/rate\0", 6, &value, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "pointer", "length",
                simledger_entry_feature_number(entry, "/rate", SIZE_MAX - 1, &value, &error));
}

static void an_array_must_have_room(const simledger_entry *entry) {
    double values[4] = {7, 7, 7, 7};
    size_t len = 77;
    const simledger_status limit = SIMLEDGER_LIMIT_EXCEEDED;
    CHECK_FAILS(limit, "values_max", "has 3 elements, and there is room for 2",
                simledger_entry_feature_numbers(entry, "/values", 7, values, 2, &len, &error));
    CHECK(len == 0 && values[2] == 7);
    CHECK_FAILS(limit, "values_max", "3 elements",
                simledger_entry_feature_numbers(entry, "/values", 7, NULL, 0, NULL, &error));
    CHECK_OK(simledger_entry_feature_numbers(entry, "/values", 7, values, 4, NULL, &error));
    CHECK(values[0] == 1 && values[1] == 2.5 && values[2] == -3 && values[3] == 7);
    len = 77;
    CHECK_OK(simledger_entry_feature_numbers(entry, "/empty", 6, NULL, 0, &len, &error));
    CHECK(len == 0);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "values", NULL,
                simledger_entry_feature_numbers(entry, "/empty", 6, NULL, 1, &len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "pointer", "element 1",
                simledger_entry_feature_numbers(entry, "/mixed", 6, values, 2, &len, &error));
    CHECK(len == 0);
    CHECK_FAILS(
        SIMLEDGER_INVALID_ARGUMENT, "values_max", "more than any array",
        simledger_entry_feature_numbers(entry, "/values", 7, values, SIZE_MAX, &len, &error));
}

int main(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_entry *entry = entry_with(ledger, FEATURES);
    each_kind_of_value_is_found(entry);
    what_leads_nowhere_is_no_error(entry);
    what_is_no_pointer_is_said_by_every_reader(entry);
    a_value_of_another_type_is_said_with_both_types(entry);
    whole_numbers_are_exact_or_refused(ledger);
    numbers_are_the_nearest_doubles_or_refused(ledger);
    a_pointer_ends_at_its_length(entry);
    an_array_must_have_room(entry);
    close_ledger(ledger);
    /* An entry outlives the ledger, and so do its features. */
    each_kind_of_value_is_found(entry);
    simledger_entry_free(entry);
    return 0;
}
