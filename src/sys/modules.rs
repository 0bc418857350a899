//! Virtual tables that a file may bring along.

use std::ptr;

use rusqlite::{Connection, ffi};

/// Takes from the connection all modules of virtual tables: what somebody planted in a file under the name of
/// an ordinary table then cannot be read, nor the parts of a damaged index for full-text search. SQLite's
/// pragmas and functions of JSON, which read as tables in statements, register themselves when they are named.
pub(crate) fn drop_modules(connection: &Connection) {
    // SAFETY: the handle is open as long as the connection is, and is only used here; NULL means none is kept.
    unsafe { ffi::sqlite3_drop_modules(connection.handle(), ptr::null_mut()) };
}
