//! Maintenance: checkpoints, indexes, space, checks; beside appends, and on damaged files.

mod common;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::*;
use simledger::*;

/// Entries with features of some hundred bytes, so that they fill pages.
fn fill(ledger: &Ledger, from: i64, count: i64) {
    let text = "x".repeat(400);
    let entries: Vec<String> = (from..from + count)
        .map(|index| {
            format!(
                r#"{{"timestamp":{index},"node_id":"n{}","features":{{"text":"{text}"}},"confidence":0.5}}"#,
                index % 7
            )
        })
        .collect();
    ledger.append_many_json(&entries.join("\n")).unwrap();
}

fn size(place: &Place, name: &str) -> u64 {
    std::fs::metadata(place.path(name)).map_or(0, |metadata| metadata.len())
}

const JOURNALS: [&str; 2] = ["WAL", "DELETE"];

#[test]
fn a_checkpoint_leaves_one_file_that_is_all_there_is() {
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 0, 100);
    assert!(size(&place, "ledger.db-wal") > 0 && metric(&ledger, "wal_bytes") > 0.0);
    ledger.checkpoint().unwrap();
    assert_eq!((size(&place, "ledger.db-wal"), metric(&ledger, "wal_bytes")), (0, 0.0));
    std::fs::copy(place.path("ledger.db"), place.path("copy.db")).unwrap();
    assert_eq!(Ledger::open_path(&place.file("copy.db")).unwrap().count().unwrap(), 100);

    // A reader that holds a snapshot keeps the WAL; what could be folded in was, and nothing is lost.
    let other = place.sqlite();
    let mut statement = other.prepare("SELECT id FROM ledger").unwrap();
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap();
    fill(&ledger, 100, 100);
    ledger.set_option("timeout", "0.05").unwrap();
    let error = ledger.checkpoint().unwrap_err();
    assert_eq!(error.status(), Status::Busy, "{error}");
    assert!(error.message().contains("reader"), "{error}");
    drop(rows);
    drop(statement);
    ledger.checkpoint().unwrap();
    assert_eq!(ledger.count().unwrap(), 200);

    for keys in [&[("journal_mode", "DELETE")][..], &[("path", ":memory:")]] {
        let place = Place::new();
        let ledger = place.open(keys);
        fill(&ledger, 0, 10);
        ledger.checkpoint().expect("nothing to do");
    }
}

#[test]
fn space_is_given_back_in_steps_and_by_a_full_vacuum_and_nothing_is_lost() {
    for journal in JOURNALS {
        for how in [Vacuum::Incremental, Vacuum::Full] {
            let place = Place::new();
            let ledger = place.open(&[("journal_mode", journal)]);
            fill(&ledger, 0, 20_000);
            ledger.checkpoint().unwrap();
            let before = size(&place, "ledger.db");
            assert_eq!(ledger.cleanup_before_id(19_001).unwrap(), 19_000);
            let freed = ledger.vacuum(how).unwrap();
            let after = size(&place, "ledger.db");
            assert_eq!(before - after, u64::try_from(freed).unwrap(), "{journal} {how:?}");
            assert!(after < before / 5, "{journal} {how:?}: {before} {after}");
            assert_eq!((ledger.count().unwrap(), ledger.first_id().unwrap()), (1000, 19_001));
            assert_eq!(ledger.poll_since(0, 1).unwrap().gap_before(), 19_000);
            assert_eq!(ledger.append_json(&entry(0.5, "n")).unwrap(), 20_001, "ids are not used again");
            assert_eq!(ledger.vacuum(how).unwrap(), 0, "nothing is left to give back");
            assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
        }
    }
    let memory = Ledger::open_path(":memory:").unwrap();
    fill(&memory, 0, 2000);
    memory.cleanup_before_id(1900).unwrap();
    assert!(memory.vacuum(Vacuum::Full).unwrap() > 0);
    assert_eq!(memory.count().unwrap(), 101);
}

