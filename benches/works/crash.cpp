// Opening a store whose writer was killed, up to a first read of what is new: whatever there is to
// recover is in it.
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "works.hpp"

namespace bench {

void add_crash(Groups &groups, const Options &options) {
    auto entries = options.amount<std::size_t>(100000, 20000, 400);
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        return [=](Samples &samples) {
            pid_t writer = fork();
            if (writer == 0) {
                try {
                    Opened opened(system, folder);
                    constexpr std::size_t size = 100;
                    for (std::size_t done = 0; done < entries; done += size) {
                        Entries texts;
                        opened.session->append_batch(texts.batch(size));
                    }
                    raise(SIGKILL);
                } catch (const std::exception &) {
                }
                _exit(1);
            }
            int status;
            waitpid(writer, &status, 0);
            if (!WIFSIGNALED(status))
                throw std::runtime_error("the writer failed");
            std::uint64_t begun = now_ns();
            Opened opened(system, folder);
            Digest digest;
            opened.session->poll(0, 10, digest);
            samples.add(us_since(begun));
            if (digest.count != 10)
                throw std::runtime_error("entries are lost");
            opened.store->settle();
        };
    };
    groups.push_back({{"crash",
                       "opening after kill -9 of a writer of " +
                           number(static_cast<double>(entries)) + " entries",
                       "", options.amount(3, 3, 1),
                       [](const System &system) { return !system.able(serving); }, prepare}});
}

} // namespace bench
