//! Files in which another program planted something: refused, or harmless.

mod common;

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;

use common::jury::{self, BOMB, Jury};
use common::{Place, entry, ids};
use simledger::{Ledger, NO_LIMIT, Status};

const SEED: &str = "CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, node_id TEXT NOT NULL, features TEXT NOT NULL,
    confidence REAL NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE(timestamp, node_id))";

fn place_with(sql: &str) -> Place {
    let place = Place::new();
    place.sqlite().execute_batch(sql).unwrap();
    place
}

#[test]
fn a_table_that_is_not_a_ledgers_is_refused_with_the_reason() {
    let changed = |from: &str, to: &str| {
        assert!(SEED.contains(from));
        SEED.replace(from, to)
    };
    for (sql, reason) in [
        (changed("INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER PRIMARY KEY"), "AUTOINCREMENT"),
        (
            changed("INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT PRIMARY KEY /* AUTOINCREMENT */"),
            "AUTOINCREMENT",
        ),
        (changed("node_id TEXT", "node_id TEXT COLLATE NOCASE"), "collation"),
        (changed("features TEXT NOT NULL,", ""), "\"features\""),
        (changed("UNIQUE(timestamp, node_id)", "extra TEXT, UNIQUE(timestamp, node_id)"), "\"extra\""),
        (changed("confidence REAL NOT NULL", "confidence REAL AS (0.5)"), "\"confidence\""),
        (
            changed("UNIQUE(timestamp, node_id)", "UNIQUE(timestamp, node_id), UNIQUE(confidence)"),
            "unique index",
        ),
        (changed("node_id TEXT NOT NULL", "node_id TEXT NOT NULL REFERENCES nodes(name)"), "foreign key"),
        (
            format!("{SEED}; CREATE TABLE nodes (led INTEGER REFERENCES ledger(id) ON DELETE CASCADE)"),
            "foreign key",
        ),
        ("CREATE TABLE entries (id); CREATE VIEW ledger AS SELECT * FROM entries".into(), "no table"),
        ("CREATE TABLE something (else_)".into(), "without a table \"ledger\""),
        (format!("{SEED}; CREATE TABLE simledger_settings (name, value)"), "damaged"),
        (
            format!(
                "{SEED}; CREATE TABLE simledger_settings (name, value); CREATE TABLE simledger_retention (a);
                     INSERT INTO simledger_settings VALUES ('schema_version', '2')"
            ),
            "version 2",
        ),
    ] {
        let place = place_with(&sql);
        let before = std::fs::read(place.path("ledger.db")).unwrap();
        for read_only in ["false", "true"] {
            let error =
                place.try_open(&[("read_only", read_only), ("journal_mode", "DELETE")]).err().unwrap();
            assert_eq!(error.status(), Status::Incompatible, "{sql}: {error}");
            assert!(error.message().contains(reason) || reason == "no table", "{sql}: {error}");
        }
        assert!(std::fs::read(place.path("ledger.db")).unwrap() == before, "the file was changed: {sql}");
    }
}

#[test]
fn a_conflict_clause_of_the_table_loses_nothing() {
    for clause in ["IGNORE", "REPLACE", "FAIL", "ROLLBACK"] {
        let sql = SEED.replace(
            "UNIQUE(timestamp, node_id)",
            &format!("UNIQUE(timestamp, node_id) ON CONFLICT {clause}"),
        );
        let place = place_with(&sql);
        let ledger = place.open(&[]);
        ledger.append_json(&entry(1.0, "n")).unwrap();
        let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
        assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(1)), "{clause}");
        let batch = format!("{}\n{}", entry(2.0, "n"), entry(1.0, "n"));
        assert_eq!(ledger.append_many_json(&batch).unwrap_err().status(), Status::Duplicate);
        assert_eq!(ids(&ledger.read_all().unwrap()), [1], "{clause}");
    }
}

#[test]
fn a_foreign_key_that_is_planted_later_takes_no_entry_along() {
    let place = Place::new();
    let ledger = place.open(&[("guards", "off")]);
    for timestamp in [1.0, 2.0, 3.0] {
        ledger.append_json(&entry(timestamp, "n")).unwrap();
    }
    place
        .sqlite()
        .execute_batch(
            "CREATE TABLE nodes (led INTEGER REFERENCES ledger(id) ON DELETE CASCADE); INSERT INTO nodes VALUES (1)",
        )
        .unwrap();
    let error = ledger.cleanup_before_id(2).unwrap_err();
    assert_eq!(error.status(), Status::Corrupt, "{error}");
    assert_eq!(ids(&ledger.read_all().unwrap()), [1, 2, 3]);
}

