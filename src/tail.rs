//! The newest entries of a ledger in memory: extended by what is new, never read twice.
//!
//! Held as shared chunks, so that a result of it is a few ranges and copies nothing. Fed by the
//! storage, in the order of ids, and bounded by a budget of bytes. It knows every entry above some
//! id and none below; whoever asks for older ones gets those from the storage, and the newer ones
//! from here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::chunk::{Chunk, Entry, Fields};
use crate::entries::Span;
use crate::error::Result;

/// What readers see.
pub(crate) struct Tail {
    /// The last id that may be seen. Whole batches become visible by one store.
    last: AtomicI64,
    /// What [`Kept::after`] is, for those who ask for nothing else.
    after: AtomicI64,
    /// Most bytes that are kept of what the storage has as well.
    bytes_max: AtomicUsize,
    kept: RwLock<Kept>,
}

struct Kept {
    /// All entries above this id are here.
    after: i64,
    /// In order, none of them empty but perhaps the last.
    chunks: VecDeque<Arc<Chunk>>,
    /// Bytes of all but the last.
    bytes: usize,
}

/// The one that adds to a tail.
pub(crate) struct Feeder {
    tail: Arc<Tail>,
    /// The chunk that is being filled.
    open: Option<Arc<Chunk>>,
    /// The last id that was added, visible or not.
    added: i64,
    /// Where it began anew, until all is there again that was seen before.
    restarted: Option<i64>,
    /// Whether a chunk was begun since the last trim.
    grown: bool,
}

impl Tail {
    /// A tail that knows nothing.
    pub fn new(bytes_max: usize) -> Arc<Tail> {
        Arc::new(Tail {
            last: AtomicI64::new(0),
            after: AtomicI64::new(i64::MAX),
            bytes_max: AtomicUsize::new(bytes_max),
            kept: RwLock::new(Kept { after: i64::MAX, chunks: VecDeque::new(), bytes: 0 }),
        })
    }

    /// One that adds to it; whoever did so before must be gone. Begins with [`Feeder::restart`].
    pub fn feeder(self: &Arc<Tail>) -> Feeder {
        Feeder { tail: Arc::clone(self), open: None, added: 0, restarted: None, grown: false }
    }

