// The ledger over a key-value store that writes batches atomically: RocksDB and fjall.
//
// Ids must become visible in order and (timestamp, node) must be unique, so writers take turns;
// what is to be on the disk is synced after the turn, by one thread for all who wait.
#pragma once

#include <condition_variable>
#include <mutex>

#include "keys.hpp"

namespace bench {

struct Slice {
    const char *bytes;
    std::size_t len;
};

class KeyValue {
  public:
    virtual ~KeyValue() = default;
    virtual bool has(Tree, const std::string &key) = 0;
    virtual std::uint64_t last_id() = 0;
    virtual void sync() = 0;

    // A batch for one thread.
    class Writing {
      public:
        virtual ~Writing() = default;
        virtual void put(Tree, const std::string &key, const std::string &value) = 0;
        virtual void write() = 0; // and is empty again
    };
    virtual std::unique_ptr<Writing> writing() = 0;

    // What one thread reads by.
    class Reading {
      public:
        virtual ~Reading() = default;
        virtual void get(std::uint64_t id, Digest &) = 0;
        virtual void scan(std::uint64_t from, std::size_t limit, Digest &) = 0;
    };
    virtual std::unique_ptr<Reading> reading() = 0;
};

// One sync serves all who wrote before it began.
class GroupSync {
  public:
    template <typename F> void wait_for(std::uint64_t written, F sync_now) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            if (synced_ >= written)
                return;
            if (!busy_)
                break;
            done_.wait(lock);
        }
        busy_ = true;
        std::uint64_t through = written_;
        lock.unlock();
        sync_now();
        lock.lock();
        synced_ = through;
        busy_ = false;
        done_.notify_all();
    }
    void wrote(std::uint64_t id) {
        std::lock_guard<std::mutex> lock(mutex_);
        written_ = id;
    }

  private:
    std::mutex mutex_;
    std::condition_variable done_;
    std::uint64_t written_ = 0, synced_ = 0;
    bool busy_ = false;
};

class KeyValueStore : public Store {
  public:
    KeyValueStore(std::unique_ptr<KeyValue> kv, Sync sync)
        : kv_(std::move(kv)), sync_(sync), last_id_(kv_->last_id()) {}
    std::unique_ptr<Session> session() override;

  private:
    friend class KeyValueSession;
    std::unique_ptr<KeyValue> kv_;
    Sync sync_;
    std::mutex turn_; // guards last_id_, and is had from the look for duplicates to the write
    std::uint64_t last_id_;
    GroupSync synced_;
};

class KeyValueSession : public Session {
  public:
    explicit KeyValueSession(KeyValueStore &store)
        : store_(store), writing_(store.kv_->writing()), reading_(store.kv_->reading()) {}

    std::int64_t append(const Entry &entry) override { return write(&entry, 1); }
    void append_batch(const Batch &batch) override {
        write(batch.entries.data(), batch.entries.size());
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        reading_->scan(static_cast<std::uint64_t>(since) + 1, limit, digest);
    }
    void get(std::int64_t id, Digest &digest) override {
        reading_->get(static_cast<std::uint64_t>(id), digest);
    }

  private:
    std::int64_t write(const Entry *entries, std::size_t count) {
        std::unique_lock<std::mutex> turn(store_.turn_);
        std::uint64_t id = store_.last_id_;
        for (std::size_t i = 0; i < count; ++i) {
            last_unique_.swap(keys_.unique);
            keys_.set_unique(entries[i]);
            // Entries of a batch come in order, so that there are no two of one key in it.
            if (i > 0 && keys_.unique <= last_unique_)
                throw std::runtime_error("batch is not in order");
            if (store_.kv_->has(Tree::unique, keys_.unique))
                throw std::runtime_error("duplicate");
            keys_.set_others(entries[i], ++id);
            set_record(record_, entries[i]);
            writing_->put(Tree::entries, keys_.entry, record_);
            writing_->put(Tree::unique, keys_.unique, keys_.entry);
            writing_->put(Tree::timestamp, keys_.timestamp, {});
            writing_->put(Tree::node, keys_.node, {});
            writing_->put(Tree::confidence, keys_.confidence, {});
        }
        writing_->write();
        store_.last_id_ = id;
        if (store_.sync_ == Sync::every_append) {
            store_.synced_.wrote(id);
            turn.unlock();
            store_.synced_.wait_for(id, [&] { store_.kv_->sync(); });
        }
        return static_cast<std::int64_t>(id);
    }

    KeyValueStore &store_;
    std::unique_ptr<KeyValue::Writing> writing_;
    std::unique_ptr<KeyValue::Reading> reading_;
    Keys keys_;
    std::string record_, last_unique_;
};

inline std::unique_ptr<Session> KeyValueStore::session() {
    return std::make_unique<KeyValueSession>(*this);
}

} // namespace bench
