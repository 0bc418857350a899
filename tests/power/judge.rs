//! Whether what was left of a ledger is what is promised.

use std::path::Path;

use simledger::{Entries, Ledger, NO_LIMIT};

use crate::common::batches::Batch;
use crate::recorder::{Event, Told};
use crate::work::{History, Mode};

/// What was known at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    is_durable: bool,
    /// This entry and those before it must be there.
    acknowledged: i64,
    /// This one too, where the machine went on.
    told: i64,
    /// Entries up to here must be gone.
    removed: i64,
    /// Entries up to here may be gone.
    removing: i64,
}

impl Known {
    pub fn hear(&mut self, event: &Event) {
        match *event {
            Event::Told(Told::Durable(is_durable)) => self.is_durable = is_durable,
            Event::Told(Told::Appended(id)) => {
                self.told = id.max(self.told);
                if self.is_durable {
                    self.acknowledged = id.max(self.acknowledged);
                }
            }
            Event::Told(Told::Removing(id)) => self.removing = id.max(self.removing),
            Event::Told(Told::Removed(id)) if self.is_durable => self.removed = id.max(self.removed),
            _ => {}
        }
    }

    /// With so many entries, which were there long before.
    pub fn with(entries: i64) -> Known {
        Known { acknowledged: entries, told: entries, ..Known::default() }
    }

    /// Of processes that died, on a machine that went on.
    pub fn of_a_kill(self) -> Known {
        Known { acknowledged: self.told, ..self }
    }
}

/// Opens what is in the folder, which is what is promised, or panics; `then` is told what entries there are
/// and were.
pub fn judge(
    folder: &Path,
    mode: Mode,
    history: &History,
    known: Known,
    then: impl FnOnce(&Ledger, &History),
) -> Ledger {
    let ledger = mode.open(folder).unwrap_or_else(|error| panic!("it does not open: {error}"));
    let found = check(&ledger.read_all().unwrap(), &ledger, history, known);
    let faults = ledger.integrity_check(10, None).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    then(&ledger, &found);
    ledger
}

/// Appends one entry, which must come behind the others, and be there after a close.
pub fn go_on(ledger: Ledger, folder: &Path, mode: Mode) {
    let last = ledger.last_id().unwrap();
    let before = ledger.count().unwrap();
    let batch = Batch { writer: "later".to_string(), k: 0, count: 2 };
    assert_eq!(batch.append(&ledger), last + 1, "the next id");
    let fresh = ledger.poll_since(last, NO_LIMIT).unwrap();
    assert_eq!(fresh.iter().map(|entry| entry.id()).collect::<Vec<_>>(), [last + 1, last + 2]);
    ledger.close().unwrap();
    let ledger = mode.open(folder).unwrap();
    assert_eq!((ledger.last_id().unwrap(), ledger.count().unwrap()), (last + 2, before + 2));
    ledger.close().unwrap();
}

/// The entries are a prefix of the history, but for those that were removed.
fn check(entries: &Entries, ledger: &Ledger, history: &History, known: Known) -> History {
    let mut found = History::default();
    let last = ledger.last_id().unwrap();
    for entry in entries.iter() {
        let (batch, index) = Batch::of(entry);
        let (id, writer, k) = (entry.id(), batch.writer, batch.k + index);
        let expected = history.entries.get(&id);
        assert_eq!(expected, Some(&(writer.clone(), k)), "entry {id}");
        found.entries.insert(id, (writer, k));
    }
    let all = history.entries.iter().filter(|(id, _)| **id <= last);
    let all = all.map(|(id, entry)| (*id, entry.clone())).collect();
    found.ends = history.ends.iter().copied().filter(|id| *id <= last).collect();
    let first = found.entries.first_key_value().map_or(last + 1, |(id, _)| *id);
    assert_eq!(found.entries.len() as i64, last + 1 - first, "from {first} to {last} all are there");
    assert!(last == 0 || history.ends.contains(&last), "the batch is cut off at {last}");
    assert!(last >= known.acknowledged, "{last} is the last, though {} was acknowledged", known.acknowledged);
    assert!(first > known.removed, "{first} is there, though removed up to {}", known.removed);
    assert!(
        first - 1 <= known.removing,
        "the first is {first}, though at most {} are removed",
        known.removing
    );
    // Those too that were removed, which another cut may bring back.
    History { entries: all, ..found }
}
