/* How well the mesh detected: worked out from the ledger alone, so that anybody can do it again. */
#ifndef EVALUATION_H
#define EVALUATION_H

#include "mesh.h"
#include "messages.h"

/* A signature and what became of it. */
struct finding {
    int64_t id;
    long reading;
    int confirmed; /* votes, that of its finder included */
    int voted;
};

struct findings {
    struct finding *items; /* in the order of their ids */
    size_t len;
};

struct score {
    long detected, correct, anomalies;
    double precision, recall, f1;
};

static inline int compare_ids(const void *a, const void *b) {
    int64_t left = ((const struct finding *)a)->id;
    int64_t right = ((const struct finding *)b)->id;
    return (left > right) - (left < right);
}

static inline bool count_votes(struct findings *findings, const char *features, const char *list,
                               int confirmed) {
    double ids[STEP_READINGS];
    int count = read_list(features, list, ids, STEP_READINGS);
    for (int i = 0; i < count; i++) {
        struct finding key = {.id = (int64_t)ids[i]};
        struct finding *found =
            bsearch(&key, findings->items, findings->len, sizeof key, compare_ids);
        if (!found) {
            fprintf(stderr, "a vote on entry %" PRId64 ", which is no signature\n", key.id);
            return false;
        }
        found->confirmed += confirmed;
        found->voted++;
    }
    return true;
}

/* A signature comes before the votes on it: one pass is enough. */
static inline bool tally(struct findings *findings, const simledger_entries *entries) {
    size_t count = simledger_entries_len(entries);
    findings->len = 0;
    findings->items = calloc(count + 1, sizeof *findings->items);
    if (!findings->items)
        return false;
    for (size_t i = 0; i < count; i++) {
        const simledger_entry *entry = simledger_entries_get(entries, i);
        const char *features = simledger_entry_features_json(entry, NULL);
        if (is_kind(features, "signature")) {
            findings->items[findings->len++] =
                (struct finding){.id = simledger_entry_id(entry),
                                 .reading = (long)simledger_entry_timestamp(entry),
                                 .confirmed = 1,
                                 .voted = 1};
        } else if (is_kind(features, "votes") && !(count_votes(findings, features, "confirm", 1) &&
                                                   count_votes(findings, features, "reject", 0))) {
            return false;
        }
    }
    return true;
}

/* Scores what a majority confirmed, or with `majority` false all signatures. */
static inline struct score score(const struct findings *findings, const struct readings *readings,
                                 bool majority) {
    struct score score = {0};
    for (long i = 0; i < readings->len; i++)
        score.anomalies += readings->items[i].anomaly;
    for (size_t i = 0; i < findings->len; i++) {
        const struct finding *finding = &findings->items[i];
        if (majority && 2 * finding->confirmed <= finding->voted)
            continue;
        score.detected++;
        score.correct += readings->items[finding->reading].anomaly;
    }
    if (score.correct > 0) {
        score.precision = (double)score.correct / (double)score.detected;
        score.recall = (double)score.correct / (double)score.anomalies;
        score.f1 = 2 * score.precision * score.recall / (score.precision + score.recall);
    }
    return score;
}

static inline void score_print(const struct score *score, const char *what) {
    printf("%-10s %9ld readings: precision %.4f, recall %.4f, F1 %.4f\n", what, score->detected,
           score->precision, score->recall, score->f1);
}

/* Whether every node saw what the ledger holds: each id once, in order, and no other. */
static inline bool all_saw_all(const struct mesh *mesh, const simledger_entries *entries,
                               int64_t count) {
    struct report held = {.seen = 0};
    for (size_t i = 0; i < simledger_entries_len(entries); i++) {
        if (!note_seen(&held, simledger_entry_id(simledger_entries_get(entries, i))))
            return false;
    }
    bool ok = held.seen == count;
    if (!ok) {
        fprintf(stderr, "%" PRId64 " entries read, %" PRId64 " counted\n", held.seen, count);
    }
    for (int i = 0; i < mesh->options->nodes; i++) {
        const struct report *report = &mesh->reports[i];
        if (report->seen == held.seen && report->digest == held.digest)
            continue;
        fprintf(stderr,
                "node %d saw %" PRId64 " entries up to %" PRId64 ", not these %" PRId64 "\n", i,
                report->seen, report->last_id, held.seen);
        ok = false;
    }
    return ok;
}

/* Prints the result; false if a check fails or the detection is poor. */
static inline bool evaluate(const struct mesh *mesh, simledger_ledger *ledger, double f1_min) {
    simledger_error *error = NULL;
    simledger_entries *entries = NULL;
    int64_t count = 0;
    if (!succeeded(simledger_count(ledger, &count, &error), &error, "count") ||
        !succeeded(simledger_read_all(ledger, &entries, &error), &error, "read all")) {
        return false;
    }
    struct findings findings = {0};
    bool ok = all_saw_all(mesh, entries, count) && tally(&findings, entries);
    if (ok) {
        printf("checked: every node saw each of %" PRId64 " entries once and in order\n", count);
        struct score alone = score(&findings, &mesh->readings, false);
        struct score together = score(&findings, &mesh->readings, true);
        score_print(&alone, "reported");
        score_print(&together, "confirmed");
        ok = together.f1 >= f1_min;
        if (!ok)
            fprintf(stderr, "F1 is below %.2f\n", f1_min);
    }
    free(findings.items);
    simledger_entries_free(entries);
    return ok;
}

#endif
