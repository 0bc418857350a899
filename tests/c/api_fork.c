/* A forked child, and the parent that goes on. */
#include "child.h"
#include "every_call.h"

static simledger_ledger *in_file, *in_memory;
static simledger_entries *entries;
static simledger_entry *entry;
static simledger_error *failure;
static simledger_config *config;

static void inherited_handles_are_closed(void) {
    for (int i = 0; i < 2; i++) {
        check_every_call(in_file, SIMLEDGER_CLOSED);
        check_every_call(in_memory, SIMLEDGER_CLOSED);
    }
    int64_t count = 77;
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, "forked", simledger_count(in_file, &count, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, NULL, "forked", simledger_close(in_memory, &error));
}

static void shutdown_leaves_the_parents_ledgers(void) {
    CHECK_OK(simledger_shutdown(&error));
    CHECK(simledger_close(in_file, NULL) == SIMLEDGER_CLOSED);
}

static void the_file_of_the_parent_can_be_opened(void) {
    static const char *const NAMES[] = {"parent.db", "./parent.db", "link.db"};
    const int64_t before = simledger_entries_len(entries);
    for (int i = 0; i < 3; i++) {
        simledger_ledger *read_only = open_with(NAMES[i], "read_only", "true", END);
        CHECK(count_of(read_only) >= before);
        close_ledger(read_only);
        simledger_ledger *ledger = open_with(NAMES[i], END);
        CHECK(count_of(ledger) >= before);
        simledger_entry *parents = NULL;
        CHECK_OK(simledger_get_by_id(ledger, 1, &parents, &error));
        CHECK_TEXT(simledger_entry_node_id(parents, NULL), "parent");
        simledger_entry_free(parents);
        close_ledger(ledger);
        CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
    }
    check_every_call(in_file, SIMLEDGER_CLOSED); /* also beside handles of its own */
}

static void a_child_has_ledgers_of_its_own(void) {
    use_a_ledger(":memory:");
    use_a_ledger("child.db");
    use_a_ledger("child.db");
    use_a_ledger("closed-before.db"); /* the parent had it open, but not at the fork */
    /* The inherited configuration is as good as before. */
    simledger_ledger *ledger = NULL;
    CHECK_OK(simledger_open(config, &ledger, &error));
    append(ledger, 1, "child");
    check_every_call(in_file, SIMLEDGER_CLOSED); /* also beside handles of its own */
    CHECK_OK(simledger_shutdown(&error));
    CHECK(simledger_close(ledger, NULL) == SIMLEDGER_CLOSED);
}

static simledger_ledger *of_child;

static void closed_for_the_grandchild_too(void) {
    check_every_call(in_file, SIMLEDGER_CLOSED);
    check_every_call(of_child, SIMLEDGER_CLOSED);
    use_a_ledger("of-child.db");
    use_a_ledger("grandchild.db");
    use_a_ledger(":memory:");
}

static void a_child_may_fork_again(void) {
    of_child = open_with("of-child.db", END);
    append(of_child, 1, "child");
    in_child(closed_for_the_grandchild_too);
    CHECK(append(of_child, 3, "child") == 3);
    close_ledger(of_child);
}

static void inherited_results_are_readable(void) {
    CHECK(simledger_entries_len(entries) == 2 && simledger_entries_position(entries) == 2);
    CHECK_TEXT(simledger_entry_node_id(simledger_entries_get(entries, 1), NULL), "parent");
    CHECK_TEXT(simledger_entry_features_json(entry, NULL), "{\"rate\":910}");
    CHECK(strstr(simledger_entries_json(entries, NULL), "\"id\":2") != NULL);
    CHECK_TEXT(simledger_error_field(failure), "limit");
    simledger_entry *own = simledger_entry_retain(simledger_entries_get(entries, 0));
    simledger_entries_free(entries);
    simledger_entry_free(entry);
    CHECK(simledger_entry_id(own) == 1);
    simledger_entry_free(own);
    simledger_error_free(failure);
}

static void children_of_a_parent_that_goes_on(void) {
    in_file = open_with("parent.db", END);
    in_memory = open_in_memory();
    config = config_with("by-config.db", "max_connections", "2", END);
    CHECK(symlink("parent.db", "link.db") == 0);
    use_a_ledger("closed-before.db");
    for (int i = 1; i <= 2; i++)
        append(in_file, i, "parent");
    append(in_memory, 1, "parent");
    entries = read_all(in_file);
    CHECK_OK(simledger_get_by_id(in_file, 1, &entry, &error));
    simledger_entries *none = NULL;
    CHECK(simledger_poll_since(in_file, 0, 0, &none, &failure) == SIMLEDGER_INVALID_ARGUMENT);

    static void (*const CHILDREN[])(void) = {
        inherited_handles_are_closed,
        shutdown_leaves_the_parents_ledgers,
        the_file_of_the_parent_can_be_opened,
        a_child_has_ledgers_of_its_own,
        a_child_may_fork_again,
        inherited_results_are_readable,
    };
    for (size_t i = 0; i < sizeof CHILDREN / sizeof *CHILDREN; i++) {
        in_child(CHILDREN[i]);
        /* The parent is none the worse for it. */
        CHECK(append(in_file, 10 + (double)i, "parent") == 3 + (int64_t)i);
        CHECK(count_of(in_file) == 3 + (int64_t)i);
        CHECK(append(in_memory, 10 + (double)i, "parent") == 2 + (int64_t)i);
        CHECK(simledger_entries_len(entries) == 2);
        CHECK_TEXT(simledger_entry_node_id(entry, NULL), "parent");
    }
    simledger_error_free(failure);
    simledger_entry_free(entry);
    simledger_entries_free(entries);
    simledger_config_free(config);
    close_ledger(in_file);
    close_ledger(in_memory);
}

int main(void) {
    children_of_a_parent_that_goes_on();
    return 0;
}
