//! A query of C, and what it means: the same conditions on a list.

use arbitrary::{Result, Unstructured};
use simledger::ffi::*;

use super::c::{Query, Row, call, lent};

pub const NODES: [&str; 6] = ["a", "b", "node-7", "knöten", " x", "a/b~"];
pub const TIMES: [f64; 10] = [0.0, 1.0, 2.5, -1.5, 3.0, 1e300, -1e300, f64::MAX, 5e-324, 7.25];

/// A number that is often one that stands in the ledger.
pub fn time(u: &mut Unstructured<'_>) -> Result<f64> {
    Ok(if u.ratio(7, 8)? { *u.choose(&TIMES)? } else { f64::from_bits(u.arbitrary()?) })
}

/// A node that is often one that the ledger knows.
pub fn node<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    if u.ratio(7, 8)? { Ok(u.choose(&NODES)?) } else { u.arbitrary() }
}

/// Whether a node can have this name.
pub fn is_node(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= 1024 && !name.contains('\0')
}

/// An id that is often near one that stands in the ledger.
pub fn id(u: &mut Unstructured<'_>, last: i64) -> Result<i64> {
    Ok(if u.ratio(7, 8)? { u.int_in_range(-1..=last.saturating_add(2))? } else { u.arbitrary()? })
}

#[derive(Clone, Debug)]
pub struct Conditions {
    pub time: Option<(f64, f64)>,
    pub ids: (i64, i64),
    pub nodes: Vec<String>,
    pub other_than: Vec<String>,
    pub min_confidence: f64,
    pub order: i32,
    pub limit: usize,
    pub after: Option<(f64, i64)>,
}

impl Conditions {
    pub fn none() -> Conditions {
        Conditions {
            time: None,
            ids: (1, i64::MAX),
            nodes: Vec::new(),
            other_than: Vec::new(),
            min_confidence: 0.0,
            order: SIMLEDGER_ORDER_ID,
            limit: usize::MAX,
            after: None,
        }
    }

    /// Whether a poll may have it.
    pub fn is_filter(&self) -> bool {
        self.order == SIMLEDGER_ORDER_ID && self.after.is_none()
    }

    fn cmp(&self, left: (f64, i64), right: (f64, i64)) -> std::cmp::Ordering {
        let by_time = left.0.partial_cmp(&right.0).expect("no NaN").then(left.1.cmp(&right.1));
        match self.order {
            SIMLEDGER_ORDER_ID => left.1.cmp(&right.1),
            SIMLEDGER_ORDER_ID_DESCENDING => right.1.cmp(&left.1),
            SIMLEDGER_ORDER_TIME => by_time,
            _ => by_time.reverse(),
        }
    }

    pub fn admits(&self, row: &Row) -> bool {
        let is_of = |nodes: &[String]| nodes.contains(&row.node);
        (self.ids.0..=self.ids.1).contains(&row.id)
            && self.time.is_none_or(|(from, to)| from <= row.timestamp && row.timestamp < to)
            && row.confidence >= self.min_confidence
            && (self.nodes.is_empty() || is_of(&self.nodes))
            && !is_of(&self.other_than)
            && self.after.is_none_or(|after| self.cmp((row.timestamp, row.id), after).is_gt())
    }

    /// What it asks for, the limit aside.
    pub fn all_of(&self, rows: &[Row]) -> Vec<Row> {
        let mut found: Vec<Row> = rows.iter().filter(|row| self.admits(row)).cloned().collect();
        found.sort_by(|left, right| self.cmp((left.timestamp, left.id), (right.timestamp, right.id)));
        found
    }

    /// What it asks for.
    pub fn select(&self, rows: &[Row]) -> Vec<Row> {
        let mut found = self.all_of(rows);
        found.truncate(self.limit);
        found
    }
}

