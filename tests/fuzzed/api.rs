//! Sequences of calls of the C functions, right and wrong ones, against a list in memory: in both ways of committing and
//! in memory, on one handle and on two of the same file, over closing and opening again. Each input is a ledger of its
//! own, by one thread.

use std::fmt::Write;
use std::ptr;

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use simledger::ffi::*;
use simledger::internals::json_by_the_rules;

use super::c::{Answer, Config, Row, Rows, call, close, lent, owned, row};
use super::conditions::{Conditions, build, check_poll, id, is_node, node, time};
use super::model::{Added, Model, New};

const STEPS_MAX: usize = 60;

pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(mut world) = World::begin(&mut u) else { return };
    for _ in 0..STEPS_MAX {
        // Where the data ends, so do the steps.
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
    }
    world.end();
}

struct Handle {
    ledger: *mut simledger_ledger,
    is_open: bool,
    ignore: bool,
}

struct Transaction {
    handle: *mut simledger_transaction,
    /// Of which handle, in the order in which they were opened.
    of: usize,
    entries: Vec<New>,
    expected: Option<i64>,
    is_open: bool,
}

struct Watch {
    handle: *mut simledger_watch,
    of: usize,
    position: i64,
    is_open: bool,
}

struct World {
    _folder: tempfile::TempDir,
    /// Nothing for one in memory.
    path: Option<String>,
    keys: Vec<(&'static str, &'static str)>,
    model: Model,
    handles: Vec<Handle>,
    transactions: Vec<Transaction>,
    watches: Vec<Watch>,
    /// Results that outlive what they came from, with what was in them.
    kept: Vec<(Rows, Vec<Row>)>,
    entries: Vec<(*mut simledger_entry, Row)>,
}

/// An entry as a caller gives it, and what it is if it is one.
struct Given<'a> {
    timestamp: f64,
    node: &'a str,
    features: String,
    confidence: f64,
    valid: Option<New>,
}

fn given<'a>(u: &mut Unstructured<'a>) -> Result<Given<'a>> {
    const FEATURES: [&str; 12] = [
        "{}",
        "[]",
        r#"{"a":1}"#,
        r#" { "a" : 1 } "#,
        r#"{"a":1.0}"#,
        r#"{"b":[1,2],"a":"é"}"#,
        r#"{"a":"\u00e9","b":[ 1 , 2 ]}"#,
        r#"{"a":1,"a":2}"#,
        "1",
        "[1",
        r#"["\ud800"]"#,
        "",
    ];
    // Often the same, so that there are duplicates, and equal ones among them.
    let (timestamp, node) = if u.ratio(1, 2)? {
        (*u.choose(&[1.0, 2.5])?, *u.choose(&["a", "b"])?)
    } else {
        (time(u)?, node(u)?)
    };
    let features = match u.int_in_range(0..=31)? {
        0 => u.arbitrary::<&str>()?.to_string(),
        // Some of them are a part of the smallest ring, some more than half of it.
        1 => format!("[{}0]", "1,".repeat(u.int_in_range(0..=20_000)?)),
        2 => format!("{}{}", "[".repeat(u.int_in_range(1..=130)?), "]".repeat(u.int_in_range(1..=130)?)),
        3..=15 => (*u.choose(&FEATURES)?).to_string(),
        _ => (*u.choose(&FEATURES[2..4])?).to_string(),
    };
    let confidence = if u.ratio(15, 16)? {
        f64::from(u.int_in_range(0..=4_u8)?) / 4.0
    } else {
        f64::from_bits(u.arbitrary()?)
    };
    let compact = json_by_the_rules(&features, 128, true).ok().filter(|text| text.starts_with(['{', '[']));
    let is_valid = timestamp.is_finite() && is_node(node) && (0.0..=1.0).contains(&confidence);
    let valid = compact.filter(|_| is_valid).map(|features| New {
        timestamp: timestamp + 0.0,
        node: node.to_string(),
        features,
        confidence: confidence + 0.0,
    });
    Ok(Given { timestamp, node, features, confidence, valid })
}

impl Given<'_> {
    /// As JSON, where its numbers can be said.
    fn json(&self) -> String {
        let number =
            |number: f64| if number.is_finite() { Value::from(number).to_string() } else { "1e999".into() };
        format!(
            "{{\"timestamp\":{},\"other\":[{{}}],\"node_id\":{},\"features\":{},\"confidence\":{}}}",
            number(self.timestamp),
            Value::from(self.node),
            self.features,
            number(self.confidence)
        )
    }
}

