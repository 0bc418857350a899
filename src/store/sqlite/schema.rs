//! The tables, indexes and guards of a ledger file: made, recognised, brought up to date.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::connection::durably;
use super::fault::{TABLES_CHANGED, is_duplicate, silent, translate};
use super::planted;
use crate::call;
use crate::config::{Scope, Settings};
use crate::error::{Error, Result, Status};

/// The version that this library writes. Files of a larger one are refused.
const VERSION: i64 = 1;

const COLUMNS: [&str; 6] = ["id", "timestamp", "node_id", "features", "confidence", "created_at"];

const LEDGER: &str = "CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL NOT NULL,
    node_id TEXT NOT NULL,
    features TEXT NOT NULL,
    confidence REAL NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP";

const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS idx_ledger_timestamp ON ledger(timestamp);
CREATE INDEX IF NOT EXISTS idx_ledger_node_id ON ledger(node_id, timestamp);
CREATE INDEX IF NOT EXISTS idx_ledger_confidence ON ledger(confidence);";

/// What simledger keeps beside the entries.
const SETTINGS: &str =
    "CREATE TABLE simledger_settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID";

/// One row that only grows.
const RETENTION: &str = "CREATE TABLE simledger_retention (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    deleted_through INTEGER NOT NULL CHECK (typeof(deleted_through) = 'integer'),
    cutoff_timestamp REAL
)";

const RETENTION_GUARDS: &str = "
INSERT INTO simledger_retention VALUES (1, 0, NULL);
CREATE TRIGGER simledger_retention_update BEFORE UPDATE ON simledger_retention
WHEN NEW.deleted_through IS NULL OR NEW.deleted_through < OLD.deleted_through OR NEW.singleton IS NOT OLD.singleton
BEGIN SELECT RAISE(ABORT, 'simledger: the retention mark only grows'); END;
CREATE TRIGGER simledger_retention_delete BEFORE DELETE ON simledger_retention
BEGIN SELECT RAISE(ABORT, 'simledger: the retention mark stays'); END;
CREATE TRIGGER simledger_retention_insert BEFORE INSERT ON simledger_retention
BEGIN SELECT RAISE(ABORT, 'simledger: there is one retention mark'); END;";

/// Refuse what would change an entry. REPLACE does not fire DELETE triggers, and NEW.id is -1 in a
/// BEFORE trigger where no id is given, which an explicit -1 imitates: hence two on INSERT. The
/// columns are named so that dropping one fails.
const GUARDS: &str = "
CREATE TRIGGER simledger_guard_update BEFORE UPDATE ON ledger BEGIN
    SELECT RAISE(ABORT, 'simledger: entries are immutable (guards = on)'),
        OLD.id, OLD.timestamp, OLD.node_id, OLD.features, OLD.confidence, OLD.created_at;
END;
CREATE TRIGGER simledger_guard_delete BEFORE DELETE ON ledger
WHEN OLD.id > coalesce((SELECT deleted_through FROM simledger_retention WHERE singleton = 1), 0) BEGIN
    SELECT RAISE(ABORT, 'simledger: entries are deleted by simledger''s cleanup only (guards = on)');
END;
CREATE TRIGGER simledger_guard_insert_id BEFORE INSERT ON ledger WHEN NEW.id IS NOT -1 BEGIN
    SELECT RAISE(ABORT, 'simledger: ids are given by the ledger: leave the id out (guards = on)');
END;
CREATE TRIGGER simledger_guard_inserted_id AFTER INSERT ON ledger WHEN NEW.id < 1 BEGIN
    SELECT RAISE(ABORT, 'simledger: ids are given by the ledger: leave the id out (guards = on)');
END;";

/// Only where (timestamp, node_id) is unique: an entry that is there is not replaced.
const GUARD_UNIQUE: &str = "
CREATE TRIGGER simledger_guard_insert_duplicate BEFORE INSERT ON ledger
WHEN EXISTS (SELECT 1 FROM ledger WHERE timestamp = NEW.timestamp AND node_id = NEW.node_id) BEGIN
    SELECT RAISE(ABORT, 'simledger: there is an entry with this timestamp and node_id (guards = on)');
END;";

