// Time, and work that is limited by it.
#pragma once

#include <cstdint>
#include <ctime>

namespace bench {

inline std::uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1000000000u +
           static_cast<std::uint64_t>(t.tv_nsec);
}

inline double us_since(std::uint64_t begun) { return static_cast<double>(now_ns() - begun) / 1e3; }

inline void nap_us(long us) {
    timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, nullptr);
}

} // namespace bench
