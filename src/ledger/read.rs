//! Reading.

use super::Ledger;
use crate::chunk::Entry;
use crate::entries::Entries;
use crate::entry::node_id_fault;
use crate::error::{Error, Result};
use crate::metrics::Operation;
use crate::query::{Query, check_limit};
use crate::store::Sql;

/// Most bytes of a SQL statement.
const SQL_BYTES_MAX: usize = 1 << 20;

/// Most queries inside one another, or behind one another, in one statement. SQLite limits how deep expressions
/// are (1,000) and how many terms are put together (500), but not how many common table expressions refer each
/// to the one before: it takes 1.4 KB of the caller's stack for each, and nobody would notice its end.
const SQL_QUERIES_MAX: usize = 500;

impl Ledger {
    /// Entries above `last_seen_id` in the order of their ids, at most `limit`. The next poll goes
    /// on from [`Entries::position`].
    pub fn poll_since(&self, last_seen_id: i64, limit: usize) -> Result<Entries> {
        self.call(Operation::Poll, |shared, options| {
            check_last_seen(last_seen_id)?;
            check_limit(limit)?;
            shared.since(last_seen_id, limit, options.result_bytes_max)
        })
    }

    /// All entries in the order of their ids.
    pub fn read_all(&self) -> Result<Entries> {
        self.call(Operation::ReadAll, |shared, options| shared.all(options.result_bytes_max))
    }

    /// What a query asks for.
    pub fn query(&self, query: &Query) -> Result<Entries> {
        self.call(Operation::Query, |shared, options| shared.query(query, options.result_bytes_max))
    }

    /// Entries above `last_seen_id` that pass the filter, in the order of their ids, at most as
    /// many as the query's limit. [`Entries::position`] also passes over what was filtered out.
    pub fn poll_query(&self, query: &Query, last_seen_id: i64) -> Result<Entries> {
        self.call(Operation::Poll, |shared, options| {
            check_last_seen(last_seen_id)?;
            query.check_filter("query")?;
            shared.filtered_since(query, last_seen_id, options.result_bytes_max)
        })
    }

    /// How the storage would carry out a query, a line for each step.
    pub fn query_plan(&self, query: &Query) -> Result<String> {
        self.call(Operation::Other, |shared, _| shared.plan(query))
    }

    /// The entry with this id.
    pub fn get_by_id(&self, id: i64) -> Result<Option<Entry>> {
        self.call(Operation::Get, |shared, _| {
            check_id(id)?;
            shared.get(id)
        })
    }

    /// The entries of a node, newest timestamp first, at most `limit`.
    pub fn read_by_node(&self, node_id: &str, limit: usize) -> Result<Entries> {
        self.call(Operation::ReadByNode, |shared, options| {
            if let Some(fault) = node_id_fault(node_id) {
                return Err(Error::argument("node_id", fault));
            }
            check_limit(limit)?;
            shared.of_node(node_id, limit, options.result_bytes_max)
        })
    }

    /// How many entries there are.
    pub fn count(&self) -> Result<i64> {
        self.call(Operation::Count, |shared, _| shared.count())
    }

    /// The id of the oldest entry that there is; 0 if there is none.
    pub fn first_id(&self) -> Result<i64> {
        self.call(Operation::Other, |shared, _| Ok(shared.ends()?.first))
    }

    /// The id of the newest entry that there ever was, cleaned up or not; 0 if there never was one.
    pub fn last_id(&self) -> Result<i64> {
        self.call(Operation::Other, |shared, _| Ok(shared.ends()?.last))
    }

    /// Carries out one SQL statement that reads, with parameters from a JSON array (by position) or
    /// object (by name). JSON: an object with `columns`, their names, `rows`, an array of arrays,
    /// at most `rows_max` of them, and `truncated`, whether there were more.
    pub fn sql(&self, text: &str, parameters: Option<&str>, rows_max: usize) -> Result<String> {
        self.call(Operation::Sql, |shared, options| {
            check_statement(text, rows_max)?;
            let (time, bytes_max) = (options.sql_timeout, options.result_bytes_max);
            shared.store().sql(&Sql { text, parameters, time, rows_max, bytes_max })
        })
    }
}

fn check_statement(text: &str, rows_max: usize) -> Result<()> {
    if rows_max == 0 {
        let message = "rows_max is 0; it must be at least 1, or SIMLEDGER_NO_LIMIT for all";
        return Err(Error::argument("rows_max", message));
    }
    if text.len() > SQL_BYTES_MAX {
        let message = format!("the statement has {} bytes; the limit is {SQL_BYTES_MAX}", text.len());
        return Err(Error::argument("sql", message));
    }
    let queries = queries_in(text);
    if queries > SQL_QUERIES_MAX {
        let message =
            format!("the statement has {queries} SELECTs and VALUES; the limit is {SQL_QUERIES_MAX}");
        return Err(Error::argument("sql", message));
    }
    match text.find('\0') {
        // SQLite would take it for the end.
        Some(at) => Err(Error::argument("sql", format!("the statement holds a NUL character at byte {at}"))),
        None => Ok(()),
    }
}

/// How many queries there can be in a statement at most: its words SELECT and VALUES, wherever they stand.
fn queries_in(text: &str) -> usize {
    let begins = |bytes: &[u8]| [b"select", b"values"].iter().any(|word| bytes.eq_ignore_ascii_case(*word));
    text.as_bytes().windows(b"select".len()).filter(|bytes| begins(bytes)).count()
}

pub(super) fn check_id(id: i64) -> Result<()> {
    if id < 1 {
        return Err(Error::argument("id", format!("id is {id}; ids begin at 1")));
    }
    Ok(())
}

pub(super) fn check_last_seen(id: i64) -> Result<()> {
    if id < 0 {
        let message = format!("last_seen_id is {id}; it must be 0, or the position of a result");
        return Err(Error::argument("last_seen_id", message));
    }
    Ok(())
}
