//! Appending to the log.

use std::collections::{BTreeMap, BTreeSet, HashMap, TryReserveError};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Logged;
use super::feed::Feeding;
use super::seen::Verdict;
use crate::call;
use crate::commit_log::{CommitLog, EntryFields, Turn};
use crate::entry::NewEntry;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::json;
use crate::logging::Level;
use crate::store::sqlite::{Questions, conflict, duplicate, full};
use crate::store::{Appended, Batch, OnDuplicate};
use crate::utc;

/// Decoding that is done before one's turn and not in it, in bytes.
const BEHIND_MAX: u64 = 1 << 10;

/// What was found out about a batch while it was not one's turn.
#[derive(Default)]
struct Facts {
    /// What the file answered about single entries of the batch: an id, or that there is none. With the last
    /// id that it had when it was asked, which may be at several times: what it says of a node may make it be
    /// asked for an entry.
    asked: BTreeMap<usize, (Option<i64>, i64)>,
    /// Entries that are left out, being equal to the one with this id; 0: to one before it in the batch.
    equal: BTreeMap<usize, i64>,
    /// The first that is like one before it in the batch, and may not be left out.
    repeated: Option<usize>,
    /// Ids of entries that were like one of the batch, and are gone by a cleanup.
    gone: BTreeSet<i64>,
}

/// What is to be done with a batch.
enum Plan<'b> {
    /// Appended, all but those left out.
    Append,
    /// Nothing until the file has answered.
    Ask { nodes: Vec<&'b str>, entries: Vec<usize> },
    /// Looked at: these entries of the batch are like the ones with these ids.
    Compare { alike: Vec<(usize, i64)> },
    /// An error: the entry is like one before it in the batch.
    Refuse { index: usize },
}

