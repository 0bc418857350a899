//! What a ledger with `commit = log` promises, asked by those who mean it no good: small logs, large
//! batches, cleanups, readers from before the first writer, changes of `commit` under way, forks.

mod common;

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;

use common::*;
use simledger::*;

/// Polls from `position` until `done` and nothing more comes: every id, once, in order.
fn poll_all(ledger: &Ledger, mut position: i64, done: &AtomicBool) -> i64 {
    for turn in 0.. {
        let was_done = done.load(Ordering::Acquire);
        let fresh = ledger.poll_since(position, [1, 13, 500, NO_LIMIT][turn % 4]).unwrap();
        let expected: Vec<i64> = (position + 1..=position + fresh.len() as i64).collect();
        assert_eq!((ids(&fresh), fresh.gap_before()), (expected, 0));
        assert_eq!(fresh.position(), position + fresh.len() as i64);
        position = fresh.position();
        if fresh.is_empty() {
            if was_done {
                break;
            }
            thread::yield_now();
        }
    }
    position
}

#[test]
fn another_programs_insert_is_refused_and_says_what_to_do() {
    let place = Place::new();
    let ledger = place.open(&[LOG]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    let insert = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (7, 'n', '{}', 0.5)";
    let refuse = || {
        let refused = place.sqlite().execute(insert, []).unwrap_err().to_string();
        assert!(refused.contains("commit = log") && refused.contains("commit = sqlite"), "{refused}");
    };
    refuse();
    assert_eq!(ledger.append_json(&entry(2.0, "n")).unwrap(), 2);
    ledger.set_option("unique", "none").unwrap();
    refuse();
    ledger.close().unwrap();
    refuse();
    let ledger = place.open(&[]);
    assert_eq!(ledger.option("commit").unwrap(), "log", "the file remembers");
    ledger.set_option("commit", "sqlite").unwrap();
    place.sqlite().execute(insert, []).unwrap();
    assert_eq!(ids(&ledger.poll_since(0, NO_LIMIT).unwrap()), [1, 2, 3]);
    ledger.set_option("commit", "log").unwrap();
    refuse();
    assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 4);
    check_whole(&ledger, 1, 4);
}

/// Another program that has SQLite's lock hinders what goes to the file, and nothing else.
#[test]
fn a_lock_that_another_program_holds_hinders_neither_appends_nor_reads() {
    for journal in ["WAL", "DELETE"] {
        let place = Place::new();
        let ledger = place.open(&[LOG, ("journal_mode", journal), ("timeout", "5")]);
        // What the file must be asked about a node is asked before.
        ledger.append_json(&entry(0.0, "n")).unwrap();
        checkpointed(&ledger);
        let other = place.sqlite();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for second in 1..=1000 {
            assert_eq!(ledger.append_json(&entry(f64::from(second), "n")).unwrap(), i64::from(second) + 1);
            let fresh = ledger.poll_since(i64::from(second), NO_LIMIT).unwrap();
            assert_eq!(ids(&fresh), [i64::from(second) + 1]);
        }
        assert_eq!(ledger.append_json(&entry(7.0, "n")).unwrap_err().entry_id(), Some(8));
        assert_eq!(ledger.get_by_id(900).unwrap().unwrap().as_ref().timestamp(), 899.0);
        let mut batch = ledger.transaction();
        batch.expect_last_id(1001).unwrap();
        batch.append_json(&entry(2000.0, "new node")).unwrap();
        assert_eq!(ledger.commit(&mut batch).unwrap().first_id, 1002);
        assert_eq!((ledger.count().unwrap(), ledger.last_id().unwrap()), (1002, 1002));
        let in_file: i64 = other.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
        assert_eq!(in_file, 1, "not folded in yet");
        ledger.set_option("timeout", "0.05").unwrap();
        let busy = ledger.checkpoint().unwrap_err();
        assert!(busy.status() == Status::Busy && busy.is_retryable(), "{busy}");
        other.execute_batch("ROLLBACK").unwrap();
        ledger.set_option("timeout", "30").unwrap();
        check_whole(&ledger, 1, 1002);
    }
}

fn checkpointed(ledger: &Ledger) {
    // The drain may be at it.
    wait_until(|| ledger.checkpoint().is_ok());
}

