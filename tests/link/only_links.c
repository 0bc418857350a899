/* Compiles, links and starts: nothing more. */
#include <simledger.h>
#include <stdio.h>

int main(void) {
    printf("simledger %s with SQLite %s\n", simledger_version(), simledger_sqlite_version());
    return 0;
}
