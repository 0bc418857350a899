// Measures simledger beside what a user would take instead. benches/README.md says how.
//
//   bench [--quick | --tiny] [--works <id,...>] [--systems <name,...>] [--seconds <of the sustained
//   run>]
//         [--dir <folder for the stores>] [--engines <folder of libengines.so>] [--results
//         <folder>]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <unistd.h>

#include "clock.hpp"
#include "entries.hpp"
#include "load.hpp"
#include "results.hpp"

namespace bench {
namespace {

// Those of the names in the list, or all if it is empty.
bool chosen(const std::string &list, const std::string &name) {
    if (list.empty())
        return true;
    std::istringstream names(list);
    for (std::string one; std::getline(names, one, ',');) {
        if (name == one || name.rfind(one + ",", 0) == 0)
            return true;
    }
    return false;
}

void print(const std::vector<Row> &rows) {
    for (const Row &row : rows) {
        if (row.rounds.empty())
            continue;
        std::printf("  %-28s mean %10s  p50 %10s  p99 %10s  worst %10s", row.system.name.c_str(),
                    number(row.median(&RoundFigures::mean)).c_str(),
                    number(row.median(&RoundFigures::p50)).c_str(),
                    number(row.median(&RoundFigures::p99)).c_str(), number(row.worst()).c_str());
        for (const auto &[name, value] : row.rounds.front().extras) {
            (void)value;
            std::printf("  %s %s", name.c_str(), number(row.extra(name)).c_str());
        }
        std::printf("\n");
    }
    std::fflush(stdout);
}

void write_file(const std::string &path, const std::string &text) {
    std::ofstream file(path);
    file << text;
    if (!file.flush())
        throw std::runtime_error("cannot write " + path);
}

int run(int argc, char **argv) {
    Options options;
    std::string works, names, results_folder;
    for (int i = 1; i < argc; ++i) {
        std::string option = argv[i];
        if (option == "--quick") {
            options.quick = true;
        } else if (option == "--tiny") {
            options.tiny = true;
        } else if (i + 1 == argc) {
            throw std::runtime_error("unknown option or no value: " + option);
        } else if (option == "--works") {
            works = argv[++i];
        } else if (option == "--systems") {
            names = argv[++i];
        } else if (option == "--seconds") {
            options.sustained_seconds = std::stod(argv[++i]);
        } else if (option == "--dir") {
            options.folder = argv[++i];
        } else if (option == "--engines") {
            options.engines = argv[++i];
        } else if (option == "--results") {
            results_folder = argv[++i];
        } else {
            throw std::runtime_error("unknown option: " + option);
        }
    }
    if (chdir(options.folder.c_str()) != 0)
        throw std::runtime_error("no folder " + options.folder);
    signal(SIGPIPE, SIG_IGN);
    share_ticks();

    Load load;
    Results results;
    results.options = options;
    results.systems = find_systems(options);
    std::vector<System> systems;
    for (const System &system : results.systems.available) {
        if (chosen(names, system.name))
            systems.push_back(system);
    }
    for (const auto &[name, why] : results.systems.missing) {
        std::printf("%s is not measured: %s\n", name.c_str(), why.c_str());
    }
    bool failed = false;
    for (const Group &group : all_works(options)) {
        if (!chosen(works, group.front().id))
            continue;
        std::uint64_t begun = now_ns();
        std::printf("%s\n", group.back().title.c_str());
        std::fflush(stdout);
        std::vector<Row> rows = measure(group, systems, options);
        print(rows);
        std::printf("  (%.0f s)\n", us_since(begun) / 1e6);
        for (Row &row : rows) {
            failed |= row.rounds.empty();
            results.rows.push_back(std::move(row));
        }
    }
    results.verdicts = judge(results.rows);
    results.load_of_others = load.of_others();
    std::printf("\n");
    for (const Verdict &verdict : results.verdicts) {
        std::printf("%-7s  %-18s %s: %s\n", verdict.met ? "met" : "NOT MET", verdict.work.c_str(),
                    verdict.text.c_str(), verdict.measured.c_str());
    }
    if (!results_folder.empty()) {
        write_file(results_folder + "/results.json", to_json(results));
        write_file(results_folder + "/results.md", to_markdown(results));
    }
    return failed ? 1 : 0;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        return bench::run(argc, argv);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "bench: %s\n", error.what());
        return 1;
    }
}
