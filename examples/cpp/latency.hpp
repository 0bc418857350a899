// How long calls took: a histogram with 16 buckets to each power of two, so that any number of
// calls fits into a fixed size and a percentile is right to about 6 %.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <iostream>

class Latency {
  public:
    // Makes a call and notes how long it took. Gives what the call gives.
    template <typename Call> auto measure(Call &&call) {
        const auto start = std::chrono::steady_clock::now();
        auto result = call();
        add(std::chrono::steady_clock::now() - start);
        return result;
    }

    void merge(const Latency &other) {
        for (std::size_t i = 0; i < calls_.size(); i++)
            calls_[i] += other.calls_[i];
        count_ += other.count_;
        max_ns_ = std::max(max_ns_, other.max_ns_);
    }

    // The time within which this share of the calls was over, in microseconds.
    double percentile_us(double share) const {
        double calls = 0;
        for (std::size_t i = 0; i < calls_.size(); i++) {
            calls += static_cast<double>(calls_[i]);
            if (calls == 0 || calls < share * static_cast<double>(count_))
                continue;
            const std::size_t halvings = i < 32 ? 0 : i / 16 - 1;
            return static_cast<double>((i - 16 * halvings + 1) << halvings) / 1000;
        }
        return 0;
    }

    void print(const char *call) const {
        std::cout << std::fixed << std::setprecision(1) << std::left << std::setw(10) << call
                  << std::right << std::setw(10) << count_ << " calls   p50 " << std::setw(8)
                  << percentile_us(0.50) << " us   p99 " << std::setw(8) << percentile_us(0.99)
                  << " us   max " << std::setw(9) << static_cast<double>(max_ns_) / 1000 << " us\n";
    }

  private:
    void add(std::chrono::nanoseconds time) {
        auto ns = static_cast<std::uint64_t>(time.count());
        max_ns_ = std::max(max_ns_, ns);
        std::size_t halvings = 0;
        for (; ns >= 32; ns >>= 1)
            halvings++;
        calls_[16 * halvings + ns]++;
        count_++;
    }

    std::array<std::uint64_t, 1024> calls_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ns_ = 0;
};
