/* Error objects and statuses. CHECK_OK and CHECK_FAILS begin with an address in `error` that is
 * none, so that every call of every test also shows that it is overwritten and never read. */
#include "check.h"
#include <fcntl.h>

static void every_status_has_a_name_and_a_description(void) {
    static const struct {
        simledger_status status;
        int number;
        const char *name;
    } ALL[] = {
        {SIMLEDGER_OK, 0, "OK"},
        {SIMLEDGER_NOT_FOUND, 1, "NOT_FOUND"},
        {SIMLEDGER_TIMEOUT, 2, "TIMEOUT"},
        {SIMLEDGER_INVALID_ARGUMENT, 3, "INVALID_ARGUMENT"},
        {SIMLEDGER_INVALID_CONFIG, 4, "INVALID_CONFIG"},
        {SIMLEDGER_INVALID_ENTRY, 5, "INVALID_ENTRY"},
        {SIMLEDGER_DUPLICATE, 6, "DUPLICATE"},
        {SIMLEDGER_CONFLICT, 7, "CONFLICT"},
        {SIMLEDGER_BUSY, 8, "BUSY"},
        {SIMLEDGER_INTERRUPTED, 9, "INTERRUPTED"},
        {SIMLEDGER_READ_ONLY, 10, "READ_ONLY"},
        {SIMLEDGER_NO_SPACE, 11, "NO_SPACE"},
        {SIMLEDGER_IO, 12, "IO"},
        {SIMLEDGER_CORRUPT, 13, "CORRUPT"},
        {SIMLEDGER_INCOMPATIBLE, 14, "INCOMPATIBLE"},
        {SIMLEDGER_CLOSED, 15, "CLOSED"},
        {SIMLEDGER_LIMIT_EXCEEDED, 16, "LIMIT_EXCEEDED"},
        {SIMLEDGER_WRONG_THREAD, 17, "WRONG_THREAD"},
        {SIMLEDGER_UNSUPPORTED, 18, "UNSUPPORTED"},
        {SIMLEDGER_OUT_OF_MEMORY, 19, "OUT_OF_MEMORY"},
        {SIMLEDGER_INTERNAL, 20, "INTERNAL"},
    };
    const int count = (int)(sizeof ALL / sizeof *ALL);
    for (int i = 0; i < count; i++) {
        CHECK(ALL[i].number == i && ALL[i].status == i);
        CHECK_TEXT(simledger_status_name(ALL[i].status), ALL[i].name);
        const char *description = simledger_status_description(ALL[i].status);
        CHECK(strlen(description) > 4 && description[strlen(description) - 1] == '.');
        for (int j = 0; j < i; j++) {
            CHECK(strcmp(description, simledger_status_description(ALL[j].status)) != 0);
        }
    }
    const simledger_status unknown[] = {count, -1, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_TEXT(simledger_status_name(unknown[i]), "UNKNOWN");
        CHECK_TEXT(simledger_status_description(unknown[i]), "This is no status of simledger.");
    }
}

static void accessors_of_no_error_give_nothing(void) {
    CHECK(simledger_error_status(NULL) == SIMLEDGER_OK);
    CHECK_TEXT(simledger_error_message(NULL), "");
    CHECK_TEXT(simledger_error_field(NULL), "");
    CHECK(simledger_error_index(NULL) == SIMLEDGER_NO_INDEX);
    CHECK(simledger_error_entry_id(NULL) == 0);
    CHECK(simledger_error_work_done(NULL) == 0);
    CHECK(simledger_error_sqlite_code(NULL) == 0);
    CHECK(!simledger_error_retryable(NULL));
    simledger_error_free(NULL);
}

/* What comes with an error of this status besides status, message and field. */
static void check_parts(const simledger_error *error, size_t index, int64_t entry_id,
                        int32_t sqlite_code, bool retryable) {
    CHECK(simledger_error_index(error) == index);
    CHECK(simledger_error_entry_id(error) == entry_id);
    CHECK(simledger_error_work_done(error) == 0);
    CHECK(simledger_error_sqlite_code(error) == sqlite_code);
    CHECK(simledger_error_retryable(error) == retryable);
}

