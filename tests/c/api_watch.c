/* Watches: when their descriptor is readable, and when not. */
#include "child.h"
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#ifdef __linux__
#include <linux/capability.h>
#include <sys/syscall.h>
#endif

static simledger_watch *watch_from(simledger_ledger *ledger, int64_t last_seen_id,
                                   const simledger_query *filter) {
    simledger_watch *watch = NULL;
    CHECK_OK(simledger_watch_open(ledger, last_seen_id, filter, &watch, &error));
    return watch;
}

static int descriptor_of(simledger_watch *watch) {
    int32_t descriptor = -1;
    CHECK_OK(simledger_watch_descriptor(watch, &descriptor, &error));
    CHECK(descriptor >= 0);
    return descriptor;
}

/* Whether it is readable, or becomes so within a time in milliseconds. */
static bool is_readable(simledger_watch *watch, int milliseconds) {
    struct pollfd polled = {descriptor_of(watch), POLLIN, 0};
    const int ready = poll(&polled, 1, milliseconds);
    CHECK(ready >= 0);
    return ready == 1;
}

#define LONG 100000

/* The next entries, by their last id, how many there must be. */
static void check_next(simledger_watch *watch, size_t limit, size_t len, int64_t position) {
    simledger_entries *entries = NULL;
    CHECK_OK(simledger_watch_poll(watch, limit, &entries, &error));
    CHECK(simledger_entries_len(entries) == len);
    CHECK(simledger_entries_position(entries) == position);
    simledger_entries_free(entries);
}

static void readable_while_something_comes_next(void) {
    const char *paths[] = {"watched.db", ":memory:"};
    for (int k = 0; k < 2; k++) {
        simledger_ledger *ledger = open_with(paths[k], END);
        simledger_watch *watch = watch_from(ledger, 0, NULL);
        CHECK(!is_readable(watch, 0));
        check_next(watch, 10, 0, 0);
        for (int i = 0; i < 3; i++)
            append(ledger, i, "n");
        CHECK(is_readable(watch, LONG));
        check_next(watch, 2, 2, 2);
        CHECK(is_readable(watch, 0)); /* there was more than the limit */
        check_next(watch, 2, 1, 3);
        CHECK(!is_readable(watch, 0));
        check_next(watch, 2, 0, 3);
        append(ledger, 4, "n");
        CHECK(is_readable(watch, LONG));
        /* Another one, from where it likes. */
        simledger_watch *other = watch_from(ledger, 1, NULL);
        CHECK(is_readable(other, 0));
        check_next(other, SIMLEDGER_NO_LIMIT, 3, 4);
        check_next(watch, SIMLEDGER_NO_LIMIT, 1, 4);
        CHECK_OK(simledger_watch_close(other, &error));
        append(ledger, 5, "n");
        CHECK(is_readable(watch, LONG));
        CHECK_OK(simledger_watch_close(watch, &error));
        close_ledger(ledger);
    }
}

static void a_filter_wakes_for_what_passes_it(void) {
    simledger_ledger *ledger = open_with("filtered.db", END);
    simledger_query *query = simledger_query_new();
    CHECK_OK(simledger_query_add_node(query, "wanted", NUL_TERMINATED, &error));
    simledger_watch *watch = watch_from(ledger, 0, query);
    simledger_watch *all = watch_from(ledger, 0, NULL);
    simledger_query_free(query); /* it was copied */
    append(ledger, 1, "other");
    CHECK(is_readable(all, LONG));
    append(ledger, 2, "wanted");
    CHECK(is_readable(watch, LONG));
    check_next(watch, SIMLEDGER_NO_LIMIT, 1, 2);
    append(ledger, 3, "other");
    check_next(watch, SIMLEDGER_NO_LIMIT, 0, 3);
    CHECK(!is_readable(watch, 0));
    CHECK_OK(simledger_watch_close(watch, &error));
    CHECK_OK(simledger_watch_close(all, &error));
    close_ledger(ledger);
}

static void handles_that_are_none_are_clean_errors(void) {
    simledger_ledger *ledger = open_in_memory();
    simledger_watch *watch = watch_from(ledger, 0, NULL);
    int32_t descriptor = 77;
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "watch", "simledger_watch_open",
                simledger_watch_descriptor((simledger_watch *)ledger, &descriptor, &error));
    CHECK(descriptor == -1);
    simledger_entries *entries = GARBAGE_POINTER(simledger_entries);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "limit", NULL,
                simledger_watch_poll(watch, 0, &entries, &error));
    CHECK(entries == NULL);
    CHECK_OK(simledger_watch_close(NULL, &error));
    CHECK_OK(simledger_watch_close(watch, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_close(watch, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_poll(watch, 1, &entries, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_descriptor(watch, &descriptor, &error));
    close_ledger(ledger);
}

static void the_end_of_the_ledger_is_readable(void) {
    simledger_ledger *ledger = open_with("ended.db", END);
    simledger_ledger *other = open_with("ended.db", END);
    simledger_watch *watch = watch_from(ledger, 0, NULL);
    simledger_watch *of_other = watch_from(other, 0, NULL);
    close_ledger(ledger);
    CHECK(is_readable(watch, 0));
    CHECK(!is_readable(of_other, 0));
    simledger_entries *entries = NULL;
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_poll(watch, 1, &entries, &error));
    CHECK(is_readable(watch, 0));
    append(other, 1, "n");
    CHECK(is_readable(of_other, LONG));
    check_next(of_other, 1, 1, 1);
    CHECK_OK(simledger_shutdown(&error));
    CHECK(is_readable(of_other, 0));
    CHECK_OK(simledger_watch_close(watch, &error));
    CHECK_OK(simledger_watch_close(of_other, &error));
}

/* A child has no watch, and can have one of its own. */
static simledger_watch *inherited;

static void a_child_opens_its_own(void) {
    simledger_entries *entries = NULL;
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_poll(inherited, 1, &entries, &error));
    CHECK_FAILS(SIMLEDGER_CLOSED, "", NULL, simledger_watch_close(inherited, &error));
    simledger_ledger *ledger = open_with("forked.db", END);
    simledger_watch *watch = watch_from(ledger, 0, NULL);
    append(ledger, 1, "n");
    CHECK(is_readable(watch, LONG));
    check_next(watch, 1, 1, 1);
    CHECK_OK(simledger_watch_close(watch, &error));
    close_ledger(ledger);
}

