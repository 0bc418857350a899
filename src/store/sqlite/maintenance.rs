//! What keeps a file in order: checkpoints, indexes, space, and whether all is as it should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::limits::Limit;

use super::connection::OPS_BETWEEN_LOOKS;
use super::fault::{is_transient, translate};
use super::readers::{Snapshot, one};
use super::{planted, rows, schema};
use crate::call;
use crate::error::{Error, Result, Status};
use crate::logging::Level;
use crate::store::ProgressFunction;

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

/// What is not as it should be, at most so many findings: SQLite's own check of the file, then what
/// SQLite cannot know.
pub(super) fn integrity_check(
    connection: &Connection,
    kind: schema::Kind,
    findings_max: usize,
    progress: Option<&Arc<ProgressFunction>>,
) -> Result<Vec<String>> {
    // An estimate, for the progress; the check itself says if it cannot be counted.
    let rows = one(connection, "SELECT count(*) FROM ledger").ok().flatten().unwrap_or(0);
    let mut report = Report::new(findings_max, rows, progress.cloned());
    // Each part says what it can, also where the one before came upon something unreadable.
    let checked = sqlite_check(connection, kind, &mut report);
    report.unreadable("SQLite's own check", checked)?;
    let checked = schema::findings(connection, kind)
        .map(|findings| findings.into_iter().for_each(|finding| report.add(finding)));
    report.unreadable("the schema", checked)?;
    let checked = ids(connection, &mut report);
    report.unreadable("the ids", checked)?;
    let checked = entries(connection, &mut report);
    report.unreadable("the rows", checked)?;
    report.tell(1.0)?;
    Ok(report.findings)
}

/// Steps of SQLite's check for a row of the ledger with its four indexes, as counted.
const CHECK_OPS_PER_ROW: i64 = 50;
/// The part of the whole that SQLite's check is, roughly.
const SQLITE_PART: f64 = 0.8;

struct Report {
    findings: Vec<String>,
    findings_max: usize,
    rows: i64,
    progress: Option<Arc<ProgressFunction>>,
}

impl Report {
    fn new(findings_max: usize, rows: i64, progress: Option<Arc<ProgressFunction>>) -> Report {
        Report { findings: Vec::new(), findings_max, rows, progress }
    }

    fn add(&mut self, finding: String) {
        if !self.is_full() {
            self.findings.push(finding);
        }
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= self.findings_max
    }

    /// What is so damaged that a part of the check cannot go on is a finding, and every other failure
    /// one of the call.
    fn unreadable(&mut self, part: &str, checked: Result<()>) -> Result<()> {
        match checked {
            Err(error) if error.status() == Status::Corrupt => {
                self.add(format!("{part}: {}", error.message()));
                Ok(())
            }
            checked => checked,
        }
    }

    /// Tells how far the check is; an error if it shall end.
    fn tell(&self, part: f64) -> Result<()> {
        call::check()?;
        match &self.progress {
            Some(progress) if !progress(part) => Err(ended_by_callback()),
            _ => Ok(()),
        }
    }
}

pub(super) fn ended_by_callback() -> Error {
    Error::new(Status::Interrupted, "the progress callback ended the check")
}

