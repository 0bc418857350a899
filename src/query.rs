//! What to read: which entries, in which order, how many.

/// In which order entries come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they were appended.
    Id,
    /// The newest timestamp first, and of equal ones the larger id.
    NewestFirst,
}

/// What happens when the entries would take more than `bytes_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The result ends there, and its position says where.
    Stop,
    /// The read fails, and its message says how to page.
    Refuse,
}

/// A read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    /// Only entries above this id.
    pub after: i64,
    /// Only entries of this node.
    pub node_id: Option<&'a str>,
    pub order: Order,
    /// Most entries; a row that is no valid entry does not count.
    pub limit: usize,
    /// Most bytes of memory that the entries take.
    pub bytes_max: usize,
    pub overflow: Overflow,
}

impl<'a> Query<'a> {
    /// What is new since this id, in order.
    pub fn since(after: i64, limit: usize, bytes_max: usize) -> Query<'a> {
        Query { after, node_id: None, order: Order::Id, limit, bytes_max, overflow: Overflow::Stop }
    }

    /// All entries, in order.
    pub fn all(bytes_max: usize) -> Query<'a> {
        Query { overflow: Overflow::Refuse, ..Query::since(0, usize::MAX, bytes_max) }
    }

    /// The entries of a node, newest first.
    pub fn of_node(node_id: &'a str, limit: usize, bytes_max: usize) -> Query<'a> {
        Query { node_id: Some(node_id), order: Order::NewestFirst, limit, ..Query::all(bytes_max) }
    }
}
