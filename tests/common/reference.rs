//! What a ledger is, without a file: the sequential specification, plain enough to be seen to be right.
//!
//! Nothing of the library is used for it but the names of statuses and orders.

use std::collections::BTreeMap;

use simledger::{Order, Status};

/// An entry that is going to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub timestamp: f64,
    pub node: &'static str,
    /// As the ledger gives it back.
    pub features: String,
    /// Equal for features that say the same, whatever the order of their keys.
    pub meaning: usize,
    pub confidence: f64,
}

/// Why a call fails: its status, and of a duplicate or conflict the id that is told, and of a batch the
/// index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refused {
    pub status: Status,
    pub id: Option<i64>,
    pub index: Option<usize>,
}

impl Refused {
    pub fn with(status: Status) -> Refused {
        Refused { status, id: None, index: None }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Added {
    pub first_id: i64,
    pub count: usize,
    /// The last entry that was there already, and is equal to one of the batch.
    pub existing_id: i64,
}

/// Which entries are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub time: Option<(f64, f64)>,
    pub ids: (i64, i64),
    pub nodes: Vec<&'static str>,
    pub others: Vec<&'static str>,
    pub least: Option<f64>,
    pub after: Option<(f64, i64)>,
    pub order: Order,
}

pub const ALL: Filter = Filter {
    time: None,
    ids: (1, i64::MAX),
    nodes: Vec::new(),
    others: Vec::new(),
    least: None,
    after: None,
    order: Order::Id,
};

impl Filter {
    fn admits(&self, id: i64, entry: &Wanted) -> bool {
        let Wanted { timestamp, node, confidence, .. } = *entry;
        let by_time = self.after.map(|(at, last)| timestamp.total_cmp(&at).then(id.cmp(&last)));
        let is_behind = match (self.order, self.after) {
            (_, None) => true,
            (Order::Id, Some((_, last))) => id > last,
            (Order::IdDescending, Some((_, last))) => id < last,
            (Order::Time, _) => by_time.is_some_and(|order| order.is_gt()),
            (Order::TimeDescending, _) => by_time.is_some_and(|order| order.is_lt()),
        };
        is_behind
            && self.time.is_none_or(|(from, to)| from <= timestamp && timestamp < to)
            && (self.ids.0..=self.ids.1).contains(&id)
            && (self.nodes.is_empty() || self.nodes.contains(&node))
            && !self.others.contains(&node)
            && self.least.is_none_or(|least| confidence >= least)
    }
}

/// What is old.
#[derive(Clone, Copy, Debug)]
pub enum Old {
    /// So many seconds behind the clock of the file.
    Age(f64),
    BeforeTimestamp(f64),
    BeforeId(i64),
}

/// The ledger.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub entries: BTreeMap<i64, Wanted>,
    /// The last id that was ever given.
    pub last: i64,
    /// The largest id that a cleanup ever deleted.
    pub mark: i64,
    /// Whether a node may have any number of entries for a timestamp.
    pub any_number: bool,
    /// Whether age counts from the newest timestamp.
    pub simulated: bool,
}

impl Reference {
    /// All of a batch or nothing.
    pub fn append(
        &mut self,
        batch: &[Wanted],
        ignores: bool,
        expected: Option<i64>,
    ) -> Result<Added, Refused> {
        if expected.is_some_and(|expected| expected != self.last) {
            return Err(Refused { status: Status::Conflict, id: Some(self.last), index: None });
        }
        let mut next = self.clone();
        let mut added = Added::default();
        for (index, entry) in batch.iter().enumerate() {
            if let Some((id, there)) = next.like(entry).filter(|_| !self.any_number) {
                let is_equal = there.meaning == entry.meaning && there.confidence == entry.confidence;
                if !(ignores && is_equal) {
                    let id = (id <= self.last).then_some(id);
                    let index = (batch.len() > 1).then_some(index);
                    return Err(Refused { status: Status::Duplicate, id, index });
                }
                added.existing_id = id;
                continue;
            }
            next.last += 1;
            next.entries.insert(next.last, entry.clone());
            added.count += 1;
        }
        if added.count > 0 {
            added.first_id = self.last + 1;
        }
        *self = next;
        Ok(added)
    }

    fn like(&self, entry: &Wanted) -> Option<(i64, &Wanted)> {
        let is_like =
            |(_, there): &(&i64, &Wanted)| there.timestamp == entry.timestamp && there.node == entry.node;
        self.entries.iter().find(is_like).map(|(id, there)| (*id, there))
    }

    /// Whether no two entries have the same timestamp and node.
    pub fn is_unique(&self) -> bool {
        self.entries.iter().all(|(id, entry)| self.like(entry).is_some_and(|(first, _)| first == *id))
    }

    /// The ids that pass, in their order.
    pub fn ids(&self, filter: &Filter, since: i64) -> Vec<i64> {
        let passes = |(id, entry): &(&i64, &Wanted)| **id > since && filter.admits(**id, entry);
        let mut found: Vec<_> = self.entries.iter().filter(passes).collect();
        match filter.order {
            Order::Id => {}
            Order::IdDescending => found.reverse(),
            Order::Time => found.sort_by(|a, b| a.1.timestamp.total_cmp(&b.1.timestamp)),
            Order::TimeDescending => {
                found.reverse();
                found.sort_by(|a, b| b.1.timestamp.total_cmp(&a.1.timestamp));
            }
        }
        found.into_iter().map(|(id, _)| *id).collect()
    }

    /// Deletes what is old at this time of the system; how many.
    pub fn clean(&mut self, old: Old, now: f64) -> i64 {
        let newest = self.entries.values().map(|entry| entry.timestamp).max_by(f64::total_cmp);
        let now = if self.simulated { newest.unwrap_or(f64::NEG_INFINITY) } else { now };
        let is_old = |id: i64, entry: &Wanted| match old {
            Old::Age(seconds) => entry.timestamp < now - seconds,
            Old::BeforeTimestamp(timestamp) => entry.timestamp < timestamp,
            Old::BeforeId(before) => id < before,
        };
        let gone: Vec<i64> =
            self.entries.iter().filter(|(id, entry)| is_old(**id, entry)).map(|(id, _)| *id).collect();
        for id in &gone {
            self.entries.remove(id);
            self.mark = self.mark.max(*id);
        }
        gone.len() as i64
    }
}
