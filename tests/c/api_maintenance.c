/* Maintenance, interruption, metrics and the log queue. */
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

static void a_ledger_is_kept_in_order(void) {
    simledger_ledger *ledger = open_with("order.db", END);
    const int count = times(10000, 2000);
    fill(ledger, count);
    CHECK(size_of_file("order.db-wal") > 0);
    CHECK_OK(simledger_checkpoint(ledger, &error));
    CHECK(size_of_file("order.db-wal") == 0);
    CHECK_OK(simledger_reindex(ledger, &error));
    CHECK_OK(simledger_optimize(ledger, &error));

    CHECK_OK(simledger_checkpoint(ledger, &error));
    const long before = size_of_file("order.db");
    int64_t deleted = 0, freed = 0;
    CHECK_OK(simledger_cleanup_before_id(ledger, count / 2, &deleted, &error));
    CHECK(deleted == count / 2 - 1);
    CHECK_OK(simledger_vacuum(ledger, SIMLEDGER_VACUUM_INCREMENTAL, &freed, &error));
    CHECK(freed > 0 && size_of_file("order.db") == before - (long)freed);
    CHECK_OK(simledger_cleanup_before_id(ledger, count, NULL, &error));
    CHECK_OK(simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, &freed, &error));
    CHECK(freed > 0 && count_of(ledger) == 1);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "how", "SIMLEDGER_VACUUM_FULL",
                simledger_vacuum(ledger, 3, &freed, &error));
    CHECK(freed == 0);

    double age = 77;
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_cache_age(ledger, &age, &error));
    CHECK(age == 0);
    simledger_entry *entry = NULL;
    CHECK_OK(simledger_get_by_id(ledger, count, &entry, &error));
    simledger_entry_free(entry);
    CHECK_OK(simledger_cache_age(ledger, &age, &error));
    CHECK(age >= 0 && age < 600);
    CHECK_OK(simledger_invalidate_caches(ledger, &error));
    CHECK_STATUS(SIMLEDGER_NOT_FOUND, simledger_cache_age(ledger, &age, &error));
    CHECK_OK(simledger_release_connections(ledger, &error));
    close_ledger(ledger);
}

struct progress {
    double last;
    int calls;
    double end_at;
};

static int32_t note(double part, void *user_data) {
    struct progress *progress = (struct progress *)user_data;
    CHECK(part >= progress->last && part <= 1);
    progress->last = part;
    progress->calls++;
    return part >= progress->end_at;
}

static void the_check_tells_how_far_it_is(void) {
    simledger_ledger *ledger = open_with("check.db", END);
    fill(ledger, times(5000, 500));
    struct progress progress = {0, 0, 2};
    char *findings = NULL;
    size_t count = 77;
    CHECK_OK(simledger_integrity_check(ledger, SIMLEDGER_NO_LIMIT, note, &progress, &findings,
                                       &count, &error));
    CHECK(count == 0 && progress.last == 1 && progress.calls > 2);
    CHECK_TEXT(findings, "");
    simledger_string_free(findings);
    CHECK(metric(ledger, "integrity_check_progress") == 1);
    struct progress half = {0, 0, 0.5};
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "callback",
                simledger_integrity_check(ledger, 1, note, &half, NULL, &count, &error));
    CHECK(count == 0);
    CHECK_OK(simledger_integrity_check(ledger, 1, NULL, NULL, NULL, &count, &error));
    close_ledger(ledger);
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

static void *append_in_vain(void *ledger) {
    CHECK_FAILS(SIMLEDGER_INTERRUPTED, "", "interrupted",
                simledger_append((simledger_ledger *)ledger, 5, "n", 1, "{}", 2, 1, NULL, &error));
    return NULL;
}

