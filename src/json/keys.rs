//! The keys of the objects that are being read, of which none may stand twice.

use std::borrow::Cow;

use super::scan::{Fault, Reason};

/// Above this many keys, an object is checked for duplicates by sorting instead of pairwise.
const PAIRWISE_MAX: usize = 16;

/// Keys of objects inside one another, innermost last.
#[derive(Default)]
pub(super) struct Keys<'a>(Vec<Key<'a>>);

struct Key<'a> {
    /// Made of its ends and its length: where these differ, the keys do.
    print: u64,
    text: Cow<'a, [u8]>,
    /// How many there were before it.
    index: usize,
}

impl<'a> Keys<'a> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a key that ends at `at`.
    #[inline]
    pub fn add(&mut self, text: Cow<'a, [u8]>, at: usize) -> Result<(), Fault> {
        if self.0.len() == self.0.capacity() && self.0.try_reserve(PAIRWISE_MAX).is_err() {
            return Err(Fault { offset: at, reason: Reason::OutOfMemory });
        }
        self.0.push(Key { print: print(&text), text, index: self.0.len() });
        Ok(())
    }

    /// Refuses the object whose keys begin at `from`, and that ends at `at`, if one of them stands twice.
    pub fn refuse_duplicates(&mut self, from: usize, at: usize) -> Result<(), Fault> {
        let keys = &mut self.0[from..];
        let is_like = |one: &Key<'_>, other: &Key<'_>| one.print == other.print && one.text == other.text;
        let twice = if keys.len() <= PAIRWISE_MAX {
            (1..keys.len()).find(|&i| keys[..i].iter().any(|key| is_like(key, &keys[i]))).map(|i| &keys[i])
        } else {
            // The keys are thrown away next, so their order is free.
            keys.sort_unstable_by(|one, other| one.text.cmp(&other.text).then(one.index.cmp(&other.index)));
            // The first that is there already, as above.
            let pairs = keys.windows(2).filter(|pair| is_like(&pair[0], &pair[1]));
            pairs.map(|pair| &pair[1]).min_by_key(|key| key.index)
        };
        match twice {
            None => Ok(()),
            Some(key) => {
                let key = String::from_utf8_lossy(&key.text);
                Err(Fault { offset: at, reason: Reason::DuplicateKey(crate::error::excerpt(&key)) })
            }
        }
    }

    /// Forgets the keys from `from` on.
    #[inline]
    pub fn forget(&mut self, from: usize) {
        self.0.truncate(from);
    }
}

#[inline]
fn print(text: &[u8]) -> u64 {
    let ends = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
            }
            _ => text.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)),
        },
    };
    ends ^ (text.len() as u64).rotate_right(8)
}
