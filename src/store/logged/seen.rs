//! Duplicates, found without asking the ledger file in the usual case.
//!
//! A timestamp above the largest that a node has cannot be one. The largest is asked for once, for all
//! nodes at the opening or for each at its first entry; from then on the log tells it, which everybody's
//! entries go through. A smaller timestamp may
//! be that of an entry that is in the log: those are known here one by one, until some time after they
//! are stored. For older ones the ledger file must be asked.

use std::collections::{HashMap, TryReserveError};

use foldhash::fast::RandomState;

use crate::error::{Error, Result};

/// Nodes that are remembered at most, beside those with entries in the log.
const NODES_MAX: usize = 1 << 20;

/// Entries in the log are known in two generations, so that a whole one can be forgotten at once; the
/// younger becomes the older when it has so many.
const GENERATION: usize = 1 << 14;

/// A node, and the bits of a timestamp.
type Key = (u32, u64);

/// What is known of the entries that there are.
#[derive(Default)]
pub(super) struct Seen {
    nodes: HashMap<Box<str>, Node, RandomState>,
    young: HashMap<Key, i64, RandomState>,
    old: HashMap<Key, i64, RandomState>,
    /// The last id that the older generation knows.
    old_last: i64,
    /// Entries up to this id are in neither.
    floor: i64,
    /// Whether the file was asked for all nodes that it has.
    complete: bool,
}

struct Node {
    number: u32,
    /// The largest timestamp that is known.
    newest: f64,
    /// Whether the ledger file was asked for it.
    asked: bool,
}

/// What an entry with some timestamp and node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is none like it.
    New,
    /// There is one with this id, or was before a cleanup.
    Known(i64),
    /// The ledger file must be asked for the largest timestamp of the node.
    AskNode,
    /// The ledger file must be asked for the entry.
    AskEntry,
}

impl Seen {
    /// Forgets everything, and begins behind this id.
    pub fn restart(&mut self, after: i64) {
        *self = Seen { floor: after, old_last: after, ..Seen::default() };
    }

    /// An answer of the ledger file about single entries counts if it knew all up to this id.
    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// Takes note of an entry in the log. Where there is no memory for it, all must begin anew.
    pub fn add(&mut self, node_id: &str, timestamp: f64, id: i64) -> Result<()> {
        let number = match self.nodes.get_mut(node_id) {
            Some(node) => {
                node.newest = node.newest.max(timestamp);
                node.number
            }
            None => self.add_node(node_id, timestamp, self.complete)?,
        };
        self.young.try_reserve(1).map_err(out_of_memory)?;
        self.young.insert((number, timestamp.to_bits()), id);
        Ok(())
    }

    /// Takes note of what the ledger file says of a node: its largest timestamp, if there is one.
    pub fn learn(&mut self, node_id: &str, newest: Option<f64>) -> Result<()> {
        let newest = newest.unwrap_or(f64::NEG_INFINITY);
        match self.nodes.get_mut(node_id) {
            Some(node) => {
                node.newest = node.newest.max(newest);
                node.asked = true;
            }
            None => {
                self.add_node(node_id, newest, true)?;
            }
        }
        Ok(())
    }

    /// Takes note of all nodes that the file has, each with its largest timestamp.
    pub fn learn_all(&mut self, nodes: Vec<(String, f64)>) -> Result<()> {
        for (node_id, newest) in nodes {
            self.learn(&node_id, Some(newest))?;
        }
        for node in self.nodes.values_mut() {
            node.asked = true;
        }
        self.complete = true;
        Ok(())
    }

    /// Judges an entry by what is known.
    pub fn judge(&self, node_id: &str, timestamp: f64) -> Verdict {
        let Some(node) = self.nodes.get(node_id) else {
            return if self.complete { Verdict::New } else { Verdict::AskNode };
        };
        if timestamp > node.newest {
            return if node.asked { Verdict::New } else { Verdict::AskNode };
        }
        let key = (node.number, timestamp.to_bits());
        match self.young.get(&key).or_else(|| self.old.get(&key)) {
            Some(id) => Verdict::Known(*id),
            None => Verdict::AskEntry,
        }
    }

