/*
 * simledger: an immutable, ordered, durable event ledger for simulators.
 *
 * Many agents of a simulation, in threads and in processes, append what they found to one ledger and
 * poll it for what the others found since the last id they saw. The ledger is one SQLite file; there
 * is no server.
 *
 * This header is generated from the sources of the library, and is its manual.
 *
 * Results
 *     A function that can fail returns a simledger_status. What it gives goes through pointers, set
 *     on success, and to NULL or 0 on failure. The last argument is `simledger_error **error`: see
 *     simledger_error. Functions that return a value cannot fail: for NULL, or out of range, they
 *     return 0, NULL or "" as each says.
 *     Begin with `simledger_error *error = NULL`, and free what a failure left there before the next
 *     call overwrites it. Read `error` only after the call has returned: in
 *     `check(simledger_count(l, &n, &error), error)` C may take its value before the call, and so an
 *     error of an earlier one that may be freed. Assign the status first.
 *
 * Strings
 *     In: a pointer and a length in bytes, or SIMLEDGER_NUL_TERMINATED as length; UTF-8, lent for the
 *     call. A length above PTRDIFF_MAX is INVALID_ARGUMENT before a byte is read. Out: borrowed from
 *     what gave them, with a NUL behind them, and their length where you ask for it.
 *     What is yours until simledger_string_free you may also change.
 *
 * NULL
 *     For a required pointer it is INVALID_ARGUMENT with the argument's name, and so are numbers out
 *     of range. Every _free takes NULL, and so does simledger_close.
 *
 * Lifetimes
 *     Entries and results are immutable and reference counted; they outlive the ledger, and any
 *     thread may use them. A ledger handle is checked at every call: one that was closed is CLOSED,
 *     one that was made up INVALID_ARGUMENT. Freeing anything else twice, or using it after, is
 *     undefined, as with free().
 *
 * Threads
 *     A ledger may be used from any number of threads at once; so may entries, results and errors.
 *     A config is for one thread at a time. simledger_close waits for calls in flight.
 *     A call needs 64 KiB of its thread's stack at most, but for simledger_sql, which says what it
 *     needs; what signal handlers and callbacks use comes on top. Signals never make a call fail, nor
 *     return early, with SA_RESTART or without. The library's own threads take no signals of the
 *     program. A thread may not be cancelled (pthread_cancel) or leave (longjmp) inside a call: what the
 *     call had in hand would stay in hand, or the program end. Disable cancellation around it.
 *
 * The end of the program
 *     Calls may be made from destructors of static and thread-local objects, from destructors of
 *     pthread keys, and from functions of atexit, while other threads are in calls too. What was
 *     acknowledged needs no close to be kept.
 *
 * Unloading
 *     The shared library stays loaded after dlclose: its threads, at-fork handlers and thread-local
 *     data would otherwise outlive their code. Loading it again finds the ledgers that are still open.
 *     A plug-in that holds the static library and may be unloaded must be linked with -z nodelete.
 *
 * fork
 *     In a child, handles it inherited are CLOSED. It may open any file anew, also one that its parent
 *     has open: from then on the two are as any two processes.
 *     A child that was made without the C library's handlers (the system call clone, _Fork) can have no
 *     ledgers: what it inherited is CLOSED, opening is UNSUPPORTED. What its parent has locked stays
 *     locked until it ends, executes a program or closes its descriptors too: let it do so soon.
 *
 * Time
 *     `timeout` bounds all the waiting that a call does: for a connection, for a lock, for another
 *     process, retries together. When it is used up the call returns BUSY, with nothing written (but see
 *     Faults, append, for what FULL cannot bring to the medium).
 *
 * Order and freshness
 *     Ids grow in the order of commits and become visible in that order: whoever has seen an id will
 *     never later see a new smaller one. A read sees every append that was acknowledged before it
 *     began, in this process and in any other. Ids are never used again.
 *
 * Waiting
 *     simledger_wait_since waits for what others append, in threads and in other processes;
 *     simledger_watch_open gives a descriptor for event loops. Whoever appends wakes them, and makes
 *     no system call for it where nobody waits.
 *
 * Commit
 *     With `commit = log`, the default of new files, an append is a record in a commit log, the file
 *     `<path>-log` that all processes with the ledger open have mapped, and is in every reader's
 *     answers from then on. In the background, some 20 milliseconds later, it is folded into the
 *     ledger file; until then other programs, which may read the file at any time, do not see it.
 *     simledger_flush does it at once; simledger_sql, integrity checks and cleanups do it first. The
 *     last close folds everything and takes the log away. Other programs cannot INSERT into such a
 *     file (a trigger says so). With `commit = sqlite` an append is a transaction of SQLite.
 *
 * Durability
 *     An append that returned OK survives the death of any process, at every synchronous_mode. It
 *     survives a power cut at FULL and EXTRA; at NORMAL the newest may be lost then, and what is left
 *     is a prefix in the order of ids; at OFF a power cut may damage the file.
 *     A copy of a ledger is the file with its `-log` and `-wal`, made while nobody has it open; after
 *     the last close, or a checkpoint with nothing appended since, the file alone.
 *
 * Other code of the process
 *     May open, use and close the file as it likes, through another SQLite too: the library's locks
 *     are those of an open file description (F_OFD_SETLK of Linux), which nobody else can drop, and it
 *     drops nobody else's.
 *
 * Caveats
 *     Where the system or the file system has no such locks, locks belong to the process: another
 *     SQLite in it, on the same file, drops them at each close, and may damage the file. The log says
 *     so at open (WARN), and the metric `ofd_locks` is 0. A network file system has whatever locks it
 *     has: do not use one.
 *
 * Faults
 *     What happens where something fails that is not the caller's doing. The comment of each function ends
 *     with the kind of call that it is.
 *     memory         Nothing but memory of the process: no disk, file or other process can make it fail. A
 *                    large allocation that fails is OUT_OF_MEMORY and changes nothing; NULL, as each
 *                    says, where there is no status.
 *     handle         The same, on a ledger: also CLOSED, WRONG_THREAD, and IO where its file is gone.
 *     configuration  Reads one file: IO where that fails, LIMIT_EXCEEDED above 1 MiB. Nothing is taken then.
 *     read           Changes nothing, so it can be called again. Disk: IO, with file and reason in the
 *                    message. Rows that are no entries are passed over, counted (`rows_skipped`) and
 *                    logged, or CORRUPT where one was asked for; a damaged file is CORRUPT. With a log, what
 *                    memory knows needs no disk. READ_ONLY for a read-only ledger whose -journal a dead
 *                    process left. Others that die or are stopped do not hold it up, but for one that is
 *                    stopped while it commits with a rollback journal: BUSY.
 *     append         All or nothing. Disk full, quota, limit of file size: NO_SPACE; another error: IO; no
 *                    longer writable: READ_ONLY; a damaged or planted file: CORRUPT; large allocations:
 *                    OUT_OF_MEMORY. Nothing was written then, and the call can be made again when the
 *                    cause is gone. With a log the disk shows at FULL, when the log is full, in a batch too
 *                    large for it, or where a timestamp is not above its node's largest, and the file is asked
 *                    for a duplicate. The exception is at FULL: an error with simledger_error_entry_id that
 *                    is neither DUPLICATE nor CONFLICT tells of an entry that is in the ledger and perhaps not
 *                    on the medium: append it again with `on_duplicate = ignore`.
 *                    Killed in the call: it is there as a whole, or not. A process that is stopped in its
 *                    turn: BUSY when `timeout` is over. Power cut: see Durability.
 *     maintenance    As an append, but done in steps: simledger_error_work_done says how far it came, and
 *                    what was done stays. Killed, or the power cut: what was done and told stays, and the
 *                    ledger is whole. simledger_option_set is done or, by the next append at the latest, undone.
 *     open           Nothing stays open where it fails. INCOMPATIBLE: no ledger, a newer one, planted
 *                    expressions, a log of another one. CORRUPT: a damaged file or log. IO: no regular
 *                    file, companions that cannot be opened. NO_SPACE: no room for the log or a new
 *                    file. UNSUPPORTED: a log on another machine's file system or without locks. It
 *                    recovers what a killed process left; after a power cut the log callback is told
 *                    (WARN) where entries were lost.
 *     close          Closes all the same. IO, NO_SPACE: entries stay in `<path>-log` or -wal, and the
 *                    next opening stores them.
 *
 * Never
 *     The library never prints, exits, installs signal handlers, reads the environment or a file
 *     unasked, and no panic of its Rust code crosses into the caller: it becomes INTERNAL.
 */


#ifndef SIMLEDGER_H
#define SIMLEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header: compare with simledger_version() and the like at run time. */
#define SIMLEDGER_VERSION "0.1.0"
#define SIMLEDGER_VERSION_MAJOR 0
#define SIMLEDGER_VERSION_MINOR 1
#define SIMLEDGER_VERSION_PATCH 0
#define SIMLEDGER_ABI_VERSION 0
#define SIMLEDGER_SQLITE_VERSION "3.53.2"

/* As the length of a string: it ends at its NUL. */
#define SIMLEDGER_NUL_TERMINATED SIZE_MAX
/* As a limit: all. */
#define SIMLEDGER_NO_LIMIT SIZE_MAX
/* Of simledger_error_index: no entry of a batch is at fault. */
#define SIMLEDGER_NO_INDEX SIZE_MAX


/**
 * Log level: something failed, and not only for the caller, who has a status for that.
 */
#define SIMLEDGER_LOG_ERROR 1

/**
 * Log level: something is not as it should be, such as a row that is no valid entry.
 */
#define SIMLEDGER_LOG_WARN 2

/**
 * Log level: opening, closing, cleanup.
 */
#define SIMLEDGER_LOG_INFO 3

/**
 * Log level: for those who look into simledger itself.
 */
#define SIMLEDGER_LOG_DEBUG 4

/**
 * Order: as they were appended. What a new query has.
 */
#define SIMLEDGER_ORDER_ID 1

/**
 * Order: the last appended first.
 */
#define SIMLEDGER_ORDER_ID_DESCENDING 2

/**
 * Order: the oldest timestamp first, and of equal ones the smaller id.
 */
#define SIMLEDGER_ORDER_TIME 3

/**
 * Order: the newest timestamp first, and of equal ones the larger id.
 */
#define SIMLEDGER_ORDER_TIME_DESCENDING 4

/**
 * Type of a feature: null.
 */
#define SIMLEDGER_TYPE_NULL 1

/**
 * Type of a feature: true or false.
 */
#define SIMLEDGER_TYPE_BOOLEAN 2

/**
 * Type of a feature: a number.
 */
#define SIMLEDGER_TYPE_NUMBER 3

