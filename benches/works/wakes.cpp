// How long it takes from an append until the entry is in the hands of somebody who waits for it, in
// another thread or in another process. The next append comes when the last was received and its
// reader is idle again.
#include <algorithm>
#include <atomic>
#include <climits>
#include <linux/futex.h>
#include <random>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "works.hpp"

namespace bench {
namespace {

struct Wake {
    std::atomic<std::uint64_t> appended_ns;
    std::atomic<int> received;
};

void append_when_awaited(Session &session, Wake &wake, int count) {
    static std::minstd_rand random;
    Entries texts;
    for (const Entry &entry : texts.make(std::size_t(count))) {
        nap_us(500 + static_cast<long>(random() % 2000));
        int before = wake.received;
        wake.appended_ns = now_ns();
        session.append(entry);
        for (int tries = 0; wake.received == before; ++tries) {
            if (tries == 100000)
                throw std::runtime_error("a waiter was not woken");
            nap_us(50);
        }
    }
}

void receive(Session &session, Wake &wake, int count, std::int64_t &position, Samples &samples) {
    for (int received = 0; received < count;) {
        Digest digest;
        session.wait(position, digest);
        if (digest.count == 0)
            continue;
        samples.add(us_since(wake.appended_ns));
        position = digest.last_id;
        received += static_cast<int>(digest.count);
        ++wake.received;
    }
}

// What the machine needs to wake a thread that sleeps, and nothing else: a number and a futex. It
// is no ledger; its p50 stands beside that of simledger, as the least that there can be.
class FutexAlone : public Session {
  public:
    explicit FutexAlone(std::atomic<std::uint32_t> *word) : word_(word) {}
    std::int64_t append(const Entry &) override {
        std::int64_t id = ++*word_;
        syscall(SYS_futex, word_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
        return id;
    }
    void wait(std::int64_t since, Digest &digest) override {
        auto seen = static_cast<std::uint32_t>(since);
        timespec second{1, 0};
        if (*word_ == seen)
            syscall(SYS_futex, word_, FUTEX_WAIT, seen, &second, nullptr, 0);
        digest.last_id = *word_;
        digest.count = static_cast<std::size_t>(digest.last_id - since);
    }
    void append_batch(const Batch &) override {}
    void poll(std::int64_t, std::size_t, Digest &) override {}
    void get(std::int64_t, Digest &) override {}

  private:
    std::atomic<std::uint32_t> *word_;
};

constexpr std::size_t some = 100;

void receive_from_thread(Session &appending, Session &reading, int count, std::int64_t &position,
                         Samples &samples) {
    Wake wake{};
    std::exception_ptr failed;
    std::thread appender([&] {
        try {
            append_when_awaited(appending, wake, count);
        } catch (...) {
            failed = std::current_exception();
        }
    });
    receive(reading, wake, count, position, samples);
    appender.join();
    if (failed)
        std::rethrow_exception(failed);
}

double median(Samples &samples) {
    float *middle = samples.us_ + samples.count / 2;
    std::nth_element(samples.us_, middle, samples.us_ + samples.count);
    return *middle;
}

Round by_thread(const System &system, const std::string &folder, int count) {
    auto opened = std::make_shared<Opened>(system, folder);
    opened->fill(some);
    return [=](Samples &samples) {
        std::int64_t position = opened->last_id;
        receive_from_thread(*opened->store->session(), *opened->session, count, position, samples);
        opened->last_id = position;
        if (system.name != simledger_log)
            return;
        auto word = std::make_unique<std::atomic<std::uint32_t>>(0);
        auto least = std::make_unique<Samples>();
        FutexAlone appending(word.get()), reading(word.get());
        position = 0;
        receive_from_thread(appending, reading, count, position, *least);
        samples.extra("futex_alone_p50", median(*least));
    };
}

Round by_process(const System &system, const std::string &folder, int count) {
    auto wake = shared<Wake>();
    auto word = shared<std::atomic<std::uint32_t>>();
    bool ours = system.name == simledger_log;
    auto first = std::shared_ptr<Store>(system.open(folder, Sync::usual)); // makes it
    if (!system.able(serving))
        first.reset();
    auto team = std::make_shared<Team>(1, [&](int) -> Team::Part {
        auto opened = std::make_shared<Opened>(system, folder);
        return [=] {
            append_when_awaited(*opened->session, *wake, count);
            FutexAlone alone(word);
            if (ours)
                append_when_awaited(alone, *wake, count);
        };
    });
    auto opened = std::make_shared<Opened>(system, folder);
    opened->fill(some);
    auto alone_at = std::make_shared<std::int64_t>(0);
    return [=](Samples &samples) {
        (void)first; // a server ends after those who use it
        team->start();
        std::int64_t position = opened->last_id;
        receive(*opened->session, *wake, count, position, samples);
        opened->last_id = position;
        if (ours) {
            auto least = std::make_unique<Samples>();
            FutexAlone alone(word);
            receive(alone, *wake, count, *alone_at, *least);
            samples.extra("futex_alone_p50", median(*least));
        }
        team->finish();
    };
}

} // namespace

void add_wakes(Groups &groups, const Options &options) {
    int count = options.amount(300, 100, 3);
    auto fits = [](const System &system) { return system.able(waiting); };
    groups.push_back({{"wake", "wake-up from append to entry in hand, in the process", "",
                       rounds(options), fits, [=](const System &system, const std::string &folder) {
                           return by_thread(system, folder, count);
                       }}});
    groups.push_back(
        {{"wake processes", "wake-up from append to entry in hand, across processes", "",
          rounds(options), [](const System &system) { return system.able(waiting | processes); },
          [=](const System &system, const std::string &folder) {
              return by_process(system, folder, count);
          }}});
}

} // namespace bench
