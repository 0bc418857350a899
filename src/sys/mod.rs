//! What the operating system and the memory model need, behind small safe types.
//!
//! The only unsafe code of the crate outside `ffi/` lives here.

mod backref;
mod boot;
#[cfg(target_os = "linux")]
mod budget;
#[cfg(not(target_os = "linux"))]
#[path = "budget_elsewhere.rs"]
mod budget;
pub(crate) mod clock;
mod crc;
#[cfg(target_os = "linux")]
pub(crate) mod files;
#[cfg(not(target_os = "linux"))]
#[path = "files_elsewhere.rs"]
pub(crate) mod files;
pub(crate) mod fork;
pub(crate) mod futex;
mod grow;
pub(crate) mod mapping;
mod modules;
pub(crate) mod moment;
mod plain;
mod readiness;
mod thread;
mod words;

pub(crate) use backref::Backref;
pub(crate) use boot::boot_id;
pub(crate) use budget::Budget;
pub(crate) use crc::crc32c_append;
pub(crate) use grow::Grow;
pub(crate) use modules::drop_modules;
pub(crate) use plain::end_of_plain;
pub(crate) use readiness::Readiness;
pub(crate) use thread::{be_modest, spawn_quiet};
pub(crate) use words::{bytes, bytes_mut};

/// Ends this process as `kill -9` does: nothing is tidied up.
#[cfg(feature = "test-hooks")]
pub(crate) fn kill_this_process() -> ! {
    // SAFETY: a signal to this process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    std::process::abort()
}

/// Stops this process as `kill -STOP` does, until it is told to go on; this thread does not get any further
/// before.
#[cfg(feature = "test-hooks")]
pub(crate) fn stop_this_process() {
    // SAFETY: a signal to this thread, which stops them all.
    unsafe { libc::raise(libc::SIGSTOP) };
}
