// Measurements run in processes of their own, which take turns: every system sees the machine in
// every round, and nothing that one of them leaves behind (threads, memory, an open file) touches
// another.
#pragma once

#include <map>

#include "bench.hpp"

namespace bench {

// What a round gave, computed from its samples.
struct RoundFigures {
    double mean, p50, p90, p99, p999, max;
    std::map<std::string, double> extras;
    std::vector<double> quantiles; // as quantile_parts has them
};

// A row: one work of one system.
struct Row {
    Work work;
    System system;
    std::vector<RoundFigures> rounds;
    std::string error;

    // The median over the rounds.
    double median(double RoundFigures::*figure) const;
    double extra(const std::string &name) const; // NaN if there is none
    double worst() const;                        // the largest of all rounds
    std::vector<double> quantiles() const;       // medians over the rounds, or none
};

// Of which part of the calls the quantiles say how long they took at most.
inline constexpr double quantile_parts[] = {0.01, 0.1,  0.25,  0.5,   0.75,   0.9,
                                            0.95, 0.99, 0.995, 0.999, 0.9999, 1};

std::vector<Row> measure(const Group &group, const std::vector<System> &systems,
                         const Options &options);

// Processes that a measurement has beside its own: each runs its part when it is told, and all that
// it has to say it puts into memory that both see.
class Team {
  public:
    // `prepare` runs in the new process and gives what it does in each round.
    using Part = std::function<void()>;
    Team(int members, const std::function<Part(int)> &prepare);
    ~Team();
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    void start();  // all of them
    void finish(); // waits for all of them

  private:
    struct Member {
        int pid, to, from;
    };
    std::vector<Member> members_;
};

// Memory that this process and its children see. It is never given back: a few blocks for each
// measurement.
void *shared_memory(std::size_t bytes);
template <typename T> T *shared(std::size_t count = 1) {
    return static_cast<T *>(shared_memory(count * sizeof(T)));
}

} // namespace bench
