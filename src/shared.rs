//! What the handles of one ledger, and its thread in the background, work with: its storage, its
//! caches, its metrics.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::Cache;
use crate::call;
use crate::chunk::Entry;
use crate::config::Settings;
use crate::entries::Entries;
use crate::error::{Result, Status};
use crate::join::join;
use crate::logging::{Level, Notices};
use crate::metrics::{Gauge, Metrics};
use crate::query::{Order, Overflow, Query, Read};
use crate::store::logged::{self, Here, Opening};
use crate::store::sqlite::{Place, Usage};
use crate::store::{Appended, Batch, Cutoff, Ends, Store};
use crate::tail::{ALL, Most, Tail};
use crate::wait::Waiters;

/// Results of more than this are not kept: a few dozen of them must not fill the memory.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// One open ledger.
pub(crate) struct Shared {
    first: Stage,
    tail: Arc<Tail>,
    entries: Cache<i64, Entry, i64>,
    by_node: Cache<(String, usize), Entries, (i64, i64)>,
    metrics: Arc<Metrics>,
    notices: Arc<Notices>,
    waiters: Waiters,
}

/// A storage, and the one that is in its place since the ledger commits in another way. The first one
/// stays where it is, since calls may be at it.
struct Stage {
    store: Box<dyn Store>,
    next: OnceLock<Box<Stage>>,
}

impl Stage {
    fn last(&self) -> &Stage {
        self.next.get().map_or(self, |next| next.last())
    }
}

