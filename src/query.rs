//! What to read: which entries, in which order, how many.

use crate::chunk::EntryRef;
use crate::entry::node_id_fault;
use crate::error::{Error, Result, Status};

/// In which order entries come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Order {
    /// As they were appended.
    #[default]
    Id = 1,
    /// The last appended first.
    IdDescending = 2,
    /// The oldest timestamp first, and of equal ones the smaller id.
    Time = 3,
    /// The newest timestamp first, and of equal ones the larger id.
    TimeDescending = 4,
}

impl Order {
    /// The order with this number.
    pub fn from_code(code: i32) -> Option<Order> {
        [Order::Id, Order::IdDescending, Order::Time, Order::TimeDescending]
            .into_iter()
            .find(|order| *order as i32 == code)
    }

    pub(crate) fn is_by_time(self) -> bool {
        matches!(self, Order::Time | Order::TimeDescending)
    }
}

/// Most nodes that a query names, and most that it leaves out.
pub const QUERY_NODES_MAX: usize = 1000;

/// Which entries to read, in which order, how many. A new one asks for all, in the order of ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub(crate) time: Option<(f64, f64)>,
    /// Ids from here to there, both included.
    pub(crate) ids: (i64, i64),
    /// Entries of any of these; of all nodes where it is empty.
    pub(crate) nodes: Vec<String>,
    /// And of none of these.
    pub(crate) other_than: Vec<String>,
    pub(crate) min_confidence: Option<f64>,
    pub(crate) order: Order,
    /// Most entries; a row that is no valid entry does not count.
    pub(crate) limit: usize,
    /// The page begins behind the entry with this timestamp and id.
    pub(crate) after: Option<(f64, i64)>,
}

impl Default for Query {
    fn default() -> Query {
        Query::new()
    }
}

impl Query {
    /// All entries, in the order of their ids.
    pub const fn new() -> Query {
        Query {
            time: None,
            ids: (1, i64::MAX),
            nodes: Vec::new(),
            other_than: Vec::new(),
            min_confidence: None,
            order: Order::Id,
            limit: usize::MAX,
            after: None,
        }
    }

    /// Only entries with `from <= timestamp < to`. Infinities leave that side open.
    pub fn time_range(&mut self, from: f64, to: f64) -> Result<&mut Query> {
        if from.is_nan() || to.is_nan() {
            let (name, value) = if from.is_nan() { ("from", from) } else { ("to", to) };
            return Err(Error::argument(name, format!("{name} is {value}; it must be a number of seconds")));
        }
        if from >= to {
            let message = format!("the time range from {from} to {to} holds no time; from must be below to");
            return Err(Error::argument("from", message));
        }
        self.time = Some((from, to));
        Ok(self)
    }

    /// Only entries with `first <= id <= last`.
    pub fn id_range(&mut self, first: i64, last: i64) -> Result<&mut Query> {
        if first < 1 {
            return Err(Error::argument("first", format!("first is {first}; ids begin at 1")));
        }
        if first > last {
            let message =
                format!("the id range from {first} to {last} holds no id; first must not be above last");
            return Err(Error::argument("last", message));
        }
        self.ids = (first, last);
        Ok(self)
    }

    /// Only entries of this node, or of one that was added before.
    pub fn node(&mut self, node_id: &str) -> Result<&mut Query> {
        add_node(&mut self.nodes, node_id)?;
        Ok(self)
    }

    /// Only entries of other nodes than this one, and those that were left out before.
    pub fn other_than_node(&mut self, node_id: &str) -> Result<&mut Query> {
        add_node(&mut self.other_than, node_id)?;
        Ok(self)
    }

    /// Only entries that are at least this sure.
    pub fn min_confidence(&mut self, confidence: f64) -> Result<&mut Query> {
        if !(0.0..=1.0).contains(&confidence) {
            let message = format!("min_confidence is {confidence}; it must be from 0 to 1");
            return Err(Error::argument("min_confidence", message));
        }
        self.min_confidence = Some(confidence);
        Ok(self)
    }

    /// In this order.
    pub fn order(&mut self, order: Order) -> &mut Query {
        self.order = order;
        self
    }

    /// At most so many.
    pub fn limit(&mut self, limit: usize) -> Result<&mut Query> {
        check_limit(limit)?;
        self.limit = limit;
        Ok(self)
    }

    /// Only what comes, in the order of the query, behind the entry with this timestamp and id: the
    /// last one of the page before. By id the timestamp does not matter.
    pub fn after(&mut self, timestamp: f64, id: i64) -> Result<&mut Query> {
        if !timestamp.is_finite() {
            return Err(Error::argument("timestamp", format!("timestamp is {timestamp}; it must be finite")));
        }
        if id < 1 {
            return Err(Error::argument("id", format!("id is {id}; ids begin at 1")));
        }
        self.after = Some((timestamp, id));
        Ok(self)
    }

