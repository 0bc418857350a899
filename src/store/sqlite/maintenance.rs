//! What keeps a file in order: checkpoints, indexes, space.

use rusqlite::Connection;
use rusqlite::limits::Limit;

use super::fault::{is_transient, translate};
use super::readers::one;
use super::{planted, schema};
use crate::call;
use crate::error::{Error, Result, Status};

/// Folds the whole WAL into the file, and empties it.
pub(super) fn checkpoint(connection: &Connection) -> Result<()> {
    fold(connection, "TRUNCATE")
}

/// Brings what is in the WAL to the medium: a checkpoint syncs it before anything else.
pub(super) fn sync(connection: &Connection) -> Result<()> {
    fold(connection, "PASSIVE")
}

fn fold(connection: &Connection, how: &str) -> Result<()> {
    let sql = format!("PRAGMA wal_checkpoint({how})");
    let folded = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    for tries in 0.. {
        let done = connection.query_row(&sql, [], folded);
        match done {
            Ok(0) => break,
            // Where somebody else is at a checkpoint, SQLite does not ask its busy handler.
            Ok(_) if call::pause(tries) => {}
            Ok(_) => return Err(call::waited_for("a reader or a writer kept the WAL in use", "end it")),
            Err(error) if is_transient(&error) && call::pause(tries) => {}
            Err(error) => return Err(translate(&error)),
        }
    }
    Ok(())
}

/// Builds the indexes anew.
pub(super) fn reindex(connection: &Connection) -> Result<()> {
    schema::check_still_ours(connection)?;
    execute(connection, "REINDEX ledger")
}

/// Lets SQLite look at what is in the tables, so that it plans SQL of callers well.
pub(super) fn optimize(connection: &Connection) -> Result<()> {
    schema::check_still_ours(connection)?;
    // A limit, so that it is quick on large files (<https://sqlite.org/pragma.html#pragma_analysis_limit>). Of
    // the ledger alone: what other programs keep beside it may have indexes on expressions.
    execute(connection, "PRAGMA analysis_limit = 1000; ANALYZE main.ledger")
}

/// Writes the file anew, without free pages; how many bytes less it is.
pub(super) fn vacuum(connection: &Connection) -> Result<i64> {
    schema::check_still_ours(connection)?;
    if let Some(name) = planted::expression_of_others(connection)? {
        let message = format!(
            "\"{name}\", of another program, has an expression that would be computed when the file is written anew; \
             drop it, or vacuum with the program that made it"
        );
        return Err(Error::new(Status::Unsupported, message));
    }
    let before = number(connection, "page_count")?;
    let attached = |most| connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, most);
    attached(1).map_err(|error| translate(&error))?;
    // Its copy of the file must not be in memory. A file of the Python module becomes one that can
    // give space back in steps.
    let done = execute(connection, "PRAGMA temp_store = FILE; PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
    let put_back = execute(connection, "PRAGMA temp_store = MEMORY");
    attached(0).map_err(|error| translate(&error))?;
    put_back.and(done)?;
    freed_since(connection, before)
}

/// Gives so many free pages back to the file system; how many bytes, and whether there are more.
pub(super) fn vacuum_step(connection: &Connection, pages: i64) -> Result<(i64, bool)> {
    /// What `PRAGMA auto_vacuum` says.
    const INCREMENTAL: i64 = 2;
    if number(connection, "auto_vacuum")? != INCREMENTAL {
        let message = "the file was not made to give space back in steps (by another program); \
                       a full vacuum gives it back, and lets it from then on";
        return Err(Error::new(Status::Unsupported, message));
    }
    let before = number(connection, "page_count")?;
    execute(connection, &format!("PRAGMA incremental_vacuum({pages})"))?;
    Ok((freed_since(connection, before)?, number(connection, "freelist_count")? > 0))
}

fn freed_since(connection: &Connection, pages_before: i64) -> Result<i64> {
    let less = pages_before - number(connection, "page_count")?;
    Ok(less.max(0) * number(connection, "page_size")?)
}

fn number(connection: &Connection, pragma: &str) -> Result<i64> {
    Ok(one(connection, &format!("PRAGMA {pragma}"))?.unwrap_or(0))
}

/// Runs statements to their end, whatever rows they give.
fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.execute_batch(sql).map_err(|error| translate(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn a_vacuum_that_fails_leaves_no_way_into_other_files() {
        let connection = Connection::open_in_memory().unwrap();
        schema::establish(&connection, &Settings::new(|_| None)).unwrap();
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        assert!(vacuum(&connection).is_err(), "SQLite refuses it in a transaction");
        assert_eq!(connection.limit(Limit::SQLITE_LIMIT_ATTACHED).unwrap(), 0);
    }
}
