// Appends an entry to a ledger, and reads what is in it.
#include <chrono>
#include <cstdint>
#include <iostream>

#include "simledger.hpp"

int main() {
    try {
        const std::chrono::duration<double> now =
            std::chrono::system_clock::now().time_since_epoch();
        std::int64_t last_seen = 0; // nothing yet

        simledger::Ledger ledger{"quickstart.db"};
        ledger.append({now.count(), "node-7", R"({"rate":910})", 0.93});
        const auto fresh = ledger.poll_since(last_seen);
        for (const auto &entry : fresh) {
            std::cout << entry.id() << ": " << entry.node_id() << " found " << entry.features_json()
                      << ", confidence " << entry.confidence() << '\n';
        }
        last_seen = fresh.position(); // the next poll begins here
        std::cout << "seen up to " << last_seen << '\n';
        ledger.close(); // the destructor would do it too, but could not say if it failed
    } catch (const simledger::Error &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
