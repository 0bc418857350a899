//! The system calls that SQLite makes in the place of its own.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::OURS;
use super::kinds::{Kind, kind_of};
use super::said::{OPEN_TO_WRITE, On, failed, unopened};
use super::system::{self, FileNumbers, answer};
use super::table::{Opening, hold};
use crate::sys::{budget, fork, mapping};

/// open(2).
///
/// # Safety
/// `path` must be a C string.
pub(super) unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: as the caller promises.
    let path = unsafe { CStr::from_ptr(path) };
    LARGEST.store(mapping::largest_file(), Ordering::Relaxed);
    let call = if flags & libc::O_ACCMODE == libc::O_RDONLY { "open" } else { OPEN_TO_WRITE };
    if let Err(error) = check_kind(path) {
        return noted(answer(Err(error)), call, On::Path(path));
    }
    if call != OPEN_TO_WRITE
        && let Some(why) = unopened(path)
    {
        return noted(answer(Err(why)), call, On::Path(path));
    }
    // Should a FIFO be there by now, nobody waits for who opens its other end. Files know no difference.
    let flags = flags | libc::O_NONBLOCK;
    // What must be new is a temporary file, or one that nobody else opens before it has been written.
    let opened = if flags & libc::O_EXCL == 0
        && let Opening::Shared(opened) = hold().open(path, flags, mode)
    {
        answer(opened)
    } else {
        answer(system::open(path, flags, mode))
    };
    noted(opened, call, On::Path(path))
}

/// Notes that a call failed, where it did.
fn noted(result: c_int, call: &'static str, on: On<'_>) -> c_int {
    if result == -1 {
        failed(call, on);
    }
    result
}

/// The same for calls that say how many bytes they moved.
fn noted_len(result: isize, call: &'static str, on: On<'_>) -> isize {
    if result == -1 {
        failed(call, on);
    }
    result
}

/// pread(2).
///
/// # Safety
/// That of pread.
pub(super) unsafe extern "C" fn pread(
    descriptor: c_int,
    buffer: *mut c_void,
    len: usize,
    offset: libc::off64_t,
) -> isize {
    // SAFETY: as the caller promises.
    noted_len(unsafe { libc::pread64(descriptor, buffer, len, offset) }, "read", On::Descriptor(descriptor))
}

/// pwrite(2). What a caller's statement writes are temporary files.
///
/// # Safety
/// That of pwrite.
pub(super) unsafe extern "C" fn pwrite(
    descriptor: c_int,
    buffer: *const c_void,
    len: usize,
    offset: libc::off64_t,
) -> isize {
    if !budget::take(len) {
        system::set_errno(libc::ENOSPC);
        return -1;
    }
    let Some(len) = within_the_limit(offset, len) else {
        system::set_errno(libc::EFBIG);
        return noted_len(-1, "write", On::Descriptor(descriptor));
    };
    // SAFETY: as the caller promises, and no more of it.
    noted_len(unsafe { libc::pwrite64(descriptor, buffer, len, offset) }, "write", On::Descriptor(descriptor))
}

/// How large a file of this process may be (RLIMIT_FSIZE), as it was when SQLite opened one last. Who writes
/// beyond that is ended by a signal, unless the host ignores it: so nobody does.
static LARGEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// How many bytes can be written there; `None` where none can, which is an error.
fn within_the_limit(offset: libc::off64_t, len: usize) -> Option<usize> {
    let left = LARGEST.load(Ordering::Relaxed).saturating_sub(u64::try_from(offset).unwrap_or(0));
    let some = usize::try_from(left).map_or(len, |left| left.min(len));
    (some > 0 || len == 0).then_some(some)
}

/// ftruncate(2).
pub(super) extern "C" fn ftruncate(descriptor: c_int, len: libc::off64_t) -> c_int {
    if u64::try_from(len).is_ok_and(|len| len > LARGEST.load(Ordering::Relaxed)) {
        system::set_errno(libc::EFBIG);
        return noted(-1, "truncate", On::Descriptor(descriptor));
    }
    // SAFETY: a descriptor and a number.
    noted(unsafe { libc::ftruncate64(descriptor, len) }, "truncate", On::Descriptor(descriptor))
}

/// lstat(2).
///
/// # Safety
/// `path` must be a C string, and `found` a place to write to.
pub(super) unsafe extern "C" fn lstat(path: *const c_char, found: *mut libc::stat) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { noted(libc::lstat(path, found), "stat", On::Path(CStr::from_ptr(path))) }
}

/// Refuses what is no file: a FIFO, a socket, a device, wherever SQLite looks for a database or its companions.
/// It opens directories too, to sync them, and this one device.
fn check_kind(path: &CStr) -> io::Result<()> {
    let is_known = |found: &libc::stat| {
        matches!(found.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK)
    };
    match system::lstat(path) {
        Ok(found) if !is_known(&found) && path != c"/dev/urandom" => {
            Err(io::Error::from_raw_os_error(libc::ENXIO))
        }
        _ => Ok(()),
    }
}

/// unlink(2).
///
/// # Safety
/// `path` must be a C string.
pub(super) unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    let path = unsafe { CStr::from_ptr(path) };
    let may_delete = hold().may_delete(path);
    let unlinked = answer(may_delete.and_then(|may| {
        if may { system::unlink(path) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
    }));
    noted(unlinked, "unlink", On::Path(path))
}

/// close(2).
pub(super) extern "C" fn close(descriptor: c_int) -> c_int {
    if kind_of(descriptor) == Kind::Foreign {
        return answer(system::close(descriptor));
    }
    hold().close(descriptor);
    0
}

/// fcntl(2) with F_SETLK, F_SETLKW or F_GETLK.
///
/// # Safety
/// `lock` must point to a lock.
pub(super) unsafe extern "C" fn lock(descriptor: c_int, command: c_int, lock: *mut libc::flock) -> c_int {
    // SAFETY: as the caller promises; nobody else has it.
    let lock = unsafe { &mut *lock };
    noted(answer(set_or_get(descriptor, command, lock)), "lock", On::Descriptor(descriptor))
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
    let is_written = protection & libc::PROT_WRITE != 0 && flags & libc::MAP_SHARED != 0;
    if is_written && let Err(why) = system::allocate(descriptor, offset, len) {
        system::set_errno(why.raw_os_error().unwrap_or(libc::EIO));
        failed("map", On::Descriptor(descriptor));
        return libc::MAP_FAILED;
    }
    // No fork comes between the two calls.
    let _table = hold();
    // SAFETY: as the caller promises.
    let mapping = unsafe { libc::mmap(address, len, protection, flags, descriptor, offset) };
    if mapping == libc::MAP_FAILED {
        failed("map", On::Descriptor(descriptor));
        return mapping;
    }
    if kind_of(descriptor) == Kind::Foreign {
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
    unsafe { as_shown(noted(libc::stat(path, found), "stat", On::Path(CStr::from_ptr(path))), found) }
}

/// fstat(2).
///
/// # Safety
/// `found` must be a place to write to.
pub(super) unsafe extern "C" fn fstat(descriptor: c_int, found: *mut libc::stat) -> c_int {
    // SAFETY: as above.
    unsafe { as_shown(noted(libc::fstat(descriptor, found), "stat", On::Descriptor(descriptor)), found) }
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
