// simledger.hpp: ledgers, entries, errors and logs. The rest has files of its own beside this one.
#include "check.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

// Counts what this program allocates through C++; the library's own allocations are not among it.
// Never inlined, or GCC would see half of a pair and warn.
static std::atomic<std::size_t> allocations{0};

[[gnu::noinline]] void *operator new(std::size_t size) {
    ++allocations;
    if (void *block = std::malloc(size ? size : 1))
        return block;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void *block, std::size_t) noexcept { std::free(block); }

namespace {

// --- What is what ---

static_assert(std::is_nothrow_move_constructible_v<Ledger> &&
              !std::is_copy_constructible_v<Ledger>);
static_assert(std::is_nothrow_move_assignable_v<Ledger> && !std::is_copy_assignable_v<Ledger>);
static_assert(std::is_nothrow_move_constructible_v<Entries> &&
              !std::is_copy_constructible_v<Entries>);
static_assert(std::is_nothrow_move_constructible_v<Config> &&
              !std::is_copy_constructible_v<Config>);
static_assert(std::is_nothrow_move_constructible_v<Entry> && std::is_copy_constructible_v<Entry>);
static_assert(std::is_trivially_copyable_v<EntryView> && sizeof(EntryView) == sizeof(void *));
static_assert(std::is_nothrow_copy_constructible_v<Error>);
static_assert(std::is_base_of_v<std::runtime_error, Error>);
static_assert(std::is_same_v<std::iterator_traits<Entries::iterator>::iterator_category,
                             std::random_access_iterator_tag>);
static_assert(!std::is_convertible_v<std::string_view, Ledger>);
static_assert(simledger::no_limit == SIMLEDGER_NO_LIMIT);

// --- Writing and reading ---

void entries_come_out_as_they_went_in() {
    Ledger ledger = in_memory();
    CHECK(ledger.append({1.5, "node-7", R"({ "rate" : 910 })", 0.93}) == 1);
    CHECK(ledger.append_json(R"({"timestamp":2,"node_id":"n","features":[1],"confidence":1})") ==
          2);
    const simledger::Batch batch = ledger.append_many_json(
        R"([{"timestamp":3,"node_id":"n","features":{},"confidence":0},
            {"timestamp":4,"node_id":"n","features":{},"confidence":0}])");
    CHECK(batch.first_id == 3 && batch.count == 2);
    const simledger::Batch none = ledger.append_many_json("[]");
    CHECK(none.first_id == 0 && none.count == 0);
    CHECK(ledger.count() == 4 && ledger.first_id() == 1 && ledger.last_id() == 4);

    const Entries all = ledger.read_all();
    CHECK(all.size() == 4 && !all.empty() && all.position() == 4 && all.gap_before() == 0);
    const EntryView first = all[0];
    CHECK(first.id() == 1 && first.timestamp() == 1.5 && first.confidence() == 0.93);
    CHECK(first.node_id() == "node-7" && first.features_json() == R"({"rate":910})");
    CHECK(first.created_at() > 1.7e9);
    constexpr std::string_view start = R"([{"id":1,"timestamp":1.5,"node_id":"node-7",)";
    CHECK(all.json().substr(0, start.size()) == start);
    CHECK(all.json().data() == all.json().data()); // built once
    CHECK(ledger.read_all().json() == all.json()); // of a result that is about to end, a copy
}

