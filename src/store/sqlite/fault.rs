//! SQLite's errors as ours.

use rusqlite::ffi;

use crate::call;
use crate::error::{Error, Status};

/// The error that a caller sees for what SQLite said. Decided by code, never by message text.
pub(super) fn translate(error: &rusqlite::Error) -> Error {
    let Some(code) = error.sqlite_extended_error_code() else {
        // The only other errors of the statements here are values of a wrong type.
        return Error::new(Status::Corrupt, format!("{TABLES_CHANGED}: {error}"));
    };
    let status = status_of(code);
    let mut message = error.to_string();
    if status == Status::Busy {
        message = format!(
            "another connection held the ledger's lock for all of the {:?} that the call may take ({message}); \
             try again, or raise the timeout",
            call::timeout()
        );
    }
    if matches!(code & 0xff, ffi::SQLITE_ERROR | ffi::SQLITE_CONSTRAINT) {
        message = format!("{TABLES_CHANGED}: {message}");
    }
    Error::new(status, message).with_sqlite_code(code)
}

/// The statements here are right for every file that was recognised as a ledger when it was opened.
const TABLES_CHANGED: &str =
    "the ledger's tables are not as simledger makes them any more; another program must have changed them";

/// Whether the same statement may succeed a moment later.
pub(super) fn is_transient(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code().is_some_and(|code| {
        matches!(
            code & 0xff,
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_SCHEMA | ffi::SQLITE_PROTOCOL
        )
    })
}

/// Whether this is the unique constraint of (timestamp, node_id).
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(ffi::SQLITE_CONSTRAINT_UNIQUE)
}

fn status_of(code: i32) -> Status {
    match code {
        ffi::SQLITE_IOERR_NOMEM => return Status::OutOfMemory,
        ffi::SQLITE_IOERR_CORRUPTFS => return Status::Corrupt,
        _ => {}
    }
    match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_SCHEMA | ffi::SQLITE_PROTOCOL => Status::Busy,
        ffi::SQLITE_NOMEM => Status::OutOfMemory,
        ffi::SQLITE_READONLY => Status::ReadOnly,
        ffi::SQLITE_INTERRUPT => Status::Interrupted,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => Status::Io,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_FORMAT => Status::Corrupt,
        ffi::SQLITE_ERROR | ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => Status::Corrupt,
        ffi::SQLITE_FULL => Status::NoSpace,
        ffi::SQLITE_TOOBIG => Status::LimitExceeded,
        ffi::SQLITE_NOLFS => Status::Unsupported,
        _ => Status::Internal,
    }
}
