// A node: watches, reports, polls, votes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "detector.hpp"
#include "mesh.hpp"
#include "messages.hpp"
#include "simledger.hpp"

// Thrown in a node because another one failed.
struct Stopped : std::runtime_error {
    Stopped() : std::runtime_error("stopped, since another node failed") {}
};

class Node {
  public:
    Node(const Mesh &mesh, int index, simledger::Ledger &ledger)
        : mesh_(mesh), index_(index),
          name_((index < 10 ? "node-0" : "node-") + std::to_string(index)), ledger_(ledger),
          report_(mesh.reports[index]) {}

    void run() {
        for (long step = 0; step < mesh_.steps(); step++)
            run_step(step);
        wait_for(votes_seen_, mesh_.steps() * mesh_.options.nodes);
    }

  private:
    void run_step(long step) {
        const long begin = step * step_readings;
        const long end = begin + step_readings;
        for (long at = begin; at < end && at < static_cast<long>(mesh_.readings.size()); at++) {
            const Reading &reading = mesh_.readings[static_cast<std::size_t>(at)];
            if (reading.owner != index_)
                continue;
            watch(reading.values, static_cast<double>(at));
            poll();
        }
        // Readings have whole seconds: no two entries of a node have the same time.
        append(static_cast<double>(end) - 0.5, message("done").set("step", step), 1);
        wait_for(done_seen_, (step + 1) * mesh_.options.nodes);
        vote(step, static_cast<double>(end));
    }

    // Looks at a reading, reports it if it is anomalous, and learns from it.
    void watch(const Values &values, double time) {
        const double distance = detector_.distance(values);
        const bool anomalous = detector_.can_judge() && detector_.is_anomalous(values);
        detector_.learn(values);
        if (anomalous)
            append(time,
                   message("signature")
                       .set("distance", distance)
                       .set("values", values.data(), values.size()),
                   Detector::confidence(distance));
    }

    void append(double time, const simledger::Features &features, double confidence) {
        report_.append.measure([&] { return ledger_.append({time, name_, features, confidence}); });
    }

    // Polls for what is new; whether there was something.
    bool poll() {
        const simledger::Entries fresh =
            report_.poll.measure([&] { return ledger_.poll_since(report_.seen.last_id()); });
        for (const auto &entry : fresh)
            receive(entry);
        report_.seen.check_position(fresh);
        return !fresh.empty();
    }

    void receive(simledger::EntryView entry) {
        const auto kind = entry.feature_text("/kind");
        if (kind == "signature" && entry.node_id() != name_)
            pending_.push_back({entry.id(), entry.timestamp()});
        done_seen_ += kind == "done";
        votes_seen_ += kind == "votes";
        report_.seen.note(entry.id());
    }

    // Polls until this many entries of a kind were seen.
    void wait_for(const long &seen, long wanted) {
        using namespace std::chrono_literals;
        using Clock = std::chrono::steady_clock;
        auto last_news = Clock::now();
        // Naps grow, so that many who wait leave room for those who work.
        constexpr Clock::duration shortest = 100us, longest = 5ms;
        Clock::duration nap = shortest;
        while (seen < wanted) {
            if (mesh_.stop->load())
                throw Stopped();
            if (poll()) {
                last_news = Clock::now();
                nap = shortest;
            } else if (Clock::now() - last_news > 60s) {
                throw std::runtime_error("no news from the other nodes");
            } else {
                std::this_thread::sleep_for(nap);
                nap = std::min(2 * nap, longest);
            }
        }
    }

    // Votes on what the others found before `end`. A node that cannot judge yet abstains.
    void vote(long step, double end) {
        std::vector<std::int64_t> confirm, reject;
        for (; !pending_.empty() && pending_.front().time < end; pending_.pop_front()) {
            if (detector_.can_judge()) {
                const std::int64_t id = pending_.front().id;
                (confirms(id) ? confirm : reject).push_back(id);
            }
        }
        append(end - 0.25,
               message("votes")
                   .set("step", step)
                   .set_integers("confirm", confirm)
                   .set_integers("reject", reject),
               1);
    }

    bool confirms(std::int64_t id) {
        const auto entry = report_.get.measure([&] { return ledger_.get_by_id(id); });
        Values values{};
        if (entry.value().feature_numbers("/values", values.data(), values.size()) != values.size())
            throw std::runtime_error("entry " + std::to_string(id) + " has not nine values");
        return detector_.is_anomalous(values);
    }

    // Somebody's signature that this node has yet to vote on.
    struct Pending {
        std::int64_t id;
        double time;
    };

    const Mesh &mesh_;
    int index_;
    std::string name_;
    simledger::Ledger &ledger_;
    Report &report_;
    Detector detector_;
    std::deque<Pending> pending_;
    long done_seen_ = 0;
    long votes_seen_ = 0;
};
