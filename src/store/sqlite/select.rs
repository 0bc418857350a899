//! The statement for a read: which index leads, so that nothing is sorted and nothing is looked at
//! in vain where it need not be.
//!
//! Entries are read in the order of ids or of an index that has their order, so that a page costs
//! what it holds and what it passes over. Where the whole result is wanted in the order of ids, its
//! ids are looked up in the index that narrows most, and then read in their order. A plus before a
//! column keeps SQLite, which knows nothing of what is in the file, from choosing an index itself.

use std::borrow::Cow;

use rusqlite::types::Value;

use super::rows;
use crate::query::{EVERYTHING, Order, Overflow, Read};

/// What leads to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Id,
    Time,
    Node,
    Confidence,
}

/// What would be made for a poll without a filter, which is asked for most.
const POLL: &str = "SELECT id, timestamp, node_id, features, confidence, created_at \
                    FROM ledger WHERE id > ?1 ORDER BY id";

/// A statement with its parameters.
pub(super) struct Select {
    pub sql: Cow<'static, str>,
    pub parameters: Vec<Value>,
}

impl Select {
    /// The statement for this read.
    pub fn of(read: &Read<'_>) -> Select {
        if *read.query == EVERYTHING {
            return Select { sql: Cow::Borrowed(POLL), parameters: vec![read.since.into()] };
        }
        Select::make(read)
    }

    fn make(read: &Read<'_>) -> Select {
        let query = read.query;
        let order = match query.order {
            Order::Id => "id",
            Order::IdDescending => "id DESC",
            Order::Time => "timestamp, id",
            Order::TimeDescending => "timestamp DESC, id DESC",
        };
        let mut select = Select { sql: Cow::default(), parameters: Vec::new() };
        let lead = lead(read);
        let mut clauses = select.conditions(read, lead);
        if lead != Lead::Id && !query.order.is_by_time() {
            // The index gives the ids; SQLite goes through a list of ids in their order.
            clauses = vec![format!("id IN (SELECT id FROM ledger WHERE {})", clauses.join(" AND "))];
        }
        let columns = rows::COLUMNS;
        let sql = format!("SELECT {columns} FROM ledger WHERE {} ORDER BY {order}", clauses.join(" AND "));
        select.sql = Cow::Owned(sql);
        select
    }

    /// What must hold of a row. Only the column that leads is without a plus.
    fn conditions(&mut self, read: &Read<'_>, lead: Lead) -> Vec<String> {
        let query = read.query;
        let plus = |mine: Lead| if lead == mine { "" } else { "+" };
        let mut clauses = Vec::new();
        let mut above = read.since.max(query.ids.0 - 1);
        let mut last = query.ids.1.min(read.until);
        match (query.after, query.order) {
            (Some((_, id)), Order::Id) => above = above.max(id),
            (Some((_, id)), Order::IdDescending) => last = last.min(id - 1),
            (Some((timestamp, id)), order) => {
                let sign = if order == Order::Time { '>' } else { '<' };
                let (timestamp, id) = (self.bind(timestamp), self.bind(id));
                clauses.push(format!("(timestamp, id) {sign} ({timestamp}, {id})"));
            }
            (None, _) => {}
        }
        let id = plus(Lead::Id);
        clauses.push(format!("{id}id > {}", self.bind(above)));
        if last < i64::MAX {
            clauses.push(format!("{id}id <= {}", self.bind(last)));
        }
        if !query.nodes.is_empty() {
            let nodes = self.bind_all(&query.nodes);
            clauses.push(format!("{}node_id IN ({nodes})", plus(Lead::Node)));
        }
        if !query.other_than.is_empty() {
            let nodes = self.bind_all(&query.other_than);
            clauses.push(format!("+node_id NOT IN ({nodes})"));
        }
        if let Some((from, to)) = query.time {
            // The index by node has the timestamp as its second column.
            let time = if lead == Lead::Node { "" } else { plus(Lead::Time) };
            for (sign, bound) in [(">=", from), ("<", to)] {
                if bound.is_finite() {
                    clauses.push(format!("{time}timestamp {sign} {}", self.bind(bound)));
                }
            }
        }
        if let Some(least) = query.min_confidence {
            clauses.push(format!("{}confidence >= {}", plus(Lead::Confidence), self.bind(least)));
        }
        clauses
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.parameters.len())
    }

    fn bind_all(&mut self, values: &[String]) -> String {
        values.iter().map(|value| self.bind(value.clone())).collect::<Vec<_>>().join(", ")
    }
}

fn lead(read: &Read<'_>) -> Lead {
    let query = read.query;
    if query.order.is_by_time() {
        // The rows of one node stand in the order of time; those of several do not.
        return if query.nodes.len() == 1 { Lead::Node } else { Lead::Time };
    }
    let is_page = read.overflow == Overflow::Stop || read.limit < usize::MAX;
    let is_narrow = query.ids.1 < i64::MAX || query.after.is_some();
    if is_page || (is_narrow && query.nodes.is_empty()) {
        Lead::Id
    } else if !query.nodes.is_empty() {
        Lead::Node
    } else if query.time.is_some() {
        Lead::Time
    } else if query.min_confidence.is_some_and(|least| least > 0.0) {
        Lead::Confidence
    } else {
        Lead::Id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_that_is_kept_is_the_one_that_would_be_made() {
        let (kept, made) = (Select::of(&Read::since(7, 1, 1)), Select::make(&Read::since(7, 1, 1)));
        assert_eq!((kept.sql, kept.parameters), (made.sql, made.parameters));
    }
}
