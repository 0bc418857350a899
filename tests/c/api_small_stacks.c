/* Threads with small stacks: every function runs with the stack that the header asks for, and says
 * how much of it it used. */
#include "all_calls.h"
#include <pthread.h>
#include <sys/mman.h>

/* What the header asks for (Threads). */
enum { STACK_BYTES = 64 * 1024 };

/* What no stack holds by itself. */
enum { PAINT = 0xa5 };

typedef struct {
    const Group *group;
    Caller *caller;
} Task;

static void *run_group(void *argument) {
    const Task *task = (const Task *)argument;
    task->group->call(task->caller);
    return NULL;
}

/* Runs a group of calls on a thread with this stack, which no access may leave: behind its end is a
 * page that nobody may touch. How many bytes of it were used, those of the thread itself included.
 */
static size_t stack_used_by(const Group *group, Caller *caller, size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = (unsigned char *)mmap(NULL, bytes + page, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory, page, PROT_NONE) == 0);
    unsigned char *stack = memory + page;
    memset(stack, PAINT, bytes);
    pthread_attr_t attributes;
    pthread_t thread;
    Task task = {group, caller};
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstack(&attributes, stack, bytes) == 0);
    CHECK(pthread_create(&thread, &attributes, run_group, &task) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
    /* To valgrind nothing is there behind the end of a stack. */
    if (getenv("SIMLEDGER_VALGRIND") != NULL) {
        CHECK(munmap(memory, bytes + page) == 0);
        return 0;
    }
    size_t untouched = 0;
    while (untouched < bytes && stack[untouched] == PAINT)
        untouched++;
    CHECK(munmap(memory, bytes + page) == 0);
    return bytes - untouched;
}

static void every_function_runs_on_a_small_stack(const char *path, int number) {
    static const Group SHUTDOWN = {"shutdown", call_shutdown};
    Caller caller;
    memset(&caller, 0, sizeof caller);
    caller.is_alone = true;
    caller.number = number;
    caller.ledger = open_with(path, END);
    append(caller.ledger, 0, "first");
    size_t most = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < GROUPS_LEN; i++) {
            const size_t used = stack_used_by(&GROUPS[i], &caller, STACK_BYTES);
            printf("%-16s %6zu bytes\n", GROUPS[i].name, used);
            most = used > most ? used : most;
        }
    }
    const size_t used = stack_used_by(&SHUTDOWN, &caller, STACK_BYTES);
    printf("%-16s %6zu bytes\n", SHUTDOWN.name, used);
    printf("%zu bytes of stack at most\n", used > most ? used : most);
    CHECK(simledger_close(caller.ledger, NULL) == SIMLEDGER_CLOSED);
}

int main(void) {
    every_function_runs_on_a_small_stack("stacks.db", 1);
    every_function_runs_on_a_small_stack(":memory:", 2);
    return 0;
}
