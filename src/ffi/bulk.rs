//! Whole results at once, for those who pay for each call.

use std::ffi::c_char;

use super::arguments::{Out, SelfSized, fill, null, struct_size};
use super::entries::simledger_entries;
use super::guard::guard;
use super::own::Owned;
use super::{simledger_error, simledger_status};
use crate::chunk::{Columns, EntryRef};
use crate::entries::Entries;
use crate::error::{Error, Status};

/// All fields of an entry at once. The strings are UTF-8, end with a NUL, and are borrowed from the
/// result.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct simledger_entry_view {
    /// `sizeof(simledger_entry_view)`, set by the caller.
    pub struct_size: usize,
    /// Its place in the ledger's order, from 1.
    pub id: i64,
    /// Seconds, Unix or simulated.
    pub timestamp: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Unix seconds; 0 where the row does not say.
    pub created_at: f64,
    /// The node that found it.
    pub node_id: *const c_char,
    /// Length of the node's name in bytes.
    pub node_id_len: usize,
    /// What was found, as compact JSON.
    pub features_json: *const c_char,
    /// Length of the features in bytes.
    pub features_json_len: usize,
}

/// The entries of a chunk, column by column: what numpy and its like can use without copying. `len`
/// values in each array; all are borrowed from the result. The strings of entry `i` begin at
/// `text[node_id_offsets[i]]` and `text[features_offsets[i]]`, are as long as their lengths say,
/// and end with a NUL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct simledger_columns {
    /// `sizeof(simledger_columns)`, set by the caller.
    pub struct_size: usize,
    /// How many entries there are.
    pub len: usize,
    /// Their places in the ledger's order, from 1.
    pub ids: *const i64,
    /// Seconds, Unix or simulated.
    pub timestamps: *const f64,
    /// 0 to 1.
    pub confidences: *const f64,
    /// Unix seconds; 0 where the row does not say.
    pub created_at: *const f64,
    /// Where the name of each node begins in `text`.
    pub node_id_offsets: *const usize,
    /// Lengths in bytes.
    pub node_id_lengths: *const usize,
    /// Where the features of each entry begin in `text`.
    pub features_offsets: *const usize,
    /// Lengths in bytes.
    pub features_lengths: *const usize,
    /// All strings, each with its NUL.
    pub text: *const c_char,
    /// Bytes of all strings and their NULs.
    pub text_len: usize,
}

// SAFETY: the size is the first field, and zeroes are numbers and NULLs.
unsafe impl SelfSized for simledger_entry_view {
    const MIN: usize = size_of::<simledger_entry_view>();
}

// SAFETY: as above.
unsafe impl SelfSized for simledger_columns {
    const MIN: usize = size_of::<simledger_columns>();
}

fn view_of(entry: EntryRef<'_>) -> simledger_entry_view {
    let (node_id, features) = (entry.node_id(), entry.features());
    simledger_entry_view {
        struct_size: 0,
        id: entry.id(),
        timestamp: entry.timestamp(),
        confidence: entry.confidence(),
        created_at: entry.created_at(),
        node_id: node_id.as_ptr().cast(),
        node_id_len: node_id.len(),
        features_json: features.as_ptr().cast(),
        features_json_len: features.len(),
    }
}

fn columns_of(columns: Columns<'_>) -> simledger_columns {
    simledger_columns {
        struct_size: 0,
        len: columns.ids.len(),
        ids: columns.ids.as_ptr(),
        timestamps: columns.timestamps.as_ptr(),
        confidences: columns.confidences.as_ptr(),
        created_at: columns.created_at.as_ptr(),
        node_id_offsets: columns.node_id_offsets.as_ptr(),
        node_id_lengths: columns.node_id_lengths.as_ptr(),
        features_offsets: columns.features_offsets.as_ptr(),
        features_lengths: columns.features_lengths.as_ptr(),
        text: columns.text.as_ptr().cast(),
        text_len: columns.text.len(),
    }
}

/// Views of many entries of a result with one call.
///
/// - `first`: the index of the first entry, counted from 0; beyond the end there are none.
/// - `views`: an array of `views_max` structs. `views[0].struct_size` must be set to the size of
///   one; those of the others need not be. They are borrowed from the result and live as long as
///   it.
/// - `views_max`: from 1.
/// - `filled`: gets how many were filled: fewer than `views_max` at the end of the result. 0 on
///   failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT (NULL, or `struct_size` is no size of this struct);
/// INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed. `views_max` structs of the size given can be
/// written at `views`. `filled` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_views(
    entries: *const simledger_entries,
    first: usize,
    views: *mut simledger_entry_view,
    views_max: usize,
    filled: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(filled, 0) };
        // SAFETY: as the caller promises.
        let entries: &Entries = unsafe { simledger_entries::look(entries) }.ok_or_else(|| null("entries"))?;
        // SAFETY: as the caller promises.
        let size = unsafe { struct_size(views, "views") }?;
        if views_max == 0 {
            return Err(Error::argument("views_max", "views_max is 0; it must be at least 1"));
        }
        out.required("filled")?;
        let mut count = 0;
        for index in (first..entries.len()).take(views_max) {
            let Some(entry) = entries.get(index) else { break };
            // SAFETY: the caller promises room for so many structs of this size.
            unsafe { fill(views.byte_add(size * count), size, &view_of(entry)) };
            count += 1;
        }
        out.set(count);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// How many chunks the entries of a result are in; 0 for NULL. One after the other they are the
/// result.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_chunk_count(entries: *const simledger_entries) -> usize {
    // SAFETY: as the caller promises.
    unsafe { simledger_entries::look(entries) }.map_or(0, Entries::chunk_count)
}

/// The columns of a chunk of a result.
///
/// - `chunk`: counted from 0, below `simledger_entries_chunk_count`.
/// - `columns`: gets the columns; its `struct_size` must be set. They are borrowed from the result
///   and live as long as it. All else is 0 on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT (NULL, no such chunk, or `struct_size` is no size of
/// this struct); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entries` is NULL or a result that was not freed. `columns` can be written to, for as many bytes
/// as its `struct_size` says. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entries_columns(
    entries: *const simledger_entries,
    chunk: usize,
    columns: *mut simledger_columns,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let size = unsafe { struct_size(columns, "columns") }?;
        // SAFETY: all zeroes are numbers and NULLs.
        let nothing = unsafe { std::mem::zeroed::<simledger_columns>() };
        // SAFETY: the caller promises so many bytes.
        unsafe { fill(columns, size, &nothing) };
        // SAFETY: as the caller promises.
        let entries: &Entries = unsafe { simledger_entries::look(entries) }.ok_or_else(|| null("entries"))?;
        let found = entries.columns(chunk).ok_or_else(|| {
            let message = format!("chunk is {chunk}, and the result has {} chunks", entries.chunk_count());
            Error::argument("chunk", message)
        })?;
        // SAFETY: as above.
        unsafe { fill(columns, size, &columns_of(found)) };
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}
