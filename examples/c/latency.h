/* How long calls took: a histogram with 16 buckets to each power of two, so that any number of
 * calls fits into a fixed size and a percentile is right to about 6 %. */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define LATENCY_BUCKETS 1024

struct latency {
    uint64_t calls[LATENCY_BUCKETS];
    uint64_t count;
    uint64_t max_ns;
};

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A call that began at `start_ns` is over. */
static inline void latency_add(struct latency *latency, uint64_t start_ns) {
    uint64_t ns = now_ns() - start_ns;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
    unsigned halvings = 0;
    for (; ns >= 32; ns >>= 1)
        halvings++;
    latency->calls[16 * halvings + ns]++;
    latency->count++;
}

static inline void latency_merge(struct latency *all, const struct latency *some) {
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        all->calls[i] += some->calls[i];
    all->count += some->count;
    if (some->max_ns > all->max_ns)
        all->max_ns = some->max_ns;
}

/* The time within which this share of the calls was over, in microseconds. */
static inline double latency_percentile_us(const struct latency *latency, double share) {
    uint64_t calls = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        calls += latency->calls[i];
        if (calls == 0 || (double)calls < share * (double)latency->count)
            continue;
        unsigned halvings = i < 32 ? 0 : i / 16 - 1;
        return (double)((uint64_t)(i - 16 * halvings + 1) << halvings) / 1000;
    }
    return 0;
}

static inline void latency_print(const struct latency *latency, const char *call) {
    printf("%-10s %9llu calls   p50 %8.1f us   p99 %8.1f us   max %9.1f us\n", call,
           (unsigned long long)latency->count, latency_percentile_us(latency, 0.50),
           latency_percentile_us(latency, 0.99), (double)latency->max_ns / 1000);
}

#endif
