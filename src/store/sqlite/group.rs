//! Appends of several threads in one transaction of SQLite.
//!
//! A transaction of one entry takes as long as one of many. So who has to wait for the writer leaves his
//! entry where the next one who has his turn finds it, and is woken when it is committed. Nobody waits for
//! others to come: one who is alone is as fast as before. Only single entries go together, since one of
//! them that is refused leaves nothing behind that would have to be undone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use crate::entry::NewEntry;
use crate::error::Result;
use crate::store::{Appended, Batch, OnDuplicate};

/// Most entries of one transaction, so that nobody waits for long.
const MOST: usize = 64;

/// The entries that wait for a transaction.
#[derive(Default)]
pub(super) struct Group(Mutex<Vec<Arc<Request>>>);

/// An entry that waits.
pub(super) struct Request {
    entry: NewEntry<'static>,
    on_duplicate: OnDuplicate,
    expected_last_id: Option<i64>,
    thread: Thread,
    outcome: Mutex<Option<Outcome>>,
}

/// What became of an entry.
#[derive(Clone)]
pub(super) enum Outcome {
    /// Committed, or refused by itself.
    Done(Result<Appended>),
    /// The transaction was not committed: whose entry it is tries again, alone.
    Alone,
}

/// Entries on their way into a transaction. All of them have their outcome when this is dropped.
#[derive(Default)]
pub(super) struct Together(Vec<(Arc<Request>, Option<Result<Appended>>)>);

impl Group {
    /// Whether there are any.
    pub fn has_some(&self) -> bool {
        !self.waiting().is_empty()
    }

    /// Lets this entry go with others.
    pub fn join(&self, batch: &Batch<'_>) -> Result<Arc<Request>> {
        let request = Arc::new(Request {
            entry: batch.entries[0].to_own()?,
            on_duplicate: batch.on_duplicate,
            expected_last_id: batch.expected_last_id,
            thread: thread::current(),
            outcome: Mutex::default(),
        });
        self.waiting().push(Arc::clone(&request));
        Ok(request)
    }

    /// The entries that wait, in the order in which they came.
    pub fn take(&self) -> Together {
        let mut waiting = self.waiting();
        let some = waiting.len().min(MOST);
        Together(waiting.drain(..some).map(|request| (request, None)).collect())
    }

    /// Takes an entry back; false if it is on its way.
    pub fn leave(&self, request: &Arc<Request>) -> bool {
        let mut waiting = self.waiting();
        let before = waiting.len();
        waiting.retain(|other| !Arc::ptr_eq(other, request));
        waiting.len() < before
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Request>>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// What became of it, if that is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it is known; only for one that is on its way.
    pub fn wait(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            thread::park();
        }
    }

    fn settle(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.thread.unpark();
    }
}

impl Together {
    /// Lets `insert` write each of them, in one transaction. An error ends that.
    pub fn write(&mut self, insert: impl Fn(&Batch<'_>) -> Result<Result<Appended>>) -> Result<()> {
        for (request, result) in &mut self.0 {
            let Request { entry, on_duplicate, expected_last_id, .. } = &**request;
            let (on_duplicate, expected_last_id) = (*on_duplicate, *expected_last_id);
            let entries = std::slice::from_ref(entry);
            *result = Some(insert(&Batch { entries, on_duplicate, expected_last_id })?);
        }
        Ok(())
    }

    /// An entry that was written, with its id.
    pub fn one_that_was_added(&self) -> Option<(i64, &NewEntry<'static>)> {
        self.0.iter().find_map(|(request, result)| match result {
            Some(Ok(appended)) if appended.count > 0 => Some((appended.first_id, &request.entry)),
            _ => None,
        })
    }

    /// The transaction is committed; `appended` is what each is told that was written.
    pub fn committed(mut self, appended: impl Fn(Appended) -> Result<Appended>) {
        for (request, result) in self.0.drain(..) {
            request.settle(result.map_or(Outcome::Alone, |result| Outcome::Done(result.and_then(&appended))));
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.0.iter().for_each(|(request, _)| request.settle(Outcome::Alone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Limits;
    use crate::error::{Error, Status};

    fn joined(group: &Group, timestamp: f64) -> Arc<Request> {
        let entry = NewEntry::new(timestamp, "n", "{}", 0.5, &Limits::default()).unwrap();
        let entries = std::slice::from_ref(&entry);
        group.join(&Batch { entries, on_duplicate: OnDuplicate::Refuse, expected_last_id: None }).unwrap()
    }

    #[test]
    fn each_hears_what_became_of_its_own_entry() {
        let group = Group::default();
        let requests = [0.0, 1.0, 2.0].map(|timestamp| joined(&group, timestamp));
        assert!(group.leave(&requests[2]), "nobody has taken it yet");
        let mut together = group.take();
        assert!(!group.leave(&requests[0]) && !group.has_some());
        let refused = || Error::new(Status::Duplicate, "there is one");
        let insert = |batch: &Batch<'_>| {
            let is_first = batch.entries[0].timestamp() == 0.0;
            Ok(if is_first { Ok(Appended { first_id: 7, count: 1, existing_id: 0 }) } else { Err(refused()) })
        };
        together.write(insert).unwrap();
        assert!(requests[0].outcome().is_none(), "not before the commit");
        together.committed(Ok);
        assert!(matches!(requests[0].wait(), Outcome::Done(Ok(Appended { first_id: 7, .. }))));
        assert!(
            matches!(requests[1].wait(), Outcome::Done(Err(error)) if error.status() == Status::Duplicate)
        );
        assert!(requests[2].outcome().is_none());
    }

    #[test]
    fn what_is_not_committed_is_tried_again_by_each() {
        let group = Group::default();
        let requests = [0.0, 1.0].map(|timestamp| joined(&group, timestamp));
        let mut together = group.take();
        assert!(together.write(|_| Err(Error::new(Status::NoSpace, "the disk is full"))).is_err());
        drop(together);
        assert!(requests.iter().all(|request| matches!(request.wait(), Outcome::Alone)));
    }
}
