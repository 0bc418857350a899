//! A panic inside the library becomes a status with a message, prints nothing, and leaves a ledger
//! that works. Called through the C API, as that is where panics must end.

#![cfg(feature = "test-hooks")]

mod common;

use std::ffi::CStr;
use std::ptr;

use common::{Place, again, entry};
use simledger::ffi::*;
use simledger::test_hooks::{has_panicked, panic_at};

/// What a call said.
struct Said {
    status: i32,
    message: String,
}

fn said(call: impl FnOnce(*mut *mut simledger_error) -> i32) -> Said {
    let mut error = ptr::null_mut();
    let status = call(&raw mut error);
    // SAFETY: the error is NULL or one that the call gave; it is freed once, after its last use.
    unsafe {
        let message = CStr::from_ptr(simledger_error_message(error)).to_str().unwrap().to_string();
        simledger_error_free(error);
        Said { status, message }
    }
}

fn open(path: &str) -> (*mut simledger_ledger, Said) {
    let mut ledger = ptr::null_mut();
    // SAFETY: the text is as long as said, and the pointers can be written to.
    let said = said(|error| unsafe {
        simledger_open_path(path.as_ptr().cast(), path.len(), &raw mut ledger, error)
    });
    (ledger, said)
}

fn append(ledger: *mut simledger_ledger, json: &str) -> Said {
    // SAFETY: the text is as long as said, and the pointers are NULL or can be written to.
    said(|error| unsafe {
        simledger_append_many_json(
            ledger,
            json.as_ptr().cast(),
            json.len(),
            ptr::null_mut(),
            ptr::null_mut(),
            error,
        )
    })
}

fn count(ledger: *mut simledger_ledger) -> i64 {
    let mut count = -1;
    // SAFETY: the pointers can be written to.
    assert_eq!(said(|error| unsafe { simledger_count(ledger, &raw mut count, error) }).status, SIMLEDGER_OK);
    count
}

