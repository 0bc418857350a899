//! What can be changed, or ended, while a ledger is open.

use std::ffi::c_char;

use super::arguments::text;
use super::shapes::{owned_text, run};
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::ledger::Ledger;

/// Changes the value of a configuration key of an open ledger.
///
/// At any time: of this handle, `timeout`, `retry_count`, `retry_delay`, `sql_timeout`,
/// `on_duplicate`, `strict_fields`, `entry_bytes_max`, `features_depth_max` and `result_bytes_max`;
/// of all handles of the file in this process, `max_connections`, `entry_cache_size`,
/// `query_cache_size`, `cache_ttl` and `retention_seconds`. While no other handle of the file is
/// open in this process: `unique`, `clock`, `guards` and `commit`, which are stored in the file,
/// for other processes too: one that has the file open learns of it when it opens it the next time,
/// so that they are better changed while none has. The other keys never.
///
/// `unique = none` writes the table of a ledger anew where the constraint is part of it, which
/// takes as long as that; `unique = timestamp_node_id` is DUPLICATE where the ledger holds entries
/// that would contradict it.
///
/// - `key`, `value`: UTF-8, lent for the call, `key_len` and `value_len` bytes long, or
///   `SIMLEDGER_NUL_TERMINATED`.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, a value out of range, or
/// one that cannot change now), and then nothing is changed; or as any call that writes: BUSY,
/// INTERRUPTED, DUPLICATE, READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
/// INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// The texts are as long as their lengths say. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_option_set(
    ledger: *mut simledger_ledger,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| {
        // SAFETY: as the caller promises.
        let (key, value) = unsafe { (text(key, key_len, "key")?, text(value, value_len, "value")?) };
        ledger.set_option(key, value)
    };
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, work) }
}

/// The value that a configuration key of an open ledger has now, in its normal form.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets the value, yours until `simledger_string_free`; NULL on failure.
/// - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name);
/// IO (the file is not where it was); CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `key` is as long as its length says. `value` can be written to. `value_len` and `error` are NULL
/// or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_option_get(
    ledger: *mut simledger_ledger,
    key: *const c_char,
    key_len: usize,
    value: *mut *mut c_char,
    value_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let work = |ledger: &Ledger| ledger.option(unsafe { text(key, key_len, "key") }?);
    // SAFETY: as the caller promises.
    unsafe { owned_text(ledger, (value, value_len, "value"), error, work) }
}

/// Ends the calls that are in flight on this handle: they return INTERRUPTED within moments, with
/// nothing written (a cleanup keeps what it has deleted). A call that has written already returns
/// OK; calls that begin later are not touched.
///
/// Any thread, also with `check_same_thread`, and also from a callback; not from a signal handler.
/// Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_interrupt(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::interrupt) }
}