impl World {
    fn begin(u: &mut Unstructured<'_>) -> Result<World> {
        let folder = super::folder();
        let mut keys = vec![("clock", "simulated"), ("timeout", "20")];
        let in_memory = match u.int_in_range(0..=6)? {
            0 => true,
            1..=4 => {
                keys.extend([("commit", "log"), ("log_bytes", "65536")]);
                false
            }
            way => {
                keys.extend([
                    ("commit", "sqlite"),
                    ("journal_mode", if way == 5 { "WAL" } else { "DELETE" }),
                ]);
                false
            }
        };
        let unique = u.ratio(3, 4)?;
        keys.push(("unique", if unique { "timestamp_node_id" } else { "none" }));
        keys.push(("tail_bytes_max", u.choose(&["0", "3000", "67108864"])?));
        keys.push(("synchronous_mode", u.choose(&["OFF", "NORMAL", "FULL"])?));
        let path = folder.path().join("a.db").to_str().unwrap().to_string();
        let mut world = World {
            _folder: folder,
            path: (!in_memory).then_some(path),
            keys,
            model: Model::new(unique),
            handles: Vec::new(),
            transactions: Vec::new(),
            watches: Vec::new(),
            kept: Vec::new(),
            entries: Vec::new(),
        };
        world.open(u.ratio(1, 2)?);
        Ok(world)
    }

    fn open(&mut self, ignore: bool) {
        let path = self.path.as_deref().unwrap_or(":memory:");
        let mut keys = vec![("path", path), ("on_duplicate", if ignore { "ignore" } else { "error" })];
        if self.is_alone(0) {
            // What is in the file may have been changed since.
            let in_file = ["unique", "clock", "commit"];
            let is_new = self.handles.is_empty();
            keys.extend(self.keys.iter().filter(|(key, _)| is_new || !in_file.contains(key)));
        }
        let (answer, ledger) = Config::new(&keys).open();
        answer.ok();
        self.handles.push(Handle { ledger, is_open: true, ignore });
    }

    /// Whether so many handles are open.
    fn is_alone(&self, open: usize) -> bool {
        self.handles.iter().filter(|handle| handle.is_open).count() == open
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let at = u.choose_index(self.handles.len())?;
        let (ledger, is_open) = (self.handles[at].ledger, self.handles[at].is_open);
        match u.int_in_range(0..=33)? {
            0..=3 => self.append(at, given(u)?, u.ratio(1, 2)?),
            4..=5 => self.append_many(at, u)?,
            6 => self.begin_transaction(at),
            7..=10 => self.transaction(u)?,
            11..=13 => self.poll(at, u)?,
            14 => self.read_all(at, u.ratio(1, 4)?),
            15..=16 => self.get(at, id(u, self.model.last_id)?, u.ratio(1, 8)?),
            17..=18 => self.of_node(at, u)?,
            19 => self.numbers(at),
            20..=21 => self.query(at, u)?,
            22 => self.open_watch(at, id(u, self.model.last_id)?),
            23..=24 => self.watch(u)?,
            25 => self.clean(at, u)?,
            26 => self.tend(at, u)?,
            27 => self.option(at, u)?,
            28 => self.observe(at),
            29 => {
                close(ledger).is(if is_open { SIMLEDGER_OK } else { SIMLEDGER_CLOSED });
                self.handles[at].is_open = false;
                if self.is_alone(0) {
                    self.open_again(u.ratio(1, 4)?);
                }
            }
            30 if self.path.is_some() && self.handles.len() < 20 => self.open(u.ratio(1, 4)?),
            31 => {
                // SAFETY: what was retained is freed once.
                self.entries.drain(..).for_each(|(entry, _)| unsafe { simledger_entry_free(entry) });
                self.kept.clear();
            }
            _ => self.misuse(at, u)?,
        }
        Ok(())
    }

    fn open_again(&mut self, ignore: bool) {
        if self.path.is_none() {
            self.model = Model::new(self.model.unique);
            self.handles.clear();
            // Handles that are not known any more cannot be committed either.
            self.transactions.clear();
            self.watches.clear();
            let unique = if self.model.unique { "timestamp_node_id" } else { "none" };
            self.keys.iter_mut().filter(|(key, _)| *key == "unique").for_each(|(_, value)| *value = unique);
        }
        self.open(ignore);
    }

    /// Of a call on a handle: whether it was carried out, or was one on a closed handle and said so.
    #[track_caller]
    fn goes_on(&self, at: usize, answer: &Answer) -> bool {
        if !self.handles[at].is_open {
            answer.is(SIMLEDGER_CLOSED);
        }
        self.handles[at].is_open
    }

