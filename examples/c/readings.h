/* The readings that the nodes watch: examples/data/shuttle.csv, see the README there. */
#ifndef READINGS_H
#define READINGS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES 9

struct reading {
    double features[FEATURES];
    bool anomaly; /* the truth: for scoring only, no node looks at it */
    int owner;    /* the node that watches it */
};

struct readings {
    struct reading *items;
    long len;
};

static inline bool readings_parse_line(const char *line, struct reading *reading) {
    char *end = NULL;
    for (int i = 0; i < FEATURES; i++) {
        reading->features[i] = strtod(line, &end);
        if (end == line || *end != ',')
            return false;
        line = end + 1;
    }
    reading->anomaly = *line == '1';
    return *line == '0' || *line == '1';
}

/* Adds what a line says; if it cannot, tells why. */
static inline bool readings_add(struct readings *readings, const char *line, const char *path) {
    long len = readings->len;
    if ((len & (len - 1)) == 0) { /* 0 or a power of two: there is no room left */
        void *items = realloc(readings->items, (size_t)(2 * len + 1) * sizeof *readings->items);
        if (!items) {
            perror(path);
            return false;
        }
        readings->items = items;
    }
    if (!readings_parse_line(line, &readings->items[len])) {
        fprintf(stderr, "%s:%ld: not %d numbers and a label of 0 or 1: %s", path, len + 2, FEATURES,
                line);
        return false;
    }
    readings->len++;
    return true;
}

/* Reads the file. Whatever it returns, end with readings_free. */
static inline bool readings_load(struct readings *readings, const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: %s (--data names the readings)\n", path, strerror(errno));
        return false;
    }
    char line[512];
    bool ok = true;
    for (bool header = true; ok && fgets(line, sizeof line, file); header = false)
        ok = header || readings_add(readings, line, path);
    if (ok && (ferror(file) || readings->len == 0)) {
        fprintf(stderr, "%s: no readings, or an error while reading them\n", path);
        ok = false;
    }
    fclose(file);
    return ok;
}

/* SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
 * OOPSLA 2014): the same numbers on every machine, which rand() does not promise. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Gives each reading to a node. All that is random in the simulation is drawn here. */
static inline void readings_deal(struct readings *readings, int nodes, uint64_t seed) {
    for (long i = 0; i < readings->len; i++) {
        readings->items[i].owner = (int)(next_random(&seed) % (uint64_t)nodes);
    }
}

static inline void readings_free(struct readings *readings) { free(readings->items); }

#endif