/// Only with `commit = log`, whose newest ids are not in the file yet.
const GUARD_LOG: &str = "
CREATE TRIGGER simledger_log_insert BEFORE INSERT ON ledger BEGIN
    SELECT RAISE(ABORT, 'simledger: entries come by the commit log (commit = log): append with simledger, or set commit = sqlite');
END;";

/// The last id that the file has by the commit log: moves in one transaction with the entries.
pub(super) const LOG_THROUGH: &str = "log_through";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// A ledger that this library has not written to yet.
    Plain,
    /// A ledger of this library.
    Ours,
}

/// Recognises a file; an error if it is no ledger, or one of a newer version.
pub(super) fn inspect(connection: &Connection) -> Result<Kind> {
    let is_table = |name: &str| -> rusqlite::Result<bool> {
        connection
            .prepare("SELECT type FROM sqlite_schema WHERE name = ?1")?
            .query_row([name], |row| row.get::<_, String>(0))
            .optional()
            .map(|kind| kind.as_deref() == Some("table"))
    };
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(not_ours)?;
    if objects == 0 {
        return Ok(Kind::Empty);
    }
    planted::check_sqlites_own(connection)?;
    if !is_table("ledger").map_err(not_ours)? {
        return Err(incompatible("it is a database without a table \"ledger\""));
    }
    if !planted::is_ordinary_table(connection, "ledger")? {
        return Err(incompatible("its table \"ledger\" is a virtual one"));
    }
    check_columns(connection)?;
    if let Some(why) = planted::expression_of_ledger(connection)? {
        return Err(incompatible(&why));
    }
    if !is_table("simledger_settings").map_err(not_ours)? {
        return Ok(Kind::Plain);
    }
    let damaged = || incompatible("the tables that simledger keeps in it are damaged");
    if !planted::is_plain_table(connection, "simledger_settings")? {
        return Err(damaged());
    }
    let version = setting(connection, "schema_version")?.and_then(|version| version.parse::<i64>().ok());
    match version {
        Some(VERSION)
            if planted::is_as_made(connection, "simledger_settings", SETTINGS)?
                && planted::is_as_made(connection, "simledger_retention", RETENTION)? =>
        {
            Ok(Kind::Ours)
        }
        Some(newer) if newer > VERSION => Err(incompatible(&format!(
            "its schema has version {newer}, and this library knows versions up to {VERSION}: use a newer library"
        ))),
        _ => Err(damaged()),
    }
}

/// An error if the file is no ledger of this library any more, since another program changed its tables.
pub(super) fn check_still_ours(connection: &Connection) -> Result<()> {
    let why = match inspect(connection) {
        Ok(Kind::Ours) => return Ok(()),
        Ok(_) => "they are not all there".to_string(),
        Err(error) if error.status() == Status::Incompatible => error.message().to_string(),
        Err(error) => return Err(error),
    };
    Err(Error::new(Status::Corrupt, format!("{TABLES_CHANGED}: {why}")))
}

/// Whether the table is one that this library's statements fit, with nothing added to it that would
/// change what they do.
fn check_columns(connection: &Connection) -> Result<()> {
    let list = |sql: &str| -> Result<Vec<String>> {
        let mut statement = connection.prepare(sql).map_err(not_ours)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(not_ours)?;
        names.collect::<rusqlite::Result<_>>().map_err(not_ours)
    };
    let names = list("SELECT name FROM pragma_table_xinfo('ledger') WHERE hidden = 0")?;
    if let Some(column) = COLUMNS.iter().find(|column| !names.iter().any(|name| name == *column)) {
        return Err(incompatible(&format!("its table \"ledger\" has no column \"{column}\"")));
    }
    let extra = list("SELECT name FROM pragma_table_xinfo('ledger')")?;
    if let Some(extra) = extra.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(incompatible(&format!(
            "its table \"ledger\" has the column \"{extra}\", which no ledger has"
        )));
    }
    for column in COLUMNS {
        let (kind, collation, _, key, counts) =
            connection.column_metadata(Some("main"), "ledger", column).map_err(not_ours)?;
        let is_id = column == "id";
        let kind = kind.map(|kind| kind.to_string_lossy().to_ascii_uppercase());
        // AUTOINCREMENT is what makes SQLite remember ids for ever.
        if key != is_id || (is_id && (!counts || kind.as_deref() != Some("INTEGER"))) {
            return Err(incompatible(
                "the \"id\" of its table \"ledger\" is not INTEGER PRIMARY KEY AUTOINCREMENT",
            ));
        }
        if collation.is_some_and(|collation| collation != c"BINARY") {
            return Err(incompatible(&format!(
                "the column \"{column}\" of its table \"ledger\" has a collation"
            )));
        }
    }
    let unique = list(
        "SELECT name FROM pragma_index_list('ledger') AS list WHERE list.\"unique\"
         AND (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(list.name) ORDER BY name))
             IS NOT 'node_id,timestamp'",
    )?;
    if let Some(index) = unique.first() {
        return Err(incompatible(&format!(
            "its table \"ledger\" has the unique index \"{index}\", which no ledger has"
        )));
    }
    let foreign = list(
        "SELECT tables.name FROM sqlite_schema AS tables, pragma_foreign_key_list(tables.name) AS keys
         WHERE tables.type = 'table' AND (tables.name = 'ledger' OR keys.\"table\" = 'ledger' COLLATE NOCASE)",
    )?;
    if let Some(table) = foreign.first() {
        return Err(incompatible(&format!(
            "a foreign key of its table \"{table}\" would change or delete entries, or keep them from being deleted"
        )));
    }
    Ok(())
}

