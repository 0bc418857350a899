/* simledger for C++17: a thin layer over simledger.h that owns what is to be freed and throws what
 * failed. Header only; link the same library.
 *
 *     simledger::Ledger ledger{"run.db"};
 *     ledger.append({now, "node-7", R"({"rate":910})", 0.93});
 *     auto fresh = ledger.poll_since(last_seen);
 *     for (const auto &entry : fresh) react(entry.node_id(), entry.confidence());
 *     last_seen = fresh.position();
 *
 * simledger.h is the manual: what each call promises is said there, under the same name.
 *
 * Who owns what. Ledger, Config and Entries own one object each, and can be moved but not copied.
 * Entries and Entry outlive the ledger they came from. EntryView, and every std::string_view that
 * is returned, is borrowed and lives as long as the object it was asked from; an Entry made from an
 * EntryView stays. Texts passed in are needed only during the call. A Ledger that was moved from is
 * closed: its calls throw SIMLEDGER_INVALID_ARGUMENT.
 *
 * Which status becomes what. SIMLEDGER_OK is the return value. SIMLEDGER_NOT_FOUND is an empty
 * std::optional. Every other status is thrown as Error. Destructors never throw.
 *
 * Threads. A Ledger may be used by any number of threads at once, but not while it is moved from or
 * destroyed. Entries and Entry may be read by several threads at once. A Config is for one thread
 * at a time.
 *
 * Exceptions from a log callback cannot pass through the library, which is not C++. They are kept,
 * and thrown when the call that the callback ran in returns: that call has done its work all the
 * same. If it failed, its Error comes first and the callback's exception with the next call. */
#ifndef SIMLEDGER_HPP
#define SIMLEDGER_HPP

#include "simledger.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace simledger {

/* No limit to the number of entries that a read gives. */
inline constexpr std::size_t no_limit = SIMLEDGER_NO_LIMIT;

/* A call that failed: what() is a message to act on, the rest is for programs. */
class Error : public std::runtime_error {
  public:
    Error(simledger_status status, const simledger_error *error)
        : std::runtime_error(error ? simledger_error_message(error)
                                   : simledger_status_description(status)),
          status_(status), field_(std::make_shared<std::string>(simledger_error_field(error))),
          index_(simledger_error_index(error)), entry_id_(simledger_error_entry_id(error)),
          work_done_(simledger_error_work_done(error)),
          sqlite_code_(simledger_error_sqlite_code(error)),
          retryable_(simledger_error_retryable(error)) {}

    /* One of SIMLEDGER_DUPLICATE, SIMLEDGER_BUSY, ... */
    simledger_status status() const noexcept { return status_; }
    /* The argument, JSON field or configuration key at fault; "" where there is none. */
    const std::string &field() const noexcept { return *field_; }
    /* Which entry of a batch is at fault. */
    std::optional<std::size_t> index() const noexcept {
        return index_ == SIMLEDGER_NO_INDEX ? std::nullopt : std::optional<std::size_t>(index_);
    }
    /* The entry that is there already (SIMLEDGER_DUPLICATE) or is damaged; 0 where there is none.
     */
    std::int64_t entry_id() const noexcept { return entry_id_; }
    /* Entries that a cleanup had deleted before it failed. */
    std::int64_t work_done() const noexcept { return work_done_; }
    /* SQLite's extended result code; 0 where SQLite had no part in it. */
    std::int32_t sqlite_code() const noexcept { return sqlite_code_; }
    /* Whether the same call may succeed later. */
    bool retryable() const noexcept { return retryable_; }

  private:
    simledger_status status_;
    std::shared_ptr<const std::string> field_; /* shared: copying an exception must not throw */
    std::size_t index_;
    std::int64_t entry_id_;
    std::int64_t work_done_;
    std::int32_t sqlite_code_;
    bool retryable_;
};

/* How grave a line of the log is. */
enum class LogLevel : std::int32_t {
    error = SIMLEDGER_LOG_ERROR,
    warn = SIMLEDGER_LOG_WARN,
    info = SIMLEDGER_LOG_INFO,
    debug = SIMLEDGER_LOG_DEBUG,
};

