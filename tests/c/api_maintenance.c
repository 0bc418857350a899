/* Maintenance, the integrity check with its progress, caches, retention and interruption. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static long size_of_file(const char *path) {
    struct stat stat_of;
    return stat(path, &stat_of) == 0 ? (long)stat_of.st_size : -1;
}

static void fill(simledger_ledger *ledger, int count) {
    simledger_transaction *transaction = NULL;
    CHECK_OK(simledger_transaction_begin(ledger, &transaction, &error));
    char features[512];
    memset(features, 'x', sizeof features);
    memcpy(features, "[\"", 2);
    memcpy(features + sizeof features - 2, "\"]", 2);
    for (int i = 0; i < count; i++) {
        CHECK_OK(simledger_transaction_append(transaction, i, "n", 1, features, sizeof features, 1,
                                              NULL, &error));
    }
    CHECK_OK(simledger_transaction_commit(transaction, NULL, NULL, &error));
}

static double metric(simledger_ledger *ledger, const char *name) {
    double value = -1;
    CHECK_OK(simledger_metric_get(ledger, name, NUL_TERMINATED, &value, &error));
    return value;
}

static void copy_file(const char *from, const char *to) {
    const long size = size_of_file(from);
    char *bytes = (char *)malloc((size_t)size);
    FILE *file = fopen(from, "rb");
    CHECK(file != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    write_file(to, bytes, (size_t)size);
    free(bytes);
}

/* What a file holds is the same before and after. */
static char *entries_of(simledger_ledger *ledger) {
    simledger_entries *entries = read_all(ledger);
    size_t len = 0;
    const char *json = simledger_entries_json(entries, &len);
    char *copy = (char *)malloc(len + 1);
    memcpy(copy, json, len + 1);
    simledger_entries_free(entries);
    return copy;
}

static void check_entries(simledger_ledger *ledger, const char *expected) {
    char *found = entries_of(ledger);
    CHECK(strcmp(found, expected) == 0);
    free(found);
}

static void after_a_checkpoint_one_file_is_all_there_is(void) {
    simledger_ledger *ledger = open_with("order.db", END);
    fill(ledger, 500);
    char *before = entries_of(ledger);
    CHECK(size_of_file("order.db-wal") > 0 && metric(ledger, "wal_bytes") > 0);
    CHECK_OK(simledger_checkpoint(ledger, &error));
    CHECK(size_of_file("order.db-wal") == 0 && metric(ledger, "wal_bytes") == 0);
    copy_file("order.db", "copy.db");
    simledger_ledger *copy = open_with("copy.db", END);
    check_entries(copy, before);
    close_ledger(copy);
    CHECK_OK(simledger_reindex(ledger, &error));
    check_entries(ledger, before);
    CHECK_OK(simledger_optimize(ledger, &error));
    check_entries(ledger, before);
    free(before);
    close_ledger(ledger);

    /* There is nothing to do, and it is no failure. */
    ledger = open_with("rollback.db", "journal_mode", "DELETE", END);
    CHECK_OK(simledger_checkpoint(ledger, &error));
    close_ledger(ledger);
    ledger = open_in_memory();
    fill(ledger, 10);
    CHECK_OK(simledger_checkpoint(ledger, &error));
    CHECK_OK(simledger_reindex(ledger, &error));
    CHECK_OK(simledger_optimize(ledger, &error));
    CHECK_OK(simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, NULL, &error));
    CHECK_OK(simledger_vacuum(ledger, SIMLEDGER_VACUUM_INCREMENTAL, NULL, &error));
    CHECK(count_of(ledger) == 10);
    close_ledger(ledger);
}

static void space_is_given_back_both_ways(void) {
    simledger_ledger *ledger = open_with("space.db", END);
    const int count = times(10000, 2000);
    fill(ledger, count);
    CHECK_OK(simledger_checkpoint(ledger, &error));
    int64_t nothing = 77;
    CHECK_OK(simledger_vacuum(ledger, SIMLEDGER_VACUUM_INCREMENTAL, &nothing, &error));
    CHECK(nothing == 0); /* nothing was deleted yet */
    const int32_t both[] = {SIMLEDGER_VACUUM_INCREMENTAL, SIMLEDGER_VACUUM_FULL};
    for (int i = 0; i < 2; i++) {
        const long before = size_of_file("space.db");
        const int64_t first = i == 0 ? count / 2 : count;
        int64_t deleted = 0, freed = 77;
        CHECK_OK(simledger_cleanup_before_id(ledger, first, &deleted, &error));
        CHECK(deleted == (i == 0 ? count / 2 - 1 : count / 2));
        char *kept = entries_of(ledger);
        CHECK_OK(simledger_checkpoint(ledger, &error));
        CHECK(size_of_file("space.db") == before); /* cleanup alone gives none back */
        CHECK_OK(simledger_vacuum(ledger, both[i], &freed, &error));
        CHECK_OK(simledger_checkpoint(ledger, &error));
        CHECK(freed > 0 && size_of_file("space.db") == before - (long)freed);
        CHECK(freed > before / 4);
        check_entries(ledger, kept);
        free(kept);
    }
    const int32_t none[] = {0, 3, -1, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 5; i++) {
        int64_t freed = 77;
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "how", "SIMLEDGER_VACUUM_FULL",
                    simledger_vacuum(ledger, none[i], &freed, &error));
        CHECK(freed == 0);
    }
    close_ledger(ledger);
}