#[test]
fn a_file_that_was_not_made_to_shrink_in_steps_says_so_and_learns_it() {
    let place = Place::new();
    place.sqlite().execute_batch(SEED).unwrap();
    let ledger = place.open(&[]);
    fill(&ledger, 0, 5000);
    ledger.cleanup_before_id(4000).unwrap();
    let error = ledger.vacuum(Vacuum::Incremental).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported, "{error}");
    assert!(error.message().contains("full vacuum"), "{error}");
    assert!(ledger.vacuum(Vacuum::Full).unwrap() > 0);
    ledger.cleanup_before_id(5000).unwrap();
    assert!(ledger.vacuum(Vacuum::Incremental).unwrap() > 0);
    assert_eq!(ledger.count().unwrap(), 1);
}

#[test]
fn everything_may_run_while_others_append_and_poll() {
    for journal in JOURNALS {
        let place = Place::new();
        let ledger = place.open(&[("journal_mode", journal)]);
        fill(&ledger, 0, 3000);
        let (stop, appended) = (AtomicBool::new(false), AtomicI64::new(3000));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let next = appended.load(Ordering::Relaxed);
                    let id = ledger.append_json(&entry(next as f64, "appender")).unwrap();
                    assert_eq!(id, next + 1);
                    appended.store(id, Ordering::Release);
                    // What is checked and built anew all the time must not grow without bounds.
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
            scope.spawn(|| {
                let mut position = 0;
                while !stop.load(Ordering::Relaxed) {
                    let acknowledged = appended.load(Ordering::Acquire);
                    let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
                    assert!(fresh.position() >= acknowledged);
                    // What cleanup deleted is missing at the beginning, and nothing else.
                    let found = ids(&fresh);
                    assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
                    position = fresh.position();
                }
            });
            for round in 1..=5 {
                let floor = appended.load(Ordering::Relaxed);
                ledger.reindex().unwrap();
                ledger.optimize().unwrap();
                ledger.vacuum(Vacuum::Full).unwrap();
                ledger.cleanup_before_id(round * 100).unwrap();
                ledger.vacuum(Vacuum::Incremental).unwrap();
                ledger.checkpoint().unwrap();
                ledger.release_connections().unwrap();
                assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
                // Others were not kept from their work.
                wait_until(|| appended.load(Ordering::Relaxed) > floor);
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(ledger.count().unwrap(), appended.load(Ordering::Relaxed) - 499);
    }
}

#[test]
fn what_writes_is_refused_where_only_reading_is_allowed() {
    let place = Place::new();
    fill(&place.open(&[]), 0, 10);
    let ledger = place.open(&[("read_only", "true")]);
    for refused in [
        ledger.checkpoint(),
        ledger.reindex(),
        ledger.optimize(),
        ledger.vacuum(Vacuum::Full).map(drop),
        ledger.vacuum(Vacuum::Incremental).map(drop),
        ledger.set_option("clock", "simulated"),
    ] {
        assert_eq!(refused.unwrap_err().status(), Status::ReadOnly);
    }
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    ledger.release_connections().unwrap();
}

#[test]
fn released_connections_are_closed_and_opened_again_when_needed() {
    let place = Place::new();
    let ledger = place.open(&[]);
    ledger.count().unwrap();
    assert!(metric(&ledger, "connections_idle") >= 1.0);
    ledger.release_connections().unwrap();
    let usage = ledger.metrics().unwrap();
    // What the metrics themselves read with came after they looked.
    assert_eq!(
        (usage.get("connections_open").unwrap(), usage.get("connections_idle").unwrap()),
        (Some(0.0), Some(0.0))
    );
    assert_eq!(ledger.count().unwrap(), 0);
}

#[test]
fn the_check_tells_how_far_it_is_and_ends_when_it_is_told_to() {
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 0, 20_000);
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress: Arc<ProgressFunction> = {
        let told = Arc::clone(&told);
        Arc::new(move |part| {
            told.lock().unwrap().push(part);
            true
        })
    };
    assert_eq!(ledger.integrity_check(NO_LIMIT, Some(progress)).unwrap(), [""; 0]);
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && told.first() == Some(&0.0) && told.last() == Some(&1.0), "{told:?}");
    assert!(told.len() > 20, "{told:?}");
    // Neither part is most of it for nothing: the estimate of SQLite's part is about right.
    let before_the_end = told.iter().filter(|part| **part < 0.8).fold(0.0, |_, part| *part);
    assert!(before_the_end > 0.4, "{told:?}");
    assert_eq!(metric(&ledger, "integrity_check_progress"), 1.0);
    for end_at in [0.0, 0.1, 0.9] {
        // Once it was told to end, it does not ask again.
        let told_to_end = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&told_to_end);
        let progress: Arc<ProgressFunction> = Arc::new(move |part| {
            let goes_on = part < end_at;
            told.fetch_add(i64::from(!goes_on), Ordering::Relaxed);
            goes_on
        });
        let error = ledger.integrity_check(NO_LIMIT, Some(progress)).unwrap_err();
        assert_eq!(error.status(), Status::Interrupted, "{error}");
        assert!(error.message().contains("callback"), "{error}");
        assert_eq!(told_to_end.load(Ordering::Relaxed), 1, "{end_at}");
    }
    // From inside it the ledger can be used.
    ledger.set_option("on_duplicate", "ignore").unwrap();
    let ledger = Arc::new(ledger);
    let inside = Arc::clone(&ledger);
    let progress: Arc<ProgressFunction> = Arc::new(move |_| inside.append_json(&entry(0.25, "n")).is_ok());
    assert_eq!(ledger.integrity_check(NO_LIMIT, Some(progress)).unwrap(), [""; 0]);
    assert_eq!(ledger.count().unwrap(), 20_001);
    assert_eq!(ledger.integrity_check(0, None).unwrap_err().field(), "findings_max");
}

