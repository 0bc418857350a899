//! Writing: one connection for each file in a process, behind a fair lock; SQLite's own lock
//! stands between processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoints::{self, Checkpoints};
use super::connection::{DURABLE, Role, Source, durably};
use super::deletion::Deletion;
use super::fault::{is_read_only, is_transient, translate};
use super::folding::Folding;
use super::group::{Group, Outcome, Together};
use super::insert::{append_in, in_doubt, insert, is_there, leaves_nothing, remember_schema};
use super::pace::Pace;
use super::place::Place;
use super::transaction::{attempt, has_wal, is_carried_out, touch};
use super::{Turns, maintenance, no_turn, schema};
use crate::call;
use crate::error::{Error, Result, Status};
use crate::gate::Locked;
use crate::logging::Level;
use crate::metrics::{Metrics, Operation};
use crate::store::{Appended, Batch, Cutoff};

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

    /// Runs `work`, which makes the file shorter, alone. SQLite cuts the end off when the journal is gone, and below EXTRA
    /// does not wait until it is gone on the medium: after a power cut it could be there again, and the pages that it
    /// was not made for missing.
    pub fn shorten<T>(&self, metrics: &Metrics, mut work: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        let durable = self.journal_mode == "DELETE" && self.source.synchronous != "OFF";
        Self::renewed(|| {
            self.alone(metrics, |connection| {
                if durable { durably(connection, |connection| work(connection)) } else { work(connection) }
            })
        })
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

fn others_write() -> Error {
    call::waited_for("other threads were writing", "append in batches")
}

/// An error if the ledger commits in another way by now.
fn check_way(connection: &Connection, logged: bool) -> Result<()> {
    if schema::setting(connection, schema::LOG_THROUGH)?.is_some() == logged {
        return Ok(());
    }
    let message = "the way of committing has changed meanwhile (commit); try again";
    Err(Error::new(Status::Closed, message).with_field("commit"))
}
