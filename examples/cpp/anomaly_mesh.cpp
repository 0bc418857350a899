// A mesh of nodes that find anomalies together, with nothing between them but a ledger.
//
// Each node watches its share of a stream of sensor readings and learns what is normal. What looks
// anomalous to it, it appends to the ledger as a signature. All nodes poll the ledger for what the
// others found, and at the end of each step of the simulation confirm or reject it by what they
// have learnt themselves: their votes are entries too. What a majority confirms counts as detected.
//
// The nodes are threads that share one handle or, with --processes, processes on one file. They
// wait for each other through the ledger alone: a step is over for a node when it has seen that all
// are done with it. So what is voted on, and by which models, does not depend on who runs when, and
// every run with the same seed detects the same.
//
// To be read in this order: messages.hpp (what is in the ledger), node.hpp (what a node does),
// mesh.hpp (what they share), this file (threads, processes, options), evaluation.hpp.

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "evaluation.hpp"
#include "mesh.hpp"
#include "node.hpp"
#include "simledger.hpp"

namespace {

constexpr char usage[] =
    "usage: anomaly_mesh [options]\n"
    "  --nodes N      how many nodes, at most 64 (default 16)\n"
    "  --processes    run them as processes instead of threads\n"
    "  --seed S       which node watches which reading (default 1)\n"
    "  --data PATH    the readings (default examples/data/shuttle.csv)\n"
    "  --ledger PATH  where to put the ledger; must not exist (default: a temporary file)\n"
    "  --help         this text\n"
    "Ends with 1 if a node missed an entry, or if F1 is below 0.75.\n";

// --- Nodes as threads or as processes ------------------------------------------------------------

// Does a node's work, whatever comes of it, and says in its report what came of it.
template <typename Work> void work_as_node(const Mesh &mesh, int index, Work &&work) noexcept {
    Report &report = mesh.reports[index];
    try {
        work();
        report.ok = true;
    } catch (const Stopped &) {
        // Who failed has said why.
    } catch (const std::exception &error) {
        std::cerr << "node " << index << ": " << error.what() << '\n';
    }
    if (!report.ok)
        mesh.stop->store(true);
    report.ended.store(true);
}

class Workers {
  public:
    virtual ~Workers() = default;
    // Whether all nodes ended.
    virtual bool ended() = 0;
};

class Threads : public Workers {
  public:
    Threads(const Mesh &mesh, simledger::Ledger &ledger) : mesh_(mesh) {
        try {
            for (int i = 0; i < mesh.options.nodes; i++)
                threads_.emplace_back([&mesh, &ledger, i] {
                    work_as_node(mesh, i, [&] { Node(mesh, i, ledger).run(); });
                });
        } catch (...) {
            end();
            throw;
        }
    }
    ~Threads() override { end(); }

    bool ended() override {
        for (int i = 0; i < mesh_.options.nodes; i++) {
            if (!mesh_.reports[i].ended.load())
                return false;
        }
        return true;
    }

  private:
    // Nobody waits for a node that will not come. Those that ended do not care.
    void end() {
        mesh_.stop->store(true);
        for (std::thread &thread : threads_)
            thread.join();
    }

    const Mesh &mesh_;
    std::vector<std::thread> threads_;
};

class Processes : public Workers {
  public:
    // To be made before the ledger is opened: each opens it itself, since a handle cannot be
    // inherited.
    explicit Processes(const Mesh &mesh) : mesh_(mesh) {
        for (int i = 0; i < mesh.options.nodes; i++) {
            std::cout.flush(); // or the child would print what is still in the buffer once more
            const pid_t process = fork();
            if (process == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody is left behind if we are killed
                work_as_node(mesh, i, [&] { run_node(mesh, i); });
                std::_Exit(EXIT_SUCCESS);
            }
            if (process < 0) {
                const int why = errno;
                end();
                throw std::system_error(why, std::generic_category(), "fork");
            }
            processes_.push_back(process);
        }
    }
    ~Processes() override { end(); }

    bool ended() override {
        bool all = true;
        for (std::size_t i = 0; i < processes_.size(); i++) {
            if (processes_[i] != 0 && waitpid(processes_[i], nullptr, WNOHANG) == processes_[i])
                reaped(i);
            all = all && processes_[i] == 0;
        }
        return all;
    }

  private:
    static void run_node(const Mesh &mesh, int index) {
        simledger::Ledger ledger = open_ledger(mesh.path);
        Node(mesh, index, ledger).run();
        mesh.reports[index].cache = CacheUse::of(ledger);
        ledger.close();
    }

    void reaped(std::size_t i) {
        processes_[i] = 0;
        if (!mesh_.reports[i].ended.load()) { // it was killed, and could not say so itself
            std::cerr << "the process of node " << i << " died\n";
            mesh_.stop->store(true);
        }
    }

    void end() {
        mesh_.stop->store(true);
        for (const pid_t process : processes_) {
            if (process != 0)
                waitpid(process, nullptr, 0);
        }
    }

