//! What a ledger promises to one process: appends, duplicates, polls, cleanup, configuration.

mod common;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use common::{Place, config, entry, ids};
use simledger::{Batched, Config, Entries, Ledger, Level, NO_LIMIT, NewEntry, Status};

/// Both kinds of ledger: in a file, and in memory.
fn both(keys: &[(&str, &str)], test: impl Fn(Ledger)) {
    let place = Place::new();
    test(place.open(keys));
    test(Ledger::open(&config(":memory:", keys)).unwrap());
}

fn fill(ledger: &Ledger, count: usize) {
    let lines: Vec<String> = (0..count).map(|i| entry(i as f64, "n")).collect();
    assert_eq!(ledger.append_many_json(&lines.join("\n")).unwrap().count, count);
}

#[test]
fn what_is_appended_is_what_is_read() {
    both(&[], |ledger| {
        let before = std::time::SystemTime::now();
        let json = r#" { "confidence" : 0.125, "features" : { "b" : 1.50E+3, "a" : [ 12345678901234567890.10, "\u0041 b" ] },
                         "node_id" : "nö\u00e4de/7", "timestamp" : 1e-3, "more" : { "ignored" : true } } "#;
        assert_eq!(ledger.append_json(json).unwrap(), 1);
        let typed = NewEntry::new(-0.0, "typed", "[ ]", 1.0, &ledger.limits()).unwrap();
        assert_eq!(ledger.append(&typed).unwrap(), 2);
        let all = ledger.read_all().unwrap();
        let first = all.get(0).unwrap();
        assert_eq!((first.id(), first.timestamp(), first.confidence()), (1, 0.001, 0.125));
        assert_eq!(first.node_id(), "nöäde/7");
        assert_eq!(first.features(), r#"{"b":1.50E+3,"a":[12345678901234567890.10,"\u0041 b"]}"#);
        let seconds = before.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        // Whole seconds, by a clock that may be a tick behind.
        assert!((seconds - 2.0..seconds + 60.0).contains(&first.created_at()), "{}", first.created_at());
        assert_eq!(
            all.json().unwrap(),
            concat!(
                r#"[{"id":1,"timestamp":0.001,"node_id":"nöäde/7","#,
                r#""features":{"b":1.50E+3,"a":[12345678901234567890.10,"\u0041 b"]},"confidence":0.125},"#,
                r#"{"id":2,"timestamp":0.0,"node_id":"typed","features":[],"confidence":1.0}]"#
            )
        );
        let got = ledger.get_by_id(1).unwrap().unwrap();
        assert_eq!(got.as_ref().features(), first.features());
        assert!(ledger.get_by_id(3).unwrap().is_none());
        assert_eq!(
            (ledger.count().unwrap(), ledger.first_id().unwrap(), ledger.last_id().unwrap()),
            (2, 1, 2)
        );
    });
}

#[test]
fn an_empty_ledger_answers_with_nothing() {
    both(&[], |ledger| {
        for entries in [ledger.read_all(), ledger.poll_since(0, NO_LIMIT), ledger.read_by_node("n", 1)]
            .map(Result::unwrap)
        {
            assert!(entries.is_empty() && entries.get(0).is_none());
            assert_eq!((entries.position(), entries.gap_before(), entries.json()), (0, 0, Some("[]")));
        }
        assert_eq!(
            (ledger.count().unwrap(), ledger.first_id().unwrap(), ledger.last_id().unwrap()),
            (0, 0, 0)
        );
        assert_eq!(ledger.cleanup(1.0).unwrap(), 0);
    });
}