static void an_error_has_what_its_cause_knows(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "other");
    const int64_t first = append(ledger, 1, "node-7");
    simledger_error *error = NULL;

    simledger_status status = simledger_append(ledger, 1, "node-7", 6, "{}", 2, 0.5, NULL, &error);
    CHECK(status == SIMLEDGER_DUPLICATE && simledger_error_status(error) == status);
    CHECK(strstr(simledger_error_message(error), "node-7") != NULL);
    CHECK(strstr(simledger_error_message(error), "unique") != NULL); /* both ways out */
    CHECK(strstr(simledger_error_message(error), "on_duplicate") != NULL);
    CHECK(simledger_error_index(error) == SIMLEDGER_NO_INDEX || simledger_error_index(error) == 0);
    CHECK(simledger_error_entry_id(error) == first);
    CHECK(!simledger_error_retryable(error));
    simledger_error_free(error);

    static const char batch[] =
        "{\"timestamp\":5,\"node_id\":\"n\",\"features\":{},\"confidence\":1}\n"
        "{\"timestamp\":1,\"node_id\":\"node-7\",\"features\":{},\"confidence\":1}\n";
    status = simledger_append_many_json(ledger, batch, NUL_TERMINATED, NULL, NULL, &error);
    CHECK(status == SIMLEDGER_DUPLICATE && simledger_error_status(error) == status);
    CHECK(simledger_error_index(error) == 1);
    CHECK(simledger_error_entry_id(error) == first);
    simledger_error_free(error);

    status = simledger_append_json(ledger, "{}", 2, NULL, &error);
    CHECK(status == SIMLEDGER_INVALID_ENTRY && simledger_error_status(error) == status);
    CHECK_TEXT(simledger_error_field(error), "timestamp");
    check_parts(error, SIMLEDGER_NO_INDEX, 0, 0, false);
    simledger_error_free(error);

    simledger_entries *entries = NULL;
    status = simledger_poll_since(ledger, -5, 1, &entries, &error);
    CHECK(status == SIMLEDGER_INVALID_ARGUMENT && simledger_error_status(error) == status);
    CHECK_TEXT(simledger_error_field(error), "last_seen_id");
    CHECK(strstr(simledger_error_message(error), "-5") != NULL);
    check_parts(error, SIMLEDGER_NO_INDEX, 0, 0, false);
    simledger_error_free(error);
    close_ledger(ledger);

    CHECK(simledger_close(ledger, &error) == SIMLEDGER_CLOSED);
    CHECK_TEXT(simledger_error_field(error), "");
    check_parts(error, SIMLEDGER_NO_INDEX, 0, 0, false);
    simledger_error_free(error);
}

/* Errors that SQLite has a part in carry its extended code, and BUSY says that a retry may help. */
static void sqlite_and_retries_are_named(void) {
    static const char garbage[] =
        "This is no database, and it is longer than a hundred bytes, which is "
        "what SQLite wants to see before it says so. It says so.";
    write_file("garbage.db", garbage, sizeof garbage);
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    simledger_error *error = NULL;
    simledger_status status = simledger_open_path("garbage.db", NUL_TERMINATED, &ledger, &error);
    CHECK(status == SIMLEDGER_INCOMPATIBLE && ledger == NULL);
    CHECK(simledger_error_sqlite_code(error) == 26); /* SQLITE_NOTADB */
    CHECK(!simledger_error_retryable(error));
    simledger_error_free(error);

    ledger =
        open_with("locked.db", "journal_mode", "DELETE", "timeout", "0", "commit", "sqlite", END);
    append(ledger, 1, "n");
    /* As another process does that writes: with SQLite's lock byte "reserved". */
    const int file = open("locked.db", O_RDWR);
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_start = 0x40000001;
    lock.l_len = 1;
    CHECK(file >= 0 && fcntl(file, F_OFD_SETLK, &lock) == 0);
    status = simledger_append(ledger, 2, "n", 1, "{}", 2, 1, NULL, &error);
    CHECK(status == SIMLEDGER_BUSY && simledger_error_sqlite_code(error) == 5); /* SQLITE_BUSY */
    CHECK(simledger_error_retryable(error));
    simledger_error_free(error);
    close(file);
    CHECK(append(ledger, 2, "n") == 2);
    close_ledger(ledger);
}

