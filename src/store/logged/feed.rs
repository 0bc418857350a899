//! From the log into memory: every record is decoded once in each process.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::Logged;
use super::seen::Seen;
use crate::call;
use crate::commit_log::{CommitLog, Found, Record, Scratch};
use crate::error::Result;
use crate::store::Version;
use crate::tail::Feeder;

/// Records that are decoded without letting others have their turn.
const STEP: usize = 1000;

/// What has been decoded.
pub(super) struct Feeding {
    pub feeder: Feeder,
    pub seen: Seen,
    /// Behind the last record that was decoded.
    pub position: u64,
    pub scratch: Scratch,
    /// Whether something panicked while it was changed, so that it must begin anew.
    pub is_whole: bool,
}

impl Logged {
    /// Brings memory up to date with what is published: one look where there is nothing new.
    #[inline]
    pub fn refresh(&self) -> Result<Version> {
        let Some(log) = self.log.get() else {
            return self.refresh_without_log();
        };
        let published = log.published();
        let (removed, removals) = (log.removed_id(), log.removals());
        if published != self.decoded.load(Ordering::Acquire) {
            self.catch_up(log)?;
        }
        if removed > self.removed.load(Ordering::Acquire) {
            self.drop_removed(log, removed);
        }
        let removed = if removals.is_multiple_of(2) { removals } else { self.meanwhile() }.cast_signed();
        Ok(Version { any: (published.cast_signed(), removed), removed })
    }

    /// In the place of a number of cleanups, one that there never was nor will be: while a cleanup deletes, some who
    /// read find an entry, and others do not find it any more, in an order that nobody knows.
    #[cold]
    fn meanwhile(&self) -> u64 {
        (1 << 62) + self.read_meanwhile.fetch_add(1, Ordering::Relaxed)
    }

    #[cold]
    fn catch_up(&self, log: &CommitLog) -> Result<()> {
        let published = log.published();
        // More may come all the time: what was there when the call began is enough.
        while self.decoded.load(Ordering::Acquire) < published && !self.ended.load(Ordering::Acquire) {
            call::check()?;
            self.decode(log, &mut self.feeding(), STEP)?;
        }
        Ok(())
    }

    #[cold]
    fn drop_removed(&self, log: &CommitLog, removed: i64) {
        let mut feeding = self.feeding();
        let last = feeding.feeder.added();
        feeding.feeder.trim(stored_id(log, last), removed);
        self.removed.fetch_max(removed.min(last), Ordering::Release);
    }

    pub fn feeding(&self) -> MutexGuard<'_, Feeding> {
        self.feeding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes what is published and was not yet, at most so many records.
    #[inline]
    pub fn decode(&self, log: &CommitLog, feeding: &mut Feeding, most: usize) -> Result<()> {
        if feeding.is_whole && feeding.position == log.published() {
            return Ok(());
        }
        self.decode_new(log, feeding, most)
    }

    fn decode_new(&self, log: &CommitLog, feeding: &mut Feeding, most: usize) -> Result<()> {
        if self.ended.load(Ordering::Acquire) {
            // Everything is in the file.
            return Ok(());
        }
        if !feeding.is_whole {
            self.restart(log, feeding)?;
        }
        let removed = log.removed_id();
        let mut left = most;
        while left > 0 && feeding.position != log.published() {
            left -= 1;
            feeding.is_whole = false;
            let mut lost = false;
            match log.read(feeding.position, &mut feeding.scratch) {
                Ok(Found::Record(Record::Entry { fields, more }, next)) => {
                    // After a failure it may be there already.
                    if fields.id > feeding.feeder.added() && fields.id <= removed {
                        // It is in the file, or deleted there, whether or not the log says so yet.
                        feeding.feeder.restart(fields.id);
                        feeding.seen.restart(fields.id);
                    }
                    if fields.id > feeding.feeder.added() {
                        if fields.id != feeding.feeder.added() + 1 {
                            // What is between is in the file, and its note was never made.
                            feeding.feeder.restart(fields.id - 1);
                            feeding.seen.restart(fields.id - 1);
                        }
                        if self.unique.load(Ordering::Acquire) {
                            feeding.seen.add(fields.node_id, fields.timestamp, fields.id)?;
                        }
                        feeding.feeder.add(&fields.fields())?;
                    }
                    if !more {
                        feeding.feeder.show();
                    }
                    feeding.position = next;
                }
                Ok(Found::Record(Record::Elsewhere { last, .. }, next)) => {
                    feeding.begin_after(last);
                    feeding.position = next;
                }
                Ok(Found::Reclaimed) => lost = true,
                Err(error) => {
                    feeding.is_whole = true;
                    return Err(error);
                }
            }
            feeding.is_whole = true;
            if lost {
                self.restart(log, feeding)?;
            }
        }
        self.settle(log, feeding);
        Ok(())
    }

    /// Lets everybody know how far it is, and lets go of what need not be kept.
    pub fn settle(&self, log: &CommitLog, feeding: &mut Feeding) {
        self.decoded.store(feeding.position, Ordering::Release);
        if feeding.feeder.has_grown() {
            let last = feeding.feeder.added();
            let stored = stored_id(log, last);
            feeding.feeder.trim(stored, log.removed_id());
            if !feeding.seen.forget(stored, last) {
                // At the next turn, from what is not stored yet.
                feeding.is_whole = false;
            }
        }
    }

    /// Begins anew with what the file has not.
    pub fn restart(&self, log: &CommitLog, feeding: &mut Feeding) -> Result<()> {
        let (position, after) = self.first_pending(log, &mut feeding.scratch)?;
        // Whoever reads finds that memory is behind, and comes here as well.
        self.decoded.store(0, Ordering::Release);
        feeding.begin_after(after);
        feeding.position = position;
        feeding.is_whole = true;
        Ok(())
    }

    /// Where the first record is that the file may not have, and the id before its own.
    fn first_pending(&self, log: &CommitLog, scratch: &mut Scratch) -> Result<(u64, i64)> {
        loop {
            let (drained, published, stored_id) = (log.drained(), log.published(), log.stored_id());
            if drained == published {
                // Everything is stored, and the last of it has this id, unless something moved.
                if log.published() == published && log.drained() == drained {
                    return Ok((drained, stored_id));
                }
                continue;
            }
            match log.read(drained, scratch)? {
                Found::Record(Record::Entry { fields, .. }, _) => return Ok((drained, fields.id - 1)),
                Found::Record(Record::Elsewhere { first, .. }, _) => return Ok((drained, first - 1)),
                Found::Reclaimed => {}
            }
        }
    }
}

/// The last id, of those up to `last`, that the ledger file has or had: what a cleanup deletes was stored before, whether
/// or not the log says so yet.
fn stored_id(log: &CommitLog, last: i64) -> i64 {
    log.stored_id().max(log.removed_id().min(last))
}

impl Feeding {
    /// Forgets what was decoded, and goes on behind this id.
    fn begin_after(&mut self, after: i64) {
        self.feeder.restart(after);
        self.feeder.show();
        self.seen.restart(after);
    }
}
