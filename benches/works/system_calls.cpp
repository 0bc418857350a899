// Whether reads enter the kernel: a process that has told it to end this thread at any system call
// but the last one reads a thousand times, and lives or does not.
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "works.hpp"

namespace bench {
namespace {

// Only of the calling thread; nothing but the end of the process is allowed.
bool forbid_system_calls() {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// 0 if a thousand calls made none, 1 if they did, -1 if it cannot be found out.
template <typename F>
double enters_kernel(const System &system, const std::string &folder, F call) {
    pid_t child = fork();
    if (child == 0) {
        try {
            Opened opened(system, folder);
            opened.fill(100);
            for (int i = 0; i < 1000; ++i)
                call(opened);
            if (!forbid_system_calls())
                _exit(2);
            for (int i = 0; i < 1000; ++i)
                call(opened);
            _exit(0);
        } catch (const std::exception &) {
            _exit(3);
        }
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 0 ? 0 : -1;
    return 1;
}

} // namespace

void add_system_calls(Groups &groups, const Options &) {
    auto prepare = [=](const System &system, const std::string &folder) -> Round {
        return [=](Samples &samples) {
            samples.extra("poll_of_none", enters_kernel(system, folder, [](Opened &opened) {
                              Digest digest;
                              opened.session->poll(opened.last_id, 100, digest);
                          }));
            samples.extra("poll_of_ten", enters_kernel(system, folder, [](Opened &opened) {
                              Digest digest;
                              opened.session->poll(opened.last_id - 10, 100, digest);
                          }));
            samples.extra("get", enters_kernel(system, folder, [](Opened &opened) {
                              Digest digest;
                              opened.session->get(opened.last_id - 10, digest);
                          }));
        };
    };
    auto fits = [](const System &system) { return system.able(getting) && !system.able(serving); };
    groups.push_back({{"system calls", "whether reads enter the kernel", "", 1, fits, prepare}});
}

} // namespace bench
