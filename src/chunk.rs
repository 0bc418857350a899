//! Entries in memory: shared chunks of them.
//!
//! A chunk holds some hundreds or thousands of entries: their numbers as columns, which can be lent
//! to numpy and its like as they are, and one text with all their strings, each followed by a NUL
//! for C. Results are ranges of chunks and an [`Entry`] is a chunk and an index, so that neither
//! copies anything, and both outlive the ledger they came from. An entry in a chunk never changes;
//! further ones may come behind it, in memory that was there from the beginning.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::json::Text;
use crate::sys::{Backref, Grow};

/// A chunk is closed when it has this many rows, so that an entry someone holds on to does not
/// keep a large result in memory.
const ROWS_MAX: usize = 4096;
/// Or this many bytes of text.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Entries in a row, as columns.
pub(crate) struct Chunk {
    rows: Box<[Row]>,
    /// The id, and as numbers the timestamp, the confidence and the time of appending; the node and
    /// the features.
    data: Grow<4, 2>,
}

/// One entry of a chunk, with a way back to the chunk for those who hold nothing else.
pub(crate) struct Row {
    index: usize,
    chunk: Backref<Chunk>,
}

/// The entries of a chunk, column by column: `n` values in each. Strings are given by where they
/// begin in [`Columns::text`] and how long they are; each is followed by a NUL there.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The fields of an entry, under their names.
pub struct Columns<'a> {
    pub ids: &'a [i64],
    pub timestamps: &'a [f64],
    pub confidences: &'a [f64],
    pub created_at: &'a [f64],
    pub node_id_offsets: &'a [usize],
    pub node_id_lengths: &'a [usize],
    pub features_offsets: &'a [usize],
    pub features_lengths: &'a [usize],
    pub text: &'a str,
}

impl Chunk {
    /// An empty chunk with room for so many entries, and so many bytes of their strings with NULs.
    pub fn with_room(rows_max: usize, text_max: usize) -> Result<Arc<Chunk>> {
        let mut rows = Vec::new();
        rows.try_reserve_exact(rows_max).map_err(out_of_memory)?;
        let data = Grow::new(rows_max, text_max)
            .ok_or_else(|| Error::no_memory("entries", "ask for fewer at a time"))?;
        Ok(Backref::cyclic(|chunk| {
            rows.extend((0..rows_max).map(|index| Row { index, chunk: chunk() }));
            Chunk { rows: rows.into_boxed_slice(), data }
        }))
    }

    /// An empty chunk with room for many usual entries, and for this one whatever its size.
    pub fn with_usual_room(first: &Fields<'_>) -> Result<Arc<Chunk>> {
        Chunk::with_room(ROWS_MAX, TEXT_BYTES_MAX.max(first.text_bytes()))
    }

    /// Adds an entry; false if there is no room for it. For one thread at a time.
    pub fn push(&self, fields: &Fields<'_>) -> bool {
        let Fields { id, timestamp, node_id, features, confidence, created_at } = *fields;
        let numbers = [id.cast_unsigned(), timestamp.to_bits(), confidence.to_bits(), created_at.to_bits()];
        self.data.push(numbers, [node_id, features])
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> EntryRef<'_> {
        EntryRef { row: &self.rows[index], chunk: self }
    }

    /// The ids of the entries, which grow.
    pub fn ids(&self) -> &[i64] {
        self.data.integers(0)
    }

    /// Where the first entry is whose id is above this.
    pub fn index_after(&self, id: i64) -> usize {
        let ids = self.ids();
        // Most often there are no gaps.
        let guess = ids.first().map_or(0, |first| usize::try_from(id - first + 1).unwrap_or(0));
        if guess > 0 && ids.get(guess - 1) == Some(&id) {
            return guess;
        }
        ids.partition_point(|known| *known <= id)
    }

    /// Bytes that these entries take in memory.
    pub fn bytes(&self, range: Range<usize>) -> usize {
        if range.is_empty() {
            return 0;
        }
        let begin = self.data.word(4, range.start);
        let end = self.data.word(6, range.end - 1) + self.data.word(7, range.end - 1) + 1;
        range.len() * ROW_BYTES + usize::try_from(end - begin).unwrap_or(usize::MAX)
    }

    /// These entries, column by column.
    pub fn columns(&self, range: Range<usize>) -> Columns<'_> {
        let (reals, sizes) = (
            |column| &self.data.reals(column)[range.clone()],
            |column| &self.data.sizes(column)[range.clone()],
        );
        Columns {
            ids: &self.ids()[range.clone()],
            timestamps: reals(1),
            confidences: reals(2),
            created_at: reals(3),
            node_id_offsets: sizes(4),
            node_id_lengths: sizes(5),
            features_offsets: sizes(6),
            features_lengths: sizes(7),
            text: self.data.text(),
        }
    }

    fn real(&self, column: usize, index: usize) -> f64 {
        f64::from_bits(self.data.word(column, index))
    }
}

impl Row {
    /// Where the chunk is that holds this row.
    pub fn chunk(&self) -> &Backref<Chunk> {
        &self.chunk
    }
}

/// An entry, borrowed from a result or from an [`Entry`].
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    row: &'a Row,
    chunk: &'a Chunk,
}