/**
 * Type of a feature: a string.
 */
#define SIMLEDGER_TYPE_STRING 4

/**
 * Type of a feature: an array.
 */
#define SIMLEDGER_TYPE_ARRAY 5

/**
 * Type of a feature: an object.
 */
#define SIMLEDGER_TYPE_OBJECT 6

/**
 * Gives free pages at the end of the file back, in transactions of a thousand pages between which
 * others write.
 */
#define SIMLEDGER_VACUUM_INCREMENTAL 1

/**
 * Writes the whole file anew, in one transaction that nobody can write beside.
 */
#define SIMLEDGER_VACUUM_FULL 2

/**
 * How to open a ledger. Yours until `simledger_config_free`; for one thread at a time.
 */
typedef struct simledger_config simledger_config;

/**
 * Entries that a read gave, in order. Immutable; any number of threads may read it at once. Yours
 * until `simledger_entries_free`, and independent of the ledger, which may be closed before.
 */
typedef struct simledger_entries simledger_entries;

/**
 * An entry. Immutable; any number of threads may read it at once.
 *
 * `const simledger_entry *` from a result is borrowed and lives as long as the result;
 * `simledger_entry *` from `simledger_get_by_id` and `simledger_entry_retain` is yours until
 * `simledger_entry_free`. It is independent of the ledger. The accessors take NULL.
 */
typedef struct simledger_entry simledger_entry;

/**
 * What a failed call has to say. Immutable; yours until `simledger_error_free`.
 *
 * Every fallible function takes a `simledger_error **` last. It may be NULL. It is never read, and
 * always overwritten: with NULL on success and for `NOT_FOUND` and `TIMEOUT`, else with a new
 * object. The accessors take NULL, and any thread may call them.
 */
typedef struct simledger_error simledger_error;

/**
 * Makes the JSON text of features from keys and values, with the escapes that are needed: an
 * object, its keys in the order in which they were first set. Yours until
 * `simledger_features_free`; for one thread at a time.
 */
typedef struct simledger_features simledger_features;

/**
 * An open ledger. Not an address but a number that is checked at every call, so that a handle that
 * was closed, closed twice or made up is a clean error. Any number of threads may use it at once.
 */
typedef struct simledger_ledger simledger_ledger;

/**
 * Which entries to read, in which order, how many. Yours until `simledger_query_free`; for one
 * thread at a time. May be run any number of times, on any ledger.
 *
 * All conditions must hold. A query uses an index or the order of ids and never sorts entries: in
 * the order of ids, whole results come by the index of nodes, times or confidences, whichever
 * narrows first; pages and polls go through the ids from where they begin. In the order of time,
 * the index of times leads, or for one node that of nodes.
 */
typedef struct simledger_query simledger_query;

/**
 * Entries that are collected and then written together, all or nothing. Like a ledger, not an
 * address but a number that is checked at every call. For one thread at a time.
 *
 * Nothing of the ledger is held while a transaction is open: no writer waits for it, and dropping
 * it costs nothing.
 */
typedef struct simledger_transaction simledger_transaction;

/**
 * A place in the ledger with a descriptor for event loops (epoll, poll, libuv, asyncio), which is
 * readable while something comes next. Like a ledger, not an address but a number that is checked
 * at every call.
 *
 * One thread of the library, `simledger-watch`, makes the descriptors of all watches of a file
 * readable. It begins with the first watch and ends when the ledger is closed.
 */
typedef struct simledger_watch simledger_watch;

/**
 * The result of a call: one of the `SIMLEDGER_` statuses below. The numbers never change.
 *
 * Whose move it is: the caller's at `INVALID_ARGUMENT`, `INVALID_CONFIG`, `INVALID_ENTRY`,
 * `DUPLICATE`, `CONFLICT`, `CLOSED`, `LIMIT_EXCEEDED`, `WRONG_THREAD` and `UNSUPPORTED`; that of
 * whoever runs the machine at `READ_ONLY`, `NO_SPACE`, `IO`, `CORRUPT`, `INCOMPATIBLE` and
 * `OUT_OF_MEMORY`; ours at `INTERNAL`. After `BUSY`, `TIMEOUT` and `INTERRUPTED` the same call may
 * succeed, and after `NO_SPACE` and `OUT_OF_MEMORY` when others have made room.
 */
typedef int32_t simledger_status;

/**
 * Receives a line of the log. `message` is UTF-8 of `message_len` bytes with a NUL behind it, lent
 * for the call; it never holds features.
 *
 * Called at the end of a call on the ledger, on that call's thread, with no lock held. It may call
 * the library, but not close this ledger, and it may wait: other threads go on meanwhile. A C++
 * exception out of it ends the program: catch it inside, or use `simledger.hpp`, which does. It may not
 * be left by `longjmp`.
 */
typedef void (*simledger_log_callback)(int32_t level,
                                       const char *message,
                                       size_t message_len,
                                       void *user_data);

/**
 * Told once that `user_data` is not used any more.
 *
 * Called at the end of `simledger_config_free`, of a call on the configuration that replaces it, or
 * of the close of the last ledger that used it, on that call's thread, with no lock held.
 */
typedef void (*simledger_drop_callback)(void *user_data);

/**
 * All fields of an entry at once. The strings are UTF-8, end with a NUL, and are borrowed from the
 * result.
 */
typedef struct {
    /**
     * `sizeof(simledger_entry_view)`, set by the caller.
     */
    size_t struct_size;
    /**
     * Its place in the ledger's order, from 1.
     */
    int64_t id;
    /**
     * Seconds, Unix or simulated.
     */
    double timestamp;
    /**
     * 0 to 1.
     */
    double confidence;
    /**
     * Unix seconds; 0 where the row does not say.
     */
    double created_at;
    /**
     * The node that found it.
     */
    const char *node_id;
    /**
     * Length of the node's name in bytes.
     */
    size_t node_id_len;
    /**
     * What was found, as compact JSON.
     */
    const char *features_json;
    /**
     * Length of the features in bytes.
     */
    size_t features_json_len;
} simledger_entry_view;

/**
 * The entries of a chunk, column by column: what numpy and its like can use without copying. `len`
 * values in each array; all are borrowed from the result. The strings of entry `i` begin at
 * `text[node_id_offsets[i]]` and `text[features_offsets[i]]`, are as long as their lengths say,
 * and end with a NUL.
 */
typedef struct {
    /**
     * `sizeof(simledger_columns)`, set by the caller.
     */
    size_t struct_size;
    /**
     * How many entries there are.
     */
    size_t len;
    /**
     * Their places in the ledger's order, from 1.
     */
    const int64_t *ids;
    /**
     * Seconds, Unix or simulated.
     */
    const double *timestamps;
    /**
     * 0 to 1.
     */
    const double *confidences;
    /**
     * Unix seconds; 0 where the row does not say.
     */
    const double *created_at;
    /**
     * Where the name of each node begins in `text`.
     */
    const size_t *node_id_offsets;
    /**
     * Lengths in bytes.
     */
    const size_t *node_id_lengths;
    /**
     * Where the features of each entry begin in `text`.
     */
    const size_t *features_offsets;
    /**
     * Lengths in bytes.
     */
    const size_t *features_lengths;
    /**
     * All strings, each with its NUL.
     */
    const char *text;
    /**
     * Bytes of all strings and their NULs.
     */
    size_t text_len;
} simledger_columns;

/**
 * Told how far something is, from 0 to 1, never less than before. Returns 0 to go on; anything
 * else ends it.
 *
 * Called during the call, on its thread, with no lock of the library held but the snapshot that
 * the check reads. It may call the library, but not close this ledger; its connection is in use
 * meanwhile, so that reading with `max_connections = 1` is BUSY. For a ledger in memory it is
 * called at the beginning and the end only. A C++ exception out of it ends the program: catch it
 * inside, or use `simledger.hpp`, which does. It may not be left by `longjmp`.
 */
typedef int32_t (*simledger_progress_callback)(double part, void *user_data);

/**
 * Done.
 */
#define SIMLEDGER_OK 0

/**
 * There is no such entry. An outcome: comes without an error object.
 */
#define SIMLEDGER_NOT_FOUND 1

/**
 * The time given for waiting passed and nothing came. An outcome: comes without an error object.
 * Only from `simledger_wait_since`.
 */
#define SIMLEDGER_TIMEOUT 2

/**
 * An argument is outside what the function takes; the error names it.
 */
#define SIMLEDGER_INVALID_ARGUMENT 3

/**
 * A configuration key or value is unknown, out of range, or contradicts the open ledger.
 */
#define SIMLEDGER_INVALID_CONFIG 4

/**
 * The entry is not valid; the error names field, value and limit. Nothing was written.
 */
#define SIMLEDGER_INVALID_ENTRY 5

/**
 * An entry with this timestamp and node is there already. Nothing was written.
 */
#define SIMLEDGER_DUPLICATE 6

/**
 * Somebody else appended since the expected last id. Nothing was written.
 */
#define SIMLEDGER_CONFLICT 7

/**
 * The time budget (`timeout`) was used up waiting for a lock or a connection. Nothing was written.
 */
#define SIMLEDGER_BUSY 8

/**
 * The call was interrupted. Nothing was written.
 */
#define SIMLEDGER_INTERRUPTED 9

/**
 * The ledger, the file or its file system cannot be written.
 */
#define SIMLEDGER_READ_ONLY 10

/**
 * The disk is full, or a ledger in memory has grown to 1 GiB. Nothing was written.
 */
#define SIMLEDGER_NO_SPACE 11

/**
 * The operating system reported an input or output error, or the file is not where it was.
 */
#define SIMLEDGER_IO 12

/**
 * The file, or the row asked for, is damaged.
 */
#define SIMLEDGER_CORRUPT 13

/**
 * The file is not a ledger, or one of a newer version.
 */
#define SIMLEDGER_INCOMPATIBLE 14

/**
 * The handle was closed, or was inherited over a fork.
 */
#define SIMLEDGER_CLOSED 15

/**
 * A limit would be exceeded; the error names it.
 */
#define SIMLEDGER_LIMIT_EXCEEDED 16

/**
 * The ledger has `check_same_thread`, and this is not the thread that opened it.
 */
#define SIMLEDGER_WRONG_THREAD 17

/**
 * This cannot be done here; the error says why.
 */
#define SIMLEDGER_UNSUPPORTED 18

/**
 * A large allocation failed.
 */
#define SIMLEDGER_OUT_OF_MEMORY 19

/**
 * A defect of simledger was caught; the error says where. The ledger can be used on.
 */
#define SIMLEDGER_INTERNAL 20

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status without its prefix, such as "BUSY"; "UNKNOWN" for a number that is none.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_status_name(simledger_status status);

