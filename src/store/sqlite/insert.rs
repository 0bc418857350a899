//! New entries: their ids, and what refuses one.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, StatementStatus, params};

use super::fault::{is_duplicate, translate};
use super::schema;
use super::transaction::{attempt, is_carried_out};
use crate::entry::NewEntry;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::json;
use crate::store::{Appended, Batch, OnDuplicate};
use crate::utc;

/// Has `write` write a batch, in one transaction.
pub(super) fn append_in(
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

// What a table says about conflicts does not hold where the statement says something itself.
pub(super) const INSERT: &str =
    "INSERT OR ABORT INTO ledger (id, timestamp, node_id, features, confidence, created_at)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

pub(super) fn insert(connection: &Connection, batch: &Batch<'_>) -> Result<Appended> {
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

/// Whether an entry was refused, and its transaction goes on as if it had not been there.
pub(super) fn leaves_nothing(error: &Error) -> bool {
    matches!(error.status(), Status::Duplicate | Status::Conflict)
}

const LARGEST: &str = "SELECT max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'ledger'), 0),
    coalesce((SELECT max(id) FROM ledger), 0),
    coalesce((SELECT deleted_through FROM simledger_retention WHERE singleton = 1), 0))";

/// Lets [`next_id`] notice when the schema is another than now, when it was looked at.
pub(super) fn remember_schema(connection: &Connection) {
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

pub(crate) fn conflict(expected: i64, last: i64) -> Error {
    let message = format!(
        "the ledger's last id is {last}, not {expected} as expected: read what is new, decide anew, and commit again"
    );
    Error::new(Status::Conflict, message).with_field("expected_last_id").with_entry_id(last)
}

pub(crate) fn full() -> Error {
    Error::new(Status::LimitExceeded, "the ledger has used its largest possible id; begin a new one")
}

/// The same of one that gave the first of these entries this id.
pub(super) fn is_there(
    connection: &Connection,
    error: &Error,
    first_id: i64,
    entries: &[NewEntry<'_>],
) -> Option<bool> {
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
pub(super) fn in_doubt(error: Error, first_id: i64, is_there: Option<bool>) -> Error {
    match is_there {
        Some(false) => error,
        Some(true) => {
            error.context("the entry is in the ledger, but perhaps not on the medium").with_entry_id(first_id)
        }
        None => error.context("whether the entry is in the ledger is not known, read it to find out"),
    }
}
