//! Writing.

use super::Ledger;
use crate::entry::NewEntry;
use crate::error::Result;
use crate::metrics::Operation;
use crate::store::{Appended, Batch};
use crate::transaction::Transaction;

/// What became of a batch: ids from `first_id` on without gaps, `count` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batched {
    /// The first id that was given; 0 if nothing was added.
    pub first_id: i64,
    /// How many entries were added.
    pub count: usize,
}

impl Ledger {
    /// Appends an entry; its id. It is durable when this returns.
    pub fn append(&self, entry: &NewEntry<'_>) -> Result<i64> {
        let appended = self.write(Operation::Append, std::slice::from_ref(entry), None)?;
        Ok(if appended.count > 0 { appended.first_id } else { appended.existing_id })
    }

    /// Appends an entry from JSON; its id.
    pub fn append_json(&self, json: &str) -> Result<i64> {
        self.append(&NewEntry::from_json(json, &self.limits())?)
    }

    /// Appends all of these entries or none.
    pub fn append_many(&self, entries: &[NewEntry<'_>]) -> Result<Batched> {
        self.write(Operation::AppendMany, entries, None).map(Batched::from)
    }

    /// Appends all entries of a JSON array or of JSON lines, or none.
    pub fn append_many_json(&self, json: &str) -> Result<Batched> {
        self.append_many(&NewEntry::many_from_json(json, &self.limits())?)
    }

    /// A transaction: entries are collected in it, and written together by [`Ledger::commit`].
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.limits())
    }

    /// Writes all entries of a transaction or none. Then it is empty; after a failure it is as it
    /// was, to be committed again or dropped.
    pub fn commit(&self, transaction: &mut Transaction) -> Result<Batched> {
        let (entries, expected) = (transaction.entries(), transaction.expected_last_id());
        let appended = self.write(Operation::AppendMany, entries, expected)?;
        transaction.settle();
        Ok(appended.into())
    }

    fn write(
        &self,
        operation: Operation,
        entries: &[NewEntry<'_>],
        expected_last_id: Option<i64>,
    ) -> Result<Appended> {
        self.call(operation, |shared, options| {
            self.check_writable()?;
            shared.append(&Batch { entries, on_duplicate: options.on_duplicate, expected_last_id })
        })
    }
}

impl From<Appended> for Batched {
    fn from(Appended { first_id, count, .. }: Appended) -> Batched {
        Batched { first_id, count }
    }
}
