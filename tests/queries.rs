//! Queries: what they give, page by page and as filters of polls, and how SQLite carries them out.

mod common;

use common::*;
use simledger::*;

const NODES: [&str; 4] = ["a", "b", "c", "d"];

/// A ledger whose entries differ in everything, in an order that is none of time.
fn filled(place: &Place, extra: &[(&str, &str)]) -> Ledger {
    let ledger = place.open(extra);
    let entries: Vec<String> = (0..400u32)
        .map(|index| {
            let (timestamp, node) = ((index * 7919) % 101, NODES[(index * 31 % 4) as usize]);
            let confidence = f64::from(index * 13 % 11) / 10.0;
            format!(
                r#"{{"timestamp":{timestamp},"node_id":"{node}","features":{{"index":{index}}},"confidence":{confidence}}}"#
            )
        })
        .collect();
    ledger.append_many_json(&entries.join("\n")).unwrap();
    ledger
}

/// A query, and the same written down plainly.
struct Case {
    query: Query,
    keeps: Box<dyn Fn(&EntryRef<'_>) -> bool>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let times: [Option<(f64, f64)>; 4] =
        [None, Some((20.0, 40.0)), Some((f64::NEG_INFINITY, 50.0)), Some((90.0, f64::INFINITY))];
    let ids: [Option<(i64, i64)>; 3] = [None, Some((50, 300)), Some((390, i64::MAX))];
    for time in times {
        for id in ids {
            for nodes in [&[][..], &["b"], &["a", "d", "nobody"]] {
                for others in [&[][..], &["a", "c"]] {
                    for least in [None, Some(0.5), Some(0.0)] {
                        let mut query = Query::new();
                        if let Some((from, to)) = time {
                            query.time_range(from, to).unwrap();
                        }
                        if let Some((first, last)) = id {
                            query.id_range(first, last).unwrap();
                        }
                        nodes.iter().for_each(|node| query.node(node).map(drop).unwrap());
                        others.iter().for_each(|node| query.other_than_node(node).map(drop).unwrap());
                        if let Some(least) = least {
                            query.min_confidence(least).unwrap();
                        }
                        let keeps = move |entry: &EntryRef<'_>| {
                            time.is_none_or(|(from, to)| (from..to).contains(&entry.timestamp()))
                                && id.is_none_or(|(first, last)| (first..=last).contains(&entry.id()))
                                && (nodes.is_empty() || nodes.contains(&entry.node_id()))
                                && !others.contains(&entry.node_id())
                                && least.is_none_or(|least| entry.confidence() >= least)
                        };
                        cases.push(Case { query, keeps: Box::new(keeps) });
                    }
                }
            }
        }
    }
    cases
}

const ORDERS: [Order; 4] = [Order::Id, Order::IdDescending, Order::Time, Order::TimeDescending];

fn sort(entries: &mut [EntryRef<'_>], order: Order) {
    entries.sort_by(|left, right| {
        let by_id = left.id().cmp(&right.id());
        let by_time = left.timestamp().total_cmp(&right.timestamp()).then(by_id);
        match order {
            Order::Id => by_id,
            Order::IdDescending => by_id.reverse(),
            Order::Time => by_time,
            Order::TimeDescending => by_time.reverse(),
        }
    });
}

#[test]
fn a_query_gives_what_a_plain_filter_would_in_every_order_and_page_by_page() {
    let place = Place::new();
    let ledger = filled(&place, &[("unique", "none")]);
    let all = ledger.read_all().unwrap();
    for Case { mut query, keeps } in cases() {
        for order in ORDERS {
            query.order(order);
            let mut expected: Vec<EntryRef<'_>> = all.iter().filter(|entry| keeps(entry)).collect();
            sort(&mut expected, order);
            let expected: Vec<i64> = expected.iter().map(|entry| entry.id()).collect();
            let whole = ledger.query(&query).unwrap();
            assert_eq!(ids(&whole), expected, "{query:?}");
            assert_eq!(whole.position(), 400);

            let mut paged = query.clone();
            paged.limit(37).unwrap();
            let mut found = Vec::new();
            loop {
                let page = ledger.query(&paged).unwrap();
                found.extend(ids(&page));
                assert!(found.len() <= expected.len(), "{paged:?}");
                let Some(last) = page.len().checked_sub(1).and_then(|last| page.get(last)) else { break };
                paged.after(last.timestamp(), last.id()).unwrap();
            }
            assert_eq!(found, expected, "{paged:?}");
        }
    }
}

#[test]
fn a_filtered_poll_gives_each_match_once_and_its_position_passes_over_the_rest() {
    let place = Place::new();
    let ledger = filled(&place, &[("unique", "none")]);
    let all = ledger.read_all().unwrap();
    for Case { mut query, keeps } in cases() {
        let expected: Vec<i64> = all.iter().filter(|entry| keeps(entry)).map(|entry| entry.id()).collect();
        for limit in [1, 7, NO_LIMIT] {
            query.limit(limit).unwrap();
            let (mut found, mut position) = (Vec::new(), 0);
            loop {
                let page = ledger.poll_query(&query, position).unwrap();
                assert!(page.position() >= position && page.len() <= limit);
                position = page.position();
                found.extend(ids(&page));
                assert!(found.len() <= expected.len(), "{query:?}");
                if page.is_empty() {
                    break;
                }
            }
            assert_eq!((position, &found), (400, &expected), "{query:?}");
        }
    }
    // What was filtered out is not looked at again, and what comes later is seen.
    let mut query = Query::new();
    query.node("new").unwrap();
    let position = ledger.poll_query(&query, 0).unwrap().position();
    assert_eq!(position, 400);
    ledger.append_json(&entry(1.0, "new")).unwrap();
    ledger.append_json(&entry(1.0, "other")).unwrap();
    let page = ledger.poll_query(&query, position).unwrap();
    assert_eq!((ids(&page), page.position()), (vec![401], 402));
    ledger.cleanup_before_id(401).unwrap();
    assert_eq!(ledger.poll_query(&query, 5).unwrap().gap_before(), 400);
    for (wrong, part) in [
        (Query::new().order(Order::IdDescending), "order"),
        (Query::new().order(Order::Time), "order"),
        (Query::new().after(1.0, 1).unwrap(), "page"),
    ] {
        let error = ledger.poll_query(wrong, 0).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidArgument, "query"));
        assert!(error.message().contains(part), "{error}");
    }
}