void polls_pages_and_nodes() {
    Ledger ledger = in_memory(5);
    std::int64_t position = 0;
    std::vector<std::int64_t> seen;
    for (;;) {
        const Entries fresh = ledger.poll_since(position, 2);
        if (fresh.empty())
            break;
        for (const auto &entry : fresh)
            seen.push_back(entry.id());
        position = fresh.position();
    }
    CHECK((seen == std::vector<std::int64_t>{1, 2, 3, 4, 5}) && position == 5);
    CHECK(ledger.poll_since(0).size() == 5);
    const Entries odd = ledger.read_by_node("odd");
    CHECK(odd.size() == 3 && odd[0].id() == 5 && odd[2].id() == 1);
    CHECK(ledger.read_by_node("odd", 1).size() == 1);
    CHECK(ledger.read_by_node("nobody").empty());

    const std::optional<Entry> second = ledger.get_by_id(2);
    CHECK(second && second->id() == 2 && second->node_id() == "even");
    CHECK(!ledger.get_by_id(99));

    CHECK(ledger.cleanup_before_id(3) == 2);
    CHECK(ledger.poll_since(0).gap_before() == 2);
    CHECK(ledger.cleanup_before_timestamp(4) == 1);
    CHECK(ledger.cleanup(1) == 2); // 1970 is long ago
    CHECK(ledger.count() == 0 && ledger.first_id() == 0 && ledger.last_id() == 5);
    ledger.invalidate_caches();
    CHECK(ledger.metrics_json().find(R"("entries_appended":5)") != std::string::npos);
}

void validation_writes_nothing() {
    const Ledger ledger = in_memory();
    constexpr std::string_view valid =
        R"({"timestamp":1,"node_id":"n","features":{},"confidence":1})";
    ledger.validate_json(valid);
    simledger::validate_json(valid);
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { ledger.validate_json("{}"); });
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { simledger::validate_json("{}"); });
    check_fails(SIMLEDGER_INVALID_ENTRY,
                [&] { simledger::validate_json({}); }); // no text, no address
    CHECK(ledger.count() == 0);
}

// --- Iterators ---

void results_are_ranges() {
    Ledger ledger = in_memory(5);
    const Entries all = ledger.read_all();
    std::int64_t sum = 0;
    for (const auto &entry : all)
        sum += entry.id();
    for (const EntryView entry : ledger.read_all())
        sum += entry.id(); // the temporary lives on
    CHECK(sum == 30);

    Entries::iterator at = all.begin();
    CHECK(at->id() == 1 && (*at).id() == 1 && at[4].id() == 5);
    CHECK((++at)->id() == 2 && (at++)->id() == 2 && at->id() == 3);
    CHECK((--at)->id() == 2 && (at--)->id() == 2 && at->id() == 1);
    CHECK((at += 3)->id() == 4 && (at -= 2)->id() == 2);
    CHECK((at + 1)->id() == 3 && (1 + at)->id() == 3 && (at - 1)->id() == 1);
    CHECK(all.end() - all.begin() == 5 && std::distance(all.begin(), all.end()) == 5);
    CHECK(all.begin() < all.end() && all.end() > all.begin() && all.begin() <= at &&
          at >= all.begin());
    CHECK(all.begin() != all.end() && all.begin() + 5 == all.end());

    const auto is_even = [](const EntryView entry) { return entry.node_id() == "even"; };
    CHECK(std::count_if(all.begin(), all.end(), is_even) == 2);
    CHECK(std::find_if(all.begin(), all.end(), is_even)->id() == 2);
    const auto above = std::partition_point(all.begin(), all.end(),
                                            [](const EntryView entry) { return entry.id() <= 3; });
    CHECK(above->id() == 4);
    std::vector<Entry> kept;
    std::transform(all.begin(), all.end(), std::back_inserter(kept),
                   [](const EntryView entry) { return Entry(entry); });
    CHECK(kept.size() == 5 && kept[4].id() == 5);

    const Entries nothing;
    CHECK(nothing.begin() == nothing.end() && nothing.empty() && nothing.json() == "[]");
    CHECK(nothing.position() == 0 && nothing.gap_before() == 0 && nothing.get() == nullptr);
}

void access_out_of_range_is_a_view_of_nothing_or_an_exception() {
    const Entries all = in_memory(2).read_all();
    CHECK(all.at(1).id() == 2);
    CHECK(thrown<std::out_of_range>([&] { all.at(2); }).what() == std::string("entry 2 of 2"));
    CHECK(all[2].get() == nullptr && all[2].id() == 0 && all[2].node_id().empty());
    CHECK(all[2].features_json().empty() && all[2].timestamp() == 0 && all[2].confidence() == 0);
    const EntryView nothing;
    CHECK(nothing.get() == nullptr && nothing.id() == 0 && nothing.created_at() == 0);
    CHECK(Entry(nothing).get() == nullptr);
    CHECK(simledger_entry_id(Entry().get()) == 0);
}

