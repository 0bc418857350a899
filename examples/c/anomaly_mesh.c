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

#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
    "  --commit HOW   log or sqlite (default log)\n"
    "  --compare      both, and by how much the log is faster\n"
    "  --ledger PATH  where to put the ledger; must not exist (default: a temporary file)\n"
    "  --help         this text\n"
    "Ends with 1 if a node missed an entry, or if F1 is below 0.75.\n";

/* --- Nodes as threads or as processes --------------------------------------------------------- */

static void end_node(struct worker *worker, bool ok) {
    if (!ok)
        atomic_store(worker->mesh->stop, true);
    worker->ok = ok;
    atomic_store(&worker->ended, true);
}

static void *run_in_thread(void *worker) {
    end_node(worker, run_node(worker, ((struct worker *)worker)->mesh->ledger));
    return NULL;
}

/* In a child process. It opens the ledger itself: a handle cannot be inherited. */
static void run_in_process(struct worker *worker) {
    simledger_ledger *ledger = NULL;
    bool ok = open_ledger(worker->mesh, &ledger) && run_node(worker, ledger) &&
              read_cache_metrics(ledger, &worker->cache_hits, &worker->cache_misses);
    end_node(worker, close_ledger(ledger) && ok);
}

static bool start_worker(struct worker *worker) {
    if (!worker->mesh->processes)
        return pthread_create(&worker->thread, NULL, run_in_thread, worker) == 0;
    fflush(NULL); /* or the child would print what is still in the buffers once more */
    pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left behind if we are killed */
        run_in_process(worker);
        _exit(EXIT_SUCCESS);
    }
    worker->process = process;
    return process > 0;
}

/* Starts all; how many could be started. */
static int start_workers(const struct mesh *mesh) {
    for (int i = 0; i < mesh->nodes; i++) {
        struct worker *worker = &mesh->workers[i];
        worker->mesh = mesh;
        worker->index = i;
        snprintf(worker->name, sizeof worker->name, "node-%02d", i);
        if (!start_worker(worker)) {
            perror("a node could not be started");
            atomic_store(mesh->stop, true);
            return i;
        }
    }
    return mesh->nodes;
}

static bool has_ended(struct worker *worker) {
    if (worker->process > 0 && waitpid(worker->process, NULL, WNOHANG) == worker->process) {
        worker->process = 0;
        if (!atomic_load(&worker->ended)) { /* it was killed, and could not say so itself */
            fprintf(stderr, "the process of %s died\n", worker->name);
            end_node(worker, false);
        }
    }
    return worker->process == 0 && atomic_load(&worker->ended);
}

static bool all_ended(const struct mesh *mesh, int count) {
    bool ended = true;
    for (int i = 0; i < count; i++)
        ended = has_ended(&mesh->workers[i]) && ended;
    return ended;
}

/* Follows the run as anybody can: by what is in the ledger. */
static void show_progress(const struct mesh *mesh) {
    simledger_error *error = NULL;
    simledger_entries *newest = NULL;
    simledger_query *query = simledger_query_new();
    if (succeeded(simledger_query_set_order(query, SIMLEDGER_ORDER_TIME_DESCENDING, &error) ||
                      simledger_query_set_limit(query, 1, &error) ||
                      simledger_query_run(mesh->ledger, query, &newest, &error),
                  &error, "progress")) {
        double time = simledger_entry_timestamp(simledger_entries_get(newest, 0));
        bool terminal = isatty(STDOUT_FILENO);
        printf("%sstep %2ld of %ld, %6" PRId64 " entries%s", terminal ? "\r" : "",
               (long)time / STEP_READINGS + 1, mesh->steps, simledger_entries_position(newest),
               terminal ? "" : "\n");
        fflush(stdout);
    }
    simledger_entries_free(newest);
    simledger_query_free(query);
}

/* Whether all did what they should. */
static bool wait_for_workers(const struct mesh *mesh, int count) {
    for (int naps = 1; !all_ended(mesh, count); naps++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        if (mesh->ledger && naps % 50 == 0)
            show_progress(mesh);
    }
    if (isatty(STDOUT_FILENO))
        printf("\n");
    bool ok = count == mesh->nodes;
    for (int i = 0; i < count; i++) {
        ok = ok && mesh->workers[i].ok;
        if (!mesh->processes)
            pthread_join(mesh->workers[i].thread, NULL);
    }
    return ok;
}

/* --- The run ---------------------------------------------------------------------------------- */

