// simledger.hpp: queries, SQL, and whole results at once.
#include "check.hpp"

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using simledger::Columns;
using simledger::Features;
using simledger::Order;
using simledger::Query;

static_assert(std::is_nothrow_move_constructible_v<Query> && !std::is_copy_constructible_v<Query>);
static_assert(std::is_nothrow_move_assignable_v<Query> && !std::is_copy_assignable_v<Query>);
static_assert(std::is_trivially_copyable_v<Columns>);
static_assert(std::is_trivially_copyable_v<simledger::Span<double>>);

// What is borrowed from a result is not lent by one that is about to end.
template <typename Result, typename = void> struct LendsChunks : std::false_type {};
template <typename Result>
struct LendsChunks<Result, std::void_t<decltype(std::declval<Result>().chunks())>>
    : std::true_type {};
static_assert(LendsChunks<const Entries &>::value && !LendsChunks<Entries>::value);

bool has_ids(const Entries &entries, std::initializer_list<std::int64_t> ids) {
    std::vector<std::int64_t> found;
    for (const auto &entry : entries)
        found.push_back(entry.id());
    return found == std::vector<std::int64_t>(ids);
}

// Entries 1 to 6: times 6 to 1, nodes a b c a b c, confidences 0.1 to 0.6.
Ledger six() {
    Ledger ledger{":memory:"};
    const char *const nodes[] = {"a", "b", "c"};
    for (int i = 0; i < 6; i++)
        ledger.append({6.0 - i, nodes[i % 3], Features().set("i", i), (i + 1) / 10.0});
    return ledger;
}

// --- Queries ---

void each_condition_holds() {
    const Ledger ledger = six();
    CHECK(has_ids(ledger.query(Query()), {1, 2, 3, 4, 5, 6}));
    CHECK(has_ids(ledger.query(Query().time_range(2, 4)), {4, 5}));
    CHECK(has_ids(ledger.query(Query().time_range(5, INFINITY)), {1, 2}));
    CHECK(has_ids(ledger.query(Query().id_range(2, 3)), {2, 3}));
    CHECK(has_ids(ledger.query(Query().id_range(5)), {5, 6}));
    CHECK(has_ids(ledger.query(Query().add_node("a").add_node("c")), {1, 3, 4, 6}));
    CHECK(has_ids(ledger.query(Query().exclude_node("a").exclude_node("c")), {2, 5}));
    CHECK(has_ids(ledger.query(Query().min_confidence(0.5)), {5, 6}));
    CHECK(has_ids(ledger.query(Query().limit(2)), {1, 2}));
    CHECK(has_ids(ledger.query(Query().exclude_node("b").min_confidence(0.3).id_range(1, 4)),
                  {3, 4}));
    CHECK(ledger.query(Query().add_node("nobody")).empty());
    CHECK(ledger.query(Query().add_node("a").limit(1)).position() == 6);
}

void orders_and_pages() {
    const Ledger ledger = six();
    CHECK(has_ids(ledger.query(Query().order(Order::id)), {1, 2, 3, 4, 5, 6}));
    CHECK(has_ids(ledger.query(Query().order(Order::id_descending)), {6, 5, 4, 3, 2, 1}));
    CHECK(has_ids(ledger.query(Query().order(Order::time)), {6, 5, 4, 3, 2, 1}));
    CHECK(has_ids(ledger.query(Query().order(Order::time_descending)), {1, 2, 3, 4, 5, 6}));

    for (const Order order : {Order::id, Order::id_descending, Order::time}) {
        Query query;
        query.order(order).limit(4);
        const Entries first = ledger.query(query);
        const Entries second = ledger.query(query.after(first[3])); // one query, used again
        CHECK(first.size() == 4 && second.size() == 2);
        CHECK(ledger.query(query.after(second[1])).empty());
        CHECK(std::abs(second[0].id() - first[3].id()) == 1);
    }
    CHECK(has_ids(ledger.query(Query().order(Order::time).after(3, 4)), {3, 2, 1}));
}

