//! Locks on a ledger that no other code of the process can drop, and that a forked child does not share.
//!
//! POSIX locks belong to the process: when any code of the host closes any descriptor of the ledger, all
//! locks on it are gone, and two copies of SQLite in one process do not exclude each other at all. A
//! program that opens the file with its own SQLite beside this library does just that. Locks of the
//! open file description (`F_OFD_SETLK`) know neither; towards other processes they are the same locks.
//!
//! This module puts itself under the `unix` VFS of our SQLite and translates. A file system without
//! such locks keeps the plain ones ([`has_own_locks`]).
//!
//! It also notes what fails, since SQLite does not say which file that was ([`Said`]).

mod calls;
#[cfg(feature = "test-hooks")]
mod dying;
mod kinds;
mod locks;
mod said;
mod system;
mod table;
#[cfg(test)]
mod tests;

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::ffi;

use self::kinds::Kind;
pub(crate) use self::locks::FileLocks;
pub(crate) use self::said::Said;
use self::system::FileNumbers;
pub(super) use self::table::{Table, hold};

/// From this byte on a file's locks are not SQLite's, which end at 2^30 and a few bytes.
const OURS: i64 = 1 << 61;

unsafe extern "C" {
    /// See fcntl.c.
    fn ledger_files_fcntl(
        lock: unsafe extern "C" fn(c_int, c_int, *mut libc::flock) -> c_int,
    ) -> ffi::sqlite3_syscall_ptr;
}

/// Puts the calls of this module under SQLite. Where it cannot, everything stays as SQLite has it.
///
/// # Safety
/// Once, after sqlite3_initialize.
pub(super) unsafe fn install() {
    // SAFETY: a C string; the VFS lives as long as the program.
    let vfs = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
    // SAFETY: as above.
    let Some(set) =
        (unsafe { vfs.as_ref() }).filter(|vfs| vfs.iVersion >= 3).and_then(|vfs| vfs.xSetSystemCall)
    else {
        return;
    };
    /// A function as SQLite takes it.
    macro_rules! call {
        ($function:path as $kind:ty) => {
            // SAFETY: SQLite calls it by what it really is, the type of the system call of its name.
            unsafe { std::mem::transmute::<$kind, unsafe extern "C" fn()>($function) }
        };
    }
    let calls: [(&CStr, unsafe extern "C" fn()); 12] = [
        (c"open", call!(calls::open as unsafe extern "C" fn(_, _, _) -> _)),
        (c"close", call!(calls::close as extern "C" fn(_) -> _)),
        (c"mmap", call!(calls::mmap as unsafe extern "C" fn(_, _, _, _, _, _) -> _)),
        (c"stat", call!(calls::stat as unsafe extern "C" fn(_, _) -> _)),
        (c"fstat", call!(calls::fstat as unsafe extern "C" fn(_, _) -> _)),
        (c"lstat", call!(calls::lstat as unsafe extern "C" fn(_, _) -> _)),
        // One of each pair, as SQLite was compiled; a file's offsets have 64 bits in both.
        (c"pread", call!(calls::pread as unsafe extern "C" fn(_, _, _, _) -> _)),
        (c"pread64", call!(calls::pread as unsafe extern "C" fn(_, _, _, _) -> _)),
        (c"pwrite", call!(calls::pwrite as unsafe extern "C" fn(_, _, _, _) -> _)),
        (c"pwrite64", call!(calls::pwrite as unsafe extern "C" fn(_, _, _, _) -> _)),
        (c"ftruncate", call!(calls::ftruncate as extern "C" fn(_, _) -> _)),
        (c"unlink", call!(calls::unlink as unsafe extern "C" fn(_) -> _)),
    ];
    // SAFETY: the caller's promise: this is the first call.
    let fcntl = unsafe { ledger_files_fcntl(calls::lock) };
    // Whoever opened a file before has a descriptor that is not in the table, and keeps its locks.
    for (name, call) in calls.map(|(name, call)| (name, Some(call))).into_iter().chain([(c"fcntl", fcntl)]) {
        // SAFETY: the VFS, a name that it knows, and a function of that system call's type.
        unsafe { set(vfs, name.as_ptr(), call) };
    }
    #[cfg(feature = "test-hooks")]
    for (name, call) in [
        (c"pwrite", call!(dying::pwrite as unsafe extern "C" fn(_, _, _, _) -> _)),
        (c"ftruncate", call!(dying::ftruncate as extern "C" fn(_, _) -> _)),
        (c"unlink", call!(dying::unlink as unsafe extern "C" fn(_) -> _)),
    ] {
        // SAFETY: as above.
        unsafe { set(vfs, name.as_ptr(), Some(call)) };
    }
}

/// Whether the locks of this file, which must be open, are safe from other code of the process.
pub(crate) fn has_own_locks(path: &Path) -> io::Result<bool> {
    let path = name(path).ok_or(io::ErrorKind::InvalidInput)?;
    let found = system::lstat(&path)?;
    Ok(hold().kind(FileNumbers::of(&found)) == Some(Kind::Description))
}

/// Makes an empty file where none is. With these rights, whatever the umask says; with `None` those that SQLite
/// gives, which only their owner may write by, less what the umask takes away.
pub(crate) fn create(path: &Path, mode: Option<u32>) -> io::Result<()> {
    hold().create(&name(path).ok_or(io::ErrorKind::InvalidInput)?, mode)
}

/// A path for system calls; `None` for what no file can be called.
fn name(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}