impl Shared {
    /// Opens the ledger at `place`, or a new one in memory. `settings` becomes what is so.
    /// `here`: what all that have the file open in this process have in common.
    pub fn open(place: Option<Place>, settings: &mut Settings, here: Arc<Here>) -> Result<Shared> {
        let metrics = Arc::new(Metrics::default());
        let tail = Tail::new(settings.integer("tail_bytes_max"));
        let notices = Arc::<Notices>::default();
        let opening = Opening {
            metrics: Arc::clone(&metrics),
            tail: Arc::clone(&tail),
            notices: Arc::clone(&notices),
            here,
        };
        let store = logged::open(place, settings, opening)?;
        let ttl = settings.seconds("cache_ttl");
        Ok(Shared {
            first: Stage { store: Box::new(store), next: OnceLock::new() },
            tail,
            entries: Cache::new(settings.integer("entry_cache_size"), ttl),
            by_node: Cache::new(settings.integer("query_cache_size"), ttl),
            metrics,
            notices,
            waiters: Waiters::default(),
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
        &*self.first.last().store
    }

    /// Changes a setting that is stored with the entries.
    pub fn change_setting(&self, settings: &Settings, name: &str, value: &str) -> Result<()> {
        let last = self.first.last();
        if let Some(store) = last.store.change_setting(settings, name, value)? {
            // One at a time changes settings.
            let _ = last.next.set(Box::new(Stage { store, next: OnceLock::new() }));
            // Whoever waits at the one before goes on at this one.
            self.waiters.notify(&last.store.signals());
        }
        self.invalidate_caches();
        Ok(())
    }

    /// Follows a setting of scope `Engine` that was changed.
    pub fn follow(&self, settings: &Settings) {
        let ttl = settings.seconds("cache_ttl");
        self.entries.configure(settings.integer("entry_cache_size"), ttl);
        self.by_node.configure(settings.integer("query_cache_size"), ttl);
        self.tail.set_bytes_max(settings.integer("tail_bytes_max"));
        self.store().set_connections_max(settings.integer("max_connections"));
    }

    /// Leaves lines for the log of whoever makes the next call.
    pub fn put_notices(&self, lines: Vec<(Level, String)>) {
        self.notices.put(lines);
    }

    /// The lines that were left, of this level and graver ones.
    pub fn take_notices(&self, most: Level) -> Vec<(Level, String)> {
        self.notices.take(most)
    }

    /// Whether the file is still where it was.
    pub fn check_place(&self) -> Result<()> {
        self.store().check_place()
    }

    /// Writes all of the batch or nothing.
    pub fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        let mut tries = 0;
        let appended = loop {
            let stage = self.first.last();
            match stage.store.append(batch) {
                // The ledger commits in another way since a moment ago, or from the next moment on.
                Err(error) if error.status() == Status::Closed => {
                    if stage.next.get().is_none() {
                        if !call::pause(tries) {
                            let what = "another thread was changing how the ledger commits";
                            return Err(call::waited_for(what, "try again"));
                        }
                        tries += 1;
                    }
                }
                appended => break appended?,
            }
        };
        self.metrics.entries_appended.add(appended.count as u64);
        self.metrics.duplicates_ignored.add((batch.entries.len() - appended.count) as u64);
        Ok(appended)
    }

    /// What is new since an id.
    pub fn since(&self, after: i64, limit: usize, bytes_max: usize) -> Result<Entries> {
        self.store().catch_up()?;
        let read = Read::since(after, limit, bytes_max);
        match self.tail.since(after, Most { entries: limit, bytes: bytes_max, ..ALL }) {
            Some(found) if found.stopped && found.spans.is_empty() => Err(read.too_large(0, after + 1)),
            Some(found) => Ok(Entries::of_spans(found.spans, after.max(found.position), 0)),
            None => self.joined(&read),
        }
    }

    /// All entries.
    pub fn all(&self, bytes_max: usize) -> Result<Entries> {
        self.read(&Read::all(bytes_max))
    }

    /// What a query asks for.
    pub fn query(&self, query: &Query, bytes_max: usize) -> Result<Entries> {
        self.read(&Read::whole(query, bytes_max))
    }

    /// What is new since an id and passes the filter.
    pub fn filtered_since(&self, query: &Query, after: i64, bytes_max: usize) -> Result<Entries> {
        self.read(&Read::filtered(query, after, bytes_max))
    }

    /// Waits until `look` has found something, `None` if that takes longer than `most`. `check` says when
    /// to give up.
    pub fn wait<T>(
        &self,
        most: Duration,
        check: impl Fn() -> Result<()>,
        look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.waiters.wait(most, || self.store(), check, look)
    }

    /// Lets all who wait look at once whether they shall go on.
    pub fn notify_waiters(&self) {
        self.waiters.notify(&self.store().signals());
    }

    fn read(&self, read: &Read<'_>) -> Result<Entries> {
        self.store().catch_up()?;
        // What a query begins with may be an id that was not given yet: what is found says where it ends.
        match self.tail.since(read.since.max(read.query.above()), ALL) {
            Some(found) => join(read, None, found),
            None => self.joined(read),
        }
    }

    /// Older entries from the storage, and behind them what only the tail has: up to the last that was published
    /// when the read began. What comes later may come after a cleanup of what the storage gives. And a batch that
    /// goes straight into the file is there before it is published.
    fn joined(&self, read: &Read<'_>) -> Result<Entries> {
        let mut tries = 0;
        loop {
            // One storage for both: it may be another one by then, whose file has more.
            let store = self.store();
            let until = if store.is_fed() { self.tail.last() } else { i64::MAX };
            let stored = store.read(&Read { until, ..*read })?;
            if !store.is_fed() || (!stored.complete && read.overflow == Overflow::Stop) {
                return Ok(stored.entries);
            }
            if stored.through <= until
                && let Some(found) = self.tail.since(stored.through, Most { id: until, ..ALL })
            {
                return join(read, Some(stored.entries), found);
            }
            // Meanwhile more was stored, and let go of in memory, or deleted.
            if !call::pause(tries) {
                return Err(call::waited_for("what is new came faster than it could be read", "try again"));
            }
            tries += 1;
            self.store().catch_up()?;
        }
    }

    /// How a query would be carried out.
    pub fn plan(&self, query: &Query) -> Result<String> {
        self.store().plan(&Read::whole(query, usize::MAX))
    }

    /// The entry with this id.
    pub fn get(&self, id: i64) -> Result<Option<Entry>> {
        let Metrics { entry_cache_hits, entry_cache_misses, .. } = &*self.metrics;
        let store = self.store();
        let version = store.refresh()?.removed;
        if store.is_fed() && id > self.tail.last() {
            // The file may have it before it is published.
            entry_cache_misses.add(1);
            return Ok(None);
        }
        let kept = self.tail.get(id).or_else(|| self.entries.get(&id, version));
        if kept.is_some() {
            entry_cache_hits.add(1);
            return Ok(kept);
        }
        entry_cache_misses.add(1);
        let mut entry = store.get(id)?;
        if entry.is_none() && store.is_fed() {
            // Between the two looks it may have been let go of in memory, being stored, or come back there.
            store.refresh()?;
            entry = self.tail.get(id);
            if entry.is_none() && id <= self.tail.last() {
                // Or memory has nothing any more, since the ledger commits in another way.
                entry = self.store().get(id)?;
            }
        }
        if let Some(entry) = &entry
            && entry.as_ref().bytes() <= KEPT_BYTES_MAX
        {
            self.entries.put(id, entry.clone(), version);
        }
        Ok(entry)
    }

    /// The entries of a node, newest first.
    pub fn of_node(&self, node_id: &str, limit: usize, bytes_max: usize) -> Result<Entries> {
        let Metrics { query_cache_hits, query_cache_misses, .. } = &*self.metrics;
        let version = self.store().refresh()?.any;
        let key = (node_id.to_string(), limit);
        if let Some(kept) = self.by_node.get(&key, version).filter(|entries| entries.bytes() <= bytes_max) {
            query_cache_hits.add(1);
            return Ok(kept);
        }
        query_cache_misses.add(1);
        let query =
            Query { nodes: vec![node_id.to_string()], order: Order::TimeDescending, limit, ..Query::new() };
        let entries = self.read(&Read::whole(&query, bytes_max))?;
        if entries.bytes() <= KEPT_BYTES_MAX {
            self.by_node.put(key, entries.clone(), version);
        }
        Ok(entries)
    }

    /// How many entries there are.
    pub fn count(&self) -> Result<i64> {
        self.store().catch_up()?;
        let last = self.tail.last();
        let store = self.store();
        let (stored, through) = store.count()?;
        if through <= last || !store.is_fed() {
            // Nothing is missing among those that are not stored yet.
            return Ok(stored + (last - through).max(0));
        }
        // More was stored meanwhile; nor is anything missing among what is not published yet.
        store.catch_up()?;
        Ok(stored - (through - self.tail.last()).max(0))
    }

    /// The ids at both ends.
    pub fn ends(&self) -> Result<Ends> {
        self.store().catch_up()?;
        let store = self.store();
        let Ends { first, last } = store.ends()?;
        if !store.is_fed() {
            return Ok(Ends { first, last });
        }
        // The file may have some before they are published.
        store.catch_up()?;
        let newest = self.tail.last();
        let first = if first == 0 && newest > last { last + 1 } else { first };
        Ok(Ends { first: if first > newest { 0 } else { first }, last: newest })
    }

    /// Deletes old entries; how many.
    pub fn cleanup(&self, cutoff: Cutoff) -> Result<i64> {
        let result = self.store().cleanup(cutoff);
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
        let Usage { connections_max, open, idle, waiting, out_seconds } = self.store().usage();
        let sizes = self.store().sizes();
        let (tail_bytes, tail_entries) = self.tail.size();
        // Whoever asks why the ledger is so busy must not have to wait for it.
        let (ends, entries) = call::at_once(|| (self.ends().ok(), self.count().ok()));
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
                self.store().has_own_locks().map(|own| f64::from(u8::from(own))),
            ),
            gauge(
                "log_pending_bytes",
                "What of the commit log is not folded into the ledger file yet.",
                bytes(Some(sizes.log_pending)),
            ),
            gauge("waiting", "Threads that wait for entries.", count(self.waiters.count())),
            gauge("tail_bytes", "Memory for the newest entries.", count(tail_bytes)),
            gauge("tail_entries", "Newest entries in memory.", count(tail_entries)),
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
    pub fn close(self, last: bool) -> Result<()> {
        let mut stage = self.first;
        while let Some(next) = stage.next.take() {
            stage = *next;
        }
        stage.store.close(last)
    }
}
