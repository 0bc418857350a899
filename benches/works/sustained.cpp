// Batches of 1,000 without a pause, and then whatever they left to do in the background: per entry,
// all in all.
#include "works.hpp"

namespace bench {

void add_sustained(Groups &groups, const Options &options) {
    double us_max =
        options.amount(options.sustained_seconds, std::min(options.sustained_seconds, 3.0), 0.1) *
        1e6;
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        auto opened = std::make_shared<Opened>(system, folder);
        return [=](Samples &samples) {
            constexpr std::size_t size = 1000;
            Entries entries;
            double count = 0;
            std::uint64_t begun = now_ns();
            while (us_since(begun) < us_max) {
                Batch batch = entries.batch(size);
                std::uint64_t before = now_ns();
                opened->session->append_batch(batch);
                samples.add(us_since(before) / size);
                entries.clear();
                count += size;
            }
            opened->store->settle();
            samples.set_mean(us_since(begun) / count);
            samples.extra("entries", count);
        };
    };
    // One of each kind, since each takes its minute; and only those with all keys.
    auto fits = [](const System &system) {
        return system.job.empty() && system.name != "SQLiteCpp" &&
               system.name != simledger_sqlite && system.name != "SQLite, tuned";
    };
    groups.push_back({{"sustained", "sustained, batches of 1,000, all indexes, an entry", "", 1,
                       fits, prepare}});
}

} // namespace bench
