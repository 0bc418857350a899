/* How well the mesh detected: worked out from the ledger alone, so that anybody can do it again. */
#ifndef EVALUATION_H
#define EVALUATION_H

#include "mesh.h"
#include "messages.h"

/* A signature and what became of it. */
struct finding {
    long reading;
    int confirmed; /* votes, that of its finder included */
    int voted;     /* 0: this is no signature */
};

struct findings {
    struct finding *items; /* by the ids of entries, from 1 */
    size_t len;
};

static inline bool count_votes(struct findings *findings, const simledger_entry *entry,
                               const char *list, int confirmed) {
    double ids[STEP_READINGS];
    size_t count = 0;
    if (simledger_entry_feature_numbers(entry, list, NUL, ids, STEP_READINGS, &count, NULL)) {
        fprintf(stderr, "no votes %s in entry %" PRId64 "\n", list, simledger_entry_id(entry));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool known = ids[i] >= 1 && ids[i] < (double)findings->len;
        struct finding *finding = &findings->items[known ? (size_t)ids[i] : 0];
        if (finding->voted == 0) {
            fprintf(stderr, "a vote on entry %.0f, which is no signature\n", ids[i]);
            return false;
        }
        finding->confirmed += confirmed;
        finding->voted++;
    }
    return true;
}

/* A signature comes before the votes on it: one pass is enough. */
static inline bool tally(struct findings *findings, const simledger_entries *entries) {
    findings->len = (size_t)simledger_entries_position(entries) + 1;
    findings->items = calloc(findings->len, sizeof *findings->items);
    bool ok = findings->items != NULL;
    for (size_t i = 0; ok && i < simledger_entries_len(entries); i++) {
        const simledger_entry *entry = simledger_entries_get(entries, i);
        if (is_kind(entry, "signature"))
            findings->items[simledger_entry_id(entry)] = (struct finding){
                .reading = (long)simledger_entry_timestamp(entry), .confirmed = 1, .voted = 1};
        else if (is_kind(entry, "votes"))
            ok = count_votes(findings, entry, "/confirm", 1) &&
                 count_votes(findings, entry, "/reject", 0);
    }
    return ok;
}

/* Prints how good what a majority confirmed is, or without `majority` all signatures; its F1. */
static inline double score(const struct findings *findings, const struct readings *readings,
                           bool majority) {
    long detected = 0, correct = 0, anomalies = 0;
    for (long i = 0; i < readings->len; i++)
        anomalies += readings->items[i].anomaly;
    for (size_t id = 0; id < findings->len; id++) {
        const struct finding *finding = &findings->items[id];
        if (majority ? 2 * finding->confirmed > finding->voted : finding->voted > 0) {
            detected++;
            correct += readings->items[finding->reading].anomaly;
        }
    }
    double precision = correct ? (double)correct / (double)detected : 0;
    double recall = correct ? (double)correct / (double)anomalies : 0;
    double f1 = correct ? 2 * precision * recall / (precision + recall) : 0;
    printf("%-10s %9ld readings: precision %.4f, recall %.4f, F1 %.4f\n",
           majority ? "confirmed" : "reported", detected, precision, recall, f1);
    return f1;
}

static inline bool saw(const struct worker *worker, const struct seen *seen, const char *which,
                       const struct seen *held) {
    if (seen->count == held->count && seen->digest == held->digest)
        return true;
    fprintf(stderr, "%s saw %" PRId64 " entries of %s, not the %" PRId64 " of the ledger\n",
            worker->name, seen->count, which, held->count);
    return false;
}

/* Whether every node saw what the ledger holds, each id once, in order, and no other: its own
 * entries when it appended them, and those of the others in its polls. */
static inline bool all_saw_all(const struct mesh *mesh, const simledger_entries *entries,
                               int64_t count) {
    size_t read = simledger_entries_len(entries);
    int64_t appended = 0;
    for (int node = 0; node < mesh->nodes; node++) {
        const struct worker *worker = &mesh->workers[node];
        struct seen own = {0}, others = {0};
        for (size_t i = 0; i < read; i++) {
            const simledger_entry *entry = simledger_entries_get(entries, i);
            bool is_own = strcmp(simledger_entry_node_id(entry, NULL), worker->name) == 0;
            if (!note_seen(is_own ? &own : &others, simledger_entry_id(entry)))
                return false;
        }
        if (!saw(worker, &worker->own, "its own", &own) ||
            !saw(worker, &worker->others, "the others", &others))
            return false;
        appended += own.count;
    }
    if (appended == count && read == (size_t)count)
        return true;
    fprintf(stderr, "%" PRId64 " entries appended, %zu read, %" PRId64 " counted\n", appended, read,
            count);
    return false;
}

/* Prints the result; false if a check fails or the detection is poor. */
static inline bool evaluate(const struct mesh *mesh, double f1_min) {
    simledger_error *error = NULL;
    simledger_entries *entries = NULL;
    int64_t count = 0;
    if (!succeeded(simledger_count(mesh->ledger, &count, &error) ||
                       simledger_read_all(mesh->ledger, &entries, &error),
                   &error, "read all"))
        return false;
    struct findings findings = {0};
    bool ok = all_saw_all(mesh, entries, count) && tally(&findings, entries);
    if (ok) {
        printf("checked: every node saw each of %" PRId64 " entries once and in order\n", count);
        score(&findings, &mesh->readings, false);
        ok = score(&findings, &mesh->readings, true) >= f1_min;
        if (!ok)
            fprintf(stderr, "F1 is below %.2f\n", f1_min);
    }
    free(findings.items);
    simledger_entries_free(entries);
    return ok;
}

#endif
