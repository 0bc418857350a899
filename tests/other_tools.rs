//! The file as other programs see it and change it: plain SQLite in this process, and Python's
//! sqlite3 module, a second copy of SQLite in another process.

mod common;

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Place, SEED, config, entry, ids, integrity, metric};
use rusqlite::Connection;
use simledger::{Ledger, Level, NO_LIMIT, Status};

const INSERT: &str = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES";

/// Runs SQL statements as another program would; what became of each.
type Program = fn(&str, &[&str]) -> Option<Vec<Result<(), String>>>;

fn plain_sqlite(path: &str, statements: &[&str]) -> Option<Vec<Result<(), String>>> {
    let sqlite = Connection::open(path).unwrap();
    let run = |sql: &&str| sqlite.execute_batch(sql).map_err(|error| error.to_string());
    Some(statements.iter().map(run).collect())
}

/// `None` where there is no Python.
fn python(path: &str, statements: &[&str]) -> Option<Vec<Result<(), String>>> {
    const SCRIPT: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for sql in sys.argv[2:]:
    try:
        connection.executescript(sql)
        print('done')
    except sqlite3.Error as error:
        print('error', str(error).replace('\\n', ' '))
connection.close()
";
    let Ok(output) = Command::new("python3").args(["-c", SCRIPT, path]).args(statements).output() else {
        println!("skipped: there is no python3");
        return None;
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(why.contains("No module named"), "{why}");
        println!("skipped: python3 has no sqlite3 module");
        return None;
    }
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers =
        answers.lines().map(|line| line.strip_prefix("error ").map_or(Ok(()), |e| Err(e.to_string())));
    Some(answers.collect())
}

const PROGRAMS: [Program; 2] = [plain_sqlite, python];

/// All that is in the file's tables and its schema, as text.
fn dump(path: &str) -> Vec<String> {
    let sqlite = Connection::open(path).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = sqlite.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    let mut all = texts("SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY name");
    for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
        let columns = texts(&format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')"));
        all.extend(texts(&format!("SELECT '{table} ' || {} FROM \"{table}\"", columns.join(" || ' ' || "))));
    }
    all
}

/// The entries as they are stored, to a byte.
fn rows(path: &str) -> Vec<String> {
    dump(path).into_iter().filter(|line| line.starts_with("ledger ")).collect()
}

