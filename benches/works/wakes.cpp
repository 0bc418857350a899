// How long it takes from an append until the entry is in the hands of somebody who waits for it, in another
// thread or in another process. The next append comes when the last was received and its reader is idle again.
#include <atomic>
#include <random>
#include <thread>

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
            if (tries == 100000) throw std::runtime_error("a waiter was not woken");
            nap_us(50);
        }
    }
}

void receive(Session &session, Wake &wake, int count, std::int64_t &position, Samples &samples) {
    for (int received = 0; received < count;) {
        Digest digest;
        session.wait(position, digest);
        if (digest.count == 0) continue;
        samples.add(us_since(wake.appended_ns));
        position = digest.last_id;
        received += static_cast<int>(digest.count);
        ++wake.received;
    }
}

constexpr std::size_t some = 100;

Round by_thread(const System &system, const std::string &folder, int count) {
    auto opened = std::make_shared<Opened>(system, folder);
    opened->fill(some);
    auto position = std::make_shared<std::int64_t>(opened->last_id);
    return [=](Samples &samples) {
        Wake wake{};
        std::exception_ptr failed;
        std::thread appender([&] {
            try {
                append_when_awaited(*opened->store->session(), wake, count);
            } catch (...) {
                failed = std::current_exception();
            }
        });
        receive(*opened->session, wake, count, *position, samples);
        appender.join();
        if (failed) std::rethrow_exception(failed);
    };
}

Round by_process(const System &system, const std::string &folder, int count) {
    auto wake = shared<Wake>();
    auto first = std::shared_ptr<Store>(system.open(folder, Sync::usual)); // makes it
    if (!system.able(serving)) first.reset();
    auto team = std::make_shared<Team>(1, [&](int) -> Team::Part {
        auto opened = std::make_shared<Opened>(system, folder);
        return [=] { append_when_awaited(*opened->session, *wake, count); };
    });
    auto opened = std::make_shared<Opened>(system, folder);
    opened->fill(some);
    auto position = std::make_shared<std::int64_t>(opened->last_id);
    return [=](Samples &samples) {
        (void)first;
        team->start();
        receive(*opened->session, *wake, count, *position, samples);
        team->finish();
    };
}

} // namespace

void add_wakes(Groups &groups, const Options &options) {
    int count = options.amount(300, 100, 3);
    auto fits = [](const System &system) { return system.able(waiting); };
    groups.push_back({{"wake", "wake-up from append to entry in hand, in the process", "", rounds(options), fits,
                       [=](const System &system, const std::string &folder) {
                           return by_thread(system, folder, count);
                       }}});
    groups.push_back({{"wake processes", "wake-up from append to entry in hand, across processes", "",
                       rounds(options), [](const System &system) { return system.able(waiting | processes); },
                       [=](const System &system, const std::string &folder) {
                           return by_process(system, folder, count);
                       }}});
}

} // namespace bench
