//! What the handles of one ledger, and its thread in the background, work with: its storage, its
//! caches, its metrics.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cache::Cache;
use crate::call;
use crate::chunk::Entry;
use crate::config::Settings;
use crate::entries::Entries;
use crate::error::Result;
use crate::logging::Level;
use crate::metrics::{Counter, Gauge, Metrics};
use crate::query::{Order, Query, Read};
use crate::store::sqlite::{Place, SqliteStore, Usage};
use crate::store::{Appended, Batch, Cutoff, Store, Version};

/// Results of more than this are not kept: a few dozen of them must not fill the memory.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Lines of the background that wait for a handle with a log; older ones give way.
const NOTICES_MAX: usize = 100;

/// One open ledger.
pub(crate) struct Shared {
    store: Box<dyn Store>,
    entries: Cache<i64, Entry>,
    by_node: Cache<(String, usize), Entries>,
    metrics: Arc<Metrics>,
    notices: Mutex<VecDeque<(Level, String)>>,
    has_notices: AtomicBool,
}

impl Shared {
    /// Opens the ledger at `place`, or a new one in memory. `settings` becomes what is so.
    pub fn open(place: Option<Place>, settings: &mut Settings) -> Result<Shared> {
        let metrics = Arc::new(Metrics::default());
        let store = SqliteStore::open(place, settings, Arc::clone(&metrics))?;
        let ttl = settings.seconds("cache_ttl");
        Ok(Shared {
            store: Box::new(store),
            entries: Cache::new(settings.integer("entry_cache_size"), ttl),
            by_node: Cache::new(settings.integer("query_cache_size"), ttl),
            metrics,
            notices: Mutex::default(),
            has_notices: AtomicBool::new(false),
        })
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The same, to keep.
    pub fn metrics_shared(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Where the entries are.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Follows a setting of scope `Engine` that was changed.
    pub fn follow(&self, settings: &Settings) {
        let ttl = settings.seconds("cache_ttl");
        self.entries.configure(settings.integer("entry_cache_size"), ttl);
        self.by_node.configure(settings.integer("query_cache_size"), ttl);
        self.store.set_connections_max(settings.integer("max_connections"));
    }

    /// Leaves lines for the log of whoever makes the next call.
    pub fn put_notices(&self, lines: Vec<(Level, String)>) {
        if lines.is_empty() {
            return;
        }
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.extend(lines);
        let surplus = notices.len().saturating_sub(NOTICES_MAX);
        notices.drain(..surplus);
        self.has_notices.store(true, Ordering::Release);
    }

    /// The lines that were left, of this level and graver ones.
    pub fn take_notices(&self, most: Level) -> Vec<(Level, String)> {
        if !self.has_notices.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left): (Vec<_>, Vec<_>) = notices.drain(..).partition(|(level, _)| *level <= most);
        self.has_notices.store(!left.is_empty(), Ordering::Release);
        notices.extend(left);
        taken
    }

    /// Whether the file is still where it was.
    pub fn check_place(&self) -> Result<()> {
        self.store.check_place()
    }

    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        let appended = self.store.append(batch)?;
        self.metrics.entries_appended.add(appended.count as u64);
        self.metrics.duplicates_ignored.add((batch.entries.len() - appended.count) as u64);
        Ok(appended)
    }

    /// What is new since an id.
    pub fn since(&self, after: i64, limit: usize, bytes_max: usize) -> Result<Entries> {
        self.store.since(after, limit, bytes_max)
    }

    /// All entries.
    pub fn all(&self, bytes_max: usize) -> Result<Entries> {
        self.store.read(&Read::all(bytes_max))
    }

    /// What a query asks for.
    pub fn query(&self, query: &Query, bytes_max: usize) -> Result<Entries> {
        self.store.read(&Read::whole(query, bytes_max))
    }

    /// What is new since an id and passes the filter.
    pub fn filtered_since(&self, query: &Query, after: i64, bytes_max: usize) -> Result<Entries> {
        self.store.read(&Read::filtered(query, after, bytes_max))
    }

    /// How a query would be carried out.
    pub fn plan(&self, query: &Query) -> Result<String> {
        self.store.plan(&Read::whole(query, usize::MAX))
    }

    /// The entry with this id.
    pub fn get(&self, id: i64) -> Result<Option<Entry>> {
        let Metrics { entry_cache_hits, entry_cache_misses, .. } = &*self.metrics;
        let hit = |version| self.entries.get(&id, version).map(Some);
        self.cached(hit, (entry_cache_hits, entry_cache_misses), |version| {
            let entry = self.store.get(id)?;
            if let Some(entry) = &entry
                && entry.as_ref().bytes() <= KEPT_BYTES_MAX
            {
                self.entries.put(id, entry.clone(), version);
            }
            Ok(entry)
        })
    }