#[test]
fn one_bad_row_does_not_make_cleanup_delete_the_rest() {
    let place = Place::new();
    let ledger = place.open(&[("clock", "simulated"), ("guards", "off")]);
    for timestamp in 0..10 {
        ledger.append_json(&entry(f64::from(timestamp), "n")).unwrap();
    }
    for bad in
        ["9e999, 'n', '{}', 0.5", "'abc', 'n', '{}', 0.5", "1e300, ' ', '{}', 0.5", "1e300, 'n', 'x', 0.5"]
    {
        let insert = format!("INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES ({bad})");
        place.sqlite().execute_batch(&insert).unwrap();
        assert_eq!(ledger.cleanup(1e6).unwrap(), 0, "{bad}");
    }
    assert_eq!(ledger.cleanup(4.5).unwrap(), 5, "counted from 9, the newest of an entry");
    assert_eq!(ledger.read_all().unwrap().len(), 5);
}

#[test]
fn tables_that_change_under_an_open_ledger_are_said_to_be_damaged() {
    let place = Place::new();
    let ledger = place.open(&[("guards", "off"), ("journal_mode", "DELETE")]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    place.sqlite().execute_batch("DROP TABLE simledger_retention").unwrap();
    for error in [
        ledger.poll_since(0, NO_LIMIT).unwrap_err(),
        ledger.append_json(&entry(2.0, "n")).unwrap_err(),
        ledger.cleanup(1.0).unwrap_err(),
    ] {
        assert_eq!(error.status(), Status::Corrupt, "{error}");
        assert!(error.message().contains("another program"), "{error}");
    }
    drop(ledger);
    assert_eq!(place.try_open(&[]).err().unwrap().status(), Status::Incompatible);
}

#[test]
fn a_row_nested_a_million_deep_is_read_and_passed_on() {
    let place = Place::new();
    let ledger = place.open(&[("guards", "off"), ("on_duplicate", "ignore")]);
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    place
        .sqlite()
        .execute(
            "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (1, 'n', ?1, 0.5)",
            [&deep],
        )
        .unwrap();
    assert_eq!(ledger.read_all().unwrap().get(0).unwrap().features(), deep);
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap_err().status(), Status::Duplicate);
}

#[test]
fn what_is_no_ledger_file_is_said_at_once_and_nothing_is_made_of_it() {
    let place = Place::new();
    std::fs::write(place.path("garbage"), "no database ".repeat(1000)).unwrap();
    std::fs::create_dir(place.path("folder")).unwrap();
    std::os::unix::fs::symlink(place.path("nowhere"), place.path("dangling")).unwrap();
    for (name, status) in [
        ("garbage", Status::Incompatible),
        ("folder", Status::Io),
        ("dangling", Status::Io),
        ("missing/ledger.db", Status::Io),
        ("new.db/", Status::Io),
        ("garbage/ledger.db", Status::Io),
    ] {
        let error = Ledger::open_path(&place.file(name)).err().unwrap();
        assert_eq!(error.status(), status, "{name}: {error}");
        assert!(error.message().contains(place.file(name).trim_end_matches('/')), "{error}");
    }
    for name in ["nowhere", "missing", "new.db"] {
        assert!(!place.path(name).exists(), "{name} was made");
    }
    assert!(std::fs::read(place.path("garbage")).unwrap().starts_with(b"no database"));
}