/// Makes the file a ledger of this library, if it is not yet. What is asked of the file's own
/// settings is only followed where nothing is settled yet.
pub(super) fn establish(connection: &Connection, settings: &Settings) -> Result<()> {
    // Said first, if it is no ledger.
    inspect(connection)?;
    // Who the ledger is must be on the medium before a commit log says the same; and it is not known before
    // it is set how safe another journal is.
    durably(connection, |connection| make_ours(connection, settings))
}

fn make_ours(connection: &Connection, settings: &Settings) -> Result<()> {
    if inspect(connection)? == Kind::Empty {
        // Has an effect only before there is anything in the file.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(|error| translate(&error))?;
    }
    set_journal(connection, settings)?;
    if inspect(connection)? == Kind::Ours {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
        .map_err(|error| translate(&error))?;
    // Somebody may have been faster.
    match inspect(&transaction)? {
        Kind::Ours => return Ok(()),
        Kind::Empty => create(&transaction, settings).map_err(|error| translate(&error))?,
        Kind::Plain => adopt(&transaction, settings)?,
    }
    crate::hooks::point("schema.commit");
    transaction.commit().map_err(|error| translate(&error))
}

fn create(transaction: &Transaction<'_>, settings: &Settings) -> rusqlite::Result<()> {
    let unique = settings.is("unique", "timestamp_node_id");
    let constraint = if unique { ",\n    UNIQUE(timestamp, node_id)" } else { "" };
    transaction.execute_batch(&format!("{LEDGER}{constraint}\n);{INDEXES}"))?;
    add_companions(transaction, settings, unique)
}

/// Adds what simledger needs to a ledger of another program, and changes none of its rows.
fn adopt(transaction: &Transaction<'_>, settings: &Settings) -> Result<()> {
    let unique = is_unique(transaction).map_err(|error| translate(&error))?;
    let actual = if unique { "timestamp_node_id" } else { "none" };
    let mut asked = settings.clone();
    asked.settle(Scope::File, |name| (name == "unique").then(|| actual.to_string()))?;
    if !asked.asked("commit") {
        // The program that made it may go on writing to it.
        asked.note("commit", "sqlite");
    }
    let index_columns = "SELECT count(*) FROM pragma_index_info('idx_ledger_node_id')";
    (|| {
        // By node, newest first, needs both columns; the index of the same name on one is replaced.
        if transaction.query_row(index_columns, [], |row| row.get::<_, i64>(0))? == 1 {
            transaction.execute_batch("DROP INDEX idx_ledger_node_id")?;
        }
        transaction.execute_batch(INDEXES)?;
        add_companions(transaction, &asked, unique)
    })()
    .map_err(|error: rusqlite::Error| translate(&error))
}

fn companions() -> String {
    format!("{SETTINGS};{RETENTION};{RETENTION_GUARDS}")
}

fn add_companions(transaction: &Transaction<'_>, settings: &Settings, unique: bool) -> rusqlite::Result<()> {
    transaction.execute_batch(&companions())?;
    if settings.is("guards", "on") {
        create_guards(transaction, unique)?;
    }
    let mut insert = transaction.prepare("INSERT INTO simledger_settings VALUES (?1, ?2)")?;
    insert.execute(["schema_version", &VERSION.to_string()])?;
    insert.execute(["unique", if unique { "timestamp_node_id" } else { "none" }])?;
    for name in ["clock", "guards", "commit"] {
        insert.execute([name, settings.text(name)])?;
    }
    transaction
        .execute("INSERT INTO simledger_settings VALUES ('ledger_id', lower(hex(randomblob(16))))", [])?;
    if settings.is("commit", "log") { begin_log(transaction) } else { Ok(()) }
}

/// From now on new entries come by the commit log.
fn begin_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(GUARD_LOG)?;
    let through = "INSERT OR REPLACE INTO simledger_settings SELECT ?1, max(
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'ledger'), 0),
        coalesce((SELECT max(id) FROM ledger), 0),
        coalesce((SELECT deleted_through FROM simledger_retention WHERE singleton = 1), 0))";
    connection.execute(through, [LOG_THROUGH]).map(drop)
}