impl Logged {
    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        if batch.entries.is_empty() && batch.expected_last_id.is_none() {
            return Ok(Appended::default());
        }
        let log = self.log()?;
        let (mut bytes, mut largest) = (0, 0);
        for entry in batch.entries {
            let len = EntryFields::of(entry, 0, 0).len() as u64;
            bytes += len;
            largest = len.max(largest);
        }
        let is_too_large = bytes > log.capacity() / 2;
        let mut unique = self.unique.load(Ordering::Acquire);
        let mut facts = if unique { Facts::of(batch)? } else { Facts::default() };
        loop {
            if log.published().saturating_sub(self.decoded.load(Ordering::Acquire)) > BEHIND_MAX {
                self.refresh()?;
            }
            let mut turn = log.turn()?;
            if self.ended.load(Ordering::Acquire) {
                return Err(ended());
            }
            if self.unique.load(Ordering::Acquire) != unique {
                drop(turn);
                unique = !unique;
                facts = if unique { Facts::of(batch)? } else { Facts::default() };
                continue;
            }
            let mut feeding = self.feeding();
            self.decode(log, &mut feeding, usize::MAX)?;
            if log.was_left_straight() {
                self.mend(log, &mut turn, &mut feeding)?;
            }
            let last = feeding.feeder.added();
            // Of a file that somebody made, there may be none.
            let next = last.saturating_add(1);
            if let Some(expected) = batch.expected_last_id.filter(|expected| *expected != last) {
                return Err(conflict(expected, last));
            }
            let plan = if unique { judge(batch, &feeding, &facts)? } else { Plan::Append };
            match plan {
                Plan::Append if is_too_large => {
                    drop(feeding);
                    return self.append_elsewhere(log, turn, batch);
                }
                Plan::Append if !turn.has_room(bytes, largest) => {
                    drop(feeding);
                    drop(turn);
                    self.wait_for_room(log, bytes + largest)?;
                }
                Plan::Append => return self.put(log, turn, feeding, batch, &facts),
                Plan::Ask { nodes, entries } => {
                    drop(feeding);
                    drop(turn);
                    self.asked_in_time(log, self.ask(batch, nodes, &entries, &mut facts))?;
                }
                Plan::Compare { alike } => {
                    drop(feeding);
                    drop(turn);
                    for (index, id) in alike {
                        // Where what one was like is gone, it may be like one of the batch, and told first.
                        if facts.repeated.is_some_and(|repeated| repeated < index) {
                            break;
                        }
                        self.asked_in_time(log, self.compare(batch, index, id, next, &mut facts))?;
                    }
                }
                Plan::Refuse { index } => {
                    return Err(duplicate(&batch.entries[index], i64::MAX, next, index, batch));
                }
            }
        }
    }

    /// Puts the batch into the log and into memory.
    fn put(
        &self,
        log: &CommitLog,
        mut turn: Turn<'_>,
        mut feeding: MutexGuard<'_, Feeding>,
        batch: &Batch<'_>,
        facts: &Facts,
    ) -> Result<Appended> {
        let count = batch.entries.len() - facts.equal.len();
        let last = feeding.feeder.added();
        // Not 0, which stands for one of the batch itself.
        let existing_id = facts.equal.values().copied().max().unwrap_or(0);
        if count == 0 {
            drop(feeding);
            drop(turn);
            // What is there already may be on its way to the medium still.
            return self.synced(log, log.published(), Appended { existing_id, ..Appended::default() });
        }
        let first_id = last.checked_add(1).ok_or_else(full)?;
        let last_id = last.checked_add(i64::try_from(count).map_err(|_| full())?).ok_or_else(full)?;
        let created_at = utc::now_seconds();
        let new = || {
            let new = batch.entries.iter().enumerate().filter(|(index, _)| !facts.equal.contains_key(index));
            new.zip(first_id..).map(|((_, entry), id)| EntryFields::of(entry, id, created_at))
        };
        feeding.is_whole = false;
        for fields in new() {
            let more = fields.id != last_id;
            if let Err(error) = turn.put(&fields, more, &mut feeding.scratch) {
                feeding.is_whole = true;
                return Err(error);
            }
        }
        let end = turn.publish(last_id);
        // From here on it is done, whatever becomes of memory: that is decoded again then.
        for fields in new() {
            let is_unique = self.unique.load(Ordering::Acquire);
            if (is_unique && feeding.seen.add(fields.node_id, fields.timestamp, fields.id).is_err())
                || feeding.feeder.add(&fields.fields()).is_err()
            {
                drop(feeding);
                drop(turn);
                notify(log);
                return self.synced(log, end, Appended { first_id, count, existing_id });
            }
        }
        feeding.feeder.show();
        feeding.position = end;
        feeding.is_whole = true;
        self.settle(log, &mut feeding);
        // In this order: whoever has his turn next finds memory free.
        drop(feeding);
        drop(turn);
        notify(log);
        self.bell.ring();
        hooks::point("append.told");
        self.synced(log, end, Appended { first_id, count, existing_id })
    }

    fn synced(&self, log: &CommitLog, end: u64, appended: Appended) -> Result<Appended> {
        match &self.syncs {
            None => Ok(appended),
            // What the log cannot bring to the medium, the file can.
            Some(syncs) => {
                let durable = syncs.reach(log, end).or_else(|_| self.flush());
                durable.map(|()| appended).map_err(|error| {
                    let id = if appended.count > 0 { appended.first_id } else { appended.existing_id };
                    error
                        .context("the entry is in the ledger, but perhaps not on the medium")
                        .with_entry_id(id)
                })
            }
        }
    }

    /// Writes a batch that is too large for the log straight into the file, in one's turn.
    fn append_elsewhere(&self, log: &CommitLog, mut turn: Turn<'_>, batch: &Batch<'_>) -> Result<Appended> {
        self.flush()?;
        // Until it is said in the log where the entries are, whoever has his turn looks for them: also
        // where this fails, or the process dies.
        turn.set_straight(true);
        let appended = self.sqlite.append_logged(batch, log.is_durable())?;
        hooks::point("append.elsewhere");
        let noted = if appended.count > 0 {
            let last = appended.first_id + i64::try_from(appended.count).unwrap_or(i64::MAX) - 1;
            self.note_elsewhere(log, &mut turn, &mut self.feeding(), appended.first_id, last)
        } else {
            Ok(())
        };
        match noted {
            Ok(()) => turn.set_straight(false),
            // They are there. Whoever has his turn next, or the drain, says it in the log.
            Err(error) => {
                call::log(Level::Warn, || format!("the log cannot say yet where entries are: {error}"))
            }
        }
        drop(turn);
        notify(log);
        self.bell.ring();
        Ok(appended)
    }

    /// Lets everybody know of entries that are in the file and not in the log.
    fn note_elsewhere(
        &self,
        log: &CommitLog,
        turn: &mut Turn<'_>,
        feeding: &mut Feeding,
        first: i64,
        last: i64,
    ) -> Result<()> {
        turn.put_elsewhere(first, last, &mut feeding.scratch)?;
        let end = turn.publish(last);
        log.fold(end, last);
        self.decode(log, feeding, usize::MAX)
    }

    /// Ends what somebody began who did not come to its end: a batch that he wrote straight into the file.
    fn mend(&self, log: &CommitLog, turn: &mut Turn<'_>, feeding: &mut Feeding) -> Result<()> {
        let (stored, last) = (self.sqlite.log_identity()?.stored_id, feeding.feeder.added());
        if stored > last {
            self.note_elsewhere(log, turn, feeding, last + 1, stored)?;
        }
        turn.set_straight(false);
        Ok(())
    }

    /// The same where nobody appends.
    pub fn mend_if_left(&self, log: &CommitLog) -> Result<()> {
        if !log.was_left_straight() {
            return Ok(());
        }
        let mut turn = log.turn()?;
        let mut feeding = self.feeding();
        self.decode(log, &mut feeding, usize::MAX)?;
        if log.was_left_straight() { self.mend(log, &mut turn, &mut feeding) } else { Ok(()) }
    }

    /// Whether polls show all that the file has, or will not for a long time: it has no batch that somebody is
    /// writing there straight.
    pub fn is_all_published(&self, log: &CommitLog) -> bool {
        !log.was_left_straight()
            || self.ended.load(Ordering::Acquire)
            || !(self.sqlite.is_writable() || self.is_written(log))
    }

    /// Waits for whoever writes a batch straight into the file.
    pub fn wait_for_straight(&self, log: &CommitLog, tries: u32) -> Result<()> {
        if self.sqlite.is_writable() {
            return self.mend_if_left(log);
        }
        if call::pause(tries) {
            return Ok(());
        }
        Err(call::waited_for("a large batch was being written into the ledger file", "try again"))
    }

    /// An answer of the file; none if the ledger has no commit log any more, and the file says so.
    fn asked_in_time(&self, log: &CommitLog, answer: Result<()>) -> Result<()> {
        if let Err(error) = answer {
            if error.status() == Status::Duplicate {
                return Err(error);
            }
            // Who ends the log has the turn until it is known.
            drop(log.turn());
            return Err(if self.ended.load(Ordering::Acquire) { ended() } else { error });
        }
        Ok(())
    }

    /// Asks the file what memory does not know.
    fn ask(&self, batch: &Batch<'_>, nodes: Vec<&str>, entries: &[usize], facts: &mut Facts) -> Result<()> {
        let entry = |index: &usize| (batch.entries[*index].timestamp(), batch.entries[*index].node_id());
        let mut questions = Questions { nodes, entries: Vec::new() };
        questions.entries.try_reserve_exact(entries.len()).map_err(out_of_memory)?;
        questions.entries.extend(entries.iter().map(entry));
        let answers = self.sqlite.look_up(&questions)?;
        let answered = answers.ids.into_iter().map(|id| (id, answers.as_of));
        facts.asked.extend(entries.iter().copied().zip(answered));
        let mut feeding = self.feeding();
        // What the file did not have then may have been forgotten here meanwhile: then it is asked again.
        if answers.as_of >= feeding.seen.floor() {
            for (node_id, newest) in questions.nodes.iter().zip(answers.newest) {
                feeding.seen.learn(node_id, newest)?;
            }
        }
        Ok(())
    }

    /// Compares an entry with the one that is there: an error, or left out if it is equal and that is to
    /// be ignored.
    fn compare(
        &self,
        batch: &Batch<'_>,
        index: usize,
        id: i64,
        first_id: i64,
        facts: &mut Facts,
    ) -> Result<()> {
        let there = loop {
            self.refresh()?;
            // All above this id is in memory, if it is anywhere.
            let after = self.tail.after();
            if let Some(there) = self.tail.get(id) {
                break there;
            }
            if id <= after && after != i64::MAX {
                if let Some(there) = self.sqlite.get(id)? {
                    break there;
                }
                // A cleanup took it, or another program.
                facts.gone.insert(id);
                return Ok(());
            }
            // Memory is beginning anew.
            if !call::pause(0) {
                return Err(call::waited_for("memory was being filled anew", "try again"));
            }
        };
        let (entry, there) = (&batch.entries[index], there.as_ref());
        let is_equal = batch.on_duplicate == OnDuplicate::IgnoreEqual
            && is_equal(entry, there.confidence(), there.features())?;
        if !is_equal {
            return Err(duplicate(entry, id, first_id, index, batch));
        }
        facts.equal.insert(index, id);
        Ok(())
    }

    /// Waits until the log has room for so many bytes.
    fn wait_for_room(&self, log: &CommitLog, bytes: u64) -> Result<()> {
        loop {
            let folds = log.folds();
            if log.looks_roomy(bytes) {
                return Ok(());
            }
            self.bell.ring();
            if self.is_in_trouble() {
                // Whether it still is, and why, is known to who tries.
                self.fold().map_err(|error| {
                    error.context("the commit log is full, and cannot be folded into the ledger file")
                })?;
                continue;
            }
            let left = call::remaining();
            if left.is_zero() {
                return Err(call::waited_for(
                    "the commit log was full, being folded into the ledger file",
                    "append less at a time, or raise log_bytes",
                ));
            }
            log.wait_for_fold(folds, left.min(Duration::from_millis(5)));
        }
    }
}