static void what_writes_is_refused_where_only_reading_is_allowed(void) {
    simledger_ledger *ledger = open_with("space.db", "read_only", "true", END);
    const simledger_status refused = SIMLEDGER_READ_ONLY;
    int64_t freed = 77;
    CHECK_FAILS(refused, "read_only", NULL, simledger_checkpoint(ledger, &error));
    CHECK_FAILS(refused, "read_only", NULL, simledger_reindex(ledger, &error));
    CHECK_FAILS(refused, "read_only", NULL, simledger_optimize(ledger, &error));
    CHECK_FAILS(refused, "read_only", NULL,
                simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, &freed, &error));
    CHECK_FAILS(refused, "read_only", NULL,
                simledger_vacuum(ledger, SIMLEDGER_VACUUM_INCREMENTAL, &freed, &error));
    CHECK(freed == 0);
    size_t count = 77;
    CHECK_OK(simledger_integrity_check(ledger, 1, NULL, NULL, NULL, &count, &error));
    CHECK(count == 0);
    CHECK_OK(simledger_release_connections(ledger, &error));
    close_ledger(ledger);
}

static void caches_have_an_age_until_they_are_empty(void) {
    /* With a commit log the newest are in memory anyway, and in no cache. */
    simledger_ledger *ledger = open_with("caches.db", "commit", "sqlite", END);
    append(ledger, 1, "n");
    double age = 77;
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_cache_age(ledger, &age, &error));
    CHECK(age == 0);
    for (int i = 0; i < 2; i++) { /* either cache by itself */
        if (i == 0) {
            simledger_entry *entry = NULL;
            CHECK_OK(simledger_get_by_id(ledger, 1, &entry, &error));
            simledger_entry_free(entry);
        } else {
            simledger_entries *entries = NULL;
            CHECK_OK(simledger_read_by_node(ledger, "n", 1, 5, &entries, &error));
            simledger_entries_free(entries);
        }
        CHECK(metric(ledger, i == 0 ? "entry_cache_entries" : "query_cache_results") == 1);
        double older = 0;
        CHECK_OK(simledger_cache_age(ledger, &age, &error));
        do { /* it grows */
            CHECK_OK(simledger_cache_age(ledger, &older, &error));
            CHECK(older >= age);
        } while (older == age);
        CHECK_OK(simledger_invalidate_caches(ledger, &error));
        CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_cache_age(ledger, &age, &error));
        CHECK(age == 0);
    }
    close_ledger(ledger);
}

static void connections_are_closed_and_opened_again(void) {
    /* With a commit log the newest are in memory anyway, and in no cache. */
    simledger_ledger *ledger = open_with("caches.db", "commit", "sqlite", END);
    CHECK(count_of(ledger) == 1);
    CHECK(metric(ledger, "connections_idle") >= 1);
    CHECK_OK(simledger_release_connections(ledger, &error));
    CHECK(metric(ledger, "connections_open") == 0);
    CHECK(count_of(ledger) == 1 && append(ledger, 2, "n") == 2);
    close_ledger(ledger);
}

struct progress {
    double last;
    int calls;
    double end_at;
    simledger_ledger *ledger; /* to be called from inside, or NULL */
    bool interrupts;
};

static int32_t note(double part, void *user_data) {
    struct progress *progress = (struct progress *)user_data;
    CHECK(part >= progress->last && part >= 0 && part <= 1);
    progress->last = part;
    progress->calls++;
    if (progress->ledger != NULL) {
        CHECK(count_of(progress->ledger) > 0);
        CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, NULL, "callback",
                    simledger_close(progress->ledger, &error));
        if (progress->interrupts)
            CHECK_OK(simledger_interrupt(progress->ledger, &error));
    }
    return part >= progress->end_at ? -1 : 0; /* anything but 0 ends it */
}

/* From inside it the ledger can be used, but not closed. */
static int32_t use_it(double part, void *user_data) {
    simledger_ledger *ledger = (simledger_ledger *)user_data;
    CHECK(count_of(ledger) > 0);
    if (part == 0)
        append(ledger, 0.5, "inside");
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "ledger", "callback", simledger_close(ledger, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "ledger", "callback", simledger_shutdown(&error));
    return 0;
}

