//! The ledger, as Rust programs use it. The C API is a thin skin over this.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::call::{self, Call};
use crate::chunk::Entry;
use crate::config::{Config, Settings};
use crate::engine::Engine;
use crate::entries::Entries;
use crate::entry::{Limits, NewEntry, node_id_fault};
use crate::error::{Error, Result, Status};
use crate::logging::{self, Level, Sink};
use crate::query::{Query, check_limit};
use crate::registry;
use crate::store::{Appended, Batch, Cutoff, OnDuplicate};
use crate::sys::fork;
use crate::transaction::Transaction;

/// No limit to the number of entries that a read gives.
pub const NO_LIMIT: usize = usize::MAX;

/// An open ledger. May be used from any number of threads at once; dropping it closes it.
pub struct Ledger {
    engine: Arc<Engine>,
    serial: u64,
    /// The process it belongs to.
    epoch: u64,
    /// The only thread that may use it, with `check_same_thread`.
    thread: Option<ThreadId>,
    /// Also where the engine could write, for another handle.
    read_only: bool,
    timeout: Duration,
    limits: Limits,
    result_bytes_max: usize,
    on_duplicate: OnDuplicate,
    log: Option<Sink>,
}

/// What became of a batch: ids from `first_id` on without gaps, `count` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batched {
    /// The first id that was given; 0 if nothing was added.
    pub first_id: i64,
    /// How many entries were added.
    pub count: usize,
}

impl Ledger {
    /// Opens the ledger that the configuration names, and creates it if need be.
    pub fn open(config: &Config) -> Result<Ledger> {
        static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        let epoch = fork::epoch();
        let mut settings = config.resolve();
        let log = config.log();
        let engine = speaking(settings.seconds("timeout"), log, serial, || {
            let opened = registry::open(&mut settings);
            match &opened {
                Ok(engine) => call::log(Level::Info, || describe(engine, &settings)),
                Err(error) => call::log(Level::Error, || format!("not opened: {error}")),
            }
            opened
        })?;
        let ledger = Ledger {
            engine,
            serial,
            epoch,
            thread: settings.flag("check_same_thread").then(|| thread::current().id()),
            read_only: settings.flag("read_only"),
            timeout: settings.seconds("timeout"),
            limits: settings.limits(),
            result_bytes_max: settings.integer("result_bytes_max"),
            on_duplicate: if settings.is("on_duplicate", "ignore") {
                OnDuplicate::IgnoreEqual
            } else {
                OnDuplicate::Refuse
            },
            log: log.cloned(),
        };
        // The log's receiver may have forked, and this may be the child.
        ledger.check_epoch()?;
        Ok(ledger)
    }

    /// Opens the ledger at a path, with the defaults. `":memory:"` is a new ledger in memory.
    pub fn open_path(path: &str) -> Result<Ledger> {
        Ledger::open(&Config::with_path(path)?)
    }

    /// The process it belongs to.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What an entry may be at most.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Appends an entry; its id. It is durable when this returns.
    pub fn append(&self, entry: &NewEntry<'_>) -> Result<i64> {
        let appended = self.write(std::slice::from_ref(entry), None)?;
        Ok(if appended.count > 0 { appended.first_id } else { appended.existing_id })
    }

    /// Appends an entry from JSON; its id.
    pub fn append_json(&self, json: &str) -> Result<i64> {
        self.append(&NewEntry::from_json(json, &self.limits)?)
    }