/// Lets those know who wait for entries.
#[inline]
fn notify(log: &CommitLog) {
    hooks::point("append.notify");
    log.notify();
}

impl Facts {
    /// What the batch says by itself.
    fn of(batch: &Batch<'_>) -> Result<Facts> {
        let mut facts = Facts::default();
        let entries = batch.entries;
        if entries.windows(2).all(|pair| pair[0].timestamp() < pair[1].timestamp()) {
            return Ok(facts);
        }
        let mut first = HashMap::<(u64, &str), usize, RandomState>::default();
        first.try_reserve(entries.len()).map_err(out_of_memory)?;
        for (index, entry) in entries.iter().enumerate() {
            let before = *first.entry((entry.timestamp().to_bits(), entry.node_id())).or_insert(index);
            if before == index {
                continue;
            }
            let (one, other) = (&entries[before], entry);
            if batch.on_duplicate == OnDuplicate::IgnoreEqual
                && is_equal(other, one.confidence(), one.features())?
            {
                facts.equal.insert(index, 0);
            } else {
                facts.repeated.get_or_insert(index);
            }
        }
        Ok(facts)
    }
}

/// What is to be done with a batch, by all that is known.
fn judge<'b>(batch: &'b Batch<'_>, feeding: &Feeding, facts: &Facts) -> Result<Plan<'b>> {
    let (mut nodes, mut entries, mut alike) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in batch.entries.iter().enumerate() {
        let like = match feeding.seen.judge(entry.node_id(), entry.timestamp()) {
            _ if facts.equal.contains_key(&index) => None,
            Verdict::New => None,
            Verdict::Known(id) => Some(id),
            Verdict::AskNode => {
                nodes.try_reserve(1).map_err(out_of_memory)?;
                nodes.push(entry.node_id());
                continue;
            }
            Verdict::AskEntry => match facts.asked.get(&index) {
                Some((answer, as_of)) if *as_of >= feeding.seen.floor() => *answer,
                _ => {
                    entries.try_reserve(1).map_err(out_of_memory)?;
                    entries.push(index);
                    continue;
                }
            },
        };
        // In the order of the batch: the first that is wrong is the one that is told.
        if nodes.is_empty() && entries.is_empty() {
            match like {
                Some(id) if !facts.gone.contains(&id) => {
                    alike.try_reserve(1).map_err(out_of_memory)?;
                    alike.push((index, id));
                }
                _ if facts.repeated == Some(index) && alike.is_empty() => return Ok(Plan::Refuse { index }),
                _ => {}
            }
        }
    }
    if !alike.is_empty() {
        return Ok(Plan::Compare { alike });
    }
    if nodes.is_empty() && entries.is_empty() {
        return Ok(Plan::Append);
    }
    nodes.sort_unstable();
    nodes.dedup();
    Ok(Plan::Ask { nodes, entries })
}

fn out_of_memory(_: TryReserveError) -> Error {
    Error::no_memory("the batch", "append it in parts")
}

fn ended() -> Error {
    Error::new(Status::Closed, "the ledger has commit = sqlite since a moment ago; try again")
}

/// Whether an entry says the same.
fn is_equal(entry: &NewEntry<'_>, confidence: f64, features: &str) -> Result<bool> {
    #[allow(clippy::float_cmp)] // The same or not.
    let is_as_sure = entry.confidence() == confidence;
    if is_as_sure { json::same_meaning(features, entry.features()) } else { Ok(false) }
}
