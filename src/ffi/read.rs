//! Reading.

use std::ffi::c_char;
use std::ptr;

use super::arguments::{Out, text};
use super::guard::guard;
use super::handle;
use super::shapes::{number, read};
use super::{simledger_entries, simledger_entry, simledger_error, simledger_ledger, simledger_status};
use crate::error::Status;
use crate::ledger::Ledger;

/// What is new: the entries above `last_seen_id`, in the order of their ids. The next poll goes on
/// from `simledger_entries_position`. Nothing new is OK with no entries.
///
/// Gives every entry, the caller's own too. Returns at once and never waits for entries: do other
/// work between two polls; a poll that finds nothing costs a tenth of a microsecond (`commit = log`).
///
/// Ids become visible in order: whoever has seen an id will never later see a smaller one that is
/// new. All that was acknowledged before the call began, in any process, is seen.
///
/// - `last_seen_id`: 0, or the position of an earlier result. One above `simledger_last_id` is OK
///   and gives nothing until the ledger has grown past it: a program that keeps positions from one
///   run to the next compares the two, in case the file is another one.
/// - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
///   more than `result_bytes_max`.
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (one entry alone takes more than
/// `result_bytes_max`); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED,
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `entries` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_poll_since(
    ledger: *mut simledger_ledger,
    last_seen_id: i64,
    limit: usize,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { read(ledger, entries, error, |ledger| ledger.poll_since(last_seen_id, limit)) }
}

/// All entries, in the order of their ids.
///
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
/// `result_bytes_max`: read in pages with `simledger_poll_since`); or as any call on a ledger:
/// BUSY, INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `entries` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_read_all(
    ledger: *mut simledger_ledger,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { read(ledger, entries, error, Ledger::read_all) }
}

/// The entry with an id.
///
/// - `id`: from 1.
/// - `entry`: gets an entry of your own, until `simledger_entry_free`; NULL if there is none, and
///   on failure.
///
/// Any thread. Returns OK; NOT_FOUND (without an error object); INVALID_ARGUMENT; CORRUPT (also
/// where the row is no valid entry); or as any call on a ledger: BUSY, INTERRUPTED, IO, CLOSED,
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `entry` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_get_by_id(
    ledger: *mut simledger_ledger,
    id: i64,
    entry: *mut *mut simledger_entry,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(entry, ptr::null_mut()) };
        let ledger = handle::enter(ledger)?;
        out.required("entry")?;
        let Some(entry) = ledger.get_by_id(id)? else {
            return Ok(Status::NotFound);
        };
        out.set(simledger_entry::own(entry));
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// The entries of a node, newest timestamp first, and of equal timestamps the larger id first.
///
/// - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
///   not blank, at most 1024 bytes. A node that has no entries is OK with none.
/// - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all.
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
/// `result_bytes_max`: give a smaller limit); or as any call on a ledger: BUSY, INTERRUPTED, IO,
/// CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `node_id` is as long as its length says. `entries` can be written to. `error` is NULL or can be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_read_by_node(
    ledger: *mut simledger_ledger,
    node_id: *const c_char,
    node_id_len: usize,
    limit: usize,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| {
        // SAFETY: as the caller promises.
        let node_id = unsafe { text(node_id, node_id_len, "node_id") }?;
        ledger.read_by_node(node_id, limit)
    };
    // SAFETY: as the caller promises.
    unsafe { read(ledger, entries, error, work) }
}

/// How many entries there are, rows of other programs that are no valid entries included.
///
/// - `count`: gets the number; 0 on failure.
///
/// Any thread. SQLite counts by reading an index through: milliseconds for a million. Returns OK;
/// INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED,
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `count` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_count(
    ledger: *mut simledger_ledger,
    count: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { number(ledger, (count, "count"), error, |ledger| ledger.count().map(Some)) }
}

/// The id of the oldest entry that there is.
///
/// - `id`: gets the id; 0 if there is no entry, and on failure.
///
/// Any thread. Returns what `simledger_count` returns.
///
/// Faults: read.
///
/// # Safety
/// `id` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_first_id(
    ledger: *mut simledger_ledger,
    id: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { number(ledger, (id, "id"), error, |ledger| ledger.first_id().map(Some)) }
}

/// The id of the newest entry that there ever was, whether cleanup deleted it or not: where a
/// poller begins that wants only what comes from now on.
///
/// - `id`: gets the id; 0 if there never was an entry, and on failure.
///
/// Any thread. Returns what `simledger_count` returns.
///
/// Faults: read.
///
/// # Safety
/// `id` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_last_id(
    ledger: *mut simledger_ledger,
    id: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { number(ledger, (id, "id"), error, |ledger| ledger.last_id().map(Some)) }
}
