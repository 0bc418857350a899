//! The call that this thread is making: its time budget, and what it has to say to the log.
//!
//! Both belong to the whole call, through all layers, and SQLite's busy handler has no argument of
//! its own to find them by; so they are kept per thread. A call inside a call (from a log callback)
//! has its own budget and its own lines.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::config::Options;
use crate::error::{Error, Status};
use crate::interrupt::Interrupts;
use crate::logging::Level;
use crate::sys::files::Said;

/// What a call goes by.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// What all its waiting may take together.
    pub timeout: Duration,
    /// How often it may try again where another process holds a lock, and how long it waits between
    /// two tries at most.
    pub retry_count: u32,
    pub retry_delay: Duration,
    pub log_level: Option<Level>,
    /// Who can end it.
    pub interrupts: Option<&'static Interrupts>,
}

impl Terms {
    /// These, and nothing else.
    #[cfg(test)]
    pub fn within(timeout: Duration) -> Terms {
        Terms { timeout, ..NO_CALL.terms }
    }

    pub fn new(
        options: &Options,
        log_level: Option<Level>,
        interrupts: Option<&'static Interrupts>,
    ) -> Terms {
        let Options { timeout, retry_count, retry_delay, .. } = *options;
        Terms { timeout, retry_count, retry_delay, log_level, interrupts }
    }
}

#[derive(Clone, Copy)]
struct Circumstances {
    terms: Terms,
    /// Set at the first wait: most calls never wait, and asking for the time is a good part of
    /// what a cached read costs.
    deadline: Option<Instant>,
    /// When the work has to end as well, and not only the waiting.
    work_deadline: Option<Instant>,
    /// How often it was tried again.
    retries: u32,
    /// How often the ledger had been interrupted when the call began.
    interrupts_before: u64,
    /// Whether it is at a point where it must not be ended.
    shielded: bool,
    /// Whether it gave up for want of further tries, and not of time.
    out_of_tries: bool,
    /// How many of the waits between its tries were of the full length.
    full_waits: u32,
}

/// Of threads that make no call.
const NO_CALL: Circumstances = Circumstances {
    terms: Terms {
        timeout: Duration::from_secs(1),
        retry_count: u32::MAX,
        retry_delay: Duration::from_millis(1),
        log_level: None,
        interrupts: None,
    },
    deadline: None,
    work_deadline: None,
    retries: 0,
    interrupts_before: 0,
    shielded: false,
    out_of_tries: false,
    full_waits: 0,
};

thread_local! {
    /// Whether the thread is in a call.
    static CALLING: Cell<bool> = const { Cell::new(false) };
    static CURRENT: Cell<Circumstances> = const { Cell::new(NO_CALL) };
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// A call in progress on this thread.
pub(crate) struct Call {
    /// Of a call inside a call, that which it is in.
    outer: Option<Box<Outer>>,
}

struct Outer {
    circumstances: Circumstances,
    lines: Vec<(Level, String)>,
}

/// What a call leaves behind.
pub(crate) struct Ended {
    /// What it has to say to the log.
    pub lines: Vec<(Level, String)>,
    /// How often it was tried again.
    pub retries: u32,
}

impl Call {
    /// Begins a call on these terms.
    pub fn begin(terms: Terms) -> Call {
        let interrupts_before = terms.interrupts.map_or(0, Interrupts::count);
        let is_inside = CALLING.replace(true);
        let outer = is_inside.then(|| Box::new(Outer { circumstances: CURRENT.get(), lines: take_lines() }));
        CURRENT.set(Circumstances { terms, interrupts_before, ..NO_CALL });
        Said::forget();
        Call { outer }
    }

    /// Ends it.
    pub fn end(self) -> Ended {
        let ended = CURRENT.get();
        let lines = if ended.terms.log_level.is_some() { take_lines() } else { Vec::new() };
        Ended { lines, retries: ended.retries }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if CURRENT.get().terms.log_level.is_some() {
            take_lines();
        }
        match self.outer.take() {
            None => {
                CALLING.set(false);
                CURRENT.set(NO_CALL);
            }
            Some(outer) => {
                CURRENT.set(outer.circumstances);
                let _ = LINES.try_with(|place| place.replace(outer.lines));
            }
        }
    }
}

/// Says something to the log of the ledger that is being called. Never with features in it.
pub(crate) fn log(level: Level, message: impl FnOnce() -> String) {
    if CURRENT.get().terms.log_level.is_some_and(|most| level <= most) {
        let line = (level, message());
        let _ = LINES.try_with(|lines| lines.borrow_mut().push(line));
    }
}

/// The lines of this thread. At the very end of a thread, in its last destructors, there is no
/// place for any more: then what is said is lost, and the call goes on.
fn take_lines() -> Vec<(Level, String)> {
    LINES.try_with(RefCell::take).unwrap_or_default()
}

/// What is left of the time budget; zero when it is used up, or the call was interrupted.
pub(crate) fn remaining() -> Duration {
    if interrupted() {
        return Duration::ZERO;
    }
    let mut current = CURRENT.get();
    let now = Instant::now();
    let deadline = *current.deadline.get_or_insert_with(|| after(now, current.terms.timeout));
    CURRENT.set(current);
    deadline.saturating_duration_since(now)
}

fn after(now: Instant, time: Duration) -> Instant {
    // A time too far away to express is never.
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(1 << 32))
}

