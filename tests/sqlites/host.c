/* Programs with two copies of SQLite on one ledger: the one in libsimledger, and the system's.
 *
 * usage: host <libsimledger.so> [seconds=<n>] [seed=<n>] [order=first|last|local]
 * [commit=sqlite|log] [journal=WAL|DELETE] [locks=own|plain|together]
 *
 * Some processes, all on one file in the current directory. In each of them threads append, poll,
 * wait, open and close through the library, while others open, read, write, vacuum, checkpoint and
 * close the file through the system's SQLite, and one makes children: forked ones, which open the
 * ledger anew, and such as the C library does not know of. Every now and then a process is killed,
 * and another one started in its place.
 *
 * Every id must come once and in order, what was acknowledged before a read began must be in it,
 * and in the end everything must be there, as often as it was acknowledged, in a sound file.
 * Whoever was killed may have put one entry more there than he had word of.
 *
 * With locks=plain most processes find no locks of open file descriptions, as on a file system that
 * has none. The system's SQLite then works in processes of its own, as the header demands:
 * `together` does not heed that, and must fail. */
#include "loaded.h"

#include "../c/check.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { PROCESSES = 4, WRITERS_MAX = 1 << 20, TOLD_MAX = 20 };

static const char PATH[] = "ledger.db";

/* How it was called. */
static const char *library, *order = "local", *commit = "sqlite", *journal_mode = "WAL",
                            *locks = "own";
static double seconds = 5;
static uint64_t seed = 1;

/* Whoever appends entries, or rows of the host's own table, has a number, and counts up from 1. */
struct writer {
    int64_t entries; /* acknowledged */
    int64_t rows;
};

/* What all processes know, also of those that were killed. */
static struct everyone {
    int stopped;
    int errors;
    int64_t writers;
    int64_t entries, rows; /* acknowledged by all together */
    int64_t opens, polls, waits, visits, vacuums, busy, forks, clones, spawns;
    struct writer writer[WRITERS_MAX];
} * all;

static void add(int64_t *number, int64_t by) { __atomic_add_fetch(number, by, __ATOMIC_SEQ_CST); }
static int64_t now(const int64_t *number) { return __atomic_load_n(number, __ATOMIC_SEQ_CST); }
static bool stopped(void) { return __atomic_load_n(&all->stopped, __ATOMIC_SEQ_CST) != 0; }

static void found(const char *format, ...) {
    if (__atomic_add_fetch(&all->errors, 1, __ATOMIC_SEQ_CST) > TOLD_MAX)
        return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (len > 0) {
        fprintf(stderr, "found by %ld: %s\n", (long)getpid(), line);
        fflush(stderr);
    }
}

/* --- Threads
 * ------------------------------------------------------------------------------------------------
 */

/* A thread with its number and its dice. */
struct thread {
    int64_t number;
    uint64_t random;
};

static struct thread new_thread(void) {
    const int64_t number = __atomic_fetch_add(&all->writers, 1, __ATOMIC_SEQ_CST);
    CHECK(number < WRITERS_MAX);
    return (struct thread){number, (seed + (uint64_t)number) * 0x9e3779b97f4a7c15u | 1};
}

/* Below `end`. */
static unsigned dice(struct thread *me, unsigned end) {
    me->random ^= me->random << 13;
    me->random ^= me->random >> 7;
    me->random ^= me->random << 17;
    return (unsigned)((me->random >> 33) % end);
}

static void pause_a_little(struct thread *me, unsigned most_us) { usleep(dice(me, most_us)); }

/* --- Through the library
 * ------------------------------------------------------------------------------------ */

/* Whether a call did its work; what failed in another way than BUSY is told of. */
static bool did(const char *what, simledger_status status, simledger_error *error) {
    if (status == SIMLEDGER_BUSY)
        add(&all->busy, 1);
    else if (status != SIMLEDGER_OK && status != SIMLEDGER_TIMEOUT)
        found("%s: %s: %s", what, simledger_status_name(status), simledger_error_message(error));
    simledger_error_free(error);
    return status == SIMLEDGER_OK || status == SIMLEDGER_TIMEOUT;
}