    /// The entries of a node, newest first.
    pub fn of_node(&self, node_id: &str, limit: usize, bytes_max: usize) -> Result<Entries> {
        let Metrics { query_cache_hits, query_cache_misses, .. } = &*self.metrics;
        let key = (node_id.to_string(), limit);
        let hit = |version| self.by_node.get(&key, version).filter(|entries| entries.bytes() <= bytes_max);
        self.cached(hit, (query_cache_hits, query_cache_misses), |version| {
            let query = Query {
                nodes: vec![node_id.to_string()],
                order: Order::TimeDescending,
                limit,
                ..Query::new()
            };
            let entries = self.store.read(&Read::whole(&query, bytes_max))?;
            if entries.bytes() <= KEPT_BYTES_MAX {
                self.by_node.put(key.clone(), entries.clone(), version);
            }
            Ok(entries)
        })
    }

    /// Deletes old entries; how many.
    pub fn cleanup(&self, cutoff: Cutoff) -> Result<i64> {
        let result = self.store.cleanup(cutoff);
        let deleted = result.as_ref().map_or_else(|error| error.work_done(), |deleted| *deleted);
        self.metrics.entries_deleted.add(u64::try_from(deleted).unwrap_or(0));
        self.invalidate_caches();
        result
    }

    /// Forgets what the caches hold.
    pub fn invalidate_caches(&self) {
        self.entries.clear();
        self.by_node.clear();
    }

    /// How long ago the oldest thing was read that the caches hold.
    pub fn cache_age(&self) -> Option<Duration> {
        self.entries.age().max(self.by_node.age())
    }

    /// What is known of the ledger now, beside what is counted.
    pub fn gauges(&self) -> (Vec<Gauge>, Vec<f64>) {
        let Usage { connections_max, open, idle, waiting, out_seconds } = self.store.usage();
        let sizes = self.store.sizes();
        // Whoever asks why the ledger is so busy must not have to wait for it.
        let (ends, entries) = call::at_once(|| (self.store.ends().ok(), self.store.count().ok()));
        #[allow(clippy::cast_precision_loss)] // Exact below 2^53.
        let count = |number: usize| Some(number as f64);
        #[allow(clippy::cast_precision_loss)]
        let bytes = |number: Option<u64>| number.map(|number| number as f64);
        #[allow(clippy::cast_precision_loss)]
        let id = |number: Option<i64>| number.map(|number| number as f64);
        let age = |age: Option<Duration>| Some(age.unwrap_or_default().as_secs_f64());
        let gauge = |name, help, value| Gauge { name, help, value };
        let gauges = vec![
            gauge("entries", "Entries in the ledger.", id(entries)),
            gauge("first_id", "The id of the oldest entry.", id(ends.map(|ends| ends.first))),
            gauge(
                "last_id",
                "The id of the newest entry that there ever was.",
                id(ends.map(|ends| ends.last)),
            ),
            gauge("ledger_bytes", "Size of the ledger file.", bytes(sizes.file)),
            gauge("wal_bytes", "Size of its write-ahead log.", bytes(sizes.wal)),
            gauge(
                "ofd_locks",
                "1 if the locks of the file are safe from other code of this process, 0 if not.",
                self.store.has_own_locks().map(|own| f64::from(u8::from(own))),
            ),
            gauge("connections_max", "Most connections that read at once.", count(connections_max)),
            gauge("connections_open", "Connections for reading that are open.", count(open)),
            gauge("connections_idle", "Connections for reading that nobody uses.", count(idle)),
            gauge(
                "connections_out",
                "Connections for reading that calls are using.",
                count(out_seconds.len()),
            ),
            gauge("connections_awaited", "Calls that wait for a connection.", count(waiting)),
            gauge(
                "oldest_reader_seconds",
                "How long the connection that has been in use longest has been so.",
                Some(out_seconds.first().copied().unwrap_or(0.0)),
            ),
            gauge("entry_cache_entries", "Entries kept by id.", count(self.entries.len())),
            gauge("entry_cache_age_seconds", "Age of the oldest of them.", age(self.entries.age())),
            gauge("query_cache_results", "By-node results kept.", count(self.by_node.len())),
            gauge("query_cache_age_seconds", "Age of the oldest of them.", age(self.by_node.age())),
            gauge(
                "integrity_check_progress",
                "How far the integrity check is that runs, or ran last, from 0 to 1.",
                Some(self.metrics.integrity_check_progress.get()),
            ),
        ];
        (gauges, out_seconds)
    }

    /// Ends all use of the file.
    pub fn close(self) -> Result<()> {
        self.store.close()
    }

    /// The cached answer for the version now, or a fresh one, to be kept under that version.
    fn cached<T>(
        &self,
        hit: impl FnOnce(Version) -> Option<T>,
        (hits, misses): (&Counter, &Counter),
        miss: impl FnOnce(Version) -> Result<T>,
    ) -> Result<T> {
        let version = self.store.version()?;
        if let Some(value) = hit(version) {
            hits.add(1);
            return Ok(value);
        }
        misses.add(1);
        miss(version)
    }
}
