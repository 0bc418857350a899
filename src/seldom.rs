//! Some words that are read at every call and changed seldom: reading them writes nothing, so that threads that
//! call at the same time do not wait for one another.
//!
//! A sequence lock, as Hans-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", puts
//! it: who reads looks whether the words were changed meanwhile, and reads again if so.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering, fence};

pub(crate) struct Seldom<const WORDS: usize> {
    /// Odd while the words are being changed.
    changes: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Seldom<WORDS> {
    pub fn new(words: [u64; WORDS]) -> Seldom<WORDS> {
        Seldom { changes: AtomicU64::new(0), words: words.map(AtomicU64::new) }
    }

    /// The words as they were at one moment.
    #[inline]
    pub fn get(&self) -> [u64; WORDS] {
        loop {
            let before = self.changes.load(Ordering::Acquire);
            let words = std::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            // What was read is not newer than what is seen of the changes behind this.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.changes.load(Ordering::Relaxed) == before {
                return words;
            }
            hint::spin_loop();
        }
    }

    /// Changes all of them. For one thread at a time.
    pub fn set(&self, words: [u64; WORDS]) {
        let before = self.changes.load(Ordering::Relaxed);
        self.changes.store(before + 1, Ordering::Relaxed);
        // Who sees a new word sees that they are being changed.
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.changes.store(before + 2, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sees_half_a_change() {
        let seldom = Seldom::<5>::new([0; 5]);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 20_000 {
                        let words = seldom.get();
                        assert!(words.iter().all(|word| *word == words[0]) && words[0] >= last, "{words:?}");
                        last = words[0];
                    }
                });
            }
            scope.spawn(|| (1..=20_000).for_each(|round| seldom.set([round; 5])));
        });
    }
}