    fn append(&mut self, at: usize, given: Given<'_>, as_json: bool) {
        let (ledger, mut id) = (self.handles[at].ledger, -1);
        let ((node, node_len), (features, features_len)) = (lent(given.node), lent(&given.features));
        let json = given.json();
        let (json, json_len) = lent(&json);
        // SAFETY: texts as long as they are.
        let answer = call(|error| unsafe {
            if as_json {
                return simledger_append_json(ledger, json, json_len, &raw mut id, error);
            }
            let (timestamp, confidence) = (given.timestamp, given.confidence);
            simledger_append(
                ledger,
                timestamp,
                node,
                node_len,
                features,
                features_len,
                confidence,
                &raw mut id,
                error,
            )
        });
        // SAFETY: as above.
        let validated = call(|error| unsafe { simledger_validate_json(ledger, json, json_len, error) });
        if !self.goes_on(at, &answer) {
            return assert_eq!(id, 0);
        }
        // As JSON, the features may bring further keys of the entry with them.
        let Some(entry) = given.valid else {
            if !as_json || !answer.is_ok() {
                answer.is(SIMLEDGER_INVALID_ENTRY);
                return assert_eq!(id, 0);
            }
            return self.learn(at, id);
        };
        validated.ok();
        match self.model.add(&[entry], self.handles[at].ignore) {
            Added::Ok { id: expected, .. } => {
                answer.ok();
                assert_eq!(id, expected);
            }
            Added::Duplicate { of, .. } => {
                answer.is(SIMLEDGER_DUPLICATE);
                assert_eq!((id, Some(answer.entry_id)), (0, of));
            }
        }
    }

    /// Takes over an entry that was appended, whatever it is.
    fn learn(&mut self, at: usize, id: i64) {
        let mut entry = ptr::null_mut();
        // SAFETY: the handle is open; the entry is freed once.
        unsafe {
            call(|error| simledger_get_by_id(self.handles[at].ledger, id, &raw mut entry, error)).ok();
            let row = row(entry);
            simledger_entry_free(entry);
            if id > self.model.last_id {
                assert_eq!(id, self.model.last_id + 1);
                self.model.last_id = id;
                self.model.rows.push(row);
            }
        }
    }

    fn append_many(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (in_array, mut json, mut valid, mut fault) = (u.ratio(1, 2)?, String::new(), Vec::new(), None);
        let mut bytes = 0;
        for index in 0..u.int_in_range(0..=5)? {
            let given = given(u)?;
            // Features that are no JSON would have to be told from what stands behind them.
            if given.valid.is_none() && json_by_the_rules(&given.features, usize::MAX, false).is_err() {
                continue;
            }
            bytes += given.features.len();
            let _ = write!(
                json,
                "{}{}",
                if index > 0 && !json.is_empty() { if in_array { "," } else { "\n" } } else { "" },
                given.json().replace('\n', " ")
            );
            match given.valid {
                Some(entry) => valid.push(entry),
                None => fault = fault.or(Some(valid.len())),
            }
            if fault.is_some() || bytes > 200_000 {
                break;
            }
        }
        if in_array {
            json = format!("[{json}]");
        }
        let ((json, len), (mut first, mut count)) = (lent(&json), (-1, usize::MAX));
        let ledger = self.handles[at].ledger;
        // SAFETY: texts as long as they are.
        let answer = call(|error| unsafe {
            simledger_append_many_json(ledger, json, len, &raw mut first, &raw mut count, error)
        });
        if !answer.is_ok() {
            assert_eq!((first, count), (0, 0));
        }
        if !self.goes_on(at, &answer) {
        } else if let Some(index) = fault {
            answer.is(SIMLEDGER_INVALID_ENTRY);
            assert_eq!(answer.index, index);
        } else {
            self.added(at, &valid, &answer, (first, count));
        }
        Ok(())
    }

    fn added(&mut self, at: usize, entries: &[New], answer: &Answer, given: (i64, usize)) {
        match self.model.add(entries, self.handles[at].ignore) {
            Added::Ok { first, count, .. } => {
                answer.ok();
                assert_eq!(given, (first, count));
            }
            Added::Duplicate { index, of } => {
                answer.is(SIMLEDGER_DUPLICATE);
                assert_eq!(answer.index, index, "{answer:?}");
                assert!(of.is_none_or(|id| id == answer.entry_id), "{answer:?}");
            }
        }
    }

    fn begin_transaction(&mut self, at: usize) {
        let mut handle = ptr::without_provenance_mut(1);
        let ledger = self.handles[at].ledger;
        // SAFETY: any number will do.
        let answer = call(|error| unsafe { simledger_transaction_begin(ledger, &raw mut handle, error) });
        assert_eq!(handle.is_null(), !answer.is_ok());
        if self.goes_on(at, &answer) {
            answer.ok();
            self.transactions.push(Transaction {
                handle,
                of: at,
                entries: Vec::new(),
                expected: None,
                is_open: true,
            });
        }
    }

