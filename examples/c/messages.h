/* What the nodes tell each other, as the features of ledger entries:
 *
 *   {"kind":"signature","distance":81.3,"values":[50.0,21.0,...]}      this looks anomalous
 *   {"kind":"done","step":3}                                           all that I found up to the
 *                                                                      end of this step is above
 *   {"kind":"votes","step":3,"confirm":[812,815],"reject":[813]} on the ids of signatures
 *
 * Ids are written as numbers with decimals, which hold them exactly up to 2^53. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <string.h>

#include "simledger.h"

/* Readings of all nodes together in a step of the simulation, one a second. */
#define STEP_READINGS 1024

/* The length of a string that ends with a NUL, in a word that leaves room for the others. */
#define NUL SIMLEDGER_NUL_TERMINATED

static inline simledger_status begin_message(simledger_features *message, const char *kind,
                                             simledger_error **error) {
    simledger_features_clear(message);
    return simledger_features_set_text(message, "kind", NUL, kind, NUL, error);
}

static inline bool is_kind(const simledger_entry *entry, const char *kind) {
    char *text = NULL;
    simledger_entry_feature_text(entry, "/kind", NUL, &text, NULL, NULL);
    bool same = text && strcmp(text, kind) == 0;
    simledger_string_free(text);
    return same;
}

#endif