static void a_call_that_waits_is_interrupted(void) {
    simledger_ledger *ledger =
        open_with("wait.db", "journal_mode", "DELETE", "timeout", "1e9", END);
    int descriptor = lock_reserved_byte("wait.db");
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, append_in_vain, ledger) == 0);
    /* Interrupting before the call began would not touch it: until it has ended, again. */
    while (metric(ledger, "errors.INTERRUPTED") == 0)
        CHECK_OK(simledger_interrupt(ledger, &error));
    CHECK(pthread_join(thread, NULL) == 0);
    close(descriptor);
    CHECK(append(ledger, 5, "n") == 1);
    close_ledger(ledger);
}

static void retries_end_at_their_count(void) {
    simledger_ledger *ledger =
        open_with("retry.db", "journal_mode", "DELETE", "retry_count", "3", END);
    int descriptor = lock_reserved_byte("retry.db");
    CHECK_FAILS(SIMLEDGER_BUSY, "retry_count", "3 further tries",
                simledger_append(ledger, 5, "n", 1, "{}", 2, 1, NULL, &error));
    CHECK(metric(ledger, "retries") == 3 && metric(ledger, "errors.BUSY") == 1);
    close(descriptor);
    close_ledger(ledger);
}

static void old_entries_go_in_the_background(void) {
    simledger_ledger *ledger =
        open_with("old.db", "clock", "simulated", "retention_seconds", "5.5", END);
    for (int i = 0; i < 20; i++)
        append(ledger, i, "n");
    int64_t first = 0;
    while (first != 15)
        CHECK_OK(simledger_first_id(ledger, &first, &error));
    CHECK(count_of(ledger) == 6);
    close_ledger(ledger);
}

static void numbers_and_lines_can_be_asked_for(void) {
    simledger_config *config = config_with("numbers.db", END);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "level", NULL,
                simledger_config_set_log_queue(config, 9, 2, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "lines_max", "1000000",
                simledger_config_set_log_queue(config, 1, SIZE_MAX, &error));
    CHECK_OK(simledger_config_set_log_queue(config, SIMLEDGER_LOG_INFO, 2, &error));
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    append(ledger, 1, "n");
    for (int i = 0; i < 3; i++)
        CHECK_OK(simledger_cleanup_before_timestamp(ledger, 0, NULL, &error));
    CHECK(metric(ledger, "entries_appended") == 1 && metric(ledger, "entries") == 1);
    CHECK(metric(ledger, "latency_seconds.cleanup.count") == 3);
    CHECK(metric(ledger, "log_lines_dropped") == 2); /* what opening said, and a cleanup */
    for (int i = 0; i < 2; i++) {
        char *line = NULL;
        size_t len = 0;
        CHECK_OK(simledger_log_next(ledger, NULL, &line, &len, &error));
        CHECK_TEXT(line, "cleanup deleted 0 entries");
        CHECK(len == strlen(line));
        simledger_string_free(line);
    }
    double value = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "name", "\"entries\"",
                simledger_metric_get(ledger, "entriess", NUL_TERMINATED, &value, &error));
    CHECK(value == 0);
    char *text = NULL;
    size_t len = 0;
    CHECK_OK(simledger_metrics_prometheus(ledger, &text, &len, &error));
    CHECK(strstr(text, "\nsimledger_entries{ledger=\"numbers.db\"} 1\n") != NULL);
    CHECK(strlen(text) == len && text[len - 1] == '\n');
    simledger_string_free(text);
    close_ledger(ledger);
    ledger = open_in_memory();
    CHECK_STATUS(SIMLEDGER_NOT_FOUND,
                 simledger_metric_get(ledger, "wal_bytes", NUL_TERMINATED, &value, &error));
    close_ledger(ledger);
}

int main(void) {
    a_ledger_is_kept_in_order();
    the_check_tells_how_far_it_is();
    a_call_that_waits_is_interrupted();
    retries_end_at_their_count();
    old_entries_go_in_the_background();
    numbers_and_lines_can_be_asked_for();
    return 0;
}
