// Four processes that append to one store. How fair that is: the rate of the slowest to that of the
// fastest.
#include <algorithm>

#include "works.hpp"

namespace bench {
namespace {

constexpr int members = 4;

struct Appended {
    std::size_t count;
    double us;
    float times[Samples::capacity / members];
};

} // namespace

void add_processes(Groups &groups, const Options &options) {
    auto each = options.amount<std::size_t>(50000, 25000, 100);
    double us_max = options.amount(6e5, 3e5, 1e5);
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        auto appended = shared<Appended>(members);
        auto first = std::shared_ptr<Store>(system.open(folder, Sync::usual)); // makes it
        if (!system.able(serving))
            first.reset();
        auto team = std::make_shared<Team>(members, [&](int number) -> Team::Part {
            auto opened = std::make_shared<Opened>(system, folder);
            auto texts = std::make_shared<Entries>(number);
            auto entries = std::make_shared<std::vector<Entry>>(texts->make(each));
            Appended &own = appended[number];
            return [=, &own] {
                std::uint64_t begun = now_ns(), before = begun;
                own.count = 0;
                for (const Entry &entry : *entries) {
                    opened->session->append(entry);
                    std::uint64_t after = now_ns();
                    own.times[own.count++] = static_cast<float>(after - before) / 1e3f;
                    before = after;
                    own.us = static_cast<double>(after - begun) / 1e3;
                    if (own.us > us_max)
                        break;
                }
                opened->store->settle();
                // For the next round, which nobody waits for.
                texts->clear();
                *entries = texts->make(each);
            };
        });
        return [=](Samples &samples) {
            (void)first; // a server ends after those who use it
            team->start();
            team->finish();
            double slowest = 1e300, fastest = 0, longest = 0;
            for (int i = 0; i < members; ++i) {
                const Appended &one = appended[i];
                for (std::size_t k = 0; k < one.count; ++k)
                    samples.add(one.times[k]);
                double rate = static_cast<double>(one.count) / one.us;
                slowest = std::min(slowest, rate);
                fastest = std::max(fastest, rate);
                longest = std::max(longest, one.us);
            }
            samples.set_mean(longest / static_cast<double>(samples.count));
            samples.extra("slowest_to_fastest", slowest / fastest);
        };
    };
    groups.push_back(
        {{"append 4 processes", "append JSON, 4 processes, an entry", "", rounds(options),
          [](const System &system) { return system.able(processes); }, prepare}});
}

} // namespace bench
