//! Opening a ledger, whichever way it commits, and leaving one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::drain::{Bell, Drain};
use super::feed::Feeding;
use super::seen::Seen;
use super::sync::Syncs;
use super::{LedgerStore, Logged, Notices};
use crate::call;
use crate::commit_log::{CommitLog, Scratch};
use crate::config::{Scope, Settings};
use crate::error::{Error, Result, Status};
use crate::gate::Locked;
use crate::logging::Level;
use crate::metrics::Metrics;
use crate::store::Version;
use crate::store::sqlite::{Place, SqliteStore};
use crate::sys::files::{self, FileLocks};
use crate::sys::mapping;
use crate::tail::Tail;

/// Held by all who have the ledger open; alone by who changes how it commits.
pub(super) const PRESENCE: u64 = 0;
/// Held alone by who opens or closes a log for writing, and together by who opens it for reading.
const GATE: u64 = 1;

/// Nodes that are asked for at the opening, at some microseconds each.
const NODES_MAX: usize = 1000;

/// What a store is opened with.
pub(crate) struct Opening {
    pub metrics: Arc<Metrics>,
    pub tail: Arc<Tail>,
    pub notices: Arc<Notices>,
}

/// Opens the ledger at `place`, or a new one in memory. `settings` becomes what is so.
pub(crate) fn open(place: Option<Place>, settings: &mut Settings, opening: Opening) -> Result<LedgerStore> {
    choose(place.as_ref(), settings)?;
    let Opening { metrics, tail, notices } = opening;
    let sqlite = Arc::new(SqliteStore::open(place, settings, metrics)?);
    let mut store = LedgerStore { sqlite, locks: None, tail, notices, logged: None, drain: Mutex::new(None) };
    let Some(path) = store.sqlite.place().map(|place| place.path().to_path_buf()) else {
        return Ok(store);
    };
    let locks = Arc::new(FileLocks::of(&path).map_err(|error| io(&path, &error))?);
    store.locks = Some(Arc::clone(&locks));
    // Whoever changes how the file commits has this alone, and is waited for.
    until(|| locks.try_shared(PRESENCE).map_err(|error| io(&path, &error)))?;
    let commit = store.sqlite.commit()?;
    settings.settle(Scope::File, |name| commit.clone().filter(|_| name == "commit"))?;
    if settings.is("commit", "log") {
        store.begin_log(settings)?;
    }
    Ok(store)
}

impl LedgerStore {
    /// Begins to work with the commit log, which the file says there is.
    pub(super) fn begin_log(&mut self, settings: &mut Settings) -> Result<()> {
        let (Some(place), Some(locks)) = (self.sqlite.place(), &self.locks) else { return Ok(()) };
        if !files::has_own_locks(place.path()) {
            let message = "the ledger has commit = log, which needs locks of open file descriptions, and its file \
                           system has none here; open it where it was made, and set commit = sqlite there";
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
            locks: Arc::clone(locks),
            log: OnceLock::new(),
            tail: Arc::clone(&self.tail),
            feeding: Mutex::new(feeding),
            decoded: AtomicU64::new(u64::MAX),
            removed: AtomicI64::new(0),
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
            let log = logged.open_log(ring_bytes, is_durable)?;
            settings.note("log_bytes", &log.capacity().to_string());
            let log = logged.log.get_or_init(|| log);
            logged.begin(log)?;
            *self.drain.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(Drain::begin(&logged)?);
        } else {
            logged.refresh()?;
        }
        self.logged = Some(logged);
        Ok(())
    }
}

pub(super) fn io(path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::new(Status::Io, format!("\"{}\": {error}", path.display())).with_field("path")
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

/// Runs `work` while nobody else opens or closes the log.
pub(super) fn at_the_gate<T>(
    locks: &FileLocks,
    path: &Path,
    alone: bool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let take = || if alone { locks.try_exclusive(GATE) } else { locks.try_shared(GATE) };
    until(|| take().map_err(|error| io(path, &error)))?;
    let done = work();
    // Otherwise it is given up when the ledger is closed.
    let _ = locks.unlock(GATE);
    done
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

impl Logged {
    fn path(&self) -> &Path {
        // Only files have a log.
        self.sqlite.place().map_or(Path::new(""), Place::path)
    }

    fn open_log(&self, ring_bytes: u64, is_durable: bool) -> Result<CommitLog> {
        at_the_gate(&self.locks, self.path(), true, || {
            let identity = self.sqlite.log_identity()?;
            let locks = Arc::clone(&self.locks);
            let opened = CommitLog::open(self.path(), &identity, ring_bytes, is_durable, locks)?;
            if opened.alone && opened.log.pending() > 0 {
                call::log(Level::Warn, || {
                    format!(
                        "the log has {} bytes of entries that a process left that ended without closing the ledger; they are stored now",
                        opened.log.pending()
                    )
                });
            }
            Ok(opened.log)
        })
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
        if let Some((as_of, nodes)) = nodes {
            let mut feeding = self.feeding();
            if as_of >= feeding.seen.floor() {
                feeding.seen.learn_all(nodes);
            }
        }
        Ok(())
    }

    /// Where the ledger was opened for reading and there was no log: looks whether there is one now.
    #[cold]
    pub fn refresh_without_log(&self) -> Result<Version> {
        if !CommitLog::is_there(self.path()) {
            return self.sqlite.version();
        }
        let found = at_the_gate(&self.locks, self.path(), false, || {
            let identity = self.sqlite.log_identity()?;
            CommitLog::open_to_read(self.path(), &identity, Arc::clone(&self.locks))
        })?;
        match found {
            None => self.sqlite.version(),
            Some(log) => {
                let log = self.log.get_or_init(|| log);
                self.begin(log)?;
                self.refresh()
            }
        }
    }

    /// Takes the log away if nobody needs it any more.
    pub fn take_away_log(&self, log: &CommitLog, last: bool) -> Result<()> {
        if !last {
            return Ok(());
        }
        at_the_gate(&self.locks, self.path(), true, || {
            let others = self.locks.is_locked_by_others(PRESENCE..PRESENCE + 1);
            if log.pending() == 0 && others.is_ok_and(|others| !others) { log.take_away() } else { Ok(()) }
        })
    }
}
