//! Error objects: what a failed call has to say.

use std::ffi::{CString, c_char};

use super::own::Owned;
use super::{SIMLEDGER_OK, simledger_status};
use crate::error::Error;

/// What a failed call has to say. Immutable; yours until `simledger_error_free`.
///
/// Every fallible function takes a `simledger_error **` last. It may be NULL. It is never read, and
/// always overwritten: with NULL on success and for `NOT_FOUND` and `TIMEOUT`, else with a new
/// object. The accessors take NULL, and any thread may call them.
pub struct simledger_error {
    _opaque: [u8; 0],
}

/// What stands behind it: the error, and its texts with NULs behind them.
pub(super) struct Shown {
    error: Error,
    message: CString,
    field: CString,
}

impl Shown {
    pub fn new(error: Error) -> Shown {
        let text = |text: &str| CString::new(text.replace('\0', "\\0")).unwrap_or_default();
        Shown { message: text(error.message()), field: text(error.field()), error }
    }
}

/// Reads something off an error, if there is one.
unsafe fn of<T>(error: *const simledger_error, nothing: T, read: impl FnOnce(&'static Shown) -> T) -> T {
    // SAFETY: the caller of the C function passes NULL or an error that it owns; what is read is
    // handed out for as long as that error lives.
    unsafe { simledger_error::look(error) }.map_or(nothing, read)
}

/// The status that the call returned; `SIMLEDGER_OK` for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_status(error: *const simledger_error) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { of(error, SIMLEDGER_OK, |shown| shown.error.status().code()) }
}

/// What happened, and what to do about it, in one line; "" for NULL. Holds no features, but for the
/// value that a `simledger_entry_feature_` function is about.
///
/// The string lives as long as the error.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_message(error: *const simledger_error) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { of(error, c"".as_ptr(), |shown| shown.message.as_ptr()) }
}

/// The argument, field of an entry or configuration key at fault; "" where there is none.
///
/// The string lives as long as the error.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_field(error: *const simledger_error) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { of(error, c"".as_ptr(), |shown| shown.field.as_ptr()) }
}

/// Which entry of a batch is at fault, counted from 0; `SIMLEDGER_NO_INDEX` where none is.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_index(error: *const simledger_error) -> usize {
    // SAFETY: as the caller promises.
    unsafe { of(error, usize::MAX, |shown| shown.error.index().unwrap_or(usize::MAX)) }
}

/// The id of the entry that is there already (`DUPLICATE`), is damaged (`CORRUPT`), or was written and is
/// perhaps not on the medium (see Faults, append); of `CONFLICT` the last one that there is; else 0.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_entry_id(error: *const simledger_error) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { of(error, 0, |shown| shown.error.entry_id().unwrap_or(0)) }
}

/// What was done before the failure and stays done: entries that a cleanup deleted; else 0.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_work_done(error: *const simledger_error) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { of(error, 0, |shown| shown.error.work_done()) }
}

/// SQLite's extended result code (<https://sqlite.org/rescode.html>); 0 where it had no part in it.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_sqlite_code(error: *const simledger_error) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { of(error, 0, |shown| shown.error.sqlite_code()) }
}

/// Whether the same call may succeed later with nothing else changed; false for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_retryable(error: *const simledger_error) -> bool {
    // SAFETY: as the caller promises.
    unsafe { of(error, false, |shown| shown.error.is_retryable()) }
}

/// Ends an error and the strings it lent. NULL is nothing.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or an error that was not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_error_free(error: *mut simledger_error) {
    // SAFETY: as the caller promises.
    unsafe { simledger_error::free(error) };
}
