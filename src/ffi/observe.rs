//! Observing.

use std::ffi::{CString, c_char};
use std::ptr;

use super::arguments::Out;
use super::guard::guard;
use super::handle;
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::error::Status;

/// The numbers of a ledger as a JSON object. They count what all handles of the file did in this
/// process since the first was opened. More names may come.
///
/// | name | what it counts |
/// |---|---|
/// | `entries_appended` | entries appended |
/// | `duplicates_ignored` | entries left out, equal ones being there (`on_duplicate = ignore`) |
/// | `entries_deleted` | entries that cleanup deleted |
/// | `rows_skipped` | rows of other programs that reads skipped, being no valid entries |
/// | `busy` | calls that ended with BUSY |
/// | `entry_cache_hits`, `entry_cache_misses` | `simledger_get_by_id` from memory, and from the file (entries that are not there too) |
/// | `query_cache_hits`, `query_cache_misses` | `simledger_read_by_node` from memory, and from the file |
/// | `writer_resets` | times the writing connection was opened anew after a defect inside it |
///
/// - `json`: gets the text, yours until `simledger_string_free`; NULL on failure.
/// - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
/// WRONG_THREAD; INTERNAL.
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
    let body = || {
        // SAFETY: as the caller promises.
        let (json, json_len) = unsafe { (Out::new(json, ptr::null_mut()), Out::new(json_len, 0)) };
        let ledger = handle::enter(ledger)?;
        json.required("json")?;
        let text = CString::new(ledger.metrics_json()?).unwrap_or_default();
        json_len.set(text.as_bytes().len());
        json.set(text.into_raw());
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Ends a string that the library gave you, as its function says. NULL is nothing. Any thread.
///
/// # Safety
/// `string` is NULL or a string that was given with ownership and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: as the caller promises, it came from `CString::into_raw`.
        drop(unsafe { CString::from_raw(string) });
    }
}