static simledger_ledger *open_ledger(void) {
    simledger_config *config =
        config_with(PATH, "commit", commit, "journal_mode", journal_mode, "synchronous_mode", "OFF",
                    "timeout", "30", "log_bytes", "1048576", END);
    simledger_ledger *ledger = NULL;
    simledger_error *error = NULL;
    const simledger_status status = simledger_open(config, &ledger, &error);
    simledger_config_free(config);
    if (did("open", status, error))
        add(&all->opens, 1);
    return ledger;
}

static void close_and_tell(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    const simledger_status status = simledger_close(ledger, &error);
    did("close", status, error);
}

/* The next entry of this thread. One that met BUSY was not written, and comes again. */
static void append_next(struct thread *me, simledger_ledger *ledger) {
    struct writer *mine = &all->writer[me->number];
    char node[32];
    snprintf(node, sizeof node, "%lld", (long long)me->number);
    simledger_error *error = NULL;
    const simledger_status status =
        simledger_append(ledger, (double)(mine->entries + 1), node, NUL_TERMINATED,
                         "{\"n\":[1,2,3]}", NUL_TERMINATED, 0.5, NULL, &error);
    if (did("append", status, error)) {
        add(&mine->entries, 1);
        add(&all->entries, 1);
    }
}

static int64_t position_of(const char *what, simledger_entries *entries, int64_t position,
                           int64_t acknowledged) {
    const size_t len = simledger_entries_len(entries);
    for (size_t i = 0; i < len; i++) {
        const int64_t id = simledger_entry_id(simledger_entries_get(entries, i));
        if (id != position + 1 + (int64_t)i) {
            found("%s: id %lld where %lld must be", what, (long long)id,
                  (long long)(position + 1 + (int64_t)i));
            break;
        }
    }
    position = simledger_entries_position(entries);
    if (position < acknowledged)
        found("%s: up to %lld, after %lld were acknowledged", what, (long long)position,
              (long long)acknowledged);
    simledger_entries_free(entries);
    return position;
}

static void poll_next(simledger_ledger *ledger, int64_t *position) {
    const int64_t acknowledged = now(&all->entries);
    simledger_entries *entries = NULL;
    simledger_error *error = NULL;
    const simledger_status status =
        simledger_poll_since(ledger, *position, SIMLEDGER_NO_LIMIT, &entries, &error);
    if (did("poll", status, error)) {
        *position = position_of("poll", entries, *position, acknowledged);
        add(&all->polls, 1);
    }
}

static void wait_next(simledger_ledger *ledger, int64_t *position) {
    simledger_entries *entries = NULL;
    simledger_error *error = NULL;
    const simledger_status status =
        simledger_wait_since(ledger, *position, SIMLEDGER_NO_LIMIT, 0.1, NULL, &entries, &error);
    if (did("wait", status, error)) {
        *position = position_of("wait", entries, *position, *position);
        add(&all->waits, 1);
    }
}

static void do_checkpoint(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    const simledger_status status = simledger_checkpoint(ledger, &error);
    did("checkpoint", status, error);
}

static void do_vacuum(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    const simledger_status status = simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, NULL, &error);
    if (did("vacuum", status, error))
        add(&all->vacuums, 1);
}

/* Each opens the ledger again and again: now and then nobody in its process has it open. */
static void *append_on(void *unused) {
    struct thread me = new_thread();
    while (!stopped()) {
        simledger_ledger *ledger = open_ledger();
        for (unsigned left = ledger != NULL ? dice(&me, 60) : 0; left > 0; left--) {
            append_next(&me, ledger);
            pause_a_little(&me, 400);
        }
        close_and_tell(ledger);
        pause_a_little(&me, 5000);
    }
    return unused;
}

/* One that has it open for a moment, again and again: it alone in its process. */
static void *append_in_passing(void *unused) {
    struct thread me = new_thread();
    while (!stopped()) {
        simledger_ledger *ledger = open_ledger();
        if (ledger != NULL)
            append_next(&me, ledger);
        close_and_tell(ledger);
        pause_a_little(&me, 1000);
    }
    return unused;
}

