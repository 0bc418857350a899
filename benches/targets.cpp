// What simledger is to reach in its log mode, beside the others in the same run.
#include <algorithm>
#include <cmath>

#include "results.hpp"

namespace bench {
namespace {

using Names = std::vector<std::string>;
using Figure = double RoundFigures::*;

constexpr Figure mean = &RoundFigures::mean, p50 = &RoundFigures::p50, p99 = &RoundFigures::p99,
                 worst = &RoundFigures::max;

class Judge {
  public:
    explicit Judge(const std::vector<Row> &rows) : rows_(rows) {}

    // So many times as fast as the fastest of the others that are named, or of all.
    void ahead(const std::string &work, double times, const Names &names,
               const std::string &of_whom, Figure figure = mean) {
        const Row *own = find_row(rows_, work, simledger_log);
        const Row *best = nullptr;
        for (const Row &row : rows_) {
            bool named = names.empty() || std::count(names.begin(), names.end(), row.system.name);
            if (row.work.id != work || row.system.ours() || !named ||
                std::isnan(row.median(figure)))
                continue;
            if (!best || row.median(figure) < best->median(figure))
                best = &row;
        }
        if (!own || !best || std::isnan(own->median(figure)))
            return;
        double ratio = best->median(figure) / own->median(figure);
        std::string text = times == 1 ? "ahead of " + of_whom : number(times) + " times " + of_whom;
        if (times < 1)
            text = "level with " + of_whom + " (within " + number(100 / times - 100) + " %)";
        verdict(work, text, number(ratio) + " times " + best->system.name, ratio >= times);
    }
    void at_most(const std::string &work, const std::string &what, double value, double bound,
                 const std::string &unit, const std::string &variant = "") {
        if (std::isnan(value))
            return;
        verdict(work, what + " at most " + number(bound) + unit, number(value) + unit,
                value <= bound, variant);
    }
    void at_least(const std::string &work, const std::string &what, double value, double bound) {
        if (std::isnan(value))
            return;
        verdict(work, what + " at least " + number(bound), number(value), value >= bound);
    }
    void no_system_calls(const std::string &work, const char *name) {
        double value = extra("system calls", name);
        if (std::isnan(value) || value < 0)
            return;
        verdict(work, "no system calls", value == 0 ? "none" : "some", value == 0);
    }
    double own(const std::string &work, Figure figure, const std::string &variant = "") const {
        const Row *row = find_row(rows_, work, simledger_log, variant);
        return row ? row->median(figure) : NAN;
    }
    double extra(const std::string &work, const std::string &name,
                 const std::string &variant = "") const {
        const Row *row = find_row(rows_, work, simledger_log, variant);
        return row ? row->extra(name) : NAN;
    }
    // The smallest and the largest size that the growth was measured at.
    std::pair<std::string, std::string> sizes() const {
        Names sizes;
        for (const Row &row : rows_) {
            if (row.work.id == "growth" && row.system.name == simledger_log)
                sizes.push_back(row.work.variant);
        }
        if (sizes.size() < 2)
            return {};
        return {sizes.front(), sizes.back()};
    }

    std::vector<Verdict> verdicts;

  private:
    void verdict(const std::string &work, const std::string &text, const std::string &measured,
                 bool met, const std::string &variant = "") {
        verdicts.push_back({work, variant, text, measured, met});
    }

    const std::vector<Row> &rows_;
};

} // namespace

std::vector<Verdict> judge(const std::vector<Row> &rows) {
    const Names lmdb = {"LMDB, no sync", "LMDB, no sync, write map"}, sqlite = {plain_sqlite};
    Judge judge(rows);
    judge.ahead("append", 5, {}, "every other");
    judge.ahead("append 8", 3, {}, "every other");
    judge.at_most("append 8", "worst append", judge.own("append 8", worst) / 1e3, 20, " ms");
    judge.ahead("append 4 processes", 3, {}, "every other");
    judge.at_most("append 4 processes", "worst append",
                  judge.own("append 4 processes", worst) / 1e3, 20, " ms");
    judge.at_least("append 4 processes", "slowest process to fastest",
                   judge.extra("append 4 processes", "slowest_to_fastest"), 0.5);
    judge.ahead("batch", 3, {}, "every other");
    judge.ahead("sustained", 1 / 1.1, lmdb, "LMDB");
    for (const char *work : {"poll of none", "poll of ten", "get"})
        judge.ahead(work, 1, lmdb, "LMDB, p50", p50);
    judge.no_system_calls("poll of none", "poll_of_none");
    judge.no_system_calls("poll of ten", "poll_of_ten");
    judge.no_system_calls("get", "get");
    judge.ahead("step", 100, sqlite, "plain SQLite");
    judge.ahead("read all", 10, sqlite, "plain SQLite");
    judge.at_most("wake", "p50", judge.own("wake", p50), 15, " us");
    judge.ahead("wake", 5, {"Redis Streams", "honker"}, "Redis and honker, p50", p50);
    judge.at_most("wake processes", "p50", judge.own("wake processes", p50), 20, " us");
    judge.ahead("wake processes", 5, {"Redis Streams", "honker"}, "Redis and honker, p50", p50);
    judge.ahead("synced", 1, {}, "every other");
    judge.ahead("synced 8", 1, {}, "every other");
    auto [small, large] = judge.sizes();
    if (!large.empty()) {
        std::string to_small = " to that at " + number(std::stod(small));
        judge.at_most("growth", "append" + to_small,
                      judge.own("growth", mean, large) / judge.own("growth", mean, small), 1.1,
                      " times", large);
        judge.at_most("growth", "an entry drained" + to_small,
                      judge.extra("growth", "drained_us", large) /
                          judge.extra("growth", "drained_us", small),
                      2, " times", large);
        judge.at_most("growth", "opening", judge.extra("growth", "open_us", large) / 1e3, 50, " ms",
                      large);
    }
    judge.at_most("cleanup", "p99 to the usual",
                  judge.own("cleanup", p99) / judge.extra("cleanup", "usual_p99"), 5, " times");
    judge.at_most("memory", "tail", judge.extra("memory", "tail_bytes") / 1e6,
                  judge.extra("memory", "tail_bytes_max") / 1e6, " MB");
    judge.at_most("memory", "a result to its entries",
                  100 * judge.extra("memory", "result_bytes") /
                      judge.extra("memory", "entries_bytes"),
                  1, " %");
    return judge.verdicts;
}

} // namespace bench