fn one<T: rusqlite::types::FromSql>(sqlite: &Connection, sql: &str) -> T {
    sqlite.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A ledger with three entries that were cleaned up and five that are there, 4 to 8.
fn with_entries(place: &Place, keys: &[(&str, &str)]) -> Ledger {
    let ledger = place.open(keys);
    let entries: Vec<String> = (1..=8).map(|i| entry(f64::from(i), "n")).collect();
    ledger.append_many_json(&entries.join("\n")).unwrap();
    assert_eq!(ledger.cleanup_before_id(4).unwrap(), 3);
    ledger
}

fn no_ledger(path: &str, keys: &[(&str, &str)]) -> simledger::Error {
    // A time-out that nobody would wait for: what is wrong is said at once.
    let keys = [keys, &[("timeout", "100000000")]].concat();
    Ledger::open(&config(path, &keys)).err().expect("this is no ledger")
}

#[test]
fn the_schema_is_that_of_the_python_module() {
    /// Whatever pragmas tell of the table and its indexes.
    fn described(sqlite: &Connection) -> Vec<String> {
        let mut all = Vec::new();
        for sql in [
            "SELECT cid || name || type || \"notnull\" || coalesce(dflt_value, '-') || pk || hidden
             FROM pragma_table_xinfo('ledger')",
            "SELECT list.name || list.\"unique\" || list.origin || list.partial || info.seqno || info.name || info.desc || info.coll
             FROM pragma_index_list('ledger') AS list, pragma_index_xinfo(list.name) AS info
             WHERE info.key AND list.name <> 'idx_ledger_node_id' ORDER BY 1",
        ] {
            let mut statement = sqlite.prepare(sql).unwrap();
            let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            all.extend(found.map(Result::unwrap));
        }
        all
    }
    let place = Place::new();
    place.open(&[]).append_json(&entry(1.0, "n")).unwrap();
    let ours = place.sqlite();
    let seed = Connection::open_in_memory().unwrap();
    seed.execute_batch(SEED).unwrap();
    assert_eq!(described(&ours), described(&seed));
    assert_eq!(described(&ours).len(), 6 + 2 + 1 + 1);
    let index = "SELECT group_concat(name) FROM pragma_index_info('idx_ledger_node_id')";
    assert_eq!(one::<String>(&ours, index), "node_id,timestamp");
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'ledger'";
    assert!(one::<String>(&ours, sql).contains("id INTEGER PRIMARY KEY AUTOINCREMENT"));
    assert_eq!(one::<i64>(&ours, "PRAGMA auto_vacuum"), 2, "incremental");
    assert_eq!(one::<String>(&ours, "PRAGMA journal_mode"), "wal");
    assert_eq!(one::<i64>(&ours, "SELECT seq FROM sqlite_sequence WHERE name = 'ledger'"), 1);
    let created_at: String = one(&ours, "SELECT created_at FROM ledger");
    let format = "SELECT strftime('%Y-%m-%d %H:%M:%S', created_at) FROM ledger";
    assert_eq!(created_at, one::<String>(&ours, format), "as CURRENT_TIMESTAMP writes it");

    let none = Place::new();
    none.open(&[("unique", "none")]);
    let unique = "SELECT count(*) FROM pragma_index_list('ledger') WHERE \"unique\"";
    assert_eq!(one::<i64>(&none.sqlite(), unique), 0);
}

/// Statements that would change what is there. Entry 5 is (5, "n"); the mark is 3.
const TAMPERING: &[&str] = &[
    "UPDATE ledger SET confidence = 0.1",
    "UPDATE ledger SET features = '[]' WHERE id = 5",
    "UPDATE ledger SET id = 100 WHERE id = 5",
    "UPDATE ledger SET id = 2 WHERE id = 5",
    "UPDATE ledger SET created_at = NULL WHERE id = 5",
    "UPDATE OR REPLACE ledger SET timestamp = 6 WHERE id = 5",
    "UPDATE OR IGNORE ledger SET timestamp = 60 WHERE id = 5",
    "UPDATE ledger SET features = x.f FROM (SELECT '[2]' AS f) AS x WHERE id = 5",
    "WITH x(i) AS (SELECT 5) UPDATE ledger SET node_id = 'm' WHERE id IN (SELECT i FROM x)",
    "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (5, 'n', '[]', 1)
     ON CONFLICT (timestamp, node_id) DO UPDATE SET confidence = 0.1",
    "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (5, 'n', '[]', 1)
     ON CONFLICT DO UPDATE SET id = 4 + 6",
    "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (5, 'n', '[]', 1)",
    "DELETE FROM ledger WHERE id = 5",
    "DELETE FROM ledger WHERE id = 4",
    "DELETE FROM ledger",
    "DELETE FROM ledger WHERE timestamp < 1e9",
    "INSERT OR REPLACE INTO ledger (timestamp, node_id, features, confidence) VALUES (5, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger (timestamp, node_id, features, confidence) VALUES ('5.0', 'n', '[]', 1)",
    "REPLACE INTO ledger (timestamp, node_id, features, confidence) VALUES (5.0, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger (timestamp, node_id, features, confidence) SELECT timestamp, node_id, '[]', 1 FROM ledger",
    "INSERT OR REPLACE INTO ledger (id, timestamp, node_id, features, confidence) VALUES (5, 50, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger (rowid, timestamp, node_id, features, confidence) VALUES (5, 50, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger (_rowid_, timestamp, node_id, features, confidence) VALUES (5, 50, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger VALUES (5, 50, 'n', '[]', 1, NULL)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (2, 50, 'n', '[]', 1)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (9, 50, 'n', '[]', 1)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (-1, 50, 'n', '[]', 1)",
    "INSERT OR REPLACE INTO ledger (id, timestamp, node_id, features, confidence) VALUES ('-1', 50, 'n', '[]', 1)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (0, 50, 'n', '[]', 1)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (-7, 50, 'n', '[]', 1)",
    "INSERT INTO ledger (oid, timestamp, node_id, features, confidence) VALUES (9223372036854775807, 50, 'n', '[]', 1)",
    "INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (-9223372036854775808, 50, 'n', '[]', 1)",
    "ALTER TABLE ledger DROP COLUMN created_at",
    "ALTER TABLE ledger DROP COLUMN confidence",
    "BEGIN; UPDATE simledger_retention SET deleted_through = 8;
     UPDATE simledger_retention SET deleted_through = 0",
    "UPDATE simledger_retention SET deleted_through = 2",
    "UPDATE simledger_retention SET deleted_through = NULL",
    "UPDATE simledger_retention SET deleted_through = 'all'",
    "UPDATE simledger_retention SET deleted_through = 4.5",
    "UPDATE simledger_retention SET singleton = 2",
    "UPDATE OR REPLACE simledger_retention SET singleton = NULL",
    "DELETE FROM simledger_retention",
    "INSERT OR REPLACE INTO simledger_retention VALUES (1, 0, NULL)",
    "INSERT INTO simledger_retention VALUES (2, 8, NULL)",
    "INSERT INTO simledger_retention VALUES (1, 8, NULL) ON CONFLICT DO UPDATE SET deleted_through = 8",
];

#[test]
fn guards_refuse_what_would_change_an_entry() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = with_entries(&place, &[]);
        let before = dump(&path);
        // Each by itself, so that an open transaction of one is rolled back.
        for sql in TAMPERING {
            let Some(answers) = program(&path, &[sql]) else { return };
            let said = answers[0].as_ref().expect_err(sql);
            let is_ours = said.contains("simledger: ") || said.contains("error in trigger simledger_guard");
            // SQLite itself refuses a few before any trigger is asked.
            let is_sqlites = ["CHECK constraint", "datatype mismatch", "after drop column"]
                .iter()
                .any(|reason| said.contains(reason));
            assert!(is_ours || is_sqlites, "{sql}: {said}");
            assert_eq!(dump(&path), before, "{sql}");
        }
        assert_eq!(ids(&ledger.read_all().unwrap()), [4, 5, 6, 7, 8]);
        assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 9);
        assert_eq!(ledger.cleanup_before_id(5).unwrap(), 1, "our own cleanup works");
    }
}

/// Whoever turns off a guard of the mark still deletes nothing with an emptied table.
#[test]
fn an_emptied_retention_table_lets_nothing_be_deleted() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = with_entries(&place, &[]);
        let statements = [
            "DROP TRIGGER simledger_retention_delete",
            "DELETE FROM simledger_retention",
            "DELETE FROM ledger WHERE id = 4",
        ];
        let Some(answers) = program(&path, &statements) else { return };
        assert!(answers[0].is_ok() && answers[1].is_ok());
        assert!(answers[2].as_ref().unwrap_err().contains("simledger: "));
        assert_eq!(rows(&path).len(), 5);
        // And our side goes on.
        assert_eq!(ids(&ledger.poll_since(0, NO_LIMIT).unwrap()), [4, 5, 6, 7, 8]);
        assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 9);
        assert_eq!(ledger.cleanup_before_id(6).unwrap(), 2);
        assert_eq!(ledger.poll_since(0, 1).unwrap().gap_before(), 5);
    }
}

