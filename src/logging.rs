//! The log: where a ledger says what it noticed.
//!
//! It belongs to a handle. Lines are collected during a call and handed over at its end, on the
//! calling thread and with no lock held, so that the receiver may call the library again.

use std::cell::RefCell;
use std::sync::Arc;

/// How grave a line is. Smaller is graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Level {
    /// Something failed, and not only for the caller, who has a status for that.
    Error = 1,
    /// Something is not as it should be, such as a row that is no valid entry.
    Warn = 2,
    /// Opening, closing, cleanup.
    Info = 3,
    /// For those who look into simledger itself.
    Debug = 4,
}

impl Level {
    /// The level with this number.
    pub fn from_code(code: i32) -> Option<Level> {
        [Level::Error, Level::Warn, Level::Info, Level::Debug].into_iter().find(|level| *level as i32 == code)
    }
}

/// Receives the lines of a log.
pub type LogFunction = dyn Fn(Level, &str) + Send + Sync;

/// Where lines go, and which.
#[derive(Clone)]
pub(crate) struct Sink {
    pub level: Level,
    pub function: Arc<LogFunction>,
}

thread_local! {
    /// The ledgers whose log receiver runs on this thread, outermost first.
    static RECEIVING: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Sink {
    /// Hands over the lines that a call on the ledger with this serial number collected.
    pub fn deliver(&self, serial: u64, lines: &[(Level, String)]) {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                let _ = RECEIVING.try_with(|ledgers| ledgers.borrow_mut().pop());
            }
        }
        if lines.is_empty() {
            return;
        }
        if RECEIVING.try_with(|ledgers| ledgers.borrow_mut().push(serial)).is_err() {
            // The thread is in its last destructors: who receives could not be told from who is
            // outside, and might wait for itself.
            return;
        }
        let _leave = Leave;
        for (level, line) in lines {
            (self.function)(*level, line);
        }
    }
}

/// Whether this thread is inside the log receiver of the ledger with this serial number.
pub(crate) fn receiving_of(serial: u64) -> bool {
    // At the end of a thread the list may be gone already, and then nobody is in it.
    RECEIVING.try_with(|ledgers| ledgers.borrow().contains(&serial)).unwrap_or(false)
}

/// Whether this thread is inside the log receiver of any ledger.
pub(crate) fn receiving() -> bool {
    RECEIVING.try_with(|ledgers| !ledgers.borrow().is_empty()).unwrap_or(false)
}
