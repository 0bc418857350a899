//! All interleavings, and all that the memory model allows, of those who wait for entries and those who
//! append: that nobody is ever left asleep.
//!
//! `src/event_count.rs` and `src/wait.rs` are the code itself, with loom's atomics, a futex made
//! of a condition, and a ledger that is a number. Nobody looks without being told here: who is not woken
//! sleeps for ever, which loom calls a deadlock. `LEDGER_MODEL_PREEMPTIONS` is how many preemptions are
//! tried, 2 by default.

use loom::sync::Arc;
use loom::thread;

use store::{Ledger, Store};

#[path = "../src/event_count.rs"]
mod event_count;
#[allow(dead_code)] // The metric.
#[path = "../src/wait.rs"]
mod wait;

mod sys {
    pub mod moment {
        use std::time::Duration;

        pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

        /// Time does not pass.
        #[derive(Clone, Copy)]
        pub struct Instant;

        impl Instant {
            pub fn now() -> Instant {
                Instant
            }

            pub fn checked_add(self, _: Duration) -> Option<Instant> {
                None
            }

            pub fn saturating_duration_since(self, _: Instant) -> Duration {
                Duration::MAX
            }
        }
    }

    pub mod futex {
        use loom::sync::{Condvar, Mutex};
        use std::time::Duration;

        use super::moment::{AtomicU32, Ordering};

        loom::lazy_static! {
            /// The kernel's: the look at a word and falling asleep are one step for those who wake. One queue
            /// for all words; who is woken in vain looks again.
            static ref QUEUE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
        }

        pub fn wait(word: &AtomicU32, value: u32, _: Duration) {
            let queue = QUEUE.0.lock().unwrap();
            if word.load(Ordering::Relaxed) == value {
                drop(QUEUE.1.wait(queue).unwrap());
            }
        }

        pub fn wake(_: &AtomicU32, _: u32) {
            let _queue = QUEUE.0.lock().unwrap();
            QUEUE.1.notify_all();
        }
    }
}

mod call {
    pub fn renew() {}
}

mod error {
    pub type Result<T> = std::result::Result<T, ()>;
}

mod hooks {
    pub fn look(usual: std::time::Duration) -> std::time::Duration {
        usual
    }
}

/// A ledger: how many entries it has, and who is told of it.
mod store {
    use std::time::Duration;

    use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::event_count::EventCount;
    use super::wait::Waiters;

    pub type Version = u64;

    pub struct Signals<'a> {
        pub events: EventCount<'a>,
        pub look: Duration,
    }

    pub trait Store {
        fn signals(&self) -> Signals<'_>;
        fn refresh(&self) -> Result<Version, ()>;
    }

    #[derive(Default)]
    pub struct Ledger {
        pub entries: AtomicU64,
        events: AtomicU32,
        pub waiters: Waiters,
    }

    impl Ledger {
        /// As `Turn::publish`, and what comes after it.
        pub fn append(&self) {
            self.entries.fetch_add(1, Ordering::Release);
            self.signals().events.notify();
        }

        /// Waits for so many entries. How often it looked for them.
        pub fn wait(&self, entries: u64) -> u64 {
            let mut looks = 0;
            let look = || {
                looks += 1;
                Ok((self.entries.load(Ordering::Acquire) >= entries).then_some(()))
            };
            self.waiters.wait(Duration::MAX, || self as &dyn Store, || Ok(()), look).unwrap();
            looks
        }
    }

    impl Store for Ledger {
        fn signals(&self) -> Signals<'_> {
            Signals { events: EventCount::new(&self.events), look: Duration::MAX }
        }

        fn refresh(&self) -> Result<Version, ()> {
            Ok(self.entries.load(Ordering::Acquire))
        }
    }
}

/// Two threads that wait for so many entries each, and one that appends: all at once, or one entry, and
/// the next one when the first thread has what it waited for.
fn wait_and_append(waits: [u64; 2], step_by_step: bool) {
    let mut model = loom::model::Builder::new();
    let preemptions = std::env::var("LEDGER_MODEL_PREEMPTIONS");
    model.preemption_bound = Some(preemptions.map_or(2, |bound| bound.parse().expect("a number")));
    model.check(move || {
        let ledger = Arc::new(Ledger::default());
        let [first, second] = waits.map(|entries| {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || {
                ledger.wait(entries);
            })
        });
        // The main thread only starts others and waits for them, so that what they do may come before
        // what it does.
        thread::spawn(move || {
            let mut first = Some(first);
            for entry in 1..=waits[0].max(waits[1]) {
                ledger.append();
                if let Some(first) = first.take_if(|_| step_by_step && entry == waits[0]) {
                    first.join().unwrap();
                }
            }
            if let Some(first) = first {
                first.join().unwrap();
            }
        })
        .join()
        .unwrap();
        second.join().unwrap();
    });
}

#[test]
fn all_who_wait_are_woken() {
    wait_and_append([1, 1], false);
    wait_and_append([1, 2], false);
}

#[test]
fn a_leader_who_stays_tells_the_others_and_one_who_leaves_makes_place() {
    wait_and_append([1, 2], true);
}

#[test]
fn a_leader_who_is_woken_for_nothing_does_not_look_again() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let ledger = Arc::new(Ledger::default());
        let waiting = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || ledger.wait(1))
        };
        ledger.signals().events.notify();
        ledger.signals().events.notify();
        ledger.append();
        // Before it leads, as it begins to, and when the entry has come.
        assert!(waiting.join().unwrap() <= 3);
    });
}
