//! Maintenance.

use super::arguments::Out;
use super::guard::guard;
use super::handle;
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::error::{Result, Status};
use crate::ledger::Ledger;

unsafe fn clean(
    ledger: *mut simledger_ledger,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
    work: impl FnOnce(&Ledger) -> Result<i64>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(deleted, 0) };
        let ledger = handle::enter(ledger)?;
        out.set(work(&ledger)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Deletes entries whose timestamp is more than `max_age_seconds` behind the ledger's clock: the
/// system's, or with `clock = simulated` the newest timestamp in the ledger.
///
/// **Where timestamps are simulated time, set `clock` to `simulated` before the file is first
/// created**: by the system's clock everything that happened at second 5 is decades old, and goes.
///
/// The only way entries ever go. Pollers that had not seen them are told
/// (`simledger_entries_gap_before`), and ids are never used again. Works in transactions of at most
/// 1,000 entries, between which others append.
///
/// - `max_age_seconds`: finite and above 0.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; or as any call on a ledger: BUSY, READ_ONLY, NO_SPACE,
/// IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL. After a failure
/// `simledger_error_work_done` says how many were deleted before it; call again for the rest.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup(
    ledger: *mut simledger_ledger,
    max_age_seconds: f64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { clean(ledger, deleted, error, |ledger| ledger.cleanup(max_age_seconds)) }
}

/// Deletes entries with a timestamp smaller than `timestamp`; otherwise as `simledger_cleanup`.
///
/// - `timestamp`: in seconds, finite.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_cleanup` returns.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup_before_timestamp(
    ledger: *mut simledger_ledger,
    timestamp: f64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { clean(ledger, deleted, error, |ledger| ledger.cleanup_before_timestamp(timestamp)) }
}

/// Deletes entries with an id smaller than `id`; otherwise as `simledger_cleanup`.
///
/// - `id`: from 1.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_cleanup` returns.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup_before_id(
    ledger: *mut simledger_ledger,
    id: i64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { clean(ledger, deleted, error, |ledger| ledger.cleanup_before_id(id)) }
}

/// Forgets what the caches of the ledger hold. Never needed for fresh answers; it frees memory.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
/// WRONG_THREAD; INTERNAL.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_invalidate_caches(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        handle::enter(ledger)?.invalidate_caches()?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}
