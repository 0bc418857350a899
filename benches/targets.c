/* What the calls cost, one line for each kind of work: `make targets` builds and runs it.
 *
 *   targets [--commit log|sqlite] [--dir <folder>] [--only <name>] [--seconds <of the sustained
 * run>]
 *
 * Times are of the C API as a program calls it, in microseconds. Appends are paced below the rate
 * of the drain where it says so: a few thousand, then a pause. The entries have 150 bytes of
 * features and come from 100 nodes for each writer, each with a timestamp of its own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "simledger.h"

static const char *commit = "log", *folder = "/tmp", *only = "", *synchronous = "NORMAL";
static double sustained_seconds = 10;

static void fail(const char *what, simledger_error *error) {
    fprintf(stderr, "%s: %s\n", what, simledger_error_message(error));
    exit(1);
}
#define OK(call)                                                                                   \
    do {                                                                                           \
        simledger_error *error = NULL;                                                             \
        if ((call) != SIMLEDGER_OK)                                                                \
            fail(#call, error);                                                                    \
    } while (0)

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void nap(long microseconds) {
    struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Prints the distribution of times in microseconds; `each`: how many entries one time stands for.
 */
static void report(const char *name, float *times, size_t n, double each, const char *target) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += times[i];
    qsort(times, n, sizeof *times, compare);
#define AT(part) (times[(size_t)((double)(n - 1) * (part))] / each)
    printf("%-34s mean %8.3f  p50 %8.3f  p99 %8.3f  p99.9 %9.2f  max %10.1f   %s\n", name,
           sum / (double)n / each, AT(0.5), AT(0.99), AT(0.999), times[n - 1] / each, target);
    fflush(stdout);
}

static char path[4096];
static void fresh(const char *name) {
    char command[4 * sizeof path + 32];
    snprintf(path, sizeof path, "%s/targets-%s.db", folder, name);
    snprintf(command, sizeof command, "rm -f %s %s-log %s-wal %s-shm", path, path, path, path);
    if (system(command) != 0)
        exit(1);
}

