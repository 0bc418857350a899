// LMDB without syncing, through the file's write calls and through a writable map (MDB_WRITEMAP): a
// transaction an append. A thread keeps its read transaction and cursor, and renews them for each
// read.
#include <lmdb.h>

#include "keys.hpp"
#include "systems.hpp"

namespace bench {
namespace {

void check(int code) {
    if (code != MDB_SUCCESS)
        throw std::runtime_error(std::string("LMDB: ") + mdb_strerror(code));
}

MDB_val val(const std::string &bytes) { return {bytes.size(), const_cast<char *>(bytes.data())}; }

struct Trees {
    MDB_dbi entries, unique, timestamp, node, confidence;
};

class LmdbSession : public Session {
  public:
    LmdbSession(MDB_env *env, const Trees &trees) : env_(env), trees_(trees) {
        check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
        check(mdb_cursor_open(reading_, trees_.entries, &cursor_));
        mdb_txn_reset(reading_);
    }
    ~LmdbSession() override {
        mdb_cursor_close(cursor_);
        mdb_txn_abort(reading_);
    }

    std::int64_t append(const Entry &entry) override { return write(&entry, 1); }
    void append_batch(const Batch &batch) override {
        write(batch.entries.data(), batch.entries.size());
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        check(mdb_txn_renew(reading_));
        check(mdb_cursor_renew(reading_, cursor_));
        MDB_val key = id_key(static_cast<std::uint64_t>(since) + 1), value;
        int code = mdb_cursor_get(cursor_, &key, &value, MDB_SET_RANGE);
        for (; code == MDB_SUCCESS && limit > 0; --limit) {
            add(key, value, digest);
            code = mdb_cursor_get(cursor_, &key, &value, MDB_NEXT);
        }
        if (code != MDB_NOTFOUND)
            check(code);
        mdb_txn_reset(reading_);
    }
    void get(std::int64_t id, Digest &digest) override {
        check(mdb_txn_renew(reading_));
        MDB_val key = id_key(static_cast<std::uint64_t>(id)), value;
        int code = mdb_get(reading_, trees_.entries, &key, &value);
        if (code == MDB_SUCCESS)
            add(key, value, digest);
        if (code != MDB_NOTFOUND)
            check(code);
        mdb_txn_reset(reading_);
    }

  private:
    MDB_val id_key(std::uint64_t id) {
        key_.clear();
        put_u64(key_, id);
        return val(key_);
    }
    static void add(const MDB_val &key, const MDB_val &value, Digest &digest) {
        add_record(get_u64(static_cast<const char *>(key.mv_data)),
                   static_cast<const char *>(value.mv_data), value.mv_size, digest);
    }
    std::int64_t write(const Entry *entries, std::size_t count) {
        MDB_txn *txn;
        check(mdb_txn_begin(env_, nullptr, 0, &txn));
        try {
            std::uint64_t id = last_id(txn);
            for (std::size_t i = 0; i < count; ++i)
                put(txn, entries[i], ++id);
            int code = mdb_txn_commit(txn);
            txn = nullptr;
            check(code);
            return static_cast<std::int64_t>(id);
        } catch (...) {
            if (txn)
                mdb_txn_abort(txn);
            throw;
        }
    }
    std::uint64_t last_id(MDB_txn *txn) {
        MDB_cursor *cursor;
        check(mdb_cursor_open(txn, trees_.entries, &cursor));
        MDB_val key, value;
        int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        mdb_cursor_close(cursor);
        if (code == MDB_NOTFOUND)
            return 0;
        check(code);
        return get_u64(static_cast<const char *>(key.mv_data));
    }
    void put(MDB_txn *txn, const Entry &entry, std::uint64_t id) {
        keys_.set_unique(entry);
        keys_.set_others(entry, id);
        set_record(record_, entry);
        put(txn, trees_.unique, keys_.unique, keys_.entry, MDB_NOOVERWRITE);
        put(txn, trees_.entries, keys_.entry, record_, MDB_APPEND);
        put(txn, trees_.timestamp, keys_.timestamp, {}, 0);
        put(txn, trees_.node, keys_.node, {}, 0);
        put(txn, trees_.confidence, keys_.confidence, {}, 0);
    }
    static void put(MDB_txn *txn, MDB_dbi tree, const std::string &key, const std::string &value,
                    unsigned flags) {
        MDB_val k = val(key), v = val(value);
        check(mdb_put(txn, tree, &k, &v, flags));
    }

    MDB_env *env_;
    Trees trees_;
    MDB_txn *reading_;
    MDB_cursor *cursor_;
    Keys keys_;
    std::string key_, record_;
};

class LmdbStore : public Store {
  public:
    LmdbStore(const std::string &folder, unsigned flags) {
        check(mdb_env_create(&env_));
        check(mdb_env_set_maxdbs(env_, 5));
        check(mdb_env_set_maxreaders(env_, 256));
        check(mdb_env_set_mapsize(env_, std::size_t{32} << 30));
        check(mdb_env_open(env_, (folder + "/ledger.mdb").c_str(), flags | MDB_NOSUBDIR | MDB_NOTLS,
                           0644));
        MDB_txn *txn;
        check(mdb_txn_begin(env_, nullptr, 0, &txn));
        check(mdb_dbi_open(txn, "entries", MDB_CREATE, &trees_.entries));
        check(mdb_dbi_open(txn, "unique", MDB_CREATE, &trees_.unique));
        check(mdb_dbi_open(txn, "timestamp", MDB_CREATE, &trees_.timestamp));
        check(mdb_dbi_open(txn, "node", MDB_CREATE, &trees_.node));
        check(mdb_dbi_open(txn, "confidence", MDB_CREATE, &trees_.confidence));
        check(mdb_txn_commit(txn));
    }
    ~LmdbStore() override { mdb_env_close(env_); }
    std::unique_ptr<Session> session() override {
        return std::make_unique<LmdbSession>(env_, trees_);
    }

  private:
    MDB_env *env_ = nullptr;
    Trees trees_{};
};

// Synced appends are LMDB's default: a sync in each commit, since what its flags put off may damage
// the file.
System lmdb(const char *name, unsigned flags) {
    return {name,
            std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
                std::to_string(MDB_VERSION_PATCH),
            "all",
            "the file may be damaged",
            "",
            processes | getting,
            [flags](const std::string &folder, Sync sync) {
                return std::make_unique<LmdbStore>(
                    folder, sync == Sync::every_append ? flags & ~unsigned{MDB_NOSYNC} : flags);
            }};
}

} // namespace

void find_lmdb(Systems &systems, const Options &) {
    systems.available.push_back(lmdb("LMDB, no sync", MDB_NOSYNC));
    systems.available.push_back(lmdb("LMDB, no sync, write map", MDB_NOSYNC | MDB_WRITEMAP));
}

} // namespace bench
