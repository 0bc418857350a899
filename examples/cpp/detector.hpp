// What a node holds for normal, learnt one reading at a time.
//
// Each feature has a running mean and variance (B. P. Welford, "Note on a method for calculating
// corrected sums of squares and products", Technometrics 4(3), 1962). How far a reading is from
// normal is the sum of its squared standardised deviations: the squared Mahalanobis distance
// (P. C. Mahalanobis, "On the generalised distance in statistics", 1936), with features taken as
// independent.
//
// A few wild readings would widen what is normal until nothing is anomalous any more. So a
// deviation is cut off at three standard deviations before the model learns it (P. J. Huber,
// "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "readings.hpp"

class Detector {
  public:
    double distance(const Values &values) const {
        double sum = 0;
        for (std::size_t i = 0; i < values.size(); i++) {
            const double z = (values[i] - mean_[i]) / deviation(i);
            sum += z * z;
        }
        return sum;
    }

    bool is_anomalous(const Values &values) const { return distance(values) > normal_distance_max; }

    // Until then it knows too little to judge.
    bool can_judge() const { return readings_ >= 32; }

    void learn(const Values &values) {
        const bool cut_off = can_judge();
        readings_++;
        for (std::size_t i = 0; i < values.size(); i++) {
            double difference = values[i] - mean_[i];
            const double farthest = 3 * deviation(i);
            if (cut_off)
                difference = std::clamp(difference, -farthest, farthest);
            const double step = difference / readings_;
            mean_[i] += step;
            variance_[i] += (difference * (difference - step) - variance_[i]) / readings_;
        }
    }

    // From 0.5 at the border of normal towards 1.
    static double confidence(double distance) {
        return distance / (distance + normal_distance_max);
    }

  private:
    // 99.99 % of the readings of nine normal features are nearer than this: the quantile of
    // chi-squared with nine degrees of freedom.
    static constexpr double normal_distance_max = 33.72;

    // The sensors report whole numbers: one that was constant so far may still move by one.
    double deviation(std::size_t feature) const {
        return std::sqrt(std::max(variance_[feature], 1.0));
    }

    int readings_ = 0;
    Values mean_{};
    Values variance_{};
};