/// While nothing can be folded, the log fills up: BUSY, in time, and nothing that was told is lost.
#[test]
fn a_full_log_is_a_wait_and_then_busy_and_goes_on_when_it_can() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("timeout", "0.2")]);
    ledger.append_json(&entry(0.0, "n")).unwrap();
    checkpointed(&ledger);
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut last = 1;
    let error = loop {
        match ledger.append_json(&large(last as f64, "n", 1000)) {
            Ok(id) => {
                assert_eq!(id, last + 1);
                last = id;
            }
            Err(error) => break error,
        }
        assert!(last < 100, "the log has room for some sixty");
    };
    assert!(error.status() == Status::Busy && error.is_retryable(), "{error}");
    assert!(last > 50, "{last}");
    assert_eq!(ids(&ledger.read_all().unwrap()), (1..=last).collect::<Vec<_>>());
    other.execute_batch("ROLLBACK").unwrap();
    ledger.set_option("timeout", "30").unwrap();
    for second in last..last + 200 {
        assert_eq!(ledger.append_json(&large(second as f64, "n", 1000)).unwrap(), second + 1);
    }
    check_whole(&ledger, 1, last + 200);
}

#[test]
fn another_program_sees_all_of_it_after_checkpoint_and_after_close() {
    let place = Place::new();
    let ledger = place.open(&[LOG]);
    let in_file = || -> (i64, i64) {
        let select = "SELECT count(*), max(id) FROM ledger";
        place.sqlite().query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    for round in 1..=20 {
        ledger.append_many_json(&lines((0..50).map(|i| entry(f64::from(round * 100 + i), "n")))).unwrap();
        ledger.checkpoint().unwrap();
        assert_eq!(in_file(), (i64::from(round) * 50, i64::from(round) * 50));
    }
    ledger.append_json(&entry(9000.0, "n")).unwrap();
    // By itself, soon.
    wait_until(|| in_file() == (1001, 1001));
    ledger.append_json(&entry(9001.0, "n")).unwrap();
    ledger.close().unwrap();
    assert_eq!(in_file(), (1002, 1002));
    assert!(!place.path("ledger.db-log").exists(), "nothing is left in it");
}

/// Batches around half of the log, entries above all of it, from several threads beside small ones.
#[test]
fn batches_and_entries_larger_than_the_log_keep_their_order_and_are_whole() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL]);
    let (done, appended) = (AtomicBool::new(false), AtomicUsize::new(0));
    let last = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (ledger, appended) = (&ledger, &appended);
                scope.spawn(move || {
                    let node = format!("w{writer}");
                    let mut second = 0;
                    for round in 0..40 {
                        // An entry takes about 100 bytes: from far below half of the log to twice of it.
                        let sizes = [1, 50, 250, 300, 330, 400, 700, 1300];
                        let count = sizes[(round + writer) % sizes.len()];
                        let batch = lines((second..second + count).map(|i| entry(i as f64, &node)));
                        let batched = ledger.append_many_json(&batch).unwrap();
                        assert_eq!(batched.count, count);
                        let fresh = ledger.poll_since(batched.first_id - 1, count).unwrap();
                        let mine = fresh.iter().map(|e| (e.node_id().to_string(), e.timestamp()));
                        let expected = (second..second + count).map(|i| (node.clone(), i as f64));
                        assert!(mine.eq(expected), "whole, contiguous, in order, and seen at once");
                        second += count;
                        let id =
                            ledger.append_json(&large(second as f64, &node, 20_000 * (round % 5))).unwrap();
                        assert_eq!(
                            ledger.get_by_id(id).unwrap().unwrap().as_ref().timestamp(),
                            second as f64
                        );
                        second += 1;
                        appended.fetch_add(count + 1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let polling = scope.spawn(|| poll_all(&ledger, 0, &done));
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        polling.join().unwrap()
    });
    assert_eq!(last, appended.load(Ordering::Relaxed) as i64);
    check_whole(&ledger, 1, last);
    ledger.close().unwrap();
    assert_eq!(place.open(&[]).count().unwrap(), last);
}

thread_local! {
    /// Who writes when this thread has just found the log.
    static WRITES: RefCell<Option<Ledger>> = const { RefCell::new(None) };
    /// Who reads while this thread cleans up, and what it found at which place.
    static READS: RefCell<Option<(Ledger, Vec<String>)>> = const { RefCell::new(None) };
}

/// One for all of these tests: a process has one.
fn observer(point: &str) {
    if let Some(writes) = (point == "log.found").then(|| WRITES.take()).flatten() {
        writes.append_json(&entry(2.0, "n")).unwrap();
        writes.flush().unwrap();
        WRITES.set(Some(writes));
    }
    if let "writer.delete" | "cleanup.deleted" = point
        && let Some((reads, mut found)) = READS.take()
    {
        let told = reads.sql("SELECT count(*) FROM ledger WHERE id = 1", None, 1).unwrap();
        let has = [
            told.contains("[1]"),
            reads.get_by_id(1).unwrap().is_some(),
            ids(&reads.read_by_node("a", NO_LIMIT).unwrap()).contains(&1),
        ];
        found.push(format!("{point}: {has:?}"));
        READS.set(Some((reads, found)));
    }
}

/// What was read before a cleanup had deleted it is not given to those who could have seen that it is gone.
#[test]
fn what_one_read_does_not_find_any_more_the_next_does_not_find_either() {
    let place = Place::new();
    let ledger = place.open(&[LOG]);
    ledger.append_many_json(&[entry(1.0, "a"), entry(2.0, "b")].join("\n")).unwrap();
    READS.set(Some((place.open(&[]), Vec::new())));
    test_hooks::observe(observer);
    assert_eq!(ledger.cleanup_before_id(2).unwrap(), 1);
    let (_, found) = READS.take().unwrap();
    let [before, after] = ["writer.delete: [true, true, true]", "cleanup.deleted: [false, false, false]"];
    assert_eq!(found, [before, after]);
}

/// A counter in the ledger: each step is decided on what was last, and none is lost.
#[test]
fn of_all_who_expect_the_same_last_id_one_succeeds() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL]);
    let succeeded = AtomicI64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (ledger, succeeded) = (&ledger, &succeeded);
            scope.spawn(move || {
                let mut k = 0;
                while k < 300 {
                    let last = ledger.last_id().unwrap();
                    let mut batch = ledger.transaction();
                    batch.expect_last_id(last).unwrap();
                    // Now and then one that goes straight into the file.
                    let count = if k % 50 == 49 { 500 } else { 1 };
                    for i in 0..count {
                        let timestamp = f64::from(k) + f64::from(i) / 1000.0;
                        batch.append_json(&entry(timestamp, &format!("t{thread}"))).unwrap();
                    }
                    match ledger.commit(&mut batch) {
                        Ok(done) => {
                            assert_eq!((done.first_id, done.count), (last + 1, count as usize));
                            succeeded.fetch_add(i64::from(count), Ordering::Relaxed);
                            k += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.status(), Status::Conflict, "{error}");
                            assert!(error.entry_id().unwrap() > last, "{error}");
                        }
                    }
                }
            });
        }
    });
    check_whole(&ledger, 1, succeeded.load(Ordering::Relaxed));
}