    const Mesh &mesh_;
    std::vector<pid_t> processes_;
};

// Follows the run as anybody can: the newest entry by its time says how far the simulation is.
void show_progress(const Mesh &mesh, const simledger::Ledger &ledger) {
    const simledger::Entries newest =
        ledger.query(simledger::Query().order(simledger::Order::time_descending).limit(1));
    const bool terminal = isatty(STDOUT_FILENO);
    std::cout << (terminal ? "\r" : "") << "step " << std::setw(2)
              << static_cast<long>(newest[0].timestamp()) / step_readings + 1 << " of "
              << mesh.steps() << ", " << std::setw(6) << newest.position() << " entries"
              << (terminal ? "" : "\n") << std::flush;
}

// Throws unless all nodes did what they should.
void wait_for(Workers &workers, const Mesh &mesh, const simledger::Ledger &ledger) {
    using namespace std::chrono_literals;
    for (int naps = 1; !workers.ended(); naps++) {
        std::this_thread::sleep_for(10ms);
        if (naps % 50 == 0)
            show_progress(mesh, ledger);
    }
    if (isatty(STDOUT_FILENO))
        std::cout << '\n';
    for (int i = 0; i < mesh.options.nodes; i++) {
        if (!mesh.reports[i].ok)
            throw Stopped();
    }
}

// --- The run -------------------------------------------------------------------------------------

void print_calls(const Mesh &mesh, const simledger::Ledger &ledger) {
    CacheUse cache = CacheUse::of(ledger);
    Latency append, poll, get;
    for (int i = 0; i < mesh.options.nodes; i++) {
        const Report &report = mesh.reports[i];
        append.merge(report.append);
        poll.merge(report.poll);
        get.merge(report.get);
        cache.hits += report.cache.hits;
        cache.misses += report.cache.misses;
    }
    append.print("append");
    poll.print("poll_since");
    get.print("get_by_id");
    std::cout << "cache     " << std::setw(10) << cache.hits << " hits, " << cache.misses
              << " misses\n";
}

void run_mesh(const Mesh &mesh) {
    using Clock = std::chrono::steady_clock;
    const bool processes = mesh.options.processes;
    const auto start = Clock::now();
    std::optional<simledger::Ledger> opened; // before the workers: it must outlive them
    std::unique_ptr<Workers> workers;
    if (processes)
        workers = std::make_unique<Processes>(mesh);
    simledger::Ledger &ledger = opened.emplace(open_ledger(mesh.path));
    if (!processes)
        workers = std::make_unique<Threads>(mesh, ledger);
    wait_for(*workers, mesh, ledger);
    workers.reset();

    const std::chrono::duration<double> took = Clock::now() - start;
    std::cout << mesh.options.nodes << (processes ? " processes, " : " threads, ")
              << mesh.readings.size() << " readings, " << std::fixed << std::setprecision(1)
              << took.count() << " s\n";
    print_calls(mesh, ledger);
    evaluate(mesh, ledger);
    ledger.close();
}

// Memory that the nodes share with us, also those that are processes.
class SharedReports {
  public:
    explicit SharedReports(int nodes)
        : bytes_(static_cast<std::size_t>(nodes) * sizeof(Report) + sizeof(std::atomic<bool>)),
          memory_(
              mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED)
            throw std::system_error(errno, std::generic_category(), "memory for the reports");
        reports = static_cast<Report *>(memory_);
        for (int i = 0; i < nodes; i++)
            new (&reports[i]) Report;
        stop = new (&reports[nodes]) std::atomic<bool>(false);
    }
    ~SharedReports() { munmap(memory_, bytes_); }
    SharedReports(const SharedReports &) = delete;
    SharedReports &operator=(const SharedReports &) = delete;

    Report *reports;
    std::atomic<bool> *stop;

  private:
    std::size_t bytes_;
    void *memory_;
};

// A directory for a ledger, since SQLite puts files of its own beside it.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string name =
            (std::filesystem::temp_directory_path() / "anomaly_mesh.XXXXXX").string();
        if (!mkdtemp(name.data()))
            throw std::system_error(errno, std::generic_category(), name);
        path = name;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory &) = delete;
    TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;

    std::filesystem::path path;
};

void run(const Options &options) {
    std::optional<TemporaryDirectory> directory;
    Mesh mesh{options, load_readings(options.data), options.ledger};
    deal(mesh.readings, options.nodes, options.seed);
    if (options.ledger.empty())
        mesh.path = (directory.emplace().path / "mesh.db").string();
    else if (std::filesystem::exists(options.ledger))
        throw std::runtime_error(options.ledger + ": there is a file already");
    const SharedReports shared(options.nodes);
    mesh.reports = shared.reports;
    mesh.stop = shared.stop;
    run_mesh(mesh);
}

// Throws std::invalid_argument. Empty if only help was asked for.
std::optional<Options> parse(const std::vector<std::string> &arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); i++) {
        const std::string &option = arguments[i];
        const auto value = [&]() -> const std::string & {
            if (i + 1 == arguments.size())
                throw std::invalid_argument(option + " needs a value");
            return arguments[++i];
        };
        const auto number = [&](std::uint64_t min, std::uint64_t max) {
            const std::string &text = value();
            const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
            const bool short_enough = !text.empty() && text.size() <= 19;
            const std::uint64_t result = digits && short_enough ? std::stoull(text) : 0;
            if (!digits || !short_enough || result < min || result > max)
                throw std::invalid_argument(option + " cannot be " + text);
            return result;
        };
        if (option == "--nodes")
            options.nodes = static_cast<int>(number(1, 64));
        else if (option == "--processes")
            options.processes = true;
        else if (option == "--seed")
            options.seed = number(0, UINT64_MAX);
        else if (option == "--data")
            options.data = value();
        else if (option == "--ledger")
            options.ledger = value();
        else if (option == "--help")
            return std::nullopt;
        else
            throw std::invalid_argument("unknown option " + option);
    }
    return options;
}

} // namespace

int main(int argc, char **argv) {
    try {
        const std::optional<Options> options = parse({argv + 1, argv + argc});
        if (options)
            run(*options);
        else
            std::cout << usage;
        return EXIT_SUCCESS;
    } catch (const std::invalid_argument &error) {
        std::cerr << error.what() << '\n' << usage;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
    }
    return EXIT_FAILURE;
}