static void the_check_tells_how_far_it_is(void) {
    simledger_ledger *ledger = open_with("check.db", END);
    fill(ledger, times(5000, 500));
    struct progress progress = {0, 0, 2, NULL, false};
    char *findings = GARBAGE_POINTER(char);
    size_t count = 77;
    CHECK_OK(simledger_integrity_check(ledger, SIMLEDGER_NO_LIMIT, note, &progress, &findings,
                                       &count, &error));
    CHECK(count == 0 && progress.last == 1 && progress.calls > 2);
    CHECK_TEXT(findings, "");
    simledger_string_free(findings);
    CHECK(metric(ledger, "integrity_check_progress") == 1);

    /* It ends where it is told to, and is not called again. */
    const double ends[] = {0, 0.5, 1};
    for (int i = 0; i < 3; i++) {
        struct progress part = {0, 0, ends[i], NULL, false};
        findings = GARBAGE_POINTER(char);
        count = 77;
        CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "callback",
                    simledger_integrity_check(ledger, 1, note, &part, &findings, &count, &error));
        CHECK(findings == NULL && count == 0);
        CHECK(part.last >= ends[i] && (i > 0 || part.calls == 1));
        CHECK(metric(ledger, "integrity_check_progress") == part.last);
    }
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "findings_max", "at least 1",
                simledger_integrity_check(ledger, 0, NULL, NULL, &findings, &count, &error));
    CHECK(findings == NULL && count == 0);
    CHECK_OK(simledger_integrity_check(ledger, 1, NULL, NULL, NULL, &count, &error));
    CHECK_OK(simledger_integrity_check(ledger, 1, use_it, ledger, NULL, &count, &error));
    CHECK(count == 0 && count_of(ledger) == times(5000, 500) + 1);
    close_ledger(ledger);
}

static void findings_are_lines(void) {
    simledger_ledger *ledger = open_with("findings.db", END);
    fill(ledger, 2000);
    close_ledger(ledger);
    FILE *file = fopen("findings.db", "r+b");
    char page[4096];
    memset(page, 0xa5, sizeof page);
    CHECK(file != NULL && fseek(file, -4096, SEEK_END) == 0);
    CHECK(fwrite(page, sizeof page, 1, file) == 1 && fclose(file) == 0);
    ledger = open_with("findings.db", END);
    char *findings = NULL;
    size_t count = 0, lines = 1;
    CHECK_OK(simledger_integrity_check(ledger, SIMLEDGER_NO_LIMIT, NULL, NULL, &findings, &count,
                                       &error));
    for (const char *at = findings; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CHECK(count > 1 && lines == count);
    simledger_string_free(findings);
    CHECK_OK(simledger_option_set(ledger, "result_bytes_max", NUL_TERMINATED, "40", NUL_TERMINATED,
                                  &error));
    CHECK_FAILS(SIMLEDGER_LIMIT_EXCEEDED, "result_bytes_max", "findings_max",
                simledger_integrity_check(ledger, SIMLEDGER_NO_LIMIT, NULL, NULL, &findings, &count,
                                          &error));
    CHECK(findings == NULL && count == 0);
    close_ledger(ledger);
}

static void the_library_may_be_called_from_the_progress(void) {
    simledger_ledger *ledgers[] = {open_with("check.db", END), open_in_memory()};
    append(ledgers[1], 1, "n");
    for (int i = 0; i < 2; i++) {
        struct progress progress = {0, 0, 2, ledgers[i], false};
        size_t count = 77;
        CHECK_OK(simledger_integrity_check(ledgers[i], 1, note, &progress, NULL, &count, &error));
        CHECK(progress.calls > 0 && progress.last == 1 && count == 0);
        /* Interrupting from inside ends this very call. */
        struct progress breaking = {0, 0, 2, ledgers[i], true};
        CHECK_FAILS(
            SIMLEDGER_INTERRUPTED, "", NULL,
            simledger_integrity_check(ledgers[i], 1, note, &breaking, NULL, &count, &error));
        CHECK(breaking.calls > 0 && count == 0);
        CHECK_OK(simledger_integrity_check(ledgers[i], 1, NULL, NULL, NULL, &count, &error));
        close_ledger(ledgers[i]);
    }
}

/* SQLite's lock on writing is this byte of the file (https://sqlite.org/src/file/src/os.h,
 * RESERVED_BYTE), with a rollback journal. As a lock of an open file description it is as good as
 * another process's. */
static int lock_reserved_byte(const char *path) {
    int descriptor = open(path, O_RDWR);
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 0x40000001;
    lock.l_len = 1;
    CHECK(descriptor >= 0 && fcntl(descriptor, F_OFD_SETLK, &lock) == 0);
    return descriptor;
}

/* Three calls that write: one waits for SQLite's lock, the others for their turn. */
static simledger_transaction *pending;

static void *append_in_vain(void *ledger) {
    int64_t id = 77;
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "interrupted",
                simledger_append((simledger_ledger *)ledger, 5, "n", 1, "{}", 2, 1, &id, &error));
    CHECK(id == 0);
    return NULL;
}

