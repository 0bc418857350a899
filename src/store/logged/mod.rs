//! A ledger as it is opened: the ledger file, and with `commit = log` the commit log before it.
//!
//! With the log an append is a record in it. What the log has is decoded once in each process, into
//! the [tail](crate::tail), which reads are answered from together with the file; the drain stores it
//! in the file in the background. `docs/commit-log.md` has the protocol.

mod append;
mod change;
mod drain;
mod feed;
mod open;
mod seen;
mod sync;
mod wake;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use self::drain::{Bell, Drain};
use self::feed::Feeding;
use self::open::Gate;
pub(crate) use self::open::{Here, Opening, open};
use self::sync::Syncs;
use self::wake::Wake;
use super::sqlite::{SqliteStore, Usage, opened_to_read};
use super::{
    Appended, Batch, Cutoff, Ends, ProgressFunction, Signals, Sizes, Sql, Store, Stored, Vacuum, Version,
};
use crate::call;
use crate::chunk::Entry;
use crate::commit_log::CommitLog;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::gate::Locked;
use crate::hooks;
use crate::logging::Notices;
use crate::query::{Overflow, Read};
use crate::tail::Tail;

/// A ledger file, perhaps with a commit log before it.
pub(crate) struct LedgerStore {
    sqlite: Arc<SqliteStore>,
    /// What processes agree by; `None` in memory.
    gate: Option<Arc<Gate>>,
    tail: Arc<Tail>,
    notices: Arc<Notices>,
    /// Notified of appends, where there is no commit log.
    wake: Wake,
    /// With `commit = log`.
    logged: Option<Arc<Logged>>,
    /// The file may say that there is a commit log where there is none, or the other way round: a change failed
    /// half-way.
    unfinished: AtomicBool,
    /// `None` where nothing can be written, and once the store is left.
    drain: Mutex<Option<Drain>>,
}

/// What appends, reads and the drain work with, where there is a commit log.
struct Logged {
    sqlite: Arc<SqliteStore>,
    gate: Arc<Gate>,
    /// Comes later where the ledger was opened for reading, and nobody had written.
    log: OnceLock<CommitLog>,
    /// Here as long as the log is open for writing: see [`Here`](open::Here).
    writing: OnceLock<Arc<()>>,
    tail: Arc<Tail>,
    /// Taken in one's turn at the log, never the other way round.
    feeding: Mutex<Feeding>,
    /// How far the log is decoded: what [`Feeding`] has, to be looked at without it.
    decoded: AtomicU64,
    /// The removed id that the tail goes by.
    removed: AtomicI64,
    /// How often somebody read while a cleanup was deleting.
    read_meanwhile: AtomicU64,
    /// Set in one's turn: the ledger has no commit log any more.
    ended: AtomicBool,
    /// Whether (timestamp, node_id) is unique. Changed in one's turn.
    unique: AtomicBool,
    /// At `synchronous_mode` FULL.
    syncs: Option<Syncs>,
    bell: Bell,
    /// Takes what the drain has to say to the log of the ledger.
    notices: Arc<Notices>,
    /// Held by whoever folds, of this process.
    folding: Locked<()>,
    /// Why the last fold in the background failed, if it did.
    trouble: Mutex<Option<Error>>,
}

impl Logged {
    fn log(&self) -> Result<&CommitLog> {
        self.log.get().ok_or_else(opened_to_read)
    }
}

impl super::Feed for LedgerStore {
    #[inline]
    fn refresh(&self) -> Result<Version> {
        match &self.logged {
            Some(logged) => logged.refresh(),
            None => self.sqlite.version(),
        }
    }

    #[inline]
    fn catch_up(&self) -> Result<()> {
        self.logged.as_ref().map_or(Ok(()), |logged| logged.refresh().map(drop))
    }

    fn signals(&self) -> Signals<'_> {
        match self.with_log().and_then(|(_, log)| log.events()) {
            Some(events) => Signals { events, look: wake::SELDOM },
            None => self.wake.signals(),
        }
    }

    fn is_fed(&self) -> bool {
        self.with_log().is_some()
    }
}

impl LedgerStore {
    /// What keeps the log, where there is one.
    #[inline]
    fn with_log(&self) -> Option<(&Logged, &CommitLog)> {
        let logged = self.logged.as_deref()?;
        Some((logged, logged.log.get()?))
    }

