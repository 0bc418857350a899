// The little that a C++ program puts around SQLite's C interface.
#pragma once

#include <sqlite3.h>

#include "systems.hpp"

namespace bench {

inline void check_sqlite(int code, sqlite3 *db) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    throw std::runtime_error(std::string("SQLite: ") + (db ? sqlite3_errmsg(db) : "out of memory"));
}

class Statement {
  public:
    Statement(sqlite3 *db, const char *sql) {
        check_sqlite(
            sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr), db);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement &) = delete;
    Statement &operator=(const Statement &) = delete;

    operator sqlite3_stmt *() const { return statement_; }
    void bind(int at, std::string_view text) {
        sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()),
                          SQLITE_STATIC);
    }
    bool step() {
        int code = sqlite3_step(statement_);
        if (code != SQLITE_ROW && code != SQLITE_DONE) {
            check_sqlite(sqlite3_reset(statement_), sqlite3_db_handle(statement_));
        }
        return code == SQLITE_ROW;
    }
    void run() {
        step();
        sqlite3_reset(statement_);
    }
    std::string_view text(int column) {
        auto bytes = reinterpret_cast<const char *>(sqlite3_column_text(statement_, column));
        return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }

  private:
    sqlite3_stmt *statement_ = nullptr;
};

// A connection for one thread.
class Connection {
  public:
    explicit Connection(const std::string &path) {
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        check_sqlite(sqlite3_open_v2(path.c_str(), &db_, flags, nullptr), db_);
        sqlite3_busy_timeout(db_, 60000);
    }
    ~Connection() { sqlite3_close_v2(db_); }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    operator sqlite3 *() const { return db_; }
    void run(const std::string &sql) {
        check_sqlite(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), db_);
    }

  private:
    sqlite3 *db_ = nullptr;
};

} // namespace bench
