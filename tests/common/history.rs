//! Histories: what several callers did with one ledger at the same time, and whether that can be.
//!
//! A history can be (is linearizable) if each call has a moment between its beginning and its end such that
//! the calls, made one after another at these moments, give what they gave. In general that is a search
//! among all orders. Here it is none, since a ledger says where its calls belong: ids are given in the
//! order of appends, and cleanups of all that is below an id take entries in the same order. So at each
//! moment a ledger *is* two numbers, the last id that was given (`high`) and the last that is gone (`low`),
//! both only grow, and the answers name who moves them in which order. What a call saw of them puts it
//! behind one move and before another. A history can be exactly if no call is put before itself: if the
//! graph of what comes before what has no cycle, which takes time in proportion to its length.
//!
//! [`can_be`] makes the graph; its order of the calls is then made on [`Spec`], one after another, so that
//! no mistake in the graph lets a wrong history pass. [`search`] tries all orders of a short history
//! (Wing and Gong, with what was tried kept), to judge the judge. The tester of the crate stateright
//! does that too, without keeping what was tried, and brings 28 crates for the forty lines.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// A moment, in nanoseconds of a clock that all callers share.
pub type Moment = u64;

/// What an entry is: its content is told by a number.
pub type Key = u64;

/// A call with its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Saw {
    /// A batch, whose entries have ids from `first` on.
    Appended {
        first: i64,
        keys: Vec<Key>,
        expected: Option<i64>,
    },
    /// A batch whose caller died: it was appended, or not.
    Died {
        keys: Vec<Key>,
    },
    /// A batch with an entry like the one with this id.
    Duplicate {
        keys: Vec<Key>,
        id: i64,
    },
    /// A batch that expected another last id.
    Conflict {
        expected: i64,
        last: i64,
    },
    /// Entries above an id: of a poll, a wait, or a read of all.
    Polled {
        since: i64,
        limit: usize,
        found: Vec<(i64, Key)>,
        position: i64,
        gap: i64,
    },
    /// All entries, of a read that tells of no gap.
    Read {
        found: Vec<(i64, Key)>,
        position: i64,
    },
    Got {
        id: i64,
        key: Option<Key>,
    },
    Last {
        id: i64,
    },
    /// All below an id were deleted, so many. None above what the caller had seen, so that nobody needs to
    /// guess how far it went.
    Cleaned {
        before: i64,
        count: i64,
    },
}

/// A call, from when to when. No end: its caller died.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub who: usize,
    pub began: Moment,
    pub ended: Option<Moment>,
    pub saw: Saw,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.ended.map_or("-".to_string(), |ended| ended.to_string());
        write!(f, "[{} .. {ended}] caller {}: {:?}", self.began, self.who, self.saw)
    }
}

/// A cleanup of at most so many is one transaction.
const STEP: i64 = 16;

/// The sequential specification: a ledger whose cleanups are by id.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    low: i64,
    keys: Vec<Key>,
}

impl Spec {
    fn high(&self) -> i64 {
        self.keys.len() as i64
    }

    fn there(&self, key: Key) -> Option<i64> {
        (self.low + 1..=self.high()).find(|id| self.keys[*id as usize - 1] == key)
    }

    fn entries(&self, since: i64, limit: usize) -> Vec<(i64, Key)> {
        let ids = self.low.max(since) + 1..=self.high();
        ids.map(|id| (id, self.keys[id as usize - 1])).take(limit).collect()
    }