/**
 * A sentence about a status.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_status_description(simledger_status status);

/**
 * The version of the library that runs, such as "0.1.0".
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_version(void);

/**
 * The version of the C API of the library that runs; compare with `SIMLEDGER_ABI_VERSION`.
 *
 * Any thread.
 *
 * Faults: memory.
 */
uint32_t simledger_abi_version(void);

/**
 * The version of the SQLite inside the library that runs, such as "3.53.2". It is the library's
 * own, whatever SQLite the program is linked with.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_sqlite_version(void);

/**
 * The status that the call returned; `SIMLEDGER_OK` for NULL.
 *
 * Faults: memory.
 */
simledger_status simledger_error_status(const simledger_error *error);

/**
 * What happened, and what to do about it, in one line; "" for NULL. Holds no features, but for the
 * value that a `simledger_entry_feature_` function is about.
 *
 * The string lives as long as the error.
 *
 * Faults: memory.
 */
const char *simledger_error_message(const simledger_error *error);

/**
 * The argument, field of an entry or configuration key at fault; "" where there is none.
 *
 * The string lives as long as the error.
 *
 * Faults: memory.
 */
const char *simledger_error_field(const simledger_error *error);

/**
 * Which entry of a batch is at fault, counted from 0; `SIMLEDGER_NO_INDEX` where none is.
 *
 * Faults: memory.
 */
size_t simledger_error_index(const simledger_error *error);

/**
 * The id of the entry that is there already (`DUPLICATE`), is damaged (`CORRUPT`), or was written and is
 * perhaps not on the medium (see Faults, append); of `CONFLICT` the last one that there is; else 0.
 *
 * Faults: memory.
 */
int64_t simledger_error_entry_id(const simledger_error *error);

/**
 * What was done before the failure and stays done: entries that a cleanup deleted; else 0.
 *
 * Faults: memory.
 */
int64_t simledger_error_work_done(const simledger_error *error);

/**
 * SQLite's extended result code (<https://sqlite.org/rescode.html>); 0 where it had no part in it.
 *
 * Faults: memory.
 */
int32_t simledger_error_sqlite_code(const simledger_error *error);

/**
 * Whether the same call may succeed later with nothing else changed; false for NULL.
 *
 * Faults: memory.
 */
bool simledger_error_retryable(const simledger_error *error);

/**
 * Ends an error and the strings it lent. NULL is nothing.
 *
 * Faults: memory.
 */
void simledger_error_free(simledger_error *error);

/**
 * A new configuration: the defaults. Never NULL.
 *
 * Any thread. Free it with `simledger_config_free`; ledgers that were opened with it do not need
 * it any more.
 *
 * Faults: memory.
 */
simledger_config *simledger_config_new(void);

/**
 * Ends a configuration. NULL is nothing.
 *
 * Faults: memory.
 */
void simledger_config_free(simledger_config *config);

/**
 * Sets a key. Keys, with their defaults:
 *
 * | key | default | what it is |
 * |---|---|---|
 * | `path` | `ledger.db` | the ledger file; `:memory:` is a new ledger in memory |
 * | `read_only` | `false` | open an existing file for reading only |
 * | `timeout` | `30` | seconds a call may take in all when it must wait, 0 to 1e9, decimals allowed; 0: try once |
 * | `retry_count` | `1000000` | most waits of `retry_delay` that a call makes when another process holds a lock, within `timeout`, after shorter ones that grow to it; 0: none at all |
 * | `retry_delay` | `0.001` | seconds between two tries at most: the first wait is 50 microseconds, each further one twice as long up to this; a random part of it is taken |
 * | `sql_timeout` | `30` | seconds that a statement of `simledger_sql` may run |
 * | `check_same_thread` | `false` | only the thread that opened the ledger may use the handle (close is free) |
 * | `on_duplicate` | `error` | `error`, or `ignore`: an equal entry that is there already is OK |
 * | `strict_fields` | `false` | refuse fields other than the four of an entry, instead of ignoring them |
 * | `entry_bytes_max` | `16777216` | most bytes of one entry's JSON, 1 to 900000000 |
 * | `features_depth_max` | `128` | most containers inside one another in features, 1 to 1024 |
 * | `result_bytes_max` | `1073741824` | most bytes of memory that the entries of one result, the JSON of one `simledger_sql`, or the findings of an integrity check take |
 * | `file_mode` | `umask` | the rights of a ledger file that is made, in octal from 0600 to 0666 (`0640`), whatever the umask says; `umask`: 0644 without what that takes away. An existing file keeps its own; all companions of a file have the same, and where root opens it its owner |
 * | `journal_mode` | `WAL` | `WAL`, `DELETE`, `TRUNCATE` or `PERSIST` (`OFF` and `MEMORY` are refused) |
 * | `synchronous_mode` | `NORMAL` | `OFF`, `NORMAL`, `FULL` or `EXTRA`; see Durability above |
 * | `cache_size` | `10000` | SQLite's page cache in KB for each connection; that which writes has 64000 unless the key is set |
 * | `max_connections` | `10` | most connections that read at once, 1 to 1000 |
 * | `tail_bytes_max` | `67108864` | bytes of the newest entries kept in memory by each process; what the ledger file does not have yet is kept anyway |
 * | `log_bytes` | `67108864` | bytes of the commit log, 64 KiB to 64 GiB, where one is made; with so much not yet folded into the file, appends wait |
 * | `entry_cache_size` | `32` | entries kept in memory by id; 0: none |
 * | `query_cache_size` | `32` | by-node results kept in memory; 0: none |
 * | `cache_ttl` | `300` | seconds that a cache keeps what nobody asks for; answers are never stale, whatever it is |
 * | `retention_seconds` | `0` | entries older than this are deleted in the background, by the ledger's clock, on a thread that ends with the last handle; 0: none |
 * | `unique` | `timestamp_node_id` | one entry for each timestamp and node, or `none`: any number |
 * | `clock` | `wall` | what age counts from in a cleanup: the system's clock, or `simulated`: the newest timestamp (for simulated time) |
 * | `guards` | `on` | triggers in the file that keep other programs from changing entries; `off` leaves them out |
 * | `commit` | `log` | how an append is made durable: `log`, a record in a commit log beside the file (see Commit above); `sqlite`, a transaction of SQLite. `log` is not possible in memory and on network file systems: where nobody asked for it, and with `guards = off`, it is `sqlite` then. A file that another program made is `sqlite` unless `log` is asked for |
 * | `profile` | `default` | `high_throughput`: max_connections 20, timeout 60, cache_size 50000 (up to 20 times 50 MB); `low_latency`: max_connections 5, timeout 10, synchronous_mode OFF (a power cut may damage the file) |
 *
 * Booleans are `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`; the case of letters does not
 * matter, in named values neither.
 *
 * Where several say something, what is set by this function wins over the environment, that over a
 * file, that over the profile, and that over the defaults, whatever the order of the calls.
 * `connection_pool_size` is another name for `max_connections`, and `retry_attempts` for
 * `retry_count`.
 *
 * `unique`, `clock`, `guards` and `commit` are settled in the file when it is created;
 * `journal_mode`, `synchronous_mode`, the cache keys, `max_connections` and `retention_seconds` by
 * whoever opens the file first in this process. Whoever then asks for something else gets
 * `INVALID_CONFIG` when opening; who sets nothing takes what is there. `simledger_option_set`
 * changes what can change later.
 *
 * - `key`, `value`: UTF-8, lent for the call, `key_len` and `value_len` bytes long, or
 *   `SIMLEDGER_NUL_TERMINATED`.
 *
 * Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name; a value out of
 * range), and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_config_set(simledger_config *config,
                                      const char *key,
                                      size_t key_len,
                                      const char *value,
                                      size_t value_len,
                                      simledger_error **error);

/**
 * The value that a key, or `profile`, has in a configuration, all layers put together, in its
 * normal form.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets the value, yours until `simledger_string_free`; NULL on failure.
 * - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name);
 * OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_config_get(const simledger_config *config,
                                      const char *key,
                                      size_t key_len,
                                      char **value,
                                      size_t *value_len,
                                      simledger_error **error);

/**
 * Loads the section `database:` of a YAML file, as the Python module has it: keys of
 * `simledger_config_set`, or `profile`, with plain values. Other sections are passed over. A key
 * that is not known is no error: the logs of the ledgers that are opened say so. A second file
 * adds to the first.
 *
 * - `path`: UTF-8, lent for the call, `path_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. A
 *   regular file of at most 1 MiB in UTF-8. Never the path of an open ledger. The `path` inside it
 *   counts from the current folder.
 *
 * Returns OK; INVALID_ARGUMENT; IO (missing, a directory, no permission); LIMIT_EXCEEDED (too
 * large); INVALID_CONFIG (no valid YAML, a list or mapping or alias as value, a value out of
 * range: the message names the line); INTERNAL. Whatever is not OK changed nothing.
 *
 * Faults: configuration.
 */
simledger_status simledger_config_load_file(simledger_config *config,
                                            const char *path,
                                            size_t path_len,
                                            simledger_error **error);

/**
 * Loads the environment: variables named `SIMLEDGER_` with a key in capitals behind it, such as
 * `SIMLEDGER_TIMEOUT` or `SIMLEDGER_PROFILE`. One that names no key is no error: the logs of the
 * ledgers that are opened say so. Nothing else of the library reads the environment.
 *
 * Not while another thread calls setenv or putenv. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (a
 * value out of range: the message names the variable), and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_config_load_environment(simledger_config *config,
                                                   simledger_error **error);

/**
 * How many configuration keys there are.
 *
 * Any thread.
 *
 * Faults: memory.
 */
size_t simledger_config_key_count(void);

/**
 * The name of a configuration key, counted from 0; "" where there is none.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_config_key_name(size_t index);

/**
 * The default of a configuration key, counted from 0; "" where there is none.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_config_key_default(size_t index);

/**
 * What the values of a configuration key may be, counted from 0; "" where there is none.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_config_key_range(size_t index);

/**
 * What a configuration key is for, in a sentence, counted from 0; "" where there is none.
 *
 * The string is constant. Any thread.
 *
 * Faults: memory.
 */
const char *simledger_config_key_doc(size_t index);

