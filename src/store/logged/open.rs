//! Opening a ledger, whichever way it commits, and leaving one.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::drain::{Bell, Drain};
use super::feed::Feeding;
use super::seen::Seen;
use super::sync::Syncs;
use super::wake::Wake;
use super::{LedgerStore, Logged};
use crate::call;
use crate::commit_log::{CommitLog, Scratch};
use crate::companion;
use crate::config::{Scope, Settings};
use crate::error::{Error, Result, Status};
use crate::gate::Locked;
use crate::logging::{Level, Notices};
use crate::metrics::Metrics;
use crate::store::Version;
use crate::store::sqlite::{Nodes, Place, SqliteStore, io};
use crate::sys::files::{self, FileLocks};
use crate::sys::mapping;
use crate::tail::Tail;

/// Held by all who have the ledger open; alone by who changes how it commits.
const PRESENCE: u64 = 0;
/// Held alone by who opens or closes a log for writing, and together by who opens it for reading.
const GATE: u64 = 1;

/// The smallest ring that is made where there is no room for the usual one.
const RING_FEW: u64 = 1 << 20;

/// Nodes that are asked for at the opening, at some microseconds each.
const NODES_MAX: usize = 1000;

/// What a store is opened with.
pub(crate) struct Opening {
    pub metrics: Arc<Metrics>,
    pub tail: Arc<Tail>,
    pub notices: Arc<Notices>,
    pub here: Arc<Here>,
}

/// Opens the ledger at `place`, or a new one in memory. `settings` becomes what is so.
pub(crate) fn open(place: Option<Place>, settings: &mut Settings, opening: Opening) -> Result<LedgerStore> {
    choose(place.as_ref(), settings)?;
    let Opening { metrics, tail, notices, here } = opening;
    let sqlite = Arc::new(SqliteStore::open(place, settings, metrics)?);
    let mut store = LedgerStore {
        sqlite,
        gate: None,
        tail,
        notices,
        wake: Wake::alone(),
        logged: None,
        unfinished: AtomicBool::new(false),
        drain: Mutex::new(None),
    };
    let Some(path) = store.sqlite.place().map(|place| place.path().to_path_buf()) else {
        store.wake = Wake::of_memory();
        return Ok(store);
    };
    let locks = Arc::new(FileLocks::of(&path).map_err(|error| io(path.display(), &error))?);
    // Whoever changes a setting of the file has this alone, and is waited for.
    until(|| locks.try_shared(PRESENCE).map_err(|error| io(path.display(), &error)))?;
    store.gate = Some(Arc::new(Gate { locks, path, here }));
    let found = store.sqlite.file_settings()?;
    settings.settle(Scope::File, |name| {
        found.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.clone())
    })?;
    if settings.is("commit", "log") {
        match store.begin_log(settings, false) {
            // A new ledger, and nobody insists.
            Err(error) if error.status() == Status::Unsupported && store.may_do_without(settings) => {
                if !store.does_without().unwrap_or(false) {
                    return Err(error);
                }
                settings.note("commit", "sqlite");
                call::log(Level::Info, || format!("commit = sqlite: {error}"));
            }
            begun => begun?,
        }
    }
    if let (None, Some(gate)) = (&store.logged, &store.gate)
        // Who may only read the file cannot pass the gate alone, and has nothing to do there.
        && store.sqlite.is_writable()
    {
        store.wake = gate.pass(true, || Ok(wake_of(&store.sqlite)))?;
    }
    Ok(store)
}

/// What is notified of appends to a file without a commit log. At the gate.
pub(super) fn wake_of(sqlite: &SqliteStore) -> Wake {
    match sqlite.place() {
        Some(place) if mapping::is_local(place.path()).unwrap_or(false) => Wake::shared(place.path())
            .unwrap_or_else(|error| {
                call::log(Level::Info, || format!("no file to wake other processes by: {error}"));
                Wake::alone()
            }),
        _ => Wake::alone(),
    }
}

