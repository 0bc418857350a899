//! The ledger in one SQLite file: a transaction for each append, in WAL mode by default.

mod checkpoints;
mod connection;
mod deletion;
mod fault;
mod folding;
mod group;
mod insert;
mod integrity;
mod maintenance;
mod pace;
mod place;
mod planted;
mod pool;
mod readers;
mod rows;
mod schema;
mod select;
mod sql;
mod transaction;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use self::connection::{Role, Source};
use self::fault::translate;
pub(crate) use self::folding::Folding;
pub(crate) use self::insert::{conflict, duplicate, full};
pub(crate) use self::place::{FileId, Place, io};
pub(crate) use self::pool::Usage;
use self::readers::{Readers, Snapshot, one};
use self::writer::Writer;
use super::{Appended, Batch, Cutoff, Ends, ProgressFunction, Sizes, Sql, Stored, Vacuum, Version};
use crate::call;
use crate::chunk::Entry;
use crate::commit_log::Identity;
use crate::config::{Scope, Settings};
use crate::entries::Entries;
use crate::error::{Error, Result, Status};
use crate::gate::{Gate, Locked, Passage};
use crate::logging::Level;
use crate::metrics::Metrics;
use crate::query::Read;
use crate::sys::{files, fork};

/// Taken to read or to write a ledger in memory.
type Turns = Arc<Gate>;

/// A ledger in a SQLite file, or in memory.
pub(crate) struct SqliteStore {
    place: Option<Arc<Place>>,
    /// Whether other code of the process cannot drop the locks of the file.
    own_locks: Option<bool>,
    readers: Readers,
    /// Never writes, so that SQLite tells it of every commit by anybody else.
    witness: Locked<Connection>,
    end: End,
    /// `None` where the file was opened for reading only.
    writer: Option<Writer>,
    /// In memory, SQLite's connections refuse each other at once instead of waiting in turn.
    turns: Option<Turns>,
    metrics: Arc<Metrics>,
}

/// Where the entries ended when somebody looked last: who asks for those behind need not look again
/// while the witness knows of no commit.
#[derive(Default)]
struct End {
    /// The version taken before that look, and the last id that it found.
    seen: Mutex<Option<(i64, i64)>>,
    /// The last id once more, to be looked at first.
    through: AtomicI64,
}

impl End {
    /// Whether nothing is behind this id, if the file has this version.
    fn is_before(&self, id: i64, version: i64) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|(known, through)| known == version && through <= id)
    }

    fn put(&self, version: i64, through: i64) {
        self.through.store(through, Ordering::Relaxed);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, through));
    }
}

/// Makes the file at `path` if there is none, with these rights. Nothing is written to it yet.
pub(crate) fn touch(path: &str, mode: Option<u32>) -> Result<()> {
    let absolute = Place::of_new(path)?;
    fork::watch();
    let created = loop {
        match files::create(&absolute, mode) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            created => break created,
        }
    };
    match created {
        // Somebody else was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let status = Status::of_system(&error);
            Err(Error::new(status, format!("\"{path}\" cannot be created: {error}")).with_field("path"))
        }
        Ok(()) => Ok(()),
    }
}

impl SqliteStore {
    /// Opens the ledger at `place`, or a new one in memory. `settings` becomes what is so.
    pub fn open(place: Option<Place>, settings: &mut Settings, metrics: Arc<Metrics>) -> Result<SqliteStore> {
        let place = place.map(Arc::new);
        let source = Source {
            name: place.as_ref().map_or_else(new_memory_name, |place| place.path().to_path_buf()),
            in_memory: place.is_none(),
            read_only: settings.flag("read_only"),
            synchronous: settings.text("synchronous_mode").to_string(),
            cache_kilobytes: settings.integer("cache_size"),
            writer_cache_kilobytes: writer_cache(settings),
        };
        let shown = place
            .as_ref()
            .map_or("the ledger in memory".to_string(), |p| format!("\"{}\"", p.path().display()));
        Self::open_source(source, place, settings, metrics).map_err(|error| error.context(shown))
    }

