// The entries that every system gets: 150 bytes of features, 100 nodes for each writer, and a
// timestamp that no other entry of the run has. They are made before the clock runs.
#pragma once

#include <deque>

#include "bench.hpp"

namespace bench {

class Entries {
  public:
    // `writer`: gives each its own nodes.
    explicit Entries(int writer = 0) : writer_(writer) {}

    // The texts live as long as this.
    std::vector<Entry> make(std::size_t count);
    Batch batch(std::size_t count);
    // Frees what was made.
    void clear() { blocks_.clear(); }

  private:
    int writer_;
    std::deque<std::string> blocks_;
};

// From where every process of the run takes its timestamps. Called once, before any fork.
void share_ticks();

} // namespace bench