/// The commit log is no more; it must be empty.
fn end_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP TRIGGER IF EXISTS simledger_log_insert")?;
    connection.execute("DELETE FROM simledger_settings WHERE name = ?1", [LOG_THROUGH]).map(drop)
}

/// Who the ledger is, and how far it has what came by the commit log.
pub(super) fn log_identity(connection: &Connection) -> Result<([u64; 2], i64)> {
    let damaged = || incompatible("the tables that simledger keeps in it are damaged");
    let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
    let id = setting(connection, "ledger_id")?.filter(|id| id.len() == 32 && id.is_ascii());
    let id = id.and_then(|id| Some([number(&id[..16])?, number(&id[16..])?])).ok_or_else(damaged)?;
    let through = setting(connection, LOG_THROUGH)?.and_then(|through| through.parse().ok());
    Ok((id, through.filter(|through| *through >= 0).ok_or_else(damaged)?))
}

/// Changes what the file has settled for a key of scope `File`.
pub(super) fn change(connection: &Connection, name: &str, value: &str) -> Result<()> {
    let sql = |error: rusqlite::Error| translate(&error);
    check_still_ours(connection)?;
    if setting(connection, name)?.as_deref() == Some(value) {
        return Ok(());
    }
    let update = "UPDATE simledger_settings SET value = ?2 WHERE name = ?1";
    connection.execute(update, [name, value]).map_err(sql)?;
    if name == "unique" {
        if value == "none" {
            allow_duplicates(connection).map_err(sql)?
        } else {
            refuse_duplicates(connection)?
        }
    }
    if name == "commit" {
        if value == "log" { begin_log(connection) } else { end_log(connection) }.map_err(sql)?;
    }
    if name == "unique" && is_unique(connection).map_err(sql)? == (value == "none") {
        let message =
            "another program's unique index on (timestamp, node_id) contradicts it; drop that index first";
        return Err(Error::new(Status::InvalidConfig, message).with_field("unique"));
    }
    if matches!(name, "unique" | "guards") {
        drop_guards(connection).map_err(sql)?;
        if setting(connection, "guards")?.as_deref() == Some("on") {
            create_guards(connection, is_unique(connection).map_err(sql)?).map_err(sql)?;
        }
    }
    crate::hooks::point("schema.change");
    Ok(())
}

/// Runs one statement and nothing that may stand behind it: what is in a file's schema may have been
/// planted there.
fn run_one(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare(sql)?.execute([]).map(drop)
}

fn create_guards(connection: &Connection, unique: bool) -> rusqlite::Result<()> {
    connection.execute_batch(GUARDS)?;
    if unique { connection.execute_batch(GUARD_UNIQUE) } else { Ok(()) }
}

fn drop_guards(connection: &Connection) -> rusqlite::Result<()> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'simledger_guard_*'";
    let names = connection
        .prepare(names)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    names
        .iter()
        .try_for_each(|name| run_one(connection, &format!("DROP TRIGGER \"{}\"", name.replace('"', "\"\""))))
}

