/* A mesh of nodes that find anomalies together, with nothing between them but a ledger.
 *
 * Each node watches its share of a stream of sensor readings and learns what is normal. What looks
 * anomalous to it, it appends to the ledger as a signature. All nodes poll the ledger for what the
 * others found, and at the end of each step of the simulation confirm or reject it by what they know
 * themselves: their votes are entries too. What a majority confirms counts as detected.
 *
 * The nodes are threads that share one handle, or with --processes processes on one file. They wait
 * for each other through the ledger alone: a step is over for a node when it has seen that all nodes
 * are done with it. So what is voted on, by which models, does not depend on who runs when, and every
 * run with the same seed detects the same.
 *
 * Usage: anomaly_mesh [--nodes N] [--processes] [--seed S] [--data PATH] [--ledger PATH] */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, mkdtemp */

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detector.h"
#include "latency.h"
#include "messages.h"
#include "readings.h"
#include "simledger.h"

#define NODES_MAX 256
#define F1_MIN 0.75
#define NAP_NS 200000           /* between two polls that find nothing */
#define PATIENCE_NS 60000000000 /* without news from anybody, something is wrong */

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
    atomic_bool failed;
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

/* --- The ledger ----------------------------------------------------------------------------------- */

/* Prints what went wrong, if something did, and frees the error. */
static bool succeeded(simledger_status status, simledger_error *error, const char *doing) {
    if (status == SIMLEDGER_OK) return true;
    fprintf(stderr, "%s: %s (%s)\n", doing, simledger_error_message(error),
            simledger_status_name(status));
    simledger_error_free(error);
    return false;
}

static bool open_ledger(const char *path, simledger_ledger **ledger) {
    /* All nodes ask for each signature of a step by its id: room for them in the entry cache. */
    const char *settings[][2] = {{"path", path}, {"entry_cache_size", "4096"}};
    simledger_config *config = simledger_config_new();
    simledger_error *error = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof settings / sizeof *settings; i++) {
        ok = succeeded(simledger_config_set(config, settings[i][0], SIMLEDGER_NUL_TERMINATED,
                                            settings[i][1], SIMLEDGER_NUL_TERMINATED, &error),
                       error, settings[i][0]);
    }
    ok = ok && succeeded(simledger_open(config, ledger, &error), error, "open");
    simledger_config_free(config);
    return ok;
}

static bool close_ledger(simledger_ledger *ledger) {
    simledger_error *error = NULL;
    return succeeded(simledger_close(ledger, &error), error, "close");
}

