// Appends by one thread and by eight, in batches, and each of them synced to the disk. A round is a
// burst: so many entries, or as many as its time allows. What the burst leaves to do in the
// background (the fold of simledger's log) runs beside it, and is waited for between the rounds;
// the sustained run has all of it.
#include <atomic>
#include <thread>

#include "works.hpp"

namespace bench {
namespace {

struct Burst {
    std::size_t entries;
    double us;
};

using Append = std::int64_t (Session::*)(const Entry &);

void append_each(Session &session, const std::vector<Entry> &entries, double us_max,
                 std::vector<float> &times, Append append = &Session::append) {
    std::uint64_t begun = now_ns(), before = begun;
    for (const Entry &entry : entries) {
        (session.*append)(entry);
        std::uint64_t after = now_ns();
        times.push_back(static_cast<float>(after - before) / 1e3f);
        before = after;
        if (static_cast<double>(after - begun) > us_max * 1e3)
            return;
    }
}

Work one_thread(const char *id, const char *title, Burst burst, Sync sync, const Options &options,
                bool (*fits)(const System &) = everybody, Append append = &Session::append) {
    return {
        id, title, "", rounds(options), fits, [=](const System &system, const std::string &folder) {
            auto opened = std::make_shared<Opened>(system, folder, sync);
            return [=](Samples &samples) {
                Entries entries;
                auto made = entries.make(burst.entries);
                std::vector<float> times;
                times.reserve(made.size());
                append_each(*opened->session, made, burst.us, times, append);
                for (float us : times)
                    samples.add(us);
                opened->store->settle();
            };
        }};
}

Work eight_threads(const char *id, const char *title, Burst burst, Sync sync,
                   const Options &options) {
    constexpr int threads = 8;
    return {id,
            title,
            "",
            rounds(options),
            everybody,
            [=](const System &system, const std::string &folder) {
                auto store = std::shared_ptr<Store>(system.open(folder, sync));
                return [=](Samples &samples) {
                    std::vector<Entries> texts;
                    std::vector<std::vector<Entry>> entries;
                    std::vector<std::unique_ptr<Session>> sessions;
                    std::vector<std::vector<float>> times(threads);
                    for (int i = 0; i < threads; ++i)
                        texts.emplace_back(i);
                    for (int i = 0; i < threads; ++i) {
                        entries.push_back(texts[std::size_t(i)].make(burst.entries / threads));
                        sessions.push_back(store->session());
                        times[std::size_t(i)].reserve(entries.back().size());
                    }
                    std::atomic<bool> go{false};
                    std::exception_ptr failed;
                    std::vector<std::thread> running;
                    for (std::size_t i = 0; i < threads; ++i) {
                        running.emplace_back([&, i] {
                            while (!go)
                                std::this_thread::yield();
                            try {
                                append_each(*sessions[i], entries[i], burst.us, times[i]);
                            } catch (...) {
                                failed = std::current_exception();
                            }
                        });
                    }
                    std::uint64_t begun = now_ns();
                    go = true;
                    for (std::thread &thread : running)
                        thread.join();
                    double us = us_since(begun);
                    if (failed)
                        std::rethrow_exception(failed);
                    for (auto &each : times) {
                        for (float one : each)
                            samples.add(one);
                    }
                    samples.set_mean(us / static_cast<double>(samples.count));
                    sessions.clear();
                    store->settle();
                };
            }};
}

Work batches(const Options &options) {
    constexpr std::size_t size = 1000;
    std::size_t count = options.amount(100, 20, 2);
    double us_max = options.amount(6e5, 3e5, 1e5);
    return {"batch",
            "batch of 1,000 JSON to acknowledgement, an entry",
            "",
            rounds(options),
            everybody,
            [=](const System &system, const std::string &folder) {
                auto opened = std::make_shared<Opened>(system, folder);
                return [=](Samples &samples) {
                    Entries entries;
                    std::uint64_t begun = now_ns();
                    for (std::size_t i = 0; i < count && us_since(begun) < us_max; ++i) {
                        Batch batch = entries.batch(size);
                        std::uint64_t before = now_ns();
                        opened->session->append_batch(batch);
                        samples.add(us_since(before) / size);
                        entries.clear();
                    }
                    opened->store->settle();
                };
            }};
}

} // namespace

void add_appends(Groups &groups, const Options &options) {
    double us = options.amount(6e5, 3e5, 1e5);
    Burst burst{options.amount<std::size_t>(200000, 100000, 400), us};
    Burst synced{options.amount<std::size_t>(8000, 2000, 40), us};
    groups.push_back({one_thread("append", "append JSON, 1 thread", burst, Sync::usual, options)});
    groups.push_back({one_thread(
        "append fields", "append without JSON, 1 thread", burst, Sync::usual, options,
        [](const System &system) { return system.ours(); }, &Session::append_fields)});
    groups.push_back({eight_threads("append 8", "append JSON, 8 threads, an entry", burst,
                                    Sync::usual, options)});
    groups.push_back({batches(options)});
    groups.push_back(
        {one_thread("synced", "synced append, 1 thread", synced, Sync::every_append, options)});
    groups.push_back({eight_threads("synced 8", "synced append, 8 threads, an entry", synced,
                                    Sync::every_append, options)});
}

} // namespace bench
