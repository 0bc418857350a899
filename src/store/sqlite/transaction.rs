//! One write transaction: how it begins and ends, and what came of one whose end failed.

use rusqlite::{Connection, ffi};

use super::fault::{is_committed, is_transient, translate};
use super::schema;
use crate::call;
use crate::error::{Error, Result};
use crate::hooks;

/// One transaction, again where SQLite says that the same may succeed a moment later.
pub(super) fn attempt<T>(
    connection: &Connection,
    work: &mut impl FnMut(&Connection) -> Result<T>,
) -> Result<T> {
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    for tries in 0.. {
        match run("BEGIN IMMEDIATE") {
            Ok(_) => break,
            // The busy handler has waited already, except where SQLite does not ask it.
            Err(error) if is_transient(&error) && call::pause(tries) => {}
            Err(error) => {
                let _ = roll_back(connection);
                return Err(translate(&error));
            }
        }
    }
    let mut has_failed_to_commit = false;
    let result = work(connection).and_then(|done| {
        hooks::point("writer.commit");
        // Interrupted in here, it could not be told from one that was not carried out.
        match call::shielded(|| run("COMMIT")) {
            Err(error) if !is_committed(&error) => {
                has_failed_to_commit = !is_transient(&error);
                Err(translate(&error))
            }
            _ => Ok(done),
        }
    });
    if result.is_err() {
        // Where it fails the connection is given up.
        let ended = roll_back(connection);
        if has_failed_to_commit && ended.is_ok() && has_wal(connection) {
            take_back(connection);
        }
    }
    result
}

/// Whether a transaction was carried out all the same whose COMMIT failed with this, which `look` finds out; `None`: that
/// cannot be known. With a rollback journal it is as soon as that is no way back any more. What comes behind that and
/// may fail, as a sync of the journal or of its folder, is for a power cut, after which the journal may be there again.
pub(super) fn is_carried_out(
    connection: &Connection,
    error: &Error,
    look: impl FnOnce() -> Result<bool>,
) -> Option<bool> {
    match error.sqlite_code() {
        // The journal was removed.
        ffi::SQLITE_IOERR_DIR_FSYNC => Some(true),
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_FSTAT | ffi::SQLITE_IOERR_TRUNCATE
            if !has_wal(connection) =>
        {
            call::shielded(look).ok()
        }
        _ => Some(false),
    }
}

/// Sees to it that a transaction does not come back that could not be committed. Where only the sync of the WAL failed, or
/// room in memory for its index, it stands there to its end, and whoever puts the WAL in order when all processes have
/// died takes it for committed. So something is written over it that changes nothing.
fn take_back(connection: &Connection) {
    // Where somebody else has the lock, he writes over it. Where this fails no more can be done.
    let _ = call::shielded(|| call::at_once(|| touch(connection)));
}

/// Writes something that changes nothing: the page with the version of the user, which SQLite writes whatever is in it.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!("PRAGMA user_version = {version}"))
}

/// Ends a transaction that is not to be, also one that was interrupted when it had just begun.
pub(super) fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    let run = || connection.prepare_cached("ROLLBACK").and_then(|mut statement| statement.execute([]));
    let ended = call::shielded(run).map(drop);
    // SQLite may roll back by itself; then this fails, and is not needed.
    if connection.is_autocommit() { Ok(()) } else { ended }
}

pub(super) fn has_wal(connection: &Connection) -> bool {
    schema::journal_mode(connection).is_ok_and(|mode| mode == "wal")
}