    /// Forgets what the ledger file has had for some time: up to `stored`. `last` is the last id that
    /// was added. False where so many nodes are known that all should be forgotten.
    pub fn forget(&mut self, stored: i64, last: i64) -> bool {
        if self.young.len() >= GENERATION && stored >= self.old_last {
            self.floor = self.old_last;
            self.old_last = last;
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.nodes.len() <= NODES_MAX + self.young.len() + self.old.len()
    }

    fn add_node(&mut self, node_id: &str, newest: f64, asked: bool) -> Result<u32> {
        // More nodes than numbers are never remembered: see NODES_MAX.
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.try_reserve(1).map_err(out_of_memory)?;
        self.nodes.insert(node_id.into(), Node { number, newest, asked });
        Ok(number)
    }
}

fn out_of_memory(_: TryReserveError) -> Error {
    Error::no_memory("knowing duplicates", "try again when there is some")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_asked_once_for_a_node_and_then_for_what_is_not_above_its_newest() {
        let mut seen = Seen::default();
        assert_eq!(seen.judge("a", 1.0), Verdict::AskNode);
        seen.learn("a", Some(5.0)).unwrap();
        assert_eq!(seen.judge("a", 5.5), Verdict::New);
        assert_eq!(seen.judge("a", 5.0), Verdict::AskEntry);
        seen.learn("b", None).unwrap();
        assert_eq!(seen.judge("b", -1e300), Verdict::New);
        seen.add("b", 7.0, 1).unwrap();
        assert_eq!(seen.judge("b", 7.0), Verdict::Known(1));
        assert_eq!(seen.judge("b", 6.0), Verdict::AskEntry);
    }

    #[test]
    fn an_entry_of_somebody_else_does_not_stand_for_the_answer_of_the_file() {
        let mut seen = Seen::default();
        seen.add("a", 3.0, 1).unwrap();
        assert_eq!(seen.judge("a", 4.0), Verdict::AskNode);
        assert_eq!(seen.judge("a", 3.0), Verdict::Known(1));
        seen.learn("a", Some(9.0)).unwrap();
        assert_eq!(seen.judge("a", 4.0), Verdict::AskEntry);
        assert_eq!(seen.judge("a", 9.5), Verdict::New);
    }

    #[test]
    fn the_file_need_not_be_asked_about_nodes_that_it_does_not_have() {
        let mut seen = Seen::default();
        seen.add("a", 3.0, 1).unwrap();
        seen.learn_all(vec![("b".to_string(), 7.0)]).unwrap();
        for (node_id, timestamp, verdict) in [
            ("a", 3.5, Verdict::New),
            ("a", 2.0, Verdict::AskEntry),
            ("b", 7.0, Verdict::AskEntry),
            ("b", 7.5, Verdict::New),
            ("c", -1.0, Verdict::New),
        ] {
            assert_eq!(seen.judge(node_id, timestamp), verdict, "{node_id} {timestamp}");
        }
        seen.restart(9);
        assert_eq!(seen.judge("c", -1.0), Verdict::AskNode);
    }

    #[test]
    fn nothing_is_forgotten_that_the_file_may_not_have() {
        let mut seen = Seen::default();
        let count = 10 * GENERATION as i64;
        for id in 1..=count {
            seen.add("a", id as f64, id).unwrap();
            assert!(seen.forget(id / 2, id));
            assert!(seen.floor() <= id / 2, "the file has not got that yet");
        }
        for id in seen.floor() + 1..=count {
            assert_eq!(seen.judge("a", id as f64), Verdict::Known(id));
        }
        assert!(seen.floor() > 0 && seen.judge("a", 1.0) == Verdict::AskEntry);
    }
}