void polls_pass_over_what_a_query_leaves_out() {
    Ledger ledger = six();
    Query theirs;
    theirs.exclude_node("a").limit(2);
    const Entries first = ledger.poll_query(theirs, 0);
    CHECK(has_ids(first, {2, 3}) && first.position() == 3);
    const Entries second = ledger.poll_query(theirs, first.position());
    CHECK(has_ids(second, {5, 6}) && second.position() == 6);
    ledger.append({7, "a", "{}", 1});
    const Entries own = ledger.poll_query(theirs, second.position());
    CHECK(own.empty() && own.position() == 7);
    check_fails(SIMLEDGER_INVALID_ARGUMENT,
                [&] { ledger.poll_query(Query().order(Order::time), 0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.poll_query(Query().after(1, 1), 0); });
    const Error error = thrown<Error>([&] { ledger.poll_query(theirs, -1); });
    CHECK(error.status() == SIMLEDGER_INVALID_ARGUMENT && error.field() == "last_seen_id");
}

void plans_name_the_index() {
    const Ledger ledger = six();
    const std::string plan = ledger.query_plan(Query().add_node("a").order(Order::time));
    CHECK(plan.find("INDEX") != std::string::npos && plan.find("node") != std::string::npos);
    CHECK(plan.find("TEMP B-TREE") == std::string::npos); // never sorts
}

void conditions_that_make_no_sense_change_nothing() {
    const Ledger ledger = six();
    Query query;
    query.id_range(2, 3);
    const Error range = thrown<Error>([&] { query.id_range(3, 2); });
    CHECK(range.status() == SIMLEDGER_INVALID_ARGUMENT && !range.field().empty());
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.id_range(0); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.time_range(2, 2); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.time_range(NAN, 2); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.add_node({}); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.exclude_node(" "); });
    CHECK(thrown<Error>([&] { query.min_confidence(1.5); }).field() == "min_confidence");
    CHECK(thrown<Error>([&] { query.limit(0); }).field() == "limit");
    CHECK(thrown<Error>([&] { query.order(static_cast<Order>(9)); }).field() == "order");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { query.after(EntryView()); });
    CHECK(has_ids(ledger.query(query), {2, 3}));
}

void queries_can_be_moved() {
    const Ledger ledger = six();
    Query first;
    first.id_range(2, 3);
    const simledger_query *const owned = first.get();
    Query second = std::move(first);
    CHECK(second.get() == owned && has_ids(ledger.query(second), {2, 3}));
    CHECK(first.get() == nullptr); // NOLINT: what is left of it is defined
    CHECK(thrown<Error>([&] { first.limit(1); }).field() == "query");
    CHECK(thrown<Error>([&] { ledger.query(first); }).field() == "query");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.query_plan(first); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.poll_query(first, 0); });
    first = std::move(second);
    CHECK(has_ids(ledger.query(first), {2, 3}));
}

// --- SQL ---

void statements_give_json() {
    const Ledger ledger = six();
    CHECK(ledger.sql("SELECT count(*) AS n FROM ledger") ==
          R"({"columns":["n"],"rows":[[6]],"truncated":false})");
    CHECK(ledger.sql("SELECT id FROM ledger WHERE id > ? AND node_id = ?", R"([1,"a"])") ==
          R"({"columns":["id"],"rows":[[4]],"truncated":false})");
    CHECK(ledger.sql("SELECT id FROM ledger WHERE id > :above ORDER BY id",
                     Features().set("above", 2),
                     1) == R"({"columns":["id"],"rows":[[3]],"truncated":true})");
    const Error write = thrown<Error>([&] { ledger.sql("DELETE FROM ledger"); });
    CHECK(write.status() == SIMLEDGER_INVALID_ARGUMENT && write.field() == "sql");
    CHECK(thrown<Error>([&] { ledger.sql("SELECT ?"); }).field() == "parameters_json");
    CHECK(thrown<Error>([&] { ledger.sql("SELECT 1", {}, 0); }).field() == "rows_max");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.sql({}); });
    CHECK(ledger.count() == 6);
}

