/* A host that uses the system's SQLite for tables of its own and a ledger beside them: each side
 * runs its own SQLite, and both work. */
#include "work.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Declared here, so that this needs the system's library but not its headers. */
typedef struct sqlite3 sqlite3;
const char *sqlite3_libversion(void);
int sqlite3_open(const char *path, sqlite3 **database);
int sqlite3_exec(sqlite3 *database, const char *sql,
                 int (*row)(void *user_data, int columns, char **values, char **names),
                 void *user_data, char **message);
int sqlite3_close(sqlite3 *database);

static int read_count(void *user_data, int columns, char **values, char **names) {
    (void)columns, (void)names;
    *(int *)user_data = atoi(values[0]);
    return 0;
}

/* The version as the system's library itself gives it, whatever the linker made of the name above.
 */
static const char *system_version(void) {
    void *library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    assert(library != NULL);
    void *address = dlsym(library, "sqlite3_libversion");
    const char *(*version)(void);
    memcpy(&version, &address, sizeof version);
    return version();
}

int main(void) {
    printf("the host runs SQLite %s, the ledger %s\n", sqlite3_libversion(),
           simledger_sqlite_version());

    /* The same string at the same place: the host's calls go to the system's library, the ledger's
     * do not. Two systems may have the same version, so its text alone would not tell. */
    assert(sqlite3_libversion() == system_version());
    assert(simledger_sqlite_version() != system_version());

    sqlite3 *database = NULL;
    simledger_ledger *ledger = open_in_memory();
    assert(sqlite3_open(":memory:", &database) == 0);
    assert(sqlite3_exec(database, "CREATE TABLE own(x)", NULL, NULL, NULL) == 0);
    append_some(ledger, 10);
    for (int i = 0; i < 7; i++) {
        assert(sqlite3_exec(database, "INSERT INTO own VALUES (1)", NULL, NULL, NULL) == 0);
    }

    int rows = 0;
    assert(sqlite3_exec(database, "SELECT count(*) FROM own", read_count, &rows, NULL) == 0);
    assert(rows == 7);
    check_count_and_close(ledger, 10);
    assert(sqlite3_close(database) == 0);
    return 0;
}
