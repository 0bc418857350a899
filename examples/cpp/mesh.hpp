// What the nodes share, and what each reports in the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "latency.hpp"
#include "messages.hpp"
#include "readings.hpp"
#include "simledger.hpp"

struct Options {
    int nodes = 16;
    bool processes = false;
    std::uint64_t seed = 1;
    std::string data = "examples/data/shuttle.csv";
    std::string ledger; // "": a temporary one
};

// What a node saw of the ledger: how many entries, up to which, and a digest of their ids in the
// order they came.
class Seen {
  public:
    // Each entry must be above all that came before.
    void note(std::int64_t id) {
        if (id <= last_id_)
            throw std::logic_error("entry " + std::to_string(id) + " came after entry " +
                                   std::to_string(last_id_));
        count_++;
        last_id_ = id;
        // FNV-1a (Fowler, Noll, Vo): equal only for the same ids in the same order.
        for (int shift = 0; shift < 64; shift += 8)
            digest_ =
                (digest_ ^ ((static_cast<std::uint64_t>(id) >> shift) & 0xff)) * 0x100000001b3u;
    }

    // The next poll begins where this one ended: after its last entry, since none is ever removed.
    void check_position(const simledger::Entries &fresh) const {
        if (fresh.position() != last_id_ || fresh.gap_before() != 0)
            throw std::logic_error("position " + std::to_string(fresh.position()) +
                                   " after entry " + std::to_string(last_id_) + ", gap before " +
                                   std::to_string(fresh.gap_before()));
    }

    std::int64_t count() const { return count_; }
    std::int64_t last_id() const { return last_id_; }

    friend bool operator==(const Seen &a, const Seen &b) {
        return a.count_ == b.count_ && a.digest_ == b.digest_;
    }

  private:
    std::int64_t count_ = 0;
    std::int64_t last_id_ = 0;
    std::uint64_t digest_ = 0;
};

// Gets and how they were answered.
struct CacheUse {
    std::int64_t hits = 0;
    std::int64_t misses = 0;

    static CacheUse of(const simledger::Ledger &ledger) {
        return {static_cast<std::int64_t>(ledger.metric("entry_cache_hits").value()),
                static_cast<std::int64_t>(ledger.metric("entry_cache_misses").value())};
    }
};

// How a node fared. In memory that processes share, too: so nothing in it has an address.
struct Report {
    std::atomic<bool> ended{false};
    bool ok = false; // once it ended
    Seen seen;
    CacheUse cache;
    Latency append, poll, get;
};
static_assert(std::atomic<bool>::is_always_lock_free, "processes share these");

// What all nodes need; nobody changes it while they run.
struct Mesh {
    const Options &options;
    std::vector<Reading> readings;
    std::string path;
    Report *reports = nullptr;         // one for each node
    std::atomic<bool> *stop = nullptr; // somebody failed: the others need not wait for them

    long steps() const {
        return (static_cast<long>(readings.size()) + step_readings - 1) / step_readings;
    }
};

inline simledger::Ledger open_ledger(const std::string &path) {
    // All nodes ask for each signature of a step by its id: room for them in the entry cache.
    return simledger::Ledger{simledger::Config{path}.set("entry_cache_size", "4096")};
}
