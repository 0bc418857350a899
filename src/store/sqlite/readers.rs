//! Reading: a pool of connections, each back in it when the call ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OptionalExtension};
use scheduled_thread_pool::ScheduledThreadPool;

use super::connection::{Role, Source};
use super::fault::translate;
use super::rows;
use crate::call;
use crate::chunk::{ChunkBuilder, Entry};
use crate::entries::Entries;
use crate::error::{Error, Result, Status};
use crate::logging::Level;
use crate::metrics::Metrics;
use crate::query::{Order, Overflow, Query};
use crate::store::Ends;

/// A pool of connections that read.
pub(super) struct Readers {
    pool: r2d2::Pool<SqliteConnectionManager>,
    /// Why a connection could not be opened.
    failure: Arc<Mutex<Option<Error>>>,
    metrics: Arc<Metrics>,
    /// Whether the file has a retention mark. One that was opened for reading only may get one
    /// later, from another process.
    has_mark: AtomicBool,
}

/// Where r2d2 reports that a connection could not be opened.
#[derive(Debug)]
struct Failure(Arc<Mutex<Option<Error>>>);

impl r2d2::HandleError<rusqlite::Error> for Failure {
    fn handle_error(&self, error: rusqlite::Error) {
        *self.0.lock() = Some(translate(&error));
    }
}

type Pooled = r2d2::PooledConnection<SqliteConnectionManager>;

impl Readers {
    /// A pool that opens connections when they are needed, at most this many.
    pub fn new(
        source: &Source,
        connections_max: usize,
        scheduler: Arc<ScheduledThreadPool>,
        metrics: Arc<Metrics>,
        has_mark: bool,
    ) -> Readers {
        let init = source.clone();
        let manager = SqliteConnectionManager::file(&source.name)
            .with_flags(source.flags())
            .with_init(move |connection| init.prepare(connection, Role::Reader));
        let failure = Arc::default();
        let pool = r2d2::Pool::builder()
            .max_size(u32::try_from(connections_max).unwrap_or(u32::MAX))
            // A pool that keeps none ready opens none before it is asked, and with neither an idle
            // time-out nor a lifetime it needs no thread to look after them.
            .min_idle(Some(0))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_on_check_out(false)
            .thread_pool(scheduler)
            // After a failure it waits before the next try, up to half of this.
            .connection_timeout(Duration::from_millis(500))
            .error_handler(Box::new(Failure(Arc::clone(&failure))))
            .build_unchecked(manager);
        Readers { pool, failure, metrics, has_mark: AtomicBool::new(has_mark) }
    }

    /// A connection, from the pool.
    pub fn connection(&self, check_place: impl Fn() -> Result<()>) -> Result<Pooled> {
        if let Some(connection) = self.pool.try_get() {
            return Ok(connection);
        }
        // One may be opened now, and that must not be on a file that took the place of ours.
        check_place()?;
        // To open a connection is work and not waiting, so even a call that may not wait has
        // some time for it where there is room for one more.
        const OPENING: Duration = Duration::from_secs(1);
        let room = self.pool.state().connections < self.pool.max_size();
        let until = Instant::now() + if room { OPENING } else { Duration::ZERO };
        // What failed before this call is no reason for it to fail.
        self.failure.lock().take();
        loop {
            let left = call::remaining().max(until.saturating_duration_since(Instant::now()));
            // r2d2 tries on silently when a connection cannot be opened: look now and then.
            match self.pool.get_timeout(left.min(Duration::from_millis(20))) {
                Ok(connection) => return Ok(connection),
                Err(_) if left.is_zero() => return Err(self.exhausted()),
                Err(_) => {}
            }
            check_place()?;
            match self.failure.lock().take() {
                Some(failure) if failure.status() != Status::Busy => {
                    return Err(failure.context("no further connection can be opened"));
                }
                _ => {}
            }
        }
    }

    fn exhausted(&self) -> Error {
        let message = format!(
            "all {} connections were in use for all of the {:?} that the call may take; \
             raise max_connections or the timeout",
            self.pool.max_size(),
            call::timeout()
        );
        Error::new(Status::Busy, message).with_field("max_connections")
    }

    /// What a query asks for, in one snapshot of the file.
    pub fn read(&self, connection: &Connection, query: &Query<'_>) -> Result<Entries> {
        let snapshot = Snapshot::begin(connection)?;
        let mark = self.mark(connection)?;
        let mut collected = Collected::default();
        let complete = self.collect(connection, query, &mut collected)?;
        let gap_before = if mark > query.after && query.order == Order::Id { mark } else { 0 };
        let position = match (complete, query.order) {
            // Stopped early: the next poll goes on behind the last row that was looked at.
            (false, Order::Id) => collected.examined,
            _ => query.after.max(mark).max(last_row(connection)?),
        };
        snapshot.end();
        Ok(Entries::new(collected.chunks.finish(), position, gap_before))
    }

