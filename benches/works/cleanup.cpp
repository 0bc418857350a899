// Appends, a few thousand a second, while a million entries are deleted, and before that.
#include <algorithm>
#include <atomic>
#include <thread>

#include "works.hpp"

namespace bench {
namespace {

// Appends at a pace until it is told to stop, and puts down how long each took.
template <typename Until>
void append_paced(Session &session, std::vector<float> &times, Until until) {
    while (!until()) {
        Entries texts;
        for (const Entry &entry : texts.make(50)) {
            std::uint64_t before = now_ns();
            session.append(entry);
            times.push_back(static_cast<float>(us_since(before)));
            nap_us(200);
            if (until())
                return;
        }
    }
}

double at(std::vector<float> times, double part) {
    std::sort(times.begin(), times.end());
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
}

} // namespace

void add_cleanup(Groups &groups, const Options &options) {
    auto entries = options.amount<std::size_t>(1000000, 50000, 500);
    double usual_us = options.amount(3e6, 5e5, 5e4);
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        auto opened = std::make_shared<Opened>(system, folder);
        opened->fill(entries);
        return [=](Samples &samples) {
            std::vector<float> usual, during;
            std::uint64_t begun = now_ns();
            append_paced(*opened->session, usual, [&] { return us_since(begun) > usual_us; });
            std::atomic<bool> done{false};
            std::exception_ptr failed;
            begun = now_ns();
            std::thread cleaner([&] {
                try {
                    opened->store->session()->delete_before(opened->last_id);
                } catch (...) {
                    failed = std::current_exception();
                }
                samples.extra("cleanup_seconds", us_since(begun) / 1e6);
                done = true;
            });
            append_paced(*opened->session, during, [&] { return done.load(); });
            cleaner.join();
            if (failed)
                std::rethrow_exception(failed);
            for (float us : during)
                samples.add(us);
            samples.extra("usual_p50", at(usual, 0.5));
            samples.extra("usual_p99", at(usual, 0.99));
        };
    };
    groups.push_back(
        {{"cleanup",
          "appends during a cleanup of " + number(static_cast<double>(entries)) + " entries", "", 1,
          [](const System &system) { return system.able(deleting); }, prepare}});
}

} // namespace bench
