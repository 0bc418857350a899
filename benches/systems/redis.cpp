// Redis Streams over a unix socket: a server that this program starts in the folder of the store
// and ends by its process id, and the little of Redis' protocol that is needed. A batch is a
// pipeline.
//
// A position is the stream's own id, "milliseconds-sequence", in one number: 20 bits for the
// sequence.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../clock.hpp"
#include "systems.hpp"

namespace bench {
namespace {

std::string position_text(std::int64_t id) {
    return std::to_string(id >> 20) + "-" + std::to_string(id & ((1 << 20) - 1));
}

std::int64_t position_of(std::string_view text) {
    char *end;
    std::int64_t ms = std::strtoll(text.data(), &end, 10);
    return ms << 20 | std::strtoll(end + 1, nullptr, 10);
}

class Client {
  public:
    explicit Client(const std::string &path) {
        fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path)
            throw std::runtime_error("Redis: path too long");
        std::strcpy(address.sun_path, path.c_str());
        if (connect(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
            close(fd_);
            throw std::runtime_error("Redis: no connection");
        }
    }
    ~Client() { close(fd_); }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    void command(std::initializer_list<std::string_view> words) {
        out_ += '*' + std::to_string(words.size()) + "\r\n";
        for (std::string_view word : words) {
            out_ += '$' + std::to_string(word.size()) + "\r\n";
            out_.append(word).append("\r\n");
        }
    }
    void send_all() {
        for (std::size_t sent = 0; sent < out_.size();) {
            ssize_t n = send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
            if (n <= 0)
                throw std::runtime_error("Redis: the connection is gone");
            sent += static_cast<std::size_t>(n);
        }
        out_.clear();
    }
    // The head of what comes next: its type and number. -1 is nil.
    std::pair<char, long> head() {
        std::string_view line = this->line();
        if (line[0] == '-')
            throw std::runtime_error("Redis: " + std::string(line.substr(1)));
        return {line[0], std::strtol(line.data() + 1, nullptr, 10)};
    }
    // A string, valid until the next call.
    std::string_view text() {
        long len = head().second;
        need(static_cast<std::size_t>(len) + 2);
        std::string_view text(in_.data() + at_, static_cast<std::size_t>(len));
        at_ += static_cast<std::size_t>(len) + 2;
        return text;
    }
    void simple() { head(); }

  private:
    std::string_view line() {
        std::size_t from = 0;
        for (;;) {
            auto found = static_cast<const char *>(
                std::memchr(in_.data() + at_ + from, '\n', end_ - at_ - from));
            if (found) {
                std::string_view line(in_.data() + at_,
                                      static_cast<std::size_t>(found - in_.data()) - at_ - 1);
                at_ += line.size() + 2;
                return line;
            }
            from = end_ - at_;
            need(from + 1);
        }
    }
    // Reads until so many bytes are there.
    void need(std::size_t bytes) {
        while (end_ - at_ < bytes) {
            if (at_ > 0) {
                std::memmove(in_.data(), in_.data() + at_, end_ - at_);
                end_ -= at_;
                at_ = 0;
            }
            if (in_.size() - end_ < 1 << 16)
                in_.resize(in_.size() + (1 << 17));
            ssize_t n = recv(fd_, in_.data() + end_, in_.size() - end_, 0);
            if (n <= 0)
                throw std::runtime_error("Redis: the connection is gone");
            end_ += static_cast<std::size_t>(n);
        }
    }

    int fd_;
    std::string out_;
    std::vector<char> in_ = std::vector<char>(1 << 17);
    std::size_t at_ = 0, end_ = 0;
};

class RedisSession : public Session {
  public:
    explicit RedisSession(const std::string &socket) : client_(socket) {}

    std::int64_t append(const Entry &entry) override {
        add_command(entry);
        client_.send_all();
        return position_of(client_.text());
    }
    void append_batch(const Batch &batch) override {
        client_.command({"MULTI"});
        for (const Entry &entry : batch.entries)
            add_command(entry);
        client_.command({"EXEC"});
        client_.send_all();
        for (std::size_t i = 0; i < batch.entries.size() + 1; ++i)
            client_.simple(); // queued
        for (long left = client_.head().second; left > 0; --left)
            client_.text();
    }
    void poll(std::int64_t since, std::size_t limit, Digest &digest) override {
        std::string from = position_text(since + 1);
        if (limit == no_limit) {
            client_.command({"XRANGE", "ledger", from, "+"});
        } else {
            client_.command({"XRANGE", "ledger", from, "+", "COUNT", std::to_string(limit)});
        }
        client_.send_all();
        entries(digest);
    }
    void get(std::int64_t id, Digest &digest) override {
        std::string text = position_text(id);
        client_.command({"XRANGE", "ledger", text, text});
        client_.send_all();
        entries(digest);
    }
    void wait(std::int64_t since, Digest &digest) override {
        client_.command({"XREAD", "BLOCK", "1000", "STREAMS", "ledger", position_text(since)});
        client_.send_all();
        if (client_.head().second <= 0)
            return;     // nil: nothing came
        client_.head(); // the stream
        client_.text(); // its name
        entries(digest);
    }