#[test]
fn a_batch_is_contiguous_and_all_or_nothing() {
    both(&[], |ledger| {
        fill(&ledger, 3);
        let batch = format!("[{},\n{}]", entry(10.0, "a"), entry(11.0, "a"));
        assert_eq!(ledger.append_many_json(&batch).unwrap(), Batched { first_id: 4, count: 2 });
        let lines = format!("\n{}\r\n\n{}\n", entry(12.0, "a"), entry(13.0, "a"));
        assert_eq!(ledger.append_many_json(&lines).unwrap(), Batched { first_id: 6, count: 2 });
        for nothing in ["", " \n ", "[]", " [ ] "] {
            assert_eq!(ledger.append_many_json(nothing).unwrap(), Batched { first_id: 0, count: 0 });
        }
        let bad = [
            (format!("[{},{}]", entry(20.0, "a"), entry(20.0, " ")), 1, "node_id"),
            (format!("{}\n{}", entry(20.0, "a"), r#"{"timestamp":1}"#), 1, "node_id"),
            (format!("{}\n{}", entry(20.0, "a"), "{"), 1, ""),
            (format!("{} {}", entry(20.0, "a"), entry(21.0, "a")), 0, ""),
            (format!("[{}", entry(20.0, "a")), 0, ""),
            (format!("[{},]", entry(20.0, "a")), 1, ""),
            ("[1]".to_string(), 0, ""),
            ("7".to_string(), 0, ""),
        ];
        for (text, index, field) in bad {
            let error = ledger.append_many_json(&text).unwrap_err();
            assert_eq!((error.status(), error.field()), (Status::InvalidEntry, field), "{text}: {error}");
            assert_eq!(error.index(), Some(index), "{text}: {error}");
        }
        // A duplicate at the end of a batch undoes its beginning.
        let error =
            ledger.append_many_json(&format!("[{},{}]", entry(20.0, "a"), entry(1.0, "n"))).unwrap_err();
        assert_eq!((error.status(), error.index(), error.entry_id()), (Status::Duplicate, Some(1), Some(2)));
        assert_eq!(ledger.count().unwrap(), 7);
        // And the ids it would have had are given to others, since nobody has seen them.
        assert_eq!(ledger.append_json(&entry(20.0, "a")).unwrap(), 8);
    });
}

#[test]
fn a_poll_goes_on_from_its_position_and_never_back() {
    both(&[], |ledger| {
        fill(&ledger, 10);
        let page = ledger.poll_since(0, 4).unwrap();
        assert_eq!((ids(&page), page.position()), (vec![1, 2, 3, 4], 4));
        let page = ledger.poll_since(page.position(), NO_LIMIT).unwrap();
        assert_eq!((ids(&page), page.position()), ((5..=10).collect(), 10));
        for beyond in [10, 11, i64::MAX] {
            let page = ledger.poll_since(beyond, 1).unwrap();
            assert_eq!((page.len(), page.position(), page.gap_before()), (0, beyond, 0));
        }
    });
}

#[test]
fn arguments_out_of_range_are_named() {
    both(&[], |ledger| {
        let argument = |error: simledger::Error| {
            assert_eq!(error.status(), Status::InvalidArgument, "{error}");
            assert!(error.message().contains(error.field()), "{error}");
            error.field().to_string()
        };
        assert_eq!(argument(ledger.poll_since(-1, 1).unwrap_err()), "last_seen_id");
        assert_eq!(argument(ledger.poll_since(0, 0).unwrap_err()), "limit");
        assert_eq!(argument(ledger.read_by_node("n", 0).unwrap_err()), "limit");
        for id in [0, -1, i64::MIN] {
            assert_eq!(argument(ledger.get_by_id(id).unwrap_err()), "id");
            assert_eq!(argument(ledger.cleanup_before_id(id).unwrap_err()), "id");
        }
        for node in ["", " \t", "\u{3000}", &"x".repeat(1025), "a\0b"] {
            assert_eq!(argument(ledger.read_by_node(node, 1).unwrap_err()), "node_id");
        }
        for age in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(argument(ledger.cleanup(age).unwrap_err()), "max_age_seconds");
        }
        for timestamp in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(argument(ledger.cleanup_before_timestamp(timestamp).unwrap_err()), "timestamp");
        }
    });
}