static void what_a_child_appends_wakes_its_parent(void) {
    simledger_ledger *ledger = open_with("forked.db", END);
    inherited = watch_from(ledger, 0, NULL);
    in_child(a_child_opens_its_own);
    CHECK(is_readable(inherited, LONG));
    check_next(inherited, 10, 1, 1);
    CHECK(!is_readable(inherited, 0));
    CHECK_OK(simledger_watch_close(inherited, &error));
    close_ledger(ledger);
}

/* Several threads share a watch: each entry comes to one of them. */
static simledger_watch *shared;
static int entries_wanted;

static void *take(void *sum) {
    for (;;) {
        CHECK(is_readable(shared, LONG));
        simledger_entries *entries = NULL;
        CHECK_OK(simledger_watch_poll(shared, 3, &entries, &error));
        int64_t last = 0;
        for (size_t i = 0; i < simledger_entries_len(entries); i++) {
            last = simledger_entry_id(simledger_entries_get(entries, i));
            *(int64_t *)sum += last;
        }
        simledger_entries_free(entries);
        /* The last entry wakes all: one takes it, and the next one, for the others. */
        if (last >= entries_wanted) {
            return NULL;
        }
    }
}

static void threads_share_a_watch(void) {
    simledger_ledger *ledger = open_with("shared.db", END);
    shared = watch_from(ledger, 0, NULL);
    entries_wanted = times(2000, 100);
    pthread_t threads[3];
    int64_t sums[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, take, &sums[i]) == 0);
    int64_t appended = 0;
    for (int i = 0; i < entries_wanted; i++)
        appended += append(ledger, i, "n");
    /* Until each has had one behind the last. */
    for (int i = 0; i < 3; i++)
        for (;;) {
            appended += append(ledger, entries_wanted + appended, "n");
            struct timespec soon;
            clock_gettime(CLOCK_REALTIME, &soon);
            soon.tv_nsec += 1000000;
            soon.tv_sec += soon.tv_nsec / 1000000000;
            soon.tv_nsec %= 1000000000;
            if (pthread_timedjoin_np(threads[i], NULL, &soon) == 0)
                break;
        }
    simledger_entries *rest = NULL;
    CHECK_OK(simledger_watch_poll(shared, SIMLEDGER_NO_LIMIT, &rest, &error));
    int64_t taken = sums[0] + sums[1] + sums[2];
    for (size_t i = 0; i < simledger_entries_len(rest); i++)
        taken += simledger_entry_id(simledger_entries_get(rest, i));
    simledger_entries_free(rest);
    CHECK(taken == appended);
    CHECK_OK(simledger_watch_close(shared, &error));
    close_ledger(ledger);
}

#ifdef __linux__
/* Root, too, may only read then: what he may do beyond the owner of a file is given up. */
static void a_reader_who_may_only_read(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    CHECK(syscall(SYS_capset, &header, none) == 0);
    CHECK(access("only_read.db", W_OK) != 0);
    simledger_ledger *ledger =
        open_with("only_read.db", "read_only", "true", "commit", "sqlite", END);
    simledger_watch *watch = watch_from(ledger, 0, NULL);
    CHECK(is_readable(watch, 0));
    check_next(watch, 10, 1, 1);
    CHECK_OK(simledger_watch_close(watch, &error));
    close_ledger(ledger);
}

static void a_file_that_may_only_be_read_is_watched(void) {
    simledger_ledger *ledger =
        open_with("only_read.db", "commit", "sqlite", "journal_mode", "DELETE", END);
    append(ledger, 1, "n");
    close_ledger(ledger);
    CHECK(chmod("only_read.db", 0444) == 0);
    in_child(a_reader_who_may_only_read);
}
#endif

int main(void) {
    readable_while_something_comes_next();
    a_filter_wakes_for_what_passes_it();
    handles_that_are_none_are_clean_errors();
    the_end_of_the_ledger_is_readable();
    what_a_child_appends_wakes_its_parent();
    threads_share_a_watch();
#ifdef __linux__
    a_file_that_may_only_be_read_is_watched();
#endif
    return 0;
}