#[test]
fn cleanup_beside_appends_and_polls_takes_what_is_old_and_nothing_else() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("clock", "simulated"), ("tail_bytes_max", "200000")]);
    let (done, removed, appended) = (AtomicBool::new(false), AtomicI64::new(0), AtomicI64::new(0));
    let deleted = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for k in 1..=30_000 {
                assert_eq!(ledger.append_json(&entry(f64::from(k), "n")).unwrap(), i64::from(k));
                appended.store(i64::from(k), Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                // A poller that keeps up misses nothing that a cleanup did not take.
                let mut position = 0;
                while !done.load(Ordering::Acquire) {
                    let before = (removed.load(Ordering::Acquire), appended.load(Ordering::Acquire));
                    let fresh = ledger.poll_since(position, 777).unwrap();
                    let found = ids(&fresh);
                    assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
                    if let Some(first) = found.first() {
                        assert!(*first > before.0, "{first} was deleted before: {before:?}");
                        assert!(
                            *first == position + 1 || fresh.gap_before() > position,
                            "a gap that is not told"
                        );
                    } else {
                        assert!(fresh.position() >= before.1.min(position), "{before:?}");
                    }
                    position = fresh.position();
                    // What was deleted is nowhere any more.
                    if before.0 > 0 {
                        assert!(ledger.get_by_id(before.0).unwrap().is_none());
                        assert!(ledger.first_id().unwrap() > before.0);
                    }
                }
            });
        }
        let mut deleted = 0;
        while !done.load(Ordering::Acquire) {
            let floor = appended.load(Ordering::Acquire) - 200;
            if floor > 1 {
                deleted += ledger.cleanup_before_id(floor).unwrap();
                removed.fetch_max(floor - 1, Ordering::Release);
            }
        }
        writer.join().unwrap();
        deleted
    });
    assert_eq!(deleted + ledger.count().unwrap(), 30_000);
    check_whole(&ledger, deleted + 1, 30_000);
    // By age, of what is in the log alone.
    ledger.append_json(&entry(1e6, "n")).unwrap();
    assert_eq!(ledger.cleanup(10.0).unwrap(), 30_000 - deleted);
    assert_eq!(ledger.poll_since(0, NO_LIMIT).unwrap().gap_before(), 30_000);
    check_whole(&ledger, 30_001, 30_001);
    assert_eq!(ledger.cleanup_before_id(1_000_000).unwrap(), 1);
    assert_eq!(
        (ledger.count().unwrap(), ledger.first_id().unwrap(), ledger.last_id().unwrap()),
        (0, 0, 30_001)
    );
    ledger.close().unwrap();
    assert_eq!(place.open(&[]).append_json(&entry(5.0, "n")).unwrap(), 30_002, "ids are not used again");
}

