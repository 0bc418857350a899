//! The commit log when processes die, at every step of what they do: nothing acknowledged is lost,
//! nothing is there twice, and the others go on.
//!
//! One round of each kind runs by default; `LEDGER_CRASH_ROUNDS` says how many of each, 10 make 330 in
//! all.

mod common;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::batches::{Batch, acknowledged, check_whole};
use common::{Line, Place, Process, Random, config, integrity, parameter};
use simledger::{Ledger, NO_LIMIT};

/// So small that it is gone round all the time, and that a larger batch goes straight into the file.
const LOG_BYTES: &str = "65536";

fn open(path: &str) -> Ledger {
    // How it commits is what the file says.
    Ledger::open(&config(path, &[("log_bytes", LOG_BYTES)])).unwrap()
}

/// What a process does until it is killed, on its parameter `ROLE`.
#[test]
#[ignore = "a process that is killed"]
fn works_until_it_is_killed() {
    let Some(path) = parameter("LEDGER") else { return };
    let name = parameter("NAME").unwrap();
    // A thread that fails ends the process, and one that hangs does after a time.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::exit(101);
    }));
    thread::spawn(|| {
        thread::park_timeout(Duration::from_secs(60));
        panic!("it hangs");
    });
    let line = Line::to_the_test();
    match &*parameter("ROLE").unwrap() {
        // Opens and closes all the time.
        "opener" => {
            let mut k = 0;
            loop {
                let ledger = open(&path);
                for _ in 0..3 {
                    k += append(&ledger, &line, &name, k, 1 + k % 7);
                }
                ledger.close().unwrap();
            }
        }
        // Changes how the ledger commits all the time.
        "changer" => {
            let ledger = open(&path);
            let mut k = 0;
            loop {
                for mode in ["sqlite", "log"] {
                    ledger.set_option("commit", mode).unwrap();
                    k += append(&ledger, &line, &name, k, 1 + k % 7);
                    poll_all(&ledger);
                }
            }
        }
        _ => {
            let ledger = open(&path);
            thread::scope(|scope| {
                for writer in 0..2 {
                    let (ledger, line, name) = (&ledger, &line, format!("{name}.{writer}"));
                    scope.spawn(move || {
                        let mut k = 0;
                        for turn in 0.. {
                            let count = match turn % 50 {
                                // Too large for the log.
                                49 => 400,
                                odd if odd % 2 == 1 => 1 + turn * 7 % 30,
                                _ => 1,
                            };
                            k += append(ledger, line, &name, k, count);
                            if turn % 40 == 20 {
                                ledger.checkpoint().unwrap();
                            }
                        }
                    });
                }
                scope.spawn(|| poll_for_ever(&ledger));
            });
        }
    }
}

fn append(ledger: &Ledger, line: &Line, writer: &str, k: i64, count: i64) -> i64 {
    let batch = Batch { writer: writer.to_string(), k, count };
    let first_id = batch.append(ledger);
    // What was acknowledged is there.
    let there = ledger.get_by_id(first_id).unwrap().expect("what was acknowledged is there");
    assert_eq!(Batch::of(there.as_ref()).0, batch);
    line.say(&format!("{first_id} {count} {k} {writer}"));
    count
}

fn poll_all(ledger: &Ledger) {
    check_whole(&ledger.poll_since(0, NO_LIMIT).unwrap(), 1);
}

fn poll_for_ever(ledger: &Ledger) {
    let mut seen = 0;
    loop {
        let fresh = ledger.poll_since(seen, NO_LIMIT).unwrap();
        check_whole(&fresh, seen + 1);
        assert_eq!(fresh.position(), seen + fresh.len() as i64, "an id was passed over");
        seen = fresh.position();
    }
}

/// One round: a process that dies at `point` (or at any moment) and some that go on until they were
/// acknowledged more after that; then all are killed, and the ledger is looked at.
struct Round<'a> {
    place: &'a Place,
    name: String,
    role: &'a str,
    point: Option<&'a str>,
    others: usize,
}

