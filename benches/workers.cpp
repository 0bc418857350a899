#include "workers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

void *shared_memory(std::size_t bytes) {
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("no memory");
    return memory;
}

void Samples::extra(const char *name, double value) {
    if (extras == extras_max)
        throw std::logic_error("too many extras");
    std::snprintf(extra_[extras].name, sizeof extra_[extras].name, "%s", name);
    extra_[extras++].value = value;
}

namespace {

// What a worker and its parent share.
struct Page {
    char error[512];
    Samples samples;
};

// A process that waits for a byte, does something, and answers with one; it ends when the byte says
// so.
constexpr char go = 'g', quit = 'q';
struct Process {
    pid_t pid;
    int to, from;
};

template <typename F> Process start_process(F body) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        throw std::runtime_error("no pipes");
    std::fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        throw std::runtime_error("no process");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(to[1]);
        close(from[0]);
        body(to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    return {pid, to[1], from[0]};
}

// That the other end is gone is noticed when it does not answer.
void tell(int fd, char what = go) {
    if (write(fd, &what, 1) != 1)
        return;
}

// Whether there is something to do; not if the other end is gone or the time is up.
bool heard(int fd, int timeout_ms) {
    pollfd waiting{fd, POLLIN, 0};
    char what;
    return ::poll(&waiting, 1, timeout_ms) == 1 && read(fd, &what, 1) == 1 && what == go;
}

void end(const Process &process) {
    tell(process.to, quit);
    if (!heard(process.from, 120000))
        kill(process.pid, SIGKILL);
    close(process.to);
    close(process.from);
    waitpid(process.pid, nullptr, 0);
}

struct Worker {
    Row row;
    Page *page;
    Process process;
    bool alive = true;
};

constexpr int longest_ms = 1200000;

void work(const Work &work, const System &system, const std::string &folder, Page *page, int in,
          int out) {
    try {
        std::filesystem::create_directories(folder);
        if (heard(in, -1)) {
            Round round = work.prepare(system, folder);
            tell(out);
            while (heard(in, -1)) {
                page->samples.clear();
                round(page->samples);
                tell(out);
            }
        }
        tell(out); // everything is closed
    } catch (const std::exception &error) {
        std::snprintf(page->error, sizeof page->error, "%s", error.what());
        _exit(1);
    }
}

RoundFigures figures(Samples &samples) {
    RoundFigures result{NAN, NAN, NAN, NAN, NAN, NAN, {}, {}};
    for (std::size_t i = 0; i < samples.extras; ++i) {
        result.extras[samples.extra_[i].name] = samples.extra_[i].value;
    }
    if (samples.mean_us >= 0)
        result.mean = samples.mean_us;
    if (samples.count == 0)
        return result;
    float *us = samples.us_;
    std::size_t n = samples.count;
    if (samples.mean_us < 0) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i)
            sum += us[i];
        result.mean = sum / static_cast<double>(n);
    }
    std::sort(us, us + n);
    auto at = [&](double part) { return double(us[std::size_t(std::ceil(part * double(n - 1)))]); };
    result.p50 = at(0.5);
    result.p90 = at(0.9);
    result.p99 = at(0.99);
    result.p999 = at(0.999);
    result.max = at(1);
    for (double part : quantile_parts)
        result.quantiles.push_back(at(part));
    return result;
}

// One step of a worker: preparing, or a round.
bool step(Worker &worker) {
    if (!worker.alive)
        return false;
    tell(worker.process.to);
    if (heard(worker.process.from, longest_ms))
        return true;
    worker.alive = false;
    kill(worker.process.pid, SIGKILL);
    worker.row.error =
        *worker.page->error ? worker.page->error : "the process ended or took too long";
    std::fprintf(stderr, "  %s: %s\n", worker.row.system.name.c_str(), worker.row.error.c_str());
    return false;
}

double median_of(std::vector<double> values) {
    values.erase(
        std::remove_if(values.begin(), values.end(), [](double v) { return std::isnan(v); }),
        values.end());
    if (values.empty())
        return NAN;
    std::sort(values.begin(), values.end());
    std::size_t n = values.size();
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

} // namespace

double Row::median(double RoundFigures::*figure) const {
    std::vector<double> values;
    for (const RoundFigures &round : rounds)
        values.push_back(round.*figure);
    return median_of(values);
}

double Row::extra(const std::string &name) const {
    std::vector<double> values;
    for (const RoundFigures &round : rounds) {
        auto found = round.extras.find(name);
        if (found != round.extras.end())
            values.push_back(found->second);
    }
    return median_of(values);
}

double Row::worst() const {
    double worst = NAN;
    for (const RoundFigures &round : rounds)
        worst = std::fmax(worst, round.max);
    return worst;
}

std::vector<double> Row::quantiles() const {
    std::vector<double> medians;
    for (std::size_t i = 0; !rounds.empty() && i < rounds.front().quantiles.size(); ++i) {
        std::vector<double> values;
        for (const RoundFigures &round : rounds)
            values.push_back(round.quantiles[i]);
        medians.push_back(median_of(values));
    }
    return medians;
}

std::vector<Row> measure(const Group &group, const std::vector<System> &systems, const Options &) {
    static int folders = 0;
    std::vector<Worker> workers;
    std::string folder = "work-" + std::to_string(folders++);
    for (const Work &kind : group) {
        for (const System &system : systems) {
            if (!kind.fits(system))
                continue;
            auto page = shared<Page>();
            std::string own = folder + "/" + std::to_string(workers.size());
            Process process =
                start_process([&](int in, int out) { work(kind, system, own, page, in, out); });
            workers.push_back({{kind, system, {}, ""}, page, process});
        }
    }
    for (Worker &worker : workers)
        step(worker);
    int rounds = 0;
    for (const Work &kind : group)
        rounds = std::max(rounds, kind.rounds);
    for (int round = 0; round < rounds; ++round) {
        for (Worker &worker : workers) {
            if (round >= worker.row.work.rounds || !step(worker))
                continue;
            worker.row.rounds.push_back(figures(worker.page->samples));
        }
    }
    std::vector<Row> rows;
    for (Worker &worker : workers) {
        end(worker.process);
        munmap(worker.page, sizeof(Page));
        rows.push_back(std::move(worker.row));
    }
    std::filesystem::remove_all(folder);
    return rows;
}

Team::Team(int members, const std::function<Part(int)> &prepare) {
    for (int i = 0; i < members; ++i) {
        Process process = start_process([&](int in, int out) {
            try {
                {
                    Part part = prepare(i);
                    tell(out);
                    while (heard(in, -1)) {
                        part();
                        tell(out);
                    }
                }
                tell(out);
            } catch (const std::exception &error) {
                std::fprintf(stderr, "  in a process of the measurement: %s\n", error.what());
                _exit(1);
            }
        });
        members_.push_back({process.pid, process.to, process.from});
        if (!heard(process.from, longest_ms))
            throw std::runtime_error("a process did not start");
    }
}

Team::~Team() {
    for (Member &member : members_)
        end({member.pid, member.to, member.from});
}

void Team::start() {
    for (Member &member : members_)
        tell(member.to);
}

void Team::finish() {
    for (Member &member : members_) {
        if (!heard(member.from, longest_ms))
            throw std::runtime_error("a process ended");
    }
}

} // namespace bench
