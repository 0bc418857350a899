// What the nodes tell each other, as the features of ledger entries:
//
//   {"kind":"signature","distance":81.3,"values":[50,21,77,0,28,0,27,48,22]}   this looks anomalous
//   {"kind":"done","step":3}                      all that I found up to the end of this step is
//   above
//   {"kind":"votes","step":3,"confirm":[812,815],"reject":[813]}               on the ids of
//   signatures
//
// The ledger keeps features as they were written, but for spaces: so the kind can be told from how
// they begin, and no JSON library is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "readings.hpp"

// Readings of all nodes together in a step of the simulation, one a second.
inline constexpr long step_readings = 1024;

template <typename Numbers> std::string write_list(const Numbers &numbers) {
    std::ostringstream text;
    text.precision(17); // a double comes back as it was
    text << '[';
    for (std::size_t i = 0; i < numbers.size(); i++)
        text << (i ? "," : "") << numbers[i];
    text << ']';
    return text.str();
}

inline std::string write_signature(const Features &features, double distance) {
    return R"({"kind":"signature","distance":)" + std::to_string(distance) + R"(,"values":)" +
           write_list(features) + "}";
}

inline std::string write_done(long step) {
    return R"({"kind":"done","step":)" + std::to_string(step) + "}";
}

inline std::string write_votes(long step, const std::vector<std::int64_t> &confirm,
                               const std::vector<std::int64_t> &reject) {
    return R"({"kind":"votes","step":)" + std::to_string(step) + R"(,"confirm":)" +
           write_list(confirm) + R"(,"reject":)" + write_list(reject) + "}";
}

inline bool is_kind(std::string_view features, std::string_view kind) {
    constexpr std::string_view before = R"({"kind":")";
    return features.substr(0, before.size()) == before &&
           features.substr(before.size(), kind.size()) == kind &&
           features.substr(before.size() + kind.size(), 1) == "\"";
}

// The numbers of the list with this name; none if there is no such list. Features end with a NUL,
// so that functions of C can read them.
inline std::vector<double> read_list(std::string_view features, const std::string &name) {
    std::vector<double> numbers;
    const std::string key = '"' + name + "\":[";
    const std::size_t found = features.find(key);
    if (found == std::string_view::npos)
        return numbers;
    const char *at = features.data() + found + key.size();
    for (;;) {
        char *end = nullptr;
        const double number = std::strtod(at, &end);
        if (end == at)
            return numbers;
        numbers.push_back(number);
        at = end + (*end == ',');
    }
}
