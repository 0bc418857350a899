// What was measured, as JSON and as tables.
#pragma once

#include "number.hpp"
#include "workers.hpp"

namespace bench {

// Something that a row is to reach, and whether it did.
struct Verdict {
    std::string work, variant, text, measured;
    bool met;
};

std::vector<Verdict> judge(const std::vector<Row> &rows);

struct Results {
    std::vector<Row> rows;
    std::vector<Verdict> verdicts;
    Systems systems;
    Options options;
    double load_of_others = 0; // 0 to 1
};

std::string to_json(const Results &results);
std::string to_markdown(const Results &results);

const Row *find_row(const std::vector<Row> &rows, const std::string &work,
                    const std::string &system, const std::string &variant = "");

} // namespace bench
