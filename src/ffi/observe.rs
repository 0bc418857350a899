//! Observing.

use std::ffi::c_char;

use super::arguments::{Out, TextOut, text};
use super::guard::guard;
use super::handle;
use super::shapes::{number, owned_text};
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::error::Status;
use crate::ledger::Ledger;

/// The numbers of a ledger as a JSON object. They count what all handles of the file did in this
/// process since the first was opened. More names may come.
///
/// | name | what it is |
/// |---|---|
/// | `entries_appended` | entries appended |
/// | `duplicates_ignored` | entries left out, equal ones being there (`on_duplicate = ignore`) |
/// | `entries_folded` | entries that the drain moved from the commit log to the ledger file |
/// | `entries_deleted` | entries that cleanup deleted |
/// | `rows_skipped` | rows of other programs that reads skipped, being no valid entries |
/// | `log_pending_bytes` | what of the commit log is not in the ledger file yet |
/// | `waiting` | threads that wait for entries, that of watches included |
/// | `tail_bytes`, `tail_entries` | the newest entries in memory |
/// | `entry_cache_hits`, `entry_cache_misses` | `simledger_get_by_id` from memory, and from the file (entries that are not there too) |
/// | `query_cache_hits`, `query_cache_misses` | `simledger_read_by_node` from memory, and from the file |
/// | `retries` | further tries where another process held a lock |
/// | `writer_resets` | times the writing connection was opened anew after a defect inside it |
/// | `retention_runs`, `retention_failures` | cleanups in the background (`retention_seconds`), and those that failed |
/// | `log_lines_dropped` | lines that fell out of a full log queue |
/// | `entries`, `first_id`, `last_id` | what the ledger holds (`entries` is counted: milliseconds for a million) |
/// | `ofd_locks` | 1 where no other code of the process can drop the locks of the file, 0 where the file system has only plain ones (see Caveats); null in memory |
/// | `ledger_bytes`, `wal_bytes` | sizes of the file and its WAL; null in memory |
/// | `connections_max`, `_open`, `_idle`, `_out`, `connections_awaited` | the connections that read; calls that wait for one |
/// | `oldest_reader_seconds`, `connections_out_seconds` | how long the oldest of those in use has been so; all of them, an array |
/// | `entry_cache_entries`, `entry_cache_age_seconds` | what is kept by id, and how long the oldest of it |
/// | `query_cache_results`, `query_cache_age_seconds` | likewise by node |
/// | `integrity_check_progress` | how far the integrity check is that runs, or ran last, 0 to 1 |
/// | `errors` | an object: calls that failed, by status (`BUSY`, ...); those with NULL or no UTF-8 aside |
/// | `latency_seconds` | an object of objects: `count`, `sum`, `p50`, `p90`, `p99` and `max` of `append`, `append_many`, `poll`, `wait` (the time waited), `read_all`, `get_by_id`, `read_by_node`, `query`, `count`, `sql`, `cleanup`, `flush`, `checkpoint`, `reindex`, `optimize`, `vacuum`, `integrity_check`, `connection_wait`, `writer_wait`, `fold` and `other`; of appends of one entry, polls, gets and by-node reads one in 16 is timed and counts for 16; quantiles are right to an eighth |
///
/// - `json`: gets the text, yours until `simledger_string_free`; NULL on failure.
/// - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
/// WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `json` can be written to. `json_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_metrics_json(
    ledger: *mut simledger_ledger,
    json: *mut *mut c_char,
    json_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| Ok(ledger.metrics()?.to_json());
    // SAFETY: as the caller promises.
    unsafe { owned_text(ledger, (json, json_len, "json"), error, work) }
}

/// The same numbers in Prometheus' text format, version 0.0.4: counters as
/// `simledger_<name>_total`, the others as `simledger_<name>`, `simledger_errors_total` by
/// `status`, and the histogram `simledger_latency_seconds` by `operation`; each with the label
/// `ledger`, the path it was opened by. Serve it as `text/plain; version=0.0.4`.
///
/// - `text`: gets the text, yours until `simledger_string_free`; NULL on failure.
/// - `text_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_metrics_json` returns.
///
/// Faults: read.
///
/// # Safety
/// `text` can be written to. `text_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_metrics_prometheus(
    ledger: *mut simledger_ledger,
    text: *mut *mut c_char,
    text_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| Ok(ledger.metrics()?.to_prometheus());
    // SAFETY: as the caller promises.
    unsafe { owned_text(ledger, (text, text_len, "text"), error, work) }
}

/// One number of `simledger_metrics_json` by its name; inside objects with a dot:
/// `entry_cache_hits`, `errors.BUSY`, `latency_seconds.append.p99`.
///
/// - `name`: UTF-8, lent for the call, `name_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets the number; 0 on failure.
///
/// Any thread. Returns OK; NOT_FOUND (it could not be found out, or there is none for a ledger in
/// memory); INVALID_ARGUMENT (no such name; the message names the nearest); IO (the file is not
/// where it was); CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `name` is as long as its length says. `value` can be written to. `error` is NULL or can be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_metric_get(
    ledger: *mut simledger_ledger,
    name: *const c_char,
    name_len: usize,
    value: *mut f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let work = |ledger: &Ledger| ledger.metrics()?.get(unsafe { text(name, name_len, "name") }?);
    // SAFETY: as the caller promises.
    unsafe { number(ledger, (value, "value"), error, work) }
}

/// The oldest line of the ledger's log queue (`simledger_config_set_log_queue`), out of it: the
/// pull twin of the log callback.
///
/// - `level`: gets `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; 0 if there is none. May be NULL.
/// - `message`: gets the line, yours until `simledger_string_free`; NULL if there is none.
/// - `message_len`: gets its length in bytes; may be NULL.
///
/// Any thread. Returns OK; NOT_FOUND (the queue is empty, or there is none); INVALID_ARGUMENT;
/// CLOSED; WRONG_THREAD; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `message` can be written to. `level`, `message_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_log_next(
    ledger: *mut simledger_ledger,
    level: *mut i32,
    message: *mut *mut c_char,
    message_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let (level, message) = unsafe { (Out::new(level, 0), TextOut::new(message, message_len)) };
        let ledger = handle::enter(ledger)?;
        message.required("message")?;
        let Some((grave, line)) = ledger.next_log_line()? else {
            return Ok(Status::NotFound);
        };
        message.set(&line)?;
        level.set(grave as i32);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Ends a string that the library gave you, as its function says. NULL is nothing. Any thread.
///
/// Faults: memory.
///
/// # Safety
/// `string` is NULL or a string that was given with ownership and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_string_free(string: *mut c_char) {
    // SAFETY: as the caller promises, it is NULL or came from `TextOut::set`, which uses malloc.
    unsafe { libc::free(string.cast()) };
}