#[test]
fn what_is_no_entry_is_refused_with_field_value_and_limit() {
    let place = Place::new();
    let ledger = place.open(&[("entry_bytes_max", "300"), ("features_depth_max", "3")]);
    let with = |field: &str, value: &str| {
        ["timestamp:1", "node_id:\"n\"", "features:{}", "confidence:0.5"]
            .iter()
            .map(|pair| pair.split_once(':').unwrap())
            .map(|(key, default)| format!("\"{key}\":{}", if key == field { value } else { default }))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (field, value, part) in [
        ("timestamp", "1e999", "1e999"),
        ("timestamp", "true", "a boolean"),
        ("timestamp", "\"1\"", "a string"),
        ("timestamp", "null", "null"),
        ("timestamp", "NaN", "NaN"),
        ("confidence", "1.5", "1.5"),
        ("confidence", "-1e-9", "from 0 to 1"),
        ("confidence", "false", "a boolean"),
        ("node_id", "\"\"", "blank"),
        ("node_id", "\" \\t\\u2003 \"", "blank"),
        ("node_id", "7", "a number"),
        ("node_id", "\"a\\u0000b\"", "NUL"),
        ("node_id", "\"\\ud800\"", "surrogate"),
        ("features", "\"text\"", "a string"),
        ("features", "1", "a number"),
        ("features", "[[[[]]]]", "limit of 3"),
        ("features", "{\"a\":{\"b\":1,\"b\":2}}", "twice"),
        ("features", "[\"\\udc00\"]", "surrogate"),
        ("features", "[-Infinity]", "not a number"),
    ] {
        let error = ledger.append_json(&format!("{{{}}}", with(field, value))).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidEntry, field), "{value}: {error}");
        assert!(error.message().contains(part), "{value}: {error}");
    }
    for missing in ["timestamp", "node_id", "features", "confidence"] {
        let error =
            ledger.append_json(&format!("{{{}}}", with("", "")).replace(missing, "other")).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidEntry, missing));
        assert!(error.message().contains("missing"), "{error}");
    }
    let large = format!("{{{},\"x\":\"{}\"}}", with("", ""), "y".repeat(300));
    for (text, part) in [
        (large.clone(), "300"),
        ("[{}]".to_string(), "object"),
        (format!("{{{},\"node_id\":\"m\"}}", with("", "")), "node_id"),
        (format!("{{{},\"x\":1,\"\\u0078\":2}}", with("", "")), "twice"),
        (format!("{{{}}} ", with("", "")) + "x", "end"),
        (String::new(), "early"),
    ] {
        let error = ledger.append_json(&text).unwrap_err();
        assert_eq!(error.status(), Status::InvalidEntry, "{text}: {error}");
        assert!(error.message().contains(part), "{text}: {error}");
    }
    let error = ledger.append_many_json(&format!("[{},{large}]", entry(1.0, "n"))).unwrap_err();
    assert_eq!((error.status(), error.index()), (Status::InvalidEntry, Some(1)));
    for (timestamp, node, features, confidence, field) in [
        (f64::NAN, "n", "{}", 0.5, "timestamp"),
        (f64::INFINITY, "n", "{}", 0.5, "timestamp"),
        (1.0, "\0", "{}", 0.5, "node_id"),
        (1.0, "n", "", 0.5, "features"),
        (1.0, "n", "{} {}", 0.5, "features"),
        (1.0, "n", "{}", f64::NAN, "confidence"),
        (1.0, "n", "{}", 1.0000001, "confidence"),
    ] {
        let error = NewEntry::new(timestamp, node, features, confidence, &ledger.limits()).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidEntry, field), "{error}");
    }
    assert_eq!(ledger.count().unwrap(), 0, "nothing of all that was written");
    // At the limits, all is well.
    assert!(ledger.append_json(&format!("{{{}}}", with("features", "[[[]]]"))).is_ok());
    assert!(ledger.append_json(&format!("{{{}}}", with("timestamp", "2")).replace("0.5", "1")).is_ok());
    let name = "x".repeat(1024);
    let ledger = Ledger::open_path(":memory:").unwrap();
    assert!(ledger.append_json(&entry(1.0, &name)).is_ok());
    assert_eq!(ledger.append_json(&entry(1.0, &(name + "x"))).unwrap_err().field(), "node_id");
}