impl Round<'_> {
    fn run(&self, random: &mut Random, known: &Mutex<HashMap<i64, Batch>>) -> bool {
        let path = self.place.file("ledger.db");
        let start = |role: &str, name: &str, kill: Option<String>| {
            let mut parameters = vec![("LEDGER", &*path), ("NAME", name), ("ROLE", role)];
            if let Some(kill) = &kill {
                parameters.push(("KILL", kill));
            }
            Process::start("works_until_it_is_killed", &parameters)
        };
        // Some of them come seldom.
        let seldom = ["commit", "elsewhere", "wrap", "log.fold"];
        let is_frequent = self.role == "worker"
            && self.point.is_some_and(|point| !seldom.iter().any(|seldom| point.contains(seldom)));
        let times = random.below(if is_frequent { 60 } else { 4 });
        let kill = self.point.map(|point| format!("{point}:{times}"));
        let mut others: Vec<Process> =
            (0..self.others).map(|i| start("worker", &format!("{}o{i}", self.name), None)).collect();
        let mut victim = start(self.role, &format!("{}v", self.name), kill);
        let limit = 20 + random.below(400);
        let (is_dead, died_there) = (AtomicBool::new(false), AtomicBool::new(false));
        let waiting = AtomicU64::new(self.others as u64);
        let note = |said: &str| {
            let (first_id, batch) = acknowledged(said);
            let before = known.lock().unwrap().insert(first_id, batch);
            assert_eq!(before, None, "an id was given twice");
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut count = 0;
                // To a place that it never comes to it is killed after a while.
                let most = if self.point.is_some() { limit * 20 } else { limit };
                let mut killed = false;
                while let Some(said) = victim.line.hear() {
                    note(&said);
                    count += 1;
                    if count >= most && !killed {
                        victim.kill();
                        killed = true;
                    }
                }
                died_there.store(!killed, Ordering::Release);
                is_dead.store(true, Ordering::Release);
            });
            for other in &mut others {
                let (is_dead, waiting, note) = (&is_dead, &waiting, &note);
                scope.spawn(move || {
                    let mut after = 0;
                    let mut done = false;
                    while let Some(said) = other.line.hear() {
                        note(&said);
                        if is_dead.load(Ordering::Acquire) {
                            after += 1;
                        }
                        if after >= 100 && !done {
                            done = true;
                            waiting.fetch_sub(1, Ordering::AcqRel);
                        }
                        if done && waiting.load(Ordering::Acquire) == 0 {
                            other.kill();
                        }
                    }
                    assert!(done, "it ended by itself");
                });
            }
        });
        assert!(!victim.end());
        self.check(known);
        died_there.load(Ordering::Acquire)
    }

    fn check(&self, known: &Mutex<HashMap<i64, Batch>>) {
        let mut known = known.lock().unwrap();
        let ledger = self.place.try_open(&[("log_bytes", LOG_BYTES)]).unwrap();
        let found = check_whole(&ledger.read_all().unwrap(), 1);
        let there: HashMap<i64, &Batch> = found.iter().map(|(id, batch)| (*id, batch)).collect();
        for (first_id, batch) in known.iter() {
            assert_eq!(there.get(first_id), Some(&batch), "what was acknowledged is lost");
        }
        let mut names: Vec<_> = found.iter().map(|(_, batch)| (&batch.writer, batch.k)).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a batch is there twice");
        ledger.checkpoint().unwrap();
        let count: i64 = ledger.count().unwrap();
        let stored = "SELECT count(*) FROM ledger";
        let stored: i64 = self.place.sqlite().query_row(stored, [], |row| row.get(0)).unwrap();
        assert_eq!(stored, count, "what is folded is all there");
        assert!(ledger.integrity_check(NO_LIMIT, None).unwrap().is_empty());
        assert_eq!(integrity(&self.place.sqlite()), "ok");
        known.extend(found);
        ledger.close().unwrap();
    }
}

