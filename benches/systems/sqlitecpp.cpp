// SQLiteCpp as its README shows it, over the same SQLite and with the same settings as plain C.
#include <SQLiteCpp/SQLiteCpp.h>

#include "systems.hpp"

namespace bench {
namespace {

class SqliteCppSession : public Session {
  public:
    SqliteCppSession(const std::string &path, Sync sync)
        : db_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX, 60000),
          ready_(prepare(sync)), insert_(db_, sqlite_insert),
          since_(db_, "SELECT id, timestamp, node_id, features, confidence, created_at"
                      " FROM ledger WHERE id > ? ORDER BY id LIMIT ?"),
          get_(db_, "SELECT id, timestamp, node_id, features, confidence, created_at"
                    " FROM ledger WHERE id = ?") {}

    std::int64_t append(const Entry &entry) override {
        insert(entry);
        return db_.getLastInsertRowid();
    }
    void append_batch(const Batch &batch) override {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        for (const Entry &entry : batch.entries)
            insert(entry);
        transaction.commit();
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        since_.bind(1, since);
        since_.bind(2, static_cast<std::int64_t>(limit));
        while (since_.executeStep())
            add(since_, digest);
        since_.reset();
    }
    void get(std::int64_t id, Digest &digest) override {
        get_.bind(1, id);
        if (get_.executeStep())
            add(get_, digest);
        get_.reset();
    }

  private:
    bool prepare(Sync sync) {
        db_.exec("PRAGMA journal_mode = WAL; PRAGMA cache_size = -10000; PRAGMA foreign_keys = ON");
        db_.exec(sync == Sync::every_append ? "PRAGMA synchronous = FULL"
                                            : "PRAGMA synchronous = NORMAL");
        db_.exec(sqlite_schema);
        return true;
    }
    void insert(const Entry &entry) {
        const std::string node(entry.node), features(entry.features);
        insert_.bind(1, entry.timestamp);
        insert_.bindNoCopy(2, node);
        insert_.bindNoCopy(3, features);
        insert_.bind(4, entry.confidence);
        insert_.exec();
        insert_.reset();
    }
    static void add(SQLite::Statement &row, Digest &digest) {
        digest.sum += row.getColumn(5).getBytes();
        SQLite::Column node = row.getColumn(2), features = row.getColumn(3);
        digest.add(row.getColumn(0).getInt64(), row.getColumn(1).getDouble(),
                   row.getColumn(4).getDouble(),
                   {node.getText(), static_cast<std::size_t>(node.getBytes())},
                   {features.getText(), static_cast<std::size_t>(features.getBytes())});
    }

    SQLite::Database db_;
    bool ready_;
    SQLite::Statement insert_, since_, get_;
};

class SqliteCppStore : public Store {
  public:
    SqliteCppStore(const std::string &folder, Sync sync)
        : path_(folder + "/ledger.db"), sync_(sync) {
        session();
    }
    std::unique_ptr<Session> session() override {
        return std::make_unique<SqliteCppSession>(path_, sync_);
    }

  private:
    std::string path_;
    Sync sync_;
};

} // namespace

void find_sqlitecpp(Systems &systems, const Options &) {
    systems.available.push_back(
        {"SQLiteCpp", std::string(SQLITECPP_VERSION) + ", SQLite " + SQLite::getLibVersion(), "all",
         "the newest may be lost, a prefix is left", "", processes | getting,
         [](const std::string &folder, Sync sync) {
             return std::make_unique<SqliteCppStore>(folder, sync);
         }});
}

} // namespace bench
