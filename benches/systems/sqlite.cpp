// SQLite from C, as people write it and tuned: the two differ in a few settings, in how a limit is
// given, and in a mutex before the writers of a process, who else sleep in SQLite's busy handler.
#include "sqlite.hpp"

#include <mutex>

#include "../clock.hpp"

namespace bench {
namespace {

std::string settings(bool tuned, Sync sync) {
    std::string sql = "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;";
    sql +=
        sync == Sync::every_append ? "PRAGMA synchronous = FULL;" : "PRAGMA synchronous = NORMAL;";
    sql += tuned ? "PRAGMA cache_size = -64000; PRAGMA wal_autocheckpoint = 4000;"
                   "PRAGMA mmap_size = 1073741824; PRAGMA temp_store = MEMORY;"
                 : "PRAGMA cache_size = -10000;";
    return sql;
}

class SqliteSession : public Session {
  public:
    SqliteSession(const std::string &path, bool tuned, Sync sync, std::mutex *writers)
        : db_(path), writers_(writers), ready_(prepare(settings(tuned, sync))),
          insert_(db_, sqlite_insert), begin_(db_, "BEGIN IMMEDIATE"), commit_(db_, "COMMIT"),
          since_(db_, tuned ? "SELECT id, timestamp, node_id, features, confidence, created_at"
                              " FROM ledger WHERE id > ? ORDER BY id LIMIT +?"
                            : "SELECT id, timestamp, node_id, features, confidence, created_at"
                              " FROM ledger WHERE id > ? ORDER BY id LIMIT ?"),
          get_(db_, "SELECT id, timestamp, node_id, features, confidence, created_at"
                    " FROM ledger WHERE id = ?"),
          delete_(db_, tuned ? "DELETE FROM ledger WHERE id IN"
                               " (SELECT id FROM ledger WHERE id < ? ORDER BY id LIMIT 1000)"
                             : "DELETE FROM ledger WHERE id < ?"),
          tuned_(tuned) {}

    std::int64_t append(const Entry &entry) override {
        auto turn = writers_turn();
        insert(entry);
        return sqlite3_last_insert_rowid(db_);
    }
    void append_batch(const Batch &batch) override {
        auto turn = writers_turn();
        begin_.run();
        for (const Entry &entry : batch.entries)
            insert(entry);
        commit_.run();
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        sqlite3_bind_int64(since_, 1, since);
        sqlite3_bind_int64(since_, 2, static_cast<sqlite3_int64>(limit));
        while (since_.step())
            add(since_, digest);
        sqlite3_reset(since_);
    }
    void get(std::int64_t id, Digest &digest) override {
        sqlite3_bind_int64(get_, 1, id);
        if (get_.step())
            add(get_, digest);
        sqlite3_reset(get_);
    }
    void wait(std::int64_t since, Digest &digest) override {
        std::uint64_t begun = now_ns();
        for (;;) {
            poll(since, no_limit, digest);
            if (digest.count || us_since(begun) > 1e6)
                return;
            nap_us(1000);
        }
    }
    void delete_before(std::int64_t id) override {
        sqlite3_bind_int64(delete_, 1, id);
        do {
            auto turn = writers_turn();
            delete_.run();
        } while (tuned_ && sqlite3_changes(db_) > 0);
    }

  private:
    bool prepare(const std::string &sql) {
        db_.run(sql + sqlite_schema);
        return true;
    }
    std::unique_lock<std::mutex> writers_turn() {
        return writers_ ? std::unique_lock<std::mutex>(*writers_) : std::unique_lock<std::mutex>();
    }
    void insert(const Entry &entry) {
        sqlite3_bind_double(insert_, 1, entry.timestamp);
        insert_.bind(2, entry.node);
        insert_.bind(3, entry.features);
        sqlite3_bind_double(insert_, 4, entry.confidence);
        insert_.run();
    }
    static void add(Statement &row, Digest &digest) {
        digest.sum += row.text(5).size();
        digest.add(sqlite3_column_int64(row, 0), sqlite3_column_double(row, 1),
                   sqlite3_column_double(row, 4), row.text(2), row.text(3));
    }

    Connection db_;
    std::mutex *writers_;
    bool ready_;
    Statement insert_, begin_, commit_, since_, get_, delete_;
    bool tuned_;
};

class SqliteStore : public Store {
  public:
    SqliteStore(const std::string &folder, bool tuned, Sync sync)
        : path_(folder + "/ledger.db"), tuned_(tuned), sync_(sync) {
        session();
    }
    std::unique_ptr<Session> session() override {
        return std::make_unique<SqliteSession>(path_, tuned_, sync_, tuned_ ? &writers_ : nullptr);
    }

  private:
    std::string path_;
    bool tuned_;
    Sync sync_;
    std::mutex writers_;
};

System sqlite(const char *name, bool tuned) {
    return {name,
            sqlite3_libversion(),
            "all",
            "the newest may be lost, a prefix is left",
            "",
            processes | waiting | deleting | getting,
            [tuned](const std::string &folder, Sync sync) {
                return std::make_unique<SqliteStore>(folder, tuned, sync);
            }};
}

} // namespace

void find_sqlite(Systems &systems, const Options &) {
    systems.available.push_back(sqlite(plain_sqlite, false));
    systems.available.push_back(sqlite("SQLite, tuned", true));
}

} // namespace bench