    fn transaction(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.transactions.is_empty() {
            return Ok(());
        }
        let which = u.choose_index(self.transactions.len())?;
        let last = self.model.last_id;
        let transaction = &mut self.transactions[which];
        let (handle, is_open) = (transaction.handle, transaction.is_open);
        // SAFETY: texts as long as they are; any number is a handle.
        unsafe {
            match u.int_in_range(0..=7)? {
                0..=3 => {
                    let given = given(u)?;
                    let ((node, node_len), (features, features_len)) =
                        (lent(given.node), lent(&given.features));
                    let (timestamp, confidence, mut index) = (given.timestamp, given.confidence, usize::MAX);
                    let answer = call(|error| {
                        simledger_transaction_append(
                            handle,
                            timestamp,
                            node,
                            node_len,
                            features,
                            features_len,
                            confidence,
                            &raw mut index,
                            error,
                        )
                    });
                    match given.valid.filter(|_| is_open) {
                        Some(entry) => {
                            answer.ok();
                            assert_eq!(index, transaction.entries.len());
                            transaction.entries.push(entry);
                        }
                        None => answer.is(if is_open { SIMLEDGER_INVALID_ENTRY } else { SIMLEDGER_CLOSED }),
                    }
                }
                4 => {
                    let expected = id(u, last)?;
                    let answer = call(|error| simledger_transaction_expect_last_id(handle, expected, error));
                    if !is_open {
                        answer.is(SIMLEDGER_CLOSED);
                    } else if expected < 0 {
                        answer.is(SIMLEDGER_INVALID_ARGUMENT);
                    } else {
                        answer.ok();
                        transaction.expected = Some(expected);
                    }
                }
                5..=6 => return self.commit(which),
                _ => {
                    simledger_transaction_free(handle);
                    transaction.is_open = false;
                }
            }
            let transaction = &self.transactions[which];
            let len = if transaction.is_open { transaction.entries.len() } else { 0 };
            assert_eq!(simledger_transaction_len(handle), len);
        }
        Ok(())
    }

    fn commit(&mut self, which: usize) -> Result<()> {
        let Transaction { handle, of, expected, is_open, .. } = self.transactions[which];
        let (mut first, mut count) = (-1, usize::MAX);
        // SAFETY: any number is a handle.
        let answer = call(|error| unsafe {
            simledger_transaction_commit(handle, &raw mut first, &raw mut count, error)
        });
        if !answer.is_ok() {
            assert_eq!((first, count), (0, 0));
        }
        if !is_open || !self.handles[of].is_open {
            answer.is(SIMLEDGER_CLOSED);
        } else if expected.is_some_and(|expected| expected != self.model.last_id) {
            answer.is(SIMLEDGER_CONFLICT);
            assert_eq!(answer.entry_id, self.model.last_id);
        } else {
            let entries = self.transactions[which].entries.clone();
            self.added(of, &entries, &answer, (first, count));
        }
        self.transactions[which].is_open &= !answer.is_ok();
        let transaction = &self.transactions[which];
        let len = if transaction.is_open { transaction.entries.len() } else { 0 };
        assert_eq!(simledger_transaction_len(handle), len);
        Ok(())
    }

    fn poll(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (ledger, seen) = (self.handles[at].ledger, id(u, self.model.last_id)?);
        let limit = *u.choose(&[1, 2, 5, usize::MAX, 0])?;
        let waits = u.ratio(1, 3)?;
        // SAFETY: any number is a handle.
        let (answer, rows) = Rows::of(|entries, error| unsafe {
            if waits {
                simledger_wait_since(ledger, seen, limit, 0.0, ptr::null(), entries, error)
            } else {
                simledger_poll_since(ledger, seen, limit, entries, error)
            }
        });
        if !self.goes_on(at, &answer) {
            return Ok(());
        }
        if seen < 0 || limit == 0 {
            answer.is(SIMLEDGER_INVALID_ARGUMENT);
            return Ok(());
        }
        let (list, told) = (rows.list(), Conditions { limit, ..Conditions::none() });
        answer.is(if waits && list.is_empty() { SIMLEDGER_TIMEOUT } else { SIMLEDGER_OK });
        check_poll(&list, rows.position(), seen, &told, &self.model.rows, self.model.last_id);
        let gap = if self.model.removed_id > seen { self.model.removed_id } else { 0 };
        assert_eq!(rows.gap_before(), gap, "behind {seen}");
        if u.ratio(1, 8)? && self.kept.len() < 10 {
            self.kept.push((rows, list));
        }
        Ok(())
    }

