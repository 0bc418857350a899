//! What is valid of a log that nobody has open: after all processes died, or the machine did.
//!
//! A process that dies leaves the pages of the log to the kernel as they are: everything that was
//! published is there. A machine that goes down leaves any mixture of old and new pages, of the log and
//! of the ledger file. What is left then is a prefix in the order of ids: what the ledger file has, and
//! then the valid records with the ids that follow.

use std::sync::atomic::Ordering;

use super::layout::*;
use super::open::{Identity, header_damaged, say_lost};
use super::{CommitLog, Found, Record, Scratch, record};
use crate::call;
use crate::error::{Error, Result, Status};
use crate::sys;
use crate::{entry, hooks, utc};

/// Bytes of the log between two looks whether there is time left.
const LOOK_BYTES: u64 = 1 << 20;

/// The first word of what was forgotten, until that is on the medium: no record is so short.
const NO_HEAD: u64 = 8;

/// How much of what looks like a certain record is read, in rings. By chance there is hardly any.
const FALSE_RINGS_MAX: u64 = 4;

/// The valid records behind one another.
struct Walk {
    /// Where the first record is that the ledger file has not.
    pending: Option<(u64, i64)>,
    /// Behind the last whole batch, and its last id.
    end: u64,
    last_id: i64,
    /// Where no record stood though one had been published.
    damage: Option<u64>,
}

impl CommitLog {
    /// Puts the log in order for whoever opens it next. Nobody else has it open.
    pub(super) fn recover(&self, identity: &Identity) -> Result<()> {
        let (published, stored_id) = (self.published(), identity.stored_id);
        let (walk, went_down) = (self.examine(identity)?, self.went_down());
        hooks::point("log.recover");
        let (begin, end, last_id) = match walk.pending {
            // Nobody needs what the file has.
            Some((at, id)) if id - 1 == stored_id => (at, walk.end, walk.last_id),
            pending => {
                if pending.is_some() {
                    say_lost(
                        &self.path,
                        "entries are lost, as synchronous_mode allows: the ledger file has none before them",
                    );
                }
                let end = walk.end.max(published);
                (end, end, stored_id)
            }
        };
        if went_down {
            // Before it is settled: who opens a log that is settled takes it for forgotten.
            self.forget_but(begin, end);
            self.sync_in_turn()?;
        }
        self.settle(begin, end, last_id, identity);
        if went_down { self.sync_in_turn() } else { self.forget_unpublished() }
    }

    /// Takes back what somebody put in who did not come to publish it, before others write over it: a power cut may
    /// leave any mixture of both, and his records are as valid where they stand as those that came there later. In
    /// one's turn, or alone.
    pub(super) fn forget_unpublished(&self) -> Result<()> {
        let published = self.published();
        let most = self.map.load(AT_RECLAIMED) + self.capacity;
        if published == most || self.map.load(self.place(published)) == 0 {
            return Ok(());
        }
        let (mut end, mut scratch) = (published, Scratch::default());
        loop {
            match self.read(end, &mut scratch) {
                Ok(Found::Record(_, next)) if next <= most => end = next,
                Err(error) if error.status() != Status::Corrupt => return Err(error),
                _ => break,
            }
        }
        // And the head of one that he was in the middle of, whose other words somebody may write there as they were
        // to be. (It may be what is left from an earlier round, which cannot be told from that.)
        if self.map.load(self.place(end)) == record::wrap_mark(end) {
            end += self.to_the_end(end);
        }
        // Its first word last, when the rest is on the medium: who dies in here leaves something to whoever comes next.
        let end = most.min(end + 8);
        self.fill_with_zeroes(published + 8, end);
        let first = self.map.word(self.place(published));
        first.store(NO_HEAD, Ordering::Release);
        self.sync_in_turn().inspect_err(|_| self.distrust_until(end))?;
        first.store(0, Ordering::Release);
        Ok(())
    }

