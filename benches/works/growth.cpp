// What a ledger costs when it has grown: an append of a burst, an entry until it is in the file and
// all indexes, and opening it again.
#include "works.hpp"

namespace bench {

void add_growth(Groups &groups, const Options &options) {
    std::vector<std::size_t> sizes = {10000, 1000000, 10000000};
    if (options.quick)
        sizes = {10000, 200000};
    if (options.tiny)
        sizes = {200, 400};
    auto burst = options.amount<std::size_t>(20000, 10000, 100);
    Group group;
    for (std::size_t size : sizes) {
        auto prepare = [=](const System &system, const std::string &folder) -> Round {
            auto opened = std::make_shared<Opened>(system, folder);
            opened->fill(size);
            return [=](Samples &samples) {
                opened->session.reset(); // before its store
                opened->store.reset();
                std::uint64_t begun = now_ns();
                *opened = Opened(system, folder);
                samples.extra("open_us", us_since(begun));
                opened->fill(1); // the first append makes things ready
                Entries texts;
                auto entries = texts.make(burst);
                begun = now_ns();
                std::uint64_t before = begun;
                for (const Entry &entry : entries) {
                    opened->session->append(entry);
                    std::uint64_t after = now_ns();
                    samples.add(static_cast<double>(after - before) / 1e3);
                    before = after;
                }
                opened->store->settle();
                samples.extra("drained_us", us_since(begun) / static_cast<double>(burst));
            };
        };
        // The largest is for one system alone: the others would take an hour to fill.
        auto fits = [=](const System &system) {
            if (system.name == simledger_log)
                return true;
            return size <= 1000000 && (system.name == plain_sqlite ||
                                       system.name == "LMDB, no sync" || system.name == "fjall");
        };
        group.push_back({"growth", "append at " + number(static_cast<double>(size)) + " entries",
                         std::to_string(size), options.amount(3, 3, 1), fits, prepare});
    }
    groups.push_back(group);
}

} // namespace bench