fn sqlite_check(connection: &Connection, kind: schema::Kind, report: &mut Report) -> Result<()> {
    /// The usual handler is put back however the check ends.
    struct PutBack<'c>(&'c Connection);
    impl Drop for PutBack<'_> {
        fn drop(&mut self) {
            let _ = self.0.progress_handler(OPS_BETWEEN_LOOKS, Some(call::should_stop));
        }
    }
    report.tell(0.0)?;
    let ended = Arc::new(AtomicBool::new(false));
    let put_back = PutBack(connection);
    if let Some(progress) = report.progress.clone() {
        let (mut ops, rows, mut told) = (0i64, report.rows.max(1), 0.0);
        let ended = Arc::clone(&ended);
        let look = move || {
            ops += i64::from(OPS_BETWEEN_LOOKS);
            #[allow(clippy::cast_precision_loss)] // An estimate.
            let part = (ops as f64 / rows.saturating_mul(CHECK_OPS_PER_ROW) as f64).min(1.0) * SQLITE_PART;
            let news = part >= told + 0.01;
            if news {
                told = part;
            }
            if news && !progress(part) {
                ended.store(true, Ordering::Relaxed);
            }
            call::should_stop() || ended.load(Ordering::Relaxed)
        };
        connection.progress_handler(OPS_BETWEEN_LOOKS, Some(look)).map_err(|error| translate(&error))?;
    }
    for what in parts_to_check(connection, kind, report.findings_max)? {
        let check = format!("PRAGMA integrity_check({what})");
        let mut statement = connection.prepare(&check).map_err(|error| translate(&error))?;
        let found =
            statement.query_map([], |row| row.get::<_, String>(0)).map_err(|error| translate(&error))?;
        for finding in found {
            let finding = finding.map_err(|error| {
                if ended.load(Ordering::Relaxed) { ended_by_callback() } else { translate(&error) }
            })?;
            if finding != "ok" {
                report.add(finding);
            }
        }
    }
    drop(put_back);
    report.tell(SQLITE_PART)
}

/// What SQLite's check is asked about: the whole file, but for what other programs have in it where that would
/// have to be computed.
fn parts_to_check(connection: &Connection, kind: schema::Kind, findings_max: usize) -> Result<Vec<String>> {
    let Some(name) = planted::expression_of_others(connection)? else {
        return Ok(vec![i32::try_from(findings_max).unwrap_or(i32::MAX).to_string()]);
    };
    call::log(Level::Info, || {
        format!("only the ledger's own tables are checked: \"{name}\", of another program, has an expression")
    });
    let ours = ["ledger", "simledger_settings", "simledger_retention"];
    let count = if kind == schema::Kind::Ours { ours.len() } else { 1 };
    Ok(ours[..count].iter().map(|name| (*name).to_string()).collect())
}

/// Whether ids are as a ledger gives them.
fn ids(connection: &Connection, report: &mut Report) -> Result<()> {
    let smallest = one(connection, "SELECT min(id) FROM ledger")?;
    if let Some(id) = smallest.filter(|id| *id < 1) {
        report.add(format!("row {id} has an id below 1, which no entry has"));
    }
    let largest = one(connection, "SELECT max(id) FROM ledger")?.unwrap_or(0);
    let given = one(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'ledger'")?.unwrap_or(0);
    if given < largest {
        report.add(format!("the record of the largest id given is {given}, below the largest id, {largest}"));
    }
    Ok(())
}

/// Whether rows are valid entries. In steps, so that no snapshot is held for long.
fn entries(connection: &Connection, report: &mut Report) -> Result<()> {
    const STEP: i64 = 4096;
    let sql = format!("SELECT {} FROM ledger WHERE id > ?1 ORDER BY id LIMIT {STEP}", rows::COLUMNS);
    let (mut after, mut seen) = (i64::MIN, 0i64);
    loop {
        let snapshot = Snapshot::begin(connection)?;
        let mut statement = connection.prepare_cached(&sql).map_err(|error| translate(&error))?;
        let mut found = statement.query([after]).map_err(|error| translate(&error))?;
        let before = seen;
        while let Some(row) = found.next().map_err(|error| translate(&error))? {
            let id = rows::id_of(row).map_err(|error| translate(&error))?;
            if seen > 0 && id <= after {
                // Pages that are found twice: going on could go round for ever.
                report.add(format!("row {id} comes behind row {after}: the table's pages are not in order"));
                return Ok(());
            }
            after = id;
            seen += 1;
            if let Err(why) = rows::decode(row) {
                report.add(format!("row {after} is no valid entry: {why}"));
            }
        }
        drop(found);
        drop(statement);
        snapshot.end();
        if seen - before < STEP || report.is_full() {
            return Ok(());
        }
        #[allow(clippy::cast_precision_loss)] // An estimate.
        let part = (seen as f64 / report.rows.max(1) as f64).min(1.0);
        report.tell(SQLITE_PART + (1.0 - SQLITE_PART) * part)?;
    }
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
