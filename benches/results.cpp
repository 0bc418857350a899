#include "results.hpp"

#include <cmath>
#include <fstream>
#include <sstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace bench {
namespace {

std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + '"';
}

std::string json_number(double value) {
    if (std::isnan(value))
        return "null";
    std::ostringstream out;
    out.precision(6);
    out << value;
    return out.str();
}

std::string durability_after_power(const Row &row) {
    return row.work.id.rfind("synced", 0) == 0 ? "all" : row.system.after_power;
}

double ratio_to_sqlite(const std::vector<Row> &rows, const Row &row) {
    const Row *sqlite = find_row(rows, row.work.id, plain_sqlite, row.work.variant);
    return sqlite ? sqlite->median(&RoundFigures::mean) / row.median(&RoundFigures::mean) : NAN;
}

// The first line of a file that begins with `key`, from behind its colon.
std::string line_of(const char *path, const std::string &key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(key, 0) == 0)
            return line.substr(line.find(':') + 2);
    }
    return "";
}

std::string machine() {
    utsname system{};
    uname(&system);
    std::ostringstream out;
    out << sysconf(_SC_NPROCESSORS_ONLN) << " cores (" << line_of("/proc/cpuinfo", "model name")
        << "), " << (sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 30) << " GB of memory, "
        << system.sysname << ' ' << system.release;
    return out.str();
}

} // namespace

const Row *find_row(const std::vector<Row> &rows, const std::string &work,
                    const std::string &system, const std::string &variant) {
    for (const Row &row : rows) {
        if (row.work.id == work && row.system.name == system && row.work.variant == variant &&
            !row.rounds.empty()) {
            return &row;
        }
    }
    return nullptr;
}

std::string to_json(const Results &results) {
    std::ostringstream out;
    out << "[\n";
    bool first = true;
    for (const Row &row : results.rows) {
        if (row.rounds.empty())
            continue;
        out << (first ? "" : ",\n") << "  {\"work\": " << quoted(row.work.id)
            << ", \"title\": " << quoted(row.work.title)
            << ", \"variant\": " << quoted(row.work.variant)
            << ", \"system\": " << quoted(row.system.name)
            << ", \"version\": " << quoted(row.system.version);
        first = false;
        const std::pair<const char *, double RoundFigures::*> columns[] = {
            {"us_mean", &RoundFigures::mean}, {"us_p50", &RoundFigures::p50},
            {"us_p90", &RoundFigures::p90},   {"us_p99", &RoundFigures::p99},
            {"us_p999", &RoundFigures::p999}, {"us_max_of_a_round", &RoundFigures::max}};
        for (auto [name, figure] : columns)
            out << ", \"" << name << "\": " << json_number(row.median(figure));
        out << ", \"us_max\": " << json_number(row.worst())
            << ", \"ratio_to_sqlite\": " << json_number(ratio_to_sqlite(results.rows, row));
        std::string target, met = "null";
        for (const Verdict &verdict : results.verdicts) {
            if (row.system.name != simledger_log || verdict.work != row.work.id ||
                verdict.variant != row.work.variant) {
                continue;
            }
            target += (target.empty() ? "" : "; ") + verdict.text;
            met = verdict.met && met != "false" ? "true" : "false";
        }
        out << ", \"target\": " << (target.empty() ? "null" : quoted(target))
            << ", \"met\": " << met << ", \"rounds\": " << row.rounds.size()
            << ", \"survives_kill\": " << quoted(row.system.after_kill)
            << ", \"survives_power_cut\": " << quoted(durability_after_power(row))
            << ", \"smaller_job\": " << (row.system.job.empty() ? "null" : quoted(row.system.job));
        for (const auto &[name, value] : row.rounds.front().extras) {
            (void)value;
            out << ", " << quoted(name) << ": " << json_number(row.extra(name));
        }
        if (auto quantiles = row.quantiles(); !quantiles.empty()) {
            out << ", \"quantiles\": [";
            for (std::size_t i = 0; i < quantiles.size(); ++i) {
                out << (i ? ", " : "") << '[' << quantile_parts[i] << ", "
                    << json_number(quantiles[i]) << ']';
            }
            out << ']';
        }
        out << '}';
    }
    out << "\n]\n";
    return out.str();
}

std::string to_markdown(const Results &results) {
    std::ostringstream out;
    const char *kind = results.options.tiny ? "tiny" : results.options.quick ? "quick" : "full";
    out << "# Measured\n\nA " << kind << " run on " << machine() << ". Other programs took "
        << number(100 * results.load_of_others)
        << " % of its processors' time meanwhile, which is in the means and worst cases of all "
           "rows. "
           "Microseconds; medians over the rounds; [how it is measured](../README.md).\n\n"
        << "## What simledger is to reach, commit = log\n\n| work | to reach | measured | "
           "|\n|---|---|---|---|\n";
    auto title = [&](const Verdict &verdict) {
        const Row *row = find_row(results.rows, verdict.work, simledger_log, verdict.variant);
        return row ? row->work.title : verdict.work;
    };
    for (const Verdict &verdict : results.verdicts) {
        out << "| " << title(verdict) << " | " << verdict.text << " | " << verdict.measured << " | "
            << (verdict.met ? "met" : "**not met**") << " |\n";
    }
    out << "\n## Side by side\n";
    std::string last;
    for (const Row &row : results.rows) {
        if (row.work.title != last) {
            last = row.work.title;
            out << "\n### " << last
                << "\n\n| | mean | p50 | p99 | worst | as fast as plain SQLite | |\n"
                << "|---|---:|---:|---:|---:|---:|---|\n";
        }
        out << "| " << row.system.name << " | ";
        if (row.rounds.empty()) {
            out << "| | | | | failed: " << row.error << " |\n";
            continue;
        }
        double ratio = ratio_to_sqlite(results.rows, row);
        out << number(row.median(&RoundFigures::mean)) << " | "
            << number(row.median(&RoundFigures::p50)) << " | "
            << number(row.median(&RoundFigures::p99)) << " | " << number(row.worst()) << " | "
            << (std::isnan(ratio) ? "" : number(ratio) + " times") << " | " << row.system.job;
        const char *between = row.system.job.empty() ? "" : "; ";
        for (const auto &[name, value] : row.rounds.front().extras) {
            (void)value;
            out << between << name << ' ' << number(row.extra(name));
            between = "; ";
        }
        out << " |\n";
    }
    out << "\n## The systems\n\n| | version | survives kill -9 | survives a power cut | its job "
           "|\n|---|---|---|---|---|\n";
    for (const System &system : results.systems.available) {
        out << "| " << system.name << " | " << system.version << " | " << system.after_kill << " | "
            << system.after_power << " | " << (system.job.empty() ? "the whole" : system.job)
            << " |\n";
    }
    for (const auto &[name, why] : results.systems.missing)
        out << "| " << name << " | not measured: " << why << " | | | |\n";
    out << "\nWith synced appends a power cut loses nothing that was acknowledged, in any of "
           "them.\n";
    return out.str();
}

} // namespace bench