// --- Lifetimes ---

void entries_outlive_the_ledger_and_the_result() {
    std::optional<Entries> all;
    std::optional<Entry> found;
    Entry kept, of_temporary;
    {
        Ledger ledger = in_memory(3);
        all = ledger.read_all();
        found = ledger.get_by_id(2);
        of_temporary = ledger.read_all()[2];
        ledger.close();
    }
    CHECK(all->size() == 3 && (*all)[0].node_id() == "odd");
    kept = Entry((*all)[0]);
    all.reset();
    CHECK(kept.id() == 1 && kept.node_id() == "odd" && kept.features_json() == R"({"rate":910})");
    CHECK(found->id() == 2 && found->node_id() == "even");
    CHECK(of_temporary.id() == 3);

    Entry copy = kept;
    kept = Entry();
    CHECK(kept.get() == nullptr && copy.id() == 1);
    Entry moved = std::move(copy);
    CHECK(copy.get() == nullptr && moved.id() == 1); // NOLINT: what is left of it is defined
    Entry &itself = moved;
    moved = itself;
    CHECK(moved.id() == 1);
    std::swap(moved, of_temporary);
    CHECK(moved.id() == 3 && of_temporary.id() == 1);
    const EntryView borrowed = moved;
    CHECK(borrowed.id() == 3);
}

void owners_can_be_moved() {
    Ledger first = in_memory(1);
    simledger_ledger *const handle = first.get();
    Ledger second = std::move(first);
    CHECK(second.get() == handle && first.get() == nullptr); // NOLINT
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { first.count(); });
    first = in_memory(2);
    CHECK(first.count() == 2);
    simledger_ledger *const replaced = first.get();
    first = std::move(second);
    CHECK(first.get() == handle && first.count() == 1);
    CHECK(simledger_close(replaced, nullptr) == SIMLEDGER_CLOSED); // what was there was closed

    Entries results = first.read_all();
    Entries moved = std::move(results);
    CHECK(moved.size() == 1 && results.empty()); // NOLINT
    results = std::move(moved);
    CHECK(results.size() == 1);

    Config config{":memory:"};
    Config other = std::move(config);
    CHECK(Ledger(other).count() == 0);
    thrown<std::invalid_argument>(
        [&] { Ledger{config}; }); // not the defaults: no ledger.db appears
    std::FILE *file = std::fopen("ledger.db", "r");
    CHECK(file == nullptr);
}

void destructors_close() {
    simledger_ledger *handle = nullptr;
    {
        const Ledger ledger = in_memory();
        handle = ledger.get();
        CHECK(simledger_invalidate_caches(handle, nullptr) == SIMLEDGER_OK);
    }
    CHECK(simledger_close(handle, nullptr) == SIMLEDGER_CLOSED);
    Ledger ledger = in_memory();
    ledger.close();
    check_fails(SIMLEDGER_CLOSED, [&] { ledger.close(); });
    check_fails(SIMLEDGER_CLOSED, [&] { ledger.count(); });
}

void what_c_gave_can_be_adopted() {
    Ledger ledger = in_memory(2);
    simledger_entries *entries = nullptr;
    CHECK(simledger_read_all(ledger.get(), &entries, nullptr) == SIMLEDGER_OK);
    const Entries adopted = Entries::adopt(entries);
    CHECK(adopted.get() == entries && adopted.size() == 2);
    simledger_entry *entry = nullptr;
    CHECK(simledger_get_by_id(ledger.get(), 1, &entry, nullptr) == SIMLEDGER_OK);
    CHECK(Entry::adopt(entry).id() == 1);
    CHECK(Entry::adopt(nullptr).id() == 0);
}

// --- Errors ---

