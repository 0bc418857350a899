//! The call that this thread is making: its time budget, and what it has to say to the log.
//!
//! Both belong to the whole call, through all layers, and SQLite's busy handler has no argument of
//! its own to find them by; so they are kept per thread. A call inside a call (from a log callback)
//! has its own budget and its own lines.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::logging::Level;

#[derive(Clone, Copy)]
struct Circumstances {
    timeout: Duration,
    /// Set at the first wait: most calls never wait, and asking for the time is a good part of
    /// what a cached read costs.
    deadline: Option<Instant>,
    log_level: Option<Level>,
}

/// Of threads that make no call, such as the one that opens pooled connections.
const NO_CALL: Circumstances =
    Circumstances { timeout: Duration::from_secs(1), deadline: None, log_level: None };

thread_local! {
    static CURRENT: Cell<Circumstances> = const { Cell::new(NO_CALL) };
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// A call in progress on this thread.
pub(crate) struct Call {
    outer: Circumstances,
    outer_lines: Vec<(Level, String)>,
}

impl Call {
    /// Begins a call that may take this long, and that logs up to this level.
    pub fn begin(timeout: Duration, log_level: Option<Level>) -> Call {
        let outer = CURRENT.replace(Circumstances { timeout, deadline: None, log_level });
        // Only a call inside a call finds lines here.
        let outer_lines = if outer.log_level.is_some() { take_lines() } else { Vec::new() };
        Call { outer, outer_lines }
    }

    /// Ends it; gives what it has to say to the log.
    pub fn end(self) -> Vec<(Level, String)> {
        if CURRENT.get().log_level.is_some() { take_lines() } else { Vec::new() }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let ended = CURRENT.replace(self.outer);
        if ended.log_level.is_some() || self.outer.log_level.is_some() {
            let lines = std::mem::take(&mut self.outer_lines);
            let _ = LINES.try_with(|place| place.replace(lines));
        }
    }
}

/// Says something to the log of the ledger that is being called. Never with features in it.
pub(crate) fn log(level: Level, message: impl FnOnce() -> String) {
    if CURRENT.get().log_level.is_some_and(|most| level <= most) {
        let line = (level, message());
        let _ = LINES.try_with(|lines| lines.borrow_mut().push(line));
    }
}

/// The lines of this thread. At the very end of a thread, in its last destructors, there is no
/// place for any more: then what is said is lost, and the call goes on.
fn take_lines() -> Vec<(Level, String)> {
    LINES.try_with(RefCell::take).unwrap_or_default()
}

/// What is left of the time budget; zero when it is used up.
pub(crate) fn remaining() -> Duration {
    let mut current = CURRENT.get();
    let now = Instant::now();
    // A time-out too far away to express is no time-out.
    let far = || now + Duration::from_secs(1 << 32);
    let deadline =
        *current.deadline.get_or_insert_with(|| now.checked_add(current.timeout).unwrap_or_else(far));
    CURRENT.set(current);
    deadline.saturating_duration_since(now)
}

/// The whole time budget of the call, for messages.
pub(crate) fn timeout() -> Duration {
    CURRENT.get().timeout
}

/// Waits a little before the next attempt, a random part of a time that grows to a millisecond;
/// false when the time budget is used up.
///
/// Callers that wait for the same lock must not wake in step, and a short longest wait keeps a
/// busy neighbour from starving us: its lock is free for some microseconds between two of its
/// transactions.
pub(crate) fn pause(attempt: u32) -> bool {
    const FIRST: Duration = Duration::from_micros(50);
    const LONGEST: Duration = Duration::from_millis(1);
    let left = remaining();
    if left.is_zero() {
        return false;
    }
    let most = FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST);
    // Each RandomState has keys of its own: the standard library's source of random numbers.
    let random = RandomState::new().hash_one(attempt) >> 32;
    let part = u32::try_from(random % 512).unwrap_or(0) + 512;
    std::thread::sleep((most * part / 1024).min(left));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_of_the_whole_call_and_of_each_call_its_own() {
        let outer = Call::begin(Duration::from_secs(1000), None);
        let first = remaining();
        assert!(first <= Duration::from_secs(1000) && first > Duration::from_secs(900));
        {
            let inner = Call::begin(Duration::ZERO, None);
            assert_eq!(remaining(), Duration::ZERO);
            assert!(!pause(0));
            drop(inner);
        }
        assert!(remaining() <= first, "the outer budget goes on where it was");
        assert!(remaining() > Duration::from_secs(900));
        drop(outer);
    }

    #[test]
    fn an_endless_budget_does_not_overflow() {
        let call = Call::begin(Duration::MAX, None);
        assert!(remaining() > Duration::from_secs(1 << 31));
        drop(call);
    }

    #[test]
    fn lines_of_an_inner_call_stay_apart() {
        let outer = Call::begin(Duration::ZERO, Some(Level::Info));
        log(Level::Info, || "one".into());
        log(Level::Debug, || unreachable!("not asked for"));
        let inner = Call::begin(Duration::ZERO, Some(Level::Info));
        log(Level::Warn, || "two".into());
        assert_eq!(inner.end(), [(Level::Warn, "two".to_string())]);
        log(Level::Error, || "three".into());
        assert_eq!(outer.end(), [(Level::Info, "one".to_string()), (Level::Error, "three".to_string())]);
    }
}
