// simledger through its C API, with the defaults of a new ledger.
#include "simledger.h"
#include "systems.hpp"

namespace bench {
namespace {

// Makes a call, and throws what it says if it fails. TIMEOUT is an outcome.
template <typename F> void call(F function) {
    simledger_error *error = nullptr;
    simledger_status status = function(&error);
    if (status == SIMLEDGER_OK || status == SIMLEDGER_TIMEOUT)
        return;
    std::string message =
        std::string(simledger_status_name(status)) + ": " + simledger_error_message(error);
    simledger_error_free(error);
    throw std::runtime_error("simledger: " + message);
}

// A call for each chunk of the result: arrays of its fields, and all strings in one text.
void visit(const simledger_entries *entries, Digest &digest) {
    std::size_t chunks = simledger_entries_chunk_count(entries);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        simledger_columns columns;
        columns.struct_size = sizeof columns;
        call([&](simledger_error **error) {
            return simledger_entries_columns(entries, chunk, &columns, error);
        });
        for (std::size_t i = 0; i < columns.len; ++i) {
            digest.add(columns.ids[i], columns.timestamps[i],
                       columns.confidences[i] + columns.created_at[i],
                       {columns.text + columns.node_id_offsets[i], columns.node_id_lengths[i]},
                       {columns.text + columns.features_offsets[i], columns.features_lengths[i]});
        }
    }
    digest.last_id = simledger_entries_position(entries);
}

class SimledgerSession : public Session {
  public:
    explicit SimledgerSession(simledger_ledger *ledger) : ledger_(ledger) {}

    std::int64_t append(const Entry &entry) override {
        std::int64_t id;
        call([&](simledger_error **error) {
            return simledger_append_json(ledger_, entry.json.data(), entry.json.size(), &id, error);
        });
        return id;
    }
    std::int64_t append_fields(const Entry &entry) override {
        std::int64_t id;
        call([&](simledger_error **error) {
            return simledger_append(ledger_, entry.timestamp, entry.node.data(), entry.node.size(),
                                    entry.features.data(), entry.features.size(), entry.confidence,
                                    &id, error);
        });
        return id;
    }
    void append_batch(const Batch &batch) override {
        std::int64_t first;
        std::size_t count;
        call([&](simledger_error **error) {
            return simledger_append_many_json(ledger_, batch.json_lines.data(),
                                              batch.json_lines.size(), &first, &count, error);
        });
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        simledger_entries *entries;
        call([&](simledger_error **error) {
            return simledger_poll_since(ledger_, since, limit, &entries, error);
        });
        visit(entries, digest);
        simledger_entries_free(entries);
    }
    void get(std::int64_t id, Digest &digest) override {
        simledger_entry *entry;
        call([&](simledger_error **error) {
            return simledger_get_by_id(ledger_, id, &entry, error);
        });
        std::size_t node_len, features_len;
        const char *node = simledger_entry_node_id(entry, &node_len);
        const char *features = simledger_entry_features_json(entry, &features_len);
        digest.add(simledger_entry_id(entry), simledger_entry_timestamp(entry),
                   simledger_entry_confidence(entry), {node, node_len}, {features, features_len});
        simledger_entry_free(entry);
    }
    void read_all(Digest &digest) override {
        simledger_entries *entries;
        call([&](simledger_error **error) { return simledger_read_all(ledger_, &entries, error); });
        visit(entries, digest);
        simledger_entries_free(entries);
    }
    void wait(std::int64_t since, Digest &digest) override {
        simledger_entries *entries;
        call([&](simledger_error **error) {
            return simledger_wait_since(ledger_, since, SIMLEDGER_NO_LIMIT, 1, nullptr, &entries,
                                        error);
        });
        visit(entries, digest);
        simledger_entries_free(entries);
    }
    // A call ends when its `timeout` is used up, with what it deleted until then deleted.
    void delete_before(std::int64_t id) override {
        simledger_status status;
        do {
            status = simledger_cleanup_before_id(ledger_, id, nullptr, nullptr);
        } while (status == SIMLEDGER_BUSY);
        if (status != SIMLEDGER_OK)
            throw std::runtime_error(std::string("simledger: ") + simledger_status_name(status));
    }
    std::shared_ptr<void> hold_all() override {
        simledger_entries *entries;
        call([&](simledger_error **error) { return simledger_read_all(ledger_, &entries, error); });
        return {entries,
                [](void *all) { simledger_entries_free(static_cast<simledger_entries *>(all)); }};
    }

  private:
    simledger_ledger *ledger_;
};

class SimledgerStore : public Store {
  public:
    SimledgerStore(const std::string &folder, const char *commit, Sync sync) {
        std::unique_ptr<simledger_config, decltype(&simledger_config_free)> owned(
            simledger_config_new(), simledger_config_free);
        simledger_config *config = owned.get();
        set(config, "path", folder + "/ledger.db");
        set(config, "commit", commit);
        set(config, "synchronous_mode", sync == Sync::every_append ? "FULL" : "NORMAL");
        call([&](simledger_error **error) { return simledger_open(config, &ledger_, error); });
    }
    ~SimledgerStore() override { simledger_close(ledger_, nullptr); }

    std::unique_ptr<Session> session() override {
        return std::make_unique<SimledgerSession>(ledger_);
    }
    void settle() override {
        call([&](simledger_error **error) { return simledger_flush(ledger_, error); });
    }
    std::pair<double, double> tail_bytes() override {
        return {metric("tail_bytes"), 67108864 /* tail_bytes_max, by default */};
    }

  private:
    static void set(simledger_config *config, const char *key, const std::string &value) {
        call([&](simledger_error **error) {
            return simledger_config_set(config, key, SIMLEDGER_NUL_TERMINATED, value.data(),
                                        value.size(), error);
        });
    }
    double metric(const char *name) {
        double value;
        call([&](simledger_error **error) {
            return simledger_metric_get(ledger_, name, SIMLEDGER_NUL_TERMINATED, &value, error);
        });
        return value;
    }

    simledger_ledger *ledger_ = nullptr;
};

System simledger(const char *name, const char *commit) {
    return {name,
            std::string(simledger_version()) + ", SQLite " + simledger_sqlite_version(),
            "all",
            "the newest may be lost, a prefix is left",
            "",
            processes | waiting | deleting | getting,
            [commit](const std::string &folder, Sync sync) {
                return std::make_unique<SimledgerStore>(folder, commit, sync);
            }};
}

} // namespace

void find_simledger(Systems &systems, const Options &) {
    systems.available.push_back(simledger(simledger_log, "log"));
    systems.available.push_back(simledger(simledger_sqlite, "sqlite"));
}

} // namespace bench
