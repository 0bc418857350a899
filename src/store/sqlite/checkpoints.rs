//! Checkpoints out of the way of those who append.
//!
//! SQLite folds the WAL into the file in the commit that finds it long enough, with two syncs: some
//! milliseconds for one append in a hundred. Here a thread does most of that, beside the appends. Alone
//! it never comes to the end where somebody always appends, and the WAL would grow for ever; so when
//! the WAL is long, and the thread has just left little to do and that synced, the writer does the rest
//! in its turn, and the WAL begins anew.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{Role, Source};
use super::place::Place;
use crate::call;
use crate::sys;
use crate::sys::files::FileLocks;

/// Pages of the WAL between two checkpoints in the background.
const STEP_PAGES: i32 = 2000;

/// Pages of the WAL from which on it is to begin anew.
const RESTART_PAGES: i32 = 8000;

/// Pages from which on the writer does not wait for the thread to be ready: appends must not be faster
/// than what folds them in.
const PAGES_MAX: i32 = 16_000;

/// Pages from which on who has no thread folds the WAL himself, as SQLite would.
const INLINE_PAGES: i32 = 1000;

/// What waiting for others may take before the WAL is left to grow for another step: so long at first, and twice
/// as long for each further [`RESTART_PAGES`], up to [`RESTART_WAIT_MAX`]. Processes that read all the time are
/// hardly ever all between two reads at once, but none of them reads the WAL any more once all of it is in the
/// file and those who do have ended.
const RESTART_WAIT: Duration = Duration::from_millis(5);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(1);

/// Between two looks whether the checkpoint of another process has ended, which SQLite does not wait for.
const LOOK: Duration = Duration::from_millis(1);

/// What the file of the WAL is cut to when it begins anew.
pub(super) const FILE_BYTES_MAX: i64 = PAGES_MAX as i64 * 4096;

thread_local! {
    /// Pages of the WAL after the last commit of this thread; 0: none was made since this was looked at.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// Has the connection note how long the WAL is, instead of folding it in.
pub(super) fn watch(connection: &Connection) {
    connection.wal_hook(Some(|_, pages| {
        PAGES.set(pages);
        Ok(())
    }));
}

/// Folds the WAL after a commit of this thread, at once.
pub(super) fn inline(connection: &Connection) {
    if PAGES.take() >= INLINE_PAGES {
        // Where it fails the WAL is still there, and the next one tries again.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

/// The checkpoints of a file.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    source: Source,
    place: Option<Arc<Place>>,
    state: Mutex<State>,
}

struct Shared {
    stopped: AtomicBool,
    /// Set by the writer: the WAL has grown by a step.
    asked: AtomicBool,
    /// Set by the thread: it has just done what it could.
    ready: AtomicBool,
    /// Held by the thread at its work.
    working: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Begun when there is something to do for the first time.
    thread: Option<JoinHandle<()>>,
    /// Pages of the WAL when the thread was asked last.
    asked_at: i32,
}

impl Checkpoints {
    pub fn new(source: Source, place: Option<Arc<Place>>) -> Checkpoints {
        let [stopped, asked, ready] = [false; 3].map(AtomicBool::new);
        let shared = Arc::new(Shared { stopped, asked, ready, working: Mutex::default() });
        Checkpoints { shared, source, place, state: Mutex::default() }
    }

    /// After a commit of this thread on the connection that writes, in its turn.
    pub fn committed(&self, connection: &Connection) {
        let pages = PAGES.take();
        if pages == 0 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if pages < state.asked_at {
            state.asked_at = 0;
        }
        let has_grown = pages - state.asked_at >= STEP_PAGES;
        let is_due = self.shared.ready.swap(false, Ordering::AcqRel) && pages >= RESTART_PAGES;
        let is_too_long = has_grown && pages >= PAGES_MAX;
        if is_due || is_too_long {
            // The thread is at it at this moment, and SQLite would refuse.
            let _held = is_too_long.then(|| self.hold());
            restart(connection, pages);
        }
        if !has_grown {
            return;
        }
        state.asked_at = pages;
        self.shared.asked.store(true, Ordering::Release);
        match &state.thread {
            Some(thread) if !thread.is_finished() => thread.thread().unpark(),
            _ => match self.begin() {
                Ok(thread) => state.thread = Some(thread),
                Err(_) => {
                    PAGES.set(pages);
                    inline(connection);
                }
            },
        }
    }

    /// Keeps the thread from its work as long as this is held: SQLite refuses two checkpoints at once. It
    /// waits for nobody, so it is soon at an end.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.shared.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> std::io::Result<JoinHandle<()>> {
        let (shared, source, place) = (Arc::clone(&self.shared), self.source.clone(), self.place.clone());
        sys::spawn_quiet("simledger-checkpoint", move || run(&shared, &source, place.as_deref()))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = state.thread.take() {
            thread.thread().unpark();
            // If it panicked, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

/// Begins a WAL of so many pages anew. Who reads may keep it in use; then it is tried again a step later.
fn restart(connection: &Connection, pages: i32) {
    let doublings = (pages / RESTART_PAGES).clamp(1, 16) - 1;
    let wait = (RESTART_WAIT * (1 << doublings)).min(RESTART_WAIT_MAX);
    call::within(wait, || {
        let is_busy = || {
            let restart =
                connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
            matches!(restart, Ok(1))
        };
        while is_busy() && !call::remaining().is_zero() {
            thread::sleep(LOOK);
        }
    });
}

/// Ends when it is told to, or where it cannot open the file, which whoever writes finds out himself.
fn run(shared: &Shared, source: &Source, place: Option<&Place>) {
    let Some(place) = place.filter(|place| place.look().is_ok()) else { return };
    let Ok(connection) = source.open(Role::Writer) else { return };
    let file = FileLocks::of(place.path());
    while !shared.stopped.load(Ordering::Acquire) {
        if !shared.asked.swap(false, Ordering::AcqRel) {
            thread::park();
            continue;
        }
        let _working = shared.working.lock().unwrap_or_else(PoisonError::into_inner);
        // What fails here fails again for the writer, when the WAL begins anew.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        // SQLite does this only when it came to the end, which then takes the writer's time.
        if let Ok(file) = &file {
            let _ = file.sync();
        }
        shared.ready.store(true, Ordering::Release);
    }
}
