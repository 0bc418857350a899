//! What the storage has and what only memory has yet, put together to one result.

use std::cmp::Ordering;

use crate::chunk::{ChunkBuilder, EntryRef, out_of_memory};
use crate::entries::Entries;
use crate::error::Result;
use crate::query::{EVERYTHING, Order, Overflow, Read};
use crate::tail::Found;

/// What a read asks for: `stored` is what the storage gave, of which nothing is in `newer`, where all
/// ids are larger.
pub(crate) fn join(read: &Read<'_>, stored: Option<Entries>, newer: Found) -> Result<Entries> {
    let stored = stored.unwrap_or_default();
    let position = read.since.max(stored.position()).max(newer.position);
    if newer.spans.is_empty() {
        return Ok(stored.followed_by(Vec::new(), position));
    }
    if *read.query == EVERYTHING && read.limit == usize::MAX {
        let bytes = stored.bytes() + newer.spans.iter().map(|span| span.bytes()).sum::<usize>();
        if bytes <= read.bytes_max {
            return Ok(stored.followed_by(newer.spans, position));
        }
    }
    let newer = Entries::of_spans(newer.spans, position, 0);
    let mut admitted: Vec<EntryRef<'_>> = Vec::new();
    for entry in newer.iter().filter(|entry| read.query.admits(*entry)) {
        admitted.try_reserve(1).map_err(out_of_memory)?;
        admitted.push(entry);
    }
    let in_order = |a: &EntryRef<'_>, b: &EntryRef<'_>| {
        let by_time = || a.timestamp().total_cmp(&b.timestamp()).then(a.id().cmp(&b.id()));
        match read.query.order {
            Order::Id => a.id().cmp(&b.id()),
            Order::IdDescending => b.id().cmp(&a.id()),
            Order::Time => by_time(),
            Order::TimeDescending => by_time().reverse(),
        }
    };
    // No two are alike; a stable sort would take memory.
    admitted.sort_unstable_by(in_order);
    let mut picked = Picked { read, chunks: ChunkBuilder::default(), count: 0, bytes: 0, last: 0 };
    let mut stored_left = stored.iter().peekable();
    let mut newer_left = admitted.into_iter().peekable();
    loop {
        let next = match (stored_left.peek(), newer_left.peek()) {
            (Some(a), Some(b)) if in_order(a, b) == Ordering::Greater => newer_left.next(),
            (Some(_), _) => stored_left.next(),
            (None, _) => newer_left.next(),
        };
        let Some(entry) = next else { break };
        if !picked.take(entry)? {
            let position = if read.overflow == Overflow::Stop { picked.last } else { position };
            return picked.finish(position, stored.gap_before());
        }
    }
    picked.finish(position, stored.gap_before())
}

/// A result in the making.
struct Picked<'r> {
    read: &'r Read<'r>,
    chunks: ChunkBuilder,
    count: usize,
    bytes: usize,
    last: i64,
}

impl Picked<'_> {
    /// Takes an entry, if there may be one more.
    fn take(&mut self, entry: EntryRef<'_>) -> Result<bool> {
        if self.count == self.read.limit {
            return Ok(false);
        }
        let bytes = self.bytes + entry.bytes();
        if bytes > self.read.bytes_max {
            if self.read.overflow == Overflow::Stop && self.count > 0 {
                return Ok(false);
            }
            return Err(self.read.too_large(self.count, entry.id()));
        }
        self.chunks.push(entry.fields())?;
        (self.count, self.bytes, self.last) = (self.count + 1, bytes, entry.id());
        Ok(true)
    }

    fn finish(self, position: i64, gap_before: i64) -> Result<Entries> {
        Ok(Entries::new(self.chunks.finish()?, position, gap_before))
    }
}