/* Receives the lines of a log, on any thread that calls the ledger. May throw. */
using LogCallback = std::function<void(LogLevel level, std::string_view message)>;

namespace detail {

/* A string_view without text has no address, but C wants one. */
inline const char *text(std::string_view view) noexcept { return view.data() ? view.data() : ""; }

[[noreturn]] inline void fail(simledger_status status, simledger_error *error) {
    const std::unique_ptr<simledger_error, void (*)(simledger_error *)> owned(
        error, [](simledger_error *ended) { simledger_error_free(ended); });
    throw Error(status, owned.get());
}

inline bool failed(simledger_status status) noexcept {
    return status != SIMLEDGER_OK && status != SIMLEDGER_NOT_FOUND && status != SIMLEDGER_TIMEOUT;
}

/* A call into the library that this thread is in, and what a callback inside it threw. Calls nest:
 * a callback may call the library. */
class Call {
  public:
    Call() noexcept : outer_(std::exchange(current(), this)) {}
    ~Call() { current() = outer_; }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    /* The innermost call of this thread, or nullptr. */
    static Call *&current() noexcept {
        static thread_local Call *call = nullptr;
        return call;
    }

    std::exception_ptr thrown;

  private:
    Call *outer_;
};

/* A log callback, and what it threw that no call could throw yet. Owned by the configuration and by
 * the ledgers opened with it. */
class Log {
  public:
    explicit Log(LogCallback callback) : callback_(std::move(callback)) {}

    /* What the library calls. `user_data` is a std::shared_ptr<Log>. Nothing may be thrown out. */
    static void receive(std::int32_t level, const char *message, std::size_t message_len,
                        void *user_data) noexcept {
        Log &log = **static_cast<std::shared_ptr<Log> *>(user_data);
        try {
            log.callback_(static_cast<LogLevel>(level), {message, message_len});
        } catch (...) {
            Call *call = Call::current();
            if (call == nullptr) {
                log.keep(std::current_exception());
            } else if (!call->thrown) {
                call->thrown = std::current_exception();
            }
        }
    }

    static void drop(void *user_data) noexcept {
        delete static_cast<std::shared_ptr<Log> *>(user_data);
    }

    /* Keeps an exception for the next call; of several the first. */
    void keep(std::exception_ptr thrown) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!kept_)
            kept_ = std::move(thrown);
        keeps_.store(true, std::memory_order_relaxed);
    }

    std::exception_ptr take() {
        if (!keeps_.load(std::memory_order_relaxed))
            return nullptr;
        const std::lock_guard<std::mutex> lock(mutex_);
        keeps_.store(false, std::memory_order_relaxed);
        return std::exchange(kept_, nullptr);
    }

  private:
    LogCallback callback_;
    std::mutex mutex_; /* guards kept_ */
    std::exception_ptr kept_;
    std::atomic<bool> keeps_{false}; /* spares most calls the mutex */
};

/* Makes a call: `function` gets a simledger_error ** and returns a status. Throws what failed, else
 * what a callback threw; otherwise gives SIMLEDGER_OK or SIMLEDGER_NOT_FOUND. What the call gives
 * must have its owner before this throws. */
template <typename Function> simledger_status run(Log *log, Function &&function) {
    Call call;
    simledger_error *error = nullptr;
    const simledger_status status = function(&error);
    if (failed(status)) {
        if (log && call.thrown)
            log->keep(call.thrown);
        fail(status, error);
    }
    if (!call.thrown && log)
        call.thrown = log->take();
    if (call.thrown)
        std::rethrow_exception(call.thrown);
    return status;
}

} // namespace detail

/* How to open a ledger. One configuration may open any number of ledgers, and is not needed after
 * that. */
class Config {
  public:
    Config() : config_(simledger_config_new()) {
        if (!config_)
            throw std::bad_alloc();
    }
    explicit Config(std::string_view path) : Config() { set("path", path); }