/// The same statement about a read in every way of reading: it sees what was acknowledged before.
#[test]
fn every_way_of_reading_sees_what_was_acknowledged() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("tail_bytes_max", "0")]);
    let reader = place.open(&[("read_only", "true")]);
    for k in 1..=3000_i64 {
        let id = ledger.append_json(&entry(-(k as f64), "n")).unwrap();
        assert_eq!(id, k);
        for ledger in [&ledger, &reader] {
            let oldest_first = |order| {
                let mut query = Query::new();
                query.order(order).limit(1).unwrap();
                query
            };
            match k % 8 {
                0 => assert_eq!(ledger.count().unwrap(), k),
                1 => assert_eq!(ledger.last_id().unwrap(), k),
                2 => assert_eq!(ledger.get_by_id(k).unwrap().unwrap().as_ref().timestamp(), -(k as f64)),
                3 => assert_eq!(ids(&ledger.poll_since(k - 1, NO_LIMIT).unwrap()), [k]),
                4 => assert_eq!(ledger.read_by_node("n", NO_LIMIT).unwrap().iter().last().unwrap().id(), k),
                5 => assert_eq!(ids(&ledger.query(&oldest_first(Order::Time)).unwrap()), [k]),
                6 => assert_eq!(ids(&ledger.query(&oldest_first(Order::IdDescending)).unwrap()), [k]),
                _ => assert_eq!(ledger.read_all().unwrap().len() as i64, k),
            }
        }
        if k % 500 == 0 {
            let sql = ledger.sql("SELECT max(id) FROM ledger", None, 1).unwrap();
            assert!(sql.contains(&format!("[{k}]")), "{sql}");
        }
    }
}

#[test]
#[ignore = "a process of the test below"]
fn a_reader_from_before() {
    let mut line = Line::to_the_test();
    let ledger = Ledger::open(&config(&parameter("FILE").unwrap(), &[("read_only", "true")])).unwrap();
    line.say(&ledger.last_id().unwrap().to_string());
    let mut position = ledger.last_id().unwrap();
    while let Some(asked) = line.hear() {
        let least: i64 = asked.parse().unwrap();
        let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
        let expected: Vec<i64> = (position + 1..=fresh.position()).collect();
        assert_eq!(ids(&fresh), expected);
        assert!(fresh.position() >= least, "{} was acknowledged, and {} seen", least, fresh.position());
        assert_eq!(ledger.count().unwrap(), ledger.last_id().unwrap());
        position = fresh.position();
        line.say(&position.to_string());
    }
}

#[test]
#[ignore = "a process of the tests below"]
fn a_writer_of_some() {
    let file = parameter("FILE").unwrap();
    let mut line = Line::to_the_test();
    let node = parameter("NODE").unwrap();
    let ledger = Ledger::open(&config(&file, &[("on_duplicate", "ignore")])).unwrap();
    line.say("ready");
    while let Some(count) = line.hear() {
        let mut last = 0;
        for k in 0..count.parse::<i64>().unwrap() {
            let next = (ledger.count().unwrap() + k) as f64;
            let id = ledger.append_json(&entry(next + 0.5, &format!("{node}{k}"))).unwrap();
            assert!(id > last);
            last = id;
        }
        line.say(&last.to_string());
    }
    ledger.close().unwrap();
}

/// A file may say that all ids are given.
#[test]
fn where_there_is_no_further_id_every_append_is_a_status() {
    let place = Place::new();
    place.open(&[LOG]).close().unwrap();
    let largest = format!("UPDATE simledger_settings SET value = '{}' WHERE name = 'log_through'", i64::MAX);
    place.sqlite().execute_batch(&largest).unwrap();
    let ledger = place.open(&[]);
    let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
    assert_eq!(error.status(), Status::LimitExceeded, "{error}");
    let error = ledger.append_many_json(&lines([1.0, 1.0].iter().map(|k| entry(*k, "n")))).unwrap_err();
    assert_eq!((error.status(), error.index()), (Status::Duplicate, Some(1)), "{error}");
}

