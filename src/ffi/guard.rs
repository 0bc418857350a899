//! The boundary: errors become statuses and error objects, panics become INTERNAL.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use super::own::Owned;
use super::{simledger_error, simledger_status};
use crate::error::{Error, Result, Status, drop_payload, panic_text};
use crate::sys::fork;

thread_local! {
    /// How many guarded calls this thread is in.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the body of a fallible C function.
///
/// # Safety
/// `error` is NULL or can be written to.
pub(super) unsafe fn guard(
    error: *mut *mut simledger_error,
    body: impl FnOnce() -> Result<Status>,
) -> simledger_status {
    let mut failed = std::ptr::null_mut();
    let status = match catch(body) {
        Ok(status) => status,
        Err(reason) => {
            let status = reason.status();
            if !error.is_null() {
                failed = simledger_error::give(super::error::Shown::new(reason));
            }
            status
        }
    };
    if !error.is_null() {
        // SAFETY: the caller says that it can be written to.
        unsafe { error.write(failed) };
    }
    status.code()
}

/// The result of `body`, or what it panicked with as an error.
pub(super) fn catch<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    keep_panics_quiet();
    INSIDE.set(INSIDE.get() + 1);
    // Whatever the body holds is dropped by the unwinding or belongs to the engine, which drops
    // what was in use: the writer's connection is taken out of its place during a transaction.
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(INSIDE.get() - 1);
    result.unwrap_or_else(|payload| {
        drop_payload(payload);
        let said = PANIC.try_with(RefCell::take).ok().flatten();
        let said = said.unwrap_or_else(|| "a panic without a message".to_string());
        Err(Error::new(
            Status::Internal,
            format!("{said}; this is a defect of simledger; the ledger can be used on"),
        ))
    })
}

/// Calls a function of C that may throw, being C++: an exception out of it, or the end of its thread
/// (`pthread_exit`, `pthread_cancel`), ends the program here, before it comes to anything of Rust's.
pub(super) fn call_back<T>(callback: impl FnOnce() -> T) -> T {
    struct Unwound;
    impl Drop for Unwound {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let unwound = Unwound;
    let result = callback();
    std::mem::forget(unwound);
    result
}

/// Sees to it that a panic inside a guarded call is kept for its error and not printed. Panics
/// elsewhere, as in a Rust program that uses the crate, are none of our business.
#[inline]
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    if !ONCE.is_completed() {
        keep_panics_quiet_from_now_on(&ONCE);
    }
}

#[cold]
fn keep_panics_quiet_from_now_on(once: &'static Once) {
    // Not while another thread forks: its child would wait for ever for this to be done.
    let _steady = fork::steady();
    once.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Threads of the library's own tell of it by the log.
            let is_own = thread::current().name().is_some_and(|name| name.starts_with("simledger-"));
            if INSIDE.get() == 0 && !is_own {
                return others(info);
            }
            let message = panic_text(info.payload());
            let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
            let said = format!("{message}{}", place.unwrap_or_default());
            let _ = PANIC.try_with(|panic| panic.replace(Some(said)));
        }));
    });
}
