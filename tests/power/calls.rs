//! The system calls by which files are changed. This program defines them itself, in the place of the C
//! library's: SQLite, the standard library and simledger are linked to these. Each does what it is there
//! for, and tells the recorder.
//!
//! Those with a variable number of arguments are defined with all that they can have: on the processors
//! that this runs on they are passed in the same way.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{mode_t, off_t, size_t, ssize_t};

use crate::recorder::hold;

/// Which start of the machine simledger finds.
static BOOT: AtomicU64 = AtomicU64::new(1);

/// Lets simledger find that the machine was started anew; which start it is.
pub fn start_anew() -> u64 {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let boot = STARTS.fetch_add(1, Ordering::Relaxed) + 1;
    go_back_to(boot);
    boot
}

/// Lets simledger find that it is this start of the machine still.
pub fn go_back_to(boot: u64) {
    BOOT.store(boot, Ordering::Relaxed);
}

/// The raw call, with its result as the C library has it.
macro_rules! raw {
    ($number:ident $(, $argument:expr)*) => {
        // SAFETY: what the caller of this function promises is what the system call asks for.
        unsafe { libc::syscall(libc::$number $(, $argument)*) }
    };
}

/// The same where the result has 32 bits.
#[allow(clippy::cast_possible_truncation)] // Descriptors and 0 and -1.
fn int(result: c_long) -> c_int {
    result as c_int
}

unsafe fn open_recorded(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(path) };
    if name == c"/proc/sys/kernel/random/boot_id" {
        return boot_id(BOOT.load(Ordering::Relaxed));
    }
    let mut recording = hold();
    let was_there = int(raw!(SYS_faccessat, libc::AT_FDCWD, path, libc::F_OK)) == 0;
    let opened = int(raw!(SYS_openat, libc::AT_FDCWD, path, flags, mode));
    if opened >= 0 {
        recording.opened(name, opened, !was_there, flags & libc::O_TRUNC != 0);
    }
    opened
}

/// A file that says which start of the machine it is.
fn boot_id(boot: u64) -> c_int {
    let text = format!("{boot:08x}-0000-4000-8000-000000000000\n");
    let file = int(raw!(SYS_memfd_create, c"boot_id".as_ptr(), 0));
    assert!(file >= 0);
    raw!(SYS_pwrite64, file, text.as_ptr(), text.len(), 0);
    file
}

unsafe fn write_recorded(file: c_int, bytes: *const c_void, len: size_t, at: Option<off_t>) -> ssize_t {
    let mut recording = hold();
    let place =
        at.unwrap_or_else(|| if recording.is_on() { raw!(SYS_lseek, file, 0, libc::SEEK_CUR) } else { 0 });
    let written = match at {
        Some(at) => raw!(SYS_pwrite64, file, bytes, len, at),
        None => raw!(SYS_write, file, bytes, len),
    };
    if let (Ok(count @ 1..), Ok(place)) = (usize::try_from(written), u64::try_from(place)) {
        // SAFETY: the system has just read so many bytes there.
        recording.wrote(file, place, || unsafe { std::slice::from_raw_parts(bytes.cast(), count) });
    }
    written as ssize_t
}

fn truncate_recorded(file: c_int, len: off_t) -> c_int {
    let mut recording = hold();
    let done = int(raw!(SYS_ftruncate, file, len));
    if done == 0 {
        recording.sized(file);
    }
    done
}

fn allocate_recorded(file: c_int, mode: c_int, at: off_t, len: off_t) -> c_int {
    let mut recording = hold();
    let done = int(raw!(SYS_fallocate, file, mode, at, len));
    if done == 0 {
        recording.sized(file);
    }
    done
}

/// What is on the medium is made up here, so that nothing has to be brought there.
fn sync_recorded(file: c_int) -> c_int {
    hold().synced(file);
    // Whoever else wants to append at the same time does: what he appends is not on the medium.
    for _ in 0..10 {
        std::thread::yield_now();
    }
    0
}

unsafe fn map_recorded(
    address: *mut c_void,
    len: size_t,
    protection: c_int,
    flags: c_int,
    file: c_int,
    at: off_t,
) -> *mut c_void {
    let mapped = raw!(SYS_mmap, address, len, protection, flags, file, at);
    if mapped != -1 && file >= 0 && flags & libc::MAP_SHARED != 0 && protection & libc::PROT_WRITE != 0 {
        hold().mapped(file);
    }
    mapped as *mut c_void
}

/// Defines functions of the C library, each with the promises of the one that it stands for.
macro_rules! calls {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty = $body:expr;)*) => {$(
        /// # Safety
        /// That of the system call.
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe)]
        pub unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
            // SAFETY: the caller's promise.
            unsafe { $body }
        }
    )*};
}

calls! {
    open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int = open_recorded(path, flags, mode);
    open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int = open_recorded(path, flags, mode);
    creat(path: *const c_char, mode: mode_t) -> c_int =
        open_recorded(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode);
    write(file: c_int, bytes: *const c_void, len: size_t) -> ssize_t = write_recorded(file, bytes, len, None);
    pwrite(file: c_int, bytes: *const c_void, len: size_t, at: off_t) -> ssize_t =
        write_recorded(file, bytes, len, Some(at));
    pwrite64(file: c_int, bytes: *const c_void, len: size_t, at: off_t) -> ssize_t =
        write_recorded(file, bytes, len, Some(at));
    ftruncate(file: c_int, len: off_t) -> c_int = truncate_recorded(file, len);
    ftruncate64(file: c_int, len: off_t) -> c_int = truncate_recorded(file, len);
    fallocate(file: c_int, mode: c_int, at: off_t, len: off_t) -> c_int = allocate_recorded(file, mode, at, len);
    fallocate64(file: c_int, mode: c_int, at: off_t, len: off_t) -> c_int = allocate_recorded(file, mode, at, len);
    posix_fallocate(file: c_int, at: off_t, len: off_t) -> c_int =
        if allocate_recorded(file, 0, at, len) == 0 { 0 } else { *libc::__errno_location() };
    posix_fallocate64(file: c_int, at: off_t, len: off_t) -> c_int =
        if allocate_recorded(file, 0, at, len) == 0 { 0 } else { *libc::__errno_location() };
    fsync(file: c_int) -> c_int = sync_recorded(file);
    fdatasync(file: c_int) -> c_int = sync_recorded(file);
    unlink(path: *const c_char) -> c_int = {
        let mut recording = hold();
        let done = int(raw!(SYS_unlinkat, libc::AT_FDCWD, path, 0));
        if done == 0 {
            recording.unlinked(CStr::from_ptr(path));
        }
        done
    };
    rename(from: *const c_char, to: *const c_char) -> c_int = {
        let mut recording = hold();
        let done = int(raw!(SYS_renameat, libc::AT_FDCWD, from, libc::AT_FDCWD, to));
        if done == 0 {
            recording.renamed(CStr::from_ptr(from), CStr::from_ptr(to));
        }
        done
    };
    mmap(a: *mut c_void, len: size_t, protection: c_int, flags: c_int, file: c_int, at: off_t) -> *mut c_void =
        map_recorded(a, len, protection, flags, file, at);
    mmap64(a: *mut c_void, len: size_t, protection: c_int, flags: c_int, file: c_int, at: off_t) -> *mut c_void =
        map_recorded(a, len, protection, flags, file, at);
}