    /* Sets a key; simledger_config_set lists them. Throws Error for unknown keys and bad values. */
    Config &set(std::string_view key, std::string_view value) {
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_config_set(config_.get(), detail::text(key), key.size(),
                                        detail::text(value), value.size(), error);
        });
        return *this;
    }
    Config &path(std::string_view path) { return set("path", path); }
    /* "default", "high_throughput" or "low_latency". What is set by key wins over it. */
    Config &profile(std::string_view name) { return set("profile", name); }

    /* Sends lines of this level, and graver ones, to `callback`; an empty one ends the log. It is
     * called at the end of calls on the ledger, on the calling thread, and by several at once if
     * several use the ledger. It may call the library, but not close this ledger. */
    Config &log(LogLevel level, LogCallback callback) {
        auto log = callback ? std::make_shared<detail::Log>(std::move(callback)) : nullptr;
        auto user_data = log ? std::make_unique<std::shared_ptr<detail::Log>>(log) : nullptr;
        detail::run(nullptr, [&](simledger_error **error) {
            const simledger_status status =
                simledger_config_set_log(config_.get(), static_cast<std::int32_t>(level),
                                         log ? &detail::Log::receive : nullptr, user_data.get(),
                                         log ? &detail::Log::drop : nullptr, error);
            if (status == SIMLEDGER_OK)
                static_cast<void>(user_data.release());
            return status;
        });
        log_ = std::move(log);
        return *this;
    }

    /* For calls that this layer does not have. */
    const simledger_config *get() const noexcept { return config_.get(); }

  private:
    friend class Ledger;

    struct Free {
        void operator()(simledger_config *config) const noexcept { simledger_config_free(config); }
    };
    std::unique_ptr<simledger_config, Free> config_;
    std::shared_ptr<detail::Log> log_;
};

/* An entry to append. `features_json` is an object or an array. */
struct NewEntry {
    double timestamp;
    std::string_view node_id;
    std::string_view features_json;
    double confidence;
};

/* What became of a batch: `count` entries with ids from `first_id` on, without gaps. */
struct Batch {
    std::int64_t first_id;
    std::size_t count;
};

/* An entry that something else owns. Costs as much as a pointer. */
class EntryView {
  public:
    EntryView() noexcept = default;
    explicit EntryView(const simledger_entry *entry) noexcept : entry_(entry) {}

    std::int64_t id() const noexcept { return simledger_entry_id(entry_); }
    /* Seconds, Unix or simulated. */
    double timestamp() const noexcept { return simledger_entry_timestamp(entry_); }
    std::string_view node_id() const noexcept {
        std::size_t len = 0;
        const char *node_id = simledger_entry_node_id(entry_, &len);
        return {node_id, len};
    }
    std::string_view features_json() const noexcept {
        std::size_t len = 0;
        const char *json = simledger_entry_features_json(entry_, &len);
        return {json, len};
    }
    double confidence() const noexcept { return simledger_entry_confidence(entry_); }
    /* Unix seconds. */
    double created_at() const noexcept { return simledger_entry_created_at(entry_); }

    /* Borrowed; nullptr for a view of nothing, whose fields are 0 and "". */
    const simledger_entry *get() const noexcept { return entry_; }

  protected:
    const simledger_entry *entry_ = nullptr;
};

/* An entry of one's own. Copies share it. As an EntryView it is borrowed. */
class Entry : public EntryView {
  public:
    Entry() noexcept = default;
    explicit Entry(EntryView view) noexcept : EntryView(simledger_entry_retain(view.get())) {}
    Entry(const Entry &other) noexcept : Entry(EntryView(other)) {}
    Entry(Entry &&other) noexcept : EntryView(std::exchange(other.entry_, nullptr)) {}
    Entry &operator=(Entry other) noexcept {
        std::swap(entry_, other.entry_);
        return *this;
    }
    ~Entry() { simledger_entry_free(const_cast<simledger_entry *>(entry_)); }

