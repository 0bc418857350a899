//! Deaths at the calls by which a single work on a ledger changes its files, before each of them and in
//! its middle: all of the work is done then or, step by step, a part that can be left so.

use std::fs;

use crate::agent::{LOG_BYTES, end_if_it_hangs};
use crate::common::{Line, Place, Process, Random, config, integrity, parameter};
use crate::files::{is_upgraded, seed_file, seed_rows};
use crate::{by_log, rounds};
use simledger::{Ledger, NO_LIMIT, Status, Vacuum};

/// Entries of the ledger that is worked on. Their timestamps go up and down, so that the oldest have ids all
/// over the ledger.
const ENTRIES: i64 = 400;

fn entry(i: i64) -> String {
    let filling = "abcdefghij".repeat((i % 40) as usize);
    let timestamp = i * 7919 % ENTRIES;
    let features = format!(r#"{{"i":{i},"filling":"{filling}"}}"#);
    format!(
        r#"{{"timestamp":{timestamp},"node_id":"n{}","features":{features},"confidence":0.5}}"#,
        i / ENTRIES
    )
}

fn entries(from: i64, to: i64) -> String {
    (from..to).map(entry).collect::<Vec<_>>().join("\n")
}

const WORKS: [&str; 16] = [
    "create",
    "upgrade",
    "append",
    "cleanup by id",
    "cleanup by timestamp",
    "vacuum",
    "vacuum in steps",
    "checkpoint",
    "reindex",
    "optimize",
    "change commit",
    "change unique",
    "change unique back",
    "change journal",
    "recover",
    "recover after the machine went down",
];

/// A ledger that is worked on.
fn prepared(work: &str) -> Place {
    let place = Place::new();
    let path = place.file("ledger.db");
    match work {
        "create" => return place,
        "upgrade" => {
            seed_file(&path, ENTRIES as usize);
            return place;
        }
        _ => {}
    }
    let unique = if work == "change unique back" { "none" } else { "timestamp_node_id" };
    let ledger = place.open(&[("log_bytes", LOG_BYTES), ("unique", unique)]);
    ledger.append_many_json(&entries(0, ENTRIES)).unwrap();
    if work.contains("vacuum") {
        ledger.cleanup_before_id(ENTRIES / 2).unwrap();
    }
    ledger.close().unwrap();
    if work.starts_with("recover") {
        let death = if by_log() { "append.told:150" } else { "writer.commit:150" };
        let parameters = [("LEDGER", &*path), ("WORK", "append one by one"), ("KILL", death)];
        Process::start("calls::does_a_single_work", &parameters).end_by_a_kill();
    }
    if work == "recover after the machine went down" && by_log() {
        let mut log = fs::read(place.path("ledger.db-log")).unwrap();
        log[48..64].fill(0x5a);
        let crc = crc32c::crc32c(&log[16..64]);
        log[12..16].copy_from_slice(&crc.to_le_bytes());
        fs::write(place.path("ledger.db-log"), log).unwrap();
    }
    place
}

fn perform(work: &str, path: &str) -> simledger::Result<()> {
    let open =
        |key: &str, value: &str| Ledger::open(&config(path, &[("log_bytes", LOG_BYTES), (key, value)]));
    let journal = if work.contains("journal") { "DELETE" } else { "WAL" };
    let ledger = open("journal_mode", journal)?;
    match work {
        "append one by one" => (ENTRIES..).try_for_each(|i| ledger.append_json(&entry(i)).map(drop))?,
        "append" | "append in a journal" => {
            ledger.append_many_json(&entries(ENTRIES, 3 * ENTRIES)).map(drop)?
        }
        "cleanup by id" => ledger.cleanup_before_id(ENTRIES / 2).map(drop)?,
        "cleanup by timestamp" => ledger.cleanup_before_timestamp((ENTRIES / 2) as f64).map(drop)?,
        "vacuum" => ledger.vacuum(Vacuum::Full).map(drop)?,
        "vacuum in steps" => ledger.vacuum(Vacuum::Incremental).map(drop)?,
        "checkpoint" => ledger.checkpoint()?,
        "reindex" => ledger.reindex()?,
        "optimize" => ledger.optimize()?,
        "change commit" => ledger.set_option("commit", if by_log() { "sqlite" } else { "log" })?,
        "change unique" => ledger.set_option("unique", "none")?,
        "change unique back" => ledger.set_option("unique", "timestamp_node_id")?,
        // To open it and to close it is all.
        _ => {}
    }
    ledger.close()
}

#[test]
#[ignore = "a process that is killed"]
fn does_a_single_work() {
    let Some(path) = parameter("LEDGER") else { return };
    end_if_it_hangs();
    perform(&parameter("WORK").unwrap(), &path).unwrap();
    Line::to_the_test().say(&simledger::test_hooks::passed().to_string());
}

/// Does the work on a copy of the ledger, and dies there; how often it passed the place if it did not.
fn die(work: &str, prepared: &Place, place: &str, times: u64) -> (Place, Option<u64>) {
    let copy = Place::new();
    for file in fs::read_dir(prepared.path(".")).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), copy.path(file.file_name().to_str().unwrap())).unwrap();
    }
    let path = copy.file("ledger.db");
    let death = format!("{place}:{times}");
    let parameters = [("LEDGER", &*path), ("WORK", work), ("KILL", &death)];
    let mut process = Process::start("calls::does_a_single_work", &parameters);
    let passed = process.line.hear().map(|passed| passed.parse().unwrap());
    match passed {
        None => process.end_by_a_kill(),
        Some(_) => assert!(process.end()),
    }
    (copy, passed)
}

