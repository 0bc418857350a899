/* Every function of the library, each called as it is meant to be, by groups of what belongs
 * together: for tests that call all of them in odd circumstances. tests/header.rs sees that none is
 * left out. */
#ifndef TESTS_C_ALL_CALLS_H
#define TESTS_C_ALL_CALLS_H

#include "check.h"
#include <poll.h>

/* Who calls. */
typedef struct {
    simledger_ledger *ledger;
    /* Of no other caller, so that no two append the same entry. */
    int number;
    /* How often this one has called. */
    int turn;
    /* Others close the ledger meanwhile, or interrupt its calls. */
    bool may_be_closed, may_be_interrupted;
    /* The ledger is used by nobody else. */
    bool is_alone;
} Caller;

/* A call ends well, or as others can make it end. */
#define CALL(call)                                                                                 \
    do {                                                                                           \
        simledger_error *error = GARBAGE_POINTER(simledger_error);                                 \
        const simledger_status status = (call);                                                    \
        check_end(caller, __FILE__, __LINE__, #call, status, error);                               \
    } while (0)

/* The same of a function that is given nothing that is the ledger's: it ends well. */
#define CALL_ALONE(call) CHECK_STATUS(SIMLEDGER_OK, call)

static inline void check_end(const Caller *caller, const char *file, int line, const char *call,
                             simledger_status status, simledger_error *error) {
    const bool by_others = (status == SIMLEDGER_CLOSED && caller->may_be_closed) ||
                           (status == SIMLEDGER_INTERRUPTED && caller->may_be_interrupted);
    if (!by_others && status != SIMLEDGER_NOT_FOUND && status != SIMLEDGER_TIMEOUT)
        check_status(file, line, call, status, SIMLEDGER_OK, error);
    if (by_others)
        check_error(file, line, call, error, status, NULL, NULL);
    else
        CHECK(error == NULL);
    simledger_error_free(error);
}

/* So many times as much in a long run. */
static inline int longer(int amount) {
    const char *times_as_long = getenv("LEDGER_THREADS_ROUNDS");
    return times_as_long != NULL ? amount * atoi(times_as_long) : amount;
}

/* A timestamp that nobody else has. */
static inline double new_timestamp(Caller *caller) {
    return (double)caller->number * 1e6 + caller->turn++;
}

static inline void call_append(Caller *caller) {
    int64_t id = 0;
    CALL(simledger_append(caller->ledger, new_timestamp(caller), "caller", NUL_TERMINATED,
                          "{\"a\":[1,2.5],\"b\":{\"c\":\"\\u00e9\"},\"d\":true}", NUL_TERMINATED,
                          0.5, &id, &error));
}

static inline void call_append_json(Caller *caller) {
    char json[200];
    int64_t id = 0;
    size_t count = 0;
    snprintf(json, sizeof json,
             "{\"timestamp\":%.1f,\"node_id\":\"caller\",\"features\":{\"a\":[ 1 , 2 ]},"
             "\"confidence\":0.25}",
             new_timestamp(caller));
    CALL(simledger_validate_json(caller->ledger, json, NUL_TERMINATED, &error));
    CALL(simledger_append_json(caller->ledger, json, NUL_TERMINATED, &id, &error));
    const double first = new_timestamp(caller), second = new_timestamp(caller);
    char batch[400];
    snprintf(batch, sizeof batch,
             "[{\"timestamp\":%.1f,\"node_id\":\"caller\",\"features\":{},\"confidence\":1},\n"
             "{\"timestamp\":%.1f,\"node_id\":\"caller\",\"features\":[1],\"confidence\":0}]",
             first, second);
    CALL(simledger_append_many_json(caller->ledger, batch, NUL_TERMINATED, &id, &count, &error));
    CHECK(count == 2 || count == 0);
}

static inline void call_transaction(Caller *caller) {
    simledger_transaction *transaction = NULL;
    int64_t id = 0;
    size_t index = 0, count = 0;
    CALL(simledger_transaction_begin(caller->ledger, &transaction, &error));
    if (transaction == NULL)
        return;
    CALL(simledger_transaction_append(transaction, new_timestamp(caller), "caller", 6, "{}", 2, 1,
                                      &index, &error));
    char json[200];
    snprintf(json, sizeof json,
             "{\"timestamp\":%.1f,\"node_id\":\"caller\",\"features\":{},\"confidence\":1}",
             new_timestamp(caller));
    CALL(simledger_transaction_append_json(transaction, json, NUL_TERMINATED, &index, &error));
    CHECK(simledger_transaction_len(transaction) <= 2);
    if (caller->is_alone) {
        CALL(simledger_last_id(caller->ledger, &id, &error));
        CALL(simledger_transaction_expect_last_id(transaction, id, &error));
    }
    CALL(simledger_transaction_commit(transaction, &id, &count, &error));
    simledger_transaction_free(transaction);
}

static inline void call_on_entry(const simledger_entry *borrowed) {
    simledger_entry *entry = simledger_entry_retain(borrowed);
    CHECK(simledger_entry_id(entry) > 0);
    CHECK(simledger_entry_timestamp(entry) >= 0 && simledger_entry_confidence(entry) >= 0);
    CHECK(simledger_entry_created_at(entry) > 1e9);
    size_t len = 0;
    CHECK(strlen(simledger_entry_node_id(entry, &len)) == len);
    CHECK(strlen(simledger_entry_features_json(entry, &len)) == len);
    int32_t type = 0;
    CALL_ALONE(simledger_entry_feature_type(entry, "", 0, &type, &error));
    simledger_entry_free(entry);
}

/* Of an entry with the features of call_append. */
static inline void call_features_of(const simledger_entry *entry) {
    double number = 0, numbers[2];
    int64_t integer = 0;
    bool boolean = false;
    size_t len = 0;
    char *text = NULL;
    CALL_ALONE(simledger_entry_feature_number(entry, "/a/1", 4, &number, &error));
    CALL_ALONE(simledger_entry_feature_integer(entry, "/a/0", 4, &integer, &error));
    CALL_ALONE(simledger_entry_feature_boolean(entry, "/d", 2, &boolean, &error));
    CALL_ALONE(simledger_entry_feature_array_len(entry, "/a", 2, &len, &error));
    CALL_ALONE(simledger_entry_feature_numbers(entry, "/a", 2, numbers, 2, &len, &error));
    CHECK(number == 2.5 && integer == 1 && boolean && len == 2 && numbers[1] == 2.5);
    CALL_ALONE(simledger_entry_feature_text(entry, "/b/c", 4, &text, NULL, &error));
    CHECK_TEXT(text, "\xc3\xa9");
    simledger_string_free(text);
    CALL_ALONE(simledger_entry_feature_json(entry, "/b", 2, &text, &len, &error));
    CHECK(strlen(text) == len);
    simledger_string_free(text);
}

static inline void call_on_entries(simledger_entries *entries) {
    const size_t len = simledger_entries_len(entries);
    CHECK(simledger_entries_position(entries) >= 0 && simledger_entries_gap_before(entries) >= 0);
    if (len > 0)
        call_on_entry(simledger_entries_get(entries, len - 1));
    for (size_t i = 0; i < len && i < 20; i++) {
        const simledger_entry *entry = simledger_entries_get(entries, i);
        if (strstr(simledger_entry_features_json(entry, NULL), "\"d\":true") != NULL)
            call_features_of(entry);
    }
    size_t json_len = 0;
    CHECK(entries == NULL || simledger_entries_json(entries, &json_len) != NULL);
    if (entries != NULL) {
        simledger_entry_view views[4];
        simledger_columns columns;
        size_t filled = 0;
        for (size_t i = 0; i < 4; i++)
            views[i].struct_size = sizeof *views;
        columns.struct_size = sizeof columns;
        CALL_ALONE(simledger_entries_views(entries, 0, views, 4, &filled, &error));
        CHECK(filled == (len < 4 ? len : 4));
        if (simledger_entries_chunk_count(entries) > 0) {
            CALL_ALONE(simledger_entries_columns(entries, 0, &columns, &error));
            CHECK(columns.len > 0 && columns.len <= len);
        }
    }
    simledger_entries_free(entries);
}

static inline void call_reads(Caller *caller) {
    simledger_entries *entries = NULL;
    simledger_entry *entry = NULL;
    int64_t number = 0, last = 0;
    CALL(simledger_last_id(caller->ledger, &last, &error));
    CALL(simledger_first_id(caller->ledger, &number, &error));
    CALL(simledger_count(caller->ledger, &number, &error));
    CALL(simledger_poll_since(caller->ledger, last > 9 ? last - 9 : 0, 7, &entries, &error));
    call_on_entries(entries);
    CALL(simledger_read_by_node(caller->ledger, "caller", 6, 5, &entries, &error));
    call_on_entries(entries);
    CALL(simledger_get_by_id(caller->ledger, last > 0 ? last : 1, &entry, &error));
    if (entry != NULL)
        call_on_entry(entry);
    simledger_entry_free(entry);
}

static inline void call_read_all(Caller *caller) {
    simledger_entries *entries = NULL;
    CALL(simledger_read_all(caller->ledger, &entries, &error));
    call_on_entries(entries);
}

static inline simledger_query *new_query(void) {
    simledger_query *query = simledger_query_new();
    CALL_ALONE(simledger_query_set_time_range(query, 0, 1e12, &error));
    CALL_ALONE(simledger_query_set_id_range(query, 1, INT64_MAX, &error));
    CALL_ALONE(simledger_query_add_node(query, "caller", 6, &error));
    CALL_ALONE(simledger_query_exclude_node(query, "nobody", 6, &error));
    CALL_ALONE(simledger_query_set_min_confidence(query, 0.25, &error));
    CALL_ALONE(simledger_query_set_limit(query, 5, &error));
    return query;
}

static inline void call_queries(Caller *caller) {
    static const int32_t ORDERS[] = {SIMLEDGER_ORDER_ID, SIMLEDGER_ORDER_ID_DESCENDING,
                                     SIMLEDGER_ORDER_TIME, SIMLEDGER_ORDER_TIME_DESCENDING};
    simledger_query *query = new_query();
    simledger_entries *entries = NULL;
    char *plan = NULL;
    CALL(simledger_query_poll(caller->ledger, query, 0, &entries, &error));
    call_on_entries(entries);
    for (int i = 0; i < 4; i++) {
        CALL_ALONE(simledger_query_set_order(query, ORDERS[i], &error));
        CALL(simledger_query_run(caller->ledger, query, &entries, &error));
        call_on_entries(entries);
        CALL(simledger_query_plan(caller->ledger, query, &plan, NULL, &error));
        simledger_string_free(plan);
    }
    CALL_ALONE(simledger_query_set_after(query, 1e11, INT64_MAX, &error));
    CALL(simledger_query_run(caller->ledger, query, &entries, &error));
    call_on_entries(entries);
    simledger_query_free(query);
}

static inline void call_sql(Caller *caller) {
    char *json = NULL;
    CALL(simledger_sql(caller->ledger,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
                       " SELECT node_id, count(*), (SELECT max(i) FROM n) FROM ledger"
                       " WHERE confidence >= ?1 AND features LIKE '%a%' GROUP BY node_id"
                       " ORDER BY 2 DESC, 1",
                       NUL_TERMINATED, "[0.1]", NUL_TERMINATED, 100, &json, NULL, &error));
    simledger_string_free(json);
}

/* The time-out of the second is what passes where nobody appends. */
static inline void call_wait(Caller *caller) {
    simledger_entries *entries = NULL;
    int64_t last = 0;
    simledger_query *query = new_query();
    CALL(simledger_wait_since(caller->ledger, 0, 3, 1, query, &entries, &error));
    call_on_entries(entries);
    CALL(simledger_last_id(caller->ledger, &last, &error));
    CALL(simledger_wait_since(caller->ledger, last, 3, 0.002, NULL, &entries, &error));
    simledger_entries_free(entries);
    simledger_query_free(query);
}

static inline void call_watch(Caller *caller) {
    simledger_watch *watch = NULL;
    simledger_entries *entries = NULL;
    struct pollfd readable;
    memset(&readable, 0, sizeof readable);
    readable.events = POLLIN;
    simledger_query *query = new_query();
    CALL(simledger_watch_open(caller->ledger, 0, query, &watch, &error));
    simledger_query_free(query);
    if (watch == NULL)
        return;
    CALL(simledger_watch_descriptor(watch, &readable.fd, &error));
    poll(&readable, 1, 1);
    CALL(simledger_watch_poll(watch, 4, &entries, &error));
    call_on_entries(entries);
    CALL(simledger_watch_close(watch, &error));
}

static inline void call_cleanup(Caller *caller) {
    int64_t deleted = 0;
    CALL(simledger_cleanup(caller->ledger, 1e9, &deleted, &error));
    CALL(simledger_cleanup_before_timestamp(caller->ledger, 1, &deleted, &error));
    int64_t last = 0;
    CALL(simledger_last_id(caller->ledger, &last, &error));
    CALL(
        simledger_cleanup_before_id(caller->ledger, last > 500 ? last - 500 : 1, &deleted, &error));
}

static inline void call_storage(Caller *caller) {
    CALL(simledger_flush(caller->ledger, &error));
    CALL(simledger_checkpoint(caller->ledger, &error));
    CALL(simledger_optimize(caller->ledger, &error));
    int64_t freed = 0;
    CALL(simledger_vacuum(caller->ledger, SIMLEDGER_VACUUM_INCREMENTAL, &freed, &error));
}

static inline void call_storage_anew(Caller *caller) {
    int64_t freed = 0;
    CALL(simledger_reindex(caller->ledger, &error));
    CALL(simledger_vacuum(caller->ledger, SIMLEDGER_VACUUM_FULL, &freed, &error));
}

static inline int32_t go_on(double part, void *user_data) {
    (void)user_data;
    return !(part >= 0 && part <= 1);
}

static inline void call_integrity_check(Caller *caller) {
    char *findings = NULL;
    size_t count = 0;
    CALL(simledger_integrity_check(caller->ledger, 5, go_on, NULL, &findings, &count, &error));
    CHECK(count == 0);
    simledger_string_free(findings);
}

static inline void call_caches(Caller *caller) {
    double age = 0;
    CALL(simledger_cache_age(caller->ledger, &age, &error));
    CALL(simledger_invalidate_caches(caller->ledger, &error));
    CALL(simledger_release_connections(caller->ledger, &error));
}

static inline void call_options(Caller *caller) {
    char *value = NULL;
    CALL(simledger_option_set(caller->ledger, "entry_cache_size", NUL_TERMINATED, "16", 2, &error));
    CALL(simledger_option_get(caller->ledger, "entry_cache_size", NUL_TERMINATED, &value, NULL,
                              &error));
    simledger_string_free(value);
}

static inline void call_metrics(Caller *caller) {
    char *text = NULL;
    int32_t level = 0;
    double value = 0;
    CALL(simledger_metrics_json(caller->ledger, &text, NULL, &error));
    simledger_string_free(text);
    CALL(simledger_metrics_prometheus(caller->ledger, &text, NULL, &error));
    simledger_string_free(text);
    CALL(simledger_metric_get(caller->ledger, "latency_seconds.append.p99", NUL_TERMINATED, &value,
                              &error));
    CALL(simledger_log_next(caller->ledger, &level, &text, NULL, &error));
    simledger_string_free(text);
}

/* Ends the calls of others, too. */
static inline void call_interrupt(Caller *caller) {
    if (caller->may_be_interrupted)
        CALL(simledger_interrupt(caller->ledger, &error));
}

static inline void call_config(Caller *caller) {
    (void)caller;
    static const char YAML[] = "database:\n  timeout: 5 # seconds\n  retry_attempts: 3\n";
    char path[64];
    snprintf(path, sizeof path, "config-%d.yaml", caller->number);
    write_file(path, YAML, sizeof YAML - 1);
    simledger_config *config = simledger_config_new();
    char *value = NULL;
    CALL_ALONE(simledger_config_load_file(config, path, NUL_TERMINATED, &error));
    CALL_ALONE(simledger_config_load_environment(config, &error));
    CALL_ALONE(simledger_config_set(config, "max_connections", NUL_TERMINATED, "3", 1, &error));
    CALL_ALONE(simledger_config_get(config, "timeout", NUL_TERMINATED, &value, NULL, &error));
    CHECK_TEXT(value, "5");
    simledger_string_free(value);
    for (size_t i = 0; i < simledger_config_key_count(); i++) {
        CHECK(simledger_config_key_name(i)[0] != '\0' && simledger_config_key_doc(i)[0] != '\0');
        CHECK(simledger_config_key_default(i) != NULL && simledger_config_key_range(i) != NULL);
    }
    CALL_ALONE(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, NULL, NULL, NULL, &error));
    CALL_ALONE(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 10, &error));
    simledger_config_free(config);
}

