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
 * Who owns what. Ledger, Config, Query, Features, Transaction and Entries own one object each, and
 * can be moved but not copied. Entries and Entry outlive the ledger they came from. EntryView,
 * Columns, Span, and every std::string_view that is returned, is borrowed and lives as long as the
 * object it was asked from; an Entry made from an EntryView stays. Texts passed in are needed only
 * during the call. A Ledger that was moved from is closed: its calls throw
 * SIMLEDGER_INVALID_ARGUMENT; so do those of a Config, a Query, Features, a Watch and a
 * Transaction.
 *
 * Which status becomes what. SIMLEDGER_OK is the return value. SIMLEDGER_NOT_FOUND is an empty
 * std::optional, SIMLEDGER_TIMEOUT a result without entries. Every other status is thrown as Error.
 * Destructors never throw.
 *
 * Threads. A Ledger may be used by any number of threads at once, but not while it is moved from or
 * destroyed. Entries and Entry may be read by several threads at once. A Config, a Query, Features
 * and a Transaction are for one thread at a time.
 *
 * Exceptions from a log callback cannot pass through the library, which is not C++. They are kept,
 * and thrown when the call that the callback ran in returns: that call has done its work all the
 * same. If it failed, its Error comes first and the callback's exception with the next call. An
 * exception from a progress callback ends the integrity check, and comes out of it. */
#ifndef SIMLEDGER_HPP
#define SIMLEDGER_HPP

#include "simledger.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
#include <type_traits>
#include <utility>
#include <vector>

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

/* Makes a call that gives a text: `function` gets a char **, a std::size_t * and a simledger_error
 * ** and returns a status. Empty for SIMLEDGER_NOT_FOUND. */
template <typename Function>
std::optional<std::string> run_for_text(Log *log, Function &&function) {
    std::unique_ptr<char, void (*)(char *)> text(nullptr,
                                                 [](char *ended) { simledger_string_free(ended); });
    std::size_t len = 0;
    const simledger_status status = run(log, [&](simledger_error **error) {
        char *owned = nullptr;
        const simledger_status got = function(&owned, &len, error);
        text.reset(owned);
        return got;
    });
    if (status != SIMLEDGER_OK)
        return std::nullopt;
    return std::string(text.get(), len);
}

/* A progress callback, and what it threw. */
class Progress {
  public:
    explicit Progress(const std::function<bool(double)> &callback) : callback_(callback) {}

    /* What the library calls. `user_data` is a Progress. Nothing may be thrown out. */
    static std::int32_t receive(double part, void *user_data) noexcept {
        Progress &progress = *static_cast<Progress *>(user_data);
        if (progress.thrown)
            return 1;
        try {
            return progress.callback_(part) ? 0 : 1;
        } catch (...) {
            progress.thrown = std::current_exception();
            return 1;
        }
    }

    std::exception_ptr thrown;

  private:
    const std::function<bool(double)> &callback_;
};

} // namespace detail

/* A configuration key; simledger_config_set says more of each. */
struct ConfigKey {
    std::string_view name;
    std::string_view default_value;
    std::string_view range; /* what its values may be */
    std::string_view doc;   /* what it is for */
};

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

    /* The section `database:` of a YAML file. What is set by key, or in the environment, wins. */
    Config &load_file(std::string_view path) {
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_config_load_file(config_.get(), detail::text(path), path.size(),
                                              error);
        });
        return *this;
    }
    /* SIMLEDGER_TIMEOUT and the like. Not while another thread changes the environment. */
    Config &load_environment() {
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_config_load_environment(config_.get(), error);
        });
        return *this;
    }

    /* The value that a key, or "profile", has with all layers put together. */
    std::string get(std::string_view key) const {
        return *detail::run_for_text(
            nullptr, [&](char **value, std::size_t *len, simledger_error **error) {
                return simledger_config_get(config_.get(), detail::text(key), key.size(), value,
                                            len, error);
            });
    }

    /* All keys that there are. */
    static std::vector<ConfigKey> keys() {
        std::vector<ConfigKey> keys(simledger_config_key_count());
        for (std::size_t i = 0; i < keys.size(); i++) {
            keys[i] = {simledger_config_key_name(i), simledger_config_key_default(i),
                       simledger_config_key_range(i), simledger_config_key_doc(i)};
        }
        return keys;
    }

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

    /* Keeps up to `lines_max` lines of this level, and graver ones, for Ledger::next_log_line; 0
     * keeps none. The log callback gets them all the same. */
    Config &log_queue(LogLevel level, std::size_t lines_max) {
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_config_set_log_queue(config_.get(), static_cast<std::int32_t>(level),
                                                  lines_max, error);
        });
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