static simledger_ledger *open_it(void) {
    simledger_ledger *ledger = NULL;
    simledger_config *config = simledger_config_new();
    OK(simledger_config_set(config, "path", SIMLEDGER_NUL_TERMINATED, path,
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_config_set(config, "commit", SIMLEDGER_NUL_TERMINATED, commit,
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_config_set(config, "synchronous_mode", SIMLEDGER_NUL_TERMINATED, synchronous,
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_config_set(config, "log_bytes", SIMLEDGER_NUL_TERMINATED, "268435456",
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    return ledger;
}

static void close_it(simledger_ledger *ledger) { OK(simledger_close(ledger, &error)); }

static char features[160];
static _Atomic uint64_t *tick; /* shared among processes */

static size_t entry_json(char *out, int writer, unsigned i) {
    uint64_t t = atomic_fetch_add(tick, 1);
    return (size_t)sprintf(
        out, "{\"timestamp\":%.6f,\"node_id\":\"node-%04d\",\"features\":%s,\"confidence\":0.%03u}",
        1e6 + 1e-6 * (double)t * 10, writer * 100 + (int)(i % 100), features, i % 1000);
}

static void append_json(void) {
    enum { N = 200000, BURST = 2000 };
    float *times = malloc(N * sizeof *times);
    fresh("append");
    simledger_ledger *ledger = open_it();
    char json[512];
    for (unsigned i = 0; i < N; i++) {
        size_t len = entry_json(json, 0, i);
        int64_t id;
        uint64_t t = now();
        OK(simledger_append_json(ledger, json, len, &id, &error));
        times[i] = (float)(now() - t) / 1e3f;
        if (i % BURST == BURST - 1)
            nap(BURST * 20);
    }
    report("append JSON, 1 thread, paced", times, N, 1, "p50 <= 1, mean <= 2");
    close_it(ledger);
    free(times);
}

static void append_typed(void) {
    enum { N = 200000, BURST = 2000 };
    float *times = malloc(N * sizeof *times);
    fresh("typed");
    simledger_ledger *ledger = open_it();
    char node[100][16];
    for (int i = 0; i < 100; i++)
        sprintf(node[i], "node-%04d", i);
    for (unsigned i = 0; i < N; i++) {
        int64_t id;
        uint64_t t = now();
        OK(simledger_append(ledger, 1e6 + i, node[i % 100], 9, features, 150, 0.5, &id, &error));
        times[i] = (float)(now() - t) / 1e3f;
        if (i % BURST == BURST - 1)
            nap(BURST * 20);
    }
    report("append typed, 1 thread, paced", times, N, 1, "p50 <= 0.3");
    close_it(ledger);
    free(times);
}

/* Appends entries that were made before, so that making them is not measured. */
struct writer {
    simledger_ledger *ledger;
    int number;
    unsigned count;
    float *times;
    char *text; /* the entries, one behind the other */
    size_t *ends;
};

static struct writer writer_of(simledger_ledger *ledger, int number, unsigned count, float *times) {
    struct writer w = {
        ledger, number, count, times, malloc((size_t)count * 300), malloc(count * sizeof(size_t))};
    size_t end = 0;
    for (unsigned i = 0; i < count; i++) {
        end += entry_json(w.text + end, number, i);
        w.ends[i] = end;
    }
    return w;
}

static void writer_free(struct writer *w) {
    free(w->text);
    free(w->ends);
}

static void *write_entries(void *argument) {
    struct writer *w = argument;
    size_t begin = 0;
    for (unsigned i = 0; i < w->count; i++) {
        int64_t id;
        uint64_t t = now();
        OK(simledger_append_json(w->ledger, w->text + begin, w->ends[i] - begin, &id, &error));
        w->times[i] = (float)(now() - t) / 1e3f;
        begin = w->ends[i];
    }
    return NULL;
}

static void report_many(const char *name, float *times, unsigned n, double seconds,
                        const char *target) {
    char line[64];
    snprintf(line, sizeof line, "%s (each call)", name);
    report(line, times, n, 1, "");
    printf("%-34s %.3f us an entry in all   %s\n", name, seconds * 1e6 / n, target);
    fflush(stdout);
}

static void threads(void) {
    enum { T = 8, N = 400000 };
    fresh("threads");
    simledger_ledger *ledger = open_it();
    float *times = malloc(N * sizeof *times);
    pthread_t thread[T];
    struct writer writers[T];
    for (int i = 0; i < T; i++)
        writers[i] = writer_of(ledger, i, N / T, times + (size_t)i * (N / T));
    uint64_t t = now();
    for (int i = 0; i < T; i++) {
        pthread_create(&thread[i], NULL, write_entries, &writers[i]);
    }
    for (int i = 0; i < T; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < T; i++)
        writer_free(&writers[i]);
    report_many("8 threads, a burst", times, N, (double)(now() - t) / 1e9, "<= 1.5, max <= 20,000");
    close_it(ledger);
    free(times);
}

static void processes(void) {
    enum { P = 4, N = 400000 };
    fresh("processes");
    close_it(open_it());
    float *times =
        mmap(NULL, N * sizeof *times, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    _Atomic int *ready =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child[P];
    for (int i = 0; i < P; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            simledger_ledger *ledger = open_it();
            struct writer w = writer_of(ledger, i, N / P, times + (size_t)i * (N / P));
            atomic_fetch_add(&ready[0], 1);
            while (!atomic_load(&ready[1]))
                nap(100);
            write_entries(&w);
            atomic_fetch_add(&ready[2], 1);
            while (!atomic_load(&ready[3]))
                nap(1000);
            close_it(ledger);
            _exit(0);
        }
    }
    while (atomic_load(&ready[0]) < P)
        nap(100);
    uint64_t t = now();
    atomic_store(&ready[1], 1);
    while (atomic_load(&ready[2]) < P)
        nap(100);
    double seconds = (double)(now() - t) / 1e9;
    atomic_store(&ready[3], 1);
    for (int i = 0; i < P; i++)
        waitpid(child[i], NULL, 0);
    report_many("4 processes, a burst", times, N, seconds, "<= 1.5, max <= 20,000");
}

static void batch(void) {
    enum { BATCHES = 100, SIZE = 1000 };
    fresh("batch");
    simledger_ledger *ledger = open_it();
    float times[BATCHES];
    char *json = malloc(SIZE * 512);
    for (unsigned b = 0; b < BATCHES; b++) {
        size_t len = 0;
        for (unsigned i = 0; i < SIZE; i++) {
            len += entry_json(json + len, 0, i);
            json[len++] = '\n';
        }
        int64_t first;
        size_t count;
        uint64_t t = now();
        OK(simledger_append_many_json(ledger, json, len, &first, &count, &error));
        times[b] = (float)(now() - t) / 1e3f;
        nap(20000);
    }
    report("batch of 1,000 JSON, an entry", times, BATCHES, SIZE, "<= 0.8");
    close_it(ledger);
    free(json);
}

static void sustained(void) {
    fresh("sustained");
    simledger_ledger *ledger = open_it();
    char json[512];
    uint64_t begun = now(), n = 0;
    while ((double)(now() - begun) / 1e9 < sustained_seconds) {
        for (int i = 0; i < 1000; i++, n++) {
            size_t len = entry_json(json, 0, (unsigned)n);
            OK(simledger_append_json(ledger, json, len, NULL, &error));
        }
    }
    double appended = (double)(now() - begun) / 1e9;
    OK(simledger_checkpoint(ledger, &error));
    double all = (double)(now() - begun) / 1e9;
    printf("%-34s %.0f entries a second for %.0f s, %.0f with the rest drained and checkpointed   "
           ">= 100,000\n",
           "sustained, drain included", (double)n / appended, appended, (double)n / all);
    fflush(stdout);
    close_it(ledger);
}

static volatile double sink;
static void visit(const simledger_entries *entries) {
    double sum = 0;
    size_t n = simledger_entries_len(entries);
    for (size_t i = 0; i < n; i++) {
        const simledger_entry *e = simledger_entries_get(entries, i);
        size_t node, text;
        const char *a = simledger_entry_node_id(e, &node),
                   *b = simledger_entry_features_json(e, &text);
        sum += (double)simledger_entry_id(e) + simledger_entry_timestamp(e) +
               simledger_entry_confidence(e) + simledger_entry_created_at(e) + a[0] + b[text - 1] +
               (double)node;
    }
    sink = sum;
}

/* Reports how long a call takes, over and over. */
static void repeat(const char *name, simledger_ledger *ledger, int64_t id,
                   void (*work)(simledger_ledger *ledger, int64_t id), const char *target) {
    enum { N = 2000, INNER = 100 };
    static float times[N];
    for (int i = 0; i < N; i++) {
        uint64_t t = now();
        for (int k = 0; k < INNER; k++)
            work(ledger, id);
        times[i] = (float)(now() - t) / 1e3f;
    }
    report(name, times, N, INNER, target);
}

static void poll_once(simledger_ledger *ledger, int64_t position) {
    simledger_entries *entries;
    OK(simledger_poll_since(ledger, position, SIMLEDGER_NO_LIMIT, &entries, &error));
    visit(entries);
    simledger_entries_free(entries);
}

static void get_once(simledger_ledger *ledger, int64_t newest) {
    static int64_t back;
    simledger_entry *entry;
    back = (back + 1) % 100;
    OK(simledger_get_by_id(ledger, newest - back, &entry, &error));
    simledger_entry_free(entry);
}

static void reads(void) {
    enum { ENTRIES = 5000 };
    fresh("reads");
    simledger_ledger *ledger = open_it();
    char json[512];
    for (unsigned i = 0; i < ENTRIES; i++) {
        size_t len = entry_json(json, 0, i);
        OK(simledger_append_json(ledger, json, len, NULL, &error));
    }
    repeat("poll of none", ledger, ENTRIES, poll_once, "<= 0.1");
    pid_t child = fork();
    if (child == 0) {
        simledger_ledger *other = open_it();
        repeat("poll of none, other process", other, ENTRIES, poll_once, "<= 0.1");
        close_it(other);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    repeat("get by id, recent", ledger, ENTRIES - 10, get_once, "<= 0.1");
    repeat("poll of ten, every field", ledger, ENTRIES - 10, poll_once, "<= 0.3");
    close_it(ledger);
}

static void read_all(void) {
    fresh("all");
    simledger_ledger *ledger = open_it();
    char json[512];
    for (unsigned i = 0; i < 200000; i++) {
        size_t len = entry_json(json, 0, i);
        OK(simledger_append_json(ledger, json, len, NULL, &error));
    }
    enum { N = 20 };
    float get[N], all[N];
    for (int i = 0; i < N; i++) {
        size_t len = entry_json(json, 0, (unsigned)i);
        OK(simledger_append_json(ledger, json, len, NULL, &error));
        simledger_entries *entries;
        uint64_t t = now();
        OK(simledger_read_all(ledger, &entries, &error));
        get[i] = (float)(now() - t) / 1e3f;
        visit(entries);
        all[i] = (float)(now() - t) / 1e3f;
        if (simledger_entries_len(entries) != 200001u + (unsigned)i)
            fail("read all", NULL);
        simledger_entries_free(entries);
    }
    report("read all of 200,000, the call", get, N, 1, "as the poll");
    report("read all of 200,000, every field", all, N, 1, "< 10,000");
    close_it(ledger);
}

static void full(void) {
    enum { N = 300, T = 8 };
    synchronous = "FULL";
    fresh("full");
    simledger_ledger *ledger = open_it();
    static float times[N * T];
    struct writer one = writer_of(ledger, 0, N, times);
    write_entries(&one);
    writer_free(&one);
    report("FULL, 1 thread", times, N, 1, "one fdatasync each");
    pthread_t thread[T];
    struct writer writers[T];
    for (int i = 0; i < T; i++)
        writers[i] = writer_of(ledger, i + 1, N, times + (size_t)i * N);
    uint64_t t = now();
    for (int i = 0; i < T; i++) {
        pthread_create(&thread[i], NULL, write_entries, &writers[i]);
    }
    for (int i = 0; i < T; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < T; i++)
        writer_free(&writers[i]);
    report_many("FULL, 8 threads", times, N * T, (double)(now() - t) / 1e9, "shared");
    close_it(ledger);
    synchronous = "NORMAL";
}

static void reopening(void) {
    fresh("crash");
    pid_t child = fork();
    if (child == 0) {
        simledger_ledger *ledger = open_it();
        char json[512];
        for (unsigned i = 0; i < 500000; i++) {
            size_t len = entry_json(json, 0, i);
            OK(simledger_append_json(ledger, json, len, NULL, &error));
        }
        abort();
    }
    waitpid(child, NULL, 0);
    uint64_t t = now();
    simledger_ledger *ledger = open_it();
    double opened = (double)(now() - t) / 1e3;
    OK(simledger_checkpoint(ledger, &error));
    printf("%-34s open %.0f us, drained after %.0f us\n", "opening after a crash, full log", opened,
           (double)(now() - t) / 1e3);
    int64_t count;
    OK(simledger_count(ledger, &count, &error));
    if (count != 500000)
        fail("entries lost", NULL);
    close_it(ledger);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--commit"))
            commit = argv[i + 1];
        if (!strcmp(argv[i], "--dir"))
            folder = argv[i + 1];
        if (!strcmp(argv[i], "--only"))
            only = argv[i + 1];
        if (!strcmp(argv[i], "--seconds"))
            sustained_seconds = atof(argv[i + 1]);
    }
    tick = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(features, "{\"text\":\"");
    memset(features + 9, 'x', 139);
    strcpy(features + 148, "\"}");
    struct {
        const char *name;
        void (*run)(void);
    } all[] = {{"append", append_json},  {"typed", append_typed}, {"threads", threads},
               {"processes", processes}, {"batch", batch},        {"reads", reads},
               {"all", read_all},        {"full", full},          {"crash", reopening},
               {"sustained", sustained}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((!*only || !strcmp(all[i].name, only)))
            all[i].run();
    return 0;
}
