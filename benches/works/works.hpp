// One function for each kind of work: adds its groups to the list.
#pragma once

#include "../clock.hpp"
#include "../entries.hpp"
#include "../number.hpp"
#include "../workers.hpp"

namespace bench {

using Groups = std::vector<Group>;

void add_appends(Groups &, const Options &);
void add_processes(Groups &, const Options &);
void add_sustained(Groups &, const Options &);
void add_reads(Groups &, const Options &);
void add_wakes(Groups &, const Options &);
void add_growth(Groups &, const Options &);
void add_crash(Groups &, const Options &);
void add_cleanup(Groups &, const Options &);
void add_memory(Groups &, const Options &);
void add_system_calls(Groups &, const Options &);

inline int rounds(const Options &options) { return options.amount(5, 3, 1); }

// A store and a session on it, for works of one thread.
struct Opened {
    std::unique_ptr<Store> store;
    std::unique_ptr<Session> session;
    std::int64_t last_id = 0;

    Opened(const System &system, const std::string &folder, Sync sync = Sync::usual)
        : store(system.open(folder, sync)), session(store->session()) {}

    // Fills it in batches, and waits until what that leaves to do is done.
    void fill(std::size_t count) {
        constexpr std::size_t batch_size = 1000;
        Entries entries;
        for (std::size_t done = 0; done < count; done += batch_size) {
            session->append_batch(entries.batch(std::min(batch_size, count - done)));
            entries.clear();
        }
        last_id = session->append(entries.make(1)[0]);
        store->settle();
    }
};

} // namespace bench
