//! The shapes that most calls on a ledger have: those that give nothing, a number, a text or
//! entries.
//!
//! Each takes the ledger, where the result goes with the name of that argument, and what to do.

use std::ffi::c_char;
use std::ptr;

use super::arguments::{Out, TextOut};
use super::guard::guard;
use super::handle;
use super::own::Owned;
use super::{simledger_entries, simledger_error, simledger_ledger, simledger_status};
use crate::entries::Entries;
use crate::error::{Result, Status};
use crate::ledger::Ledger;

/// A call that gives nothing.
///
/// # Safety
/// `error` is NULL or can be written to.
pub(super) unsafe fn run(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<()>,
) -> simledger_status {
    let body = || {
        work(&*handle::enter(ledger)?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// A call that gives a number, which C must want.
///
/// # Safety
/// `value` and `error` are NULL or can be written to.
pub(super) unsafe fn number<T: Default>(
    ledger: *mut simledger_ledger,
    (value, name): (*mut T, &str),
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<Option<T>>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(value, T::default()) };
        let ledger = handle::enter(ledger)?;
        out.required(name)?;
        let Some(value) = work(&ledger)? else {
            return Ok(Status::NotFound);
        };
        out.set(value);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// A call that does something and tells how much, which C may not want to know.
///
/// # Safety
/// `amount` and `error` are NULL or can be written to.
pub(super) unsafe fn amount(
    ledger: *mut simledger_ledger,
    amount: *mut i64,
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<i64>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(amount, 0) };
        let ledger = handle::enter(ledger)?;
        out.set(work(&ledger)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// A call that gives a text, which C then owns.
///
/// # Safety
/// `text`, `len` and `error` are NULL or can be written to.
pub(super) unsafe fn owned_text(
    ledger: *mut simledger_ledger,
    (text, len, name): (*mut *mut c_char, *mut usize, &str),
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<String>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { TextOut::new(text, len) };
        let ledger = handle::enter(ledger)?;
        out.required(name)?;
        out.set(&work(&ledger)?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// A call that gives entries.
///
/// # Safety
/// `entries` and `error` are NULL or can be written to.
pub(super) unsafe fn read(
    ledger: *mut simledger_ledger,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<Entries>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(entries, ptr::null_mut()) };
        let ledger = handle::enter(ledger)?;
        out.required("entries")?;
        out.set(simledger_entries::give(work(&ledger)?));
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}
