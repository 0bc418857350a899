// The readings that the nodes watch: examples/data/shuttle.csv, see the README there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Values = std::array<double, 9>;

struct Reading {
    Values values{};
    bool anomaly = false; // the truth: for scoring only, no node looks at it
    int owner = 0;        // the node that watches it
};

inline Reading parse_reading(const std::string &line) {
    std::istringstream in(line);
    Reading reading;
    char comma = ',';
    for (double &value : reading.values) {
        in >> value >> comma;
        if (comma != ',')
            in.setstate(std::ios::failbit);
    }
    int label = -1;
    in >> label;
    if (!in || (label != 0 && label != 1))
        throw std::runtime_error("not nine numbers and a label of 0 or 1: \"" + line + '"');
    reading.anomaly = label == 1;
    return reading;
}

inline std::vector<Reading> load_readings(const std::string &path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) // the header
        throw std::runtime_error(path + ": cannot be read (--data names the readings)");
    std::vector<Reading> readings;
    while (std::getline(file, line)) {
        try {
            readings.push_back(parse_reading(line));
        } catch (const std::runtime_error &error) {
            const std::string number = std::to_string(readings.size() + 2);
            throw std::runtime_error(path + ":" + number + ": " + error.what());
        }
    }
    if (readings.empty())
        throw std::runtime_error(path + ": no readings");
    return readings;
}

// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
// OOPSLA 2014): the same numbers on every machine, which the standard's distributions do not
// promise.
inline std::uint64_t next_random(std::uint64_t &state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Gives each reading to a node. All that is random in the simulation is drawn here.
inline void deal(std::vector<Reading> &readings, int nodes, std::uint64_t seed) {
    for (Reading &reading : readings)
        reading.owner = static_cast<int>(next_random(seed) % static_cast<std::uint64_t>(nodes));
}
