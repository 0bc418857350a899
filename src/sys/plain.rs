//! Passing over the bytes of a JSON string that stand for themselves, many at a time.

/// Where the first byte is, from `at` on, that is a quote, a backslash or a control character; the end of the
/// bytes if none is.
#[inline(always)]
pub(crate) fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    while let Some(sixteen) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = special_of_sixteen(sixteen);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    end_of_plain_by_words(bytes, at)
}

/// A bit for each of the bytes that is none of the plain ones.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn special_of_sixteen(bytes: &[u8; 16]) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: every processor of this architecture has SSE2, and the sixteen bytes may be read.
    unsafe {
        let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        // Compared without signs: those below 0x20 are their own minimum with 0x1f.
        let controls = _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes, _mm_set1_epi8(0x1f)));
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)).cast_unsigned()
    }
}

/// The same, eight at a time.
///
/// Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a zero byte" and "has a byte
/// less than n"; the lowest byte that they find is always one.
fn end_of_plain_by_words(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        // A byte with its top bit set is none of them, and neither mask changes that bit.
        let borrowed =
            word.wrapping_sub(ONES * 0x20) | quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES);
        let found = borrowed & !word & TOPS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && !b"\"\\".contains(byte)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_end_where_they_would_one_by_one() {
        for byte in 0..=255_u8 {
            for len in [1, 7, 8, 9, 15, 16, 17, 40] {
                for place in 0..len {
                    let mut bytes = vec![b'\xff'; len];
                    bytes[place] = byte;
                    let is_special = |byte: &u8| *byte < 0x20 || b"\"\\".contains(byte);
                    for from in 0..=len {
                        let rest = &bytes[from..];
                        let expected = from + rest.iter().position(is_special).unwrap_or(rest.len());
                        assert_eq!(end_of_plain(&bytes, from), expected, "{byte} {place} {len} {from}");
                        assert_eq!(end_of_plain_by_words(&bytes, from), expected);
                    }
                }
            }
        }
        assert_eq!(end_of_plain(b"", 1), 1, "behind the end");
    }
}
