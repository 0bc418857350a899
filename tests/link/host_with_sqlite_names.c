/* A host with functions of its own that are named as SQLite's are. Neither side may call the
 * other's. */
#include "work.h"
#include <stdlib.h>
#include <string.h>

static int calls;

#define NOT_SQLITE(name)                                                                           \
    int name(void);                                                                                \
    int name(void) {                                                                               \
        fprintf(stderr, "the ledger called the host's %s\n", #name);                               \
        abort();                                                                                   \
    }
NOT_SQLITE(sqlite3_open_v2)
NOT_SQLITE(sqlite3_prepare_v2)
NOT_SQLITE(sqlite3_prepare_v3)
NOT_SQLITE(sqlite3_step)
NOT_SQLITE(sqlite3_finalize)
NOT_SQLITE(sqlite3_exec)
NOT_SQLITE(sqlite3_initialize)
NOT_SQLITE(sqlite3_malloc)
NOT_SQLITE(sqlite3_free)
NOT_SQLITE(sqlite3_close)
NOT_SQLITE(sqlite3_close_v2)

const char *sqlite3_libversion(void);
const char *sqlite3_libversion(void) {
    calls++;
    return "the host's own";
}

int main(void) {
    simledger_ledger *ledger = open_in_memory();
    append_some(ledger, 10);
    check_count_and_close(ledger, 10);
    assert(calls == 0);

    assert(strcmp(simledger_sqlite_version(), "the host's own") != 0);
    assert(calls == 0);
    assert(strcmp(sqlite3_libversion(), "the host's own") == 0);
    return 0;
}
