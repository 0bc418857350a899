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
    simledger_error *error; /* of the call that failed */
    struct worker *worker;
    struct detector detector;
    simledger_query *others;     /* what the node polls for */
    simledger_features *message; /* what it appends next */
    int64_t done_seen, votes_seen;
    /* Nobody is more than a step ahead, so these are of two steps at most. */
    int pending_count;
    struct pending pending[2 * STEP_READINGS];
};

/* Appends node->message. */
static inline bool append(struct node *node, double timestamp, double confidence) {
    size_t len = 0;
    const char *features = simledger_features_json(node->message, &len);
    int64_t id = 0;
    uint64_t start = now_ns();
    simledger_status status = simledger_append(node->ledger, timestamp, node->worker->name, NUL,
                                               features, len, confidence, &id, &node->error);
    latency_add(&node->worker->append, start);
    return status == SIMLEDGER_OK && note_seen(&node->worker->own, id);
}

static inline bool receive(struct node *node, const simledger_entry *entry) {
    int64_t id = simledger_entry_id(entry);
    if (is_kind(entry, "signature")) {
        if (node->pending_count == 2 * STEP_READINGS) {
            fprintf(stderr, "%s: more signatures than readings\n", node->worker->name);
            return false;
        }
        node->pending[node->pending_count++] =
            (struct pending){.id = id, .timestamp = simledger_entry_timestamp(entry)};
    } else {
        node->done_seen += is_kind(entry, "done");
        node->votes_seen += is_kind(entry, "votes");
    }
    return note_seen(&node->worker->others, id);
}

/* Polls for what is new of the others. `any` tells whether there was something. */
static inline bool poll_ledger(struct node *node, bool *any) {
    struct seen *seen = &node->worker->others;
    simledger_entries *fresh = NULL;
    uint64_t start = now_ns();
    simledger_status status =
        simledger_query_poll(node->ledger, node->others, seen->last_id, &fresh, &node->error);
    latency_add(&node->worker->poll, start);
    bool ok = status == SIMLEDGER_OK;
    size_t count = simledger_entries_len(fresh);
    for (size_t i = 0; ok && i < count; i++)
        ok = receive(node, simledger_entries_get(fresh, i));
    ok = ok && note_position(seen, fresh);
    simledger_entries_free(fresh);
    *any = count > 0;
    return ok;
}

/* Polls until the others appended so many entries of a kind each. */
static inline bool wait_for(struct node *node, const int64_t *seen, long of_each) {
    int64_t wanted = of_each * (node->mesh->nodes - 1);
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
            fprintf(stderr, "%s: no news from the other nodes\n", node->worker->name);
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
    const double *values = node->mesh->readings.items[at].features;
    double distance = detector_distance(&node->detector, values);
    bool anomalous = detector_can_judge(&node->detector) && distance > NORMAL_DISTANCE_MAX;
    detector_learn(&node->detector, values);
    if (!anomalous)
        return true;
    simledger_features *message = node->message;
    simledger_error **error = &node->error;
    return !begin_message(message, "signature", error) &&
           !simledger_features_set_number(message, "distance", NUL, distance, error) &&
           !simledger_features_set_numbers(message, "values", NUL, values, FEATURES, error) &&
           append(node, (double)at, detector_confidence(distance));
}

static inline bool judge(struct node *node, int64_t id, bool *confirmed) {
    simledger_entry *entry = NULL;
    double values[FEATURES];
    size_t count = 0;
    uint64_t start = now_ns();
    simledger_status status = simledger_get_by_id(node->ledger, id, &entry, &node->error);
    latency_add(&node->worker->get, start);
    bool ok = !status && !simledger_entry_feature_numbers(entry, "/values", NUL, values, FEATURES,
                                                          &count, &node->error);
    simledger_entry_free(entry);
    if (!ok || count != FEATURES) {
        fprintf(stderr, "%s: there are no %d values in entry %" PRId64 "\n", node->worker->name,
                FEATURES, id);
        return false;
    }
    *confirmed = detector_distance(&node->detector, values) > NORMAL_DISTANCE_MAX;
    return true;
}

/* Votes on what the others found before `end`. A node that cannot judge yet abstains. */
static inline bool vote(struct node *node, long step, double end) {
    int64_t votes[2][2 * STEP_READINGS]; /* [false]: the ids of what it rejects */
    size_t count[2] = {0, 0};
    int voted = 0;
    for (; voted < node->pending_count && node->pending[voted].timestamp < end; voted++) {
        int64_t id = node->pending[voted].id;
        bool confirmed = false;
        if (!detector_can_judge(&node->detector))
            continue;
        if (!judge(node, id, &confirmed))
            return false;
        votes[confirmed][count[confirmed]++] = id;
    }
    node->pending_count -= voted;
    memmove(node->pending, node->pending + voted,
            (size_t)node->pending_count * sizeof *node->pending);
    simledger_features *message = node->message;
    simledger_error **error = &node->error;
    /* Readings have whole seconds: no two entries of a node have the same time. */
    return !begin_message(message, "votes", error) &&
           !simledger_features_set_integer(message, "step", NUL, step, error) &&
           !simledger_features_set_integers(message, "confirm", NUL, votes[1], count[1], error) &&
           !simledger_features_set_integers(message, "reject", NUL, votes[0], count[0], error) &&
           append(node, end - 0.25, 1);
}

static inline bool run_step(struct node *node, long step) {
    const struct readings *readings = &node->mesh->readings;
    long begin = step * STEP_READINGS;
    long end = begin + STEP_READINGS;
    for (long at = begin; at < end && at < readings->len; at++) {
        bool any = false;
        if (readings->items[at].owner == node->worker->index &&
            !(watch(node, at) && poll_ledger(node, &any)))
            return false;
    }
    return !begin_message(node->message, "done", &node->error) &&
           !simledger_features_set_integer(node->message, "step", NUL, step, &node->error) &&
           append(node, (double)end - 0.5, 1) && wait_for(node, &node->done_seen, step + 1) &&
           vote(node, step, (double)end);
}

static inline bool run_node(struct worker *worker, simledger_ledger *ledger) {
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return false;
    node->mesh = worker->mesh;
    node->ledger = ledger;
    node->worker = worker;
    node->message = simledger_features_new();
    node->others = simledger_query_new();
    bool ok = !simledger_query_exclude_node(node->others, worker->name, NUL, &node->error);
    for (long step = 0; ok && step < worker->mesh->steps; step++)
        ok = run_step(node, step);
    ok = ok && wait_for(node, &node->votes_seen, worker->mesh->steps);
    succeeded(node->error != NULL, &node->error, worker->name);
    simledger_query_free(node->others);
    simledger_features_free(node->message);
    free(node);
    return ok;
}

#endif
