//! Transactions: entries that are collected first and written together.
//!
//! Nothing of the ledger is held while a transaction is open: no writer ever waits for somebody who
//! thinks. What was collected is written by [`Ledger::commit`](crate::Ledger::commit), all or
//! nothing.

use crate::entry::{Limits, NewEntry};
use crate::error::{Error, Result};

/// Entries that are going to be written together.
#[derive(Debug)]
pub struct Transaction {
    entries: Vec<NewEntry<'static>>,
    limits: Limits,
    expected_last_id: Option<i64>,
}

impl Transaction {
    /// An empty one; entries are held against these limits.
    pub(crate) fn new(limits: Limits) -> Transaction {
        Transaction { entries: Vec::new(), limits, expected_last_id: None }
    }

    /// What an entry may be at most.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds an entry; which one of the transaction it is, counted from 0.
    pub fn append(&mut self, entry: NewEntry<'_>) -> Result<usize> {
        self.entries.try_reserve(1).map_err(|_| Error::no_memory("the transaction", "commit it in parts"))?;
        self.entries.push(entry.into_owned()?);
        Ok(self.entries.len() - 1)
    }

    /// Adds an entry from JSON.
    pub fn append_json(&mut self, json: &str) -> Result<usize> {
        let limits = self.limits;
        self.append(NewEntry::from_json(json, &limits)?)
    }

    /// Lets the commit fail with CONFLICT if the ledger's last id is not this one then: if anybody
    /// appended since. 0 expects that there never was an entry.
    pub fn expect_last_id(&mut self, id: i64) -> Result<()> {
        if id < 0 {
            return Err(Error::argument("id", format!("id is {id}; it must be the last id, or 0 for none")));
        }
        self.expected_last_id = Some(id);
        Ok(())
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it holds.
    pub(crate) fn entries(&self) -> &[NewEntry<'static>] {
        &self.entries
    }

    pub(crate) fn expected_last_id(&self) -> Option<i64> {
        self.expected_last_id
    }

    /// It was written: nothing is left to do.
    pub(crate) fn settle(&mut self) {
        self.entries = Vec::new();
        self.expected_last_id = None;
    }
}