    fn read_all(&mut self, at: usize, keep: bool) {
        let ledger = self.handles[at].ledger;
        // SAFETY: any number is a handle.
        let (answer, rows) = Rows::of(|entries, error| unsafe { simledger_read_all(ledger, entries, error) });
        if !self.goes_on(at, &answer) {
            return;
        }
        answer.ok();
        let list = rows.list();
        assert_eq!(list, self.model.rows);
        assert_eq!(rows.position(), self.model.last_id);
        if keep && self.kept.len() < 10 {
            if let Some(last) = list.last() {
                // SAFETY: retained while its result is alive.
                let entry = unsafe { simledger_entry_retain(rows.get(list.len() - 1)) };
                self.entries.push((entry, last.clone()));
            }
            self.kept.push((rows, list));
        }
    }

    fn get(&mut self, at: usize, id: i64, keep: bool) {
        let (ledger, mut entry) = (self.handles[at].ledger, ptr::without_provenance_mut(1));
        // SAFETY: any number is a handle.
        let answer = call(|error| unsafe { simledger_get_by_id(ledger, id, &raw mut entry, error) });
        assert_eq!(entry.is_null(), !answer.is_ok());
        if !self.goes_on(at, &answer) {
            return;
        }
        match self.model.rows.iter().find(|row| row.id == id) {
            None => answer.is(if id < 1 { SIMLEDGER_INVALID_ARGUMENT } else { SIMLEDGER_NOT_FOUND }),
            Some(expected) => {
                answer.ok();
                assert_eq!(&row(entry), expected);
                if keep {
                    self.entries.push((entry, expected.clone()));
                } else {
                    // SAFETY: given by the call, freed once.
                    unsafe { simledger_entry_free(entry) };
                }
            }
        }
    }

    fn of_node(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (ledger, name) = (self.handles[at].ledger, node(u)?);
        let limit = *u.choose(&[1, 3, usize::MAX])?;
        let (text, len) = lent(name);
        // SAFETY: the text is as long as it is; any number is a handle.
        let (answer, rows) = Rows::of(|entries, error| unsafe {
            simledger_read_by_node(ledger, text, len, limit, entries, error)
        });
        if self.goes_on(at, &answer) {
            if is_node(name) {
                answer.ok();
                assert_eq!(rows.list(), self.model.of_node(name, limit));
            } else {
                answer.is(SIMLEDGER_INVALID_ARGUMENT);
            }
        }
        Ok(())
    }

    fn numbers(&mut self, at: usize) {
        let ledger = self.handles[at].ledger;
        let (mut first, mut last, mut count) = (-1, -1, -1);
        // SAFETY: any number is a handle.
        let answers = unsafe {
            [
                call(|error| simledger_first_id(ledger, &raw mut first, error)),
                call(|error| simledger_last_id(ledger, &raw mut last, error)),
                call(|error| simledger_count(ledger, &raw mut count, error)),
            ]
        };
        if answers.iter().all(|answer| self.goes_on(at, answer)) {
            answers.iter().for_each(Answer::ok);
            let rows = &self.model.rows;
            assert_eq!(first, rows.first().map_or(0, |row| row.id));
            assert_eq!((last, count), (self.model.last_id, i64::try_from(rows.len()).unwrap()));
        }
    }

    fn query(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (ledger, (query, told)) = (self.handles[at].ledger, build(u, self.model.last_id)?);
        // SAFETY: the query is alive; any number is a handle.
        let (answer, rows) =
            Rows::of(|entries, error| unsafe { simledger_query_run(ledger, query.0, entries, error) });
        if self.goes_on(at, &answer) {
            answer.ok();
            assert_eq!(rows.list(), told.select(&self.model.rows), "{told:?}");
        }
        Ok(())
    }

    fn open_watch(&mut self, at: usize, seen: i64) {
        let (ledger, mut handle) = (self.handles[at].ledger, ptr::without_provenance_mut(1));
        // SAFETY: any number is a handle.
        let answer =
            call(|error| unsafe { simledger_watch_open(ledger, seen, ptr::null(), &raw mut handle, error) });
        assert_eq!(handle.is_null(), !answer.is_ok());
        if !self.goes_on(at, &answer) {
        } else if seen < 0 {
            answer.is(SIMLEDGER_INVALID_ARGUMENT);
        } else {
            answer.ok();
            self.watches.push(Watch { handle, of: at, position: seen, is_open: true });
        }
    }

