/* Calls of each kind in steady state, to be counted from outside: see limits.sh beside this file.
 *
 *   calls <log|sqlite> <calls of each kind>
 *
 * Each kind is a function of its name, which valgrind finds; before and after it the program writes
 * a line with that name, which strace finds. What is counted is the same in every run: a chunk of
 * the tail and the tables of duplicates have room, and of the calls that are timed one in 16, the
 * calls are a multiple. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simledger.h"

static simledger_ledger *ledger;
static unsigned calls;
static int64_t newest;
/* 150 bytes. */
static const char features[] =
    "{\"rate\":910,\"temperature\":291.25,\"pressure\":101325,\"state\":\"running\",\"flags\":[1,0,"
    "3],"
    "\"window\":{\"mean\":17.5,\"deviation\":2.25,\"count\":64},\"vote\":\"up\"}";

#define OK(call)                                                                                   \
    do {                                                                                           \
        simledger_error *error = NULL;                                                             \
        if ((call) != SIMLEDGER_OK) {                                                              \
            fprintf(stderr, "%s: %s\n", #call, simledger_error_message(error));                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* One of a hundred nodes, each in turn. */
static const char *next_node(void) {
    static char node[16];
    static unsigned turn;
    snprintf(node, sizeof node, "node-%04u", turn++ % 100);
    return node;
}

/* Each entry is later than all before it. */
static double next_time(void) {
    static double time = 1e6;
    return time += 0.25;
}

void measure_append_json(unsigned n) {
    char json[512];
    for (unsigned i = 0; i < n; i++) {
        const int length = snprintf(
            json, sizeof json,
            "{\"timestamp\":%.6f,\"node_id\":\"%s\",\"features\":%s,\"confidence\":0.%03u}",
            next_time(), next_node(), features, i % 1000);
        OK(simledger_append_json(ledger, json, (size_t)length, &newest, &error));
    }
}

void measure_append_typed(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        const char *node = next_node();
        OK(simledger_append(ledger, next_time(), node, strlen(node), features, sizeof features - 1,
                            0.5, &newest, &error));
    }
}

static volatile double sink;

static void poll_since(int64_t id, size_t expected) {
    simledger_entries *entries = NULL;
    double sum = 0;
    OK(simledger_poll_since(ledger, id, SIMLEDGER_NO_LIMIT, &entries, &error));
    if (simledger_entries_len(entries) != expected)
        exit(1);
    for (size_t i = 0; i < expected; i++) {
        const simledger_entry *entry = simledger_entries_get(entries, i);
        size_t node, text;
        sum += simledger_entry_timestamp(entry) + simledger_entry_confidence(entry) +
               (double)simledger_entry_id(entry) + simledger_entry_created_at(entry) +
               simledger_entry_node_id(entry, &node)[0] +
               simledger_entry_features_json(entry, &text)[0];
    }
    sink = sum;
    simledger_entries_free(entries);
}

void measure_poll_of_none(unsigned n) {
    while (n--)
        poll_since(newest, 0);
}

void measure_poll_of_ten(unsigned n) {
    while (n--)
        poll_since(newest - 10, 10);
}

/* There are ten entries already. */
void measure_wait_for_ten(unsigned n) {
    while (n--) {
        simledger_entries *entries = NULL;
        OK(simledger_wait_since(ledger, newest - 10, SIMLEDGER_NO_LIMIT, 10.0, NULL, &entries,
                                &error));
        if (simledger_entries_len(entries) != 10)
            exit(1);
        simledger_entries_free(entries);
    }
}

void measure_get_recent(unsigned n) {
    while (n--) {
        simledger_entry *entry = NULL;
        OK(simledger_get_by_id(ledger, newest - n % 16, &entry, &error));
        sink = simledger_entry_confidence(entry);
        simledger_entry_free(entry);
    }
}

static const struct {
    const char *name;
    void (*work)(unsigned n);
} kinds[] = {
    {"append_json", measure_append_json},   {"append_typed", measure_append_typed},
    {"poll_of_none", measure_poll_of_none}, {"poll_of_ten", measure_poll_of_ten},
    {"wait_for_ten", measure_wait_for_ten}, {"get_recent", measure_get_recent},
};

static void mark(const char *name) {
    char line[64];
    const int length = snprintf(line, sizeof line, "%s\n", name);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    calls = (unsigned)atoi(argv[2]);
    simledger_config *config = simledger_config_new();
    OK(simledger_config_set(config, "path", SIMLEDGER_NUL_TERMINATED, "limits.db",
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_config_set(config, "commit", SIMLEDGER_NUL_TERMINATED, argv[1],
                            SIMLEDGER_NUL_TERMINATED, &error));
    OK(simledger_open(config, &ledger, &error));
    simledger_config_free(config);
    /* Just into the third chunk of the tail, of 4096 entries each. */
    measure_append_typed(strcmp(argv[1], "log") == 0 ? 2 * 4096 + 64 : 64);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        mark(kinds[i].name);
        kinds[i].work(calls);
        mark(kinds[i].name);
    }
    OK(simledger_close(ledger, &error));
    return 0;
}
