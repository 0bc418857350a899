/* What the nodes share, and how they use the ledger. */
#ifndef MESH_H
#define MESH_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "readings.h"
#include "simledger.h"

struct options {
    int nodes;
    bool processes;
    uint64_t seed;
    const char *data;
    const char *ledger; /* NULL: a temporary one */
};

/* How a node fared. In memory that processes share, too. */
struct report {
    atomic_bool ended;
    bool ok;         /* once it ended */
    int64_t seen;    /* entries */
    int64_t last_id; /* of these */
    uint64_t digest; /* of their ids in the order they came */
    int64_t cache_hits, cache_misses;
    struct latency append, poll, get;
};

/* What all nodes need; nobody changes it while they run. */
struct mesh {
    const struct options *options;
    struct readings readings;
    long steps;
    const char *path;
    simledger_ledger *ledger; /* the handle that threads share */
    struct report *reports;   /* one for each node */
    atomic_bool *stop;        /* somebody failed: the others need not wait for them */
};

/* Prints what went wrong, if something did, and frees the error. It takes the error's address:
 * where the call stands in the same argument list, C may look at the error itself before it makes
 * the call. */
static inline bool succeeded(simledger_status status, simledger_error **error, const char *doing) {
    if (status == SIMLEDGER_OK)
        return true;
    fprintf(stderr, "%s: %s (%s)\n", doing, simledger_error_message(*error),
            simledger_status_name(status));
    simledger_error_free(*error);
    *error = NULL;
    return false;
}

static inline bool open_ledger(const char *path, simledger_ledger **ledger) {
    /* All nodes ask for each signature of a step by its id: room for them in the entry cache. */
    const char *settings[][2] = {{"path", path}, {"entry_cache_size", "4096"}};
    simledger_config *config = simledger_config_new();
    simledger_error *error = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof settings / sizeof *settings; i++) {
        ok = succeeded(simledger_config_set(config, settings[i][0], SIMLEDGER_NUL_TERMINATED,
                                            settings[i][1], SIMLEDGER_NUL_TERMINATED, &error),
                       &error, settings[i][0]);
    }
    ok = ok && succeeded(simledger_open(config, ledger, &error), &error, "open");
    simledger_config_free(config);
    return ok;
}

static inline bool close_ledger(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    return succeeded(simledger_close(ledger, &error), &error, "close");
}

/* A number out of the metrics; 0 if there is none with this name. */
static inline int64_t metric(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static inline bool read_cache_metrics(simledger_ledger *ledger, int64_t *hits, int64_t *misses) {
    simledger_error *error = NULL;
    char *json = NULL;
    if (!succeeded(simledger_metrics_json(ledger, &json, NULL, &error), &error, "metrics")) {
        return false;
    }
    *hits = metric(json, "entry_cache_hits");
    *misses = metric(json, "entry_cache_misses");
    simledger_string_free(json);
    return true;
}

/* FNV-1a (Fowler, Noll, Vo) over the ids: equal only for the same ids in the same order. */
static inline uint64_t digest_add(uint64_t digest, int64_t id) {
    for (int shift = 0; shift < 64; shift += 8) {
        digest = (digest ^ (((uint64_t)id >> shift) & 0xff)) * 0x100000001b3u;
    }
    return digest;
}

/* Notes an entry that a poll gave. It must be above all that came before. */
static inline bool note_seen(struct report *report, int64_t id) {
    if (id <= report->last_id) {
        fprintf(stderr, "entry %" PRId64 " came after entry %" PRId64 "\n", id, report->last_id);
        return false;
    }
    report->seen++;
    report->last_id = id;
    report->digest = digest_add(report->digest, id);
    return true;
}

/* The next poll begins where this one ended: after its last entry, since none is ever removed. */
static inline bool check_position(const simledger_entries *fresh, const struct report *report) {
    int64_t position = simledger_entries_position(fresh);
    if (position == report->last_id && simledger_entries_gap_before(fresh) == 0)
        return true;
    fprintf(stderr, "position %" PRId64 " after entry %" PRId64 ", gap before %" PRId64 "\n",
            position, report->last_id, simledger_entries_gap_before(fresh));
    return false;
}

#endif