/// SQL of one who reads waits for what a log has that was made since, whatever he did before.
#[test]
fn sql_of_who_reads_sees_what_only_a_new_log_has() {
    let place = Place::new();
    place.open(&[LOG]).close().unwrap();
    let reads = place.open(&[("read_only", "true"), ("timeout", "0.05")]);
    let writes = place.open(&[]);
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writes.append_json(&entry(1.0, "n")).unwrap();
    let count = || reads.sql("SELECT count(*) FROM ledger", None, 1);
    assert_eq!(count().unwrap_err().status(), Status::Busy);
    other.execute_batch("ROLLBACK").unwrap();
    checkpointed(&writes);
    assert!(count().unwrap().contains("[1]"));
}

/// Who reads waits for one who writes in the same process as for one in another.
#[test]
fn who_reads_knows_of_who_writes_here() {
    let place = Place::new();
    place.open(&[LOG]).close().unwrap();
    let reads = place.open(&[("read_only", "true"), ("timeout", "1.5")]);
    let writes = place.open(&[]);
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    writes.append_json(&entry(1.0, "n")).unwrap();
    assert_eq!(reads.last_id().unwrap(), 1);
    let error = reads.sql("SELECT count(*) FROM ledger", None, 1).unwrap_err();
    assert_eq!(error.status(), Status::Busy, "{error}");
}

/// A log that this process writes is no log that somebody left, whatever moves in it while it is looked at.
#[test]
fn who_reads_finds_the_log_while_it_is_written_here() {
    let place = Place::new();
    place.open(&[LOG]).close().unwrap();
    let reads = place.open(&[("read_only", "true")]);
    let writes = place.open(&[]);
    writes.append_json(&entry(1.0, "n")).unwrap();
    WRITES.set(Some(writes));
    test_hooks::observe(observer);
    assert_eq!(ids(&reads.poll_since(0, NO_LIMIT).unwrap()), [1, 2]);
    drop(WRITES.take());
}

#[test]
#[ignore = "a process of the test below"]
fn appends_what_it_is_told() {
    let mut line = Line::to_the_test();
    let ledger = Ledger::open(&config(&parameter("FILE").unwrap(), &[LOG])).unwrap();
    line.say("ready");
    while let Some(entries) = line.hear() {
        ledger.append_many_json(&entries).unwrap();
    }
}

/// A process that has the ledger open, appends what it is told, and dies at this place.
fn dies_at(file: &str, place: &str) -> Process {
    let mut process = Process::start("appends_what_it_is_told", &[("FILE", file), ("KILL", place)]);
    assert_eq!(process.line.hear().as_deref(), Some("ready"));
    process
}

/// One dies when he has announced a batch and not published it, and the next one when he has put an entry in the place of
/// its first.
#[test]
fn what_is_left_of_a_batch_behind_another_entry_is_never_published() {
    let place = Place::new();
    let file = place.file("ledger.db");
    let (mut first, mut second) = (dies_at(&file, "log.publishing:0"), dies_at(&file, "log.publish:0"));
    let batch: Vec<String> = (1..=5).map(|k| entry(f64::from(k), "n")).collect();
    first.line.say(&format!("[{}]", batch.join(",")));
    first.end_by_a_kill();
    second.line.say(&format!("[{}]", entry(9.0, "n")));
    second.end_by_a_kill();
    let ledger = place.open(&[LOG]);
    // That of the second one is whole, though nobody was told that it is there.
    let left: Vec<f64> = ledger.read_all().unwrap().iter().map(|entry| entry.timestamp()).collect();
    assert!(left.is_empty() || left == [9.0], "{left:?}");
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), left.len() as i64 + 1);
    check_whole(&ledger, 1, left.len() as i64 + 1);
}

/// Whoever takes the turn over from the dead may die too, while he takes back what they had begun: then the next one does.
#[test]
fn what_is_left_of_a_batch_is_taken_back_whoever_dies_meanwhile() {
    for death in [0, 1, 3] {
        let place = Place::new();
        let file = place.file("ledger.db");
        let (mut first, mut second) =
            (dies_at(&file, "log.publishing:0"), dies_at(&file, &format!("log.forget:{death}")));
        let ledger = place.open(&[LOG]);
        let batch: Vec<String> = (1..=200).map(|k| entry(f64::from(k), "begun")).collect();
        first.line.say(&format!("[{}]", batch.join(",")));
        first.end_by_a_kill();
        let left = || {
            let log = std::fs::read(place.path("ledger.db-log")).unwrap();
            log.windows(5).filter(|at| at == b"begun").count()
        };
        assert_eq!(left(), 200);
        second.line.say(&format!("[{}]", entry(9.0, "n")));
        second.end_by_a_kill();
        assert!(left() > 0, "{death}");
        assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), 1);
        // Of the one in the middle of which he died the text may be there, without the head that makes it a record.
        assert!(left() <= 1, "{death}: {}", left());
        check_whole(&ledger, 1, 1);
    }
}

