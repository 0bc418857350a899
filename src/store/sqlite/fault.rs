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
    match status {
        Status::Busy => {
            let waited = call::waited_for("another connection held the ledger's lock", "try again");
            return waited.with_sqlite_code(code);
        }
        Status::Interrupted => return call::stopped().with_sqlite_code(code),
        _ => {}
    }
    if matches!(code & 0xff, ffi::SQLITE_ERROR | ffi::SQLITE_CONSTRAINT) {
        message = format!("{TABLES_CHANGED}: {message}");
    }
    Error::new(status, message).with_sqlite_code(code)
}

/// The error for what SQLite said of a statement that a caller wrote.
pub(super) fn translate_sql(error: &rusqlite::Error) -> Error {
    let code = error.sqlite_extended_error_code().unwrap_or(ffi::SQLITE_ERROR);
    let refused = match code & 0xff {
        ffi::SQLITE_AUTH | ffi::SQLITE_READONLY => {
            "only statements that read are carried out, on the ledger's own file and without loading anything"
        }
        ffi::SQLITE_ERROR | ffi::SQLITE_MISMATCH | ffi::SQLITE_RANGE => "SQLite cannot carry it out",
        ffi::SQLITE_TOOBIG => {
            let message = format!("a value of the statement is larger than result_bytes_max ({error})");
            let error = Error::new(Status::LimitExceeded, message).with_field("result_bytes_max");
            return error.with_sqlite_code(code);
        }
        _ => return translate(error),
    };
    Error::argument("sql", format!("the statement is refused: {refused} ({error})")).with_sqlite_code(code)
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
