//! The commit log: the newest part of a ledger, in a file that all processes have mapped.
//!
//! An append is a record in a ring, published by one store; it survives the death of any process from
//! then on. Records are folded into the ledger file in the background, in large transactions, and
//! their room is used again. `docs/commit-log.md` has the protocol with its invariants, [`layout`] the
//! bytes. Nothing in here knows SQLite: what the ledger file has is told by whoever folds.

mod layout;
mod lock;
mod open;
mod record;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use self::layout::*;
pub(crate) use self::layout::{RING_MAX, RING_MIN};
pub(crate) use self::open::Identity;
pub(crate) use self::record::{EntryFields, Record, Scratch};
use crate::call;
use crate::error::{Error, Result, Status};
use crate::event_count::EventCount;
use crate::hooks;
use crate::sys::files::FileLocks;
use crate::sys::futex;
use crate::sys::mapping::Mapping;

/// A log that this process has mapped.
pub(crate) struct CommitLog {
    map: Mapping,
    path: PathBuf,
    /// Bytes of the ring.
    capacity: u64,
    locks: Arc<FileLocks>,
    /// 0: may only read.
    incarnation: u32,
    /// How far pages were made ready. Where two do so at once, some are twice.
    ready: AtomicU64,
}

/// A record that was looked for.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// It is there, and the next one is at this position.
    Record(Record<'a>, u64),
    /// Its room was used again: the ledger file has it.
    Reclaimed,
}

impl CommitLog {
    /// The position behind the last record that exists.
    #[inline]
    pub fn published(&self) -> u64 {
        self.map.load(AT_PUBLISHED)
    }

    /// The position behind the last record that the ledger file has.
    pub fn drained(&self) -> u64 {
        self.map.load(AT_DRAINED)
    }

    /// Records before this position may be overwritten.
    #[cfg(feature = "test-hooks")]
    pub fn reclaimed(&self) -> u64 {
        self.map.load(AT_RECLAIMED)
    }

    /// The last id that the ledger file has.
    pub fn stored_id(&self) -> i64 {
        self.map.load(AT_STORED_ID).cast_signed()
    }

    /// The largest id that a cleanup deleted, or is about to delete.
    #[inline]
    pub fn removed_id(&self) -> i64 {
        self.map.load(AT_REMOVED_ID).cast_signed()
    }

    /// A number that grows with each transaction of a cleanup: odd from before it deletes until after it has.
    #[inline]
    pub fn removals(&self) -> u64 {
        self.map.load(AT_REMOVALS)
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes of records that only the log has.
    pub fn pending(&self) -> u64 {
        let drained = self.drained();
        self.published().saturating_sub(drained)
    }

    /// Whether there is room for so many bytes, as it looks at this moment.
    pub fn looks_roomy(&self, bytes: u64) -> bool {
        self.capacity.saturating_sub(self.pending()) >= bytes
    }

    /// Whether folds must be synced, since somebody counts on it.
    pub fn is_durable(&self) -> bool {
        self.map.load(AT_DURABLE) != 0
    }

    /// Whether a batch was being written straight into the ledger file by somebody who did not come to
    /// say so.
    pub fn was_left_straight(&self) -> bool {
        self.map.load(AT_STRAIGHT) != 0
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The record at this position, which must be one below the published one. `scratch` is where it
    /// is copied to.
    pub fn read<'s>(&self, position: u64, scratch: &'s mut Scratch) -> Result<Found<'s>> {
        let mut at = position;
        let mut word = self.map.load(self.place(at));
        let (mut len, _) = record::parse_head(word);
        if len == WRAP {
            let is_mark = word == record::wrap_mark(at);
            at += self.to_the_end(at);
            if !is_mark {
                return self.not_a_record(position);
            }
            word = self.map.load(self.place(at));
            (len, _) = record::parse_head(word);
        }
        let len = u64::from(len);
        if len < RECORD_HEADER as u64 || !len.is_multiple_of(8) || len > self.to_the_end(at) {
            return self.not_a_record(position);
        }
        // What is below 4 GiB is a size.
        self.map.read(self.place(at), scratch.room(len as usize)?);
        if self.is_reclaimed(position)? {
            return Ok(Found::Reclaimed);
        }
        match scratch.parse(at) {
            Some(record) => Ok(Found::Record(record, at + len)),
            None => Err(self.damaged(position)),
        }
    }

