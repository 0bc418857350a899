// What else the machine did: the part of its processors' time that went to other programs.
#pragma once

#include <algorithm>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace bench {

class Load {
  public:
    Load() : busy_(busy_seconds()), total_(all_seconds_) {}

    // From 0 to 1, since this was made. Children count when they have been waited for.
    double of_others() {
        double busy = busy_seconds() - busy_, total = all_seconds_ - total_;
        double own = seconds(RUSAGE_SELF) + seconds(RUSAGE_CHILDREN);
        return total > 0 ? std::max(0.0, busy - own) / total : 0;
    }

  private:
    static double seconds(int whose) {
        rusage used;
        getrusage(whose, &used);
        return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    }
    // Of all processors, since the machine started.
    double busy_seconds() {
        std::ifstream file("/proc/stat");
        std::string cpu;
        double user, nice, system, idle, waiting, interrupts, soft, stolen;
        file >> cpu >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> stolen;
        double busy = user + nice + system + interrupts + soft + stolen;
        auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
        all_seconds_ = (busy + idle + waiting) / ticks;
        return busy / ticks;
    }

    double all_seconds_ = 0;
    double busy_, total_;
};

} // namespace bench
