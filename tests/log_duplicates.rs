//! Entries that are there already, with `commit = log`: who appended one and who hears of it, when uniqueness is asked for
//! and when not, what memory knows of it and what only the file does.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use simledger::*;

/// Of all who append an entry, one has appended it, and all others hear of that one.
#[test]
fn threads_that_race_for_the_same_entries_agree_whose_it_is() {
    for on_duplicate in ["ignore", "error"] {
        let place = Place::new();
        let ledger = place.open(&[LOG, SMALL, ("on_duplicate", on_duplicate)]);
        const ENTRIES: i64 = 3000;
        let told: Vec<Vec<i64>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let ledger = &ledger;
                    scope.spawn(move || {
                        // Each in an order of its own, so that timestamps come out of order.
                        let mut mine = vec![0; ENTRIES as usize];
                        for i in 0..ENTRIES {
                            let k = match thread {
                                0 => i,
                                1 => ENTRIES - 1 - i,
                                _ => (i * (37 + thread) + thread * 500) % ENTRIES,
                            };
                            let node = format!("n{}", k % 3);
                            mine[k as usize] = match ledger.append_json(&entry(k as f64, &node)) {
                                Ok(id) => id,
                                Err(error) => {
                                    assert_eq!(error.status(), Status::Duplicate, "{error}");
                                    assert_eq!(on_duplicate, "error");
                                    error.entry_id().unwrap()
                                }
                            };
                        }
                        mine
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for mine in &told {
            for (k, id) in mine.iter().enumerate().filter(|(_, id)| **id != 0) {
                let there = ledger.get_by_id(*id).unwrap().unwrap();
                assert_eq!(there.as_ref().timestamp(), k as f64);
            }
        }
        check_whole(&ledger, 1, ENTRIES);
        // Long after, when only the file knows: the same, with the index in a batch.
        let batch = lines([entry(1e6, "n0"), entry(30.0, "n0"), entry(2e6, "n0")].into_iter());
        if on_duplicate == "error" {
            let error = ledger.append_many_json(&batch).unwrap_err();
            let expected = (Status::Duplicate, Some(1), Some(told[0][30]));
            assert_eq!((error.status(), error.index(), error.entry_id()), expected);
            check_whole(&ledger, 1, ENTRIES);
        } else {
            let batched = ledger.append_many_json(&batch).unwrap();
            assert_eq!((batched.first_id, batched.count), (ENTRIES + 1, 2));
            let differs = entry(30.0, "n0").replace("910", "911");
            assert_eq!(ledger.append_json(&differs).unwrap_err().entry_id(), Some(told[0][30]));
        }
    }
}

thread_local! {
    /// How often this thread had its turn at a log.
    static TURNS: Cell<u32> = const { Cell::new(0) };
}

fn observer(point: &str) {
    TURNS.set(TURNS.get() + u32::from(point == "log.locked"));
}

/// A batch that is appended again after a lost answer is compared as a whole, and not with a turn for each entry.
#[test]
fn a_batch_that_is_there_already_takes_no_more_than_some_turns() {
    test_hooks::observe(observer);
    let place = Place::new();
    let ledger = place.open(&[LOG, ("on_duplicate", "ignore")]);
    let entries: Vec<String> = (0..500).map(|k| entry(f64::from(k), "n")).collect();
    let append = |entries: &[String]| {
        TURNS.set(0);
        let appended = ledger.append_many_json(&entries.join("\n"));
        assert!(TURNS.get() < 10, "{} turns", TURNS.get());
        appended
    };
    assert_eq!(append(&entries).unwrap().count, 500);
    assert_eq!(append(&entries).unwrap().count, 0);
    // The first that differs is told.
    let mut differing = entries.clone();
    for k in [300, 400] {
        differing[k] = differing[k].replace("910", "911");
    }
    let error = append(&differing).unwrap_err();
    assert_eq!((error.status(), error.index(), error.entry_id()), (Status::Duplicate, Some(300), Some(301)));
    // Known, and gone.
    ledger.cleanup_before_id(400).unwrap();
    let again = append(&entries).unwrap();
    assert_eq!((again.first_id, again.count), (501, 399));
}

/// Also where what the first of them was like is known, and gone.
#[test]
fn of_several_entries_that_are_there_the_first_is_told() {
    let place = Place::new();
    let ledger = place.open(&[LOG]);
    for (timestamp, node) in [(1.0, "a"), (2.0, "a"), (3.0, "b")] {
        ledger.append_json(&entry(timestamp, node)).unwrap();
    }
    ledger.cleanup_before_id(3).unwrap();
    let batch = [entry(2.0, "a"), entry(2.0, "a"), entry(3.0, "b")].join("\n");
    let error = ledger.append_many_json(&batch).unwrap_err();
    assert_eq!((error.status(), error.index(), error.entry_id()), (Status::Duplicate, Some(1), None));
    let batch = [entry(2.0, "a"), entry(3.0, "b"), entry(2.0, "a")].join("\n");
    let error = ledger.append_many_json(&batch).unwrap_err();
    assert_eq!((error.status(), error.index(), error.entry_id()), (Status::Duplicate, Some(1), Some(3)));
}

#[test]
fn without_uniqueness_every_one_of_many_equal_entries_is_kept() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL, ("unique", "none")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..500 {
                    let timestamp = f64::from((i * 7) % 10);
                    ledger.append_json(&entry(timestamp, "n")).unwrap();
                }
            });
        }
    });
    check_whole(&ledger, 1, 2000);
    // By node: in time, then id, newest first, whatever part is in the file and whatever in memory.
    for _ in 0..3 {
        ledger.append_json(&entry(5.0, "n")).unwrap();
        let by_node = ledger.read_by_node("n", NO_LIMIT).unwrap();
        let keys: Vec<_> = by_node.iter().map(|e| (e.timestamp(), e.id())).collect();
        assert!(keys.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(keys.len() as i64, ledger.count().unwrap());
    }
}

