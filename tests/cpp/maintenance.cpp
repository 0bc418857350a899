// simledger.hpp: looking after an open ledger: options, maintenance, metrics, interruption.
#include "check.hpp"

#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using simledger::Vacuum;

// What a file holds.
std::string content(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Changes bytes of a ledger that is closed, as a failing disk would.
void damage(const std::string &path, const std::string &from, const std::string &to) {
    std::string bytes = content(path);
    const std::size_t at = bytes.find(from);
    CHECK(at != std::string::npos && from.size() == to.size());
    std::ofstream(path, std::ios::binary) << bytes.replace(at, from.size(), to);
}

// --- Options and interruption ---

void options_change_while_it_is_open() {
    Ledger ledger = in_memory(1);
    CHECK(ledger.option("on_duplicate") == "error" && ledger.option("path") == ":memory:");
    ledger.set_option("on_duplicate", "ignore");
    CHECK(ledger.option("on_duplicate") == "ignore");
    CHECK(ledger.append({1, "odd", R"({"rate":910})", 0.5}) == 1);
    const Error unknown = thrown<Error>([&] { ledger.set_option("timeot", "1"); });
    CHECK(unknown.status() == SIMLEDGER_INVALID_CONFIG && unknown.field() == "timeot");
    check_fails(SIMLEDGER_INVALID_CONFIG, [&] { ledger.set_option("timeout", "soon"); });
    check_fails(SIMLEDGER_INVALID_CONFIG, [&] { ledger.set_option("path", "other.db"); });
    check_fails(SIMLEDGER_INVALID_CONFIG, [&] { ledger.option("timeot"); });
    CHECK(ledger.option("timeout") == "30");
}

constexpr char endless[] =
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

void a_call_of_another_thread_is_interrupted() {
    Ledger ledger = in_memory();
    ledger.interrupt(); // nobody to interrupt, and nobody after it is
    CHECK(ledger.count() == 0);
    std::thread other([&] { check_fails(SIMLEDGER_INTERRUPTED, [&] { ledger.sql(endless); }); });
    std::thread interrupting([&] {
        while (ledger.metric("errors.INTERRUPTED").value_or(0) < 1)
            ledger.interrupt();
    });
    other.join();
    interrupting.join();
}

// --- Maintenance ---

void a_checkpoint_leaves_one_file() {
    Ledger ledger{in_file("checkpoint.db")};
    append_some(ledger, 3);
    CHECK(content("checkpoint.db").find("rate") == std::string::npos); // still in the WAL
    ledger.checkpoint();
    const std::string alone = content("checkpoint.db");
    std::ofstream("copy.db", std::ios::binary) << alone;
    CHECK(Ledger("copy.db").count() == 3);
    in_memory().checkpoint(); // nothing to do
}

void indexes_and_statistics() {
    Ledger ledger{in_file("indexes.db")};
    append_some(ledger, 100);
    ledger.reindex();
    ledger.optimize();
    CHECK(ledger.read_by_node("odd").size() == 50 && ledger.integrity_check().empty());
    CHECK(ledger.metric("latency_seconds.reindex.count") == 1.0);
    CHECK(ledger.metric("latency_seconds.optimize.count") == 1.0);
}

void a_vacuum_gives_bytes_back() {
    for (const Vacuum how : {Vacuum::incremental, Vacuum::full}) {
        const std::string path = how == Vacuum::full ? "full.db" : "incremental.db";
        Ledger ledger{in_file(path)};
        const std::string features = R"({"text":")" + std::string(100000, 'x') + "\"}";
        for (int i = 1; i <= 4; i++)
            ledger.append({double(i), "n", features, 1});
        CHECK(ledger.cleanup_before_id(5) == 4);
        ledger.checkpoint();
        const std::size_t before = content(path).size();
        const std::int64_t freed = ledger.vacuum(how);
        ledger.checkpoint();
        CHECK(freed > 300000 && content(path).size() == before - std::size_t(freed));
        CHECK(ledger.vacuum() == 0);
    }
    Ledger ledger = in_memory();
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.vacuum(static_cast<Vacuum>(9)); });
}