    /// Makes some call, and gives what it saw.
    pub fn answer(&mut self, random: &mut super::Random) -> Saw {
        let high = self.high();
        let mut some = |least: i64| least + random.below((high + 2 - least).max(1) as u64) as i64;
        let (id, since, before) = (some(1), some(0), some(1).min(high + 1));
        let saw = match random.below(9) {
            0 | 1 => {
                let keys: Vec<Key> = (0..=random.below(2)).map(|more| high as u64 % 7 + more * 10).collect();
                match keys.iter().find_map(|key| self.there(*key)) {
                    Some(id) => Saw::Duplicate { keys, id },
                    None => Saw::Appended { first: high + 1, keys, expected: (id == high).then_some(high) },
                }
            }
            2 => Saw::Got { id, key: (self.low < id && id <= high).then(|| self.keys[id as usize - 1]) },
            3 => Saw::Last { id: high },
            4 => Saw::Cleaned { before, count: (before - 1 - self.low).max(0) },
            5 => Saw::Read { found: self.entries(0, usize::MAX), position: high },
            6 if since != high => Saw::Conflict { expected: since, last: high },
            more => {
                let limit = if more == 7 { 2 } else { usize::MAX };
                let found = self.entries(since, limit);
                let full = (found.len() == limit).then(|| found.last().map_or(high, |(id, _)| *id));
                let gap = if self.low > since { self.low } else { 0 };
                Saw::Polled { since, limit, found, position: full.unwrap_or(high.max(since)), gap }
            }
        };
        assert!(self.step(&saw), "the answer of the specification itself: {saw:?}");
        saw
    }

    /// Makes a call; whether it gives this.
    pub fn step(&mut self, saw: &Saw) -> bool {
        let (low, high) = (self.low, self.high());
        match saw {
            Saw::Appended { first, keys, expected } => {
                let is_new = keys.iter().all(|key| self.there(*key).is_none());
                self.keys.extend(keys);
                *first == high + 1 && expected.is_none_or(|expected| expected == high) && is_new
            }
            Saw::Died { keys } => {
                self.keys.extend(keys);
                true
            }
            Saw::Duplicate { keys, id } => keys.iter().any(|key| self.there(*key) == Some(*id)),
            Saw::Conflict { expected, last } => *last == high && *expected != high,
            Saw::Polled { since, limit, found, position, gap } => {
                let entries = self.entries(*since, *limit);
                let full = (entries.len() == *limit).then(|| entries.last().map_or(high, |(id, _)| *id));
                *gap == (if low > *since { low } else { 0 })
                    && *position == full.unwrap_or(high.max(*since))
                    && *found == entries
            }
            Saw::Read { found, position } => *position == high && *found == self.entries(0, usize::MAX),
            Saw::Got { id, key } => {
                let there = (low < *id && *id <= high).then(|| self.keys[*id as usize - 1]);
                *key == there
            }
            Saw::Last { id } => *id == high,
            Saw::Cleaned { before, count } => {
                self.low = low.max(before - 1);
                *count == self.low - low && before - 1 <= high
            }
        }
    }
}

/// How many moments a read of several entries has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reads {
    /// One, as every call.
    AtOnce,
    /// With `commit = log` two, where it puts together what is in memory and in the file: one at which it has
    /// what is new, and no earlier one at which that which was cleaned up is gone. Each by itself is in the
    /// order of all calls.
    InTwo,
}

/// Whether a history can be; why not. How many calls could not be placed, since they say too little.
pub fn can_be(calls: &[Call], reads: Reads) -> Result<usize, String> {
    Graph::of(calls, reads)?.order()
}

/// The same for up to 32 calls, none of whose callers died, by trying all orders.
pub fn search(calls: &[Call]) -> bool {
    fn from(calls: &[Call], done: u32, spec: &Spec, tried: &mut HashSet<u32>) -> bool {
        let left = || (0..calls.len()).filter(|index| done & 1 << index == 0);
        // Whatever is left ends after whatever is next has begun.
        let first_end = left().filter_map(|index| calls[index].ended).min();
        let Some(first_end) = first_end else { return true };
        // What was done says what the ledger is: the answers have the ids.
        tried.insert(done)
            && left().any(|index| {
                let mut next = spec.clone();
                calls[index].began <= first_end
                    && next.step(&calls[index].saw)
                    && from(calls, done | 1 << index, &next, tried)
            })
    }
    from(calls, 0, &Spec::default(), &mut HashSet::new())
}

/// What comes before what.
struct Graph<'h> {
    calls: &'h [Call],
    /// A node for each call, then one for each beginning and end in the order of time, then those of
    /// cleanups that others saw half done.
    after: Vec<Vec<usize>>,
    /// Who moves `high` to this id.
    appends: BTreeMap<i64, usize>,
    /// Who moves `low` to this id.
    cleanups: BTreeMap<i64, usize>,
    /// By id.
    keys: BTreeMap<i64, Key>,
    /// Which cleanup a further node belongs to, and how far it was.
    halves: Vec<(usize, i64)>,
    /// The beginning and the end of each call.
    ends: Vec<(usize, Option<usize>)>,
    reads: Reads,
    /// The second moment of a read: which one.
    seconds: BTreeMap<usize, usize>,
    undecided: usize,
}

