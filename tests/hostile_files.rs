//! Files in which another program planted something: refused, or harmless.

mod common;

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
