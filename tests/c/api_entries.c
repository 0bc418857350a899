/* What an entry is, what is none, and what comes out again. */
#include "check.h"
#include <float.h>
#include <math.h>

static simledger_ledger *ledger;

/* Refused alike by each way in, with nothing written. */
static void check_refused(const char *json, size_t len, const char *field, const char *words) {
    int64_t id = 77, first_id = 77;
    size_t count = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, field, words,
                simledger_append_json(ledger, json, len, &id, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, field, words,
                simledger_validate_json(ledger, json, len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, field, words,
                simledger_validate_json(NULL, json, len, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                simledger_append_many_json(ledger, json, len, &first_id, &count, &error));
    CHECK(id == 0 && first_id == 0 && count == 0);
}

static char *entry_with(const char *timestamp, const char *node_id, const char *features,
                        const char *confidence) {
    char *json = NULL;
    CHECK(asprintf(&json, "{\"timestamp\":%s,\"node_id\":%s,\"features\":%s,\"confidence\":%s}",
                   timestamp, node_id, features, confidence) > 0);
    return json;
}

static void check_part_refused(const char *timestamp, const char *node_id, const char *features,
                               const char *confidence, const char *field, const char *words) {
    char *json = entry_with(timestamp, node_id, features, confidence);
    check_refused(json, NUL_TERMINATED, field, words);
    free(json);
}

static void values_that_no_field_has_are_refused_by_name(void) {
#define TIMESTAMP(value, words) check_part_refused(value, "\"n\"", "{}", "1", "timestamp", words)
#define NODE_ID(value, words) check_part_refused("1", value, "{}", "1", "node_id", words)
#define FEATURES(value, words) check_part_refused("1", "\"n\"", value, "1", "features", words)
#define CONFIDENCE(value, words) check_part_refused("1", "\"n\"", "{}", value, "confidence", words)
    TIMESTAMP("true", "timestamp is a boolean");
    TIMESTAMP("null", "timestamp is null");
    TIMESTAMP("\"1\"", "timestamp is a string");
    TIMESTAMP("[1]", "timestamp is an array");
    TIMESTAMP("{}", "timestamp is an object");
    TIMESTAMP("1e309", "timestamp is 1e309; it must be a finite");
    TIMESTAMP("-1e999999999999999999999", "finite");
    TIMESTAMP("NaN", NULL);
    TIMESTAMP("Infinity", NULL);
    TIMESTAMP("-Infinity", NULL);
    TIMESTAMP("01", NULL);
    TIMESTAMP("+1", NULL);
    check_part_refused("0x10", "\"n\"", "{}", "1", NULL, "expected ',' or '}'");
    NODE_ID("true", "node_id is a boolean");
    NODE_ID("7", "node_id is a number");
    NODE_ID("null", "node_id is null");
    NODE_ID("\"\"", "blank");
    NODE_ID("\" \\t\\n\\u00a0\"", "blank");
    NODE_ID("\"a\\u0000b\"", "NUL");
    NODE_ID("\"\\ud800\"", "surrogate");
    NODE_ID("\"\\udc00\\ud800\"", "surrogate");
    NODE_ID("\"\\ud83d\\u0041\"", "surrogate");
    NODE_ID("\"\\x41\"", "escape");
    NODE_ID("\"a\nb\"", "control character");
    FEATURES("true", "features is a boolean");
    FEATURES("1", "features is a number");
    FEATURES("\"{}\"", "features is a string");
    FEATURES("null", "features is null");
    FEATURES("{\"a\":NaN}", "NaN");
    FEATURES("{\"a\":-Infinity}", NULL);
    FEATURES("{\"a\":tru}", NULL);
    FEATURES("{\"a\":1,}", NULL);
    FEATURES("{a:1}", NULL);
    FEATURES("{'a':1}", NULL);
    FEATURES("[1,]", NULL);
    FEATURES("[1 2]", NULL);
    FEATURES("[1/*a comment*/]", NULL);
    FEATURES("{\"a\":1,\"a\":1}", "a key stands twice");
    FEATURES("{\"a\":1,\"\\u0061\":2}", "a key stands twice"); /* the same in other letters */
    FEATURES("[[{\"b\":{\"deep\":1,\"x\":2,\"deep\":3}}]]", "a key stands twice");
    FEATURES("{\"a\":\"\\udead\"}", "surrogate");
    FEATURES("{\"\\ud800\":1}", "surrogate");
    CONFIDENCE("true", "confidence is a boolean");
    CONFIDENCE("false", "confidence is a boolean");
    CONFIDENCE("\"0.5\"", "confidence is a string");
    CONFIDENCE("-0.1", "confidence is -0.1; it must be a number from 0 to 1");
    CONFIDENCE("1.0000000000000002", "confidence is 1.0000000000000002");
    CONFIDENCE("1e400", "confidence is 1e400");
#undef TIMESTAMP
#undef NODE_ID
#undef FEATURES
#undef CONFIDENCE
}

static void texts_that_are_no_entry_are_refused(void) {
    static const struct {
        const char *json, *field, *words;
    } CASES[] = {
        {" ", NULL, NULL},
        {"null", NULL, "null; it must be an object"},
        {"\"entry\"", NULL, "a string; it must be an object"},
        {"7", NULL, "a number; it must be an object"},
        {"{}", "timestamp", "timestamp is missing"},
        {"{\"timestamp\":1}", "node_id", "node_id is missing"},
        {"{\"timestamp\":1,\"node_id\":\"n\"}", "features", "features is missing"},
        {"{\"timestamp\":1,\"node_id\":\"n\",\"features\":{}}", "confidence",
         "confidence is missing"},
        {"{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1,\"timestamp\":1}",
         NULL, "\"timestamp\" stands twice"},
        {"{\"x\":1,\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1,\"x\":1}",
         NULL, "\"x\" stands twice"},
        {"{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1}}", NULL, "the end"},
        {"{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1} true", NULL,
         "the end"},
        {"\xef\xbb\xbf{\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1}", NULL,
         NULL},
    };
    /* Batches take blanks and lone numbers for other things: only append and validate here. */
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, CASES[i].field, CASES[i].words,
                    simledger_append_json(ledger, CASES[i].json, NUL_TERMINATED, NULL, &error));
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, CASES[i].field, CASES[i].words,
                    simledger_validate_json(ledger, CASES[i].json, NUL_TERMINATED, &error));
    }
}