    /// Whether it asks for this entry; the limit aside.
    pub(crate) fn admits(&self, entry: EntryRef<'_>) -> bool {
        let (id, timestamp) = (entry.id(), entry.timestamp());
        let behind = |(at, last): (f64, i64)| match self.order {
            Order::Id => id > last,
            Order::IdDescending => id < last,
            Order::Time => (timestamp, id) > (at, last),
            Order::TimeDescending => (timestamp, id) < (at, last),
        };
        let is_of = |nodes: &[String]| nodes.iter().any(|node| node == entry.node_id());
        (self.ids.0..=self.ids.1).contains(&id)
            && self.time.is_none_or(|(from, to)| from <= timestamp && timestamp < to)
            && self.min_confidence.is_none_or(|least| entry.confidence() >= least)
            && self.after.is_none_or(behind)
            && (self.nodes.is_empty() || is_of(&self.nodes))
            && !is_of(&self.other_than)
    }

    /// The id that everything it asks for is above.
    pub(crate) fn above(&self) -> i64 {
        let last = self.after.filter(|_| self.order == Order::Id).map_or(0, |(_, last)| last);
        last.max(self.ids.0 - 1)
    }

    /// Why this query cannot be the filter of a poll, if it cannot.
    pub(crate) fn check_filter(&self, argument: &str) -> Result<()> {
        let what = if self.order != Order::Id {
            "another order than that of ids"
        } else if self.after.is_some() {
            "a page to go on from"
        } else {
            return Ok(());
        };
        let message = format!("the {argument} has {what}, and a poll has its own: leave it out");
        Err(Error::argument(argument, message))
    }
}

fn add_node(nodes: &mut Vec<String>, node_id: &str) -> Result<()> {
    if let Some(fault) = node_id_fault(node_id) {
        return Err(Error::argument("node_id", fault));
    }
    if nodes.iter().any(|known| known == node_id) {
        return Ok(());
    }
    if nodes.len() == QUERY_NODES_MAX {
        let message = format!("the query names {QUERY_NODES_MAX} nodes already, the most there can be");
        return Err(Error::argument("node_id", message));
    }
    nodes.push(node_id.to_string());
    Ok(())
}

pub(crate) fn check_limit(limit: usize) -> Result<()> {
    if limit == 0 {
        let message = "limit is 0; it must be at least 1, or SIMLEDGER_NO_LIMIT for all";
        return Err(Error::argument("limit", message));
    }
    Ok(())
}

/// What happens when the entries would take more than `bytes_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The result ends there, and its position says where.
    Stop,
    /// The read fails, and its message says how to page.
    Refuse,
}

/// A query that is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read<'a> {
    pub query: &'a Query,
    /// Only entries above this id: the position of a poll, else below all.
    pub since: i64,
    /// Only entries up to this id: the last that was published when the read began, where the file may have
    /// others already.
    pub until: i64,
    pub limit: usize,
    /// Most bytes of memory that the entries take.
    pub bytes_max: usize,
    pub overflow: Overflow,
}

/// Asks for everything.
pub(crate) static EVERYTHING: Query = Query::new();

impl<'a> Read<'a> {
    /// What is new since this id, in order.
    pub fn since(since: i64, limit: usize, bytes_max: usize) -> Read<'a> {
        Read { query: &EVERYTHING, since, until: i64::MAX, limit, bytes_max, overflow: Overflow::Stop }
    }

    /// What is new since this id and passes the filter.
    pub fn filtered(query: &'a Query, since: i64, bytes_max: usize) -> Read<'a> {
        Read { query, ..Read::since(since, query.limit, bytes_max) }
    }

    /// What a query asks for.
    pub fn whole(query: &'a Query, bytes_max: usize) -> Read<'a> {
        Read { overflow: Overflow::Refuse, ..Read::filtered(query, 0, bytes_max) }
    }

    /// All entries, in order.
    pub fn all(bytes_max: usize) -> Read<'a> {
        Read::whole(&EVERYTHING, bytes_max)
    }

    /// The error of a read that would give too much: so many entries fit, and this one does not.
    pub fn too_large(&self, count: usize, id: i64) -> Error {
        let message = if count == 0 {
            format!(
                "entry {id} alone takes more than {} bytes (result_bytes_max); raise the limit",
                self.bytes_max
            )
        } else {
            let way = if *self.query == EVERYTHING {
                "read in pages with poll_since"
            } else {
                "give a smaller limit, and query page by page"
            };
            format!(
                "the result takes more than {} bytes (result_bytes_max) after {count} entries; {way}, or raise the limit",
                self.bytes_max
            )
        };
        Error::new(Status::LimitExceeded, message).with_field("result_bytes_max")
    }
}
