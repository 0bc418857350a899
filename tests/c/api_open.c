/* What may stand at the path of a ledger. Whatever it is, it is answered at once: the alarm ends
 * the test before a default time-out of 30 seconds could pass.
 *
 * Files that only SQLite can make, such as databases of something else, are opened by the Rust
 * tests. */
#include "check.h"
#include <errno.h>
#include <sys/stat.h>

static int64_t file_size(const char *path) {
    struct stat file;
    CHECK(stat(path, &file) == 0);
    return (int64_t)file.st_size;
}

static int is_there(const char *path) {
    struct stat file;
    return lstat(path, &file) == 0;
}

/* Refused by every way to open, with nothing opened and nothing made. */
static void check_open_fails(const char *path, simledger_status expected, const char *field,
                             const char *words) {
    static const char *const READ_ONLY[] = {"false", "true"};
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(expected, field, words, simledger_open_path(path, NUL_TERMINATED, &ledger, &error));
    CHECK(ledger == NULL);
    for (int i = 0; i < 2; i++) {
        simledger_config *config = config_with(path, "read_only", READ_ONLY[i], END);
        ledger = GARBAGE_POINTER(simledger_ledger);
        CHECK_FAILS(expected, NULL, NULL, simledger_open(config, &ledger, &error));
        CHECK(ledger == NULL);
        simledger_config_free(config);
    }
}

static void what_is_no_regular_file_is_refused(void) {
    CHECK(mkdir("directory", 0700) == 0);
    check_open_fails("directory", SIMLEDGER_IO, "path", "a directory");
    check_open_fails("directory/", SIMLEDGER_IO, "path", "a directory");
    check_open_fails(".", SIMLEDGER_IO, "path", "a directory");
    check_open_fails("/", SIMLEDGER_IO, "path", "a directory");
    CHECK(rmdir("directory") == 0); /* and it is still empty */
    CHECK(mkfifo("pipe", 0600) == 0);
    check_open_fails("pipe", SIMLEDGER_IO, "path", "not a regular file");
    check_open_fails("/dev/null", SIMLEDGER_IO, "path", "not a regular file");
}

static void what_cannot_be_made_is_refused_by_name(void) {
    check_open_fails("no/such/folder/run.db", SIMLEDGER_IO, "path", "no/such/folder/run.db");
    CHECK(!is_there("no"));
    check_open_fails("..", SIMLEDGER_IO, "path", NULL);
    write_file("file", "x", 1);
    check_open_fails("file/run.db", SIMLEDGER_IO, "path", NULL);
    /* Longer than any name may be, and than any path. */
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    check_open_fails(name + sizeof name - 300, SIMLEDGER_IO, "path", NULL);
    simledger_ledger *none = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_INVALID_ARGUMENT, "path", "4095 bytes",
                simledger_open_path(name, NUL_TERMINATED, &none, &error));
    CHECK(none == NULL);
    if (geteuid() != 0) { /* root may do everything */
        CHECK(mkdir("locked", 0500) == 0);
        simledger_ledger *ledger = NULL;
        CHECK_FAILS(SIMLEDGER_IO, "path", NULL,
                    simledger_open_path("locked/run.db", NUL_TERMINATED, &ledger, &error));
    }
}

static void a_missing_file_is_not_made_for_reading(void) {
    simledger_config *config = config_with("missing.db", "read_only", "true", END);
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_IO, "path", "missing.db", simledger_open(config, &ledger, &error));
    CHECK(ledger == NULL && !is_there("missing.db"));
    simledger_config_free(config);
}

static void nothing_is_made_through_a_symbolic_link(void) {
    CHECK(symlink("nowhere.db", "dangling.db") == 0);
    check_open_fails("dangling.db", SIMLEDGER_IO, "path", "symbolic link");
    CHECK(!is_there("nowhere.db") && is_there("dangling.db"));
    CHECK(symlink("loop.db", "loop.db") == 0);
    check_open_fails("loop.db", SIMLEDGER_IO, "path", NULL);
    CHECK(symlink(".", "folder") == 0);
    CHECK(symlink("pipe", "to-pipe") == 0);
    check_open_fails("to-pipe", SIMLEDGER_IO, "path", "not a regular file");
}

/* A link to a ledger is the ledger; so is every other spelling of its path. */
static void all_names_of_a_file_are_one_ledger(void) {
    simledger_ledger *ledger = open_with("real.db", "max_connections", "3", END);
    append(ledger, 1, "n");
    CHECK(symlink("real.db", "link.db") == 0);
    CHECK(link("real.db", "hard.db") == 0);
    char *absolute = realpath("real.db", NULL);
    const char *const names[] = {"link.db", "./real.db", "folder/real.db", absolute};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        simledger_ledger *other = open_with(names[i], END);
        append(other, 2 + (double)i, "n");
        CHECK(count_of(ledger) == (int64_t)i + 2);
        close_ledger(other);
        /* One engine: it has the settings of the first. */
        simledger_config *config = config_with(names[i], "max_connections", "4", END);
        other = GARBAGE_POINTER(simledger_ledger);
        CHECK_FAILS(SIMLEDGER_INVALID_CONFIG, "max_connections", NULL,
                    simledger_open(config, &other, &error));
        CHECK(other == NULL);
        simledger_config_free(config);
    }
    CHECK(!is_there("link.db-wal") && !is_there("link.db-shm"));
    free(absolute);
    close_ledger(ledger);
    CHECK(!is_there("real.db-wal")); /* the last handle puts the file in order */
}

