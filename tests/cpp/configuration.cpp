// simledger.hpp: where a configuration comes from, and the log as a queue.
#include "check.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using simledger::ConfigKey;

void write(const std::string &path, const std::string &text) { std::ofstream(path) << text; }

void layers_are_put_together() {
    write("config.yaml", "other:\n  timeout: 1\ndatabase:\n  profile: low_latency\n"
                         "  timeout: 12\n  entry_cache_size: 7\n  query_cache_size: 8\n");
    setenv("SIMLEDGER_ENTRY_CACHE_SIZE", "70", 1);
    setenv("SIMLEDGER_QUERY_CACHE_SIZE", "80", 1);
    Config config;
    CHECK(config.get("timeout") == "30" && config.get("profile") == "default");
    config.set("query_cache_size", "800").load_environment().load_file("config.yaml");
    config.path(":memory:");
    CHECK(config.get("profile") == "low_latency" && config.get("synchronous_mode") == "OFF");
    CHECK(config.get("timeout") == "12");           // of the file, not of the profile
    CHECK(config.get("entry_cache_size") == "70");  // of the environment, not of the file
    CHECK(config.get("query_cache_size") == "800"); // as set
    CHECK(Ledger(config).option("entry_cache_size") == "70");
    unsetenv("SIMLEDGER_ENTRY_CACHE_SIZE");
    unsetenv("SIMLEDGER_QUERY_CACHE_SIZE");
}

void what_cannot_be_loaded_changes_nothing() {
    Config config;
    config.set("timeout", "3");
    check_fails(SIMLEDGER_IO, [&] { config.load_file("missing.yaml"); });
    check_fails(SIMLEDGER_IO, [&] { config.load_file("."); });
    write("wrong.yaml", "database:\n  entry_cache_size: 5\n  retry_count: many\n");
    const Error wrong = thrown<Error>([&] { config.load_file("wrong.yaml"); });
    CHECK(wrong.status() == SIMLEDGER_INVALID_CONFIG);
    CHECK(std::string(wrong.what()).find('3') != std::string::npos); // the line
    setenv("SIMLEDGER_RETRY_COUNT", "many", 1);
    const Error variable = thrown<Error>([&] { config.load_environment(); });
    CHECK(variable.status() == SIMLEDGER_INVALID_CONFIG);
    CHECK(std::string(variable.what()).find("SIMLEDGER_RETRY_COUNT") != std::string::npos);
    unsetenv("SIMLEDGER_RETRY_COUNT");
    CHECK(config.get("entry_cache_size") == "32" && config.get("timeout") == "3");
    const Error unknown = thrown<Error>([&] { config.get("timeot"); });
    CHECK(unknown.status() == SIMLEDGER_INVALID_CONFIG && unknown.field() == "timeot");
}

void keys_are_listed() {
    const std::vector<ConfigKey> keys = Config::keys();
    CHECK(keys.size() == simledger_config_key_count() && keys.size() > 20);
    const Config config;
    for (const ConfigKey &key : keys) {
        CHECK(!key.name.empty() && !key.range.empty() && !key.doc.empty());
        CHECK(config.get(key.name) == key.default_value);
    }
    const auto timeout = std::find_if(keys.begin(), keys.end(),
                                      [](const ConfigKey &key) { return key.name == "timeout"; });
    CHECK(timeout != keys.end() && timeout->default_value == "30");
}

void a_configuration_that_was_moved_from_is_none() {
    Config config{":memory:"};
    Config other = std::move(config);
    CHECK(other.get("path") == ":memory:" && config.get() == nullptr); // NOLINT
    for (const Error &error :
         {thrown<Error>([&] { config.get("path"); }), thrown<Error>([&] { config.load_file("x"); }),
          thrown<Error>([&] { config.load_environment(); }),
          thrown<Error>([&] { config.log_queue(LogLevel::info, 1); })})
        CHECK(error.status() == SIMLEDGER_INVALID_ARGUMENT && error.field() == "config");
}

// --- The log as a queue ---

std::optional<std::pair<LogLevel, std::string>> line_with(Ledger &ledger, const char *words) {
    while (auto line = ledger.next_log_line()) {
        if (line->second.find(words) != std::string::npos)
            return line;
    }
    return std::nullopt;
}

void lines_wait_in_the_queue() {
    Ledger ledger{Config{":memory:"}.log_queue(LogLevel::info, 100)};
    append_some(ledger, 2);
    ledger.cleanup_before_id(2);
    const auto opened = line_with(ledger, "opened");
    CHECK(opened && opened->first == LogLevel::info);
    CHECK(line_with(ledger, "deleted 1"));
    CHECK(!ledger.next_log_line());

    Ledger none = in_memory();
    CHECK(!none.next_log_line());
}

void a_full_queue_loses_the_oldest() {
    Ledger ledger{Config{":memory:"}.log_queue(LogLevel::info, 2)};
    append_some(ledger, 4);
    for (int i = 2; i <= 4; i++)
        ledger.cleanup_before_id(i);
    int lines = 0;
    while (ledger.next_log_line())
        lines++;
    CHECK(lines == 2 && ledger.metric("log_lines_dropped") > 0.0);

    Config config{":memory:"};
    const Error most = thrown<Error>([&] { config.log_queue(LogLevel::info, 1000001); });
    CHECK(most.status() == SIMLEDGER_INVALID_ARGUMENT && most.field() == "lines_max");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { config.log_queue(static_cast<LogLevel>(9), 1); });
    config.log_queue(LogLevel::info, 5).log_queue(LogLevel::info, 0);
    Ledger without{config};
    CHECK(!without.next_log_line());
}

// The callback that throws and the queue do not know of each other.
void a_queue_is_beside_the_callback() {
    Config config{":memory:"};
    config.log_queue(LogLevel::info, 100).log(LogLevel::info, [](LogLevel, std::string_view line) {
        if (line.find("cleanup") != std::string_view::npos)
            throw Thrown(1);
    });
    Ledger ledger{config};
    append_some(ledger, 2);
    CHECK(thrown<Thrown>([&] { ledger.cleanup_before_id(2); }).number == 1);
    CHECK(line_with(ledger, "cleanup"));
}

} // namespace

int main() {
    layers_are_put_together();
    what_cannot_be_loaded_changes_nothing();
    keys_are_listed();
    a_configuration_that_was_moved_from_is_none();
    lines_wait_in_the_queue();
    a_full_queue_loses_the_oldest();
    a_queue_is_beside_the_callback();
    return 0;
}