/// Whether somebody has interrupted the call.
pub(crate) fn interrupted() -> bool {
    let current = CURRENT.get();
    let more = |interrupts: &Interrupts| interrupts.count() != current.interrupts_before;
    !current.shielded && current.terms.interrupts.is_some_and(more)
}

/// The error of a call that was interrupted, if it was.
pub(crate) fn check() -> Result<(), Error> {
    if interrupted() { Err(interruption()) } else { Ok(()) }
}

fn interruption() -> Error {
    Error::new(Status::Interrupted, "the call was interrupted")
}

/// Runs `work`, which is not to be interrupted: what it does cannot be told from having been done.
pub(crate) fn shielded<T>(work: impl FnOnce() -> T) -> T {
    struct Lift(bool);
    impl Drop for Lift {
        fn drop(&mut self) {
            CURRENT.set(Circumstances { shielded: self.0, ..CURRENT.get() });
        }
    }
    let current = CURRENT.get();
    let _lift = Lift(current.shielded);
    CURRENT.set(Circumstances { shielded: true, ..current });
    work()
}

/// From now on the call has all of its time budget again, and all tries: it works in steps, of which each
/// waits for itself.
pub(crate) fn renew() {
    let current = CURRENT.get();
    CURRENT.set(Circumstances { deadline: None, out_of_tries: false, full_waits: 0, ..current });
}

/// Runs `work`, which waits for nothing: what is not to be had at once is BUSY.
pub(crate) fn at_once<T>(work: impl FnOnce() -> T) -> T {
    within(Duration::ZERO, work)
}

/// Runs `work`, whose waiting may take so long, whatever is left of the time budget.
pub(crate) fn within<T>(time: Duration, work: impl FnOnce() -> T) -> T {
    struct PutBack(Option<Instant>);
    impl Drop for PutBack {
        fn drop(&mut self) {
            CURRENT.set(Circumstances { deadline: self.0, ..CURRENT.get() });
        }
    }
    let current = CURRENT.get();
    let _put_back = PutBack(current.deadline);
    CURRENT.set(Circumstances { deadline: Some(Instant::now() + time), ..current });
    work()
}

/// From now on the call may take this long in all, also where it works and does not wait.
pub(crate) fn limit_work(time: Duration) {
    let deadline = Some(after(Instant::now(), time));
    CURRENT.set(Circumstances { work_deadline: deadline, ..CURRENT.get() });
}

/// Whether SQLite shall leave off what it is doing for the call. Asked every few microseconds.
pub(crate) fn should_stop() -> bool {
    interrupted() || is_out_of_work_time()
}

