//! Random sequences of calls on a ledger, each of which must give what the reference in
//! `tests/common/reference.rs` gives, in both ways of committing and from one to the other.
//!
//! A sequence that does not is made as short as it gets and printed, a call on each line. proptest puts
//! its seed into `proptest-regressions/`, where it is tried first from then on; what was found for good is
//! written down below as well, since a seed means another sequence when the calls change.
//!
//! `LEDGER_PROPERTY_CASES`: how many sequences. `LEDGER_TEST_SEED`: which.

mod common;

use std::fmt;
use std::result::Result;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::reference::{ALL, Added, Filter, Old, Reference, Refused, Wanted};
use common::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Proptest, FileFailurePersistence, RngSeed, TestRunner};
use simledger::*;

const NODES: [&str; 4] = ["a", "b", "née", "nobody"];
/// The last one is later than the system's clock, and older than nothing.
const TIMES: [f64; 10] = [-1.5, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.25, 7.0, 1e11];
/// The last one is none.
const CONFIDENCES: [f64; 5] = [0.0, 0.25, 0.5, 1.0, 2.0];
/// As they come in, as they are kept, and which say the same.
const FEATURES: [(&str, &str, usize); 7] = [
    ("{}", "{}", 0),
    (r#" { "rate" : 910 } "#, r#"{"rate":910}"#, 1),
    (r#"{"a":1,"b":[2]}"#, r#"{"a":1,"b":[2]}"#, 2),
    (r#"{"b":[2],"a":1}"#, r#"{"b":[2],"a":1}"#, 2),
    (r#"{"a":1.0,"b":[2]}"#, r#"{"a":1.0,"b":[2]}"#, 3),
    ("[]", "[]", 4),
    // Others come of a length: a few fill the smallest log, many in a batch are too large for it.
    (r#"["é\n"]"#, r#"["é\n"]"#, 5),
];
const LONG: usize = FEATURES.len();
const ORDERS: [Order; 4] = [Order::Id, Order::IdDescending, Order::Time, Order::TimeDescending];

/// An entry, by places in the tables above.
#[derive(Clone, Copy)]
struct New {
    time: usize,
    node: usize,
    features: usize,
    confidence: usize,
}

impl fmt::Debug for New {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let New { time, node, features, confidence } = self;
        write!(f, "new({time}, {node}, {features}, {confidence})")
    }
}

impl New {
    fn features(&self) -> (String, String, usize) {
        match FEATURES.get(self.features) {
            Some((given, kept, meaning)) => ((*given).to_string(), (*kept).to_string(), *meaning),
            None => {
                let long = format!(r#"{{"long":"{}"}}"#, "x".repeat(9000));
                (long.clone(), long, LONG)
            }
        }
    }

    /// `None` if it is no valid entry.
    fn wanted(&self) -> Option<Wanted> {
        let (confidence, (_, features, meaning)) = (CONFIDENCES[self.confidence], self.features());
        let (timestamp, node) = (TIMES[self.time], NODES[self.node]);
        (confidence <= 1.0).then_some(Wanted { timestamp, node, features, meaning, confidence })
    }

    fn json(&self) -> String {
        let (timestamp, node, confidence) =
            (TIMES[self.time], NODES[self.node], CONFIDENCES[self.confidence]);
        let features = self.features().0;
        format!(
            r#"{{"timestamp":{timestamp},"node_id":"{node}","features":{features},"confidence":{confidence}}}"#
        )
    }
}

/// An id: this one, or so many above the last one.
#[derive(Clone, Copy, Debug)]
enum Id {
    Is(i64),
    FromLast(i64),
}
use Id::{FromLast, Is};

#[derive(Clone, Debug)]
struct Ask {
    time: Option<(usize, usize)>,
    ids: Option<(i64, i64)>,
    nodes: Vec<usize>,
    others: Vec<usize>,
    least: Option<usize>,
    after: Option<(usize, i64)>,
    order: Order,
    limit: usize,
}

/// A call. `usize` first: which handle, counted round.
#[derive(Clone, Debug)]
enum Do {
    AppendJson(usize, New),
    AppendParts(usize, New),
    /// As an array, or as lines.
    AppendMany(usize, Vec<New>, bool),
    Commit(usize, Vec<New>, Option<Id>),
    RollBack(usize, Vec<New>),
    Poll(usize, Id, usize),
    PollQuery(usize, Ask, Id),
    Wait(usize, Id, usize),
    WaitQuery(usize, Ask, Id),
    Watch(usize, Id, usize),
    Query(usize, Ask),
    ReadAll(usize),
    ByNode(usize, usize, usize),
    Get(usize, Id),
    Counts(usize),
    Sql(usize, usize, usize),
    CleanAge(usize, f64),
    CleanTime(usize, usize),
    CleanId(usize, Id),
    Retention(usize, u32),
    Set(usize, &'static str, &'static str),
    Tend(usize, Tend),
    Open(bool),
    Close(usize),
}

#[derive(Clone, Copy, Debug)]
enum Tend {
    Flush,
    Checkpoint,
    Reindex,
    Optimize,
    Incremental,
    Full,
    Check,
    Invalidate,
    Release,
}

/// The keys that the file is created with, and what is done to it.
#[derive(Clone)]
struct Case {
    keys: Vec<(&'static str, &'static str)>,
    calls: Vec<Do>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "created with {:?}", self.keys)?;
        self.calls.iter().try_for_each(|call| writeln!(f, "        {call:?},"))
    }
}

const SETTINGS: &[(&str, &str)] = &[
    ("on_duplicate", "ignore"),
    ("on_duplicate", "error"),
    ("max_connections", "1"),
    ("max_connections", "4"),
    ("entry_cache_size", "0"),
    ("entry_cache_size", "2"),
    ("query_cache_size", "0"),
    ("query_cache_size", "2"),
    ("tail_bytes_max", "0"),
    ("tail_bytes_max", "20000"),
    ("cache_ttl", "0"),
    ("cache_ttl", "300"),
    ("result_bytes_max", "12000"),
    ("result_bytes_max", "1073741824"),
    ("unique", "none"),
    ("unique", "timestamp_node_id"),
    ("clock", "simulated"),
    ("clock", "wall"),
    ("guards", "off"),
    ("guards", "on"),
    ("commit", "log"),
    ("commit", "sqlite"),
    ("commit", "log"),
    ("commit", "sqlite"),
    ("journal_mode", "DELETE"),
    ("log_bytes", "65536"),
    ("on_duplicates", "error"),
    ("clock", "sundial"),
];
const OF_THE_FILE: [&str; 4] = ["unique", "clock", "guards", "commit"];

fn some_new() -> impl Strategy<Value = New> {
    let often = |most: usize, seldom: usize| prop_oneof![20 => 0..most, 1 => Just(seldom)];
    (0..TIMES.len(), 0..3_usize, often(LONG, LONG), often(4, 4))
        .prop_map(|(time, node, features, confidence)| New { time, node, features, confidence })
}

/// Many of a length, most of them at times of their own.
fn long() -> impl Strategy<Value = Vec<New>> {
    vec((0..TIMES.len(), 0..3_usize), 3..9).prop_map(|places| {
        places.into_iter().map(|(time, node)| New { time, node, features: LONG, confidence: 1 }).collect()
    })
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![3 => (0..40_i64).prop_map(Is), 3 => (-6..4_i64).prop_map(FromLast), 1 => Just(Is(0))]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(NO_LIMIT), 4 => 1..8_usize, 1 => Just(0)]
}

fn ask(is_filter: bool) -> impl Strategy<Value = Ask> {
    let time = (0..TIMES.len(), 0..TIMES.len() + 1);
    let nodes = || vec(0..NODES.len(), 0..3);
    let parts = (of(time), of((0..30_i64, 0..40_i64)), nodes(), nodes(), of(0..4_usize));
    let is_wild =
        move |often: u32| prop::bool::weighted(if is_filter { 0.03 } else { f64::from(often) / 10.0 });
    let page = is_wild(3).prop_flat_map(|some| {
        if some { of((0..TIMES.len(), 0..40_i64)).boxed() } else { Just(None).boxed() }
    });
    let order = is_wild(8)
        .prop_flat_map(|any| if any { select(&ORDERS[..]).boxed() } else { Just(Order::Id).boxed() });
    (parts, page, order, limit()).prop_map(|((time, ids, nodes, others, least), after, order, limit)| {
        // Most ranges hold something.
        let time = time.map(|(from, more)| (from, from + 1 + more % 5));
        let ids = ids.map(|(first, last)| (first, first.max(last)));
        Ask { time, ids, nodes, others, least, after, order, limit }
    })
}

fn call() -> impl Strategy<Value = Do> {
    let h = || 0..3_usize;
    let tend = || {
        use Tend::*;
        select(vec![
            Flush,
            Flush,
            Checkpoint,
            Reindex,
            Optimize,
            Incremental,
            Full,
            Check,
            Invalidate,
            Release,
        ])
    };
    let write = prop_oneof![
        8 => (h(), some_new()).prop_map(|(h, new)| Do::AppendJson(h, new)),
        4 => (h(), some_new()).prop_map(|(h, new)| Do::AppendParts(h, new)),
        5 => (h(), vec(some_new(), 0..7), any::<bool>()).prop_map(|(h, new, array)| Do::AppendMany(h, new, array)),
        2 => (h(), long(), any::<bool>()).prop_map(|(h, new, array)| Do::AppendMany(h, new, array)),
        3 => (h(), vec(some_new(), 0..4), of(prop_oneof![3 => Just(FromLast(0)), 1 => id()]))
            .prop_map(|(h, new, expected)| Do::Commit(h, new, expected)),
        1 => (h(), vec(some_new(), 1..4)).prop_map(|(h, new)| Do::RollBack(h, new)),
    ];
    let read = prop_oneof![
        5 => (h(), id(), limit()).prop_map(|(h, since, limit)| Do::Poll(h, since, limit)),
        3 => (h(), ask(true), id()).prop_map(|(h, ask, since)| Do::PollQuery(h, ask, since)),
        1 => (h(), id(), limit()).prop_map(|(h, since, limit)| Do::Wait(h, since, limit)),
        1 => (h(), ask(true), id()).prop_map(|(h, ask, since)| Do::WaitQuery(h, ask, since)),
        1 => (h(), id(), limit()).prop_map(|(h, since, limit)| Do::Watch(h, since, limit)),
        4 => (h(), ask(false)).prop_map(|(h, ask)| Do::Query(h, ask)),
        2 => h().prop_map(Do::ReadAll),
        3 => (h(), 0..NODES.len(), limit()).prop_map(|(h, node, limit)| Do::ByNode(h, node, limit)),
        4 => (h(), id()).prop_map(|(h, id)| Do::Get(h, id)),
        3 => h().prop_map(Do::Counts),
        1 => (h(), 0..NODES.len(), limit()).prop_map(|(h, node, most)| Do::Sql(h, node, most)),
    ];
    let rest = prop_oneof![
        2 => (h(), select(&[0.0, 1.5, 3.0, 1e13][..])).prop_map(|(h, age)| Do::CleanAge(h, age)),
        2 => (h(), 0..TIMES.len()).prop_map(|(h, time)| Do::CleanTime(h, time)),
        3 => (h(), id()).prop_map(|(h, id)| Do::CleanId(h, id)),
        1 => (h(), 1..4_u32).prop_map(|(h, seconds)| Do::Retention(h, seconds)),
        6 => (h(), select(SETTINGS)).prop_map(|(h, (key, value))| Do::Set(h, key, value)),
        4 => (h(), tend()).prop_map(|(h, tend)| Do::Tend(h, tend)),
        3 => prop::bool::weighted(0.3).prop_map(Do::Open),
        4 => h().prop_map(Do::Close),
    ];
    prop_oneof![5 => write, 6 => read, 3 => rest]
}

fn case() -> impl Strategy<Value = Case> {
    let key = |key: &'static str, values: &'static [&'static str]| {
        of(select(values)).prop_map(move |value| value.map(|value| (key, value)))
    };
    let keys = (
        key("unique", &["none"]),
        key("clock", &["simulated"]),
        key("tail_bytes_max", &["0", "20000"]),
        prop::bool::weighted(0.8).prop_map(|small| small.then_some(("log_bytes", "65536"))),
    );
    let keys = keys.prop_map(|(a, b, c, d)| [a, b, c, d].into_iter().flatten().collect());
    (keys, vec(call(), 1..60)).prop_map(|(keys, calls)| Case { keys, calls })
}

/// What is not as it should be.
type Wrong = String;

/// What there is must be what there should be.
fn same<T: PartialEq<U> + fmt::Debug, U: fmt::Debug>(
    real: T,
    expected: U,
    what: impl fmt::Display,
) -> Result<(), Wrong> {
    if real == expected { Ok(()) } else { Err(format!("{what}: {real:?}, but it should be {expected:?}")) }
}

/// A handle that is open, and what was set on it alone.
struct Open {
    ledger: Ledger,
    read_only: bool,
    ignores: bool,
    bytes_max: usize,
}

/// The ledger, and beside it what it should be.
struct World {
    place: Place,
    handles: Vec<Open>,
    reference: Reference,
    /// Keys that belong to the file, as they were set.
    commit: String,
    guards: &'static str,
}

impl World {
    fn new(keys: &[(&'static str, &'static str)]) -> World {
        let place = Place::new();
        let ledger = place.open(&[keys, &[("timeout", "60")]].concat());
        let has = |pair| keys.contains(&pair);
        let reference = Reference {
            any_number: has(("unique", "none")),
            simulated: has(("clock", "simulated")),
            ..Reference::default()
        };
        let commit = ledger.option("commit").unwrap();
        let first = Open { ledger, read_only: false, ignores: false, bytes_max: usize::MAX };
        World { place, handles: vec![first], reference, commit, guards: "on" }
    }

    fn id(&self, id: Id) -> i64 {
        match id {
            Is(id) => id,
            FromLast(more) => self.reference.last + more,
        }
    }

    /// A handle, if any is open.
    fn handle(&self, number: usize) -> Option<&Open> {
        self.handles.get(number % self.handles.len().max(1))
    }

    /// Makes a call.
    fn make(&mut self, call: &Do) -> Result<(), Wrong> {
        match call {
            Do::Open(read_only) => return self.open(*read_only),
            Do::Close(number) => return self.close(*number),
            _ => {}
        }
        use Do::*;
        let number = match call {
            AppendJson(h, ..) | AppendParts(h, ..) | AppendMany(h, ..) | Commit(h, ..) | RollBack(h, ..) => h,
            Poll(h, ..) | PollQuery(h, ..) | Wait(h, ..) | WaitQuery(h, ..) | Watch(h, ..) => h,
            Query(h, ..) | ReadAll(h) | ByNode(h, ..) | Get(h, ..) | Counts(h) | Sql(h, ..) => h,
            CleanAge(h, ..) | CleanTime(h, ..) | CleanId(h, ..) | Retention(h, ..) => h,
            Set(h, ..) | Tend(h, ..) | Close(h) => h,
            Open(_) => &0,
        };
        let Some(handle) = self.handle(*number) else { return Ok(()) };
        match call {
            AppendJson(_, new) => {
                let real = handle.ledger.append_json(&new.json());
                self.appended(*number, std::slice::from_ref(new), None, real.map(one), |added| {
                    one(id_of(added))
                })
            }
            AppendParts(_, new) => {
                let node = NODES[new.node];
                let (time, confidence) = (TIMES[new.time], CONFIDENCES[new.confidence]);
                let real = handle.ledger.append_parts(time, node, &new.features().0, confidence);
                self.appended(*number, std::slice::from_ref(new), None, real.map(one), |added| {
                    one(id_of(added))
                })
            }
            AppendMany(_, new, as_array) => {
                let entries: Vec<String> = new.iter().map(New::json).collect();
                let json = if *as_array { format!("[{}]", entries.join(",")) } else { entries.join("\n") };
                let real = handle.ledger.append_many_json(&json);
                self.appended(*number, new, None, real.map(batch), many)
            }
            Commit(_, new, expected) => {
                let mut transaction = handle.ledger.transaction();
                for new in new {
                    let index = transaction.len();
                    match (transaction.append_json(&new.json()), new.wanted()) {
                        (Ok(at), Some(_)) => same(at, index, "the place in the transaction")?,
                        (Err(error), None) => same(error.status(), Status::InvalidEntry, "its status")?,
                        (real, wanted) => return Err(format!("{real:?} of {wanted:?}")),
                    }
                }
                let expected = expected.map(|id| self.id(id).max(0));
                if let Some(expected) = expected {
                    transaction.expect_last_id(expected).map_err(|error| error.to_string())?;
                }
                let held = transaction.len();
                let real = handle.ledger.commit(&mut transaction);
                same(transaction.len(), if real.is_ok() { 0 } else { held }, "what the transaction holds")?;
                let valid: Vec<New> = new.iter().copied().filter(|new| new.wanted().is_some()).collect();
                self.appended(*number, &valid, expected, real.map(batch), many)
            }
            RollBack(_, new) => {
                let mut transaction = handle.ledger.transaction();
                new.iter().for_each(|new| _ = transaction.append_json(&new.json()));
                Ok(())
            }
            Poll(_, since, limit) => self.polled(handle, &ALL, self.id(*since), *limit, |since| {
                handle.ledger.poll_since(since, *limit)
            }),
            Wait(_, since, limit) => self.polled(handle, &ALL, self.id(*since), *limit, |since| {
                handle.ledger.wait_since(since, *limit, Duration::ZERO)
            }),
            Watch(_, since, limit) => self.polled(handle, &ALL, self.id(*since), *limit, |since| {
                let watch = handle.ledger.watch(since, None)?;
                handle.ledger.poll_watch(&watch, *limit)
            }),
            PollQuery(_, ask, since) => {
                self.filtered(handle, ask, *since, |query, since| handle.ledger.poll_query(query, since))
            }
            WaitQuery(_, ask, since) => self.filtered(handle, ask, *since, |query, since| {
                handle.ledger.wait_query(query, since, NO_LIMIT, Duration::ZERO)
            }),
            Query(_, ask) => match asked(ask) {
                Err(wrong) => wrong,
                Ok(None) => Ok(()),
                Ok(Some((query, filter))) => {
                    self.read(handle, &self.reference.ids(&filter, 0), ask.limit, handle.ledger.query(&query))
                }
            },
            ReadAll(_) => {
                let read = handle.ledger.read_all();
                if let Ok(read) = &read {
                    same(read.gap_before(), self.reference.mark, "the gap")?;
                }
                self.read(handle, &self.reference.ids(&ALL, 0), NO_LIMIT, read)
            }
            ByNode(_, node, limit) => {
                let filter = Filter { nodes: vec![NODES[*node]], order: Order::TimeDescending, ..ALL };
                let ids = self.reference.ids(&filter, 0);
                self.read(handle, &ids, *limit, handle.ledger.read_by_node(NODES[*node], *limit))
            }
            Get(_, id) => {
                let id = self.id(*id);
                match handle.ledger.get_by_id(id) {
                    Err(error) => {
                        same((error.status(), id < 1), (Status::InvalidArgument, true), "the error")?;
                    }
                    Ok(None) => {
                        same((self.reference.entries.get(&id), id < 1), (None, false), "no entry")?;
                    }
                    Ok(Some(entry)) => self.is_as_appended(entry.as_ref())?,
                }
                Ok(())
            }
            Counts(_) => {
                let (entries, ledger) = (&self.reference.entries, &handle.ledger);
                let real = (ledger.count().ok(), ledger.first_id().ok(), ledger.last_id().ok());
                let first = entries.first_key_value().map_or(0, |(id, _)| *id);
                same(
                    real,
                    (Some(entries.len() as i64), Some(first), Some(self.reference.last)),
                    "count and ends",
                )?;
                Ok(())
            }
            Sql(_, node, most) => self.sql(handle, *node, *most),
            CleanAge(_, age) => self.cleaned(*number, Old::Age(*age), handle.ledger.cleanup(*age)),
            CleanTime(_, time) => {
                let time = TIMES[*time];
                let real = handle.ledger.cleanup_before_timestamp(time);
                self.cleaned(*number, Old::BeforeTimestamp(time), real)
            }
            CleanId(_, id) => {
                let id = self.id(*id);
                self.cleaned(*number, Old::BeforeId(id), handle.ledger.cleanup_before_id(id))
            }
            Retention(_, seconds) => self.retain(*number, *seconds),
            Set(_, key, value) => self.set(*number, key, value),
            Tend(_, what) => tend(handle, *what),
            Open(_) | Close(_) => Ok(()),
        }
    }

    fn appended(
        &mut self,
        number: usize,
        new: &[New],
        expected: Option<i64>,
        real: simledger::Result<Added>,
        told: impl Fn(Added) -> Added,
    ) -> Result<(), Wrong> {
        let Some(handle) = self.handle(number) else { return Ok(()) };
        let (ignores, read_only) = (handle.ignores, handle.read_only);
        let wanted: Vec<Option<Wanted>> = new.iter().map(New::wanted).collect();
        let invalid = wanted.iter().position(Option::is_none);
        let expected = match invalid {
            Some(index) => {
                let refused = Refused::with(Status::InvalidEntry);
                // A batch tells which, a single entry need not.
                let in_batch = real.as_ref().is_err_and(|error| error.index().is_some());
                Err(Refused { index: in_batch.then_some(index), ..refused })
            }
            None if read_only => Err(Refused::with(Status::ReadOnly)),
            None => {
                let wanted: Vec<Wanted> = wanted.into_iter().flatten().collect();
                // The same for one that is alone.
                let alone = real.as_ref().is_err_and(|error| error.index() == Some(0)).then_some(0);
                let at = |refused: Refused| match refused.status {
                    Status::Duplicate => Refused { index: refused.index.or(alone), ..refused },
                    _ => refused,
                };
                self.reference.append(&wanted, ignores, expected).map(told).map_err(at)
            }
        };
        same(real.map_err(|error| refused(&error)), expected, "what became of it")?;
        Ok(())
    }

    fn filtered(
        &self,
        handle: &Open,
        ask: &Ask,
        since: Id,
        poll: impl Fn(&Query, i64) -> simledger::Result<Entries>,
    ) -> Result<(), Wrong> {
        match asked(ask) {
            Err(wrong) => wrong,
            Ok(None) => Ok(()),
            Ok(Some((query, filter))) => {
                let since = self.id(since);
                if filter.order != Order::Id || filter.after.is_some() {
                    let status = poll(&query, since.max(0)).map(drop).map_err(|error| error.status());
                    same(status, Err(Status::InvalidArgument), "a poll with an order or a page of its own")?;
                    return Ok(());
                }
                self.polled(handle, &filter, since, ask.limit, |since| poll(&query, since))
            }
        }
    }

    /// A poll gives what passes, and its position is neither short of what it gave nor beyond what it did not.
    fn polled(
        &self,
        handle: &Open,
        filter: &Filter,
        since: i64,
        limit: usize,
        poll: impl Fn(i64) -> simledger::Result<Entries>,
    ) -> Result<(), Wrong> {
        let real = poll(since);
        if since < 0 || limit == 0 {
            same(real.map(drop).map_err(|error| error.status()), Err(Status::InvalidArgument), "its status")?;
            return Ok(());
        }
        let ids = self.reference.ids(filter, since);
        let real = match real {
            Err(error) if error.status() == Status::LimitExceeded => {
                let first = ids.first().map_or(0, |id| most_bytes(&self.reference.entries[id]));
                same(first > handle.bytes_max, true, "one entry alone is too large")?;
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
            Ok(real) => real,
        };
        let found = common::ids(&real);
        real.iter().try_for_each(|entry| self.is_as_appended(entry))?;
        let whole: Vec<i64> = ids.iter().copied().take(limit).collect();
        let was_cut = found.len() < whole.len();
        same(&found[..], &whole[..found.len().min(whole.len())], "the entries")?;
        if was_cut {
            let more: usize =
                whole[..=found.len()].iter().map(|id| most_bytes(&self.reference.entries[id])).sum();
            same(!found.is_empty() && more > handle.bytes_max, true, "the rest may be too large")?;
        }
        let position = real.position();
        let last = found.last().copied().unwrap_or(since);
        let next = ids.get(found.len()).copied();
        match next {
            None if found.len() == limit => {
                let end = since.max(self.reference.last);
                same((last..=end).contains(&position), true, format!("its position {position}"))?;
            }
            None => same(position, since.max(self.reference.last), "its position")?,
            Some(next) => same((last..next).contains(&position), true, format!("its position {position}"))?,
        }
        // What was asked for begins behind this id.
        let begin = since.max(filter.ids.0 - 1);
        let mark = self.reference.mark;
        same(real.gap_before(), if mark > begin { mark } else { 0 }, "the gap")?;
        Ok(())
    }

    /// A read gives all that was asked for, or says that it is too much.
    fn read(
        &self,
        handle: &Open,
        ids: &[i64],
        limit: usize,
        real: simledger::Result<Entries>,
    ) -> Result<(), Wrong> {
        if limit == 0 {
            same(real.map(drop).map_err(|error| error.status()), Err(Status::InvalidArgument), "its status")?;
            return Ok(());
        }
        let ids = &ids[..ids.len().min(limit)];
        let bytes: usize = ids.iter().map(|id| most_bytes(&self.reference.entries[id])).sum();
        match real {
            Err(error) => {
                let expected = (Status::LimitExceeded, true);
                same((error.status(), bytes > handle.bytes_max), expected, error)?;
            }
            Ok(real) => {
                same(common::ids(&real), ids, "the entries")?;
                same(real.position(), self.reference.last, "its position")?;
                let text: usize = ids.iter().map(|id| self.reference.entries[id].features.len()).sum();
                same(text <= handle.bytes_max, true, "it is not too much")?;
                real.iter().try_for_each(|entry| self.is_as_appended(entry))?;
            }
        }
        Ok(())
    }

    fn sql(&self, handle: &Open, node: usize, most: usize) -> Result<(), Wrong> {
        let sql = "SELECT id, timestamp, features, confidence FROM ledger WHERE node_id = ?1 ORDER BY id";
        let real = handle.ledger.sql(sql, Some(&format!("[\"{}\"]", NODES[node])), most);
        if most == 0 {
            same(real.map_err(|error| error.status()), Err(Status::InvalidArgument), "its status")?;
            return Ok(());
        }
        let filter = Filter { nodes: vec![NODES[node]], ..ALL };
        let mut ids = self.reference.ids(&filter, 0);
        let truncated = ids.len() > most;
        ids.truncate(most);
        let bytes: usize = ids.iter().map(|id| most_bytes(&self.reference.entries[id])).sum();
        let real = match real {
            Err(error) => {
                same((error.status(), bytes > handle.bytes_max), (Status::LimitExceeded, true), error)?;
                return Ok(());
            }
            Ok(real) => {
                serde_json::from_str::<serde_json::Value>(&real).map_err(|error| error.to_string())?
            }
        };
        let row = |id: &i64| {
            let Wanted { timestamp, features, confidence, .. } = &self.reference.entries[id];
            serde_json::json!([id, timestamp, features, confidence])
        };
        let rows: Vec<_> = ids.iter().map(row).collect();
        same((&real["rows"], &real["truncated"]), (&rows.into(), &truncated.into()), "the rows")?;
        Ok(())
    }

    fn cleaned(&mut self, number: usize, old: Old, real: simledger::Result<i64>) -> Result<(), Wrong> {
        let read_only = self.handle(number).is_some_and(|handle| handle.read_only);
        let is_argument = match old {
            Old::Age(age) => age > 0.0,
            Old::BeforeId(id) => id >= 1,
            Old::BeforeTimestamp(_) => true,
        };
        let expected = match (is_argument, read_only) {
            (false, _) => Err(Status::InvalidArgument),
            (true, true) => Err(Status::ReadOnly),
            (true, false) => Ok(self.reference.clean(old, now())),
        };
        same(real.map_err(|error| error.status()), expected, "how many were deleted")?;
        Ok(())
    }

    /// Lets the background clean up, once at least.
    fn retain(&mut self, number: usize, seconds: u32) -> Result<(), Wrong> {
        let Some(handle) = self.handle(number) else { return Ok(()) };
        let before = metric(&handle.ledger, "retention_runs");
        let real = handle.ledger.set_option("retention_seconds", &seconds.to_string());
        if handle.read_only {
            same(real.map_err(|error| error.status()), Err(Status::ReadOnly), "its status")?;
            return Ok(());
        }
        real.map_err(|error| error.to_string())?;
        wait_until(|| metric(&handle.ledger, "retention_runs") > before);
        handle.ledger.set_option("retention_seconds", "0").map_err(|error| error.to_string())?;
        same(metric(&handle.ledger, "retention_failures"), 0.0, "failures of the retention")?;
        self.reference.clean(Old::Age(f64::from(seconds)), now());
        Ok(())
    }

    fn set(&mut self, number: usize, key: &'static str, value: &'static str) -> Result<(), Wrong> {
        let (alone, place) = (self.handles.len() == 1, number % self.handles.len().max(1));
        let Some(handle) = self.handles.get_mut(place) else { return Ok(()) };
        let before = handle.ledger.option(key).ok();
        let real = handle.ledger.set_option(key, value).map_err(|error| error.status());
        let refused = match key {
            "journal_mode" | "log_bytes" | "on_duplicates" => Err(Status::InvalidConfig),
            _ if value == "sundial" => Err(Status::InvalidConfig),
            _ if OF_THE_FILE.contains(&key) && handle.read_only => Err(Status::ReadOnly),
            _ if OF_THE_FILE.contains(&key) && !alone => Err(Status::InvalidConfig),
            "unique" if value != "none" && !self.reference.is_unique() => Err(Status::Duplicate),
            _ => Ok(()),
        };
        same(real, refused, "what becomes of the key")?;
        let after = handle.ledger.option(key).ok();
        if refused.is_err() {
            same(after, before, "the key, since nothing is changed")?;
            return Ok(());
        }
        same(after.as_deref(), Some(value), "the key")?;
        match key {
            "on_duplicate" => handle.ignores = value == "ignore",
            "result_bytes_max" => handle.bytes_max = value.parse().expect("a number"),
            "unique" => self.reference.any_number = value == "none",
            "clock" => self.reference.simulated = value == "simulated",
            "commit" => self.commit = value.to_string(),
            "guards" => self.guards = value,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, read_only: bool) -> Result<(), Wrong> {
        if self.handles.len() == 3 {
            return Ok(());
        }
        let keys: &[(&str, &str)] =
            &[("timeout", "60"), ("read_only", if read_only { "true" } else { "false" })];
        let ledger = self.place.try_open(keys).map_err(|error| error.to_string())?;
        self.handles.push(Open { ledger, read_only, ignores: false, bytes_max: 1 << 30 });
        self.is_as_set()
    }

    fn close(&mut self, number: usize) -> Result<(), Wrong> {
        if self.handles.is_empty() {
            return Ok(());
        }
        let closed = self.handles.remove(number % self.handles.len()).ledger.close();
        closed.map_err(|error| error.to_string())
    }

    /// What the file has of its keys.
    fn is_as_set(&self) -> Result<(), Wrong> {
        let unique = if self.reference.any_number { "none" } else { "timestamp_node_id" };
        let clock = if self.reference.simulated { "simulated" } else { "wall" };
        let expected =
            [("unique", unique), ("clock", clock), ("guards", self.guards), ("commit", &self.commit)];
        for (key, value) in expected {
            for handle in &self.handles {
                same(handle.ledger.option(key).ok().as_deref(), Some(value), key)?;
            }
        }
        Ok(())
    }

    fn is_as_appended(&self, entry: EntryRef<'_>) -> Result<(), Wrong> {
        let Some(wanted) = self.reference.entries.get(&entry.id()) else {
            return Err(format!("entry {} is not there", entry.id()));
        };
        let real = (entry.timestamp(), entry.node_id(), entry.features(), entry.confidence());
        let Wanted { timestamp, node, features, confidence, .. } = wanted;
        same(real, (*timestamp, *node, features.as_str(), *confidence), format!("entry {}", entry.id()))?;
        same((entry.created_at() - now()).abs() < 600.0, true, "it was made just now")?;
        Ok(())
    }

    /// At the end: the file has it all, as another program sees it, and nothing else is left.
    fn end(mut self) -> Result<(), Wrong> {
        while !self.handles.is_empty() {
            self.close(0)?;
        }
        {
            let file = self.place.sqlite();
            same(integrity(&file), "ok", "SQLite's own check")?;
            let mut rows = file.prepare("SELECT id, features FROM ledger ORDER BY id").expect("the table");
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("its rows");
            let real: Vec<(i64, String)> = rows.map(|row| row.expect("a row")).collect();
            let expected = self.reference.entries.iter().map(|(id, entry)| (*id, entry.features.clone()));
            same(real, expected.collect::<Vec<_>>(), "the rows of the file")?;
        }
        self.open(false)?;
        self.make(&Do::Counts(0))?;
        self.make(&Do::Tend(0, Tend::Check))?;
        self.close(0)
    }
}

fn tend(handle: &Open, what: Tend) -> Result<(), Wrong> {
    let ledger = &handle.ledger;
    let (real, writes) = match what {
        Tend::Flush => (ledger.flush(), false),
        Tend::Checkpoint => (ledger.checkpoint(), true),
        Tend::Reindex => (ledger.reindex(), true),
        Tend::Optimize => (ledger.optimize(), true),
        Tend::Incremental => (ledger.vacuum(Vacuum::Incremental).map(drop), true),
        Tend::Full => (ledger.vacuum(Vacuum::Full).map(drop), true),
        Tend::Invalidate => (ledger.invalidate_caches(), false),
        Tend::Release => (ledger.release_connections(), false),
        Tend::Check => {
            let findings = ledger.integrity_check(NO_LIMIT, None).map_err(|error| error.to_string())?;
            same(findings, Vec::<String>::new(), "the findings")?;
            (Ok(()), false)
        }
    };
    let expected = if writes && handle.read_only { Err(Status::ReadOnly) } else { Ok(()) };
    same(real.map_err(|error| error.status()), expected, "its status")?;
    Ok(())
}

/// A query of the library and what it asks for, written down plainly; `None` where it is none, and
/// the library says so.
#[allow(clippy::type_complexity)]
fn asked(ask: &Ask) -> Result<Option<(Query, Filter)>, Result<(), Wrong>> {
    let time = |at: usize| TIMES.get(at).copied().unwrap_or(f64::INFINITY);
    let name = |nodes: &[usize]| nodes.iter().map(|node| NODES[*node]).collect::<Vec<_>>();
    let filter = Filter {
        time: ask.time.map(|(from, to)| (time(from), time(to))),
        ids: ask.ids.unwrap_or(ALL.ids),
        nodes: name(&ask.nodes),
        others: name(&ask.others),
        least: ask.least.map(|least| CONFIDENCES[least]),
        after: ask.after.map(|(at, id)| (TIMES[at], id)),
        order: ask.order,
    };
    let make = || {
        let mut query = Query::new();
        filter.time.map_or(Ok(()), |(from, to)| query.time_range(from, to).map(drop))?;
        ask.ids.map_or(Ok(()), |(first, last)| query.id_range(first, last).map(drop))?;
        filter.nodes.iter().try_for_each(|node| query.node(node).map(drop))?;
        filter.others.iter().try_for_each(|node| query.other_than_node(node).map(drop))?;
        filter.least.map_or(Ok(()), |least| query.min_confidence(least).map(drop))?;
        filter.after.map_or(Ok(()), |(at, id)| query.after(at, id).map(drop))?;
        query.order(ask.order).limit(ask.limit)?;
        Ok::<_, Error>(query)
    };
    let is_wrong = ask.limit == 0 || filter.ids.0 < 1 || filter.after.is_some_and(|(_, id)| id < 1);
    match (make(), is_wrong) {
        (Ok(query), false) => Ok(Some((query, filter))),
        (Err(error), true) if error.status() == Status::InvalidArgument => Ok(None),
        (made, _) => Err(Err(format!("a query that {made:?}"))),
    }
}

/// More than the library needs for an entry, whatever it counts.
fn most_bytes(entry: &Wanted) -> usize {
    1000 + 2 * (entry.node.len() + entry.features.len())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64()
}

fn refused(error: &Error) -> Refused {
    Refused { status: error.status(), id: error.entry_id(), index: error.index() }
}

fn one(id: i64) -> Added {
    Added { first_id: id, ..Added::default() }
}

/// The id that an append of one entry gives.
fn id_of(added: Added) -> i64 {
    if added.count > 0 { added.first_id } else { added.existing_id }
}

fn batch(Batched { first_id, count }: Batched) -> Added {
    Added { first_id, count, existing_id: 0 }
}

/// What is told of a batch: nothing of what was there.
fn many(added: Added) -> Added {
    Added { existing_id: 0, ..added }
}

fn run(case: &Case) -> Result<(), Wrong> {
    let mut world = World::new(&case.keys);
    for (number, call) in case.calls.iter().enumerate() {
        world.make(call).map_err(|wrong| format!("call {number}, {call:?}: {wrong}"))?;
    }
    world.end().map_err(|wrong| format!("at the end: {wrong}"))
}

#[test]
fn every_sequence_of_calls_gives_what_the_reference_gives() {
    let cases = std::env::var("LEDGER_PROPERTY_CASES").map_or(30, |cases| cases.parse().expect("a number"));
    let config = Proptest {
        cases,
        rng_seed: RngSeed::Fixed(Random::new().below(u64::MAX)),
        max_shrink_iters: 20_000,
        max_shrink_time: 120_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/properties.txt",
        ))),
        ..Proptest::default()
    };
    let calls = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(config);
    let result = runner.run(&case(), |case| {
        calls.set(calls.get() + case.calls.len());
        run(&case).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("counted: {cases} sequences of {} calls in all, each call as in the reference", calls.get());
}

fn new(time: usize, node: usize, features: usize, confidence: usize) -> New {
    New { time, node, features, confidence }
}

/// All entries from this id on.
fn above(first: i64) -> Ask {
    Ask {
        time: None,
        ids: Some((first, i64::MAX)),
        nodes: Vec::new(),
        others: Vec::new(),
        least: None,
        after: None,
        order: Order::Id,
        limit: NO_LIMIT,
    }
}

/// What was found, as it was printed.
#[test]
fn sequences_that_were_wrong_once_are_right() {
    let long = |time| new(time, 2, LONG, 1);
    let cases: [(&str, Vec<Do>); 3] = [
        (
            "a position beyond the last id",
            vec![
                Do::PollQuery(0, above(4), Is(0)),
                Do::AppendJson(0, new(0, 0, 0, 0)),
                Do::Query(0, above(4)),
            ],
        ),
        (
            "a gap that depends on who answers",
            vec![
                Do::AppendJson(0, new(0, 0, 0, 0)),
                Do::AppendMany(0, vec![new(0, 1, 0, 0), new(0, 2, 0, 0)], false),
                Do::AppendMany(0, vec![new(1, 0, 0, 0), new(1, 1, 0, 0)], true),
                Do::CleanId(0, Is(5)),
                Do::PollQuery(0, above(5), FromLast(-3)),
            ],
        ),
        (
            "a batch that the file is asked about for ever",
            vec![
                Do::AppendMany(0, vec![new(5, 0, 2, 1), new(5, 1, 2, 1)], false),
                Do::AppendMany(0, (0..8).map(long).collect(), false),
                Do::AppendParts(0, new(7, 0, 2, 1)),
                Do::AppendMany(0, vec![new(1, 1, 1, 1), new(1, 0, 1, 1)], false),
            ],
        ),
    ];
    for (what, calls) in cases {
        for tail in ["0", "67108864"] {
            let case =
                Case { keys: vec![("log_bytes", "65536"), ("tail_bytes_max", tail)], calls: calls.clone() };
            run(&case).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
        }
    }
}
