//! What the operating system and the memory model need, behind small safe types.
//!
//! The only unsafe code of the crate outside `ffi/` lives here.

mod backref;
pub(crate) mod clock;
pub(crate) mod fork;
mod grow;
mod thread;

pub(crate) use backref::Backref;
pub(crate) use grow::Grow;
pub(crate) use thread::spawn_quiet;