    /// Whether what was read at this position may have been overwritten while it was read.
    fn is_reclaimed(&self, position: u64) -> Result<bool> {
        // Pairs with the fence in `reclaim`: who saw a word of the new record sees that the old one
        // was given up.
        fence(Ordering::Acquire);
        let is_reclaimed = self.map.load(AT_RECLAIMED) > position;
        // Nothing is given up that is not drained, so that who begins anew there finds something else.
        if is_reclaimed && self.drained() <= position {
            Err(self.damaged(position))
        } else {
            Ok(is_reclaimed)
        }
    }

    fn not_a_record(&self, position: u64) -> Result<Found<'static>> {
        if self.is_reclaimed(position)? { Ok(Found::Reclaimed) } else { Err(self.damaged(position)) }
    }

    fn damaged(&self, position: u64) -> Error {
        let message = format!(
            "the log \"{}\" is damaged at byte {}: what stands there is no record, though one was published",
            self.path.display(),
            self.place(position),
        );
        Error::new(Status::Corrupt, message).with_field("path")
    }

    /// Takes the turn to append. Only who opened the log for writing may.
    #[inline]
    pub fn turn(&self) -> Result<Turn<'_>> {
        debug_assert!(self.incarnation != 0);
        let Some(taken) = lock::take(self.map.half(AT_LOCK), self.incarnation, &self.locks) else {
            return Err(call::waited_for("other processes or threads were appending", "append in batches"));
        };
        // Whatever happened before a holder died in the middle of an append, what is not published
        // does not exist.
        let turn = Turn { log: self, end: self.published() };
        hooks::point("log.locked");
        if taken == lock::Taken::FromTheDead {
            self.forget_unpublished()?;
        }
        Ok(turn)
    }

    /// Says that the ledger file has all records below this position, the last with this id.
    pub fn fold(&self, position: u64, stored_id: i64) {
        self.map.word(AT_STORED_ID).fetch_max(stored_id.cast_unsigned(), Ordering::AcqRel);
        hooks::point("log.fold");
        self.map.word(AT_DRAINED).fetch_max(position, Ordering::AcqRel);
        let folds = self.map.half(AT_FOLDS);
        folds.fetch_add(1, Ordering::AcqRel);
        futex::wake(folds, u32::MAX);
    }

    /// Waits until something is folded, at most this long; `seen` is how often that had happened.
    pub fn wait_for_fold(&self, seen: u32, most: Duration) {
        futex::wait(self.map.half(AT_FOLDS), seen, most);
    }

    /// How often something was folded.
    pub fn folds(&self) -> u32 {
        self.map.half(AT_FOLDS).load(Ordering::Acquire)
    }

    /// Whether this process shall fold: nobody else who is alive does.
    pub fn may_fold(&self) -> bool {
        let drainer = self.drainer();
        let now = drainer.load(Ordering::Relaxed);
        now == self.incarnation
            || ((now == 0 || lock::is_dead(now, &self.locks))
                && drainer
                    .compare_exchange(now, self.incarnation, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok())
    }

    /// Folds from now on in the place of whoever did, or leaves it to others.
    pub fn set_folding(&self, folding: bool) {
        let drainer = self.drainer();
        if folding {
            drainer.store(self.incarnation, Ordering::Relaxed);
        } else {
            // Unless it is somebody else by now.
            let _ = drainer.compare_exchange(self.incarnation, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Sees to it that the kernel has the pages ready that will be written to next: finding one, and room
    /// for it in the file system's own journal, can take milliseconds.
    pub fn make_ready(&self) {
        /// What is written in some milliseconds at most.
        const AHEAD: u64 = 4 << 20;
        const PAGE: u64 = 4096;
        let published = self.published();
        // Free at this moment, and until it is written to.
        let end = (published + AHEAD).min(self.drained() + self.capacity);
        let begin =
            self.ready.load(Ordering::Relaxed).clamp(published, published.max(end)).next_multiple_of(PAGE);
        for position in (begin..end).step_by(PAGE as usize) {
            self.map.touch(self.place(position));
        }
        self.ready.store(end, Ordering::Relaxed);
    }

    /// What is notified of entries; `None` where the log may only be read.
    #[inline]
    pub fn events(&self) -> Option<EventCount<'_>> {
        (self.incarnation != 0).then(|| EventCount::new(self.map.half(AT_EVENTS)))
    }

    /// Wakes those who wait for entries.
    #[inline]
    pub fn notify(&self) {
        if let Some(events) = self.events() {
            events.notify();
        }
    }

    fn drainer(&self) -> &AtomicU32 {
        self.map.half(AT_DRAINER)
    }

    /// Says that a transaction of a cleanup is about to delete entries up to this id: what it is known by when it has
    /// ended. While nobody else deletes: the transactions before have ended, or who made them died.
    pub fn begin_removal(&self, through: i64) -> u64 {
        let removals = self.word(AT_REMOVALS);
        let begun = removals.load(Ordering::Acquire).wrapping_add(1) | 1;
        removals.store(begun, Ordering::Release);
        self.word(AT_REMOVED_ID).fetch_max(through.cast_unsigned(), Ordering::AcqRel);
        begun
    }

    /// Says that it has deleted them, or not. Nothing where another one has begun since, which came after it.
    pub fn end_removal(&self, begun: u64) {
        let ended = begun.wrapping_add(1);
        let _ = self.word(AT_REMOVALS).compare_exchange(begun, ended, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Brings what was appended to the medium. All of it, also of other processes.
    pub fn sync(&self) -> Result<()> {
        self.map.file().sync_data().map_err(|error| {
            self.distrust();
            self.io(&error)
        })
    }

    /// The same of whoever has the turn, or is alone.
    fn sync_in_turn(&self) -> Result<()> {
        self.map.file().sync_data().map_err(|error| {
            self.distrust_until(self.published());
            self.io(&error)
        })
    }

    /// A sync failed. Linux tells of that once, and takes the pages for written from then on: no later sync brings
    /// to the medium what was in them. Nor does one help what comes behind that, since after a power cut nobody
    /// looks behind a record that is missing.
    fn distrust(&self) {
        // At once for whoever syncs while this waits for its turn.
        self.distrust_until(self.published());
        let end = match self.turn() {
            // Whoever was putting in a batch meanwhile has published it.
            Ok(_turn) => self.published(),
            Err(_) => self.published() + self.capacity,
        };
        self.distrust_until(end);
    }

    fn distrust_until(&self, end: u64) {
        self.word(AT_UNSYNCED).fetch_max(end, Ordering::AcqRel);
    }

    /// Whether syncs of the log count: the ledger file has everything that was there when one failed.
    pub fn can_be_synced(&self) -> bool {
        self.drained() >= self.map.load(AT_UNSYNCED)
    }

    /// The error where they do not.
    pub fn not_synced(&self) -> Error {
        self.io(&std::io::Error::other("an earlier sync failed"))
    }

    fn io(&self, error: &std::io::Error) -> Error {
        open::io(&self.path, error)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.map.word(at)
    }

    /// The byte of the file where a position is.
    fn place(&self, position: u64) -> usize {
        // Below the size of a mapping.
        HEADER + (position % self.capacity) as usize
    }

    /// Bytes from a position to the end of the ring.
    fn to_the_end(&self, position: u64) -> u64 {
        self.capacity - position % self.capacity
    }
}

/// The turn to append: until it is dropped nobody else publishes.
pub(crate) struct Turn<'a> {
    log: &'a CommitLog,
    /// Behind the last record that was put in; published up to it or not.
    end: u64,
}

impl Turn<'_> {
    /// Says that a batch is going to be written straight into the ledger file, or that its note is in
    /// the log. Whoever has his turn after one who did not come to that makes up for it.
    pub fn set_straight(&self, is_straight: bool) {
        self.log.word(AT_STRAIGHT).store(u64::from(is_straight), Ordering::Release);
    }

    /// Whether there is room for records of so many bytes in all, the largest of them so large.
    pub fn has_room(&self, bytes: u64, largest: u64) -> bool {
        let used = self.end.saturating_sub(self.log.drained());
        self.with_gap(bytes, largest) <= self.log.capacity.saturating_sub(used)
    }

    /// What such records may take, with what is left unused at the end of the ring.
    fn with_gap(&self, bytes: u64, largest: u64) -> u64 {
        if bytes <= self.log.to_the_end(self.end) { bytes } else { bytes + largest }
    }

    /// Puts a record behind the others, for which there is room.
    pub fn put(&mut self, fields: &EntryFields<'_>, more: bool, scratch: &mut Scratch) -> Result<()> {
        let position = self.begin(fields.len() as u64)?;
        self.finish(position, scratch.entry(position, fields, more)?);
        hooks::point("log.put");
        Ok(())
    }

    /// Puts the note that the entries with these ids are in the ledger file.
    pub fn put_elsewhere(&mut self, first: i64, last: i64, scratch: &mut Scratch) -> Result<()> {
        let position = self.begin(RECORD_HEADER as u64)?;
        self.finish(position, scratch.elsewhere(position, first, last)?);
        Ok(())
    }

    /// Makes room for a record; where it begins.
    fn begin(&mut self, len: u64) -> Result<u64> {
        let log = self.log;
        let left = log.to_the_end(self.end);
        if len > left {
            log.reclaim(self.end + left + len)?;
            log.map.write(log.place(self.end), &[record::wrap_mark(self.end)]);
            hooks::point("log.wrap");
            self.end += left;
        } else {
            log.reclaim(self.end + len)?;
        }
        Ok(self.end)
    }

    fn finish(&mut self, position: u64, words: &[u64]) {
        self.log.map.write(self.log.place(position), words);
        self.end += size_of_val(words) as u64;
    }

    /// Lets all records that were put in exist, the last with this id.
    pub fn publish(&mut self, last_id: i64) -> u64 {
        hooks::point("log.publish");
        self.log.word(AT_LAST_ID).store(last_id.cast_unsigned(), Ordering::Relaxed);
        hooks::point("log.publishing");
        self.log.word(AT_PUBLISHED).store(self.end, Ordering::Release);
        hooks::point("log.published");
        self.end
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        // A batch that failed half-way: who put it in hears of that alone.
        if self.end != self.log.published() {
            let _ = self.log.forget_unpublished();
        }
        lock::give_back(self.log.map.half(AT_LOCK));
    }
}

impl CommitLog {
    /// Gives up the records whose room is needed up to this position.
    fn reclaim(&self, end: u64) -> Result<()> {
        let Some(needed) = end.checked_sub(self.capacity) else { return Ok(()) };
        let reclaimed = self.word(AT_RECLAIMED);
        let mut first = reclaimed.load(Ordering::Relaxed);
        if first >= needed {
            return Ok(());
        }
        // From record to record, so that the first one that is left can be found.
        while first < needed {
            let (len, _) = record::parse_head(self.map.load(self.place(first)));
            let len = if len == WRAP { self.to_the_end(first) } else { u64::from(len) };
            if len == 0 || !len.is_multiple_of(8) || len > self.to_the_end(first) {
                return Err(self.damaged(first));
            }
            first += len;
        }
        if first > self.drained() {
            return Err(self.damaged(first));
        }
        // Released, so that who sees it sees also how far it is drained.
        reclaimed.store(first, Ordering::Release);
        // Who sees a word that is written from now on sees this.
        fence(Ordering::Release);
        Ok(())
    }
}
