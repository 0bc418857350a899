// Reads of what is new: polls, gets, the step of a simulation, and all of it. Calls of a
// microsecond are timed several at once.
#include "works.hpp"

namespace bench {
namespace {

volatile double seen; // so that what was read is used

// Times a call over and over, for so long.
template <typename F> void repeat(Samples &samples, double us_max, F call) {
    call();
    std::uint64_t begun = now_ns();
    for (int i = 0; i < 10; ++i)
        call();
    double once = us_since(begun) / 10;
    int inner = once > 10 ? 1 : once > 1 ? 10 : 100;
    begun = now_ns();
    while (us_since(begun) < us_max) {
        std::uint64_t before = now_ns();
        for (int i = 0; i < inner; ++i)
            call();
        samples.add(us_since(before) / inner);
    }
}

std::size_t recent(const Options &options) { return options.amount<std::size_t>(5000, 5000, 200); }

void expect(const Digest &digest, std::size_t count) {
    if (digest.count != count)
        throw std::runtime_error("read " + std::to_string(digest.count) + " entries");
    seen = digest.sum;
}

// A poll behind which so many entries are.
Work poll(const Options &options, const char *id, const char *title, std::size_t fresh) {
    double us_max = options.amount(3e5, 1e5, 5e3);
    return {id,
            title,
            "",
            rounds(options),
            everybody,
            [=](const System &system, const std::string &folder) {
                auto opened = std::make_shared<Opened>(system, folder);
                opened->fill(recent(options));
                std::int64_t since = opened->last_id;
                Entries entries;
                for (const Entry &entry : entries.make(fresh))
                    opened->session->append(entry);
                return [=](Samples &samples) {
                    repeat(samples, us_max, [&] {
                        Digest digest;
                        opened->session->poll(since, 100, digest);
                        expect(digest, fresh);
                    });
                };
            }};
}

Work get_recent(const Options &options) {
    double us_max = options.amount(3e5, 1e5, 5e3);
    return {"get",
            "get by id, recent",
            "",
            rounds(options),
            [](const System &system) { return system.able(getting); },
            [=](const System &system, const std::string &folder) {
                auto opened = std::make_shared<Opened>(system, folder);
                opened->fill(recent(options));
                auto ids = std::make_shared<std::vector<std::int64_t>>();
                Entries hundred;
                for (const Entry &entry : hundred.make(100))
                    ids->push_back(opened->session->append(entry));
                return [=](Samples &samples) {
                    std::size_t turn = 0;
                    repeat(samples, us_max, [&] {
                        Digest digest;
                        opened->session->get((*ids)[turn++ * 37 % 100], digest);
                        expect(digest, 1);
                    });
                };
            }};
}

// Agents in one thread, each with a position of its own: one appends, all poll.
Work step(const Options &options) {
    constexpr std::size_t agents = 100;
    auto steps = options.amount<std::size_t>(2000, 500, 5);
    double us_max = options.amount(1e6, 3e5, 1e5);
    return {"step",
            "step of 100 agents: one appends, all poll",
            "",
            rounds(options),
            everybody,
            [=](const System &system, const std::string &folder) {
                auto opened = std::make_shared<Opened>(system, folder);
                opened->fill(recent(options));
                auto positions =
                    std::make_shared<std::vector<std::int64_t>>(agents, opened->last_id);
                return [=](Samples &samples) {
                    Entries texts;
                    std::uint64_t begun = now_ns();
                    for (const Entry &entry : texts.make(steps)) {
                        std::uint64_t before = now_ns();
                        opened->session->append(entry);
                        for (std::int64_t &position : *positions) {
                            Digest digest;
                            opened->session->poll(position, 1000, digest);
                            expect(digest, 1);
                            position = digest.last_id;
                        }
                        samples.add(us_since(before));
                        if (us_since(begun) > us_max)
                            break;
                    }
                    opened->store->settle();
                };
            }};
}

Work read_all(const Options &options) {
    auto entries = options.amount<std::size_t>(200000, 20000, 400);
    return {"read all",
            "read all of " + number(static_cast<double>(entries)) +
                " right after an append, every field",
            "",
            rounds(options),
            everybody,
            [=](const System &system, const std::string &folder) {
                auto opened = std::make_shared<Opened>(system, folder);
                opened->fill(entries - 1);
                return [=](Samples &samples) {
                    Digest warm;
                    opened->session->read_all(warm);
                    for (int i = 0; i < 3; ++i) {
                        Entries one;
                        opened->session->append(one.make(1)[0]);
                        std::uint64_t before = now_ns();
                        Digest digest;
                        opened->session->read_all(digest);
                        samples.add(us_since(before));
                        expect(digest, warm.count + std::size_t(i) + 1);
                    }
                };
            }};
}

} // namespace

void add_reads(Groups &groups, const Options &options) {
    groups.push_back({poll(options, "poll of none", "poll of none", 0)});
    groups.push_back({poll(options, "poll of ten", "poll of ten, every field read", 10)});
    groups.push_back({get_recent(options)});
    groups.push_back({step(options)});
    groups.push_back({read_all(options)});
}

} // namespace bench