#[test]
fn strict_fields_refuses_what_is_otherwise_ignored() {
    let text = r#"{"timestamp":1,"node_id":"n","features":{},"confidence":0,"colour":"red"}"#;
    both(&[("strict_fields", "true")], |ledger| {
        let error = ledger.append_json(text).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidEntry, "colour"));
    });
    both(&[], |ledger| assert_eq!(ledger.append_json(text).unwrap(), 1));
}

#[test]
fn a_duplicate_is_an_error_with_the_id_of_the_first() {
    both(&[], |ledger| {
        fill(&ledger, 3);
        let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
        assert_eq!((error.status(), error.entry_id(), error.index()), (Status::Duplicate, Some(2), None));
        assert!(!error.is_retryable());
        for way_out in ["on_duplicate = ignore", "unique = none"] {
            assert!(error.message().contains(way_out), "{error}");
        }
        // Within a batch there is no first id yet.
        let error =
            ledger.append_many_json(&format!("[{},{}]", entry(9.0, "n"), entry(9.0, "n"))).unwrap_err();
        assert_eq!((error.status(), error.entry_id(), error.index()), (Status::Duplicate, None, Some(1)));
        let error = ledger.append_many_json(&format!("[{}]", entry(1.0, "n"))).unwrap_err();
        assert_eq!((error.status(), error.entry_id(), error.index()), (Status::Duplicate, Some(2), Some(0)));
        assert_eq!(ledger.count().unwrap(), 3);
        assert_eq!(ledger.append_json(&entry(1.0, "m")).unwrap(), 4, "another node");
    });
}

