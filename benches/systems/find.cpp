#include "systems.hpp"

namespace bench {

#ifndef BENCH_SQLITECPP
void find_sqlitecpp(Systems &systems, const Options &) {
    systems.missing.emplace_back("SQLiteCpp", "its library is not installed");
}
#endif
#ifndef BENCH_LMDB
void find_lmdb(Systems &systems, const Options &) {
    systems.missing.emplace_back("LMDB", "its library is not installed");
}
#endif
#ifndef BENCH_ROCKSDB
void find_rocksdb(Systems &systems, const Options &) {
    systems.missing.emplace_back("RocksDB", "its library is not installed");
}
#endif

Systems find_systems(const Options &options) {
    Systems systems;
    for (auto find : {find_simledger, find_sqlite, find_sqlitecpp, find_lmdb, find_rocksdb,
                      find_fjall, find_redis, find_honker}) {
        find(systems, options);
    }
    return systems;
}

} // namespace bench