/// Readers that are there before anybody writes, while writers come and go, and with them the log.
#[test]
fn readers_from_before_the_first_writer_see_everything() {
    let place = Place::new();
    let file = place.file("ledger.db");
    place.open(&[LOG, SMALL]).close().unwrap();
    assert!(!place.path("ledger.db-log").exists());
    let here = place.open(&[("read_only", "true")]);
    let mut there = Process::start("a_reader_from_before", &[("FILE", &file)]);
    assert_eq!(there.line.hear().as_deref(), Some("0"));
    assert_eq!(here.poll_since(0, 1).unwrap().position(), 0);
    let mut position = 0;
    for round in 0..4 {
        // One in another process, and then one here; in each other round both at once.
        let mut writer =
            Process::start("a_writer_of_some", &[("FILE", &file), ("NODE", &format!("p{round}-"))]);
        writer.line.hear().unwrap();
        let both = (round % 2 == 1).then(|| place.open(&[]));
        for count in [1, 2, 700] {
            let last: i64 = writer.ask(&count.to_string()).parse().unwrap();
            assert_eq!(there.ask(&last.to_string()), last.to_string());
            let fresh = here.poll_since(position, NO_LIMIT).unwrap();
            assert_eq!(ids(&fresh), (position + 1..=last).collect::<Vec<_>>());
            position = last;
            if let Some(ledger) = &both {
                let id = ledger.append_json(&entry(f64::from(count), &format!("here{round}"))).unwrap();
                assert_eq!(id, last + 1);
                assert_eq!(there.ask(&id.to_string()), id.to_string());
                assert_eq!(here.last_id().unwrap(), id);
                position = here.poll_since(position, NO_LIMIT).unwrap().position();
                assert_eq!(position, id);
            }
        }
        drop(both);
        drop(writer);
        let ledger = place.open(&[]);
        let id = ledger.append_json(&entry(f64::from(round) + 1e6, "here")).unwrap();
        assert_eq!(id, position + 1, "what the killed writer was told is all there");
        assert_eq!(there.ask(&id.to_string()), id.to_string());
        position = here.poll_since(position, NO_LIMIT).unwrap().position();
        assert_eq!(position, id);
        ledger.close().unwrap();
        assert_eq!(there.ask(&id.to_string()), id.to_string());
        assert_eq!(here.count().unwrap(), id);
    }
    drop(here);
    check_whole(&place.open(&[]), 1, position);
}

/// log, sqlite, log, ...: those who append and poll on the same handle meanwhile notice nothing.
#[test]
fn the_way_of_committing_changes_under_threads_that_append_and_poll() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("on_duplicate", "ignore")]);
    let (done, appended) = (AtomicBool::new(false), AtomicI64::new(0));
    let given: Vec<Vec<i64>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (ledger, done, appended) = (&ledger, &done, &appended);
                scope.spawn(move || {
                    let mut given = Vec::new();
                    for k in 0.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let node = format!("w{writer}");
                        let id = ledger.append_json(&entry(f64::from(k), &node)).unwrap();
                        assert!(given.last().is_none_or(|last| *last < id));
                        given.push(id);
                        appended.fetch_max(id, Ordering::Release);
                        // A retry after a lost answer.
                        assert_eq!(ledger.append_json(&entry(f64::from(k), &node)).unwrap(), id);
                        if k % 100 == 50 {
                            let batch = lines(
                                (0..600).map(|i| entry(f64::from(k) + f64::from(i) / 1000.0 + 0.001, &node)),
                            );
                            let batched = ledger.append_many_json(&batch).unwrap();
                            assert_eq!(batched.count, 600);
                            given.extend(batched.first_id..batched.first_id + 600);
                        }
                        if k % 16 == 0 {
                            thread::sleep(std::time::Duration::from_micros(300));
                        }
                    }
                    given
                })
            })
            .collect();
        scope.spawn(|| {
            let mut position = 0;
            while !done.load(Ordering::Relaxed) {
                let acknowledged = appended.load(Ordering::Acquire);
                let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
                assert!(fresh.position() >= acknowledged, "{} {acknowledged}", fresh.position());
                assert_eq!(ids(&fresh), (position + 1..=fresh.position()).collect::<Vec<_>>());
                position = fresh.position();
                assert!(ledger.count().unwrap() >= acknowledged);
                assert!(ledger.last_id().unwrap() >= acknowledged);
                if acknowledged > 0 {
                    assert!(ledger.get_by_id(acknowledged).unwrap().is_some());
                }
            }
        });
        for round in 0..12 {
            thread::sleep(std::time::Duration::from_millis(20));
            let commit = ["sqlite", "log"][round % 2];
            ledger.set_option("commit", commit).unwrap();
            assert_eq!(ledger.option("commit").unwrap(), commit);
            assert_eq!(place.path("ledger.db-log").exists(), commit == "log");
        }
        done.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let count = given.iter().map(Vec::len).sum::<usize>();
    let all: HashSet<i64> = given.into_iter().flatten().collect();
    assert_eq!(all.len(), count, "no id was given twice");
    check_whole(&ledger, 1, count as i64);
}