static void an_entry_cut_anywhere_is_refused(void) {
    static const char ENTRY[] = "{\"timestamp\":1.5e3,\"node_id\":\"\\ud83d\\ude00x\",\"features\":"
                                "{\"a\":[1,-0.5,{\"b\":null}],\"c\":true},\"confidence\":1}";
    CHECK_OK(simledger_validate_json(ledger, ENTRY, sizeof ENTRY - 1, &error));
    for (size_t len = 0; len < sizeof ENTRY - 1; len++) {
        /* A copy of exactly that size, so that valgrind sees a byte read too many. */
        char *cut = (char *)malloc(len + (len == 0));
        memcpy(cut, ENTRY, len);
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                    simledger_append_json(ledger, cut, len, NULL, &error));
        CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                    simledger_validate_json(NULL, cut, len, &error));
        if (len > 0) {
            CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, NULL,
                        simledger_append_many_json(ledger, cut, len, NULL, NULL, &error));
        }
        free(cut);
    }
}

/* `depth` containers inside one another, arrays and objects in turn. */
static char *nested(size_t depth, int closed) {
    char *json = (char *)malloc(depth * 6 + 1), *at = json;
    for (size_t i = 0; i < depth; i++) {
        const char *open = i % 2 ? "{\"a\":" : "[";
        memcpy(at, open, strlen(open));
        at += strlen(open);
    }
    /* The innermost is empty: an object has nothing behind its colon yet. */
    if (depth % 2 == 0)
        at -= strlen("\"a\":");
    for (size_t i = depth; closed && i > 0; i--)
        *at++ = (i - 1) % 2 ? '}' : ']';
    *at = '\0';
    return json;
}