/// What is in a ledger, under its ids.
fn content(ledger: &Ledger) -> Vec<(i64, i64)> {
    let all = ledger.read_all().unwrap();
    let number = |features: &str| {
        let features: serde_json::Value = serde_json::from_str(features).unwrap();
        features["i"].as_i64().unwrap_or(0)
    };
    all.iter().map(|entry| (entry.id(), number(entry.features()))).collect()
}

/// All that must hold after a death at any of the calls.
fn check(work: &str, place: &Place, before: &[(i64, i64)], rows: &[String]) {
    let path = place.file("ledger.db");
    if work == "upgrade" {
        // All of it or nothing, as it stands.
        is_upgraded(&path);
        assert_eq!(seed_rows(&path), rows);
    }
    let ledger = place.open(&[("log_bytes", LOG_BYTES)]);
    let after = content(&ledger);
    let mark = ledger.poll_since(0, NO_LIMIT).unwrap().gap_before();
    let mut last = before.last().map_or(0, |(id, _)| *id);
    match work {
        // All of the batch or nothing of it.
        "append" if after.len() > before.len() => {
            last = 3 * ENTRIES;
            assert!(after.iter().copied().eq((1..=last).map(|id| (id, id - 1))));
        }
        "cleanup by id" => {
            let gone = before.len() - after.len();
            assert_eq!(after, before[gone..], "the smallest ids went first");
            assert!(mark >= gone as i64 && mark < ENTRIES / 2);
        }
        "cleanup by timestamp" => {
            let gone = before.len() - after.len();
            assert!(gone as i64 <= ENTRIES / 2, "more went than was to");
            let oldest = after.iter().map(|(_, i)| i * 7919 % ENTRIES).min();
            assert_eq!(oldest, Some(gone as i64), "the oldest went first");
            assert!(before.iter().all(|entry| entry.0 <= mark || after.contains(entry)));
        }
        _ => assert_eq!(after, before),
    }
    assert_eq!(ledger.last_id().unwrap(), last);
    let unique = ledger.option("unique").unwrap();
    if let Some((id, i)) = after.first().filter(|_| work != "upgrade") {
        match ledger.append_json(&entry(*i)) {
            Err(error) => assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(*id))),
            Ok(twice) => {
                assert_eq!((&*unique, twice), ("none", last + 1));
                last = twice;
            }
        }
    }
    assert_eq!(ledger.append_json(&entry(10 * ENTRIES)).unwrap(), last + 1);
    ledger.flush().unwrap();
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    ledger.close().unwrap();
    let sqlite = place.sqlite();
    assert_eq!(integrity(&sqlite), "ok");
    if work == "create" {
        let mode: i64 = sqlite.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, 2, "it gives space back in steps");
    }
}

#[test]
fn a_death_at_any_call_that_changes_a_file_leaves_a_ledger_that_is_whole() {
    let mut random = Random::new();
    for work in WORKS {
        let prepared = prepared(work);
        let rows = if work == "upgrade" { seed_rows(&prepared.file("ledger.db")) } else { Vec::new() };
        let before = {
            let (copy, _) = die("nothing but opening", &prepared, "nowhere", 0);
            content(&copy.open(&[]))
        };
        let before = if work == "create" { Vec::new() } else { before };
        let settles = (work.starts_with("recover") && by_log()).then_some("log.settle");
        for place in ["file.change", "file.tear"].into_iter().chain(settles) {
            // As a measure, one that lives.
            let (copy, passed) = die(work, &prepared, place, u64::MAX);
            let calls = passed.expect("it lives");
            assert!(calls > 0 || place == "file.tear", "{work} does not come to {place}");
            check(work, &copy, &before, &rows);
            let most = 4 * rounds();
            let times: Vec<u64> = if calls <= most {
                (0..calls).collect()
            } else {
                (0..most).map(|_| random.below(calls)).collect()
            };
            let mut died = 0;
            for times in &times {
                let (copy, passed) = die(work, &prepared, place, *times);
                died += usize::from(passed.is_none());
                check(work, &copy, &before, &rows);
            }
            println!(
                "crash: {} rounds, {died} died there, 0 entries: {work} at {place}, of {calls}",
                times.len()
            );
            assert!(died * 2 >= times.len(), "{work} did not come to {place}");
        }
    }
}

#[test]
fn who_may_only_read_is_told_that_a_dead_process_left_a_change_unfinished() {
    let keys = [("commit", "sqlite"), ("journal_mode", "DELETE")];
    let prepared = Place::new();
    let ledger = prepared.open(&keys);
    ledger.append_many_json(&entries(0, ENTRIES)).unwrap();
    ledger.close().unwrap();
    let work = "append in a journal";
    let calls = die(work, &prepared, "file.change", u64::MAX).1.expect("it lives");
    // The last calls are those in the file itself.
    let mut refused =
        (0..calls).rev().map(|times| die(work, &prepared, "file.change", times).0).filter_map(|left| {
            let opened = left.try_open(&[("read_only", "true")]);
            opened.err().map(|error| (left, error))
        });
    let (left, error) = refused.next().expect("some death leaves a change unfinished");
    assert_eq!((error.status(), error.field()), (Status::ReadOnly, "read_only"));
    assert!(error.message().contains("open the ledger once for writing"), "{error}");
    left.open(&keys).close().unwrap();
    assert_eq!(left.open(&[("read_only", "true")]).count().unwrap(), ENTRIES);
}
