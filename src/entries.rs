//! A result: entries in order, as ranges of shared chunks, with the position to go on from.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::chunk::{Chunk, Columns, Entry, EntryRef};

/// What a read gave. Immutable, cheap to clone, and independent of the ledger it came from.
#[derive(Clone, Default)]
pub struct Entries {
    /// Each with how many entries of the result come before it.
    spans: Vec<(usize, Span)>,
    len: usize,
    position: i64,
    gap_before: i64,
    json: OnceLock<Option<String>>,
}

/// A range of a chunk.
#[derive(Clone)]
pub(crate) struct Span {
    pub chunk: Arc<Chunk>,
    pub range: Range<usize>,
}

impl Span {
    fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.range.clone().map(|index| self.chunk.get(index))
    }

    /// Bytes that its entries take in memory.
    pub fn bytes(&self) -> usize {
        self.chunk.bytes(self.range.clone())
    }
}

impl Entries {
    /// All entries of these chunks.
    pub(crate) fn new(chunks: Vec<Arc<Chunk>>, position: i64, gap_before: i64) -> Entries {
        let spans = chunks.into_iter().map(|chunk| Span { range: 0..chunk.len(), chunk });
        Entries::of_spans(spans.collect(), position, gap_before)
    }

    /// The entries of these ranges.
    pub(crate) fn of_spans(spans: Vec<Span>, position: i64, gap_before: i64) -> Entries {
        let mut len = 0;
        let place = |span: Span| {
            let before = len;
            len += span.range.len();
            (before, span)
        };
        let spans = spans.into_iter().map(place).collect();
        Entries { spans, len, position, gap_before, json: OnceLock::new() }
    }

    /// These entries and then those of further ranges, with another position.
    pub(crate) fn followed_by(self, further: Vec<Span>, position: i64) -> Entries {
        let spans = self.spans.into_iter().map(|(_, span)| span).chain(further);
        Entries::of_spans(spans.collect(), position, self.gap_before)
    }

    /// These entries, where cleanup had removed others before, up to this id.
    pub(crate) fn with_gap(mut self, gap: i64) -> Entries {
        self.gap_before = self.gap_before.max(gap);
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last id that was examined, rows skipped or deleted included: where the next poll goes
    /// on. Of a read that is no poll, the last id that the ledger held.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The retention mark, if cleanup removed entries that the poller had not seen; else 0.
    pub fn gap_before(&self) -> i64 {
        self.gap_before
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> Option<EntryRef<'_>> {
        let (span, index) = self.find(index)?;
        Some(span.chunk.get(index))
    }

    /// The entry at `index`, to keep.
    pub fn entry(&self, index: usize) -> Option<Entry> {
        let (span, index) = self.find(index)?;
        Some(Entry::new(Arc::clone(&span.chunk), index))
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.spans.iter().flat_map(|(_, span)| span.iter())
    }

    /// How many chunks the entries are in.
    pub fn chunk_count(&self) -> usize {
        self.spans.len()
    }

    /// The entries of the chunk at `index`, column by column. Those of all chunks, one after the
    /// other, are the result.
    pub fn columns(&self, index: usize) -> Option<Columns<'_>> {
        self.spans.get(index).map(|(_, span)| span.chunk.columns(span.range.clone()))
    }

    /// Bytes that the entries take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.spans.iter().map(|(_, span)| span.bytes()).sum()
    }

    /// The entries as a JSON array of objects with `id`, `timestamp`, `node_id`, `features` and
    /// `confidence`, made at the first call. `None` where there is no memory for it.
    ///
    /// The text is followed by a NUL that is not part of it.
    pub fn json(&self) -> Option<&str> {
        let with_nul = self.json.get_or_init(|| self.build_json()).as_deref()?;
        with_nul.strip_suffix('\0')
    }

    fn build_json(&self) -> Option<String> {
        // The fixed part of an entry with its numbers is less than this; strings that grow by
        // escaping are left to the vector.
        const FIXED_BYTES_MAX: usize = 160;
        let estimate = self.len.checked_mul(FIXED_BYTES_MAX)?.checked_add(self.bytes())?;
        let mut out = Vec::new();
        out.try_reserve(estimate).ok()?;
        out.push(b'[');
        for (index, entry) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            entry.write_json(&mut out);
        }
        out.extend_from_slice(b"]\0");
        String::from_utf8(out).ok()
    }

    fn find(&self, index: usize) -> Option<(&Span, usize)> {
        if index >= self.len {
            return None;
        }
        let after = match self.spans.len() {
            1 => 1,
            _ => self.spans.partition_point(|(before, _)| *before <= index),
        };
        let (before, span) = &self.spans[after - 1];
        Some((span, span.range.start + index - before))
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("len", &self.len)
            .field("position", &self.position)
            .field("gap_before", &self.gap_before)
            .finish_non_exhaustive()
    }
}