#[test]
fn a_truncated_or_overwritten_ledger_is_a_status() {
    let place = Place::new();
    let ledger = place.open(&[("journal_mode", "DELETE")]);
    let lines: Vec<String> = (0..2000).map(|i| entry(f64::from(i), "n")).collect();
    ledger.append_many_json(&lines.join("\n")).unwrap();
    drop(ledger);
    let whole = std::fs::read(place.path("ledger.db")).unwrap();
    for keep in [1, 99, 100, 512, 4095, 4096, 5000, 8192, whole.len() / 2, whole.len() - 1] {
        std::fs::write(place.path("ledger.db"), &whole[..keep]).unwrap();
        let said = place.try_open(&[]).and_then(|ledger| {
            ledger.read_all()?;
            ledger.read_by_node("n", NO_LIMIT)?;
            ledger.append_json(&entry(-1.0, "n"))
        });
        if let Err(error) = said {
            assert!(
                matches!(error.status(), Status::Corrupt | Status::Incompatible | Status::Io),
                "{keep}: {error}"
            );
        }
    }
    // Pages overwritten with noise, one at a time.
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        for (index, byte) in damaged[page * 4096..(page + 1) * 4096].iter_mut().enumerate() {
            *byte = (index * 31 + page * 17) as u8;
        }
        std::fs::write(place.path("ledger.db"), damaged).unwrap();
        let said = place.try_open(&[]).and_then(|ledger| {
            ledger.read_all()?;
            ledger.cleanup_before_id(500)
        });
        if let Err(error) = said {
            assert!(
                matches!(error.status(), Status::Corrupt | Status::Incompatible | Status::Io),
                "{page}: {error}"
            );
        }
    }
}

#[test]
fn close_lets_go_of_the_file_at_once() {
    let place = Place::new();
    for _ in 0..100 {
        let ledger = place.open(&[]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ledger.poll_since(0, 1).unwrap());
            }
        });
        ledger.close().unwrap();
        assert!(!place.path("ledger.db-wal").exists(), "SQLite removes it with the last connection");
        let mine = place.path("ledger.db");
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        assert!(!open.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == mine)));
    }
}

#[test]
#[ignore = "a process that tries ledgers out"]
fn tries_ledgers_out() {
    jury::try_out();
}

/// A ledger with some entries, made by another program or by simledger.
fn with_entries(maker: &str) -> Place {
    let place = Place::new();
    if maker == "another program" {
        let insert = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES";
        let rows: Vec<String> = (1..=20).map(|i| format!("({i}, 'n1', '[{i}]', 0.5)")).collect();
        place.sqlite().execute_batch(&format!("{}; {insert} {}", common::SEED, rows.join(", "))).unwrap();
    } else {
        let ledger = place.open(&[("commit", maker), ("log_bytes", "65536")]);
        let lines: Vec<String> = (1..=20).map(|i| entry(f64::from(i), "n1")).collect();
        ledger.append_many_json(&lines.join("\n")).unwrap();
        ledger.close().unwrap();
    }
    place
}

/// What is to become of a file.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It cannot be opened.
    Refused,
    /// It is a ledger, and what was planted does not run.
    Used,
    /// Whichever.
    Status,
}