/**
 * Sets where the log goes, of each ledger that is opened with this configuration from now on; the
 * log sees what opening says.
 *
 * - `level`: `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; lines of this level and graver ones.
 * - `callback`: see `simledger_log_callback`; NULL: no log.
 * - `user_data`: passed to `callback`; may be NULL. Must be usable from every thread that calls
 *   those ledgers, at once.
 * - `drop`: told when nobody uses `user_data` any more, once, on whatever thread that comes about:
 *   after the configuration was freed or got another log, and the ledgers are closed. May be NULL.
 *   Not told when this function fails.
 *
 * Returns OK; INVALID_ARGUMENT (`config` is NULL, or `level` is no level); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_config_set_log(simledger_config *config,
                                          int32_t level,
                                          simledger_log_callback callback,
                                          void *user_data,
                                          simledger_drop_callback drop,
                                          simledger_error **error);

/**
 * Gives each ledger that is opened with this configuration from now on a queue for its log, to be
 * read with `simledger_log_next`: for programs that cannot be called from any thread. It is beside
 * the callback, if there is one.
 *
 * - `level`: `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; lines of this level and graver ones.
 * - `lines_max`: most lines that wait, 1 to 1,000,000; when it is full the oldest goes, and the
 *   metric `log_lines_dropped` counts. 0: no queue.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_config_set_log_queue(simledger_config *config,
                                                int32_t level,
                                                size_t lines_max,
                                                simledger_error **error);

/**
 * Opens the ledger file at `path` with the defaults, and creates it if there is none.
 *
 * - `path`: UTF-8, lent for the call, `path_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. A
 *   relative path is resolved now. ":memory:" is a new ledger in memory of at most
 *   1 GiB, gone when it is closed.
 * - `ledger`: gets the handle, yours until `simledger_close`; NULL on failure.
 *
 * Any thread. Returns what `simledger_open` returns.
 *
 * Faults: open.
 */
simledger_status simledger_open_path(const char *path,
                                     size_t path_len,
                                     simledger_ledger **ledger,
                                     simledger_error **error);

/**
 * Opens a ledger as a configuration says, and creates it if there is none (unless `read_only`).
 *
 * A symbolic link to a ledger file is followed; nothing is created through one. All openings of
 * one file in a process share their storage and caches, by whatever name they found it.
 *
 * - `config`: lent for the call; NULL: the defaults.
 * - `ledger`: gets the handle, yours until `simledger_close`; NULL on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (a key asks for something else than the
 * file or its other handles in this process have); READ_ONLY (the file cannot be written:
 * open it with `read_only`); NO_SPACE; IO (no such folder or file, a directory, no permission);
 * CORRUPT; INCOMPATIBLE (not a ledger, or one of a newer version); BUSY (locked by another
 * process for all of `timeout`); LIMIT_EXCEEDED (65,536 open ledgers); UNSUPPORTED (`commit = log`
 * where there can be none; a process that was made without the handlers of fork); OUT_OF_MEMORY;
 * INTERNAL.
 *
 * Faults: open.
 */
simledger_status simledger_open(const simledger_config *config,
                                simledger_ledger **ledger,
                                simledger_error **error);

/**
 * Closes a ledger: waits for the calls that other threads have in flight on it (those that wait for
 * entries end with CLOSED), and lets go of the file when it was the last handle. The handle is closed whatever is returned; later calls with it
 * are `CLOSED`. Entries and results that came from it stay valid.
 *
 * - `ledger`: NULL is nothing, and OK.
 *
 * Any thread, also with `check_same_thread`; but not from inside this ledger's log callback.
 *
 * Returns OK; CLOSED (it was closed before, or inherited over a fork); INVALID_ARGUMENT (not a
 * handle; from inside its callback: it stays open); IO, NO_SPACE, CORRUPT (the file could not be
 * put in order; all that was acknowledged is in it, in its WAL or in its commit log, and the next
 * opening goes on from there); INTERNAL.
 *
 * Faults: close.
 */
simledger_status simledger_close(simledger_ledger *ledger,
                                 simledger_error **error);

/**
 * Closes all ledgers that are open in this process, those of other plug-ins included, each as
 * `simledger_close` does. The library can be used again at once.
 *
 * Any thread, but not from inside a log callback. Returns OK; INVALID_ARGUMENT (inside a
 * callback: nothing is closed); otherwise the first failure that a `simledger_close` returned,
 * INTERNAL among them, with all ledgers closed all the same.
 *
 * Faults: close.
 */
simledger_status simledger_shutdown(simledger_error **error);

/**
 * Changes the value of a configuration key of an open ledger.
 *
 * At any time: of this handle, `timeout`, `retry_count`, `retry_delay`, `sql_timeout`,
 * `on_duplicate`, `strict_fields`, `entry_bytes_max`, `features_depth_max` and `result_bytes_max`;
 * of all handles of the file in this process, `max_connections`, `entry_cache_size`,
 * `query_cache_size`, `cache_ttl` and `retention_seconds`. While no other handle of the file is
 * open in this process: `unique`, `clock`, `guards` and `commit`, which are stored in the file,
 * for other processes too: one that has the file open learns of it when it opens it the next time,
 * so that they are better changed while none has. The other keys never.
 *
 * `unique = none` writes the table of a ledger anew where the constraint is part of it, which
 * takes as long as that; `unique = timestamp_node_id` is DUPLICATE where the ledger holds entries
 * that would contradict it.
 *
 * - `key`, `value`: UTF-8, lent for the call, `key_len` and `value_len` bytes long, or
 *   `SIMLEDGER_NUL_TERMINATED`.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, a value out of range, or
 * one that cannot change now), and then nothing is changed; or as any call that writes: BUSY,
 * INTERRUPTED, DUPLICATE, READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
 * INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_option_set(simledger_ledger *ledger,
                                      const char *key,
                                      size_t key_len,
                                      const char *value,
                                      size_t value_len,
                                      simledger_error **error);

/**
 * The value that a configuration key of an open ledger has now, in its normal form.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets the value, yours until `simledger_string_free`; NULL on failure.
 * - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name);
 * IO (the file is not where it was); CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_option_get(simledger_ledger *ledger,
                                      const char *key,
                                      size_t key_len,
                                      char **value,
                                      size_t *value_len,
                                      simledger_error **error);

/**
 * Ends the calls that are in flight on this handle: they return INTERRUPTED within moments, with
 * nothing written (a cleanup keeps what it has deleted). A call that has written already returns
 * OK; calls that begin later are not touched.
 *
 * Any thread, also with `check_same_thread`, and also from a callback; not from a signal handler.
 * Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_interrupt(simledger_ledger *ledger, simledger_error **error);

/**
 * Appends an entry from JSON. It is durable when this returns OK (see Durability above).
 *
 * An entry is an object with `timestamp` (a finite number: seconds, Unix or simulated), `node_id`
 * (a string that is not blank, at most 1024 bytes), `features` (an object or an array, kept as
 * compact text, numbers digit for digit) and `confidence` (a number from 0 to 1). Other keys are
 * ignored unless `strict_fields` is set. Duplicate keys, lone surrogates, more than
 * `entry_bytes_max` bytes or `features_depth_max` levels are INVALID_ENTRY. Byte positions in
 * messages count from 0, from the start of the text that was passed.
 *
 * A duplicate is one of an entry that is there: what cleanup removed may be appended again.
 *
 * - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `id`: gets the id of the entry, from 1; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK (with `on_duplicate = ignore` also for an equal entry that was there, and
 * its id); INVALID_ARGUMENT; INVALID_ENTRY; DUPLICATE; or as any call on a ledger: BUSY,
 * INTERRUPTED, READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, LIMIT_EXCEEDED (no ids left),
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL. Whatever is not OK wrote nothing, but for what
 * Faults says of FULL.
 *
 * Faults: append.
 */
simledger_status simledger_append_json(simledger_ledger *ledger,
                                       const char *json,
                                       size_t json_len,
                                       int64_t *id,
                                       simledger_error **error);

/**
 * Appends an entry from its parts. It is durable when this returns OK.
 *
 * - `timestamp`: seconds, Unix or simulated; finite.
 * - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
 *   not blank, at most 1024 bytes, without NUL.
 * - `features_json`: likewise; a JSON object or array, under the limits of
 *   `simledger_append_json`.
 * - `confidence`: 0 to 1.
 * - `id`: gets the id of the entry, from 1; 0 on failure. May be NULL.
 *
 * Any thread. Returns what `simledger_append_json` returns.
 *
 * Faults: append.
 */
simledger_status simledger_append(simledger_ledger *ledger,
                                  double timestamp,
                                  const char *node_id,
                                  size_t node_id_len,
                                  const char *features_json,
                                  size_t features_json_len,
                                  double confidence,
                                  int64_t *id,
                                  simledger_error **error);

/**
 * Appends many entries together: all of them or none, with ids that follow one another. Any number:
 * what takes more than half of the commit log goes straight into the file, while others wait.
 *
 * - `json`: a JSON array of entries, or JSON lines: one entry on each line (blank lines do not
 *   count). UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. No
 *   entries at all is OK.
 * - `first_id`: gets the first id; 0 on failure or if nothing was added. May be NULL.
 * - `count`: gets how many were added, equal ones that were there already (`on_duplicate =
 *   ignore`) not counted; 0 on failure. May be NULL.
 *
 * Any thread. Returns what `simledger_append_json` returns; `simledger_error_index` names the
 * entry at fault.
 *
 * Faults: append.
 */
simledger_status simledger_append_many_json(simledger_ledger *ledger,
                                            const char *json,
                                            size_t json_len,
                                            int64_t *first_id,
                                            size_t *count,
                                            simledger_error **error);

/**
 * Checks one entry as `simledger_append_json` does, and writes nothing. Duplicates are not looked
 * for.
 *
 * - `ledger`: whose limits apply; NULL: the default limits.
 * - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 *
 * Any thread, also with `check_same_thread`. Returns OK; INVALID_ARGUMENT; INVALID_ENTRY; CLOSED;
 * OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_validate_json(simledger_ledger *ledger,
                                         const char *json,
                                         size_t json_len,
                                         simledger_error **error);

/**
 * Begins a transaction, empty. Nothing is written before `simledger_transaction_commit`.
 *
 * - `transaction`: gets the handle, yours until `simledger_transaction_free` or until it is
 *   committed; NULL on failure. The ledger may be closed before, and then it cannot be committed.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; CLOSED; LIMIT_EXCEEDED (65,536 open transactions);
 * INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_transaction_begin(simledger_ledger *ledger,
                                             simledger_transaction **transaction,
                                             simledger_error **error);

/**
 * Adds an entry to a transaction, checked as by `simledger_append` but for duplicates, which the
 * commit finds.
 *
 * - `timestamp`, `node_id`, `features_json`, `confidence`: as of `simledger_append`.
 * - `index`: gets which entry of the transaction it is, counted from 0; 0 on failure. May be NULL.
 *
 * One thread at a time. Returns OK; INVALID_ARGUMENT; INVALID_ENTRY (and the transaction is as it
 * was); CLOSED (committed or freed); OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_transaction_append(simledger_transaction *transaction,
                                              double timestamp,
                                              const char *node_id,
                                              size_t node_id_len,
                                              const char *features_json,
                                              size_t features_json_len,
                                              double confidence,
                                              size_t *index,
                                              simledger_error **error);

/**
 * Adds an entry from JSON to a transaction, checked as by `simledger_append_json` but for
 * duplicates, which the commit finds.
 *
 * - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `index`: gets which entry of the transaction it is, counted from 0; 0 on failure. May be NULL.
 *
 * One thread at a time. Returns what `simledger_transaction_append` returns.
 *
 * Faults: memory.
 */