/* An entry to append. `features_json` is an object or an array: a text, or Features. */
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

/* Makes the JSON of features from keys and values; converts to its text where that is wanted:
 *
 *     ledger.append({now, "node-7", features.clear().set("rate", 910), 0.93}); */
class Features {
  public:
    Features() : features_(simledger_features_new()) {
        if (!features_)
            throw std::bad_alloc();
    }

    /* Each sets a key, or its new value. Numbers must be finite; integers stay exact. */
    template <typename Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
    Features &set(std::string_view key, Number value) {
        if constexpr (std::is_same_v<Number, bool>) {
            return set_with(&simledger_features_set_boolean, key, value);
        } else if constexpr (std::is_floating_point_v<Number>) {
            return set_with(&simledger_features_set_number, key, static_cast<double>(value));
        } else {
            if (std::is_unsigned_v<Number> && static_cast<std::uint64_t>(value) > INT64_MAX)
                return set_json(key, std::to_string(value));
            return set_with(&simledger_features_set_integer, key, static_cast<std::int64_t>(value));
        }
    }
    Features &set(std::string_view key, std::string_view value) {
        return set_with(&simledger_features_set_text, key, detail::text(value), value.size());
    }
    Features &set(std::string_view key, const double *values, std::size_t len) {
        return set_with(&simledger_features_set_numbers, key, values, len);
    }
    Features &set(std::string_view key, const std::vector<double> &values) {
        return set(key, values.data(), values.size());
    }
    /* Whole numbers, such as ids. Of another name, so that `{1, 2}` is a list of doubles. */
    Features &set_integers(std::string_view key, const std::int64_t *values, std::size_t len) {
        return set_with(&simledger_features_set_integers, key, values, len);
    }
    Features &set_integers(std::string_view key, const std::vector<std::int64_t> &values) {
        return set_integers(key, values.data(), values.size());
    }
    /* Sets a key to any JSON: an object or an array inside, null. */
    Features &set_json(std::string_view key, std::string_view json) {
        return set_with(&simledger_features_set_json, key, detail::text(json), json.size());
    }
    /* Takes all keys away. */
    Features &clear() noexcept {
        simledger_features_clear(features_.get());
        return *this;
    }

    /* "{}" without keys. Lives until the features are changed. */
    std::string_view json() const noexcept {
        std::size_t len = 0;
        const char *json = simledger_features_json(features_.get(), &len);
        return {json, len};
    }
    operator std::string_view() const noexcept { return json(); }

    /* For calls that this layer does not have. */
    simledger_features *get() const noexcept { return features_.get(); }

  private:
    template <typename Function, typename... Value>
    Features &set_with(Function *function, std::string_view key, Value... value) {
        detail::run(nullptr, [&](simledger_error **error) {
            return function(features_.get(), detail::text(key), key.size(), value..., error);
        });
        return *this;
    }

    struct Free {
        void operator()(simledger_features *features) const noexcept {
            simledger_features_free(features);
        }
    };
    std::unique_ptr<simledger_features, Free> features_;
};

