//! Reading: entries out of rows, each read in one snapshot of the file.

use std::collections::TryReserveError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::connection::Source;
use super::fault::translate;
use super::pool::{Pool, Pooled};
use super::select::Select;
use super::transaction::roll_back;
use super::{Answers, Nodes, Questions, rows, schema};
use crate::call;
use crate::chunk::{ChunkBuilder, Entry};
use crate::commit_log::Identity;
use crate::entries::Entries;
use crate::error::{Error, Result, Status};
use crate::logging::Level;
use crate::metrics::Metrics;
use crate::query::{Order, Overflow, Read};
use crate::store::{Ends, Stored};

/// Lines that a read says to the log about rows it skips; the rest are counted.
const SKIPPED_LINES_MAX: usize = 5;

/// The reading side of a file.
pub(super) struct Readers {
    pool: Pool,
    metrics: Arc<Metrics>,
    /// Whether the file has a retention mark. One that was opened for reading only may get one
    /// later, from another process.
    has_mark: AtomicBool,
}

impl Readers {
    /// Readers that open connections when they are needed, at most this many.
    pub fn new(source: &Source, connections_max: usize, metrics: Arc<Metrics>, has_mark: bool) -> Readers {
        let pool = Pool::new(source.clone(), connections_max, Arc::clone(&metrics));
        Readers { pool, metrics, has_mark: AtomicBool::new(has_mark) }
    }

