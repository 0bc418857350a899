//! What went wrong: a stable [`Status`], and an [`Error`] that a person can act on.
//!
//! Errors are made where the cause is known and carried up unchanged. The C API translates them
//! once, at its boundary.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};

/// The result of a call, with numbers that never change once they are released.
///
/// `NotFound` and `Timeout` are outcomes rather than errors: in C they come without an error
/// object, in Rust as `None` or an empty result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// There is no such entry.
    NotFound = 1,
    /// The time given for waiting passed and nothing came.
    Timeout = 2,
    /// An argument is outside what the function takes: the caller's mistake.
    InvalidArgument = 3,
    /// A configuration key or value is not known, out of range, or contradicts the open ledger.
    InvalidConfig = 4,
    /// The entry is not valid; nothing was written.
    InvalidEntry = 5,
    /// There is an entry with the same timestamp and node already; nothing was written.
    Duplicate = 6,
    /// Somebody else appended since the id that the caller expected to be the last.
    Conflict = 7,
    /// The time budget of the call was used up waiting for a lock or a connection.
    Busy = 8,
    /// The call was interrupted.
    Interrupted = 9,
    /// The ledger, the file or its file system cannot be written.
    ReadOnly = 10,
    /// The disk is full.
    NoSpace = 11,
    /// The operating system reported an input or output error.
    Io = 12,
    /// The file, or the row asked for, is damaged.
    Corrupt = 13,
    /// The file is not a ledger, or one of a newer version.
    Incompatible = 14,
    /// The handle was closed, or was inherited over a fork.
    Closed = 15,
    /// A limit would be exceeded; the message names it.
    LimitExceeded = 16,
    /// The handle has `check_same_thread` and this is another thread.
    WrongThread = 17,
    /// This cannot be done here; the message says why.
    Unsupported = 18,
    /// A large allocation failed.
    OutOfMemory = 19,
    /// A defect of simledger was caught; the message says where.
    Internal = 20,
}

impl Status {
    /// All statuses, in the order of their numbers.
    pub const ALL: [Status; 21] = [
        Status::Ok,
        Status::NotFound,
        Status::Timeout,
        Status::InvalidArgument,
        Status::InvalidConfig,
        Status::InvalidEntry,
        Status::Duplicate,
        Status::Conflict,
        Status::Busy,
        Status::Interrupted,
        Status::ReadOnly,
        Status::NoSpace,
        Status::Io,
        Status::Corrupt,
        Status::Incompatible,
        Status::Closed,
        Status::LimitExceeded,
        Status::WrongThread,
        Status::Unsupported,
        Status::OutOfMemory,
        Status::Internal,
    ];

    /// The status with this number.
    pub fn from_code(code: i32) -> Option<Status> {
        usize::try_from(code).ok().and_then(|index| Status::ALL.get(index)).copied()
    }

    /// The number of the status, as C sees it.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Its name in capitals, and one sentence about it.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Status::Ok => ("OK", "The call did what it was asked to do."),
            Status::NotFound => ("NOT_FOUND", "There is no such entry."),
            Status::Timeout => ("TIMEOUT", "The time given for waiting passed and nothing came."),
            Status::InvalidArgument => {
                ("INVALID_ARGUMENT", "An argument is outside what the function takes.")
            }
            Status::InvalidConfig => (
                "INVALID_CONFIG",
                "A configuration key or value is unknown, out of range, or contradicts the open ledger.",
            ),
            Status::InvalidEntry => ("INVALID_ENTRY", "The entry is not valid; nothing was written."),
            Status::Duplicate => {
                ("DUPLICATE", "An entry with this timestamp and node is there already; nothing was written.")
            }
            Status::Conflict => {
                ("CONFLICT", "Somebody else appended since the expected last id; nothing was written.")
            }
            Status::Busy => ("BUSY", "The time budget was used up waiting for a lock or a connection."),
            Status::Interrupted => ("INTERRUPTED", "The call was interrupted."),
            Status::ReadOnly => ("READ_ONLY", "The ledger, the file or its file system cannot be written."),
            Status::NoSpace => ("NO_SPACE", "The disk is full."),
            Status::Io => ("IO", "The operating system reported an input or output error."),
            Status::Corrupt => ("CORRUPT", "The file, or the row asked for, is damaged."),
            Status::Incompatible => ("INCOMPATIBLE", "The file is not a ledger, or one of a newer version."),
            Status::Closed => ("CLOSED", "The handle was closed, or inherited over a fork."),
            Status::LimitExceeded => ("LIMIT_EXCEEDED", "A limit would be exceeded."),
            Status::WrongThread => {
                ("WRONG_THREAD", "The handle may only be used from the thread that opened it.")
            }
            Status::Unsupported => ("UNSUPPORTED", "This cannot be done here."),
            Status::OutOfMemory => ("OUT_OF_MEMORY", "A large allocation failed."),
            Status::Internal => ("INTERNAL", "A defect of simledger was caught."),
        }
    }

    /// What this is called that the system says of a file.
    pub(crate) fn of_system(error: &io::Error) -> Status {
        match error.kind() {
            // A file that may not be larger is as full as a disk (RLIMIT_FSIZE).
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Status::NoSpace
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Status::ReadOnly,
            io::ErrorKind::OutOfMemory => Status::OutOfMemory,
            _ => Status::Io,
        }
    }

    /// Whether the same call may succeed later without anything else being changed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Status::Timeout | Status::Busy | Status::Interrupted | Status::NoSpace | Status::OutOfMemory
        )
    }
}

