/* A mesh of nodes that find anomalies together, with nothing between them but a ledger.
 *
 * Each node watches its share of a stream of sensor readings and learns what is normal. What looks
 * anomalous to it, it appends to the ledger as a signature. All nodes poll the ledger for what the
 * others found, and at the end of each step of the simulation confirm or reject it by what they
 * have learnt themselves: their votes are entries too. What a majority confirms counts as detected.
 *
 * The nodes are threads that share one handle or, with --processes, processes on one file. They
 * wait for each other through the ledger alone: a step is over for a node when it has seen that all
 * are done with it. So what is voted on, and by which models, does not depend on who runs when, and
 * every run with the same seed detects the same.
 *
 * To be read in this order: messages.h (what is in the ledger), node.h (what a node does), mesh.h
 * (calls of the ledger), this file (threads, processes, options), evaluation.h. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, mkdtemp */

#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evaluation.h"
#include "mesh.h"
#include "node.h"

#define NODES_MAX 64
#define F1_MIN 0.75

static const char usage[] =
    "usage: anomaly_mesh [options]\n"
    "  --nodes N      how many nodes, at most 64 (default 16)\n"
    "  --processes    run them as processes instead of threads\n"
    "  --seed S       which node watches which reading (default 1)\n"
    "  --data PATH    the readings (default examples/data/shuttle.csv)\n"
    "  --ledger PATH  where to put the ledger; must not exist (default: a temporary file)\n"
    "  --help         this text\n"
    "Ends with 1 if a node missed an entry, or if F1 is below 0.75.\n";

/* --- Nodes as threads or as processes --------------------------------------------------------- */

struct worker {
    const struct mesh *mesh;
    int index;
    pthread_t thread;
    pid_t process; /* 0: none, or none any more */
};

static void end_node(const struct mesh *mesh, int index, bool ok) {
    struct report *report = &mesh->reports[index];
    if (!ok)
        atomic_store(mesh->stop, true);
    report->ok = ok;
    atomic_store(&report->ended, true);
}

static void *run_in_thread(void *argument) {
    const struct worker *worker = argument;
    bool ok = run_node(worker->mesh, worker->index, worker->mesh->ledger);
    end_node(worker->mesh, worker->index, ok);
    return NULL;
}

/* In a child process. It opens the ledger itself: a handle cannot be inherited. */
static void run_in_process(const struct worker *worker) {
    const struct mesh *mesh = worker->mesh;
    struct report *report = &mesh->reports[worker->index];
    simledger_ledger *ledger = NULL;
    bool ok = open_ledger(mesh->path, &ledger) && run_node(mesh, worker->index, ledger) &&
              read_cache_metrics(ledger, &report->cache_hits, &report->cache_misses);
    end_node(mesh, worker->index, close_ledger(ledger) && ok);
}

static bool start_worker(struct worker *worker) {
    if (worker->mesh->options->processes) {
        fflush(NULL); /* or the child would print what is still in the buffers once more */
        worker->process = fork();
        if (worker->process == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left behind if we are killed */
            run_in_process(worker);
            _exit(EXIT_SUCCESS);
        }
        return worker->process > 0;
    }
    return pthread_create(&worker->thread, NULL, run_in_thread, worker) == 0;
}

/* Starts all; how many could be started. */
static int start_workers(struct worker *workers, const struct mesh *mesh) {
    for (int i = 0; i < mesh->options->nodes; i++) {
        workers[i] = (struct worker){.mesh = mesh, .index = i};
        if (!start_worker(&workers[i])) {
            perror("a node could not be started");
            atomic_store(mesh->stop, true);
            return i;
        }
    }
    return mesh->options->nodes;
}

/* A process that was killed could not say so itself. */
static void reap(struct worker *worker) {
    if (worker->process > 0 && waitpid(worker->process, NULL, WNOHANG) == worker->process) {
        worker->process = 0;
        if (!atomic_load(&worker->mesh->reports[worker->index].ended)) {
            fprintf(stderr, "the process of node %d died\n", worker->index);
            end_node(worker->mesh, worker->index, false);
        }
    }
}

static bool all_ended(struct worker *workers, int count) {
    bool ended = true;
    for (int i = 0; i < count; i++) {
        reap(&workers[i]);
        const struct report *report = &workers[i].mesh->reports[i];
        ended = ended && workers[i].process == 0 && atomic_load(&report->ended);
    }
    return ended;
}

/* Follows the run as anybody can: by polling the ledger. */
struct follower {
    simledger_ledger *ledger;
    int64_t last_seen;
    double time; /* of the simulation */
};

static void show_progress(struct follower *follower, const struct mesh *mesh) {
    simledger_error *error = NULL;
    simledger_entries *fresh = NULL;
    if (!succeeded(simledger_poll_since(follower->ledger, follower->last_seen, SIMLEDGER_NO_LIMIT,
                                        &fresh, &error),
                   &error, "progress")) {
        return;
    }
    for (size_t i = 0; i < simledger_entries_len(fresh); i++) {
        double time = simledger_entry_timestamp(simledger_entries_get(fresh, i));
        follower->time = fmax(follower->time, time);
    }
    follower->last_seen = simledger_entries_position(fresh);
    simledger_entries_free(fresh);
    bool terminal = isatty(STDOUT_FILENO);
    printf("%sstep %2ld of %ld, %6" PRId64 " entries%s", terminal ? "\r" : "",
           (long)follower->time / STEP_READINGS + 1, mesh->steps, follower->last_seen,
           terminal ? "" : "\n");
    fflush(stdout);
}