    /// The entry with this id.
    pub fn get(&self, connection: &Connection, id: i64) -> Result<Option<Entry>> {
        let sql = const_format("SELECT ", " FROM ledger WHERE id = ?1");
        let mut statement = connection.prepare_cached(&sql).map_err(|error| translate(&error))?;
        let mut found = statement.query([id]).map_err(|error| translate(&error))?;
        let Some(row) = found.next().map_err(|error| translate(&error))? else {
            return Ok(None);
        };
        let fields = rows::decode(row).map_err(|why| {
            Error::new(Status::Corrupt, format!("entry {id} is not valid: {why}")).with_entry_id(id)
        })?;
        let mut chunks = ChunkBuilder::default();
        chunks.push(fields)?;
        Ok(chunks.finish().pop().map(|chunk| Entry::new(chunk, 0)))
    }

    /// How many rows there are.
    pub fn count(&self, connection: &Connection) -> Result<i64> {
        one(connection, "SELECT count(*) FROM ledger").map(Option::unwrap_or_default)
    }

    /// The ids at both ends.
    pub fn ends(&self, connection: &Connection) -> Result<Ends> {
        let snapshot = Snapshot::begin(connection)?;
        let first = one(connection, "SELECT min(id) FROM ledger")?.unwrap_or(0);
        let last = self.mark(connection)?.max(last_row(connection)?);
        snapshot.end();
        Ok(Ends { first, last })
    }

    /// Collects the entries; whether all that there are were looked at.
    fn collect(&self, connection: &Connection, query: &Query<'_>, collected: &mut Collected) -> Result<bool> {
        let (clause, order) = match (query.node_id, query.order) {
            (None, Order::Id) => ("id > ?1", "id"),
            (None, Order::NewestFirst) => ("id > ?1", "timestamp DESC, id DESC"),
            (Some(_), Order::Id) => ("id > ?1 AND node_id = ?2", "id"),
            (Some(_), Order::NewestFirst) => ("node_id = ?2 AND id > ?1", "timestamp DESC, id DESC"),
        };
        let sql = const_format("SELECT ", &format!(" FROM ledger WHERE {clause} ORDER BY {order}"));
        let mut statement = connection.prepare_cached(&sql).map_err(|error| translate(&error))?;
        let mut found = match query.node_id {
            None => statement.query([query.after]),
            Some(node_id) => statement.query(rusqlite::params![query.after, node_id]),
        }
        .map_err(|error| translate(&error))?;
        // The limit is kept by stepping no further: a bound LIMIT would make SQLite prepare the
        // statement anew each time.
        while collected.count < query.limit {
            let Some(row) = found.next().map_err(|error| translate(&error))? else {
                return Ok(true);
            };
            let id = rows::id_of(row).map_err(|error| translate(&error))?;
            match rows::decode(row) {
                Ok(fields) if collected.bytes.saturating_add(fields.bytes()) > query.bytes_max => {
                    if query.overflow == Overflow::Stop && collected.count > 0 {
                        return Ok(false);
                    }
                    return Err(too_large(query, collected.count, id));
                }
                Ok(fields) => {
                    collected.bytes += fields.bytes();
                    collected.chunks.push(fields)?;
                    collected.count += 1;
                }
                Err(why) => {
                    self.metrics.rows_skipped.add(1);
                    call::log(Level::Warn, || format!("row {id} is skipped, it is no valid entry: {why}"));
                }
            }
            collected.examined = id;
        }
        Ok(false)
    }

    /// The largest id that cleanup deleted.
    fn mark(&self, connection: &Connection) -> Result<i64> {
        if !self.has_mark.load(Ordering::Relaxed) {
            let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'simledger_retention'";
            if one(connection, table)?.is_none() {
                return Ok(0);
            }
            self.has_mark.store(true, Ordering::Relaxed);
        }
        Ok(one(connection, "SELECT deleted_through FROM simledger_retention WHERE singleton = 1")?
            .unwrap_or(0))
    }
}

/// What a read has found so far.
#[derive(Default)]
struct Collected {
    chunks: ChunkBuilder,
    count: usize,
    bytes: usize,
    /// The id of the last row that was looked at.
    examined: i64,
}

/// A read transaction: several statements see the same state.
struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    fn begin(connection: &'c Connection) -> Result<Snapshot<'c>> {
        run(connection, "BEGIN").map_err(|error| translate(&error))?;
        Ok(Snapshot(connection))
    }

    fn end(self) {}
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written, so there is nothing to lose; and a connection that cannot end its
        // transaction fails at its next BEGIN.
        let _ = run(self.0, "ROLLBACK");
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute([])
}

fn one(connection: &Connection, sql: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<i64>>(0)).optional())
        .map(Option::flatten)
        .map_err(|error| translate(&error))
}

fn last_row(connection: &Connection) -> Result<i64> {
    one(connection, "SELECT max(id) FROM ledger").map(Option::unwrap_or_default)
}

fn const_format(before: &str, after: &str) -> String {
    format!("{before}{}{after}", rows::COLUMNS)
}

fn too_large(query: &Query<'_>, count: usize, id: i64) -> Error {
    let message = if count == 0 {
        format!(
            "entry {id} alone takes more than {} bytes (result_bytes_max); raise the limit",
            query.bytes_max
        )
    } else {
        let way =
            if query.node_id.is_some() { "give a smaller limit" } else { "read in pages with poll_since" };
        format!(
            "the result takes more than {} bytes (result_bytes_max) after {count} entries; {way}, or raise the limit",
            query.bytes_max
        )
    };
    Error::new(Status::LimitExceeded, message).with_field("result_bytes_max")
}
