//! Waiting for entries.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Ledger;
use super::read::check_last_seen;
use crate::call;
use crate::cursor::Cursor;
use crate::entries::Entries;
use crate::error::{Error, Result, Status};
use crate::metrics::Operation;
use crate::query::{Query, check_limit};
use crate::watch::Watch;

impl Ledger {
    /// Entries above `last_seen_id`, as of [`Ledger::poll_since`]; where there are none, waits for them,
    /// at most this long. What is still empty then has its position all the same.
    pub fn wait_since(&self, last_seen_id: i64, limit: usize, timeout: Duration) -> Result<Entries> {
        self.wait(last_seen_id, limit, timeout, None)
    }

    /// The same for entries that pass the filter, at most `limit` and as many as the filter's own. The
    /// position also passes over what was filtered out.
    pub fn wait_query(
        &self,
        query: &Query,
        last_seen_id: i64,
        limit: usize,
        timeout: Duration,
    ) -> Result<Entries> {
        self.wait(last_seen_id, limit, timeout, Some(query))
    }

    pub(crate) fn wait(
        &self,
        last_seen_id: i64,
        limit: usize,
        timeout: Duration,
        filter: Option<&Query>,
    ) -> Result<Entries> {
        self.call(Operation::Wait, |shared, options| {
            check_limit(limit)?;
            let mut cursor = cursor(last_seen_id, filter)?;
            let check = || if self.is_closing() { Err(closed()) } else { call::check() };
            let look = || {
                let found = cursor.next(shared, limit, options.result_bytes_max)?;
                Ok((!found.is_empty()).then_some(found))
            };
            let found = shared.wait(timeout, check, look)?;
            Ok(found.unwrap_or_else(|| cursor.nothing()))
        })
    }

    /// A watch: a descriptor for event loops that is readable while there are entries above
    /// `last_seen_id`, of those that pass the filter. They are read by [`Ledger::poll_watch`].
    pub fn watch(&self, last_seen_id: i64, filter: Option<&Query>) -> Result<Watch> {
        self.call(Operation::Other, |shared, _| {
            let watches = self.engine.watches()?;
            Watch::new(&watches, shared, self.serial, cursor(last_seen_id, filter)?)
        })
    }

    /// What comes next for a watch that this ledger made, at most `limit` entries, and goes on behind
    /// them.
    pub fn poll_watch(&self, watch: &Watch, limit: usize) -> Result<Entries> {
        self.call(Operation::Poll, |shared, options| {
            check_limit(limit)?;
            watch.poll(shared, self.serial, limit, options.result_bytes_max)
        })
    }

    /// Ends the waits of calls in flight with CLOSED, and makes the descriptors of watches readable.
    pub(crate) fn begin_close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.engine.shared().notify_waiters();
        self.engine.end_watches(self.serial);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

fn cursor(last_seen_id: i64, filter: Option<&Query>) -> Result<Cursor> {
    check_last_seen(last_seen_id)?;
    if let Some(filter) = filter {
        filter.check_filter("filter")?;
    }
    Ok(Cursor::new(last_seen_id, filter.cloned()))
}

fn closed() -> Error {
    Error::new(Status::Closed, "the ledger was closed while this call waited for entries")
}