#[test]
fn what_other_programs_broke_is_found() {
    let check = |name: &str, sql: &str, parts: &[&str]| {
        let place = Place::new();
        // With a commit log, an INSERT of another program is refused.
        let commit = if sql.contains("INSERT INTO") { &[("commit", "sqlite")][..] } else { &[] };
        let ledger = place.open(commit);
        fill(&ledger, 0, 50);
        ledger.checkpoint().unwrap();
        place.sqlite().execute_batch(sql).unwrap();
        let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
        let all = findings.join("\n");
        assert!(parts.iter().all(|part| all.contains(part)), "{name}: {findings:?}");
        assert_eq!(findings.len(), parts.len(), "{name}: {findings:?}");
        if parts.len() > 1 {
            assert_eq!(ledger.integrity_check(1, None).unwrap().len(), 1);
        }
    };
    check("a guard", "DROP TRIGGER simledger_guard_update", &["\"simledger_guard_update\" is missing"]);
    check(
        "another guard",
        "DROP TRIGGER simledger_guard_delete;
         CREATE TRIGGER simledger_guard_delete BEFORE DELETE ON ledger BEGIN SELECT 1; END",
        &["\"simledger_guard_delete\" is not as"],
    );
    check(
        "a trigger of theirs",
        "CREATE TRIGGER theirs AFTER INSERT ON ledger BEGIN SELECT 1; END",
        &["\"theirs\" is none of simledger's"],
    );
    check("an index", "DROP INDEX idx_ledger_confidence", &["index \"idx_ledger_confidence\" is missing"]);
    check(
        "the record of ids",
        "UPDATE sqlite_sequence SET seq = 7",
        &["given is 7, below the largest id, 50"],
    );
    check(
        "rows",
        "DROP TRIGGER simledger_guard_update; UPDATE ledger SET features = 'x' WHERE id IN (3, 5)",
        &["simledger_guard_update", "row 3 is no valid entry", "row 5 is no valid entry"],
    );
    check(
        "an id below 1",
        "DROP TRIGGER simledger_guard_insert_id; DROP TRIGGER simledger_guard_inserted_id;
         INSERT INTO ledger (id, timestamp, node_id, features, confidence) VALUES (-5, 1000, 'n', '{}', 1)",
        &["guard_insert_id", "guard_inserted_id", "row -5 has an id below 1"],
    );
    check(
        "a NOT NULL column",
        "DROP TRIGGER simledger_guard_update; PRAGMA ignore_check_constraints = ON;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'features TEXT NOT NULL', 'features TEXT') WHERE name = 'ledger';
         PRAGMA writable_schema = RESET; UPDATE ledger SET features = NULL WHERE id = 9;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'features TEXT', 'features TEXT NOT NULL') WHERE name = 'ledger'",
        &["simledger_guard_update", "NULL value in ledger.features", "row 9 is no valid entry"],
    );
}

