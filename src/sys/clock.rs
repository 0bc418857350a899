//! Clocks that cost a few nanoseconds and are exact to a few milliseconds.

#[cfg(target_os = "linux")]
const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(target_os = "linux")]
const REALTIME: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
#[cfg(not(target_os = "linux"))]
const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(not(target_os = "linux"))]
const REALTIME: libc::clockid_t = libc::CLOCK_REALTIME;

/// Milliseconds since some moment before the program's start; never goes back.
pub(crate) fn coarse_millis() -> u64 {
    let now = read(MONOTONIC);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Whole seconds since 1970.
pub(crate) fn coarse_seconds() -> i64 {
    read(REALTIME).tv_sec
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to, and the clock is one that every kernel has.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now
}