    fn open_source(
        mut source: Source,
        place: Option<Arc<Place>>,
        settings: &mut Settings,
        metrics: Arc<Metrics>,
    ) -> Result<SqliteStore> {
        let sql = |error: rusqlite::Error| translate(&error);
        // Opened here and not by the pool, so that whatever is wrong is said at once.
        let role = if source.read_only { Role::Reader } else { Role::Writer };
        let first = source.open(role).map_err(|error| unopened(error, source.read_only))?;
        let own_locks = place.as_ref().map(|place| {
            files::has_own_locks(place.path()).map_err(|error| io(place.path().display(), &error))
        });
        let own_locks = own_locks.transpose()?;
        if source.read_only {
            if schema::inspect(&first)? == schema::Kind::Empty {
                return Err(Error::new(
                    Status::Incompatible,
                    "the file is empty: there is no ledger in it to read",
                ));
            }
        } else {
            if first.is_readonly("main").map_err(sql)? {
                let error = fault::silent(UNWRITABLE);
                let error = error.unwrap_or_else(|| Error::new(Status::ReadOnly, UNWRITABLE));
                return Err(error.with_field("read_only"));
            }
            if own_locks == Some(false) && settings.is("commit", "log") {
                if settings.asked("commit") {
                    return Err(Error::new(Status::Unsupported, PLAIN_LOG).with_field("commit"));
                }
                settings.note("commit", "sqlite");
            }
            schema::establish(&first, settings)?;
        }
        if own_locks == Some(false) {
            call::log(Level::Warn, || PLAIN_LOCKS.to_string());
        }
        let kind = schema::inspect(&first)?;
        let journal_mode = schema::journal_mode(&first)?;
        let found = schema::file_settings(&first)?;
        settings.settle(Scope::File, |name| {
            found.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.clone())
        })?;
        let journal_mode = journal_mode.to_ascii_uppercase();
        if place.is_some() && !source.read_only {
            source.synchronous = connection::level(&source.synchronous, &journal_mode).to_string();
            first.execute_batch(&format!("PRAGMA synchronous = {}", source.synchronous)).map_err(sql)?;
        }
        if place.is_some() {
            if source.read_only {
                settings
                    .settle(Scope::Engine, |name| (name == "journal_mode").then(|| journal_mode.clone()))?;
            }
            settings.note("journal_mode", &journal_mode);
        }
        let turns = source.in_memory.then(Turns::default);
        let witness = if source.read_only { source.open(Role::Reader) } else { Ok(first) };
        let (witness, writer) = if source.read_only {
            (witness.map_err(sql)?, None)
        } else {
            let first = witness.map_err(sql)?;
            {
                let writer = Writer::new(first, source.clone(), place.clone(), journal_mode, turns.clone());
                (source.open(Role::Reader).map_err(sql)?, Some(writer))
            }
        };
        let readers = Readers::new(
            &source,
            settings.integer("max_connections"),
            Arc::clone(&metrics),
            kind == schema::Kind::Ours,
        );
        Ok(SqliteStore {
            place,
            own_locks,
            readers,
            witness: Locked::new(witness),
            end: End::default(),
            writer,
            turns,
            metrics,
        })
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(opened_to_read)
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let _turn = self.turn_to_read()?;
        let read = self.readers.connection(|| self.look()).and_then(|connection| {
            crate::hooks::point("reader");
            work(&connection)
        });
        read.map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        match &self.place {
            Some(place) => place.named(error),
            None => error,
        }
    }

    fn look(&self) -> Result<()> {
        self.place.as_ref().map_or(Ok(()), |place| place.look())
    }

    fn turn_to_read(&self) -> Result<Option<Passage<'_>>> {
        self.turns.as_ref().map(|turns| turns.share().ok_or_else(no_turn)).transpose()
    }
}

/// What the commit log asks about entries like new ones.
#[derive(Default)]
pub(crate) struct Questions<'a> {
    /// The largest timestamp of each of these?
    pub nodes: Vec<&'a str>,
    /// The id of the entry with this timestamp and node?
    pub entries: Vec<(f64, &'a str)>,
}