static void *poll_on(void *unused) {
    struct thread me = new_thread();
    int64_t position = 0;
    while (!stopped()) {
        simledger_ledger *ledger = open_ledger();
        for (unsigned left = ledger != NULL ? dice(&me, 60) : 0; left > 0; left--) {
            if (dice(&me, 3) > 0)
                poll_next(ledger, &position);
            else
                wait_next(ledger, &position);
        }
        if (ledger != NULL && dice(&me, 20) == 0)
            do_checkpoint(ledger);
        if (ledger != NULL && dice(&me, 100) == 0)
            do_vacuum(ledger);
        close_and_tell(ledger);
        pause_a_little(&me, 5000);
    }
    return unused;
}

/* --- Through the system's SQLite
 * ---------------------------------------------------------------------------- */

static int numbers_of_row(void *user_data, int columns, char **values, char **names) {
    (void)names;
    for (int i = 0; i < columns; i++)
        ((int64_t *)user_data)[i] = values[i] != NULL ? strtoll(values[i], NULL, 10) : -1;
    return 0;
}

static int text_of_row(void *user_data, int columns, char **values, char **names) {
    (void)columns, (void)names;
    snprintf((char *)user_data, 200, "%s", values[0] != NULL ? values[0] : "");
    return 0;
}

/* Runs SQL; false where the file was busy, or it failed. */
static bool run_sql(sqlite3 *database, const char *sql, sqlite3_row *row, void *user_data) {
    const int code = sqlite3_exec(database, sql, row, user_data, NULL);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        add(&all->busy, 1);
    else if (code != SQLITE_OK)
        found("the system's SQLite: %s: %d %s", sql, sqlite3_extended_errcode(database),
              sqlite3_errmsg(database));
    return code == SQLITE_OK;
}

static sqlite3 *open_database(void) {
    sqlite3 *database = NULL;
    if (sqlite3_open_v2(PATH, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK)
        found("the system's SQLite cannot open: %s", sqlite3_errmsg(database));
    sqlite3_busy_timeout(database, 10000);
    run_sql(database, "PRAGMA synchronous = OFF", NULL, NULL);
    return database;
}

static bool insert_row(struct thread *me, sqlite3 *database) {
    char sql[100];
    snprintf(sql, sizeof sql, "INSERT INTO host VALUES (%lld, %lld)", (long long)me->number,
             (long long)all->writer[me->number].rows + 1);
    return run_sql(database, sql, NULL, NULL);
}

static void count_row(struct thread *me) {
    add(&all->writer[me->number].rows, 1);
    add(&all->rows, 1);
}

static void write_a_row(struct thread *me, sqlite3 *database) {
    if (insert_row(me, database))
        count_row(me);
}

/* With the locks of a writer for some time, while others close what they have of the file. */
static void write_slowly(struct thread *me, sqlite3 *database) {
    int64_t before = -1, after = -2;
    if (!run_sql(database, "BEGIN IMMEDIATE", NULL, NULL))
        return;
    bool done =
        run_sql(database, "SELECT coalesce(max(id), 0) FROM ledger", numbers_of_row, &before);
    pause_a_little(me, 3000);
    done = done && insert_row(me, database);
    pause_a_little(me, 3000);
    done = done &&
           run_sql(database, "SELECT coalesce(max(id), 0) FROM ledger", numbers_of_row, &after);
    if (done && after != before)
        found("the system's SQLite has the only lock, and %lld entries became %lld",
              (long long)before, (long long)after);
    if (done && run_sql(database, "COMMIT", NULL, NULL))
        count_row(me);
    else
        sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
}

/* What is in the file since a visit before. Behind the commit log, but not without one. */
static void read_entries(sqlite3 *database, int64_t *last) {
    const int64_t acknowledged = strcmp(commit, "log") != 0 ? now(&all->entries) : 0;
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*), max(id) FROM ledger WHERE id > %lld",
             (long long)*last);
    int64_t rows[2] = {0, -1};
    if (!run_sql(database, sql, numbers_of_row, rows))
        return;
    const int64_t end = rows[0] > 0 ? rows[1] : *last;
    if (rows[0] != end - *last)
        found("the system's SQLite sees %lld entries from %lld to %lld", (long long)rows[0],
              (long long)*last + 1, (long long)end);
    if (end < acknowledged)
        found("the system's SQLite sees up to %lld, after %lld were acknowledged", (long long)end,
              (long long)acknowledged);
    *last = end;
}