    fn watch(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.watches.is_empty() {
            return Ok(());
        }
        let which = u.choose_index(self.watches.len())?;
        let watch = &mut self.watches[which];
        let is_open = watch.is_open && self.handles[watch.of].is_open;
        if u.ratio(1, 6)? {
            // SAFETY: any number is a handle.
            let answer = call(|error| unsafe { simledger_watch_close(watch.handle, error) });
            answer.is(if watch.is_open { SIMLEDGER_OK } else { SIMLEDGER_CLOSED });
            watch.is_open = false;
            return Ok(());
        }
        let limit = *u.choose(&[1, 3, usize::MAX])?;
        // SAFETY: any number is a handle.
        let (answer, rows) =
            Rows::of(|entries, error| unsafe { simledger_watch_poll(watch.handle, limit, entries, error) });
        if !is_open {
            answer.is(SIMLEDGER_CLOSED);
            return Ok(());
        }
        answer.ok();
        let told = Conditions { limit, ..Conditions::none() };
        check_poll(
            &rows.list(),
            rows.position(),
            watch.position,
            &told,
            &self.model.rows,
            self.model.last_id,
        );
        watch.position = rows.position();
        let mut descriptor = -7;
        // SAFETY: any number is a handle.
        call(|error| unsafe { simledger_watch_descriptor(watch.handle, &raw mut descriptor, error) }).ok();
        assert!(descriptor >= 0);
        Ok(())
    }

    fn clean(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (ledger, how, mut deleted) = (self.handles[at].ledger, u.int_in_range(0..=2)?, -1);
        let (cutoff, before) = (time(u)?, id(u, self.model.last_id)?);
        // SAFETY: any number is a handle.
        let answer = call(|error| unsafe {
            match how {
                0 => simledger_cleanup(ledger, cutoff, &raw mut deleted, error),
                1 => simledger_cleanup_before_timestamp(ledger, cutoff, &raw mut deleted, error),
                _ => simledger_cleanup_before_id(ledger, before, &raw mut deleted, error),
            }
        });
        if !self.goes_on(at, &answer) {
            return Ok(());
        }
        let is_valid = match how {
            0 => cutoff.is_finite() && cutoff > 0.0,
            1 => cutoff.is_finite(),
            _ => before >= 1,
        };
        if !is_valid {
            answer.is(SIMLEDGER_INVALID_ARGUMENT);
            return Ok(());
        }
        answer.ok();
        let oldest = match how {
            0 => self.model.newest().unwrap_or(0.0) - cutoff,
            _ => cutoff,
        };
        let is_old = |row: &Row| if how == 2 { row.id < before } else { row.timestamp < oldest };
        assert_eq!(deleted, self.model.remove(is_old));
        Ok(())
    }

    fn tend(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let (ledger, which) = (self.handles[at].ledger, u.int_in_range(0..=8)?);
        let mut freed = -1;
        // SAFETY: any number is a handle.
        let answer = call(|error| unsafe {
            match which {
                0 => simledger_flush(ledger, error),
                1 => simledger_checkpoint(ledger, error),
                2 => simledger_reindex(ledger, error),
                3 => simledger_optimize(ledger, error),
                4 => simledger_invalidate_caches(ledger, error),
                5 => simledger_release_connections(ledger, error),
                6 => simledger_interrupt(ledger, error),
                7 => simledger_vacuum(ledger, SIMLEDGER_VACUUM_INCREMENTAL, &raw mut freed, error),
                _ => simledger_vacuum(ledger, SIMLEDGER_VACUUM_FULL, &raw mut freed, error),
            }
        });
        if self.goes_on(at, &answer) {
            answer.ok();
        }
        Ok(())
    }