/* A number out of the metrics; 0 if there is none with this name. */
static int64_t metric(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static bool read_cache_metrics(simledger_ledger *ledger, int64_t *hits, int64_t *misses) {
    simledger_error *error = NULL;
    char *json = NULL;
    if (!succeeded(simledger_metrics_json(ledger, &json, NULL, &error), error, "metrics")) {
        return false;
    }
    *hits = metric(json, "entry_cache_hits");
    *misses = metric(json, "entry_cache_misses");
    simledger_string_free(json);
    return true;
}

/* FNV-1a (Fowler, Noll, Vo) over the ids: equal only for the same ids in the same order. */
static uint64_t digest_add(uint64_t digest, int64_t id) {
    for (int shift = 0; shift < 64; shift += 8) {
        digest = (digest ^ (((uint64_t)id >> shift) & 0xff)) * 0x100000001b3u;
    }
    return digest;
}

/* Notes an entry that a poll gave. It must be above all that came before. */
static bool note_seen(struct report *report, int64_t id) {
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
static bool check_position(const simledger_entries *fresh, const struct report *report) {
    int64_t position = simledger_entries_position(fresh);
    if (position == report->last_id && simledger_entries_gap_before(fresh) == 0) return true;
    fprintf(stderr, "position %" PRId64 " after entry %" PRId64 ", gap before %" PRId64 "\n",
            position, report->last_id, simledger_entries_gap_before(fresh));
    return false;
}

/* --- A node --------------------------------------------------------------------------------------- */

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
static bool append(struct node *node, double timestamp, double confidence) {
    simledger_error *error = NULL;
    uint64_t start = now_ns();
    simledger_status status =
        simledger_append(node->ledger, timestamp, node->name, SIMLEDGER_NUL_TERMINATED,
                         node->text.bytes, node->text.len, confidence, NULL, &error);
    latency_add(&node->report->append, start);
    return succeeded(status, error, node->name);
}

static bool receive(struct node *node, const simledger_entry *entry) {
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
    if (is_kind(features, "done")) node->done_seen++;
    if (is_kind(features, "votes")) node->votes_seen++;
    return note_seen(node->report, simledger_entry_id(entry));
}

/* Polls for what is new. `any` tells whether there was something. */
static bool poll_ledger(struct node *node, bool *any) {
    simledger_error *error = NULL;
    simledger_entries *fresh = NULL;
    uint64_t start = now_ns();
    simledger_status status = simledger_poll_since(node->ledger, node->report->last_id,
                                                   SIMLEDGER_NO_LIMIT, &fresh, &error);
    latency_add(&node->report->poll, start);
    if (!succeeded(status, error, node->name)) return false;
    size_t count = simledger_entries_len(fresh);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) ok = receive(node, simledger_entries_get(fresh, i));
    ok = ok && check_position(fresh, node->report);
    simledger_entries_free(fresh);
    *any = count > 0;
    return ok;
}

/* Polls until this many entries of a kind were seen. */
static bool wait_for(struct node *node, const int64_t *seen, int64_t wanted) {
    uint64_t last_news = now_ns();
    while (*seen < wanted) {
        bool any = false;
        if (atomic_load(node->mesh->stop) || !poll_ledger(node, &any)) return false;
        if (any) {
            last_news = now_ns();
        } else if (now_ns() - last_news > PATIENCE_NS) {
            fprintf(stderr, "%s: no news from the other nodes\n", node->name);
            return false;
        } else {
            nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
        }
    }
    return true;
}

/* Looks at a reading, reports it if it is anomalous, and learns from it. */
static bool watch(struct node *node, long at) {
    const double *features = node->mesh->readings.items[at].features;
    double distance = detector_distance(&node->detector, features);
    bool anomalous = detector_can_judge(&node->detector) && distance > NORMAL_DISTANCE_MAX;
    detector_learn(&node->detector, features);
    if (!anomalous) return true;
    write_signature(&node->text, features, distance);
    return append(node, (double)at, detector_confidence(distance));
}

static bool vote_on(struct node *node, int64_t id) {
    simledger_error *error = NULL;
    simledger_entry *entry = NULL;
    uint64_t start = now_ns();
    simledger_status status = simledger_get_by_id(node->ledger, id, &entry, &error);
    latency_add(&node->report->get, start);
    if (!succeeded(status, error, node->name)) return false;
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
static bool vote(struct node *node, long step, double end) {
    text_clear(&node->confirm);
    text_clear(&node->reject);
    int voted = 0;
    for (; voted < node->pending_count && node->pending[voted].timestamp < end; voted++) {
        bool judges = detector_can_judge(&node->detector);
        if (judges && !vote_on(node, node->pending[voted].id)) return false;
    }
    node->pending_count -= voted;
    memmove(node->pending, node->pending + voted,
            (size_t)node->pending_count * sizeof *node->pending);
    write_votes(&node->text, step, &node->confirm, &node->reject);
    /* Readings have whole seconds: no two entries of a node have the same time. */
    return append(node, end - 0.25, 1);
}

static bool run_step(struct node *node, long step) {
    const struct mesh *mesh = node->mesh;
    long begin = step * STEP_READINGS;
    long end = begin + STEP_READINGS;
    for (long at = begin; at < end && at < mesh->readings.len; at++) {
        if (mesh->readings.items[at].owner != node->index) continue;
        bool any = false;
        if (!watch(node, at) || !poll_ledger(node, &any)) return false;
    }
    write_done(&node->text, step);
    return append(node, (double)end - 0.5, 1) &&
           wait_for(node, &node->done_seen, (step + 1) * mesh->options->nodes) &&
           vote(node, step, (double)end);
}

static bool run_node(const struct mesh *mesh, int index, simledger_ledger *ledger) {
    struct node *node = calloc(1, sizeof *node);
    if (!node) return false;
    node->mesh = mesh;
    node->ledger = ledger;
    node->index = index;
    node->report = &mesh->reports[index];
    snprintf(node->name, sizeof node->name, "node-%02d", index);
    bool ok = true;
    for (long step = 0; ok && step < mesh->steps; step++) ok = run_step(node, step);
    ok = ok && wait_for(node, &node->votes_seen, mesh->steps * mesh->options->nodes);
    free(node);
    return ok;
}

static void end_node(const struct mesh *mesh, int index, bool ok) {
    if (!ok) atomic_store(mesh->stop, true);
    atomic_store(&mesh->reports[index].failed, !ok);
    atomic_store(&mesh->reports[index].ended, true);
}

/* --- Nodes as threads, or as processes ------------------------------------------------------------ */

struct worker {
    const struct mesh *mesh;
    int index;
    bool started;
    pthread_t thread;
    pid_t process;
};

static void *run_in_thread(void *argument) {
    const struct worker *worker = argument;
    bool ok = run_node(worker->mesh, worker->index, worker->mesh->ledger);
    end_node(worker->mesh, worker->index, ok);
    return NULL;
}

static bool run_in_process(const struct mesh *mesh, int index) {
    simledger_ledger *ledger = NULL;
    struct report *report = &mesh->reports[index];
    bool ok = open_ledger(mesh->path, &ledger) && run_node(mesh, index, ledger) &&
              read_cache_metrics(ledger, &report->cache_hits, &report->cache_misses);
    ok = close_ledger(ledger) && ok;
    end_node(mesh, index, ok);
    return ok;
}

static bool start_worker(struct worker *worker) {
    if (worker->mesh->options->processes) {
        fflush(NULL); /* or the child prints what is in the buffers once more */
        worker->process = fork();
        if (worker->process == 0) {
            bool ok = run_in_process(worker->mesh, worker->index);
            _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        worker->started = worker->process > 0;
    } else {
        worker->started = pthread_create(&worker->thread, NULL, run_in_thread, worker) == 0;
    }
    if (!worker->started) {
        perror("a node could not be started");
        end_node(worker->mesh, worker->index, false);
    }
    return worker->started;
}

/* A process that was killed could not say that it ended. */
static bool worker_ended(struct worker *worker) {
    if (worker->process > 0 && waitpid(worker->process, NULL, WNOHANG) == worker->process) {
        worker->process = 0;
        const struct report *report = &worker->mesh->reports[worker->index];
        if (!atomic_load(&report->ended)) end_node(worker->mesh, worker->index, false);
    }
    return worker->process == 0 && atomic_load(&worker->mesh->reports[worker->index].ended);
}

/* --- What the user sees --------------------------------------------------------------------------- */

/* Follows the run as anybody can: by looking at the ledger. */
static bool show_progress(const struct mesh *mesh, simledger_ledger *ledger) {
    simledger_error *error = NULL;
    simledger_entries *newest = NULL;
    int64_t last_id = 0;
    if (!succeeded(simledger_last_id(ledger, &last_id, &error), error, "progress") ||
        !succeeded(simledger_poll_since(ledger, last_id > 0 ? last_id - 1 : 0, 1, &newest, &error),
                   error, "progress")) {
        return false;
    }
    double now = simledger_entry_timestamp(simledger_entries_get(newest, 0));
    simledger_entries_free(newest);
    printf(isatty(STDOUT_FILENO) ? "\r" : "");
    printf("step %3.0f of %ld, %6" PRId64 " entries", fmin(now / STEP_READINGS + 1, (double)mesh->steps),
           mesh->steps, last_id);
    printf(isatty(STDOUT_FILENO) ? "" : "\n");
    fflush(stdout);
    return true;
}

static bool wait_for_workers(const struct mesh *mesh, simledger_ledger *ledger,
                             struct worker *workers) {
    bool ok = true;
    uint64_t shown = now_ns();
    for (int i = 0; i < mesh->options->nodes;) {
        if (worker_ended(&workers[i])) {
            ok = ok && !atomic_load(&mesh->reports[i++].failed);
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        if (ledger && now_ns() - shown > 500000000) {
            ok = show_progress(mesh, ledger) && ok;
            shown = now_ns();
        }
    }
    if (isatty(STDOUT_FILENO)) printf("\n");
    return ok;
}
