//! Metrics: that they say what happened, and that Prometheus can read them.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use common::*;
use simledger::*;

/// A ledger on which something of everything has happened.
fn used(place: &Place) -> Ledger {
    let mut config = config(&place.file("a \"quoted\\path.db"), &[("on_duplicate", "ignore")]);
    config.set_log_queue(Level::Info, 2).unwrap();
    let ledger = Ledger::open(&config).unwrap();
    for second in 0..10 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    ledger.append_json(&entry(0.0, "n")).unwrap();
    ledger.append_json("{}").unwrap_err();
    for _ in 0..3 {
        ledger.get_by_id(1).unwrap();
        ledger.read_by_node("n", 5).unwrap();
    }
    ledger.get_by_id(77).unwrap();
    ledger.poll_since(0, 5).unwrap();
    ledger.cleanup_before_id(4).unwrap();
    ledger.sql("SELECT nonsense", None, 1).unwrap_err();
    ledger.set_option("timeout", "0.01").unwrap();
    let other = rusqlite::Connection::open(place.path("a \"quoted\\path.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.cleanup_before_id(5).unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    ledger
}

#[test]
fn they_count_what_happened() {
    let place = Place::new();
    let ledger = used(&place);
    // The newest are in memory from the beginning where there is a commit log.
    let misses = if ledger.option("commit").unwrap() == "log" { 1.0 } else { 2.0 };
    for (name, expected) in [
        ("entries_appended", 10.0),
        ("duplicates_ignored", 1.0),
        ("entries_deleted", 3.0),
        ("entry_cache_hits", 4.0 - misses),
        ("entry_cache_misses", misses),
        ("query_cache_hits", 2.0),
        ("query_cache_misses", 1.0),
        ("entries", 7.0),
        ("first_id", 4.0),
        ("last_id", 10.0),
        ("connections_max", 10.0),
        ("connections_out", 0.0),
        ("errors.INVALID_ARGUMENT", 1.0),
        ("errors.INVALID_ENTRY", 1.0),
        ("errors.BUSY", 1.0),
        ("errors.IO", 0.0),
        ("latency_seconds.sql.count", 1.0),
        ("latency_seconds.cleanup.count", 2.0),
        ("latency_seconds.vacuum.count", 0.0),
        ("writer_resets", 0.0),
        ("ofd_locks", 1.0),
    ] {
        assert_eq!(metric(&ledger, name), expected, "{name}");
    }
    assert!(metric(&ledger, "retries") > 0.0);
    assert!(metric(&ledger, "ledger_bytes") >= 4096.0);
    // Cleanup's line, opening's, and none else: two fit, and none was lost.
    assert_eq!(metric(&ledger, "log_lines_dropped"), 0.0);
    let cleanup = |part: &str| metric(&ledger, &format!("latency_seconds.cleanup.{part}"));
    assert!(cleanup("max") >= 0.01 && cleanup("sum") >= cleanup("max"), "one waited for ten milliseconds");
    // One in sixteen is timed, and stands for sixteen.
    let appends = metric(&ledger, "latency_seconds.append.count");
    assert!(appends == 0.0 || appends == 16.0, "{appends}");
    for operation in ["append", "cleanup"] {
        let parts = ["p50", "p90", "p99", "max"];
        let times = parts.map(|part| metric(&ledger, &format!("latency_seconds.{operation}.{part}")));
        assert!(times.is_sorted(), "{operation}: {times:?}");
    }
    let error = ledger.metrics().unwrap().get("entry_cache_hit").unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::InvalidArgument, "name"));
    assert!(error.message().contains("\"entry_cache_hits\""), "{error}");
    let memory = Ledger::open_path(":memory:").unwrap();
    assert_eq!(memory.metrics().unwrap().get("wal_bytes").unwrap(), None);
    assert_eq!(memory.metrics().unwrap().get("ofd_locks").unwrap(), None);
    assert!(memory.metrics().unwrap().to_json().contains("\"wal_bytes\":null"));
}

