// What memory a result takes whose entries are in memory already, and whether those keep to their
// budget.
#include <malloc.h>

#include "works.hpp"

namespace bench {
namespace {

double heap_bytes() {
    struct mallinfo2 info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
}

} // namespace

void add_memory(Groups &groups, const Options &options) {
    auto held = options.amount<std::size_t>(200000, 20000, 400);
    auto more = options.amount<std::size_t>(1000000, 400000, 400);
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        auto opened = std::make_shared<Opened>(system, folder);
        opened->fill(held - 1);
        return [=](Samples &samples) {
            opened->session->hold_all();
            double before = heap_bytes();
            auto all = opened->session->hold_all();
            samples.extra("result_bytes", heap_bytes() - before);
            samples.extra("entries_bytes", opened->store->tail_bytes().first);
            all.reset();
            opened->fill(more);
            opened->fill(5000); // it lets go when it grows, of what the file has by then
            samples.extra("tail_bytes", opened->store->tail_bytes().first);
            samples.extra("tail_bytes_max", opened->store->tail_bytes().second);
        };
    };
    groups.push_back(
        {{"memory",
          "memory of a result of " + number(static_cast<double>(held)) +
              " entries, and of the tail",
          "", 1, [](const System &system) { return system.name == simledger_log; }, prepare}});
}

} // namespace bench
