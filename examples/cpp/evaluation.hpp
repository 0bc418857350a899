// How well the mesh detected: worked out from the ledger alone, so that anybody can do it again.
#pragma once

#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "mesh.hpp"
#include "simledger.hpp"

// A signature and what became of it.
struct Finding {
    std::size_t reading;
    int confirmed = 1; // votes, that of its finder included
    int voted = 1;
};
using Findings = std::map<std::int64_t, Finding>; // by the id of the entry

inline void count_votes(Findings &findings, const std::optional<std::vector<double>> &ids,
                        int confirmed) {
    for (const double id : ids.value()) {
        Finding &finding = findings.at(static_cast<std::int64_t>(id));
        finding.confirmed += confirmed;
        finding.voted++;
    }
}

// A signature comes before the votes on it: one pass is enough.
inline Findings tally(const simledger::Entries &entries) {
    Findings findings;
    for (const auto &entry : entries) {
        const auto kind = entry.feature_text("/kind");
        if (kind == "signature") {
            findings[entry.id()] = {static_cast<std::size_t>(entry.timestamp())};
        } else if (kind == "votes") {
            count_votes(findings, entry.feature_numbers("/confirm"), 1);
            count_votes(findings, entry.feature_numbers("/reject"), 0);
        }
    }
    return findings;
}

struct Score {
    long detected = 0, correct = 0, anomalies = 0;

    double precision() const { return ratio(correct, detected); }
    double recall() const { return ratio(correct, anomalies); }
    double f1() const { return ratio(2 * correct, detected + anomalies); }

    void print(const char *what) const {
        std::cout << std::fixed << std::setprecision(4) << std::left << std::setw(10) << what
                  << std::right << std::setw(10) << detected << " readings: precision "
                  << precision() << ", recall " << recall() << ", F1 " << f1() << '\n';
    }

  private:
    static double ratio(long part, long whole) {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    }
};

// Scores what a majority confirmed, or with `majority` false all signatures.
inline Score score(const Findings &findings, const std::vector<Reading> &readings, bool majority) {
    Score score;
    for (const Reading &reading : readings)
        score.anomalies += reading.anomaly;
    for (const auto &[id, finding] : findings) {
        if (majority && 2 * finding.confirmed <= finding.voted)
            continue;
        score.detected++;
        score.correct += readings[finding.reading].anomaly;
    }
    return score;
}

// Throws unless every node saw what the ledger holds: each id once, in order, and no other.
inline void check_that_all_saw_all(const Mesh &mesh, const simledger::Entries &entries,
                                   std::int64_t count) {
    Seen held;
    for (const auto &entry : entries)
        held.note(entry.id());
    if (held.count() != count)
        throw std::logic_error(std::to_string(held.count()) + " entries read, " +
                               std::to_string(count) + " counted");
    for (int i = 0; i < mesh.options.nodes; i++) {
        const Seen &seen = mesh.reports[i].seen;
        if (!(seen == held))
            throw std::logic_error("node " + std::to_string(i) + " saw " +
                                   std::to_string(seen.count()) + " entries up to " +
                                   std::to_string(seen.last_id()) + ", not these " +
                                   std::to_string(count));
    }
}

// Prints the result. Throws if a check fails or the detection is poor.
inline void evaluate(const Mesh &mesh, const simledger::Ledger &ledger) {
    const std::int64_t count = ledger.count();
    const simledger::Entries entries = ledger.read_all();
    check_that_all_saw_all(mesh, entries, count);
    std::cout << "checked: every node saw each of " << count << " entries once and in order\n";
    const Findings findings = tally(entries);
    score(findings, mesh.readings, false).print("reported");
    const Score together = score(findings, mesh.readings, true);
    together.print("confirmed");
    if (together.f1() < 0.75)
        throw std::runtime_error("F1 is below 0.75");
}