/* Two errors at once are two objects: there is no "last error". */
static void errors_are_independent(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_entries *entries = NULL;
    simledger_error *first = NULL, *second = NULL;
    CHECK(simledger_poll_since(ledger, -1, 1, &entries, &first) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_poll_since(ledger, 0, 0, &entries, &second) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(first != second);
    close_ledger(ledger);
    CHECK_TEXT(simledger_error_field(second), "limit");
    simledger_error_free(second);
    CHECK_TEXT(simledger_error_field(first), "last_seen_id");
    simledger_error_free(first);
}

static void outcomes_come_without_an_error(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_entry *entry = GARBAGE_POINTER(simledger_entry);
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_get_by_id(ledger, 1, &entry, &error));
    CHECK(entry == NULL);
    entry = GARBAGE_POINTER(simledger_entry);
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_get_by_id(ledger, INT64_MAX, &entry, &error));
    CHECK(entry == NULL);
    CHECK(simledger_get_by_id(ledger, 1, &entry, NULL) == SIMLEDGER_NOT_FOUND);
    close_ledger(ledger);
}

/* Results hold nothing after a failure, wherever in the call it came about. */
static void a_failed_call_leaves_nothing_in_its_results(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "node-7");
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    simledger_entry *entry = GARBAGE_POINTER(simledger_entry);
    int64_t number = 77;
    size_t count = 77;
#define CHECK_NULLED(result, call)                                                                 \
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, NULL, NULL, call);                                     \
    CHECK(result == NULL)
#define CHECK_ZEROED(status, call)                                                                 \
    number = 77;                                                                                   \
    CHECK_FAILS(status, NULL, NULL, call);                                                         \
    CHECK(number == 0)
    CHECK_NULLED(entries, simledger_poll_since(ledger, -1, 1, &entries, &error));
    entries = GARBAGE_POINTER(simledger_entries);
    CHECK_NULLED(entries, simledger_poll_since(ledger, 0, 0, &entries, &error));
    entries = GARBAGE_POINTER(simledger_entries);
    CHECK_NULLED(entries, simledger_read_by_node(ledger, " ", 1, 1, &entries, &error));
    entries = GARBAGE_POINTER(simledger_entries);
    CHECK_NULLED(entries, simledger_read_by_node(ledger, "n", 1, 0, &entries, &error));
    CHECK_NULLED(entry, simledger_get_by_id(ledger, 0, &entry, &error));
    CHECK_ZEROED(SIMLEDGER_DUPLICATE,
                 simledger_append(ledger, 1, "node-7", 6, "{}", 2, 0.5, &number, &error));
    CHECK_ZEROED(SIMLEDGER_INVALID_ENTRY, simledger_append_json(ledger, "{", 1, &number, &error));
    CHECK_ZEROED(SIMLEDGER_INVALID_ENTRY,
                 simledger_append_many_json(ledger, "[1]", 3, &number, &count, &error));
    CHECK(count == 0);
    CHECK_ZEROED(SIMLEDGER_INVALID_ARGUMENT, simledger_cleanup(ledger, 0, &number, &error));
    CHECK_ZEROED(SIMLEDGER_INVALID_ARGUMENT,
                 simledger_cleanup_before_id(ledger, 0, &number, &error));
#undef CHECK_NULLED
#undef CHECK_ZEROED
    close_ledger(ledger);
}

/* NULL for `error` is fine, on success and on every kind of failure. */
static void nobody_has_to_ask_for_the_error(void) {
    simledger_ledger *ledger = NULL;
    CHECK(simledger_open_path(":memory:", NUL_TERMINATED, &ledger, NULL) == SIMLEDGER_OK);
    CHECK(simledger_append_json(ledger, "{", 1, NULL, NULL) == SIMLEDGER_INVALID_ENTRY);
    CHECK(simledger_append(ledger, 1, "n", 1, "{}", 2, 1, NULL, NULL) == SIMLEDGER_OK);
    CHECK(simledger_append(ledger, 1, "n", 1, "{}", 2, 1, NULL, NULL) == SIMLEDGER_DUPLICATE);
    CHECK(simledger_cleanup(ledger, -1, NULL, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_OK);
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
    CHECK(simledger_shutdown(NULL) == SIMLEDGER_OK);
}

int main(void) {
    every_status_has_a_name_and_a_description();
    accessors_of_no_error_give_nothing();
    an_error_has_what_its_cause_knows();
    sqlite_and_retries_are_named();
    errors_are_independent();
    outcomes_come_without_an_error();
    a_failed_call_leaves_nothing_in_its_results();
    nobody_has_to_ask_for_the_error();
    return 0;
}