/// The answers, in the order of the questions.
pub(crate) struct Answers {
    /// The last id that the file had of those that come by the commit log.
    pub as_of: i64,
    pub newest: Vec<Option<f64>>,
    pub ids: Vec<Option<i64>>,
}

/// All nodes of the file.
pub(crate) struct Nodes {
    /// The last id that the file had of those that come by the commit log.
    pub as_of: i64,
    /// Each with its largest timestamp.
    pub newest: Vec<(String, f64)>,
}

/// What the commit log needs of the ledger file.
impl SqliteStore {
    /// Where the file is.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_deref()
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.writer.is_some()
    }

    /// The keys of scope `File`, as the file has them at this moment.
    pub fn file_settings(&self) -> Result<Vec<(&'static str, Option<String>)>> {
        self.witnessing(schema::file_settings)
    }

    /// Who the ledger is, and how far the file has what came by the commit log.
    pub fn log_identity(&self) -> Result<Identity> {
        self.witnessing(|connection| self.readers.log_identity(connection))
    }

    /// On the connection that is there anyway.
    fn witnessing<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let _turn = self.turn_to_read()?;
        let answer = self.witness.with(|connection| work(connection)).ok_or_else(no_turn)?;
        answer.map_err(|error| self.named(error))
    }

    /// All nodes; `None` where there are more than so many.
    pub fn nodes(&self, most: usize) -> Result<Option<Nodes>> {
        self.witnessing(|connection| self.readers.nodes(connection, most))
    }

    /// Answers questions about entries.
    pub fn look_up(&self, questions: &Questions<'_>) -> Result<Answers> {
        self.reading(|connection| self.readers.look_up(connection, questions))
    }

    /// Lets `work` store entries of the commit log, in one transaction.
    /// `durable`: also on the medium.
    pub fn fold<T>(&self, durable: bool, work: impl FnMut(&mut Folding<'_>) -> Result<T>) -> Result<T> {
        self.writer()?.fold(&self.metrics, durable, work)
    }

    /// Brings everything that was committed to the medium, by whomever.
    pub fn sync(&self) -> Result<()> {
        self.writer()?.sync(&self.metrics)
    }

    /// Stores a batch that is too large for the commit log, whose entries the file must all have.
    /// `durable`: also on the medium.
    pub fn append_logged(&self, batch: &Batch<'_>, durable: bool) -> Result<Appended> {
        self.writer()?.append_logged(batch, &self.metrics, durable)
    }

    /// Deletes old entries; how many. `removing` is told the largest id of each transaction before it is
    /// committed.
    /// `logged`: whether entries come by the commit log.
    pub fn cleanup(&self, cutoff: Cutoff, logged: bool, removing: &dyn Fn(i64)) -> Result<i64> {
        self.writer()?.cleanup(cutoff, &self.metrics, logged, removing)
    }
}

impl SqliteStore {
    /// The version of the file now. It covers every transaction committed before, in any process.
    pub fn version(&self) -> Result<Version> {
        let version = self.data_version()?;
        // Never one that the commit log has, whose numbers are not negative.
        Ok(Version { any: (!version, -1), removed: !version })
    }