/// How many rounds of each kind.
fn rounds() -> u64 {
    std::env::var("LEDGER_CRASH_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Rounds at each of these points; some go on in one file. In most of them the process must die where
/// it was to.
fn die_at(role: &str, points: &[Option<&str>], others: usize) {
    let mut random = Random::new();
    for point in points {
        let mut there = 0;
        let fresh = || {
            let place = Place::new();
            place.open(&[("commit", "log"), ("log_bytes", LOG_BYTES)]).close().unwrap();
            place
        };
        let mut place = fresh();
        let known = Mutex::new(HashMap::new());
        let rounds = rounds();
        // With others about it may not be the one that folds: then there are some more.
        for round in 0..rounds + 20 {
            if round >= rounds && (point.is_none() || there * 2 >= rounds) {
                break;
            }
            if round % 5 == 0 {
                place = fresh();
                known.lock().unwrap().clear();
            }
            let name = round.to_string();
            let round = Round { place: &place, name, role, point: *point, others };
            there += u64::from(round.run(&mut random, &known));
        }
        println!(
            "{role} at {point:?}, {others} others: {there} of {rounds} died there, {} batches",
            known.lock().unwrap().len()
        );
        assert!(point.is_none() || there * 2 >= rounds, "{point:?} was not come to");
    }
}

#[test]
fn who_appends_dies_at_each_step() {
    die_at(
        "worker",
        &[
            None,
            Some("log.locked"),
            Some("log.put"),
            Some("log.wrap"),
            Some("log.publish"),
            Some("log.publishing"),
            Some("log.published"),
            Some("append.told"),
            Some("append.elsewhere"),
        ],
        1,
    );
}

#[test]
fn who_folds_dies_at_each_step() {
    let points = [
        Some("fold.insert"),
        Some("fold.commit"),
        Some("writer.commit"),
        Some("fold.committed"),
        Some("log.fold"),
    ];
    die_at("worker", &points, 0);
    die_at("worker", &points, 2);
}

#[test]
fn who_opens_or_closes_dies_at_each_step() {
    die_at(
        "opener",
        &[None, Some("log.make"), Some("log.take_away"), Some("fold.commit"), Some("log.fold")],
        0,
    );
    die_at("opener", &[None, Some("log.published")], 1);
}

#[test]
fn who_changes_how_it_commits_dies_at_each_step() {
    let points = [
        None,
        Some("change.to_log"),
        Some("change.to_sqlite"),
        Some("schema.change"),
        Some("writer.commit"),
        Some("log.make"),
        Some("log.take_away"),
    ];
    die_at("changer", &points, 0);
}

/// The file has the batch, and the log never came to say so.
#[test]
fn who_reads_misses_nothing_of_a_batch_whose_writer_died() {
    for _ in 0..rounds() {
        let place = Place::new();
        place.open(&[("commit", "log"), ("log_bytes", LOG_BYTES)]).close().unwrap();
        let reader = place.open(&[("read_only", "true"), ("log_bytes", LOG_BYTES)]);
        let path = place.file("ledger.db");
        let parameters =
            [("LEDGER", &*path), ("NAME", "w"), ("ROLE", "worker"), ("KILL", "append.elsewhere:0")];
        let mut writer = Process::start("works_until_it_is_killed", &parameters);
        let mut seen = 0;
        let mut poll = || {
            let fresh = reader.poll_since(seen, NO_LIMIT).unwrap();
            check_whole(&fresh, seen + 1);
            assert_eq!(fresh.position(), seen + fresh.len() as i64, "an id was passed over");
            seen = fresh.position();
            seen
        };
        while writer.line.hear().is_some() {
            poll();
        }
        assert!(!writer.end());
        poll();
        // Alone, and so it recovers the log, while the reader has it.
        let ledger = place.open(&[("log_bytes", LOG_BYTES)]);
        let after = Batch { writer: "after".to_string(), k: 0, count: 1 };
        let id = after.append(&ledger);
        assert_eq!(poll(), id);
        assert_eq!(reader.count().unwrap(), id);
        check_whole(&ledger.read_all().unwrap(), 1);
    }
}
