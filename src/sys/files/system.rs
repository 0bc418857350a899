//! System calls that answer with a result.

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;

use crate::hooks;

/// Which file it is, by its true numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileNumbers {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl FileNumbers {
    pub fn of(stat: &libc::stat) -> FileNumbers {
        FileNumbers { device: stat.st_dev, inode: stat.st_ino }
    }
}

pub(super) fn is_regular(stat: &libc::stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// The result of a call that says -1 when it fails.
fn checked(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for the other direction: what C gets.
pub(super) fn answer(result: io::Result<c_int>) -> c_int {
    result.unwrap_or_else(|error| {
        set_errno(error.raw_os_error().unwrap_or(libc::EIO));
        -1
    })
}

pub(super) fn set_errno(number: c_int) {
    // SAFETY: the address of the calling thread's errno, which it may write to.
    unsafe { *libc::__errno_location() = number };
}

pub(super) fn lstat(path: &CStr) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: a C string and a place to write to, which is filled in where the call succeeds.
    unsafe {
        checked(libc::lstat(path.as_ptr(), found.as_mut_ptr()))?;
        Ok(found.assume_init())
    }
}

pub(super) fn fstat(descriptor: c_int) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: as above.
    unsafe {
        checked(libc::fstat(descriptor, found.as_mut_ptr()))?;
        Ok(found.assume_init())
    }
}

pub(super) fn open(path: &CStr, flags: c_int, mode: c_int) -> io::Result<c_int> {
    // A database and its companions have paths without links when they are found. A folder of these that has become
    // a link since leads to somewhere else. (Temporary files are where the system has them.)
    if flags & libc::O_NOFOLLOW != 0 && flags & libc::O_EXCL == 0 && !hooks::opens_plainly() {
        match open_without_links(path, flags, mode) {
            // Before Linux 5.6, and where a sandbox does not know it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EINVAL)) => {
            }
            opened => return opened,
        }
    }
    // SAFETY: a C string; the mode is looked at only where the flags ask for it.
    checked(unsafe { libc::open(path.as_ptr(), flags, mode) })
}

fn open_without_links(path: &CStr, flags: c_int, mode: c_int) -> io::Result<c_int> {
    // SAFETY: zeroes are a value of it.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags.cast_unsigned());
    how.mode = if flags & libc::O_CREAT == 0 { 0 } else { u64::from(mode.cast_unsigned() & 0o7777) };
    how.resolve = libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: a C string, and a structure of this size.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    checked(c_int::try_from(opened).unwrap_or(-1))
}

pub(super) fn unlink(path: &CStr) -> io::Result<c_int> {
    // SAFETY: a C string.
    checked(unsafe { libc::unlink(path.as_ptr()) })
}

/// Gives a file these rights.
pub(super) fn set_mode(descriptor: c_int, mode: u32) -> io::Result<()> {
    // SAFETY: a descriptor and a number.
    checked(unsafe { libc::fchmod(descriptor, mode) }).map(drop)
}

/// Whether any code of this process has the file open.
pub(super) fn is_open_here(file: FileNumbers) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_it = |found: std::fs::Metadata| (found.dev(), found.ino()) == (file.device, file.inode);
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return true };
    open.flatten().any(|descriptor| std::fs::metadata(descriptor.path()).is_ok_and(is_it))
}

/// The number means nothing any more, even if this fails.
pub(super) fn close(descriptor: c_int) -> io::Result<c_int> {
    // SAFETY: whoever gives up a descriptor has the right to.
    checked(unsafe { libc::close(descriptor) })
}

/// Brings what was written to a file to the medium, and its size with it.
pub(super) fn sync(descriptor: c_int) -> io::Result<()> {
    // SAFETY: a descriptor and nothing else.
    checked(unsafe { libc::fdatasync(descriptor) }).map(drop)
}

/// Sees to it that there is room on the medium for so many bytes of a file, which it has. Who stores in memory where
/// there is none is ended by a signal. SQLite writes a byte of each page for that, which is not enough where
/// the blocks of the file system are smaller.
pub(super) fn allocate(descriptor: c_int, offset: libc::off_t, len: usize) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: a descriptor and numbers.
        match checked(unsafe { libc::fallocate(descriptor, 0, offset, len) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            // Not known to this file system: SQLite's way must do.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                return Ok(());
            }
            done => return done.map(drop),
        }
    }
}

/// Puts a copy of a descriptor in the place of another.
pub(super) fn put_over(descriptor: c_int, replaced: c_int) -> io::Result<c_int> {
    // SAFETY: whoever gives up the one that is replaced has the right to.
    checked(unsafe { libc::dup3(descriptor, replaced, libc::O_CLOEXEC) })
}

/// Carries out one of fcntl's commands for locks.
pub(super) fn lock(descriptor: c_int, command: c_int, lock: &mut libc::flock) -> io::Result<c_int> {
    // SAFETY: these commands take a pointer to a lock, and this is one.
    checked(unsafe { libc::fcntl(descriptor, command, &raw mut *lock) })
}

/// A lock of this type on so many bytes; 0 means all from `start` on.
#[allow(clippy::cast_possible_truncation)] // The constants are small.
pub(super) fn lock_of(kind: c_int, start: i64, len: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        l_pid: 0,
    }
}