/// Some conditions, put on a query of C; those that are none are refused and change nothing.
pub fn build(u: &mut Unstructured<'_>, last: i64) -> Result<(Query, Conditions)> {
    let (query, mut told) = (Query::new(), Conditions::none());
    let expect = |answer: super::c::Answer, good: bool| {
        answer.is(if good { SIMLEDGER_OK } else { SIMLEDGER_INVALID_ARGUMENT });
        good
    };
    for _ in 0..u.int_in_range(0..=6)? {
        // SAFETY: the query is alive, and the texts are as long as they are.
        unsafe {
            match u.int_in_range(0..=7)? {
                0 => {
                    let ends = [f64::NEG_INFINITY, f64::INFINITY];
                    let from = if u.ratio(1, 6)? { *u.choose(&ends)? } else { time(u)? };
                    let to = if u.ratio(1, 6)? { *u.choose(&ends)? } else { time(u)? };
                    let good = from < to;
                    if expect(call(|error| simledger_query_set_time_range(query.0, from, to, error)), good) {
                        told.time = Some((from, to));
                    }
                }
                1 => {
                    let (first, to) = (id(u, last)?, id(u, last)?);
                    let good = first >= 1 && first <= to;
                    if expect(call(|error| simledger_query_set_id_range(query.0, first, to, error)), good) {
                        told.ids = (first, to);
                    }
                }
                2 => {
                    let name = node(u)?;
                    let (text, len) = lent(name);
                    let answer = call(|error| simledger_query_add_node(query.0, text, len, error));
                    if expect(answer, is_node(name)) {
                        told.nodes.push(name.to_string());
                    }
                }
                3 => {
                    let name = node(u)?;
                    let (text, len) = lent(name);
                    let answer = call(|error| simledger_query_exclude_node(query.0, text, len, error));
                    if expect(answer, is_node(name)) {
                        told.other_than.push(name.to_string());
                    }
                }
                4 => {
                    let sure = if u.ratio(7, 8)? {
                        f64::from(u.int_in_range(0..=4_u8)?) / 4.0
                    } else {
                        f64::from_bits(u.arbitrary()?)
                    };
                    let answer = call(|error| simledger_query_set_min_confidence(query.0, sure, error));
                    if expect(answer, (0.0..=1.0).contains(&sure)) {
                        told.min_confidence = sure;
                    }
                }
                5 => {
                    let order = u.int_in_range(0..=5)?;
                    let answer = call(|error| simledger_query_set_order(query.0, order, error));
                    if expect(answer, (1..=4).contains(&order)) {
                        told.order = order;
                    }
                }
                6 => {
                    let limit = *u.choose(&[0, 1, 2, 3, 10, 100, usize::MAX, usize::MAX / 2])?;
                    if expect(call(|error| simledger_query_set_limit(query.0, limit, error)), limit > 0) {
                        told.limit = limit;
                    }
                }
                _ => {
                    let (timestamp, id) = (time(u)?, id(u, last)?);
                    let answer = call(|error| simledger_query_set_after(query.0, timestamp, id, error));
                    if expect(answer, timestamp.is_finite() && id >= 1) {
                        told.after = Some((timestamp, id));
                    }
                }
            }
        }
    }
    Ok((query, told))
}

/// Whether a poll above `seen` that gave this is right: what the model has there, and a position that passes over
/// nothing. `last`: the last id that there ever was.
#[track_caller]
pub fn check_poll(found: &[Row], position: i64, seen: i64, told: &Conditions, rows: &[Row], last: i64) {
    let mut told = told.clone();
    told.ids.0 = told.ids.0.max(seen.saturating_add(1));
    let all = if seen == i64::MAX { Vec::new() } else { told.all_of(rows) };
    let given = &all[..all.len().min(told.limit)];
    assert_eq!(found, given);
    assert!(position >= seen && position <= seen.max(last), "{position} behind {seen}, of {last}");
    assert!(given.last().is_none_or(|row| position >= row.id), "{position}");
    assert!(
        all.get(given.len()).is_none_or(|row| position < row.id),
        "{position} passes over {:?}",
        all[given.len()]
    );
    if given.len() < told.limit {
        assert_eq!(position, seen.max(last), "there is nothing behind it");
    }
}
