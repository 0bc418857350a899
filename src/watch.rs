//! Watches: a place in the ledger, with a descriptor that is readable while something comes next.
//!
//! One thread for all watches of an open file makes their descriptors readable; it begins with the first
//! watch and ends when the ledger is closed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::call::{self, Call, Terms};
use crate::cursor::Cursor;
use crate::entries::Entries;
use crate::error::{Error, Result, Status, without_panics};
use crate::interrupt::Claim;
use crate::logging;
use crate::shared::Shared;
use crate::sys::{self, Readiness};

/// What the thread does for one watch waits at most so long for a lock.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A place in the ledger, with a descriptor for event loops: made by
/// [`Ledger::watch`](crate::Ledger::watch), read by [`Ledger::poll_watch`](crate::Ledger::poll_watch).
pub struct Watch {
    watched: Arc<Watched>,
    all: Arc<Watches>,
}

struct Watched {
    /// The ledger that it was made by.
    serial: u64,
    ready: Readiness,
    state: Mutex<State>,
    /// Somebody found the state in use, and did not look.
    is_stale: AtomicBool,
}

struct State {
    cursor: Cursor,
    /// Whether the descriptor is readable.
    is_ready: bool,
    /// Whether its ledger was closed.
    has_ended: bool,
}

/// All watches of an open file.
#[derive(Default)]
pub(crate) struct Watches(Mutex<Vec<Arc<Watched>>>);

impl Watches {
    fn list(&self) -> MutexGuard<'_, Vec<Arc<Watched>>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the watches of a ledger: their descriptors are readable from now on.
    pub fn end(&self, serial: u64) {
        for watched in self.list().iter().filter(|watched| watched.serial == serial) {
            let mut state = watched.lock();
            state.has_ended = true;
            watched.set_ready(&mut state);
        }
    }
}

impl Watch {
    /// Begins to watch, for the ledger with this serial number.
    pub(crate) fn new(all: &Arc<Watches>, shared: &Shared, serial: u64, cursor: Cursor) -> Result<Watch> {
        let ready = Readiness::new().map_err(|error| {
            let message = format!("no descriptor could be had for the watch: {error}");
            Error::new(Status::LimitExceeded, message)
        })?;
        let state = State { cursor, is_ready: false, has_ended: false };
        let watched =
            Arc::new(Watched { serial, ready, state: Mutex::new(state), is_stale: AtomicBool::new(false) });
        all.list().push(Arc::clone(&watched));
        let watch = Watch { watched, all: Arc::clone(all) };
        // What comes from here on the thread sees; what is there already is seen here.
        watch.watched.look(shared, watch.watched.lock());
        Ok(watch)
    }

    /// What comes next, at most `limit` entries.
    pub(crate) fn poll(
        &self,
        shared: &Shared,
        serial: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Entries> {
        if self.watched.serial != serial {
            return Err(Error::argument("watch", "the watch was made by another ledger"));
        }
        let mut state = self.watched.lock();
        let found = state.cursor.next(shared, limit, bytes_max);
        if found.is_ok() && state.is_ready && !state.has_ended {
            self.watched.ready.clear();
            state.is_ready = false;
        }
        // What came meanwhile, or was more than the limit.
        self.watched.look(shared, state);
        found
    }

    /// Whether this thread is in a callback of the ledger.
    pub(crate) fn is_in_callback(&self) -> bool {
        logging::in_callback_of(self.watched.serial)
    }

    /// The number of the descriptor.
    pub(crate) fn descriptor(&self) -> i32 {
        self.watched.ready.descriptor()
    }
}

impl AsFd for Watch {
    /// Readable while [`Ledger::poll_watch`](crate::Ledger::poll_watch) would give something, be it an
    /// error. Not to be read from.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watched.ready.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.all.list().retain(|watched| !Arc::ptr_eq(watched, &self.watched));
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A cursor that panicked has not moved.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_ready(&self, state: &mut State) {
        if !state.is_ready {
            state.is_ready = true;
            self.ready.set();
        }
    }

    /// Makes the descriptor readable if a poll would give something, and gives the state back: looks as long
    /// as others come meanwhile who wanted to.
    fn look(&self, shared: &Shared, state: MutexGuard<'_, State>) {
        let mut mine = Some(state);
        while let Some(mut state) = mine {
            self.is_stale.swap(false, Ordering::SeqCst);
            // An error is for whoever polls.
            if !state.is_ready && state.cursor.has_next(shared).unwrap_or(true) {
                self.set_ready(&mut state);
            }
            drop(state);
            mine = self.take_if_stale();
        }
    }

    /// Looks, unless somebody has the state, who then looks before he leaves.
    fn look_or_leave_it(&self, shared: &Shared) {
        self.is_stale.store(true, Ordering::SeqCst);
        if let Some(state) = self.take_if_stale() {
            self.look(shared, state);
        }
    }

    fn take_if_stale(&self) -> Option<MutexGuard<'_, State>> {
        // Either whoever set the mark finds the state free, or whoever gave it back finds the mark.
        fence(Ordering::SeqCst);
        if !self.is_stale.load(Ordering::SeqCst) {
            return None;
        }
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The thread that looks.
pub(crate) struct Watching {
    stop: Arc<Stop>,
    shared: Arc<Shared>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

struct Stop {
    stopped: AtomicBool,
    interrupts: Claim,
}

impl Stop {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<()> {
        if self.is_stopped() {
            Err(Error::new(Status::Interrupted, "no more watches"))
        } else {
            call::check()
        }
    }
}

impl Watching {
    /// Begins to look for these.
    pub fn begin(shared: &Arc<Shared>, watches: &Arc<Watches>) -> Result<Watching> {
        let stop = Arc::new(Stop { stopped: AtomicBool::new(false), interrupts: Claim::new() });
        let body = {
            let (shared, watches, stop) = (Arc::clone(shared), Arc::clone(watches), Arc::clone(&stop));
            move || run(&shared, &watches, &stop)
        };
        let thread = sys::spawn_quiet("simledger-watch", body).map_err(|error| {
            Error::new(Status::Io, format!("the thread for watches cannot be started: {error}"))
        })?;
        Ok(Watching { stop, shared: Arc::clone(shared), thread: Some(thread) })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.stopped.store(true, Ordering::SeqCst);
        self.stop.interrupts.get().interrupt();
        self.shared.notify_waiters();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, watches: &Watches, stop: &Stop) {
    let terms = Terms {
        timeout: TIMEOUT,
        retry_count: u32::MAX,
        retry_delay: Duration::from_millis(1),
        log_level: None,
        interrupts: Some(stop.interrupts.get()),
    };
    while !stop.is_stopped() {
        let call = Call::begin(terms);
        let look = || {
            for watched in watches.list().clone() {
                watched.look_or_leave_it(shared);
            }
            Ok(None::<()>)
        };
        let waited =
            without_panics("the thread of the watches", || shared.wait(Duration::MAX, || stop.check(), look));
        drop(call);
        if waited.is_err() && !stop.is_stopped() {
            // The ledger cannot be looked at: whoever polls hears why.
            for watched in watches.list().clone() {
                watched.set_ready(&mut watched.lock());
            }
            thread::park_timeout(TIMEOUT);
        }
    }
}