/// As on a file system that has no locks of open file descriptions.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn a_ledger_with_plain_locks() {
    let place = Place::new();
    let mut config = config(&place.file("ledger.db"), &[]);
    config.set_log_queue(Level::Warn, 10).unwrap();
    let ledger = Ledger::open(&config).unwrap();
    let (level, line) = ledger.next_log_line().unwrap().expect("a line that says so");
    assert!(level == Level::Warn && line.contains("F_OFD_SETLK"), "{line}");
    assert_eq!(metric(&ledger, "ofd_locks"), 0.0);
    assert_eq!(ledger.option("commit").unwrap(), "sqlite", "a commit log needs them");
    let other = place.file("other.db");
    let refused = Ledger::open(&common::config(&other, &[("commit", "log")])).err().unwrap();
    assert_eq!((refused.status(), refused.field()), (Status::Unsupported, "commit"), "{refused}");
    Ledger::open_path(&other).unwrap().append_json(&entry(1.0, "n")).unwrap();
    // It works as it did before, beside other processes too.
    for second in 0..10 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    let mut process =
        Process::start("appends_with_plain_locks", &[("LOCKS", "plain"), ("FILE", &place.file("ledger.db"))]);
    assert!(process.end());
    assert_eq!(ledger.poll_since(0, NO_LIMIT).unwrap().len(), 20);
    ledger.close().unwrap();
    assert!(!place.path("ledger.db-wal").exists());
    println!("all done with plain locks");
}

#[test]
#[ignore = "a process of the test above"]
fn appends_with_plain_locks() {
    let ledger = Ledger::open_path(&parameter("FILE").unwrap()).unwrap();
    for second in 10..20 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
}

#[test]
fn locks_that_others_can_drop_are_told_of() {
    let output = again("a_ledger_with_plain_locks").env("SIMLEDGER_TEST_LOCKS", "plain").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("all done with plain locks"), "{out}{err}");
}