/// A failed call. All that a caller may want to know of it; cheap to move.
#[derive(Clone, Debug)]
pub struct Error(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    status: Status,
    message: String,
    field: String,
    index: Option<usize>,
    entry_id: Option<i64>,
    work_done: i64,
    sqlite_code: i32,
}

/// The result of every fallible function of the crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this status and message.
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error(Box::new(Details {
            status,
            message: message.into(),
            field: String::new(),
            index: None,
            entry_id: None,
            work_done: 0,
            sqlite_code: 0,
        }))
    }

    /// The argument called `name` is not acceptable.
    pub fn argument(name: &str, message: impl Into<String>) -> Error {
        Error::new(Status::InvalidArgument, message).with_field(name)
    }

    /// An allocation failed: what it was for, and what may help.
    pub(crate) fn no_memory(what: &str, hint: &str) -> Error {
        Error::new(Status::OutOfMemory, format!("no memory left for {what}; {hint}"))
    }

    /// Names the argument, JSON field or configuration key at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Error {
        self.0.field = field.into();
        self
    }

    /// Says which element of a batch failed, counted from 0.
    #[must_use]
    pub fn with_index(mut self, index: usize) -> Error {
        self.0.index = Some(index);
        self
    }

    /// Names the entry that is there already.
    #[must_use]
    pub fn with_entry_id(mut self, id: i64) -> Error {
        self.0.entry_id = Some(id);
        self
    }

    /// Says how much of the work was done, and stays done.
    #[must_use]
    pub fn with_work_done(mut self, count: i64) -> Error {
        self.0.work_done = count;
        self
    }

    /// Keeps SQLite's extended result code.
    #[must_use]
    pub fn with_sqlite_code(mut self, code: i32) -> Error {
        self.0.sqlite_code = code;
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Error {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What happened, and what to do about it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The argument, JSON field or configuration key at fault, or "".
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The element of a batch that failed, counted from 0.
    pub fn index(&self) -> Option<usize> {
        self.0.index
    }

    /// The entry that is there already, for [`Status::Duplicate`].
    pub fn entry_id(&self) -> Option<i64> {
        self.0.entry_id
    }

    /// How much was done before the failure, and stays done: entries deleted by a cleanup.
    pub fn work_done(&self) -> i64 {
        self.0.work_done
    }

    /// SQLite's extended result code, 0 where SQLite had no part in it.
    pub fn sqlite_code(&self) -> i32 {
        self.0.sqlite_code
    }

    /// Whether the same call may succeed later without anything else being changed.
    pub fn is_retryable(&self) -> bool {
        self.0.status.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status.describe().0, self.0.message)
    }
}

impl std::error::Error for Error {}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_string())
}

/// Lets go of what a panic that was caught said. What any that is no text does when it is dropped is its own affair.
pub(crate) fn drop_payload(payload: Box<dyn std::any::Any + Send>) {
    if !payload.is::<String>() && !payload.is::<&str>() {
        std::mem::forget(payload);
    }
}

/// Runs what a thread of the library's own does: a panic in it as the error that it is, for whoever waits
/// for it.
pub(crate) fn without_panics<T>(thread: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What was in use when it panicked is dropped or begins anew: see `Feeding::is_whole`, `Writer`, `Cursor`.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = panic_text(&*payload);
        drop_payload(payload);
        let message = format!("a panic in {thread}: {text}; this is a defect of simledger");
        Err(Error::new(Status::Internal, message))
    })
}

/// A value for a message: short, on one line, never more than a few dozen characters.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 48;
    let mut shown: String = text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_statuses_match_one_to_one() {
        for (index, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status.code(), i32::try_from(index).unwrap());
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(-1), None);
        assert_eq!(Status::from_code(21), None);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert!(excerpt(&"x".repeat(1000)).chars().count() < 60);
    }
}
