//! The Python module and this library on one file: a process of real Python with its sqlite3 writes
//! and reads as the module's documentation says, and so do we.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use common::*;
use serde_json::{Value, json};
use simledger::*;

/// The module in a process of its own.
struct Python {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Python {
    /// `None` where there is no Python with sqlite3.
    fn open(path: &str) -> Option<Python> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/database.py");
        let import = Command::new("python3").args(["-c", "import sqlite3"]).stderr(Stdio::null()).status();
        if !import.is_ok_and(|status| status.success()) {
            println!("skipped: there is no python3 with sqlite3");
            return None;
        }
        let mut command = Command::new("python3");
        let piped = command.args([program, path]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("python3 starts");
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut python = Python { child, answers };
        assert_eq!(python.answer(), json!({}), "it has opened the file");
        Some(python)
    }

    fn call(&mut self, call: Value) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{call}").expect("Python hears");
        self.answer()
    }

    /// The result of a call that succeeds.
    fn ok(&mut self, call: Value) -> Value {
        let mut answer = self.call(call.clone());
        assert!(answer.get("error").is_none(), "{call}: {answer}");
        answer["ok"].take()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("Python answers");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    fn close(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn finding(second: f64, node: &str) -> Value {
    json!({
        "timestamp": second, "node_id": node, "confidence": 0.85,
        "features": [{"packet_size": 500, "source_ip": "192.168.1.100", "note": "é \"quoted\"", "ratio": 0.1}],
    })
}

fn ours(entries: &Entries) -> Value {
    serde_json::from_str(entries.json().unwrap()).unwrap()
}

#[test]
fn a_ledger_of_python_is_read_and_appended_to_and_python_reads_it_again() {
    let place = Place::new();
    let path = place.file("ledger.db");
    let Some(mut python) = Python::open(&path) else { return };
    for second in 0..20 {
        let entry = finding(f64::from(second) + 0.25, if second % 3 == 0 { "Node_1" } else { "Node_2" });
        assert_eq!(python.ok(json!(["append_entry", entry])), second + 1);
    }
    let theirs = python.ok(json!(["read_ledger"]));
    python.close();

    let ledger = Ledger::open_path(&path).unwrap();
    assert_eq!(ours(&ledger.read_all().unwrap()), theirs);
    assert_eq!(ours(&ledger.read_by_node("Node_1", 3).unwrap()).as_array().unwrap().len(), 3);
    assert!(ledger.read_all().unwrap().iter().all(|entry| entry.created_at() > 1.7e9));
    let id = ledger.append_json(&finding(100.5, "Node_3").to_string()).unwrap();
    assert_eq!(id, 21);
    let error = ledger.append_json(&finding(0.25, "Node_1").to_string()).unwrap_err();
    assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(1)));
    let all = ours(&ledger.read_all().unwrap());

    // Another process of Python, while the ledger is open here, and after.
    let mut python = Python::open(&path).unwrap();
    assert_eq!(python.ok(json!(["read_ledger"])), all);
    assert_eq!(python.ok(json!(["get_new_entries", 20])), json!([all[20]]));
    assert_eq!(python.ok(json!(["get_entry_by_id", 21])), all[20]);
    assert_eq!(python.ok(json!(["get_entry_by_id", 22])), Value::Null);
    let by_node = ours(&ledger.read_by_node("Node_2", NO_LIMIT).unwrap());
    assert_eq!(python.ok(json!(["get_entries_by_node", "Node_2"])), by_node);
    // Its appends are entries like any other. What would change or delete entries is refused.
    assert_eq!(python.ok(json!(["append_entry", finding(7.0, "python")])), 22);
    assert_eq!(
        python.call(json!(["append_entry", finding(7.0, "python")])),
        json!({"error": "IntegrityError"})
    );
    assert_eq!(python.call(json!(["cleanup_old_entries", 60])), json!({"error": "IntegrityError"}));
    assert_eq!(ids(&ledger.poll_since(21, NO_LIMIT).unwrap()), [22]);
    ledger.close().unwrap();
    assert_eq!(python.ok(json!(["read_ledger"])).as_array().unwrap().len(), 22);
}

#[test]
fn with_guards_off_both_write_in_turn_and_each_sees_the_other_at_once() {
    let place = Place::new();
    let path = place.file("ledger.db");
    let Some(mut python) = Python::open(&path) else { return };
    let ledger = place.open(&[("guards", "off")]);
    let mut position = 0;
    for round in 0..50 {
        let id = 2 * round + 1;
        assert_eq!(python.ok(json!(["append_entry", finding(round as f64, "python")])), id);
        let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
        assert_eq!(ids(&fresh), [id]);
        assert_eq!(ledger.get_by_id(id).unwrap().unwrap().as_ref().node_id(), "python");
        assert_eq!(ledger.append_json(&finding(round as f64, "simledger").to_string()).unwrap(), id + 1);
        let seen = python.ok(json!(["get_new_entries", id]));
        assert_eq!((seen.as_array().unwrap().len(), &seen[0]["node_id"]), (1, &json!("simledger")));
        // Neither takes what the other has.
        assert_eq!(
            python.call(json!(["append_entry", finding(round as f64, "simledger")])),
            json!({"error": "IntegrityError"})
        );
        let error = ledger.append_json(&finding(round as f64, "python").to_string()).unwrap_err();
        assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(id)));
        position = id + 1;
    }
    assert_eq!(python.ok(json!(["read_ledger"])), ours(&ledger.read_all().unwrap()));
    // Either may clean up, and ids go on.
    assert_eq!(python.ok(json!(["cleanup_old_entries", 60])), 100);
    assert_eq!(ledger.count().unwrap(), 0);
    assert_eq!(ledger.append_json(&finding(1000.0, "simledger").to_string()).unwrap(), 101);
    assert_eq!(ledger.cleanup(60.0).unwrap(), 1);
    assert_eq!(python.ok(json!(["append_entry", finding(2000.0, "python")])), 102);
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
}
