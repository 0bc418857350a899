//! Queries: what each gives, in one piece, page by page and as the filter of a poll, against the same conditions on a
//! list; with entries in the log alone, in memory and in the file.

use std::cell::OnceCell;
use std::ptr;

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use simledger::ffi::*;

use super::c::{Config, Row, Rows, call, close, lent, owned, row};
use super::conditions::{Conditions, NODES, TIMES, build, check_poll, id};

const FEATURES: [&str; 8] = [
    "{}",
    "[]",
    r#"{"a":[1,-2.5,3e2,[4]],"b":{"c":"x\u00e9\n","~1":true,"":null},"/":9}"#,
    r#"[[[]],{"0":0,"01":1},1e3,9007199254740993,1.5,-0]"#,
    r#"{"n":9223372036854775807,"m":1e19,"t":false,"a/b":"\ud83d\ude00"}"#,
    r#"[1,2,3,4,5,6,7,8,9,10]"#,
    r#"{"long":"0123456789012345678901234567890123456789","é":[null]}"#,
    r#"[0.1,"two",3]"#,
];

const COUNT: i64 = 90;
const REMOVED: i64 = 7;

struct Fixture {
    _folder: tempfile::TempDir,
    ledgers: Vec<*mut simledger_ledger>,
    rows: Vec<Row>,
}

thread_local! {
    static FIXTURE: OnceCell<Fixture> = const { OnceCell::new() };
}

pub fn run(data: &[u8]) {
    FIXTURE.with(|fixture| {
        // Where the data ends early, there is nothing more to try.
        let _ = ask(fixture.get_or_init(Fixture::new), &mut Unstructured::new(data));
    });
}

fn ask(fixture: &Fixture, u: &mut Unstructured<'_>) -> Result<()> {
    let ledger = *u.choose(&fixture.ledgers)?;
    let (query, told) = build(u, COUNT)?;
    // SAFETY: all is alive, and the results are this function's.
    unsafe {
        let (answer, rows) = Rows::of(|entries, error| simledger_query_run(ledger, query.0, entries, error));
        answer.ok();
        assert_eq!(rows.list(), told.select(&fixture.rows), "{told:?}");
        assert_eq!(rows.position(), COUNT, "{told:?}");

        let seen = id(u, COUNT)?;
        let (answer, rows) =
            Rows::of(|entries, error| simledger_query_poll(ledger, query.0, seen, entries, error));
        if seen < 0 || !told.is_filter() {
            answer.is(SIMLEDGER_INVALID_ARGUMENT);
        } else {
            answer.ok();
            check_poll(&rows.list(), rows.position(), seen, &told, &fixture.rows, COUNT);
            assert_eq!(rows.gap_before(), if seen.max(told.ids.0 - 1) < REMOVED { REMOVED } else { 0 });
        }
        if u.ratio(1, 8)? {
            let (mut plan, mut len) = (ptr::null_mut(), 0);
            call(|error| simledger_query_plan(ledger, query.0, &raw mut plan, &raw mut len, error)).ok();
            assert!(!owned(plan, len).expect("a plan").contains("USE TEMP B-TREE"), "nothing is sorted");
        }
        if u.ratio(1, 4)? {
            pages(fixture, ledger, &query, &told, u.int_in_range(1..=20)?);
        }
        if u.ratio(1, 2)? {
            point(ledger, u)?;
        }
    }
    Ok(())
}

/// Page by page it gives the same, and nothing twice.
fn pages(
    fixture: &Fixture,
    ledger: *mut simledger_ledger,
    query: &super::c::Query,
    told: &Conditions,
    limit: usize,
) {
    let mut found = Vec::new();
    // SAFETY: all is alive.
    unsafe {
        call(|error| simledger_query_set_limit(query.0, limit, error)).ok();
        loop {
            let (answer, rows) =
                Rows::of(|entries, error| simledger_query_run(ledger, query.0, entries, error));
            answer.ok();
            let page = rows.list();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            call(|error| simledger_query_set_after(query.0, last.timestamp, last.id, error)).ok();
            found.extend(page);
        }
    }
    assert_eq!(found, told.all_of(&fixture.rows));
}