static bool print_calls(struct mesh *mesh) {
    double hits = 0, misses = 0;
    if (!read_cache_metrics(mesh->ledger, &hits, &misses))
        return false;
    struct latency append = {.count = 0}, poll = {.count = 0}, get = {.count = 0};
    for (int i = 0; i < mesh->nodes; i++) {
        const struct worker *worker = &mesh->workers[i];
        latency_merge(&append, &worker->append);
        latency_merge(&poll, &worker->poll);
        latency_merge(&get, &worker->get);
        hits += worker->cache_hits;
        misses += worker->cache_misses;
    }
    mesh->append_us = latency_percentile_us(&append, 0.5);
    mesh->poll_us = latency_percentile_us(&poll, 0.5);
    latency_print(&append, "append");
    latency_print(&poll, "query_poll");
    latency_print(&get, "get_by_id");
    printf("%-10s %9.0f hits, %.0f misses\n", "cache", hits, misses);
    return true;
}

static bool run_mesh(struct mesh *mesh) {
    uint64_t start = now_ns();
    /* Processes come first: they are to open the ledger themselves, and begin together with us. */
    int started = mesh->processes ? start_workers(mesh) : 0;
    bool ok = open_ledger(mesh, &mesh->ledger);
    if (!ok)
        atomic_store(mesh->stop, true);
    else if (!mesh->processes)
        started = start_workers(mesh);
    if (wait_for_workers(mesh, started) && ok) {
        mesh->seconds = (double)(now_ns() - start) / 1e9;
        printf("%d %s, %ld readings, commit = %s, %.2f s\n", started,
               mesh->processes ? "processes" : "threads", mesh->readings.len, mesh->commit,
               mesh->seconds);
        ok = print_calls(mesh) && evaluate(mesh, F1_MIN);
    } else {
        ok = false;
    }
    return close_ledger(mesh->ledger) && ok;
}

/* With memory that the nodes share with us, also those that are processes. */
static bool run_with_workers(struct mesh *mesh) {
    size_t bytes = (size_t)mesh->nodes * sizeof *mesh->workers + sizeof *mesh->stop;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("memory for the nodes");
        return false;
    }
    mesh->workers = memory;
    mesh->stop = (atomic_bool *)(mesh->workers + mesh->nodes);
    bool ok = run_mesh(mesh);
    munmap(memory, bytes);
    return ok;
}

/* With a ledger in a temporary directory, since SQLite puts files of its own beside it. */
static bool run_in_temporary_directory(struct mesh *mesh) {
    static const char *const files[] = {"mesh.db", "mesh.db-log", "mesh.db-wal", "mesh.db-shm"};
    const char *parent = getenv("TMPDIR");
    char directory[4096], path[4096 + 16];
    snprintf(directory, sizeof directory, "%s/anomaly_mesh.XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory)) {
        perror(directory);
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", directory, files[0]);
    mesh->path = path;
    bool ok = run_with_workers(mesh);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    if (rmdir(directory) != 0)
        perror(directory);
    return ok;
}

static bool run(struct mesh *mesh) {
    bool ok = readings_load(&mesh->readings, mesh->data);
    if (ok) {
        readings_deal(&mesh->readings, mesh->nodes, mesh->seed);
        mesh->steps = (mesh->readings.len + STEP_READINGS - 1) / STEP_READINGS;
        ok = mesh->path ? run_with_workers(mesh) : run_in_temporary_directory(mesh);
    }
    readings_free(&mesh->readings);
    return ok;
}

/* The same job in both ways of committing. */
static bool compare(struct mesh *mesh) {
    struct mesh other = *mesh;
    other.commit = "sqlite";
    mesh->commit = "log";
    if (!run(&other) || !run(mesh))
        return false;
    printf("commit = log is %.1f times as fast as commit = sqlite in all, %.0f times at an append "
           "and %.0f times at a "
           "poll (p50)\n",
           other.seconds / mesh->seconds, other.append_us / mesh->append_us,
           other.poll_us / mesh->poll_us);
    return true;
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
                                          {"commit", required_argument, NULL, 'c'},
                                          {"compare", no_argument, NULL, 'b'},
                                          {"ledger", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct mesh mesh = {
        .nodes = 16, .seed = 1, .data = "examples/data/shuttle.csv", .commit = "log"};
    bool both = false;
    unsigned long long number = 0;
    bool valid = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'n':
            valid = valid && parse_number(optarg, NODES_MAX, &number) && number > 0;
            mesh.nodes = (int)number;
            break;
        case 'p':
            mesh.processes = true;
            break;
        case 's':
            valid = valid && parse_number(optarg, UINT64_MAX, &number);
            mesh.seed = number;
            break;
        case 'd':
            mesh.data = optarg;
            break;
        case 'c':
            mesh.commit = optarg;
            break;
        case 'b':
            both = true;
            break;
        case 'l':
            mesh.path = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            valid = false;
        }
    }
    if (!valid || optind < argc || (both && mesh.path)) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    if (mesh.path && access(mesh.path, F_OK) == 0) {
        fprintf(stderr, "%s: there is a file already\n", mesh.path);
        return EXIT_FAILURE;
    }
    return (both ? compare(&mesh) : run(&mesh)) ? EXIT_SUCCESS : EXIT_FAILURE;
}
