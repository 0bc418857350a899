//! Ending the calls in flight on a ledger.
//!
//! Each call remembers how often its ledger had been interrupted when it began, and ends when that
//! has changed. It looks wherever it waits and, through SQLite's progress handler, while SQLite
//! works. Whoever waits asleep is woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::sys::fork;

/// The interruptions of one ledger. These are never freed but used again, so that a call can refer
/// to them for nothing.
#[derive(Default)]
pub(crate) struct Interrupts {
    count: AtomicU64,
    asleep: Mutex<Vec<Thread>>,
}

/// Those that no ledger uses. Only looked at while [`fork::steady`] is held.
static FREE: Mutex<Vec<&'static Interrupts>> = Mutex::new(Vec::new());

/// A ledger's claim to some.
pub(crate) struct Claim {
    interrupts: &'static Interrupts,
    /// The process that it belongs to.
    epoch: u64,
}

impl Claim {
    pub fn new() -> Claim {
        let _steady = fork::steady();
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Claim { interrupts: free.unwrap_or_else(|| Box::leak(Box::default())), epoch: fork::epoch() }
    }

    pub fn get(&self) -> &'static Interrupts {
        self.interrupts
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What a child inherited may be locked for ever by a thread of its parent.
        if self.epoch == fork::epoch() {
            let _steady = fork::steady();
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.interrupts);
        }
    }
}

impl Interrupts {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Ends the calls that are in flight now.
    pub fn interrupt(&self) {
        self.count.fetch_add(1, Ordering::Release);
        for thread in self.asleep().iter() {
            thread.unpark();
        }
    }

    /// Sleeps like [`thread::park_timeout`], unless there were more interruptions than this.
    pub fn park(&self, seen: u64, timeout: Duration) {
        let me = thread::current();
        self.asleep().push(me.clone());
        if self.count() == seen {
            thread::park_timeout(timeout);
        }
        let mut asleep = self.asleep();
        if let Some(at) = asleep.iter().position(|thread| thread.id() == me.id()) {
            asleep.swap_remove(at);
        }
    }

    fn asleep(&self) -> MutexGuard<'_, Vec<Thread>> {
        // Nothing in here panics half-way.
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
