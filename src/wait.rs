//! Waiting for what others append.
//!
//! Whoever appends notifies one [event count](crate::event_count) that all processes share. In each process
//! one of those who wait, the leader, sleeps there and passes it on to the others: a thousand waiters cost an
//! append no more than one. The leader also looks now and then without being told, for what nobody
//! tells of: commits of programs that know nothing of simledger, and appends of a process that was
//! killed before it came to notify.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::call;
use crate::error::Result;
use crate::event_count::EventCount;
use crate::hooks;
use crate::store::{Signals, Store, Version};
use crate::sys::moment::{AtomicBool, AtomicU32, AtomicUsize, Instant, Ordering};

/// Those of this process who wait at one ledger.
#[derive(Default)]
pub(crate) struct Waiters {
    is_led: AtomicBool,
    /// The leader's: what the ledger was like when the others were last told of a change.
    told: Mutex<Version>,
    /// Where all others sleep.
    followers: AtomicU32,
    count: AtomicUsize,
}

/// One who waits. Whoever leads and leaves makes place for another.
struct Waiter<'w> {
    waiters: &'w Waiters,
    leads: bool,
}

impl Waiters {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets all of them look at once.
    pub fn notify(&self, signals: &Signals<'_>) {
        signals.events.notify();
        self.followers().notify();
    }

    /// Waits until `look` has found something, `None` if that takes longer than `most`. `store` is what
    /// the ledger is stored in at this moment; `check` says when to give up.
    pub fn wait<'s, T>(
        &self,
        most: Duration,
        store: impl Fn() -> &'s dyn Store,
        check: impl Fn() -> Result<()>,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let found = look()?;
        if found.is_some() || most.is_zero() {
            return Ok(found);
        }
        let deadline = Instant::now().checked_add(most);
        let mut waiter = Waiter::new(self);
        let mut looked_at = None;
        loop {
            let now = store();
            let signals = now.signals();
            // All that happens from here on ends the sleep below.
            let follower = if waiter.leads() { None } else { Some(self.followers().prepare()) };
            // The leader may have left before that.
            let follower = follower.filter(|_| !waiter.leads());
            let leader = follower.is_none().then(|| signals.events.prepare());
            if !std::ptr::addr_eq(now, store()) {
                continue;
            }
            // Each look has time of its own to wait for a lock.
            call::renew();
            let version = waiter.tell(now)?;
            check()?;
            // A leader who was woken for nothing need not look at it again.
            let is_same = version.is_some() && version == looked_at;
            looked_at = version;
            let found = if is_same { None } else { look()? };
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if found.is_some() || left.is_zero() {
                return Ok(found);
            }
            match (leader, follower) {
                (Some(key), _) => signals.events.wait(key, left.min(hooks::look(signals.look))),
                (None, Some(key)) => self.followers().wait(key, left),
                (None, None) => {}
            }
        }
    }

    fn followers(&self) -> EventCount<'_> {
        EventCount::new(&self.followers)
    }
}

impl<'w> Waiter<'w> {
    fn new(waiters: &'w Waiters) -> Waiter<'w> {
        waiters.count.fetch_add(1, Ordering::Relaxed);
        Waiter { waiters, leads: false }
    }

    /// Whether it leads, also from now on.
    fn leads(&mut self) -> bool {
        self.leads = self.leads || !self.waiters.is_led.swap(true, Ordering::AcqRel);
        self.leads
    }

    /// As leader, lets the others look where something has changed since they were told last. What the
    /// ledger is like then.
    fn tell(&mut self, store: &dyn Store) -> Result<Option<Version>> {
        if !self.leads {
            return Ok(None);
        }
        let version = store.refresh()?;
        let mut told = self.waiters.told.lock().unwrap_or_else(PoisonError::into_inner);
        if version != *told {
            *told = version;
            self.waiters.followers().notify();
        }
        Ok(Some(version))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.leads {
            self.waiters.is_led.swap(false, Ordering::AcqRel);
            self.waiters.followers().notify();
        }
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
    }
}
