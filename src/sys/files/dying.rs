//! The system calls by which SQLite changes files, as places where a process can die: before any of them
//! (`file.change`), and in the middle of a write, half of which is done (`file.tear`).

use std::ffi::{c_char, c_int, c_void};

use super::calls;
use crate::hooks;
use crate::sys;

/// pwrite(2).
///
/// # Safety
/// That of pwrite.
pub(super) unsafe extern "C" fn pwrite(
    descriptor: c_int,
    from: *const c_void,
    bytes: usize,
    at: libc::off64_t,
) -> isize {
    hooks::point("file.change");
    let is_torn = hooks::is_due("file.tear");
    // SAFETY: as the caller promises, or of less.
    let written = unsafe { calls::pwrite(descriptor, from, if is_torn { bytes / 2 } else { bytes }, at) };
    if is_torn {
        sys::kill_this_process();
    }
    written
}

/// ftruncate(2).
pub(super) extern "C" fn ftruncate(descriptor: c_int, len: libc::off64_t) -> c_int {
    hooks::point("file.change");
    calls::ftruncate(descriptor, len)
}

/// unlink(2).
///
/// # Safety
/// `path` must be a C string.
pub(super) unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    hooks::point("file.change");
    // SAFETY: as the caller promises.
    unsafe { calls::unlink(path) }
}