void errors_carry_what_c_says() {
    Ledger ledger = in_memory(1);
    const Error duplicate = thrown<Error>([&] { ledger.append({1, "odd", "{}", 0.5}); });
    CHECK(duplicate.status() == SIMLEDGER_DUPLICATE && duplicate.entry_id() == 1);
    CHECK(std::string(duplicate.what()).find("odd") != std::string::npos);
    CHECK(!duplicate.retryable() && duplicate.work_done() == 0);

    const Error batch = thrown<Error>([&] {
        ledger.append_many_json(
            R"([{"timestamp":9,"node_id":"n","features":{},"confidence":1},{}])");
    });
    CHECK(batch.status() == SIMLEDGER_INVALID_ENTRY && batch.index() == 1u);
    CHECK(batch.field() == "timestamp" && batch.sqlite_code() == 0);
    CHECK(ledger.count() == 1);

    const Error argument = thrown<Error>([&] { ledger.poll_since(-1); });
    CHECK(argument.status() == SIMLEDGER_INVALID_ARGUMENT && argument.field() == "last_seen_id");
    CHECK(!argument.index() && argument.entry_id() == 0);
    const Error copy = argument; // shares what it holds
    CHECK(copy.field() == "last_seen_id" && std::string(copy.what()) == argument.what());

    check_fails(SIMLEDGER_INVALID_ENTRY, [&] {
        ledger.append({std::numeric_limits<double>::quiet_NaN(), "n", "{}", 1});
    });
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { ledger.append({9, {}, "{}", 1}); });
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { ledger.append_json({}); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.read_by_node("n", 0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.read_by_node({}); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.get_by_id(0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.cleanup(0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.cleanup_before_id(0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT,
                [&] { ledger.cleanup_before_timestamp(std::numeric_limits<double>::infinity()); });
    check_fails(SIMLEDGER_IO, [] { Ledger{"no/such/folder.db"}; });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [] { Ledger{std::string_view{}}; });
    check_fails(SIMLEDGER_INVALID_CONFIG, [] { Config().set("no such key", "1"); });
    check_fails(SIMLEDGER_INVALID_CONFIG, [] { Config().profile("fast"); });
    {
        Ledger locked{Config{"locked.db"}
                          .set("journal_mode", "DELETE")
                          .set("timeout", "0")
                          .set("commit", "sqlite")};
        append_some(locked, 1);
        // As another process does that writes: with SQLite's lock byte "reserved".
        const int file = open("locked.db", O_RDWR);
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_start = 0x40000001;
        lock.l_len = 1;
        CHECK(file >= 0 && fcntl(file, F_OFD_SETLK, &lock) == 0);
        const Error busy = thrown<Error>([&] { locked.append({2, "n", "{}", 1}); });
        CHECK(busy.status() == SIMLEDGER_BUSY && busy.retryable() && busy.sqlite_code() == 5);
        close(file);
    }
    // Without an object a status says what it can.
    CHECK(Error(SIMLEDGER_BUSY, nullptr).what() ==
          std::string(simledger_status_description(SIMLEDGER_BUSY)));
    CHECK(Error(SIMLEDGER_BUSY, nullptr).field().empty());
}

void configurations_can_be_chained() {
    Config config;
    config.path(":memory:")
        .profile("low_latency")
        .set("on_duplicate", "ignore")
        .set("timeout", "1");
    Ledger ledger{config};
    Ledger other{config};
    CHECK(ledger.append({1, "n", "{}", 1}) == 1 && ledger.append({1, "n", "{}", 1}) == 1);
    CHECK(other.count() == 0);
}

// --- Allocation ---

void reading_fields_allocates_nothing() {
    Ledger ledger = in_memory(5);
    const Entries all = ledger.read_all();
    Entry own(all[0]);
    const std::size_t before = allocations;
    double sum = 0;
    for (const auto &entry : all) {
        sum += entry.timestamp() + entry.confidence() + entry.created_at() + double(entry.id());
        sum += double(entry.node_id().size() + entry.features_json().size());
    }
    sum += double(all.size()) + double(all.position()) + double(all.gap_before()) +
           double(all.json().size());
    sum += all[4].timestamp() + all.at(2).timestamp() + all.begin()->timestamp();
    double values[1];
    sum += *own.feature_number("/rate") + double(*own.feature_integer("/rate"));
    sum += own.feature_boolean("/ok") ? 1 : 0;
    sum += own.feature_numbers("/values", values, 1) ? 1 : 0;
    for (const auto &columns : all.chunks())
        sum += columns.timestamps()[0] + double(columns.node_id(0).size());
    const Entry copy = own; // copies share
    own = Entry(all[1]);
    CHECK(allocations == before && sum > 0 && copy.id() == 1);
}

void a_call_that_works_allocates_nothing_of_its_own() {
    Ledger ledger = in_memory(2);
    const std::size_t before = allocations;
    ledger.append(
        {10, "a-node-with-a-name-that-is-too-long-for-a-small-string", R"({"a":[1,2,3]})", 0.5});
    std::size_t found = ledger.poll_since(0).size() + ledger.read_by_node("odd").size();
    found += ledger.get_by_id(1).has_value() + ledger.get_by_id(99).has_value();
    found += static_cast<std::size_t>(ledger.count());
    CHECK(allocations == before && found == 8);
}

// --- The log ---

struct Lines {
    std::vector<std::string> lines;
    bool has(const std::string &words) const {
        return std::any_of(lines.begin(), lines.end(), [&](const std::string &line) {
            return line.find(words) != std::string::npos;
        });
    }
};

void the_log_is_a_function() {
    Lines log;
    {
        Ledger ledger{
            Config{":memory:"}.log(LogLevel::info, [&](LogLevel level, std::string_view line) {
                CHECK(level <= LogLevel::info);
                log.lines.emplace_back(line);
            })};
        CHECK(log.has("opened"));
        append_some(ledger, 2);
        ledger.cleanup_before_id(2);
        CHECK(log.has("deleted 1"));
    }
    CHECK(log.has("closed"));

    // An empty one ends it; so does a level that lets nothing through.
    const std::size_t lines = log.lines.size();
    const auto keep = [&](LogLevel, std::string_view line) { log.lines.emplace_back(line); };
    Ledger(Config{":memory:"}.log(LogLevel::info, keep).log(LogLevel::info, nullptr)).close();
    Ledger(Config{":memory:"}.log(LogLevel::error, keep)).close();
    CHECK(log.lines.size() == lines);
}

void a_log_function_lives_as_long_as_it_is_used() {
    const auto alive = std::make_shared<int>(7);
    std::optional<Ledger> first, second;
    {
        Config config{":memory:"};
        config.log(LogLevel::info, [alive](LogLevel, std::string_view) { CHECK(*alive == 7); });
        first.emplace(config);
        second.emplace(config);
    }
    CHECK(alive.use_count() == 2);
    first.reset();
    CHECK(alive.use_count() == 2);
    second.reset();
    CHECK(alive.use_count() == 1);
    // Replaced before anybody used it, and never given to the library.
    Config config;
    config.log(LogLevel::info, [alive](LogLevel, std::string_view) {});
    config.log(LogLevel::debug, nullptr);
    CHECK(alive.use_count() == 1);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] {
        config.log(static_cast<LogLevel>(9), [alive](LogLevel, std::string_view) {});
    });
    CHECK(alive.use_count() == 1);
}

