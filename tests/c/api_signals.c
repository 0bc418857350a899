/* A storm of signals: each thread gets ten thousand a second, with SA_RESTART and without, on a
 * stack of their own, while it makes calls of every kind. None fails for it, none gives less than
 * it should, and whoever waits is woken. */
#include "all_calls.h"
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { CALLERS = 4, SIGNAL_STACK_BYTES = 64 * 1024 };

static long signals;

static void on_signal(int number) {
    (void)number;
    __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

/* Lets the calling thread get signals, until end_storm. */
typedef struct {
    timer_t timer;
    void *stack;
} Storm;

static Storm begin_storm(void) {
    Storm storm;
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    storm.stack = malloc(SIGNAL_STACK_BYTES);
    stack.ss_sp = storm.stack;
    stack.ss_size = SIGNAL_STACK_BYTES;
    CHECK(storm.stack != NULL && sigaltstack(&stack, NULL) == 0);
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &storm.timer) == 0);
    struct itimerspec every;
    memset(&every, 0, sizeof every);
    every.it_interval.tv_nsec = every.it_value.tv_nsec = times(100000, 20000000);
    CHECK(timer_settime(storm.timer, 0, &every, NULL) == 0);
    return storm;
}

static void end_storm(Storm storm) {
    CHECK(timer_delete(storm.timer) == 0);
    stack_t none;
    memset(&none, 0, sizeof none);
    none.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&none, NULL) == 0);
    free(storm.stack);
}

static void handle_signals(int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | flags;
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
}

static void *call_in_a_storm(void *argument) {
    Caller *caller = (Caller *)argument;
    const Storm storm = begin_storm();
    for (int round = 0; round < longer(1); round++) {
        for (int i = 0; i < GROUPS_LEN; i++)
            GROUPS[(caller->number + i) % GROUPS_LEN].call(caller);
    }
    end_storm(storm);
    return NULL;
}

static void calls_do_not_notice_signals(const char *path) {
    pthread_t threads[CALLERS];
    Caller callers[CALLERS];
    memset(callers, 0, sizeof callers);
    const Storm storm = begin_storm();
    simledger_ledger *ledger = open_with(path, "timeout", "1000", END);
    append(ledger, 5e8, "first");
    for (int i = 0; i < CALLERS; i++) {
        callers[i].ledger = ledger;
        callers[i].number = i + 1;
        CHECK(pthread_create(&threads[i], NULL, call_in_a_storm, &callers[i]) == 0);
    }
    for (int i = 0; i < CALLERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(callers[0].turn > 0);
    close_ledger(ledger);
    end_storm(storm);
}

/* Two take turns: each waits for what the other appends. A wake-up that a signal takes is noticed
 * by the alarm. */
static simledger_ledger *table;
static int turns;

static void *take_turns(void *argument) {
    const int me = *(const int *)argument;
    const Storm storm = begin_storm();
    for (int64_t id = 1; id <= turns; id++) {
        if (id % 2 == me) {
            CHECK(append(table, (double)id, "turn") == id);
            continue;
        }
        simledger_entries *entries = NULL;
        CHECK_OK(simledger_wait_since(table, id - 1, 1, 1e6, NULL, &entries, &error));
        CHECK(simledger_entries_len(entries) == 1 && simledger_entries_position(entries) == id);
        simledger_entries_free(entries);
    }
    end_storm(storm);
    return NULL;
}

static void nobody_sleeps_through_what_he_waits_for(const char *path) {
    pthread_t threads[2];
    int numbers[2] = {0, 1};
    turns = longer(times(1000, 40));
    table = open_with(path, "timeout", "1000", END);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, take_turns, &numbers[i]) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close_ledger(table);
}

int main(void) {
    static const int FLAGS[] = {0, SA_RESTART};
    alarm((unsigned)longer(times(300, 1500)));
    for (int i = 0; i < 2; i++) {
        handle_signals(FLAGS[i]);
        char path[64];
        snprintf(path, sizeof path, "signals-%d.db", i);
        calls_do_not_notice_signals(path);
        calls_do_not_notice_signals(":memory:");
        snprintf(path, sizeof path, "turns-%d.db", i);
        nobody_sleeps_through_what_he_waits_for(path);
        /* In memory a file is made ready in steps that a signal ends. */
        char folder[] = "/dev/shm/simledger-XXXXXX";
        if (mkdtemp(folder) != NULL) {
            snprintf(path, sizeof path, "%s/signals.db", folder);
            calls_do_not_notice_signals(path);
            CHECK(unlink(path) == 0 && rmdir(folder) == 0);
        }
    }
    CHECK(signals > times(1000, 10));
    printf("%ld signals handled\n", signals);
    return 0;
}
