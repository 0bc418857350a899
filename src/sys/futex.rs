//! Waiting for another process to change a word that both have mapped.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps until somebody calls [`wake`] on the word, at most this long, and not at all where it no
/// longer has this value. May also return early: look again.
pub(crate) fn wait(word: &AtomicU32, value: u32, timeout: Duration) {
    #[cfg(target_os = "linux")]
    {
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the address of a word that lives for the call, and a time; not FUTEX_PRIVATE, since
        // other processes have the word at other addresses.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const timeout) };
    }
    #[cfg(not(target_os = "linux"))]
    if word.load(std::sync::atomic::Ordering::Acquire) == value {
        std::thread::sleep(timeout.min(Duration::from_millis(1)));
    }
}

/// Wakes at most so many that sleep on the word.
pub(crate) fn wake(word: &AtomicU32, count: u32) {
    #[cfg(target_os = "linux")]
    // SAFETY: the address of a word that lives for the call.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count.min(i32::MAX as u32))
    };
    #[cfg(not(target_os = "linux"))]
    let _ = (word, count);
}