static void depth_has_a_limit(void) {
    static const size_t TOO_DEEP[] = {129, 130, 1000, 1000000};
    char *features = nested(128, 1);
    char *json = entry_with("1", "\"deep\"", features, "1");
    CHECK_OK(simledger_append_json(ledger, json, NUL_TERMINATED, NULL, &error));
    free(json);
    free(features);
    for (size_t i = 0; i < sizeof TOO_DEEP / sizeof *TOO_DEEP; i++) {
        for (int closed = 0; closed < 2; closed++) {
            features = nested(TOO_DEEP[i], closed);
            check_part_refused("1", "\"n\"", features, "1", "features", "128");
            CHECK_FAILS(
                SIMLEDGER_INVALID_ENTRY, "features", "features_depth_max",
                simledger_append(ledger, 1, "n", 1, features, NUL_TERMINATED, 1, NULL, &error));
            free(features);
        }
    }
    /* Nor does it help to hide it in a field that is ignored. */
    features = nested(100000, 1);
    json = NULL;
    CHECK(asprintf(
              &json,
              "{\"other\":%s,\"timestamp\":1,\"node_id\":\"n\",\"features\":{},\"confidence\":1}",
              features) > 0);
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "other", "128",
                simledger_append_json(ledger, json, NUL_TERMINATED, NULL, &error));
    free(json);
    free(features);
}

static void depth_and_size_can_be_configured(void) {
    simledger_ledger *small = open_with(":memory:", "features_depth_max", "2", "entry_bytes_max",
                                        "100", "strict_fields", "true", END);
    CHECK_OK(simledger_append(small, 1, "n", 1, "[{}]", 4, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "features", "the limit of 2",
                simledger_append(small, 1, "n", 1, "[{\"a\":[]}]", 10, 1, NULL, &error));

    char json[102];
    const char *head = "{\"timestamp\":1,\"node_id\":\"size\",\"features\":[],\"confidence\":1";
    memset(json, ' ', sizeof json);
    memcpy(json, head, strlen(head));
    json[99] = '}';
    CHECK_OK(simledger_append_json(small, json, 100, NULL, &error));
    json[99] = ' ';
    json[100] = '}';
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "the entry has 101 bytes; the limit is 100",
                simledger_append_json(small, json, 101, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "entry_bytes_max",
                simledger_validate_json(small, json, 101, &error));
    CHECK_OK(simledger_validate_json(NULL, json, 101, &error)); /* the default limits */
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "the limit is 100",
                simledger_append_many_json(small, json, 101, NULL, NULL, &error));

    static const char extra[] =
        "{\"timestamp\":1,\"node_id\":\"n\",\"features\":[],\"confidence\":1,\"colour\":2}";
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "colour", "strict_fields",
                simledger_append_json(small, extra, NUL_TERMINATED, NULL, &error));
    CHECK_OK(simledger_validate_json(ledger, extra, NUL_TERMINATED, &error));
    /* A NUL is shown, and does not end the string. */
    CHECK_FAILS(
        SIMLEDGER_INVALID_ENTRY, "col\\0our", "col\\0our",
        simledger_append_json(small, "{\"col\\u0000our\":2}", NUL_TERMINATED, NULL, &error));
    close_ledger(small);
}

static void an_entry_has_at_most_16_mebibytes(void) {
    const size_t most = (size_t)16 << 20;
    const char *head = "{\"timestamp\":1,\"node_id\":\"size\",\"confidence\":1,\"features\":[\"";
    const char *tail = "\"]}";
    char *json = (char *)malloc(most + 1);
    memset(json, 'x', most + 1);
    memcpy(json, head, strlen(head));
    memcpy(json + most - strlen(tail), tail, strlen(tail));
    CHECK_OK(simledger_validate_json(ledger, json, most, &error));
    memset(json + most - strlen(tail), 'x', strlen(tail));
    memcpy(json + most + 1 - strlen(tail), tail, strlen(tail));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, NULL, "16777216",
                simledger_append_json(ledger, json, most + 1, NULL, &error));
    free(json);
}

