// honker's streams: an extension of SQLite with functions to publish and to read since an offset,
// loaded into the same SQLite, with the settings that honker gives its connections. Whoever waits
// has honker's watcher, which looks each millisecond.
#include "sqlite.hpp"

#include <cstdlib>
#include <dlfcn.h>

namespace bench {
namespace {

struct {
    std::string path;
    void *(*watcher_open)(const char *path, const char *backend, char *error,
                          std::size_t error_len);
    int (*watcher_wait)(void *watcher, std::uint64_t timeout_ms);
    void (*watcher_close)(void *watcher);
} honker;

class HonkerSession : public Session {
  public:
    HonkerSession(const std::string &path, Sync sync)
        : path_(path), db_(path), ready_(prepare(sync)),
          publish_(db_, "SELECT honker_stream_publish('ledger', ?, ?)"),
          read_(db_, "SELECT honker_stream_read_since('ledger', ?, ?)"),
          begin_(db_, "BEGIN IMMEDIATE"), commit_(db_, "COMMIT") {}
    ~HonkerSession() override {
        if (watcher_)
            honker.watcher_close(watcher_);
    }

    std::int64_t append(const Entry &entry) override {
        publish_.bind(1, entry.node);
        publish_.bind(2, entry.json);
        publish_.step();
        std::int64_t offset = sqlite3_column_int64(publish_, 0);
        publish_.step(); // to its end, where the transaction is
        sqlite3_reset(publish_);
        return offset;
    }
    void append_batch(const Batch &batch) override {
        begin_.run();
        for (const Entry &entry : batch.entries)
            append(entry);
        commit_.run();
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        sqlite3_bind_int64(read_, 1, since);
        sqlite3_bind_int64(read_, 2, static_cast<sqlite3_int64>(limit));
        read_.step();
        visit(read_.text(0), digest);
        sqlite3_reset(read_);
    }
    void get(std::int64_t, Digest &) override { throw std::logic_error("honker has no get by id"); }
    void wait(std::int64_t since, Digest &digest) override {
        if (!watcher_) {
            char error[256] = "";
            watcher_ = honker.watcher_open(path_.c_str(), nullptr, error, sizeof error);
            if (!watcher_)
                throw std::runtime_error(std::string("honker: ") + error);
        }
        poll(since, no_limit, digest);
        if (digest.count)
            return;
        if (honker.watcher_wait(watcher_, 1000) < 0)
            throw std::runtime_error("honker: the watcher ended");
        poll(since, no_limit, digest);
    }

  private:
    bool prepare(Sync sync) {
        db_.run("PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL;"
                "PRAGMA foreign_keys = ON; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY;"
                "PRAGMA wal_autocheckpoint = 10000;");
        db_.run(sync == Sync::every_append ? "PRAGMA synchronous = FULL"
                                           : "PRAGMA synchronous = NORMAL");
        sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
        char *error = nullptr;
        if (sqlite3_load_extension(db_, honker.path.c_str(), "sqlite3_honkerext_init", &error) !=
            SQLITE_OK) {
            throw std::runtime_error(std::string("honker: ") +
                                     (error ? error : "cannot be loaded"));
        }
        db_.run("SELECT honker_bootstrap()");
        return true;
    }
    // The events come as JSON: an offset and a payload each. Every event is looked at, but its
    // payload is not parsed.
    static void visit(std::string_view json, Digest &digest) {
        constexpr std::string_view key = "\"offset\":";
        for (std::size_t at = json.find(key); at != std::string_view::npos;
             at = json.find(key, at + 1)) {
            digest.add_text(std::strtoll(json.data() + at + key.size(), nullptr, 10),
                            json.substr(at));
        }
    }

    std::string path_;
    Connection db_;
    bool ready_;
    Statement publish_, read_, begin_, commit_;
    void *watcher_ = nullptr;
};

class HonkerStore : public Store {
  public:
    HonkerStore(const std::string &folder, Sync sync) : path_(folder + "/honker.db"), sync_(sync) {
        session();
    }
    std::unique_ptr<Session> session() override {
        return std::make_unique<HonkerSession>(path_, sync_);
    }

  private:
    std::string path_;
    Sync sync_;
};

} // namespace

void find_honker(Systems &systems, const Options &options) {
    honker.path = options.engines + "/libhonker_ext.so";
    void *library = dlopen(honker.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto load = [library](const char *name, auto &function) {
        function = library
                       ? reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name))
                       : nullptr;
        return function != nullptr;
    };
    if (!load("honker_watcher_open", honker.watcher_open) ||
        !load("honker_watcher_wait", honker.watcher_wait) ||
        !load("honker_watcher_close", honker.watcher_close)) {
        systems.missing.emplace_back("honker", "benches/engines could not be built");
        return;
    }
    void *engines = dlopen((options.engines + "/libengines.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    auto version =
        reinterpret_cast<const char *(*)()>(engines ? dlsym(engines, "honker_version") : nullptr);
    systems.available.push_back(
        {"honker", std::string(version ? version() : "?") + ", SQLite " + sqlite3_libversion(),
         "all", "the newest may be lost, a prefix is left", "no unique key, one index",
         processes | waiting, [](const std::string &folder, Sync sync) {
             return std::make_unique<HonkerStore>(folder, sync);
         }});
}

} // namespace bench
