//! Entries.
//!
//! An entry in C is the address of its row in a chunk. Borrowed from a result, it lives as long as
//! that; owned, it stands for one reference to the chunk. From the row the chunk is found, and from
//! that the strings: no allocation, no copy.

use std::ffi::c_char;
use std::sync::Arc;

use super::arguments::{Out, lend};
use crate::chunk::{Chunk, Entry, EntryRef, Row};
use crate::sys::Backref;

/// An entry. Immutable; any number of threads may read it at once.
///
/// `const simledger_entry *` from a result is borrowed and lives as long as the result;
/// `simledger_entry *` from `simledger_get_by_id` and `simledger_entry_retain` is yours until
/// `simledger_entry_free`. It is independent of the ledger. The accessors take NULL.
pub struct simledger_entry {
    _opaque: [u8; 0],
}

impl simledger_entry {
    /// Lends an entry to C.
    pub(super) fn borrow(entry: EntryRef<'_>) -> *const simledger_entry {
        std::ptr::from_ref(entry.row()).cast()
    }

    /// Gives an entry to C, with its reference to the chunk.
    pub(super) fn own(entry: Entry) -> *mut simledger_entry {
        let (chunk, index) = entry.into_parts();
        let row = simledger_entry::borrow(chunk.get(index));
        let _ = Arc::into_raw(chunk);
        row.cast_mut()
    }

    /// The entry, if there is one.
    ///
    /// # Safety
    /// `entry` is NULL or an entry that is alive, and stays so for `'a`.
    pub(super) unsafe fn look<'a>(entry: *const simledger_entry) -> Option<EntryRef<'a>> {
        // SAFETY: as the caller promises.
        let row = unsafe { simledger_entry::row(entry) }?;
        // SAFETY: the chunk of a row that is alive is alive.
        let chunk: &'a Chunk = unsafe { row.chunk().get() };
        Some(EntryRef::of(row, chunk))
    }

    /// # Safety
    /// `entry` is NULL or an entry that is alive, and stays so for `'a`.
    unsafe fn row<'a>(entry: *const simledger_entry) -> Option<&'a Row> {
        // SAFETY: an entry is the address of a row, in a chunk that is alive as the caller promises.
        unsafe { entry.cast::<Row>().as_ref() }
    }
}

/// Reads something off an entry, if there is one.
unsafe fn of<T>(entry: *const simledger_entry, nothing: T, read: impl FnOnce(EntryRef<'static>) -> T) -> T {
    // SAFETY: the caller of the C function passes NULL or an entry that is alive; what is read is
    // handed out for as long as that is so.
    unsafe { simledger_entry::look(entry) }.map_or(nothing, read)
}

/// Its id: its place in the ledger's order, from 1; 0 for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_id(entry: *const simledger_entry) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { of(entry, 0, EntryRef::id) }
}

/// When it was found, in seconds, Unix or simulated; 0 for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_timestamp(entry: *const simledger_entry) -> f64 {
    // SAFETY: as the caller promises.
    unsafe { of(entry, 0.0, EntryRef::timestamp) }
}

/// The node that found it; "" for NULL.
///
/// - `len`: gets its length in bytes; may be NULL.
///
/// The string is UTF-8, ends with a NUL, holds no other, and lives as long as the entry.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `len` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_node_id(
    entry: *const simledger_entry,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { string(entry, len, EntryRef::node_id) }
}

/// What was found, as compact JSON: an object or an array; "" for NULL.
///
/// - `len`: gets its length in bytes; may be NULL.
///
/// The string is UTF-8, ends with a NUL, holds no other, and lives as long as the entry.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `len` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_features_json(
    entry: *const simledger_entry,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { string(entry, len, EntryRef::features) }
}

/// How sure its finder is, from 0 to 1; 0 for NULL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_confidence(entry: *const simledger_entry) -> f64 {
    // SAFETY: as the caller promises.
    unsafe { of(entry, 0.0, EntryRef::confidence) }
}

/// When it was appended, in Unix seconds (whole ones, as SQLite's CURRENT_TIMESTAMP has them); 0
/// for NULL and where another program wrote a row that does not say.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_created_at(entry: *const simledger_entry) -> f64 {
    // SAFETY: as the caller promises.
    unsafe { of(entry, 0.0, EntryRef::created_at) }
}

/// An entry of your own, from a borrowed one or another of your own; NULL for NULL. Copies nothing:
/// it holds on to the chunk of at most a megabyte or so that the entry is in.
///
/// Free it with `simledger_entry_free`. It may live longer than the result and the ledger.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_retain(entry: *const simledger_entry) -> *mut simledger_entry {
    // SAFETY: as the caller promises.
    if let Some(row) = unsafe { simledger_entry::row(entry) } {
        // SAFETY: the chunk of a row that is alive is alive.
        unsafe { row.chunk().retain() };
    }
    entry.cast_mut()
}

/// Ends an entry of your own. NULL is nothing. Never for a borrowed one.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry of the caller's own that was not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_free(entry: *mut simledger_entry) {
    // SAFETY: as the caller promises.
    let chunk = unsafe { simledger_entry::row(entry) }.map(|row| row.chunk().address());
    if let Some(chunk) = chunk {
        // SAFETY: an entry of the caller's own is one reference to its chunk, made by `own` or by
        // `simledger_entry_retain`. The row is not used any more.
        unsafe { Backref::release(chunk) };
    }
}

unsafe fn string(
    entry: *const simledger_entry,
    len: *mut usize,
    read: impl FnOnce(EntryRef<'static>) -> &'static str,
) -> *const c_char {
    // SAFETY: as the caller promises.
    match unsafe { of(entry, None, |entry| Some(read(entry))) } {
        // SAFETY: as the caller promises; each string of a chunk has a NUL behind it.
        Some(text) => unsafe { lend(text, len) },
        None => {
            // SAFETY: as the caller promises.
            unsafe { Out::new(len, 0) };
            c"".as_ptr()
        }
    }
}
