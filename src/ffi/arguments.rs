//! Arguments from C, checked before anything is done with them.

use std::ffi::{CStr, c_char};

use crate::error::{Error, Result};

/// As a length: the text ends at its NUL.
const NUL_TERMINATED: usize = usize::MAX;

/// A text that C lends us for the call.
///
/// # Safety
/// `pointer` is NULL, or `len` bytes can be read there; with `NUL_TERMINATED`, bytes up to a NUL.
/// Nobody changes them during `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(name));
    }
    let bytes = if len == NUL_TERMINATED {
        // SAFETY: not NULL, and ends with a NUL, as the caller promises.
        unsafe { CStr::from_ptr(pointer) }.to_bytes()
    } else if isize::try_from(len).is_err() {
        let message = format!(
            "{name} has a length of {len}, which no object can have; \
             give its length in bytes, or SIMLEDGER_NUL_TERMINATED"
        );
        return Err(Error::argument(name, message));
    } else {
        // SAFETY: not NULL, `len` bytes can be read as the caller promises, and fits an isize.
        unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len) }
    };
    std::str::from_utf8(bytes).map_err(|error| {
        Error::argument(name, format!("{name} is not UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// Where a result goes. Set to nothing when it is made, so that a failed call leaves nothing there.
pub(super) struct Out<T> {
    pointer: *mut T,
}

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is NULL, or can be written to as long as the `Out` lives.
    pub unsafe fn new(pointer: *mut T, nothing: T) -> Out<T> {
        if !pointer.is_null() {
            // SAFETY: not NULL, and can be written to as the caller promises.
            unsafe { pointer.write(nothing) };
        }
        Out { pointer }
    }

    /// The call makes no sense without this result.
    pub fn required(&self, name: &str) -> Result<()> {
        if self.pointer.is_null() { Err(null(name)) } else { Ok(()) }
    }

    /// Hands the result out, if C wants it.
    pub fn set(&self, value: T) {
        if !self.pointer.is_null() {
            // SAFETY: not NULL, and can be written to as promised to `new`.
            unsafe { self.pointer.write(value) };
        }
    }
}

/// A required pointer is NULL.
pub(super) fn null(name: &str) -> Error {
    Error::argument(name, format!("{name} is NULL"))
}

/// Lends a text to C: the pointer to its first byte, and its length if C wants it. The text is
/// followed by a NUL, as those of chunks and results are.
///
/// # Safety
/// `len` is NULL or can be written to. The byte behind the text is a NUL.
pub(super) unsafe fn lend(text: &str, len: *mut usize) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { Out::new(len, text.len()) };
    text.as_ptr().cast()
}