static void a_node_has_at_most_1024_bytes(void) {
    char node[1026];
    memset(node, 'n', sizeof node);
    CHECK_OK(simledger_append(ledger, 1, node, 1024, "{}", 2, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "node_id", "1025 bytes",
                simledger_append(ledger, 1, node, 1025, "{}", 2, 1, NULL, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, "node_id", "the limit is 1024",
                simledger_append(ledger, 1, node, 1025, "{}", 2, 1, NULL, &error));
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_read_by_node(ledger, node, 1024, 1, &entries, &error));
    CHECK(simledger_entries_len(entries) == 1);
    simledger_entries_free(entries);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "node_id", "1025 bytes",
                simledger_read_by_node(ledger, node, 1025, 1, &entries, &error));
}

static void typed_arguments_are_checked_alike(void) {
    int64_t id = 77;
#define REFUSED(field, words, timestamp, node, features, confidence)                               \
    CHECK_FAILS(SIMLEDGER_INVALID_ENTRY, field, words,                                             \
                simledger_append(ledger, timestamp, node, NUL_TERMINATED, features,                \
                                 NUL_TERMINATED, confidence, &id, &error));                        \
    CHECK(id == 0)
    REFUSED("timestamp", "NaN", (double)NAN, "n", "{}", 1);
    REFUSED("timestamp", "inf", (double)INFINITY, "n", "{}", 1);
    REFUSED("timestamp", "-inf", -(double)INFINITY, "n", "{}", 1);
    REFUSED("confidence", "NaN", 1, "n", "{}", (double)NAN);
    REFUSED("confidence", "inf", 1, "n", "{}", (double)INFINITY);
    REFUSED("confidence", "-5", 1, "n", "{}", -5);
    REFUSED("confidence", "1.5", 1, "n", "{}", 1.5);
    REFUSED("node_id", "blank", 1, " \t", "{}", 1);
    REFUSED("features", "must be an object or an array", 1, "n", "1", 1);
    REFUSED("features", NULL, 1, "n", "{", 1);
    REFUSED("features", "the end", 1, "n", "{}{}", 1);
    REFUSED("features", "twice", 1, "n", "{\"a\":1,\"a\":2}", 1);
    REFUSED("features", "surrogate", 1, "n", "[\"\\ud800\"]", 1);
    REFUSED("features", "NaN", 1, "n", "[NaN]", 1);
#undef REFUSED
}

static void numbers_out_of_range_are_invalid_arguments(void) {
    simledger_entries *entries = NULL;
    simledger_entry *entry = NULL;
    int64_t deleted = 0;
#define REFUSED(field, call) CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, field, field, call)
    REFUSED("limit", simledger_poll_since(ledger, 0, 0, &entries, &error));
    REFUSED("limit", simledger_read_by_node(ledger, "n", 1, 0, &entries, &error));
    REFUSED("last_seen_id", simledger_poll_since(ledger, -1, 1, &entries, &error));
    REFUSED("last_seen_id", simledger_poll_since(ledger, INT64_MIN, 1, &entries, &error));
    REFUSED("id", simledger_get_by_id(ledger, 0, &entry, &error));
    REFUSED("id", simledger_get_by_id(ledger, -1, &entry, &error));
    REFUSED("id", simledger_get_by_id(ledger, INT64_MIN, &entry, &error));
    REFUSED("node_id", simledger_read_by_node(ledger, "\t ", 2, 1, &entries, &error));
    REFUSED("id", simledger_cleanup_before_id(ledger, 0, &deleted, &error));
    REFUSED("id", simledger_cleanup_before_id(ledger, INT64_MIN, &deleted, &error));
    REFUSED("timestamp", simledger_cleanup_before_timestamp(ledger, (double)NAN, &deleted, &error));
    REFUSED("timestamp",
            simledger_cleanup_before_timestamp(ledger, (double)INFINITY, &deleted, &error));
    const double ages[] = {0, -0.0, -1, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
        REFUSED("max_age_seconds", simledger_cleanup(ledger, ages[i], &deleted, &error));
    }
#undef REFUSED
    /* Any huge limit means all. */
    const size_t huge[] = {SIMLEDGER_NO_LIMIT, SIZE_MAX - 1, (size_t)INT64_MAX + 1,
                           (size_t)INT64_MAX};
    const int64_t count = count_of(ledger);
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        CHECK_OK(simledger_poll_since(ledger, 0, huge[i], &entries, &error));
        CHECK((int64_t)simledger_entries_len(entries) == count);
        simledger_entries_free(entries);
    }
    CHECK_OK(simledger_poll_since(ledger, INT64_MAX, 1, &entries, &error));
    CHECK(simledger_entries_len(entries) == 0 && simledger_entries_position(entries) == INT64_MAX);
    simledger_entries_free(entries);
}

