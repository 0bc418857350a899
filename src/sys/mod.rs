//! What the operating system and the memory model need, behind small safe types.
//!
//! The only unsafe code of the crate outside `ffi/` lives here.

mod backref;
pub(crate) mod clock;
#[cfg(target_os = "linux")]
pub(crate) mod files;
#[cfg(not(target_os = "linux"))]
#[path = "files_elsewhere.rs"]
pub(crate) mod files;
pub(crate) mod fork;
mod grow;
mod thread;

pub(crate) use backref::Backref;
pub(crate) use grow::Grow;
pub(crate) use thread::spawn_quiet;
