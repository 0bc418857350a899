// RocksDB through its C API: one WriteBatch an append, the trees told apart by the first byte of
// the key. Readers have a tailing iterator, which is made for those who follow what is new.
#include <rocksdb/c.h>
#include <rocksdb/version.h>

#include "kv.hpp"
#include "systems.hpp"

namespace bench {
namespace {

void check(char *error) {
    if (!error)
        return;
    std::string message = error;
    rocksdb_free(error);
    throw std::runtime_error("RocksDB: " + message);
}

const std::string &with_tree(std::string &buffer, Tree tree, const std::string &key) {
    buffer.assign(1, static_cast<char>(tree));
    return buffer.append(key);
}

class RocksWriting : public KeyValue::Writing {
  public:
    explicit RocksWriting(rocksdb_t *db) : db_(db) {}
    ~RocksWriting() override {
        rocksdb_writebatch_destroy(batch_);
        rocksdb_writeoptions_destroy(options_);
    }
    void put(Tree tree, const std::string &key, const std::string &value) override {
        with_tree(key_, tree, key);
        rocksdb_writebatch_put(batch_, key_.data(), key_.size(), value.data(), value.size());
    }
    void write() override {
        char *error = nullptr;
        rocksdb_write(db_, options_, batch_, &error);
        check(error);
        rocksdb_writebatch_clear(batch_);
    }

  private:
    rocksdb_t *db_;
    rocksdb_writebatch_t *batch_ = rocksdb_writebatch_create();
    rocksdb_writeoptions_t *options_ = rocksdb_writeoptions_create(); // WAL, not synced
    std::string key_;
};

class RocksReading : public KeyValue::Reading {
  public:
    explicit RocksReading(rocksdb_t *db) : db_(db) {
        rocksdb_readoptions_set_tailing(tailing_, 1);
        iterator_ = rocksdb_create_iterator(db_, tailing_);
    }
    ~RocksReading() override {
        rocksdb_iter_destroy(iterator_);
        rocksdb_readoptions_destroy(tailing_);
        rocksdb_readoptions_destroy(options_);
    }
    void get(std::uint64_t id, Digest &digest) override {
        set_id(id);
        char *error = nullptr;
        rocksdb_pinnableslice_t *value =
            rocksdb_get_pinned(db_, options_, key_.data(), key_.size(), &error);
        check(error);
        if (!value)
            return;
        std::size_t len;
        const char *bytes = rocksdb_pinnableslice_value(value, &len);
        add_record(id, bytes, len, digest);
        rocksdb_pinnableslice_destroy(value);
    }
    void scan(std::uint64_t from, std::size_t limit, Digest &digest) override {
        set_id(from);
        rocksdb_iter_seek(iterator_, key_.data(), key_.size());
        for (; limit > 0 && rocksdb_iter_valid(iterator_); --limit, rocksdb_iter_next(iterator_)) {
            std::size_t key_len, len;
            const char *key = rocksdb_iter_key(iterator_, &key_len);
            if (key[0] != static_cast<char>(Tree::entries))
                break;
            const char *value = rocksdb_iter_value(iterator_, &len);
            add_record(get_u64(key + 1), value, len, digest);
        }
        char *error = nullptr;
        rocksdb_iter_get_error(iterator_, &error);
        check(error);
    }

  private:
    void set_id(std::uint64_t id) {
        key_.assign(1, static_cast<char>(Tree::entries));
        put_u64(key_, id);
    }

    rocksdb_t *db_;
    rocksdb_readoptions_t *options_ = rocksdb_readoptions_create();
    rocksdb_readoptions_t *tailing_ = rocksdb_readoptions_create();
    rocksdb_iterator_t *iterator_;
    std::string key_;
};

class Rocks : public KeyValue {
  public:
    explicit Rocks(const std::string &folder) {
        rocksdb_options_t *options = rocksdb_options_create();
        rocksdb_options_set_create_if_missing(options, 1);
        rocksdb_options_increase_parallelism(options, 2);
        rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
        rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
        rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(64 << 20));
        rocksdb_options_set_block_based_table_factory(options, table);
        char *error = nullptr;
        db_ = rocksdb_open(options, (folder + "/rocksdb").c_str(), &error);
        rocksdb_block_based_options_destroy(table);
        rocksdb_options_destroy(options);
        check(error);
    }
    ~Rocks() override {
        rocksdb_readoptions_destroy(options_);
        rocksdb_close(db_);
    }
    bool has(Tree tree, const std::string &key) override {
        with_tree(key_, tree, key);
        char *error = nullptr;
        rocksdb_pinnableslice_t *value =
            rocksdb_get_pinned(db_, options_, key_.data(), key_.size(), &error);
        check(error);
        if (value)
            rocksdb_pinnableslice_destroy(value);
        return value != nullptr;
    }
    std::uint64_t last_id() override {
        rocksdb_iterator_t *iterator = rocksdb_create_iterator(db_, options_);
        const char end[] = {static_cast<char>(Tree::entries) + 1};
        rocksdb_iter_seek_for_prev(iterator, end, 1);
        std::size_t len;
        std::uint64_t id = 0;
        if (rocksdb_iter_valid(iterator)) {
            const char *key = rocksdb_iter_key(iterator, &len);
            if (key[0] == static_cast<char>(Tree::entries))
                id = get_u64(key + 1);
        }
        rocksdb_iter_destroy(iterator);
        return id;
    }
    void sync() override {
        char *error = nullptr;
        rocksdb_flush_wal(db_, 1, &error);
        check(error);
    }
    std::unique_ptr<Writing> writing() override { return std::make_unique<RocksWriting>(db_); }
    std::unique_ptr<Reading> reading() override { return std::make_unique<RocksReading>(db_); }

  private:
    rocksdb_t *db_ = nullptr;
    rocksdb_readoptions_t *options_ = rocksdb_readoptions_create();
    std::string key_;
};

} // namespace

void find_rocksdb(Systems &systems, const Options &) {
    systems.available.push_back(
        {"RocksDB",
         std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
             std::to_string(ROCKSDB_PATCH),
         "all", "the newest may be lost, a prefix is left", "", getting,
         [](const std::string &folder, Sync sync) {
             return std::make_unique<KeyValueStore>(std::make_unique<Rocks>(folder), sync);
         }});
}

} // namespace bench