// --- Whole results at once ---

void columns_are_the_result() {
    constexpr int many = 10000; // more than a chunk
    Ledger ledger{":memory:"};
    std::string lines;
    for (int i = 1; i <= many; i++) {
        const std::string number = std::to_string(i);
        lines += R"({"timestamp":)" + number + R"(,"node_id":"n)" + number + R"(","features":[)" +
                 number + R"(],"confidence":0.5})" + '\n';
    }
    CHECK(ledger.append_many_json(lines).count == many);
    const Entries all = ledger.read_all();
    CHECK(all.chunk_count() > 1 && all.chunks().size() == all.chunk_count());

    std::size_t at = 0;
    for (const Columns &columns : all.chunks()) {
        CHECK(columns.size() > 0 && columns.ids().size() == columns.size());
        CHECK(columns.get().len == columns.size());
        for (std::size_t i = 0; i < columns.size(); i++, at++) {
            const EntryView entry = all[at];
            CHECK(columns.ids()[i] == entry.id() && columns.timestamps()[i] == entry.timestamp());
            CHECK(columns.confidences()[i] == 0.5);
            CHECK(columns.created_at()[i] == entry.created_at());
            CHECK(columns.node_id(i) == entry.node_id());
            CHECK(columns.features_json(i) == entry.features_json());
        }
    }
    CHECK(at == many);

    const Columns first = all.columns(0);
    const auto ids = first.ids();
    CHECK(std::accumulate(ids.begin(), ids.end(), std::int64_t{0}) ==
          std::int64_t(ids.size()) * (std::int64_t(ids.size()) + 1) / 2);
    CHECK(ids.data() == first.get().ids && !ids.empty() && simledger::Span<int>().empty());
    auto chunk = all.chunks().begin();
    CHECK((*chunk++).ids()[0] == 1 && (*chunk).ids()[0] == std::int64_t(ids.size()) + 1);
    CHECK(std::size_t(std::distance(all.chunks().begin(), all.chunks().end())) ==
          all.chunk_count());

    const Error none = thrown<Error>([&] { all.columns(all.chunk_count()); });
    CHECK(none.status() == SIMLEDGER_INVALID_ARGUMENT && none.field() == "chunk");
    const Entries nothing;
    CHECK(nothing.chunk_count() == 0 && nothing.chunks().begin() == nothing.chunks().end());
    CHECK(thrown<Error>([&] { nothing.columns(0); }).field() == "entries");
}

void views_come_many_at_once() {
    const Ledger ledger = six();
    const Entries all = ledger.read_all();
    simledger_entry_view views[4];
    CHECK(all.views(0, views, 4) == 4 && views[0].id == 1 && views[3].id == 4);
    CHECK(views[3].timestamp == 3 && views[3].confidence == 0.4);
    CHECK(std::string_view(views[3].node_id, views[3].node_id_len) == "a");
    CHECK(std::string_view(views[3].features_json, views[3].features_json_len) == R"({"i":3})");
    CHECK(views[3].created_at == all[3].created_at());
    CHECK(all.views(4, views, 4) == 2 && views[1].id == 6);
    CHECK(all.views(6, views, 4) == 0);
    CHECK(thrown<Error>([&] { all.views(0, views, 0); }).field() == "views_max");
    CHECK(thrown<Error>([&] { all.views(0, nullptr, 1); }).field() == "views");
}

} // namespace

int main() {
    each_condition_holds();
    orders_and_pages();
    polls_pass_over_what_a_query_leaves_out();
    plans_name_the_index();
    conditions_that_make_no_sense_change_nothing();
    queries_can_be_moved();
    statements_give_json();
    columns_are_the_result();
    views_come_many_at_once();
    return 0;
}
