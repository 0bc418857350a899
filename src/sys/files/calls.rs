//! The system calls that SQLite makes in the place of its own.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;

use super::OURS;
use super::kinds::{Kind, kind_of};
use super::system::{self, FileNumbers, answer};
use super::table::{Opening, hold};
use crate::sys::{budget, fork};

/// open(2).
///
/// # Safety
/// `path` must be a C string.
pub(super) unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: as the caller promises.
    let path = unsafe { CStr::from_ptr(path) };
    // What must be new is a temporary file, or one that nobody else opens before it has been written.
    if flags & libc::O_EXCL == 0
        && let Opening::Shared(opened) = hold().open(path, flags, mode)
    {
        return answer(opened);
    }
    answer(system::open(path, flags, mode))
}

/// close(2).
pub(super) extern "C" fn close(descriptor: c_int) -> c_int {
    if kind_of(descriptor) == Kind::Foreign {
        return answer(system::close(descriptor));
    }
    hold().close(descriptor);
    0
}

/// pwrite(2), with offsets of 64 bits as SQLite has them. What a caller's statement writes are temporary files.
///
/// # Safety
/// That of pwrite.
pub(super) unsafe extern "C" fn pwrite(
    descriptor: c_int,
    from: *const c_void,
    bytes: usize,
    at: libc::off64_t,
) -> isize {
    if !budget::take(bytes) {
        system::set_errno(libc::ENOSPC);
        return -1;
    }
    // SAFETY: as the caller promises.
    unsafe { libc::pwrite64(descriptor, from, bytes, at) }
}

/// fcntl(2) with F_SETLK, F_SETLKW or F_GETLK.
///
/// # Safety
/// `lock` must point to a lock.
pub(super) unsafe extern "C" fn lock(descriptor: c_int, command: c_int, lock: *mut libc::flock) -> c_int {
    // SAFETY: as the caller promises; nobody else has it.
    let lock = unsafe { &mut *lock };
    answer(set_or_get(descriptor, command, lock))
}

fn set_or_get(descriptor: c_int, command: c_int, lock: &mut libc::flock) -> io::Result<c_int> {
    let command = match kind_of(descriptor) {
        Kind::Description => twin(command),
        Kind::Process => command,
        // A lock on it would not be one with those of the file's own descriptor.
        Kind::Foreign if is_of_another(descriptor) => return Err(io::Error::from_raw_os_error(libc::ENOLCK)),
        // Opened before this library was first used, by a Rust program that uses this SQLite too.
        Kind::Foreign => return system::lock(descriptor, command, lock),
    };
    // SQLite leaves the process unset, and must not find ours in it if this fails.
    let mut asked = libc::flock { l_pid: 0, ..*lock };
    // It unlocks a file as a whole; what is above its own bytes is ours.
    if asked.l_len == 0 {
        asked.l_len = OURS.saturating_sub(asked.l_start);
    }
    let result = system::lock(descriptor, command, &mut asked)?;
    if matches!(command, libc::F_GETLK | libc::F_OFD_GETLK) {
        *lock = asked;
    }
    Ok(result)
}

/// The command that does the same with locks of the open file description.
pub(super) fn twin(command: c_int) -> c_int {
    match command {
        libc::F_SETLK => libc::F_OFD_SETLK,
        libc::F_SETLKW => libc::F_OFD_SETLKW,
        libc::F_GETLK => libc::F_OFD_GETLK,
        other => other,
    }
}

/// Whether the file of this descriptor has another one in the table.
fn is_of_another(descriptor: c_int) -> bool {
    let found = system::fstat(descriptor);
    found.is_ok_and(|found| hold().kind(FileNumbers::of(&found)).is_some())
}

/// mmap(2).
///
/// # Safety
/// That of mmap.
pub(super) unsafe extern "C" fn mmap(
    address: *mut c_void,
    len: usize,
    protection: c_int,
    flags: c_int,
    descriptor: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // No fork comes between the two calls.
    let _table = hold();
    // SAFETY: as the caller promises.
    let mapping = unsafe { libc::mmap(address, len, protection, flags, descriptor, offset) };
    if mapping == libc::MAP_FAILED || kind_of(descriptor) == Kind::Foreign {
        return mapping;
    }
    // A mapping keeps the open file description, and its locks, when the parent has long ended.
    // SAFETY: it was just mapped, and nobody has its address yet.
    if unsafe { libc::madvise(mapping, len, libc::MADV_DONTFORK) } == -1 {
        let why = io::Error::last_os_error();
        // SAFETY: as above.
        unsafe { libc::munmap(mapping, len) };
        system::set_errno(why.raw_os_error().unwrap_or(libc::ENOMEM));
        return libc::MAP_FAILED;
    }
    mapping
}

/// stat(2).
///
/// # Safety
/// `path` must be a C string, and `found` a place to write to.
pub(super) unsafe extern "C" fn stat(path: *const c_char, found: *mut libc::stat) -> c_int {
    // SAFETY: as the caller promises; the place is filled in where the call succeeds.
    unsafe { as_shown(libc::stat(path, found), found) }
}

/// fstat(2).
///
/// # Safety
/// `found` must be a place to write to.
pub(super) unsafe extern "C" fn fstat(descriptor: c_int, found: *mut libc::stat) -> c_int {
    // SAFETY: as above.
    unsafe { as_shown(libc::fstat(descriptor, found), found) }
}

/// Changes the device that a forked child sees: the list of open files that its SQLite inherited then
/// has none of those that it opens itself. Linux has devices of 32 bits.
///
/// # Safety
/// `found` must be filled in if the result is 0.
unsafe fn as_shown(result: c_int, found: *mut libc::stat) -> c_int {
    if result == 0 {
        // None in the first process, which may have opened files before it came to this.
        let forks = fork::epoch().saturating_sub(1);
        // SAFETY: as the caller promises.
        unsafe { (*found).st_dev ^= forks << 32 };
    }
    result
}