/* What a value inside the features is. */
enum class FeatureType : std::int32_t {
    null = SIMLEDGER_TYPE_NULL,
    boolean = SIMLEDGER_TYPE_BOOLEAN,
    number = SIMLEDGER_TYPE_NUMBER,
    string = SIMLEDGER_TYPE_STRING,
    array = SIMLEDGER_TYPE_ARRAY,
    object = SIMLEDGER_TYPE_OBJECT,
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

    /* A value inside the features, by a JSON Pointer such as "/values/0"; "" is the features
     * themselves. Empty where the pointer leads nowhere; of another type it is an Error. */
    std::optional<FeatureType> feature_type(std::string_view pointer) const {
        const auto type = feature<std::int32_t>(&simledger_entry_feature_type, pointer);
        return type ? std::optional<FeatureType>(static_cast<FeatureType>(*type)) : std::nullopt;
    }
    std::optional<double> feature_number(std::string_view pointer) const {
        return feature<double>(&simledger_entry_feature_number, pointer);
    }
    /* Exactly; 3.0 is one too, 3.5 an Error. */
    std::optional<std::int64_t> feature_integer(std::string_view pointer) const {
        return feature<std::int64_t>(&simledger_entry_feature_integer, pointer);
    }
    std::optional<bool> feature_boolean(std::string_view pointer) const {
        return feature<bool>(&simledger_entry_feature_boolean, pointer);
    }
    std::optional<std::string> feature_text(std::string_view pointer) const {
        return text_of(&simledger_entry_feature_text, pointer);
    }
    /* Whatever it is, as JSON. */
    std::optional<std::string> feature_json(std::string_view pointer) const {
        return text_of(&simledger_entry_feature_json, pointer);
    }
    std::optional<std::size_t> feature_array_len(std::string_view pointer) const {
        return feature<std::size_t>(&simledger_entry_feature_array_len, pointer);
    }
    /* The numbers of an array into one's own, which has room for `values_max`; how many there are.
     * More of them are SIMLEDGER_LIMIT_EXCEEDED. */
    std::optional<std::size_t> feature_numbers(std::string_view pointer, double *values,
                                               std::size_t values_max) const {
        return feature<std::size_t>(
            [&](const simledger_entry *entry, const char *text, std::size_t text_len,
                std::size_t *len, simledger_error **error) {
                return simledger_entry_feature_numbers(entry, text, text_len, values, values_max,
                                                       len, error);
            },
            pointer);
    }
    std::optional<std::vector<double>> feature_numbers(std::string_view pointer) const {
        const auto len = feature_array_len(pointer);
        if (!len)
            return std::nullopt;
        std::vector<double> values(*len);
        feature_numbers(pointer, values.data(), values.size());
        return values;
    }

    /* Borrowed; nullptr for a view of nothing, whose fields are 0 and "". */
    const simledger_entry *get() const noexcept { return entry_; }

  protected:
    const simledger_entry *entry_ = nullptr;

  private:
    template <typename Value, typename Function>
    std::optional<Value> feature(Function &&function, std::string_view pointer) const {
        Value value{};
        const simledger_status status = detail::run(nullptr, [&](simledger_error **error) {
            return function(entry_, detail::text(pointer), pointer.size(), &value, error);
        });
        return status == SIMLEDGER_OK ? std::optional<Value>(value) : std::nullopt;
    }
    template <typename Function>
    std::optional<std::string> text_of(Function *function, std::string_view pointer) const {
        return detail::run_for_text(
            nullptr, [&](char **text, std::size_t *len, simledger_error **error) {
                return function(entry_, detail::text(pointer), pointer.size(), text, len, error);
            });
    }
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

/* Values that stand behind one another and belong to something else, as std::span of C++20 is. */
template <typename Value> class Span {
  public:
    using value_type = Value;

    Span() noexcept = default;
    Span(const Value *data, std::size_t size) noexcept : data_(data), size_(size) {}

    const Value *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const Value *begin() const noexcept { return data_; }
    const Value *end() const noexcept { return data_ + size_; }
    const Value &operator[](std::size_t index) const noexcept { return data_[index]; }

  private:
    const Value *data_ = nullptr;
    std::size_t size_ = 0;
};

/* Some entries of a result that follow one another, column by column: size() values in each. */
class Columns {
  public:
    explicit Columns(const simledger_columns &columns) noexcept : columns_(columns) {}