static void read_rows(sqlite3 *database) {
    const int64_t acknowledged = now(&all->rows);
    int64_t rows = -1;
    if (run_sql(database, "SELECT count(*) FROM host", numbers_of_row, &rows) &&
        rows < acknowledged)
        found("the system's SQLite sees %lld rows, after %lld were acknowledged", (long long)rows,
              (long long)acknowledged);
}

static void visit(struct thread *me, int64_t *last) {
    static const char *const CHECKPOINTS[] = {"PRAGMA wal_checkpoint(PASSIVE)",
                                              "PRAGMA wal_checkpoint(RESTART)",
                                              "PRAGMA wal_checkpoint(TRUNCATE)"};
    sqlite3 *database = open_database();
    char answer[200] = "";
    for (unsigned left = dice(me, 4) + 1; left > 0; left--) {
        switch (dice(me, 40)) {
        case 0:
            if (run_sql(database, "VACUUM", NULL, NULL))
                add(&all->vacuums, 1);
            break;
        case 1:
            if (run_sql(database, "PRAGMA quick_check(1)", text_of_row, answer) &&
                strcmp(answer, "ok") != 0)
                found("the system's SQLite checks: %s", answer);
            break;
        case 2:
            write_slowly(me, database);
            break;
        case 3: /* A snapshot for some time. */
            run_sql(database, "BEGIN", NULL, NULL);
            read_entries(database, last);
            pause_a_little(me, 5000);
            run_sql(database, "COMMIT", NULL, NULL);
            break;
        case 4:
            run_sql(database, CHECKPOINTS[dice(me, 3)], NULL, NULL);
            break;
        case 5:
            if (!run_sql(database,
                         "BEGIN IMMEDIATE; CREATE TABLE more (x); DROP TABLE more; COMMIT", NULL,
                         NULL))
                sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
            break;
        default:
            if (dice(me, 2) == 0)
                write_a_row(me, database);
            else
                read_entries(database, last);
        }
    }
    read_rows(database);
    if (sqlite3_close(database) != SQLITE_OK)
        found("the system's SQLite cannot close: %s", sqlite3_errmsg(database));
    add(&all->visits, 1);
}

static void *visit_on(void *unused) {
    struct thread me = new_thread();
    int64_t last = 0;
    while (!stopped()) {
        visit(&me, &last);
        pause_a_little(&me, 2000);
    }
    return unused;
}

/* --- Children
 * -----------------------------------------------------------------------------------------------
 */

/* A forked child may do all through the library; the system's SQLite, which it inherited as it was,
 * it may not use. */
static void work_in_child(simledger_ledger *inherited) {
    struct thread me = new_thread();
    if (inherited != NULL && simledger_count(inherited, &(int64_t){0}, NULL) != SIMLEDGER_CLOSED)
        found("an inherited handle can be used in a child");
    simledger_ledger *ledger = open_ledger();
    if (ledger == NULL)
        return;
    int64_t position = 0;
    for (int i = 0; i < 5; i++) {
        append_next(&me, ledger);
        poll_next(ledger, &position);
    }
    close_and_tell(ledger);
}

static void end_of(pid_t child, const char *what) {
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child && status != 0)
        found("%s ended with status %d, signal %d", what, WEXITSTATUS(status), WTERMSIG(status));
}