void damage_is_found() {
    {
        Ledger ledger{in_file("damaged.db")};
        ledger.append({1, "n", R"({"first":1})", 1});
        ledger.append({2, "n", R"({"second":2})", 1});
        ledger.append({3, "n", R"({"third":3})", 1});
        CHECK(ledger.integrity_check().empty());
    }
    damage("damaged.db", R"("first":1)", R"("first":x)");
    damage("damaged.db", R"("second":2)", R"("second",2)");
    const Ledger ledger{in_file("damaged.db")};
    const std::vector<std::string> findings = ledger.integrity_check();
    CHECK(findings.size() == 2);
    CHECK(findings[0].find('1') != std::string::npos && findings[1].find('2') != std::string::npos);
    for (const std::string &finding : findings)
        CHECK(!finding.empty() && finding.find('\n') == std::string::npos);
    CHECK(ledger.integrity_check(1) == std::vector<std::string>{findings[0]});
    CHECK(thrown<Error>([&] { ledger.integrity_check(0); }).field() == "findings_max");
}

void a_check_says_how_far_it_is() {
    const Ledger ledger = in_memory(500);
    std::vector<double> parts;
    const auto note = [&](double part) {
        parts.push_back(part);
        return true;
    };
    CHECK(ledger.integrity_check(simledger::no_limit, note).empty());
    CHECK(parts.size() > 1 && parts.front() == 0 && parts.back() == 1);
    for (std::size_t i = 1; i < parts.size(); i++)
        CHECK(parts[i - 1] <= parts[i]);
    CHECK(ledger.metric("integrity_check_progress") == 1.0);

    // Wherever it ends: at the first call, in between, at the last.
    for (const double end_at : {0.0, 0.5, 1.0}) {
        const auto ends = [&](double part) { return part < end_at; };
        check_fails(SIMLEDGER_INTERRUPTED,
                    [&] { ledger.integrity_check(simledger::no_limit, ends); });
        int calls = 0;
        const auto throws = [&](double part) {
            if (part >= end_at)
                throw Thrown(++calls);
            return true;
        };
        CHECK(thrown<Thrown>([&] { ledger.integrity_check(simledger::no_limit, throws); }).number ==
              1);
        CHECK(calls == 1); // not asked again
    }
    const auto throws_int = [](double) -> bool { throw 7; };
    CHECK(thrown<int>([&] { ledger.integrity_check(1, throws_int); }) == 7);
    CHECK(ledger.integrity_check(1, nullptr).empty()); // nothing is left of it
    CHECK(ledger.count() == 500);
}

// A progress function may call the library; what goes wrong there is its own.
void calls_in_a_progress_function_have_exceptions_of_their_own() {
    const Ledger ledger = in_memory(3);
    const auto counts = [&](double) {
        check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.poll_since(-1); });
        return ledger.count() == 3;
    };
    CHECK(ledger.integrity_check(1, counts).empty());
    const auto fails = [&](double) { return ledger.poll_since(-1).empty(); };
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.integrity_check(1, fails); });
    const auto nested = [&](double) { return ledger.integrity_check(1, fails).empty(); };
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.integrity_check(1, nested); });
}

// What a log throws in a call of the progress function is thrown there, and so out of the check.
void a_log_in_a_progress_function_may_throw() {
    Ledger ledger{in_file("progress.db").log(LogLevel::info, [](LogLevel, std::string_view line) {
        if (line.find("cleanup") != std::string_view::npos)
            throw Thrown(3);
    })};
    append_some(ledger, 2);
    const auto cleans = [&](double) { return ledger.cleanup_before_id(2) == 1; };
    CHECK(thrown<Thrown>([&] { ledger.integrity_check(1, cleans); }).number == 3);
    CHECK(ledger.count() == 1 && ledger.integrity_check().empty());
}

