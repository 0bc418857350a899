// simledger.hpp: transactions.
#include "check.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace {

using simledger::Batch;
using simledger::Features;
using simledger::Transaction;

static_assert(std::is_nothrow_move_constructible_v<Transaction> &&
              !std::is_copy_constructible_v<Transaction>);
static_assert(std::is_nothrow_move_assignable_v<Transaction> &&
              !std::is_copy_assignable_v<Transaction>);
static_assert(!std::is_default_constructible_v<Transaction>);

constexpr std::string_view json = R"({"timestamp":9,"node_id":"n","features":[1],"confidence":1})";

void all_entries_are_written_at_the_commit() {
    Ledger ledger = in_memory(2);
    Transaction transaction = ledger.transaction();
    CHECK(transaction.empty() && transaction.size() == 0);
    CHECK(transaction.append({8, "n", Features().set("a", 1), 0.5}) == 0);
    CHECK(transaction.append_json(json) == 1);
    CHECK(transaction.size() == 2 && !transaction.empty() && ledger.count() == 2);
    const Batch batch = transaction.commit();
    CHECK(batch.first_id == 3 && batch.count == 2 && ledger.count() == 4);
    CHECK(ledger.get_by_id(3)->features_json() == R"({"a":1})");
    CHECK(ledger.get_by_id(4)->timestamp() == 9);

    // It has ended.
    CHECK(transaction.size() == 0);
    check_fails(SIMLEDGER_CLOSED, [&] { transaction.append_json(json); });
    check_fails(SIMLEDGER_CLOSED, [&] { transaction.commit(); });
    check_fails(SIMLEDGER_CLOSED, [&] { transaction.expect_last_id(4); });

    const Batch nothing = ledger.transaction().commit();
    CHECK(nothing.first_id == 0 && nothing.count == 0);
}

void without_a_commit_nothing_is_written() {
    Ledger ledger = in_memory();
    simledger_transaction *handle = nullptr;
    {
        Transaction transaction = ledger.transaction();
        transaction.append_json(json);
        handle = transaction.get();
        CHECK(simledger_transaction_len(handle) == 1);
    }
    CHECK(simledger_transaction_len(handle) == 0);
    CHECK(simledger_transaction_commit(handle, nullptr, nullptr, nullptr) == SIMLEDGER_CLOSED);
    CHECK(ledger.count() == 0);
}

void what_is_refused_is_not_added() {
    Ledger ledger = in_memory(1);
    Transaction transaction = ledger.transaction();
    const Error confidence = thrown<Error>([&] { transaction.append({8, "n", "{}", 2}); });
    CHECK(confidence.status() == SIMLEDGER_INVALID_ENTRY && confidence.field() == "confidence");
    check_fails(SIMLEDGER_INVALID_ENTRY, [&] { transaction.append_json("{}"); });
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { transaction.expect_last_id(-1); });
    CHECK(transaction.empty());

    transaction.append_json(json);
    transaction.append({1, "odd", "[]", 0.5});
    const Error duplicate = thrown<Error>([&] { transaction.commit(); });
    CHECK(duplicate.status() == SIMLEDGER_DUPLICATE && duplicate.index() == 1u);
    CHECK(duplicate.entry_id() == 1 && ledger.count() == 1);
    CHECK(transaction.size() == 2); // as it was
    CHECK(ledger.cleanup_before_id(2) == 1);
    CHECK(transaction.commit().count == 2); // nothing is in its way any more
}

void a_decision_is_written_only_while_it_holds() {
    Ledger ledger = in_memory(2);
    Transaction first = ledger.transaction();
    first.expect_last_id(2).append_json(json);
    CHECK(ledger.append({3, "other", "{}", 1}) == 3);
    const Error conflict = thrown<Error>([&] { first.commit(); });
    CHECK(conflict.status() == SIMLEDGER_CONFLICT && conflict.entry_id() == 3);
    CHECK(ledger.count() == 3);
    CHECK(first.expect_last_id(3).commit().first_id == 4);
}

void transactions_can_be_moved() {
    Ledger ledger = in_memory();
    Transaction first = ledger.transaction();
    first.append_json(json);
    Transaction second = std::move(first);
    CHECK(second.size() == 1);
    CHECK(first.get() == nullptr && first.size() == 0); // NOLINT: what is left of it is defined
    const Error moved = thrown<Error>([&] { first.append_json(json); });
    CHECK(moved.status() == SIMLEDGER_INVALID_ARGUMENT && moved.field() == "transaction");
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { first.commit(); });
    simledger_transaction *const replaced = second.get();
    second = ledger.transaction();
    CHECK(second.empty() && simledger_transaction_len(replaced) == 0);

    // The ledger object may move meanwhile; it is the same ledger.
    second.append_json(json);
    Ledger elsewhere = std::move(ledger);
    CHECK(second.commit().count == 1 && elsewhere.count() == 1);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.transaction(); }); // NOLINT
}

void a_transaction_outlives_its_ledger() {
    std::optional<Transaction> transaction;
    {
        Ledger ledger = in_memory();
        transaction.emplace(ledger.transaction());
        transaction->append_json(json);
    }
    CHECK(transaction->append({1, "n", "{}", 1}) == 1);
    check_fails(SIMLEDGER_CLOSED, [&] { transaction->commit(); });
    transaction.reset();
}

void what_a_log_threw_comes_out_of_a_commit() {
    bool armed = true;
    Config config{":memory:"};
    config.log(LogLevel::info, [&](LogLevel level, std::string_view) {
        if (armed && level == LogLevel::error)
            throw Thrown(5);
    });
    Ledger ledger{config};
    Transaction transaction = ledger.transaction();
    transaction.append_json(json);
    // A ledger with the same log fails to open: its Error comes first, the exception is kept.
    config.path("no/such/folder.db");
    check_fails(SIMLEDGER_IO, [&] { Ledger{config}; });
    armed = false;
    CHECK(thrown<Thrown>([&] { transaction.commit(); }).number == 5);
    CHECK(ledger.count() == 1); // it has done its work
    check_fails(SIMLEDGER_CLOSED, [&] { transaction.commit(); });
}

} // namespace

int main() {
    all_entries_are_written_at_the_commit();
    without_a_commit_nothing_is_written();
    what_is_refused_is_not_added();
    a_decision_is_written_only_while_it_holds();
    transactions_can_be_moved();
    a_transaction_outlives_its_ledger();
    what_a_log_threw_comes_out_of_a_commit();
    return 0;
}