impl<'h> Graph<'h> {
    fn of(calls: &'h [Call], reads: Reads) -> Result<Graph<'h>, String> {
        let mut graph = Graph {
            calls,
            after: vec![Vec::new(); calls.len()],
            appends: BTreeMap::new(),
            cleanups: BTreeMap::new(),
            keys: BTreeMap::new(),
            halves: Vec::new(),
            ends: vec![(0, None); calls.len()],
            reads,
            seconds: BTreeMap::new(),
            undecided: 0,
        };
        graph.put_time();
        graph.put_appends()?;
        graph.put_cleanups()?;
        for (index, call) in calls.iter().enumerate() {
            graph.place(index).map_err(|why| format!("{why}\n  {call}"))?;
        }
        Ok(graph)
    }

    fn before(&mut self, one: usize, other: usize) {
        self.after[one].push(other);
    }

    /// Each call is between its beginning and its end. Of equal moments nobody knows the order: beginnings
    /// come first, which forbids nothing.
    fn put_time(&mut self) {
        let mut moments = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            moments.push((call.began, false, index));
            moments.extend(call.ended.map(|ended| (ended, true, index)));
        }
        moments.sort_unstable();
        let mut last = None;
        for (_, is_end, index) in moments {
            let node = self.after.len();
            self.after.push(Vec::new());
            let (one, other) = if is_end { (index, node) } else { (node, index) };
            if is_end {
                self.ends[index].1 = Some(node);
            } else {
                self.ends[index].0 = node;
            }
            self.before(one, other);
            last.into_iter().for_each(|last| self.before(last, node));
            last = Some(node);
        }
    }

