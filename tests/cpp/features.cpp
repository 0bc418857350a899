// simledger.hpp: making features, and reading values out of them.
#include "check.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using simledger::Features;
using simledger::FeatureType;

static_assert(std::is_nothrow_move_constructible_v<Features> &&
              !std::is_copy_constructible_v<Features>);
static_assert(std::is_nothrow_move_assignable_v<Features> && !std::is_copy_assignable_v<Features>);
static_assert(std::is_convertible_v<const Features &, std::string_view>);
static_assert(std::is_trivially_copyable_v<EntryView> && sizeof(EntryView) == sizeof(void *));

// An address must not become "true".
template <typename Value, typename = void> struct CanBeSet : std::false_type {};
template <typename Value>
struct CanBeSet<Value,
                std::void_t<decltype(std::declval<Features>().set("key", std::declval<Value>()))>>
    : std::true_type {};
static_assert(CanBeSet<double>::value && CanBeSet<std::vector<double>>::value);
static_assert(CanBeSet<const char *>::value && CanBeSet<std::string>::value);
static_assert(!CanBeSet<double *>::value && !CanBeSet<void *>::value);
static_assert(!CanBeSet<FeatureType>::value);

// --- Making them ---

void values_of_all_types_are_written() {
    Features features;
    CHECK(features.json() == "{}");
    features.set("rate", 0.1).set("float", 0.5f).set("int", 7).set("min", INT64_MIN);
    features.set("small", static_cast<unsigned char>(200)).set("max", UINT64_MAX);
    CHECK(features.json() == R"({"rate":0.1,"float":0.5,"int":7,"min":-9223372036854775808,)"
                             R"("small":200,"max":18446744073709551615})");
    features.clear().set("yes", true).set("no", false).set("literal", "a \"b\"\n");
    features.set("string", std::string("x\\y")).set("view", std::string_view("abc", 2));
    features.set("nothing", std::string_view());
    CHECK(features.json() == R"({"yes":true,"no":false,"literal":"a \"b\"\n","string":"x\\y",)"
                             R"("view":"ab","nothing":""})");
    const double values[] = {1, -2.5};
    features.clear().set_integers("ids", {1, INT64_MAX}).set_integers("none", nullptr, 0);
    CHECK(features.json() == R"({"ids":[1,9223372036854775807],"none":[]})");
    features.clear().set("pointer", values, 2).set("none", nullptr, 0).set("list", {1.0, 2.5});
    features.set("vector", std::vector<double>{3}).set_json("json", R"( [ null , 1.50 ] )");
    CHECK(features.json() == R"({"pointer":[1.0,-2.5],"none":[],"list":[1.0,2.5],"vector":[3.0],)"
                             R"("json":[null,1.50]})");
    features.set("none", 1); // where it was
    CHECK(features.json() == R"({"pointer":[1.0,-2.5],"none":1,"list":[1.0,2.5],"vector":[3.0],)"
                             R"("json":[null,1.50]})");
}

void features_are_appended_as_they_are() {
    Ledger ledger{":memory:"};
    Features features;
    features.set("rate", 910);
    CHECK(ledger.append({1, "n", features, 0.5}) == 1);
    CHECK(ledger.append({2, "n", features.clear().set("rate", 911).set("b", true), 0.5}) == 2);
    CHECK(ledger.append({3, "n", Features().set("rate", 912), 0.5}) == 3);
    const Entries all = ledger.read_all();
    CHECK(all[0].features_json() == R"({"rate":910})");
    CHECK(all[1].features_json() == R"({"rate":911,"b":true})");
    CHECK(all[2].features_json() == R"({"rate":912})");
}

void what_is_refused_changes_nothing() {
    Features features;
    features.set("a", 1);
    const Error number =
        thrown<Error>([&] { features.set("a", std::numeric_limits<double>::quiet_NaN()); });
    CHECK(number.status() == SIMLEDGER_INVALID_ARGUMENT && number.field() == "value");
    const Error numbers = thrown<Error>([&] {
        features.set("a", {1.0, std::numeric_limits<double>::infinity()});
    });
    CHECK(numbers.status() == SIMLEDGER_INVALID_ARGUMENT && numbers.index() == 1u);
    const Error json = thrown<Error>([&] { features.set_json("a", "{"); });
    CHECK(json.status() == SIMLEDGER_INVALID_ENTRY && json.field() == "a");
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { features.set_json("a", {}); });
    const Error key = thrown<Error>([&] { features.set("\xff", 1); });
    CHECK(key.status() == SIMLEDGER_INVALID_ARGUMENT && key.field() == "key");
    CHECK(features.json() == R"({"a":1})");
    CHECK(features.set({}, 2).json() == R"({"a":1,"":2})"); // a key may be empty
}

void features_can_be_moved() {
    Features first;
    first.set("a", 1);
    simledger_features *const owned = first.get();
    Features second = std::move(first);
    CHECK(second.get() == owned && second.json() == R"({"a":1})");
    CHECK(first.get() == nullptr && first.json().empty()); // NOLINT: what is left is defined
    CHECK(first.clear().json().empty());
    const Error moved = thrown<Error>([&] { first.set("a", 1); });
    CHECK(moved.status() == SIMLEDGER_INVALID_ARGUMENT && moved.field() == "features");
    first = Features();
    CHECK(first.set("b", 2).json() == R"({"b":2})");
}

