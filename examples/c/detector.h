/* What a node holds for normal, learnt one reading at a time.
 *
 * Each feature has a running mean and variance (B. P. Welford, "Note on a method for calculating
 * corrected sums of squares and products", Technometrics 4(3), 1962). How far a reading is from
 * normal is the sum of its squared standardised deviations: the squared Mahalanobis distance
 * (P. C. Mahalanobis, "On the generalised distance in statistics", 1936), with features taken as
 * independent.
 *
 * A few wild readings would widen what is normal until nothing is anomalous any more. So a
 * deviation is cut off at three standard deviations before the model learns it (P. J. Huber,
 * "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964). */
#ifndef DETECTOR_H
#define DETECTOR_H

#include <math.h>
#include <stdbool.h>

#include "readings.h"

/* 99.99 % of the readings of nine normal features are nearer than this: the quantile of chi-squared
 * with nine degrees of freedom. */
#define NORMAL_DISTANCE_MAX 33.72

/* Until then a model knows too little to judge. */
#define WARM_UP_READINGS 32

struct detector {
    long readings;
    double mean[FEATURES];
    double variance[FEATURES];
};

/* The sensors report whole numbers: one that was constant so far may still move by one. */
static inline double detector_deviation(const struct detector *detector, int feature) {
    return sqrt(fmax(detector->variance[feature], 1.0));
}

static inline double detector_distance(const struct detector *detector, const double *features) {
    double distance = 0;
    for (int i = 0; i < FEATURES; i++) {
        double z = (features[i] - detector->mean[i]) / detector_deviation(detector, i);
        distance += z * z;
    }
    return distance;
}

static inline bool detector_can_judge(const struct detector *detector) {
    return detector->readings >= WARM_UP_READINGS;
}

static inline void detector_learn(struct detector *detector, const double *features) {
    bool cut_off = detector_can_judge(detector);
    detector->readings++;
    for (int i = 0; i < FEATURES; i++) {
        double difference = features[i] - detector->mean[i];
        double farthest = 3 * detector_deviation(detector, i);
        if (cut_off)
            difference = fmax(-farthest, fmin(farthest, difference));
        double step = difference / (double)detector->readings;
        detector->mean[i] += step;
        double spread = difference * (difference - step) - detector->variance[i];
        detector->variance[i] += spread / (double)detector->readings;
    }
}

/* From 0.5 at the border of normal towards 1. */
static inline double detector_confidence(double distance) {
    return distance / (distance + NORMAL_DISTANCE_MAX);
}

#endif
