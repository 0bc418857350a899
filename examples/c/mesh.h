/* What the nodes share, and how they use the ledger. */
#ifndef MESH_H
#define MESH_H

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "latency.h"
#include "messages.h"
#include "readings.h"
#include "simledger.h"

/* Entries that came one after the other. */
struct seen {
    int64_t count;
    int64_t last_id; /* that was looked at: all that comes must be above */
    uint64_t digest; /* of their ids in the order they came */
};

struct mesh;

/* A node from outside: who runs it, and how it fares. In memory that processes share, too. */
struct worker {
    const struct mesh *mesh;
    int index;
    char name[24];
    pthread_t thread;
    pid_t process; /* 0: none, or none any more */
    atomic_bool ended;
    bool ok;                 /* once it ended */
    struct seen own, others; /* its own entries by their ids, those of the others by polls */
    double cache_hits, cache_misses;
    struct latency append, poll, get;
};

/* What all nodes need; nobody changes it while they run. */
struct mesh {
    int nodes;
    bool processes;
    uint64_t seed;
    const char *data;   /* where the readings are */
    const char *path;   /* of the ledger; NULL: in a temporary directory */
    const char *commit; /* how it makes an append durable: "log" or "sqlite" */
    struct readings readings;
    long steps;
    simledger_ledger *ledger;           /* the handle that threads share */
    struct worker *workers;             /* one for each node */
    atomic_bool *stop;                  /* somebody failed: the others need not wait for them */
    double seconds, append_us, poll_us; /* how the run went: in all; a call, half of them faster */
};

/* Prints what went wrong, if something did, and frees the error. `failed` is a status, or several
 * calls with || between them: OK is 0. It takes the error's address: where the call stands in the
 * same argument list, C may look at the error itself before it makes the call. */
static inline bool succeeded(int failed, simledger_error **error, const char *doing) {
    if (!failed)
        return true;
    fprintf(stderr, "%s: %s (%s)\n", doing, simledger_error_message(*error),
            simledger_status_name(simledger_error_status(*error)));
    simledger_error_free(*error);
    *error = NULL;
    return false;
}

static inline bool open_ledger(const struct mesh *mesh, simledger_ledger **ledger) {
    simledger_config *config = simledger_config_new();
    simledger_error *error = NULL;
    /* All nodes ask for each signature of a step by its id: room for them in the entry cache. */
    bool ok =
        succeeded(simledger_config_set(config, "path", NUL, mesh->path, NUL, &error) ||
                      simledger_config_set(config, "commit", NUL, mesh->commit, NUL, &error) ||
                      simledger_config_set(config, "entry_cache_size", NUL, "4096", NUL, &error) ||
                      simledger_open(config, ledger, &error),
                  &error, "open");
    simledger_config_free(config);
    return ok;
}

static inline bool close_ledger(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    return succeeded(simledger_close(ledger, &error), &error, "close");
}

static inline bool read_cache_metrics(simledger_ledger *ledger, double *hits, double *misses) {
    simledger_error *error = NULL;
    return succeeded(simledger_metric_get(ledger, "entry_cache_hits", NUL, hits, &error) ||
                         simledger_metric_get(ledger, "entry_cache_misses", NUL, misses, &error),
                     &error, "metrics");
}

/* Notes an entry. It must be above all that came before. */
static inline bool note_seen(struct seen *seen, int64_t id) {
    if (id <= seen->last_id) {
        fprintf(stderr, "entry %" PRId64 " came after entry %" PRId64 "\n", id, seen->last_id);
        return false;
    }
    seen->count++;
    seen->last_id = id;
    /* As FNV-1a (Fowler, Noll, Vo), but with whole ids instead of bytes. */
    seen->digest = (seen->digest ^ (uint64_t)id) * 0x100000001b3u;
    return true;
}

/* Notes how far a poll looked: what the filter left out may be behind its last entry, but nothing
 * is ever removed. The next poll begins there. */
static inline bool note_position(struct seen *seen, const simledger_entries *fresh) {
    int64_t position = simledger_entries_position(fresh);
    if (position < seen->last_id || simledger_entries_gap_before(fresh) != 0) {
        fprintf(stderr, "position %" PRId64 " after entry %" PRId64 ", gap before %" PRId64 "\n",
                position, seen->last_id, simledger_entries_gap_before(fresh));
        return false;
    }
    seen->last_id = position;
    return true;
}

#endif
