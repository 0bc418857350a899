//! What several tests need: a place for a ledger, entries, and processes of their own.

#![allow(dead_code)] // Each test binary uses a part.

use std::path::PathBuf;
use std::process::Command;

use simledger::{Config, Entries, Ledger};

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