simledger_status simledger_transaction_append_json(simledger_transaction *transaction,
                                                   const char *json,
                                                   size_t json_len,
                                                   size_t *index,
                                                   simledger_error **error);

/**
 * Lets the commit fail with CONFLICT unless the ledger's last id is this one then: unless nobody
 * appended since the caller read it. So a decision that rests on what was read is only written
 * down while it still holds.
 *
 * - `id`: what `simledger_last_id` or the position of a poll gave, 0 for a ledger that never had
 *   an entry.
 *
 * One thread at a time. Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_transaction_expect_last_id(simledger_transaction *transaction,
                                                      int64_t id,
                                                      simledger_error **error);

/**
 * How many entries a transaction holds; 0 for NULL and for one that was committed or freed.
 *
 * One thread at a time.
 *
 * Faults: memory.
 */
size_t simledger_transaction_len(const simledger_transaction *transaction);

/**
 * Writes all entries of a transaction or none, with ids that follow one another. They are durable
 * when this returns OK (see Durability above), and the transaction has ended: it need not be
 * freed.
 *
 * After a failure the transaction is as it was: commit it again (BUSY, NO_SPACE), or free it.
 *
 * - `first_id`: gets the first id; 0 on failure or if nothing was added. May be NULL.
 * - `count`: gets how many were added, equal ones that were there already (`on_duplicate =
 *   ignore`) not counted; 0 on failure. May be NULL.
 *
 * One thread at a time. Returns OK; INVALID_ARGUMENT; DUPLICATE (`simledger_error_index` names the
 * entry); CONFLICT (`simledger_error_entry_id` is the last id that was found); CLOSED (the
 * transaction has ended, or the ledger was closed); or as any append: BUSY, INTERRUPTED,
 * READ_ONLY, NO_SPACE, IO, CORRUPT, LIMIT_EXCEEDED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 * Whatever is not OK wrote nothing, but for what Faults says of FULL.
 *
 * Faults: append.
 */
simledger_status simledger_transaction_commit(simledger_transaction *transaction,
                                              int64_t *first_id,
                                              size_t *count,
                                              simledger_error **error);

/**
 * Drops a transaction that was not committed; nothing of it was written. NULL, and one that has
 * ended, is nothing; so is one that is being committed at this moment, from inside a callback.
 *
 * One thread at a time.
 *
 * Faults: memory.
 */
void simledger_transaction_free(simledger_transaction *transaction);

/**
 * New features without keys: `{}`. Never NULL.
 *
 * Any thread. Free them with `simledger_features_free`.
 *
 * Faults: memory.
 */
simledger_features *simledger_features_new(void);

/**
 * Ends features and the text they lent. NULL is nothing.
 *
 * Faults: memory.
 */
void simledger_features_free(simledger_features *features);

/**
 * Takes all keys away, to begin the next features. NULL is nothing.
 *
 * Faults: memory.
 */
void simledger_features_clear(simledger_features *features);

/**
 * The features as JSON, to be appended.
 *
 * - `len`: gets the length in bytes; may be NULL.
 *
 * The text ends with a NUL and lives until the features are changed or freed. "" with length 0 for
 * NULL; NULL with length 0, which no append takes, where there is no memory for it.
 *
 * Faults: memory.
 */
const char *simledger_features_json(const simledger_features *features, size_t *len);

/**
 * Sets a key to a number, written in its shortest form that reads back. A key that is set already
 * gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: finite.
 *
 * Returns OK; INVALID_ARGUMENT (also NaN and infinities), and then nothing is changed; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_number(simledger_features *features,
                                               const char *key,
                                               size_t key_len,
                                               double value,
                                               simledger_error **error);

/**
 * Sets a key to a whole number. A key that is set already gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 *
 * Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_integer(simledger_features *features,
                                                const char *key,
                                                size_t key_len,
                                                int64_t value,
                                                simledger_error **error);

/**
 * Sets a key to true or false. A key that is set already gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 *
 * Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_boolean(simledger_features *features,
                                                const char *key,
                                                size_t key_len,
                                                bool value,
                                                simledger_error **error);

/**
 * Sets a key to a string. A key that is set already gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: likewise; what needs escapes gets them.
 *
 * Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_text(simledger_features *features,
                                             const char *key,
                                             size_t key_len,
                                             const char *value,
                                             size_t value_len,
                                             simledger_error **error);

/**
 * Sets a key to any JSON value: an object or an array inside, null, a number digit for digit. A
 * key that is set already gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `json`: likewise; checked as features are.
 *
 * Returns OK; INVALID_ARGUMENT; INVALID_ENTRY (it is no valid JSON), and then nothing is changed;
 * OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_json(simledger_features *features,
                                             const char *key,
                                             size_t key_len,
                                             const char *json,
                                             size_t json_len,
                                             simledger_error **error);

/**
 * Sets a key to an array of numbers. A key that is set already gets the new value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `values`: `len` numbers, finite, lent for the call; may be NULL if `len` is 0.
 *
 * Returns OK; INVALID_ARGUMENT (also NaN and infinities; `simledger_error_index` says which), and
 * then nothing is changed; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_numbers(simledger_features *features,
                                                const char *key,
                                                size_t key_len,
                                                const double *values,
                                                size_t len,
                                                simledger_error **error);

/**
 * Sets a key to an array of whole numbers, such as ids. A key that is set already gets the new
 * value.
 *
 * - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `values`: `len` numbers, lent for the call; may be NULL if `len` is 0.
 *
 * Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_features_set_integers(simledger_features *features,
                                                 const char *key,
                                                 size_t key_len,
                                                 const int64_t *values,
                                                 size_t len,
                                                 simledger_error **error);

/**
 * What is new: the entries above `last_seen_id`, in the order of their ids. The next poll goes on
 * from `simledger_entries_position`. Nothing new is OK with no entries.
 *
 * Gives every entry, the caller's own too. Returns at once and never waits for entries: do other
 * work between two polls; a poll that finds nothing costs a tenth of a microsecond (`commit = log`).
 *
 * Ids become visible in order: whoever has seen an id will never later see a smaller one that is
 * new. All that was acknowledged before the call began, in any process, is seen.
 *
 * - `last_seen_id`: 0, or the position of an earlier result. One above `simledger_last_id` is OK
 *   and gives nothing until the ledger has grown past it: a program that keeps positions from one
 *   run to the next compares the two, in case the file is another one.
 * - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
 *   more than `result_bytes_max`.
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (one entry alone takes more than
 * `result_bytes_max`); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED,
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_poll_since(simledger_ledger *ledger,
                                      int64_t last_seen_id,
                                      size_t limit,
                                      simledger_entries **entries,
                                      simledger_error **error);

/**
 * All entries, in the order of their ids.
 *
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
 * `result_bytes_max`: read in pages with `simledger_poll_since`); or as any call on a ledger:
 * BUSY, INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_read_all(simledger_ledger *ledger,
                                    simledger_entries **entries,
                                    simledger_error **error);

/**
 * The entry with an id.
 *
 * - `id`: from 1.
 * - `entry`: gets an entry of your own, until `simledger_entry_free`; NULL if there is none, and
 *   on failure.
 *
 * Any thread. Returns OK; NOT_FOUND (without an error object); INVALID_ARGUMENT; CORRUPT (also
 * where the row is no valid entry); or as any call on a ledger: BUSY, INTERRUPTED, IO, CLOSED,
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_get_by_id(simledger_ledger *ledger,
                                     int64_t id,
                                     simledger_entry **entry,
                                     simledger_error **error);

/**
 * The entries of a node, newest timestamp first, and of equal timestamps the larger id first.
 *
 * - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
 *   not blank, at most 1024 bytes. A node that has no entries is OK with none.
 * - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all.
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
 * `result_bytes_max`: give a smaller limit); or as any call on a ledger: BUSY, INTERRUPTED, IO,
 * CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_read_by_node(simledger_ledger *ledger,
                                        const char *node_id,
                                        size_t node_id_len,
                                        size_t limit,
                                        simledger_entries **entries,
                                        simledger_error **error);

/**
 * How many entries there are, rows of other programs that are no valid entries included.
 *
 * - `count`: gets the number; 0 on failure.
 *
 * Any thread. SQLite counts by reading an index through: milliseconds for a million. Returns OK;
 * INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED,
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_count(simledger_ledger *ledger, int64_t *count, simledger_error **error);

/**
 * The id of the oldest entry that there is.
 *
 * - `id`: gets the id; 0 if there is no entry, and on failure.
 *
 * Any thread. Returns what `simledger_count` returns.
 *
 * Faults: read.
 */
simledger_status simledger_first_id(simledger_ledger *ledger, int64_t *id, simledger_error **error);

/**
 * The id of the newest entry that there ever was, whether cleanup deleted it or not: where a
 * poller begins that wants only what comes from now on.
 *
 * - `id`: gets the id; 0 if there never was an entry, and on failure.
 *
 * Any thread. Returns what `simledger_count` returns.
 *
 * Faults: read.
 */
simledger_status simledger_last_id(simledger_ledger *ledger, int64_t *id, simledger_error **error);

/**
 * A new query: all entries, in the order of their ids. Never NULL.
 *
 * Any thread. Free it with `simledger_query_free`.
 *
 * Faults: memory.
 */
simledger_query *simledger_query_new(void);

/**
 * Ends a query. NULL is nothing. Results that it gave stay.
 *
 * Faults: memory.
 */
void simledger_query_free(simledger_query *query);

/**
 * Only entries with `from <= timestamp < to`, in seconds: windows that follow one another share no
 * entry. `-INFINITY` and `INFINITY` leave that side open. Replaces an earlier range.
 *
 * Returns OK; INVALID_ARGUMENT (not a number, or no time between them: `from` must be below `to`),
 * and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_time_range(simledger_query *query,
                                                double from,
                                                double to,
                                                simledger_error **error);

/**
 * Only entries with `first <= id <= last`. Replaces an earlier range.
 *
 * - `first`: from 1. `last`: from `first`; `INT64_MAX` leaves that side open.
 *
 * Returns OK; INVALID_ARGUMENT (below 1, or reversed), and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_id_range(simledger_query *query,
                                              int64_t first,
                                              int64_t last,
                                              simledger_error **error);

/**
 * Only entries of this node, or of one that was added before.
 *
 * - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
 *   not blank, at most 1024 bytes. At most 1,000 nodes.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_add_node(simledger_query *query,
                                          const char *node_id,
                                          size_t node_id_len,
                                          simledger_error **error);

/**
 * Only entries of other nodes than this one, and than those that were left out before: what the
 * others found, with one's own name.
 *
 * - `node_id`: as of `simledger_query_add_node`.
 *
 * Returns what `simledger_query_add_node` returns.
 *
 * Faults: memory.
 */