/// Each row of the file can be a finding, and what is quoted from it of any length.
#[test]
fn findings_have_limits() {
    let place = Place::new();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let mut config = config(&place.file("ledger.db"), &[("commit", "sqlite")]);
    let heard = Arc::clone(&lines);
    let receive = move |level: Level, line: &str| {
        if level == Level::Error {
            heard.lock().unwrap().push(line.to_string());
        }
    };
    config.set_log(Level::Error, Arc::new(receive));
    let ledger = Ledger::open(&config).unwrap();
    let name = "x\ny".repeat(1000);
    let broken = format!(
        "WITH RECURSIVE k(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM k LIMIT 1000)
         INSERT INTO ledger (timestamp, node_id, features, confidence) SELECT k, 'n', 'x', 1 FROM k;
         CREATE TRIGGER \"{name}\" AFTER INSERT ON ledger BEGIN SELECT 1; END"
    );
    place.sqlite().execute_batch(&broken).unwrap();
    let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
    assert_eq!(findings.len(), 1001);
    assert!(findings.iter().all(|finding| finding.chars().count() <= 401 && !finding.contains('\n')));
    assert!(findings[0].contains("x yx y") && findings[0].ends_with('…'), "{}", findings[0]);
    let logged = std::mem::take(&mut *lines.lock().unwrap());
    assert_eq!(logged.len(), 101, "{logged:?}");
    assert_eq!(logged[100], "integrity check: 901 more");

    ledger.set_option("result_bytes_max", "40000").unwrap();
    let error = ledger.integrity_check(NO_LIMIT, None).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::LimitExceeded, "result_bytes_max"), "{error}");
    assert!(error.message().contains("findings_max"), "{error}");
    assert_eq!(ledger.integrity_check(100, None).unwrap().len(), 100);
}

/// Where SQLite cannot read on, what it found before is not lost, and neither is what it stumbled on.
#[test]
fn damage_is_a_finding_with_its_place_and_indexes_can_be_built_anew() {
    for index in ["idx_ledger_confidence", "idx_ledger_node_id"] {
        let place = Place::new();
        let ledger = place.open(&[("journal_mode", "DELETE")]);
        fill(&ledger, 0, 3000);
        ledger.close().unwrap();
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: i64 = place.sqlite().query_row(root, [index], |row| row.get(0)).unwrap();
        let page = usize::try_from(page).unwrap();
        let mut bytes = std::fs::read(place.path("ledger.db")).unwrap();
        bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
        std::fs::write(place.path("ledger.db"), bytes).unwrap();
        let ledger = place.open(&[("journal_mode", "DELETE")]);
        let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
        let page = format!("page {page}");
        assert!(findings.iter().any(|finding| finding.contains(&page)), "{index}: {findings:?}");
    }
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 0, 10);
    ledger.checkpoint().unwrap();
    place.sqlite().execute("UPDATE sqlite_sequence SET seq = 'abc'", []).unwrap();
    let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
    assert!(findings.len() == 1 && findings[0].starts_with("the ids"), "{findings:?}");
}

