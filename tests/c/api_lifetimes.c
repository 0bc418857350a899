/* What lives how long, and what a handle is after that. */
#include "check.h"
#include "every_call.h"

static void entries_and_results_outlive_the_ledger(void) {
    simledger_ledger *ledger = open_in_memory();
    for (int i = 1; i <= 3; i++)
        append(ledger, i, "node-7");
    simledger_entries *all = read_all(ledger);
    simledger_entry *second = NULL;
    CHECK_OK(simledger_get_by_id(ledger, 2, &second, &error));
    close_ledger(ledger);

    CHECK(simledger_entries_len(all) == 3);
    CHECK(simledger_entries_position(all) == 3);
    for (size_t i = 0; i < 3; i++) {
        const simledger_entry *entry = simledger_entries_get(all, i);
        CHECK(simledger_entry_id(entry) == (int64_t)i + 1);
        CHECK_TEXT(simledger_entry_node_id(entry, NULL), "node-7");
    }
    CHECK(simledger_entry_timestamp(second) == 2);
    CHECK(simledger_entry_confidence(second) == 0.5);
    CHECK(simledger_entry_created_at(second) > 1.7e9);
    CHECK_TEXT(simledger_entry_features_json(second, NULL), "{\"rate\":910}");
    size_t len = 0;
    const char *json = simledger_entries_json(all, &len); /* built only now */
    CHECK(strlen(json) == len && json[0] == '[' && json[len - 1] == ']');
    CHECK(simledger_entries_json(all, NULL) == json);
    simledger_entries_free(all);
    simledger_entry_free(second);
}

static void retained_entries_outlive_results_and_each_other(void) {
    simledger_ledger *ledger = open_in_memory();
    for (int i = 1; i <= 3; i++)
        append(ledger, i, "node-7");
    simledger_entries *all = read_all(ledger);
    simledger_entry *first = simledger_entry_retain(simledger_entries_get(all, 0));
    simledger_entry *third = simledger_entry_retain(simledger_entries_get(all, 2));
    simledger_entry *again = simledger_entry_retain(first);
    simledger_entries_free(all);
    close_ledger(ledger);

    CHECK(simledger_entry_id(third) == 3);
    simledger_entry_free(third);
    CHECK(simledger_entry_id(first) == 1);
    simledger_entry_free(first);
    CHECK(simledger_entry_id(again) == 1);
    CHECK_TEXT(simledger_entry_node_id(again, NULL), "node-7");
    CHECK_TEXT(simledger_entry_features_json(again, NULL), "{\"rate\":910}");
    simledger_entry_free(again);
}

/* What is read once more from a cache is as much the caller's own. */
static void results_from_a_cache_are_independent(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "node-7");
    simledger_entry *entries[2] = {NULL, NULL};
    simledger_entries *results[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(simledger_get_by_id(ledger, 1, &entries[i], &error));
        CHECK_OK(simledger_read_by_node(ledger, "node-7", 6, 1, &results[i], &error));
    }
    simledger_entry_free(entries[0]);
    simledger_entries_free(results[0]);
    CHECK_OK(simledger_invalidate_caches(ledger, &error));
    close_ledger(ledger);
    CHECK(simledger_entry_id(entries[1]) == 1);
    CHECK(simledger_entry_id(simledger_entries_get(results[1], 0)) == 1);
    simledger_entry_free(entries[1]);
    simledger_entries_free(results[1]);
}

static void accessors_out_of_range_give_nothing(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "node-7");
    simledger_entries *all = read_all(ledger);
    CHECK(simledger_entries_get(all, 0) != NULL);
    CHECK(simledger_entries_get(all, 1) == NULL);
    CHECK(simledger_entries_get(all, SIZE_MAX) == NULL);
    simledger_entries_free(all);
    close_ledger(ledger);
}

static void a_closed_handle_is_closed_for_every_call(void) {
    simledger_ledger *in_memory = open_in_memory();
    simledger_ledger *in_file = open_with("closed.db", END);
    close_ledger(in_memory);
    close_ledger(in_file);
    check_every_call(in_memory, SIMLEDGER_CLOSED);
    check_every_call(in_file, SIMLEDGER_CLOSED);
    /* No call does anything, a second close neither, not even to whoever has its place now. */
    simledger_ledger *next = open_in_memory();
    check_every_call(in_memory, SIMLEDGER_CLOSED);
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, NULL, simledger_close(in_memory, &error));
    CHECK(simledger_close(in_file, NULL) == SIMLEDGER_CLOSED);
    CHECK(count_of(next) == 0);
    close_ledger(next);
}

