//! Whether all in a file is as it should be: SQLite's own check, then what SQLite cannot know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::connection::OPS_BETWEEN_LOOKS;
use super::fault::translate;
use super::readers::{Snapshot, one};
use super::{planted, rows, schema};
use crate::call;
use crate::error::{Error, Result, Status};
use crate::logging::Level;
use crate::store::ProgressFunction;

/// What is not as it should be, each on one line: at most so many findings, which take at most so many bytes.
pub(super) fn check(
    connection: &Connection,
    kind: schema::Kind,
    findings_max: usize,
    bytes_max: usize,
    progress: Option<&Arc<ProgressFunction>>,
) -> Result<Vec<String>> {
    // An estimate, for the progress; the check itself says if it cannot be counted.
    let rows = one(connection, "SELECT count(*) FROM ledger").ok().flatten().unwrap_or(0);
    let mut report = Report::new(findings_max, bytes_max, rows, progress.cloned());
    // Each part says what it can, also where the one before came upon something unreadable.
    let checked = sqlite_check(connection, kind, &mut report);
    report.unreadable("SQLite's own check", checked)?;
    let checked = schema::findings(connection, kind)
        .and_then(|findings| findings.iter().try_for_each(|finding| report.add(finding)));
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
/// Most characters of a finding: what one quotes from the file can be of any length.
const CHARACTERS_MAX: usize = 400;

struct Report {
    findings: Vec<String>,
    findings_max: usize,
    /// What they take, and may take.
    bytes: usize,
    bytes_max: usize,
    rows: i64,
    progress: Option<Arc<ProgressFunction>>,
}

impl Report {
    fn new(
        findings_max: usize,
        bytes_max: usize,
        rows: i64,
        progress: Option<Arc<ProgressFunction>>,
    ) -> Report {
        Report { findings: Vec::new(), findings_max, bytes: 0, bytes_max, rows, progress }
    }

    fn add(&mut self, finding: &str) -> Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let on_one_line = |character| if character == '\n' { ' ' } else { character };
        let mut line: String = finding.chars().take(CHARACTERS_MAX).map(on_one_line).collect();
        if finding.chars().nth(CHARACTERS_MAX).is_some() {
            line.push('…');
        }
        self.bytes += size_of::<String>() + line.len();
        if self.bytes > self.bytes_max {
            return Err(self.too_large());
        }
        self.findings
            .try_reserve(1)
            .map_err(|_| Error::no_memory("the findings", "ask for fewer (findings_max)"))?;
        self.findings.push(line);
        Ok(())
    }

    /// Adds what SQLite found, which has several lines where it is about the pages of a table or an index.
    fn add_lines(&mut self, found: &[u8]) -> Result<()> {
        const TITLE: &[u8] = b"*** in database";
        let is_finding = |line: &&[u8]| !line.is_empty() && *line != b"ok" && !line.starts_with(TITLE);
        for line in found.split(|byte| *byte == b'\n').filter(is_finding) {
            // No character takes more than four bytes.
            self.add(&String::from_utf8_lossy(&line[..line.len().min(4 * CHARACTERS_MAX + 4)]))?;
        }
        Ok(())
    }

    fn too_large(&self) -> Error {
        let message = format!(
            "the findings take more than {} bytes (result_bytes_max) after {}; ask for fewer (findings_max), or \
             raise the limit",
            self.bytes_max,
            self.findings.len()
        );
        Error::new(Status::LimitExceeded, message).with_field("result_bytes_max")
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= self.findings_max
    }

    /// What is so damaged that a part of the check cannot go on is a finding, and every other failure
    /// one of the call.
    fn unreadable(&mut self, part: &str, checked: Result<()>) -> Result<()> {
        match checked {
            Err(error) if error.status() == Status::Corrupt => {
                self.add(&format!("{part}: {}", error.message()))
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
        let failed = |error: rusqlite::Error| {
            if ended.load(Ordering::Relaxed) { ended_by_callback() } else { translate(&error) }
        };
        let mut found = statement.query([]).map_err(|error| translate(&error))?;
        while let Some(row) = found.next().map_err(failed)? {
            let text = row.get_ref(0).map_err(failed)?;
            report.add_lines(text.as_bytes().unwrap_or_default())?;
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
        report.add(&format!("row {id} has an id below 1, which no entry has"))?;
    }
    let largest = one(connection, "SELECT max(id) FROM ledger")?.unwrap_or(0);
    let given = one(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'ledger'")?.unwrap_or(0);
    if given < largest {
        report.add(&format!(
            "the record of the largest id given is {given}, below the largest id, {largest}"
        ))?;
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
                report
                    .add(&format!("row {id} comes behind row {after}: the table's pages are not in order"))?;
                return Ok(());
            }
            after = id;
            seen += 1;
            if let Err(why) = rows::decode(row) {
                report.add(&format!("row {after} is no valid entry: {why}"))?;
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
