//! Entries in memory: shared, immutable chunks of them.
//!
//! A chunk holds some hundreds or thousands of entries in two allocations: fixed-size rows, and
//! one text with all their strings, each followed by a NUL for C. Results are ranges of chunks and
//! an [`Entry`] is a chunk and an index, so that neither copies anything, and both outlive the
//! ledger they came from.

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

/// Immutable entries in a row.
pub(crate) struct Chunk {
    rows: Box<[Row]>,
    text: Box<str>,
}

/// One entry of a chunk, with a way back to the chunk for those who hold nothing else.
pub(crate) struct Row {
    id: i64,
    timestamp: f64,
    confidence: f64,
    created_at: f64,
    node_id: Slice,
    features: Slice,
    chunk: Backref<Chunk>,
}

/// Where a string stands in the text of its chunk.
#[derive(Clone, Copy)]
struct Slice {
    at: u32,
    len: u32,
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> EntryRef<'_> {
        EntryRef { row: &self.rows[index], chunk: self }
    }

    fn text(&self, slice: Slice) -> &str {
        &self.text[slice.at as usize..slice.at as usize + slice.len as usize]
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
        self.row.id
    }

    /// Seconds, Unix or simulated.
    pub fn timestamp(self) -> f64 {
        self.row.timestamp
    }

    /// The node that found it.
    pub fn node_id(self) -> &'a str {
        self.chunk.text(self.row.node_id)
    }

    /// What it found, as compact JSON.
    pub fn features(self) -> &'a str {
        self.chunk.text(self.row.features)
    }

    /// How sure it is, from 0 to 1.
    pub fn confidence(self) -> f64 {
        self.row.confidence
    }

    /// When it was appended, in Unix seconds; 0 where the row does not say.
    pub fn created_at(self) -> f64 {
        self.row.created_at
    }

    /// Bytes that the entry takes in memory.
    pub(crate) fn bytes(self) -> usize {
        bytes_of(self.row.node_id.len as usize, self.row.features.len as usize)
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
    size_of::<Row>() + node_id + features + 2
}

/// Collects entries into chunks.
#[derive(Default)]
pub(crate) struct ChunkBuilder {
    rows: Vec<(Fields<'static>, Slice, Slice)>,
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
        let node_id = self.keep(fields.node_id)?;
        let features = self.keep(fields.features)?;
        self.rows.push((Fields { node_id: "", features: "", ..fields }, node_id, features));
        Ok(())
    }

    /// All that was added.
    pub fn finish(mut self) -> Vec<Arc<Chunk>> {
        self.close();
        self.chunks
    }

    fn keep(&mut self, value: &str) -> Result<Slice> {
        // SQLite's values and the configured limits end well below 4 GiB.
        let (Ok(at), Ok(len)) = (u32::try_from(self.text.len()), u32::try_from(value.len())) else {
            return Err(Error::new(Status::LimitExceeded, "a value of 4 GiB or more"));
        };
        self.text.push_str(value);
        self.text.push('\0');
        Ok(Slice { at, len })
    }

    fn close(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let text = std::mem::take(&mut self.text).into_boxed_str();
        self.chunks.push(Backref::cyclic(|chunk| Chunk {
            rows: rows
                .into_iter()
                .map(|(fields, node_id, features)| Row {
                    id: fields.id,
                    timestamp: fields.timestamp,
                    confidence: fields.confidence,
                    created_at: fields.created_at,
                    node_id,
                    features,
                    chunk: chunk(),
                })
                .collect(),
            text,
        }));
    }
}

pub(crate) fn out_of_memory(_: std::collections::TryReserveError) -> Error {
    Error::new(Status::OutOfMemory, "no memory left for the result; ask for fewer entries at a time")
}