#[test]
fn the_json_has_every_number_under_the_name_it_is_asked_by() {
    let place = Place::new();
    let snapshot = used(&place).metrics().unwrap();
    let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).unwrap();
    let mut found = 0;
    let mut check = |name: &str, value: &serde_json::Value| {
        assert_eq!(snapshot.get(name).unwrap(), value.as_f64(), "{name}");
        found += 1;
    };
    for (name, value) in json.as_object().unwrap() {
        match value {
            serde_json::Value::Object(inside) => {
                for (part, value) in inside {
                    let name = format!("{name}.{part}");
                    match value {
                        serde_json::Value::Object(inside) => {
                            inside.iter().for_each(|(part, value)| check(&format!("{name}.{part}"), value))
                        }
                        _ => check(&name, value),
                    }
                }
            }
            serde_json::Value::Array(seconds) => {
                assert_eq!((name.as_str(), seconds.len()), ("connections_out_seconds", 0));
            }
            _ => check(name, value),
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn connections_out_are_told_without_waiting_for_one() {
    let place = Place::new();
    let ledger = place.open(&[("max_connections", "1"), ("sql_timeout", "1e9")]);
    std::thread::scope(|scope| {
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        scope.spawn(|| ledger.sql(endless, None, 1).unwrap_err());
        wait_until(|| metric(&ledger, "connections_out") == 1.0);
        let first = metric(&ledger, "oldest_reader_seconds");
        wait_until(|| metric(&ledger, "oldest_reader_seconds") > first);
        let snapshot = ledger.metrics().unwrap();
        assert_eq!(snapshot.get("entries").unwrap(), None, "counting would have had to wait");
        let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).unwrap();
        assert_eq!(json["connections_out_seconds"].as_array().unwrap().len(), 1);
        assert!(!snapshot.to_prometheus().contains("simledger_entries{"));
        ledger.interrupt().unwrap();
    });
    assert_eq!((metric(&ledger, "connections_out"), metric(&ledger, "oldest_reader_seconds")), (0.0, 0.0));
}

#[test]
fn a_full_log_queue_drops_the_oldest_and_counts() {
    let place = Place::new();
    let said = std::sync::Arc::new(Mutex::new(0));
    let mut config = config(&place.file("ledger.db"), &[]);
    config.set_log_queue(Level::Info, 3).unwrap();
    let all = std::sync::Arc::clone(&said);
    config.set_log(Level::Info, std::sync::Arc::new(move |_, _: &str| *all.lock().unwrap() += 1));
    let ledger = Ledger::open(&config).unwrap();
    for _ in 0..5 {
        ledger.cleanup(1.0).unwrap();
    }
    assert_eq!(*said.lock().unwrap(), 6, "the callback hears all");
    assert_eq!(metric(&ledger, "log_lines_dropped"), 3.0);
    for _ in 0..3 {
        let (level, line) = ledger.next_log_line().unwrap().unwrap();
        assert_eq!((level, line.as_str()), (Level::Info, "cleanup deleted 0 entries"));
    }
    assert!(ledger.next_log_line().unwrap().is_none());
    assert_eq!(config.set_log_queue(Level::Info, 1_000_001).unwrap_err().field(), "lines_max");
    let quiet = place.open(&[]);
    quiet.cleanup(1.0).unwrap();
    assert!(quiet.next_log_line().unwrap().is_none());
}

/// Python with Prometheus' own client library, if there is one.
fn prometheus() -> Option<String> {
    let venv = format!("{}/build/venv/bin/python3", env!("CARGO_MANIFEST_DIR"));
    [venv.as_str(), "python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| {
            let import = ["-c", "import prometheus_client.parser"];
            Command::new(python)
                .args(import)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
        .map(str::to_string)
}

/// Reads the text and prints each family and sample on a line.
const PARSE: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name
    print('family', family.name, family.type)
    for sample in family.samples:
        labels = ','.join('%s=%s' % pair for pair in sorted(sample.labels.items()) if pair[0] != 'ledger')
        assert sample.labels['ledger'].endswith('a \"quoted\\\\path.db'), sample
        print('sample', sample.name, '{' + labels + '}', sample.value)
";

#[test]
fn prometheus_own_parser_reads_what_is_there() {
    let Some(python) = prometheus() else {
        println!("skipped: there is no Python with prometheus_client");
        return;
    };
    let place = Place::new();
    let snapshot = used(&place).metrics().unwrap();
    let mut child = Command::new(python)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(snapshot.to_prometheus().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let read = String::from_utf8(output.stdout).unwrap();
    for line in [
        "family simledger_entries_appended counter",
        "sample simledger_entries_appended_total {} 10.0",
        "family simledger_entries gauge",
        "sample simledger_entries {} 7.0",
        "sample simledger_errors_total {status=BUSY} 1.0",
        "sample simledger_errors_total {status=NO_SPACE} 0.0",
        "family simledger_latency_seconds histogram",
        "sample simledger_latency_seconds_bucket {le=+Inf,operation=cleanup} 2.0",
        "sample simledger_latency_seconds_count {operation=cleanup} 2.0",
        "sample simledger_latency_seconds_count {operation=vacuum} 0.0",
    ] {
        assert!(read.lines().any(|found| found == line), "{line} is missing in\n{read}");
    }
    let buckets: Vec<f64> = read
        .lines()
        .filter(|line| line.contains("_bucket {") && line.contains("operation=cleanup}"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(buckets.len() > 20 && buckets.is_sorted(), "{buckets:?}");
    assert_eq!(buckets[buckets.len() - 2..], [2.0, 2.0], "each holds those before it");
    let sum = read.lines().find(|line| line.contains("latency_seconds_sum {operation=cleanup}")).unwrap();
    let sum: f64 = sum.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(Some(sum), snapshot.get("latency_seconds.cleanup.sum").unwrap());
}