static void *make_children(void *unused) {
    struct thread me = new_thread();
    static char *const TRUE[] = {(char *)"true", NULL};
    extern char **environ;
    while (!stopped()) {
        simledger_ledger *ledger = open_ledger();
        pid_t child = -1;
        switch (dice(&me, 4)) {
        case 0:
        case 1:
            child = fork();
            if (child == 0) {
                alarm(120);
                work_in_child(ledger);
                _exit(0);
            }
            end_of(child, "a forked child");
            add(&all->forks, 1);
            break;
        case 2: /* Not known to the C library: it may do next to nothing. */
            child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
            if (child == 0) {
                usleep(500);
                _exit(0);
            }
            close_and_tell(ledger); /* with a child that has all descriptors of its parent */
            ledger = NULL;
            end_of(child, "a clone");
            add(&all->clones, 1);
            break;
        default:
            if (posix_spawnp(&child, "true", NULL, NULL, TRUE, environ) == 0)
                end_of(child, "a spawned child");
            add(&all->spawns, 1);
        }
        if (ledger != NULL)
            close_and_tell(ledger);
        pause_a_little(&me, 20000);
    }
    return unused;
}

/* --- Processes
 * ---------------------------------------------------------------------------------------------- */

static bool is_plain(void) { return strcmp(locks, "own") != 0; }

/* From here on there are no locks of open file descriptions, as on a file system or a kernel
 * without them. */
static void take_own_locks_away(void) {
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, F_OFD_GETLK, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, F_OFD_SETLKW, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void refuses(const char *path, const char *key, const char *value) {
    simledger_config *config = config_with(path, key, value, END);
    simledger_ledger *ledger = NULL;
    CHECK_FAILS(SIMLEDGER_UNSUPPORTED, "commit", "open file descriptions",
                simledger_open(config, &ledger, &error));
    simledger_config_free(config);
}

/* Whether the library in this process finds the locks that are meant, and each side runs its own
 * SQLite. */
static void check_what_was_loaded(bool plain) {
    simledger_ledger *ledger = NULL;
    while (ledger == NULL)
        ledger = open_ledger();
    double own_locks = -1;
    CHECK_OK(simledger_metric_get(ledger, "ofd_locks", NUL_TERMINATED, &own_locks, &error));
    if (own_locks != (plain ? 0 : 1))
        found("the metric ofd_locks is %g", own_locks);
    close_and_tell(ledger);
    if (plain) { /* A commit log cannot be without: neither a new one, nor one that there is. */
        refuses("new.db", "commit", "log");
        refuses("log.db", "read_only", "false");
        refuses("log.db", "read_only", "true");
    }
    if (strcmp(simledger_sqlite_version(), SIMLEDGER_SQLITE_VERSION) != 0 ||
        simledger_sqlite_version() == sqlite3_libversion())
        found("the library runs the system's SQLite");
    if (strcmp(sqlite3_libversion(), SIMLEDGER_SQLITE_VERSION) == 0)
        fprintf(stderr, "both are SQLite %s: who runs which cannot be told\n",
                sqlite3_libversion());
}

/* What process `slot` does. */
static void work(int slot) {
    load_both(library, order);
    const bool plain =
        is_plain() && (slot == 1 || slot == 2); /* beside one with the better locks */
    const bool together = strcmp(locks, "plain") != 0;
    if (plain)
        take_own_locks_away();
    pthread_t threads[8];
    int count = 0;
#define START(body) CHECK(pthread_create(&threads[count++], NULL, body, NULL) == 0)
    if (together || slot > 0)
        check_what_was_loaded(plain);
    if (slot == PROCESSES - 1) {
        START(append_in_passing);
    } else if (together || slot > 0) {
        START(append_on);
        START(append_on);
        START(poll_on);
        START(make_children);
    }
    if (together || slot == 0) {
        START(visit_on);
        START(visit_on);
    }
#undef START
    while (count > 0)
        CHECK(pthread_join(threads[--count], NULL) == 0);
}

static pid_t start(int slot) {
    fflush(NULL);
    const pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        work(slot);
        exit(0);
    }
    return process;
}

