//! Statuses: what every fallible function returns.

use std::ffi::{CStr, c_char};

use crate::error::Status;
use crate::sys::fork;

/// The result of a call: one of the `SIMLEDGER_` statuses below. The numbers never change.
///
/// Whose move it is: the caller's at `INVALID_ARGUMENT`, `INVALID_CONFIG`, `INVALID_ENTRY`,
/// `DUPLICATE`, `CONFLICT`, `CLOSED`, `LIMIT_EXCEEDED`, `WRONG_THREAD` and `UNSUPPORTED`; that of
/// whoever runs the machine at `READ_ONLY`, `NO_SPACE`, `IO`, `CORRUPT`, `INCOMPATIBLE` and
/// `OUT_OF_MEMORY`; ours at `INTERNAL`. After `BUSY`, `TIMEOUT` and `INTERRUPTED` the same call may
/// succeed, and after `NO_SPACE` and `OUT_OF_MEMORY` when others have made room.
pub type simledger_status = i32;

/// Done.
pub const SIMLEDGER_OK: simledger_status = 0;
/// There is no such entry. An outcome: comes without an error object.
pub const SIMLEDGER_NOT_FOUND: simledger_status = 1;
/// The time given for waiting passed and nothing came. An outcome: comes without an error object.
/// Only from `simledger_wait_since`.
pub const SIMLEDGER_TIMEOUT: simledger_status = 2;
/// An argument is outside what the function takes; the error names it.
pub const SIMLEDGER_INVALID_ARGUMENT: simledger_status = 3;
/// A configuration key or value is unknown, out of range, or contradicts the open ledger.
pub const SIMLEDGER_INVALID_CONFIG: simledger_status = 4;
/// The entry is not valid; the error names field, value and limit. Nothing was written.
pub const SIMLEDGER_INVALID_ENTRY: simledger_status = 5;
/// An entry with this timestamp and node is there already. Nothing was written.
pub const SIMLEDGER_DUPLICATE: simledger_status = 6;
/// Somebody else appended since the expected last id. Nothing was written.
pub const SIMLEDGER_CONFLICT: simledger_status = 7;
/// The time budget (`timeout`) was used up waiting for a lock or a connection. Nothing was written.
pub const SIMLEDGER_BUSY: simledger_status = 8;
/// The call was interrupted. Nothing was written.
pub const SIMLEDGER_INTERRUPTED: simledger_status = 9;
/// The ledger, the file or its file system cannot be written.
pub const SIMLEDGER_READ_ONLY: simledger_status = 10;
/// The disk is full, or a ledger in memory has grown to 1 GiB. Nothing was written.
pub const SIMLEDGER_NO_SPACE: simledger_status = 11;
/// The operating system reported an input or output error, or the file is not where it was.
pub const SIMLEDGER_IO: simledger_status = 12;
/// The file, or the row asked for, is damaged.
pub const SIMLEDGER_CORRUPT: simledger_status = 13;
/// The file is not a ledger, or one of a newer version.
pub const SIMLEDGER_INCOMPATIBLE: simledger_status = 14;
/// The handle was closed, or was inherited over a fork.
pub const SIMLEDGER_CLOSED: simledger_status = 15;
/// A limit would be exceeded; the error names it.
pub const SIMLEDGER_LIMIT_EXCEEDED: simledger_status = 16;
/// The ledger has `check_same_thread`, and this is not the thread that opened it.
pub const SIMLEDGER_WRONG_THREAD: simledger_status = 17;
/// This cannot be done here; the error says why.
pub const SIMLEDGER_UNSUPPORTED: simledger_status = 18;
/// A large allocation failed.
pub const SIMLEDGER_OUT_OF_MEMORY: simledger_status = 19;
/// A defect of simledger was caught; the error says where. The ledger can be used on.
pub const SIMLEDGER_INTERNAL: simledger_status = 20;

/// The name of a status without its prefix, such as "BUSY"; "UNKNOWN" for a number that is none.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_status_name(status: simledger_status) -> *const c_char {
    Status::from_code(status).map_or(c"UNKNOWN", |status| constants(status).0).as_ptr()
}

/// A sentence about a status.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_status_description(status: simledger_status) -> *const c_char {
    Status::from_code(status)
        .map_or(c"This is no status of simledger.", |status| constants(status).1)
        .as_ptr()
}

/// Name and sentence with NULs behind them, made once.
fn constants(status: Status) -> (&'static CStr, &'static CStr) {
    static TEXTS: std::sync::OnceLock<Vec<(std::ffi::CString, std::ffi::CString)>> =
        std::sync::OnceLock::new();
    let texts = fork::once(&TEXTS, || {
        let text = |text: &str| std::ffi::CString::new(text).unwrap_or_default();
        Status::ALL.map(|status| (text(status.describe().0), text(status.describe().1))).into()
    });
    // Statuses are numbered from 0 without gaps.
    let (name, sentence) = &texts[status as usize];
    (name, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_statuses() {
        let constants = [
            SIMLEDGER_OK,
            SIMLEDGER_NOT_FOUND,
            SIMLEDGER_TIMEOUT,
            SIMLEDGER_INVALID_ARGUMENT,
            SIMLEDGER_INVALID_CONFIG,
            SIMLEDGER_INVALID_ENTRY,
            SIMLEDGER_DUPLICATE,
            SIMLEDGER_CONFLICT,
            SIMLEDGER_BUSY,
            SIMLEDGER_INTERRUPTED,
            SIMLEDGER_READ_ONLY,
            SIMLEDGER_NO_SPACE,
            SIMLEDGER_IO,
            SIMLEDGER_CORRUPT,
            SIMLEDGER_INCOMPATIBLE,
            SIMLEDGER_CLOSED,
            SIMLEDGER_LIMIT_EXCEEDED,
            SIMLEDGER_WRONG_THREAD,
            SIMLEDGER_UNSUPPORTED,
            SIMLEDGER_OUT_OF_MEMORY,
            SIMLEDGER_INTERNAL,
        ];
        assert_eq!(Status::ALL.map(Status::code), constants);
    }
}