#[test]
fn without_uniqueness_the_guards_let_duplicates_in_and_nothing_else() {
    let place = Place::new();
    let path = place.file("ledger.db");
    let ledger = with_entries(&place, &[("unique", "none"), ("commit", "sqlite")]);
    let before = rows(&path);
    let again = format!("{INSERT} (5, 'n', '[]', 1)");
    let replace = again.replace("INSERT", "INSERT OR REPLACE");
    let update = "UPDATE ledger SET confidence = 1";
    let answers =
        plain_sqlite(&path, &[&again, &replace, update, "DELETE FROM ledger WHERE id = 5"]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(rows(&path)[..5], before);
    assert_eq!(ids(&ledger.poll_since(8, NO_LIMIT).unwrap()), [9, 10]);
}

#[test]
fn a_plain_insert_of_another_program_is_an_entry_like_any_other() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = with_entries(&place, &[("commit", "sqlite")]);
        assert!(ledger.get_by_id(9).unwrap().is_none());
        assert_eq!(ids(&ledger.read_by_node("python", 9).unwrap()), [0; 0]);
        let insert = format!("{INSERT} (12.5, 'python', '[{{\"packet_size\": 500}}]', 0.85)");
        let null_id = "INSERT INTO ledger VALUES (NULL, 13, 'python', '[]', 1, NULL)";
        let Some(answers) = program(&path, &[&insert, null_id]) else { return };
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let fresh = ledger.poll_since(8, NO_LIMIT).unwrap();
        assert_eq!((ids(&fresh), fresh.position()), (vec![9, 10], 10));
        let first = fresh.get(0).unwrap();
        assert_eq!((first.timestamp(), first.node_id(), first.confidence()), (12.5, "python", 0.85));
        assert_eq!(first.features(), "[{\"packet_size\": 500}]");
        assert!(first.created_at() > 1.7e9 && fresh.get(1).unwrap().created_at() == 0.0);
        assert!(ledger.get_by_id(9).unwrap().is_some());
        assert_eq!(ids(&ledger.read_by_node("python", 9).unwrap()), [10, 9]);
        let error = ledger.append_json(&entry(12.5, "python")).unwrap_err();
        assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(9)));
        assert_eq!(ledger.append_json(&entry(14.0, "python")).unwrap(), 11);
    }
}

#[test]
fn with_guards_off_all_that_the_python_module_does_works() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = with_entries(&place, &[("guards", "off")]);
        let triggers = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'ledger'";
        assert_eq!(one::<i64>(&place.sqlite(), triggers), 0);
        for id in 4..=8 {
            assert!(ledger.get_by_id(id).unwrap().is_some());
        }
        assert_eq!(ids(&ledger.read_by_node("n", 9).unwrap()), [8, 7, 6, 5, 4]);
        let insert = format!("{INSERT} (20, 'n', '[1]', 0.5)");
        let replace = format!("{} (8, 'n', '[2]', 0.5)", INSERT.replace("INSERT", "INSERT OR REPLACE"));
        let statements = [&*insert, &replace, "DELETE FROM ledger WHERE timestamp < 6"];
        let Some(answers) = program(&path, &statements) else { return };
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        for (id, there) in [(4, false), (5, false), (6, true), (8, false), (9, true), (10, true)] {
            assert_eq!(ledger.get_by_id(id).unwrap().is_some(), there, "{id}");
        }
        assert_eq!(ids(&ledger.read_by_node("n", 9).unwrap()), [9, 10, 7, 6]);
        assert_eq!(ledger.get_by_id(10).unwrap().unwrap().as_ref().features(), "[2]");
        assert_eq!((ledger.count().unwrap(), ledger.first_id().unwrap()), (4, 6));
        assert_eq!(ledger.append_json(&entry(21.0, "n")).unwrap(), 11);
    }
}

/// The values of a row that is no valid entry, and a part of what is said of it.
const BAD: &[(&str, &str)] = &[
    ("1, 'bad', 'secret: not JSON', 0.5", "features"),
    ("2, 'bad', '', 0.5", "features"),
    ("3, 'bad', '\"secret\"', 0.5", "features"),
    ("4, 'bad', '{\"secret\":NaN}', 0.5", "features"),
    ("5, 'bad', '{\"secret\":1', 0.5", "features"),
    ("6, 'bad', x'7b7d', 0.5", "features"),
    ("7, 'bad', CAST(x'7b22ff223a317d' AS TEXT), 0.5", "features"),
    ("8, '', '{\"secret\":1}', 0.5", "node_id"),
    ("9, ' \t\n', '{\"secret\":1}', 0.5", "node_id"),
    ("10, CAST(x'ff' AS TEXT), '{\"secret\":1}', 0.5", "node_id"),
    ("11, CAST(x'610062' AS TEXT), '{\"secret\":1}', 0.5", "node_id"),
    ("12, x'62616420', '{\"secret\":1}', 0.5", "node_id"),
    ("13, 'bad', '{\"secret\":1}', 1.5", "confidence"),
    ("14, 'bad', '{\"secret\":1}', -0.001", "confidence"),
    ("15, 'bad', '{\"secret\":1}', 'NaN'", "confidence"),
    ("16, 'bad', '{\"secret\":1}', 'high'", "confidence"),
    ("17, 'bad', '{\"secret\":1}', 9e999", "confidence"),
    ("18, 'bad', '{\"secret\":1}', x'00'", "confidence"),
    ("9e999, 'bad', '{\"secret\":1}', 0.5", "timestamp"),
    ("-9e999, 'bad', '{\"secret\":1}', 0.5", "timestamp"),
    ("'NaN', 'bad', '{\"secret\":1}', 0.5", "timestamp"),
    ("'noon', 'bad', '{\"secret\":1}', 0.5", "timestamp"),
    ("x'00', 'bad', '{\"secret\":1}', 0.5", "timestamp"),
];

