//! One registry of numbers about a ledger, each with the name that users see.
//!
//! Counters are relaxed atomics: each is exact by itself, and a snapshot of several need not be of
//! one instant.

mod histogram;
mod snapshot;

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use self::snapshot::Gauge;
pub use self::snapshot::Snapshot;

use self::histogram::Histogram;
use crate::error::Status;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, amount: u64) {
        // A look costs less than an addition that others could see.
        if amount > 0 {
            self.0.fetch_add(amount, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Dial(AtomicU64);

impl Dial {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

macro_rules! registry {
    (
        counters { $($counter:ident: $help:literal,)* }
        operations { $($operation:ident: $name:literal,)* }
    ) => {
        /// The numbers of one engine.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(#[doc = $help] pub $counter: Counter,)*
            /// How far the integrity check that runs is, from 0 to 1.
            pub integrity_check_progress: Dial,
            errors: [Counter; Status::ALL.len()],
            times: [Histogram; Operation::ALL.len()],
        }

        impl Metrics {
            /// Every counter with its name and what it counts.
            fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($counter), $help, self.$counter.get()),)*]
            }
        }

        /// What is timed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($operation,)*
        }

        impl Operation {
            const ALL: &[Operation] = &[$(Operation::$operation,)*];

            /// The name that users see.
            fn name(self) -> &'static str {
                match self {
                    $(Operation::$operation => $name,)*
                }
            }
        }
    };
}

registry! {
    counters {
        entries_appended: "Entries appended.",
        duplicates_ignored: "Entries left out, equal ones being there (on_duplicate = ignore).",
        entries_folded: "Entries that the drain moved from the commit log to the ledger file.",
        entries_deleted: "Entries that cleanup deleted.",
        rows_skipped: "Rows of other programs that reads skipped, being no valid entries.",
        entry_cache_hits: "Gets by id that were answered from memory.",
        entry_cache_misses: "Gets by id that went to the file, for entries that are not there too.",
        query_cache_hits: "By-node reads that were answered from memory.",
        query_cache_misses: "By-node reads that went to the file.",
        retries: "Further tries where another process held a lock.",
        writer_resets: "Times the writing connection was opened anew after a defect inside it.",
        retention_runs: "Cleanups in the background (retention_seconds).",
        retention_failures: "Cleanups in the background that failed.",
        log_lines_dropped: "Lines that fell out of a full log queue.",
    }
    operations {
        Append: "append",
        AppendMany: "append_many",
        Poll: "poll",
        Wait: "wait",
        ReadAll: "read_all",
        Get: "get_by_id",
        ReadByNode: "read_by_node",
        Query: "query",
        Count: "count",
        Sql: "sql",
        Cleanup: "cleanup",
        Flush: "flush",
        Checkpoint: "checkpoint",
        Reindex: "reindex",
        Optimize: "optimize",
        Vacuum: "vacuum",
        IntegrityCheck: "integrity_check",
        ConnectionWait: "connection_wait",
        WriterWait: "writer_wait",
        Fold: "fold",
        Other: "other",
    }
}

/// Of the operations that may take a microsecond, so many go by between two that are timed.
const SAMPLED_ONE_IN: u64 = 16;

/// The time since an operation began, if it is one that is timed.
pub(crate) struct Timer {
    began: Option<Instant>,
    weight: u64,
}

impl Timer {
    /// Times an operation, or one in some where reading the clock would cost more than it.
    pub fn start(operation: Operation) -> Timer {
        thread_local! {
            /// Calls of each, from a random number on, so that threads of a few calls count right
            /// on the average.
            static CALLS: [Cell<u64>; 4] = std::array::from_fn(|_| Cell::new(RandomState::new().hash_one(0)));
        }
        let cheap = match operation {
            Operation::Get => 0,
            Operation::Poll => 1,
            Operation::ReadByNode => 2,
            Operation::Append => 3,
            _ => return Timer { began: Some(Instant::now()), weight: 1 },
        };
        let count = |calls: &[Cell<u64>; 4]| calls[cheap].replace(calls[cheap].get().wrapping_add(1));
        // At the very end of a thread there is no counter any more, and nothing is timed.
        let timed = CALLS.try_with(count).is_ok_and(|calls| calls.is_multiple_of(SAMPLED_ONE_IN));
        Timer { began: timed.then(Instant::now), weight: SAMPLED_ONE_IN }
    }
}

impl Metrics {
    /// Counts an operation that has ended.
    pub fn end(&self, operation: Operation, timer: &Timer, failure: Option<Status>) {
        if let Some(began) = timer.began {
            self.times[operation as usize].add(began.elapsed(), timer.weight);
        }
        if let Some(status) = failure {
            self.errors[status as usize].add(1);
        }
    }

    /// Counts a time that was waited.
    pub fn waited(&self, operation: Operation, time: Duration) {
        self.times[operation as usize].add(time, 1);
    }
}