fn refuse_duplicates(connection: &Connection) -> Result<()> {
    let made = connection.execute_batch("CREATE UNIQUE INDEX simledger_unique ON ledger(timestamp, node_id)");
    made.map_err(|error| {
        if is_duplicate(&error) {
            let message = "the ledger holds entries with the same timestamp and node_id; \
                           only one that holds none can become unique = timestamp_node_id";
            return Error::new(Status::Duplicate, message).with_field("unique");
        }
        translate(&error)
    })
}

fn allow_duplicates(connection: &Connection) -> rusqlite::Result<()> {
    let ours = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'simledger_unique'";
    if connection.query_row(ours, [], |_| Ok(())).optional()?.is_some() {
        return connection.execute_batch("DROP INDEX simledger_unique");
    }
    // The constraint is part of the table, which SQLite can only make anew. Indexes and triggers go
    // with a table, those of other programs too, and are made again.
    let objects = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'ledger' AND sql IS NOT NULL
                   AND type IN ('index', 'trigger') ORDER BY type";
    let objects: Vec<String> =
        connection.prepare(objects)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let given = "SELECT seq FROM sqlite_sequence WHERE name = 'ledger'";
    let given = connection.query_row(given, [], |row| row.get::<_, i64>(0)).optional()?;
    let (table, columns) = (LEDGER.replacen("ledger", "simledger_rebuilt", 1), COLUMNS.join(", "));
    connection.execute_batch(&format!(
        "{table}\n);
         INSERT INTO simledger_rebuilt ({columns}) SELECT {columns} FROM ledger ORDER BY id;
         DROP TABLE ledger;"
    ))?;
    // Otherwise SQLite would not let a view of another program be without its table for a moment.
    connection.execute_batch("PRAGMA legacy_alter_table = ON")?;
    let renamed = connection.execute_batch("ALTER TABLE simledger_rebuilt RENAME TO ledger");
    connection.execute_batch("PRAGMA legacy_alter_table = OFF").and(renamed)?;
    objects.iter().try_for_each(|sql| run_one(connection, sql))?;
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'ledger'", [])?;
    // Ids that were given are never given again, whatever became of their entries.
    let record = "INSERT INTO sqlite_sequence (name, seq) SELECT 'ledger', ?1 WHERE ?1 IS NOT NULL";
    connection.execute(record, [given]).map(drop)
}

/// What of the tables, indexes and guards is not as it was made.
pub(super) fn findings(connection: &Connection, kind: Kind) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    if kind != Kind::Ours {
        return Ok(findings);
    }
    let sql = |error: rusqlite::Error| translate(&error);
    let unique = setting(connection, "unique")?.as_deref() == Some("timestamp_node_id");
    if is_unique(connection).map_err(sql)? != unique {
        findings.push(format!(
            "(timestamp, node_id) is {}unique, against the file's setting",
            if unique { "not " } else { "" }
        ));
    }
    let guarded = setting(connection, "guards")?.as_deref() == Some("on");
    let logged = setting(connection, "commit")?.as_deref() == Some("log");
    let expected = objects(&as_made(unique, guarded, logged).map_err(sql)?).map_err(sql)?;
    let found = objects(connection).map_err(sql)?;
    for (name, (kind, made)) in &expected {
        match found.get(name) {
            None => findings.push(format!("the {kind} \"{name}\" is missing")),
            // Another program may have written an index in other words.
            Some((_, there)) if kind == "trigger" && there != made => {
                findings.push(format!("the trigger \"{name}\" is not as simledger makes it"));
            }
            Some(_) => {}
        }
    }
    for (name, (kind, _)) in found {
        if kind == "trigger" && !expected.contains_key(&name) {
            findings.push(format!("the trigger \"{name}\" is none of simledger's"));
        }
    }
    Ok(findings)
}

/// The indexes and triggers of the file, with their kinds and statements.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, (String, String)>> {
    let sql =
        "SELECT name, type, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
}

/// An empty ledger.
fn as_made(unique: bool, guarded: bool, logged: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(&format!("{LEDGER}\n);{INDEXES}{}", companions()))?;
    if guarded {
        create_guards(&connection, unique)?;
    }
    if logged {
        connection.execute_batch(GUARD_LOG)?;
    }
    Ok(connection)
}

