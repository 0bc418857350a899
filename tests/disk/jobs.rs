//! What is done on a disk that fails, and what is known of it afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use simledger::{Error, Ledger, NO_LIMIT, Query, Result, Status, Vacuum};

use super::common::batches::{Batch, check_whole};
use super::common::config;
use super::faults::Fault;

/// How a ledger is kept.
pub struct Way {
    pub journal_mode: &'static str,
    pub synchronous_mode: &'static str,
}

pub const WAYS: [Way; 6] = [
    Way { journal_mode: "WAL", synchronous_mode: "NORMAL" },
    Way { journal_mode: "WAL", synchronous_mode: "FULL" },
    Way { journal_mode: "DELETE", synchronous_mode: "NORMAL" },
    Way { journal_mode: "DELETE", synchronous_mode: "FULL" },
    Way { journal_mode: "TRUNCATE", synchronous_mode: "FULL" },
    Way { journal_mode: "PERSIST", synchronous_mode: "FULL" },
];

impl Way {
    pub fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("journal_mode", self.journal_mode),
            ("synchronous_mode", self.synchronous_mode),
            // So small that half of it is soon too much for a batch.
            ("log_bytes", "65536"),
            ("timeout", "2"),
        ]
    }
}

/// What is there when a job begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// A ledger that was closed.
    Closed,
    /// A ledger whose processes died; with a log, entries are in it alone.
    Left,
    /// An open ledger.
    Open,
}

pub struct Job {
    pub name: &'static str,
    pub before: Before,
    pub work: fn(&mut Run),
}

/// A job that is done, and what it came to.
pub struct Run<'t> {
    pub path: String,
    pub keys: Vec<(&'static str, &'static str)>,
    pub fault: &'t Fault,
    pub ledger: Option<Ledger>,
    /// What was acknowledged, by first id.
    pub known: BTreeMap<i64, Batch>,
    pub refused: Vec<Batch>,
    /// What is there, but perhaps not on the medium.
    pub doubtful: Vec<(i64, Batch)>,
    /// Entries up to this id may have been deleted, as far as they are those of the beginning.
    pub removed: i64,
    pub next: i64,
    pub errors: Vec<String>,
    pub is_read_only: bool,
}

impl<'t> Run<'t> {
    pub fn new(path: PathBuf, keys: Vec<(&'static str, &'static str)>, fault: &'t Fault) -> Run<'t> {
        Run {
            path: path.to_str().unwrap().to_string(),
            keys,
            fault,
            ledger: None,
            known: BTreeMap::new(),
            refused: Vec::new(),
            doubtful: Vec::new(),
            removed: 0,
            next: 0,
            errors: Vec::new(),
            is_read_only: false,
        }
    }

    pub fn open(&mut self) -> bool {
        let opened = Ledger::open(&config(&self.path, &self.keys));
        self.ledger = self.heard("open", opened);
        self.ledger.is_some()
    }

    /// What became of a call; an error must say what it is about.
    pub fn heard<T>(&mut self, call: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                self.check(call, &error);
                None
            }
        }
    }

    pub fn check(&mut self, call: &str, error: &Error) {
        let text = format!("{call}: {error}");
        let fault = self.fault;
        let said = std::io::Error::from_raw_os_error(fault.error).to_string();
        let said = said.split(" (").next().unwrap();
        let folder = Path::new(&self.path).parent().unwrap().to_str().unwrap();
        if !fault.statuses.contains(&error.status()) {
            self.errors.push(format!("another status is expected: {text}"));
        } else if !error.message().contains(folder) {
            self.errors.push(format!("no file is named: {text}"));
        } else if error.status() != Status::Busy && !is_read_only(error) && !error.message().contains(said) {
            self.errors.push(format!("what the system said is missing: {text}"));
        }
    }

    pub fn call<T>(&mut self, name: &str, work: impl FnOnce(&Ledger) -> Result<T>) -> Option<T> {
        let ledger = self.ledger.take().expect("it is open");
        let result = work(&ledger);
        self.ledger = Some(ledger);
        self.heard(name, result)
    }

    pub fn append(&mut self, count: i64) -> bool {
        let batch = Batch { writer: "w".to_string(), k: self.next, count };
        self.next += count;
        let ledger = self.ledger.take().expect("it is open");
        let entries: Vec<String> = (0..count).map(|index| batch.entry(index)).collect();
        let appended = match count {
            1 => ledger.append_json(&entries[0]),
            2 => {
                let mut transaction = ledger.transaction();
                entries.iter().for_each(|entry| {
                    transaction.append_json(entry).unwrap();
                });
                ledger.commit(&mut transaction).map(|batched| batched.first_id)
            }
            _ => ledger.append_many_json(&entries.join("\n")).map(|batched| batched.first_id),
        };
        self.ledger = Some(ledger);
        match appended {
            Ok(id) => {
                assert_eq!(self.known.insert(id, batch), None, "an id was given twice");
                true
            }
            Err(error) => {
                self.check("append", &error);
                self.is_read_only |= is_read_only(&error);
                // One that is there all the same says so.
                match error.entry_id() {
                    Some(id) => self.doubtful.push((id, batch)),
                    None if error.message().contains("is not known") => {}
                    None => self.refused.push(batch),
                }
                false
            }
        }
    }

    pub fn close(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let closed = ledger.close();
            self.heard("close", closed);
        }
    }

    /// All that was acknowledged is there, and nothing that was refused.
    pub fn look(&self, when: &str) {
        let ledger = self.ledger.as_ref().expect("it is open");
        let all =
            ledger.poll_since(self.removed, NO_LIMIT).unwrap_or_else(|error| panic!("poll {when}: {error}"));
        let first = self.removed + 1;
        let there: BTreeMap<i64, Batch> = check_whole(&all, first).into_iter().collect();
        for (id, batch) in &self.known {
            if *id > self.removed {
                assert_eq!(there.get(id), Some(batch), "an entry is lost {when}");
            }
        }
        for (id, batch) in &self.doubtful {
            assert_eq!(there.get(id), Some(batch), "an entry that is said to be there is not {when}");
        }
        for batch in &self.refused {
            assert!(!there.values().any(|other| other == batch), "{batch:?} was refused and is there {when}");
        }
        let count = ledger.count().unwrap() - all.len() as i64;
        assert!((0..=self.removed).contains(&count), "the count {when}");
    }
}