#[test]
fn rows_that_are_no_valid_entries_are_skipped_counted_and_logged() {
    for program in PROGRAMS {
        let place = Place::new();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let receiver = Arc::clone(&lines);
        let mut config = config(&place.file("ledger.db"), &[("commit", "sqlite")]);
        config.set_log(
            Level::Warn,
            Arc::new(move |level, line| receiver.lock().unwrap().push((level, line.to_string()))),
        );
        let ledger = Ledger::open(&config).unwrap();
        ledger.append_json(&entry(0.5, "bad")).unwrap();
        let statements: Vec<String> = BAD.iter().map(|(values, _)| format!("{INSERT} ({values})")).collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let Some(answers) = program(&place.file("ledger.db"), &statements) else { return };
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let bad = BAD.len() as i64;
        // One valid entry before them all and one behind.
        assert_eq!(ledger.append_json(&entry(1000.0, "bad")).unwrap(), bad + 2);

        let skipped = || metric(&ledger, "rows_skipped") as u64;
        for read in [ledger.poll_since(0, NO_LIMIT), ledger.read_all(), ledger.poll_since(0, 2)] {
            let read = read.unwrap();
            assert_eq!((ids(&read), read.position()), (vec![1, bad + 2], bad + 2));
        }
        assert_eq!(skipped(), 3 * BAD.len() as u64);
        // Each read says the first ones with their reasons, and how many more there are.
        let seen = std::mem::take(&mut *lines.lock().unwrap());
        assert_eq!(seen.len(), 3 * 6);
        for lines in seen.chunks(6) {
            assert!(lines.iter().all(|(level, _)| *level == Level::Warn));
            for (index, (_, line)) in lines[..5].iter().enumerate() {
                assert!(
                    line.contains(&format!("row {} ", index + 2)) && line.contains(BAD[index].1),
                    "{line}"
                );
            }
            assert!(lines[5].1.contains(&format!("{} more rows", BAD.len() - 5)), "{}", lines[5].1);
        }
        // A page that holds one valid entry ends there; one behind it has the bad rows behind it.
        let page = ledger.poll_since(0, 1).unwrap();
        assert_eq!((ids(&page), page.position()), (vec![1], 1));
        let page = ledger.poll_since(1, 1).unwrap();
        assert_eq!((ids(&page), page.position()), (vec![bad + 2], bad + 2));
        assert_eq!(ids(&ledger.read_by_node("bad", NO_LIMIT).unwrap()), [bad + 2, 1]);
        assert_eq!(ledger.count().unwrap(), bad + 2, "they are rows all the same");

        for (index, (values, part)) in BAD.iter().enumerate() {
            let id = index as i64 + 2;
            for _ in 0..2 {
                let error = ledger.get_by_id(id).unwrap_err();
                assert_eq!((error.status(), error.entry_id()), (Status::Corrupt, Some(id)), "{values}");
                assert!(error.message().contains(part), "{values}: {error}");
                assert!(!error.message().contains("secret"), "{error}");
                assert!(!error.is_retryable());
            }
        }
        assert!(lines.lock().unwrap().iter().chain(&seen).all(|(_, line)| !line.contains("secret")));
        assert_eq!(ledger.cleanup_before_id(bad + 2).unwrap(), bad + 1, "cleanup takes them too");
        assert_eq!(ids(&ledger.read_all().unwrap()), [bad + 2]);
    }
}

#[test]
fn a_page_of_bad_rows_alone_does_not_hold_a_poller() {
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite")]);
    let sqlite = place.sqlite();
    for i in 0..50 {
        sqlite.execute_batch(&format!("{INSERT} ({i}, 'n', 'bad', 0.5)")).unwrap();
    }
    let poll = ledger.poll_since(0, 10).unwrap();
    assert_eq!((poll.len(), poll.position()), (0, 50));
    sqlite.execute_batch(&format!("{INSERT} (60, 'n', '[]', 0.5)")).unwrap();
    assert_eq!(ids(&ledger.poll_since(poll.position(), 10).unwrap()), [51]);
}

#[test]
fn a_sequence_that_was_turned_back_leads_to_no_second_use_of_an_id() {
    for sql in [
        "UPDATE sqlite_sequence SET seq = 0",
        "UPDATE sqlite_sequence SET seq = -5 WHERE name = 'ledger'",
        "DELETE FROM sqlite_sequence",
    ] {
        for program in PROGRAMS {
            let place = Place::new();
            let path = place.file("ledger.db");
            let ledger = with_entries(&place, &[]);
            let Some(answers) = program(&path, &[sql]) else { return };
            assert_eq!(answers, [Ok(())]);
            assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 9);
            // And where the largest row is gone as well, so that only the mark still knows.
            assert_eq!(ledger.cleanup_before_id(10).unwrap(), 6);
            program(&path, &[sql]);
            assert_eq!((ledger.last_id().unwrap(), ledger.poll_since(0, 1).unwrap().position()), (9, 9));
            let batched =
                ledger.append_many_json(&format!("{}\n{}", entry(1.0, "n"), entry(2.0, "n"))).unwrap();
            assert_eq!((batched.first_id, batched.count), (10, 2));
            assert_eq!(ids(&ledger.poll_since(9, NO_LIMIT).unwrap()), [10, 11]);
        }
    }
}

/// A record of the largest id that is no number is not guessed around.
#[test]
fn a_sequence_that_is_no_number_is_corrupt() {
    let place = Place::new();
    let ledger = with_entries(&place, &[("commit", "sqlite")]);
    place.sqlite().execute_batch("UPDATE sqlite_sequence SET seq = 'many'").unwrap();
    let error = ledger.append_json(&entry(9.0, "n")).unwrap_err();
    assert_eq!(error.status(), Status::Corrupt, "{error}");
    assert_eq!(ledger.read_all().unwrap().len(), 5);
}

#[test]
fn a_retention_mark_that_is_no_number_is_corrupt() {
    let place = Place::new();
    let ledger = with_entries(&place, &[("commit", "sqlite")]);
    let sql = "PRAGMA ignore_check_constraints = ON; UPDATE simledger_retention SET deleted_through = 'all'";
    place.sqlite().execute_batch(sql).unwrap();
    assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap_err().status(), Status::Corrupt);
    let error = ledger.poll_since(0, 1).unwrap_err();
    assert_eq!(error.status(), Status::Corrupt, "{error}");
}