/// What is planted: what it is, by which statements, whether into our own tables, and what becomes of the file. EXPR
/// stands for something that is only to be computed once it is planted.
#[rustfmt::skip] // A table.
const PLANTS: &[(&str, &str, bool, Fate)] = &[
    ("nothing", "", false, Fate::Used),
    ("an index on an expression", "CREATE INDEX planted ON ledger(EXPR)", false, Fate::Refused),
    ("a partial index", "CREATE INDEX planted ON ledger(confidence) WHERE EXPR > 0", false, Fate::Refused),
    ("a unique index with a collation", "CREATE UNIQUE INDEX planted ON ledger(timestamp, node_id COLLATE NOCASE)", false, Fate::Refused),
    ("an index with a collation that there is not", "CREATE INDEX planted ON ledger(node_id COLLATE NOCASE); UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'nowhere') WHERE name = 'planted'", false, Fate::Status),
    ("a CHECK constraint", "UPDATE sqlite_schema SET sql = replace(sql, 'confidence REAL NOT NULL', 'confidence REAL NOT NULL CHECK (EXPR > 0)') WHERE name = 'ledger'", false, Fate::Refused),
    ("a default", "UPDATE sqlite_schema SET sql = replace(sql, 'CURRENT_TIMESTAMP', '(BOOM)') WHERE name = 'ledger'", false, Fate::Used),
    ("a computed column", "UPDATE sqlite_schema SET sql = replace(sql, 'confidence REAL NOT NULL', 'confidence REAL AS (EXPR)') WHERE name = 'ledger'", false, Fate::Refused),
    ("a computed record of ids", "UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_sequence(name,seq AS (BOOM))' WHERE name = 'sqlite_sequence'", false, Fate::Refused),
    ("computed statistics", "ANALYZE; UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat AS (BOOM))' WHERE name = 'sqlite_stat1'", false, Fate::Refused),
    ("statistics that take memory to compute", "ANALYZE; UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat AS (length(hex(zeroblob(499999999)))))' WHERE name = 'sqlite_stat1'", false, Fate::Refused),
    ("statistics that take time to compute", "ANALYZE; UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat AS (instr(zeroblob(900000000), zeroblob(450000000) || 1)))' WHERE name = 'sqlite_stat1'", false, Fate::Refused),
    ("a virtual table", "DROP TABLE ledger; CREATE VIRTUAL TABLE ledger USING fts5(timestamp, node_id, features, confidence, created_at)", false, Fate::Refused),
    ("a virtual table that has a page", "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE ledger USING fts5(id, timestamp, node_id, features, confidence, created_at)' WHERE name = 'ledger'", false, Fate::Refused),
    ("a view", "DROP TABLE ledger; CREATE VIEW ledger AS SELECT BOOM AS id, 1.0 AS timestamp, 'n' AS node_id, '{}' AS features, 1 AS confidence, NULL AS created_at", false, Fate::Refused),
    ("triggers", "CREATE TRIGGER a BEFORE INSERT ON ledger BEGIN SELECT BOOM; END; CREATE TRIGGER b AFTER INSERT ON ledger BEGIN SELECT BOOM; END; CREATE TRIGGER c BEFORE DELETE ON ledger BEGIN SELECT BOOM; END; CREATE TRIGGER d AFTER DELETE ON ledger BEGIN SELECT BOOM; END", false, Fate::Used),
    ("a view of theirs", "CREATE VIEW planted AS SELECT BOOM AS boom FROM ledger", false, Fate::Used),
    ("computed settings", "UPDATE sqlite_schema SET sql = 'CREATE TABLE simledger_settings (name TEXT PRIMARY KEY NOT NULL, value TEXT AS (BOOM)) WITHOUT ROWID' WHERE name = 'simledger_settings'", true, Fate::Refused),
    ("virtual settings", "DROP TABLE simledger_settings; CREATE VIRTUAL TABLE simledger_settings USING fts5(name, value)", true, Fate::Refused),
    ("an index on the settings", "CREATE INDEX planted ON simledger_settings(abs(length(value))); UPDATE sqlite_schema SET sql = replace(sql, 'abs(length(value))', 'BOOM') WHERE name = 'planted'", true, Fate::Refused),
    ("an index on the mark", "CREATE INDEX planted ON simledger_retention(abs(deleted_through)); UPDATE sqlite_schema SET sql = replace(sql, 'abs(deleted_through)', 'BOOM') WHERE name = 'planted'", true, Fate::Refused),
    ("another mark", "UPDATE sqlite_schema SET sql = replace(sql, 'singleton = 1', 'BOOM = 1') WHERE name = 'simledger_retention'", true, Fate::Refused),
    ("triggers on our tables", "CREATE TRIGGER a AFTER UPDATE ON simledger_settings BEGIN SELECT BOOM; END; CREATE TRIGGER b BEFORE UPDATE ON simledger_retention BEGIN SELECT BOOM; END", true, Fate::Used),
    ("an index on an expression of theirs", "CREATE TABLE theirs (id INTEGER PRIMARY KEY); INSERT INTO theirs VALUES (1), (2); CREATE INDEX planted ON theirs(EXPR)", false, Fate::Used),
    ("a partial index of theirs", "CREATE TABLE theirs (id INTEGER PRIMARY KEY); INSERT INTO theirs VALUES (1), (2); CREATE INDEX planted ON theirs(id) WHERE EXPR > 0", false, Fate::Used),
    ("a computed column of theirs", "CREATE TABLE theirs (id INTEGER PRIMARY KEY, x INTEGER AS (EXPR)); INSERT INTO theirs VALUES (1), (2); CREATE INDEX planted ON theirs(x)", false, Fate::Used),
    ("a CHECK constraint of theirs", "CREATE TABLE theirs (id INTEGER PRIMARY KEY CHECK (EXPR > 0)); INSERT INTO theirs VALUES (1), (2)", false, Fate::Used),
    ("a damaged full-text index of theirs", "CREATE VIRTUAL TABLE theirs USING fts5(x); INSERT INTO theirs VALUES ('y'); UPDATE theirs_data SET block = randomblob(100)", false, Fate::Used),
    ("a newer schema", "UPDATE simledger_settings SET value = '2' WHERE name = 'schema_version'", true, Fate::Refused),
    ("other numbers of an application", "PRAGMA application_id = 77; PRAGMA user_version = 99", false, Fate::Used),
    ("a table where its index is", "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'idx_ledger_timestamp') WHERE name = 'ledger'", false, Fate::Status),
    ("an index where its table is", "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'ledger') WHERE name = 'idx_ledger_timestamp'", false, Fate::Status),
    ("a table on the first page", "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'ledger'", false, Fate::Status),
    ("a table behind the end", "UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'ledger'", false, Fate::Status),
    ("a table without a statement", "UPDATE sqlite_schema SET sql = NULL WHERE name = 'ledger'", false, Fate::Refused),
    ("a table of another kind", "UPDATE sqlite_schema SET type = 'view' WHERE name = 'ledger'", false, Fate::Refused),
    ("a name in other letters", "UPDATE sqlite_schema SET name = 'LEDGER' WHERE name = 'ledger'", false, Fate::Refused),
];

