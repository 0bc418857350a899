//! Noticing that this process is a fork of the one that opened a ledger.
//!
//! A child inherits SQLite connections whose locks it does not hold and threads that do not run in
//! it. Nothing inherited may be used, or even closed: the epoch tells what is.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// How many forks lie between this process and the first that loaded the library.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Held around changes of process-wide state, and over every fork, so that a child never finds
/// such state half changed. The standard library's mutex is one word and a futex: unlocking it in
/// the child is sound whoever waited for it in the parent.
static STEADY: Mutex<()> = Mutex::new(());

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

/// Sees to it that forks are noticed from now on.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
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
}

extern "C" fn parent() {
    let _ = HELD.try_with(Cell::take);
}

extern "C" fn child() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    let _ = HELD.try_with(Cell::take);
}