/// A batch of two is appended at each step of the way into the log, and found there as a whole or not at
/// all.
fn panics_in_the_commit_log() {
    let place = Place::new();
    place.open(&[("commit", "log"), ("log_bytes", "65536")]).close().unwrap();
    let (ledger, opened) = open(&place.file("ledger.db"));
    assert_eq!(opened.status, SIMLEDGER_OK, "{}", opened.message);
    let mut entries = 0;
    let two = |first: i64| {
        let [a, b] = [0, 1].map(|index| entry((first + index) as f64, "n"));
        format!("{a}\n{b}")
    };
    // Often enough to go round the ring.
    for round in 0..40 {
        for (point, is_there) in [
            ("log.locked", false),
            ("log.put", false),
            ("log.publish", false),
            ("log.publishing", false),
            ("log.published", true),
            ("append.told", true),
        ] {
            panic_at(point);
            let failed = append(ledger, &two(entries));
            assert_eq!(failed.status, SIMLEDGER_INTERNAL, "{point}: {}", failed.message);
            assert!(failed.message.contains(point), "{}", failed.message);
            entries += if is_there { 2 } else { 0 };
            assert_eq!(count(ledger), entries, "{point}");
            assert_eq!(append(ledger, &two(entries)).status, SIMLEDGER_OK, "{point}");
            entries += 2;
        }
        if round % 10 == 0 {
            for point in ["fold.insert", "fold.commit", "writer.commit", "fold.committed", "log.fold"] {
                // In the drain or in this call, whoever is first.
                panic_at(point);
                assert_eq!(append(ledger, &two(entries)).status, SIMLEDGER_OK);
                entries += 2;
                // SAFETY: the error can be written to.
                let flushed = said(|error| unsafe { simledger_flush(ledger, error) });
                assert!([SIMLEDGER_OK, SIMLEDGER_INTERNAL].contains(&flushed.status), "{}", flushed.message);
                assert!(has_panicked(), "{point}");
                // SAFETY: as above.
                let flushed = said(|error| unsafe { simledger_flush(ledger, error) });
                assert_eq!(flushed.status, SIMLEDGER_OK, "{point}: {}", flushed.message);
                let stored: i64 =
                    place.sqlite().query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
                assert_eq!(stored, entries, "{point}");
            }
        }
    }
    // SAFETY: the ledger is open, and the error can be written to.
    let closed = said(|error| unsafe { simledger_close(ledger, error) });
    assert_eq!(closed.status, SIMLEDGER_OK, "{}", closed.message);
    let all = place.open(&[]).read_all().unwrap();
    assert!(all.iter().map(|entry| entry.id()).eq(1..=entries));
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn panics_in_every_part() {
    panics_in_the_commit_log();
    let place = Place::new();
    for path in [place.file("ledger.db"), ":memory:".to_string()] {
        panic_at("schema.commit");
        let (ledger, failed) = open(&path);
        assert!(ledger.is_null());
        assert_eq!(failed.status, SIMLEDGER_INTERNAL);
        assert!(failed.message.contains("injected at schema.commit"), "{}", failed.message);
        if path != ":memory:" {
            // What is passed below is the writer of SQLite, at the append.
            place.open(&[("commit", "sqlite")]).close().unwrap();
        }
        let (ledger, opened) = open(&path);
        assert_eq!(opened.status, SIMLEDGER_OK, "{}", opened.message);
        assert_eq!(append(ledger, &entry(0.0, "n")).status, SIMLEDGER_OK);
        let two = format!("[{},{}]", entry(1.0, "n"), entry(2.0, "n"));
        for point in ["writer.insert", "writer.commit"] {
            panic_at(point);
            let failed = append(ledger, &two);
            assert_eq!(failed.status, SIMLEDGER_INTERNAL);
            assert!(
                failed.message.contains(point) && failed.message.contains("src/hooks.rs:"),
                "{}",
                failed.message
            );
            assert_eq!(count(ledger), 1, "nothing half done");
        }
        panic_at("reader");
        let mut entries = ptr::dangling_mut();
        // SAFETY: the pointers can be written to.
        let failed = said(|error| unsafe { simledger_read_all(ledger, &raw mut entries, error) });
        assert_eq!((failed.status, entries), (SIMLEDGER_INTERNAL, ptr::null_mut()));
        assert_eq!(append(ledger, &two).status, SIMLEDGER_OK);
        panic_at("writer.delete");
        let mut deleted = -1;
        // SAFETY: the pointers can be written to.
        let failed = said(|error| unsafe { simledger_cleanup_before_id(ledger, 3, &raw mut deleted, error) });
        assert_eq!((failed.status, deleted, count(ledger)), (SIMLEDGER_INTERNAL, 0, 3));
        // SAFETY: the pointers can be written to.
        let done = said(|error| unsafe { simledger_cleanup_before_id(ledger, 3, &raw mut deleted, error) });
        assert_eq!((done.status, deleted, count(ledger)), (SIMLEDGER_OK, 2, 1));
        // SAFETY: no pointer but the error's.
        assert_eq!(said(|error| unsafe { simledger_close(ledger, error) }).status, SIMLEDGER_OK);
    }
    assert_eq!(common::integrity(&place.sqlite()), "ok");
    println!("all panics were caught");
}

#[test]
fn a_panic_is_a_status_prints_nothing_and_leaves_a_ledger_that_works() {
    let output = again("panics_in_every_part").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("all panics were caught"), "{out}{err}");
    assert!(err.is_empty(), "printed: {err}");
    assert!(!out.contains("injected"), "printed: {out}");
}

#[test]
fn a_panic_of_the_rust_program_itself_is_printed_as_ever() {
    let place = Place::new();
    let (ledger, _) = open(&place.file("ledger.db"));
    let output = again("a_panic_outside").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("none of the library's business"));
    // SAFETY: no pointer but NULL.
    assert_eq!(unsafe { simledger_close(ledger, ptr::null_mut()) }, SIMLEDGER_OK);
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_panic_outside() {
    let place = Place::new();
    open(&place.file("ledger.db"));
    panic!("none of the library's business");
}
