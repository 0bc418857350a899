#include "works.hpp"

namespace bench {

std::vector<Group> all_works(const Options &options) {
    Groups groups;
    for (auto add : {add_appends, add_processes, add_sustained, add_reads, add_wakes, add_growth,
                     add_crash, add_cleanup, add_memory, add_system_calls}) {
        add(groups, options);
    }
    return groups;
}

} // namespace bench