    /// The file, which has everything that was appended before.
    fn flushed(&self) -> Result<&SqliteStore> {
        if let Some(logged) = &self.logged
            && logged.log.get().is_none()
        {
            // Somebody may have made it since.
            logged.refresh_without_log()?;
        }
        if let Some((logged, _)) = self.with_log() {
            logged.flush()?;
        }
        Ok(&self.sqlite)
    }
}

impl Store for LedgerStore {
    #[inline]
    fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        self.finish_change()?;
        match &self.logged {
            Some(logged) => logged.append(batch),
            None => {
                let appended = self.sqlite.append(batch)?;
                hooks::point("append.notify");
                self.wake.signals().events.notify();
                Ok(appended)
            }
        }
    }

    fn read(&self, read: &Read<'_>) -> Result<Stored> {
        match &self.logged {
            None if read.overflow == Overflow::Stop => self.sqlite.poll(read),
            _ => self.sqlite.read(read),
        }
    }

    fn plan(&self, read: &Read<'_>) -> Result<String> {
        self.sqlite.plan(read)
    }

    fn get(&self, id: i64) -> Result<Option<Entry>> {
        self.sqlite.get(id)
    }

    fn count(&self) -> Result<(i64, i64)> {
        self.sqlite.count()
    }

    fn ends(&self) -> Result<Ends> {
        self.sqlite.ends()
    }

    fn cleanup(&self, cutoff: Cutoff) -> Result<i64> {
        self.finish_change()?;
        let log = self.logged.as_ref().map(|logged| logged.log()).transpose()?;
        let begun = Cell::new(None);
        let removing = |through| begun.set(log.map(|log| log.begin_removal(through)));
        let deleted = self.flushed()?.cleanup(cutoff, log.is_some(), &removing);
        hooks::point("cleanup.deleted");
        if let (Some(log), Some(begun)) = (log, begun.get()) {
            log.end_removal(begun);
        }
        deleted
    }

    fn sql(&self, sql: &Sql<'_>) -> Result<String> {
        let sqlite = self.flushed()?;
        let log = self.with_log();
        let may_be_shown = || log.is_none_or(|(logged, log)| logged.is_all_published(log));
        let mut tries = 0;
        loop {
            // Not before: what is stored first is not the statement's work.
            call::limit_work(sql.time);
            if let Some(found) = sqlite.sql(sql, may_be_shown)? {
                return Ok(found);
            }
            if let Some((logged, log)) = log {
                logged.wait_for_straight(log, tries)?;
            }
            tries += 1;
        }
    }

    fn flush(&self) -> Result<()> {
        self.flushed().map(drop)
    }

    fn checkpoint(&self) -> Result<()> {
        self.flushed()?.checkpoint()
    }

    fn reindex(&self) -> Result<()> {
        self.flushed()?.reindex()
    }

    fn optimize(&self) -> Result<()> {
        self.flushed()?.optimize()
    }

    fn vacuum(&self, how: Vacuum) -> Result<i64> {
        self.flushed()?.vacuum(how, self.logged.is_some())
    }

    fn integrity_check(
        &self,
        findings_max: usize,
        bytes_max: usize,
        progress: Option<&Arc<ProgressFunction>>,
    ) -> Result<Vec<String>> {
        self.flushed()?.integrity_check(findings_max, bytes_max, progress)
    }

    fn change_setting(&self, settings: &Settings, name: &str, value: &str) -> Result<Option<Box<dyn Store>>> {
        self.change(settings, name, value)
    }

    fn set_connections_max(&self, connections_max: usize) {
        self.sqlite.set_connections_max(connections_max);
    }

    fn release_connections(&self) {
        self.sqlite.release_connections();
    }

    fn usage(&self) -> Usage {
        self.sqlite.usage()
    }

    fn sizes(&self) -> Sizes {
        let log_pending = self.with_log().map_or(0, |(_, log)| log.pending());
        Sizes { log_pending, ..self.sqlite.sizes() }
    }

    fn has_own_locks(&self) -> Option<bool> {
        self.sqlite.has_own_locks()
    }

    fn check_place(&self) -> Result<()> {
        self.sqlite.check_place()
    }

    fn close(self: Box<Self>, last: bool) -> Result<()> {
        let left = self.leave(last);
        if last {
            self.leave_wake();
        }
        let sqlite = Arc::clone(&self.sqlite);
        drop(self);
        // The background has ended, and nobody else has it.
        left.and(Arc::into_inner(sqlite).map_or(Ok(()), SqliteStore::close))
    }
}

impl Drop for LedgerStore {
    fn drop(&mut self) {
        // As a close does, in silence; what cannot be stored now is stored by the next opening.
        let _ = self.leave(false);
    }
}
