//! Where a reader is in the ledger, who wants all that comes, a part at a time.

use crate::entries::Entries;
use crate::error::Result;
use crate::query::Query;
use crate::shared::Shared;

/// A reader's place, and what it wants.
pub(crate) struct Cursor {
    filter: Option<Query>,
    position: i64,
    /// What cleanup took away that it had not seen, and was not told of.
    gap: i64,
}

impl Cursor {
    /// Behind this id. A filter must have been checked.
    pub fn new(last_seen_id: i64, filter: Option<Query>) -> Cursor {
        Cursor { filter, position: last_seen_id, gap: 0 }
    }

    /// The entries that come next, if there are any: at most `limit`, and as many as its filter gives.
    pub fn next(&mut self, shared: &Shared, limit: usize, bytes_max: usize) -> Result<Entries> {
        let found = self.look(shared, limit, bytes_max)?.with_gap(self.gap);
        self.gap = if found.is_empty() { found.gap_before() } else { 0 };
        self.position = found.position();
        Ok(found)
    }

    /// Whether there are any. Passes over what the filter does not give.
    pub fn has_next(&mut self, shared: &Shared) -> Result<bool> {
        let found = self.look(shared, 1, usize::MAX)?;
        if found.is_empty() {
            self.gap = self.gap.max(found.gap_before());
            self.position = found.position();
        }
        Ok(!found.is_empty())
    }

    /// What to give where nothing came.
    pub fn nothing(&self) -> Entries {
        Entries::new(Vec::new(), self.position, self.gap)
    }

    fn look(&self, shared: &Shared, limit: usize, bytes_max: usize) -> Result<Entries> {
        match &self.filter {
            None => shared.since(self.position, limit, bytes_max),
            Some(filter) if limit < filter.limit => {
                shared.filtered_since(&Query { limit, ..filter.clone() }, self.position, bytes_max)
            }
            Some(filter) => shared.filtered_since(filter, self.position, bytes_max),
        }
    }
}