static inline void call_features(Caller *caller) {
    (void)caller;
    static const double NUMBERS[] = {1, 2.5};
    static const int64_t INTEGERS[] = {1, INT64_MIN};
    simledger_features *features = simledger_features_new();
    CALL_ALONE(simledger_features_set_number(features, "a", 1, 1e-300, &error));
    CALL_ALONE(simledger_features_set_integer(features, "b", 1, INT64_MIN, &error));
    CALL_ALONE(simledger_features_set_boolean(features, "c", 1, true, &error));
    CALL_ALONE(simledger_features_set_text(features, "d", 1, "\"\n", 2, &error));
    CALL_ALONE(simledger_features_set_json(features, "e", 1, "[[{}]]", 6, &error));
    CALL_ALONE(simledger_features_set_numbers(features, "f", 1, NUMBERS, 2, &error));
    CALL_ALONE(simledger_features_set_integers(features, "g", 1, INTEGERS, 2, &error));
    size_t len = 0;
    CHECK(strlen(simledger_features_json(features, &len)) == len && len > 2);
    simledger_features_clear(features);
    CHECK_TEXT(simledger_features_json(features, NULL), "{}");
    simledger_features_free(features);
}

static inline void call_errors(Caller *caller) {
    simledger_error *error = NULL;
    simledger_entries *entries = NULL;
    const simledger_status status = simledger_poll_since(caller->ledger, -1, 1, &entries, &error);
    CHECK(status == SIMLEDGER_INVALID_ARGUMENT ||
          (status == SIMLEDGER_CLOSED && caller->may_be_closed));
    CHECK(simledger_error_status(error) == status && simledger_error_message(error)[0] != '\0');
    CHECK(simledger_error_field(error) != NULL && simledger_error_entry_id(error) == 0);
    CHECK(simledger_error_index(error) == SIMLEDGER_NO_INDEX);
    CHECK(simledger_error_work_done(error) == 0 && simledger_error_sqlite_code(error) == 0);
    CHECK(!simledger_error_retryable(error));
    CHECK_TEXT(simledger_status_name(status),
               status == SIMLEDGER_CLOSED ? "CLOSED" : "INVALID_ARGUMENT");
    CHECK(simledger_status_description(status)[0] != '\0');
    simledger_error_free(error);
    CHECK_TEXT(simledger_version(), SIMLEDGER_VERSION);
    CHECK(simledger_abi_version() == SIMLEDGER_ABI_VERSION);
    CHECK_TEXT(simledger_sqlite_version(), SIMLEDGER_SQLITE_VERSION);
}

