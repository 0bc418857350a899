/* Many threads on one handle, closing under them, and the log, which is called back. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

enum { THREADS = 16 };

/* `work` on sixteen threads at once, each with its number; all have begun before any goes on. */
typedef struct {
    void (*work)(int number);
    int number;
    pthread_barrier_t *start;
} Task;

static void *run_task(void *argument) {
    Task *task = (Task *)argument;
    pthread_barrier_wait(task->start);
    task->work(task->number);
    return NULL;
}

static void on_threads(void (*work)(int number)) {
    pthread_t threads[THREADS];
    Task tasks[THREADS];
    pthread_barrier_t start;
    CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) {
        tasks[i].work = work;
        tasks[i].number = i;
        tasks[i].start = &start;
        CHECK(pthread_create(&threads[i], NULL, run_task, &tasks[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&start);
}

/* --- One handle, many threads --- */

static simledger_ledger *shared;
static int appends;

static void append_and_poll(int number) {
    char node[16];
    snprintf(node, sizeof node, "node-%d", number);
    int64_t position = 0, seen = 0;
    for (int i = 1; i <= appends; i++) {
        const int64_t mine = append(shared, i, node);
        simledger_entries *fresh = NULL;
        CHECK_OK(simledger_poll_since(shared, position, SIMLEDGER_NO_LIMIT, &fresh, &error));
        for (size_t at = 0; at < simledger_entries_len(fresh); at++) {
            /* Nothing was ever deleted: no id is left out, and none comes twice. */
            CHECK(simledger_entry_id(simledger_entries_get(fresh, at)) == ++seen);
        }
        position = simledger_entries_position(fresh);
        CHECK(position == seen && seen >= mine); /* what I appended I see */
        simledger_entries_free(fresh);
        if (i % 8 == 0) {
            simledger_entries *own = NULL;
            simledger_entry *entry = NULL;
            CHECK_OK(simledger_read_by_node(shared, node, NUL_TERMINATED, SIMLEDGER_NO_LIMIT, &own,
                                            &error));
            CHECK(simledger_entries_len(own) == (size_t)i);
            CHECK(simledger_entry_id(simledger_entries_get(own, 0)) == mine);
            CHECK_OK(simledger_get_by_id(shared, mine, &entry, &error));
            CHECK_TEXT(simledger_entry_node_id(entry, NULL), node);
            simledger_entries_free(own);
            simledger_entry_free(entry);
        }
    }
}

static void sixteen_threads_use_one_handle(const char *path) {
    appends = times(48, 8);
    shared = open_with(path, "max_connections", "4", END);
    on_threads(append_and_poll);
    CHECK(count_of(shared) == THREADS * appends);
    close_ledger(shared);
}

/* --- Results shared by threads --- */

static simledger_entries *results;
static const char *json_of[THREADS];

static void read_shared_result(int number) {
    const int rounds = times(2000, 50);
    json_of[number] = simledger_entries_json(results, NULL);
    for (int i = 0; i < rounds; i++) {
        const simledger_entry *borrowed = simledger_entries_get(results, (size_t)i % 3);
        simledger_entry *own = simledger_entry_retain(borrowed);
        CHECK(simledger_entry_id(own) == i % 3 + 1);
        CHECK_TEXT(simledger_entry_node_id(own, NULL), "n");
        simledger_entry_free(own);
    }
}

static void threads_share_a_result(void) {
    simledger_ledger *ledger = open_in_memory();
    for (int i = 1; i <= 3; i++)
        append(ledger, i, "n");
    results = read_all(ledger);
    close_ledger(ledger);
    on_threads(read_shared_result);
    for (int i = 0; i < THREADS; i++)
        CHECK(json_of[i] != NULL && json_of[i] == json_of[0]);
    simledger_entries_free(results);
}

/* --- Closing under the callers --- */

static int callers_at_work, closes_ok, closes_closed;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void note(int *number) {
    pthread_mutex_lock(&mutex);
    ++*number;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(const int *number, int least) {
    pthread_mutex_lock(&mutex);
    while (*number < least)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* Each kind of call in turn. */
static simledger_status any_call(int turn, double timestamp, simledger_error **error) {
    simledger_entries *entries = NULL;
    int64_t number = 0;
    simledger_status status = SIMLEDGER_OK;
    switch (turn % 4) {
    case 0:
        return simledger_append(shared, timestamp, "n", 1, "{}", 2, 1, &number, error);
    case 1:
        status = simledger_poll_since(shared, 0, 5, &entries, error);
        break;
    case 2:
        status = simledger_read_by_node(shared, "n", 1, 3, &entries, error);
        break;
    default:
        return simledger_count(shared, &number, error);
    }
    CHECK((status == SIMLEDGER_OK) == (entries != NULL));
    simledger_entries_free(entries);
    return status;
}

static void call_until_closed(int number) {
    for (int i = 0;; i++) {
        simledger_error *error = GARBAGE_POINTER(simledger_error);
        const simledger_status status = any_call(number + i, number * 1e6 + i, &error);
        CHECK(status == SIMLEDGER_OK || status == SIMLEDGER_CLOSED);
        CHECK(simledger_error_status(error) == status);
        simledger_error_free(error);
        if (status == SIMLEDGER_CLOSED)
            break;
        if (i == 4)
            note(&callers_at_work);
    }
    /* And so it stays. */
    for (int i = 0; i < 4; i++)
        CHECK(any_call(i, -number, NULL) == SIMLEDGER_CLOSED);
}

static void *close_shared(void *unused) {
    (void)unused;
    wait_for(&callers_at_work, THREADS);
    const simledger_status status = simledger_close(shared, NULL);
    CHECK(status == SIMLEDGER_OK || status == SIMLEDGER_CLOSED);
    note(status == SIMLEDGER_OK ? &closes_ok : &closes_closed);
    return NULL;
}

static int user_data_dropped;

static void *shut_down(void *unused) {
    (void)unused;
    wait_for(&callers_at_work, THREADS);
    CHECK_OK(simledger_shutdown(&error));
    /* Whoever of the three was faster: it is closed when this returns, with nothing left of it. */
    pthread_mutex_lock(&mutex);
    CHECK(user_data_dropped == 1);
    pthread_mutex_unlock(&mutex);
    CHECK(simledger_close(shared, NULL) == SIMLEDGER_CLOSED);
    return NULL;
}

static void say_nothing(int32_t level, const char *message, size_t message_len, void *user_data) {
    (void)level, (void)message, (void)message_len, (void)user_data;
}

static void note_drop(void *user_data) { note((int *)user_data); }

static void a_ledger_is_closed_while_sixteen_threads_call(const char *path,
                                                          void *(*closer)(void *)) {
    const int rounds = times(10, 2);
    for (int round = 0; round < rounds; round++) {
        callers_at_work = closes_ok = closes_closed = user_data_dropped = 0;
        simledger_config *config = config_with(path, "unique", "none", END);
        CHECK_OK(simledger_config_set_log(config, SIMLEDGER_LOG_ERROR, say_nothing,
                                          &user_data_dropped, note_drop, &error));
        shared = NULL;
        CHECK_OK(simledger_open(config, &shared, &error));
        simledger_config_free(config);
        pthread_t closers[3];
        for (int i = 0; i < 3; i++)
            CHECK(pthread_create(&closers[i], NULL, closer, NULL) == 0);
        on_threads(call_until_closed);
        for (int i = 0; i < 3; i++)
            CHECK(pthread_join(closers[i], NULL) == 0);
        if (closer == close_shared)
            CHECK(closes_ok == 1 && closes_closed == 2);
    }
}

/* --- The log --- */

typedef struct {
    simledger_ledger *ledger;
    simledger_ledger *other;
    pthread_t thread;
    int lines, drops, lines_at_drop;
    int32_t gravest, mildest;
    char last[400], all[8000];
    int left;
} Log;

static Log new_log(void) {
    Log log;
    memset(&log, 0, sizeof log);
    log.gravest = SIMLEDGER_LOG_DEBUG;
    log.mildest = SIMLEDGER_LOG_ERROR;
    return log;
}

static void take_line(int32_t level, const char *message, size_t message_len, void *user_data) {
    Log *log = (Log *)user_data;
    CHECK(strlen(message) == message_len && message_len > 0);
    CHECK(level >= SIMLEDGER_LOG_ERROR && level <= SIMLEDGER_LOG_DEBUG);
    CHECK(log->drops == 0);
    log->lines++;
    log->thread = pthread_self();
    if (level < log->gravest)
        log->gravest = level;
    if (level > log->mildest)
        log->mildest = level;
    snprintf(log->last, sizeof log->last, "%s", message);
    const size_t used = strlen(log->all);
    snprintf(log->all + used, sizeof log->all - used, "%s\n", message);
}

static void count_drop(void *user_data) {
    Log *log = (Log *)user_data;
    log->drops++;
    log->lines_at_drop = log->lines;
}

static void set_log(simledger_config *config, int32_t level, simledger_log_callback callback,
                    Log *log) {
    CHECK_OK(simledger_config_set_log(config, level, callback, log, count_drop, &error));
}

static void the_log_tells_of_opening_cleaning_and_closing(void) {
    Log log = new_log();
    simledger_config *config = config_with("log.db", END);
    set_log(config, SIMLEDGER_LOG_DEBUG, take_line, &log);
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    CHECK(log.lines >= 1 && strstr(log.all, "opened \"log.db\"") != NULL);
    CHECK(strstr(log.all, SIMLEDGER_SQLITE_VERSION) != NULL);
    CHECK(pthread_equal(log.thread, pthread_self()));
    simledger_config_free(config);
    append(ledger, 1, "n");
    CHECK_OK(simledger_cleanup_before_id(ledger, 2, NULL, &error));
    CHECK(strstr(log.all, "deleted 1 entries") != NULL);
    CHECK(log.drops == 0);
    close_ledger(ledger);
    CHECK_TEXT(log.last, "closed");
    CHECK(log.drops == 1 && log.lines_at_drop == log.lines);
}

static void lines_below_the_level_are_left_out(void) {
    Log log = new_log();
    simledger_config *config = config_with("log.db", END);
    set_log(config, SIMLEDGER_LOG_ERROR, take_line, &log);
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    append(ledger, 1, "n");
    CHECK_OK(simledger_cleanup_before_id(ledger, 9, NULL, &error));
    close_ledger(ledger);
    CHECK(log.lines == 0);
    CHECK_OK(simledger_config_set(config, "path", 4, "no/such/folder.db", NUL_TERMINATED, &error));
    CHECK_FAILS(SIMLEDGER_IO, "path", NULL, simledger_open(config, &ledger, &error));
    CHECK(log.lines == 1 && log.mildest == SIMLEDGER_LOG_ERROR);
    CHECK(strstr(log.last, "not opened") != NULL && strstr(log.last, "no/such/folder.db") != NULL);
    simledger_config_free(config);
    CHECK(log.drops == 1);
}

/* Neither in the log nor in an error. */
static void features_are_never_told(void) {
    Log log = new_log();
    simledger_config *config = config_with(":memory:", END);
    set_log(config, SIMLEDGER_LOG_DEBUG, take_line, &log);
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    static const char *const FEATURES[] = {
        "{\"a\":\"secret\"}", "{\"a\":\"secret\"}", "{\"a\":\"secret\",\"b\":NaN}",
        "[\"secret\" 1]",     "\"secret\"",         "[\"secret\",\"\\ud800\"]",
        "[secret]",           "{\"a\":\"secret\"",  "{\"a\":\"secret\",\"b\":1,\"b\":2}",
    };
    for (size_t i = 0; i < sizeof FEATURES / sizeof *FEATURES; i++) {
        simledger_error *error = NULL;
        const simledger_status status =
            simledger_append(ledger, 1, "n", 1, FEATURES[i], NUL_TERMINATED, 1, NULL, &error);
        CHECK((status == SIMLEDGER_OK) == (i == 0));
        CHECK(strstr(simledger_error_message(error), "secret") == NULL);
        simledger_error_free(error);
    }
    CHECK_OK(simledger_cleanup_before_id(ledger, 9, NULL, &error));
    close_ledger(ledger);
    CHECK(log.lines > 0 && strstr(log.all, "secret") == NULL);
}

/* The library may be called from inside the log, with a few exceptions. */
static void call_back_in(int32_t level, const char *message, size_t message_len, void *user_data) {
    Log *log = (Log *)user_data;
    take_line(level, message, message_len, user_data);
    if (log->ledger == NULL)
        return; /* still opening */
    simledger_entries *entries = NULL;
    int64_t count = 0;
    if (simledger_count(log->ledger, &count, NULL) == SIMLEDGER_CLOSED) {
        log->left++; /* the last line, of closing itself */
        return;
    }
    CHECK_OK(simledger_poll_since(log->ledger, 0, 10, &entries, &error));
    CHECK((int64_t)simledger_entries_len(entries) == count);
    simledger_entries_free(entries);
    append(log->ledger, 1000 + log->lines, "from the log");

    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "ledger", "callback",
                simledger_close(log->ledger, &error));
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, NULL, "callback", simledger_shutdown(&error));
    CHECK(simledger_close(log->ledger, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_shutdown(NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(count_of(log->ledger) == count + 1); /* it stayed open */
    CHECK(count_of(log->other) == 0);
    /* Another ledger may be opened and closed here. */
    close_ledger(open_in_memory());
}

static void the_library_may_be_called_from_its_log(void) {
    Log log = new_log();
    log.other = open_in_memory();
    simledger_config *config = config_with("reentry.db", END);
    set_log(config, SIMLEDGER_LOG_DEBUG, call_back_in, &log);
    CHECK_OK(simledger_open(config, &log.ledger, &error));
    simledger_config_free(config);
    append(log.ledger, 1, "n");
    CHECK_OK(simledger_cleanup_before_id(log.ledger, 1, NULL, &error));
    CHECK(log.lines >= 2);
    CHECK(count_of(log.ledger) >= 2);
    close_ledger(log.ledger);
    CHECK(log.left == 1 && log.drops == 1);
    close_ledger(log.other);
}

/* A call that is in its log when the ledger is closed: close waits for it. That it has begun is
 * seen from inside, where every new call is CLOSED. */
static void linger(int32_t level, const char *message, size_t message_len, void *user_data) {
    Log *log = (Log *)user_data;
    take_line(level, message, message_len, user_data);
    if (strstr(message, "cleanup") == NULL)
        return;
    note(&callers_at_work);
    int64_t count = 0;
    while (simledger_count(log->ledger, &count, NULL) != SIMLEDGER_CLOSED)
        sched_yield();
    for (int i = 0; i < times(2000, 100); i++) {
        CHECK(simledger_count(log->ledger, &count, NULL) == SIMLEDGER_CLOSED);
        append(log->other, i, "meanwhile");
    }
    log->left = 1;
}

static void *clean(void *ledger) {
    CHECK_OK(simledger_cleanup_before_id((simledger_ledger *)ledger, 1, NULL, &error));
    return NULL;
}

static void close_waits_for_calls_in_flight(void) {
    Log log = new_log();
    log.other = open_in_memory();
    simledger_config *config = config_with("linger.db", END);
    set_log(config, SIMLEDGER_LOG_INFO, linger, &log);
    CHECK_OK(simledger_open(config, &log.ledger, &error));
    simledger_config_free(config);
    callers_at_work = 0;
    pthread_t cleaner;
    CHECK(pthread_create(&cleaner, NULL, clean, log.ledger) == 0);
    wait_for(&callers_at_work, 1);
    close_ledger(log.ledger);
    CHECK(log.left == 1);
    CHECK(log.drops == 1);
    CHECK(pthread_join(cleaner, NULL) == 0);
    close_ledger(log.other);
}

static void user_data_is_dropped_once_when_nobody_uses_it(void) {
    Log first = new_log(), second = new_log(), third = new_log(), failed = new_log();
    simledger_config *config = config_with(":memory:", END);
    simledger_ledger *ledgers[2];
    set_log(config, SIMLEDGER_LOG_INFO, take_line, &first);
    for (int i = 0; i < 2; i++)
        CHECK_OK(simledger_open(config, &ledgers[i], &error));
    /* Refused: it was never taken. */
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "level", NULL,
                simledger_config_set_log(config, 0, take_line, &failed, count_drop, &error));
    CHECK_FAILS(
        SIMLEDGER_INVALID_ARGUMENT, "config", NULL,
        simledger_config_set_log(NULL, SIMLEDGER_LOG_INFO, take_line, &failed, count_drop, &error));
    /* Replaced in the configuration; two ledgers have it still. */
    set_log(config, SIMLEDGER_LOG_INFO, take_line, &second);
    CHECK(first.drops == 0 && second.drops == 0);
    close_ledger(ledgers[0]);
    CHECK(first.drops == 0);
    close_ledger(ledgers[1]);
    CHECK(first.drops == 1 && first.lines_at_drop == first.lines);
    /* Replaced when nobody else has it. */
    set_log(config, SIMLEDGER_LOG_INFO, take_line, &third);
    CHECK(second.drops == 1);
    CHECK_OK(simledger_open(config, &ledgers[0], &error));
    simledger_config_free(config);
    CHECK(third.drops == 0 && third.lines > 0);
    CHECK_OK(simledger_shutdown(&error));
    CHECK(third.drops == 1);
    CHECK(first.drops == 1 && second.drops == 1 && failed.drops == 0);

    /* Without a callback there is nothing to use it. */
    Log none = new_log();
    config = simledger_config_new();
    set_log(config, SIMLEDGER_LOG_INFO, NULL, &none);
    simledger_config_free(config);
    CHECK(none.drops == 1 && none.lines == 0);
    /* Without drop nobody is told. */
    config = config_with(":memory:", END);
    CHECK_OK(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, take_line, &none, NULL, &error));
    simledger_config_free(config);
    CHECK(none.drops == 1);
}

/* --- Shutdown --- */

static void shutdown_closes_everything_twice(void) {
    for (int round = 0; round < 2; round++) {
        simledger_ledger *ledgers[] = {open_in_memory(), open_with("a.db", END),
                                       open_with("a.db", END),
                                       open_with("b.db", "check_same_thread", "true", END)};
        append(ledgers[0], 1, "n");
        simledger_entries *all = read_all(ledgers[0]);
        CHECK_OK(simledger_shutdown(&error));
        for (int i = 0; i < 4; i++) {
            CHECK(simledger_close(ledgers[i], NULL) == SIMLEDGER_CLOSED);
        }
        CHECK_OK(simledger_shutdown(&error)); /* there is nothing any more */
        CHECK(simledger_entries_len(all) == 1);
        simledger_entries_free(all);
    }
}

/* --- Never print --- */

static void *use_a_little_of_everything(void *unused) {
    (void)unused;
    simledger_ledger *ledger = NULL, *second = NULL;
    simledger_entries *entries = NULL;
    static const char *const BAD[] = {"", "{", "[{}]", "\xff", "{\"timestamp\":1e999}"};
    simledger_open_path(".", 1, &ledger, NULL);
    simledger_open_path("no/such.db", NUL_TERMINATED, &ledger, NULL);
    simledger_open_path("quiet.db", NUL_TERMINATED, &ledger, NULL);
    simledger_open_path("quiet.db", NUL_TERMINATED, &second, NULL);
    for (int i = 0; i < 5; i++) {
        simledger_append_json(ledger, BAD[i], NUL_TERMINATED, NULL, NULL);
        simledger_append(ledger, 1, "n", 1, "{}", 2, 1, NULL, NULL);
    }
    simledger_poll_since(ledger, -1, 0, &entries, NULL);
    simledger_poll_since(ledger, 0, SIMLEDGER_NO_LIMIT, &entries, NULL);
    simledger_entries_free(entries);
    simledger_cleanup(second, 1, NULL, NULL);
    simledger_config *config = simledger_config_new();
    simledger_config_set(config, "no such key", NUL_TERMINATED, "", 0, NULL);
    simledger_config_free(config);
    unlink("quiet.db");
    simledger_close(ledger, NULL);
    simledger_close(ledger, NULL);
    simledger_close(second, NULL);
    simledger_shutdown(NULL);
    return NULL;
}

static void nothing_is_ever_printed(void) {
    fflush(NULL);
    const int out = dup(1), err = dup(2);
    const int file = open("printed", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(out >= 0 && err >= 0 && file >= 0 && dup2(file, 1) == 1 && dup2(file, 2) == 2);
    pthread_t thread;
    const int created = pthread_create(&thread, NULL, use_a_little_of_everything, NULL);
    if (created == 0)
        pthread_join(thread, NULL);
    fflush(NULL);
    const int restored = dup2(out, 1) == 1 && dup2(err, 2) == 2;
    struct stat printed;
    CHECK(created == 0 && restored && fstat(file, &printed) == 0);
    CHECK(printed.st_size == 0);
    close(out);
    close(err);
    close(file);
}

int main(void) {
    sixteen_threads_use_one_handle("shared.db");
    sixteen_threads_use_one_handle(":memory:");
    threads_share_a_result();
    a_ledger_is_closed_while_sixteen_threads_call(":memory:", close_shared);
    a_ledger_is_closed_while_sixteen_threads_call("closing.db", close_shared);
    a_ledger_is_closed_while_sixteen_threads_call("closing.db", shut_down);
    the_log_tells_of_opening_cleaning_and_closing();
    lines_below_the_level_are_left_out();
    features_are_never_told();
    the_library_may_be_called_from_its_log();
    close_waits_for_calls_in_flight();
    user_data_is_dropped_once_when_nobody_uses_it();
    shutdown_closes_everything_twice();
    nothing_is_ever_printed();
    return 0;
}
