//! Writing: one connection for each file in a process, behind a fair lock; SQLite's own lock
//! stands between processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, StatementStatus, ffi, params};

use super::checkpoints::{self, Checkpoints};
use super::connection::{DURABLE, Role, Source, durably};
use super::fault::{is_committed, is_duplicate, is_read_only, is_transient, translate};
use super::folding::Folding;
use super::group::{Group, Outcome, Together};
use super::pace::Pace;
use super::place::Place;
use super::{Turns, maintenance, no_turn, rows, schema};
use crate::call;
use crate::entry::NewEntry;
use crate::error::{Error, Result, Status};
use crate::gate::Locked;
use crate::hooks;
use crate::json;
use crate::logging::Level;
use crate::metrics::{Metrics, Operation};
use crate::store::{Appended, Batch, Cutoff, OnDuplicate};
use crate::utc;

/// The one connection that writes.
pub(super) struct Writer {
    source: Source,
    /// `None` after a panic, after a transaction that would not end, and where it could only read: the next call
    /// opens a new one.
    connection: Locked<Option<Connection>>,
    checkpoints: Checkpoints,
    group: Group,
    place: Option<Arc<Place>>,
    journal_mode: String,
    turns: Option<Turns>,
}

impl Writer {
    pub fn new(
        connection: Connection,
        source: Source,
        place: Option<Arc<Place>>,
        journal_mode: String,
        turns: Option<Turns>,
    ) -> Writer {
        checkpoints::watch(&connection);
        remember_schema(&connection);
        let checkpoints = Checkpoints::new(source.clone(), place.clone());
        let (connection, group) = (Locked::new(Some(connection)), Group::default());
        Writer { source, connection, checkpoints, group, place, journal_mode, turns }
    }

    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>, metrics: &Metrics) -> Result<Appended> {
        if batch.entries.is_empty() && batch.expected_last_id.is_none() {
            return Ok(Appended::default());
        }
        if batch.entries.len() == 1
            && (!self.connection.is_free() || self.group.has_some())
            && let Some(appended) = self.append_together(batch, metrics)
        {
            return appended;
        }
        Self::renewed(|| {
            self.alone(metrics, |connection| {
                append_in(connection, batch, |connection| {
                    check_way(connection, false)?;
                    insert(connection, batch)
                })
            })
        })
    }

    /// The same in one transaction with others who wait as well. `None` if that came to nothing, for a
    /// reason which whoever tries alone hears of.
    fn append_together(&self, batch: &Batch<'_>, metrics: &Metrics) -> Option<Result<Appended>> {
        let request = match self.group.join(batch) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let entered = self.enter(metrics, &|| request.outcome().is_some(), |connection| {
            if request.outcome().is_some() {
                return Ok(());
            }
            let mut together = Together::default();
            let done = attempt(connection, &mut |connection| {
                check_way(connection, false)?;
                // Not before, since the lock of another process may have to be waited for: nobody is to wait
                // for that longer than his own time.
                together = self.group.take();
                together.write(|batch| match insert(connection, batch) {
                    Err(error) if leaves_nothing(&error) => Ok(Err(error)),
                    inserted => inserted.map(Ok),
                })
            });
            match &done {
                Ok(()) => together.committed(Ok),
                Err(error) => {
                    let are_there = together.one_that_was_added().map_or(Some(false), |(id, entry)| {
                        is_there(connection, error, id, std::slice::from_ref(entry))
                    });
                    if are_there != Some(false) {
                        together.committed(|appended| match appended.count {
                            0 => Ok(appended),
                            _ => Err(in_doubt(error.clone(), appended.first_id, are_there)),
                        });
                    }
                }
            }
            done
        });
        let outcome = request.outcome().or_else(|| {
            // Otherwise somebody has just taken it along.
            (!self.group.leave(&request)).then(|| request.wait())
        });
        match outcome {
            Some(Outcome::Done(appended)) => Some(appended),
            Some(Outcome::Alone) => None,
            None => match entered {
                // So many came before that it was not taken.
                Some(Ok(())) => None,
                // What it failed at before it took any.
                Some(Err(error)) => Some(Err(error)),
                None => Some(Err(others_write())),
            },
        }
    }

    /// The same for a batch that comes by the commit log, but is too large for it.
    pub fn append_logged(&self, batch: &Batch<'_>, metrics: &Metrics, durable: bool) -> Result<Appended> {
        self.durably_alone(metrics, durable, |connection| {
            append_in(connection, batch, |connection| {
                let folding = Folding::begin(connection)?;
                let appended = insert(connection, batch)?;
                let last = appended.first_id + i64::try_from(appended.count).unwrap_or(i64::MAX) - 1;
                if appended.count > 0 {
                    folding.finish_at(last)?;
                }
                Ok(appended)
            })
        })
    }

    /// Lets `work` store entries of the commit log, in one transaction.
    pub fn fold<T>(
        &self,
        metrics: &Metrics,
        durable: bool,
        mut work: impl FnMut(&mut Folding<'_>) -> Result<T>,
    ) -> Result<T> {
        self.durably_alone(metrics, durable, |connection| {
            attempt(connection, &mut |connection| {
                let mut folding = Folding::begin(connection)?;
                let before = folding.stored_id();
                let done = work(&mut folding)?;
                if folding.stored_id() != before || folding.confirms() {
                    folding.finish()?;
                }
                Ok(done)
            })
        })
    }

    /// Deletes what is older than the cut-off, in bounded transactions; how many. `removing` is told
    /// the largest id of each transaction before it is committed.
    /// `logged`: whether entries come by the commit log, which must be so all the time.
    pub fn cleanup(
        &self,
        cutoff: Cutoff,
        metrics: &Metrics,
        logged: bool,
        removing: &dyn Fn(i64),
    ) -> Result<i64> {
        let (mut fixed, mut pace, mut deleted) = (None, self.pace(logged), 0);
        loop {
            let mut began = None;
            let step = self.transaction(metrics, |connection| {
                began = Some(Instant::now());
                check_way(connection, logged)?;
                // The clock is read once, however many steps there are.
                let cutoff = match fixed {
                    Some(cutoff) => cutoff,
                    None => *fixed.insert(Deletion::of(cutoff, connection)?),
                };
                cutoff.step(connection, pace.amount(), removing)
            });
            let count = step.map_err(|error| error.with_work_done(deleted))?;
            deleted += count;
            if count < pace.amount() {
                return Ok(deleted);
            }
            let rested = pace.rest(began.map_or(Duration::ZERO, |began| began.elapsed()));
            rested.map_err(|error| error.with_work_done(deleted))?;
        }
    }

    /// Folds the whole WAL into the file, and empties it.
    pub fn checkpoint(&self, metrics: &Metrics) -> Result<()> {
        self.alone(metrics, |connection| {
            // In its turn, as with those who find the WAL too long after a commit: in the other order they and
            // this would wait for one another.
            let _held = self.checkpoints.hold();
            maintenance::checkpoint(connection)
        })
    }

    /// The pace of long work. `logged`: whether entries come by the commit log.
    pub fn pace(&self, logged: bool) -> Pace {
        let is_wal = self.journal_mode == "WAL" || self.source.in_memory;
        Pace::new(logged, !is_wal || ["FULL", "EXTRA"].contains(&&*self.source.synchronous))
    }

    /// Closes the connection.
    pub fn close(self) -> Result<()> {
        let Writer { checkpoints, connection, place, .. } = self;
        drop(checkpoints);
        match connection.into_inner() {
            None => Ok(()),
            Some(connection) => {
                // SQLite does this at the last close too, but keeps to itself what went wrong.
                let folded = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                let closed = connection.close().map_err(|(_, error)| error);
                match folded.and(closed) {
                    // Somebody else is reading, or folds: then it is not ours to do.
                    Err(error) if !is_transient(&error) => {
                        let error = translate(&error);
                        Err(match place {
                            Some(place) => place.named(error),
                            None => error,
                        })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn named(&self, error: Error) -> Error {
        match &self.place {
            Some(place) => place.named(error),
            None => error,
        }
    }

    /// A connection in place of one that was given up.
    fn reopen(&self) -> Result<Connection> {
        if let Some(place) = &self.place {
            place.look()?;
        }
        let connection = self.source.open(Role::Writer).map_err(|error| translate(&error))?;
        checkpoints::watch(&connection);
        schema::check_still_ours(&connection)?;
        remember_schema(&connection);
        if !self.source.in_memory {
            // WAL is known from the file, the other modes by each connection.
            let pragma = format!("PRAGMA journal_mode = {}", self.journal_mode);
            schema::answer_at_the_end(&connection, &pragma)?;
        }
        Ok(connection)
    }

    /// Changes a setting of the file: on the medium when this returns, or there is a line in the log.
    pub fn change(&self, metrics: &Metrics, name: &str, value: &str) -> Result<()> {
        self.alone(metrics, |connection| {
            let changed = durably(connection, |connection| {
                attempt(connection, &mut |connection| schema::change(connection, name, value))
            });
            let is_so = || Ok(schema::setting(connection, name)?.as_deref() == Some(value));
            match changed {
                // It is done, and who hears of it must know that. But a commit log would have entries of which the file may
                // know nothing after a power cut.
                Err(error)
                    if (name, value) != ("commit", "log")
                        && is_carried_out(connection, &error, is_so) == Some(true) =>
                {
                    call::log(Level::Warn, || {
                        format!("{name} is {value} now, but perhaps not on the medium: {error}")
                    });
                    Ok(())
                }
                changed => changed,
            }
        })
    }

    /// Brings everything that was committed to the medium, by whomever.
    pub fn sync(&self, metrics: &Metrics) -> Result<()> {
        self.alone(metrics, |connection| {
            if !has_wal(connection) {
                // A journal that somebody could not put away is put away with the next.
                return durably(connection, |connection| {
                    attempt(connection, &mut |connection| {
                        touch(connection).map_err(|error| translate(&error))
                    })
                });
            }
            // In its turn, as in `checkpoint`.
            let _held = self.checkpoints.hold();
            maintenance::sync(connection)
        })
    }

    /// Runs `work` in a write transaction, alone.
    pub fn transaction<T>(
        &self,
        metrics: &Metrics,
        mut work: impl FnMut(&Connection) -> Result<T>,
    ) -> Result<T> {
        Self::renewed(|| self.alone(metrics, |connection| attempt(connection, &mut work)))
    }

    /// Does it once more where the connection could only read, which a new one may do better.
    fn renewed<T>(mut run: impl FnMut() -> Result<T>) -> Result<T> {
        match run() {
            Err(error) if is_read_only(&error) => run(),
            done => done,
        }
    }

    /// Runs `work` on the connection, alone; `durable`: what it commits is on the medium when this returns, whatever the
    /// synchronous mode says.
    fn durably_alone<T>(
        &self,
        metrics: &Metrics,
        durable: bool,
        mut work: impl FnMut(&Connection) -> Result<T>,
    ) -> Result<T> {
        Self::renewed(|| {
            self.alone(metrics, |connection| {
                if durable && self.source.synchronous != "EXTRA" {
                    // It stays so: whoever counts on it may come at any time.
                    connection.execute_batch(DURABLE).map_err(|error| translate(&error))?;
                }
                let done = work(connection);
                // Nobody waits for those who store what the log has.
                checkpoints::inline(connection);
                done
            })
        })
    }

    /// Runs `work` on the connection, with nobody of this process beside it.
    pub fn alone<T>(&self, metrics: &Metrics, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.enter(metrics, &|| false, work).unwrap_or_else(|| Err(others_write()))
    }

    /// The same; `None` where there is no time left for it, or it has become needless.
    fn enter<T>(
        &self,
        metrics: &Metrics,
        is_needless: &dyn Fn() -> bool,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Option<Result<T>> {
        let began = (!self.connection.is_free()).then(Instant::now);
        self.connection.with_unless(is_needless, |place| {
            if let Some(began) = began {
                metrics.waited(Operation::WriterWait, began.elapsed());
            }
            call::check()?;
            self.with_connection(place, metrics, work).map_err(|error| self.named(error))
        })
    }

    fn with_connection<T>(
        &self,
        place: &mut Option<Connection>,
        metrics: &Metrics,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let _turn = match &self.turns {
            Some(turns) => Some(turns.pass().ok_or_else(no_turn)?),
            None => None,
        };
        // Taken out while it is in use: a panic drops it, and SQLite rolls back.
        let connection = match place.take() {
            Some(connection) => connection,
            None => {
                metrics.writer_resets.add(1);
                self.reopen()?
            }
        };
        let result = work(&connection);
        let may_write = !matches!(&result, Err(error) if is_read_only(error));
        if connection.is_autocommit() && may_write {
            self.checkpoints.committed(&connection);
            *place = Some(connection);
        }
        result
    }
}

/// Whether a transaction was carried out all the same whose COMMIT failed with this, which `look` finds out; `None`: that
/// cannot be known. With a rollback journal it is as soon as that is no way back any more. What comes behind that and
/// may fail, as a sync of the journal or of its folder, is for a power cut, after which the journal may be there again.
fn is_carried_out(
    connection: &Connection,
    error: &Error,
    look: impl FnOnce() -> Result<bool>,
) -> Option<bool> {
    match error.sqlite_code() {
        // The journal was removed.
        ffi::SQLITE_IOERR_DIR_FSYNC => Some(true),
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_FSTAT | ffi::SQLITE_IOERR_TRUNCATE
            if !has_wal(connection) =>
        {
            call::shielded(look).ok()
        }
        _ => Some(false),
    }
}

/// The same of one that gave the first of these entries this id.
fn is_there(connection: &Connection, error: &Error, first_id: i64, entries: &[NewEntry<'_>]) -> Option<bool> {
    // Compared, since the id may be that of somebody else by now.
    let is_one = |row: &rusqlite::Row<'_>| {
        let (timestamp, node_id) = (row.get::<_, f64>(0)?, row.get::<_, String>(1)?);
        Ok(entries.iter().any(|entry| (entry.timestamp(), entry.node_id()) == (timestamp, &*node_id)))
    };
    let sql = "SELECT timestamp, node_id FROM ledger WHERE id = ?1";
    is_carried_out(connection, error, || {
        let found = connection.query_row(sql, [first_id], is_one).optional();
        Ok(found.map_err(|error| translate(&error))?.unwrap_or(false))
    })
}

/// The error of an append that would have had this id.
fn in_doubt(error: Error, first_id: i64, is_there: Option<bool>) -> Error {
    match is_there {
        Some(false) => error,
        Some(true) => {
            error.context("the entry is in the ledger, but perhaps not on the medium").with_entry_id(first_id)
        }
        None => error.context("whether the entry is in the ledger is not known, read it to find out"),
    }
}

fn has_wal(connection: &Connection) -> bool {
    schema::journal_mode(connection).is_ok_and(|mode| mode == "wal")
}

/// Has `write` write a batch, in one transaction.
fn append_in(
    connection: &Connection,
    batch: &Batch<'_>,
    mut write: impl FnMut(&Connection) -> Result<Appended>,
) -> Result<Appended> {
    let mut first_id = 0;
    let appended = attempt(connection, &mut |connection| {
        let appended = write(connection)?;
        first_id = appended.first_id;
        Ok(appended)
    });
    appended.map_err(|error| match first_id {
        0 => error,
        _ => {
            let is_there = is_there(connection, &error, first_id, batch.entries);
            in_doubt(error, first_id, is_there)
        }
    })
}

fn others_write() -> Error {
    call::waited_for("other threads were writing", "append in batches")
}

/// Whether an entry was refused, and its transaction goes on as if it had not been there.
fn leaves_nothing(error: &Error) -> bool {
    matches!(error.status(), Status::Duplicate | Status::Conflict)
}

/// An error if the ledger commits in another way by now.
fn check_way(connection: &Connection, logged: bool) -> Result<()> {
    if schema::setting(connection, schema::LOG_THROUGH)?.is_some() == logged {
        return Ok(());
    }
    let message = "the way of committing has changed meanwhile (commit); try again";
    Err(Error::new(Status::Closed, message).with_field("commit"))
}

/// One transaction, again where SQLite says that the same may succeed a moment later.
fn attempt<T>(connection: &Connection, work: &mut impl FnMut(&Connection) -> Result<T>) -> Result<T> {
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    for tries in 0.. {
        match run("BEGIN IMMEDIATE") {
            Ok(_) => break,
            // The busy handler has waited already, except where SQLite does not ask it.
            Err(error) if is_transient(&error) && call::pause(tries) => {}
            Err(error) => {
                let _ = roll_back(connection);
                return Err(translate(&error));
            }
        }
    }
    let mut has_failed_to_commit = false;
    let result = work(connection).and_then(|done| {
        hooks::point("writer.commit");
        // Interrupted in here, it could not be told from one that was not carried out.
        match call::shielded(|| run("COMMIT")) {
            Err(error) if !is_committed(&error) => {
                has_failed_to_commit = !is_transient(&error);
                Err(translate(&error))
            }
            _ => Ok(done),
        }
    });
    if result.is_err() {
        // Where it fails the connection is given up.
        let ended = roll_back(connection);
        if has_failed_to_commit && ended.is_ok() && has_wal(connection) {
            take_back(connection);
        }
    }
    result
}

/// Sees to it that a transaction does not come back that could not be committed. Where only the sync of the WAL failed, or
/// room in memory for its index, it stands there to its end, and whoever puts the WAL in order when all processes have
/// died takes it for committed. So something is written over it that changes nothing.
fn take_back(connection: &Connection) {
    // Where somebody else has the lock, he writes over it. Where this fails no more can be done.
    let _ = call::shielded(|| call::at_once(|| touch(connection)));
}

/// Writes something that changes nothing: the page with the version of the user, which SQLite writes whatever is in it.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!("PRAGMA user_version = {version}"))
}

/// Ends a transaction that is not to be, also one that was interrupted when it had just begun.
pub(super) fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    let run = || connection.prepare_cached("ROLLBACK").and_then(|mut statement| statement.execute([]));
    let ended = call::shielded(run).map(drop);
    // SQLite may roll back by itself; then this fails, and is not needed.
    if connection.is_autocommit() { Ok(()) } else { ended }
}

// What a table says about conflicts does not hold where the statement says something itself.
pub(super) const INSERT: &str =
    "INSERT OR ABORT INTO ledger (id, timestamp, node_id, features, confidence, created_at)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

fn insert(connection: &Connection, batch: &Batch<'_>) -> Result<Appended> {
    let mut statement = connection.prepare_cached(INSERT).map_err(|error| translate(&error))?;
    #[allow(clippy::cast_possible_truncation)] // Whole seconds, as CURRENT_TIMESTAMP has them.
    let created_at = utc::format(utc::now().floor() as i64);
    let first_id = next_id(connection)?;
    if let Some(expected) = batch.expected_last_id.filter(|expected| *expected != first_id - 1) {
        return Err(conflict(expected, first_id - 1));
    }
    let mut appended = Appended::default();
    let mut id = first_id;
    for (index, entry) in batch.entries.iter().enumerate() {
        hooks::point("writer.insert");
        let done = statement.execute(params![
            id,
            entry.timestamp(),
            entry.node_id(),
            entry.features(),
            entry.confidence(),
            created_at
        ]);
        match done {
            Ok(1) => {
                appended.count += 1;
                id = id.checked_add(1).ok_or_else(full)?;
            }
            Ok(_) => return Err(Error::new(Status::Corrupt, "SQLite did not insert the entry")),
            Err(error) if is_duplicate(&error) => {
                appended.existing_id = existing(connection, batch, index, first_id)?;
            }
            Err(error) => return Err(translate(&error)),
        }
    }
    if appended.count > 0 {
        appended.first_id = first_id;
    }
    Ok(appended)
}

const LARGEST: &str = "SELECT max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'ledger'), 0),
    coalesce((SELECT max(id) FROM ledger), 0),
    coalesce((SELECT deleted_through FROM simledger_retention WHERE singleton = 1), 0))";

/// Lets [`next_id`] notice when the schema is another than now, when it was looked at.
fn remember_schema(connection: &Connection) {
    // Where this fails, its first call does too.
    let _ = connection.prepare_cached(LARGEST);
}

/// The next id: above whatever was an id before, also if somebody changed SQLite's own record.
pub(super) fn next_id(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached(LARGEST).map_err(|error| translate(&error))?;
    let largest = statement.query_row([], |row| row.get::<_, Value>(0)).map_err(|error| translate(&error))?;
    // SQLite prepares a statement anew when it finds another schema than before: somebody may have planted
    // something there that what is written next would run. Whoever comes next finds it as well.
    if statement.get_status(StatementStatus::RePrepare) != 0 {
        schema::check_still_ours(connection)?;
        statement.reset_status(StatementStatus::RePrepare);
    }
    match largest {
        Value::Integer(largest) => largest.checked_add(1).ok_or_else(full),
        // Text is above all numbers.
        _ => Err(Error::new(Status::Corrupt, "the ledger's record of its largest id is not a number")),
    }
}

pub(crate) fn conflict(expected: i64, last: i64) -> Error {
    let message = format!(
        "the ledger's last id is {last}, not {expected} as expected: read what is new, decide anew, and commit again"
    );
    Error::new(Status::Conflict, message).with_field("expected_last_id").with_entry_id(last)
}

pub(crate) fn full() -> Error {
    Error::new(Status::LimitExceeded, "the ledger has used its largest possible id; begin a new one")
}

/// There is an entry with the timestamp and node of this one: an error, or its id if it is equal
/// and that is to be ignored.
fn existing(connection: &Connection, batch: &Batch<'_>, index: usize, first_id: i64) -> Result<i64> {
    const SAME: &str = "SELECT id, features, confidence FROM ledger WHERE timestamp = ?1 AND node_id = ?2";
    let entry = &batch.entries[index];
    let found = connection
        .prepare_cached(SAME)
        .and_then(|mut statement| {
            statement
                .query_row(params![entry.timestamp(), entry.node_id()], |row| {
                    let may_be_equal = batch.on_duplicate == OnDuplicate::IgnoreEqual
                        && row.get_ref(2)?.as_f64().is_ok_and(|c| c == entry.confidence());
                    let is_equal = match row.get_ref(1)?.as_str() {
                        Ok(features) if may_be_equal => json::same_meaning(features, entry.features()),
                        _ => Ok(false),
                    };
                    Ok((row.get::<_, i64>(0)?, is_equal))
                })
                .optional()
        })
        .map_err(|error| translate(&error))?;
    let Some((id, is_equal)) = found else {
        let message = "the ledger's unique index and its rows do not agree; run an integrity check";
        return Err(Error::new(Status::Corrupt, message));
    };
    if is_equal? {
        return Ok(id);
    }
    Err(duplicate(entry, id, first_id, index, batch))
}

/// The error for an entry like one that is there. `first_id`: what the first of the batch would get.
pub(crate) fn duplicate(
    entry: &NewEntry<'_>,
    id: i64,
    first_id: i64,
    index: usize,
    batch: &Batch<'_>,
) -> Error {
    let other = if id >= first_id {
        "an earlier entry of this batch".to_string()
    } else {
        format!("the entry with id {id}")
    };
    let how = match batch.on_duplicate {
        OnDuplicate::Refuse => {
            "on_duplicate = ignore makes a repeated append of an equal entry succeed, and a ledger created with \
             unique = none takes any number"
        }
        OnDuplicate::IgnoreEqual => {
            "its content differs, so that on_duplicate = ignore does not apply; a ledger created with unique = none \
             takes any number"
        }
    };
    let message = format!(
        "{other} has the same timestamp {} and node_id \"{}\": {how}",
        entry.timestamp(),
        crate::error::excerpt(entry.node_id())
    );
    let error = Error::new(Status::Duplicate, message).with_field("timestamp");
    let error = if id < first_id { error.with_entry_id(id) } else { error };
    if batch.entries.len() > 1 {
        error.with_index(index).context(format!("entry {index} of the batch, counted from 0"))
    } else {
        error
    }
}

/// Which rows a cleanup deletes, with the clock read.
#[derive(Clone, Copy)]
enum Deletion {
    BeforeTimestamp(f64),
    BeforeId(i64),
}

impl Deletion {
    fn of(cutoff: Cutoff, connection: &Connection) -> Result<Deletion> {
        Ok(match cutoff {
            Cutoff::BeforeTimestamp(timestamp) => Deletion::BeforeTimestamp(timestamp),
            Cutoff::BeforeId(id) => Deletion::BeforeId(id),
            Cutoff::Age(seconds) => Deletion::BeforeTimestamp(now_of(connection)? - seconds),
        })
    }

    /// Raises the retention mark and deletes the rows, at most so many; how many.
    fn step(self, connection: &Connection, most: i64, removing: &dyn Fn(i64)) -> Result<i64> {
        // Deleting computes the indexes too.
        next_id(connection)?;
        self.delete(connection, most, removing).map_err(|error| translate(&error))?.ok_or_else(|| {
            let message =
                "deleting the entries would change other rows, by a foreign key that another program added";
            Error::new(Status::Corrupt, message)
        })
    }

    /// `None` where more changed than was asked for.
    fn delete(
        self,
        connection: &Connection,
        most: i64,
        removing: &dyn Fn(i64),
    ) -> rusqlite::Result<Option<i64>> {
        let (select, bound, cutoff) = match self {
            Deletion::BeforeTimestamp(timestamp) => (
                "SELECT id FROM ledger WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2",
                Value::Real(timestamp),
                Value::Real(timestamp),
            ),
            Deletion::BeforeId(id) => {
                ("SELECT id FROM ledger WHERE id < ?1 ORDER BY id LIMIT ?2", Value::Integer(id), Value::Null)
            }
        };
        let mut ids = Vec::new();
        let mut select = connection.prepare_cached(select)?;
        let mut found = select.query(params![bound, most])?;
        while let Some(row) = found.next()? {
            ids.try_reserve(1).map_err(|_| no_memory())?;
            ids.push(row.get::<_, i64>(0)?);
        }
        drop(found);
        let Some(largest) = ids.iter().max() else {
            return Ok(Some(0));
        };
        removing(*largest);
        let before = connection.total_changes();
        let raise = "INSERT INTO simledger_retention VALUES (1, ?1, ?2) ON CONFLICT (singleton) DO UPDATE SET
                     deleted_through = max(deleted_through, ?1),
                     cutoff_timestamp = max(coalesce(cutoff_timestamp, ?2), coalesce(?2, cutoff_timestamp))";
        let mut raise = connection.prepare_cached(raise)?;
        raise.execute([&Value::Integer(*largest), &cutoff])?;
        let mut delete = connection.prepare_cached("DELETE FROM ledger WHERE id = ?1")?;
        for id in &ids {
            hooks::point("writer.delete");
            delete.execute([id])?;
        }
        // The mark, the rows, and nothing else: no foreign key that another program added took
        // entries along that the mark does not cover.
        let expected = ids.len() as u64 + 1;
        Ok((connection.total_changes() - before == expected)
            .then_some(i64::try_from(ids.len()).unwrap_or(i64::MAX)))
    }
}

/// The time on the ledger's clock: the system's, or the newest timestamp of a valid entry.
fn now_of(connection: &Connection) -> Result<f64> {
    let clock = "SELECT value FROM simledger_settings WHERE name = 'clock'";
    let newest = format!("SELECT {} FROM ledger ORDER BY timestamp DESC", rows::COLUMNS);
    (|| {
        let clock = connection.prepare_cached(clock)?.query_row([], |row| row.get::<_, String>(0))?;
        if clock != "simulated" {
            return Ok(utc::now());
        }
        let mut statement = connection.prepare_cached(&newest)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            if let Ok(entry) = rows::decode(row) {
                return Ok(entry.timestamp);
            }
        }
        // Without an entry there is nothing to be older than anything.
        Ok(f64::NEG_INFINITY)
    })()
    .map_err(|error: rusqlite::Error| translate(&error))
}

/// As SQLite says it of its own.
fn no_memory() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), None)
}