#[test]
fn the_largest_possible_id_fills_a_ledger_that_can_still_be_read() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = with_entries(&place, &[("guards", "off")]);
        let insert = format!("INSERT INTO ledger VALUES ({}, 50, 'n', '[]', 1, NULL)", i64::MAX);
        let Some(answers) = program(&path, &[&insert]) else { return };
        assert_eq!(answers, [Ok(())]);
        let batch = format!("{}\n{}", entry(9.0, "n"), entry(10.0, "n"));
        for result in [
            ledger.append_json(&entry(9.0, "n")),
            ledger.append_many_json(&batch).map(|batched| batched.first_id),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.status(), Status::LimitExceeded);
            assert!(error.message().contains("largest possible id"), "{error}");
        }
        let poll = ledger.poll_since(7, NO_LIMIT).unwrap();
        assert_eq!((ids(&poll), poll.position()), (vec![8, i64::MAX], i64::MAX));
        assert!(ledger.poll_since(i64::MAX, 1).unwrap().is_empty());
        assert!(ledger.get_by_id(i64::MAX).unwrap().is_some());
        assert_eq!(ids(&ledger.read_by_node("n", 2).unwrap()), [i64::MAX, 8]);
        assert_eq!((ledger.count().unwrap(), ledger.last_id().unwrap()), (6, i64::MAX));
        // The largest id that there is room for, and the batch that has none.
        let other = Place::new();
        let ledger = other.open(&[("guards", "off")]);
        let insert = insert.replace(&i64::MAX.to_string(), &(i64::MAX - 2).to_string());
        other.sqlite().execute_batch(&insert).unwrap();
        assert_eq!(ledger.append_many_json(&batch).unwrap_err().status(), Status::LimitExceeded);
        assert_eq!(ledger.count().unwrap(), 1, "nothing of the batch");
    }
}

/// A file as the Python module left it, rows inside, also such as no entry may be.
fn seed_file(path: &str, journal_mode: &str) {
    let sqlite = Connection::open(path).unwrap();
    sqlite.execute_batch(&format!("PRAGMA journal_mode = {journal_mode}; {SEED}")).unwrap();
    for i in 0..200 {
        let row = format!(
            "({i}.5, 'Node_{}', '[{{\"packet_size\": {i}, \"source_ip\": \"192.168.1.100\"}}]', {})",
            i % 7,
            f64::from(i % 10) / 10.0
        );
        sqlite.execute_batch(&format!("{INSERT} {row}")).unwrap();
    }
    sqlite.execute_batch(&format!("{INSERT} (1000, 'Node_1', '{{broken', 7)")).unwrap();
    sqlite.execute_batch("DELETE FROM ledger WHERE id IN (1, 2, 50)").unwrap();
}

#[test]
fn a_file_of_the_python_module_opens_and_its_rows_stay_as_they_are() {
    for journal_mode in ["WAL", "DELETE"] {
        let place = Place::new();
        let path = place.file("ledger.db");
        seed_file(&path, journal_mode);
        let before = rows(&path);
        assert_eq!(before.len(), 198);
        let ledger = place.open(&[]);
        assert_eq!(rows(&path), before);
        let all = ledger.read_all().unwrap();
        assert_eq!((all.len(), all.position(), all.gap_before()), (197, 201, 0));
        let third = all.get(0).unwrap();
        assert_eq!((third.id(), third.node_id(), third.confidence()), (3, "Node_2", 0.2));
        assert_eq!(third.features(), r#"[{"packet_size": 2, "source_ip": "192.168.1.100"}]"#);
        let newest_first = ledger.read_by_node("Node_1", 3).unwrap();
        assert_eq!(ids(&newest_first), [198, 191, 184]);
        assert_eq!(ledger.append_json(&entry(2000.0, "Node_1")).unwrap(), 202);
        assert_eq!(rows(&path)[..198], before);

        let sqlite = place.sqlite();
        let plan =
            "EXPLAIN QUERY PLAN SELECT id FROM ledger WHERE node_id = 'x' ORDER BY timestamp DESC, id DESC";
        let mut statement = sqlite.prepare(plan).unwrap();
        let steps: Vec<String> =
            statement.query_map([], |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        assert_eq!(steps.len(), 1, "no sort: {steps:?}");
        assert!(steps[0].contains("idx_ledger_node_id"), "{steps:?}");
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'ledger'";
        assert_eq!(one::<i64>(&sqlite, indexes), 4);
        assert_eq!(integrity(&sqlite), "ok");
        // From now on it is guarded.
        assert!(sqlite.execute("UPDATE ledger SET confidence = 1", []).is_err());
        drop(statement);
        drop(sqlite);
        // And opens again as it is.
        ledger.close().unwrap();
        let schema = dump(&path);
        assert_eq!(place.open(&[]).count().unwrap(), 199);
        assert_eq!(dump(&path), schema);
    }
}

/// How many transactions are in the WAL of a file. (<https://sqlite.org/fileformat2.html#walformat>)
fn commits(path: &str) -> usize {
    let wal = fs::read(format!("{path}-wal")).unwrap();
    if wal.is_empty() {
        return 0;
    }
    let number = |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap());
    let frames = (32..wal.len()).step_by(24 + number(8) as usize);
    // Of this WAL, as its salt says, and the last of a transaction, as it tells the size of the file.
    frames.filter(|at| wal[at + 8..at + 16] == wal[16..24] && number(at + 4) > 0).count()
}

#[test]
fn a_file_of_the_python_module_is_upgraded_in_one_transaction() {
    let place = Place::new();
    let path = place.file("ledger.db");
    seed_file(&path, "WAL");
    // Keeps the WAL from being emptied.
    let other = place.sqlite();
    other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(commits(&path), 0);
    let ledger = place.open(&[]);
    assert_eq!(commits(&path), 1);
    assert_eq!(ledger.option("commit").unwrap(), "sqlite", "the module may go on writing");
    ledger.append_json(&entry(2000.0, "n")).unwrap();
    assert_eq!(commits(&path), 2, "that is how they are counted");
}

#[cfg(feature = "test-hooks")]
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn an_upgrade_that_panics() {
    for journal_mode in ["WAL", "DELETE"] {
        let place = Place::new();
        let path = place.file("ledger.db");
        seed_file(&path, journal_mode);
        let (before, rows_before) = (dump(&path), rows(&path));
        simledger::test_hooks::panic_at("schema.commit");
        let panicked = std::panic::catch_unwind(|| place.try_open(&[])).err().expect("a panic");
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), "injected at schema.commit");
        assert!(dump(&path) == before, "{journal_mode}: something was changed");
        assert_eq!(place.open(&[]).append_json(&entry(2000.0, "Node_1")).unwrap(), 202);
        assert_eq!(rows(&path)[..198], rows_before);
        assert_eq!(integrity(&place.sqlite()), "ok");
    }
    println!("nothing half done");
}

