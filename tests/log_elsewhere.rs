//! A ledger with a commit log where there can be none: on a file system without the locks that it needs, or
//! on one that other machines may have mounted too. Nobody there may take it for a ledger without a log.

mod common;

use common::{Line, Place, Process, config, entry, ids, parameter};
use simledger::{Ledger, NO_LIMIT};

/// What a process finds there.
const ELSEWHERE: [(&str, &str); 2] = [("LOCKS", "plain"), ("FILES", "remote")];

#[test]
#[ignore = "a process elsewhere"]
fn opens_elsewhere() {
    let Some(path) = parameter("LEDGER") else { return };
    let mut line = Line::to_the_test();
    while let Some(read_only) = line.hear() {
        let answer = match Ledger::open(&config(&path, &[("read_only", &read_only)])) {
            Ok(ledger) => ledger.option("commit").unwrap(),
            Err(error) => format!("{:?} of {}", error.status(), error.field()),
        };
        line.say(&answer);
    }
}

fn elsewhere(ledger: &str) -> impl Iterator<Item = Process> {
    ELSEWHERE.map(|what| Process::start("opens_elsewhere", &[("LEDGER", ledger), what])).into_iter()
}

#[test]
fn a_ledger_whose_log_is_in_use_is_refused_elsewhere() {
    let place = Place::new();
    let path = place.file("ledger.db");
    for mut process in elsewhere(&path) {
        // Empty at first.
        let ledger = Ledger::open(&config(&path, &[("commit", "log")])).unwrap();
        for read_only in ["false", "true"] {
            assert_eq!(process.ask(read_only), "Unsupported of commit");
        }
        let before = ledger.count().unwrap();
        ledger.append_json(&entry(before as f64, "n")).unwrap();
        assert_eq!(process.ask("false"), "Unsupported of commit");
        assert_eq!(ledger.poll_since(before, NO_LIMIT).unwrap().len(), 1);
        assert!(place.path("ledger.db-log").exists());
        ledger.close().unwrap();
        assert_eq!(process.ask("false"), "Unsupported of commit");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
#[ignore = "a process that is killed"]
fn appends_what_nobody_folds() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open(&config(&path, &[("commit", "log")])).unwrap();
    let mut line = Line::to_the_test();
    line.say("opened");
    line.hear().unwrap();
    for second in 0..5 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    line.say("appended");
    line.hear();
}

#[test]
fn what_only_a_log_has_is_not_forgotten_elsewhere() {
    let place = Place::new();
    let path = place.file("ledger.db");
    for mut process in elsewhere(&path) {
        let mut appends = Process::start("appends_what_nobody_folds", &[("LEDGER", &path)]);
        assert_eq!(appends.line.hear().as_deref(), Some("opened"));
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(appends.ask("go on"), "appended");
        appends.kill();
        appends.end();
        drop(connection);
        assert_eq!(process.ask("false"), "Unsupported of commit");
        let ledger = Ledger::open_path(&path).unwrap();
        assert_eq!(ids(&ledger.poll_since(0, NO_LIMIT).unwrap()), [1, 2, 3, 4, 5]);
        ledger.close().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn an_empty_ledger_without_its_log_goes_on_elsewhere() {
    let place = Place::new();
    for (number, mut process) in elsewhere(&place.file("ledger.db")).enumerate() {
        let path = place.file("ledger.db");
        Ledger::open(&config(&path, &[("commit", "log")])).unwrap().close().unwrap();
        assert_eq!(process.ask("false"), "sqlite", "{number}");
        assert_eq!(Ledger::open_path(&path).unwrap().option("commit").unwrap(), "sqlite");
        std::fs::remove_file(&path).unwrap();
    }
}