impl LedgerStore {
    /// Whether nothing was ever appended, and nobody asked for a commit log.
    fn may_do_without(&self, settings: &Settings) -> bool {
        let is_new = || self.sqlite.log_identity().is_ok_and(|identity| identity.stored_id == 0);
        !settings.asked("commit") && self.sqlite.is_writable() && is_new()
    }

    /// Sees to it that there is no commit log from here on. False where there is one, which may have entries
    /// that nothing else has; and it fails where others have the ledger, who may be about to make one.
    fn does_without(&self) -> Result<bool> {
        let Some(gate) = &self.gate else { return Ok(false) };
        gate.alone("commit", || {
            let may = !CommitLog::is_there(&gate.path);
            if may { self.sqlite.change_setting("commit", "sqlite").map(|()| true) } else { Ok(false) }
        })
    }

    /// Begins to work with the commit log, which the file says there is.
    pub(super) fn begin_log(&mut self, settings: &mut Settings, at_the_gate: bool) -> Result<()> {
        let (Some(place), Some(gate)) = (self.sqlite.place(), &self.gate) else { return Ok(()) };
        let unread = |error: std::io::Error| io(place.path().display(), &error);
        let missing = if !files::has_own_locks(place.path()).map_err(unread)? {
            Some("locks of open file descriptions, and its file system has none here")
        } else if !mapping::is_local(place.path()).map_err(unread)? {
            Some("one memory for all who have it, and other machines may have its file system mounted")
        } else {
            None
        };
        if let Some(missing) = missing {
            let message = format!(
                "the ledger has commit = log, which needs {missing}; open it where it was made, and set commit = sqlite there"
            );
            return Err(Error::new(Status::Unsupported, message).with_field("commit"));
        }
        let is_durable = ["FULL", "EXTRA"].contains(&settings.text("synchronous_mode"));
        let feeding = Feeding {
            feeder: self.tail.feeder(),
            seen: Seen::default(),
            position: 0,
            scratch: Scratch::default(),
            is_whole: false,
        };
        let logged = Arc::new(Logged {
            sqlite: Arc::clone(&self.sqlite),
            gate: Arc::clone(gate),
            log: OnceLock::new(),
            writing: OnceLock::new(),
            tail: Arc::clone(&self.tail),
            feeding: Mutex::new(feeding),
            decoded: AtomicU64::new(u64::MAX),
            removed: AtomicI64::new(0),
            read_meanwhile: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            unique: AtomicBool::new(settings.is("unique", "timestamp_node_id")),
            syncs: is_durable.then(Syncs::default),
            bell: Bell::default(),
            notices: Arc::clone(&self.notices),
            folding: Locked::new(()),
            trouble: Mutex::new(None),
        });
        if self.sqlite.is_writable() {
            let ring_bytes = u64::try_from(settings.integer("log_bytes")).unwrap_or(u64::MAX);
            // Where nobody asked for so much, less will do.
            let least = if settings.asked("log_bytes") { ring_bytes } else { ring_bytes.min(RING_FEW) };
            let log = logged.open_log(least..=ring_bytes, is_durable, at_the_gate)?;
            if is_durable {
                // What others folded who did not care must not be missing before what is appended now: the
                // log may not have it any more.
                logged.sync_file()?;
            }
            settings.note("log_bytes", &log.capacity().to_string());
            logged.begin(&log)?;
            // Set when memory knows it.
            let _ = logged.log.set(log);
            *self.drain.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(Drain::begin(&logged)?);
        } else {
            logged.refresh()?;
        }
        self.logged = Some(logged);
        Ok(())
    }
}

