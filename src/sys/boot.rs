//! Telling one start of the machine from another.

/// The kernel's name for this start of the machine; zeroes where it is not known.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |range| hex.get(range).and_then(|half| u64::from_str_radix(half, 16).ok());
    match (half(0..16), half(16..32)) {
        (Some(high), Some(low)) => [high, low],
        _ => [0; 2],
    }
}