// --- Reading them ---

Entry entry_with(std::string_view features) {
    Ledger ledger{":memory:"};
    return *ledger.get_by_id(ledger.append({1, "n", features, 1}));
}

void values_are_found_by_pointer() {
    const Entry entry = entry_with(
        R"({"rate":0.5,"count":-3,"big":9007199254740993,"ok":true,"no":false,"none":null,
            "text":"a\u0000\"é","values":[1,2.5,-3e2],"a/b":{"~":[[],{"x":1}]}})");
    CHECK(entry.feature_number("/rate") == 0.5 && entry.feature_number("/count") == -3.0);
    CHECK(entry.feature_integer("/count") == -3);
    CHECK(entry.feature_integer("/big") == 9007199254740993);
    CHECK(entry.feature_boolean("/ok") == true && entry.feature_boolean("/no") == false);
    CHECK(entry.feature_text("/text") == std::string("a\0\"é", 5));
    CHECK(entry.feature_json("/none") == "null" &&
          entry.feature_json("/text") == R"("a\u0000\"é")");
    CHECK(entry.feature_json("/a~1b") == R"({"~":[[],{"x":1}]})");
    CHECK(entry.feature_json("")->size() == entry.features_json().size());
    CHECK(entry.feature_number("/values/1") == 2.5 && entry.feature_integer("/values/2") == -300);
    CHECK(entry.feature_integer("/a~1b/~0/1/x") == 1);
    CHECK(entry.feature_array_len("/values") == 3u && entry.feature_array_len("/a~1b/~0/0") == 0u);
    CHECK(entry.feature_numbers("/values") == (std::vector<double>{1, 2.5, -300}));
    CHECK(entry.feature_numbers("/a~1b/~0/0")->empty());
    double values[4] = {0, 0, 0, 7};
    CHECK(entry.feature_numbers("/values", values, 4) == 3u);
    CHECK(values[0] == 1 && values[2] == -300 && values[3] == 7);

    CHECK(entry.feature_type("/none") == FeatureType::null);
    CHECK(entry.feature_type("/no") == FeatureType::boolean);
    CHECK(entry.feature_type("/rate") == FeatureType::number);
    CHECK(entry.feature_type("/text") == FeatureType::string);
    CHECK(entry.feature_type("/values") == FeatureType::array);
    CHECK(entry.feature_type("") == FeatureType::object);

    // The same through a view, and from a result.
    const EntryView view = entry;
    CHECK(view.feature_number("/rate") == 0.5);
}

void what_is_nowhere_is_empty() {
    const Entry entry = entry_with(R"({"rate":0.5,"values":[1]})");
    for (const char *const nowhere : {"/x", "/values/1", "/rate/x", "/"}) {
        CHECK(!entry.feature_type(nowhere) && !entry.feature_number(nowhere));
        CHECK(!entry.feature_integer(nowhere) && !entry.feature_boolean(nowhere));
        CHECK(!entry.feature_text(nowhere) && !entry.feature_json(nowhere));
        CHECK(!entry.feature_array_len(nowhere) && !entry.feature_numbers(nowhere));
        CHECK(!entry.feature_numbers(nowhere, nullptr, 0));
    }
}

void values_of_another_type_are_errors() {
    const Entry entry = entry_with(R"({"rate":0.5,"text":"x","values":[1,"x"],"huge":1e999})");
    const Error error = thrown<Error>([&] { entry.feature_number("/text"); });
    CHECK(error.status() == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(std::string(error.what()).find("/text") != std::string::npos);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_integer("/rate"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_boolean("/rate"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_text("/rate"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_array_len("/rate"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_numbers("/values"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { entry.feature_type("rate"); }); // malformed
    check_fails(SIMLEDGER_LIMIT_EXCEEDED, [&] { entry.feature_number("/huge"); });
    double one[1];
    const Entry two = entry_with("[1,2]");
    check_fails(SIMLEDGER_LIMIT_EXCEEDED, [&] { two.feature_numbers("", one, 1); });
    CHECK(two.feature_numbers("") == (std::vector<double>{1, 2}));

    const Error nothing = thrown<Error>([] { EntryView().feature_number("/rate"); });
    CHECK(nothing.status() == SIMLEDGER_INVALID_ARGUMENT && nothing.field() == "entry");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [] { Entry().feature_json(""); });
}

void what_is_made_reads_back() {
    const std::vector<double> values = {0.1, 1.0 / 3, -1e-300, std::numeric_limits<double>::max()};
    const Entry entry = entry_with(
        Features().set("v", values).set("i", INT64_MIN).set("t", "\t\u00e9\x01").set("b", false));
    CHECK(entry.feature_numbers("/v") == values && entry.feature_integer("/i") == INT64_MIN);
    CHECK(entry.feature_text("/t") == "\t\u00e9\x01" && entry.feature_boolean("/b") == false);
}

} // namespace

int main() {
    values_of_all_types_are_written();
    features_are_appended_as_they_are();
    what_is_refused_changes_nothing();
    features_can_be_moved();
    values_are_found_by_pointer();
    what_is_nowhere_is_empty();
    values_of_another_type_are_errors();
    what_is_made_reads_back();
    return 0;
}