/// Bytes of the file, page by page, turned over: each of these is a status and a message, and what
/// can still be read is.
#[test]
fn a_damaged_file_is_a_status_under_each_of_them() {
    let place = Place::new();
    let ledger = place.open(&[("journal_mode", "DELETE")]);
    fill(&ledger, 0, 300);
    ledger.close().unwrap();
    let whole = std::fs::read(place.path("ledger.db")).unwrap();
    let mut found = 0;
    let mut failed = 0;
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..page * 4096 + 64].iter_mut().for_each(|byte| *byte ^= 0xa5);
        std::fs::write(place.path("damaged.db"), &bytes).unwrap();
        let ledger = match Ledger::open(&config(&place.file("damaged.db"), &[("journal_mode", "DELETE")])) {
            Ok(ledger) => ledger,
            Err(error) => {
                assert!(matches!(error.status(), Status::Corrupt | Status::Incompatible), "{error}");
                failed += 1;
                continue;
            }
        };
        let mut work: Vec<(&str, Result<()>)> = Vec::new();
        match ledger.integrity_check(NO_LIMIT, None) {
            Ok(findings) => found += usize::from(!findings.is_empty()),
            Err(error) => {
                assert_eq!(error.status(), Status::Corrupt, "{error}");
                found += 1;
            }
        }
        let mut query = Query::new();
        query.node("n3").unwrap();
        work.push(("query", ledger.query(&query).map(drop)));
        work.push(("sql", ledger.sql("SELECT count(features) FROM ledger", None, 1).map(drop)));
        work.push(("metrics", ledger.metrics().map(drop)));
        work.push(("optimize", ledger.optimize()));
        work.push(("checkpoint", ledger.checkpoint()));
        work.push(("incremental", ledger.vacuum(Vacuum::Incremental).map(drop)));
        work.push(("full", ledger.vacuum(Vacuum::Full).map(drop)));
        work.push(("reindex", ledger.reindex()));
        for (name, result) in work {
            if let Err(error) = result {
                assert_eq!(error.status(), Status::Corrupt, "{name}: {error}");
                assert!(!error.message().is_empty());
            }
        }
    }
    assert!(found > 20, "{found} damages were found, {failed} files did not open");
}

/// Held by the tests that have a thread in the background, since one of them counts such threads.
static BACKGROUND: Mutex<()> = Mutex::new(());

#[test]
fn old_entries_go_by_themselves_where_that_is_asked_for() {
    let _alone = BACKGROUND.lock();
    let place = Place::new();
    let ledger = place.open(&[("clock", "simulated"), ("retention_seconds", "50")]);
    for second in 0..100 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    // The newest is of second 99: what is of second 48 and before is older than 50.
    wait_until(|| ledger.first_id().unwrap() == 50);
    assert_eq!(ledger.count().unwrap(), 51);
    assert_eq!(ledger.poll_since(0, 1).unwrap().gap_before(), 49);
    assert!(metric(&ledger, "retention_runs") >= 1.0);
    assert_eq!(metric(&ledger, "retention_failures"), 0.0);
    // It can be changed and ended, and ends with the ledger.
    ledger.set_option("retention_seconds", "10").unwrap();
    wait_until(|| ledger.count().unwrap() == 11);
    assert_eq!(ledger.option("retention_seconds").unwrap(), "10");
    wait_until(|| threads("simledger-reten") == 1);
    ledger.set_option("retention_seconds", "0").unwrap();
    wait_until(|| threads("simledger-reten") == 0);
    ledger.set_option("retention_seconds", "5").unwrap();
    let other = place.open(&[]);
    assert_eq!(other.option("retention_seconds").unwrap(), "5", "who sets nothing takes what is there");
    let error = place.try_open(&[("retention_seconds", "6")]).err().unwrap();
    assert_eq!((error.status(), error.field()), (Status::InvalidConfig, "retention_seconds"));
    ledger.close().unwrap();
    wait_until(|| threads("simledger-reten") == 1);
    other.close().unwrap();
    wait_until(|| threads("simledger-reten") == 0);
}

/// What hangs would hang for a minute, or for the ten seconds that a cleanup waits for its turn.
const HANGS: Duration = Duration::from_secs(8);

