//! Batches that say what they are in each of their entries, for tests of what is left of them.

use simledger::{Entries, EntryRef, Ledger, Result};

/// A batch names itself in each of its entries: its writer, the writer's number of the first entry,
/// and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub writer: String,
    pub k: i64,
    pub count: i64,
}

impl Batch {
    pub fn entry(&self, index: i64) -> String {
        let (k, features) = (self.k + index, self.features(index));
        let (writer, confidence) = (&self.writer, self.confidence(index));
        format!(r#"{{"timestamp":{k},"node_id":"{writer}","features":{features},"confidence":{confidence}}}"#)
    }

    /// Appends it, all at once; its first id.
    pub fn append(&self, ledger: &Ledger) -> i64 {
        self.try_append(ledger).unwrap()
    }

    /// The same, where it may fail.
    pub fn try_append(&self, ledger: &Ledger) -> Result<i64> {
        if self.count == 1 {
            return ledger.append_json(&self.entry(0));
        }
        let entries: Vec<String> = (0..self.count).map(|index| self.entry(index)).collect();
        Ok(ledger.append_many_json(&entries.join("\n"))?.first_id)
    }

    /// Of some length, so that rows go over pages.
    pub fn features(&self, index: i64) -> String {
        let filling = "abcdefghij".repeat(((self.k + index) % 200) as usize);
        format!(r#"{{"batch":[{},{}],"filling":"{filling}"}}"#, self.k, self.count)
    }

    pub fn confidence(&self, index: i64) -> f64 {
        ((self.k + index) % 101) as f64 / 101.0
    }

    /// The batch of an entry, and the entry's index in it; all of it must be as it was written.
    pub fn of(entry: EntryRef<'_>) -> (Batch, i64) {
        let features: serde_json::Value = serde_json::from_str(entry.features()).expect("whole features");
        let [k, count] = [0, 1].map(|at| features["batch"][at].as_i64().expect("the batch is named"));
        let batch = Batch { writer: entry.node_id().to_string(), k, count };
        let index = entry.timestamp() as i64 - k;
        assert!((0..count).contains(&index));
        assert_eq!(entry.features(), batch.features(index));
        assert_eq!(entry.confidence(), batch.confidence(index));
        assert!(entry.created_at() > 0.0);
        (batch, index)
    }
}

/// What a process said of a batch that was acknowledged to it: the first id, and the batch.
pub fn acknowledged(said: &str) -> (i64, Batch) {
    let words: Vec<&str> = said.split(' ').collect();
    let [first_id, count, k, writer] = words[..] else { panic!("{said}") };
    let number = |word: &str| word.parse::<i64>().unwrap();
    (number(first_id), Batch { writer: writer.to_string(), k: number(k), count: number(count) })
}

/// Every entry is whole, every batch is all there, and ids leave no gap from `first` on. The first id of
/// each batch.
pub fn check_whole(entries: &Entries, first: i64) -> Vec<(i64, Batch)> {
    let mut batches: Vec<(i64, Batch)> = Vec::new();
    let mut next = None;
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry.id(), place as i64 + first, "ids are contiguous");
        let (batch, index) = Batch::of(entry);
        match next {
            None => assert_eq!(index, 0, "{batch:?} begins in its middle"),
            Some(expected) => {
                assert_eq!((batches.last().map(|(_, last)| last), index), (Some(&batch), expected))
            }
        }
        next = (index + 1 < batch.count).then_some(index + 1);
        if index == 0 {
            batches.push((entry.id(), batch));
        }
    }
    assert_eq!(next, None, "{:?} is cut off", batches.last());
    batches
}
