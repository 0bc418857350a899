//! Queries.

use std::ffi::c_char;

use super::arguments::{null, text};
use super::guard::guard;
use super::own::Owned;
use super::shapes::{owned_text, read};
use super::{simledger_entries, simledger_error, simledger_ledger, simledger_status};
use crate::error::{Error, Result, Status};
use crate::ledger::Ledger;
use crate::query::{Order, Query};

/// Which entries to read, in which order, how many. Yours until `simledger_query_free`; for one
/// thread at a time. May be run any number of times, on any ledger.
///
/// All conditions must hold. A query uses an index or the order of ids and never sorts entries: in
/// the order of ids, whole results come by the index of nodes, times or confidences, whichever
/// narrows first; pages and polls go through the ids from where they begin. In the order of time,
/// the index of times leads, or for one node that of nodes.
pub struct simledger_query {
    _opaque: [u8; 0],
}

/// Order: as they were appended. What a new query has.
pub const SIMLEDGER_ORDER_ID: i32 = 1;
/// Order: the last appended first.
pub const SIMLEDGER_ORDER_ID_DESCENDING: i32 = 2;
/// Order: the oldest timestamp first, and of equal ones the smaller id.
pub const SIMLEDGER_ORDER_TIME: i32 = 3;
/// Order: the newest timestamp first, and of equal ones the larger id.
pub const SIMLEDGER_ORDER_TIME_DESCENDING: i32 = 4;

/// Changes a query.
unsafe fn change(
    query: *mut simledger_query,
    error: *mut *mut simledger_error,
    work: impl FnOnce(&mut Query) -> Result<()>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        work(unsafe { simledger_query::change(query) }.ok_or_else(|| null("query"))?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// A new query: all entries, in the order of their ids. Never NULL.
///
/// Any thread. Free it with `simledger_query_free`.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_query_new() -> *mut simledger_query {
    simledger_query::give(Query::new())
}

/// Ends a query. NULL is nothing. Results that it gave stay.
///
/// Faults: memory.
///
/// # Safety
/// `query` is NULL or a query that was not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_free(query: *mut simledger_query) {
    // SAFETY: as the caller promises.
    unsafe { simledger_query::free(query) };
}

/// Only entries with `from <= timestamp < to`, in seconds: windows that follow one another share no
/// entry. `-INFINITY` and `INFINITY` leave that side open. Replaces an earlier range.
///
/// Returns OK; INVALID_ARGUMENT (not a number, or no time between them: `from` must be below `to`),
/// and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_time_range(
    query: *mut simledger_query,
    from: f64,
    to: f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { change(query, error, |query| query.time_range(from, to).map(drop)) }
}

/// Only entries with `first <= id <= last`. Replaces an earlier range.
///
/// - `first`: from 1. `last`: from `first`; `INT64_MAX` leaves that side open.
///
/// Returns OK; INVALID_ARGUMENT (below 1, or reversed), and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_id_range(
    query: *mut simledger_query,
    first: i64,
    last: i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { change(query, error, |query| query.id_range(first, last).map(drop)) }
}

/// Only entries of this node, or of one that was added before.
///
/// - `node_id`: UTF-8, lent for the call, `node_id_len` bytes long or `SIMLEDGER_NUL_TERMINATED`;
///   not blank, at most 1024 bytes. At most 1,000 nodes.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `node_id` is as long as its length says. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_add_node(
    query: *mut simledger_query,
    node_id: *const c_char,
    node_id_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let node = |query: &mut Query| query.node(unsafe { text(node_id, node_id_len, "node_id") }?).map(drop);
    // SAFETY: as the caller promises.
    unsafe { change(query, error, node) }
}

/// Only entries of other nodes than this one, and than those that were left out before: what the
/// others found, with one's own name.
///
/// - `node_id`: as of `simledger_query_add_node`.
///
/// Returns what `simledger_query_add_node` returns.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `node_id` is as long as its length says. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_exclude_node(
    query: *mut simledger_query,
    node_id: *const c_char,
    node_id_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let node = |query: &mut Query| {
        // SAFETY: as the caller promises.
        query.other_than_node(unsafe { text(node_id, node_id_len, "node_id") }?).map(drop)
    };
    // SAFETY: as the caller promises.
    unsafe { change(query, error, node) }
}

/// Only entries whose confidence is at least this, 0 to 1. Replaces an earlier one.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_min_confidence(
    query: *mut simledger_query,
    min_confidence: f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { change(query, error, |query| query.min_confidence(min_confidence).map(drop)) }
}

/// In which order entries come: one of the `SIMLEDGER_ORDER_` constants.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_order(
    query: *mut simledger_query,
    order: i32,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |query: &mut Query| {
        let order = Order::from_code(order).ok_or_else(|| {
            let message = format!(
                "order is {order}; it must be SIMLEDGER_ORDER_ID (1) to SIMLEDGER_ORDER_TIME_DESCENDING (4)"
            );
            Error::argument("order", message)
        })?;
        query.order(order);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { change(query, error, work) }
}

/// At most so many entries, from 1; `SIMLEDGER_NO_LIMIT` for all.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_limit(
    query: *mut simledger_query,
    limit: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { change(query, error, |query| query.limit(limit).map(drop)) }
}

/// Only what comes, in the order of the query, behind the entry with this timestamp and id: pass
/// those of the last entry of a page to get the next page. No entry comes twice, whatever is
/// appended in between. What is appended in front of the place where the next page begins is not
/// seen: in descending orders what is newer than the first page, in the orders of time what comes
/// late with an older or newer timestamp.
///
/// - `timestamp`: in seconds, finite; without effect in the orders of ids.
/// - `id`: from 1.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `query` is a query that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_set_after(
    query: *mut simledger_query,
    timestamp: f64,
    id: i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { change(query, error, |query| query.after(timestamp, id).map(drop)) }
}

