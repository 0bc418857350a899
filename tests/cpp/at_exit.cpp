// Calls from where a program has almost ended: functions of atexit, destructors of static and
// thread-local objects, while threads of the program still make calls. Each case is a program of
// its own, this one again; it must end with 0, and nothing that was acknowledged may be lost.
#include "check.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace {

std::string commit; // of this run

Ledger open_file() {
    Config config{"exit.db"};
    if (!commit.empty())
        config.set("commit", commit);
    // A small log: what is to be folded at the end is soon folded.
    return Ledger{config.set("unique", "none").set("log_bytes", "262144")};
}

// Makes calls for as long as the ledger is open, and then waits for the end of the program.
void call_without_end(const Ledger &ledger, std::atomic<int> &calls) {
    for (int i = 0;; i++) {
        std::int64_t id = 0;
        const simledger_status status =
            simledger_append(ledger.get(), i, "busy", 4, "{}", 2, 1, &id, nullptr);
        if (status == SIMLEDGER_CLOSED)
            break;
        CHECK(status == SIMLEDGER_OK);
        ++calls;
    }
    for (;;)
        pause();
}

void wait_without_end(const Ledger &ledger, std::atomic<int> &calls) {
    simledger_entries *entries = nullptr;
    ++calls;
    CHECK(simledger_wait_since(ledger.get(), INT64_MAX - 1, 1, 1e6, nullptr, &entries, nullptr) ==
          SIMLEDGER_CLOSED);
    for (;;)
        pause();
}

// Threads that nobody waits for, in the middle of calls when this returns.
void begin_threads(const Ledger &ledger) {
    static std::atomic<int> busy[3], waiting;
    for (auto &calls : busy)
        std::thread([&ledger, &calls] { call_without_end(ledger, calls); }).detach();
    std::thread([&ledger] { wait_without_end(ledger, waiting); }).detach();
    for (auto &calls : busy) {
        while (calls < 20)
            std::this_thread::yield();
    }
    while (waiting < 1)
        std::this_thread::yield();
}

// Beside the others: whoever calls here has to wait for a turn now and then.
void call_among_others(Ledger &ledger) {
    for (int i = 0; i < 300; i++) {
        const std::int64_t id = ledger.append({double(i), "late", "{}", 0.5});
        CHECK(ledger.get_by_id(id)->node_id() == "late");
    }
    CHECK(!ledger.poll_since(0, 10).empty());
    ledger.cleanup_before_id(2);
    ledger.checkpoint();
    CHECK(Ledger{":memory:"}.count() == 0);
}

std::optional<Ledger> of_program;

struct AtEnd {
    ~AtEnd() {
        if (!of_program)
            return;
        call_among_others(*of_program);
        of_program->close();
    }
};

// Made before anything of the library: it goes last.
AtEnd at_end;

void a_static_object_closes_under_busy_threads() {
    of_program = open_file();
    call_among_others(*of_program); // this thread has all that a thread ever has
    begin_threads(*of_program);
}

void a_function_of_atexit_shuts_down() {
    static Ledger *ledger = new Ledger(open_file());
    CHECK(std::atexit([] {
              call_among_others(*ledger);
              simledger::shutdown();
          }) == 0);
    begin_threads(*ledger);
    call_among_others(*ledger);
}

void a_thread_local_object_is_closed_at_the_end_of_its_thread() {
    struct Last {
        std::optional<Ledger> ledger;
        ~Last() {
            if (ledger) {
                call_among_others(*ledger);
                ledger->close();
            }
        }
    };
    static Ledger *others = new Ledger(open_file());
    begin_threads(*others);
    const auto use = [] {
        static thread_local Last last;
        last.ledger = open_file();
        call_among_others(*last.ledger);
    };
    std::thread(use).join();
    use(); // the main thread's
}

void nobody_closes() {
    static Ledger *ledger = new Ledger(open_file());
    begin_threads(*ledger);
    call_among_others(*ledger);
}

struct Case {
    const char *name;
    void (*run)();
};
const Case cases[] = {
    {"static", a_static_object_closes_under_busy_threads},
    {"atexit", a_function_of_atexit_shuts_down},
    {"thread_local", a_thread_local_object_is_closed_at_the_end_of_its_thread},
    {"nobody", nobody_closes},
};

void run_again(const char *program, const char *name, const char *way) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(100);
        execl(program, program, name, way, static_cast<char *>(nullptr));
        std::_Exit(127);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        std::fprintf(stderr, "%s with commit = %s ended with %d\n", name, way, status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 3) {
        commit = argv[2];
        for (const Case &one : cases) {
            if (std::strcmp(one.name, argv[1]) == 0)
                one.run();
        }
        return 0;
    }
    const char *rounds = std::getenv("LEDGER_THREADS_ROUNDS");
    for (int round = 0; round < (rounds ? std::atoi(rounds) : 1); round++) {
        for (const Case &one : cases) {
            for (const char *way : {"log", "sqlite"}) {
                std::remove("exit.db");
                run_again(argv[0], one.name, way);
                commit = way;
                Ledger ledger = open_file();
                CHECK(ledger.count() > 60 && ledger.integrity_check().empty());
            }
        }
    }
    return 0;
}