    std::size_t size() const noexcept { return columns_.len; }
    Span<std::int64_t> ids() const noexcept { return {columns_.ids, size()}; }
    Span<double> timestamps() const noexcept { return {columns_.timestamps, size()}; }
    Span<double> confidences() const noexcept { return {columns_.confidences, size()}; }
    Span<double> created_at() const noexcept { return {columns_.created_at, size()}; }
    /* Of one entry; `index` must be below size(). */
    std::string_view node_id(std::size_t index) const noexcept {
        return {columns_.text + columns_.node_id_offsets[index], columns_.node_id_lengths[index]};
    }
    std::string_view features_json(std::size_t index) const noexcept {
        return {columns_.text + columns_.features_offsets[index], columns_.features_lengths[index]};
    }

    /* With the offsets and lengths of the texts. */
    const simledger_columns &get() const noexcept { return columns_; }

  private:
    simledger_columns columns_;
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

    /* The chunks of a result, each as its Columns. */
    class Chunks {
      public:
        class Iterator {
          public:
            using iterator_category = std::input_iterator_tag;
            using value_type = Columns;
            using difference_type = std::ptrdiff_t;
            using reference = Columns;
            using pointer = void;

            Iterator(const Entries &entries, std::size_t index) noexcept
                : entries_(&entries), index_(index) {}

            Columns operator*() const { return entries_->columns(index_); }
            Iterator &operator++() noexcept {
                ++index_;
                return *this;
            }
            Iterator operator++(int) noexcept {
                const Iterator before = *this;
                ++index_;
                return before;
            }
            friend bool operator==(Iterator a, Iterator b) noexcept { return a.index_ == b.index_; }
            friend bool operator!=(Iterator a, Iterator b) noexcept { return a.index_ != b.index_; }

          private:
            const Entries *entries_;
            std::size_t index_;
        };

        explicit Chunks(const Entries &entries) noexcept : entries_(entries) {}
        std::size_t size() const noexcept { return entries_.chunk_count(); }
        Iterator begin() const noexcept { return {entries_, 0}; }
        Iterator end() const noexcept { return {entries_, size()}; }

      private:
        const Entries &entries_;
    };

    Entries() noexcept = default;

    std::size_t size() const noexcept { return simledger_entries_len(entries_.get()); }
    bool empty() const noexcept { return size() == 0; }
    Iterator begin() const noexcept { return {entries_.get(), 0}; }
    Iterator end() const noexcept { return {entries_.get(), size()}; }

    /* A view of nothing where there is no such entry. Of a result that is about to end, as in
     * `ledger.read_all()[0]`, an entry of one's own. */
    EntryView operator[](std::size_t index) const &noexcept {
        return EntryView(simledger_entries_get(entries_.get(), index));
    }
    Entry operator[](std::size_t index) const &&noexcept { return Entry((*this)[index]); }

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

    /* The same entries as columns, chunk by chunk: for who computes with all of them.
     *
     *     for (const auto &columns : entries.chunks())
     *         for (double timestamp : columns.timestamps()) ... */
    Chunks chunks() const &noexcept { return Chunks(*this); }
    std::size_t chunk_count() const noexcept {
        return simledger_entries_chunk_count(entries_.get());
    }
    /* Throws Error where there is no such chunk. */
    Columns columns(std::size_t chunk) const & {
        simledger_columns columns{};
        columns.struct_size = sizeof columns;
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_entries_columns(entries_.get(), chunk, &columns, error);
        });
        return Columns(columns);
    }
    /* All fields of up to `views_max` entries, from the one at `first` on, with one call; how many
     * were filled. */
    std::size_t views(std::size_t first, simledger_entry_view *views,
                      std::size_t views_max) const & {
        if (views && views_max)
            views->struct_size = sizeof *views;
        std::size_t filled = 0;
        detail::run(nullptr, [&](simledger_error **error) {
            return simledger_entries_views(entries_.get(), first, views, views_max, &filled, error);
        });
        return filled;
    }
    /* What they lend would end with the result. */
    Chunks chunks() const && = delete;
    Columns columns(std::size_t) const && = delete;
    std::size_t views(std::size_t, simledger_entry_view *, std::size_t) const && = delete;

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

