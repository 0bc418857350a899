/* Children of a parent that is in the middle of work: whatever its threads hold or wait for at the
 * moment of the fork, a child can go on. */
#include "child.h"
#include "every_call.h"
#include <pthread.h>

static simledger_ledger *in_file;

/* What the threads of the parent waited for must not be mixed up with what those of the child wait
 * for, though they have the same places in memory. Blocks in between, so that each round has
 * others. */
static void open_many(void) {
    enum { MOST = 100 };
    static void *blocks[MOST];
    const int opens = times(MOST, 10);
    for (int i = 0; i < opens; i++) {
        blocks[i] = malloc((size_t)(16 + i * 37 % 900));
        use_a_ledger(i % 2 ? "many.db" : ":memory:");
    }
    for (int i = 0; i < opens; i++)
        free(blocks[i]);
}

static void a_child_may_open_any_number(void) {
    in_file = open_with("parent.db", END);
    simledger_ledger *in_memory = open_in_memory();
    for (int i = 0; i < 3; i++) {
        append(in_file, i, "parent");
        CHECK(count_of(in_file) == i + 1 && count_of(in_memory) == 0);
        in_child(open_many);
    }
    close_ledger(in_memory);
    close_ledger(in_file);
}

static int stop;
static int working;

static void *work_in_parent(void *argument) {
    char path[32];
    snprintf(path, sizeof path, "busy-%d.db", *(int *)argument);
    const char *const paths[] = {path, ":memory:"};
    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); i++) {
        simledger_ledger *ledger = open_with(paths[i % 2], END);
        for (int j = 0; j < 5; j++)
            append(ledger, i * 10 + j, "busy");
        simledger_entries_free(read_all(ledger));
        close_ledger(ledger);
        __atomic_add_fetch(&working, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void work_in_child(void) {
    check_every_call(in_file, SIMLEDGER_CLOSED);
    use_a_ledger(":memory:");
    use_a_ledger("child.db");
    /* What the parent's threads had in hand at the fork nobody can free here. A program of its own,
     * so that valgrind does not look for it. */
    execlp("true", "true", (char *)NULL);
}

static void forks_in_the_middle_of_work_are_sound(void) {
    enum { WORKERS = 3 };
    pthread_t threads[WORKERS];
    int numbers[WORKERS];
    in_file = open_with("parent.db", END);
    for (int i = 0; i < WORKERS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work_in_parent, &numbers[i]) == 0);
    }
    const int forks = times(150, 5);
    for (int i = 0; i < forks; i++) {
        in_child(work_in_child);
        append(in_file, 1000 + i, "parent");
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(working > 0);
    close_ledger(in_file);
}

int main(void) {
    a_child_may_open_any_number();
    forks_in_the_middle_of_work_are_sound();
    return 0;
}
