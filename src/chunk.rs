//! Entries in memory: shared, immutable chunks of them.
//!
//! A chunk holds some hundreds or thousands of entries: their numbers as columns, which can be lent
//! to numpy and its like as they are, and one text with all their strings, each followed by a NUL
//! for C. Results are ranges of chunks and an [`Entry`] is a chunk and an index, so that neither
//! copies anything, and both outlive the ledger they came from.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::json;
use crate::sys::Backref;

/// A chunk is closed when it has this many rows, so that an entry someone holds on to does not
/// keep a large result in memory.
const ROWS_MAX: usize = 4096;
/// Or this many bytes of text.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Immutable entries in a row, as columns.
///
/// Columns of one type stand behind one another in one allocation: a chunk of one entry, which is
/// what a get makes, is then five small ones.
pub(crate) struct Chunk {
    rows: Box<[Row]>,
    ids: Box<[i64]>,
    /// Timestamps, confidences, times of appending.
    reals: Box<[f64]>,
    /// Where the node's name begins in the text, how long it is, and the same of the features.
    places: Box<[usize]>,
    text: Box<str>,
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

/// The column with this number, of `rows` values each.
fn column<T>(columns: &[T], rows: usize, number: usize) -> &[T] {
    &columns[rows * number..rows * (number + 1)]
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> EntryRef<'_> {
        EntryRef { row: &self.rows[index], chunk: self }
    }

    /// All entries, column by column.
    pub fn columns(&self) -> Columns<'_> {
        let (reals, places) = (
            |number| column(&self.reals, self.len(), number),
            |number| column(&self.places, self.len(), number),
        );
        Columns {
            ids: &self.ids,
            timestamps: reals(0),
            confidences: reals(1),
            created_at: reals(2),
            node_id_offsets: places(0),
            node_id_lengths: places(1),
            features_offsets: places(2),
            features_lengths: places(3),
            text: &self.text,
        }
    }

    fn real(&self, number: usize, index: usize) -> f64 {
        self.reals[self.len() * number + index]
    }

    fn text(&self, number: usize, index: usize) -> &str {
        let at = self.places[self.len() * number + index];
        &self.text[at..at + self.places[self.len() * (number + 1) + index]]
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
        self.chunk.ids[self.row.index]
    }

    /// Seconds, Unix or simulated.
    pub fn timestamp(self) -> f64 {
        self.chunk.real(0, self.row.index)
    }

    /// The node that found it.
    pub fn node_id(self) -> &'a str {
        self.chunk.text(0, self.row.index)
    }

    /// What it found, as compact JSON.
    pub fn features(self) -> &'a str {
        self.chunk.text(2, self.row.index)
    }

    /// How sure it is, from 0 to 1.
    pub fn confidence(self) -> f64 {
        self.chunk.real(1, self.row.index)
    }

    /// When it was appended, in Unix seconds; 0 where the row does not say.
    pub fn created_at(self) -> f64 {
        self.chunk.real(2, self.row.index)
    }

    /// Bytes that the entry takes in memory.
    pub(crate) fn bytes(self) -> usize {
        bytes_of(self.node_id().len(), self.features().len())
    }

    /// Appends it as a JSON object, its features inside.
    pub(crate) fn write_json(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        out.extend_from_slice(self.id().to_string().as_bytes());
        out.extend_from_slice(b",\"timestamp\":");
        json::write_f64(out, self.timestamp());
        out.extend_from_slice(b",\"node_id\":");
        json::write_string(out, self.node_id());
        out.extend_from_slice(b",\"features\":");
        out.extend_from_slice(self.features().as_bytes());
        out.extend_from_slice(b",\"confidence\":");
        json::write_f64(out, self.confidence());
        out.push(b'}');
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
}

fn bytes_of(node_id: usize, features: usize) -> usize {
    ROW_BYTES + node_id + features + 2
}

/// What an entry takes beside its strings.
const ROW_BYTES: usize = size_of::<Row>() + size_of::<i64>() + 3 * size_of::<f64>() + 4 * size_of::<usize>();

/// Collects entries into chunks.
#[derive(Default)]
pub(crate) struct ChunkBuilder {
    /// Fields without their strings, and where those are in the text, as in [`Chunk`].
    rows: Vec<(Fields<'static>, [usize; 4])>,
    text: String,
    chunks: Vec<Arc<Chunk>>,
}

impl ChunkBuilder {
    /// Adds an entry.
    pub fn push(&mut self, fields: Fields<'_>) -> Result<()> {
        let added = fields.node_id.len() + fields.features.len() + 2;
        if self.rows.len() == ROWS_MAX || self.text.len() + added > TEXT_BYTES_MAX {
            self.close();
        }
        self.rows.try_reserve(1).map_err(out_of_memory)?;
        self.text.try_reserve(added).map_err(out_of_memory)?;
        let [node_id, features] = [fields.node_id, fields.features].map(|value| self.keep(value));
        let places = [node_id, fields.node_id.len(), features, fields.features.len()];
        self.rows.push((Fields { node_id: "", features: "", ..fields }, places));
        Ok(())
    }

    /// All that was added.
    pub fn finish(mut self) -> Vec<Arc<Chunk>> {
        self.close();
        self.chunks
    }

    /// Appends a string and its NUL to the text; where it begins.
    fn keep(&mut self, value: &str) -> usize {
        let at = self.text.len();
        self.text.push_str(value);
        self.text.push('\0');
        at
    }

    fn close(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let text = std::mem::take(&mut self.text).into_boxed_str();
        let reals: [fn(&Fields<'_>) -> f64; 3] =
            [|row| row.timestamp, |row| row.confidence, |row| row.created_at];
        self.chunks.push(Backref::cyclic(|chunk| Chunk {
            rows: (0..rows.len()).map(|index| Row { index, chunk: chunk() }).collect(),
            ids: rows.iter().map(|(fields, _)| fields.id).collect(),
            reals: reals.iter().flat_map(|real| rows.iter().map(|(fields, _)| real(fields))).collect(),
            places: (0..4).flat_map(|number| rows.iter().map(move |(_, places)| places[number])).collect(),
            text,
        }));
    }
}

pub(crate) fn out_of_memory(_: std::collections::TryReserveError) -> Error {
    Error::new(Status::OutOfMemory, "no memory left for the result; ask for fewer entries at a time")
}