/* Opens ledgers of its own, and closes them. */
static inline void call_open(Caller *caller) {
    char path[64];
    simledger_ledger *ledger = NULL;
    CALL_ALONE(simledger_open_path(":memory:", NUL_TERMINATED, &ledger, &error));
    CALL(simledger_close(ledger, &error));
    snprintf(path, sizeof path, "own-%d.db", caller->number);
    ledger = open_with(path, "retention_seconds", "1e9", "unique", "none", END);
    CALL(simledger_append(ledger, 1, "own", 3, "{}", 2, 1, NULL, &error));
    CALL(simledger_close(ledger, &error));
}

/* Of all ledgers of the process. */
static inline void call_shutdown(Caller *caller) {
    (void)caller;
    CALL_ALONE(simledger_shutdown(&error));
}

typedef struct {
    const char *name;
    void (*call)(Caller *caller);
} Group;

static const Group GROUPS[] = {
    {"append", call_append},
    {"append_json", call_append_json},
    {"transaction", call_transaction},
    {"read", call_reads},
    {"read_all", call_read_all},
    {"query", call_queries},
    {"sql", call_sql},
    {"wait", call_wait},
    {"watch", call_watch},
    {"cleanup", call_cleanup},
    {"storage", call_storage},
    {"storage_anew", call_storage_anew},
    {"integrity_check", call_integrity_check},
    {"caches", call_caches},
    {"options", call_options},
    {"metrics", call_metrics},
    {"interrupt", call_interrupt},
    {"config", call_config},
    {"features", call_features},
    {"error", call_errors},
    {"open", call_open},
};
enum { GROUPS_LEN = sizeof GROUPS / sizeof *GROUPS };

#endif
