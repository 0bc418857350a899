//! CRC-32C of words, as the crate crc32c has it of bytes.

/// Goes on from the checksum of what is before. Records of usual entries are done here, by the processor's
/// instruction and nothing around it; what is longer is for the crate, which does three parts of it at once.
#[inline]
pub(crate) fn crc32c_append(crc: u32, words: &[u64]) -> u32 {
    /// Where the crate becomes faster.
    #[cfg(target_arch = "x86_64")]
    const FEW: usize = 64;
    #[cfg(target_arch = "x86_64")]
    if words.len() <= FEW && is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has the instruction.
        return unsafe { of_few(crc, words) };
    }
    crc32c::crc32c_append(crc, super::bytes(words))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn of_few(crc: u32, words: &[u64]) -> u32 {
    let step = |crc, word: &u64| std::arch::x86_64::_mm_crc32_u64(crc, *word);
    #[allow(clippy::cast_possible_truncation)] // The upper half is zero.
    let crc = words.iter().fold(u64::from(!crc), step) as u32;
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_checksum_of_the_crate_whatever_the_length() {
        let words: Vec<u64> = (1..=200_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for len in 0..words.len() {
            for crc in [0, 1, u32::MAX, 0x1234_5678] {
                let expected = crc32c::crc32c_append(crc, super::super::bytes(&words[..len]));
                assert_eq!(super::crc32c_append(crc, &words[..len]), expected);
            }
        }
        // RFC 3720, B.4: 32 bytes of zeroes. (Its bytes are in the other order.)
        assert_eq!(super::crc32c_append(0, &[0; 4]), 0x8a91_36aa);
    }
}