/* Everything that is not refused comes out as it went in. */
static void extreme_values_are_kept(void) {
    simledger_ledger *other = open_in_memory();
    static const double TIMESTAMPS[] = {0,       -1,  DBL_MAX, -DBL_MAX,
                                        DBL_MIN, 0.1, 1e-320,  1753600000.123456};
    static const double CONFIDENCES[] = {0, 1, 0.1, DBL_MIN, 0.9999999999999999, 0.5, 1e-320, 0.3};
    for (int i = 0; i < 8; i++) {
        CHECK_OK(simledger_append(other, TIMESTAMPS[i], "n", 1,
                                  "{\"n\":1e999999,\"d\":0.10000000000000000001}", NUL_TERMINATED,
                                  CONFIDENCES[i], NULL, &error));
    }
    simledger_entries *all = read_all(other);
    for (size_t i = 0; i < 8; i++) {
        const simledger_entry *entry = simledger_entries_get(all, i);
        CHECK(simledger_entry_timestamp(entry) == TIMESTAMPS[i]);
        CHECK(simledger_entry_confidence(entry) == CONFIDENCES[i]);
        CHECK_TEXT(simledger_entry_features_json(entry, NULL),
                   "{\"n\":1e999999,\"d\":0.10000000000000000001}");
    }
    simledger_entries_free(all);
    close_ledger(other);
}

static void a_result_is_json_in_a_fixed_form(void) {
    simledger_ledger *other = open_in_memory();
    simledger_entries *entries = read_all(other);
    size_t len = 77;
    CHECK_TEXT(simledger_entries_json(entries, &len), "[]");
    CHECK(len == 2);
    simledger_entries_free(entries);

    static const char *const IN[] = {
        " { \"confidence\" : 1e0 , \"features\" : { \"b\" : [ 1.0 , 2e5 ] , \"a\" : null } ,\n"
        "\"node_id\" : \"n\\u0041\\\"\\\\\" , \"timestamp\" : 1.50 , \"other\" : 0 } ",
        "{\"timestamp\":1753600000.1,\"node_id\":\"\\ud83d\\ude00\",\"features\":[],\"confidence\":"
        "0.30}",
        "{\"timestamp\":1e21,\"node_id\":\"n\",\"features\":{},\"confidence\":0}",
    };
    for (int i = 0; i < 3; i++) {
        CHECK_OK(simledger_append_json(other, IN[i], NUL_TERMINATED, NULL, &error));
    }
    entries = read_all(other);
    const char *json = simledger_entries_json(entries, &len);
    CHECK(strlen(json) == len);
    /* Numbers of ours in the shortest form that reads back; those in features digit for digit. */
    static const char FIRST[] =
        "[{\"id\":1,\"timestamp\":1.5,\"node_id\":\"nA\\\"\\\\\",\"features\":"
        "{\"b\":[1.0,2e5],\"a\":null},\"confidence\":1";
    CHECK(strncmp(json, FIRST, strlen(FIRST)) == 0);
    CHECK(strstr(json, "{\"id\":2,\"timestamp\":1753600000.1,\"node_id\":\"\xf0\x9f\x98\x80\","
                       "\"features\":[],\"confidence\":0.3}") != NULL);
    const char *third = strstr(json, "{\"id\":3,\"timestamp\":");
    CHECK(third != NULL && strtod(third + strlen("{\"id\":3,\"timestamp\":"), NULL) == 1e21);
    CHECK(strcmp(json + len - 2, "}]") == 0);
    simledger_entries_free(entries);

    /* What came out is what append takes: a round trip changes nothing. */
    simledger_ledger *copy = open_in_memory();
    entries = read_all(other);
    json = simledger_entries_json(entries, &len);
    size_t count = 0;
    CHECK_OK(simledger_append_many_json(copy, json, len, NULL, &count, &error));
    CHECK(count == 3);
    simledger_entries *copied = read_all(copy);
    CHECK_TEXT(simledger_entries_json(copied, NULL), json);
    simledger_entries_free(copied);
    simledger_entries_free(entries);
    close_ledger(copy);
    close_ledger(other);
}