/// Where nobody asked how the ledger shall commit: by the log where that is possible.
fn choose(place: Option<&Place>, settings: &mut Settings) -> Result<()> {
    if !settings.is("commit", "log") {
        return Ok(());
    }
    let why = match place {
        None => "a ledger in memory",
        Some(place) if !mapping::is_local(place.path()).unwrap_or(false) => {
            "a file system that other machines may have mounted"
        }
        Some(_) if settings.is("guards", "off") && !settings.asked("commit") => {
            "a file that other programs write (guards = off)"
        }
        Some(_) => return Ok(()),
    };
    if settings.asked("commit") {
        let message = format!("commit = log is not possible for {why}; leave the key out, or set sqlite");
        return Err(Error::new(Status::Unsupported, message).with_field("commit"));
    }
    settings.note("commit", "sqlite");
    call::log(Level::Info, || format!("{why}: commit = sqlite"));
    Ok(())
}

/// What is passed by whoever opens or closes a log.
pub(super) struct Gate {
    pub locks: Arc<FileLocks>,
    pub path: PathBuf,
    here: Arc<Here>,
}

/// What all engines of a process have in common that have a ledger: the locks of its file are the process's.
pub(crate) struct Here {
    /// Between its threads what the gate is between processes.
    gate: Locked<()>,
    /// One more for each log that is open for writing, of which locks tell other processes alone.
    writers: Arc<()>,
}

impl Default for Here {
    fn default() -> Here {
        Here { gate: Locked::new(()), writers: Arc::default() }
    }
}

impl Gate {
    /// Runs `work` while nobody else opens or closes the log for writing, or, alone, at all.
    pub fn pass<T>(&self, alone: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let passed = self.here.gate.with(|()| {
            let take = || if alone { self.locks.try_exclusive(GATE) } else { self.locks.try_shared(GATE) };
            until(|| take().map_err(|error| io(self.path.display(), &error)))?;
            let done = work();
            // Otherwise it is given up when the ledger is closed.
            let _ = self.locks.unlock(GATE);
            done
        });
        let waited =
            || Err(call::waited_for("another thread was opening or closing the ledger", "try again"));
        passed.unwrap_or_else(waited)
    }
}

impl Gate {
    /// Whether an engine of this process has the log open for writing.
    pub fn is_written_here(&self) -> bool {
        Arc::strong_count(&self.here.writers) > 1
    }

    /// Runs `work` while no other process has the ledger open; `name` is what is changed.
    pub fn alone<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.pass(true, || {
            let failed = |error: std::io::Error| io(self.path.display(), &error);
            if !self.locks.try_exclusive(PRESENCE).map_err(failed)? {
                let message = format!(
                    "{name} can be changed while no other process has the ledger open; close it there first"
                );
                return Err(Error::new(Status::InvalidConfig, message).with_field(name));
            }
            let done = work();
            // What is done is done: where this fails, others cannot open the ledger until it is closed here.
            if let Err(error) = self.locks.try_shared(PRESENCE) {
                call::log(Level::Warn, || failed(error).to_string());
            }
            done
        })
    }
}

/// Tries until it succeeds or the time budget of the call is used up.
fn until(mut attempt: impl FnMut() -> Result<bool>) -> Result<()> {
    for tries in 0.. {
        if attempt()? {
            break;
        }
        if !call::pause(tries) {
            return Err(call::waited_for("another process was opening or closing the ledger", "try again"));
        }
    }
    Ok(())
}

impl LedgerStore {
    /// Takes away what is notified of appends, if nobody else needs it. Nobody else in this process has the
    /// ledger.
    pub(super) fn leave_wake(&self) {
        let Some(gate) = self.gate.as_ref().filter(|_| self.wake.is_shared()) else { return };
        // What stays is in nobody's way.
        let _ = gate.pass(true, || {
            if !gate.locks.is_locked_by_others(PRESENCE..PRESENCE + 1).unwrap_or(true) {
                self.wake.take_away();
            }
            Ok(())
        });
    }
}