/// Where another process has the ledger open, how it commits is not changed under its hands.
#[test]
fn the_way_of_committing_does_not_change_while_another_process_is_there() {
    let place = Place::new();
    let ledger = place.open(&[LOG]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    let file = place.file("ledger.db");
    let mut other = Process::start("a_writer_of_some", &[("FILE", &file), ("NODE", "p")]);
    assert_eq!(other.line.hear().as_deref(), Some("ready"));
    for (key, value) in [("commit", "sqlite"), ("unique", "none")] {
        let error = ledger.set_option(key, value).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key), "{error}");
    }
    assert_eq!(other.ask("10"), "11");
    assert_eq!(ledger.append_json(&entry(2.0, "n")).unwrap(), 12);
    drop(other);
    ledger.set_option("commit", "sqlite").unwrap();
    let mut other = Process::start("a_writer_of_some", &[("FILE", &file), ("NODE", "q")]);
    assert_eq!(other.line.hear().as_deref(), Some("ready"));
    let error = ledger.set_option("commit", "log").unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::InvalidConfig, "commit"), "{error}");
    assert_eq!(other.ask("10"), "22");
    drop(other);
    ledger.set_option("commit", "log").unwrap();
    assert_eq!(ledger.append_json(&entry(3.0, "n")).unwrap(), 23);
    check_whole(&ledger, 1, 23);
}

/// A child that is forked while threads append has none of the parent's handles, opens its own, and
/// both go on with one log.
#[test]
fn a_forked_child_opens_the_ledger_that_its_parent_goes_on_with() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("on_duplicate", "ignore")]);
    let file = place.file("ledger.db");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for k in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                ledger.append_json(&entry(f64::from(k), "parent")).unwrap();
            }
        });
        for round in 0..5 {
            // SAFETY: the child calls the library, which is made for that, and ends with _exit.
            match unsafe { libc::fork() } {
                0 => {
                    let works = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        assert_eq!(ledger.count().unwrap_err().status(), Status::Closed);
                        let mine = Ledger::open_path(&file).unwrap();
                        let mut last = 0;
                        for k in 0..300 {
                            let id =
                                mine.append_json(&entry(f64::from(k), &format!("child{round}"))).unwrap();
                            assert!(id > last && mine.last_id().unwrap() >= id);
                            last = id;
                        }
                        mine.close().unwrap();
                    }));
                    // SAFETY: ends this process, and nothing of the parent's is run.
                    unsafe { libc::_exit(i32::from(works.is_err())) };
                }
                child => {
                    assert!(child > 0);
                    let mut status = -1;
                    // SAFETY: waits for the child from above.
                    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                    assert_eq!(status, 0, "round {round}");
                    let node = format!("child{round}");
                    assert_eq!(ledger.read_by_node(&node, NO_LIMIT).unwrap().len(), 300);
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let last = ledger.last_id().unwrap();
    check_whole(&ledger, 1, last);
    ledger.close().unwrap();
    assert_eq!(place.open(&[]).count().unwrap(), last);
}

