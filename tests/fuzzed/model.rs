//! What a ledger is, as a list in memory.

use simledger::internals::json_same_meaning;

use super::c::Row;
use super::conditions::Conditions;

/// An entry that is valid, its features compact.
#[derive(Clone, Debug)]
pub struct New {
    pub timestamp: f64,
    pub node: String,
    pub features: String,
    pub confidence: f64,
}

impl New {
    fn is_of(&self, timestamp: f64, node: &str) -> bool {
        self.timestamp == timestamp && self.node == node
    }

    fn equals(&self, features: &str, confidence: f64) -> bool {
        self.confidence == confidence && json_same_meaning(&self.features, features)
    }
}

/// What appending some would do.
#[derive(Debug, PartialEq)]
pub enum Added {
    /// The first id and the count of those that are new, and, of one alone, the id that it has.
    Ok { first: i64, count: usize, id: i64 },
    /// This entry is a duplicate, of a row with this id or of an earlier one of the same batch.
    Duplicate { index: usize, of: Option<i64> },
}

#[derive(Debug)]
pub struct Model {
    pub rows: Vec<Row>,
    pub last_id: i64,
    /// The largest id that was ever deleted.
    pub removed_id: i64,
    pub unique: bool,
}

impl Model {
    pub fn new(unique: bool) -> Model {
        Model { rows: Vec::new(), last_id: 0, removed_id: 0, unique }
    }

    /// Appends all or, where one is a duplicate, none.
    pub fn add(&mut self, entries: &[New], ignore: bool) -> Added {
        let (mut fresh, mut id): (Vec<&New>, _) = (Vec::new(), 0);
        for (index, entry) in entries.iter().enumerate() {
            let stored = self.rows.iter().find(|row| self.unique && entry.is_of(row.timestamp, &row.node));
            let earlier = fresh.iter().find(|other| self.unique && entry.is_of(other.timestamp, &other.node));
            match (stored, earlier) {
                (Some(row), _) if ignore && entry.equals(&row.features, row.confidence) => id = row.id,
                (Some(row), _) => return Added::Duplicate { index, of: Some(row.id) },
                (None, Some(other)) if ignore && entry.equals(&other.features, other.confidence) => {}
                (None, Some(_)) => return Added::Duplicate { index, of: None },
                (None, None) => fresh.push(entry),
            }
        }
        let (first, count) = (self.last_id + 1, fresh.len());
        for (id, entry) in (first..).zip(fresh) {
            let New { timestamp, node, features, confidence } = entry.clone();
            self.rows.push(Row { id, timestamp, node, features, confidence });
            self.last_id = id;
        }
        if count == 0 { Added::Ok { first: 0, count, id } } else { Added::Ok { first, count, id: first } }
    }

    /// Deletes those that are so; how many.
    pub fn remove(&mut self, is_old: impl Fn(&Row) -> bool) -> i64 {
        let before = self.rows.len();
        self.removed_id =
            self.rows.iter().filter(|row| is_old(row)).map(|row| row.id).fold(self.removed_id, i64::max);
        self.rows.retain(|row| !is_old(row));
        i64::try_from(before - self.rows.len()).unwrap()
    }

    /// Those of a node, the newest first.
    pub fn of_node(&self, node: &str, limit: usize) -> Vec<Row> {
        let mut told = Conditions::none();
        told.nodes.push(node.to_string());
        (told.order, told.limit) = (simledger::ffi::SIMLEDGER_ORDER_TIME_DESCENDING, limit);
        told.select(&self.rows)
    }

    pub fn newest(&self) -> Option<f64> {
        self.rows.iter().map(|row| row.timestamp).reduce(f64::max)
    }

    /// Whether two are of the same node and time.
    pub fn has_twins(&self) -> bool {
        let is_twin = |(index, row): (usize, &Row)| {
            self.rows[..index].iter().any(|other| other.timestamp == row.timestamp && other.node == row.node)
        };
        self.rows.iter().enumerate().any(is_twin)
    }
}