// A ledger whose log throws when it hears of a cleanup.
Ledger throwing_ledger(int &calls) {
    return Ledger{Config{":memory:"}.log(LogLevel::info, [&calls](LogLevel, std::string_view line) {
        if (line.find("cleanup") != std::string_view::npos)
            throw Thrown(++calls);
    })};
}

void what_a_log_throws_is_thrown_when_its_call_returns() {
    int calls = 0;
    Ledger ledger = throwing_ledger(calls);
    append_some(ledger, 3);
    for (int i = 1; i <= 2; i++) {
        CHECK(thrown<Thrown>([&] { ledger.cleanup_before_id(i + 1); }).number == i);
        CHECK(ledger.count() == 3 - i); // it has done its work, and nothing is thrown twice
    }
    // On another thread it is thrown there.
    std::thread([&] {
        CHECK(thrown<Thrown>([&] { ledger.cleanup_before_id(4); }).number == 3);
    }).join();
    CHECK(ledger.count() == 0);
    ledger.close();
}

void what_is_thrown_while_opening_leaves_nothing_open() {
    Config config = in_file("throwing.db");
    config.log(LogLevel::info, [](LogLevel, std::string_view) { throw Thrown(1); });
    CHECK(thrown<Thrown>([&] { Ledger{config}; }).number == 1);
    // Nobody has it open: another setting is no conflict.
    CHECK(Ledger(in_file("throwing.db").set("max_connections", "3")).count() == 0);
}