    /* Takes an entry that C gave with ownership. */
    static Entry adopt(simledger_entry *owned) noexcept {
        Entry entry;
        entry.entry_ = owned;
        return entry;
    }
};

/* Entries that a read gave, in order. */
class Entries {
  public:
    /* Like that of std::vector<bool>: all that a random access iterator can, but what it points at
     * is a value, an EntryView. */
    class Iterator {
      public:
        using iterator_category = std::random_access_iterator_tag;
        using value_type = EntryView;
        using difference_type = std::ptrdiff_t;
        using reference = EntryView;
        struct pointer {
            EntryView view;
            const EntryView *operator->() const noexcept { return &view; }
        };

        Iterator() noexcept = default;
        Iterator(const simledger_entries *entries, std::size_t index) noexcept
            : entries_(entries), index_(static_cast<difference_type>(index)) {}

        EntryView operator*() const noexcept { return (*this)[0]; }
        pointer operator->() const noexcept { return {**this}; }
        EntryView operator[](difference_type n) const noexcept {
            return EntryView(simledger_entries_get(entries_, static_cast<std::size_t>(index_ + n)));
        }

        Iterator &operator+=(difference_type n) noexcept {
            index_ += n;
            return *this;
        }
        Iterator &operator-=(difference_type n) noexcept { return *this += -n; }
        Iterator &operator++() noexcept { return *this += 1; }
        Iterator &operator--() noexcept { return *this -= 1; }
        Iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
        Iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }

        friend Iterator operator+(Iterator at, difference_type n) noexcept { return at += n; }
        friend Iterator operator+(difference_type n, Iterator at) noexcept { return at += n; }
        friend Iterator operator-(Iterator at, difference_type n) noexcept { return at -= n; }
        friend difference_type operator-(Iterator a, Iterator b) noexcept {
            return a.index_ - b.index_;
        }
        friend bool operator==(Iterator a, Iterator b) noexcept { return a.index_ == b.index_; }
        friend bool operator!=(Iterator a, Iterator b) noexcept { return a.index_ != b.index_; }
        friend bool operator<(Iterator a, Iterator b) noexcept { return a.index_ < b.index_; }
        friend bool operator>(Iterator a, Iterator b) noexcept { return a.index_ > b.index_; }
        friend bool operator<=(Iterator a, Iterator b) noexcept { return a.index_ <= b.index_; }
        friend bool operator>=(Iterator a, Iterator b) noexcept { return a.index_ >= b.index_; }

      private:
        const simledger_entries *entries_ = nullptr;
        difference_type index_ = 0;
    };
    using iterator = Iterator;
    using const_iterator = Iterator;
    using value_type = EntryView;
    using size_type = std::size_t;

    Entries() noexcept = default;

    std::size_t size() const noexcept { return simledger_entries_len(entries_.get()); }
    bool empty() const noexcept { return size() == 0; }
    Iterator begin() const noexcept { return {entries_.get(), 0}; }
    Iterator end() const noexcept { return {entries_.get(), size()}; }

    /* A view of nothing where there is no such entry. Of a result that is about to end, as in
     * `ledger.read_all()[0]`, an entry of one's own. */
    EntryView operator[](std::size_t index) const & noexcept {
        return EntryView(simledger_entries_get(entries_.get(), index));
    }
    Entry operator[](std::size_t index) const && noexcept { return Entry((*this)[index]); }

    /* The same; throws std::out_of_range where there is no such entry. */
    EntryView at(std::size_t index) const & {
        const EntryView view = (*this)[index];
        if (!view.get()) {
            throw std::out_of_range("entry " + std::to_string(index) + " of " +
                                    std::to_string(size()));
        }
        return view;
    }
    Entry at(std::size_t index) const && { return Entry(at(index)); }

    /* The id to poll from next. */
    std::int64_t position() const noexcept { return simledger_entries_position(entries_.get()); }
    /* Not 0 if cleanup removed entries after the id polled from: the largest id it ever removed. */
    std::int64_t gap_before() const noexcept {
        return simledger_entries_gap_before(entries_.get());
    }

    /* All entries as a JSON array, built at the first call. Throws std::bad_alloc. */
    std::string_view json() const & {
        if (!entries_)
            return "[]";
        std::size_t len = 0;
        const char *json = simledger_entries_json(entries_.get(), &len);
        if (!json)
            throw std::bad_alloc();
        return {json, len};
    }
    std::string json() const && { return std::string(json()); }

    /* For calls that this layer does not have. */
    const simledger_entries *get() const noexcept { return entries_.get(); }

    /* Takes a result that C gave. */
    static Entries adopt(simledger_entries *owned) noexcept {
        Entries entries;
        entries.entries_.reset(owned);
        return entries;
    }

  private:
    struct Free {
        void operator()(simledger_entries *entries) const noexcept {
            simledger_entries_free(entries);
        }
    };
    std::unique_ptr<simledger_entries, Free> entries_;
};

