//! Observing.

use super::Ledger;
use crate::error::Result;
use crate::logging::Level;
use crate::metrics::{Operation, Snapshot};

impl Ledger {
    /// The ledger's numbers now.
    pub fn metrics(&self) -> Result<Snapshot> {
        let path = self.option("path")?;
        self.call(Operation::Other, |shared, _| {
            let (gauges, connections_out_seconds) = shared.gauges();
            Ok(shared.metrics().snapshot(path, gauges, connections_out_seconds))
        })
    }

    /// The oldest line of the log queue, out of it; `None` where there is none.
    pub fn next_log_line(&self) -> Result<Option<(Level, String)>> {
        self.check_epoch()?;
        self.check_thread()?;
        Ok(self.log.next())
    }
}
