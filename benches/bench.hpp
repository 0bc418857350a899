// What the parts of the comparison share: an entry, a system under test, a kind of work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

// An entry on its way in. Systems that take JSON get `json`, the others the fields, already apart.
struct Entry {
    double timestamp;
    std::string_view node;
    std::string_view features;
    double confidence;
    std::string_view json;
};

// Entries that are written together; `json_lines` holds them one a line.
struct Batch {
    std::vector<Entry> entries;
    std::string_view json_lines;
};

// What a reader does with an entry: it looks at every field, the last byte of each text included.
struct Digest {
    std::size_t count = 0;
    std::int64_t last_id = 0;
    double sum = 0;

    void add(std::int64_t id, double timestamp, double confidence, std::string_view node,
             std::string_view features) {
        ++count;
        last_id = id;
        sum += timestamp + confidence + node[0] + features[features.size() - 1] +
               static_cast<double>(node.size());
    }
    // For a system that hands fields out as text: these are looked at, not parsed.
    void add_text(std::int64_t id, std::string_view text) {
        ++count;
        last_id = id;
        sum += text[0] + text[text.size() - 1];
    }
};

enum class Sync { usual, every_append };

constexpr std::size_t no_limit = SIZE_MAX / 2;

// What one thread works with. Whatever goes wrong is an exception.
class Session {
  public:
    virtual ~Session() = default;
    virtual std::int64_t append(const Entry &entry) = 0;
    // From fields that are apart, where `append` takes JSON.
    virtual std::int64_t append_fields(const Entry &entry) { return append(entry); }
    // All or nothing, acknowledged when it returns.
    virtual void append_batch(const Batch &batch) = 0;
    virtual void poll(std::int64_t since, std::size_t limit, Digest &digest) = 0;
    virtual void get(std::int64_t id, Digest &digest) = 0;
    virtual void read_all(Digest &digest) { poll(0, no_limit, digest); }
    // Returns when there is something behind `since`, with all of it, or when a second has passed.
    virtual void wait(std::int64_t, Digest &) { throw std::logic_error("cannot wait"); }
    virtual void delete_before(std::int64_t) { throw std::logic_error("cannot delete"); }
    // The result of a read of all, held until the pointer is let go of.
    virtual std::shared_ptr<void> hold_all() { throw std::logic_error("has no results to hold"); }
};

// A store that this process has open.
class Store {
  public:
    virtual ~Store() = default;
    virtual std::unique_ptr<Session> session() = 0;
    // Ends what the last measurement left to do in the background.
    virtual void settle() {}
    // Bytes in memory of the newest entries, and how many there may be.
    virtual std::pair<double, double> tail_bytes() { throw std::logic_error("has no tail"); }
};

enum Can : unsigned {
    processes = 1, // several processes may have it open
    waiting = 2,
    deleting = 4,
    getting = 8,
    serving = 16, // it has a server, which ends with the store that started it
};

struct System {
    std::string name;
    std::string version;
    std::string after_kill;  // what of the acknowledged survives kill -9 of the process that wrote
    std::string after_power; // and what a power cut
    std::string job;         // where it does less than the others; else ""
    unsigned can = 0;
    // Opens what is in the folder, or makes it.
    std::function<std::unique_ptr<Store>(const std::string &folder, Sync)> open;

    bool able(unsigned what) const { return (can & what) == what; }
    bool ours() const { return name.rfind("simledger", 0) == 0; }
};

constexpr const char *simledger_log = "simledger, commit = log";
constexpr const char *simledger_sqlite = "simledger, commit = sqlite";
constexpr const char *plain_sqlite = "SQLite, as people write it";

struct Options {
    bool quick = false;
    bool tiny = false; // only to see that everything runs
    double sustained_seconds = 60;
    std::string folder = ".";
    std::string engines = "."; // where the shared libraries of fjall and honker are

    // How much to do: the full, the quick or the tiny amount.
    template <typename T> T amount(T full, T small, T least) const {
        return tiny ? least : quick ? small : full;
    }
};

// The systems that are there, and why the others are not.
struct Systems {
    std::vector<System> available;
    std::vector<std::pair<std::string, std::string>> missing;
};
Systems find_systems(const Options &options);

// What one round of a measurement gives. It lies in memory that the parent sees.
class Samples {
  public:
    static constexpr std::size_t capacity = 1 << 21;
    static constexpr std::size_t extras_max = 8;

    void clear() {
        count = extras = 0;
        mean_us = -1;
    }
    void add(double us) {
        if (count < capacity)
            us_[count++] = static_cast<float>(us);
    }
    // The mean where it is not that of the calls: wall time by entries of several threads, say.
    void set_mean(double us) { mean_us = us; }
    void extra(const char *name, double value);

    std::size_t count = 0;
    double mean_us = -1;
    std::size_t extras = 0;
    struct {
        char name[32];
        double value;
    } extra_[extras_max];
    float us_[capacity];
};

// One measurement, repeated in rounds: everything it needs is prepared.
using Round = std::function<void(Samples &)>;

// A kind of work: a row of the table.
struct Work {
    std::string id;    // what the targets and `--works` call it
    std::string title; // for people
    std::string variant;
    int rounds = 1;
    std::function<bool(const System &)> fits;
    // In a process of its own: opens and fills a store in the folder.
    std::function<Round(const System &, const std::string &folder)> prepare;
};

// Rows of the same group are measured in turns, round by round.
using Group = std::vector<Work>;
std::vector<Group> all_works(const Options &options);

inline bool everybody(const System &) { return true; }

} // namespace bench
