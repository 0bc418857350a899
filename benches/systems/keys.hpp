// How an entry lies in a key-value store: one record by id, and the four keys that the ledger's
// table has beside it: unique (timestamp, node), and indexes of timestamp, (node, timestamp) and
// confidence. Numbers are written so that the order of bytes is theirs.
#pragma once

#include <cstring>
#include <ctime>
#include <string>

#include "../bench.hpp"

namespace bench {

// Which tree a key belongs to.
enum class Tree : char {
    entries = 'e',
    unique = 'u',
    timestamp = 't',
    node = 'n',
    confidence = 'c'
};

inline void put_u64(std::string &out, std::uint64_t value) {
    value = __builtin_bswap64(value);
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

inline std::uint64_t get_u64(const char *bytes) {
    std::uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return __builtin_bswap64(value);
}

inline void put_double(std::string &out, double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    put_u64(out, bits >> 63 ? ~bits : bits | std::uint64_t{1} << 63);
}

// The keys of one entry, without the tree.
struct Keys {
    std::string entry, unique, timestamp, node, confidence;

    void set_unique(const Entry &from) {
        unique.clear();
        put_double(unique, from.timestamp);
        unique.append(from.node);
    }
    void set_others(const Entry &from, std::uint64_t id) {
        for (std::string *key : {&entry, &timestamp, &node, &confidence})
            key->clear();
        put_u64(entry, id);
        put_double(timestamp, from.timestamp);
        put_u64(timestamp, id);
        node.append(from.node);
        node.push_back('\0');
        put_double(node, from.timestamp);
        put_u64(node, id);
        put_double(confidence, from.confidence);
        put_u64(confidence, id);
    }
};

// The record: the numbers, the length of the node's name, the two texts.
struct RecordHead {
    double timestamp, confidence, created_at;
    std::uint64_t node_len;
};

inline void set_record(std::string &out, const Entry &from) {
    RecordHead head{from.timestamp, from.confidence, static_cast<double>(std::time(nullptr)),
                    from.node.size()};
    out.assign(reinterpret_cast<const char *>(&head), sizeof head);
    out.append(from.node);
    out.append(from.features);
}

inline void add_record(std::uint64_t id, const char *bytes, std::size_t len, Digest &digest) {
    RecordHead head;
    std::memcpy(&head, bytes, sizeof head);
    const char *text = bytes + sizeof head;
    digest.add(static_cast<std::int64_t>(id), head.timestamp, head.confidence + head.created_at,
               {text, head.node_len}, {text + head.node_len, len - sizeof head - head.node_len});
}

} // namespace bench
