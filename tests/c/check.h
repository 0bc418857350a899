/* What the C tests share. Each test is one program; it ends at the first thing that is not as it
 * should be, and says where.
 *
 *     CHECK(count == 3);
 *     CHECK_OK(simledger_count(ledger, &count, &error));
 *     CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "limit", "at least 1",
 *                 simledger_poll_since(ledger, 0, 0, &entries, &error));
 *
 * The last two declare `error` themselves, with an address in it that is none: the library must
 * overwrite it and never read it. */
#ifndef TESTS_C_CHECK_H
#define TESTS_C_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <simledger.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUL_TERMINATED SIMLEDGER_NUL_TERMINATED

/* What results hold before a call; as an address it is none. */
#define GARBAGE 0x6767676767676761
#define GARBAGE_POINTER(type) ((type *)(uintptr_t)GARBAGE)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#define CHECK_TEXT(text, expected) check_text(__FILE__, __LINE__, text, expected)

/* The call works, and there is no error. */
#define CHECK_OK(call) CHECK_STATUS(SIMLEDGER_OK, call)

/* The call ends with a status that comes without an error. */
#define CHECK_STATUS(expected, call)                                                               \
    do {                                                                                           \
        simledger_error *error = GARBAGE_POINTER(simledger_error);                                 \
        const simledger_status status = (call);                                                    \
        check_status(__FILE__, __LINE__, #call, status, expected, error);                          \
        CHECK(error == NULL);                                                                      \
    } while (0)

/* The call ends with this status, and its error names this field ("" for none) and says these
 * words. NULL for either: whatever it is. */
#define CHECK_FAILS(expected, field, words, call)                                                  \
    do {                                                                                           \
        simledger_error *error = GARBAGE_POINTER(simledger_error);                                 \
        const simledger_status status = (call);                                                    \
        check_status(__FILE__, __LINE__, #call, status, expected, error);                          \
        check_error(__FILE__, __LINE__, #call, error, expected, field, words);                     \
        simledger_error_free(error);                                                               \
    } while (0)

/* Not exit(): the test may be a thread of many, or a forked child. */
static inline void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    fflush(NULL);
    _exit(1);
}

static inline void check_text(const char *file, int line, const char *text, const char *expected) {
    if (text != NULL && strcmp(text, expected) == 0)
        return;
    fprintf(stderr, "%s:%d: is      %s\n", file, line, text != NULL ? text : "NULL");
    fprintf(stderr, "%s:%d: must be %s\n", file, line, expected);
    fflush(NULL);
    _exit(1);
}

static inline void check_status(const char *file, int line, const char *call,
                                simledger_status status, simledger_status expected,
                                const simledger_error *error) {
    if (status == expected)
        return;
    fprintf(stderr, "%s:%d: %s is %s and must be %s\n", file, line, call,
            simledger_status_name(status), simledger_status_name(expected));
    if (error != NULL && error != GARBAGE_POINTER(simledger_error)) {
        fprintf(stderr, "%s:%d: %s\n", file, line, simledger_error_message(error));
    }
    fflush(NULL);
    _exit(1);
}

static inline void check_error(const char *file, int line, const char *call,
                               const simledger_error *error, simledger_status status,
                               const char *field, const char *words) {
    const char *message = simledger_error_message(error);
    if (error != NULL && simledger_error_status(error) == status && message[0] != '\0' &&
        strchr(message, '\n') == NULL &&
        (field == NULL || strcmp(simledger_error_field(error), field) == 0) &&
        (words == NULL || strstr(message, words) != NULL)) {
        return;
    }
    fprintf(stderr,
            "%s:%d: the error of %s must have %s, \"%s\" and \"%s\", and has %s, \"%s\": %s\n",
            file, line, call, simledger_status_name(status), field != NULL ? field : "(any)",
            words != NULL ? words : "(any)", simledger_status_name(simledger_error_status(error)),
            simledger_error_field(error), message);
    fflush(NULL);
    _exit(1);
}

/* A configuration with this path, and these keys and values up to END. */
#define END ((const char *)NULL)

static inline simledger_config *config_from(const char *path, va_list keys) {
    simledger_config *config = simledger_config_new();
    CHECK_OK(simledger_config_set(config, "path", 4, path, NUL_TERMINATED, &error));
    /* How ledgers in files commit where a test does not say, nor leaves the file to other programs.
     */
    const char *commit = getenv("LEDGER_TEST_COMMIT");
    if (strcmp(path, ":memory:") == 0)
        commit = NULL;
    /* Valgrind looks through all memory for what is lost: not through a large log for each child.
     */
    if (getenv("LEDGER_TEST_SMALL_LOG") != NULL)
        CHECK_OK(simledger_config_set(config, "log_bytes", 9, "262144", NUL_TERMINATED, &error));
    const char *key;
    while ((key = va_arg(keys, const char *)) != NULL) {
        const char *value = va_arg(keys, const char *);
        if (strcmp(key, "commit") == 0 || strcmp(key, "guards") == 0)
            commit = NULL;
        CHECK_OK(simledger_config_set(config, key, NUL_TERMINATED, value, NUL_TERMINATED, &error));
    }
    if (commit != NULL)
        CHECK_OK(simledger_config_set(config, "commit", 6, commit, NUL_TERMINATED, &error));
    return config;
}

static inline simledger_config *config_with(const char *path, ...) {
    va_list keys;
    va_start(keys, path);
    simledger_config *config = config_from(path, keys);
    va_end(keys);
    return config;
}

/* A ledger with them. */
static inline simledger_ledger *open_with(const char *path, ...) {
    va_list keys;
    va_start(keys, path);
    simledger_config *config = config_from(path, keys);
    va_end(keys);
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    return ledger;
}

static inline simledger_ledger *open_in_memory(void) { return open_with(":memory:", END); }

static inline void close_ledger(simledger_ledger *ledger) {
    CHECK_OK(simledger_close(ledger, &error));
}

/* Appends an entry; its id. */
static inline int64_t append(simledger_ledger *ledger, double timestamp, const char *node_id) {
    int64_t id = 0;
    CHECK_OK(simledger_append(ledger, timestamp, node_id, NUL_TERMINATED, "{\"rate\":910}",
                              NUL_TERMINATED, 0.5, &id, &error));
    return id;
}

static inline int64_t count_of(simledger_ledger *ledger) {
    int64_t count = -1;
    CHECK_OK(simledger_count(ledger, &count, &error));
    return count;
}

static inline simledger_entries *read_all(simledger_ledger *ledger) {
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_read_all(ledger, &entries, &error));
    return entries;
}

static inline void write_file(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(bytes, 1, len, file) == len);
    CHECK(fclose(file) == 0);
}

/* Valgrind makes everything some fifty times slower: less of the same is enough there. */
static inline int times(int usually, int under_valgrind) {
    return getenv("SIMLEDGER_VALGRIND") != NULL ? under_valgrind : usually;
}

#endif