/// The entries that a query asks for.
///
/// - `query`: lent for the call.
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure. No entries
///   is OK. Its position is the last id that the ledger held.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (they take more than
/// `result_bytes_max`: set a limit and go page by page); or as any call on a ledger: BUSY,
/// INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `query` is a query that nobody changes now. `entries` can be written to. `error` is NULL or can
/// be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_run(
    ledger: *mut simledger_ledger,
    query: *const simledger_query,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { read(ledger, entries, error, |ledger| ledger.query(look(query)?)) }
}

/// What is new and passes a query: `simledger_poll_since` with a filter. Its position also passes
/// over what was filtered out, so that the next poll does not look at it again.
///
/// - `query`: lent for the call. Its limit is that of the poll; it must have the order of ids, and
///   no `simledger_query_set_after`.
/// - `last_seen_id`: 0, or the position of an earlier result.
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure.
///
/// Any thread. Returns what `simledger_poll_since` returns.
///
/// Faults: read.
///
/// # Safety
/// `query` is a query that nobody changes now. `entries` can be written to. `error` is NULL or can
/// be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_poll(
    ledger: *mut simledger_ledger,
    query: *const simledger_query,
    last_seen_id: i64,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { read(ledger, entries, error, |ledger| ledger.poll_query(look(query)?, last_seen_id)) }
}

/// How SQLite would carry out a query, a line for each step, in the words of its EXPLAIN QUERY
/// PLAN: which index is used. For people; the words are SQLite's and may change.
///
/// - `query`: lent for the call.
/// - `plan`: gets the text, yours until `simledger_string_free`; NULL on failure.
/// - `plan_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED, IO,
/// CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `query` is a query that nobody changes now. `plan` can be written to. `plan_len` and `error` are
/// NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_query_plan(
    ledger: *mut simledger_ledger,
    query: *const simledger_query,
    plan: *mut *mut c_char,
    plan_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let work = |ledger: &Ledger| ledger.query_plan(unsafe { look(query) }?);
    // SAFETY: as the caller promises.
    unsafe { owned_text(ledger, (plan, plan_len, "plan"), error, work) }
}

/// Carries out one SQL statement that reads, such as an aggregate, on the tables of the file
/// (`ledger` foremost). Anything that writes, attaches or loads is refused.
///
/// - `sql`: UTF-8, lent for the call, `sql_len` bytes long or `SIMLEDGER_NUL_TERMINATED`; at most 1
///   MiB, with the words SELECT and VALUES in it 500 times at most.
/// - `parameters_json`: values for the parameters of the statement: a JSON array for `?`, `?1` and
///   so on, or an object for `:name`, `@name` and `$name`. Strings, numbers and null are bound as
///   such, booleans as 1 and 0, arrays and objects as their JSON text. UTF-8, lent for the call,
///   `parameters_json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. NULL: the statement has none.
///   Every parameter must have a value.
/// - `rows_max`: most rows, from 1; `SIMLEDGER_NO_LIMIT` for all.
/// - `json`: gets `{"columns":["name",...],"rows":[[value,...],...],"truncated":false}`;
///   `truncated` tells that there were more than `rows_max` rows. Integers and reals are numbers
///   (infinite ones null), texts strings (bytes that are no UTF-8 replaced by U+FFFD), BLOBs
///   strings of hexadecimal digits. Yours until `simledger_string_free`; NULL on failure.
/// - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// A statement may take `result_bytes_max` bytes, but at least 64 MiB, of memory and temporary files beside its
/// result (counted on Linux). The time is looked at between the steps of a statement, not inside one call of a SQL
/// function: `instr`, `trim` or `replace` on megabytes may take longer than they are given.
///
/// Any thread, and unlike any other function with as much of its stack as the statement asks for: for
/// each term of a sum, argument or query that stands in another one half a kilobyte to one and a half, 2
/// MiB at the very most.
///
/// It may run for `sql_timeout` seconds, and holds a snapshot of the file meanwhile
/// (appends to a ledger in memory wait for it). Returns OK; INVALID_ARGUMENT (what is wrong with
/// the statement or its parameters); INTERRUPTED (the time is up, or `simledger_interrupt`);
/// LIMIT_EXCEEDED (the JSON, or a value, takes more than `result_bytes_max`, or the statement needs more memory
/// and temporary files than it may have); or as any call on a ledger: BUSY, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// The texts are as long as their lengths say. `json` can be written to. `json_len` and `error` are
/// NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_sql(
    ledger: *mut simledger_ledger,
    sql: *const c_char,
    sql_len: usize,
    parameters_json: *const c_char,
    parameters_json_len: usize,
    rows_max: usize,
    json: *mut *mut c_char,
    json_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| {
        // SAFETY: as the caller promises.
        let sql = unsafe { text(sql, sql_len, "sql") }?;
        let parameters = if parameters_json.is_null() {
            None
        } else {
            // SAFETY: as the caller promises.
            Some(unsafe { text(parameters_json, parameters_json_len, "parameters_json") }?)
        };
        ledger.sql(sql, parameters, rows_max)
    };
    // SAFETY: as the caller promises.
    unsafe { owned_text(ledger, (json, json_len, "json"), error, work) }
}

/// # Safety
/// `query` is NULL or a query that nobody changes during `'a`.
unsafe fn look<'a>(query: *const simledger_query) -> Result<&'a Query> {
    // SAFETY: as the caller promises.
    unsafe { simledger_query::look(query) }.ok_or_else(|| null("query"))
}
