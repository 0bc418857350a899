//! Memory that cannot be had: every large allocation of every call fails once, and fails from then on, until
//! the call passes. It says OUT_OF_MEMORY then and the ledger is as it was; the process does not end.
//!
//! What is large: 128 KiB and more, from where on the C library asks the system for each (its M_MMAP_THRESHOLD), and
//! above what anything takes whose size is bounded by a constant. Smaller ones end the process in Rust.
//! SQLite allocates by functions of its own: there every allocation fails, whatever its size.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};

use common::{Place, Process, config, integrity, parameter};
use simledger::*;

const LARGE: usize = 128 << 10;

/// How many large allocations pass before one fails, which it does once or from then on, and how many did.
static PASS: AtomicI64 = AtomicI64::new(i64::MAX);
static FOR_EVER: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether the test itself is allocating.
    static EXEMPT: Cell<bool> = const { Cell::new(false) };
}

/// What a test needs itself.
fn made<T>(make: impl FnOnce() -> T) -> T {
    EXEMPT.set(true);
    let made = make();
    EXEMPT.set(false);
    made
}

struct Scarce;

fn is_refused(bytes: usize) -> bool {
    if bytes < LARGE || PASS.load(SeqCst) == i64::MAX || EXEMPT.get() {
        return false;
    }
    let left = PASS.fetch_sub(1, SeqCst);
    let refused = left == 0 || (left < 0 && FOR_EVER.load(SeqCst));
    if refused {
        FAILED.fetch_add(1, SeqCst);
    }
    refused
}

// SAFETY: the system's allocator, or NULL.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if is_refused(layout.size()) { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if is_refused(layout.size()) { null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        if is_refused(bytes) { null_mut() } else { unsafe { System.realloc(memory, layout, bytes) } }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Whose allocations fail.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Rust,
    Sqlite,
}

/// Does the work while the n-th allocation fails; how it ended, and how many failed.
fn with_failures<T>(whose: Whose, nth: i64, for_ever: bool, work: impl FnOnce() -> T) -> (T, u64) {
    match whose {
        Whose::Rust => {
            FAILED.store(0, SeqCst);
            FOR_EVER.store(for_ever, SeqCst);
            PASS.store(nth, SeqCst);
            let done = work();
            PASS.store(i64::MAX, SeqCst);
            (done, FAILED.load(SeqCst))
        }
        Whose::Sqlite => {
            test_hooks::refuse_memory(nth, for_ever);
            let done = work();
            (done, test_hooks::memory_refused())
        }
    }
}

/// A ledger with what makes results large, and how many entries were acknowledged.
struct Work {
    place: Place,
    keys: Vec<(&'static str, &'static str)>,
    ledger: Option<Ledger>,
    acknowledged: i64,
}

fn large_features(bytes: usize) -> String {
    made(|| {
        let (text, digits) = ("é".repeat(bytes / 2), "0".repeat(bytes / 4));
        format!(
            r#"{{ "text" : "{text}\n", "whole" : 12{digits}.{digits}e-{}, "a{text}\n" : 3, "~/" : [ 1, 2.5 ] }}"#,
            bytes / 4
        )
    })
}

