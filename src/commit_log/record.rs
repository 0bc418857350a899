//! Records: entries on their way into the ring and out of it.

use super::layout::{ID_MAX, RECORD_HEADER, WRAP};
use crate::chunk::Fields;
use crate::entry::NewEntry;
use crate::error::{Error, Result};
use crate::sys;

const MORE: u16 = 1;
const ELSEWHERE: u16 = 2;

/// Words that a record is made in or copied to.
#[derive(Default)]
pub(crate) struct Scratch(Vec<u64>);

/// What a record says.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Entry {
        fields: EntryFields<'a>,
        /// Whether further entries of the same batch follow.
        more: bool,
    },
    /// The entries from here to there are in the ledger file and not in the log.
    Elsewhere { first: i64, last: i64 },
}

/// The fields of an entry in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryFields<'a> {
    pub id: i64,
    pub timestamp: f64,
    pub confidence: f64,
    /// Whole seconds since 1970.
    pub created_at: i64,
    pub node_id: &'a str,
    pub features: &'a str,
}

impl<'a> EntryFields<'a> {
    /// A new entry that was given this id at this time.
    pub fn of(entry: &'a NewEntry<'_>, id: i64, created_at: i64) -> EntryFields<'a> {
        EntryFields {
            id,
            timestamp: entry.timestamp(),
            confidence: entry.confidence(),
            created_at,
            node_id: entry.node_id(),
            features: entry.features(),
        }
    }

    /// As it is kept in memory.
    pub fn fields(&self) -> Fields<'a> {
        let EntryFields { id, timestamp, confidence, created_at, node_id, features } = *self;
        #[allow(clippy::cast_precision_loss)] // Whole seconds are far below 2^53.
        Fields { id, timestamp, node_id, features, confidence, created_at: created_at as f64 }
    }

    /// Bytes of its record.
    pub fn len(&self) -> usize {
        (RECORD_HEADER + self.node_id.len() + self.features.len()).next_multiple_of(8)
    }
}

/// The first word of what says that the rest of the ring is unused.
pub(super) fn wrap_mark(position: u64) -> u64 {
    head(WRAP, checksum(position, &[]))
}

fn head(len: u32, crc: u32) -> u64 {
    u64::from(len) | u64::from(crc) << 32
}

/// The length and checksum in the first word of a record.
pub(super) fn parse_head(word: u64) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation)] // Halves.
    (word as u32, (word >> 32) as u32)
}

/// Of a record at this position: what is left in the ring from an earlier round is no record.
fn checksum(position: u64, words: &[u64]) -> u32 {
    sys::crc32c_append(sys::crc32c_append(0, &[position.to_le()]), words)
}

impl Scratch {
    /// Makes the record of an entry; its words.
    pub fn entry(&mut self, position: u64, fields: &EntryFields<'_>, more: bool) -> Result<&[u64]> {
        let EntryFields { id, timestamp, confidence, created_at, node_id, features } = *fields;
        // What an entry may be at most keeps these in range: see `layout::RING_MAX` and the limits.
        let lengths = features.len() as u64 | (node_id.len() as u64) << 32;
        let flags = u64::from(if more { MORE } else { 0 }) << 48;
        let numbers =
            [id.cast_unsigned(), timestamp.to_bits(), confidence.to_bits(), created_at.cast_unsigned()];
        self.make(position, numbers, lengths | flags, [node_id, features])
    }

    /// Makes a record that says where entries are.
    pub fn elsewhere(&mut self, position: u64, first: i64, last: i64) -> Result<&[u64]> {
        let numbers = [first.cast_unsigned(), last.cast_unsigned(), 0, 0];
        self.make(position, numbers, u64::from(ELSEWHERE) << 48, ["", ""])
    }

    fn make(&mut self, position: u64, numbers: [u64; 4], lengths: u64, texts: [&str; 2]) -> Result<&[u64]> {
        let len = (RECORD_HEADER + texts[0].len() + texts[1].len()).next_multiple_of(8);
        self.0.clear();
        let words = self.room(len)?;
        words[1..5].copy_from_slice(&numbers);
        words[5] = lengths;
        let strings = &mut sys::bytes_mut(words)[RECORD_HEADER..];
        strings[..texts[0].len()].copy_from_slice(texts[0].as_bytes());
        strings[texts[0].len()..][..texts[1].len()].copy_from_slice(texts[1].as_bytes());
        let crc = checksum(position, &words[1..]);
        #[allow(clippy::cast_possible_truncation)] // Records are below 4 GiB.
        let len = len as u32;
        words[0] = head(len, crc);
        Ok(words)
    }