#[test]
fn nothing_runs_that_is_planted() {
    let mut jury = Jury::default();
    let makers = ["another program", "sqlite", "log"];
    let all = std::env::var_os("LEDGER_FILES_CASES").is_some();
    let mut tried = 0;
    for (number, &(what, sql, into_ours, fate)) in PLANTS.iter().enumerate() {
        for (index, maker) in makers.iter().enumerate().skip(usize::from(into_ours)) {
            // A third of them where there is little time, but all that are planted.
            if !all && number % 3 != index && !(into_ours && index == 1 + number % 2) {
                continue;
            }
            for read_only in ["true", "false"] {
                let place = with_entries(maker);
                let sql = sql.replace("BOOM", "abs(-9223372036854775807-1)");
                let planting = sql.replace("EXPR", "abs(id)");
                place
                    .sqlite()
                    .execute_batch(&format!(
                        "PRAGMA writable_schema = ON; {planting};
                         UPDATE sqlite_schema SET sql = replace(sql, 'abs(id)', '{BOMB}') WHERE name <> 'nowhere'"
                    ))
                    .unwrap();
                tried += 1;
                let verdict = jury.hear(&place.path("ledger.db"), &[("read_only", read_only)]);
                let verdict =
                    verdict.unwrap_or_else(|why| panic!("{what}, {maker}, read_only {read_only}: {why}"));
                let opened = verdict.status("open");
                let refused = [Some(Status::Incompatible), Some(Status::Corrupt)].contains(&opened);
                match fate {
                    Fate::Refused => assert!(refused, "{what}, {maker}, read_only {read_only}: {verdict:?}"),
                    Fate::Used => {
                        assert_eq!(opened, Some(Status::Ok), "{what}, {maker}: {verdict:?}");
                        assert_eq!(verdict.status("first read_all"), Some(Status::Ok), "{what}: {verdict:?}");
                        assert_eq!(
                            verdict.status("integrity_check"),
                            Some(Status::Ok),
                            "{what}: {verdict:?}"
                        );
                        let wrote = if read_only == "true" { Status::ReadOnly } else { Status::Ok };
                        assert_eq!(
                            verdict.status("append again"),
                            Some(wrote),
                            "{what}, {maker}: {verdict:?}"
                        );
                    }
                    Fate::Status => {}
                }
            }
        }
    }
    println!("done: {tried} ledgers with something planted, of {} kinds; nothing of it ran", PLANTS.len());
}

#[test]
fn an_expression_that_is_planted_later_is_not_computed_either() {
    for commit in ["sqlite", "log"] {
        let place = Place::new();
        let ledger = place.open(&[("commit", commit), ("timeout", "2")]);
        ledger.append_json(&entry(1.0, "n")).unwrap();
        ledger.flush().unwrap();
        let other = place.sqlite();
        other
            .execute_batch(&format!(
                "PRAGMA writable_schema = ON; BEGIN; CREATE INDEX planted ON ledger(abs(id));
                 UPDATE sqlite_schema SET sql = replace(sql, 'abs(id)', '{BOMB}') WHERE name = 'planted'; COMMIT"
            ))
            .unwrap();
        for timestamp in [2.0, 3.0] {
            let failed = match ledger.append_json(&entry(timestamp, "n")) {
                Ok(_) if commit == "log" => ledger.flush().unwrap_err(),
                appended => appended.unwrap_err(),
            };
            assert_eq!(failed.status(), Status::Corrupt, "{failed}");
            assert!(failed.message().contains("\"planted\""), "{failed}");
        }
        for failed in [
            ledger.cleanup_before_id(2).unwrap_err(),
            ledger.reindex().unwrap_err(),
            ledger.vacuum(simledger::Vacuum::Full).unwrap_err(),
        ] {
            assert_eq!(failed.status(), Status::Corrupt, "{failed}");
            assert!(failed.message().contains("planted"), "{failed}");
        }
        other.execute_batch("DROP INDEX planted").unwrap();
        ledger.append_json(&entry(4.0, "n")).unwrap();
        ledger.flush().unwrap();
        assert_eq!(ledger.count().unwrap(), if commit == "log" { 4 } else { 2 });
    }
}

