// What the nodes tell each other, as the features of ledger entries:
//
//   {"kind":"signature","distance":81.3,"values":[50.0,21.0,...]}      this looks anomalous
//   {"kind":"done","step":3}                                           all that I found up to the
//                                                                      end of this step is above
//   {"kind":"votes","step":3,"confirm":[812,815],"reject":[813]}       on the ids of signatures
#pragma once

#include "simledger.hpp"

// Readings of all nodes together in a step of the simulation, one a second.
inline constexpr long step_readings = 1024;

inline simledger::Features message(const char *kind) {
    simledger::Features features;
    features.set("kind", kind);
    return features;
}