#[test]
fn an_equal_duplicate_can_be_ignored() {
    both(&[("on_duplicate", "ignore")], |ledger| {
        let append = |features: &str, confidence: &str| {
            ledger.append_json(&format!(
                r#"{{"timestamp":1,"node_id":"n","features":{features},"confidence":{confidence}}}"#
            ))
        };
        assert_eq!(append(r#"{"a":1,"b":[{"c":"A"}]}"#, "0.5").unwrap(), 1);
        assert_eq!(append(r#"{ "b":[{"c":"\u0041"}], "a":1 }"#, "5e-1").unwrap(), 1);
        for (features, confidence) in [
            (r#"{"a":1.0,"b":[{"c":"A"}]}"#, "0.5"),
            (r#"{"a":1}"#, "0.5"),
            (r#"{"a":1,"b":[{"c":"A"}]}"#, "0.6"),
        ] {
            let error = append(features, confidence).unwrap_err();
            assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(1)));
            assert!(error.message().contains("differs"), "{error}");
        }
        fill(&ledger, 1);
        let batch = [entry(0.0, "n"), entry(5.0, "n"), entry(5.0, "n"), entry(6.0, "n")].join("\n");
        assert_eq!(ledger.append_many_json(&batch).unwrap(), Batched { first_id: 3, count: 2 });
        assert_eq!(ledger.append_many_json(&batch).unwrap(), Batched { first_id: 0, count: 0 });
        assert_eq!(ids(&ledger.read_all().unwrap()), [1, 2, 3, 4]);
    });
}

#[test]
fn a_ledger_without_uniqueness_takes_any_number() {
    both(&[("unique", "none")], |ledger| {
        for id in 1..=3 {
            assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), id);
        }
        assert_eq!(ids(&ledger.read_by_node("n", NO_LIMIT).unwrap()), [3, 2, 1], "the larger id first");
    });
}

#[test]
fn by_node_is_newest_first() {
    both(&[], |ledger| {
        for timestamp in [5.0, 1.0, 3.0, 4.0, 2.0] {
            ledger.append_json(&entry(timestamp, "n")).unwrap();
            ledger.append_json(&entry(timestamp, "other")).unwrap();
        }
        let times = |entries: Entries| entries.iter().map(|e| e.timestamp()).collect::<Vec<_>>();
        assert_eq!(times(ledger.read_by_node("n", NO_LIMIT).unwrap()), [5.0, 4.0, 3.0, 2.0, 1.0]);
        let two = ledger.read_by_node("n", 2).unwrap();
        assert_eq!((two.position(), two.gap_before()), (10, 0));
        assert_eq!(times(two), [5.0, 4.0]);
        // The cache has the answer now, and must not give it after the next append.
        ledger.append_json(&entry(6.0, "n")).unwrap();
        assert_eq!(times(ledger.read_by_node("n", 2).unwrap()), [6.0, 5.0]);
    });
}

#[test]
fn results_end_at_their_limit_of_bytes() {
    let place = Place::new();
    place
        .open(&[])
        .append_many_json(&(0..1000).map(|i| entry(f64::from(i), "n")).collect::<Vec<_>>().join("\n"))
        .unwrap();
    let ledger = place.open(&[("result_bytes_max", "10000")]);
    let mut seen = Vec::new();
    let mut position = 0;
    while position < 1000 {
        let page = ledger.poll_since(position, NO_LIMIT).unwrap();
        assert!((2..200).contains(&page.len()), "{} entries in a page", page.len());
        assert_eq!(page.position(), ids(&page)[page.len() - 1]);
        position = page.position();
        seen.extend(ids(&page));
    }
    assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
    for error in [ledger.read_all().unwrap_err(), ledger.read_by_node("n", NO_LIMIT).unwrap_err()] {
        assert_eq!((error.status(), error.field()), (Status::LimitExceeded, "result_bytes_max"));
    }
    assert!(ledger.read_all().unwrap_err().message().contains("poll_since"));
    assert_eq!(ledger.read_by_node("n", 10).unwrap().len(), 10);
    // The other handle's limit is its own, and so the cache must not hand out more.
    assert_eq!(place.open(&[]).read_by_node("n", NO_LIMIT).unwrap().len(), 1000);
    assert_eq!(ledger.read_by_node("n", NO_LIMIT).unwrap_err().status(), Status::LimitExceeded);
    // One that is too large alone is an error rather than a poll that never gets on.
    let error = place.open(&[("result_bytes_max", "10")]).poll_since(500, 1).unwrap_err();
    assert_eq!(error.status(), Status::LimitExceeded);
    assert!(error.message().contains("501"), "{error}");
}

#[test]
fn entries_outlive_results_and_results_the_ledger() {
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 10_000);
    let all = ledger.read_all().unwrap();
    let kept: Vec<_> = [0, 4095, 4096, 9999].map(|index| all.entry(index).unwrap()).into();
    ledger.close().unwrap();
    assert_eq!(all.len(), 10_000);
    assert_eq!(ids(&all), (1..=10_000).collect::<Vec<_>>());
    assert!((0..10_000).all(|index| all.get(index).unwrap().id() == index as i64 + 1));
    assert!(all.get(10_000).is_none() && all.entry(usize::MAX).is_none());
    drop(all);
    assert_eq!(kept.iter().map(|entry| entry.as_ref().id()).collect::<Vec<_>>(), [1, 4096, 4097, 10_000]);
    assert_eq!(kept[3].as_ref().node_id(), "n");
}

#[test]
fn cleanup_leaves_a_mark_that_pollers_see() {
    both(&[], |ledger| {
        fill(&ledger, 2500);
        assert_eq!(ledger.cleanup_before_id(2001).unwrap(), 2000, "more than one step of 1,000");
        assert_eq!((ledger.count().unwrap(), ledger.first_id().unwrap()), (500, 2001));
        let page = ledger.poll_since(5, 1).unwrap();
        assert_eq!((ids(&page), page.gap_before(), page.position()), (vec![2001], 2000, 2001));
        assert_eq!(ledger.poll_since(1999, 1).unwrap().gap_before(), 2000);
        for seen in [2000, 2001] {
            assert_eq!(ledger.poll_since(seen, 1).unwrap().gap_before(), 0);
        }
        assert!(ledger.get_by_id(2000).unwrap().is_none());
        // All gone: ids go on, and a poller gets on.
        assert_eq!(ledger.cleanup_before_timestamp(1e9).unwrap(), 500);
        assert_eq!(
            (ledger.count().unwrap(), ledger.first_id().unwrap(), ledger.last_id().unwrap()),
            (0, 0, 2500)
        );
        let page = ledger.poll_since(5, NO_LIMIT).unwrap();
        assert_eq!((page.len(), page.gap_before(), page.position()), (0, 2500, 2500));
        assert_eq!(ledger.read_all().unwrap().position(), 2500);
        assert_eq!(ledger.append_json(&entry(0.0, "n")).unwrap(), 2501);
        assert_eq!(ledger.cleanup_before_id(1).unwrap(), 0);
    });
}

#[test]
fn age_counts_from_the_clock_of_the_file() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let append = |ledger: &Ledger, age: f64| ledger.append_json(&entry(now - age, "n")).unwrap();
    both(&[], |ledger| {
        for age in [1000.0, 500.0, 0.0] {
            append(&ledger, age);
        }
        assert_eq!(ledger.cleanup(750.0).unwrap(), 1);
        assert_eq!(ledger.cleanup(250.0).unwrap(), 1);
        assert_eq!(ids(&ledger.read_all().unwrap()), [3]);
    });
    both(&[("clock", "simulated")], |ledger| {
        for timestamp in [10.0, 20.0, 30.0] {
            ledger.append_json(&entry(timestamp, "n")).unwrap();
        }
        assert_eq!(ledger.cleanup(10.5).unwrap(), 1, "counted from 30, not from now");
        assert_eq!(ledger.cleanup(10.0).unwrap(), 0, "20 is exactly 10 old, not more");
        assert_eq!(ids(&ledger.read_all().unwrap()), [2, 3]);
    });
}

#[test]
fn caches_answer_what_they_know_and_never_what_has_changed() {
    both(&[], |ledger| {
        fill(&ledger, 3);
        let number = |name: &str| -> u64 {
            let metrics = ledger.metrics().unwrap().to_json();
            let rest = metrics.split_once(&format!("\"{name}\":")).unwrap().1;
            rest.split([',', '}']).next().unwrap().parse().unwrap()
        };
        for _ in 0..3 {
            assert!(ledger.get_by_id(2).unwrap().is_some());
            assert_eq!(ledger.read_by_node("n", 2).unwrap().len(), 2);
        }
        // The newest are in memory from the beginning where there is a commit log.
        let misses = if ledger.option("commit").unwrap() == "log" { 0 } else { 1 };
        assert_eq!((number("entry_cache_hits"), number("entry_cache_misses")), (3 - misses, misses));
        assert_eq!((number("query_cache_hits"), number("query_cache_misses")), (2, 1));
        ledger.invalidate_caches().unwrap();
        assert!(ledger.get_by_id(2).unwrap().is_some());
        assert_eq!(number("entry_cache_misses"), 2 * misses);
        ledger.cleanup_before_id(3).unwrap();
        assert!(ledger.get_by_id(2).unwrap().is_none());
        assert_eq!(ledger.read_by_node("n", 2).unwrap().len(), 1);
        assert_eq!((number("entries_appended"), number("entries_deleted")), (3, 2));
    });
}

#[test]
fn one_file_has_one_engine_however_it_is_spelled() {
    let place = Place::new();
    let ledger = place.open(&[("max_connections", "3"), ("unique", "none")]);
    std::os::unix::fs::symlink(place.path("ledger.db"), place.path("link.db")).unwrap();
    let spelled = place.file("./ledger.db").replace("/ledger.db", "/../")
        + &{
            let folder = place.path("").file_name().unwrap().to_str().unwrap().to_string();
            folder + "/ledger.db"
        };
    for path in [place.file("link.db"), spelled] {
        let other = Ledger::open_path(&path).unwrap();
        let id = ledger.append_json(&entry(1.0, "n")).unwrap();
        assert!(other.get_by_id(id).unwrap().is_some());
        // The counters are those of one engine.
        let appended = |ledger: &Ledger| ledger.metrics().unwrap().get("entries_appended").unwrap();
        assert_eq!(appended(&other), Some(id as f64));
        assert_eq!(appended(&ledger), Some(id as f64));
        for (key, value) in
            [("max_connections", "4"), ("synchronous_mode", "FULL"), ("journal_mode", "DELETE")]
        {
            let error = Ledger::open(&config(&path, &[(key, value)])).err().unwrap();
            assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key));
        }
        for (key, value) in [("unique", "timestamp_node_id"), ("guards", "off"), ("clock", "simulated")] {
            let error = Ledger::open(&config(&path, &[(key, value)])).err().unwrap();
            assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key));
        }
        assert!(Ledger::open(&config(&path, &[("max_connections", "3"), ("timeout", "1")])).is_ok());
    }
    // Closed everywhere, the file can be opened with other settings of the engine, not of the file.
    drop(ledger);
    assert_eq!(place.try_open(&[("unique", "timestamp_node_id")]).err().unwrap().field(), "unique");
    let ledger = place.open(&[("max_connections", "4"), ("journal_mode", "DELETE")]);
    assert_eq!(
        place.sqlite().query_row("PRAGMA journal_mode", [], |r| r.get::<_, String>(0)).unwrap(),
        "delete"
    );
    assert_eq!(ledger.count().unwrap(), 2);
}

