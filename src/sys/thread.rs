//! Threads of the library's own, which must not disturb the program they run in.

use std::io;
use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle};

/// Of a thread: what the standard library gives one. Said here, since it would look into the environment for it.
const STACK_BYTES: usize = 2 << 20;

/// Starts a thread that no signal of the program is ever delivered to.
pub(crate) fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // A thread inherits the mask of the one that starts it.
    without_signals(|| Builder::new().name(name.to_string()).stack_size(STACK_BYTES).spawn(body))
}

/// Does `work` on this thread with signals delivered only behind it.
pub(super) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    /// Gives the calling thread its signals back.
    struct PutBack(libc::sigset_t);
    impl Drop for PutBack {
        fn drop(&mut self) {
            // SAFETY: the set is one that pthread_sigmask filled in.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset fills in the set that is passed on; the place for the old one can be written
    // to. With these arguments neither can fail, and so both sets are filled in.
    let _put_back = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        PutBack(before.assume_init())
    };
    work()
}

/// Lets the other threads of the program go before the calling one where there are more than
/// processors.
pub(crate) fn be_modest() {
    /// Of the 20 steps that there are.
    const STEPS: libc::c_int = 5;
    #[cfg(target_os = "linux")]
    // SAFETY: a number; on Linux this is about the calling thread alone (nice(2)).
    unsafe {
        libc::nice(STEPS)
    };
}
