// What a raw callback of C may not do: an exception out of it, or the end of its thread inside it,
// ends the program there, by abort() and in no other way. That simledger.hpp lets nothing out is in wrapper.cpp.
#include "check.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void leave_by_exception() { throw std::runtime_error("thrown"); }
[[noreturn]] void leave_by_end_of_thread() { pthread_exit(nullptr); }
void leave_by_cancellation() {
    pthread_cancel(pthread_self());
    pthread_testcancel();
}
void (*const leave[])() = {leave_by_exception, leave_by_end_of_thread, leave_by_cancellation};

// Which of them the callbacks below do.
int way = 0;

// Whether a callback was left at all.
void tell_and_leave() {
    CHECK(write(STDOUT_FILENO, "x", 1) == 1);
    leave[way]();
}

void log_callback(std::int32_t, const char *, std::size_t, void *) { tell_and_leave(); }
std::int32_t progress_callback(double, void *) {
    tell_and_leave();
    return 0;
}
void drop_callback(void *) { tell_and_leave(); }
void log_nothing(std::int32_t, const char *, std::size_t, void *) {}

simledger_config *config_with(simledger_log_callback log, simledger_drop_callback drop) {
    simledger_config *config = simledger_config_new();
    CHECK(simledger_config_set(config, "path", 4, "callbacks.db", SIMLEDGER_NUL_TERMINATED,
                               nullptr) == SIMLEDGER_OK);
    if (const char *commit = std::getenv("LEDGER_TEST_COMMIT")) {
        CHECK(simledger_config_set(config, "commit", 6, commit, SIMLEDGER_NUL_TERMINATED,
                                   nullptr) == SIMLEDGER_OK);
    }
    CHECK(simledger_config_set(config, "log_bytes", 9, "65536", 5, nullptr) == SIMLEDGER_OK);
    CHECK(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, log, nullptr, drop, nullptr) ==
          SIMLEDGER_OK);
    return config;
}

void *leave_the_log(void *) {
    simledger_ledger *ledger = nullptr;
    simledger_open(config_with(log_callback, nullptr), &ledger, nullptr);
    return nullptr;
}

void *leave_the_progress(void *) {
    const Ledger ledger{in_file("callbacks.db").set("log_bytes", "65536")};
    std::size_t count = 0;
    simledger_integrity_check(ledger.get(), 1, progress_callback, nullptr, nullptr, &count,
                              nullptr);
    return nullptr;
}

void *leave_the_drop_in_close(void *) {
    simledger_config *config = config_with(log_nothing, drop_callback);
    simledger_ledger *ledger = nullptr;
    CHECK(simledger_open(config, &ledger, nullptr) == SIMLEDGER_OK);
    simledger_config_free(config);
    simledger_close(ledger, nullptr);
    return nullptr;
}

// Not a call that gives a status.
void *leave_the_drop_in_free(void *) {
    simledger_config_free(config_with(log_nothing, drop_callback));
    return nullptr;
}

void *(*const calls[])(void *) = {leave_the_log, leave_the_progress, leave_the_drop_in_close,
                                  leave_the_drop_in_free};

// On a thread of its own, where it is tried to catch what must not come.
void *call_within_try(void *call) {
    try {
        (*static_cast<void *(*const *)(void *)>(call))(nullptr);
    } catch (const std::exception &) {
        std::_Exit(2);
    }
    return nullptr;
}

void a_program_ends_by_abort(void *(*const *call)(void *)) {
    int out[2];
    CHECK(pipe(out) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        const rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(out[1], STDOUT_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        pthread_t thread;
        pthread_create(&thread, nullptr, call_within_try,
                       const_cast<void *>(static_cast<const void *>(call)));
        pthread_join(thread, nullptr);
        std::_Exit(0);
    }
    close(out[1]);
    char told = 0;
    CHECK(read(out[0], &told, 1) == 1 && told == 'x');
    close(out[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

} // namespace

int main() {
    for (way = 0; way < 3; way++) {
        for (const auto &call : calls)
            a_program_ends_by_abort(&call);
    }
    return 0;
}
