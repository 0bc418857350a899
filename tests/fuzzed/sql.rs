//! The SQL of callers: whatever the statement is, it reads or is refused. It changes no file and makes none, gives nothing
//! of another file, and leaves no lock and no transaction behind. That it ends is for whoever calls this to see.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;
use std::ptr;

use rusqlite::Connection;
use serde_json::Value;
use simledger::ffi::*;

use super::c::{Config, call, close, lent, owned};

const COUNT: i64 = 20;
/// What stands in the files beside the ledger.
const SECRET: &str = "fd1c2c81b7e4";

struct Fixture {
    folder: tempfile::TempDir,
    ledgers: [*mut simledger_ledger; 2],
    files: Vec<(PathBuf, Vec<u8>)>,
    /// What a statement would do is asked here, where it is not carried out and nothing is forbidden.
    plain: Connection,
    _plain_folder: tempfile::TempDir,
}

thread_local! {
    static FIXTURE: OnceCell<Fixture> = const { OnceCell::new() };
}

/// The statement, and behind a record separator (0x1e) its parameters. `{folder}` stands for where the files are.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (statement, parameters) = match text.split_once('\x1e') {
        Some((statement, parameters)) => (statement, Some(parameters)),
        None => (text, None),
    };
    FIXTURE.with(|fixture| {
        let fixture = fixture.get_or_init(Fixture::new);
        let statement = &statement.replace("{folder}", fixture.folder.path().to_str().unwrap());
        let writes = !reads(&fixture.plain, statement);
        for ledger in fixture.ledgers {
            let is_done = carry_out(ledger, statement, parameters);
            assert!(!(is_done && writes), "it would write");
        }
        assert!(fixture.files == files(&fixture.folder), "a file was changed, made or removed");
    });
}

/// Whether SQLite says that a statement changes nothing. Of what it does not know that is so; and of a PRAGMA it says
/// that it does change something, also of those that only tell.
fn reads(plain: &Connection, statement: &str) -> bool {
    statement.to_ascii_lowercase().contains("pragma")
        || plain.prepare(statement).map_or(true, |prepared| prepared.readonly())
}

/// Whether it was carried out.
fn carry_out(ledger: *mut simledger_ledger, statement: &str, parameters: Option<&str>) -> bool {
    let (sql, sql_len) = lent(statement);
    let (parameters, parameters_len) = parameters.map_or((ptr::null(), 0), lent);
    let (mut json, mut json_len) = (ptr::without_provenance_mut(1), usize::MAX);
    let rows_max = 50;
    // SAFETY: the ledger is open, and the texts are as long as they are.
    let answer = unsafe {
        call(|error| {
            simledger_sql(
                ledger,
                sql,
                sql_len,
                parameters,
                parameters_len,
                rows_max,
                &raw mut json,
                &raw mut json_len,
                error,
            )
        })
    };
    answer.is_one_of(&[
        SIMLEDGER_OK,
        SIMLEDGER_INVALID_ARGUMENT,
        SIMLEDGER_INTERRUPTED,
        SIMLEDGER_LIMIT_EXCEEDED,
    ]);
    let given = owned(json, json_len);
    assert_eq!(given.is_some(), answer.is_ok());
    if let Some(given) = given {
        assert!(!given.contains(SECRET) || statement.contains(SECRET), "it reads another file");
        let result: Value = serde_json::from_str(&given).expect("JSON");
        let (columns, rows) = (result["columns"].as_array().unwrap(), result["rows"].as_array().unwrap());
        assert!(rows.len() <= rows_max && result["truncated"].is_boolean());
        assert!(rows.iter().all(|row| row.as_array().unwrap().len() == columns.len()));
    }
    let mut count = 0;
    // SAFETY: as above.
    unsafe {
        call(|error| simledger_count(ledger, &raw mut count, error)).ok();
        // BUSY, if anybody were still reading or writing.
        call(|error| simledger_checkpoint(ledger, error)).ok();
    }
    assert_eq!(count, COUNT);
    answer.is_ok()
}

impl Fixture {
    fn new() -> Fixture {
        let folder = super::folder();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        let [_other, first, second] = [("other", "sqlite"), ("log", "log"), ("sqlite", "sqlite")].map(|(name, commit)| {
            let path = folder.path().join(format!("{name}.db"));
            let config = Config::new(&[
                ("path", path.to_str().unwrap()),
                ("commit", commit),
                ("sql_timeout", "0.05"),
                ("timeout", "5"),
                ("result_bytes_max", "65536"),
            ]);
            let (answer, ledger) = config.open();
            answer.ok();
            for id in 1..=COUNT {
                let found = if name == "other" { SECRET } else { "nothing" };
                let entry = format!(
                    r#"{{"timestamp":{id}.5,"node_id":"n{}","features":{{"rate":{id},"list":[1,{{"found":"{found}"}}]}},"confidence":0.{id}}}"#,
                    id % 3
                );
                let (json, len) = lent(&entry);
                // SAFETY: the ledger is open, and the text as long as it is.
                call(|error| unsafe { simledger_append_json(ledger, json, len, ptr::null_mut(), error) }).ok();
            }
            // SAFETY: the ledger is open.
            call(|error| unsafe { simledger_checkpoint(ledger, error) }).ok();
            ledger
        });
        close(_other).ok();
        let plain_folder = super::folder();
        let copy = plain_folder.path().join("plain.db");
        fs::copy(folder.path().join("other.db"), &copy).unwrap();
        let plain = Connection::open(copy).unwrap();
        let files = files(&folder);
        Fixture { folder, ledgers: [first, second], files, plain, _plain_folder: plain_folder }
    }
}

/// All files with what is in them, but for what readers write to.
fn files(folder: &tempfile::TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let all = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let is_shared = |path: &PathBuf| {
        ["-shm", "-log", "-wake"].iter().any(|ending| path.to_str().unwrap().ends_with(ending))
    };
    let mut files: Vec<_> = all
        .map(|path| {
            let bytes = if is_shared(&path) { Vec::new() } else { fs::read(&path).unwrap() };
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.ledgers.iter().for_each(|ledger| close(*ledger).ok());
    }
}
