// What the tests of simledger.hpp have in common.
#pragma once

#include <simledger.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);    \
            std::_Exit(1);                                                                         \
        }                                                                                          \
    } while (0)

using simledger::Config;
using simledger::Entries;
using simledger::Entry;
using simledger::EntryView;
using simledger::Error;
using simledger::Ledger;
using simledger::LogLevel;

// What `work` throws; it must throw this type.
template <typename Thrown, typename Work> Thrown thrown(Work &&work) {
    try {
        work();
    } catch (const Thrown &error) {
        return error;
    } catch (...) {
    }
    CHECK(!"what must be thrown was not");
    std::abort();
}

template <typename Work> void check_fails(simledger_status expected, Work &&work) {
    CHECK(thrown<Error>(work).status() == expected);
}

// Entries 1 to `count`, at the timestamps 1 to `count`, of the nodes "odd" and "even".
inline void append_some(Ledger &ledger, int count) {
    for (int i = 1; i <= count; i++) {
        CHECK(ledger.append({double(i), i % 2 ? "odd" : "even", R"({"rate":910})", 0.5}) == i);
    }
}

// A ledger in this file, that commits as LEDGER_TEST_COMMIT says: as in tests/c/check.h.
inline Config in_file(std::string_view path) {
    Config config{path};
    if (const char *commit = std::getenv("LEDGER_TEST_COMMIT"))
        config.set("commit", commit);
    return config;
}

inline Ledger in_memory(int count = 0) {
    Ledger ledger{":memory:"};
    append_some(ledger, count);
    return ledger;
}

// What callbacks throw.
struct Thrown : std::exception {
    int number;
    explicit Thrown(int number) : number(number) {}
};
