//! Words as the bytes that they are.

/// Their bytes.
pub(crate) fn bytes(words: &[u64]) -> &[u8] {
    // SAFETY: a word is eight bytes of any value.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// Their bytes, to be changed.
pub(crate) fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as above, and any eight bytes are a word.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
