/* A host that has another Rust library linked in statically beside the ledger. Each keeps its own
 * copy of Rust's standard library; what the linker would merge of them by name made this fail to
 * link, or crash at the first panic. */
#include "work.h"
#include <stdbool.h>

bool other_catches_a_panic(void);

int main(void) {
    simledger_ledger *ledger = open_in_memory();
    assert(other_catches_a_panic());
    append_some(ledger, 10);
    assert(other_catches_a_panic());
    check_count_and_close(ledger, 10);
    return 0;
}