    /// Whether somebody who cannot put the log in order can use it as it is. Nobody else has it open for writing,
    /// and the machine was not started anew.
    pub(super) fn check(&self, identity: &Identity) -> Result<()> {
        self.examine(identity)?;
        if self.stored_id() > identity.stored_id {
            let message = format!(
                "the log \"{}\" is ahead of the ledger file; whoever opens the ledger for writing puts them in order",
                self.path.display()
            );
            return Err(Error::new(Status::Incompatible, message).with_field("path"));
        }
        Ok(())
    }

    /// Looks at every record that the ledger file may not have. An error where what must be there is not.
    fn examine(&self, identity: &Identity) -> Result<Walk> {
        let (reclaimed, drained, published) = (self.map.load(AT_RECLAIMED), self.drained(), self.published());
        if reclaimed > drained || drained > published || published - reclaimed > self.capacity {
            return Err(header_damaged(&self.path));
        }
        let stored_id = identity.stored_id;
        // What the ledger file had when this was written, it has still, unless it is an older copy of
        // itself or the machine went down: then the log may hold what was lost there.
        let is_behind = self.stored_id() > stored_id;
        let went_down = self.went_down();
        let begin = if went_down {
            // The header may be older than what stands behind it.
            self.find(reclaimed, stored_id)?.unwrap_or(published)
        } else if is_behind {
            reclaimed
        } else {
            drained
        };
        let walk = self.walk(begin, stored_id)?;
        if let Some(at) = walk.damage {
            if !went_down {
                return Err(self.damaged(at).context(format!(
                    "entries behind id {} cannot be read; to go on without them, take the log away",
                    walk.last_id.max(stored_id)
                )));
            }
            say_lost(&self.path, "entries that were not synced are lost, as synchronous_mode allows");
        }
        // The log may have nothing any more of what an older copy lacks.
        let next = match walk.pending {
            Some((_, id)) => id,
            None => self.stored_id().max(stored_id).saturating_add(1),
        };
        if next - 1 != stored_id && !went_down {
            let message = format!(
                "the log \"{}\" goes on with id {next}, but the ledger file ends with {stored_id}: it is an older copy. \
                 Put the ledger file back that belongs to the log, or take the log away to go on without it",
                self.path.display()
            );
            return Err(Error::new(Status::Incompatible, message).with_field("path"));
        }
        Ok(walk)
    }

    /// Fills the ring with zeroes but for what stands from here to there. Records that are lost, since one
    /// before them is, must not be found after the next time that the machine goes down, behind others that
    /// have their ids by then.
    fn forget_but(&self, begin: u64, end: u64) {
        // All of the ring behind `end`, from there round to `begin`.
        self.fill_with_zeroes(end, begin + self.capacity);
    }

    /// From one position to another, from behind: of what is there whole records are left in the beginning, where they are
    /// found. Pages that hold nothing are not written to.
    fn fill_with_zeroes(&self, from: u64, to: u64) {
        /// Bytes that are looked at together.
        const BLOCK: u64 = 4096;
        let mut words = [0; (BLOCK / 8) as usize];
        let mut end = to;
        while end > from {
            let last = end - 1;
            // Never over the end of the ring.
            let begin = from.max(last - last % self.capacity % BLOCK);
            let words = &mut words[..((end - begin) / 8) as usize];
            self.map.read(self.place(begin), words);
            if words.iter().any(|word| *word != 0) {
                hooks::point("log.forget");
                for byte in (0..8 * words.len()).step_by(8).rev() {
                    self.map.word(self.place(begin) + byte).store(0, Ordering::Release);
                }
            }
            end = begin;
        }
    }