/* In which order a query gives entries. */
enum class Order : std::int32_t {
    id = SIMLEDGER_ORDER_ID, /* as they were appended */
    id_descending = SIMLEDGER_ORDER_ID_DESCENDING,
    time = SIMLEDGER_ORDER_TIME, /* oldest timestamp first */
    time_descending = SIMLEDGER_ORDER_TIME_DESCENDING,
};

/* Which entries to read: all conditions must hold. May be run any number of times. What its
 * functions give is the query itself, to go on with:
 *
 *     auto best = ledger.query(Query().exclude_node("node-7").min_confidence(0.9).limit(10)); */
class Query {
  public:
    Query() : query_(simledger_query_new()) {
        if (!query_)
            throw std::bad_alloc();
    }

    /* from <= timestamp < to; infinities leave a side open. */
    Query &time_range(double from, double to) {
        return change(&simledger_query_set_time_range, from, to);
    }
    /* first <= id <= last. */
    Query &id_range(std::int64_t first, std::int64_t last = INT64_MAX) {
        return change(&simledger_query_set_id_range, first, last);
    }
    /* This node, or one that was added before. */
    Query &add_node(std::string_view node_id) {
        return change(&simledger_query_add_node, detail::text(node_id), node_id.size());
    }
    /* All nodes but this one, and those that were left out before. */
    Query &exclude_node(std::string_view node_id) {
        return change(&simledger_query_exclude_node, detail::text(node_id), node_id.size());
    }
    Query &min_confidence(double min_confidence) {
        return change(&simledger_query_set_min_confidence, min_confidence);
    }
    Query &order(Order order) {
        return change(&simledger_query_set_order, static_cast<std::int32_t>(order));
    }
    Query &limit(std::size_t limit) { return change(&simledger_query_set_limit, limit); }
    /* Goes on behind an entry, in the order of the query: behind the last of a page. */
    Query &after(double timestamp, std::int64_t id) {
        return change(&simledger_query_set_after, timestamp, id);
    }
    Query &after(EntryView last) { return after(last.timestamp(), last.id()); }

    /* For calls that this layer does not have. */
    const simledger_query *get() const noexcept { return query_.get(); }

  private:
    template <typename Function, typename... Arguments>
    Query &change(Function *function, Arguments... arguments) {
        detail::run(nullptr, [&](simledger_error **error) {
            return function(query_.get(), arguments..., error);
        });
        return *this;
    }

    struct Free {
        void operator()(simledger_query *query) const noexcept { simledger_query_free(query); }
    };
    std::unique_ptr<simledger_query, Free> query_;
};

/* Entries that are collected and then written together, all or none; Ledger::transaction begins
 * one. Holds nothing of the ledger. One that ends without commit() wrote nothing. */
class Transaction {
  public:
    /* Each gives which entry of the transaction it is, counted from 0. */
    std::size_t append(const NewEntry &entry) {
        return add([&](std::size_t *index, simledger_error **error) {
            return simledger_transaction_append(
                handle_.get(), entry.timestamp, detail::text(entry.node_id), entry.node_id.size(),
                detail::text(entry.features_json), entry.features_json.size(), entry.confidence,
                index, error);
        });
    }
    std::size_t append_json(std::string_view json) {
        return add([&](std::size_t *index, simledger_error **error) {
            return simledger_transaction_append_json(handle_.get(), detail::text(json), json.size(),
                                                     index, error);
        });
    }
    /* Lets commit() throw SIMLEDGER_CONFLICT if somebody appended since this was the last id. */
    Transaction &expect_last_id(std::int64_t id) {
        detail::run(log_.get(), [&](simledger_error **error) {
            return simledger_transaction_expect_last_id(handle_.get(), id, error);
        });
        return *this;
    }

