/* The functions of libsimledger and of the system's SQLite, which a program loads itself, in the
 * order and the way it likes: `load_both`. With LINKED they are linked in, one beside the other. */
#ifndef TESTS_SQLITES_LOADED_H
#define TESTS_SQLITES_LOADED_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <simledger.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Declared here, so that this needs the system's library but not its headers. */
typedef struct sqlite3 sqlite3;
typedef int sqlite3_row(void *user_data, int columns, char **values, char **names);

#define SYSTEM_FUNCTIONS(F)                                                                        \
    F(const char *, sqlite3_libversion, (void))                                                    \
    F(int, sqlite3_open_v2, (const char *path, sqlite3 **database, int flags, const char *vfs))    \
    F(int, sqlite3_exec,                                                                           \
      (sqlite3 * database, const char *sql, sqlite3_row *row, void *user_data, char **message))    \
    F(int, sqlite3_busy_timeout, (sqlite3 * database, int milliseconds))                           \
    F(const char *, sqlite3_errmsg, (sqlite3 * database))                                          \
    F(int, sqlite3_extended_errcode, (sqlite3 * database))                                         \
    F(int, sqlite3_close, (sqlite3 * database))

enum {
    SQLITE_OK = 0,
    SQLITE_BUSY = 5,
    SQLITE_LOCKED = 6,
    SQLITE_OPEN_READWRITE = 2,
    SQLITE_OPEN_FULLMUTEX = 0x10000
};

#ifdef LINKED

#define DECLARE(type, name, arguments) type name arguments;
SYSTEM_FUNCTIONS(DECLARE)

static inline void load_both(const char *path, const char *order) { (void)path, (void)order; }

#else

#define DECLARE(type, name, arguments) static type(*name) arguments;
SYSTEM_FUNCTIONS(DECLARE)

#define LEDGER_FUNCTIONS(F)                                                                        \
    F(append)                                                                                      \
    F(checkpoint)                                                                                  \
    F(close)                                                                                       \
    F(config_free)                                                                                 \
    F(config_new)                                                                                  \
    F(config_set)                                                                                  \
    F(count)                                                                                       \
    F(entries_free)                                                                                \
    F(entries_get)                                                                                 \
    F(entries_len)                                                                                 \
    F(entries_position)                                                                            \
    F(entry_id)                                                                                    \
    F(error_field)                                                                                 \
    F(error_free)                                                                                  \
    F(error_message)                                                                               \
    F(error_status)                                                                                \
    F(flush)                                                                                       \
    F(integrity_check)                                                                             \
    F(metric_get)                                                                                  \
    F(open)                                                                                        \
    F(poll_since)                                                                                  \
    F(read_all)                                                                                    \
    F(sqlite_version)                                                                              \
    F(status_name)                                                                                 \
    F(vacuum)                                                                                      \
    F(wait_since)

#define POINTER(name) static __typeof__(simledger_##name) *loaded_##name;
LEDGER_FUNCTIONS(POINTER)

#define simledger_append loaded_append
#define simledger_checkpoint loaded_checkpoint
#define simledger_close loaded_close
#define simledger_config_free loaded_config_free
#define simledger_config_new loaded_config_new
#define simledger_config_set loaded_config_set
#define simledger_count loaded_count
#define simledger_entries_free loaded_entries_free
#define simledger_entries_get loaded_entries_get
#define simledger_entries_len loaded_entries_len
#define simledger_entries_position loaded_entries_position
#define simledger_entry_id loaded_entry_id
#define simledger_error_field loaded_error_field
#define simledger_error_free loaded_error_free
#define simledger_error_message loaded_error_message
#define simledger_error_status loaded_error_status
#define simledger_flush loaded_flush
#define simledger_integrity_check loaded_integrity_check
#define simledger_metric_get loaded_metric_get
#define simledger_open loaded_open
#define simledger_poll_since loaded_poll_since
#define simledger_read_all loaded_read_all
#define simledger_sqlite_version loaded_sqlite_version
#define simledger_status_name loaded_status_name
#define simledger_vacuum loaded_vacuum
#define simledger_wait_since loaded_wait_since

/* Sets the function pointer at `function`; ISO C has no cast for that. */
static inline void load_function(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    if (address == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    memcpy(function, &address, sizeof address);
}

static inline void *load_library(const char *path, int flags) {
    void *library = dlopen(path, RTLD_NOW | flags);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return library;
}

/* Loads libsimledger.so from its path, and the system's SQLite: `first` and `last` say when the
 * former comes, both for all to see; `local` keeps each to itself. */
static inline void load_both(const char *path, const char *order) {
    static const char SYSTEM[] = "libsqlite3.so.0";
    const int flags = strcmp(order, "local") == 0 ? RTLD_LOCAL : RTLD_GLOBAL;
    void *ledger = strcmp(order, "last") == 0 ? NULL : load_library(path, flags);
    void *system = load_library(SYSTEM, flags);
    if (ledger == NULL)
        ledger = load_library(path, flags);
#define LOAD_SYSTEM(type, name, arguments) load_function(system, #name, &name);
    SYSTEM_FUNCTIONS(LOAD_SYSTEM)
#define LOAD_LEDGER(name) load_function(ledger, "simledger_" #name, &loaded_##name);
    LEDGER_FUNCTIONS(LOAD_LEDGER)
}

#endif

#endif
