//! A timed, fair lock, shared or exclusive: before the writer, before a ledger in memory, before
//! whatever a call may have to wait for.
//!
//! Whoever has waited longest comes next, and is woken alone. Who finds the gate free may pass
//! those who wait, but only while none of them has waited for [`PATIENCE`]: a thread that appends
//! again and again need not hand over, and sleep, at every append, and still starves nobody.
//!
//! The standard library has neither time-outs nor fairness, and parking_lot, which has both, keeps
//! all waiting threads of a process in one table. A forked child inherits that table with the
//! parent's threads in it, whose memory it gives to threads of its own: the next to wait crashes
//! (seen: SIGSEGV in one child in three). Here each gate has its own queue, and a thread waits by
//! `std::thread::park`, which has no state but the thread's.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::call;

/// How long one may wait before nobody passes any more.
const PATIENCE: Duration = Duration::from_micros(500);

/// The lock. Guards nothing by itself; see [`Locked`].
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    inside: Inside,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nobody,
    Shared(usize),
    One,
}

struct Waiter {
    ticket: u64,
    exclusive: bool,
    since: Instant,
    thread: Thread,
}

/// Passage through a gate, until it is dropped.
pub(crate) struct Passage<'a>(&'a Gate);

impl Gate {
    /// Passes together with others who share. `None` if the time budget of the call ends first.
    pub fn share(&self) -> Option<Passage<'_>> {
        self.enter(false, &|| false)
    }

    /// Passes alone.
    pub fn pass(&self) -> Option<Passage<'_>> {
        self.enter(true, &|| false)
    }

    /// The same; `None` also as soon as it is needless. Who makes it so unparks those who wait.
    fn pass_unless(&self, is_needless: &dyn Fn() -> bool) -> Option<Passage<'_>> {
        self.enter(true, is_needless)
    }

    fn enter(&self, exclusive: bool, is_needless: &dyn Fn() -> bool) -> Option<Passage<'_>> {
        let mut state = self.state();
        let may_pass = state.queue.front().is_none_or(|first| first.since.elapsed() < PATIENCE);
        if may_pass && state.inside.admits(exclusive) {
            state.inside.add(exclusive);
            return Some(Passage(self));
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let waiter = Waiter { ticket, exclusive, since: Instant::now(), thread: thread::current() };
        state.queue.push_back(waiter);
        loop {
            let left = call::remaining();
            let is_first = state.queue.front().is_some_and(|first| first.ticket == ticket);
            let admitted = is_first && state.inside.admits(exclusive);
            if admitted || left.is_zero() || is_needless() {
                state.queue.retain(|waiter| waiter.ticket != ticket);
                if admitted {
                    state.inside.add(exclusive);
                }
                // The next may share with us, or we were first in line and gave up.
                state.wake_first();
                return if admitted { Some(Passage(self)) } else { None };
            }
            drop(state);
            call::park(left);
            state = self.state();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_first(&self) {
        if let Some(first) = self.queue.front()
            && self.inside.admits(first.exclusive)
        {
            first.thread.unpark();
        }
    }
}

impl Inside {
    fn admits(&self, exclusive: bool) -> bool {
        match self {
            Inside::Nobody => true,
            Inside::Shared(_) => !exclusive,
            Inside::One => false,
        }
    }

    fn add(&mut self, exclusive: bool) {
        *self = match self {
            _ if exclusive => Inside::One,
            Inside::Shared(others) => Inside::Shared(*others + 1),
            _ => Inside::Shared(1),
        };
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.inside = match state.inside {
            Inside::Shared(others) if others > 1 => Inside::Shared(others - 1),
            _ => Inside::Nobody,
        };
        state.wake_first();
    }
}

/// A value behind a gate, for one at a time.
pub(crate) struct Locked<T> {
    gate: Gate,
    value: Mutex<T>,
}

impl<T> Locked<T> {
    pub fn new(value: T) -> Locked<T> {
        Locked { gate: Gate::default(), value: Mutex::new(value) }
    }

    /// Whether one could begin at once, a moment ago.
    pub fn is_free(&self) -> bool {
        self.gate.state().inside == Inside::Nobody
    }

    /// Works on the value. `None` if the time budget of the call ends before it is free.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.with_unless(&|| false, work)
    }

    /// The same; `None` also if it has become needless while waiting. Who makes it so unparks those who
    /// wait.
    pub fn with_unless<R>(
        &self,
        is_needless: &dyn Fn() -> bool,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let _passage = self.gate.pass_unless(is_needless)?;
        // Free, but for the moment in which the last one leaves. Who panicked in here left what
        // the owner of the value must be able to take.
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut value))
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::call::{Call, Terms};

    #[test]
    fn one_at_a_time_and_nobody_is_left_behind() {
        let locked = Locked::new(0u64);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _call = Call::begin(Terms::within(Duration::from_secs(100)));
                    for _ in 0..2000 {
                        locked.with(|value| *value += 1).expect("there is time enough");
                    }
                });
            }
        });
        assert_eq!(locked.into_inner(), 16_000);
    }

    #[test]
    fn sharers_are_together_and_one_is_alone() {
        let (gate, inside) = (Gate::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for index in 0..8 {
                let (gate, inside) = (&gate, &inside);
                scope.spawn(move || {
                    let _call = Call::begin(Terms::within(Duration::from_secs(100)));
                    for _ in 0..1000 {
                        if index % 4 == 0 {
                            let _passage = gate.pass().unwrap();
                            assert_eq!(inside.load(Ordering::SeqCst), 0);
                        } else {
                            let _passage = gate.share().unwrap();
                            inside.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let first = gate.share();
        assert!(first.is_some() && gate.share().is_some());
    }

    #[test]
    fn who_runs_out_of_time_leaves_the_queue_and_wakes_the_next() {
        let gate = Gate::default();
        let _call = Call::begin(Terms::within(Duration::ZERO));
        let sharing = gate.share();
        assert!(gate.pass().is_none(), "no time to wait");
        assert!(gate.share().is_some(), "whoever gave up does not stand in the way");
        drop(sharing);
        assert!(gate.pass().is_some());
    }
}