#[test]
fn every_ledger_in_memory_is_a_new_one() {
    let (one, two) = (Ledger::open_path(":memory:").unwrap(), Ledger::open_path(":memory:").unwrap());
    one.append_json(&entry(1.0, "n")).unwrap();
    assert_eq!((one.count().unwrap(), two.count().unwrap()), (1, 0));
    assert!(!std::path::Path::new(":memory:").exists());
}

#[test]
fn read_only_reads_and_writes_nothing() {
    let place = Place::new();
    let missing = place.try_open(&[("read_only", "true")]).err().unwrap();
    assert_eq!((missing.status(), missing.field()), (Status::Io, "path"));
    assert!(!place.path("ledger.db").exists());
    let writer = place.open(&[]);
    fill(&writer, 2);
    let beside = place.open(&[("read_only", "true")]);
    assert_eq!(beside.count().unwrap(), 2);
    assert_eq!(beside.append_json(&entry(9.0, "n")).unwrap_err().status(), Status::ReadOnly);
    assert_eq!(beside.cleanup_before_id(2).unwrap_err().status(), Status::ReadOnly);
    drop((writer, beside));
    let alone = place.open(&[("read_only", "true")]);
    assert_eq!(alone.append_json(&entry(9.0, "n")).unwrap_err().status(), Status::ReadOnly);
    // Somebody who writes may come later.
    let writer = place.open(&[]);
    assert!(alone.get_by_id(3).unwrap().is_none());
    writer.append_json(&entry(9.0, "n")).unwrap();
    assert!(alone.get_by_id(3).unwrap().is_some());
    assert_eq!(alone.poll_since(2, NO_LIMIT).unwrap().len(), 1);
}

