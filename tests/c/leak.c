/* Nothing is left behind, whether calls worked or failed: no descriptor and no thread, as is seen
 * here, and no memory, as valgrind sees. */
#include "check.h"
#include <dirent.h>
#include <sched.h>

/* Entries of a folder of /proc, those of this very reading not counted. */
static int entries_in(const char *folder) {
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static int descriptors(void) { return entries_in("/proc/self/fd") - 1; }

/* A thread may end a moment after the last ledger: a bounded number of looks. */
static int threads_end_at(int expected) {
    for (int i = 0; i < 1000000; i++) {
        if (entries_in("/proc/self/task") == expected)
            return 1;
        sched_yield();
    }
    return 0;
}

static void use_once(const char *path) {
    simledger_ledger *ledger = open_with(path, "max_connections", "3", "unique", "none", END);
    static const char batch[] =
        "[{\"timestamp\":1,\"node_id\":\"n\",\"features\":{\"a\":1},\"confidence\":1},"
        "{\"timestamp\":2,\"node_id\":\"n\",\"features\":{\"a\":2},\"confidence\":1}]";
    CHECK_OK(simledger_append_many_json(ledger, batch, NUL_TERMINATED, NULL, NULL, &error));
    const int64_t id = append(ledger, 3, "n");
    simledger_entries *entries = read_all(ledger);
    CHECK(simledger_entries_json(entries, NULL) != NULL);
    simledger_entry *own = simledger_entry_retain(simledger_entries_get(entries, 1));
    simledger_entries_free(entries);
    CHECK_OK(simledger_read_by_node(ledger, "n", 1, 2, &entries, &error));
    simledger_entries_free(entries);
    simledger_entry_free(own);
    CHECK_OK(simledger_get_by_id(ledger, id, &own, &error));
    simledger_entry_free(own);
    char *metrics = NULL;
    CHECK_OK(simledger_metrics_json(ledger, &metrics, NULL, &error));
    simledger_string_free(metrics);
    CHECK_OK(simledger_cleanup_before_id(ledger, INT64_MAX, NULL, &error));
    close_ledger(ledger);
}

static void fail_at_opening(void) {
    static const char *const PATHS[] = {".", "no/such.db", "garbage.db", "dangling.db", "", "\xff"};
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        simledger_ledger *ledger = NULL;
        simledger_error *error = NULL;
        CHECK(simledger_open_path(PATHS[i], NUL_TERMINATED, &ledger, &error) != SIMLEDGER_OK);
        CHECK(simledger_error_message(error)[0] != '\0');
        simledger_error_free(error);
        CHECK(simledger_open_path(PATHS[i], NUL_TERMINATED, &ledger, NULL) != SIMLEDGER_OK);
    }
    simledger_config *config = config_with("missing.db", "read_only", "true", END);
    simledger_ledger *ledger = NULL;
    CHECK(simledger_open(config, &ledger, NULL) == SIMLEDGER_IO);
    CHECK(simledger_config_set(config, "nothing", 7, "x", 1, NULL) == SIMLEDGER_INVALID_CONFIG);
    simledger_config_free(config);
    simledger_ledger *open = open_with("open.db", END);
    config = config_with("open.db", "unique", "none", END);
    CHECK(simledger_open(config, &ledger, NULL) == SIMLEDGER_INVALID_CONFIG);
    simledger_config_free(config);
    close_ledger(open);
    CHECK(simledger_close(open, NULL) == SIMLEDGER_CLOSED);
}

static void fail_at_every_call(void) {
    simledger_ledger *ledger = open_in_memory();
    append(ledger, 1, "n");
    static const char
        *const
            TEXTS[] =
                {
                    "",
                    "{",
                    "\xff",
                    "[",
                    "[{}]",
                    "{\"timestamp\":1}",
                    "{\"a\":[[[[1,{\"b\":\"\\ud83d\\ude00",
                    "{\"timestamp\":1,\"node_id\":\"\\u0041\",\"features\":{\"a\":1,\"a\":2},"
                    "\"confidence\":1}",
                    "{\"timestamp\":1,\"node_id\":\"n\",\"features\":{ \"b\" : [ ] "
                    "},\"confidence\":1}", /* a
                                              duplicate
                                            */
                    "{\"timestamp\":7,\"node_id\":\"n\",\"features\":{ "
                    "},\"confidence\":1}\n{\"timestamp\":1",
                };
    simledger_entries *entries = NULL;
    simledger_entry *entry = NULL;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        simledger_error *error = NULL;
        CHECK(simledger_append_json(ledger, TEXTS[i], NUL_TERMINATED, NULL, &error) !=
              SIMLEDGER_OK);
        simledger_error_free(error);
        const simledger_status status =
            simledger_append_many_json(ledger, TEXTS[i], NUL_TERMINATED, NULL, NULL, &error);
        CHECK((status == SIMLEDGER_OK) == (TEXTS[i][0] == '\0'));
        simledger_error_free(error);
        simledger_append(ledger, 2, TEXTS[i], NUL_TERMINATED, TEXTS[i], NUL_TERMINATED, 2, NULL,
                         NULL);
        simledger_validate_json(NULL, TEXTS[i], NUL_TERMINATED, NULL);
    }
    CHECK(simledger_poll_since(ledger, -1, 1, &entries, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_read_by_node(ledger, "", 0, 1, &entries, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_get_by_id(ledger, 99, &entry, NULL) == SIMLEDGER_NOT_FOUND);
    CHECK(simledger_get_by_id(ledger, 0, &entry, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    CHECK(simledger_cleanup(ledger, -1, NULL, NULL) == SIMLEDGER_INVALID_ARGUMENT);
    close_ledger(ledger);
    simledger_ledger *small = open_with(":memory:", "result_bytes_max", "1", END);
    append(small, 1, "n");
    CHECK(simledger_read_all(small, &entries, NULL) == SIMLEDGER_LIMIT_EXCEEDED);
    CHECK(simledger_poll_since(small, 0, 1, &entries, NULL) == SIMLEDGER_LIMIT_EXCEEDED);
    close_ledger(small);
}

static void do_everything(void) {
    use_once("leak.db");
    use_once(":memory:");
    fail_at_opening();
    fail_at_every_call();
}

int main(void) {
    static char garbage[1000] = "no database";
    write_file("garbage.db", garbage, sizeof garbage);
    CHECK(symlink("nowhere.db", "dangling.db") == 0);
    const int threads = entries_in("/proc/self/task");
    const int descriptors_before = descriptors();
    const int rounds = times(60, 2);
    for (int i = 0; i < rounds; i++) {
        do_everything();
        CHECK(descriptors() == descriptors_before);
    }
    CHECK(threads_end_at(threads));
    return 0;
}
