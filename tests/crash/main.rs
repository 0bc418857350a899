//! Processes that are killed at any moment and at every step of what they do: what was acknowledged is
//! there, nothing is half there or there twice, ids are not given again, and the others go on.
//!
//! What was acknowledged is known by what the processes said to the test, outside of the ledger.
//!
//! `LEDGER_CRASH_ROUNDS` says how many rounds there are of each kind, one by default. The ledgers commit as
//! `LEDGER_TEST_COMMIT` says.

#![cfg(feature = "test-hooks")]

#[path = "../common/mod.rs"]
mod common;

mod agent;
mod calls;
mod files;
mod known;
mod round;
mod steps;
mod stopped;
mod wal;

/// How many rounds of each kind.
fn rounds() -> u64 {
    std::env::var("LEDGER_CRASH_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

/// How the ledgers commit that do not say it themselves.
fn by_log() -> bool {
    std::env::var("LEDGER_TEST_COMMIT").map_or(true, |commit| commit == "log")
}
