//! What is kept in memory of recent reads, never stale.
//!
//! Whatever is kept is labelled with the version of the ledger taken *before* it was read. An
//! answer is only given when the version now is the one on the label: then nothing was committed
//! since the read began, in this process or any other. The time to live bounds how long memory is
//! held, not how stale an answer may be.

use std::borrow::Borrow;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::store::Version;

/// The least recently used values go first.
pub(crate) struct Cache<K: Hash + Eq, V> {
    kept: Option<Mutex<Kept<K, V>>>,
    ttl: Duration,
}

struct Kept<K: Hash + Eq, V> {
    /// The label of everything in `values`.
    version: Option<Version>,
    values: LruCache<K, (V, Instant)>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of at most this many values, each for at most this long; 0: none.
    pub fn new(values_max: usize, ttl: Duration) -> Cache<K, V> {
        let kept = NonZeroUsize::new(values_max)
            // Not allocated ahead: a large maximum must not cost a ledger that uses little of it.
            .map(|most| {
                let mut values = LruCache::unbounded();
                values.resize(most);
                Mutex::new(Kept { version: None, values })
            });
        Cache { kept, ttl }
    }

    /// The value for `key`, if it is what would be read now, at this version.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q, version: Version) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut kept = self.kept()?;
        let now = kept.refresh(version, self.ttl);
        let (value, since) = kept.values.get_mut(key)?;
        *since = now;
        Some(value.clone())
    }

    /// Keeps a value that was read after the ledger had this version.
    pub fn put(&self, key: K, value: V, version: Version) {
        let Some(mut kept) = self.kept() else { return };
        let now = kept.refresh(version, self.ttl);
        kept.values.put(key, (value, now));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        if let Some(mut kept) = self.kept() {
            kept.values.clear();
            kept.version = None;
        }
    }

    fn kept(&self) -> Option<MutexGuard<'_, Kept<K, V>>> {
        // After a panic in it there is no cache: answers come from the file.
        self.kept.as_ref()?.lock().ok()
    }
}

impl<K: Hash + Eq, V> Kept<K, V> {
    /// Lets go of what is of another version, and of what nobody asked for in a long time; the
    /// time now.
    fn refresh(&mut self, version: Version, ttl: Duration) -> Instant {
        if self.version != Some(version) {
            self.values.clear();
            self.version = Some(version);
        }
        let now = Instant::now();
        // What nobody asks for sinks to the end of the list, the longest unused last.
        while self.values.peek_lru().is_some_and(|(_, (_, since))| now - *since >= ttl) {
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
        cache.put(1, "one", Version(5));
        assert_eq!(cache.get(&1, Version(5)), Some("one"));
        assert_eq!(cache.get(&1, Version(6)), None);
        cache.put(2, "two", Version(6));
        assert_eq!(cache.get(&1, Version(6)), None, "read at version 5");
        assert_eq!(cache.get(&2, Version(6)), Some("two"));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(2, LONG);
        for key in [1, 2] {
            cache.put(key, key, Version(0));
        }
        cache.get(&1, Version(0));
        cache.put(3, 3, Version(0));
        assert_eq!(cache.get(&1, Version(0)), Some(1));
        assert_eq!(cache.get(&2, Version(0)), None);
    }

    #[test]
    fn a_time_to_live_of_nothing_and_a_size_of_nothing_keep_nothing() {
        for cache in [Cache::new(2, Duration::ZERO), Cache::new(0, LONG)] {
            cache.put(1, 1, Version(0));
            assert_eq!(cache.get(&1, Version(0)), None);
        }
    }

    #[test]
    fn invalidation_forgets() {
        let cache = Cache::new(2, LONG);
        cache.put(1, 1, Version(0));
        cache.clear();
        assert_eq!(cache.get(&1, Version(0)), None);
    }
}
