//! One registry of numbers about a ledger, each with the name that users see.
//!
//! Counters are relaxed atomics: each is exact by itself, and a snapshot of several need not be of
//! one instant.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! registry {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// The counters of one engine.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $($(#[doc = $doc])* pub $name: Counter,)*
        }

        impl Metrics {
            /// Every counter with its name.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

registry! {
    /// Entries appended through this engine.
    entries_appended,
    /// Entries that were there already and equal (`on_duplicate = ignore`).
    duplicates_ignored,
    /// Entries deleted by cleanup through this engine.
    entries_deleted,
    /// Rows that were read and are no valid entries.
    rows_skipped,
    /// Calls that waited for the time budget's end: status BUSY.
    busy,
    /// Gets answered from the entry cache.
    entry_cache_hits,
    /// Gets that went to the file.
    entry_cache_misses,
    /// By-node reads answered from the query cache.
    query_cache_hits,
    /// By-node reads that went to the file.
    query_cache_misses,
    /// Times the writer was set up anew after a panic or an error inside it.
    writer_resets,
}

impl Metrics {
    /// The numbers as a JSON object.
    pub fn to_json(&self) -> String {
        let members: Vec<String> =
            self.snapshot().into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}
