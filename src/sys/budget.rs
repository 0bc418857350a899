//! How many bytes our SQLite may take for a statement that a caller wrote: memory and temporary files,
//! counted for the thread that the statement runs on.
//!
//! A statement may ask for any amount: values of a gigabyte in two thousand columns, or common table
//! expressions that double one another while they are prepared. SQLite's own limit of its heap is one for
//! the whole process, and needs a mutex around every allocation.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use rusqlite::ffi;

use crate::hooks;

/// What is left, and whether something was refused.
#[derive(Clone, Copy)]
struct Left {
    bytes: usize,
    refused: bool,
}

thread_local! {
    /// `None` but where a caller's statement runs.
    static LEFT: Cell<Option<Left>> = const { Cell::new(None) };
}

/// A limit that holds for this thread as long as this lives.
pub(crate) struct Budget {
    before: Option<Left>,
}

impl Budget {
    pub fn begin(bytes: usize) -> Budget {
        Budget { before: LEFT.replace(Some(Left { bytes, refused: false })) }
    }

    /// Whether something was refused since it began.
    pub fn is_spent(&self) -> bool {
        LEFT.get().is_some_and(|left| left.refused)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        LEFT.set(self.before);
    }
}

/// Whether the thread may take so many bytes more, which are counted then.
pub(super) fn take(bytes: usize) -> bool {
    let Some(left) = LEFT.get() else { return true };
    let rest = left.bytes.checked_sub(bytes);
    LEFT.set(Some(Left { bytes: rest.unwrap_or(left.bytes), refused: left.refused || rest.is_none() }));
    rest.is_some()
}

/// What was taken and is no more. It may be more than was counted: of what was there before.
fn give(bytes: usize) {
    if let Some(left) = LEFT.get() {
        LEFT.set(Some(Left { bytes: left.bytes.saturating_add(bytes), ..left }));
    }
}

/// Counts what an allocation came to, of which so much was counted. It is what will be given back: were that more than
/// was taken, each allocation would make room for the next.
fn count(came_to: impl FnOnce() -> usize, counted: usize) {
    if let Some(left) = LEFT.get() {
        let bytes = left.bytes.saturating_add(counted).saturating_sub(came_to());
        LEFT.set(Some(Left { bytes, ..left }));
    }
}

/// Lets our SQLite allocate by these functions. Where it cannot, nothing is counted: a program that uses the
/// same SQLite may have begun already.
///
/// # Safety
/// Before sqlite3_initialize, while no other thread is in SQLite.
pub(super) unsafe fn install() {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(malloc),
        xFree: Some(free),
        xRealloc: Some(realloc),
        xSize: Some(size),
        xRoundup: Some(round_up),
        xInit: Some(init),
        xShutdown: Some(shut_down),
        pAppData: std::ptr::null_mut(),
    };
    // SAFETY: as the caller promises; SQLite copies the methods.
    unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) };
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    if hooks::is_memory_refused() || !take(bytes) {
        return std::ptr::null_mut();
    }
    // SAFETY: any size may be asked for.
    let memory = unsafe { libc::malloc(bytes) };
    count(|| usable(memory), bytes);
    memory
}

unsafe extern "C" fn free(memory: *mut c_void) {
    give(usable(memory));
    // SAFETY: SQLite gives back what it got from these functions, once.
    unsafe { libc::free(memory) };
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    let (before, bytes) = (usable(memory), usize::try_from(bytes).unwrap_or(0));
    if hooks::is_memory_refused() || bytes > before && !take(bytes - before) {
        return std::ptr::null_mut();
    }
    // SAFETY: as above; what was there stays where this fails.
    let moved = unsafe { libc::realloc(memory, bytes) };
    count(|| if moved.is_null() { before } else { usable(moved) }, before.max(bytes));
    moved
}

unsafe extern "C" fn size(memory: *mut c_void) -> c_int {
    c_int::try_from(usable(memory)).unwrap_or(c_int::MAX)
}

extern "C" fn round_up(bytes: c_int) -> c_int {
    bytes.saturating_add(7) & !7
}

extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

extern "C" fn shut_down(_: *mut c_void) {}

fn usable(memory: *mut c_void) -> usize {
    // SAFETY: 0 for NULL; else it is the address of an allocation, as SQLite promises.
    unsafe { libc::malloc_usable_size(memory) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again_and_other_threads_are_not_counted() {
        assert!(take(usize::MAX), "without a budget there is no limit");
        let budget = Budget::begin(100);
        assert!(take(60) && !budget.is_spent());
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(take(usize::MAX)));
        });
        {
            let inner = Budget::begin(10);
            assert!(!take(11) && inner.is_spent());
        }
        assert!(!budget.is_spent());
        assert!(!take(41) && budget.is_spent());
        assert!(take(40) && !take(1));
        give(7);
        assert!(take(7) && !take(1));
    }

    #[test]
    fn whatever_is_allocated_and_freed_leaves_as_much_as_there_was() {
        let budget = Budget::begin(10_000);
        for bytes in 1..=1000 {
            // SAFETY: what they gave is given back to them, once.
            unsafe {
                let memory = malloc(bytes);
                let memory = realloc(memory, 3 * bytes);
                free(realloc(memory, bytes / 2 + 1));
            }
        }
        assert!(!budget.is_spent());
        assert!(take(10_000) && !take(1));
    }
}