static double clock_now(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Whether everything was tried. */
static bool did_all(void) {
    return now(&all->entries) > 0 && now(&all->rows) > 0 && now(&all->polls) > 0 &&
           now(&all->waits) > 0 && now(&all->visits) > 0 && now(&all->forks) > 0;
}

/* Kills one after the other, and starts another in its place. How many. */
static int kill_some(pid_t *processes) {
    struct thread me = new_thread();
    const double end = clock_now() + seconds;
    int kills = 0;
    /* Longer where everything is so slow that something has not come to its turn. */
    while ((clock_now() < end || (!did_all() && clock_now() < end + 60)) &&
           __atomic_load_n(&all->errors, __ATOMIC_SEQ_CST) == 0) {
        usleep(100000 + dice(&me, 500000));
        pid_t *process = &processes[dice(&me, PROCESSES)];
        CHECK(kill(*process, SIGKILL) == 0);
        int status = 0;
        CHECK(waitpid(*process, &status, 0) == *process);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            found("a process ended by itself, with status %x", (unsigned)status);
        kills++;
        *process = start((int)(process - processes));
    }
    return kills;
}

static void hang(int signal_number) {
    (void)signal_number;
    static const char TEXT[] = "found: somebody does not end\n";
    (void)!write(2, TEXT, sizeof TEXT - 1);
    kill(0, SIGABRT);
}

/* All of them, and the children that those who were killed have left. */
static void wait_for_all(void) {
    int status = 0;
    pid_t process;
    signal(SIGALRM, hang);
    alarm(90);
    while ((process = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
        /* A child whose parent was killed may have waited for what is there no more. */
        if (process > 0 && status != 0)
            found("process %ld ended with status %x", (long)process, (unsigned)status);
    alarm(0);
}

/* --- The judgement
 * ------------------------------------------------------------------------------------------ */

static bool is_whole(const char *what, int64_t writer, int64_t acknowledged, const int64_t *row) {
    /* How many, the first, the last. */
    const bool whole = row[0] == row[2] && row[0] >= acknowledged && row[0] <= acknowledged + 1 &&
                       (row[0] == 0 || row[1] == 1);
    if (!whole)
        found("%s of %lld: %lld acknowledged, %lld there, from %lld to %lld", what,
              (long long)writer, (long long)acknowledged, (long long)row[0], (long long)row[1],
              (long long)row[2]);
    return whole;
}

static int64_t *counted; /* three numbers for each writer */

static int count_of_writer(void *user_data, int columns, char **values, char **names) {
    (void)user_data, (void)columns, (void)names;
    const int64_t writer = strtoll(values[0], NULL, 10);
    CHECK(writer >= 0 && writer < all->writers);
    for (int i = 0; i < 3; i++)
        counted[3 * writer + i] = strtoll(values[1 + i], NULL, 10);
    return 0;
}

/* Whether all that was acknowledged is in the file; how many are not as they must be. */
static int64_t missing(sqlite3 *database, const char *what, const char *sql, size_t place) {
    int64_t broken = 0;
    memset(counted, 0, (size_t)(all->writers + 1) * 3 * sizeof *counted);
    CHECK(run_sql(database, sql, count_of_writer, NULL));
    for (int64_t i = 0; i < all->writers; i++) {
        const int64_t *acknowledged =
            (const int64_t *)(const void *)((const char *)&all->writer[i] + place);
        broken += !is_whole(what, i, *acknowledged, counted + 3 * i);
    }
    return broken;
}

static int64_t judge(void) {
    counted = (int64_t *)calloc((size_t)all->writers + 1, 3 * sizeof *counted);
    CHECK(counted != NULL);
    simledger_ledger *ledger = open_ledger();
    size_t findings = 77;
    CHECK_OK(simledger_integrity_check(ledger, 10, NULL, NULL, NULL, &findings, &error));
    if (findings != 0)
        found("%zu findings of the library", findings);
    int64_t position = 0;
    poll_next(ledger, &position);
    close_and_tell(ledger);
    if (access("ledger.db-log", F_OK) == 0 || access("ledger.db-wal", F_OK) == 0)
        found("the last one to close left the log or the WAL");
    sqlite3 *database = open_database();
    char answer[200] = "";
    run_sql(database, "PRAGMA integrity_check(1)", text_of_row, answer);
    if (strcmp(answer, "ok") != 0)
        found("the system's SQLite checks: %s", answer);
    int64_t broken = missing(database, "entries",
                             "SELECT node_id, count(*), CAST(min(timestamp) AS INTEGER), "
                             "CAST(max(timestamp) AS INTEGER) FROM ledger GROUP BY node_id",
                             offsetof(struct writer, entries));
    broken += missing(database, "rows",
                      "SELECT writer, count(*), min(value), max(value) FROM host GROUP BY writer",
                      offsetof(struct writer, rows));
    sqlite3_close(database);
    return broken;
}

/* The file, with a table of the host's own. In a process that ends: what begins with a library in
 * it would fork with it. */
static void make_file(void) {
    load_both(library, order);
    close_ledger(open_ledger());
    if (is_plain()) { /* One that is not empty: see `refuses`. */
        simledger_ledger *logged = open_with("log.db", "commit", "log", END);
        append(logged, 1, "n");
        close_ledger(logged);
    }
    sqlite3 *database = open_database();
    CHECK(run_sql(database, "CREATE TABLE host (writer INTEGER, value INTEGER)", NULL, NULL));
    CHECK(sqlite3_close(database) == SQLITE_OK);
}

static void read_arguments(int argc, char **argv) {
    library = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        CHECK(value != NULL);
        *value++ = '\0';
        if (strcmp(argv[i], "seconds") == 0)
            seconds = atof(value);
        else if (strcmp(argv[i], "seed") == 0)
            seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "order") == 0)
            order = value;
        else if (strcmp(argv[i], "commit") == 0)
            commit = value;
        else if (strcmp(argv[i], "journal") == 0)
            journal_mode = value;
        else if (strcmp(argv[i], "locks") == 0)
            locks = value;
        else
            CHECK(!"an option of this name");
    }
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    all = (struct everyone *)mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(all != MAP_FAILED);
    if (is_plain() && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0 && errno != EFAULT) {
        printf("skipped: without locks of open file descriptions (the kernel has no seccomp "
               "filters)\n");
        return 77;
    }
    CHECK(setpgid(0, 0) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    const pid_t maker = fork();
    if (maker == 0) {
        make_file();
        exit(0);
    }
    int status = -1;
    CHECK(waitpid(maker, &status, 0) == maker && status == 0);

    pid_t processes[PROCESSES];
    for (int slot = 0; slot < PROCESSES; slot++)
        processes[slot] = start(slot);
    const int kills = kill_some(processes);
    __atomic_store_n(&all->stopped, 1, __ATOMIC_SEQ_CST);
    wait_for_all();

    load_both(library, order);
    const int64_t broken = judge();
    printf("commit=%s journal=%s locks=%s order=%s seed=%llu: %lld entries and %lld rows "
           "acknowledged, %lld lost or "
           "doubled, %d errors; %d kills, %lld opens, %lld polls, %lld waits, %lld visits, %lld "
           "vacuums, %lld busy, "
           "%lld forks, %lld clones, %lld spawns\n",
           commit, journal_mode, locks, order, (unsigned long long)seed, (long long)all->entries,
           (long long)all->rows, (long long)broken, all->errors, kills, (long long)all->opens,
           (long long)all->polls, (long long)all->waits, (long long)all->visits,
           (long long)all->vacuums, (long long)all->busy, (long long)all->forks,
           (long long)all->clones, (long long)all->spawns);
    const bool whole = did_all() && kills > 0;
    if (!whole)
        fprintf(stderr, "something that was to be tried was not done at all\n");
    /* Each waits long for the others: a disk may be slow now and then, and nothing else. */
    const bool seldom_busy = all->busy <= (all->entries + all->polls) / 100;
    if (!seldom_busy)
        fprintf(stderr, "found: busy %lld times\n", (long long)all->busy);
    return all->errors == 0 && broken == 0 && whole && seldom_busy ? 0 : 1;
}