    /// Looks in the whole ring for the record that follows what the file has. A record is valid at one
    /// position alone. An error where so much looks like it and is not that somebody put it there: all of that is
    /// read.
    fn find(&self, reclaimed: u64, stored_id: i64) -> Result<Option<u64>> {
        let published = self.published();
        let Some(next_id) = stored_id.checked_add(1) else { return Ok(None) };
        let mut scratch = Scratch::default();
        let (mut read, most) = (0, FALSE_RINGS_MAX * self.capacity);
        for at in (reclaimed..published).step_by(8) {
            if at % LOOK_BYTES == 0 {
                call::check()?;
            }
            // The id is the second word; a record is never divided at the end of the ring.
            if self.to_the_end(at) <= 8 || self.map.load(self.place(at) + 8) != next_id.cast_unsigned() {
                continue;
            }
            scratch.clear();
            match self.read(at, &mut scratch) {
                Ok(Found::Record(Record::Entry { fields, .. }, _)) if fields.id == next_id => {
                    return Ok(Some(at));
                }
                Err(error) if error.status() != Status::Corrupt => return Err(error),
                _ => {}
            }
            read += scratch.len();
            if read > most {
                return Err(self.damaged(at));
            }
        }
        Ok(None)
    }

    /// Whether the machine was started anew since the log was written.
    pub(super) fn went_down(&self) -> bool {
        let mut fixed = [0; FIXED_WORDS];
        self.map.read(AT_FIXED, &mut fixed);
        let (then, now) = (&fixed[BOOT..], sys::boot_id());
        then != [0; 2] && now != [0; 2] && then != now
    }

    /// Goes from record to record, from a position where one begins.
    fn walk(&self, from: u64, stored_id: i64) -> Result<Walk> {
        let mut scratch = Scratch::default();
        let mut walk = Walk { pending: None, end: from, last_id: stored_id, damage: None };
        let (mut at, mut previous, mut batch) = (from, None, None);
        let published = self.published();
        // Whoever died before he published had put down the last id by then: what follows up to it is as
        // good as published, and is there, should it be the position that is damaged.
        let last_id = self.map.load(AT_LAST_ID).cast_signed();
        let is_announced = |previous: Option<i64>, at: u64| {
            previous.unwrap_or(stored_id) < last_id && at - from < self.capacity
        };
        let mut look = from;
        while at < published || is_announced(previous, at) {
            if at >= look {
                look = at + LOOK_BYTES;
                call::check()?;
            }
            let limit = if at < published { published } else { from + self.capacity };
            let found = match self.read(at, &mut scratch) {
                Ok(Found::Record(record, next)) if next <= limit && is_valid(&record) => Some((record, next)),
                Err(error) if error.status() != Status::Corrupt => return Err(error),
                _ => None,
            };
            let ids = found.as_ref().map(|(record, _)| match record {
                Record::Entry { fields, more } => (fields.id, fields.id, *more),
                Record::Elsewhere { first, last } => (*first, *last, false),
            });
            // What is said to be in the ledger file must be there.
            let is_missing = matches!(&found, Some((Record::Elsewhere { last, .. }, _)) if *last > stored_id);
            let follows = |first: i64| previous.is_none_or(|previous| first == previous + 1);
            let ids = ids.filter(|(first, ..)| follows(*first) && !is_missing);
            let (Some((_, next)), Some((first, last, more))) = (found, ids) else {
                if at < published {
                    walk.damage = Some(at);
                }
                break;
            };
            previous = Some(last);
            // A batch is there as a whole, or not at all.
            let begin = *batch.get_or_insert((at, first));
            if !more {
                if last > stored_id {
                    walk.pending.get_or_insert(begin);
                }
                (walk.end, walk.last_id) = (next, last.max(stored_id));
                batch = None;
            }
            at = next;
        }
        // Nobody publishes half of a batch.
        if let Some((begin, _)) = batch
            && begin < published
        {
            walk.damage.get_or_insert(begin);
        }
        Ok(walk)
    }
}

/// Whether what a record says can have been appended, whoever wrote it and its checksum.
fn is_valid(record: &Record<'_>) -> bool {
    let Record::Entry { fields, .. } = record else { return true };
    let created_at = utc::FIRST_SECOND..=utc::LAST_SECOND;
    created_at.contains(&fields.created_at)
        && entry::fault_of_stored(fields.timestamp, fields.node_id, fields.features, fields.confidence)
            .is_none()
}
