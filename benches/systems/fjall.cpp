// fjall, a key-value store in Rust, through the few C functions of benches/engines: a keyspace for
// each tree, one batch an append.
#include <dlfcn.h>

#include "kv.hpp"
#include "systems.hpp"

namespace bench {
namespace {

struct Functions {
    const char *(*version)();
    void *(*open)(const char *folder);
    void (*close)(void *db);
    const char *(*error)();
    int (*has)(void *db, char tree, const char *key, std::size_t key_len);
    std::uint64_t (*last_id)(void *db);
    int (*sync)(void *db);
    void *(*batch_new)(void *db);
    void (*batch_free)(void *batch);
    void (*batch_put)(void *batch, char tree, const char *key, std::size_t key_len,
                      const char *value, std::size_t value_len);
    int (*batch_write)(void *batch);
    int (*scan)(void *db, std::uint64_t from, std::size_t limit,
                void (*visit)(void *user, std::uint64_t id, const char *value, std::size_t len),
                void *user);
    int (*get)(void *db, std::uint64_t id,
               void (*visit)(void *user, std::uint64_t id, const char *value, std::size_t len),
               void *user);
};

Functions fjall;

void check(int failed) {
    if (failed < 0)
        throw std::runtime_error(std::string("fjall: ") + fjall.error());
}

void visit(void *digest, std::uint64_t id, const char *value, std::size_t len) {
    add_record(id, value, len, *static_cast<Digest *>(digest));
}

class FjallWriting : public KeyValue::Writing {
  public:
    explicit FjallWriting(void *db) : batch_(fjall.batch_new(db)) {}
    ~FjallWriting() override { fjall.batch_free(batch_); }
    void put(Tree tree, const std::string &key, const std::string &value) override {
        fjall.batch_put(batch_, static_cast<char>(tree), key.data(), key.size(), value.data(),
                        value.size());
    }
    void write() override { check(fjall.batch_write(batch_)); }

  private:
    void *batch_;
};

class FjallReading : public KeyValue::Reading {
  public:
    explicit FjallReading(void *db) : db_(db) {}
    void get(std::uint64_t id, Digest &digest) override {
        check(fjall.get(db_, id, visit, &digest));
    }
    void scan(std::uint64_t from, std::size_t limit, Digest &digest) override {
        check(fjall.scan(db_, from, limit, visit, &digest));
    }

  private:
    void *db_;
};

class Fjall : public KeyValue {
  public:
    explicit Fjall(const std::string &folder) : db_(fjall.open((folder + "/fjall").c_str())) {
        if (!db_)
            check(-1);
    }
    ~Fjall() override { fjall.close(db_); }
    bool has(Tree tree, const std::string &key) override {
        int found = fjall.has(db_, static_cast<char>(tree), key.data(), key.size());
        check(found);
        return found > 0;
    }
    std::uint64_t last_id() override { return fjall.last_id(db_); }
    void sync() override { check(fjall.sync(db_)); }
    std::unique_ptr<Writing> writing() override { return std::make_unique<FjallWriting>(db_); }
    std::unique_ptr<Reading> reading() override { return std::make_unique<FjallReading>(db_); }

  private:
    void *db_;
};

template <typename F> bool load(void *library, const char *name, F &function) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
}

} // namespace

void find_fjall(Systems &systems, const Options &options) {
    std::string path = options.engines + "/libengines.so";
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library || !load(library, "fjall_version", fjall.version) ||
        !load(library, "fjall_open", fjall.open) || !load(library, "fjall_close", fjall.close) ||
        !load(library, "fjall_error", fjall.error) || !load(library, "fjall_has", fjall.has) ||
        !load(library, "fjall_last_id", fjall.last_id) ||
        !load(library, "fjall_sync", fjall.sync) ||
        !load(library, "fjall_batch_new", fjall.batch_new) ||
        !load(library, "fjall_batch_free", fjall.batch_free) ||
        !load(library, "fjall_batch_put", fjall.batch_put) ||
        !load(library, "fjall_batch_write", fjall.batch_write) ||
        !load(library, "fjall_scan", fjall.scan) || !load(library, "fjall_get", fjall.get)) {
        systems.missing.emplace_back("fjall", "benches/engines could not be built");
        return;
    }
    systems.available.push_back(
        {"fjall", fjall.version(), "all", "the newest may be lost, a prefix is left", "", getting,
         [](const std::string &folder, Sync sync) {
             return std::make_unique<KeyValueStore>(std::make_unique<Fjall>(folder), sync);
         }});
}

} // namespace bench