    fn option(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        const OPTIONS: [(&str, &str); 18] = [
            ("on_duplicate", "ignore"),
            ("on_duplicate", "error"),
            ("unique", "none"),
            ("unique", "timestamp_node_id"),
            ("commit", "log"),
            ("commit", "sqlite"),
            ("entry_cache_size", "0"),
            ("entry_cache_size", "3"),
            ("query_cache_size", "0"),
            ("query_cache_size", "2"),
            ("tail_bytes_max", "0"),
            ("tail_bytes_max", "5000"),
            ("max_connections", "1"),
            ("cache_ttl", "0"),
            ("path", "b.db"),
            ("log_bytes", "65536"),
            ("on_duplikate", "ignore"),
            ("timeout", "never"),
        ];
        let (key, value) = *u.choose(&OPTIONS)?;
        let (ledger, ((key_text, key_len), (text, len))) =
            (self.handles[at].ledger, (lent(key), lent(value)));
        // SAFETY: the texts are as long as they are; any number is a handle.
        let answer =
            call(|error| unsafe { simledger_option_set(ledger, key_text, key_len, text, len, error) });
        if !self.handles[at].is_open && ["on_duplikate", "timeout"].contains(&key) {
            // Whichever of the two is said.
            answer.is_one_of(&[SIMLEDGER_CLOSED, SIMLEDGER_INVALID_CONFIG]);
            return Ok(());
        }
        if !self.goes_on(at, &answer) {
            return Ok(());
        }
        match key {
            "path" | "log_bytes" | "on_duplikate" | "timeout" => answer.is(SIMLEDGER_INVALID_CONFIG),
            "unique" | "commit" if !self.is_alone(1) => answer.is(SIMLEDGER_INVALID_CONFIG),
            "commit" if self.path.is_none() && value == "log" => answer.is(SIMLEDGER_UNSUPPORTED),
            "unique" if value != "none" && self.model.has_twins() => answer.is(SIMLEDGER_DUPLICATE),
            _ => answer.ok(),
        }
        if answer.is_ok() {
            match key {
                "on_duplicate" => self.handles[at].ignore = value == "ignore",
                "unique" => self.model.unique = value != "none",
                _ => {}
            }
            let (mut now, mut now_len) = (ptr::null_mut(), 0);
            // SAFETY: as above.
            call(|error| unsafe {
                simledger_option_get(ledger, key_text, key_len, &raw mut now, &raw mut now_len, error)
            })
            .ok();
            assert_eq!(owned(now, now_len).as_deref(), Some(value));
        }
        Ok(())
    }

    fn observe(&mut self, at: usize) {
        let ledger = self.handles[at].ledger;
        let (mut json, mut json_len) = (ptr::without_provenance_mut(1), 1);
        let (mut text, mut text_len, mut age) = (ptr::without_provenance_mut(1), 1, -1.0);
        // SAFETY: any number is a handle.
        let answers = unsafe {
            [
                call(|error| simledger_metrics_json(ledger, &raw mut json, &raw mut json_len, error)),
                call(|error| simledger_metrics_prometheus(ledger, &raw mut text, &raw mut text_len, error)),
            ]
        };
        let (json, text) = (owned(json, json_len), owned(text, text_len));
        if answers.iter().all(|answer| self.goes_on(at, answer)) {
            let _: Value = serde_json::from_str(&json.unwrap()).expect("JSON");
            assert!(text.unwrap().contains("simledger_"));
            // SAFETY: as above.
            call(|error| unsafe { simledger_cache_age(ledger, &raw mut age, error) })
                .is_one_of(&[SIMLEDGER_OK, SIMLEDGER_NOT_FOUND]);
            assert!(age >= 0.0);
        }
    }

