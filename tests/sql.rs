//! SQL of callers: what it may do, how long, and how much it may give.

mod common;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use common::*;
use simledger::*;

fn filled(keys: &[(&str, &str)]) -> (Place, Ledger) {
    let place = Place::new();
    let ledger = place.open(keys);
    for index in 0..20 {
        ledger.append_json(&entry(f64::from(index), if index % 4 == 0 { "a" } else { "b" })).unwrap();
    }
    (place, ledger)
}

/// Each takes as much of the caller's stack as the one before and some more.
#[test]
fn queries_that_refer_to_one_another_end_before_the_stack_does() {
    let (_place, ledger) = filled(&[]);
    let chain = |count: usize| {
        let mut sql = "WITH c0(x) AS (SELECT 1)".to_string();
        for index in 1..count - 1 {
            sql += &format!(",c{index}(x) AS (select x FROM c{} UNION VALUES (1))", index - 1);
        }
        sql + &format!(" SELECT x FROM c{}", count - 2)
    };
    // All of these would take 30 MB.
    let error = ledger.sql(&chain(20_000), None, 10).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::InvalidArgument, "sql"));
    assert!(error.message().contains("the limit is 500"), "{error}");
    // And these what the header says of it.
    let run = |sql: String| {
        let on_thread = || ledger.sql(&sql, None, 10).map(|_| ());
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        std::thread::scope(|scope| thread.spawn_scoped(scope, on_thread).unwrap().join().unwrap())
    };
    run(chain(250)).unwrap();
    assert!(run(chain(252)).is_err());
    let deep = |begin: &str, middle: &str, end: &str, count: usize| {
        format!("SELECT {}{middle}{}", begin.repeat(count), end.repeat(count))
    };
    run(deep("", "1", "+1", 990)).unwrap();
    run(deep("abs(", "1", ")", 400)).unwrap();
    run(deep("(SELECT max(x) OVER () FROM (SELECT ", "1", " AS x))", 100)).unwrap();
    run(format!("SELECT 1{}", " UNION SELECT 1 EXCEPT SELECT 2".repeat(245))).unwrap();
}

fn rows(ledger: &Ledger, sql: &str, parameters: Option<&str>) -> serde_json::Value {
    let json = ledger.sql(sql, parameters, NO_LIMIT).unwrap_or_else(|error| panic!("{sql}: {error}"));
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["rows"].take()
}

