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
    if is_ascii(bytes) {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        Error::argument(name, format!("{name} is not UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// Whether it is all ASCII, without a branch for each few bytes: most is, and not long.
fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else { return bytes.is_ascii() };
    let together = |all, eight: &[u8; 8]| all | u64::from_ne_bytes(*eight);
    let all = bytes.as_chunks::<8>().0.iter().fold(u64::from_ne_bytes(*last), together);
    all & ((u64::MAX / 255) << 7) == 0
}

/// An array that C lends us for the call.
///
/// # Safety
/// `pointer` is NULL, or `len` values can be read there. Nobody changes them during `'a`.
pub(super) unsafe fn array<'a, T>(
    pointer: *const T,
    len: usize,
    name: &str,
    len_name: &str,
) -> Result<&'a [T]> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(name)),
        (_, len) if len > isize::MAX as usize / size_of::<T>() => {
            let message = format!("{len_name} is {len}, more than any array can have");
            Err(Error::argument(len_name, message))
        }
        // SAFETY: not NULL, as long as the caller promises, and no longer than an object can be.
        _ => Ok(unsafe { std::slice::from_raw_parts(pointer, len) }),
    }
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

/// Where a text goes that C will own, and its length.
pub(super) struct TextOut {
    text: Out<*mut c_char>,
    len: Out<usize>,
}

impl TextOut {
    /// # Safety
    /// Both are NULL, or can be written to as long as the `TextOut` lives.
    pub unsafe fn new(text: *mut *mut c_char, len: *mut usize) -> TextOut {
        // SAFETY: as the caller promises.
        unsafe { TextOut { text: Out::new(text, std::ptr::null_mut()), len: Out::new(len, 0) } }
    }

    /// The call makes no sense without this result.
    pub fn required(&self, name: &str) -> Result<()> {
        self.text.required(name)
    }

    /// Hands a copy out, to be ended by `simledger_string_free`. It may hold NULs.
    pub fn set(&self, text: &str) -> Result<()> {
        // SAFETY: any size may be asked for; it is not 0.
        let copy = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
        if copy.is_null() {
            return Err(Error::no_memory("the text", "ask for less at a time"));
        }
        // SAFETY: the block is new and has room for the text and its NUL.
        unsafe {
            copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
            copy.add(text.len()).write(0);
        }
        self.len.set(text.len());
        self.text.set(copy.cast());
        Ok(())
    }
}

/// A struct that C sees: it begins with its size, as its caller knows it.
///
/// # Safety
/// The first field is the `usize` that holds the size, and all zeroes are a valid value.
pub(super) unsafe trait SelfSized: Copy {
    /// The size of the first version.
    const MIN: usize;
}

/// Larger ones were not made by any caller that set the size.
const STRUCT_SIZE_MAX: usize = 4096;

/// The size that the caller gave to its struct.
///
/// # Safety
/// `target` is NULL, or its first field can be read.
pub(super) unsafe fn struct_size<T: SelfSized>(target: *const T, name: &str) -> Result<usize> {
    if target.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, and the first field is a usize.
    let size = unsafe { target.cast::<usize>().read() };
    // In an array each begins where the one before ends.
    if (T::MIN..=STRUCT_SIZE_MAX).contains(&size) && size.is_multiple_of(align_of::<T>()) {
        return Ok(size);
    }
    let message = format!(
        "{name}->struct_size is {size}; set it to the size of the struct, at least {}, before the call",
        T::MIN
    );
    Err(Error::argument(name, message))
}

/// Fills a struct of C: as much as both sides know, and the rest of the caller's with zeroes.
///
/// # Safety
/// `size` bytes can be written at `target`, as `struct_size` found them.
pub(super) unsafe fn fill<T: SelfSized>(target: *mut T, size: usize, value: &T) {
    let common = size.min(size_of::<T>());
    let (target, value) = (target.cast::<u8>(), std::ptr::from_ref(value).cast::<u8>());
    // SAFETY: both are at least `common` bytes long, and the caller's `size`; they do not overlap,
    // since `value` is ours. The size in front is put back as the caller set it.
    unsafe {
        target.copy_from_nonoverlapping(value, common);
        target.add(common).write_bytes(0, size - common);
        target.cast::<usize>().write(size);
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

/// The same for a text that has its NUL as last character, where there is one; else NULL.
///
/// # Safety
/// `len` is NULL or can be written to.
pub(super) unsafe fn lend_with_nul(text: Option<&str>, len: *mut usize) -> *const c_char {
    match text.and_then(|text| text.strip_suffix('\0')) {
        // SAFETY: as the caller promises; behind the text without its NUL is the NUL.
        Some(text) => unsafe { lend(text, len) },
        None => {
            // SAFETY: as the caller promises.
            unsafe { Out::new(len, 0) };
            std::ptr::null()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_byte_that_is_not_ascii_is_found_wherever_it_is() {
        for len in 0..50 {
            let mut bytes = vec![0x7f; len];
            assert!(super::is_ascii(&bytes));
            for place in 0..len {
                bytes[place] = 0x80;
                assert!(!super::is_ascii(&bytes), "{len} {place}");
                bytes[place] = 0;
            }
        }
    }
}