/* Whether all did what they should. `ledger` is NULL if it could not be opened. */
static bool wait_for_workers(struct worker *workers, int count, simledger_ledger *ledger) {
    struct follower follower = {.ledger = ledger};
    for (int naps = 1; !all_ended(workers, count); naps++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        if (ledger && naps % 50 == 0)
            show_progress(&follower, workers[0].mesh);
    }
    if (isatty(STDOUT_FILENO))
        printf("\n");
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = ok && workers[i].mesh->reports[i].ok;
        if (!workers[i].mesh->options->processes)
            pthread_join(workers[i].thread, NULL);
    }
    return ok;
}

/* --- The run ---------------------------------------------------------------------------------- */

static bool print_calls(const struct mesh *mesh, simledger_ledger *ledger) {
    int64_t hits = 0, misses = 0;
    if (!read_cache_metrics(ledger, &hits, &misses))
        return false;
    struct latency append = {.count = 0}, poll = {.count = 0}, get = {.count = 0};
    for (int i = 0; i < mesh->options->nodes; i++) {
        const struct report *report = &mesh->reports[i];
        latency_merge(&append, &report->append);
        latency_merge(&poll, &report->poll);
        latency_merge(&get, &report->get);
        hits += report->cache_hits;
        misses += report->cache_misses;
    }
    latency_print(&append, "append");
    latency_print(&poll, "poll_since");
    latency_print(&get, "get_by_id");
    printf("%-10s %9" PRId64 " hits, %" PRId64 " misses\n", "cache", hits, misses);
    return true;
}

static bool run_mesh(struct mesh *mesh) {
    bool processes = mesh->options->processes;
    uint64_t start = now_ns();
    struct worker workers[NODES_MAX];
    int started = 0;
    /* Processes come first: a process must not fork while it has a ledger open that the child
     * opens. */
    if (processes)
        started = start_workers(workers, mesh);
    bool ok = open_ledger(mesh->path, &mesh->ledger);
    if (ok && !processes)
        started = start_workers(workers, mesh);
    if (!ok)
        atomic_store(mesh->stop, true);
    ok = wait_for_workers(workers, started, mesh->ledger) && ok && started == mesh->options->nodes;
    if (ok) {
        printf("%d %s, %ld readings, %.1f s\n", started, processes ? "processes" : "threads",
               mesh->readings.len, (double)(now_ns() - start) / 1e9);
        ok = print_calls(mesh, mesh->ledger) && evaluate(mesh, mesh->ledger, F1_MIN);
    }
    return close_ledger(mesh->ledger) && ok;
}

/* Memory that the nodes share with us, also those that are processes. */
static bool run_with_reports(struct mesh *mesh) {
    size_t bytes = (size_t)mesh->options->nodes * sizeof *mesh->reports + sizeof *mesh->stop;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("memory for the reports");
        return false;
    }
    mesh->reports = memory;
    mesh->stop = (atomic_bool *)(mesh->reports + mesh->options->nodes);
    bool ok = run_mesh(mesh);
    munmap(memory, bytes);
    return ok;
}

static void remove_directory(const char *path) {
    DIR *directory = opendir(path);
    if (directory) {
        for (struct dirent *file; (file = readdir(directory));) {
            unlinkat(dirfd(directory), file->d_name, 0); /* "." and ".." are refused */
        }
        closedir(directory);
    }
    if (rmdir(path) != 0)
        perror(path);
}

/* With a ledger in a temporary directory, since SQLite puts files of its own beside it. */
static bool run_in_temporary_directory(struct mesh *mesh) {
    const char *parent = getenv("TMPDIR");
    char directory[4096], path[4096 + 16];
    snprintf(directory, sizeof directory, "%s/anomaly_mesh.XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory)) {
        perror(directory);
        return false;
    }
    snprintf(path, sizeof path, "%s/mesh.db", directory);
    mesh->path = path;
    bool ok = run_with_reports(mesh);
    remove_directory(directory);
    return ok;
}

static bool run(const struct options *options) {
    struct mesh mesh = {.options = options, .path = options->ledger};
    bool ok = readings_load(&mesh.readings, options->data);
    if (ok) {
        readings_deal(&mesh.readings, options->nodes, options->seed);
        mesh.steps = (mesh.readings.len + STEP_READINGS - 1) / STEP_READINGS;
        ok = options->ledger ? run_with_reports(&mesh) : run_in_temporary_directory(&mesh);
    }
    readings_free(&mesh.readings);
    return ok;
}

static bool parse_number(const char *text, unsigned long long max, unsigned long long *number) {
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *text != '-' && *number <= max;
}

/* Does what the options say, or tells what is wrong with them. */
int main(int argc, char **argv) {
    static const struct option known[] = {{"nodes", required_argument, NULL, 'n'},
                                          {"processes", no_argument, NULL, 'p'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"ledger", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.nodes = 16, .seed = 1, .data = "examples/data/shuttle.csv"};
    unsigned long long number = 0;
    bool valid = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'n':
            valid = valid && parse_number(optarg, NODES_MAX, &number) && number > 0;
            options.nodes = (int)number;
            break;
        case 'p':
            options.processes = true;
            break;
        case 's':
            valid = valid && parse_number(optarg, UINT64_MAX, &number);
            options.seed = number;
            break;
        case 'd':
            options.data = optarg;
            break;
        case 'l':
            options.ledger = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            valid = false;
        }
    }
    if (!valid || optind < argc) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    if (options.ledger && access(options.ledger, F_OK) == 0) {
        fprintf(stderr, "%s: there is a file already\n", options.ledger);
        return EXIT_FAILURE;
    }
    return run(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