fn is_out_of_work_time() -> bool {
    let current = CURRENT.get();
    !current.shielded && current.work_deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The error of a call that SQLite left off.
pub(crate) fn stopped() -> Error {
    if is_out_of_work_time() && !interrupted() {
        let message = "the statement ran for all of the time that it may take (sql_timeout); \
             let it read less, or raise sql_timeout";
        return Error::new(Status::Interrupted, message).with_field("sql_timeout");
    }
    interruption()
}

/// The error of a call that waited in vain: for what, and what can be done.
pub(crate) fn waited_for(what: &str, way: &str) -> Error {
    if interrupted() {
        return interruption();
    }
    let Circumstances { terms, retries, out_of_tries, .. } = CURRENT.get();
    if out_of_tries {
        let message = format!("{what}, also at {retries} further tries; {way}, or raise retry_count");
        return Error::new(Status::Busy, message).with_field("retry_count");
    }
    let message = format!(
        "{what} for all of the {:?} that the call may take; {way}, or raise the timeout",
        terms.timeout
    );
    Error::new(Status::Busy, message)
}

/// Sleeps until woken by `unpark`, by an interruption, or for this long.
pub(crate) fn park(timeout: Duration) {
    let current = CURRENT.get();
    match current.terms.interrupts {
        Some(interrupts) => interrupts.park(current.interrupts_before, timeout),
        None => std::thread::park_timeout(timeout),
    }
}

/// Waits a little before the next attempt, a random part of a time that grows to the retry delay;
/// false when the time budget or the number of attempts is used up.
///
/// Callers that wait for the same lock must not wake in step, and a short longest wait keeps a
/// busy neighbour from starving us: its lock is free for some microseconds between two of its
/// transactions.
pub(crate) fn pause(attempt: u32) -> bool {
    const FIRST: Duration = Duration::from_micros(50);
    let left = remaining();
    let current = CURRENT.get();
    let Terms { retry_count, retry_delay, .. } = current.terms;
    let growing = FIRST.saturating_mul(1 << attempt.min(20));
    let is_full = growing >= retry_delay;
    if left.is_zero() || current.out_of_tries {
        return false;
    }
    if retry_count == 0 || (is_full && current.full_waits >= retry_count) {
        CURRENT.set(Circumstances { out_of_tries: true, ..current });
        return false;
    }
    let (retries, full_waits) = (current.retries + 1, current.full_waits + u32::from(is_full));
    CURRENT.set(Circumstances { retries, full_waits, ..current });
    let most = growing.min(retry_delay);
    // Each RandomState has keys of its own: the standard library's source of random numbers.
    let random = RandomState::new().hash_one(attempt) >> 32;
    let part = u32::try_from(random % 512).unwrap_or(0) + 512;
    let time = (most * part / 1024).min(left);
    // What is short need not be interrupted.
    if time <= Duration::from_millis(1) {
        std::thread::sleep(time)
    } else {
        park(time)
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(timeout: Duration, log_level: Option<Level>) -> Terms {
        Terms { log_level, ..Terms::within(timeout) }
    }

    #[test]
    fn the_budget_is_of_the_whole_call_and_of_each_call_its_own() {
        let outer = Call::begin(terms(Duration::from_secs(1000), None));
        let first = remaining();
        assert!(first <= Duration::from_secs(1000) && first > Duration::from_secs(900));
        {
            let inner = Call::begin(terms(Duration::ZERO, None));
            assert_eq!(remaining(), Duration::ZERO);
            assert!(!pause(0));
            drop(inner);
        }
        assert!(remaining() <= first, "the outer budget goes on where it was");
        assert!(remaining() > Duration::from_secs(900));
        drop(outer);
    }

    #[test]
    fn retries_are_counted_over_the_whole_call() {
        let none = Call::begin(Terms { retry_count: 0, ..terms(Duration::from_secs(1000), None) });
        assert!(!pause(0) && waited_for("it was taken", "try").field() == "retry_count");
        drop(none);
        let call = Call::begin(Terms { retry_count: 3, ..terms(Duration::from_secs(1000), None) });
        // The short ones that grow to the delay are not counted.
        assert_eq!([0, 1, 9, 9, 0, 9, 9].map(pause), [true, true, true, true, true, true, false]);
        assert_eq!(waited_for("it was taken", "try").field(), "retry_count");
        assert_eq!(call.end().retries, 6);
    }

    #[test]
    fn an_interruption_ends_the_calls_in_flight_and_no_later_one() {
        let claim = crate::interrupt::Claim::new();
        let terms = Terms { interrupts: Some(claim.get()), ..terms(Duration::from_secs(1000), None) };
        let call = Call::begin(terms);
        assert!(check().is_ok() && !should_stop());
        std::thread::scope(|scope| {
            // Whether it comes before this thread sleeps or after.
            scope.spawn(|| claim.get().interrupt());
            park(remaining());
        });
        assert_eq!(check().unwrap_err().status(), Status::Interrupted);
        assert!(should_stop() && remaining().is_zero() && !pause(0));
        shielded(|| assert!(!should_stop() && check().is_ok()));
        assert_eq!(waited_for("it was taken", "try").status(), Status::Interrupted);
        drop(call);
        let _call = Call::begin(terms);
        assert!(check().is_ok());
    }

    #[test]
    fn an_endless_budget_does_not_overflow() {
        let call = Call::begin(terms(Duration::MAX, None));
        assert!(remaining() > Duration::from_secs(1 << 31));
        limit_work(Duration::MAX);
        assert!(!should_stop());
        drop(call);
    }

    #[test]
    fn lines_of_an_inner_call_stay_apart() {
        let outer = Call::begin(terms(Duration::ZERO, Some(Level::Info)));
        log(Level::Info, || "one".into());
        log(Level::Debug, || unreachable!("not asked for"));
        let inner = Call::begin(terms(Duration::ZERO, Some(Level::Info)));
        log(Level::Warn, || "two".into());
        assert_eq!(inner.end().lines, [(Level::Warn, "two".to_string())]);
        log(Level::Error, || "three".into());
        let lines = [(Level::Info, "one".to_string()), (Level::Error, "three".to_string())];
        assert_eq!(outer.end().lines, lines);
    }
}
