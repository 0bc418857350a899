//! Noticing that this process is a fork of the one that opened a ledger, and being able to work in
//! it.
//!
//! A child inherits SQLite connections whose locks it does not hold and threads that do not run in
//! it. Nothing inherited may be used, or even closed: the epoch tells what is. And it inherits
//! whatever mutexes other threads held at that moment, which nobody will ever unlock: those that a
//! child needs are taken before the fork, and given back on both sides.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rusqlite::ffi;

/// How many forks lie between this process and the first that loaded the library.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Held around changes of process-wide state, and over every fork, so that a child never finds
/// such state half changed. The standard library's mutex is one word and a futex: unlocking it in
/// the child is sound whoever waited for it in the parent.
static STEADY: Mutex<()> = Mutex::new(());

/// SQLite's mutexes for the whole process, by their numbers in sqlite3.h: from
/// SQLITE_MUTEX_STATIC_MAIN to SQLITE_MUTEX_STATIC_VFS3.
const SQLITE_MUTEXES: std::ops::RangeInclusive<c_int> =
    ffi::SQLITE_MUTEX_STATIC_MAIN..=ffi::SQLITE_MUTEX_STATIC_VFS3;

thread_local! {
    static HELD: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

/// The epoch of this process. What was made in another epoch was inherited.
pub(crate) fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// While this is held, the process does not fork.
pub(crate) fn steady() -> MutexGuard<'static, ()> {
    watch();
    STEADY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is made once, and never while the process forks: a child would wait for ever for a thread of
/// its parent that had begun.
pub(crate) fn once<T>(cell: &'static OnceLock<T>, make: impl FnOnce() -> T) -> &'static T {
    if let Some(made) = cell.get() {
        return made;
    }
    let _steady = steady();
    cell.get_or_init(make)
}

/// Sees to it that forks are noticed from now on.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SQLite's mutexes are there only after this.
        // SAFETY: it may be called at any time, by any thread.
        unsafe { ffi::sqlite3_initialize() };
        // SAFETY: the handlers are functions without arguments that live as long as the program:
        // the shared library is linked so that it is never unloaded. It fails only for want of
        // memory for a few words, and then forks go unnoticed as in any other library.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}

extern "C" fn prepare() {
    let guard = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    // A thread that forks from its very last destructors has no such place any more.
    let _ = HELD.try_with(|held| held.set(Some(guard)));
    while !take_all() {
        std::thread::yield_now();
    }
}

extern "C" fn parent() {
    release(SQLITE_MUTEXES);
    let _ = HELD.try_with(Cell::take);
}

extern "C" fn child() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    release(SQLITE_MUTEXES);
    let _ = HELD.try_with(Cell::take);
}

/// Takes all of SQLite's mutexes or none. Without waiting for any while another is held: SQLite
/// documents no order among them.
fn take_all() -> bool {
    for number in SQLITE_MUTEXES {
        // SAFETY: a number of a static mutex, which SQLite gives the same pointer for ever.
        if unsafe { ffi::sqlite3_mutex_try(ffi::sqlite3_mutex_alloc(number)) } != ffi::SQLITE_OK {
            release(*SQLITE_MUTEXES.start()..=number - 1);
            return false;
        }
    }
    true
}

fn release(numbers: std::ops::RangeInclusive<c_int>) {
    for number in numbers {
        // SAFETY: as above; this thread, or the one it was forked from, took it in `take_all`.
        unsafe { ffi::sqlite3_mutex_leave(ffi::sqlite3_mutex_alloc(number)) };
    }
}
