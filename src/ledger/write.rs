//! Writing.

use std::borrow::Cow;

use super::Ledger;
use crate::config::Options;
use crate::entry::{Limits, NewEntry};
use crate::error::{Error, Result, Status};
use crate::metrics::Operation;
use crate::shared::Shared;
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
        self.append_one(|_| Ok(Cow::Borrowed(entry)))
    }

    /// Appends an entry from JSON; its id.
    pub fn append_json(&self, json: &str) -> Result<i64> {
        self.append_one(|limits| NewEntry::from_json(json, limits).map(Cow::Owned))
    }

    /// Appends an entry from its parts, as [`NewEntry::new`] takes them; its id.
    pub fn append_parts(
        &self,
        timestamp: f64,
        node_id: &str,
        features: &str,
        confidence: f64,
    ) -> Result<i64> {
        self.append_one(|limits| {
            NewEntry::new(timestamp, node_id, features, confidence, limits).map(Cow::Owned)
        })
    }

    /// Appends all of these entries or none.
    pub fn append_many(&self, entries: &[NewEntry<'_>]) -> Result<Batched> {
        self.write(Operation::AppendMany, None, |_| Ok(Cow::Borrowed(entries))).map(Batched::from)
    }

    /// Appends all entries of a JSON array or of JSON lines, or none.
    pub fn append_many_json(&self, json: &str) -> Result<Batched> {
        let entries = |limits: &Limits| NewEntry::many_from_json(json, limits).map(Cow::Owned);
        self.write(Operation::AppendMany, None, entries).map(Batched::from)
    }

    /// A transaction: entries are collected in it, and written together by [`Ledger::commit`].
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.limits())
    }

    /// Writes all entries of a transaction or none. Then it is empty; after a failure it is as it
    /// was, to be committed again or dropped.
    pub fn commit(&self, transaction: &mut Transaction) -> Result<Batched> {
        let expected = transaction.expected_last_id();
        let entries = |_: &Limits| Ok(Cow::Borrowed(transaction.entries()));
        let appended = self.write(Operation::AppendMany, expected, entries)?;
        transaction.settle();
        Ok(appended.into())
    }

    fn append_one<'a>(&self, entry: impl FnOnce(&Limits) -> Result<Cow<'a, NewEntry<'a>>>) -> Result<i64> {
        let appended = self.call(Operation::Append, |shared, options| {
            let entry = entry(&options.limits)?;
            self.write_in(shared, options, None, std::slice::from_ref(&*entry))
        })?;
        Ok(if appended.count > 0 { appended.first_id } else { appended.existing_id })
    }

    fn write<'a>(
        &self,
        operation: Operation,
        expected_last_id: Option<i64>,
        entries: impl FnOnce(&Limits) -> Result<Cow<'a, [NewEntry<'a>]>>,
    ) -> Result<Appended> {
        let written = self.call(operation, |shared, options| {
            self.write_in(shared, options, expected_last_id, &entries(&options.limits)?)
        });
        // An entry that is alone in its batch has a place in it too.
        let is_alone = |error: &Error| error.status() == Status::Duplicate && error.index().is_none();
        written.map_err(|error| if is_alone(&error) { error.with_index(0) } else { error })
    }

    fn write_in(
        &self,
        shared: &Shared,
        options: &Options,
        expected_last_id: Option<i64>,
        entries: &[NewEntry<'_>],
    ) -> Result<Appended> {
        self.check_writable()?;
        shared.append(&Batch { entries, on_duplicate: options.on_duplicate, expected_last_id })
    }
}

impl From<Appended> for Batched {
    fn from(Appended { first_id, count, .. }: Appended) -> Batched {
        Batched { first_id, count }
    }
}
