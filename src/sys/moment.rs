//! What code between threads and processes is made of that a checker of all interleavings must know of:
//! `tests/model_ring.rs` compiles the lock of the commit log with another one of these, and
//! `tests/model_waiting.rs` what waits for entries.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
pub(crate) use std::time::Instant;

/// Times that one looks again before going to sleep, for a lock that is held for less than a microsecond.
pub(crate) const SPINS: u32 = 40;
