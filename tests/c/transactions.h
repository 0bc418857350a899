/* What the tests of transactions share. */
#ifndef TESTS_C_TRANSACTIONS_H
#define TESTS_C_TRANSACTIONS_H

#include "check.h"

static inline simledger_transaction *begin(simledger_ledger *ledger) {
    simledger_transaction *transaction = NULL;
    CHECK_OK(simledger_transaction_begin(ledger, &transaction, &error));
    return transaction;
}

static inline void add(simledger_transaction *transaction, double timestamp,
                       size_t expected_index) {
    size_t index = 77;
    CHECK_OK(
        simledger_transaction_append(transaction, timestamp, "n", 1, "{}", 2, 0.5, &index, &error));
    CHECK(index == expected_index);
}

#endif
