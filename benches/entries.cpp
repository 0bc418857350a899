#include "entries.hpp"

#include <atomic>
#include <cstdio>
#include <sys/mman.h>

namespace bench {
namespace {

std::atomic<std::uint64_t> *ticks;

const std::string &features() {
    static const std::string text = "{\"text\":\"" + std::string(139, 'x') + "\"}";
    return text;
}

} // namespace

void share_ticks() {
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ticks = new (page) std::atomic<std::uint64_t>(0);
}

std::vector<Entry> Entries::make(std::size_t count) { return batch(count).entries; }

Batch Entries::batch(std::size_t count) {
    constexpr std::size_t line_max = 320;
    std::string &text = blocks_.emplace_back();
    text.reserve(count * line_max); // so that what points into it stays right
    Batch batch;
    batch.entries.reserve(count);
    // One block of timestamps at once: threads that make entries do not meet at the counter.
    std::uint64_t tick = ticks->fetch_add(count);
    for (std::size_t i = 0; i < count; ++i) {
        char node[16], line[line_max];
        int node_len = std::snprintf(node, sizeof node, "node-%04d", writer_ * 100 + int(i % 100));
        double timestamp = 1e6 + 1e-5 * static_cast<double>(tick + i);
        double confidence = static_cast<double>(i % 1000) / 1000;
        int len = std::snprintf(line, sizeof line,
                                "{\"timestamp\":%.5f,\"node_id\":\"%s\",\"features\":%s,"
                                "\"confidence\":%.3f}\n",
                                timestamp, node, features().c_str(), confidence);
        const char *begin = text.data() + text.size();
        text.append(line, static_cast<std::size_t>(len));
        std::string_view json(begin, static_cast<std::size_t>(len) - 1);
        std::size_t at_node = json.find("node-"), at_features = json.find("{\"text\"");
        batch.entries.push_back({timestamp, json.substr(at_node, std::size_t(node_len)),
                                 json.substr(at_features, features().size()), confidence, json});
    }
    batch.json_lines = text;
    return batch;
}

} // namespace bench