#[test]
fn what_is_in_the_place_of_a_file_is_not_followed_and_not_waited_for() {
    let mut jury = Jury::default();
    let mut tried = 0;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    for commit in ["sqlite", "log"] {
        for end in ["", "-wal", "-shm", "-journal", "-log", "-wake"] {
            for thing in ["link", "long link", "dangling link", "loop", "fifo", "socket", "device", "folder"]
            {
                for read_only in ["true", "false"] {
                    let place = with_entries(commit);
                    let elsewhere = Place::new();
                    fs::write(elsewhere.path("short"), "precious").unwrap();
                    fs::write(elsewhere.path("long"), "precious ".repeat(1000)).unwrap();
                    let path = place.path(&format!("ledger.db{end}"));
                    let _ = fs::remove_file(&path);
                    let name = CString::new(path.to_str().unwrap()).unwrap();
                    let _listener = match thing {
                        "link" => symlink(elsewhere.path("short"), &path).map(|()| None),
                        "long link" => symlink(elsewhere.path("long"), &path).map(|()| None),
                        "dangling link" => symlink(elsewhere.path("nowhere"), &path).map(|()| None),
                        "loop" => symlink(&path, &path).map(|()| None),
                        "socket" => UnixListener::bind(&path).map(Some),
                        "folder" => fs::create_dir(&path).map(|()| None),
                        _ => {
                            let kind = if thing == "fifo" { libc::S_IFIFO } else { libc::S_IFCHR };
                            // SAFETY: a C string, and the numbers of /dev/zero.
                            let made =
                                unsafe { libc::mknod(name.as_ptr(), kind | 0o600, libc::makedev(1, 5)) };
                            if made == -1 && thing == "device" {
                                assert!(
                                    !is_root
                                        || std::io::Error::last_os_error().raw_os_error()
                                            == Some(libc::EPERM)
                                );
                                continue;
                            }
                            assert_eq!(made, 0);
                            Ok(None)
                        }
                    }
                    .unwrap();
                    let before = fs::symlink_metadata(&path).unwrap().file_type();
                    tried += 1;
                    let verdict = jury.hear(&place.path("ledger.db"), &[("read_only", read_only)]);
                    let verdict = verdict.unwrap_or_else(|why| panic!("{thing} at {end:?}, {commit}: {why}"));
                    if end.is_empty() {
                        assert!(
                            [Status::Io, Status::Incompatible].map(Some).contains(&verdict.status("open")),
                            "{thing}: {verdict:?}"
                        );
                    }
                    assert_eq!(fs::read(elsewhere.path("short")).unwrap(), b"precious", "{thing} at {end:?}");
                    assert_eq!(fs::read(elsewhere.path("long")).unwrap().len(), 9000, "{thing} at {end:?}");
                    assert!(!elsewhere.path("nowhere").exists(), "{thing} at {end:?}");
                    let after = fs::symlink_metadata(&path).unwrap().file_type();
                    assert!(before == after && !after.is_file(), "{thing} at {end:?} was taken away");
                    assert_eq!(after.is_fifo(), thing == "fifo");
                }
            }
        }
    }
    println!(
        "done: {tried} things in the place of a ledger or of a companion, none written to, taken away or waited for"
    );
}