    fn data_version(&self) -> Result<i64> {
        // "The integer values returned by two invocations of "PRAGMA data_version" from the same
        // connection will be different if changes were committed to the database by any other
        // connection in the interim." (https://sqlite.org/pragma.html#pragma_data_version)
        self.witnessing(|witness| {
            witness
                .prepare_cached("PRAGMA data_version")
                .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
                .map_err(|error| translate(&error))
        })
    }

    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        self.writer()?.append(batch, &self.metrics)
    }

    /// The entries that a poll asks for, where all that there are are in the file: without looking for them
    /// while nothing was committed since somebody found none.
    pub fn poll(&self, read: &Read<'_>) -> Result<Stored> {
        if read.since < self.end.through.load(Ordering::Relaxed) {
            return self.read(read);
        }
        // In this order: what is committed after the version was taken makes it another one. Where the
        // witness is busy, or a lock in its way, each looks for himself.
        let version = call::at_once(|| self.data_version()).ok();
        if version.is_some_and(|version| self.end.is_before(read.since, version)) {
            let entries = Entries::new(Vec::new(), read.since, 0);
            return Ok(Stored { entries, through: read.since, complete: true });
        }
        let stored = self.read(read)?;
        if let Some(version) = version {
            self.end.put(version, stored.through);
        }
        Ok(stored)
    }

    /// The entries that a query asks for.
    pub fn read(&self, read: &Read<'_>) -> Result<Stored> {
        self.reading(|connection| self.readers.read(connection, read))
    }

    /// How it would look for them.
    pub fn plan(&self, read: &Read<'_>) -> Result<String> {
        self.reading(|connection| self.readers.plan(connection, read))
    }

    /// The entry with this id.
    pub fn get(&self, id: i64) -> Result<Option<Entry>> {
        self.reading(|connection| self.readers.get(connection, id))
    }

    /// How many there are, and the last id of them.
    pub fn count(&self) -> Result<(i64, i64)> {
        self.reading(|connection| self.readers.count(connection))
    }

    /// The ids at both ends.
    pub fn ends(&self) -> Result<Ends> {
        self.reading(|connection| self.readers.ends(connection))
    }

    /// Carries out a statement that reads, in one snapshot of the file; `None` if that may not be shown.
    pub fn sql(&self, sql: &Sql<'_>, may_be_shown: impl Fn() -> bool) -> Result<Option<String>> {
        self.reading(|connection| {
            let _snapshot = Snapshot::begin(connection)?;
            // It is taken when something is read first.
            one(connection, "SELECT 1 FROM sqlite_schema LIMIT 1")?;
            may_be_shown().then(|| sql::run(connection, sql)).transpose()
        })
    }

    /// Folds the WAL into the file.
    pub fn checkpoint(&self) -> Result<()> {
        self.writer()?.checkpoint(&self.metrics)
    }

    /// Builds the indexes anew.
    pub fn reindex(&self) -> Result<()> {
        self.writer()?.alone(&self.metrics, maintenance::reindex)
    }

    /// Lets SQLite learn how its data are distributed.
    pub fn optimize(&self) -> Result<()> {
        self.writer()?.alone(&self.metrics, maintenance::optimize)
    }

    /// Gives space back; how many bytes. `logged`: whether entries come by the commit log.
    pub fn vacuum(&self, how: Vacuum, logged: bool) -> Result<i64> {
        let writer = self.writer()?;
        let mut freed = 0;
        match how {
            Vacuum::Full => freed = writer.shorten(&self.metrics, maintenance::vacuum)?,
            Vacuum::Incremental => {
                let mut pace = writer.pace(logged);
                loop {
                    let mut began = None;
                    let (bytes, more) = writer.shorten(&self.metrics, |connection| {
                        transaction::attempt(connection, &mut |connection| {
                            began = Some(Instant::now());
                            maintenance::vacuum_step(connection, pace.amount())
                        })
                    })?;
                    freed += bytes;
                    // A file may say that it has more and have none.
                    if !more || bytes == 0 {
                        break;
                    }
                    pace.rest(began.map_or(Duration::ZERO, |began| began.elapsed()))?;
                }
            }
        }
        // In WAL mode the file only shrinks when the WAL is folded in. Where a reader keeps it in use,
        // that happens later: nobody is to wait for that.
        match call::at_once(|| writer.checkpoint(&self.metrics)) {
            Err(error) if error.status() != Status::Busy => Err(error),
            _ => Ok(freed),
        }
    }

    /// What is not as it should be.
    pub fn integrity_check(
        &self,
        findings_max: usize,
        bytes_max: usize,
        progress: Option<&Arc<ProgressFunction>>,
    ) -> Result<Vec<String>> {
        // In memory no turn may be held while somebody is told, who may want one: who appends waits for
        // this one, and a further one comes after that.
        let told = progress.filter(|_| self.turns.is_none());
        let tell = |part| match progress.filter(|_| self.turns.is_some()) {
            Some(progress) if !progress(part) => Err(integrity::ended_by_callback()),
            _ => Ok(()),
        };
        tell(0.0)?;
        let findings = self.reading(|connection| {
            let kind = schema::inspect(connection)?;
            integrity::check(connection, kind, findings_max, bytes_max, told)
        })?;
        tell(1.0)?;
        Ok(findings)
    }

    /// Changes a setting of the file.
    pub fn change_setting(&self, name: &str, value: &str) -> Result<()> {
        self.writer()?.change(&self.metrics, name, value)
    }

    /// Lets so many read at once.
    pub fn set_connections_max(&self, connections_max: usize) {
        self.readers.pool().set_max(connections_max);
    }

    /// Closes the connections that nobody uses.
    pub fn release_connections(&self) {
        self.readers.pool().release();
    }

    /// The connections that read.
    pub fn usage(&self) -> Usage {
        self.readers.pool().usage()
    }

    /// How large it is.
    pub fn sizes(&self) -> Sizes {
        self.place.as_ref().map_or(Sizes::default(), |place| place.sizes())
    }

    /// Whether other code of the process cannot drop the locks; `None` in memory.
    pub fn has_own_locks(&self) -> Option<bool> {
        self.own_locks
    }

    /// Whether the file is still where it was.
    pub fn check_place(&self) -> Result<()> {
        self.place.as_ref().map_or(Ok(()), |place| place.check())
    }

    /// Ends all use of the file.
    pub fn close(self) -> Result<()> {
        let SqliteStore { readers, witness, writer, .. } = self;
        // The writer last: the connection that closes last folds the WAL into the file.
        drop(readers);
        drop(witness);
        writer.map_or(Ok(()), Writer::close)
    }
}