    /// Appends all of these entries or none.
    pub fn append_many(&self, entries: &[NewEntry<'_>]) -> Result<Batched> {
        let Appended { first_id, count, .. } = self.write(entries, None)?;
        Ok(Batched { first_id, count })
    }

    /// A transaction: entries are collected in it, and written together by [`Ledger::commit`].
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.limits)
    }

    /// Writes all entries of a transaction or none. Then it is empty; after a failure it is as it
    /// was, to be committed again or dropped.
    pub fn commit(&self, transaction: &mut Transaction) -> Result<Batched> {
        let Appended { first_id, count, .. } =
            self.write(transaction.entries(), transaction.expected_last_id())?;
        transaction.settle();
        Ok(Batched { first_id, count })
    }

    /// Appends all entries of a JSON array or of JSON lines, or none.
    pub fn append_many_json(&self, json: &str) -> Result<Batched> {
        self.append_many(&NewEntry::many_from_json(json, &self.limits)?)
    }

    /// Entries above `last_seen_id` in the order of their ids, at most `limit`. The next poll goes
    /// on from [`Entries::position`].
    pub fn poll_since(&self, last_seen_id: i64, limit: usize) -> Result<Entries> {
        check_last_seen(last_seen_id)?;
        check_limit(limit)?;
        self.call(|engine| engine.since(last_seen_id, limit, self.result_bytes_max))
    }

    /// All entries in the order of their ids.
    pub fn read_all(&self) -> Result<Entries> {
        self.call(|engine| engine.all(self.result_bytes_max))
    }

    /// What a query asks for.
    pub fn query(&self, query: &Query) -> Result<Entries> {
        self.call(|engine| engine.query(query, self.result_bytes_max))
    }

    /// Entries above `last_seen_id` that pass the filter, in the order of their ids, at most as many
    /// as the query's limit. [`Entries::position`] also passes over what was filtered out.
    pub fn poll_query(&self, query: &Query, last_seen_id: i64) -> Result<Entries> {
        check_last_seen(last_seen_id)?;
        query.check_filter()?;
        self.call(|engine| engine.filtered_since(query, last_seen_id, self.result_bytes_max))
    }

    /// How the storage would carry out a query, a line for each step.
    pub fn query_plan(&self, query: &Query) -> Result<String> {
        self.call(|engine| engine.plan(query))
    }

    /// The entry with this id.
    pub fn get_by_id(&self, id: i64) -> Result<Option<Entry>> {
        if id < 1 {
            return Err(Error::argument("id", format!("id is {id}; ids begin at 1")));
        }
        self.call(|engine| engine.get(id))
    }

    /// The entries of a node, newest timestamp first, at most `limit`.
    pub fn read_by_node(&self, node_id: &str, limit: usize) -> Result<Entries> {
        if let Some(fault) = node_id_fault(node_id) {
            return Err(Error::argument("node_id", fault));
        }
        check_limit(limit)?;
        self.call(|engine| engine.of_node(node_id, limit, self.result_bytes_max))
    }

    /// How many entries there are.
    pub fn count(&self) -> Result<i64> {
        self.call(Engine::count)
    }

    /// The id of the oldest entry that there is; 0 if there is none.
    pub fn first_id(&self) -> Result<i64> {
        self.call(|engine| Ok(engine.ends()?.first))
    }

    /// The id of the newest entry that there ever was, cleaned up or not; 0 if there never was one.
    pub fn last_id(&self) -> Result<i64> {
        self.call(|engine| Ok(engine.ends()?.last))
    }

    /// Deletes entries more than so many seconds behind the ledger's clock; how many.
    pub fn cleanup(&self, max_age_seconds: f64) -> Result<i64> {
        if !(max_age_seconds.is_finite() && max_age_seconds > 0.0) {
            let message = format!("max_age_seconds is {max_age_seconds}; it must be finite and above 0");
            return Err(Error::argument("max_age_seconds", message));
        }
        self.clean(Cutoff::Age(max_age_seconds))
    }

    /// Deletes entries with a smaller timestamp; how many.
    pub fn cleanup_before_timestamp(&self, timestamp: f64) -> Result<i64> {
        if !timestamp.is_finite() {
            let message = format!("timestamp is {timestamp}; it must be finite");
            return Err(Error::argument("timestamp", message));
        }
        self.clean(Cutoff::BeforeTimestamp(timestamp))
    }

    /// Deletes entries with a smaller id; how many.
    pub fn cleanup_before_id(&self, id: i64) -> Result<i64> {
        if id < 1 {
            return Err(Error::argument("id", format!("id is {id}; ids begin at 1")));
        }
        self.clean(Cutoff::BeforeId(id))
    }

    /// Forgets what the caches hold. Never needed for fresh answers; it frees memory.
    pub fn invalidate_caches(&self) -> Result<()> {
        self.call(|engine| {
            engine.invalidate_caches();
            Ok(())
        })
    }

    /// The ledger's numbers as a JSON object.
    pub fn metrics_json(&self) -> Result<String> {
        self.call(|engine| Ok(engine.metrics().to_json()))
    }

    /// Closes the ledger; an error if something was left undone. Dropping does the same in silence.
    pub fn close(self) -> Result<()> {
        self.check_epoch()?;
        let (timeout, serial, log) = (self.timeout, self.serial, self.log.clone());
        // Whoever closes last closes the file.
        let engine = Arc::clone(&self.engine);
        drop(self);
        speaking(timeout, log.as_ref(), serial, || match Arc::into_inner(engine) {
            None => Ok(()),
            Some(engine) => {
                call::log(Level::Info, || "closed".to_string());
                engine.close()
            }
        })
    }

    /// Whether this thread is in a callback of this ledger, and so inside a call on it.
    pub(crate) fn is_in_callback(&self) -> bool {
        logging::receiving_of(self.serial)
    }

    fn write(&self, entries: &[NewEntry<'_>], expected_last_id: Option<i64>) -> Result<Appended> {
        let batch = Batch { entries, on_duplicate: self.on_duplicate, expected_last_id };
        self.call(|engine| {
            self.check_writable()?;
            engine.append(&batch)
        })
    }

    fn clean(&self, cutoff: Cutoff) -> Result<i64> {
        self.call(|engine| {
            self.check_writable()?;
            let deleted = engine.cleanup(cutoff)?;
            call::log(Level::Info, || format!("cleanup deleted {deleted} entries"));
            Ok(deleted)
        })
    }

    /// What every call goes through.
    fn call<T>(&self, work: impl FnOnce(&Engine) -> Result<T>) -> Result<T> {
        self.check_epoch()?;
        if self.thread.is_some_and(|thread| thread != thread::current().id()) {
            let message = "the ledger was opened with check_same_thread = true, and this is another thread";
            return Err(Error::new(Status::WrongThread, message).with_field("check_same_thread"));
        }
        speaking(self.timeout, self.log.as_ref(), self.serial, || {
            self.engine.check_place()?;
            work(&self.engine)
        })
    }

    fn check_writable(&self) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = "the ledger was opened with read_only = true; open it without, to append and clean up";
        Err(Error::new(Status::ReadOnly, message).with_field("read_only"))
    }

    fn check_epoch(&self) -> Result<()> {
        if self.epoch == fork::epoch() {
            return Ok(());
        }
        let message = "the handle was inherited from the process that forked this one; open the ledger here";
        Err(Error::new(Status::Closed, message))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.epoch != fork::epoch() {
            // The connections are the parent's: not even closing them is allowed here.
            std::mem::forget(Arc::clone(&self.engine));
        }
    }
}

/// Runs a call within its time budget, and gives its lines to the log when it has ended.
fn speaking<T>(
    timeout: Duration,
    log: Option<&Sink>,
    serial: u64,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let call = Call::begin(timeout, log.map(|sink| sink.level));
    let result = work();
    let lines = call.end();
    if let Some(sink) = log {
        sink.deliver(serial, &lines);
    }
    result
}

fn describe(engine: &Engine, settings: &Settings) -> String {
    format!(
        "opened \"{}\" (simledger {}, SQLite {}, journal_mode {}, synchronous_mode {}, unique {}, guards {})",
        settings.text("path"),
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
        engine.setting("journal_mode"),
        engine.setting("synchronous_mode"),
        engine.setting("unique"),
        engine.setting("guards"),
    )
}

fn check_last_seen(id: i64) -> Result<()> {
    if id < 0 {
        let message = format!("last_seen_id is {id}; it must be 0, or the position of a result");
        return Err(Error::argument("last_seen_id", message));
    }
    Ok(())
}