impl<'a> EntryRef<'a> {
    /// The entry of a row whose chunk is known.
    pub(crate) fn of(row: &'a Row, chunk: &'a Chunk) -> EntryRef<'a> {
        EntryRef { row, chunk }
    }

    /// Its row, for C.
    pub(crate) fn row(self) -> &'a Row {
        self.row
    }

    /// Its id: the place in the ledger's order, from 1.
    pub fn id(self) -> i64 {
        self.chunk.data.word(0, self.row.index).cast_signed()
    }

    /// Seconds, Unix or simulated.
    pub fn timestamp(self) -> f64 {
        self.chunk.real(1, self.row.index)
    }

    /// The node that found it.
    pub fn node_id(self) -> &'a str {
        self.chunk.data.text_of(0, self.row.index)
    }

    /// What it found, as compact JSON.
    pub fn features(self) -> &'a str {
        self.chunk.data.text_of(1, self.row.index)
    }

    /// How sure it is, from 0 to 1.
    pub fn confidence(self) -> f64 {
        self.chunk.real(2, self.row.index)
    }

    /// When it was appended, in Unix seconds; 0 where the row does not say.
    pub fn created_at(self) -> f64 {
        self.chunk.real(3, self.row.index)
    }

    /// All of it.
    pub(crate) fn fields(self) -> Fields<'a> {
        Fields {
            id: self.id(),
            timestamp: self.timestamp(),
            node_id: self.node_id(),
            features: self.features(),
            confidence: self.confidence(),
            created_at: self.created_at(),
        }
    }

    /// Bytes that the entry takes in memory.
    pub(crate) fn bytes(self) -> usize {
        bytes_of(self.node_id().len(), self.features().len())
    }

    /// Appends it as a JSON object, its features inside.
    pub(crate) fn write_json(self, out: &mut Text) -> Result<()> {
        out.raw("{\"id\":")?;
        out.raw(&self.id().to_string())?;
        out.raw(",\"timestamp\":")?;
        out.number(self.timestamp())?;
        out.raw(",\"node_id\":")?;
        out.string(self.node_id())?;
        out.raw(",\"features\":")?;
        out.raw(self.features())?;
        out.raw(",\"confidence\":")?;
        out.number(self.confidence())?;
        out.raw("}")
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id())
            .field("timestamp", &self.timestamp())
            .field("node_id", &self.node_id())
            .field("features", &self.features())
            .field("confidence", &self.confidence())
            .finish_non_exhaustive()
    }
}

/// An entry of its own: holds the chunk it is in, and so outlives the result and the ledger.
#[derive(Clone)]
pub struct Entry {
    chunk: Arc<Chunk>,
    index: usize,
}

impl Entry {
    pub(crate) fn new(chunk: Arc<Chunk>, index: usize) -> Entry {
        debug_assert!(index < chunk.len());
        Entry { chunk, index }
    }

    /// The entry.
    pub fn as_ref(&self) -> EntryRef<'_> {
        self.chunk.get(self.index)
    }

    /// The chunk, and the place in it.
    pub(crate) fn into_parts(self) -> (Arc<Chunk>, usize) {
        (self.chunk, self.index)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// What an entry is made of when it is read.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub id: i64,
    pub timestamp: f64,
    pub node_id: &'a str,
    pub features: &'a str,
    pub confidence: f64,
    pub created_at: f64,
}

impl Fields<'_> {
    /// Bytes that the entry takes in memory.
    pub fn bytes(&self) -> usize {
        bytes_of(self.node_id.len(), self.features.len())
    }

    /// Bytes of its strings with their NULs.
    fn text_bytes(&self) -> usize {
        self.node_id.len() + self.features.len() + 2
    }
}

fn bytes_of(node_id: usize, features: usize) -> usize {
    ROW_BYTES + node_id + features + 2
}

/// What an entry takes beside its strings.
const ROW_BYTES: usize = size_of::<Row>() + size_of::<[u64; 8]>();

/// Collects entries into chunks that have room for them and no more.
#[derive(Default)]
pub(crate) struct ChunkBuilder {
    /// Fields without their strings, and the lengths of those, which stand in the text.
    rows: Vec<(Fields<'static>, usize, usize)>,
    text: String,
    chunks: Vec<Arc<Chunk>>,
}

impl ChunkBuilder {
    /// Adds an entry.
    pub fn push(&mut self, fields: Fields<'_>) -> Result<()> {
        let added = fields.text_bytes();
        if self.rows.len() == ROWS_MAX || self.text.len() + added > TEXT_BYTES_MAX {
            self.close()?;
        }
        self.rows.try_reserve(1).map_err(out_of_memory)?;
        self.text.try_reserve(added).map_err(out_of_memory)?;
        self.text.push_str(fields.node_id);
        self.text.push_str(fields.features);
        let lengths = (fields.node_id.len(), fields.features.len());
        self.rows.push((Fields { node_id: "", features: "", ..fields }, lengths.0, lengths.1));
        Ok(())
    }

    /// All that was added.
    pub fn finish(mut self) -> Result<Vec<Arc<Chunk>>> {
        self.close()?;
        Ok(self.chunks)
    }

    fn close(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let (rows, text) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.text));
        let chunk = Chunk::with_room(rows.len(), text.len() + 2 * rows.len())?;
        let mut rest = &*text;
        for (fields, node_id, features) in rows {
            let (node_id, after) = rest.split_at(node_id);
            let (features, after) = after.split_at(features);
            rest = after;
            let fits = chunk.push(&Fields { node_id, features, ..fields });
            debug_assert!(fits);
        }
        self.chunks.push(chunk);
        Ok(())
    }
}

pub(crate) fn out_of_memory(_: std::collections::TryReserveError) -> Error {
    Error::no_memory("the result", "ask for fewer entries at a time")
}