/// The error of whoever writes to a ledger that was opened to be read.
pub(crate) fn opened_to_read() -> Error {
    Error::new(Status::ReadOnly, "the ledger was opened with read_only = true").with_field("read_only")
}

/// The name of a database in memory that this process has not used yet.
/// The page cache of the connection that writes, in KB, where nobody asked for less: with a smaller one an
/// entry of a ledger of millions takes a fifth more.
fn writer_cache(settings: &Settings) -> usize {
    const LEAST: usize = 64_000;
    let size = settings.integer("cache_size");
    if settings.asked("cache_size") { size } else { size.max(LEAST) }
}

fn new_memory_name() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    PathBuf::from(format!("file:/simledger-{}?vfs=memdb", NEXT.fetch_add(1, Ordering::Relaxed)))
}

const PLAIN_LOCKS: &str = "the file system has no locks of open file descriptions (F_OFD_SETLK): nothing else in \
     this process may open the file, or locks are lost and the file may be damaged";

const PLAIN_LOG: &str = "commit = log needs locks of open file descriptions (F_OFD_SETLK), which the file system does not \
     have; leave the key out, or set sqlite";

const UNWRITABLE: &str =
    "the file or its folder cannot be written; open it with read_only = true, or change the rights";

/// Why the first connection to a file could not be opened, as far as SQLite tells.
fn unopened(error: rusqlite::Error, read_only: bool) -> Error {
    let error = schema::not_ours(error);
    // It says what to do already.
    if error.field() == "read_only" {
        return error;
    }
    let message = match (error.status(), read_only) {
        (Status::ReadOnly | Status::Io, true) => {
            "SQLite keeps two files beside a ledger in WAL mode (-wal and -shm), for readers as well: make its folder \
             writable, or copy the ledger to one that is"
        }
        (Status::ReadOnly, false) => UNWRITABLE,
        _ => return error,
    };
    let code = error.sqlite_code();
    Error::new(error.status(), format!("{message} ({})", error.message()))
        .with_sqlite_code(code)
        .with_field("path")
}

fn no_turn() -> Error {
    call::waited_for("other threads used the ledger", "try again")
}