simledger_status simledger_query_exclude_node(simledger_query *query,
                                              const char *node_id,
                                              size_t node_id_len,
                                              simledger_error **error);

/**
 * Only entries whose confidence is at least this, 0 to 1. Replaces an earlier one.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_min_confidence(simledger_query *query,
                                                    double min_confidence,
                                                    simledger_error **error);

/**
 * In which order entries come: one of the `SIMLEDGER_ORDER_` constants.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_order(simledger_query *query,
                                           int32_t order,
                                           simledger_error **error);

/**
 * At most so many entries, from 1; `SIMLEDGER_NO_LIMIT` for all.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_limit(simledger_query *query,
                                           size_t limit,
                                           simledger_error **error);

/**
 * Only what comes, in the order of the query, behind the entry with this timestamp and id: pass
 * those of the last entry of a page to get the next page. No entry comes twice, whatever is
 * appended in between. What is appended in front of the place where the next page begins is not
 * seen: in descending orders what is newer than the first page, in the orders of time what comes
 * late with an older or newer timestamp.
 *
 * - `timestamp`: in seconds, finite; without effect in the orders of ids.
 * - `id`: from 1.
 *
 * Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_query_set_after(simledger_query *query,
                                           double timestamp,
                                           int64_t id,
                                           simledger_error **error);

/**
 * The entries that a query asks for.
 *
 * - `query`: lent for the call.
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure. No entries
 *   is OK. Its position is the last id that the ledger held.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
 * `result_bytes_max`: set a limit and go page by page); or as any call on a ledger: BUSY,
 * INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_query_run(simledger_ledger *ledger,
                                     const simledger_query *query,
                                     simledger_entries **entries,
                                     simledger_error **error);

/**
 * What is new and passes a query: `simledger_poll_since` with a filter. Its position also passes
 * over what was filtered out, so that the next poll does not look at it again.
 *
 * - `query`: lent for the call. Its limit is that of the poll; it must have the order of ids, and
 *   no `simledger_query_set_after`.
 * - `last_seen_id`: 0, or the position of an earlier result.
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
 *
 * Any thread. Returns what `simledger_poll_since` returns.
 *
 * Faults: read.
 */
simledger_status simledger_query_poll(simledger_ledger *ledger,
                                      const simledger_query *query,
                                      int64_t last_seen_id,
                                      simledger_entries **entries,
                                      simledger_error **error);

/**
 * How SQLite would carry out a query, a line for each step, in the words of its EXPLAIN QUERY
 * PLAN: which index is used. For people; the words are SQLite's and may change.
 *
 * - `query`: lent for the call.
 * - `plan`: gets the text, yours until `simledger_string_free`; NULL on failure.
 * - `plan_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED, IO,
 * CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_query_plan(simledger_ledger *ledger,
                                      const simledger_query *query,
                                      char **plan,
                                      size_t *plan_len,
                                      simledger_error **error);

/**
 * Carries out one SQL statement that reads, such as an aggregate, on the tables of the file
 * (`ledger` foremost). Anything that writes, attaches or loads is refused.
 *
 * - `sql`: UTF-8, lent for the call, `sql_len` bytes long or `SIMLEDGER_NUL_TERMINATED`; at most 1
 *   MiB, with the words SELECT and VALUES in it 500 times at most.
 * - `parameters_json`: values for the parameters of the statement: a JSON array for `?`, `?1` and
 *   so on, or an object for `:name`, `@name` and `$name`. Strings, numbers and null are bound as
 *   such, booleans as 1 and 0, arrays and objects as their JSON text. UTF-8, lent for the call,
 *   `parameters_json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. NULL: the statement has none.
 *   Every parameter must have a value.
 * - `rows_max`: most rows, from 1; `SIMLEDGER_NO_LIMIT` for all.
 * - `json`: gets `{"columns":["name",...],"rows":[[value,...],...],"truncated":false}`;
 *   `truncated` tells that there were more than `rows_max` rows. Integers and reals are numbers
 *   (infinite ones null), texts strings (bytes that are no UTF-8 replaced by U+FFFD), BLOBs
 *   strings of hexadecimal digits. Yours until `simledger_string_free`; NULL on failure.
 * - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * A statement may take `result_bytes_max` bytes, but at least 64 MiB, of memory and temporary files beside its
 * result (counted on Linux). The time is looked at between the steps of a statement, not inside one call of a SQL
 * function: `instr`, `trim` or `replace` on megabytes may take longer than they are given.
 *
 * Any thread, and unlike any other function with as much of its stack as the statement asks for: for
 * each term of a sum, argument or query that stands in another one half a kilobyte to one and a half, 2
 * MiB at the very most.
 *
 * It may run for `sql_timeout` seconds, and holds a snapshot of the file meanwhile
 * (appends to a ledger in memory wait for it). Returns OK; INVALID_ARGUMENT (what is wrong with
 * the statement or its parameters); INTERRUPTED (the time is up, or `simledger_interrupt`);
 * LIMIT_EXCEEDED (the JSON, or a value, takes more than `result_bytes_max`, or the statement needs more memory
 * and temporary files than it may have); or as any call on a ledger: BUSY, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_sql(simledger_ledger *ledger,
                               const char *sql,
                               size_t sql_len,
                               const char *parameters_json,
                               size_t parameters_json_len,
                               size_t rows_max,
                               char **json,
                               size_t *json_len,
                               simledger_error **error);

/**
 * What is new, as `simledger_poll_since` gives it; where there is nothing, waits for it. The next
 * call goes on from `simledger_entries_position`.
 *
 * Whoever appends wakes those who wait, in all processes that have the ledger open, and makes no
 * system call where nobody waits. No wake-up is lost: where a process is killed between an append
 * and the waking, or something else goes wrong with it, those who wait find the entry within a
 * quarter of a second. With `commit = sqlite`, what programs append that know nothing of simledger
 * is found within 50 milliseconds. Handles that cannot write (`read_only`), and all others where no
 * file could be made beside the ledger to wake each other by (`<path>-wake`), look every 20
 * milliseconds.
 *
 * Any number of threads may wait. A wait holds no connection and no lock, and sleeps.
 *
 * - `last_seen_id`: 0, or the position of an earlier result.
 * - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
 *   more than `result_bytes_max`. It does not wait for so many: the first one ends the wait.
 * - `timeout_seconds`: how long to wait at most, in seconds, decimals allowed; from 0 (look once)
 *   to infinity (no end). It has nothing to do with the ledger's `timeout`, which each look at the
 *   ledger has for itself.
 * - `filter`: wait for entries that pass this query, of which also its limit counts; the position
 *   passes over what it does not give. As of `simledger_query_poll`. Lent for the call, and not to
 *   be changed meanwhile. NULL: all entries.
 * - `entries`: gets the result, yours until `simledger_entries_free`: also after TIMEOUT, where it
 *   is empty and has a position. NULL on failure.
 *
 * Any thread. Returns OK; TIMEOUT (nothing came; without an error object); INVALID_ARGUMENT; CLOSED
 * (also where another thread closes the ledger meanwhile); INTERRUPTED (`simledger_interrupt`);
 * LIMIT_EXCEEDED (one entry alone takes more than `result_bytes_max`); or as any call on a ledger:
 * BUSY, IO, CORRUPT, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_wait_since(simledger_ledger *ledger,
                                      int64_t last_seen_id,
                                      size_t limit,
                                      double timeout_seconds,
                                      const simledger_query *filter,
                                      simledger_entries **entries,
                                      simledger_error **error);

/**
 * Begins to watch a ledger: a descriptor that is readable while there are entries that the watch
 * has not given yet.
 *
 * - `last_seen_id`: the watch begins behind it: 0, or the position of an earlier result.
 * - `filter`: the entries to watch for, as of `simledger_wait_since`. Copied. NULL: all.
 * - `watch`: gets the handle, yours until `simledger_watch_close`, also after the ledger was
 *   closed; NULL on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (65,536 open watches, or no descriptor
 * left); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD,
 * OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_watch_open(simledger_ledger *ledger,
                                      int64_t last_seen_id,
                                      const simledger_query *filter,
                                      simledger_watch **watch,
                                      simledger_error **error);

/**
 * The descriptor of a watch, for `epoll_ctl`, `poll` and the like: readable while
 * `simledger_watch_poll` would give entries, or an error, and for good once the ledger was closed.
 * It is the watch's: do not read from it, and do not close it. Programs that are executed do not
 * have it.
 *
 * - `descriptor`: gets it; -1 on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_watch_descriptor(simledger_watch *watch,
                                            int32_t *descriptor,
                                            simledger_error **error);

/**
 * What comes next for a watch: the entries behind those that it gave before, in the order of their
 * ids. Returns at once, also with none. The descriptor is readable afterwards if there are more
 * than `limit`, or more came meanwhile, and otherwise not.
 *
 * - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
 *   more than `result_bytes_max`.
 * - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure, after which
 *   the watch is where it was.
 *
 * Any thread; of several that call it at once each gets other entries. Returns OK;
 * INVALID_ARGUMENT; CLOSED (the watch or its ledger); LIMIT_EXCEEDED (one entry alone takes more
 * than `result_bytes_max`); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT,
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_watch_poll(simledger_watch *watch,
                                      size_t limit,
                                      simledger_entries **entries,
                                      simledger_error **error);

/**
 * Ends a watch and closes its descriptor: take it out of the event loop first. NULL is nothing.
 * Calls in flight on it are waited for.
 *
 * Any thread, but not from inside a callback of its ledger. Returns OK; INVALID_ARGUMENT; CLOSED
 * (it was closed before); INTERNAL.
 *
 * Faults: close.
 */
simledger_status simledger_watch_close(simledger_watch *watch, simledger_error **error);

/**
 * How many entries there are; 0 for NULL.
 *
 * Faults: memory.
 */
size_t simledger_entries_len(const simledger_entries *entries);

/**
 * The last id that was examined, rows that are no valid entries included: pass it to the next
 * `simledger_poll_since`. Never smaller than the poll's `last_seen_id`. Of a read that is no poll,
 * the last id that the ledger held. 0 for NULL.
 *
 * Faults: memory.
 */