#define GOOD(timestamp)                                                                            \
    "{\"timestamp\":" #timestamp ",\"node_id\":\"batch\",\"features\":{},\"confidence\":1}"
#define BAD "{\"timestamp\":9,\"node_id\":\"batch\",\"features\":{},\"confidence\":2}"

static void check_batch(simledger_ledger *other, const char *json, int64_t first, size_t added) {
    int64_t first_id = 77;
    size_t count = 77;
    CHECK_OK(simledger_append_many_json(other, json, NUL_TERMINATED, &first_id, &count, &error));
    CHECK(first_id == first && count == added);
}

static void a_batch_is_an_array_or_lines(void) {
    simledger_ledger *other = open_in_memory();
    check_batch(other, "[" GOOD(1) "," GOOD(2) "]", 1, 2);
    check_batch(other, " [ " GOOD(3) " , \n" GOOD(4) " ] \n", 3, 2);
    check_batch(other, GOOD(5) "\n" GOOD(6), 5, 2);
    check_batch(other, "\n\r\n" GOOD(7) "\r\n\n  " GOOD(8) " \n\n", 7, 2);
    check_batch(other, GOOD(9), 9, 1);
    check_batch(other, "[]", 0, 0);
    check_batch(other, "\n \n", 0, 0);
    CHECK(count_of(other) == 9);
    close_ledger(other);
}

static void check_batch_refused(simledger_ledger *other, const char *json, size_t index,
                                simledger_status expected, const char *words) {
    int64_t first_id = 77;
    size_t count = 77;
    simledger_error *error = GARBAGE_POINTER(simledger_error);
    const simledger_status status =
        simledger_append_many_json(other, json, NUL_TERMINATED, &first_id, &count, &error);
    check_status(__FILE__, __LINE__, json, status, expected, error);
    check_error(__FILE__, __LINE__, json, error, expected, NULL, words);
    CHECK(simledger_error_index(error) == index);
    CHECK(first_id == 0 && count == 0);
    simledger_error_free(error);
    CHECK(count_of(other) == 1);
}

static void one_bad_entry_refuses_its_batch_by_index(void) {
    simledger_ledger *other = open_in_memory();
    check_batch(other, GOOD(100), 1, 1);
    const simledger_status invalid = SIMLEDGER_INVALID_ENTRY;
    check_batch_refused(other, "[" BAD "]", 0, invalid, "entry 0");
    check_batch_refused(other, "[" GOOD(1) "," GOOD(2) "," BAD "," GOOD(3) "]", 2, invalid,
                        "entry 2");
    check_batch_refused(other, GOOD(1) "\n" BAD "\n" GOOD(2), 1, invalid, "entry 1");
    check_batch_refused(other, "\n\n" GOOD(1) "\n\n" BAD, 1, invalid,
                        "confidence is 2"); /* blanks do not count */
    check_batch_refused(other, "[" GOOD(1) ",7]", 1, invalid, "a number; it must be an object");
    check_batch_refused(other, "[" GOOD(1) ",]", 1, invalid, NULL);
    check_batch_refused(other, "[" GOOD(1) " " GOOD(2) "]", 0, invalid, NULL);
    check_batch_refused(other, "[" GOOD(1), 0, invalid, NULL);
    check_batch_refused(other, GOOD(1) " " GOOD(2), 0, invalid, "one entry on each line");
    check_batch_refused(other, GOOD(1) "," GOOD(2), 0, invalid, NULL);
    check_batch_refused(other, "[" GOOD(1) "]" GOOD(2), SIMLEDGER_NO_INDEX, invalid, NULL);
    check_batch_refused(other, "[" GOOD(1) "," GOOD(100) "]", 1, SIMLEDGER_DUPLICATE, "100");
    check_batch_refused(other, GOOD(1) "\n" GOOD(2) "\n" GOOD(1), 2, SIMLEDGER_DUPLICATE, NULL);
    /* Nothing of all that used an id up. */
    check_batch(other, GOOD(2), 2, 1);
    close_ledger(other);
}