/// A value of an entry's features, by each function for it, against serde_json's.
fn point(ledger: *mut simledger_ledger, u: &mut Unstructured<'_>) -> Result<()> {
    let id = u.int_in_range(REMOVED + 1..=COUNT)?;
    let pointer: &str = u.arbitrary()?;
    let room: usize = u.int_in_range(0..=12)?;
    let ((text, len), mut entry) = (lent(pointer), ptr::null_mut());
    // SAFETY: the entry is retained; texts and arrays are as long as they are.
    unsafe {
        call(|error| simledger_get_by_id(ledger, id, &raw mut entry, error)).ok();
        let features: Value = serde_json::from_str(&row(entry).features).expect("JSON");
        let escapes = pointer.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
        let is_pointer = (pointer.is_empty() || pointer.starts_with('/')) && escapes;
        let value = features.pointer(pointer).filter(|_| is_pointer);
        let none = if is_pointer { SIMLEDGER_NOT_FOUND } else { SIMLEDGER_INVALID_ARGUMENT };
        let other = if value.is_some() { SIMLEDGER_INVALID_ARGUMENT } else { none };
        let mut kind = -1;
        call(|error| simledger_entry_feature_type(entry, text, len, &raw mut kind, error))
            .is(if value.is_some() { SIMLEDGER_OK } else { none });
        assert_eq!(
            kind,
            match value {
                None => 0,
                Some(Value::Null) => SIMLEDGER_TYPE_NULL,
                Some(Value::Bool(_)) => SIMLEDGER_TYPE_BOOLEAN,
                Some(Value::Number(_)) => SIMLEDGER_TYPE_NUMBER,
                Some(Value::String(_)) => SIMLEDGER_TYPE_STRING,
                Some(Value::Array(_)) => SIMLEDGER_TYPE_ARRAY,
                Some(Value::Object(_)) => SIMLEDGER_TYPE_OBJECT,
            }
        );
        let mut number = f64::NAN;
        let answer = call(|error| simledger_entry_feature_number(entry, text, len, &raw mut number, error));
        match value.and_then(Value::as_f64) {
            Some(expected) => assert!(answer.is_ok() && (number - expected).abs() <= expected.abs() * 1e-15),
            None => answer.is(other),
        }
        let mut integer = -1;
        let answer = call(|error| simledger_entry_feature_integer(entry, text, len, &raw mut integer, error));
        match value {
            Some(Value::Number(number)) if number.is_i64() => assert_eq!(Some(integer), number.as_i64()),
            Some(Value::Number(_)) => {
                answer.is_one_of(&[SIMLEDGER_OK, SIMLEDGER_INVALID_ARGUMENT, SIMLEDGER_LIMIT_EXCEEDED]);
            }
            _ => answer.is(other),
        }
        let mut boolean = true;
        let answer = call(|error| simledger_entry_feature_boolean(entry, text, len, &raw mut boolean, error));
        match value {
            Some(Value::Bool(expected)) => assert!(answer.is_ok() && boolean == *expected),
            _ => answer.is(other),
        }
        let mut count = usize::MAX;
        let answer = call(|error| simledger_entry_feature_array_len(entry, text, len, &raw mut count, error));
        match value {
            Some(Value::Array(values)) => assert!(answer.is_ok() && count == values.len()),
            _ => answer.is(other),
        }
        let mut numbers = vec![f64::NAN; room];
        let answer = call(|error| {
            simledger_entry_feature_numbers(
                entry,
                text,
                len,
                numbers.as_mut_ptr(),
                room,
                &raw mut count,
                error,
            )
        });
        match value {
            Some(Value::Array(values)) if values.len() > room => answer.is(SIMLEDGER_LIMIT_EXCEEDED),
            Some(Value::Array(values)) if values.iter().all(Value::is_number) => {
                answer.ok();
                assert_eq!(count, values.len());
            }
            Some(_) => answer.is(SIMLEDGER_INVALID_ARGUMENT),
            None => answer.is(other),
        }
        let (mut given, mut given_len) = (ptr::null_mut(), 0);
        let answer = call(|error| {
            simledger_entry_feature_text(entry, text, len, &raw mut given, &raw mut given_len, error)
        });
        let given = owned(given, given_len);
        match value {
            Some(Value::String(expected)) => assert_eq!(given.as_ref(), Some(expected)),
            _ => answer.is(other),
        }
        let (mut given, mut given_len) = (ptr::null_mut(), 0);
        call(|error| {
            simledger_entry_feature_json(entry, text, len, &raw mut given, &raw mut given_len, error)
        })
        .is(if value.is_some() { SIMLEDGER_OK } else { none });
        let given = owned(given, given_len).map(|json| serde_json::from_str::<Value>(&json).expect("JSON"));
        assert_eq!(given.as_ref(), value);
        simledger_entry_free(entry);
    }
    Ok(())
}

impl Fixture {
    fn new() -> Fixture {
        let folder = super::folder();
        let kinds: [&[(&str, &str)]; 3] = [
            &[("commit", "log")],
            &[
                ("commit", "log"),
                ("tail_bytes_max", "2000"),
                ("entry_cache_size", "4"),
                ("log_bytes", "65536"),
            ],
            &[("commit", "sqlite"), ("tail_bytes_max", "0"), ("query_cache_size", "0")],
        ];
        let mut rows = Vec::new();
        let ledgers = kinds.iter().enumerate().map(|(index, values)| {
            let path = folder.path().join(format!("{index}.db"));
            let config =
                Config::new(&[&[("path", path.to_str().unwrap()), ("unique", "none")], *values].concat());
            let (answer, ledger) = config.open();
            answer.ok();
            rows = (1..=COUNT).map(|id| append(ledger, id)).collect();
            // SAFETY: the ledger is open.
            unsafe {
                call(|error| simledger_cleanup_before_id(ledger, REMOVED + 1, ptr::null_mut(), error)).ok();
            }
            ledger
        });
        let ledgers = ledgers.collect();
        rows.retain(|row| row.id > REMOVED);
        Fixture { _folder: folder, ledgers, rows }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.ledgers.iter().for_each(|ledger| close(*ledger).ok());
    }
}

/// The entry with this id, the same in each ledger; half of them were stored before the last came.
fn append(ledger: *mut simledger_ledger, id: i64) -> Row {
    let at = |len: usize, step: i64| usize::try_from(id * step).unwrap() % len;
    let row = Row {
        id,
        timestamp: TIMES[at(TIMES.len(), 7)],
        node: NODES[at(NODES.len(), 5)].to_string(),
        features: FEATURES[at(FEATURES.len(), 3)].to_string(),
        confidence: f64::from(u8::try_from(id % 5).unwrap()) / 4.0,
    };
    let ((node, node_len), (features, features_len)) = (lent(&row.node), lent(&row.features));
    let mut given = 0;
    // SAFETY: the ledger is open, and the texts are as long as they are.
    unsafe {
        call(|error| {
            simledger_append(
                ledger,
                row.timestamp,
                node,
                node_len,
                features,
                features_len,
                row.confidence,
                &raw mut given,
                error,
            )
        })
        .ok();
        if id == COUNT / 2 {
            call(|error| simledger_flush(ledger, error)).ok();
        }
    }
    assert_eq!(given, id);
    row
}