/// Whether it says that the ledger is to be closed, since rights were missing before: the README has that among the
/// caveats.
fn is_read_only(error: &Error) -> bool {
    error.status() == Status::ReadOnly && error.message().contains("close the ledger, and open it again")
}

pub const JOBS: [Job; 18] = [
    Job {
        name: "create",
        before: Before::Nothing,
        work: |run| {
            if run.open() {
                run.append(1);
                run.close();
            }
        },
    },
    Job {
        name: "open",
        before: Before::Closed,
        work: |run| {
            if run.open() {
                run.call("poll", |ledger| ledger.poll_since(0, NO_LIMIT));
            }
        },
    },
    Job {
        name: "open to read",
        before: Before::Closed,
        work: |run| {
            // Of rollback journals the file does not know which it is.
            let keys = run.keys.clone();
            run.keys.retain(|(key, _)| *key != "journal_mode");
            run.keys.push(("read_only", "true"));
            if run.open() {
                run.call("poll", |ledger| ledger.poll_since(0, NO_LIMIT));
                run.close();
            }
            run.keys = keys;
        },
    },
    Job {
        name: "recover",
        before: Before::Left,
        work: |run| {
            if run.open() {
                run.call("poll", |ledger| ledger.poll_since(0, NO_LIMIT));
                run.append(1);
            }
        },
    },
    Job {
        name: "append",
        before: Before::Open,
        work: |run| {
            for _ in 0..3 {
                run.append(1);
            }
            run.call("flush", Ledger::flush);
            run.append(1);
        },
    },
    Job {
        name: "batch",
        before: Before::Open,
        work: |run| {
            run.append(20);
            run.append(3);
        },
    },
    // Straight into the file, where there is a log.
    Job {
        name: "large batch",
        before: Before::Open,
        work: |run| {
            run.append(1);
            run.append(90);
            run.append(1);
        },
    },
    Job {
        name: "transaction",
        before: Before::Open,
        work: |run| {
            run.append(2);
            run.append(2);
        },
    },
    // The log is gone round, and appends wait until it is folded.
    Job {
        name: "many",
        before: Before::Open,
        work: |run| {
            for _ in 0..8 {
                run.append(20);
            }
        },
    },
    Job {
        name: "read",
        before: Before::Open,
        work: |run| {
            let mut query = Query::new();
            query.min_confidence(0.1).unwrap();
            run.call("poll", |ledger| ledger.poll_since(0, NO_LIMIT));
            run.call("get", |ledger| ledger.get_by_id(3));
            run.call("query", |ledger| ledger.query(&query));
            run.call("by node", |ledger| ledger.read_by_node("w", NO_LIMIT));
            run.call("count", Ledger::count);
            run.call("sql", |ledger| ledger.sql("SELECT max(id) FROM ledger", None, 10));
            run.call("wait", |ledger| ledger.wait_since(0, NO_LIMIT, Duration::ZERO));
            run.call("poll of none", |ledger| ledger.poll_since(1 << 40, NO_LIMIT));
            run.call("release", Ledger::release_connections);
            run.call("poll", |ledger| ledger.poll_since(2, NO_LIMIT));
        },
    },
    Job {
        name: "checkpoint",
        before: Before::Open,
        work: |run| {
            run.append(5);
            run.call("checkpoint", Ledger::checkpoint);
        },
    },
    Job {
        name: "cleanup",
        before: Before::Open,
        work: |run| {
            run.removed = 9;
            run.call("cleanup", |ledger| ledger.cleanup_before_id(10));
            run.append(1);
        },
    },
    Job {
        name: "vacuum in steps",
        before: Before::Open,
        work: |run| {
            run.removed = 21;
            run.call("cleanup", |ledger| ledger.cleanup_before_id(22));
            run.call("vacuum", |ledger| ledger.vacuum(Vacuum::Incremental));
        },
    },
    Job {
        name: "full vacuum",
        before: Before::Open,
        work: |run| {
            run.call("vacuum", |ledger| ledger.vacuum(Vacuum::Full));
            run.append(1);
        },
    },
    Job {
        name: "indexes",
        before: Before::Open,
        work: |run| {
            run.call("reindex", Ledger::reindex);
            run.call("optimize", Ledger::optimize);
        },
    },
    Job {
        name: "check",
        before: Before::Open,
        work: |run| {
            run.append(1);
            run.call("integrity check", |ledger| ledger.integrity_check(10, None));
        },
    },
    Job {
        name: "change",
        before: Before::Open,
        work: |run| {
            for commit in ["sqlite", "log", "sqlite"] {
                run.call("change", |ledger| ledger.set_option("commit", commit));
                run.append(1);
            }
            run.call("change", |ledger| ledger.set_option("unique", "none"));
        },
    },
    Job {
        name: "close",
        before: Before::Open,
        work: |run| {
            run.append(5);
            run.close();
        },
    },
];