/* An open ledger. Every call throws Error, and what a log callback threw. */
class Ledger {
  public:
    /* Opens the file, and creates it if there is none; ":memory:" is a new ledger in memory. */
    explicit Ledger(std::string_view path) : Ledger() {
        run([&](simledger_error **error) {
            return simledger_open_path(detail::text(path), path.size(), &handle_, error);
        });
    }
    explicit Ledger(const Config &config) : Ledger() {
        /* For C that would mean the defaults, and so a file that nobody named. */
        if (!config.get())
            throw std::invalid_argument("the configuration was moved away");
        log_ = config.log_;
        run([&](simledger_error **error) { return simledger_open(config.get(), &handle_, error); });
    }

    Ledger(Ledger &&other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), log_(std::move(other.log_)) {}
    Ledger &operator=(Ledger other) noexcept {
        std::swap(handle_, other.handle_);
        std::swap(log_, other.log_);
        return *this;
    }
    /* Closes, and says nothing if that fails: who wants to know calls close() before. */
    ~Ledger() {
        detail::Call call; /* what a log callback throws ends here */
        simledger_close(handle_, nullptr);
    }

    /* Waits for the calls that other threads make, then closes. Any call after that, another
     * close() too, throws SIMLEDGER_CLOSED. */
    void close() {
        run([&](simledger_error **error) { return simledger_close(handle_, error); });
    }

    /* Gives the entry's id. When this returns, the entry is committed. */
    std::int64_t append(const NewEntry &entry) {
        std::int64_t id = 0;
        run([&](simledger_error **error) {
            return simledger_append(handle_, entry.timestamp, detail::text(entry.node_id),
                                    entry.node_id.size(), detail::text(entry.features_json),
                                    entry.features_json.size(), entry.confidence, &id, error);
        });
        return id;
    }
    std::int64_t append_json(std::string_view json) {
        std::int64_t id = 0;
        run([&](simledger_error **error) {
            return simledger_append_json(handle_, detail::text(json), json.size(), &id, error);
        });
        return id;
    }
    /* All entries of a JSON array or of JSON lines, or none. */
    Batch append_many_json(std::string_view json) {
        Batch batch{0, 0};
        run([&](simledger_error **error) {
            return simledger_append_many_json(handle_, detail::text(json), json.size(),
                                              &batch.first_id, &batch.count, error);
        });
        return batch;
    }
    /* Throws what append_json would throw for what is in the text. */
    void validate_json(std::string_view json) const {
        run([&](simledger_error **error) {
            return simledger_validate_json(handle_, detail::text(json), json.size(), error);
        });
    }

