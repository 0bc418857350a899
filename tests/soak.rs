//! A ledger in use for a long time: what it takes must stay as it is, and nothing may be lost.
//!
//! One process with 16 threads lives all the time; four others with four threads each are killed and started anew
//! in turn. They append one by one and in batches, poll, wait, query, and clean up what is old. Every second
//! it is measured what memory, descriptors and threads the first process has, how large the files are, and how
//! long its calls took. `LEDGER_SOAK_SECONDS` is how long, `LEDGER_SOAK_OUT` the file for the figures (CSV).
//!
//! Run by `campaigns/soak`.

mod common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Line, Place, Process, Random, config, parameter};
use simledger::*;

/// Entries that cleanup leaves.
const KEPT: i64 = 50_000;

/// So that what grows until it is full is soon so.
const KEYS: [(&str, &str); 4] = [
    ("cache_size", "2000"),
    ("max_connections", "4"),
    ("tail_bytes_max", "8388608"),
    ("log_bytes", "16777216"),
];

/// A pause of an agent between two things that it does.
const PAUSE: Duration = Duration::from_millis(1);

/// What the threads of a process have in common.
struct Agent {
    ledger: Ledger,
    name: String,
    stopped: AtomicBool,
    /// Seconds that appends and polls took since the last look.
    times: [Mutex<Vec<f64>>; 2],
    /// The last number of each appending thread that was acknowledged.
    acknowledged: Vec<AtomicI64>,
    /// What the checking thread saw: the last number of each node.
    seen: Mutex<HashMap<String, i64>>,
}

#[test]
#[ignore = "a process of the soak"]
fn works() {
    let Some(name) = parameter("NAME") else { return };
    // A thread that fails ends the process.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::exit(101);
    }));
    let threads: usize = parameter("THREADS").unwrap().parse().unwrap();
    let agent = Agent {
        ledger: Ledger::open(&config(&parameter("LEDGER").unwrap(), &KEYS)).unwrap(),
        name,
        stopped: AtomicBool::new(false),
        times: Default::default(),
        acknowledged: (0..threads).map(|_| AtomicI64::new(-1)).collect(),
        seen: Mutex::default(),
    };
    let mut line = Line::to_the_test();
    thread::scope(|scope| {
        for thread in 0..threads {
            let agent = &agent;
            // The first process alone checks and cleans up.
            scope.spawn(move || match thread {
                _ if threads == 16 && thread == 0 => agent.check(),
                _ if threads == 16 && thread == 1 => agent.clean_up(),
                _ => match thread % 4 {
                    0 | 1 => agent.append(thread),
                    2 => agent.follow(),
                    _ => agent.look_around(),
                },
            });
        }
        while let Some(asked) = line.hear() {
            if asked == "stop" {
                break;
            }
            line.say(&agent.figures());
        }
        agent.stopped.store(true, SeqCst);
    });
    // What was acknowledged last is seen as well.
    if threads == 16 {
        agent.check_once();
    }
    let seen = agent.seen.lock().unwrap();
    seen.iter().for_each(|(node, k)| line.say(&format!("{node} {k}")));
    drop(seen);
    agent.ledger.close().unwrap();
}