    std::size_t size() const noexcept { return simledger_transaction_len(handle_.get()); }
    bool empty() const noexcept { return size() == 0; }

    /* Writes all entries, and ends the transaction: calls after that throw SIMLEDGER_CLOSED. If it
     * throws an Error, nothing was written, and it can be tried again. */
    Batch commit() {
        Batch batch{0, 0};
        detail::run(log_.get(), [&](simledger_error **error) {
            return simledger_transaction_commit(handle_.get(), &batch.first_id, &batch.count,
                                                error);
        });
        return batch;
    }

    /* For calls that this layer does not have. It stays this object's. */
    simledger_transaction *get() const noexcept { return handle_.get(); }

  private:
    friend class Ledger;

    explicit Transaction(std::shared_ptr<detail::Log> log) noexcept : log_(std::move(log)) {}

    template <typename Function> std::size_t add(Function &&function) {
        std::size_t index = 0;
        detail::run(log_.get(), [&](simledger_error **error) { return function(&index, error); });
        return index;
    }

    struct Free {
        void operator()(simledger_transaction *handle) const noexcept {
            simledger_transaction_free(handle);
        }
    };
    std::unique_ptr<simledger_transaction, Free> handle_;
    std::shared_ptr<detail::Log> log_;
};

/* A place in a ledger with a descriptor for event loops, which is readable while poll() would give
 * something; Ledger::watch makes one. */
class Watch {
  public:
    /* For epoll, poll() of POSIX and the like. Not to be read from, nor closed. */
    int descriptor() const {
        std::int32_t descriptor = -1;
        detail::run(log_.get(), [&](simledger_error **error) {
            return simledger_watch_descriptor(handle_.get(), &descriptor, error);
        });
        return descriptor;
    }
    /* What comes next, also nothing, at once. Throws SIMLEDGER_CLOSED when the ledger was closed.
     */
    Entries poll(std::size_t limit = no_limit) {
        Entries entries;
        detail::run(log_.get(), [&](simledger_error **error) {
            simledger_entries *owned = nullptr;
            const simledger_status status =
                simledger_watch_poll(handle_.get(), limit, &owned, error);
            entries = Entries::adopt(owned);
            return status;
        });
        return entries;
    }

    /* For calls that this layer does not have. It stays this object's. */
    simledger_watch *get() const noexcept { return handle_.get(); }

  private:
    friend class Ledger;

    explicit Watch(std::shared_ptr<detail::Log> log) noexcept : log_(std::move(log)) {}

    struct Close {
        void operator()(simledger_watch *handle) const noexcept {
            simledger_watch_close(handle, nullptr);
        }
    };
    std::unique_ptr<simledger_watch, Close> handle_;
    std::shared_ptr<detail::Log> log_;
};

/* How to give the space of deleted entries back. */
enum class Vacuum : std::int32_t {
    incremental = SIMLEDGER_VACUUM_INCREMENTAL, /* in steps between which others write */
    full = SIMLEDGER_VACUUM_FULL,               /* the whole file anew */
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