#[test]
fn uniqueness_changes_under_appends_and_no_duplicate_slips_in() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL]);
    assert_eq!(ledger.append_json(&entry(0.0, "once")).unwrap(), 1);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (ledger, done) = (&ledger, &done);
            scope.spawn(move || {
                for k in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    // Each in turn is new, and one of a pair in one batch.
                    let node = format!("t{thread}");
                    ledger.append_json(&entry(f64::from(k), &node)).unwrap();
                    let pair = lines(
                        [entry(f64::from(k) + 0.5, &node), entry(f64::from(k) + 0.25, &node)].into_iter(),
                    );
                    assert_eq!(ledger.append_many_json(&pair).unwrap().count, 2);
                }
            });
        }
        for _ in 0..10 {
            ledger.set_option("unique", "none").unwrap();
            thread::sleep(std::time::Duration::from_millis(3));
            ledger.set_option("unique", "timestamp_node_id").unwrap();
            let error = ledger.append_json(&entry(0.0, "once")).unwrap_err();
            assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(1)), "{error}");
        }
        done.store(true, Ordering::Relaxed);
    });
    // Twice the same while it is allowed, and then it is not taken back.
    ledger.set_option("unique", "none").unwrap();
    ledger.append_json(&entry(-1.0, "twice")).unwrap();
    ledger.append_json(&entry(-1.0, "twice")).unwrap();
    let error = ledger.set_option("unique", "timestamp_node_id").unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::Duplicate, "unique"));
    ledger.append_json(&entry(-1.0, "twice")).unwrap();
    let last = ledger.last_id().unwrap();
    check_whole(&ledger, 1, last);
}

/// The file answers for some entries of a batch at one time and for others at another.
#[test]
fn a_batch_that_the_file_is_asked_about_in_parts_comes_to_an_end() {
    let place = Place::new();
    let ledger = place.open(&[LOG, SMALL]);
    ledger.append_many_json(&[entry(5.0, "a"), entry(5.0, "b")].join("\n")).unwrap();
    // What goes straight into the file lets memory begin anew, without the nodes that it knew.
    ledger.append_many_json(&lines((0..5).map(|time| large(f64::from(time), "c", 9000)))).unwrap();
    ledger.append_json(&entry(6.0, "a")).unwrap();
    // That "b" is asked for as a node puts its entry behind that of "a", which is asked for at once.
    let batch = [entry(1.0, "b"), entry(1.0, "a")].join("\n");
    assert_eq!(ledger.append_many_json(&batch).unwrap(), Batched { first_id: 9, count: 2 });
    assert_eq!(ledger.append_many_json(&batch).unwrap_err().status(), Status::Duplicate);
}