/// Does it again, with longer and longer pauses, while others are in the way.
fn persist<T>(mut work: impl FnMut() -> Result<T>) -> T {
    let mut pause = PAUSE;
    loop {
        match work() {
            Ok(done) => return done,
            Err(error) if error.status() == Status::Busy => thread::park_timeout(pause),
            Err(error) => panic!("{error}"),
        }
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

impl Agent {
    fn goes_on(&self) -> bool {
        thread::park_timeout(PAUSE);
        !self.stopped.load(SeqCst)
    }

    fn timed<T>(&self, kind: usize, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.times[kind].lock().unwrap().push(began.elapsed().as_secs_f64());
        done
    }

    fn append(&self, thread: usize) {
        let node = format!("{}.{thread}", self.name);
        let mut k = 0;
        while self.goes_on() {
            let count = if k % 100 == 50 { 20 } else { 1 };
            let entry = |k: i64| {
                let filling = "x".repeat((k % 97) as usize);
                format!(
                    r#"{{"timestamp":{k},"node_id":"{node}","features":{{"k":{k},"filling":"{filling}"}},"confidence":0.5}}"#
                )
            };
            let lines: Vec<String> = (k..k + count).map(entry).collect();
            // A batch, a transaction or one by itself.
            self.timed(0, || match count {
                1 => persist(|| self.ledger.append_json(&lines[0]).map(drop)),
                _ if k % 200 == 50 => persist(|| self.ledger.append_many_json(&lines.join("\n")).map(drop)),
                _ => {
                    let mut transaction = self.ledger.transaction();
                    for line in &lines {
                        transaction.append_json(line).unwrap();
                    }
                    persist(|| self.ledger.commit(&mut transaction).map(drop));
                }
            });
            k += count;
            self.acknowledged[thread].store(k - 1, SeqCst);
        }
    }

    /// Follows the ledger from its end, as agents do.
    fn follow(&self) {
        let mut position = persist(|| self.ledger.last_id());
        while self.goes_on() {
            let wait = Duration::from_millis(100);
            let entries = persist(|| match self.ledger.wait_since(position, NO_LIMIT, wait) {
                Err(error) if error.status() == Status::Timeout => Ok(None),
                entries => entries.map(Some),
            });
            let Some(entries) = entries else { continue };
            assert!(
                entries.get(0).is_none_or(|entry| entry.id() == position + 1 || entries.gap_before() > 0)
            );
            position = entries.position();
        }
    }

    fn look_around(&self) {
        let mut query = Query::new();
        query.min_confidence(0.4).unwrap().order(Order::TimeDescending).limit(20).unwrap();
        let mut turn = 0;
        while self.goes_on() {
            turn += 1;
            let last = persist(|| self.ledger.last_id());
            self.timed(1, || persist(|| self.ledger.poll_since((last - 10).max(0), NO_LIMIT)));
            drop(persist(|| self.ledger.get_by_id((last - turn % 1000).max(1))));
            if turn % 20 == 0 {
                drop(persist(|| self.ledger.query(&query)));
                drop(persist(|| self.ledger.read_by_node(&format!("{}.0", self.name), 10)));
                drop(persist(|| self.ledger.sql("SELECT count(*) FROM ledger WHERE id > ?", Some("[1]"), 1)));
            }
        }
    }

    fn clean_up(&self) {
        let other = format!("{}-other", parameter("LEDGER").unwrap());
        for round in 0_u32.. {
            if !self.goes_on() {
                break;
            }
            let last = persist(|| self.ledger.last_id());
            if last > KEPT {
                persist(|| self.ledger.cleanup_before_id(last - KEPT).map(drop));
            }
            // What an opening leaves behind it leaves in this process too.
            let another = Ledger::open(&config(&other, &KEYS)).unwrap();
            another.append_parts(f64::from(round), "other", "{}", 1.0).unwrap();
            another.close().unwrap();
            thread::park_timeout(Duration::from_secs(1));
        }
    }

    /// Sees each entry of every node once and in order.
    fn check(&self) {
        while self.goes_on() {
            self.check_once();
        }
    }

    fn check_once(&self) {
        let mut seen = self.seen.lock().unwrap();
        // Where it was is itself the number of entries that it has seen: ids have no gaps.
        let mut position = seen.values().map(|k| k + 1).sum::<i64>();
        loop {
            let entries = persist(|| self.ledger.poll_since(position, 10_000));
            assert_eq!(entries.gap_before(), 0, "cleanup is far behind");
            for entry in entries.iter() {
                position += 1;
                assert_eq!(entry.id(), position, "an id that is missing");
                let k = entry.timestamp() as i64;
                let before = seen.insert(entry.node_id().to_string(), k).unwrap_or(-1);
                assert_eq!(before + 1, k, "an entry of {} is missing or there twice", entry.node_id());
            }
            if entries.is_empty() {
                return;
            }
        }
    }

    /// What was acknowledged, and how long it took.
    fn figures(&self) -> String {
        let mut said = String::new();
        for times in &self.times {
            let mut times = std::mem::take(&mut *times.lock().unwrap());
            times.sort_by(f64::total_cmp);
            let quantile = |part: f64| match times.len() {
                0 => 0.0,
                len => times[((len as f64 * part) as usize).min(len - 1)],
            };
            write!(said, "{} {:.7} {:.7} ", times.len(), quantile(0.5), quantile(0.99)).unwrap();
        }
        for k in &self.acknowledged {
            write!(said, "{} ", k.load(SeqCst)).unwrap();
        }
        said
    }
}

/// What was measured in a second.
struct Sample {
    second: u64,
    values: Vec<f64>,
}

const COLUMNS: [&str; 12] = [
    "memory_bytes",
    "descriptors",
    "threads",
    "ledger_bytes",
    "wal_bytes",
    "log_bytes",
    "appends",
    "append_p50",
    "append_p99",
    "polls",
    "poll_p50",
    "poll_p99",
];

fn of_process(pid: u32, second: u64, path: &str, figures: &[f64]) -> Sample {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of_status = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
    };
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as f64;
    let size =
        |suffix: &str| std::fs::metadata(format!("{path}{suffix}")).map_or(0.0, |found| found.len() as f64);
    let mut values = vec![of_status("VmRSS:") * 1024.0, descriptors, of_status("Threads:")];
    values.extend([size(""), size("-wal"), size("-log")]);
    values.extend(&figures[..6]);
    Sample { second, values }
}

fn start(path: &str, name: &str, threads: usize) -> Process {
    Process::start("works", &[("LEDGER", path), ("NAME", name), ("THREADS", &threads.to_string())])
}

#[test]
#[ignore = "takes as long as it is told: see campaigns/soak"]
fn what_a_ledger_takes_stays_as_it_is() {
    let seconds = std::env::var("LEDGER_SOAK_SECONDS").map_or(20, |seconds| seconds.parse().unwrap());
    let place = Place::new();
    let path = place.file("ledger.db");
    let mut random = Random::new();
    let mut main = start(&path, "main", 16);
    let mut workers: Vec<(String, Process)> = Vec::new();
    // The last number that was acknowledged to each node, as far as it was said.
    let mut acknowledged: HashMap<String, i64> = HashMap::new();
    let mut said = |name: &str, figures: &str| -> Vec<f64> {
        let numbers: Vec<f64> = figures.split_whitespace().map(|number| number.parse().unwrap()).collect();
        for (thread, k) in numbers[6..].iter().enumerate().filter(|(_, k)| **k >= 0.0) {
            acknowledged.insert(format!("{name}.{thread}"), *k as i64);
        }
        numbers
    };
    let mut samples = Vec::new();
    let mut kills = 0;
    let began = Instant::now();
    // Nothing is ever sent: what passes is time, as that is what is tested.
    let (_tick, clock) = mpsc::channel::<()>();
    for second in 1..=seconds {
        while workers.len() < 4 {
            let name = format!("worker{kills}-{}", workers.len());
            let process = start(&path, &name, 4);
            workers.push((name, process));
        }
        let _ = clock
            .recv_timeout((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
        let figures = said("main", &main.ask("figures"));
        samples.push(of_process(main.id(), second, &path, &figures));
        for (name, process) in &mut workers {
            said(name, &process.ask("figures"));
        }
        if second % 2 == 0 {
            let place = random.below(4) as usize;
            random.pass_microseconds(20_000);
            workers[place].1.kill();
            drop(workers.swap_remove(place));
            kills += 1;
        }
    }
    for (_, process) in &mut workers {
        process.line.say("stop");
        while process.line.hear().is_some() {}
        assert!(process.end(), "a worker failed");
    }
    main.line.say("stop");
    let mut seen: HashMap<String, i64> = HashMap::new();
    while let Some(line) = main.line.hear() {
        let (node, k) = line.split_once(' ').unwrap();
        seen.insert(node.to_string(), k.parse().unwrap());
    }
    assert!(main.end(), "the first process failed");
    let entries: i64 = seen.values().map(|k| k + 1).sum();
    let lost: Vec<_> =
        acknowledged.iter().filter(|(node, k)| seen.get(*node).is_none_or(|seen| seen < *k)).collect();
    assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
    if let Ok(out) = std::env::var("LEDGER_SOAK_OUT") {
        write_csv(&out, &samples);
    }
    println!("soak: {seconds} s, {kills} processes killed, {entries} entries seen once and in order, 0 lost");
    judge(&samples);
}

fn write_csv(path: &str, samples: &[Sample]) {
    let mut text = format!("second,{}\n", COLUMNS.join(","));
    for sample in samples {
        let values: Vec<String> = sample.values.iter().map(f64::to_string).collect();
        writeln!(text, "{},{}", sample.second, values.join(",")).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// Compares the third third with the second: the first is for what grows until it is full, as caches do.
fn judge(samples: &[Sample]) {
    let third = samples.len() / 3;
    assert!(third > 0, "too short");
    let median = |column: &str, third: &[Sample]| {
        let column = COLUMNS.iter().position(|name| *name == column).unwrap();
        let mut values: Vec<f64> = third.iter().map(|sample| sample.values[column]).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[values.len() - 1])
    };
    let (middle, end) = (&samples[third..2 * third], &samples[2 * third..]);
    for column in COLUMNS {
        let ((before, _), (after, most)) = (median(column, middle), median(column, end));
        println!("soak: {column}: {before:.7} and then {after:.7}, at most {most:.7}");
    }
    let grown = |column, by: f64, and: f64| {
        let ((before, _), (after, _)) = (median(column, middle), median(column, end));
        assert!(after <= before * by + and, "{column} grew from {before} to {after}");
    };
    grown("memory_bytes", 1.1, 8e6);
    grown("descriptors", 1.0, 4.0);
    grown("threads", 1.0, 0.0);
    grown("ledger_bytes", 1.2, 16e6);
    grown("log_bytes", 1.0, 0.0);
    // Of the slowest calls of a second as of the others; so that what else runs on the machine does not count, in
    // the middle of all seconds, and by a factor.
    for column in ["append_p50", "append_p99", "poll_p50", "poll_p99"] {
        grown(column, 3.0, 1e-3);
    }
    // It is begun anew from 8,000 pages of 4 KiB on, for which those who read are waited for the longer the longer
    // it is.
    let (_, wal) = median("wal_bytes", samples);
    assert!(wal < 256e6, "a WAL of {wal} bytes");
}