/// What processes agree by is one for all engines of a process: one that ends must not take it from one
/// that begins.
#[test]
fn a_ledger_is_dropped_in_one_thread_while_another_opens_it() {
    let place = Place::new();
    let mut last = 0;
    for round in 0..60 {
        let first = place.open(&[LOG, SMALL]);
        assert_eq!(first.append_json(&entry(f64::from(round), "first")).unwrap(), last + 1);
        let second = thread::scope(|scope| {
            scope.spawn(|| if round % 2 == 0 { drop(first) } else { first.close().unwrap() });
            scope.spawn(|| place.open(&[LOG, SMALL])).join().unwrap()
        });
        last = second.append_json(&entry(f64::from(round), "second")).unwrap();
        assert_eq!(last, 2 * i64::from(round) + 2);
        assert!(place.path("ledger.db-log").exists());
        drop(second);
    }
    check_whole(&place.open(&[]), 1, last);
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn with_little_room() {
    let Some(path) = common::parameter("LEDGER") else { return };
    let failed = Ledger::open(&common::config(&path, &[LOG, ("log_bytes", "67108864")])).err().unwrap();
    assert_eq!((failed.status(), failed.field()), (Status::NoSpace, "path"));
    assert!(failed.message().contains("log_bytes"), "{failed}");
    let ledger = Ledger::open(&common::config(&path, &[])).unwrap();
    assert_eq!(ledger.option("log_bytes").unwrap(), "1048576");
    for k in 0..1000 {
        ledger.append_json(&entry(f64::from(k), "n")).unwrap();
    }
    ledger.close().unwrap();
    println!("went well");
}

/// A disk that is nearly full, or a process that may not write large files: where nobody asked for a log
/// of some size, a smaller one is made.
#[test]
fn where_there_is_little_room_the_log_is_smaller() {
    let place = Place::new();
    place.open(&[LOG]).close().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new("sh");
    // In blocks of 512 bytes: 4 MiB.
    command.args(["-c", "ulimit -f 8192 && exec \"$0\" \"$@\""]).arg(program);
    command.args(["--exact", "with_little_room", "--ignored", "--nocapture"]);
    command.env("SIMLEDGER_TEST_LEDGER", place.file("ledger.db"));
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("went well"),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(place.open(&[]).count().unwrap(), 1000);
}

/// How many engines have the file is counted though one ends while another begins: the last of them takes the log away.
#[test]
fn a_reader_that_ends_while_a_writer_begins_is_not_counted_any_more() {
    let place = Place::new();
    place.open(&[LOG, SMALL]).close().unwrap();
    for round in 0..100 {
        let reader = place.open(&[("read_only", "true"), SMALL]);
        let writer = thread::scope(|scope| {
            scope.spawn(|| drop(reader));
            scope.spawn(|| place.open(&[SMALL])).join().unwrap()
        });
        writer.append_json(&entry(f64::from(round), "n")).unwrap();
        writer.close().unwrap();
        assert!(!place.path("ledger.db-log").exists(), "round {round}: the log stays");
    }
}

/// A batch too large for the log is in the file before it is published; where its writer comes to his end
/// in between, for as long as it takes somebody to publish it.
#[test]
#[ignore = "run by the test below, in a process of its own: panics are for whoever comes first"]
fn with_a_batch_that_is_not_published() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("tail_bytes_max", "0")]);
    let mut last = 0;
    for round in 0..10 {
        let batch = lines((0..5).map(|time| large(f64::from(5 * round + time), "a", 9000)));
        test_hooks::panic_at("append.elsewhere");
        thread::scope(|scope| {
            let writer = scope.spawn(|| ledger.append_many_json(&batch));
            loop {
                let (first, next) = (ledger.first_id().unwrap(), ledger.last_id().unwrap());
                let there = ledger.get_by_id(last + 1).unwrap().is_some();
                let count = ledger.count().unwrap();
                let mut newest = Query::new();
                newest.order(Order::IdDescending).limit(1).unwrap();
                let newest = ids(&ledger.query(&newest).unwrap()).first().copied().unwrap_or(0);
                let all = ids(&ledger.read_all().unwrap()).len() as i64;
                let told = ledger.sql("SELECT count(*) FROM ledger", None, 1).unwrap();
                let told: serde_json::Value = serde_json::from_str(&told).unwrap();
                let told = told["rows"][0][0].as_i64().unwrap();
                // What any of them saw, a poll that comes later sees.
                let polled = ledger.poll_since(0, NO_LIMIT).unwrap().position();
                let seen = [first, next, if there { last + 1 } else { 0 }, count, newest, all, told];
                assert!(seen.iter().all(|seen| *seen <= polled), "{seen:?}, but a poll ends at {polled}");
                if polled > last {
                    last = polled;
                    break;
                }
            }
            assert!(writer.join().is_err(), "it panicked where it was to");
        });
        assert_eq!(last, 5 * (i64::from(round) + 1));
    }
}

#[test]
fn a_batch_is_in_no_read_before_it_is_in_polls() {
    let output = again("with_a_batch_that_is_not_published").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
