//! What the system said of a file when a call of SQLite failed: SQLite itself tells only which kind of call that
//! was, and neither the file nor the reason.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, OsStr, c_int};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A system call that failed.
#[derive(Debug)]
pub(crate) struct Said {
    /// The name of the call.
    call: &'static str,
    path: PathBuf,
    pub error: io::Error,
}

/// What failed on a thread in the call that it is making: SQLite carries out a call on the thread that made it.
struct Heard {
    last: Option<Said>,
    last_read: Option<Said>,
}

thread_local! {
    static HEARD: RefCell<Heard> = const { RefCell::new(Heard { last: None, last_read: None }) };
    /// Whether anything is in there: each call looks, and there seldom is.
    static HAS_HEARD: Cell<bool> = const { Cell::new(false) };
}

impl Said {
    /// The last that failed in the call that this thread makes. It stays: SQLite goes on saying that a file failed
    /// once it did.
    pub fn last() -> Option<Said> {
        HEARD.try_with(|heard| heard.borrow().last.clone()).ok().flatten()
    }

    /// The last that failed to lock a file.
    pub fn last_lock() -> Option<Said> {
        Said::last().filter(|said| said.call == "lock")
    }

    /// The last that failed to read, whatever failed since.
    pub fn last_read() -> Option<Said> {
        HEARD.try_with(|heard| heard.borrow().last_read.clone()).ok().flatten()
    }

    /// The same of a sync, which SQLite carries out by itself: to be asked at once, and of no file.
    pub fn of_a_sync() -> Option<Said> {
        let error = io::Error::last_os_error();
        let number = error.raw_os_error().unwrap_or(0);
        let is_telling = !matches!(number, 0 | libc::ENOENT | libc::EAGAIN);
        is_telling.then(|| Said { call: "sync", path: PathBuf::new(), error })
    }

    /// A call that is being begun has nothing to do with what failed before.
    #[inline]
    pub fn forget() {
        if HAS_HEARD.get() {
            HAS_HEARD.set(false);
            let _ = HEARD.try_with(|heard| heard.replace(Heard { last: None, last_read: None }));
        }
    }
}

impl Clone for Said {
    fn clone(&self) -> Said {
        let number = self.error.raw_os_error();
        let error = number.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
        Said { call: self.call, path: self.path.clone(), error }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            return write!(f, "{}: {}", self.call, self.error);
        }
        write!(f, "{} of \"{}\": {}", self.call, self.path.display(), self.error)
    }
}

/// Why this file could not be opened to be written a moment ago, where that is no matter of rights, or it is a journal,
/// which is of no use then.
///
/// SQLite then opens it to be read, whatever the reason was, and takes it for one that may only be read as long as
/// it is open.
pub(super) fn unopened(path: &CStr) -> Option<io::Error> {
    let last = HEARD.try_with(|heard| heard.borrow().last.clone()).ok().flatten()?;
    let is_this = last.call == OPEN_TO_WRITE && last.path.as_os_str().as_bytes() == path.to_bytes();
    let is_journal = path.to_bytes().ends_with(b"-journal");
    (is_this && (is_journal || !super::table::is_refusal(&last.error))).then_some(last.error)
}

/// The name of that call.
pub(super) const OPEN_TO_WRITE: &str = "open to write";

/// What a call failed on.
#[derive(Clone, Copy)]
pub(super) enum On<'a> {
    Path(&'a CStr),
    Descriptor(c_int),
}

/// Notes what errno says, and leaves it as it is.
#[cold]
pub(super) fn failed(call: &'static str, on: On<'_>) {
    let error = io::Error::last_os_error();
    let number = error.raw_os_error().unwrap_or(0);
    // SQLite looks for what is not there and tries what others have locked, all the time.
    if !matches!(number, libc::ENOENT | libc::EAGAIN | libc::EINTR) {
        let path = match on {
            On::Path(path) => PathBuf::from(OsStr::from_bytes(path.to_bytes())),
            On::Descriptor(descriptor) => {
                std::fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap_or_default()
            }
        };
        let said = Said { call, path, error };
        let _ = HEARD.try_with(|heard| {
            let mut heard = heard.borrow_mut();
            if call == "read" {
                heard.last_read = Some(said.clone());
            }
            heard.last = Some(said);
            HAS_HEARD.set(true);
        });
    }
    super::system::set_errno(number);
}
