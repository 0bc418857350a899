//! The ways in which a disk fails, and the preloaded library that lets it.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::mem::transmute;
use std::path::Path;

use simledger::Status;

/// What a call does, as the preloaded library has it.
pub const OPEN: c_int = 1;
pub const CREATE: c_int = 2;
pub const READ: c_int = 4;
pub const WRITE: c_int = 8;
pub const SYNC: c_int = 16;
pub const SIZE: c_int = 32;
pub const MAP: c_int = 64;
pub const REMOVE: c_int = 128;
pub const LOOK: c_int = 256;
pub const LOCK: c_int = 512;
pub const ALL: c_int = 4095;
pub const SHORT: c_int = -1;

/// A way in which a disk fails.
pub struct Fault {
    pub name: &'static str,
    pub error: c_int,
    /// The calls that can fail so.
    pub kinds: c_int,
    /// Whether it can last.
    pub lasts: bool,
    /// What a call may say then; empty: nothing, since it goes on.
    pub statuses: &'static [Status],
}

pub const SPACE: c_int = CREATE | WRITE | SYNC | SIZE;

pub const FAULTS: [Fault; 12] = [
    Fault { name: "EIO", error: libc::EIO, kinds: ALL & !LOCK, lasts: true, statuses: &[Status::Io] },
    Fault { name: "ENOSPC", error: libc::ENOSPC, kinds: SPACE, lasts: true, statuses: &[Status::NoSpace] },
    Fault { name: "EDQUOT", error: libc::EDQUOT, kinds: SPACE, lasts: true, statuses: &[Status::NoSpace] },
    Fault {
        name: "EFBIG",
        error: libc::EFBIG,
        kinds: WRITE | SIZE,
        lasts: true,
        statuses: &[Status::NoSpace],
    },
    Fault {
        name: "EINTR",
        error: libc::EINTR,
        kinds: OPEN | READ | WRITE | SIZE,
        lasts: false,
        statuses: &[],
    },
    // SQLite does not try it again, and is right.
    Fault { name: "EINTR at a sync", error: libc::EINTR, kinds: SYNC, lasts: false, statuses: &[Status::Io] },
    // SQLite takes it for a lock that somebody else has, and waits up to ten seconds where it lasts.
    Fault {
        name: "ENOLCK",
        error: libc::ENOLCK,
        kinds: LOCK,
        lasts: false,
        statuses: &[Status::Io, Status::Busy],
    },
    Fault {
        name: "ENOMEM",
        error: libc::ENOMEM,
        kinds: OPEN | MAP | LOOK,
        lasts: true,
        statuses: &[Status::OutOfMemory],
    },
    Fault { name: "EMFILE", error: libc::EMFILE, kinds: OPEN, lasts: true, statuses: &[Status::Io] },
    Fault {
        name: "EROFS",
        error: libc::EROFS,
        kinds: CREATE | WRITE | SIZE | REMOVE,
        lasts: true,
        statuses: &[Status::ReadOnly],
    },
    Fault {
        name: "EACCES",
        error: libc::EACCES,
        kinds: OPEN | REMOVE | LOOK,
        lasts: true,
        statuses: &[Status::ReadOnly, Status::Io],
    },
    Fault { name: "short", error: SHORT, kinds: READ | WRITE, lasts: true, statuses: &[] },
];

/// The preloaded library.
pub struct Disk {
    below: unsafe extern "C" fn(*const c_char),
    arm: unsafe extern "C" fn(c_int, c_int, c_long, c_int),
    disarm: unsafe extern "C" fn() -> c_long,
    closed_twice: unsafe extern "C" fn() -> c_long,
    first: unsafe extern "C" fn() -> *const c_char,
    watch: unsafe extern "C" fn(Option<Watcher>),
    note: unsafe extern "C" fn(Option<Noter>),
}

/// What is told of writes and syncs: of which file, where, how many bytes, and whether it failed.
pub type Watcher = unsafe extern "C" fn(*const c_char, c_int, c_long, c_long, c_int);

/// What is told of every call: its name, on which file, and of what kinds it is.
pub type Noter = unsafe extern "C" fn(*const c_char, *const c_char, c_int);

impl Disk {
    /// `None` where it is not preloaded.
    pub fn find() -> Option<Disk> {
        let found = |name: &CStr| {
            // SAFETY: a C string.
            let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        let [below, arm, disarm, closed_twice, first, watch, note] = [
            found(c"failing_below")?,
            found(c"failing_arm")?,
            found(c"failing_disarm")?,
            found(c"failing_closed_twice")?,
            found(c"failing_first")?,
            found(c"failing_watch")?,
            found(c"failing_note")?,
        ];
        simledger::test_hooks::open_plainly();
        // SAFETY: the functions of these names have the types of these fields.
        unsafe {
            Some(Disk {
                below: transmute::<*mut c_void, unsafe extern "C" fn(*const c_char)>(below),
                arm: transmute::<*mut c_void, unsafe extern "C" fn(c_int, c_int, c_long, c_int)>(arm),
                disarm: transmute::<*mut c_void, unsafe extern "C" fn() -> c_long>(disarm),
                closed_twice: transmute::<*mut c_void, unsafe extern "C" fn() -> c_long>(closed_twice),
                first: transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(first),
                watch: transmute::<*mut c_void, unsafe extern "C" fn(Option<Watcher>)>(watch),
                note: transmute::<*mut c_void, unsafe extern "C" fn(Option<Noter>)>(note),
            })
        }
    }

    /// Tells this function from now on, or nobody.
    pub fn watch(&self, watcher: Option<Watcher>) {
        // SAFETY: a function, or none.
        unsafe { (self.watch)(watcher) };
    }

    /// Tells this function of every call while it is armed, or nobody.
    pub fn note(&self, noter: Option<Noter>) {
        // SAFETY: a function, or none.
        unsafe { (self.note)(noter) };
    }

    /// Fails below this folder, of which nothing is open.
    pub fn below(&self, folder: &Path) {
        let folder = CString::new(format!("{}/", folder.display())).unwrap();
        // SAFETY: a C string.
        unsafe { (self.below)(folder.as_ptr()) };
    }

    pub fn arm(&self, fault: &Fault, number: i64, lasts: bool) {
        // SAFETY: numbers.
        unsafe { (self.arm)(fault.kinds, fault.error, number, c_int::from(lasts)) };
    }

    /// Whether anything failed.
    pub fn disarm(&self) -> bool {
        // SAFETY: no arguments.
        unsafe { (self.disarm)() > 0 }
    }

    /// How often a descriptor was closed that was not open.
    pub fn closed_twice(&self) -> i64 {
        // SAFETY: no arguments.
        unsafe { (self.closed_twice)() }
    }

    /// What failed first.
    pub fn first(&self) -> String {
        // SAFETY: a string of the library that stays until the next time it is armed.
        unsafe { CStr::from_ptr((self.first)()) }.to_str().unwrap().to_string()
    }
}