fn batch(from: i64, count: i64) -> String {
    let line =
        |k| format!(r#"{{"timestamp":{k},"node_id":"n{}","features":{{"k":{k}}},"confidence":0.5}}"#, k % 3);
    made(|| (from..from + count).map(line).collect::<Vec<_>>().join("\n"))
}

impl Work {
    fn new(keys: &[(&'static str, &'static str)]) -> Work {
        let mut work = Work { place: Place::new(), keys: keys.to_vec(), ledger: None, acknowledged: 0 };
        work.reopen().unwrap();
        let ledger = work.ledger();
        ledger.append_many_json(&batch(1, 9000)).unwrap();
        ledger.flush().unwrap();
        ledger.append_parts(0.5, "large", &large_features(1_000_000), 1.0).unwrap();
        work.acknowledged = 9001;
        // Another, of whose rows none is an entry.
        let broken = work.place.file("broken.db");
        Ledger::open(&config(&broken, &[("commit", "sqlite")])).unwrap().close().unwrap();
        let rows = "WITH RECURSIVE k(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM k LIMIT 9000)
                    INSERT INTO ledger (timestamp, node_id, features, confidence) SELECT k, 'n', 'x', 1 FROM k";
        rusqlite::Connection::open(broken).unwrap().execute_batch(rows).unwrap();
        work
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn reopen(&mut self) -> Result<()> {
        if let Some(ledger) = self.ledger.take() {
            ledger.close()?;
        }
        self.ledger = Some(Ledger::open(&config(&self.place.file("ledger.db"), &self.keys))?);
        Ok(())
    }

    fn acknowledge(&mut self, batched: Result<Batched>) -> Result<()> {
        self.acknowledged += batched?.count as i64;
        Ok(())
    }

    /// A timestamp that no entry has.
    fn next(&self) -> i64 {
        20_000 + self.acknowledged
    }
}

/// What C is told by NULL.
fn no_memory() -> Error {
    Error::new(Status::OutOfMemory, "none")
}

type Job = (&'static str, fn(&mut Work) -> Result<()>);

const JOBS: &[Job] = &[
    ("append_json", |work| {
        let features = large_features(400_000);
        let json = made(|| {
            format!(r#"{{"timestamp":{},"node_id":"x","features":{features},"confidence":1}}"#, work.next())
        });
        work.ledger().append_json(&json)?;
        work.acknowledged += 1;
        Ok(())
    }),
    ("append_parts", |work| {
        let at = work.next() as f64;
        work.ledger().append_parts(at, "x", &large_features(400_000), 0.5)?;
        work.acknowledged += 1;
        Ok(())
    }),
    ("append_many_keys", |work| {
        let keys = made(|| (0..30_000).map(|k| format!(r#""k{k}":{k}"#)).collect::<Vec<_>>().join(","));
        work.ledger().append_parts(work.next() as f64, "x", &made(|| format!("{{{keys}}}")), 0.5)?;
        work.acknowledged += 1;
        Ok(())
    }),
    ("append_many_json", |work| {
        let done = work.ledger().append_many_json(&batch(work.next(), 3000));
        work.acknowledge(done)
    }),
    ("append_many_of_before", |work| {
        // Between those of Work::new, so that the file is asked for each.
        let line = |k: i64| {
            format!(r#"{{"timestamp":{k}.5,"node_id":"n{}","features":{{}},"confidence":1}}"#, k % 3)
        };
        let again = work.acknowledged > 9001;
        work.ledger().set_option("on_duplicate", "ignore")?;
        let batch = made(|| (1..9000).map(line).collect::<Vec<_>>().join("\n"));
        let done = work.ledger().append_many_json(&batch)?;
        work.acknowledged += done.count as i64;
        assert_eq!(done.count, if again { 0 } else { 8999 });
        Ok(())
    }),
    ("transaction", |work| {
        let mut transaction = work.ledger().transaction();
        for k in 0..3000 {
            transaction.append_json(&batch(work.next() + k, 1))?;
        }
        let done = work.ledger().commit(&mut transaction);
        work.acknowledge(done)
    }),
    ("append_again", |work| {
        work.ledger().set_option("on_duplicate", "ignore")?;
        let json = |features: &str| {
            made(|| format!(r#"{{"timestamp":0.7,"node_id":"x","features":{features},"confidence":1}}"#))
        };
        let text = made(|| "x".repeat(200_000));
        let (first, again) =
            made(|| (format!(r#"{{"a":"{text}","b":1}}"#), format!(r#"{{"b":1,"a":"{text}"}}"#)));
        let id = work.ledger().append_json(&json(&first))?;
        work.acknowledged = work.acknowledged.max(id);
        // Equal, and so the same id or a status: never DUPLICATE.
        assert_eq!(work.ledger().append_json(&json(&again))?, id);
        Ok(())
    }),
    ("flush", |work| {
        let done = work.ledger().append_many_json(&batch(work.next(), 1000));
        work.acknowledge(done)?;
        work.ledger().flush()
    }),
    ("poll_since", |work| complete(work.ledger().poll_since(0, NO_LIMIT)?, work)),
    ("read_all", |work| complete(work.ledger().read_all()?, work)),
    ("query", |work| {
        let mut query = Query::new();
        query.order(Order::TimeDescending).min_confidence(0.1)?;
        complete(work.ledger().query(&query)?, work)
    }),
    ("query_of_many_nodes", |work| {
        let mut query = Query::new();
        for k in 0..500 {
            query.node(&format!("{k}{}", "n".repeat(200)))?;
        }
        assert!(work.ledger().query(&query)?.is_empty());
        work.ledger().query_plan(&query).map(drop)
    }),
    ("read_by_node", |work| {
        let entries = work.ledger().read_by_node("n1", NO_LIMIT)?;
        assert!(entries.len() >= 3000);
        Ok(())
    }),
    ("get_by_id", |work| {
        assert!(work.ledger().get_by_id(9001)?.unwrap().as_ref().features().len() > 999_000);
        assert!(work.ledger().get_by_id(1)?.is_some());
        Ok(())
    }),
    ("feature", |work| {
        let entry = work.ledger().get_by_id(9001)?.unwrap();
        assert!(entry.as_ref().feature("/text")?.unwrap().text()?.len() > 999_000);
        assert_eq!(entry.as_ref().feature("/whole")?.unwrap().integer()?, 12);
        assert_eq!(entry.as_ref().feature("/~0~1")?.unwrap().array_len()?, 2);
        let pointer = made(|| format!("/{}", "~0".repeat(200_000)));
        assert!(entry.as_ref().feature(&pointer)?.is_none());
        Ok(())
    }),
    ("json", |work| match work.ledger().read_all()?.json() {
        Some(json) => {
            assert!(json.len() > 100_000);
            Ok(())
        }
        None => Err(no_memory()),
    }),
    ("features", |_| {
        let mut features = Features::new();
        features.set_numbers("numbers", &made(|| vec![0.1; 50_000]))?;
        features.set_integers("integers", &made(|| vec![12; 60_000]))?;
        features.set_text("text", &made(|| "\n".repeat(200_000)))?;
        features.set_json("json", &made(|| format!("[ 1, \"{}\" ]", "x".repeat(200_000))))?;
        for k in 0..4000 {
            features.set_integer(&format!("k{k}"), k)?;
        }
        assert!(features.json().ok_or_else(no_memory)?.len() > 100_000);
        Ok(())
    }),
    ("sql", |work| {
        let sql = "SELECT node_id, features || ?1 FROM ledger";
        let json = work.ledger().sql(sql, Some(&made(|| format!("[\"{}\"]", "x".repeat(20_000)))), 30)?;
        assert!(json.len() > 600_000);
        let texts = made(|| {
            let text = "x".repeat(200_000);
            [format!(r#"{{"t":"{text}"}}"#), format!(r#"{{"t":["{text}"]}}"#), format!(r#"{{"{text}":1}}"#)]
        });
        let length = "SELECT length(:t) > 200000 - 1";
        for text in &texts[..2] {
            assert!(work.ledger().sql(length, Some(text), 1)?.contains("[[1]]"));
        }
        let error = work.ledger().sql(length, Some(&texts[2]), 1).unwrap_err();
        if error.status() == Status::InvalidArgument { Ok(()) } else { Err(error) }
    }),
    ("wait_since", |work| {
        let timeout = std::time::Duration::from_secs(30);
        complete(work.ledger().wait_since(0, NO_LIMIT, timeout)?, work)
    }),
    ("watch", |work| {
        let watch = work.ledger().watch(0, None)?;
        complete(work.ledger().poll_watch(&watch, NO_LIMIT)?, work)
    }),
    ("counts", |work| {
        assert_eq!(work.ledger().last_id()?, work.acknowledged);
        work.ledger().metrics().map(drop)
    }),
    ("maintenance", |work| {
        work.ledger().cleanup_before_timestamp(0.1)?;
        work.ledger().optimize()?;
        work.ledger().reindex()?;
        work.ledger().checkpoint()?;
        work.ledger().vacuum(Vacuum::Incremental)?;
        assert_eq!(work.ledger().integrity_check(100, None)?, Vec::<String>::new());
        work.ledger().vacuum(Vacuum::Full).map(drop)
    }),
    ("findings", |work| {
        let broken = Ledger::open(&config(&work.place.file("broken.db"), &[]))?;
        assert_eq!(broken.integrity_check(NO_LIMIT, None)?.len(), 9000);
        broken.close()
    }),
    ("change_of_mode", |work| {
        let other = if work.ledger().option("commit")? == "log" { "sqlite" } else { "log" };
        work.ledger().set_option("commit", other)?;
        let done = work.ledger().append_many_json(&batch(work.next(), 20));
        work.acknowledge(done)
    }),
    ("reopen", |work| {
        work.reopen()?;
        complete(work.ledger().read_all()?, work)
    }),
    ("arguments_of_any_length", |work| {
        let long = made(|| "k".repeat(300_000));
        let entry = made(|| format!("{{\"{long}\":1}}"));
        work.ledger().set_option("strict_fields", "true")?;
        let mut config = Config::new();
        let refused = [
            config.set(&long, "1"),
            config.set("path", &long),
            config.set("read_only", &long),
            config.set("profile", &long),
            work.ledger().set_option(&long, "1"),
            work.ledger().set_option("timeout", &long),
            work.ledger().metrics()?.get(&long).map(drop),
            work.ledger().append_json(&entry).map(drop),
            Features::new().set_json(&long, "{"),
        ];
        assert!(refused.iter().all(|refused| refused.as_ref().is_err_and(|error| error.field().len() < 200)));
        work.ledger().set_option("strict_fields", "false")
    }),
    ("load_file", |work| {
        let path = work.place.file("ledger.yaml");
        let text = made(|| "# padding\n".repeat(50_000) + "database:\n  timeout: 3\n");
        std::fs::write(&path, text).unwrap();
        Config::new().load_file(&path)
    }),
];

fn complete(entries: Entries, work: &Work) -> Result<()> {
    assert_eq!(entries.len() as i64, work.acknowledged);
    Ok(())
}

/// Does each job until no allocation of it fails any more. `stride`: the n-th fails, and next the n + 1 + n·stride/100-th.
fn fail_allocations(whose: Whose, keys: &[(&'static str, &'static str)], stride: i64) -> (u64, u64) {
    let (mut failures, mut refused) = (0, 0);
    for (name, job) in JOBS {
        let mut work = Work::new(keys);
        // What fails is told from the job's own line when the process ends.
        println!("{name}");
        for for_ever in [false, true] {
            let mut nth = 0;
            loop {
                let (done, failed) = with_failures(whose, nth, for_ever, || job(&mut work));
                if work.ledger.is_none() {
                    work.reopen().unwrap();
                }
                if let Err(error) = &done {
                    assert_eq!(error.status(), Status::OutOfMemory, "{name}, allocation {nth}: {error}");
                    refused += 1;
                }
                failures += failed;
                assert_eq!(work.ledger().count().unwrap(), work.acknowledged, "{name}, allocation {nth}");
                if failed == 0 {
                    // What failed in the background before may still be told once more.
                    common::wait_until(|| done.is_ok() || work.ledger().flush().is_ok());
                    if done.is_ok() {
                        break;
                    }
                    continue;
                }
                nth += 1 + nth * stride / 100;
            }
        }
        complete(work.ledger().read_all().unwrap(), &work).unwrap();
        work.ledger.take().unwrap().close().unwrap();
        assert_eq!(integrity(&work.place.sqlite()), "ok");
    }
    (failures, refused)
}

#[test]
#[ignore = "a process whose memory is refused"]
fn works_without_memory() {
    let Some(whose) = parameter("WHOSE") else { return };
    let stride = parameter("STRIDE").unwrap().parse().unwrap();
    let (whose, line) =
        (if whose == "rust" { Whose::Rust } else { Whose::Sqlite }, common::Line::to_the_test());
    let small = [("log_bytes", "65536"), ("tail_bytes_max", "0")];
    let mut all = (0, 0);
    for keys in [&[][..], &small] {
        let (failures, refused) = fail_allocations(whose, keys, stride);
        all = (all.0 + failures, all.1 + refused);
    }
    line.say(&format!("{} allocations failed, {} calls said so", all.0, all.1));
}

/// In a process of its own, whose death is seen.
fn run(whose: &str, stride: &str) {
    let mut process = Process::start("works_without_memory", &[("WHOSE", whose), ("STRIDE", stride)]);
    let said = process.line.hear();
    assert!(process.end(), "it was ended for want of memory, or failed");
    let said = said.expect("what it did");
    println!("{whose}: {said}");
    assert!(!said.starts_with("0 ") && !said.contains(" 0 calls"), "{said}");
}

#[test]
fn a_large_allocation_that_fails_is_a_status_and_nothing_else() {
    run("rust", "0");
}

/// Most calls allocate thousands of times: `LEDGER_MEMORY_STRIDE` says how many of them fail, 0 for each in
/// turn.
#[test]
fn an_allocation_of_sqlite_that_fails_is_a_status_and_nothing_else() {
    run("sqlite", &std::env::var("LEDGER_MEMORY_STRIDE").unwrap_or_else(|_| "400".to_string()));
}