/// A stop that comes while the thread falls asleep, begins a cleanup, or waits in one for another program.
#[test]
fn closing_waits_neither_for_the_next_cleanup_nor_for_one_that_waits() {
    let _alone = BACKGROUND.lock();
    let rounds: u32 = std::env::var("LEDGER_RETENTION_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let place = Place::new();
    // So much that the pause between two cleanups is as long as it can be.
    let keys = [("clock", "simulated"), ("retention_seconds", "100000")];
    let ledger = place.open(&[("clock", "simulated")]);
    ledger.append_json(&entry(0.0, "old")).unwrap();
    ledger.append_json(&entry(1e6, "new")).unwrap();
    ledger.close().unwrap();
    let mut random = Random::new();
    for is_held in [true, false] {
        // What another program writes for long: there is something to delete, and it cannot be.
        let other = place.sqlite();
        if is_held {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        for round in 0..rounds {
            let ledger = place.open(&keys);
            random.pass_microseconds(1000);
            let begun = Instant::now();
            if round % 2 == 0 {
                ledger.set_option("retention_seconds", "0").unwrap();
            }
            ledger.close().unwrap();
            assert!(begun.elapsed() < HANGS, "round {round} took {:?}", begun.elapsed());
        }
    }
    let ledger = place.open(&keys);
    wait_until(|| ledger.count().unwrap() == 1);
    ledger.close().unwrap();
    // Where the thread waits for its turn, behind an append that waits for the other program, it is the stop that
    // wakes it there.
    let ledger = &place.open(&[("clock", "simulated"), ("timeout", "0.02")]);
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for round in 0..rounds {
        std::thread::scope(|scope| {
            // With a log it is the drain that waits.
            scope.spawn(move || drop(ledger.append_json(&entry(1e6 + f64::from(round) + 1.0, "new"))));
            random.pass_microseconds(2000);
            ledger.set_option("retention_seconds", "100000").unwrap();
            random.pass_microseconds(2000);
            let begun = Instant::now();
            ledger.set_option("retention_seconds", "0").unwrap();
            assert!(begun.elapsed() < HANGS, "round {round} took {:?}", begun.elapsed());
        });
    }
}

/// Whoever finds the WAL too long after a commit keeps the thread that folds it from its work, and so does
/// whoever asks for a checkpoint.
#[test]
fn a_checkpoint_that_is_asked_for_and_one_that_is_due_do_not_wait_for_one_another() {
    const PAGES_IN_AN_ENTRY: usize = 2200;
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite"), ("synchronous_mode", "OFF")]);
    let text = "x".repeat(PAGES_IN_AN_ENTRY * 4096);
    let append = |second: i64| {
        let features = format!(r#"{{"text":"{text}"}}"#);
        let entry = format!(r#"{{"timestamp":{second},"node_id":"n","features":{features},"confidence":1}}"#);
        ledger.append_json(&entry).unwrap();
    };
    append(0);
    // As long as somebody reads, the WAL cannot begin anew.
    let reader = place.sqlite();
    reader.execute_batch("BEGIN; SELECT count(*) FROM ledger").unwrap();
    (1..8).for_each(append);
    reader.execute_batch("COMMIT").unwrap();
    assert!(size(&place, "ledger.db-wal") > 16_000 * 4096);
    let (begun, before) = (Instant::now(), size(&place, "ledger.db-wal"));
    std::thread::scope(|scope| {
        scope.spawn(|| append(8));
        // It has its turn by then.
        wait_until(|| size(&place, "ledger.db-wal") > before);
        ledger.checkpoint().unwrap();
    });
    assert!(begun.elapsed() < Duration::from_secs(25), "both waited for all of their time");
    ledger.close().unwrap();
}

/// How many threads of this process have this name (of which the kernel keeps 15 bytes). A thread gives
/// itself its name a moment after it began, and leaves the list a moment after it ended.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

#[test]
fn what_the_background_has_to_say_comes_with_the_next_call() {
    let _alone = BACKGROUND.lock();
    let place = Place::new();
    let mut config = config(&place.file("ledger.db"), &[("clock", "simulated")]);
    config.set_log_queue(Level::Info, 100).unwrap();
    let ledger = Ledger::open(&config).unwrap();
    for second in 0..10 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    ledger.set_option("retention_seconds", "4.5").unwrap();
    let mut lines = Vec::new();
    wait_until(|| ledger.count().unwrap() == 5);
    let begun = std::time::Instant::now();
    while !lines.iter().any(|line: &String| line.contains("retention_seconds: 5 entries")) {
        assert!(begun.elapsed().as_secs() < 60, "{lines:?}");
        ledger.count().unwrap();
        lines.extend(ledger.next_log_line().unwrap().map(|(_, line)| line));
    }
    ledger.set_option("retention_seconds", "0").unwrap();
}

/// Entries that a cleanup is to leave begin with this id.
const KEPT_FROM: i64 = 6001;

/// Appends so many entries, and polls from the beginning until all that `total` says was seen: in pages,
/// so that a cleanup gets ahead of it.
fn append_and_poll(ledger: &Ledger, who: &str, entries: i64, total: &dyn Fn() -> i64) {
    let (mut position, mut appended, mut kept) = (0, 0, 0);
    let begun = Instant::now();
    while total() != position {
        assert!(begun.elapsed() < Duration::from_secs(100), "{who} does not come to an end: {position}");
        if appended < entries {
            appended += 1;
            ledger.append_json(&entry(1e6 + appended as f64, who)).unwrap();
        }
        let page = ledger.poll_since(position, 20).unwrap();
        assert!(page.gap_before() < KEPT_FROM, "{}", page.gap_before());
        for id in ids(&page) {
            // What is not there is what the result says is gone.
            assert!(id == position + 1 || (id > position && id - 1 <= page.gap_before()), "{position} {id}");
            position = id;
            kept += i64::from(id >= KEPT_FROM);
        }
        assert!(page.position() == position || page.position() <= page.gap_before(), "{position}");
        position = page.position();
    }
    assert_eq!(kept, position - KEPT_FROM + 1, "each that was left was seen once");
}

#[test]
#[ignore = "a process of a_cleanup_beside_others_takes_what_it_says_and_hides_nothing"]
fn beside_a_cleanup() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open_path(&path).unwrap();
    let mut line = Line::to_the_test();
    line.say("ready");
    line.hear().unwrap();
    let total = AtomicI64::new(i64::MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| total.store(line.hear().unwrap().parse().unwrap(), Ordering::Release));
        append_and_poll(&ledger, "process", 100, &|| total.load(Ordering::Acquire));
    });
    ledger.close().unwrap();
}

#[test]
fn a_cleanup_beside_others_takes_what_it_says_and_hides_nothing() {
    for journal in JOURNALS {
        let place = Place::new();
        let ledger = place.open(&[("journal_mode", journal), ("timeout", "60")]);
        fill(&ledger, 0, 8000);
        let mut process = Process::start("beside_a_cleanup", &[("LEDGER", &place.file("ledger.db"))]);
        assert_eq!(process.line.hear().unwrap(), "ready");
        process.line.say("go");
        let total = 8000 + 3 * 100;
        std::thread::scope(|scope| {
            for who in ["one", "other"] {
                let ledger = &ledger;
                scope.spawn(move || append_and_poll(ledger, who, 100, &|| total));
            }
            assert_eq!(ledger.cleanup_before_id(KEPT_FROM).unwrap(), KEPT_FROM - 1, "{journal}");
            ledger.vacuum(Vacuum::Incremental).unwrap();
        });
        process.line.say(&total.to_string());
        assert!(process.end(), "{journal}: the process saw something else");
        assert_eq!(ids(&ledger.read_all().unwrap()), (KEPT_FROM..=total).collect::<Vec<_>>());
        assert_eq!(ledger.poll_since(0, 1).unwrap().gap_before(), KEPT_FROM - 1);
        ledger.vacuum(Vacuum::Incremental).unwrap();
        ledger.checkpoint().unwrap();
        let free = ledger.sql("PRAGMA freelist_count", None, 1).unwrap();
        assert!(free.contains("[[0]]"), "{journal}: all that it took is given back: {free}");
        assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    }
}

#[test]
fn a_cleanup_that_is_interrupted_says_what_it_did_and_the_next_does_the_rest() {
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 0, 30_000);
    let left = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| ledger.cleanup_before_id(29_001));
        wait_until(|| ledger.first_id().unwrap() > 1);
        ledger.interrupt().unwrap();
        let error = cleaning.join().unwrap().unwrap_err();
        assert_eq!(error.status(), Status::Interrupted, "{error}");
        assert!((1..29_000).contains(&error.work_done()), "{}", error.work_done());
        assert_eq!(ledger.first_id().unwrap(), error.work_done() + 1);
        assert_eq!(ledger.poll_since(0, 1).unwrap().gap_before(), error.work_done());
        assert_eq!(ledger.count().unwrap(), 30_000 - error.work_done());
        29_000 - error.work_done()
    });
    assert_eq!(ledger.cleanup_before_id(29_001).unwrap(), left);
    assert_eq!((ledger.first_id().unwrap(), ledger.count().unwrap()), (29_001, 1000));
}

