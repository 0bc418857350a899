//! Writing.

use std::ffi::c_char;

use super::arguments::{Out, text};
use super::guard::guard;
use super::handle;
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::entry::{Limits, NewEntry};
use crate::error::Status;

/// Appends an entry from JSON. It is durable when this returns OK (see Durability above).
///
/// An entry is an object with `timestamp` (a finite number: seconds, Unix or simulated), `node_id`
/// (a string that is not blank, at most 1024 bytes), `features` (an object or an array, kept as
/// compact text, numbers digit for digit) and `confidence` (a number from 0 to 1). Other keys are
/// ignored unless `strict_fields` is set. Duplicate keys, lone surrogates, more than
/// `entry_bytes_max` bytes or `features_depth_max` levels are INVALID_ENTRY. Byte positions in
/// messages count from 0, from the start of the text that was passed.
///
/// A duplicate is one of an entry that is there: what cleanup removed may be appended again.
///
/// - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `id`: gets the id of the entry, from 1; 0 on failure. May be NULL.
///
/// Any thread. Returns OK (with `on_duplicate = ignore` also for an equal entry that was there, and
/// its id); INVALID_ARGUMENT; INVALID_ENTRY; DUPLICATE; or as any call on a ledger: BUSY,
/// INTERRUPTED, READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, LIMIT_EXCEEDED (no ids left),
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL. Whatever is not OK wrote nothing, but for what
/// Faults says of FULL.
///
/// Faults: append.
///
/// # Safety
/// `json` is as long as its length says. `id` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_append_json(
    ledger: *mut simledger_ledger,
    json: *const c_char,
    json_len: usize,
    id: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(id, 0) };
        let ledger = handle::enter(ledger)?;
        // SAFETY: as the caller promises.
        let json = unsafe { text(json, json_len, "json") }?;
        out.set(ledger.append_json(json)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Appends an entry from its parts. It is durable when this returns OK.
///
/// - `timestamp`: seconds, Unix or simulated; finite.
/// - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
///   not blank, at most 1024 bytes, without NUL.
/// - `features_json`: likewise; a JSON object or array, under the limits of
///   `simledger_append_json`.
/// - `confidence`: 0 to 1.
/// - `id`: gets the id of the entry, from 1; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_append_json` returns.
///
/// Faults: append.
///
/// # Safety
/// The texts are as long as their lengths say. `id` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_append(
    ledger: *mut simledger_ledger,
    timestamp: f64,
    node_id: *const c_char,
    node_id_len: usize,
    features_json: *const c_char,
    features_json_len: usize,
    confidence: f64,
    id: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(id, 0) };
        let ledger = handle::enter(ledger)?;
        // SAFETY: as the caller promises.
        let node_id = unsafe { text(node_id, node_id_len, "node_id") }?;
        // SAFETY: as the caller promises.
        let features = unsafe { text(features_json, features_json_len, "features_json") }?;
        out.set(ledger.append_parts(timestamp, node_id, features, confidence)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Appends many entries together: all of them or none, with ids that follow one another. Any number:
/// what takes more than half of the commit log goes straight into the file, while others wait.
///
/// - `json`: a JSON array of entries, or JSON lines: one entry on each line (blank lines do not
///   count). UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. No
///   entries at all is OK.
/// - `first_id`: gets the first id; 0 on failure or if nothing was added. May be NULL.
/// - `count`: gets how many were added, equal ones that were there already (`on_duplicate =
///   ignore`) not counted; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_append_json` returns; `simledger_error_index` names the
/// entry at fault.
///
/// Faults: append.
///
/// # Safety
/// `json` is as long as its length says. `first_id`, `count` and `error` are NULL or can be written
/// to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_append_many_json(
    ledger: *mut simledger_ledger,
    json: *const c_char,
    json_len: usize,
    first_id: *mut i64,
    count: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let (first_id, count) = unsafe { (Out::new(first_id, 0), Out::new(count, 0)) };
        let ledger = handle::enter(ledger)?;
        // SAFETY: as the caller promises.
        let json = unsafe { text(json, json_len, "json") }?;
        let batched = ledger.append_many_json(json)?;
        first_id.set(batched.first_id);
        count.set(batched.count);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Checks one entry as `simledger_append_json` does, and writes nothing. Duplicates are not looked
/// for.
///
/// - `ledger`: whose limits apply; NULL: the default limits.
/// - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
///
/// Any thread, also with `check_same_thread`. Returns OK; INVALID_ARGUMENT; INVALID_ENTRY; CLOSED;
/// OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `json` is as long as its length says. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_validate_json(
    ledger: *mut simledger_ledger,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        let limits = if ledger.is_null() { Limits::default() } else { handle::enter(ledger)?.limits() };
        // SAFETY: as the caller promises.
        let json = unsafe { text(json, json_len, "json") }?;
        NewEntry::from_json(json, &limits)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}