    /// Ids follow one another without a gap, and each was given to one.
    fn put_appends(&mut self) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for call in self.calls {
            let (found, one) = match &call.saw {
                Saw::Polled { found, .. } | Saw::Read { found, .. } => (&found[..], None),
                Saw::Got { id, key: Some(key) } => (&[][..], Some((*id, *key))),
                _ => (&[][..], None),
            };
            seen.extend(found.iter().copied().chain(one).map(|(id, key)| (key, id)));
        }
        let first_of = |call: &Call| match &call.saw {
            Saw::Appended { first, .. } => Some(*first),
            _ => None,
        };
        let answered: BTreeSet<i64> = self.calls.iter().filter_map(first_of).collect();
        let (mut batches, mut unseen) = (BTreeMap::new(), Vec::new());
        for (index, call) in self.calls.iter().enumerate() {
            let (first, keys) = match &call.saw {
                Saw::Appended { first, keys, .. } => (*first, keys),
                // Where it is, if anybody saw it.
                Saw::Died { keys } => {
                    let place = |(at, key)| seen.get(key).map(|id| id - at as i64);
                    match keys.iter().enumerate().find_map(place) {
                        // Or somebody else's, who appended the same.
                        Some(first) if !answered.contains(&first) => (first, keys),
                        _ => {
                            unseen.push((index, keys));
                            continue;
                        }
                    }
                }
                _ => continue,
            };
            if let Some((other, _)) = batches.insert(first, (index, keys)) {
                return Err(format!("id {first} was given twice\n  {}\n  {call}", self.calls[other]));
            }
        }
        // One that nobody saw before it was cleaned up is where ids are missing.
        let mut next = 1;
        for (first, (_, keys)) in batches.clone() {
            let missing = |(_, died): &(usize, &Vec<Key>)| died.len() as i64 == first - next;
            if let Some(at) = unseen.iter().position(missing).filter(|_| first > next) {
                batches.insert(next, unseen.swap_remove(at));
            }
            next = first + keys.len() as i64;
        }
        let (mut next, mut last) = (1, None);
        for (first, (index, keys)) in batches {
            if first != next {
                let what = if first < next { "was given twice" } else { "follows none" };
                return Err(format!("id {first} {what}\n  {}", self.calls[index]));
            }
            for key in keys {
                self.keys.insert(next, *key);
                next += 1;
            }
            self.appends.insert(next - 1, index);
            last.into_iter().for_each(|last| self.before(last, index));
            last = Some(index);
        }
        Ok(())
    }

    /// Cleanups follow one another too: each begins where the one before ended.
    fn put_cleanups(&mut self) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for (index, call) in self.calls.iter().enumerate() {
            if let Saw::Cleaned { before, count } = call.saw
                && count > 0
                && let Some(other) = found.insert(before - 1, (index, before - 1 - count))
            {
                return Err(format!("deleted twice\n  {}\n  {call}", self.calls[other.0]));
            }
        }
        let (mut low, mut last) = (0, None);
        for (through, (index, from)) in found {
            if from != low {
                return Err(format!("deleted from {from} and not from {low} on\n  {}", self.calls[index]));
            }
            // One that takes many goes in steps, and others see them, wherever they are.
            let first = last;
            let halves = if through - low > STEP { low + 1..through } else { 0..0 };
            for half in halves {
                let node = self.after.len();
                self.after.push(Vec::new());
                self.halves.push((index, half));
                self.cleanups.insert(half, node);
                last.into_iter().for_each(|last| self.before(last, node));
                last = Some(node);
            }
            if first != last {
                let begin = self.ends[index].0;
                let halves: Vec<usize> =
                    self.cleanups.range(low + 1..through).map(|(_, node)| *node).collect();
                halves.into_iter().for_each(|node| self.before(begin, node));
            }
            last.into_iter().for_each(|last| self.before(last, index));
            self.cleanups.insert(through, index);
            (low, last) = (through, Some(index));
        }
        Ok(())
    }

    /// The node at which a read finds what is gone.
    fn second(&mut self, index: usize) -> usize {
        if self.reads == Reads::AtOnce {
            return index;
        }
        let node = self.after.len();
        self.after.push(Vec::new());
        self.seconds.insert(node, index);
        self.before(index, node);
        self.ends[index].1.into_iter().for_each(|end| self.before(node, end));
        node
    }

    /// Behind the append of this id.
    fn given(&mut self, index: usize, id: i64) -> Result<(), String> {
        if id > 0 {
            let (_, append) = self.appends.range(id..).next().ok_or("nobody was given such an id")?;
            let append = *append;
            if append != index {
                self.before(append, index);
            }
        }
        Ok(())
    }

    /// Before all appends of larger ids.
    fn not_given_above(&mut self, index: usize, id: i64) {
        if let Some((_, append)) = self.appends.range(id + 1..).next() {
            let append = *append;
            self.before(index, append);
        }
    }

    /// Behind the cleanup of this id.
    fn gone(&mut self, index: usize, id: i64) -> Result<(), String> {
        if id > 0 {
            let (_, cleanup) = self.cleanups.range(id..).next().ok_or("nobody deleted that")?;
            let cleanup = *cleanup;
            if cleanup != index {
                self.before(cleanup, index);
            }
        }
        Ok(())
    }

    /// Before all cleanups of larger ids.
    fn not_gone_above(&mut self, index: usize, id: i64) {
        if let Some((_, cleanup)) = self.cleanups.range(id + 1..).next() {
            let cleanup = *cleanup;
            self.before(index, cleanup);
        }
    }

    /// When this was the last id. Half a batch never is.
    fn last_is(&mut self, index: usize, id: i64) -> Result<(), String> {
        if id != 0 && !self.appends.contains_key(&id) {
            return Err(format!("{id} never was the last id"));
        }
        self.given(index, id)?;
        self.not_given_above(index, id);
        Ok(())
    }

    fn gone_is(&mut self, index: usize, id: i64) -> Result<(), String> {
        if id != 0 && !self.cleanups.contains_key(&id) {
            return Err(format!("nothing was deleted up to {id} and no further"));
        }
        self.gone(index, id)?;
        self.not_gone_above(index, id);
        Ok(())
    }

    fn is_appended(&self, id: i64, key: Key) -> Result<(), String> {
        match self.keys.get(&id) {
            Some(appended) if *appended == key => Ok(()),
            Some(appended) => Err(format!("entry {id} is {key}, and was appended as {appended}")),
            None => Err(format!("entry {id} was appended by nobody")),
        }
    }

    fn are_in_order(&self, found: &[(i64, Key)]) -> Result<(), String> {
        found.iter().try_for_each(|(id, key)| self.is_appended(*id, *key))?;
        match found.windows(2).find(|pair| pair[1].0 != pair[0].0 + 1) {
            Some(pair) => Err(format!("between {} and {} something is missing", pair[0].0, pair[1].0)),
            None => Ok(()),
        }
    }

    /// Puts a call where its answer says.
    fn place(&mut self, index: usize) -> Result<(), String> {
        let call = &self.calls[index];
        match &call.saw {
            Saw::Appended { first, keys, expected } => {
                if expected.is_some_and(|expected| expected + 1 != *first) {
                    return Err("appended behind another id than was expected".to_string());
                }
                for (at, key) in keys.iter().enumerate() {
                    let id = first + at as i64;
                    let like =
                        self.keys.range(..id).rev().find(|(_, other)| *other == key).map(|(id, _)| *id);
                    if let Some(like) = like {
                        self.gone(index, like)
                            .map_err(|_| format!("entry {like} is like one of it, and there"))?;
                    }
                }
                Ok(())
            }
            Saw::Died { .. } => Ok(()),
            Saw::Duplicate { keys, id } => {
                if !keys.contains(self.keys.get(id).ok_or("there never was such an entry")?) {
                    return Err(format!("entry {id} is like none of them"));
                }
                self.given(index, *id)?;
                self.not_gone_above(index, id - 1);
                Ok(())
            }
            Saw::Conflict { expected, last } if expected == last => {
                Err("that is what it expected".to_string())
            }
            Saw::Conflict { last, .. } => self.last_is(index, *last),
            Saw::Polled { since, limit, found, position, gap } => {
                self.are_in_order(found)?;
                let second = self.second(index);
                if *gap == 0 {
                    self.not_gone_above(second, *since);
                } else if gap <= since {
                    return Err("a gap below where it begins".to_string());
                } else {
                    self.gone_is(second, *gap)?;
                }
                let begin = (*since).max(*gap);
                match (found.first(), found.last()) {
                    (Some((first, _)), _) if *first != begin + 1 => Err(format!("{} is missing", begin + 1)),
                    (_, Some((last, _))) if position != last => Err("its position is another id".to_string()),
                    (_, Some((last, _))) if found.len() == *limit => self.given(index, *last),
                    (_, Some((last, _))) => self.last_is(index, *last),
                    _ if *position != begin => Err("its position is another id".to_string()),
                    _ if *gap > 0 => self.last_is(index, begin),
                    _ => {
                        self.not_given_above(index, begin);
                        Ok(())
                    }
                }
            }
            Saw::Read { found, position } => {
                self.are_in_order(found)?;
                if found.last().is_some_and(|(last, _)| last != position) {
                    return Err("its position is another id".to_string());
                }
                let second = self.second(index);
                self.gone_is(second, found.first().map_or(*position, |(first, _)| first - 1))?;
                self.last_is(index, *position)
            }
            Saw::Got { id, key: Some(key) } => {
                self.is_appended(*id, *key)?;
                self.given(index, *id)?;
                self.not_gone_above(index, id - 1);
                Ok(())
            }
            Saw::Got { id, key: None } => {
                let append = self.appends.range(id..).next().map(|(_, append)| &self.calls[*append]);
                let cleanup = self.cleanups.range(id..).next().map(|(_, cleanup)| self.whole(*cleanup));
                match (append, cleanup) {
                    (None, _) => Ok(()),
                    (Some(_), None) => {
                        self.not_given_above(index, id - 1);
                        Ok(())
                    }
                    (Some(append), _) if append.ended.is_some_and(|ended| ended < call.began) => {
                        self.gone(index, *id)
                    }
                    (_, Some(cleanup)) if call.ended.is_some_and(|ended| cleanup.began > ended) => {
                        self.not_given_above(index, id - 1);
                        Ok(())
                    }
                    // Not yet, or not any more: nobody can say.
                    _ => {
                        self.undecided += 1;
                        Ok(())
                    }
                }
            }
            Saw::Last { id } => self.last_is(index, *id),
            Saw::Cleaned { before, count } => {
                self.given(index, before - 1)?;
                if *count > 0 { Ok(()) } else { self.gone(index, before - 1) }
            }
        }
    }

    /// The call that a node is of.
    fn whole(&self, node: usize) -> &'h Call {
        let of_half = || {
            let (_, half) =
                self.cleanups.iter().find(|(_, other)| **other == node).map(|(id, n)| (n, *id))?;
            self.halves.iter().find(|(_, at)| *at == half).map(|(index, _)| *index)
        };
        &self.calls[if node < self.calls.len() { node } else { of_half().expect("a node of a cleanup") }]
    }

    /// An order of all calls, made on the specification.
    fn order(self) -> Result<usize, String> {
        let mut waits = vec![0; self.after.len()];
        self.after.iter().flatten().for_each(|node| waits[*node] += 1);
        let mut free: Vec<usize> = (0..waits.len()).filter(|node| waits[*node] == 0).collect();
        let mut order = Vec::new();
        while let Some(node) = free.pop() {
            order.push(node);
            for next in &self.after[node] {
                waits[*next] -= 1;
                if waits[*next] == 0 {
                    free.push(*next);
                }
            }
        }
        if order.len() < waits.len() {
            return Err(self.cycle(&waits));
        }
        let (mut spec, mut highs) = (Spec::default(), BTreeMap::new());
        let steps: BTreeMap<usize, i64> = self.cleanups.iter().map(|(id, node)| (*node, *id)).collect();
        let given: BTreeSet<usize> = self.appends.values().copied().collect();
        for node in order {
            if let Some(first) = self.seconds.get(&node) {
                let call = &self.calls[*first];
                let mut then = Spec { low: spec.low, keys: spec.keys[..highs[first]].to_vec() };
                if !then.step(&call.saw) {
                    return Err(format!("at its two moments it is not so ({then:?})\n  {call}"));
                }
                continue;
            }
            highs.insert(node, spec.keys.len());
            let Some(call) = self.calls.get(node) else {
                // A cleanup half done.
                steps.get(&node).into_iter().for_each(|through| spec.low = *through);
                continue;
            };
            let is_as_seen = match &call.saw {
                Saw::Died { .. } if !given.contains(&node) => true,
                Saw::Cleaned { count, .. } if *count > 0 => {
                    spec.low = steps[&node];
                    true
                }
                Saw::Got { key: None, .. } if self.undecided > 0 => true,
                Saw::Polled { .. } | Saw::Read { .. } if self.reads == Reads::InTwo => true,
                saw => spec.step(saw),
            };
            if !is_as_seen {
                return Err(format!("made after all that came before it, it is not so ({spec:?})\n  {call}"));
            }
        }
        Ok(self.undecided)
    }

    /// Calls that come before themselves: the shortest such round, by what is left of the graph.
    fn cycle(&self, waits: &[usize]) -> String {
        let left = |node: &usize| waits[*node] > 0;
        let round = |start: usize| {
            let mut from = BTreeMap::new();
            let mut next = std::collections::VecDeque::from([start]);
            while let Some(node) = next.pop_front() {
                for after in self.after[node].iter().filter(|node| left(node)) {
                    if *after == start {
                        let mut round = vec![node];
                        while let Some(before) = from.get(&round[round.len() - 1]) {
                            round.push(*before);
                        }
                        round.reverse();
                        return Some(round);
                    }
                    if *after != start && !from.contains_key(after) {
                        from.insert(*after, node);
                        next.push_back(*after);
                    }
                }
            }
            None
        };
        // Enough of them to have a short one.
        let starts = (0..self.calls.len()).filter(left).take(200);
        let shortest = starts.filter_map(round).min_by_key(Vec::len).unwrap_or_default();
        let calls = shortest.iter().filter_map(|node| self.calls.get(*node));
        let lines: Vec<String> = calls.map(|call| format!("  {call}")).collect();
        format!("each of these comes before the next, and the last before the first:\n{}", lines.join("\n"))
    }
}