/// Whether (timestamp, node_id) is unique in this table.
fn is_unique(connection: &Connection) -> rusqlite::Result<bool> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM pragma_index_list('ledger') AS list WHERE list.\"unique\" AND list.partial = 0
         AND (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(list.name) ORDER BY name))
             = 'node_id,timestamp'",
        [],
        |row| row.get(0),
    )?;
    Ok(count > 0)
}

/// The keys of scope `File`, as the file has them.
pub(super) fn file_settings(connection: &Connection) -> Result<Vec<(&'static str, Option<String>)>> {
    let kind = inspect(connection)?;
    let of = |name| Ok((name, file_setting(connection, kind, name)?));
    ["unique", "clock", "guards", "commit"].into_iter().map(of).collect()
}

/// What the file has settled for a key of scope `File`.
fn file_setting(connection: &Connection, kind: Kind, name: &str) -> Result<Option<String>> {
    match kind {
        Kind::Ours => setting(connection, name),
        // Seen only by those who open it for reading.
        _ => Ok(match name {
            "unique" => {
                let unique = is_unique(connection).map_err(|error| translate(&error))?;
                Some(if unique { "timestamp_node_id" } else { "none" }.to_string())
            }
            "guards" => Some("off".to_string()),
            "clock" => Some("wall".to_string()),
            "commit" => Some("sqlite".to_string()),
            _ => None,
        }),
    }
}

pub(super) fn setting(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM simledger_settings WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
        .map_err(not_ours)
}

/// Sets the journal mode. A file that others have open keeps its own, unless one was asked for.
fn set_journal(connection: &Connection, settings: &Settings) -> Result<()> {
    /// SQLite answers at once when somebody else is there. Most often that is a neighbour who is
    /// opening the same new file, and done in a moment.
    const ATTEMPTS_MAX: u32 = 50;
    let wanted = settings.text("journal_mode");
    let asked = settings.asked("journal_mode");
    for attempt in 0.. {
        let current = journal_mode(connection)?;
        if current.eq_ignore_ascii_case(wanted) || current == "memory" {
            return Ok(());
        }
        let answer =
            answer_at_the_end(connection, &format!("PRAGMA journal_mode = {wanted}")).and_then(|now| {
                // Where the file could not be written SQLite says no more than that it stays as it was.
                let failed =
                    (!now.eq_ignore_ascii_case(wanted)).then(|| silent("journal_mode cannot be set"));
                failed.flatten().map_or(Ok(now), Err)
            });
        match answer {
            Ok(now) if now.eq_ignore_ascii_case(wanted) => return Ok(()),
            Ok(now) if asked => {
                let message = format!("journal_mode {wanted} is not possible for this file; it stays {now}");
                return Err(Error::new(Status::Unsupported, message).with_field("journal_mode"));
            }
            Ok(_) => return Ok(()),
            Err(error) if error.status() != Status::Busy => return Err(error),
            Err(error) if !call::pause(attempt) && asked => {
                return Err(error.with_field("journal_mode"));
            }
            Err(_) if !asked && attempt >= ATTEMPTS_MAX => return Ok(()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// What a pragma answers that writes to the file: it does so behind its answer, and may fail there.
pub(super) fn answer_at_the_end(connection: &Connection, pragma: &str) -> Result<String> {
    (|| {
        let mut statement = connection.prepare(pragma)?;
        let mut rows = statement.query([])?;
        let answer = match rows.next()? {
            Some(row) => row.get(0)?,
            None => String::new(),
        };
        rows.next().map(|_| answer)
    })()
    .map_err(|error: rusqlite::Error| translate(&error))
}

/// The journal mode as it is, in SQLite's small letters.
pub(super) fn journal_mode(connection: &Connection) -> Result<String> {
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(|error| translate(&error))
}

pub(super) fn incompatible(why: &str) -> Error {
    Error::new(Status::Incompatible, format!("the file is not a ledger that can be used: {why}"))
}

/// Errors while finding out what a file is: what is no database at all is said clearly.
pub(super) fn not_ours(error: rusqlite::Error) -> Error {
    let error = translate(&error);
    if error.sqlite_code() & 0xff == rusqlite::ffi::SQLITE_NOTADB {
        return incompatible("it is not a SQLite database").with_sqlite_code(error.sqlite_code());
    }
    error
}
