//! The log: where a ledger says what it noticed.
//!
//! It belongs to a handle. Lines are collected during a call and handed over at its end, on the
//! calling thread and with no lock held, so that the receiver may call the library again. Programs
//! that cannot be called from every thread have a queue instead, and ask for its lines.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// A receiver of lines, and of which.
#[derive(Clone)]
pub(crate) struct Sink {
    pub level: Level,
    pub function: Arc<LogFunction>,
}

/// Most lines that a queue may hold.
pub(crate) const QUEUE_LINES_MAX: usize = 1_000_000;

/// Lines that wait to be asked for, for programs that cannot be called from any thread.
struct Queue {
    level: Level,
    lines_max: usize,
    lines: Mutex<VecDeque<(Level, String)>>,
}

/// Lines of the background that wait for a call on a handle with a log.
#[derive(Default)]
pub(crate) struct Notices {
    lines: Mutex<VecDeque<(Level, String)>>,
    /// Whether there are any.
    any: AtomicBool,
}

/// Most lines that wait; older ones give way.
const NOTICES_MAX: usize = 100;

impl Notices {
    /// Leaves lines.
    pub fn put(&self, more: Vec<(Level, String)>) {
        if more.is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(more);
        let surplus = lines.len().saturating_sub(NOTICES_MAX);
        lines.drain(..surplus);
        self.any.store(true, Ordering::Release);
    }

    /// The lines that were left, of this level and graver ones.
    pub fn take(&self, most: Level) -> Vec<(Level, String)> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left): (Vec<_>, Vec<_>) = lines.drain(..).partition(|(level, _)| *level <= most);
        self.any.store(!left.is_empty(), Ordering::Release);
        lines.extend(left);
        taken
    }
}

/// Where the lines of a ledger go.
pub(crate) struct Log {
    sink: Option<Sink>,
    queue: Option<Queue>,
}

thread_local! {
    /// The ledgers whose callbacks run on this thread, outermost first.
    static RECEIVING: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// A log with this receiver, and a queue for so many lines of this level and graver ones.
    pub fn new(sink: Option<Sink>, queue: Option<(Level, usize)>) -> Log {
        let queue = queue.map(|(level, lines_max)| Queue { level, lines_max, lines: Mutex::default() });
        Log { sink, queue }
    }

    /// The least grave level that anybody wants.
    pub fn level(&self) -> Option<Level> {
        self.sink.as_ref().map(|sink| sink.level).max(self.queue.as_ref().map(|queue| queue.level))
    }

    /// Hands over the lines that a call on the ledger with this serial number collected; how many
    /// older ones fell out of the queue for them.
    #[inline]
    pub fn deliver(&self, serial: u64, lines: Vec<(Level, String)>) -> u64 {
        if lines.is_empty() { 0 } else { self.deliver_some(serial, lines) }
    }

    fn deliver_some(&self, serial: u64, lines: Vec<(Level, String)>) -> u64 {
        if let Some(sink) = &self.sink {
            sink.deliver(serial, &lines);
        }
        self.queue.as_ref().map_or(0, |queue| queue.put(lines))
    }

    /// The oldest line of the queue, out of it.
    pub fn next(&self) -> Option<(Level, String)> {
        self.queue.as_ref()?.lines.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Queue {
    fn put(&self, lines: Vec<(Level, String)>) -> u64 {
        let mut waiting = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for line in lines.into_iter().filter(|(level, _)| *level <= self.level) {
            if waiting.len() == self.lines_max {
                waiting.pop_front();
                dropped += 1;
            }
            waiting.push_back(line);
        }
        dropped
    }
}

impl Sink {
    fn deliver(&self, serial: u64, lines: &[(Level, String)]) {
        let Some(_within) = enter_callback(serial) else {
            // The thread is in its last destructors: who receives could not be told from who is
            // outside, and might wait for itself.
            return;
        };
        for (level, line) in lines.iter().filter(|(level, _)| *level <= self.level) {
            (self.function)(*level, line);
        }
    }
}

/// While this lives, the thread is in a callback of a ledger.
pub(crate) struct InCallback;

impl Drop for InCallback {
    fn drop(&mut self) {
        let _ = RECEIVING.try_with(|ledgers| ledgers.borrow_mut().pop());
    }
}

/// The thread is going to call back on behalf of the ledger with this serial number. `None` at the
/// very end of a thread, where this could not be remembered.
pub(crate) fn enter_callback(serial: u64) -> Option<InCallback> {
    RECEIVING.try_with(|ledgers| ledgers.borrow_mut().push(serial)).ok().map(|()| InCallback)
}

/// Whether this thread is inside a callback of the ledger with this serial number.
pub(crate) fn in_callback_of(serial: u64) -> bool {
    // At the end of a thread the list may be gone already, and then nobody is in it.
    RECEIVING.try_with(|ledgers| ledgers.borrow().contains(&serial)).unwrap_or(false)
}

/// Whether this thread is inside a callback of any ledger.
pub(crate) fn in_callback() -> bool {
    RECEIVING.try_with(|ledgers| !ledgers.borrow().is_empty()).unwrap_or(false)
}
