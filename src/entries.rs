//! A result: entries in order, as ranges of shared chunks, with the position to go on from.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::chunk::{Chunk, Columns, Entry, EntryRef};
use crate::error::Result;
use crate::json::Text;

/// What a read gave. Immutable, cheap to clone, and independent of the ledger it came from.
#[derive(Clone, Default)]
pub struct Entries {
    spans: Vec<Span>,
    len: usize,
    position: i64,
    gap_before: i64,
    json: OnceLock<String>,
}

/// A range of a chunk.
#[derive(Clone)]
pub(crate) struct Span {
    pub chunk: Arc<Chunk>,
    pub range: Range<usize>,
    /// How many entries of its result come before it.
    before: usize,
}

impl Span {
    pub fn new(chunk: Arc<Chunk>, range: Range<usize>) -> Span {
        Span { chunk, range, before: 0 }
    }

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
        let span = |chunk: Arc<Chunk>| {
            let range = 0..chunk.len();
            Span::new(chunk, range)
        };
        Entries::of_spans(chunks.into_iter().map(span).collect(), position, gap_before)
    }

    /// The entries of these ranges.
    pub(crate) fn of_spans(mut spans: Vec<Span>, position: i64, gap_before: i64) -> Entries {
        let mut len = 0;
        for span in &mut spans {
            span.before = len;
            len += span.range.len();
        }
        Entries { spans, len, position, gap_before, json: OnceLock::new() }
    }

    /// These entries and then those of further ranges, with another position.
    pub(crate) fn followed_by(self, further: Vec<Span>, position: i64) -> Entries {
        let mut spans = self.spans;
        spans.extend(further);
        Entries::of_spans(spans, position, self.gap_before)
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

    /// The retention mark, if cleanup removed entries that the poller had not seen and its query asks for; else 0.
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
        self.spans.iter().flat_map(Span::iter)
    }

    /// How many chunks the entries are in.
    pub fn chunk_count(&self) -> usize {
        self.spans.len()
    }

    /// The entries of the chunk at `index`, column by column. Those of all chunks, one after the
    /// other, are the result.
    pub fn columns(&self, index: usize) -> Option<Columns<'_>> {
        self.spans.get(index).map(|span| span.chunk.columns(span.range.clone()))
    }

    /// Bytes that the entries take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.spans.iter().map(Span::bytes).sum()
    }

    /// The entries as a JSON array of objects with `id`, `timestamp`, `node_id`, `features` and
    /// `confidence`, made at the first call. `None` where there is no memory for it.
    ///
    /// The text is followed by a NUL that is not part of it.
    pub fn json(&self) -> Option<&str> {
        if self.json.get().is_none() {
            // Another thread may have been faster, with the same text.
            let _ = self.json.set(self.build_json().ok()?);
        }
        self.json.get()?.strip_suffix('\0')
    }

    fn build_json(&self) -> Result<String> {
        // The fixed part of an entry with its numbers is less than this; strings may grow by escaping.
        const FIXED_BYTES_MAX: usize = 160;
        let mut out = Text::default();
        out.reserve(self.len.saturating_mul(FIXED_BYTES_MAX).saturating_add(self.bytes()))?;
        out.raw("[")?;
        for (index, entry) in self.iter().enumerate() {
            if index > 0 {
                out.raw(",")?;
            }
            entry.write_json(&mut out)?;
        }
        out.raw("]\0")?;
        Ok(out.into_string())
    }

    fn find(&self, index: usize) -> Option<(&Span, usize)> {
        if index >= self.len {
            return None;
        }
        let after = match self.spans.len() {
            1 => 1,
            _ => self.spans.partition_point(|span| span.before <= index),
        };
        let span = &self.spans[after - 1];
        Some((span, span.range.start + index - span.before))
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
