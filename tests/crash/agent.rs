//! What a process does until it is killed, by its parameter `ROLE`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use simledger::{Entries, Ledger, NO_LIMIT, Status, Vacuum};

use crate::common::batches::{Batch, check_whole};
use crate::common::{Line, config, parameter};

/// So small that it is gone round all the time, and that a larger batch goes straight into the file.
pub const LOG_BYTES: &str = "65536";

/// What a process is opened with, and a test that looks after it: how it commits is what the file says.
pub const KEYS: [(&str, &str); 2] = [("log_bytes", LOG_BYTES), ("timeout", "50")];

struct Agent {
    path: String,
    name: String,
    line: Line,
    /// Whether somebody cleans up meanwhile.
    cleaned: bool,
}

#[test]
#[ignore = "a process that is killed"]
fn works_until_it_is_killed() {
    let Some(path) = parameter("LEDGER") else { return };
    end_if_it_hangs();
    let (name, line) = (parameter("NAME").unwrap(), Line::to_the_test());
    let agent = Agent { path, name, line, cleaned: parameter("CLEANED").is_some() };
    match &*parameter("ROLE").unwrap() {
        "opener" => agent.opens_and_closes(),
        "changer" => agent.changes_how_it_commits(),
        "keeper" => agent.keeps_in_order(),
        "waiter" => agent.waits(&agent.open()),
        "reader" => agent.waits(&Ledger::open(&config(&agent.path, &[("read_only", "true")])).unwrap()),
        _ => agent.works(),
    }
}

/// A thread that fails ends the process, and one that hangs does after a time.
pub fn end_if_it_hangs() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::exit(101);
    }));
    thread::spawn(|| {
        let mut before = u64::MAX;
        while before != DONE.load(Ordering::Relaxed) {
            before = DONE.load(Ordering::Relaxed);
            thread::park_timeout(Duration::from_secs(100));
        }
        panic!("it hangs");
    });
}

/// How often this process got on.
static DONE: AtomicU64 = AtomicU64::new(0);

impl Agent {
    fn open(&self) -> Ledger {
        let mut keys = KEYS.to_vec();
        let (synchronous, journal) = (parameter("SYNCHRONOUS"), parameter("JOURNAL"));
        keys.extend(synchronous.as_deref().map(|mode| ("synchronous_mode", mode)));
        keys.extend(journal.as_deref().map(|mode| ("journal_mode", mode)));
        Ledger::open(&config(&self.path, &keys)).unwrap()
    }

    fn opens_and_closes(&self) {
        let mut k = 0;
        loop {
            let ledger = self.open();
            for _ in 0..3 {
                k += self.append(&ledger, &self.name, k, 1 + k % 7);
            }
            ledger.close().unwrap();
        }
    }

    fn changes_how_it_commits(&self) {
        let ledger = self.open();
        let mut k = 0;
        loop {
            for mode in ["sqlite", "log"] {
                ledger.set_option("commit", mode).unwrap();
                k += self.append(&ledger, &self.name, k, 1 + k % 7);
                let all = ledger.poll_since(0, NO_LIMIT).unwrap();
                self.check(&all, 0);
            }
        }
    }

    fn works(&self) {
        let ledger = self.open();
        thread::scope(|scope| {
            for writer in 0..2 {
                let (ledger, name) = (&ledger, format!("{}.{writer}", self.name));
                scope.spawn(move || {
                    let mut k = 0;
                    for turn in 0.. {
                        let count = match turn % 50 {
                            // Too large for the log.
                            49 => 400,
                            odd if odd % 2 == 1 => 1 + turn * 7 % 30,
                            _ => 1,
                        };
                        k += self.append(ledger, &name, k, count);
                        if turn % 40 == 20 {
                            ledger.checkpoint().unwrap();
                        }
                    }
                });
            }
            scope.spawn(|| self.polls_for_ever(&ledger));
        });
    }