int64_t simledger_entries_position(const simledger_entries *entries);

/**
 * Whether cleanup removed entries after the poll's `last_seen_id`, and not before the first id that
 * its query asks for: then the largest id that it ever removed, else 0. So nothing is missed in
 * silence. 0 for NULL.
 *
 * A mark and not a count: any ids up to it may be missing, also between the entries of the result
 * and after them. Each poll that begins below the mark reports it; one with a filter for a range of
 * ids begins there.
 *
 * Faults: memory.
 */
int64_t simledger_entries_gap_before(const simledger_entries *entries);

/**
 * The entry at `index`, counted from 0; NULL for NULL and where there is none.
 *
 * Borrowed: it lives as long as the result. `simledger_entry_retain` makes one of your own of it.
 *
 * Faults: memory.
 */
const simledger_entry *simledger_entries_get(const simledger_entries *entries, size_t index);

/**
 * The whole result as JSON: an array of objects with `id`, `timestamp`, `node_id`, `features` and
 * `confidence`, in this order; "[]" for none. Built at the first call.
 *
 * - `len`: gets its length in bytes; may be NULL.
 *
 * The string lives as long as the result. NULL with length 0 for NULL, and where there is no
 * memory for it.
 *
 * Faults: memory.
 */
const char *simledger_entries_json(const simledger_entries *entries, size_t *len);

/**
 * Ends a result, the entries borrowed from it and the strings it lent. NULL is nothing. Entries
 * that were retained stay.
 *
 * Faults: memory.
 */
void simledger_entries_free(simledger_entries *entries);

/**
 * Views of many entries of a result with one call.
 *
 * - `first`: the index of the first entry, counted from 0; beyond the end there are none.
 * - `views`: an array of `views_max` structs. `views[0].struct_size` must be set to the size of
 *   one; those of the others need not be. They are borrowed from the result and live as long as
 *   it.
 * - `views_max`: from 1.
 * - `filled`: gets how many were filled: fewer than `views_max` at the end of the result. 0 on
 *   failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT (NULL, or `struct_size` is no size of this struct);
 * INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entries_views(const simledger_entries *entries,
                                         size_t first,
                                         simledger_entry_view *views,
                                         size_t views_max,
                                         size_t *filled,
                                         simledger_error **error);

/**
 * How many chunks the entries of a result are in; 0 for NULL. One after the other they are the
 * result.
 *
 * Faults: memory.
 */
size_t simledger_entries_chunk_count(const simledger_entries *entries);

/**
 * The columns of a chunk of a result.
 *
 * - `chunk`: counted from 0, below `simledger_entries_chunk_count`.
 * - `columns`: gets the columns; its `struct_size` must be set. They are borrowed from the result
 *   and live as long as it. All else is 0 on failure.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT (NULL, no such chunk, or `struct_size` is no size of
 * this struct); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entries_columns(const simledger_entries *entries,
                                           size_t chunk,
                                           simledger_columns *columns,
                                           simledger_error **error);

/**
 * Its id: its place in the ledger's order, from 1; 0 for NULL.
 *
 * Faults: memory.
 */
int64_t simledger_entry_id(const simledger_entry *entry);

/**
 * When it was found, in seconds, Unix or simulated; 0 for NULL.
 *
 * Faults: memory.
 */
double simledger_entry_timestamp(const simledger_entry *entry);

/**
 * The node that found it; "" for NULL.
 *
 * - `len`: gets its length in bytes; may be NULL.
 *
 * The string is UTF-8, ends with a NUL, holds no other, and lives as long as the entry.
 *
 * Faults: memory.
 */
const char *simledger_entry_node_id(const simledger_entry *entry, size_t *len);

/**
 * What was found, as compact JSON: an object or an array; "" for NULL.
 *
 * - `len`: gets its length in bytes; may be NULL.
 *
 * The string is UTF-8, ends with a NUL, holds no other, and lives as long as the entry.
 *
 * Faults: memory.
 */
const char *simledger_entry_features_json(const simledger_entry *entry, size_t *len);

/**
 * How sure its finder is, from 0 to 1; 0 for NULL.
 *
 * Faults: memory.
 */
double simledger_entry_confidence(const simledger_entry *entry);

/**
 * When it was appended, in Unix seconds (whole ones, as SQLite's CURRENT_TIMESTAMP has them); 0
 * for NULL and where another program wrote a row that does not say.
 *
 * Faults: memory.
 */
double simledger_entry_created_at(const simledger_entry *entry);

/**
 * An entry of your own, from a borrowed one or another of your own; NULL for NULL. Copies nothing:
 * it holds on to the chunk of at most a megabyte or so that the entry is in.
 *
 * Free it with `simledger_entry_free`. It may live longer than the result and the ledger.
 *
 * Faults: memory.
 */
simledger_entry *simledger_entry_retain(const simledger_entry *entry);

/**
 * Ends an entry of your own. NULL is nothing. Never for a borrowed one.
 *
 * Faults: memory.
 */
void simledger_entry_free(simledger_entry *entry);

/**
 * The type of a value inside the features.
 *
 * - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
 *   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
 *   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value_type`: gets one of the `SIMLEDGER_TYPE_` constants; 0 on failure.
 *
 * Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
 * pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_type(const simledger_entry *entry,
                                              const char *pointer,
                                              size_t pointer_len,
                                              int32_t *value_type,
                                              simledger_error **error);

/**
 * A number inside the features, as the nearest double.
 *
 * - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
 *   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
 *   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets the number; 0 on failure.
 *
 * Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
 * pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no
 * number); LIMIT_EXCEEDED (too large for a double); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_number(const simledger_entry *entry,
                                                const char *pointer,
                                                size_t pointer_len,
                                                double *value,
                                                simledger_error **error);

/**
 * A whole number inside the features, exactly.
 *
 * - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
 *   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
 *   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets the number; 0 on failure.
 *
 * Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
 * pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no whole
 * number); LIMIT_EXCEEDED (too large for 64 bits, whatever way it is written); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_integer(const simledger_entry *entry,
                                                 const char *pointer,
                                                 size_t pointer_len,
                                                 int64_t *value,
                                                 simledger_error **error);

/**
 * A truth value inside the features.
 *
 * - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
 *   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
 *   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets true or false; false on failure.
 *
 * Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
 * pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is
 * neither); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_boolean(const simledger_entry *entry,
                                                 const char *pointer,
                                                 size_t pointer_len,
                                                 bool *value,
                                                 simledger_error **error);

/**
 * The length of an array inside the features.
 *
 * - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
 *   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
 *   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `len`: gets the number of its elements; 0 on failure.
 *
 * Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
 * pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no
 * array); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_array_len(const simledger_entry *entry,
                                                   const char *pointer,
                                                   size_t pointer_len,
                                                   size_t *len,
                                                   simledger_error **error);

/**
 * The numbers of an array inside the features, each as the nearest double.
 *
 * - `pointer`: as of `simledger_entry_feature_number`.
 * - `values`: gets the numbers; room for `values_max`. May be NULL if `values_max` is 0. After a
 *   failure what is there is undefined.
 * - `len`: gets how many there are; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
 * malformed, or what is there is no array of numbers); LIMIT_EXCEEDED (there are more than
 * `values_max`, and the message says how many; or one is too large for a double); INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_numbers(const simledger_entry *entry,
                                                 const char *pointer,
                                                 size_t pointer_len,
                                                 double *values,
                                                 size_t values_max,
                                                 size_t *len,
                                                 simledger_error **error);

/**
 * A string inside the features, decoded.
 *
 * - `pointer`: as of `simledger_entry_feature_number`.
 * - `value`: gets the string, UTF-8 with a NUL behind it, yours until `simledger_string_free`;
 *   NULL on failure. It may hold NULs (`\\u0000`).
 * - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
 * malformed, or what is there is no string); CORRUPT (another program wrote half of a surrogate
 * pair); OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_text(const simledger_entry *entry,
                                              const char *pointer,
                                              size_t pointer_len,
                                              char **value,
                                              size_t *value_len,
                                              simledger_error **error);

/**
 * A value inside the features as JSON, whatever it is.
 *
 * - `pointer`: as of `simledger_entry_feature_number`.
 * - `json`: gets the text, yours until `simledger_string_free`; NULL on failure.
 * - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
 * malformed); OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: memory.
 */
simledger_status simledger_entry_feature_json(const simledger_entry *entry,
                                              const char *pointer,
                                              size_t pointer_len,
                                              char **json,
                                              size_t *json_len,
                                              simledger_error **error);

/**
 * Deletes entries whose timestamp is more than `max_age_seconds` behind the ledger's clock: the
 * system's, or with `clock = simulated` the newest timestamp in the ledger.
 *
 * **Where timestamps are simulated time, set `clock` to `simulated` before the file is first
 * created**: by the system's clock everything that happened at second 5 is decades old, and goes.
 *
 * The only way entries ever go. Pollers that had not seen them are told
 * (`simledger_entries_gap_before`), and ids are never used again. Works in transactions of about a
 * millisecond (of 50 with `commit = log`, where appends do not wait for them, and where each is synced
 * anyway), and then leaves the file to others for some time; `timeout` bounds what it waits for one.
 *
 * - `max_age_seconds`: finite and above 0.
 * - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED,
 * READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL. After a failure
 * `simledger_error_work_done` says how many were deleted before it; call again for the rest.
 *
 * Faults: maintenance.
 */
simledger_status simledger_cleanup(simledger_ledger *ledger,
                                   double max_age_seconds,
                                   int64_t *deleted,
                                   simledger_error **error);

/**
 * Deletes entries with a timestamp smaller than `timestamp`; otherwise as `simledger_cleanup`.
 *
 * - `timestamp`: in seconds, finite.
 * - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
 *
 * Any thread. Returns what `simledger_cleanup` returns.
 *
 * Faults: maintenance.
 */
simledger_status simledger_cleanup_before_timestamp(simledger_ledger *ledger,
                                                    double timestamp,
                                                    int64_t *deleted,
                                                    simledger_error **error);

/**
 * Deletes entries with an id smaller than `id`; otherwise as `simledger_cleanup`.
 *
 * - `id`: from 1.
 * - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
 *
 * Any thread. Returns what `simledger_cleanup` returns.
 *
 * Faults: maintenance.
 */
simledger_status simledger_cleanup_before_id(simledger_ledger *ledger,
                                             int64_t id,
                                             int64_t *deleted,
                                             simledger_error **error);