    /// Keeps at most so many bytes from now on.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// The last id that may be seen; 0 before anything is known.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Acquire)
    }

    /// The id that all entries above are here; [`i64::MAX`]: nothing is known at this moment.
    pub fn after(&self) -> i64 {
        self.after.load(Ordering::Acquire)
    }

    /// All entries above this id, as far as they may be seen; `None` where some of them are not here. The bytes and number of what is given are bounded by `most`.
    pub fn since(&self, after: i64, most: Most) -> Option<Found> {
        let last = self.last().min(most.id);
        let mut found = Found { spans: Vec::new(), position: last, stopped: false };
        let is_known = |from: i64| after >= from && from != i64::MAX;
        if after >= last && is_known(self.after()) {
            return Some(found);
        }
        let kept = self.read();
        if !is_known(kept.after) {
            return None;
        }
        let first = kept.chunks.partition_point(|chunk| chunk.ids().first().is_some_and(|id| *id <= after));
        let Most { mut entries, mut bytes, .. } = most;
        let mut begun = false;
        for chunk in kept.chunks.range(first.saturating_sub(1)..) {
            let (begin, end) = (chunk.index_after(after), chunk.index_after(last));
            if begin >= end {
                continue;
            }
            let mut range = begin..end;
            if range.len() > entries {
                range.end = range.start + entries;
            }
            if chunk.bytes(range.clone()) > bytes {
                range.end = range.start + fitting(chunk, range.clone(), bytes);
            }
            begun |= !range.is_empty();
            if range.end < end {
                found.stopped = true;
            }
            if !range.is_empty() {
                entries -= range.len();
                bytes -= chunk.bytes(range.clone());
                found.position = chunk.ids()[range.end - 1];
                found.spans.push(Span::new(Arc::clone(chunk), range));
            }
            if found.stopped {
                if !begun {
                    found.position = after;
                }
                return Some(found);
            }
        }
        found.position = last;
        Some(found)
    }

    /// The entry with this id, if it is here.
    pub fn get(&self, id: i64) -> Option<Entry> {
        let last = self.last();
        let kept = self.read();
        if id <= kept.after || id > last {
            return None;
        }
        let behind =
            kept.chunks.partition_point(|chunk| chunk.ids().first().is_some_and(|first| *first <= id));
        let chunk = kept.chunks.get(behind.checked_sub(1)?)?;
        let index = chunk.index_after(id).checked_sub(1)?;
        (chunk.ids().get(index) == Some(&id)).then(|| Entry::new(Arc::clone(chunk), index))
    }

    /// Bytes that it keeps, and for how many entries.
    pub fn size(&self) -> (usize, usize) {
        let kept = self.read();
        let last = kept.chunks.back().map_or(0, |chunk| chunk.bytes(0..chunk.len()));
        (kept.bytes + last, kept.chunks.iter().map(|chunk| chunk.len()).sum())
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        // Nothing in here panics half-way.
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most that is given.
#[derive(Clone, Copy)]
pub(crate) struct Most {
    pub entries: usize,
    pub bytes: usize,
    /// The largest id.
    pub id: i64,
}

/// No bounds.
pub(crate) const ALL: Most = Most { entries: usize::MAX, bytes: usize::MAX, id: i64::MAX };

/// What is there of the entries that were asked for.
pub(crate) struct Found {
    pub spans: Vec<Span>,
    /// The last id that was looked at: the last that there is, however far above it was asked for.
    pub position: i64,
    /// Whether there are more, which would be too many.
    pub stopped: bool,
}

/// How many entries from the beginning of this range fit.
fn fitting(chunk: &Chunk, range: std::ops::Range<usize>, bytes: usize) -> usize {
    let (mut fits, mut too_many) = (0, range.len() + 1);
    while too_many - fits > 1 {
        let half = fits + (too_many - fits) / 2;
        if chunk.bytes(range.start..range.start + half) <= bytes {
            fits = half;
        } else {
            too_many = half;
        }
    }
    fits
}

impl Feeder {
    /// The last id that was added, or passed.
    pub fn added(&self) -> i64 {
        self.added
    }

    /// Forgets everything, and goes on behind this id: known again from the next [`Feeder::show`] on
    /// that brings all that was seen before.
    pub fn restart(&mut self, after: i64) {
        let nothing = Kept { after: i64::MAX, chunks: VecDeque::new(), bytes: 0 };
        self.tail.after.store(i64::MAX, Ordering::Release);
        *self.tail.write() = nothing;
        self.open = None;
        self.added = after;
        self.restarted = Some(after);
    }

    /// Adds an entry behind all others, to be seen after [`Feeder::show`].
    pub fn add(&mut self, fields: &Fields<'_>) -> Result<()> {
        debug_assert!(fields.id > self.added);
        if !self.open.as_ref().is_some_and(|chunk| chunk.push(fields)) {
            let chunk = Chunk::with_usual_room(fields)?;
            let fits = chunk.push(fields);
            debug_assert!(fits);
            let mut kept = self.tail.write();
            if let Some(full) = &self.open {
                kept.bytes += full.bytes(0..full.len());
            }
            kept.chunks.push_back(Arc::clone(&chunk));
            self.open = Some(chunk);
            self.grown = true;
        }
        self.added = fields.id;
        Ok(())
    }

    /// Lets all that was added be seen.
    pub fn show(&mut self) {
        if self.added >= self.tail.last.load(Ordering::Relaxed) {
            self.tail.last.store(self.added, Ordering::Release);
            if let Some(after) = self.restarted.take() {
                self.tail.write().after = after;
                self.tail.after.store(after, Ordering::Release);
            }
        }
    }

    /// Whether more memory was taken since the last trim.
    pub fn has_grown(&self) -> bool {
        self.grown
    }

    /// Lets go of the oldest entries that are above the budget, and of those up to `removed`, some of
    /// which the storage may have no more. Only of what the storage has: up to `stored`.
    pub fn trim(&mut self, stored: i64, removed: i64) {
        let most = self.tail.bytes_max.load(Ordering::Relaxed);
        self.grown = false;
        let mut gone = removed.min(stored);
        let mut kept = self.tail.write();
        while kept.chunks.len() > 1 {
            let last = kept.chunks[0].ids().last().copied().unwrap_or(0);
            if last > stored || (kept.bytes <= most && last > removed) {
                break;
            }
            kept.bytes -= kept.chunks[0].bytes(0..kept.chunks[0].len());
            kept.chunks.pop_front();
            gone = gone.max(last);
        }
        kept.after = kept.after.max(gone);
        self.tail.after.store(kept.after, Ordering::Release);
        self.restarted = self.restarted.map(|after| after.max(gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(id: i64, features: &str) -> Fields<'_> {
        Fields { id, timestamp: 1.0, node_id: "n", features, confidence: 0.5, created_at: 2.0 }
    }

    fn ids(found: &Found) -> Vec<i64> {
        found.spans.iter().flat_map(|span| span.chunk.ids()[span.range.clone()].to_vec()).collect()
    }

    fn filled(last: i64) -> (Arc<Tail>, Feeder) {
        let tail = Tail::new(usize::MAX);
        let mut feeder = tail.feeder();
        feeder.restart(10);
        feeder.show();
        (11..=last).for_each(|id| feeder.add(&fields(id, "{}")).unwrap());
        feeder.show();
        (tail, feeder)
    }

    #[test]
    fn knows_nothing_at_first_and_then_all_above_an_id() {
        let tail = Tail::new(usize::MAX);
        let mut feeder = tail.feeder();
        assert!(tail.since(5, ALL).is_none() && tail.get(1).is_none());
        assert!(tail.since(i64::MAX, ALL).is_none());
        feeder.restart(10);
        feeder.show();
        assert!(tail.since(9, ALL).is_none());
        assert_eq!(tail.since(10, ALL).unwrap().position, 10);
        feeder.add(&fields(11, "{}")).unwrap();
        assert!(ids(&tail.since(10, ALL).unwrap()).is_empty(), "not to be seen yet");
        feeder.show();
        assert_eq!(ids(&tail.since(10, ALL).unwrap()), [11]);
        assert_eq!(tail.get(11).unwrap().as_ref().id(), 11);
        for above in [500, i64::MAX] {
            assert_eq!(tail.since(above, ALL).unwrap().position, 11, "what there is ends there");
        }
    }

    #[test]
    fn limits_stop_it_where_they_should() {
        let (tail, _feeder) = filled(20_000);
        let all = tail.since(10, ALL).unwrap();
        assert_eq!((ids(&all), all.stopped), ((11..=20_000).collect::<Vec<_>>(), false));
        let some = tail.since(4000, Most { entries: 5000, ..ALL }).unwrap();
        assert_eq!(ids(&some), (4001..=9000).collect::<Vec<_>>());
        assert_eq!((some.position, some.stopped), (9000, true));
        let one = all.spans[0].chunk.bytes(0..1);
        for count in [0, 1, 7, 4096, 5000] {
            let some = tail.since(10, Most { bytes: one * count + one - 1, ..ALL }).unwrap();
            assert_eq!(ids(&some).len(), count);
            assert_eq!((some.position, some.stopped), (10 + count as i64, true));
        }
        let exactly = tail.since(19_990, Most { entries: 10, ..ALL }).unwrap();
        assert_eq!((exactly.position, exactly.stopped), (20_000, false));
    }

    #[test]
    fn lets_go_of_what_the_storage_has_and_of_nothing_else() {
        let (tail, mut feeder) = filled(20_000);
        tail.set_bytes_max(0);
        feeder.trim(10, 10);
        assert_eq!(tail.read().after, 10);
        feeder.trim(9000, 0);
        assert!((4000..9000).contains(&tail.read().after), "{}", tail.read().after);
        assert!(tail.since(9000, ALL).is_some() && tail.get(9001).is_some());
        feeder.trim(15_000, 12_345);
        assert_eq!((tail.read().after, tail.get(12_345).is_none()), (12_345, true));
        feeder.trim(15_000, 17_000);
        assert_eq!(tail.read().after, 15_000, "what only the log has stays");
    }

    #[test]
    fn begun_anew_it_knows_nothing_until_all_is_there_again() {
        let (tail, mut feeder) = filled(20);
        feeder.restart(15);
        for id in 16..=19 {
            feeder.add(&fields(id, "{}")).unwrap();
            feeder.show();
            assert!(tail.since(18, ALL).is_none(), "20 was seen, and would be missed");
        }
        feeder.add(&fields(20, "{}")).unwrap();
        feeder.show();
        assert_eq!(ids(&tail.since(15, ALL).unwrap()), [16, 17, 18, 19, 20]);
    }

    #[test]
    fn an_entry_of_any_size_has_room() {
        let (tail, mut feeder) = filled(12);
        let long = "x".repeat(5 << 20);
        feeder.add(&fields(13, &long)).unwrap();
        feeder.add(&fields(14, "{}")).unwrap();
        feeder.show();
        assert_eq!(ids(&tail.since(10, ALL).unwrap()), [11, 12, 13, 14]);
        assert_eq!(tail.get(13).unwrap().as_ref().features().len(), 5 << 20);
    }

    #[test]
    fn ids_may_leave_gaps() {
        let (tail, mut feeder) = filled(12);
        for id in [15, 19, 20] {
            feeder.add(&fields(id, "{}")).unwrap();
        }
        feeder.show();
        for (after, expected) in
            [(11, &[12, 15, 19, 20][..]), (14, &[15, 19, 20]), (17, &[19, 20]), (19, &[20])]
        {
            assert_eq!(ids(&tail.since(after, ALL).unwrap()), expected, "{after}");
        }
        assert!(tail.get(16).is_none() && tail.get(15).is_some());
    }
}