    /* Entries above `last_seen_id`, oldest first. Go on from the result's position(). */
    Entries poll_since(std::int64_t last_seen_id, std::size_t limit = no_limit) const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_poll_since(handle_, last_seen_id, limit, entries, error);
        });
    }
    Entries read_all() const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_read_all(handle_, entries, error);
        });
    }
    /* Newest timestamp first. */
    Entries read_by_node(std::string_view node_id, std::size_t limit = no_limit) const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_read_by_node(handle_, detail::text(node_id), node_id.size(), limit,
                                          entries, error);
        });
    }
    /* Empty if there is no entry with this id. */
    std::optional<Entry> get_by_id(std::int64_t id) const {
        Entry entry;
        const simledger_status status = run([&](simledger_error **error) {
            simledger_entry *owned = nullptr;
            const simledger_status got = simledger_get_by_id(handle_, id, &owned, error);
            entry = Entry::adopt(owned);
            return got;
        });
        return status == SIMLEDGER_OK ? std::optional<Entry>(std::move(entry)) : std::nullopt;
    }

    std::int64_t count() const { return number(&simledger_count); }
    /* 0 if the ledger is empty. */
    std::int64_t first_id() const { return number(&simledger_first_id); }
    /* Of the newest entry ever appended; 0 if there was none. */
    std::int64_t last_id() const { return number(&simledger_last_id); }

    /* Each gives the number of entries deleted; so does Error::work_done() if it fails on the way.
     */
    std::int64_t cleanup(double max_age_seconds) {
        return number(
            [&](simledger_ledger *handle, std::int64_t *deleted, simledger_error **error) {
                return simledger_cleanup(handle, max_age_seconds, deleted, error);
            });
    }
    std::int64_t cleanup_before_timestamp(double timestamp) {
        return number(
            [&](simledger_ledger *handle, std::int64_t *deleted, simledger_error **error) {
                return simledger_cleanup_before_timestamp(handle, timestamp, deleted, error);
            });
    }
    std::int64_t cleanup_before_id(std::int64_t id) {
        return number(
            [&](simledger_ledger *handle, std::int64_t *deleted, simledger_error **error) {
                return simledger_cleanup_before_id(handle, id, deleted, error);
            });
    }
    void invalidate_caches() {
        run([&](simledger_error **error) { return simledger_invalidate_caches(handle_, error); });
    }

    /* A JSON object of numbers by name. */
    std::string metrics_json() const {
        std::unique_ptr<char, void (*)(char *)> json(
            nullptr, [](char *string) { simledger_string_free(string); });
        std::size_t len = 0;
        run([&](simledger_error **error) {
            char *owned = nullptr;
            const simledger_status status = simledger_metrics_json(handle_, &owned, &len, error);
            json.reset(owned);
            return status;
        });
        return {json.get(), len};
    }

    /* For calls that this layer does not have. It stays this object's. */
    simledger_ledger *get() const noexcept { return handle_; }

  private:
    /* The public constructors begin with this one: then the destructor runs, and closes, also when
     * opening succeeded and a log callback threw. */
    Ledger() noexcept = default;

    template <typename Function> simledger_status run(Function &&function) const {
        return detail::run(log_.get(), std::forward<Function>(function));
    }
    template <typename Function> Entries read(Function &&function) const {
        Entries entries;
        run([&](simledger_error **error) {
            simledger_entries *owned = nullptr;
            const simledger_status status = function(&owned, error);
            entries = Entries::adopt(owned);
            return status;
        });
        return entries;
    }
    template <typename Function> std::int64_t number(Function &&function) const {
        std::int64_t result = 0;
        run([&](simledger_error **error) { return function(handle_, &result, error); });
        return result;
    }

    simledger_ledger *handle_ = nullptr;
    std::shared_ptr<detail::Log> log_;
};

/* Checks the JSON of an entry against the default limits, without a ledger. */
inline void validate_json(std::string_view json) {
    detail::run(nullptr, [&](simledger_error **error) {
        return simledger_validate_json(nullptr, detail::text(json), json.size(), error);
    });
}

/* Closes every ledger of this process, those of other libraries too. Ledger objects stay, and their
 * calls throw SIMLEDGER_CLOSED. */
inline void shutdown() {
    detail::run(nullptr, [](simledger_error **error) { return simledger_shutdown(error); });
}

} // namespace simledger

#endif /* SIMLEDGER_HPP */
