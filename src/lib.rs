//! An immutable, ordered, durable event ledger for simulators.
//!
//! Many agents of a simulation, in threads and in processes, append what they found to one ledger
//! and poll it for what the others found since the last id they saw. The ledger is one SQLite file;
//! there is no server. This crate is what C programs link as `libsimledger`, and can be used from
//! Rust as it is:
//!
//! ```
//! use simledger::{Ledger, NO_LIMIT};
//!
//! # fn main() -> simledger::Result<()> {
//! let ledger = Ledger::open_path(":memory:")?;
//! ledger.append_json(r#"{"timestamp":12.5,"node_id":"node-7","features":{"rate":910},"confidence":0.93}"#)?;
//! let mut last_seen = 0;
//! let fresh = ledger.poll_since(last_seen, NO_LIMIT)?;
//! for entry in fresh.iter() {
//!     println!("{} {}", entry.node_id(), entry.confidence());
//! }
//! last_seen = fresh.position();
//! # assert_eq!((fresh.len(), last_seen), (1, 1));
//! ledger.close()
//! # }
//! ```
//!
//! # The map of the house
//!
//! Layers point one way: `ffi` → [`Ledger`] → engine → shared → (cache, store) → (entry, query, error).
//!
//! | module | what it does |
//! |---|---|
//! | `entry`, `json` | an entry on its way in: JSON checked and compacted in one pass |
//! | `feature`, `features` | values out of features, and features made of values |
//! | `transaction` | entries that are going to be written together |
//! | `chunk`, `entries` | entries in memory: shared immutable chunks, and results as ranges of them |
//! | `config`, `error`, `logging`, `metrics` | what they say |
//! | `call`, `interrupt` | the time budget, the log lines and the early end of the call in progress |
//! | `ledger` | the API for Rust |
//! | `registry`, `engine` | one engine for each file in a process |
//! | `shared`, `retention` | its storage, caches and metrics, and what runs in the background |
//! | `store` | durable storage behind a trait: `store::logged` is what ledgers are opened as, `store::sqlite` their file |
//! | `commit_log` | the log that processes map, from which entries are folded into the file |
//! | `tail`, `join` | the newest entries in memory, and what the storage has beside them |
//! | `event_count`, `wait`, `watch` | hearing of what others append: the word that is notified, those who sleep, descriptors for event loops |
//! | `gate` | the lock that callers wait at, timed and fair |
//! | `cache` | recent reads in memory, never stale |
//! | `sys` | what the operating system needs, behind small safe types; `sys::files`: locks that nobody else in the process can drop |
//! | `ffi` | the C API |

#![deny(unsafe_code)] // ffi and sys say that they may
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod cache;
mod call;
mod chunk;
mod commit_log;
mod companion;
mod config;
mod cursor;
mod engine;
mod entries;
mod entry;
mod error;
mod event_count;
mod feature;
mod features;
#[allow(unsafe_code)]
pub mod ffi;
mod gate;
mod hooks;
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
pub mod internals;
mod interrupt;
mod join;
mod json;
mod ledger;
mod logging;
mod metrics;
mod query;
mod registry;
mod retention;
mod seldom;
mod shared;
mod store;
#[allow(unsafe_code)]
mod sys;
mod tail;
mod transaction;
mod utc;
mod wait;
mod watch;

pub use chunk::{Columns, Entry, EntryRef};
pub use config::{Change, Config, KEYS, Key, Scope};
pub use entries::Entries;
pub use entry::{Limits, NODE_ID_BYTES_MAX, NewEntry};
pub use error::{Error, Result, Status};
pub use feature::Feature;
pub use features::Features;
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
pub use hooks::armed as test_hooks;
pub use ledger::{Batched, Ledger, NO_LIMIT};
pub use logging::{Level, LogFunction};
pub use metrics::Snapshot;
pub use query::{Order, QUERY_NODES_MAX, Query};
pub use store::{ProgressFunction, Vacuum};
pub use transaction::Transaction;
pub use watch::Watch;

/// The version of SQLite inside.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