void caches_and_connections_are_let_go() {
    Ledger ledger = in_memory(3);
    ledger.invalidate_caches();
    CHECK(!ledger.cache_age());
    CHECK(ledger.get_by_id(1) && ledger.read_by_node("odd").size() == 2);
    const std::optional<double> age = ledger.cache_age();
    CHECK(age && *age >= 0 && *age < 60);
    ledger.invalidate_caches();
    CHECK(!ledger.cache_age());

    Ledger file{in_file("connections.db")};
    append_some(file, 1);
    CHECK(file.count() == 1 && file.metric("connections_idle") > 0.0);
    file.release_connections();
    CHECK(file.metric("connections_open") == 0.0);
    CHECK(file.read_all().size() == 1);
}

// --- Metrics ---

void numbers_by_name() {
    Ledger ledger{in_file("metrics.db")};
    append_some(ledger, 3);
    check_fails(SIMLEDGER_DUPLICATE, [&] { ledger.append({1, "odd", "{}", 1}); });
    CHECK(ledger.metric("entries_appended") == 3.0 && ledger.metric("errors.DUPLICATE") == 1.0);
    CHECK(ledger.cleanup_before_id(2) == 1);
    CHECK(ledger.metric("latency_seconds.cleanup.count") == 1.0);
    CHECK(ledger.metric("latency_seconds.cleanup.p99") > 0.0);
    CHECK(ledger.metric("ledger_bytes") > 0.0);
    CHECK(!in_memory().metric("ledger_bytes"));
    const Error unknown = thrown<Error>([&] { ledger.metric("entry_appended"); });
    CHECK(unknown.status() == SIMLEDGER_INVALID_ARGUMENT && unknown.field() == "name");
    CHECK(std::string(unknown.what()).find("entries_appended") != std::string::npos);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.metric({}); });

    CHECK(ledger.metrics_json().find(R"("entries_appended":3)") != std::string::npos);
    const std::string prometheus = ledger.metrics_prometheus();
    CHECK(prometheus.find("\nsimledger_entries_appended_total{ledger=\"") != std::string::npos);
    CHECK(prometheus.back() == '\n');
}

// --- After the end ---

void all_calls_of_a_closed_ledger_fail() {
    Ledger ledger = in_memory();
    ledger.close();
    const std::vector<std::function<void()>> calls = {
        [&] { ledger.set_option("timeout", "1"); },
        [&] { ledger.option("timeout"); },
        [&] { ledger.interrupt(); },
        [&] { ledger.checkpoint(); },
        [&] { ledger.reindex(); },
        [&] { ledger.optimize(); },
        [&] { ledger.vacuum(); },
        [&] { ledger.integrity_check(); },
        [&] { ledger.cache_age(); },
        [&] { ledger.release_connections(); },
        [&] { ledger.metrics_json(); },
        [&] { ledger.metrics_prometheus(); },
        [&] { ledger.metric("entries"); },
        [&] { ledger.next_log_line(); },
        [&] { ledger.transaction(); },
        [&] { ledger.query(simledger::Query()); },
        [&] { ledger.poll_query(simledger::Query(), 0); },
        [&] { ledger.query_plan(simledger::Query()); },
        [&] { ledger.sql("SELECT 1"); },
    };
    for (const auto &call : calls)
        check_fails(SIMLEDGER_CLOSED, call);
    const Ledger elsewhere = std::move(ledger);
    for (const auto &call : calls)
        check_fails(SIMLEDGER_INVALID_ARGUMENT, call); // NOLINT: moved from
}

} // namespace

int main() {
    options_change_while_it_is_open();
    a_call_of_another_thread_is_interrupted();
    a_checkpoint_leaves_one_file();
    indexes_and_statistics();
    a_vacuum_gives_bytes_back();
    damage_is_found();
    a_check_says_how_far_it_is();
    calls_in_a_progress_function_have_exceptions_of_their_own();
    a_log_in_a_progress_function_may_throw();
    caches_and_connections_are_let_go();
    numbers_by_name();
    all_calls_of_a_closed_ledger_fail();
    return 0;
}