    /// Nothing is in it any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes of the record that is in it.
    pub fn len(&self) -> u64 {
        size_of_val(&*self.0) as u64
    }

    /// Room for a record of so many bytes, to be filled.
    #[inline]
    pub fn room(&mut self, len: usize) -> Result<&mut [u64]> {
        let words = len / 8;
        self.0
            .try_reserve(words.saturating_sub(self.0.len()))
            .map_err(|_| Error::no_memory("a record of the commit log", "try again when there is some"))?;
        self.0.resize(words, 0);
        Ok(&mut self.0)
    }

    /// What the record says that was filled in; `None` where it is none.
    pub fn parse(&self, position: u64) -> Option<Record<'_>> {
        let words = &self.0;
        let (len, crc) = parse_head(*words.first()?);
        if len as usize != words.len() * 8 || checksum(position, &words[1..]) != crc {
            return None;
        }
        let [features, node_id] = [words[5] & 0xffff_ffff, words[5] >> 32 & 0xffff];
        let [features, node_id] = [features, node_id].map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        let flags = words[5] >> 48;
        let id = words[1].cast_signed();
        if flags == u64::from(ELSEWHERE) {
            let last = words[2].cast_signed();
            let is_valid = id >= 1 && last >= id && last <= ID_MAX;
            return is_valid.then_some(Record::Elsewhere { first: id, last });
        }
        if !(1..=ID_MAX).contains(&id) {
            return None;
        }
        let strings = &bytes(words)[RECORD_HEADER..];
        let text =
            |from: usize, len: usize| std::str::from_utf8(strings.get(from..from.checked_add(len)?)?).ok();
        let fields = EntryFields {
            id,
            timestamp: f64::from_bits(words[2]),
            confidence: f64::from_bits(words[3]),
            created_at: words[4].cast_signed(),
            node_id: text(0, node_id)?,
            features: text(node_id, features)?,
        };
        Some(Record::Entry { fields, more: flags == u64::from(MORE) })
    }
}

fn bytes(words: &[u64]) -> &[u8] {
    sys::bytes(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(node_id: &'a str, features: &'a str) -> EntryFields<'a> {
        EntryFields { id: 7, timestamp: -1.5, confidence: 0.25, created_at: 1_700_000_000, node_id, features }
    }

    #[test]
    fn what_goes_in_comes_out() {
        for (node_id, features) in [("n", "{}"), ("knöten", r#"{"a":[1,2,3]}"#), ("12345678", "[]")] {
            let mut scratch = Scratch::default();
            let given = fields(node_id, features);
            assert_eq!(scratch.entry(4096, &given, true).unwrap().len() * 8, given.len());
            let Some(Record::Entry { fields, more: true }) = scratch.parse(4096) else { panic!() };
            assert_eq!((fields.node_id, fields.features, fields.id), (node_id, features, 7));
            assert_eq!((fields.timestamp, fields.confidence), (-1.5, 0.25));
            assert_eq!(fields.created_at, 1_700_000_000);
            assert!(scratch.parse(8192).is_none(), "the same bytes in another round are no record");
        }
        let mut scratch = Scratch::default();
        scratch.elsewhere(8, 3, 9).unwrap();
        assert!(matches!(scratch.parse(8), Some(Record::Elsewhere { first: 3, last: 9 })));
    }

    #[test]
    fn a_bit_that_flips_makes_it_no_record() {
        let mut scratch = Scratch::default();
        scratch.entry(64, &fields("node-7", r#"{"rate":910}"#), false).unwrap();
        for word in 0..scratch.0.len() {
            for bit in 0..64 {
                scratch.0[word] ^= 1 << bit;
                assert!(scratch.parse(64).is_none(), "word {word} bit {bit}");
                scratch.0[word] ^= 1 << bit;
            }
        }
        assert!(scratch.parse(64).is_some());
    }
}
