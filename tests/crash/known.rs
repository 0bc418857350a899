//! What is known of a ledger from outside of it: what its processes said before they were killed.

use std::collections::{BTreeMap, HashMap, HashSet};

use simledger::{Entries, Ledger, NO_LIMIT, Status};

use crate::common::batches::{Batch, acknowledged};
use crate::common::{Place, Random, integrity};

/// Which entries a cleanup deletes.
#[derive(Clone, Copy, Debug)]
pub enum Cutoff {
    Id(i64),
    Timestamp(f64),
}

/// A cleanup that somebody began.
struct Cleanup {
    who: String,
    cutoff: Cutoff,
    /// The last id that there was before it began.
    through: i64,
    /// Whether it was acknowledged.
    done: bool,
}

#[derive(Default)]
pub struct Known {
    /// By the first id.
    batches: HashMap<i64, Batch>,
    cleanups: Vec<Cleanup>,
    /// The largest id that was ever seen.
    last_id: i64,
}

impl Known {
    /// Takes down what a process said.
    pub fn note(&mut self, said: &str) {
        match said.split(' ').collect::<Vec<_>>()[..] {
            ["cleaning", who, kind, cutoff, through] => {
                let number = |text: &str| text.parse::<i64>().unwrap();
                let cutoff = match kind {
                    "id" => Cutoff::Id(number(cutoff)),
                    _ => Cutoff::Timestamp(number(cutoff) as f64),
                };
                let (who, through) = (who.to_string(), number(through));
                self.cleanups.push(Cleanup { who, cutoff, through, done: false });
            }
            ["cleaned", who] => {
                let last = self.cleanups.iter_mut().rfind(|cleanup| cleanup.who == who);
                last.expect("it was begun").done = true;
            }
            _ => {
                let (first_id, batch) = acknowledged(said);
                self.appended(first_id, batch);
            }
        }
    }

    /// Takes down a batch that was acknowledged.
    pub fn appended(&mut self, first_id: i64, batch: Batch) {
        self.last_id = self.last_id.max(first_id + batch.count - 1);
        let before = self.batches.insert(first_id, batch);
        assert_eq!(before, None, "an id was given twice");
    }

    /// The largest id that was ever seen.
    pub fn last_id(&self) -> i64 {
        self.last_id
    }

    /// How many entries it knows of.
    pub fn len(&self) -> usize {
        self.batches.values().map(|batch| batch.count as usize).sum()
    }

    /// Whether some cleanup that was begun deletes such an entry, or one that was acknowledged must have.
    fn is_deleted(&self, id: i64, timestamp: f64, for_sure: bool) -> bool {
        self.cleanups.iter().any(|cleanup| {
            let is_meant = match cleanup.cutoff {
                Cutoff::Id(cutoff) => id < cutoff,
                Cutoff::Timestamp(cutoff) => timestamp < cutoff,
            };
            is_meant && (!for_sure || (cleanup.done && id <= cleanup.through))
        })
    }

    /// Holds the ledger against what is known, lets it go on, and takes down what nobody had heard of.
    pub fn check(&mut self, place: &Place, ledger: &Ledger, random: &mut Random) {
        let all = ledger.read_all().unwrap();
        self.check_entries(ledger, &all);
        self.check_duplicates(ledger, &all, random);

        self.append_one(ledger);

        ledger.checkpoint().unwrap();
        let stored = "SELECT count(*) FROM ledger";
        let stored: i64 = place.sqlite().query_row(stored, [], |row| row.get(0)).unwrap();
        assert_eq!(stored, all.len() as i64 + 1, "what is folded is all there");
        assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
        assert_eq!(integrity(&place.sqlite()), "ok");
    }

    /// Appends an entry, whose id is above all that there ever were.
    pub fn append_one(&mut self, ledger: &Ledger) {
        let next = Batch { writer: format!("after{}", self.last_id), k: 0, count: 1 };
        let id = next.append(ledger);
        assert_eq!(id, self.last_id + 1, "the next id is the next");
        self.appended(id, next);
    }

    fn check_entries(&mut self, ledger: &Ledger, all: &Entries) {
        let mut there = HashSet::new();
        let mut found = BTreeMap::new();
        for entry in all.iter() {
            let (batch, index) = Batch::of(entry);
            let id = entry.id();
            assert!(!self.is_deleted(id, entry.timestamp(), true), "an acknowledged cleanup is undone: {id}");
            assert!(there.insert(id));
            let before = found.insert(id - index, batch.clone());
            assert!(before.is_none_or(|before| before == batch), "two batches are mixed up");
        }
        for (first_id, batch) in &self.batches {
            let there = found.entry(*first_id).or_insert_with(|| batch.clone());
            assert_eq!(there, batch, "under an acknowledged id is what its writer wrote");
        }
        let mut names: Vec<_> = found.values().map(|batch| (&batch.writer, batch.k)).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a batch is there twice");
        let mut owned = HashSet::new();
        for (first_id, batch) in &found {
            for index in 0..batch.count {
                let id = first_id + index;
                let is_there = there.contains(&id) || self.is_deleted(id, (batch.k + index) as f64, false);
                assert!(is_there, "entry {index} of {batch:?} is lost, which had the id {id}");
                assert!(owned.insert(id), "two batches have the id {id}");
            }
        }

        let last_id = ledger.last_id().unwrap();
        assert!(last_id >= self.last_id, "ids went back from {} to {last_id}", self.last_id);
        let poll = ledger.poll_since(0, NO_LIMIT).unwrap();
        assert!(poll.iter().map(|entry| entry.id()).eq(all.iter().map(|entry| entry.id())));
        assert_eq!((poll.position(), ledger.count().unwrap()), (last_id, all.len() as i64));
        let mark = poll.gap_before();
        assert!(mark == 0 || !self.cleanups.is_empty(), "nobody cleaned up");
        assert!((mark + 1..=last_id).all(|id| there.contains(&id)), "an id above {mark} is passed over");
        self.last_id = last_id;
        // From now on what nobody heard of must stay as well.
        self.batches.extend(found);
    }

    /// Some of the entries are refused when they come again.
    fn check_duplicates(&self, ledger: &Ledger, all: &Entries, random: &mut Random) {
        let mut some: Vec<usize> =
            (0..5).filter(|_| !all.is_empty()).map(|_| random.below(all.len() as u64) as usize).collect();
        some.extend(all.len().checked_sub(1));
        for entry in some.into_iter().map(|index| all.get(index).expect("it is there")) {
            let (batch, index) = Batch::of(entry);
            let error = ledger.append_json(&batch.entry(index)).unwrap_err();
            assert_eq!((error.status(), error.entry_id()), (Status::Duplicate, Some(entry.id())));
        }
    }
}