#[cfg(feature = "test-hooks")]
#[test]
fn an_upgrade_that_is_not_committed_leaves_the_file_as_it_was() {
    let output = common::again("an_upgrade_that_panics").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("nothing half done"), "{out}{err}");
}

#[test]
fn the_python_module_goes_on_writing_its_file_where_guards_are_off() {
    for program in PROGRAMS {
        let place = Place::new();
        let path = place.file("ledger.db");
        seed_file(&path, "WAL");
        let ledger = place.open(&[("guards", "off")]);
        let replace = format!("{} (2.5, 'Node_2', '[]', 1)", INSERT.replace("INSERT", "INSERT OR REPLACE"));
        let Some(answers) = program(&path, &[&replace, "DELETE FROM ledger WHERE timestamp < 100"]) else {
            return;
        };
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert!(ledger.get_by_id(202).unwrap().is_none() && ledger.get_by_id(3).unwrap().is_none());
        assert_eq!((ledger.first_id().unwrap(), ledger.count().unwrap()), (101, 101));
        assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), 203, "202 was given and is gone");
    }
}

#[test]
fn opened_for_reading_only_a_file_is_not_changed() {
    for journal_mode in ["WAL", "DELETE"] {
        let place = Place::new();
        let path = place.file("ledger.db");
        seed_file(&path, journal_mode);
        let before = fs::read(&path).unwrap();
        let ledger = place.open(&[("read_only", "true")]);
        assert_eq!(ledger.read_all().unwrap().len(), 197);
        assert_eq!(ids(&ledger.read_by_node("Node_1", 3).unwrap()), [198, 191, 184]);
        assert_eq!(ledger.get_by_id(3).unwrap().unwrap().as_ref().node_id(), "Node_2");
        let ends = (ledger.count().unwrap(), ledger.first_id().unwrap(), ledger.last_id().unwrap());
        assert_eq!(ends, (198, 3, 201));
        for error in [ledger.append_json(&entry(1.0, "n")).unwrap_err(), ledger.cleanup(1.0).unwrap_err()] {
            assert_eq!((error.status(), error.field()), (Status::ReadOnly, "read_only"));
        }
        ledger.close().unwrap();
        assert!(fs::read(&path).unwrap() == before, "{journal_mode}: the file was changed");
        // SQLite keeps two files beside one in WAL mode, which a reader cannot take away again.
        let wal = fs::metadata(place.path("ledger.db-wal")).map_or(0, |wal| wal.len());
        assert_eq!(wal, 0, "nothing was written");
        let files = fs::read_dir(place.path(".")).unwrap().count();
        assert_eq!(files, if journal_mode == "WAL" { 3 } else { 1 });
    }
}

/// A file that becomes a ledger of ours, with a mark, while it is open for reading only.
#[test]
fn a_reader_sees_the_mark_of_a_file_that_is_upgraded_later() {
    let place = Place::new();
    seed_file(&place.file("ledger.db"), "WAL");
    let reader = place.open(&[("read_only", "true")]);
    assert_eq!(reader.poll_since(0, 1).unwrap().gap_before(), 0);
    let writer = place.open(&[]);
    assert_eq!(writer.cleanup_before_id(101).unwrap(), 97);
    let poll = reader.poll_since(0, 1).unwrap();
    assert_eq!((poll.gap_before(), ids(&poll)), (100, vec![101]));
    assert_eq!(writer.cleanup_before_id(202).unwrap(), 101);
    assert_eq!((reader.last_id().unwrap(), reader.poll_since(0, 1).unwrap().position()), (201, 201));
}

