//! Old entries: which a cleanup deletes, and how.

use rusqlite::types::Value;
use rusqlite::{Connection, ffi, params};

use super::fault::translate;
use super::insert::next_id;
use super::rows;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::store::Cutoff;
use crate::utc;

/// Which rows a cleanup deletes, with the clock read.
#[derive(Clone, Copy)]
pub(super) enum Deletion {
    BeforeTimestamp(f64),
    BeforeId(i64),
}

impl Deletion {
    pub fn of(cutoff: Cutoff, connection: &Connection) -> Result<Deletion> {
        Ok(match cutoff {
            Cutoff::BeforeTimestamp(timestamp) => Deletion::BeforeTimestamp(timestamp),
            Cutoff::BeforeId(id) => Deletion::BeforeId(id),
            Cutoff::Age(seconds) => Deletion::BeforeTimestamp(now_of(connection)? - seconds),
        })
    }

    /// Raises the retention mark and deletes the rows, at most so many; how many.
    pub fn step(self, connection: &Connection, most: i64, removing: &dyn Fn(i64)) -> Result<i64> {
        // Deleting computes the indexes too.
        next_id(connection)?;
        self.delete(connection, most, removing).map_err(|error| translate(&error))?.ok_or_else(|| {
            let message =
                "deleting the entries would change other rows, by a foreign key that another program added";
            Error::new(Status::Corrupt, message)
        })
    }

    /// `None` where more changed than was asked for.
    fn delete(
        self,
        connection: &Connection,
        most: i64,
        removing: &dyn Fn(i64),
    ) -> rusqlite::Result<Option<i64>> {
        let (select, bound, cutoff) = match self {
            Deletion::BeforeTimestamp(timestamp) => (
                "SELECT id FROM ledger WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2",
                Value::Real(timestamp),
                Value::Real(timestamp),
            ),
            Deletion::BeforeId(id) => {
                ("SELECT id FROM ledger WHERE id < ?1 ORDER BY id LIMIT ?2", Value::Integer(id), Value::Null)
            }
        };
        let mut ids = Vec::new();
        let mut select = connection.prepare_cached(select)?;
        let mut found = select.query(params![bound, most])?;
        while let Some(row) = found.next()? {
            ids.try_reserve(1).map_err(|_| no_memory())?;
            ids.push(row.get::<_, i64>(0)?);
        }
        drop(found);
        let Some(largest) = ids.iter().max() else {
            return Ok(Some(0));
        };
        removing(*largest);
        let before = connection.total_changes();
        let raise = "INSERT INTO simledger_retention VALUES (1, ?1, ?2) ON CONFLICT (singleton) DO UPDATE SET
                     deleted_through = max(deleted_through, ?1),
                     cutoff_timestamp = max(coalesce(cutoff_timestamp, ?2), coalesce(?2, cutoff_timestamp))";
        let mut raise = connection.prepare_cached(raise)?;
        raise.execute([&Value::Integer(*largest), &cutoff])?;
        let mut delete = connection.prepare_cached("DELETE FROM ledger WHERE id = ?1")?;
        for id in &ids {
            hooks::point("writer.delete");
            delete.execute([id])?;
        }
        // The mark, the rows, and nothing else: no foreign key that another program added took
        // entries along that the mark does not cover.
        let expected = ids.len() as u64 + 1;
        Ok((connection.total_changes() - before == expected)
            .then_some(i64::try_from(ids.len()).unwrap_or(i64::MAX)))
    }
}

/// The time on the ledger's clock: the system's, or the newest timestamp of a valid entry.
fn now_of(connection: &Connection) -> Result<f64> {
    let clock = "SELECT value FROM simledger_settings WHERE name = 'clock'";
    let newest = format!("SELECT {} FROM ledger ORDER BY timestamp DESC", rows::COLUMNS);
    (|| {
        let clock = connection.prepare_cached(clock)?.query_row([], |row| row.get::<_, String>(0))?;
        if clock != "simulated" {
            return Ok(utc::now());
        }
        let mut statement = connection.prepare_cached(&newest)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            if let Ok(entry) = rows::decode(row) {
                return Ok(entry.timestamp);
            }
        }
        // Without an entry there is nothing to be older than anything.
        Ok(f64::NEG_INFINITY)
    })()
    .map_err(|error: rusqlite::Error| translate(&error))
}

/// As SQLite says it of its own.
fn no_memory() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), None)
}
