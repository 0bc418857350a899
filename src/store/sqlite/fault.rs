//! SQLite's errors as ours.

use rusqlite::ffi;

use crate::call;
use crate::error::{Error, Status};
use crate::sys::files::Said;

/// The error that a caller sees for what SQLite said. Decided by code, never by message text, and by what
/// the system said where it is that which SQLite goes by.
pub(super) fn translate(error: &rusqlite::Error) -> Error {
    let Some(code) = error.sqlite_extended_error_code() else {
        // The only other errors of the statements here are values of a wrong type.
        return Error::new(Status::Corrupt, format!("{TABLES_CHANGED}: {error}"));
    };
    // So SQLite takes it also where it could not look.
    if code == ffi::SQLITE_READONLY_ROLLBACK && Said::last().is_none() {
        let message = "a process that died left a change of the file unfinished (in its -journal), which only who can \
                       write undoes: open the ledger once for writing";
        return Error::new(Status::ReadOnly, message).with_field("read_only").with_sqlite_code(code);
    }
    let mut message = error.to_string();
    if let Some(said) = cause_of(code) {
        return Error::new(Status::of_system(&said.error), format!("{message}: {said}"))
            .with_sqlite_code(code);
    }
    let status = status_of(code);
    match status {
        Status::Busy => {
            let waited = call::waited_for("another connection held the ledger's lock", "try again");
            return waited.with_sqlite_code(code);
        }
        Status::Interrupted => return call::stopped().with_sqlite_code(code),
        Status::ReadOnly => {
            message.push_str(
                ": it, or what lies beside it, could not be opened for writing at some time; close the ledger, and \
                 open it again when it can be",
            );
        }
        _ => {}
    }
    if matches!(code & 0xff, ffi::SQLITE_ERROR | ffi::SQLITE_CONSTRAINT) {
        message = format!("{TABLES_CHANGED}: {message}");
    }
    Error::new(status, message).with_sqlite_code(code)
}

/// What the system said that SQLite made this code of.
fn cause_of(code: i32) -> Option<Said> {
    if matches!(code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) {
        return Said::of_a_sync();
    }
    match code & 0xff {
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN | ffi::SQLITE_FULL | ffi::SQLITE_READONLY => Said::last(),
        // So it calls what the medium cannot give back, and a lock that cannot be had for whatever reason.
        ffi::SQLITE_CORRUPT => Said::last_read(),
        ffi::SQLITE_BUSY => Said::last_lock(),
        _ => None,
    }
}

/// What stands between a connection and what it cannot do though SQLite has no error for it: that it may only
/// read, or has another journal than it should have.
pub(super) fn silent(what: &str) -> Option<Error> {
    let said = Said::last()?;
    Some(Error::new(Status::of_system(&said.error), format!("{what} ({said})")))
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
pub(super) const TABLES_CHANGED: &str =
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

/// Whether SQLite takes the file, or one beside it, for one that may only be read: as long as the connection is
/// open, also when it could be written since.
pub(super) fn is_read_only(error: &Error) -> bool {
    error.sqlite_code() & 0xff == ffi::SQLITE_READONLY
}

/// Whether a COMMIT that failed was carried out: it gives its locks up when the journal is gone, and what
/// fails there changes nothing of that.
pub(super) fn is_committed(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_extended_error_code(), Some(ffi::SQLITE_IOERR_UNLOCK | ffi::SQLITE_IOERR_RDLOCK))
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