#[test]
fn what_is_no_ledger_is_said_at_once_and_left_alone() {
    let table = |columns: &str| format!("CREATE TABLE ledger ({columns})");
    let good = "id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, node_id TEXT NOT NULL,
                features TEXT NOT NULL, confidence REAL NOT NULL, created_at TIMESTAMP";
    let ours = |change: &str| {
        let place = Place::new();
        with_entries(&place, &[]).close().unwrap();
        place.sqlite().execute_batch(change).unwrap();
        fs::read(place.path("ledger.db")).unwrap()
    };
    let made = |sql: &str| {
        let place = Place::new();
        place.sqlite().execute_batch(sql).unwrap();
        fs::read(place.path("ledger.db")).unwrap()
    };
    let whole = ours("");
    let garbage: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut damaged = whole.clone();
    damaged[100..120].fill(0xff);
    let incompatible = &[Status::Incompatible][..];
    let corrupt = &[Status::Corrupt][..];
    let either = &[Status::Incompatible, Status::Corrupt][..];
    let files: Vec<(&str, Vec<u8>, &[Status], &str)> = vec![
        (
            "a newer version",
            ours("UPDATE simledger_settings SET value = '2' WHERE name = 'schema_version'"),
            incompatible,
            "version 2",
        ),
        (
            "a far newer version",
            ours("UPDATE simledger_settings SET value = '999999999999' WHERE name = 'schema_version'"),
            incompatible,
            "use a newer library",
        ),
        ("no version", ours("DELETE FROM simledger_settings"), incompatible, "damaged"),
        (
            "a version that is none",
            ours("UPDATE simledger_settings SET value = 'x' WHERE name = 'schema_version'"),
            incompatible,
            "damaged",
        ),
        ("no mark", ours("DROP TABLE simledger_retention"), incompatible, "damaged"),
        (
            "a view",
            made(&format!("{}; CREATE VIEW ledger AS SELECT * FROM x", table(good).replace("ledger", "x"))),
            incompatible,
            "without a table \"ledger\"",
        ),
        ("no AUTOINCREMENT", made(&table(&good.replace("AUTOINCREMENT", ""))), incompatible, "AUTOINCREMENT"),
        (
            "AUTOINCREMENT in a comment only",
            made(&table(&good.replace("AUTOINCREMENT", "/* AUTOINCREMENT */"))),
            incompatible,
            "AUTOINCREMENT",
        ),
        (
            "a column less",
            made(&table(&good.replace("confidence REAL NOT NULL,", ""))),
            incompatible,
            "no column \"confidence\"",
        ),
        ("a column more", made(&table(&format!("{good}, extra TEXT"))), incompatible, "\"extra\""),
        (
            "a computed column more",
            made(&table(&format!("{good}, extra TEXT AS (node_id || 'x')"))),
            incompatible,
            "\"extra\"",
        ),
        (
            "another key",
            made(
                "CREATE TABLE ledger (id INTEGER, timestamp REAL PRIMARY KEY, node_id, features, confidence, created_at)",
            ),
            incompatible,
            "not INTEGER PRIMARY KEY",
        ),
        (
            "something else",
            made("CREATE TABLE people (name TEXT)"),
            incompatible,
            "without a table \"ledger\"",
        ),
        ("garbage", garbage, either, "not a"),
        ("text", "once upon a time\n".repeat(500).into_bytes(), either, "not a"),
        ("a short text", b"hello".to_vec(), either, "not a"),
        ("a file cut off", whole[..whole.len() / 2].to_vec(), corrupt, "malformed"),
        ("a file cut off in its first page", whole[..2000].to_vec(), corrupt, "malformed"),
        ("a damaged first page", damaged, corrupt, "malformed"),
    ];
    for (what, bytes, statuses, part) in files {
        for keys in [&[][..], &[("read_only", "true")]] {
            let place = Place::new();
            let path = place.file("other.db");
            fs::write(&path, &bytes).unwrap();
            let error = no_ledger(&path, keys);
            assert!(statuses.contains(&error.status()), "{what}: {error}");
            assert!(
                error.message().contains(part) && error.message().contains("other.db"),
                "{what}: {error}"
            );
            assert!(!error.is_retryable());
            let now = fs::read(&path).unwrap();
            assert!(now == bytes, "{what} was changed");
        }
    }
}