impl Logged {
    fn open_log(
        &self,
        ring_bytes: RangeInclusive<u64>,
        is_durable: bool,
        at_the_gate: bool,
    ) -> Result<CommitLog> {
        let open = || {
            let identity = self.sqlite.log_identity()?;
            let locks = Arc::clone(&self.gate.locks);
            let sync_file = || self.sync_file();
            let opened =
                CommitLog::open(&self.gate.path, &identity, ring_bytes, is_durable, locks, sync_file)?;
            let _ = self.writing.set(Arc::clone(&self.gate.here.writers));
            if opened.alone && opened.log.pending() > 0 {
                call::log(Level::Warn, || {
                    format!(
                        "the log has {} bytes of entries that a process left that ended without closing the ledger; they are stored now",
                        opened.log.pending()
                    )
                });
            }
            Ok(opened.log)
        };
        if at_the_gate { open() } else { self.gate.pass(true, open) }
    }

    /// Brings to the medium what the ledger file has, whoever stored it and however. Not by SQLite: its checkpoint syncs
    /// nothing where everything is folded that readers leave to it, and needs room, as a commit does, and a lock.
    fn sync_file(&self) -> Result<()> {
        let path = &self.gate.path;
        let beside = |ending| match companion::find(&companion::path_of(path, ending), false)? {
            Some(file) => file.sync_all(),
            None => Ok(()),
        };
        // By the descriptor of the locks: closing another one would drop those of other copies of SQLite.
        let synced = beside("-wal").and_then(|()| self.gate.locks.sync()).and_then(|()| beside("-journal"));
        synced.and_then(|()| companion::sync_folder(path)).map_err(|error| io(path.display(), &error))
    }

    /// Begins with what the log has.
    fn begin(&self, log: &CommitLog) -> Result<()> {
        self.decode(log, &mut self.feeding(), 0)?;
        if !self.unique.load(Ordering::Acquire) || !self.sqlite.is_writable() {
            return Ok(());
        }
        // Where there are more nodes, each is asked for at its first entry.
        let nodes = match self.sqlite.nodes(NODES_MAX) {
            // A damaged index must not keep the ledger from being opened: how else is it built anew?
            Err(error) if error.status() == Status::Corrupt => None,
            nodes => nodes?,
        };
        if let Some(Nodes { as_of, newest }) = nodes {
            let mut feeding = self.feeding();
            if as_of >= feeding.seen.floor() {
                feeding.seen.learn_all(newest)?;
            }
        }
        Ok(())
    }

    /// Where the ledger was opened for reading and there was no log: looks whether there is one now.
    #[cold]
    pub fn refresh_without_log(&self) -> Result<Version> {
        if !CommitLog::is_there(&self.gate.path) {
            return self.sqlite.version();
        }
        let found = self.gate.pass(false, || {
            if self.log.get().is_some() {
                return Ok(true);
            }
            let identity = self.sqlite.log_identity()?;
            let (locks, is_in_use) = (Arc::clone(&self.gate.locks), self.gate.is_written_here());
            let log = CommitLog::open_to_read(&self.gate.path, &identity, locks, is_in_use)?;
            let Some(log) = log else { return Ok(false) };
            self.begin(&log)?;
            let _ = self.log.set(log);
            Ok(true)
        })?;
        if found { self.refresh() } else { self.sqlite.version() }
    }

    /// Leaves the log, and takes it away if nobody needs it any more. `last`: nobody else in this process
    /// has the ledger.
    pub fn leave_log(&self, log: &CommitLog, last: bool) -> Result<()> {
        let mut has_left = false;
        let left = self.gate.pass(true, || {
            let others = self.gate.locks.is_locked_by_others(PRESENCE..PRESENCE + 1);
            let is_free = last && log.pending() == 0 && others.is_ok_and(|others| !others);
            let gone = if is_free { log.take_away() } else { Ok(()) };
            log.leave();
            has_left = true;
            gone
        });
        if !has_left {
            // The gate was not to be had: the log stays, and whoever comes next goes on with it.
            log.leave();
        }
        left
    }
}