static void validating_writes_nothing(void) {
    const int64_t before = count_of(ledger);
    CHECK_OK(simledger_validate_json(ledger, GOOD(1), NUL_TERMINATED, &error));
    CHECK_OK(simledger_validate_json(ledger, GOOD(1), NUL_TERMINATED, &error));
    CHECK(count_of(ledger) == before);
}

/* Position, gap and order as C sees them. */
static void polls_go_on_from_their_position(void) {
    simledger_ledger *other = open_in_memory();
    for (int i = 1; i <= 5; i++)
        append(other, 10 - i, i % 2 ? "odd" : "even");
    simledger_entries *entries = NULL;
    int64_t position = 0;
    for (int expected = 1; expected <= 5; expected += 2) {
        CHECK_OK(simledger_poll_since(other, position, 2, &entries, &error));
        CHECK(simledger_entries_len(entries) == (expected < 5 ? 2u : 1u));
        CHECK(simledger_entry_id(simledger_entries_get(entries, 0)) == expected);
        CHECK(simledger_entries_gap_before(entries) == 0);
        CHECK(simledger_entries_position(entries) >= position);
        position = simledger_entries_position(entries);
        simledger_entries_free(entries);
    }
    CHECK(position == 5);
    CHECK_OK(simledger_poll_since(other, position, 2, &entries, &error));
    CHECK(simledger_entries_len(entries) == 0 && simledger_entries_position(entries) == 5);
    simledger_entries_free(entries);

    CHECK_OK(simledger_read_by_node(other, "odd", 3, SIMLEDGER_NO_LIMIT, &entries, &error));
    CHECK(simledger_entries_len(entries) == 3);
    CHECK(simledger_entry_timestamp(simledger_entries_get(entries, 0)) == 9); /* newest first */
    CHECK(simledger_entry_timestamp(simledger_entries_get(entries, 2)) == 5);
    CHECK(simledger_entries_position(entries) == 5);
    simledger_entries_free(entries);

    int64_t number = 0;
    CHECK_OK(simledger_cleanup_before_id(other, 3, &number, &error));
    CHECK(number == 2);
    CHECK_OK(simledger_first_id(other, &number, &error));
    CHECK(number == 3);
    CHECK_OK(simledger_poll_since(other, 0, 1, &entries, &error));
    CHECK(simledger_entries_gap_before(entries) == 2);
    CHECK(simledger_entry_id(simledger_entries_get(entries, 0)) == 3);
    simledger_entries_free(entries);
    CHECK_OK(simledger_poll_since(other, 2, 1, &entries, &error));
    CHECK(simledger_entries_gap_before(entries) == 0);
    simledger_entries_free(entries);
    CHECK_OK(simledger_cleanup_before_timestamp(other, 1e9, &number, &error));
    CHECK(number == 3);
    CHECK_OK(simledger_first_id(other, &number, &error));
    CHECK(number == 0);
    CHECK_OK(simledger_last_id(other, &number, &error));
    CHECK(number == 5);
    CHECK(append(other, 1, "n") == 6);
    close_ledger(other);
}

int main(void) {
    ledger = open_in_memory();
    values_that_no_field_has_are_refused_by_name();
    texts_that_are_no_entry_are_refused();
    an_entry_cut_anywhere_is_refused();
    typed_arguments_are_checked_alike();
    CHECK(count_of(ledger) == 0);
    depth_has_a_limit();
    depth_and_size_can_be_configured();
    an_entry_has_at_most_16_mebibytes();
    a_node_has_at_most_1024_bytes();
    CHECK(count_of(ledger) == 2);
    numbers_out_of_range_are_invalid_arguments();
    extreme_values_are_kept();
    a_result_is_json_in_a_fixed_form();
    a_batch_is_an_array_or_lines();
    one_bad_entry_refuses_its_batch_by_index();
    validating_writes_nothing();
    polls_go_on_from_their_position();
    close_ledger(ledger);
    return 0;
}