  private:
    void add_command(const Entry &entry) {
        char timestamp[32], confidence[32];
        int timestamp_len = std::snprintf(timestamp, sizeof timestamp, "%.5f", entry.timestamp);
        int confidence_len = std::snprintf(confidence, sizeof confidence, "%.3f", entry.confidence);
        client_.command({"XADD",
                         "ledger",
                         "*",
                         "timestamp",
                         {timestamp, static_cast<std::size_t>(timestamp_len)},
                         "node",
                         entry.node,
                         "features",
                         entry.features,
                         "confidence",
                         {confidence, static_cast<std::size_t>(confidence_len)}});
    }
    void entries(Digest &digest) {
        for (long left = client_.head().second; left > 0; --left) {
            client_.head();
            std::int64_t id = position_of(client_.text());
            long words = client_.head().second;
            double sum = 0;
            for (long i = 0; i + 1 < words; ++i) {
                std::string_view text = client_.text();
                sum += text[0] + text[text.size() - 1];
            }
            digest.sum += sum;
            digest.add_text(id, client_.text());
        }
    }

    Client client_;
};

// The server's program: Debian has it in the package of tools too, which starts no service.
const char *server_program() {
    for (const char *path :
         {"/usr/bin/redis-server", "/usr/local/bin/redis-server", "/usr/bin/redis-check-rdb"}) {
        if (access(path, X_OK) == 0)
            return path;
    }
    return nullptr;
}

constexpr const char *socket_name = "redis.socket"; // in the folder, into which the server goes

class Server {
  public:
    Server(const std::string &folder, Sync sync) {
        pid_t parent = getpid();
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            const char *fsync = sync == Sync::every_append ? "always" : "everysec";
            execl(server_program(), "redis-server", "--port", "0", "--unixsocket", socket_name,
                  "--dir", folder.c_str(), "--save", "", "--appendonly", "yes", "--appendfsync",
                  fsync, "--logfile", "redis.log", "--daemonize", "no",
                  static_cast<char *>(nullptr));
            _exit(1);
        }
    }
    ~Server() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

  private:
    pid_t pid_;
};

class RedisStore : public Store {
  public:
    RedisStore(const std::string &folder, Sync sync) : socket_(folder + "/" + socket_name) {
        if (access(socket_.c_str(), F_OK) == 0)
            return; // another process of the measurement started it
        server_ = std::make_unique<Server>(folder, sync);
        for (int tries = 0;; ++tries) {
            try {
                Client client(socket_);
                client.command({"PING"});
                client.send_all();
                client.simple();
                return;
            } catch (const std::exception &) {
                if (tries == 1000)
                    throw;
                nap_us(10000);
            }
        }
    }
    std::unique_ptr<Session> session() override { return std::make_unique<RedisSession>(socket_); }

  private:
    std::string socket_;
    std::unique_ptr<Server> server_;
};

std::string version_of(const char *program) {
    std::string command = std::string("exec -a redis-server ") + program + " --version";
    std::string shell = "bash -c '" + command + "' 2>/dev/null";
    FILE *pipe = popen(shell.c_str(), "r");
    char line[256] = "";
    if (pipe) {
        if (!fgets(line, sizeof line, pipe))
            line[0] = 0;
        pclose(pipe);
    }
    const char *at = std::strstr(line, "v=");
    return at ? std::string(at + 2, std::strcspn(at + 2, " \n")) : "";
}

} // namespace

void find_redis(Systems &systems, const Options &) {
    const char *program = server_program();
    std::string version = program ? version_of(program) : "";
    if (version.empty()) {
        systems.missing.emplace_back("Redis Streams", "its server is not installed");
        return;
    }
    systems.available.push_back(
        {"Redis Streams", version, "all, also of the server's", "a second or two may be lost",
         "no unique key, no indexes but its ids", processes | waiting | getting | serving,
         [](const std::string &folder, Sync sync) {
             return std::make_unique<RedisStore>(folder, sync);
         }});
}

} // namespace bench