    /// Maintenance of all kinds, between a few appends.
    fn keeps_in_order(&self) {
        let ledger = self.open();
        let mut k = 0;
        for turn in 0i64.. {
            for _ in 0..8 {
                k += self.append(&ledger, &self.name, k, 1 + (turn + k) % 5);
            }
            match turn % 8 {
                0 | 4 => {
                    let through = ledger.last_id().unwrap();
                    let id = (through - 20 - turn % 40).max(1);
                    self.cleans("id", id, through, || ledger.cleanup_before_id(id));
                }
                1 => ledger.vacuum(Vacuum::Incremental).map(drop).unwrap(),
                2 => ledger.checkpoint().unwrap(),
                3 => ledger.reindex().unwrap(),
                5 => ledger.vacuum(Vacuum::Full).map(drop).unwrap(),
                6 => {
                    let through = ledger.last_id().unwrap();
                    let before = k / 2;
                    self.cleans("timestamp", before, through, || {
                        ledger.cleanup_before_timestamp(before as f64)
                    });
                }
                _ => ledger.optimize().unwrap(),
            }
            let all = ledger.poll_since(0, NO_LIMIT).unwrap();
            self.check(&all, 0);
        }
    }

    fn cleans(&self, kind: &str, cutoff: i64, through: i64, clean: impl FnOnce() -> simledger::Result<i64>) {
        self.line.say(&format!("cleaning {} {kind} {cutoff} {through}", self.name));
        clean().unwrap();
        self.line.say(&format!("cleaned {}", self.name));
    }

    /// Tells how far it has come whenever it was woken.
    fn waits(&self, ledger: &Ledger) {
        self.line.say("ready");
        let mut seen = 0;
        loop {
            let fresh = match ledger.wait_since(seen, NO_LIMIT, Duration::from_secs(1000)) {
                // Until somebody undoes what a dead process left in a rollback journal.
                Err(error) if (error.status(), error.field()) == (Status::ReadOnly, "read_only") => continue,
                // The lock of a rollback journal is free for a moment only between two transactions of who writes all
                // the time, and they last as long as the disk takes.
                Err(error)
                    if error.status() == Status::Busy && parameter("JOURNAL").as_deref() != Some("WAL") =>
                {
                    continue;
                }
                fresh => fresh.unwrap(),
            };
            self.check(&fresh, seen);
            seen = fresh.position();
            DONE.fetch_add(1, Ordering::Relaxed);
            self.line.say(&format!("seen {seen}"));
        }
    }

    fn polls_for_ever(&self, ledger: &Ledger) {
        let mut seen = 0;
        loop {
            let fresh = ledger.poll_since(seen, NO_LIMIT).unwrap();
            self.check(&fresh, seen);
            seen = fresh.position();
        }
    }

    /// What is read above an id is whole, and passes nothing over that was not cleaned up.
    fn check(&self, fresh: &Entries, seen: i64) {
        if !self.cleaned {
            check_whole(fresh, seen + 1);
            assert_eq!(fresh.position(), seen + fresh.len() as i64, "an id was passed over");
            return;
        }
        let kept = fresh.gap_before().max(seen);
        let above: Vec<i64> = fresh.iter().map(|entry| entry.id()).filter(|id| *id > kept).collect();
        let position = fresh.position();
        assert!((kept + 1..=position).eq(above), "an id was passed over: {kept}, {position}");
        for entry in fresh.iter() {
            Batch::of(entry);
        }
    }

    /// Appends a batch in one of the ways that there are, and tells when it was acknowledged; how many.
    fn append(&self, ledger: &Ledger, writer: &str, k: i64, count: i64) -> i64 {
        let batch = Batch { writer: writer.to_string(), k, count };
        let first_id = match k % 3 {
            0 => commit(ledger, &batch),
            _ => batch.append(ledger),
        };
        self.line.say(&format!("{first_id} {count} {k} {writer}"));
        DONE.fetch_add(1, Ordering::Relaxed);
        match ledger.get_by_id(first_id).unwrap() {
            Some(there) => assert_eq!(Batch::of(there.as_ref()).0, batch),
            None => assert!(self.cleaned, "what was acknowledged is there"),
        }
        if !self.cleaned && k % 16 == 0 {
            let error = ledger.append_json(&batch.entry(0)).unwrap_err();
            assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(first_id)));
        }
        count
    }
}

/// The same by a transaction, which is tried again if somebody else appended before it.
fn commit(ledger: &Ledger, batch: &Batch) -> i64 {
    let mut transaction = ledger.transaction();
    for index in 0..batch.count {
        transaction.append_json(&batch.entry(index)).unwrap();
    }
    for _ in 0..5 {
        transaction.expect_last_id(ledger.last_id().unwrap()).unwrap();
        match ledger.commit(&mut transaction) {
            Ok(committed) => return committed.first_id,
            Err(error) => assert_eq!(error.status(), Status::Conflict),
        }
    }
    batch.append(ledger)
}