    /// Where the connections come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A connection, from the pool.
    pub fn connection(&self, check_place: impl Fn() -> Result<()>) -> Result<Pooled<'_>> {
        self.pool.get(check_place)
    }

    /// What a query asks for, in one snapshot of the file.
    pub fn read(&self, connection: &Connection, read: &Read<'_>) -> Result<Stored> {
        let snapshot = Snapshot::begin(connection)?;
        let mark = self.mark(connection)?;
        let mut collected = Collected::default();
        let complete = collect(connection, read, &mut collected);
        self.report(&collected);
        let complete = complete?;
        // Of what was asked for, nothing is gone that is below where it begins.
        let begin = read.since.max(read.query.above());
        let gap_before = if mark > begin && read.query.order == Order::Id { mark } else { 0 };
        let through = mark.max(last_row(connection)?.min(read.until));
        let position = match (complete, read.overflow) {
            // Stopped early: the next poll goes on behind the last row that was looked at.
            (false, Overflow::Stop) => collected.examined,
            _ => read.since.max(through),
        };
        snapshot.end();
        let entries = Entries::new(collected.chunks.finish()?, position, gap_before);
        Ok(Stored { entries, through, complete })
    }

    /// How SQLite would carry out a read, a line for each step.
    pub fn plan(&self, connection: &Connection, read: &Read<'_>) -> Result<String> {
        let select = Select::of(read);
        let sql = format!("EXPLAIN QUERY PLAN {}", select.sql);
        let mut statement = connection.prepare(&sql).map_err(|error| translate(&error))?;
        let steps = statement
            .query_map(params_from_iter(&select.parameters), |row| row.get::<_, String>("detail"))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(|error| translate(&error))?;
        Ok(steps.join("\n"))
    }

    /// The entry with this id.
    pub fn get(&self, connection: &Connection, id: i64) -> Result<Option<Entry>> {
        let sql = format!("SELECT {} FROM ledger WHERE id = ?1", rows::COLUMNS);
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
        Ok(chunks.finish()?.pop().map(|chunk| Entry::new(chunk, 0)))
    }

    /// How many rows there are, and the last id of them.
    pub fn count(&self, connection: &Connection) -> Result<(i64, i64)> {
        let snapshot = Snapshot::begin(connection)?;
        let count = one(connection, "SELECT count(*) FROM ledger")?.unwrap_or_default();
        let last = self.mark(connection)?.max(last_row(connection)?);
        snapshot.end();
        Ok((count, last))
    }

    /// What commit logs must know of the file.
    pub fn log_identity(&self, connection: &Connection) -> Result<Identity> {
        let snapshot = Snapshot::begin(connection)?;
        let (ledger, stored_id) = schema::log_identity(connection)?;
        let identity = Identity { ledger, stored_id, removed_id: self.mark(connection)? };
        snapshot.end();
        Ok(identity)
    }

    /// All nodes; `None` where there are more than so many.
    pub fn nodes(&self, connection: &Connection, most: usize) -> Result<Option<Nodes>> {
        // From node to node in the index, without looking at what is between.
        const NODES: &str = "WITH RECURSIVE nodes(name) AS (
                SELECT min(node_id) FROM ledger
                UNION ALL
                SELECT (SELECT min(node_id) FROM ledger WHERE node_id > name) FROM nodes WHERE name IS NOT NULL
            )
            SELECT name, (SELECT max(timestamp) FROM ledger WHERE node_id = name) FROM nodes WHERE name IS NOT NULL";
        let snapshot = Snapshot::begin(connection)?;
        let as_of = schema::log_identity(connection)?.1;
        let mut nodes = Vec::new();
        {
            let mut statement = connection.prepare(NODES).map_err(|error| translate(&error))?;
            let mut rows = statement.query([]).map_err(|error| translate(&error))?;
            while let Some(row) = rows.next().map_err(|error| translate(&error))? {
                if nodes.len() == most {
                    return Ok(None);
                }
                // What is no text is the node of no entry of ours.
                if let ValueRef::Text(name) = row.get_ref(0).map_err(|error| translate(&error))?
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    let newest = newest(row.get(1).map_err(|error| translate(&error))?);
                    nodes.push((name.to_string(), newest.unwrap_or(f64::NEG_INFINITY)));
                }
            }
        }
        snapshot.end();
        Ok(Some(Nodes { as_of, newest: nodes }))
    }

    /// Answers what the commit log does not know about entries like new ones.
    pub fn look_up(&self, connection: &Connection, questions: &Questions<'_>) -> Result<Answers> {
        let sql = |error: rusqlite::Error| translate(&error);
        let snapshot = Snapshot::begin(connection)?;
        let as_of = schema::log_identity(connection)?.1;
        let newest_of = "SELECT max(timestamp) FROM ledger WHERE node_id = ?1";
        let mut newest_of = connection.prepare_cached(newest_of).map_err(sql)?;
        let newest = answers(&questions.nodes, |node_id| {
            newest_of.query_row([node_id], |row| row.get(0)).map(newest).map_err(sql)
        })?;
        let same = "SELECT id FROM ledger WHERE timestamp = ?1 AND node_id = ?2";
        let mut same = connection.prepare_cached(same).map_err(sql)?;
        let ids = answers(&questions.entries, |(timestamp, node_id)| {
            same.query_row(params![timestamp, node_id], |row| row.get(0)).optional().map_err(sql)
        })?;
        snapshot.end();
        Ok(Answers { as_of, newest, ids })
    }

    /// The ids at both ends.
    pub fn ends(&self, connection: &Connection) -> Result<Ends> {
        let snapshot = Snapshot::begin(connection)?;
        let first = one(connection, "SELECT min(id) FROM ledger WHERE id > 0")?.unwrap_or(0);
        // What another program deleted was there all the same: SQLite's own record knows.
        let given = one(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'ledger'")?.unwrap_or(0);
        let last = self.mark(connection)?.max(last_row(connection)?).max(given);
        snapshot.end();
        Ok(Ends { first, last })
    }

    fn report(&self, collected: &Collected) {
        self.metrics.rows_skipped.add(collected.skipped as u64);
        if let Some(more) = collected.skipped.checked_sub(SKIPPED_LINES_MAX).filter(|more| *more > 0) {
            call::log(Level::Warn, || format!("{more} more rows are skipped, they are no valid entries"));
        }
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

/// The answer to each question.
fn answers<Q, A>(questions: &[Q], mut answer: impl FnMut(&Q) -> Result<A>) -> Result<Vec<A>> {
    let mut answers = Vec::new();
    answers.try_reserve_exact(questions.len()).map_err(out_of_memory)?;
    for question in questions {
        answers.push(answer(question)?);
    }
    Ok(answers)
}

fn out_of_memory(_: TryReserveError) -> Error {
    Error::no_memory("knowing duplicates", "try again when there is some")
}

/// The largest timestamp of a node, if it has one.
fn newest(found: Value) -> Option<f64> {
    match found {
        Value::Null => None,
        Value::Real(number) => Some(number),
        // Not one of ours, and above all numbers: every single entry is to be asked for.
        _ => Some(f64::INFINITY),
    }
}

/// Collects the entries; whether all that there are were looked at.
fn collect(connection: &Connection, read: &Read<'_>, collected: &mut Collected) -> Result<bool> {
    let select = Select::of(read);
    let mut statement = connection.prepare_cached(&select.sql).map_err(|error| translate(&error))?;
    let mut found =
        statement.query(params_from_iter(&select.parameters)).map_err(|error| translate(&error))?;
    let mut previous = None;
    // The limit is kept by stepping no further: a bound LIMIT would make SQLite prepare the
    // statement anew each time.
    while collected.count < read.limit {
        let Some(row) = found.next().map_err(|error| translate(&error))? else {
            return Ok(true);
        };
        let id = rows::id_of(row).map_err(|error| translate(&error))?;
        if id > read.until {
            // In the order of ids, or it would not have come.
            return Ok(true);
        }
        check_order(read.query.order, previous.replace(id), id)?;
        match rows::decode(row) {
            Ok(fields) if collected.bytes.saturating_add(fields.bytes()) > read.bytes_max => {
                if read.overflow == Overflow::Stop && collected.count > 0 {
                    return Ok(false);
                }
                return Err(read.too_large(collected.count, id));
            }
            Ok(fields) => {
                collected.bytes += fields.bytes();
                collected.chunks.push(fields)?;
                collected.count += 1;
            }
            Err(why) => {
                collected.skipped += 1;
                if collected.skipped <= SKIPPED_LINES_MAX {
                    call::log(Level::Warn, || format!("row {id} is skipped, it is no valid entry: {why}"));
                }
            }
        }
        collected.examined = id;
    }
    Ok(false)
}

/// In a damaged file pages may be found again and again. That is an error, and no end of rows.
fn check_order(order: Order, previous: Option<i64>, id: i64) -> Result<()> {
    let is_in_order = previous.is_none_or(|previous| match order {
        Order::Id => previous < id,
        Order::IdDescending => previous > id,
        Order::Time | Order::TimeDescending => true,
    });
    if is_in_order {
        return Ok(());
    }
    let message = format!("row {id} is not in the order of the ids; run an integrity check");
    Err(Error::new(Status::Corrupt, message))
}

/// What a read has found so far.
#[derive(Default)]
struct Collected {
    chunks: ChunkBuilder,
    count: usize,
    bytes: usize,
    /// Rows that are no valid entries.
    skipped: usize,
    /// The id of the last row that was looked at.
    examined: i64,
}

/// A read transaction: several statements see the same state.
pub(super) struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    pub fn begin(connection: &'c Connection) -> Result<Snapshot<'c>> {
        // The one before could not be ended where there was no memory for that.
        roll_back(connection).map_err(|error| translate(&error))?;
        // Dropped if it fails: it may have begun all the same, and been interrupted then.
        let snapshot = Snapshot(connection);
        run(connection, "BEGIN").map_err(|error| translate(&error))?;
        Ok(snapshot)
    }

    pub fn end(self) {}
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written, so there is nothing to lose; and where it fails it is tried again before the next.
        let _ = roll_back(self.0);
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute([])
}

pub(super) fn one(connection: &Connection, sql: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<i64>>(0)).optional())
        .map(Option::flatten)
        .map_err(|error| translate(&error))
}

fn last_row(connection: &Connection) -> Result<i64> {
    one(connection, "SELECT max(id) FROM ledger").map(Option::unwrap_or_default)
}