/// What a cleanup waits for is bounded; how long it works is not.
#[test]
fn a_cleanup_may_take_longer_than_a_call_may_wait() {
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite"), ("timeout", "0.2")]);
    fill(&ledger, 0, 20_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for who in 0..2 {
            let (ledger, done) = (&ledger, &done);
            scope.spawn(move || {
                for time in 0.. {
                    if done.load(Ordering::Acquire) {
                        break;
                    }
                    ledger.append_json(&entry(f64::from(time) + 1e6, &format!("w{who}"))).unwrap();
                }
            });
        }
        let deleted = ledger.cleanup_before_id(20_001);
        done.store(true, Ordering::Release);
        assert_eq!(deleted.unwrap(), 20_000);
    });
}

/// A WAL that many append to without a pause begins anew again and again, whoever folds it in.
#[test]
fn appends_without_a_pause_leave_a_wal_that_does_not_grow_without_bounds() {
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite")]);
    let largest = (0..50).map(|round| {
        // Some 700 pages each.
        for entry in 0..100 {
            let time = f64::from(round * 100 + entry);
            let text = "x".repeat(9000);
            let json = format!(
                r#"{{"timestamp":{time},"node_id":"n","features":{{"text":"{text}"}},"confidence":0.5}}"#
            );
            ledger.append_json(&json).unwrap();
        }
        size(&place, "ledger.db-wal")
    });
    let largest = largest.max().unwrap();
    assert!(largest < 80 << 20, "{largest}: the pages that were written are 140 MB");
    assert_eq!(ledger.count().unwrap(), 5000);
    ledger.close().unwrap();
    assert_eq!(size(&place, "ledger.db-wal"), 0);
}