    /// What the contract says is noticed: handles that are none, NULL for what is required, lengths that nothing can have,
    /// texts that are none, numbers out of range.
    fn misuse(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let ledger = self.handles[at].ledger;
        let wrong = if self.handles[at].is_open { SIMLEDGER_INVALID_ARGUMENT } else { SIMLEDGER_CLOSED };
        let (text, len) = lent("a");
        let long = u.int_in_range(usize::MAX / 2 + 1..=usize::MAX - 1)?;
        let broken = b"\xff\xfe".as_ptr().cast();
        // SAFETY: what is wrong is noticed before it is used; all else is right.
        unsafe {
            match u.int_in_range(0..=11)? {
                0 => {
                    // Any number but that of an open ledger.
                    let made_up: usize = if u.ratio(1, 2)? {
                        ledger.addr() ^ (1 << u.int_in_range(0..=63)?)
                    } else {
                        u.arbitrary()?
                    };
                    if self.handles.iter().all(|handle| handle.ledger.addr() != made_up) {
                        let made_up = ptr::without_provenance_mut(made_up);
                        let either = [SIMLEDGER_INVALID_ARGUMENT, SIMLEDGER_CLOSED];
                        let (answer, _) =
                            Rows::of(|entries, error| simledger_read_all(made_up, entries, error));
                        answer.is_one_of(&either);
                        call(|error| simledger_append_json(made_up, text, len, ptr::null_mut(), error))
                            .is_one_of(&either);
                        call(|error| simledger_option_set(made_up, text, len, text, len, error));
                        if !made_up.is_null() {
                            close(made_up).is_one_of(&either);
                        }
                        simledger_transaction_free(made_up.cast());
                    }
                }
                1 => call(|error| simledger_append_json(ledger, ptr::null(), 0, ptr::null_mut(), error))
                    .is(wrong),
                2 => {
                    call(|error| simledger_append_json(ledger, text, long, ptr::null_mut(), error)).is(wrong)
                }
                3 => call(|error| {
                    simledger_append_many_json(ledger, broken, 2, ptr::null_mut(), ptr::null_mut(), error)
                })
                .is(wrong),
                4 => call(|error| simledger_poll_since(ledger, 0, 1, ptr::null_mut(), error)).is(wrong),
                5 => {
                    let (answer, _) =
                        Rows::of(|entries, error| simledger_query_run(ledger, ptr::null(), entries, error));
                    answer.is(wrong);
                }
                6 => {
                    let (answer, _) = Rows::of(|entries, error| {
                        simledger_read_by_node(ledger, broken, 1, 1, entries, error)
                    });
                    answer.is(wrong);
                }
                7 => {
                    let times = [f64::NAN, -1.0, f64::NEG_INFINITY];
                    let seconds = *u.choose(&times)?;
                    let (answer, _) = Rows::of(|entries, error| {
                        simledger_wait_since(ledger, 0, 1, seconds, ptr::null(), entries, error)
                    });
                    answer.is(wrong);
                }
                8 => {
                    let how = u.arbitrary::<i32>()?;
                    if ![SIMLEDGER_VACUUM_FULL, SIMLEDGER_VACUUM_INCREMENTAL].contains(&how) {
                        call(|error| simledger_vacuum(ledger, how, ptr::null_mut(), error)).is(wrong);
                    }
                }
                9 => {
                    let mut view: simledger_entry_view = std::mem::zeroed();
                    view.struct_size = u.int_in_range(0..=size_of::<simledger_entry_view>() - 1)?;
                    let mut filled = 1;
                    call(|error| {
                        simledger_entries_views(ptr::null(), 0, &raw mut view, 1, &raw mut filled, error)
                    })
                    .is(SIMLEDGER_INVALID_ARGUMENT);
                    assert_eq!(filled, 0);
                }
                10 => {
                    // Without a place for the error, and for what is not required.
                    let status = simledger_get_by_id(ledger, -1, ptr::null_mut(), ptr::null_mut());
                    assert_eq!(status, wrong);
                    assert_eq!(simledger_last_id(ledger, ptr::null_mut(), ptr::null_mut()), wrong);
                }
                _ => {
                    assert_eq!(simledger_entries_len(ptr::null()), 0);
                    assert!(simledger_entries_get(ptr::null(), 0).is_null());
                    assert_eq!(simledger_entry_id(ptr::null()), 0);
                    simledger_entries_free(ptr::null_mut());
                    simledger_entry_free(ptr::null_mut());
                    simledger_string_free(ptr::null_mut());
                    simledger_error_free(ptr::null_mut());
                    call(|error| simledger_close(ptr::null_mut(), error)).ok();
                }
            }
        }
        Ok(())
    }

    /// What is there at the end is what the model has, before and after all is closed and opened again.
    fn end(mut self) {
        for at in 0..self.handles.len() {
            self.read_all(at, false);
            self.numbers(at);
        }
        // SAFETY: any number is a handle; what was given is freed once.
        unsafe {
            for transaction in &self.transactions {
                simledger_transaction_free(transaction.handle);
            }
            for watch in &self.watches {
                call(|error| simledger_watch_close(watch.handle, error))
                    .is_one_of(&[SIMLEDGER_OK, SIMLEDGER_CLOSED]);
            }
        }
        for handle in self.handles.iter_mut().filter(|handle| handle.is_open) {
            close(handle.ledger).ok();
            close(handle.ledger).is(SIMLEDGER_CLOSED);
            handle.is_open = false;
        }
        if self.path.is_some() {
            self.open(false);
            let at = self.handles.len() - 1;
            self.read_all(at, false);
            self.numbers(at);
            let (ledger, mut findings, mut count) = (self.handles[at].ledger, ptr::null_mut(), usize::MAX);
            // SAFETY: the ledger is open, and nothing is told of the progress.
            call(|error| unsafe {
                let user_data = ptr::null_mut();
                simledger_integrity_check(
                    ledger,
                    10,
                    None,
                    user_data,
                    &raw mut findings,
                    &raw mut count,
                    error,
                )
            })
            .ok();
            // SAFETY: a text with a NUL, or NULL.
            let findings = (!findings.is_null()).then(|| unsafe {
                let text = std::ffi::CStr::from_ptr(findings).to_string_lossy().into_owned();
                simledger_string_free(findings);
                text
            });
            assert_eq!(count, 0, "{findings:?}");
            close(ledger).ok();
        }
        for (rows, list) in &self.kept {
            assert_eq!(&rows.list(), list, "a result outlives the ledger");
        }
        for (entry, expected) in self.entries.drain(..) {
            assert_eq!(&row(entry), &expected);
            // SAFETY: retained, and freed once.
            unsafe { simledger_entry_free(entry) };
        }
    }
}
