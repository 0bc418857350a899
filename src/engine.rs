//! All that the handles of one ledger share: its storage, its caches, its metrics.

use std::sync::Arc;

use crate::cache::Cache;
use crate::chunk::Entry;
use crate::config::{Scope, Settings};
use crate::entries::Entries;
use crate::error::{Result, Status};
use crate::metrics::{Counter, Metrics};
use crate::query::{Order, Query, Read};
use crate::registry::Tenancy;
use crate::store::sqlite::{Place, SqliteStore};
use crate::store::{Appended, Batch, Cutoff, Ends, Store, Version};

/// Results of more than this are not kept: a few dozen of them must not fill the memory.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// One open ledger.
pub(crate) struct Engine {
    store: Box<dyn Store>,
    entries: Cache<i64, Entry>,
    by_node: Cache<(String, usize), Entries>,
    metrics: Arc<Metrics>,
    settings: Settings,
    /// Given up last, when nothing of the file is open any more.
    _tenancy: Option<Tenancy>,
}

impl Engine {
    /// Opens the ledger at `place`, or a new one in memory.
    pub fn open(place: Option<Place>, mut settings: Settings, tenancy: Option<Tenancy>) -> Result<Engine> {
        let metrics = Arc::new(Metrics::default());
        let store = SqliteStore::open(place, &mut settings, Arc::clone(&metrics))?;
        let ttl = settings.seconds("cache_ttl");
        Ok(Engine {
            store: Box::new(store),
            entries: Cache::new(settings.integer("entry_cache_size"), ttl),
            by_node: Cache::new(settings.integer("query_cache_size"), ttl),
            metrics,
            settings,
            _tenancy: tenancy,
        })
    }

    /// Brings the settings of one more handle in line with those of the engine and its file.
    pub fn settle(&self, settings: &mut Settings) -> Result<()> {
        for scope in [Scope::File, Scope::Engine] {
            settings.settle(scope, |name| Some(self.settings.text(name).to_string()))?;
        }
        Ok(())
    }

    /// The value of a key as it turned out.
    pub fn setting(&self, name: &str) -> &str {
        self.settings.text(name)
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the file is still where it was.
    pub fn check_place(&self) -> Result<()> {
        self.store.check_place()
    }

    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        let appended = self.counted(self.store.append(batch))?;
        self.metrics.entries_appended.add(appended.count as u64);
        self.metrics.duplicates_ignored.add((batch.entries.len() - appended.count) as u64);
        Ok(appended)
    }

    /// What is new since an id.
    pub fn since(&self, after: i64, limit: usize, bytes_max: usize) -> Result<Entries> {
        self.counted(self.store.since(after, limit, bytes_max))
    }

    /// All entries.
    pub fn all(&self, bytes_max: usize) -> Result<Entries> {
        self.counted(self.store.read(&Read::all(bytes_max)))
    }

    /// What a query asks for.
    pub fn query(&self, query: &Query, bytes_max: usize) -> Result<Entries> {
        self.counted(self.store.read(&Read::whole(query, bytes_max)))
    }

    /// What is new since an id and passes the filter.
    pub fn filtered_since(&self, query: &Query, after: i64, bytes_max: usize) -> Result<Entries> {
        self.counted(self.store.read(&Read::filtered(query, after, bytes_max)))
    }

    /// How a query would be carried out.
    pub fn plan(&self, query: &Query) -> Result<String> {
        self.counted(self.store.plan(&Read::whole(query, usize::MAX)))
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

    /// How many entries there are.
    pub fn count(&self) -> Result<i64> {
        self.counted(self.store.count())
    }

    /// The ids at both ends.
    pub fn ends(&self) -> Result<Ends> {
        self.counted(self.store.ends())
    }

    /// Deletes old entries; how many.
    pub fn cleanup(&self, cutoff: Cutoff) -> Result<i64> {
        let result = self.counted(self.store.cleanup(cutoff));
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
        let version = self.counted(self.store.version())?;
        if let Some(value) = hit(version) {
            hits.add(1);
            return Ok(value);
        }
        misses.add(1);
        self.counted(miss(version))
    }

    fn counted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && error.status() == Status::Busy
        {
            self.metrics.busy.add(1);
        }
        result
    }
}