static void closing_nothing_is_ok(void) { CHECK_OK(simledger_close(NULL, &error)); }

static void a_made_up_handle_is_an_invalid_argument(void) {
    check_every_call((simledger_ledger *)(uintptr_t)1, SIMLEDGER_INVALID_ARGUMENT);
    for (uintptr_t small = 1; small < 70000; small += 7) {
        CHECK(simledger_close((simledger_ledger *)small, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    }
    int on_the_stack = 0;
    check_every_call((simledger_ledger *)(void *)&on_the_stack, SIMLEDGER_INVALID_ARGUMENT);
    void *on_the_heap = malloc(64);
    check_every_call((simledger_ledger *)on_the_heap, SIMLEDGER_INVALID_ARGUMENT);
    free(on_the_heap);
    check_every_call((simledger_ledger *)UINTPTR_MAX, SIMLEDGER_INVALID_ARGUMENT);
}

/* A real handle with any one bit the other way is another ledger's at most. */
static void a_damaged_handle_is_an_error(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "node-7");
    for (unsigned bit = 0; bit < 64; bit++) {
        simledger_ledger *damaged = (simledger_ledger *)((uintptr_t)ledger ^ ((uintptr_t)1 << bit));
        int64_t count = 77;
        const simledger_status status = simledger_count(damaged, &count, NULL);
        CHECK(status == SIMLEDGER_INVALID_ARGUMENT || status == SIMLEDGER_CLOSED);
        CHECK(count == 0);
        CHECK(simledger_close(damaged, NULL) == status);
    }
    CHECK(count_of(ledger) == 1);
    close_ledger(ledger);
}

static int by_address(const void *a, const void *b) {
    const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static void handles_are_not_used_again(void) {
    enum { MOST = 5000 };
    static uintptr_t seen[MOST];
    const int rounds = times(MOST, 300);
    simledger_ledger *stays = open_with("stays.db", END);
    for (int i = 0; i < rounds; i++) {
        /* One more handle of an open file costs little; now and then a whole ledger comes and goes.
         */
        simledger_ledger *ledger = open_with(i % 50 == 0 ? ":memory:" : "stays.db", END);
        seen[i] = (uintptr_t)ledger;
        close_ledger(ledger);
    }
    for (int i = 0; i < rounds; i++) {
        CHECK(simledger_close((simledger_ledger *)seen[i], NULL) == SIMLEDGER_CLOSED);
    }
    qsort(seen, (size_t)rounds, sizeof *seen, by_address);
    for (int i = 1; i < rounds; i++)
        CHECK(seen[i] != seen[i - 1]);
    CHECK(count_of(stays) == 0);
    close_ledger(stays);
}

/* More than one block of the table of handles. */
static void many_ledgers_are_open_at_once(void) {
    enum { MOST = 600 };
    static simledger_ledger *ledgers[MOST];
    const int open = times(MOST, 300);
    for (int i = 0; i < open; i++) {
        ledgers[i] = open_with(i % 2 ? "many.db" : ":memory:", END);
        if (i % 2 == 0)
            append(ledgers[i], i, "node-7");
    }
    for (int i = 0; i < open; i++)
        CHECK(count_of(ledgers[i]) == (i % 2 == 0));
    for (int i = 0; i < open; i++)
        close_ledger(ledgers[i]);
    for (int i = 0; i < open; i++) {
        CHECK(simledger_close(ledgers[i], NULL) == SIMLEDGER_CLOSED);
    }
}

int main(void) {
    entries_and_results_outlive_the_ledger();
    retained_entries_outlive_results_and_each_other();
    results_from_a_cache_are_independent();
    accessors_out_of_range_give_nothing();
    a_closed_handle_is_closed_for_every_call();
    closing_nothing_is_ok();
    a_made_up_handle_is_an_invalid_argument();
    a_damaged_handle_is_an_error();
    handles_are_not_used_again();
    many_ledgers_are_open_at_once();
    return 0;
}
