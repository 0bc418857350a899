/* A node: watches, reports, polls, votes. */
#ifndef NODE_H
#define NODE_H

#include "detector.h"
#include "mesh.h"
#include "messages.h"

#define NAP_MIN_NS 100000       /* after a poll that found nothing; then twice as long, up to */
#define NAP_MAX_NS 5000000      /* this, so that many who wait leave room for those who work */
#define PATIENCE_NS 60000000000 /* without news from anybody, something is wrong */

/* Somebody's signature that this node has yet to vote on. */
struct pending {
    int64_t id;
    double timestamp;
};

struct node {
    const struct mesh *mesh;
    simledger_ledger *ledger;
    int index;
    char name[16];
    struct detector detector;
    struct report *report;
    int64_t done_seen, votes_seen;
    /* Nobody is more than a step ahead, so these are of two steps at most. */
    int pending_count;
    struct pending pending[2 * STEP_READINGS];
    struct text text, confirm, reject;
};

/* Appends what is in node->text. */
static inline bool append(struct node *node, double timestamp, double confidence) {
    simledger_error *error = NULL;
    uint64_t start = now_ns();
    simledger_status status =
        simledger_append(node->ledger, timestamp, node->name, SIMLEDGER_NUL_TERMINATED,
                         node->text.bytes, node->text.len, confidence, NULL, &error);
    latency_add(&node->report->append, start);
    return succeeded(status, &error, node->name);
}

static inline bool receive(struct node *node, const simledger_entry *entry) {
    const char *features = simledger_entry_features_json(entry, NULL);
    bool own = strcmp(simledger_entry_node_id(entry, NULL), node->name) == 0;
    if (is_kind(features, "signature") && !own) {
        if (node->pending_count == 2 * STEP_READINGS) {
            fprintf(stderr, "%s: more signatures than readings\n", node->name);
            return false;
        }
        node->pending[node->pending_count++] = (struct pending){
            .id = simledger_entry_id(entry), .timestamp = simledger_entry_timestamp(entry)};
    }
    if (is_kind(features, "done"))
        node->done_seen++;
    if (is_kind(features, "votes"))
        node->votes_seen++;
    return note_seen(node->report, simledger_entry_id(entry));
}

/* Polls for what is new. `any` tells whether there was something. */
static inline bool poll_ledger(struct node *node, bool *any) {
    simledger_error *error = NULL;
    simledger_entries *fresh = NULL;
    uint64_t start = now_ns();
    simledger_status status = simledger_poll_since(node->ledger, node->report->last_id,
                                                   SIMLEDGER_NO_LIMIT, &fresh, &error);
    latency_add(&node->report->poll, start);
    if (!succeeded(status, &error, node->name))
        return false;
    size_t count = simledger_entries_len(fresh);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = receive(node, simledger_entries_get(fresh, i));
    ok = ok && check_position(fresh, node->report);
    simledger_entries_free(fresh);
    *any = count > 0;
    return ok;
}

/* Polls until this many entries of a kind were seen. */
static inline bool wait_for(struct node *node, const int64_t *seen, int64_t wanted) {
    uint64_t last_news = now_ns();
    long nap_ns = NAP_MIN_NS;
    while (*seen < wanted) {
        bool any = false;
        if (atomic_load(node->mesh->stop) || !poll_ledger(node, &any))
            return false;
        if (any) {
            last_news = now_ns();
            nap_ns = NAP_MIN_NS;
        } else if (now_ns() - last_news > PATIENCE_NS) {
            fprintf(stderr, "%s: no news from the other nodes\n", node->name);
            return false;
        } else {
            nanosleep(&(struct timespec){.tv_nsec = nap_ns}, NULL);
            nap_ns = nap_ns * 2 < NAP_MAX_NS ? nap_ns * 2 : NAP_MAX_NS;
        }
    }
    return true;
}

/* Looks at a reading, reports it if it is anomalous, and learns from it. */
static inline bool watch(struct node *node, long at) {
    const double *features = node->mesh->readings.items[at].features;
    double distance = detector_distance(&node->detector, features);
    bool anomalous = detector_can_judge(&node->detector) && distance > NORMAL_DISTANCE_MAX;
    detector_learn(&node->detector, features);
    if (!anomalous)
        return true;
    write_signature(&node->text, features, distance);
    return append(node, (double)at, detector_confidence(distance));
}

static inline bool vote_on(struct node *node, int64_t id) {
    simledger_error *error = NULL;
    simledger_entry *entry = NULL;
    uint64_t start = now_ns();
    simledger_status status = simledger_get_by_id(node->ledger, id, &entry, &error);
    latency_add(&node->report->get, start);
    if (!succeeded(status, &error, node->name))
        return false;
    double values[FEATURES];
    int count = read_list(simledger_entry_features_json(entry, NULL), "values", values, FEATURES);
    simledger_entry_free(entry);
    if (count != FEATURES) {
        fprintf(stderr, "%s: entry %" PRId64 " has %d values\n", node->name, id, count);
        return false;
    }
    bool confirmed = detector_distance(&node->detector, values) > NORMAL_DISTANCE_MAX;
    add_id(confirmed ? &node->confirm : &node->reject, id);
    return true;
}

/* Votes on what the others found before `end`. A node that cannot judge yet abstains. */
static inline bool vote(struct node *node, long step, double end) {
    text_clear(&node->confirm);
    text_clear(&node->reject);
    int voted = 0;
    for (; voted < node->pending_count && node->pending[voted].timestamp < end; voted++) {
        bool judges = detector_can_judge(&node->detector);
        if (judges && !vote_on(node, node->pending[voted].id))
            return false;
    }
    node->pending_count -= voted;
    memmove(node->pending, node->pending + voted,
            (size_t)node->pending_count * sizeof *node->pending);
    write_votes(&node->text, step, &node->confirm, &node->reject);
    /* Readings have whole seconds: no two entries of a node have the same time. */
    return append(node, end - 0.25, 1);
}

static inline bool run_step(struct node *node, long step) {
    const struct mesh *mesh = node->mesh;
    long begin = step * STEP_READINGS;
    long end = begin + STEP_READINGS;
    for (long at = begin; at < end && at < mesh->readings.len; at++) {
        if (mesh->readings.items[at].owner != node->index)
            continue;
        bool any = false;
        if (!watch(node, at) || !poll_ledger(node, &any))
            return false;
    }
    write_done(&node->text, step);
    return append(node, (double)end - 0.5, 1) &&
           wait_for(node, &node->done_seen, (step + 1) * mesh->options->nodes) &&
           vote(node, step, (double)end);
}

static inline bool run_node(const struct mesh *mesh, int index, simledger_ledger *ledger) {
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return false;
    node->mesh = mesh;
    node->ledger = ledger;
    node->index = index;
    node->report = &mesh->reports[index];
    snprintf(node->name, sizeof node->name, "node-%02d", index);
    bool ok = true;
    for (long step = 0; ok && step < mesh->steps; step++)
        ok = run_step(node, step);
    ok = ok && wait_for(node, &node->votes_seen, mesh->steps * mesh->options->nodes);
    free(node);
    return ok;
}

#endif