/// Files that are called as companions are and hold something else are not written to.
#[test]
fn what_is_no_companion_of_ours_stays_as_it_is() {
    let zeroes_first = [vec![0; 16], b"something".to_vec(), vec![0; 39]].concat();
    for commit in ["sqlite", "log"] {
        for end in ["-log", "-wake"] {
            for bytes in [b"a note".to_vec(), zeroes_first.clone(), vec![0; 65], b"a long note ".repeat(1000)]
            {
                let place = with_entries(commit);
                let path = place.path(&format!("ledger.db{end}"));
                fs::write(&path, &bytes).unwrap();
                let opened = place.try_open(&[]).map(|ledger| ledger.append_json(&entry(100.0, "n")));
                // Zeroes are the room for a log that was begun.
                if end == "-log" && commit == "log" && bytes != vec![0; 65] {
                    assert_eq!(opened.err().map(|error| error.status()), Some(Status::Incompatible));
                } else {
                    assert_eq!(opened.unwrap().unwrap(), 21, "{end}");
                }
                if bytes != vec![0; 65] || end == "-wake" {
                    assert_eq!(fs::read(&path).unwrap(), bytes, "{end} with {commit}");
                }
            }
        }
    }
}

/// Pages of the table that stand in the place of others: a scan finds their rows again and again.
#[test]
fn a_table_that_goes_round_comes_to_an_end() {
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite")]);
    let lines: Vec<String> = (0..6000).map(|i| entry(f64::from(i), "n")).collect();
    ledger.append_many_json(&lines.join("\n")).unwrap();
    ledger.close().unwrap();
    let leaves: Vec<u32> = {
        let other = place.sqlite();
        let leaves = "SELECT pageno FROM dbstat WHERE name = 'ledger' AND pagetype = 'leaf' ORDER BY path";
        let mut leaves = other.prepare(leaves).unwrap();
        leaves.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut bytes = fs::read(place.path("ledger.db")).unwrap();
    let page = |number: u32| (number as usize - 1) * 4096..number as usize * 4096;
    for &leaf in &leaves[3..] {
        bytes.copy_within(page(leaves[0]), page(leaf).start);
    }
    fs::write(place.path("ledger.db"), bytes).unwrap();
    let ledger = place.open(&[("read_only", "true")]);
    let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
    assert!(findings.iter().any(|finding| finding.contains("not in order")), "{findings:?}");
    assert_eq!(ledger.read_all().unwrap_err().status(), Status::Corrupt);
    assert_eq!(ledger.poll_since(0, NO_LIMIT).unwrap_err().status(), Status::Corrupt);
}

#[test]
#[ignore = "a process of its own"]
fn writes_with_a_connection_from_before() {
    let Some(folder) = common::parameter("FOLDER") else { return };
    let path = format!("{folder}/other.db");
    let before = rusqlite::Connection::open(&path).unwrap();
    before.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let ledger = Ledger::open_path(&format!("{folder}/ledger.db")).unwrap();
    for x in 0..3 {
        before.execute("INSERT INTO theirs VALUES (?1)", [x]).unwrap();
        ledger.append_json(&entry(f64::from(x), "n")).unwrap();
        assert!(!fs::exists(format!("{path}-journal")).unwrap());
    }
}

/// A Rust program may have used the same SQLite before.
#[test]
fn a_connection_from_before_the_first_ledger_works_on() {
    let place = Place::new();
    let mut process =
        common::Process::start("writes_with_a_connection_from_before", &[("FOLDER", &place.file(""))]);
    assert!(process.end());
}

/// The control of the tests above: for others it does run.
#[test]
fn what_is_planted_runs_for_others() {
    let place = with_entries("another program");
    let other = place.sqlite();
    other
        .execute_batch(&format!(
            "PRAGMA writable_schema = ON; CREATE INDEX planted ON ledger(abs(id));
             UPDATE sqlite_schema SET sql = replace(sql, 'abs(id)', '{BOMB}') WHERE name = 'planted'"
        ))
        .unwrap();
    drop(other);
    let insert = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (99, 'n', '{}', 1)";
    let error = place.sqlite().execute(insert, []).unwrap_err();
    assert!(error.to_string().contains("integer overflow"), "{error}");
}

/// Full-text search and the like read what they keep in the file in ways of their own: none of it is read.
#[test]
fn virtual_tables_of_a_file_are_not_read() {
    let place = with_entries("sqlite");
    place
        .sqlite()
        .execute_batch(
            "CREATE VIRTUAL TABLE theirs USING fts5(x); INSERT INTO theirs VALUES ('y');
             UPDATE theirs_data SET block = randomblob(100)",
        )
        .unwrap();
    let ledger = place.open(&[]);
    let error = ledger.sql("SELECT count(*) FROM theirs", None, 1).unwrap_err();
    assert!(error.message().contains("no such module"), "{error}");
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), Vec::<String>::new());
}