#[test]
fn a_handle_can_be_kept_to_its_thread() {
    let ledger = Ledger::open(&config(":memory:", &[("check_same_thread", "true")])).unwrap();
    fill(&ledger, 1);
    let status =
        std::thread::scope(|scope| scope.spawn(|| ledger.count().unwrap_err().status()).join().unwrap());
    assert_eq!(status, Status::WrongThread);
    std::thread::spawn(move || ledger.close().unwrap()).join().unwrap();
}

#[test]
fn the_log_hears_of_opening_and_of_what_is_wrong_and_may_call_the_ledger() {
    let place = Place::new();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let ledger: Arc<Mutex<Option<Ledger>>> = Arc::default();
    // With a row of another program.
    let mut config = config(&place.file("ledger.db"), &[("commit", "sqlite")]);
    let (heard, inner) = (Arc::clone(&lines), Arc::clone(&ledger));
    let receive = move |level: Level, line: &str| {
        heard.lock().unwrap().push((level, line.to_string()));
        if let Ok(inner) = inner.try_lock()
            && let Some(ledger) = inner.as_ref()
        {
            ledger.count().unwrap();
        }
    };
    config.set_log(Level::Info, Arc::new(receive));
    *ledger.lock().unwrap() = Some(Ledger::open(&config).unwrap());
    let opened = lines.lock().unwrap().clone();
    assert!(
        matches!(&opened[..], [(Level::Info, line)] if line.contains("ledger.db") && line.contains("SQLite"))
    );
    let guard = ledger.lock().unwrap();
    let open = guard.as_ref().unwrap();
    fill(open, 1);
    place
        .sqlite()
        .execute_batch(
            "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (7, 'n', 'secret', 0.5)",
        )
        .unwrap();
    assert_eq!(open.poll_since(0, NO_LIMIT).unwrap().position(), 2);
    let (level, line) = lines.lock().unwrap().last().unwrap().clone();
    assert!(level == Level::Warn && line.contains("row 2") && !line.contains("secret"), "{line}");
    drop(guard);
    // From outside of a call, through the handle inside: the receiver calls the ledger itself.
    let taken = ledger.lock().unwrap().take().unwrap();
    taken.close().unwrap();
    assert!(lines.lock().unwrap().last().unwrap().1.contains("closed"));
    let failed = Config::clone(&config);
    std::fs::remove_file(place.path("ledger.db")).unwrap();
    std::fs::create_dir(place.path("ledger.db")).unwrap();
    assert!(Ledger::open(&failed).is_err());
    assert!(lines.lock().unwrap().last().unwrap().0 == Level::Error);
}

