// simledger.hpp: waiting for entries, and watches.
#include "check.hpp"

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>

namespace {

using namespace std::chrono_literals;
using simledger::Query;
using simledger::Watch;

const std::chrono::duration<double> forever{std::numeric_limits<double>::infinity()};

bool is_readable(const Watch &watch) {
    pollfd polled{watch.descriptor(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

void a_wait_gives_what_comes() {
    Ledger ledger = in_memory(2);
    CHECK(ledger.wait_since(0, forever).size() == 2);
    CHECK(ledger.wait_since(0, forever, 1).size() == 1);
    const Entries nothing = ledger.wait_since(2, 1ms);
    CHECK(nothing.empty() && nothing.position() == 2);
    std::thread other([&] { ledger.append({3, "odd", "{}", 1}); });
    const Entries found = ledger.wait_since(2, forever);
    other.join();
    CHECK(found.size() == 1 && found.position() == 3);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { ledger.wait_since(0, -1s); });
}

void a_wait_passes_over_what_a_query_does_not_give() {
    Ledger ledger = in_memory(4);
    Query query;
    query.add_node("odd");
    const Entries odd = ledger.wait_query(query, 1, forever);
    CHECK(odd.size() == 1 && odd[0].id() == 3 && odd.position() == 4);
    const Entries nothing = ledger.wait_query(query, 3, 0s);
    CHECK(nothing.empty() && nothing.position() == 4);
}

void a_watch_is_readable_while_something_comes() {
    Ledger ledger = in_memory(3);
    Watch watch = ledger.watch(1);
    CHECK(is_readable(watch));
    Watch moved = std::move(watch);
    check_fails(SIMLEDGER_INVALID_ARGUMENT, [&] { watch.poll(); });
    CHECK(moved.poll(1).position() == 2 && is_readable(moved));
    CHECK(moved.poll().position() == 3 && !is_readable(moved));
    CHECK(moved.poll().empty());
    Query query;
    query.add_node("even");
    CHECK(!is_readable(ledger.watch(2, query)) && is_readable(ledger.watch(0, query)));
    ledger.close();
    CHECK(is_readable(moved));
    check_fails(SIMLEDGER_CLOSED, [&] { moved.poll(); });
}

} // namespace

int main() {
    a_wait_gives_what_comes();
    a_wait_passes_over_what_a_query_does_not_give();
    a_watch_is_readable_while_something_comes();
    return 0;
}
