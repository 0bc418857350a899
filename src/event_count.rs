//! Waiting until something has happened, anywhere, where whoever lets it happen does nothing but look
//! when nobody waits: an event count. After Dmitry Vyukov's "eventcount" (1024cores.net, 2008) and
//! `folly::EventCount`, with all of its state in one word, so that processes can have it in common and
//! one that dies leaves nothing behind that must be put right.
//!
//! Whoever waits takes a key, looks whether what he waits for has happened, and only then sleeps; the
//! others let it happen first and then notify. Both change the word, one after the other: either the one
//! who notifies finds that somebody waits, and ends his key, or the one who waits sees what had happened.
//! `tests/model_waiting.rs` tries all interleavings.

use std::time::Duration;

use crate::sys::futex;
use crate::sys::moment::{AtomicU32, Ordering};

/// Somebody may sleep. All above this bit counts notifications.
const WAITED_FOR: u32 = 1;
const ONE: u32 = 2;

/// An event count in a word, which begins as anything.
#[derive(Clone, Copy)]
pub(crate) struct EventCount<'a>(&'a AtomicU32);

/// What was so before one looked.
#[derive(Clone, Copy)]
pub(crate) struct Key(u32);

impl<'a> EventCount<'a> {
    pub fn new(word: &'a AtomicU32) -> EventCount<'a> {
        EventCount(word)
    }

    /// Begins to wait: what happens from now on ends [`EventCount::wait`] with this key.
    pub fn prepare(self) -> Key {
        Key(self.0.fetch_or(WAITED_FOR, Ordering::AcqRel) | WAITED_FOR)
    }

    /// Sleeps until somebody notified after the key was taken, at most this long. May return early.
    pub fn wait(self, key: Key, most: Duration) {
        futex::wait(self.0, key.0, most);
    }

    /// Wakes all who wait. Where nobody does this is one look, and no system call.
    #[inline]
    pub fn notify(self) {
        // A change that changes nothing: whoever prepares after it sees what happened before it.
        if self.0.fetch_or(0, Ordering::AcqRel) & WAITED_FOR != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        // Who takes the mark away wakes; another one who comes at the same time need not.
        while seen & WAITED_FOR != 0 {
            let next = (seen & !WAITED_FOR).wrapping_add(ONE);
            match self.0.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return futex::wake(self.0, u32::MAX),
                Err(now) => seen = now,
            }
        }
    }
}