#[test]
fn many_threads_append_and_every_id_is_given_once() {
    both(&[], |ledger| {
        let given: Vec<Vec<i64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let ledger = &ledger;
                    scope.spawn(move || {
                        (0..200)
                            .map(|i| ledger.append_json(&entry(f64::from(i), &format!("n{thread}"))).unwrap())
                            .collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(given.iter().all(|ids: &Vec<i64>| ids.is_sorted()));
        let all: HashSet<i64> = given.into_iter().flatten().collect();
        assert_eq!(all, (1..=1600).collect());
        assert_eq!(ids(&ledger.read_all().unwrap()), (1..=1600).collect::<Vec<_>>());
    });
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn reading_without_a_descriptor_to_spare() {
    let place = Place::new();
    let ledger = place.open(&[]);
    fill(&ledger, 1);
    ledger.release_connections().unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    let error = ledger.count().unwrap_err();
    assert_eq!(error.status(), Status::Io, "{error}");
    assert_ne!(error.sqlite_code(), 0);
    taken.clear();
    assert_eq!(ledger.count().unwrap(), 1, "it works again when there are descriptors");
    println!("said at once");
}

#[test]
fn a_connection_that_cannot_be_opened_is_an_error_and_not_a_wait() {
    let again = common::again("reading_without_a_descriptor_to_spare");
    let limited = "ulimit -n 64 && exec \"$0\" \"$@\"";
    let mut shell = std::process::Command::new("sh");
    let child = shell.args(["-c", limited]).arg(again.get_program()).args(again.get_args()).output().unwrap();
    let out = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && out.contains("said at once"), "{out}");
}
