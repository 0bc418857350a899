//! What several tests need: a place for a ledger, entries, and processes of their own.

#![allow(dead_code)] // Each test binary uses a part.

pub mod batches;
pub mod history;
pub mod jury;
pub mod reference;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use simledger::{Config, Entries, Ledger, NO_LIMIT};

/// A folder of its own for a test's ledger, gone when dropped.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("a temporary path in UTF-8").to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Opens `ledger.db` in the folder with these keys set.
    pub fn open(&self, keys: &[(&str, &str)]) -> Ledger {
        self.try_open(keys).expect("the ledger opens")
    }

    pub fn try_open(&self, keys: &[(&str, &str)]) -> simledger::Result<Ledger> {
        Ledger::open(&config(&self.file("ledger.db"), keys))
    }

    /// The file as another program sees it.
    pub fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("ledger.db")).expect("SQLite opens the file")
    }
}

/// As `database-api.md` of the Python module has it.
pub const SEED: &str = "
CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL NOT NULL,
    node_id TEXT NOT NULL,
    features TEXT NOT NULL,
    confidence REAL NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(timestamp, node_id)
);
CREATE INDEX IF NOT EXISTS idx_ledger_timestamp ON ledger(timestamp);
CREATE INDEX IF NOT EXISTS idx_ledger_node_id ON ledger(node_id);
CREATE INDEX IF NOT EXISTS idx_ledger_confidence ON ledger(confidence);";

/// A configuration with these keys.
pub fn config(path: &str, keys: &[(&str, &str)]) -> Config {
    let mut config = Config::with_path(path).expect("a path");
    for (key, value) in keys {
        config.set(key, value).expect("a key and its value");
    }
    config
}

/// An entry as JSON.
pub fn entry(timestamp: f64, node_id: &str) -> String {
    format!(r#"{{"timestamp":{timestamp},"node_id":"{node_id}","features":{{"rate":910}},"confidence":0.5}}"#)
}

/// The ids of a result.
pub fn ids(entries: &Entries) -> Vec<i64> {
    entries.iter().map(|entry| entry.id()).collect()
}

/// A metric that there is.
pub fn metric(ledger: &Ledger, name: &str) -> f64 {
    let found = ledger.metrics().expect("metrics").get(name).expect("a metric of this name");
    found.unwrap_or_else(|| panic!("{name} could not be found out"))
}

/// Waits for a condition that will hold, and fails if it does not in a minute.
pub fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the condition does not come true");
        std::thread::yield_now();
    }
}

/// This test program again, running only the test with this name, which is `#[ignore]`d so that it
/// runs in no other way.
pub fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

/// What SQLite's own check says of the file.
pub fn integrity(connection: &rusqlite::Connection) -> String {
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the check runs")
}

/// A parameter that [`Process::start`] gave to this process; `None` in the test itself.
pub fn parameter(name: &str) -> Option<String> {
    std::env::var(format!("SIMLEDGER_TEST_{name}")).ok()
}

/// A line between a test and a process of it: one says what the other hears.
pub struct Line(BufReader<UnixStream>);

impl Line {
    /// The line to the test, in a process that it started.
    pub fn to_the_test() -> Line {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("standard input");
        Line(BufReader::new(UnixStream::from(stdin)))
    }

    /// Says something, in one write(2). Whether anybody still hears it is not known.
    pub fn say(&self, text: &str) {
        let _ = self.0.get_ref().write_all(format!("{text}\n").as_bytes());
    }

    /// The next that was said; `None` when the other side has ended. The last words of a process
    /// that was killed are `None` too if they are incomplete.
    pub fn hear(&mut self) -> Option<String> {
        let mut text = String::new();
        self.0.read_line(&mut text).ok()?;
        text.strip_suffix('\n').map(str::to_string)
    }
}

/// A process of a test: the body of one of its `#[ignore]`d tests. Killed when dropped.
pub struct Process {
    child: Child,
    pub line: Line,
}

impl Process {
    pub fn start(test: &str, parameters: &[(&str, &str)]) -> Process {
        let (here, there) = UnixStream::pair().expect("a line to the process");
        let mut command = again(test);
        for (name, value) in parameters {
            command.env(format!("SIMLEDGER_TEST_{name}"), value);
        }
        command.stdin(Stdio::from(OwnedFd::from(there))).stdout(Stdio::null());
        let child = command.spawn().expect("the process starts");
        Process { child, line: Line(BufReader::new(here)) }
    }

    /// What it says in answer.
    pub fn ask(&mut self, text: &str) -> String {
        self.line.say(text);
        self.line.hear().unwrap_or_else(|| panic!("no answer to {text}"))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
    }

    /// Waits for its end; how it came.
    pub fn outcome(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the process can be waited for")
    }

    /// Waits for its end, which must be one by SIGKILL: it did not fail.
    pub fn end_by_a_kill(&mut self) {
        let status = self.child.wait().expect("the process can be waited for");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "it ended by itself: {status}");
    }

    /// Waits for its end; whether it was a good one.
    pub fn end(&mut self) -> bool {
        self.child.wait().expect("the process can be waited for").success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Random numbers that a seed repeats (splitmix64). The seed is printed, and can be given in
/// `LEDGER_TEST_SEED`.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("a time after 1970").subsec_nanos();
        let seed = std::env::var("LEDGER_TEST_SEED");
        let seed = seed.map_or(u64::from(now), |seed| seed.parse().expect("a number as seed"));
        println!("LEDGER_TEST_SEED={seed}");
        Random(seed)
    }

    /// Those of one seed.
    pub fn of(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Lets a random time pass, so that what is done next is done at a random moment.
    pub fn pass_microseconds(&mut self, most: u64) {
        let time = Duration::from_micros(self.below(most));
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

/// The smallest log there is: it is gone round all the time.
pub const SMALL: (&str, &str) = ("log_bytes", "65536");
pub const LOG: (&str, &str) = ("commit", "log");

/// An entry with features of about so many bytes.
pub fn large(timestamp: f64, node_id: &str, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(
        r#"{{"timestamp":{timestamp},"node_id":"{node_id}","features":{{"text":"{text}"}},"confidence":0.5}}"#
    )
}

pub fn lines(entries: impl Iterator<Item = String>) -> String {
    entries.collect::<Vec<_>>().join("\n")
}

/// All that there is has the ids from `first` on, in memory and in the file, which is sound.
pub fn check_whole(ledger: &Ledger, first: i64, last: i64) {
    let all = ledger.read_all().unwrap();
    assert_eq!(ids(&all), (first..=last).collect::<Vec<_>>());
    assert_eq!((ledger.count().unwrap(), ledger.last_id().unwrap()), (last - first + 1, last));
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    let stored = ledger.sql("SELECT count(*), min(id), max(id) FROM ledger", None, 1).unwrap();
    assert!(stored.contains(&format!("[{},{first},{last}]", last - first + 1)), "{stored}");
}