/**
 * Folds all that was appended before, by anybody, from the commit log into the ledger file, where
 * programs that know nothing of simledger see it. By itself that happens in the background, some 20
 * milliseconds later at most while the drain keeps up.
 *
 * Not needed for durability or for readers of simledger. With `commit = sqlite` there is nothing to
 * do. A handle with `read_only` waits for others to do it, and returns where nobody does.
 *
 * Any thread. Returns OK; BUSY (another program kept the file locked); NO_SPACE (the entries stay in the
 * log); or as any call on a ledger: INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
 * INVALID_ARGUMENT, INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_flush(simledger_ledger *ledger,
                                 simledger_error **error);

/**
 * Puts all that was acknowledged into the ledger file itself, from the commit log and from SQLite's
 * WAL, and empties the WAL, waiting for readers within `timeout`. Both happen by themselves in the
 * background and when the last handle closes; after this call, and before the next append, the one
 * file is all there is to copy. Nothing to do for a ledger in memory.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; BUSY (a reader or another process kept the WAL in use;
 * what could be folded in was); or as any call that writes: INTERRUPTED, READ_ONLY, NO_SPACE, IO,
 * CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_checkpoint(simledger_ledger *ledger, simledger_error **error);

/**
 * Builds the indexes of the ledger anew, in one transaction: seconds for a million entries, in
 * which nobody else appends. Only needed after an integrity check found an index damaged.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; CORRUPT (also where the rows contradict the unique
 * constraint); or as any call that writes: BUSY, INTERRUPTED, READ_ONLY, NO_SPACE, IO, CLOSED,
 * WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_reindex(simledger_ledger *ledger, simledger_error **error);

/**
 * Lets SQLite see how the data of the ledger's table are distributed (its ANALYZE), for the plans of
 * `simledger_sql`. The library's own queries do not need it. Fast, also on large ledgers.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; or as any call that writes: BUSY, INTERRUPTED,
 * READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_optimize(simledger_ledger *ledger,
                                    simledger_error **error);

/**
 * Gives the space of deleted entries back to the file system. Without it the file keeps its size
 * and new entries use the space again.
 *
 * - `how`: `SIMLEDGER_VACUUM_INCREMENTAL` or `SIMLEDGER_VACUUM_FULL`. A full one needs twice the
 *   space of the file meanwhile, partly in SQLite's folder for temporary files, and time in
 *   proportion to it; only it helps files of the Python module, which can give space back in steps
 *   from then on.
 * - `freed`: gets how many bytes were given back; 0 on failure. May be NULL. While a reader uses
 *   the WAL the file shrinks at a later checkpoint.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; UNSUPPORTED (an incremental one on a file that needs a
 * full one); or as any call that writes: BUSY, INTERRUPTED, READ_ONLY, NO_SPACE, IO, CORRUPT,
 * CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_vacuum(simledger_ledger *ledger,
                                  int32_t how,
                                  int64_t *freed,
                                  simledger_error **error);

/**
 * Reads the whole file and says what is not as it should be: SQLite's own check of pages and
 * indexes, then whether ids are in order, rows are valid entries, and tables, indexes and guards
 * as they were made. Others append meanwhile.
 *
 * - `findings_max`: most findings, from 1; `SIMLEDGER_NO_LIMIT` for all. What one quotes from the file is cut short.
 * - `progress`: see `simledger_progress_callback`; may be NULL. The metric
 *   `integrity_check_progress` says the same.
 * - `user_data`: passed to `progress`, during this call only; may be NULL.
 * - `findings`: gets the findings, each on a line of its own; "" where there are none. Yours until
 *   `simledger_string_free`; NULL on failure. May be NULL.
 * - `count`: gets how many there are: 0 means that all is well. 0 on failure too.
 *
 * Any thread. Takes seconds for a million entries. The first hundred findings are logged. Returns OK (also with
 * findings); INVALID_ARGUMENT; INTERRUPTED (`progress` ended it, or `simledger_interrupt`); CORRUPT (so
 * damaged that it cannot be checked); LIMIT_EXCEEDED (the findings take more than `result_bytes_max`: ask for
 * fewer); or as any call on a ledger: BUSY, INTERRUPTED, IO, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
 * INTERNAL.
 *
 * Faults: maintenance.
 */
simledger_status simledger_integrity_check(simledger_ledger *ledger,
                                           size_t findings_max,
                                           simledger_progress_callback progress,
                                           void *user_data,
                                           char **findings,
                                           size_t *count,
                                           simledger_error **error);

/**
 * Forgets what the caches of the ledger hold. Never needed for fresh answers; it frees memory.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
 * WRONG_THREAD; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_invalidate_caches(simledger_ledger *ledger, simledger_error **error);

/**
 * How long ago the oldest thing was read from the file that the caches of the ledger hold.
 *
 * - `seconds`: gets the age, with decimals; 0 if the caches are empty, and on failure.
 *
 * Any thread. Answers are never stale, whatever the age. Returns OK; NOT_FOUND (the caches are
 * empty); INVALID_ARGUMENT; IO (the file is not where it was); CLOSED; WRONG_THREAD; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_cache_age(simledger_ledger *ledger,
                                     double *seconds,
                                     simledger_error **error);

/**
 * Closes the connections of the ledger that no call is using, and frees their memory. They are
 * opened again when they are needed.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
 * WRONG_THREAD; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_release_connections(simledger_ledger *ledger, simledger_error **error);

/**
 * The numbers of a ledger as a JSON object. They count what all handles of the file did in this
 * process since the first was opened. More names may come.
 *
 * | name | what it is |
 * |---|---|
 * | `entries_appended` | entries appended |
 * | `duplicates_ignored` | entries left out, equal ones being there (`on_duplicate = ignore`) |
 * | `entries_folded` | entries that the drain moved from the commit log to the ledger file |
 * | `entries_deleted` | entries that cleanup deleted |
 * | `rows_skipped` | rows of other programs that reads skipped, being no valid entries |
 * | `log_pending_bytes` | what of the commit log is not in the ledger file yet |
 * | `waiting` | threads that wait for entries, that of watches included |
 * | `tail_bytes`, `tail_entries` | the newest entries in memory |
 * | `entry_cache_hits`, `entry_cache_misses` | `simledger_get_by_id` from memory, and from the file (entries that are not there too) |
 * | `query_cache_hits`, `query_cache_misses` | `simledger_read_by_node` from memory, and from the file |
 * | `retries` | further tries where another process held a lock |
 * | `writer_resets` | times the writing connection was opened anew after a defect inside it |
 * | `retention_runs`, `retention_failures` | cleanups in the background (`retention_seconds`), and those that failed |
 * | `log_lines_dropped` | lines that fell out of a full log queue |
 * | `entries`, `first_id`, `last_id` | what the ledger holds (`entries` is counted: milliseconds for a million) |
 * | `ofd_locks` | 1 where no other code of the process can drop the locks of the file, 0 where the file system has only plain ones (see Caveats); null in memory |
 * | `ledger_bytes`, `wal_bytes` | sizes of the file and its WAL; null in memory |
 * | `connections_max`, `_open`, `_idle`, `_out`, `connections_awaited` | the connections that read; calls that wait for one |
 * | `oldest_reader_seconds`, `connections_out_seconds` | how long the oldest of those in use has been so; all of them, an array |
 * | `entry_cache_entries`, `entry_cache_age_seconds` | what is kept by id, and how long the oldest of it |
 * | `query_cache_results`, `query_cache_age_seconds` | likewise by node |
 * | `integrity_check_progress` | how far the integrity check is that runs, or ran last, 0 to 1 |
 * | `errors` | an object: calls that failed, by status (`BUSY`, ...); those with NULL or no UTF-8 aside |
 * | `latency_seconds` | an object of objects: `count`, `sum`, `p50`, `p90`, `p99` and `max` of `append`, `append_many`, `poll`, `wait` (the time waited), `read_all`, `get_by_id`, `read_by_node`, `query`, `count`, `sql`, `cleanup`, `flush`, `checkpoint`, `reindex`, `optimize`, `vacuum`, `integrity_check`, `connection_wait`, `writer_wait`, `fold` and `other`; of appends of one entry, polls, gets and by-node reads one in 16 is timed and counts for 16; quantiles are right to an eighth |
 *
 * - `json`: gets the text, yours until `simledger_string_free`; NULL on failure.
 * - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
 * WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_metrics_json(simledger_ledger *ledger,
                                        char **json,
                                        size_t *json_len,
                                        simledger_error **error);

/**
 * The same numbers in Prometheus' text format, version 0.0.4: counters as
 * `simledger_<name>_total`, the others as `simledger_<name>`, `simledger_errors_total` by
 * `status`, and the histogram `simledger_latency_seconds` by `operation`; each with the label
 * `ledger`, the path it was opened by. Serve it as `text/plain; version=0.0.4`.
 *
 * - `text`: gets the text, yours until `simledger_string_free`; NULL on failure.
 * - `text_len`: gets its length in bytes; 0 on failure. May be NULL.
 *
 * Any thread. Returns what `simledger_metrics_json` returns.
 *
 * Faults: read.
 */
simledger_status simledger_metrics_prometheus(simledger_ledger *ledger,
                                              char **text,
                                              size_t *text_len,
                                              simledger_error **error);

/**
 * One number of `simledger_metrics_json` by its name; inside objects with a dot:
 * `entry_cache_hits`, `errors.BUSY`, `latency_seconds.append.p99`.
 *
 * - `name`: UTF-8, lent for the call, `name_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
 * - `value`: gets the number; 0 on failure.
 *
 * Any thread. Returns OK; NOT_FOUND (it could not be found out, or there is none for a ledger in
 * memory); INVALID_ARGUMENT (no such name; the message names the nearest); IO (the file is not
 * where it was); CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: read.
 */
simledger_status simledger_metric_get(simledger_ledger *ledger,
                                      const char *name,
                                      size_t name_len,
                                      double *value,
                                      simledger_error **error);

/**
 * The oldest line of the ledger's log queue (`simledger_config_set_log_queue`), out of it: the
 * pull twin of the log callback.
 *
 * - `level`: gets `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; 0 if there is none. May be NULL.
 * - `message`: gets the line, yours until `simledger_string_free`; NULL if there is none.
 * - `message_len`: gets its length in bytes; may be NULL.
 *
 * Any thread. Returns OK; NOT_FOUND (the queue is empty, or there is none); INVALID_ARGUMENT;
 * CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
 *
 * Faults: handle.
 */
simledger_status simledger_log_next(simledger_ledger *ledger,
                                    int32_t *level,
                                    char **message,
                                    size_t *message_len,
                                    simledger_error **error);

/**
 * Ends a string that the library gave you, as its function says. NULL is nothing. Any thread.
 *
 * Faults: memory.
 */
void simledger_string_free(char *string);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SIMLEDGER_H */
