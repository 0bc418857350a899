//! Noticing that this process is a fork of the one that opened a ledger, and being able to work in
//! it.
//!
//! A child inherits SQLite connections whose locks it does not hold and threads that do not run in
//! it. Nothing inherited may be used, or even closed: the epoch tells what is. And it inherits
//! whatever mutexes other threads held at that moment, which nobody will ever unlock: those that a
//! child needs are taken before the fork, and given back on both sides. Files that were open are the
//! parent's with all their locks: the child lets go of them (see `files`), and opens them anew.
//!
//! A child that was made behind the C library's back (the system call `clone`, `_Fork`) runs no handlers.
//! Nothing can make it ready: what its parent's other threads had half changed stays so. But it must
//! not take itself for its parent, whose locks it would believe to be its own: the kernel wipes the page
//! with the epoch in every child, and what finds 0 there is astray.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rusqlite::ffi;

use super::{budget, files};

/// A page of its own, that of the smallest pages there are.
#[repr(align(4096))]
struct Page(AtomicU64, #[allow(dead_code)] [u8; 4088]);

/// How many forks lie between this process and the first that loaded the library, from 1 on. 0 before
/// [`watch`], and in a process that is astray.
static EPOCH: Page = Page(AtomicU64::new(0), [0; 4088]);

/// Held around changes of process-wide state, and over every fork, so that a child never finds
/// such state half changed. The standard library's mutex is one word and a futex: unlocking it in
/// the child is sound whoever waited for it in the parent.
static STEADY: Mutex<()> = Mutex::new(());

/// SQLite's mutexes for the whole process, by their numbers in sqlite3.h: from
/// SQLITE_MUTEX_STATIC_MAIN to SQLITE_MUTEX_STATIC_VFS3.
const SQLITE_MUTEXES: std::ops::RangeInclusive<c_int> =
    ffi::SQLITE_MUTEX_STATIC_MAIN..=ffi::SQLITE_MUTEX_STATIC_VFS3;

/// What is held over a fork, and the epoch of who forks.
struct Guards {
    _steady: MutexGuard<'static, ()>,
    table: MutexGuard<'static, files::Table>,
    epoch: u64,
}

/// What the thread that forks holds meanwhile. No place of the thread's own: it may fork from its very
/// last destructors, and has none any more.
struct Held(UnsafeCell<Option<Guards>>);

// SAFETY: only the thread that forks touches it, in the handlers below, and there is one at a time: the
// first guard of those in it, taken before and given back after.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// The epoch of this process. What was made in another epoch was inherited.
pub(crate) fn epoch() -> u64 {
    EPOCH.0.load(Ordering::Relaxed)
}

/// The epoch of a process that may have ledgers of its own: not of one that is astray. Asked before
/// anything is locked there, perhaps for ever.
pub(crate) fn settled_epoch() -> Option<u64> {
    watch();
    Some(epoch()).filter(|epoch| *epoch != 0)
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

/// Sees to it that forks are noticed from now on, and that the files that SQLite opens are ready for
/// them. To be called before it opens any.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        EPOCH.0.store(1, Ordering::Relaxed);
        #[cfg(target_os = "linux")]
        // SAFETY: a page that nothing else is in, and that only children lose. A kernel that cannot do it
        // (before 4.14, or with larger pages) says so: who is astray goes unnoticed there.
        unsafe {
            libc::madvise((&raw const EPOCH).cast_mut().cast(), size_of::<Page>(), libc::MADV_WIPEONFORK)
        };
        // SAFETY: nothing of ours was in SQLite before this.
        unsafe { budget::install() };
        // SQLite's mutexes are there only after this.
        // SAFETY: it may be called at any time, by any thread.
        unsafe { ffi::sqlite3_initialize() };
        // SAFETY: the first and only time, after that.
        unsafe { files::install() };
        // SAFETY: the handlers are functions without arguments that live as long as the program:
        // the shared library is linked so that it is never unloaded. It fails only for want of
        // memory for a few words, and then forks go unnoticed as in any other library.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}

extern "C" fn prepare() {
    let epoch = epoch();
    if epoch == 0 {
        // Astray, where no lock is ever given back; and a thread of the parent may have been here.
        // SAFETY: nobody forks at the same time: see `Held`.
        return std::mem::forget(unsafe { (*HELD.0.get()).take() });
    }
    let _steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    while !take_all() {
        std::thread::yield_now();
    }
    let table = files::hold();
    // SAFETY: this thread holds the first guard; see `Held`.
    unsafe { *HELD.0.get() = Some(Guards { _steady, table, epoch }) };
}

extern "C" fn parent() {
    give_back(|_, _| ());
}

extern "C" fn child() {
    give_back(|table, parents| {
        EPOCH.0.store(parents + 1, Ordering::Relaxed);
        table.give_up();
    });
}

/// Ends what `prepare` began, in the reverse order.
fn give_back(work: impl FnOnce(&mut files::Table, u64)) {
    // SAFETY: this thread, or the one it was forked from, holds the guards; see `Held`.
    let held = unsafe { (*HELD.0.get()).take() };
    let Some(Guards { _steady, mut table, epoch }) = held else { return };
    work(&mut table, epoch);
    drop(table);
    release(SQLITE_MUTEXES);
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
