//! Maintenance.

use std::sync::Arc;

use super::Ledger;
use super::read::check_id;
use crate::call;
use crate::error::{Error, Result};
use crate::logging::{self, Level};
use crate::metrics::Operation;
use crate::store::{Cutoff, ProgressFunction, Store, Vacuum};
use crate::sys::fork;

/// Most findings of a check that are logged: the caller has them all.
const FINDINGS_LOGGED_MAX: usize = 100;

impl Ledger {
    /// Deletes entries more than so many seconds behind the ledger's clock; how many.
    pub fn cleanup(&self, max_age_seconds: f64) -> Result<i64> {
        self.clean(Cutoff::Age(max_age_seconds))
    }

    /// Deletes entries with a smaller timestamp; how many.
    pub fn cleanup_before_timestamp(&self, timestamp: f64) -> Result<i64> {
        self.clean(Cutoff::BeforeTimestamp(timestamp))
    }

    /// Deletes entries with a smaller id; how many.
    pub fn cleanup_before_id(&self, id: i64) -> Result<i64> {
        self.clean(Cutoff::BeforeId(id))
    }

    /// Folds all that was appended before, by anybody, from the commit log into the ledger file, where
    /// other programs see it. With `commit = sqlite` there is nothing to do.
    pub fn flush(&self) -> Result<()> {
        self.call(Operation::Flush, |shared, _| shared.store().flush())
    }

    /// Puts all that was acknowledged into the ledger file itself, and empties what stood beside
    /// it.
    pub fn checkpoint(&self) -> Result<()> {
        self.tend(Operation::Checkpoint, |store| store.checkpoint())
    }

    /// Builds the indexes anew.
    pub fn reindex(&self) -> Result<()> {
        self.tend(Operation::Reindex, |store| store.reindex())
    }

    /// Lets the storage learn how its data are distributed, for the planning of SQL.
    pub fn optimize(&self) -> Result<()> {
        self.tend(Operation::Optimize, |store| store.optimize())
    }

    /// Gives the space of deleted entries back to the file system; how many bytes.
    pub fn vacuum(&self, how: Vacuum) -> Result<i64> {
        self.tend(Operation::Vacuum, |store| store.vacuum(how))
    }

    /// What is not as it should be, at most so many findings, each on one line; none: all is well.
    pub fn integrity_check(
        &self,
        findings_max: usize,
        progress: Option<Arc<ProgressFunction>>,
    ) -> Result<Vec<String>> {
        self.call(Operation::IntegrityCheck, |shared, options| {
            if findings_max == 0 {
                let message = "findings_max is 0; it must be at least 1, or SIMLEDGER_NO_LIMIT for all";
                return Err(Error::argument("findings_max", message));
            }
            let (serial, metrics, self_epoch) = (self.serial, shared.metrics_shared(), self.epoch);
            let told: Arc<ProgressFunction> = Arc::new(move |part| {
                metrics.integrity_check_progress.set(part);
                let Some(progress) = &progress else { return true };
                let goes_on = logging::enter_callback(serial).is_none_or(|_within| progress(part));
                // In a child that the callback forked, nothing of this call may go on.
                goes_on && self_epoch == fork::epoch()
            });
            let bytes_max = options.result_bytes_max;
            let findings = shared.store().integrity_check(findings_max, bytes_max, Some(&told))?;
            for finding in findings.iter().take(FINDINGS_LOGGED_MAX) {
                call::log(Level::Error, || format!("integrity check: {finding}"));
            }
            if let Some(more) = findings.len().checked_sub(FINDINGS_LOGGED_MAX).filter(|more| *more > 0) {
                call::log(Level::Error, || format!("integrity check: {more} more"));
            }
            Ok(findings)
        })
    }

    /// Forgets what the caches hold. Never needed for fresh answers; it frees memory.
    pub fn invalidate_caches(&self) -> Result<()> {
        self.call(Operation::Other, |shared, _| {
            shared.invalidate_caches();
            Ok(())
        })
    }

    /// How many seconds ago the oldest thing was read that the caches hold; `None` if they are
    /// empty.
    pub fn cache_age(&self) -> Result<Option<f64>> {
        self.call(Operation::Other, |shared, _| Ok(shared.cache_age().map(|age| age.as_secs_f64())))
    }

    /// Closes the connections that nobody uses at this moment. They are opened again when needed.
    pub fn release_connections(&self) -> Result<()> {
        self.call(Operation::Other, |shared, _| {
            shared.store().release_connections();
            Ok(())
        })
    }

    fn clean(&self, cutoff: Cutoff) -> Result<i64> {
        self.call(Operation::Cleanup, |shared, _| {
            check_cutoff(cutoff)?;
            self.check_writable()?;
            let deleted = shared.cleanup(cutoff)?;
            call::log(Level::Info, || format!("cleanup deleted {deleted} entries"));
            Ok(deleted)
        })
    }

    fn tend<T>(&self, operation: Operation, work: impl FnOnce(&dyn Store) -> Result<T>) -> Result<T> {
        self.call(operation, |shared, _| {
            self.check_writable()?;
            work(shared.store())
        })
    }
}

fn check_cutoff(cutoff: Cutoff) -> Result<()> {
    match cutoff {
        Cutoff::Age(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
            let message = format!("max_age_seconds is {seconds}; it must be finite and above 0");
            Err(Error::argument("max_age_seconds", message))
        }
        Cutoff::BeforeTimestamp(timestamp) if !timestamp.is_finite() => {
            let message = format!("timestamp is {timestamp}; it must be finite");
            Err(Error::argument("timestamp", message))
        }
        Cutoff::BeforeId(id) => check_id(id),
        _ => Ok(()),
    }
}