/// Whether memory answers or the file.
#[test]
fn a_filter_for_ids_has_its_position_and_its_gap_from_what_there_is() {
    for tail in ["0", "67108864"] {
        let place = Place::new();
        let ledger = place.open(&[("tail_bytes_max", tail)]);
        let above = |first: i64| {
            let mut query = Query::new();
            query.id_range(first, i64::MAX).unwrap();
            query
        };
        let positions = |first: i64, since: i64| {
            let polled = ledger.poll_query(&above(first), since).unwrap().position();
            (polled, ledger.query(&above(first)).unwrap().position())
        };
        assert_eq!(positions(100, 0), (0, 0), "there is nothing yet");
        (1..=10).for_each(|time| _ = ledger.append_json(&entry(f64::from(time), "a")).unwrap());
        assert_eq!(positions(100, 0), (10, 10), "nobody who goes on from there misses what comes next");
        assert_eq!(positions(100, 20), (20, 10), "a poll's never moves back");
        ledger.cleanup_before_id(6).unwrap();
        let gap = |first: i64, since: i64| ledger.poll_query(&above(first), since).unwrap().gap_before();
        assert_eq!((gap(1, 0), gap(5, 0), gap(1, 4)), (5, 5, 5));
        assert_eq!((gap(6, 0), gap(8, 0), gap(1, 5)), (0, 0, 0), "none of these is gone");
        assert_eq!(ledger.query(&above(6)).unwrap().gap_before(), 0);
        assert_eq!(ledger.query(&above(5)).unwrap().gap_before(), 5);
    }
}

/// Before and after SQLite has seen how the data are distributed.
#[test]
fn every_query_uses_an_index_or_the_order_of_ids_and_none_sorts() {
    let place = Place::new();
    let ledger = filled(&place, &[("unique", "none")]);
    for _ in 0..2 {
        for Case { mut query, .. } in cases() {
            for order in ORDERS {
                for limit in [10, NO_LIMIT] {
                    for after in [false, true] {
                        query.order(order).limit(limit).unwrap();
                        let mut query = query.clone();
                        if after {
                            query.after(50.0, 100).unwrap();
                        }
                        let plan = ledger.query_plan(&query).unwrap();
                        for step in plan.lines() {
                            let good = step.starts_with("LIST SUBQUERY")
                                || step.contains("USING INTEGER PRIMARY KEY")
                                || step.contains("USING INDEX idx_ledger_")
                                || step.contains("USING COVERING INDEX idx_ledger_");
                            assert!(good && !step.contains("TEMP B-TREE"), "{query:?}:\n{plan}");
                        }
                    }
                }
            }
        }
        ledger.optimize().unwrap();
    }
    // And it is the index that narrows.
    let plan = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::new();
        change(&mut query);
        ledger.query_plan(&query).unwrap()
    };
    let node = plan(&|query| _ = query.node("a").unwrap());
    assert!(node.contains("idx_ledger_node_id (node_id=?"), "{node}");
    let sure = plan(&|query| _ = query.min_confidence(0.9).unwrap());
    assert!(sure.contains("idx_ledger_confidence (confidence>?"), "{sure}");
    let time = plan(&|query| _ = query.time_range(1.0, 2.0).unwrap());
    assert!(time.contains("idx_ledger_timestamp (timestamp>? AND timestamp<?"), "{time}");
    let newest = plan(&|query| _ = query.node("a").unwrap().order(Order::TimeDescending).limit(1).unwrap());
    assert!(newest.contains("idx_ledger_node_id (node_id=?"), "{newest}");
}