static void a_file_that_is_no_ledger_is_left_as_it_is(void) {
    static char garbage[8192];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)(i * 131 + 7);
    /* From 2: SQLite takes a file of 1 byte for an empty one. */
    const size_t sizes[] = {2, 15, 16, 99, 100, 511, 512, 4096, sizeof garbage};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_file("garbage.db", garbage, sizes[i]);
        check_open_fails("garbage.db", SIMLEDGER_INCOMPATIBLE, NULL, "garbage.db");
        CHECK(file_size("garbage.db") == (int64_t)sizes[i]);
        CHECK(!is_there("garbage.db-wal") && !is_there("garbage.db-journal"));
    }
    /* The name of a database and nothing behind it. */
    write_file("header.db", "SQLite format 3", 16);
    check_open_fails("header.db", SIMLEDGER_INCOMPATIBLE, NULL, "header.db");
}

static void an_empty_file_becomes_a_ledger(void) {
    write_file("empty.db", "", 0);
    simledger_config *config = config_with("empty.db", "read_only", "true", END);
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    CHECK_FAILS(SIMLEDGER_INCOMPATIBLE, NULL, "empty", simledger_open(config, &ledger, &error));
    CHECK(ledger == NULL && file_size("empty.db") == 0);
    simledger_config_free(config);
    ledger = open_with("empty.db", END);
    append(ledger, 1, "n");
    close_ledger(ledger);
    CHECK(file_size("empty.db") > 0);
}

static void a_ledger_that_was_damaged_is_refused(void) {
    close_ledger(open_with("damaged.db", END));
    FILE *file = fopen("damaged.db", "r+b");
    CHECK(file != NULL && fseek(file, 100, SEEK_SET) == 0); /* the first page's table of contents */
    static const char bytes[64] = "this was the schema";
    CHECK(fwrite(bytes, 1, sizeof bytes, file) == sizeof bytes && fclose(file) == 0);
    check_open_fails("damaged.db", SIMLEDGER_CORRUPT, NULL, "damaged.db");
    /* Cut off in its middle. */
    close_ledger(open_with("cut.db", END));
    CHECK(truncate("cut.db", 4096) == 0);
    check_open_fails("cut.db", SIMLEDGER_CORRUPT, NULL, "cut.db");
}

static void what_was_written_is_there_again(void) {
    simledger_ledger *ledger = open_with("again.db", END);
    append(ledger, 1, "n");
    close_ledger(ledger);
    ledger = open_with("again.db", END);
    CHECK(append(ledger, 2, "n") == 2);
    simledger_entries *all = read_all(ledger);
    CHECK_TEXT(simledger_entries_json(all, NULL),
               "[{\"id\":1,\"timestamp\":1.0,\"node_id\":\"n\",\"features\":{\"rate\":910},"
               "\"confidence\":0.5},"
               "{\"id\":2,\"timestamp\":2.0,\"node_id\":\"n\",\"features\":{\"rate\":910},"
               "\"confidence\":0.5}]");
    simledger_entries_free(all);
    close_ledger(ledger);
}

/* A relative path is resolved when the ledger is opened. */
static void the_current_directory_may_change_later(void) {
    simledger_ledger *ledger = open_with("here.db", "max_connections", "2", END);
    CHECK(mkdir("elsewhere", 0700) == 0 && chdir("elsewhere") == 0);
    append(ledger, 1, "n");
    CHECK(count_of(ledger) == 1);
    simledger_entries_free(read_all(ledger));
    close_ledger(ledger);
    CHECK(chdir("..") == 0 && rmdir("elsewhere") == 0); /* nothing was made there */
}

static void a_path_that_names_a_folder_makes_no_file(void) {
    check_open_fails("new-folder/", SIMLEDGER_IO, "path", NULL);
    CHECK(!is_there("new-folder"));
}

int main(void) {
    alarm((unsigned)times(20, 300));
    what_is_no_regular_file_is_refused();
    what_cannot_be_made_is_refused_by_name();
    a_missing_file_is_not_made_for_reading();
    nothing_is_made_through_a_symbolic_link();
    all_names_of_a_file_are_one_ledger();
    a_file_that_is_no_ledger_is_left_as_it_is();
    an_empty_file_becomes_a_ledger();
    a_ledger_that_was_damaged_is_refused();
    what_was_written_is_there_again();
    the_current_directory_may_change_later();
    a_path_that_names_a_folder_makes_no_file();
    return 0;
}