/// Loops until a call says that the file is not there any more.
fn until_noticed(
    ledger: &Ledger,
    mut call: impl FnMut(&Ledger) -> simledger::Result<()>,
) -> simledger::Error {
    let begun = Instant::now();
    loop {
        match call(ledger) {
            Err(error) => return error,
            Ok(()) => assert!(begun.elapsed() < Duration::from_secs(10), "it is not noticed"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_file_that_is_removed_renamed_or_replaced_while_open_is_noticed() {
    let other = Place::new();
    with_entries(&other, &[]).close().unwrap();
    let other = fs::read(other.path("ledger.db")).unwrap();
    let companions = ["ledger.db-wal", "ledger.db-shm"];
    for what in ["removed", "renamed", "replaced", "replaced by text"] {
        let calls: [fn(&Ledger) -> simledger::Result<()>; 6] = [
            |ledger| ledger.append_json(&entry(new_timestamp(), "n")).map(drop),
            |ledger| ledger.poll_since(0, 1).map(drop),
            |ledger| ledger.get_by_id(1).map(drop),
            |ledger| ledger.read_by_node("n", 1).map(drop),
            |ledger| ledger.count().map(drop),
            |ledger| ledger.cleanup_before_id(1).map(drop),
        ];
        for call in calls {
            let place = Place::new();
            let path = place.file("ledger.db");
            let ledger = place.open(&[]);
            ledger.append_json(&entry(0.0, "n")).unwrap();
            ledger.count().unwrap();
            let new: &[u8] = if what == "replaced" { &other } else { b"something else" };
            match what {
                "removed" => fs::remove_file(&path).unwrap(),
                "renamed" => fs::rename(&path, place.path("old.db")).unwrap(),
                _ => {
                    // Who replaces a database must take its companions away, or SQLite would mix them.
                    fs::write(place.path("new"), new).unwrap();
                    companions.iter().for_each(|name| fs::remove_file(place.path(name)).unwrap());
                    fs::rename(place.path("new"), &path).unwrap();
                }
            }
            let error = until_noticed(&ledger, call);
            assert_eq!((error.status(), error.field()), (Status::Io, "path"), "{what}: {error}");
            assert!(error.message().contains(&path), "{error}");
            let said = what.split(' ').next().unwrap();
            assert!(error.message().contains(said), "{what}: {error}");
            // From now on all say so, at once.
            for call in calls {
                assert_eq!(call(&ledger).unwrap_err().status(), Status::Io);
            }
            let _ = ledger.close();
            if what.starts_with("replaced") {
                assert!(fs::read(&path).unwrap() == new, "the new file was written to");
                assert!(companions.iter().all(|name| !place.path(name).exists()));
            } else {
                assert!(!fs::exists(&path).unwrap(), "nothing is created in its place");
            }
            if what == "replaced" {
                let ledger = place.open(&[]);
                assert_eq!(ids(&ledger.read_all().unwrap()), [4, 5, 6, 7, 8]);
            }
        }
    }
}

#[test]
fn a_file_that_sqlite_finds_gone_is_told_as_such() {
    // With a rollback journal SQLite looks itself, before we do, and calls the file read-only.
    let place = Place::new();
    let path = place.file("ledger.db");
    let ledger = place.open(&[("commit", "sqlite"), ("journal_mode", "DELETE")]);
    ledger.append_json(&entry(0.0, "n")).unwrap();
    fs::remove_file(&path).unwrap();
    let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::Io, "path"), "{error}");
    assert!(error.message().contains(&path) && error.message().contains("removed"), "{error}");
    assert!(!fs::exists(&path).unwrap(), "nothing is created in its place");
}

/// A timestamp that was not there before.
fn new_timestamp() -> f64 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    f64::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_path_that_is_taken_by_a_new_file_opens_the_new_one_beside_the_old_handle() {
    let place = Place::new();
    let path = place.file("ledger.db");
    let old = place.open(&[]);
    old.append_json(&entry(1.0, "old")).unwrap();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        fs::rename(place.path(name), place.path(&name.replace("ledger", "away"))).unwrap();
    }
    if place.path("ledger.db-log").exists() {
        let left = place.try_open(&[]).err().expect("the log that was left belongs to the old file");
        assert_eq!((left.status(), left.field()), (Status::Incompatible, "path"), "{left}");
        fs::rename(place.path("ledger.db-log"), place.path("away.db-log")).unwrap();
    }
    let new = place.open(&[]);
    assert_eq!(new.count().unwrap(), 0);
    assert_eq!(new.append_json(&entry(1.0, "new")).unwrap(), 1);
    let error = until_noticed(&old, |ledger| ledger.append_json(&entry(new_timestamp(), "old")).map(drop));
    assert_eq!(error.status(), Status::Io);
    drop(old);
    assert_eq!(ids(&new.read_all().unwrap()), [1]);
    assert_eq!(new.get_by_id(1).unwrap().unwrap().as_ref().node_id(), "new");
    new.close().unwrap();
    assert_eq!(integrity(&Connection::open(path).unwrap()), "ok");
}

#[test]
fn what_is_planted_in_the_file_does_not_run_on_our_side() {
    for seed in [false, true] {
        let place = Place::new();
        let path = place.file("ledger.db");
        if seed {
            Connection::open(&path).unwrap().execute_batch(SEED).unwrap();
        } else {
            place.open(&[("guards", "off")]).close().unwrap();
        }
        let plant = "
            CREATE TABLE harvest (what TEXT);
            CREATE TRIGGER a BEFORE INSERT ON ledger BEGIN INSERT INTO harvest VALUES ('insert'); END;
            CREATE TRIGGER b AFTER INSERT ON ledger BEGIN INSERT INTO harvest SELECT NEW.features; END;
            CREATE TRIGGER c AFTER DELETE ON ledger BEGIN INSERT INTO harvest VALUES ('delete'); END;
            CREATE TRIGGER d BEFORE DELETE ON ledger BEGIN SELECT RAISE(IGNORE); END;
            CREATE TRIGGER e BEFORE INSERT ON ledger WHEN NEW.node_id = 'never' BEGIN SELECT RAISE(ABORT, 'no'); END;
            CREATE VIEW entries AS SELECT * FROM ledger;";
        Connection::open(&path).unwrap().execute_batch(plant).unwrap();
        let ledger = place.open(&[]);
        for i in 0..5 {
            ledger.append_json(&entry(f64::from(i), "n")).unwrap();
        }
        ledger.append_many_json(&format!("{}\n{}", entry(1.0, "never"), entry(2.0, "never"))).unwrap();
        assert_eq!(ledger.cleanup_before_id(4).unwrap(), 3);
        assert_eq!(ids(&ledger.read_all().unwrap()), [4, 5, 6, 7]);
        let sqlite = place.sqlite();
        assert_eq!(one::<i64>(&sqlite, "SELECT count(*) FROM harvest"), 0);
        if !seed {
            // They are alive: for others they do run.
            sqlite.execute_batch(&format!("{INSERT} (50, 'n', '[]', 1)")).unwrap();
            assert_eq!(one::<i64>(&sqlite, "SELECT count(*) FROM harvest"), 2);
        }
    }
}

/// A view in the place of a table of ours is not taken for it.
#[test]
fn a_view_in_the_place_of_our_tables_is_refused() {
    for name in ["simledger_settings", "simledger_retention"] {
        let place = Place::new();
        let path = place.file("ledger.db");
        let view = format!("CREATE VIEW {name} AS SELECT 1 AS name, 2 AS value");
        Connection::open(&path).unwrap().execute_batch(&format!("{SEED} {view}")).unwrap();
        let before = rows(&path);
        let error = no_ledger(&path, &[]);
        assert!(matches!(error.status(), Status::Incompatible | Status::Corrupt), "{name}: {error}");
        assert!(error.message().contains(name), "{error}");
        assert_eq!(rows(&path), before);
    }
}

/// Text in the file may be UTF-16; it is the same ledger.
#[test]
fn a_file_in_utf_16_is_a_ledger_too() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        let place = Place::new();
        let path = place.file("ledger.db");
        let sqlite = Connection::open(&path).unwrap();
        let row = format!("{INSERT} (1, 'nöde 😀', '{{\"é\": \"日\"}}', 0.5)");
        sqlite.execute_batch(&format!("PRAGMA encoding = '{encoding}'; {SEED} {row}")).unwrap();
        drop(sqlite);
        let ledger = place.open(&[]);
        let all = ledger.read_all().unwrap();
        assert_eq!(
            (all.get(0).unwrap().node_id(), all.get(0).unwrap().features()),
            ("nöde 😀", "{\"é\": \"日\"}")
        );
        assert_eq!(ids(&ledger.read_by_node("nöde 😀", 1).unwrap()), [1]);
        assert_eq!(ledger.append_json(&entry(2.0, "nöde 😀")).unwrap(), 2);
        assert_eq!(ids(&ledger.read_by_node("nöde 😀", 9).unwrap()), [2, 1]);
    }
}

#[test]
fn what_another_program_deleted_at_the_end_was_there_all_the_same() {
    let place = Place::new();
    let ledger = with_entries(&place, &[("guards", "off")]);
    place.sqlite().execute_batch("DELETE FROM ledger WHERE id > 6").unwrap();
    assert_eq!(ledger.last_id().unwrap(), 8, "the newest entry that there ever was");
    assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 9);
}