#[test]
fn what_is_no_query_is_said_and_changes_nothing() {
    let mut query = Query::new();
    query.time_range(1.0, 2.0).unwrap().id_range(3, 4).unwrap();
    let before = query.clone();
    let nan = f64::NAN;
    for (error, field) in [
        (query.time_range(2.0, 2.0).unwrap_err(), "from"),
        (query.time_range(3.0, 2.0).unwrap_err(), "from"),
        (query.time_range(nan, 2.0).unwrap_err(), "from"),
        (query.time_range(2.0, nan).unwrap_err(), "to"),
        (query.time_range(f64::INFINITY, f64::INFINITY).unwrap_err(), "from"),
        (query.id_range(0, 5).unwrap_err(), "first"),
        (query.id_range(5, 4).unwrap_err(), "last"),
        (query.node(" ").unwrap_err(), "node_id"),
        (query.node(&"x".repeat(1025)).unwrap_err(), "node_id"),
        (query.other_than_node("a\0b").unwrap_err(), "node_id"),
        (query.min_confidence(1.1).unwrap_err(), "min_confidence"),
        (query.min_confidence(nan).unwrap_err(), "min_confidence"),
        (query.limit(0).unwrap_err(), "limit"),
        (query.after(nan, 1).unwrap_err(), "timestamp"),
        (query.after(1.0, 0).unwrap_err(), "id"),
    ] {
        assert_eq!((error.status(), error.field()), (Status::InvalidArgument, field), "{error}");
        assert_eq!(query, before);
    }
    for index in 0..QUERY_NODES_MAX {
        query.node(&index.to_string()).unwrap();
    }
    query.node("0").expect("it is there already");
    assert!(query.node("one more").unwrap_err().message().contains("1000"));
    let place = Place::new();
    let ledger = filled(&place, &[("unique", "none")]);
    assert!(ledger.query(&query).unwrap().is_empty(), "a thousand names are no trouble");
}

#[test]
fn a_query_skips_rows_that_are_no_entries_and_ends_at_the_limit_of_bytes() {
    let place = Place::new();
    let ledger = filled(&place, &[("unique", "none"), ("guards", "off")]);
    let other = rusqlite::Connection::open(place.file("ledger.db")).unwrap();
    other.execute("UPDATE ledger SET features = 'broken' WHERE id % 3 = 0", []).unwrap();
    let mut query = Query::new();
    query.node("a").unwrap();
    for order in ORDERS {
        query.order(order).limit(NO_LIMIT).unwrap();
        let found = ids(&ledger.query(&query).unwrap());
        assert!(found.iter().all(|id| id % 3 != 0) && found.len() > 50);
        query.limit(10).unwrap();
        assert_eq!(ids(&ledger.query(&query).unwrap()), found[..10], "bad rows do not count");
    }
    query.order(Order::Id);
    let page = ledger.poll_query(&query, 0).unwrap();
    assert_eq!(page.len(), 10);
    ledger.set_option("result_bytes_max", "500").unwrap();
    let error = ledger.query(&query).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::LimitExceeded, "result_bytes_max"));
    assert!(error.message().contains("page"), "{error}");
    // A poll stops instead.
    let page = ledger.poll_query(&query, 0).unwrap();
    assert!((1..10).contains(&page.len()));
    assert_eq!(Some(page.position()), page.iter().last().map(|entry| entry.id()));
}

#[test]
fn a_poll_is_told_of_what_is_gone_whoever_answers() {
    for in_memory in ["67108864", "0"] {
        let place = Place::new();
        let ledger = filled(&place, &[("tail_bytes_max", in_memory)]);
        ledger.flush().unwrap();
        ledger.cleanup_before_id(20).unwrap();
        for (first, last_seen, gap) in
            [(1, 0, 19), (19, 0, 19), (20, 0, 0), (390, 0, 0), (1, 19, 0), (5, 18, 19)]
        {
            let mut query = Query::new();
            query.id_range(first, i64::MAX).unwrap();
            let fresh = ledger.poll_query(&query, last_seen).unwrap();
            assert_eq!(
                fresh.gap_before(),
                gap,
                "from id {first} behind {last_seen}, {in_memory} bytes in memory"
            );
        }
    }
}

#[test]
fn a_query_that_begins_behind_the_end_moves_nobody_past_it() {
    for in_memory in ["67108864", "0"] {
        let place = Place::new();
        let ledger = filled(&place, &[("tail_bytes_max", in_memory)]);
        let mut query = Query::new();
        query.id_range(1_000_000, i64::MAX).unwrap();
        assert_eq!(ledger.query(&query).unwrap().position(), 400);
        assert_eq!(ledger.poll_query(&query, 7).unwrap().position(), 400);
        assert_eq!(ledger.poll_query(&query, 500).unwrap().position(), 500);
        // And behind any that there can be.
        let mut query = Query::new();
        query.after(0.0, i64::MAX).unwrap();
        assert_eq!(ledger.query(&query).unwrap().position(), 400);
    }
}
