//! Transactions: entries that are written together, if nobody else appended.

mod common;

use common::*;
use simledger::*;

#[test]
fn a_transaction_is_written_whole_with_ids_that_follow_one_another() {
    let place = Place::new();
    let ledger = place.open(&[]);
    ledger.append_json(&entry(0.5, "other")).unwrap();
    let mut transaction = ledger.transaction();
    for index in 0..100 {
        let text = entry(f64::from(index), "n");
        assert_eq!(transaction.append_json(&text).unwrap(), index as usize);
        // Nothing is seen before, and nobody is held up.
        assert_eq!(ledger.count().unwrap(), i64::from(index) + 1);
        ledger.append_json(&entry(f64::from(index), "other")).unwrap();
    }
    assert_eq!(transaction.len(), 100);
    assert_eq!(ledger.commit(&mut transaction).unwrap(), Batched { first_id: 102, count: 100 });
    assert!(transaction.is_empty(), "committing it again writes nothing");
    assert_eq!(ledger.commit(&mut transaction).unwrap(), Batched::default());
    assert_eq!(ledger.count().unwrap(), 201);
    drop(ledger.transaction());
    assert_eq!(ledger.last_id().unwrap(), 201);
}

#[test]
fn one_that_cannot_be_written_writes_nothing_and_can_be_committed_again() {
    let place = Place::new();
    // Where another program has SQLite's lock, a transaction waits for it.
    let ledger = place.open(&[("commit", "sqlite")]);
    ledger.append_json(&entry(5.0, "n")).unwrap();
    let mut transaction = ledger.transaction();
    for second in 0..10 {
        transaction.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    let error = ledger.commit(&mut transaction).unwrap_err();
    assert_eq!((error.status(), error.index(), error.entry_id()), (Status::Duplicate, Some(5), Some(1)));
    assert_eq!((ledger.count().unwrap(), transaction.len()), (1, 10));
    ledger.set_option("on_duplicate", "ignore").unwrap();
    assert_eq!(ledger.commit(&mut transaction).unwrap(), Batched { first_id: 2, count: 9 });

    let mut transaction = ledger.transaction();
    let error = transaction.append_json("{\"timestamp\":1}").unwrap_err();
    assert_eq!((error.status(), transaction.len()), (Status::InvalidEntry, 0));
    transaction.append_json(&entry(50.0, "n")).unwrap();
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.set_option("timeout", "0").unwrap();
    assert_eq!(ledger.commit(&mut transaction).unwrap_err().status(), Status::Busy);
    other.execute_batch("ROLLBACK").unwrap();
    ledger.set_option("timeout", "30").unwrap();
    assert_eq!(ledger.commit(&mut transaction).unwrap(), Batched { first_id: 11, count: 1 });
}

#[test]
fn what_was_decided_on_old_news_is_a_conflict() {
    let place = Place::new();
    let ledger = place.open(&[]);
    let mut first = ledger.transaction();
    first.expect_last_id(0).unwrap();
    first.append_json(&entry(1.0, "a")).unwrap();
    let mut second = ledger.transaction();
    second.expect_last_id(0).unwrap();
    second.append_json(&entry(1.0, "b")).unwrap();
    assert_eq!(ledger.commit(&mut first).unwrap().first_id, 1);
    let error = ledger.commit(&mut second).unwrap_err();
    assert_eq!(
        (error.status(), error.field(), error.entry_id()),
        (Status::Conflict, "expected_last_id", Some(1))
    );
    assert!(!error.is_retryable(), "the id is in the past for ever");
    assert_eq!(ledger.count().unwrap(), 1);
    second.expect_last_id(1).unwrap();
    assert_eq!(ledger.commit(&mut second).unwrap().first_id, 2);
    // What cleanup deleted and what was never there are told apart.
    ledger.cleanup_before_id(3).unwrap();
    let mut third = ledger.transaction();
    third.append_json(&entry(3.0, "a")).unwrap();
    third.expect_last_id(0).unwrap();
    assert_eq!(ledger.commit(&mut third).unwrap_err().entry_id(), Some(2));
    third.expect_last_id(2).unwrap();
    assert_eq!(ledger.commit(&mut third).unwrap().first_id, 3);
    // One without entries still says whether it holds.
    let mut empty = ledger.transaction();
    empty.expect_last_id(2).unwrap();
    assert_eq!(ledger.commit(&mut empty).unwrap_err().status(), Status::Conflict);
    empty.expect_last_id(3).unwrap();
    assert_eq!(ledger.commit(&mut empty).unwrap(), Batched::default());
    assert_eq!(empty.expect_last_id(-1).unwrap_err().field(), "id");
}

/// A counter that many increment, each by reading the last value and writing the next: with
/// `expect_last_id` no increment is lost.
#[test]
fn of_many_that_decide_at_once_one_wins_each_time() {
    const EACH: i64 = 50;
    let place = Place::new();
    let path = place.file("ledger.db");
    Ledger::open_path(&path).unwrap();
    std::thread::scope(|scope| {
        for node in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let ledger = Ledger::open_path(path).unwrap();
                for _ in 0..EACH {
                    loop {
                        let seen = ledger.last_id().unwrap();
                        let value = ledger.count().unwrap();
                        let mut transaction = ledger.transaction();
                        transaction.expect_last_id(seen).unwrap();
                        transaction.append_json(&entry(value as f64, &format!("n{node}"))).unwrap();
                        match ledger.commit(&mut transaction) {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error.status(), Status::Conflict),
                        }
                    }
                }
            });
        }
    });
    let all = Ledger::open_path(&path).unwrap().read_all().unwrap();
    let values: Vec<f64> = all.iter().map(|entry| entry.timestamp()).collect();
    assert_eq!(values, (0..4 * EACH).map(|value| value as f64).collect::<Vec<_>>());
}