void a_failure_goes_before_what_the_log_threw() {
    Config config{"no/such/folder.db"};
    config.log(LogLevel::info, [](LogLevel level, std::string_view) {
        if (level == LogLevel::error)
            throw Thrown(1);
    });
    check_fails(SIMLEDGER_IO, [&] { Ledger{config}; });
    config.path(":memory:");
    CHECK(thrown<Thrown>([&] { Ledger{config}; }).number == 1); // the next call with this log
    CHECK(Ledger{config}.count() == 0);
}

void calls_in_a_log_have_exceptions_of_their_own() {
    int calls = 0;
    Ledger inner = throwing_ledger(calls);
    Ledger outer{Config{":memory:"}.log(LogLevel::info, [&](LogLevel, std::string_view line) {
        if (line.find("cleanup") == std::string_view::npos)
            return;
        CHECK(thrown<Thrown>([&] { inner.cleanup_before_id(1); }).number == 1);
        check_fails(SIMLEDGER_INVALID_ARGUMENT, [] { simledger::shutdown(); });
    })};
    CHECK(outer.cleanup_before_id(1) == 0);
    CHECK(outer.count() == 0 && inner.count() == 0 && calls == 1);
}

void a_destructor_keeps_what_its_log_throws() {
    const auto throw_at_closing = [](LogLevel, std::string_view line) {
        if (line == "closed")
            throw Thrown(1);
    };
    { Ledger{Config{":memory:"}.log(LogLevel::info, throw_at_closing)}; }
    // Nor does it come out of another ledger with the same log.
    Config config{":memory:"};
    config.log(LogLevel::info, throw_at_closing);
    const Ledger stays{config};
    { Ledger{config}; }
    CHECK(stays.count() == 0);
    // close() does not keep it.
    Ledger ledger{Config{":memory:"}.log(LogLevel::info, throw_at_closing)};
    CHECK(thrown<Thrown>([&] { ledger.close(); }).number == 1);
    check_fails(SIMLEDGER_CLOSED, [&] { ledger.close(); });
}

void a_thrown_int_is_thrown_too() {
    Ledger ledger{Config{":memory:"}.log(LogLevel::info, [](LogLevel, std::string_view line) {
        if (line.find("cleanup") != std::string_view::npos)
            throw 7;
    })};
    CHECK(thrown<int>([&] { ledger.cleanup(1); }) == 7);
}

void shutdown_closes_all_objects() {
    Ledger first = in_memory(), second{in_file("shutdown.db")};
    simledger::shutdown();
    check_fails(SIMLEDGER_CLOSED, [&] { first.count(); });
    check_fails(SIMLEDGER_CLOSED, [&] { second.close(); });
    simledger::shutdown();
    CHECK(in_memory(1).count() == 1);
}

} // namespace

int main() {
    entries_come_out_as_they_went_in();
    polls_pages_and_nodes();
    validation_writes_nothing();
    results_are_ranges();
    access_out_of_range_is_a_view_of_nothing_or_an_exception();
    entries_outlive_the_ledger_and_the_result();
    owners_can_be_moved();
    destructors_close();
    what_c_gave_can_be_adopted();
    errors_carry_what_c_says();
    configurations_can_be_chained();
    reading_fields_allocates_nothing();
    a_call_that_works_allocates_nothing_of_its_own();
    the_log_is_a_function();
    a_log_function_lives_as_long_as_it_is_used();
    what_a_log_throws_is_thrown_when_its_call_returns();
    what_is_thrown_while_opening_leaves_nothing_open();
    a_failure_goes_before_what_the_log_threw();
    calls_in_a_log_have_exceptions_of_their_own();
    a_destructor_keeps_what_its_log_throws();
    a_thrown_int_is_thrown_too();
    shutdown_closes_all_objects();
    return 0;
}