    /* Changes a configuration key of the open ledger; simledger_option_set says which can. */
    void set_option(std::string_view key, std::string_view value) {
        run([&](simledger_error **error) {
            return simledger_option_set(handle_, detail::text(key), key.size(), detail::text(value),
                                        value.size(), error);
        });
    }
    std::string option(std::string_view key) const {
        return text([&](char **value, std::size_t *len, simledger_error **error) {
            return simledger_option_get(handle_, detail::text(key), key.size(), value, len, error);
        });
    }
    /* Ends the calls that other threads have in flight: they throw SIMLEDGER_INTERRUPTED. */
    void interrupt() {
        run([&](simledger_error **error) { return simledger_interrupt(handle_, error); });
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
    /* An empty one. Must not be committed when this ledger is closed. */
    Transaction transaction() {
        Transaction transaction(log_);
        run([&](simledger_error **error) {
            simledger_transaction *begun = nullptr;
            const simledger_status status = simledger_transaction_begin(handle_, &begun, error);
            transaction.handle_.reset(begun);
            return status;
        });
        return transaction;
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
    /* The same, but only what passes a query, which also says how many. The position passes over
     * what does not. */
    Entries poll_query(const Query &query, std::int64_t last_seen_id) const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_query_poll(handle_, query.get(), last_seen_id, entries, error);
        });
    }
    /* What poll_since gives; where that is nothing, waits for it, at most this long (also
     * infinitely). Empty then, with a position to go on from. */
    Entries wait_since(std::int64_t last_seen_id, std::chrono::duration<double> timeout,
                       std::size_t limit = no_limit) const {
        return wait(last_seen_id, timeout, limit, nullptr);
    }
    /* The same for entries that pass a query. */
    Entries wait_query(const Query &query, std::int64_t last_seen_id,
                       std::chrono::duration<double> timeout, std::size_t limit = no_limit) const {
        return wait(last_seen_id, timeout, limit, query.get());
    }
    /* Something for an event loop to wait for, beginning behind this id. */
    Watch watch(std::int64_t last_seen_id) const { return watch(last_seen_id, nullptr); }
    Watch watch(std::int64_t last_seen_id, const Query &query) const {
        return watch(last_seen_id, query.get());
    }
    Entries query(const Query &query) const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_query_run(handle_, query.get(), entries, error);
        });
    }
    /* Which indexes a query uses, in SQLite's words: for people. */
    std::string query_plan(const Query &query) const {
        return text([&](char **plan, std::size_t *len, simledger_error **error) {
            return simledger_query_plan(handle_, query.get(), plan, len, error);
        });
    }
    /* One statement that reads, with its parameters as a JSON array or object, which Features can
     * make. Gives {"columns":[...],"rows":[[...],...],"truncated":false}. */
    std::string sql(std::string_view sql, std::string_view parameters_json = {},
                    std::size_t rows_max = no_limit) const {
        return text([&](char **json, std::size_t *len, simledger_error **error) {
            return simledger_sql(handle_, detail::text(sql), sql.size(),
                                 parameters_json.empty() ? nullptr : parameters_json.data(),
                                 parameters_json.size(), rows_max, json, len, error);
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

    /* Folds all that was appended before from the commit log into the ledger file, for other
     * programs. */
    void flush() {
        run([&](simledger_error **error) { return simledger_flush(handle_, error); });
    }

    /* Puts all of the WAL into the file itself: until the next append it can be copied alone. */
    void checkpoint() {
        run([&](simledger_error **error) { return simledger_checkpoint(handle_, error); });
    }
    /* Builds the indexes anew, after an integrity check found one damaged. */
    void reindex() {
        run([&](simledger_error **error) { return simledger_reindex(handle_, error); });
    }
    /* For the plans of sql(). */
    void optimize() {
        run([&](simledger_error **error) { return simledger_optimize(handle_, error); });
    }
    /* Gives the number of bytes given back to the file system. */
    std::int64_t vacuum(Vacuum how = Vacuum::incremental) {
        return number([&](simledger_ledger *handle, std::int64_t *freed, simledger_error **error) {
            return simledger_vacuum(handle, static_cast<std::int32_t>(how), freed, error);
        });
    }
    /* Reads the whole file and gives what is not as it should be; nothing if all is well. Calls
     * `progress` with the part that is done, from 0 to 1; if it returns false, this throws
     * SIMLEDGER_INTERRUPTED, and if it throws, the same. */
    std::vector<std::string>
    integrity_check(std::size_t findings_max = no_limit,
                    const std::function<bool(double part)> &progress = nullptr) const {
        detail::Progress receiver(progress);
        std::string lines;
        std::size_t count = 0;
        try {
            lines = text([&](char **findings, std::size_t *len, simledger_error **error) {
                const simledger_status status = simledger_integrity_check(
                    handle_, findings_max, progress ? &detail::Progress::receive : nullptr,
                    &receiver, findings, &count, error);
                *len = *findings ? std::strlen(*findings) : 0;
                return status;
            });
        } catch (const Error &) {
            if (receiver.thrown)
                std::rethrow_exception(receiver.thrown);
            throw;
        }
        std::vector<std::string> findings;
        findings.reserve(count);
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = std::min(lines.find('\n', at), lines.size());
            findings.push_back(lines.substr(at, end - at));
            at = end + 1;
        }
        return findings;
    }

    void invalidate_caches() {
        run([&](simledger_error **error) { return simledger_invalidate_caches(handle_, error); });
    }
    /* Seconds since the oldest thing in the caches was read; empty if they are. */
    std::optional<double> cache_age() const {
        return real([&](double *seconds, simledger_error **error) {
            return simledger_cache_age(handle_, seconds, error);
        });
    }
    /* Closes the connections that no call is using; they are opened again when needed. */
    void release_connections() {
        run([&](simledger_error **error) { return simledger_release_connections(handle_, error); });
    }

    /* A JSON object of numbers by name. */
    std::string metrics_json() const {
        return text([&](char **json, std::size_t *len, simledger_error **error) {
            return simledger_metrics_json(handle_, json, len, error);
        });
    }
    /* To be served as text/plain; version=0.0.4. */
    std::string metrics_prometheus() const {
        return text([&](char **prometheus, std::size_t *len, simledger_error **error) {
            return simledger_metrics_prometheus(handle_, prometheus, len, error);
        });
    }
    /* One of those numbers, such as "latency_seconds.append.p99"; empty where there is none. */
    std::optional<double> metric(std::string_view name) const {
        return real([&](double *value, simledger_error **error) {
            return simledger_metric_get(handle_, detail::text(name), name.size(), value, error);
        });
    }

    /* Takes the oldest line out of the queue of Config::log_queue; empty if there is none. */
    std::optional<std::pair<LogLevel, std::string>> next_log_line() {
        std::int32_t level = 0;
        auto message = detail::run_for_text(
            log_.get(), [&](char **line, std::size_t *len, simledger_error **error) {
                return simledger_log_next(handle_, &level, line, len, error);
            });
        if (!message)
            return std::nullopt;
        return std::pair(static_cast<LogLevel>(level), std::move(*message));
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
    Entries wait(std::int64_t last_seen_id, std::chrono::duration<double> timeout,
                 std::size_t limit, const simledger_query *filter) const {
        return read([&](simledger_entries **entries, simledger_error **error) {
            return simledger_wait_since(handle_, last_seen_id, limit, timeout.count(), filter,
                                        entries, error);
        });
    }
    Watch watch(std::int64_t last_seen_id, const simledger_query *filter) const {
        Watch watch(log_);
        run([&](simledger_error **error) {
            simledger_watch *opened = nullptr;
            const simledger_status status =
                simledger_watch_open(handle_, last_seen_id, filter, &opened, error);
            watch.handle_.reset(opened);
            return status;
        });
        return watch;
    }
    template <typename Function> std::string text(Function &&function) const {
        return *detail::run_for_text(log_.get(), std::forward<Function>(function));
    }
    template <typename Function> std::optional<double> real(Function &&function) const {
        double value = 0;
        const simledger_status status =
            run([&](simledger_error **error) { return function(&value, error); });
        return status == SIMLEDGER_OK ? std::optional<double>(value) : std::nullopt;
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
