//! What is kept in memory of recent reads, never stale.
//!
//! Whatever is kept is labelled with a version of the ledger (see [`crate::store::Version`]) taken
//! *before* it was read. An answer is only given when the version now is the one on the label: then
//! nothing that could change the answer happened since the read began, in this process or any other.
//! The time to live bounds how long memory is held, not how stale an answer may be.

use std::borrow::Borrow;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lru::LruCache;

/// The least recently used values go first.
pub(crate) struct Cache<K: Hash + Eq, V, L>(Mutex<Kept<K, V, L>>);

struct Kept<K: Hash + Eq, V, L> {
    /// 0: nothing is kept.
    values_max: usize,
    ttl: Duration,
    /// The label of everything in `values`.
    version: Option<L>,
    values: LruCache<K, Value<V>>,
    /// When the first of them was read since there was none.
    since: Option<Instant>,
}

struct Value<V> {
    value: V,
    /// When somebody asked for it last.
    asked: Instant,
}

impl<K: Hash + Eq, V: Clone, L: Copy + PartialEq> Cache<K, V, L> {
    /// A cache of at most this many values, each for at most this long; 0: none.
    pub fn new(values_max: usize, ttl: Duration) -> Cache<K, V, L> {
        // Not allocated ahead: a large maximum must not cost a ledger that uses little of it.
        let mut kept = Kept { values_max, ttl, version: None, values: LruCache::unbounded(), since: None };
        kept.configure(values_max, ttl);
        Cache(Mutex::new(kept))
    }

    /// Keeps at most this many values from now on, each for at most this long.
    pub fn configure(&self, values_max: usize, ttl: Duration) {
        if let Some(mut kept) = self.kept() {
            kept.configure(values_max, ttl);
        }
    }

    /// The value for `key`, if it is what would be read now, at this version.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q, version: L) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut kept = self.kept()?;
        let now = kept.refresh(version);
        let value = kept.values.get_mut(key)?;
        value.asked = now;
        Some(value.value.clone())
    }

    /// Keeps a value that was read after the ledger had this version.
    pub fn put(&self, key: K, value: V, version: L) {
        let Some(mut kept) = self.kept() else { return };
        let now = kept.refresh(version);
        if kept.values_max > 0 {
            kept.since = kept.since.filter(|_| !kept.values.is_empty()).or(Some(now));
            kept.values.put(key, Value { value, asked: now });
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        if let Some(mut kept) = self.kept() {
            kept.values.clear();
            kept.version = None;
        }
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.kept().map_or(0, |kept| kept.values.len())
    }

    /// For how long it has held something; `None` if it holds nothing.
    pub fn age(&self) -> Option<Duration> {
        let kept = self.kept()?;
        if kept.values.is_empty() { None } else { kept.since.map(|since| since.elapsed()) }
    }

    fn kept(&self) -> Option<MutexGuard<'_, Kept<K, V, L>>> {
        // After a panic in it there is no cache: answers come from the file.
        self.0.lock().ok()
    }
}

impl<K: Hash + Eq, V, L: Copy + PartialEq> Kept<K, V, L> {
    fn configure(&mut self, values_max: usize, ttl: Duration) {
        self.values_max = values_max;
        self.ttl = ttl;
        match NonZeroUsize::new(values_max) {
            Some(most) => self.values.resize(most),
            None => self.values.clear(),
        }
    }

    /// Lets go of what is of another version, and of what nobody asked for in a long time; the
    /// time now.
    fn refresh(&mut self, version: L) -> Instant {
        if self.version != Some(version) {
            self.values.clear();
            self.version = Some(version);
        }
        let now = Instant::now();
        // What nobody asks for sinks to the end of the list, the longest unused last.
        while self.values.peek_lru().is_some_and(|(_, value)| now - value.asked >= self.ttl) {
            self.values.pop_lru();
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn an_answer_is_only_given_at_the_version_of_its_label() {
        let cache = Cache::new(2, LONG);
        cache.put(1, "one", 5);
        assert_eq!(cache.get(&1, 5), Some("one"));
        assert_eq!(cache.get(&1, 6), None);
        cache.put(2, "two", 6);
        assert_eq!(cache.get(&1, 6), None, "read at version 5");
        assert_eq!(cache.get(&2, 6), Some("two"));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(2, LONG);
        for key in [1, 2] {
            cache.put(key, key, 0);
        }
        cache.get(&1, 0);
        cache.put(3, 3, 0);
        assert_eq!(cache.get(&1, 0), Some(1));
        assert_eq!(cache.get(&2, 0), None);
    }

    #[test]
    fn a_time_to_live_of_nothing_and_a_size_of_nothing_keep_nothing() {
        for cache in [Cache::new(2, Duration::ZERO), Cache::new(0, LONG)] {
            cache.put(1, 1, 0);
            assert_eq!(cache.get(&1, 0), None);
        }
    }

    #[test]
    fn invalidation_forgets() {
        let cache = Cache::new(2, LONG);
        cache.put(1, 1, 0);
        cache.clear();
        assert_eq!(cache.get(&1, 0), None);
    }

    #[test]
    fn a_smaller_size_lets_go_and_a_larger_one_keeps_more() {
        let cache = Cache::new(3, LONG);
        (0..3).for_each(|key| cache.put(key, key, 0));
        assert!(cache.age().is_some() && cache.len() == 3);
        cache.configure(1, LONG);
        assert_eq!((cache.len(), cache.get(&2, 0)), (1, Some(2)), "the newest stays");
        cache.configure(0, LONG);
        assert_eq!((cache.len(), cache.age()), (0, None));
        cache.put(1, 1, 0);
        assert_eq!(cache.len(), 0);
        cache.configure(5, LONG);
        (0..4).for_each(|key| cache.put(key, key, 0));
        assert_eq!(cache.len(), 4);
    }
}
