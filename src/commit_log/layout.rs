//! The log byte by byte: a header page, and a ring of records. All numbers are little-endian, as the
//! processors are that it runs on; a log of another kind of processor is not recognised.
//!
//! The header:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `SIMLLOG` and a NUL; written last when a log is made |
//! | 8..12 | version of this layout, 1 |
//! | 12..16 | CRC32C of bytes 16 to 64; while bytes 48 to 64 are being changed, with zeroes in their place |
//! | 16..32 | the ledger's identity, as the ledger file has it |
//! | 32..40 | bytes of the ring, which begins at byte 4096 |
//! | 40..48 | the ledger's last id when the log was made |
//! | 48..64 | which start of the machine this was (Linux's boot id); zeroes: not known |
//! | 64..68 | the lock: see [`lock`](super::lock) |
//! | 68..72 | incarnations given out so far, one for each opening that can write |
//! | 72..76 | how often something was folded, for those who wait for that |
//! | 76..80 | the incarnation that folds; a hint |
//! | 80..84 | who waits for entries: an [event count](crate::event_count) |
//! | 128..136 | published: the position behind the last record that exists |
//! | 136..144 | drained: the position behind the last record that the ledger file has |
//! | 144..152 | reclaimed: records before this position may be overwritten |
//! | 152..160 | the last id that was published |
//! | 160..168 | the last id that the ledger file has |
//! | 168..176 | the largest id that a cleanup deleted, or is about to delete |
//! | 176..184 | how often a cleanup deleted something, or was about to |
//! | 184..192 | 1: a batch is being written straight into the ledger file, and its note is not here yet |
//! | 192..200 | 1: somebody opened the log at FULL, so that folds must be synced |
//! | 200..208 | a sync failed: what is below this position is on the medium only when the ledger file has it |
//!
//! Positions count bytes since the log was made and never go back; a position modulo the size of the
//! ring is a place in it. They and the lengths of records can be divided by 8.
//!
//! A record:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | its length, or `0xffffffff`: the rest of the ring is unused, the next record is at its beginning |
//! | 4..8 | CRC32C of its position and of all behind this |
//! | 8..16 | id |
//! | 16..24 | timestamp |
//! | 24..32 | confidence |
//! | 32..40 | when it was appended, whole seconds since 1970 |
//! | 40..44 | bytes of features |
//! | 44..46 | bytes of node_id |
//! | 46..48 | 1: further records of the same batch follow; 2: no entry, but a note that the entries from `id` on were written straight into the ledger file, up to the id in bytes 16 to 24 |
//! | 48.. | node_id, features, zeroes up to the length |

/// Bytes before the ring.
pub(super) const HEADER: usize = 4096;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"SIMLLOG\0");
pub(super) const VERSION: u32 = 1;

pub(super) const AT_MAGIC: usize = 0;
pub(super) const AT_VERSION: usize = 8;
/// The part of the header that stays as it is.
pub(super) const AT_FIXED: usize = 16;
pub(super) const FIXED_WORDS: usize = 6;
/// The first of its words that say which start of the machine it is.
pub(super) const BOOT: usize = 4;
pub(super) const AT_LOCK: usize = 64;
pub(super) const AT_INCARNATIONS: usize = 68;
pub(super) const AT_FOLDS: usize = 72;
pub(super) const AT_DRAINER: usize = 76;
pub(super) const AT_EVENTS: usize = 80;
pub(super) const AT_PUBLISHED: usize = 128;
pub(super) const AT_DRAINED: usize = 136;
pub(super) const AT_RECLAIMED: usize = 144;
pub(super) const AT_LAST_ID: usize = 152;
pub(super) const AT_STORED_ID: usize = 160;
pub(super) const AT_REMOVED_ID: usize = 168;
pub(super) const AT_REMOVALS: usize = 176;
pub(super) const AT_STRAIGHT: usize = 184;
pub(super) const AT_DURABLE: usize = 192;
pub(super) const AT_UNSYNCED: usize = 200;

/// Positions and ids above these are no real ones.
pub(super) const POSITION_MAX: u64 = 1 << 62;
pub(super) const ID_MAX: i64 = i64::MAX - 1;

/// Bytes of a record before its strings.
pub(super) const RECORD_HEADER: usize = 48;

/// The length of a record that says: go on at the beginning of the ring.
pub(super) const WRAP: u32 = u32::MAX;

/// Smallest and largest ring. The largest record stays far below 4 GiB.
pub(crate) const RING_MIN: u64 = 64 << 10;
pub(crate) const RING_MAX: u64 = 64 << 30;
