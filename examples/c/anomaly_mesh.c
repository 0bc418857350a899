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

@@@
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
