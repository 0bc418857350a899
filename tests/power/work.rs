//! What is done to a ledger while it is recorded, and what is known of it then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use simledger::{Error, Ledger, NO_LIMIT, Status, Vacuum};

use crate::common::batches::Batch;
use crate::common::{Random, config};
use crate::recorder::{Told, tell};

/// The entries that there ever were: writer, and his number of it.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub entries: BTreeMap<i64, (String, i64)>,
    /// Last ids of batches.
    pub ends: BTreeSet<i64>,
}

impl History {
    pub fn add(&mut self, first_id: i64, batch: &Batch) {
        for index in 0..batch.count {
            let before = self.entries.insert(first_id + index, (batch.writer.clone(), batch.k + index));
            assert_eq!(before, None, "id {} was given twice", first_id + index);
        }
        self.ends.insert(first_id + batch.count - 1);
    }
}

/// How a ledger is opened.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    pub journal: &'static str,
    pub synchronous: &'static str,
}

impl Mode {
    pub fn is_durable(self) -> bool {
        self.synchronous == "FULL"
    }

    pub fn open(self, folder: &Path) -> simledger::Result<Ledger> {
        let path = folder.join("ledger.db");
        let keys = [
            ("journal_mode", self.journal),
            ("synchronous_mode", self.synchronous),
            // So small that it is gone round often.
            ("log_bytes", "65536"),
        ];
        Ledger::open(&config(path.to_str().unwrap(), &keys))
    }

    pub fn any(random: &mut Random) -> Mode {
        let journal = ["WAL", "DELETE", "WAL", "TRUNCATE", "WAL", "PERSIST"][random.below(6) as usize];
        Mode { journal, synchronous: ["NORMAL", "FULL"][random.below(2) as usize] }
    }
}

/// Somebody who writes.
pub struct Work<'a> {
    pub folder: &'a Path,
    pub writer: String,
    pub history: Mutex<History>,
    k: AtomicI64,
}

impl<'a> Work<'a> {
    pub fn new(folder: &'a Path, writer: &str, history: History) -> Work<'a> {
        // So that an entry is as long as any other that had its id.
        let last = history.entries.last_key_value().map_or(0, |(id, _)| *id);
        Work { folder, writer: writer.to_string(), history: Mutex::new(history), k: AtomicI64::new(last) }
    }

    /// Opens the ledger, and says what appends to it are worth from then on.
    pub fn open(&self, mode: Mode) -> Ledger {
        tell(Told::Durable(false));
        let ledger = mode.open(self.folder).expect("the ledger opens");
        tell(Told::Durable(mode.is_durable()));
        ledger
    }

    pub fn append(&self, ledger: &Ledger, count: i64) {
        let k = self.k.fetch_add(count, Ordering::Relaxed);
        let batch = Batch { writer: self.writer.clone(), k, count };
        let first_id = batch.append(ledger);
        self.history.lock().unwrap().add(first_id, &batch);
        tell(Told::Appended(first_id + count - 1));
    }

    /// So many steps of all that can be done; from the creation on, where there is no ledger.
    pub fn run(&self, mut mode: Mode, steps: u64, random: &mut Random) {
        let mut ledger = self.open(mode);
        for _ in 0..steps {
            match random.below(100) {
                0..45 => self.append(&ledger, 1),
                45..58 => self.append(&ledger, 2 + random.below(12) as i64),
                // Too large for the log.
                58..61 => self.append(&ledger, 70),
                61..66 => std::thread::scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| (0..4).for_each(|n| self.append(&ledger, 1 + n % 2)));
                    }
                }),
                66..71 => ledger.flush().unwrap(),
                71..76 => ledger.checkpoint().unwrap(),
                76..80 => self.clean_up(&ledger, random),
                80 => drop(ledger.vacuum(Vacuum::Full).unwrap()),
                81..83 => {
                    // One of the Python module must be written anew once before.
                    let freed = ledger.vacuum(Vacuum::Incremental);
                    let is_other = |error: &Error| error.status() == Status::Unsupported;
                    freed
                        .or_else(
                            |error| if is_other(&error) { ledger.vacuum(Vacuum::Full) } else { Err(error) },
                        )
                        .unwrap();
                }
                83..87 => drop(ledger.poll_since(0, NO_LIMIT).unwrap()),
                // Long enough for the drain.
                87..90 => random.pass_microseconds(30_000),
                90..94 => {
                    let other = if ledger.option("commit").unwrap() == "log" { "sqlite" } else { "log" };
                    ledger.set_option("commit", other).unwrap();
                }
                _ => {
                    ledger.close().unwrap();
                    if random.below(3) == 0 {
                        mode = Mode::any(random);
                    }
                    ledger = self.open(mode);
                }
            }
        }
        ledger.close().unwrap();
    }

    /// Removes the older half or so.
    fn clean_up(&self, ledger: &Ledger, random: &mut Random) {
        let last = *self.history.lock().unwrap().entries.last_key_value().map_or(&0, |(id, _)| id);
        let through = last.saturating_sub(10 + random.below(60) as i64);
        if through > 0 {
            tell(Told::Removing(through));
            ledger.cleanup_before_id(through + 1).unwrap();
            tell(Told::Removed(through));
        }
    }
}
