// One function for each system: adds it to what is available, or says why it is not.
#pragma once

#include "../bench.hpp"

namespace bench {

void find_simledger(Systems &, const Options &);
void find_sqlite(Systems &, const Options &);
void find_sqlitecpp(Systems &, const Options &);
void find_lmdb(Systems &, const Options &);
void find_rocksdb(Systems &, const Options &);
void find_fjall(Systems &, const Options &);
void find_redis(Systems &, const Options &);
void find_honker(Systems &, const Options &);

// The table and its indexes, as simledger has them.
inline constexpr const char *sqlite_schema =
    "CREATE TABLE IF NOT EXISTS ledger ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, node_id TEXT NOT NULL,"
    " features TEXT NOT NULL, confidence REAL NOT NULL,"
    " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE(timestamp, node_id));"
    "CREATE INDEX IF NOT EXISTS idx_ledger_timestamp ON ledger(timestamp);"
    "CREATE INDEX IF NOT EXISTS idx_ledger_node_id ON ledger(node_id, timestamp);"
    "CREATE INDEX IF NOT EXISTS idx_ledger_confidence ON ledger(confidence);";

inline constexpr const char *sqlite_insert =
    "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (?, ?, ?, ?)";

} // namespace bench