#[test]
fn a_statement_gives_its_columns_and_rows_as_json() {
    let (_place, ledger) = filled(&[]);
    let json =
        ledger.sql("SELECT node_id, count(*) AS n FROM ledger GROUP BY 1 ORDER BY 1", None, 10).unwrap();
    assert_eq!(json, r#"{"columns":["node_id","n"],"rows":[["a",5],["b",15]],"truncated":false}"#);
    let json = ledger.sql("SELECT id FROM ledger ORDER BY id", None, 2).unwrap();
    assert_eq!(json, r#"{"columns":["id"],"rows":[[1],[2]],"truncated":true}"#);
    let json = ledger.sql("SELECT id FROM ledger WHERE id > 18 ORDER BY id;  -- all\n ", None, 2).unwrap();
    assert_eq!(json, r#"{"columns":["id"],"rows":[[19],[20]],"truncated":false}"#);
    let values = "SELECT NULL, 1.5, -9223372036854775808, 'é\"\n', x'00ff', 9e999, CAST(x'ff41' AS TEXT)";
    assert_eq!(
        rows(&ledger, values, None).to_string(),
        "[[null,1.5,-9223372036854775808,\"é\\\"\\n\",\"00ff\",null,\"\u{fffd}A\"]]"
    );
    assert_eq!(rows(&ledger, "SELECT json_extract(features, '$.rate') FROM ledger LIMIT 1", None)[0][0], 910);
    let plan = rows(&ledger, "EXPLAIN QUERY PLAN SELECT * FROM ledger WHERE node_id = 'a'", None).to_string();
    assert!(plan.contains("idx_ledger_node_id"), "{plan}");
    assert_eq!(rows(&ledger, "SELECT name FROM pragma_table_info('ledger') WHERE pk", None)[0][0], "id");
    assert_eq!(rows(&ledger, "PRAGMA journal_mode", None)[0][0], "wal");
}

#[test]
fn parameters_are_bound_by_place_and_by_name_and_never_left_out() {
    let (_place, ledger) = filled(&[]);
    let count = "SELECT count(*) FROM ledger WHERE node_id = ? AND timestamp >= ?";
    assert_eq!(rows(&ledger, count, Some(r#"["a", 8.5]"#))[0][0], 2);
    let named = "SELECT count(*) FROM ledger WHERE node_id = :node AND timestamp >= @from AND id < $below";
    assert_eq!(rows(&ledger, named, Some(r#"{"from":0,"below":6,"node":"b"}"#))[0][0], 3);
    // Nothing in a value is ever SQL.
    assert_eq!(
        rows(&ledger, "SELECT ?1 || ?1", Some(r#"["'; DROP TABLE ledger; --"]"#))[0][0],
        "'; DROP TABLE ledger; --'; DROP TABLE ledger; --"
    );
    let all = r#"[null, true, false, 9007199254740993, 0.1, "x\u0000\ud83d\ude00", [1, {"a" : 2}]]"#;
    assert_eq!(
        rows(&ledger, "SELECT typeof(?1), ?2, ?3, ?4, ?5, length(CAST(?6 AS BLOB)), ?7", Some(all))
            .to_string(),
        r#"[["null",1,0,9007199254740993,0.1,6,"[1,{\"a\":2}]"]]"#
    );
    for (sql, parameters, part) in [
        ("SELECT ?", None, "has no value"),
        ("SELECT ?1, ?2", Some("[1]"), "parameter 2 of the 2"),
        ("SELECT :a, :b", Some(r#"{"b":1}"#), "(:a)"),
        ("SELECT ?", Some("[1,2]"), "more parameters than the 1"),
        ("SELECT 1", Some("[1]"), "more parameters than the 0"),
        ("SELECT :a", Some(r#"{"a":1,"c":1}"#), "no parameter named \"c\""),
        ("SELECT ?", Some("5"), "a number"),
        ("SELECT ?", Some("[1"), "valid JSON"),
        ("SELECT ?", Some("[1] 2"), "valid JSON"),
        ("SELECT ?", Some(""), "valid JSON"),
        ("SELECT ?", Some(r#"["\ud800"]"#), "valid JSON"),
    ] {
        let error = ledger.sql(sql, parameters, 1).unwrap_err();
        let expected = (Status::InvalidArgument, "parameters_json");
        assert_eq!((error.status(), error.field()), expected, "{sql} {parameters:?}: {error}");
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn what_writes_attaches_or_loads_is_refused_and_changes_nothing() {
    let (place, ledger) = filled(&[]);
    let before = std::fs::read(place.path("ledger.db")).unwrap();
    let there = place.file("other.db");
    let refused = [
        "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (1, 'x', '{}', 1)",
        "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (1, 'x', '{}', 1) RETURNING id",
        "REPLACE INTO ledger (id, timestamp, node_id, features, confidence) VALUES (1, 1, 'x', '{}', 1) RETURNING id",
        "UPDATE ledger SET confidence = 1",
        "UPDATE ledger SET confidence = 1 RETURNING id",
        "DELETE FROM ledger",
        "DELETE FROM ledger RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM ledger RETURNING id",
        "UPDATE sqlite_sequence SET seq = 0 RETURNING seq",
        "DROP TABLE ledger",
        "DROP TRIGGER simledger_guard_delete",
        "ALTER TABLE ledger ADD COLUMN x",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE INDEX x ON ledger(features)",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        &format!("ATTACH '{there}' AS other"),
        &format!("VACUUM INTO '{there}'"),
        "DETACH main",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "SELECT load_extension('/tmp/x.so')",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT x",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA journal_mode(DELETE)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 5",
        "PRAGMA wal_checkpoint",
        "PRAGMA cache_size = 1",
        "PRAGMA trusted_schema = ON",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA incremental_vacuum",
        "PRAGMA optimize",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM ledger",
        "SELECT 1; nonsense",
        "",
        "  -- nothing",
        ";",
        "SELEC 1",
        "SELECT nothing FROM ledger",
        "SELECT * FROM nothing",
        "SELECT 'unfinished",
        "SELECT \"no_such_column\"",
        "SELECT 1\0DELETE FROM ledger",
    ];
    for sql in refused {
        let error = ledger.sql(sql, None, NO_LIMIT).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidArgument, "sql"), "{sql}: {error}");
    }
    let error = ledger.sql(&format!("SELECT '{}'", "x".repeat(1 << 20)), None, 1).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::InvalidArgument, "sql"));
    assert_eq!(ledger.sql("SELECT 1", None, 0).unwrap_err().field(), "rows_max");
    assert!(!place.path("other.db").exists());
    assert!(std::fs::read(place.path("ledger.db")).unwrap() == before, "the file is untouched");
    // Neither a lock nor a transaction is left behind, and the settings of the connection are as they were.
    assert_eq!(ledger.append_json(&entry(100.0, "a")).unwrap(), 21);
    assert_eq!(ledger.count().unwrap(), 21);
    assert_eq!(rows(&ledger, "PRAGMA journal_mode", None)[0][0], "wal");
}

#[test]
fn a_view_or_trigger_that_another_program_planted_does_not_run() {
    let (place, ledger) = filled(&[]);
    place
        .sqlite()
        .execute_batch("CREATE VIEW planted AS SELECT * FROM ledger; CREATE TABLE theirs (x); INSERT INTO theirs VALUES (5)")
        .unwrap();
    let error = ledger.sql("SELECT * FROM planted", None, 1).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument, "{error}");
    assert_eq!(rows(&ledger, "SELECT x FROM theirs", None)[0][0], 5);
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[test]
fn a_statement_that_never_ends_does_end() {
    for keys in [&[][..], &[("journal_mode", "DELETE")], &[("path", ":memory:")]] {
        let (_place, ledger) = filled(keys);
        ledger.set_option("sql_timeout", "0.05").unwrap();
        let error = ledger.sql(ENDLESS, None, 1).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::Interrupted, "sql_timeout"), "{error}");
        // Other calls have no such time, and the next statement has its own.
        assert_eq!(ledger.read_all().unwrap().len(), 20);
        ledger.set_option("sql_timeout", "60").unwrap();
        assert_eq!(rows(&ledger, "SELECT 1", None)[0][0], 1);
        ledger.set_option("sql_timeout", "0.05").unwrap();
        // A slow one that gives rows does not get by either.
        let rows = ENDLESS.replace("count(*)", "i");
        assert_eq!(ledger.sql(&rows, None, NO_LIMIT).unwrap_err().status(), Status::Interrupted);
    }
}

/// What is stored before it, and what is waited for.
#[test]
fn a_statement_has_its_time_for_itself() {
    let (place, ledger) = filled(&[("commit", "log"), ("sql_timeout", "0.3")]);
    ledger.flush().unwrap();
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.append_json(&entry(1e6, "later")).unwrap();
    std::thread::scope(|scope| {
        let began = Instant::now();
        let statement = scope.spawn(|| rows(&ledger, "SELECT count(*) FROM ledger", None)[0][0].clone());
        wait_until(|| began.elapsed() > Duration::from_millis(600));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(statement.join().unwrap(), 21);
    });
}

#[test]
fn an_interruption_ends_the_statements_in_flight_and_no_later_one() {
    let (_place, ledger) = filled(&[("sql_timeout", "1e9"), ("max_connections", "2")]);
    let ready = Barrier::new(4);
    std::thread::scope(|scope| {
        let (ledger, ready) = (&ledger, &ready);
        // Two run, the third waits for a connection.
        let statements: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    ready.wait();
                    ledger.sql(ENDLESS, None, 1).unwrap_err()
                })
            })
            .collect();
        ready.wait();
        wait_until(|| {
            metric(ledger, "connections_out") == 2.0 && metric(ledger, "connections_awaited") == 1.0
        });
        ledger.interrupt().unwrap();
        for statement in statements {
            let error = statement.join().unwrap();
            assert_eq!((error.status(), error.field()), (Status::Interrupted, ""), "{error}");
            assert!(error.is_retryable());
        }
    });
    assert_eq!(rows(&ledger, "SELECT count(*) FROM ledger", None)[0][0], 20);
    assert_eq!(metric(&ledger, "errors.INTERRUPTED"), 3.0);
}

#[test]
fn a_call_that_waits_for_others_is_woken_by_its_interruption_and_they_go_on() {
    let (place, others) = filled(&[("sql_timeout", "1e9"), ("max_connections", "1")]);
    let ledger = place.open(&[("timeout", "1e9")]);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| others.sql(ENDLESS, None, 1).unwrap_err());
        wait_until(|| metric(&ledger, "connections_out") == 1.0);
        let waiting = scope.spawn(|| ledger.count().unwrap_err());
        wait_until(|| metric(&ledger, "connections_awaited") == 1.0);
        ledger.interrupt().unwrap();
        assert_eq!(waiting.join().unwrap().status(), Status::Interrupted);
        assert!(!running.is_finished());
        others.interrupt().unwrap();
        assert_eq!(running.join().unwrap().status(), Status::Interrupted);
    });
    assert_eq!(ledger.read_all().unwrap().len(), 20);
}

#[test]
fn a_result_of_a_gigabyte_is_refused_before_it_is_made() {
    let (_place, ledger) = filled(&[("result_bytes_max", "100000")]);
    for sql in [
        "SELECT zeroblob(1000000000)",
        "SELECT hex(zeroblob(500000000))",
        "SELECT printf('%1000000000d', 1)",
        "SELECT group_concat(a.features || hex(randomblob(1000))) FROM ledger AS a, ledger AS b",
        "SELECT replace(hex(zeroblob(30000)), '0', 'xxxxxxxxxx')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(randomblob(500)) FROM n",
        "SELECT zeroblob(60000), zeroblob(60000)",
    ] {
        let error = ledger.sql(sql, None, NO_LIMIT).unwrap_err();
        let expected = (Status::LimitExceeded, "result_bytes_max");
        assert_eq!((error.status(), error.field()), expected, "{sql}: {error}");
        // SQLITE_TOOBIG: a single value is refused by SQLite before it takes the memory.
        let is_one_value = !sql.contains("RECURSIVE") && !sql.contains("60000");
        assert_eq!(error.sqlite_code() == 18, is_one_value, "{sql}: {error}");
    }
    assert_eq!(rows(&ledger, "SELECT length(zeroblob(90000))", None)[0][0], 90000);
    // The limit was of that call.
    ledger.set_option("result_bytes_max", "1000000").unwrap();
    assert_eq!(rows(&ledger, "SELECT length(zeroblob(900000))", None)[0][0], 900_000);
}

#[test]
fn sql_reads_where_only_reading_is_allowed() {
    let (place, ledger) = filled(&[]);
    ledger.close().unwrap();
    let ledger = place.open(&[("read_only", "true")]);
    assert_eq!(rows(&ledger, "SELECT max(id) FROM ledger", None)[0][0], 20);
    assert_eq!(ledger.sql("DELETE FROM ledger", None, 1).unwrap_err().status(), Status::InvalidArgument);
}

#[test]
fn a_statement_takes_no_more_memory_or_temporary_files_than_it_may() {
    // The least that a statement may have, whatever its result may be.
    let (_place, ledger) = filled(&[("result_bytes_max", "1000000"), ("sql_timeout", "600")]);
    let doubling: String = (1..24).map(|n| format!(", t{n} AS (SELECT 1 FROM t{0}, t{0})", n - 1)).collect();
    let doubling = format!("WITH t0 AS (SELECT 1){doubling} SELECT count(*) FROM t23");
    // Values of a size that one alone may have.
    let held =
        format!("SELECT {}", (0..500).map(|_| "randomblob(900000) AS x").collect::<Vec<_>>().join(", "));
    let sorted = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) \
                  SELECT length(b) FROM (SELECT randomblob(100000) AS b FROM n ORDER BY b LIMIT -1 OFFSET 999)";
    let endless = "WITH RECURSIVE n(i) AS (SELECT randomblob(10000) UNION SELECT randomblob(10000) FROM n) \
                   SELECT count(*) FROM n";
    let freed = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) \
                 SELECT sum(length(randomblob(900000))) FROM n";
    assert_eq!(rows(&ledger, freed, None)[0][0], 900_000_000, "what is given back is not counted");
    for sql in [doubling.as_str(), &held, sorted, endless] {
        let error = ledger.sql(sql, None, NO_LIMIT).unwrap_err();
        assert_eq!(error.status(), Status::LimitExceeded, "{error} of {}", &sql[..60]);
        assert!(error.to_string().contains("memory and temporary files"), "{error}");
        assert_eq!(rows(&ledger, "SELECT count(*) FROM ledger", None)[0][0], 20);
    }
    // The limit is one of the statement: reading and writing go on without.
    ledger.append_json(&entry(100.0, "a")).unwrap();
    assert_eq!(ledger.count().unwrap(), 21);
}