static void *commit_in_vain(void *unused) {
    (void)unused;
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "interrupted",
                simledger_transaction_commit(pending, NULL, NULL, &error));
    return NULL;
}

static void *clean_in_vain(void *ledger) {
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "interrupted",
                simledger_cleanup_before_id((simledger_ledger *)ledger, 2, NULL, &error));
    return NULL;
}

static void calls_that_wait_are_interrupted(void) {
    simledger_ledger *ledger =
        open_with("wait.db", "journal_mode", "DELETE", "timeout", "1e9", "commit", "sqlite", END);
    CHECK(append(ledger, 1, "n") == 1);
    CHECK_OK(simledger_interrupt(ledger, &error)); /* nothing is in flight, and nothing is ended */
    CHECK_OK(simledger_transaction_begin(ledger, &pending, &error));
    CHECK_OK(simledger_transaction_append(pending, 6, "n", 1, "{}", 2, 1, NULL, &error));
    int descriptor = lock_reserved_byte("wait.db");
    pthread_t threads[3];
    CHECK(pthread_create(&threads[0], NULL, append_in_vain, ledger) == 0);
    CHECK(pthread_create(&threads[1], NULL, commit_in_vain, NULL) == 0);
    CHECK(pthread_create(&threads[2], NULL, clean_in_vain, ledger) == 0);
    /* Interrupting before a call began would not touch it: until all have ended, again. */
    while (metric(ledger, "errors.INTERRUPTED") < 3)
        CHECK_OK(simledger_interrupt(ledger, &error));
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close(descriptor);
    CHECK(count_of(ledger) == 1);
    CHECK(append(ledger, 5, "n") == 2);
    int64_t first_id = 0;
    CHECK_OK(simledger_transaction_commit(pending, &first_id, NULL, &error));
    CHECK(first_id == 3);
    close_ledger(ledger);
}

static void retries_end_at_their_count(void) {
    simledger_ledger *ledger = open_with("retry.db", "journal_mode", "DELETE", "retry_count", "3",
                                         "commit", "sqlite", END);
    int descriptor = lock_reserved_byte("retry.db");
    CHECK_FAILS(SIMLEDGER_BUSY, "retry_count", "8 further tries",
                simledger_append(ledger, 5, "n", 1, "{}", 2, 1, NULL, &error));
    CHECK(metric(ledger, "retries") == 8 && metric(ledger, "errors.BUSY") == 1);
    close(descriptor);
    close_ledger(ledger);
}

static void old_entries_go_in_the_background(void) {
    simledger_ledger *ledger =
        open_with("old.db", "clock", "simulated", "retention_seconds", "5.5", END);
    for (int i = 0; i < 20; i++)
        append(ledger, i, "n");
    /* The newest is of second 19: what is of second 13 and before goes. */
    int64_t first = 0;
    while (first != 15)
        CHECK_OK(simledger_first_id(ledger, &first, &error));
    CHECK(count_of(ledger) == 6);
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_poll_since(ledger, 0, 1, &entries, &error));
    CHECK(simledger_entries_gap_before(entries) == 14);
    simledger_entries_free(entries);
    CHECK_OK(simledger_option_set(ledger, "retention_seconds", NUL_TERMINATED, "1.5", 3, &error));
    while (metric(ledger, "entries_deleted") != 18) /* is counted after it is done */
        ;
    CHECK(count_of(ledger) == 2 && metric(ledger, "retention_failures") == 0);
    /* What happens goes on: time does too. */
    append(ledger, 100, "n");
    while (count_of(ledger) != 1)
        ;
    /* And not where it was taken back: what is old by now stays. */
    CHECK_OK(simledger_option_set(ledger, "retention_seconds", NUL_TERMINATED, "0", 1, &error));
    const double runs = metric(ledger, "retention_runs");
    append(ledger, 200, "n");
    CHECK(count_of(ledger) == 2 && metric(ledger, "retention_runs") == runs);
    close_ledger(ledger);
}

int main(void) {
    alarm((unsigned)times(120, 900)); /* ends what would wait for ever */
    after_a_checkpoint_one_file_is_all_there_is();
    space_is_given_back_both_ways();
    what_writes_is_refused_where_only_reading_is_allowed();
    caches_have_an_age_until_they_are_empty();
    connections_are_closed_and_opened_again();
    the_check_tells_how_far_it_is();
    findings_are_lines();
    the_library_may_be_called_from_the_progress();
    calls_that_wait_are_interrupted();
    retries_end_at_their_count();
    old_entries_go_in_the_background();
    return 0;
}
