//! The lock that appends take turns at, across processes.
//!
//! One word in the shared page: who has it, and whether somebody waits. A process is named by its
//! incarnation, a number that is given once in the life of a log and kept alive by a lock on a byte of
//! the ledger file, which the kernel gives up when the process dies. Who waits for a holder that is
//! dead takes over. Nothing of this trusts what else is in the page, as the list of a
//! robust mutex of POSIX would, nor that both processes have the same C library or see the same
//! process ids.
//!
//! Who finds the lock free may take it before those who sleep, until one of them has waited for
//! [`PATIENCE`]: from then on the free lock is for those who have waited so long.
//!
//! The word with a futex follows Ulrich Drepper, "Futexes Are Tricky", mutex 2.

use std::ops::Range;
use std::time::Duration;

use crate::call;
use crate::sys::files::FileLocks;
use crate::sys::futex;
use crate::sys::moment::{AtomicU32, Instant, Ordering, SPINS, spin_loop};

/// Somebody sleeps.
const WAITED_FOR: u32 = 1 << 31;
/// Somebody has slept for too long.
const URGENT: u32 = 1 << 30;
const HOLDER: u32 = URGENT - 1;

/// Most incarnations that there can be.
pub(super) const INCARNATION_MAX: u32 = HOLDER;

/// How long one may wait before the lock is kept free for those who wait.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long one sleeps before looking whether the holder is still alive. Only a holder that died or
/// was stopped has the lock for so long.
const LOOK: Duration = Duration::from_millis(5);

/// The bytes of the ledger file that incarnations lock.
const ALIVE: u64 = 1 << 32;

/// The byte that an incarnation keeps locked.
pub(super) fn byte_of(incarnation: u32) -> u64 {
    ALIVE + u64::from(incarnation)
}

/// The bytes of all incarnations.
pub(super) fn bytes_of_all() -> Range<u64> {
    ALIVE..ALIVE + u64::from(INCARNATION_MAX) + 1
}

/// How whoever has the lock came by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The one before gave it back.
    Free,
    /// The one before died with it.
    FromTheDead,
}

/// Takes the lock for an incarnation; `None` if the time budget of the call ends first.
#[inline]
pub(super) fn take(word: &AtomicU32, me: u32, files: &FileLocks) -> Option<Taken> {
    if word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return Some(Taken::Free);
    }
    take_slowly(word, me, files)
}

#[cold]
fn take_slowly(word: &AtomicU32, me: u32, files: &FileLocks) -> Option<Taken> {
    let mut began = None::<Instant>;
    let mut spins = 0;
    let mut had_slept = false;
    loop {
        let seen = word.load(Ordering::Relaxed);
        let is_urgent = began.is_some_and(|began| began.elapsed() >= PATIENCE);
        if seen & HOLDER == 0 && (seen & URGENT == 0 || is_urgent) {
            // Others may sleep: who has slept cannot know, and wakes one in vain at worst.
            let mine = me | if had_slept { WAITED_FOR } else { seen & WAITED_FOR };
            if word.compare_exchange_weak(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(Taken::Free);
            }
            continue;
        }
        if spins < SPINS && seen & HOLDER != 0 {
            spins += 1;
            spin_loop();
            continue;
        }
        began.get_or_insert_with(Instant::now);
        let left = call::remaining();
        if left.is_zero() {
            return None;
        }
        let waited_for = seen | WAITED_FOR | if is_urgent { URGENT } else { 0 };
        if seen != waited_for
            && word.compare_exchange(seen, waited_for, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        let nap = if is_urgent { LOOK } else { PATIENCE };
        futex::wait(word, waited_for, left.min(nap));
        had_slept = true;
        let holder = waited_for & HOLDER;
        if holder != 0
            && holder != me
            && began.is_some_and(|began| began.elapsed() >= LOOK)
            && word.load(Ordering::Relaxed) & HOLDER == holder
            && is_dead(holder, files)
        {
            // Incarnations are never given again: if the word still names it, nobody had the lock
            // since it died.
            let now = word.load(Ordering::Relaxed);
            if now & HOLDER == holder
                && word.compare_exchange(now, me | WAITED_FOR, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Some(Taken::FromTheDead);
            }
        }
    }
}

/// Whether the process of another incarnation has ended, or closed the ledger.
pub(super) fn is_dead(incarnation: u32, files: &FileLocks) -> bool {
    let byte = byte_of(incarnation);
    // Not known is taken for alive.
    files.is_locked_by_others(byte..byte + 1).is_ok_and(|locked| !locked)
}

/// Gives the lock back.
#[inline]
pub(super) fn give_back(word: &AtomicU32) {
    let before = word.fetch_and(URGENT, Ordering::Release);
    if before & WAITED_FOR != 0 {
        // Who is urgent must be among those that wake.
        futex::wake(word, if before & URGENT == 0 { 1 } else { u32::MAX });
    }
}
