//! Results.

use std::ffi::c_char;
use std::ptr;

use super::arguments::{Out, lend};
use super::guard::catch;
use super::own::Owned;
use super::simledger_entry;
use crate::entries::Entries;

/// Entries that a read gave, in order. Immutable; any number of threads may read it at once. Yours
/// until `simledger_entries_free`, and independent of the ledger, which may be closed before.
pub struct simledger_entries {
    _opaque: [u8; 0],
}

unsafe fn of<T>(
    entries: *const simledger_entries,
    nothing: T,
    read: impl FnOnce(&'static Entries) -> T,
) -> T {
    // SAFETY: the caller of the C function passes NULL or a result that it owns; what is read is
    // handed out for as long as that result lives.
    unsafe { simledger_entries::look(entries) }.map_or(nothing, read)
}

/// How many entries there are; 0 for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_len(entries: *const simledger_entries) -> usize {
    // SAFETY: as the caller promises.
    unsafe { of(entries, 0, Entries::len) }
}

/// The last id that was examined, rows that are no valid entries included: pass it to the next
/// `simledger_poll_since`. Never smaller than the poll's `last_seen_id`. Of a read that is no poll,
/// the last id that the ledger held. 0 for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_position(entries: *const simledger_entries) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { of(entries, 0, Entries::position) }
}

/// Whether cleanup removed entries after the poll's `last_seen_id`, and not before the first id that
/// its query asks for: then the largest id that it ever removed, else 0. So nothing is missed in
/// silence. 0 for NULL.
///
/// A mark and not a count: any ids up to it may be missing, also between the entries of the result
/// and after them. Each poll that begins below the mark reports it; one with a filter for a range of
/// ids begins there.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_gap_before(entries: *const simledger_entries) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { of(entries, 0, Entries::gap_before) }
}

/// The entry at `index`, counted from 0; NULL for NULL and where there is none.
///
/// Borrowed: it lives as long as the result. `simledger_entry_retain` makes one of your own of it.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_get(
    entries: *const simledger_entries,
    index: usize,
) -> *const simledger_entry {
    // SAFETY: as the caller promises.
    unsafe {
        of(entries, ptr::null(), |entries| entries.get(index).map_or(ptr::null(), simledger_entry::borrow))
    }
}

/// The whole result as JSON: an array of objects with `id`, `timestamp`, `node_id`, `features` and
/// `confidence`, in this order; "[]" for none. Built at the first call.
///
/// - `len`: gets its length in bytes; may be NULL.
///
/// The string lives as long as the result. NULL with length 0 for NULL, and where there is no
/// memory for it.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed. `len` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_json(
    entries: *const simledger_entries,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    let text = unsafe { of(entries, None, |entries| catch(|| Ok(entries.json())).ok().flatten()) };
    match text {
        // SAFETY: as the caller promises; the text of a result has a NUL behind it.
        Some(text) => unsafe { lend(text, len) },
        None => {
            // SAFETY: as the caller promises.
            unsafe { Out::new(len, 0) };
            ptr::null()
        }
    }
}

/// Ends a result, the entries borrowed from it and the strings it lent. NULL is nothing. Entries
/// that were retained stay.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_free(entries: *mut simledger_entries) {
    // SAFETY: as the caller promises.
    unsafe { simledger_entries::free(entries) };
}