/// Who reads all the time is hardly ever between two reads, and with others never all at once.
#[test]
fn a_wal_that_somebody_always_reads_does_not_grow_without_bounds() {
    let place = Place::new();
    let ledger = place.open(&[("commit", "sqlite"), ("tail_bytes_max", "0")]);
    ledger.append_json(&entry(0.5, "first")).unwrap();
    let text = "x".repeat(400_000);
    let appending = AtomicBool::new(true);
    let begun = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (place, appending, begun) = (&place, &appending, &begun);
            scope.spawn(move || {
                let reader = place.sqlite();
                begun.wait();
                while appending.load(Ordering::SeqCst) {
                    let snapshot = reader.unchecked_transaction().unwrap();
                    snapshot.query_row("SELECT max(id) FROM ledger", [], |row| row.get::<_, i64>(0)).unwrap();
                    // Longer than the other one is between two snapshots, and than a short wait.
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            });
        }
        begun.wait();
        // Each takes a hundred pages: 240 MB in all.
        let mut largest = 0;
        for index in 0..600 {
            let features = format!(r#"{{"text":"{text}"}}"#);
            ledger.append_parts(f64::from(index), "n", &features, 0.5).unwrap();
            largest = largest.max(size(&place, "ledger.db-wal"));
        }
        appending.store(false, Ordering::SeqCst);
        assert!(largest < 200_000_000, "{largest} bytes");
    });
}
