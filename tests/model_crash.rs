//! The protocol of the commit log (`docs/commit-log.md`) as a model, of which every state is looked at that
//! some processes can come to, which append, fold, read, open, close, change how the ledger commits, and
//! die between any two of their steps.
//!
//! A state is what the processes share (the page, the ring, the file, the locks) and where each of them
//! is. Steps mirror `CommitLog::{open, recover, turn, fold, read}` and `Turn` (src/commit_log), and
//! `Logged::{append, put, append_elsewhere, mend, fold, decode, restart}`, `LedgerStore::{leave, change}`
//! (src/store/logged). Records have one size here, the ring has room for [`ROOM`], and what a process reads
//! in one step is read at once: how loads and stores of one record mix is what `model_ring.rs` is for.
//!
//! That the model can fail is shown by faults that are put into it: each must break what it is said to.
//! `LEDGER_MODEL_DEPTH` adds so many appends.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

/// Records that the ring has room for.
const ROOM: u8 = 3;

/// An entry, by the append that it belongs to, how many that has, and which of them it is.
type Tag = u8;

fn tag(append: u8, count: u8, index: u8) -> Tag {
    append << 4 | count << 2 | index
}

fn count_of(tag: Tag) -> u8 {
    tag >> 2 & 3
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Record {
    Entry { id: u8, tag: Tag, more: bool },
    Elsewhere { first: u8, last: u8 },
}

/// The log: its header and its ring.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Log {
    finished: bool,
    lock: u8,
    incarnations: u8,
    reclaimed: u8,
    drained: u8,
    published: u8,
    stored_id: u8,
    /// A batch is being written straight into the file.
    direct: bool,
    /// With the position that each was written for.
    ring: [Option<(u8, Record)>; ROOM as usize],
}

/// An append in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Append {
    number: u8,
    count: u8,
    direct: bool,
    first_id: u8,
}

/// What a fold is done for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum For {
    Itself,
    /// To append this then.
    Room(Append),
    Direct(Append),
    Close,
    Change,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum At {
    Out,
    Gate,
    Found { alone: bool, stored: u8 },
    Made,
    Join,
    Begin,
    Idle,
    Turn(Append),
    TakeOver(Append, u8),
    Decode(Append, bool),
    Mend(Append, u8),
    Noted(Append, u8, u8),
    Put(Append, u8),
    Publish(Append),
    Told(Append),
    Flush(For),
    Folding(For, Vec<Tag>, u8, u8),
    Rows(For, u8, u8),
    Folded(For, u8, u8),
    Stored(For, u8),
    DirectBegun(Append),
    DirectDone(Append),
    DirectNoted(Append, u8),
    DirectTold(Append),
    CloseGate,
    Leave,
    ChangeTurn,
    ToSqlite,
    Remove,
    ToLog,
    Sqlite,
    Reading,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Process {
    at: At,
    incarnation: u8,
    /// What is decoded: up to where, all ids above this one, up to that one.
    position: u8,
    after: u8,
    added: u8,
}

const OUT: Process = Process { at: At::Out, incarnation: 0, position: 0, after: 0, added: 0 };

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State {
    processes: Vec<Process>,
    log: Option<Log>,
    /// The ledger file: its rows, of which the first has id 1, and how far they came by the log; `None` with
    /// `commit = sqlite`.
    rows: Vec<Tag>,
    through: Option<u8>,
    /// Who is in a transaction.
    writer: Option<u8>,
    gate: Option<u8>,
    /// Who has the ledger for himself.
    sole: Option<u8>,
    /// What was acknowledged.
    acknowledged: Vec<(u8, Tag)>,
    appends: u8,
    deaths: u8,
    openings: u8,
    changes: u8,
    failures: u8,
}

/// What can be put wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// How far the file is is told before the COMMIT.
    ToldBeforeCommit,
    /// Who appends does not look whether the file has what he writes over.
    NoLookForRoom,
    /// Who reads does not look whether it was written over meanwhile.
    NoLookAtReclaimed,
    /// A number that a process had before is given again.
    NumberGivenAgain,
    /// Each record of a batch is published by itself.
    BatchInPieces,
    /// Who takes the turn over begins at once.
    NoMending,
    /// That one has to mend is known only to who took the turn over.
    MendingForgotten,
    /// Who decodes takes any larger id for the next one.
    NoLookForGaps,
    /// A fold that found nothing tells the last id of the file, and nobody looks for gaps.
    ToldOfOthers,
    /// Rows, and how far they came by the log, are two transactions.
    TwoTransactions,
    /// Drained is stored as it is, and not as a maximum.
    NoMaximum,
    /// The log is removed though others have the ledger open.
    RemovedBesideOthers,
    /// The log is removed without a look at what is in it.
    RemovedFull,
    /// The file says `commit = sqlite` before everything is in it.
    ChangedBeforeFlush,
    /// The number of who closes is given up after the gate.
    LeftBehindTheGate,
    /// Who opens does not look whether somebody has it open, and recovers.
    RecoveredBesideOthers,
}

/// What the model is run with.
#[derive(Clone, Copy)]
struct Bounds {
    processes: usize,
    appends: u8,
    deaths: u8,
    openings: u8,
    changes: u8,
    batches: bool,
    failures: u8,
    directs: bool,
    readers: bool,
}

struct Model {
    fault: Fault,
    bounds: Bounds,
}

type Next = (&'static str, usize, Result<State, String>);

impl Log {
    fn new(stored: u8, incarnations: u8) -> Log {
        Log {
            finished: false,
            lock: 0,
            incarnations,
            reclaimed: 0,
            drained: 0,
            published: 0,
            stored_id: stored,
            direct: false,
            ring: [None; ROOM as usize],
        }
    }

    fn slot(&self, position: u8) -> Option<Record> {
        self.ring[usize::from(position % ROOM)].filter(|(at, _)| *at == position).map(|(_, record)| record)
    }

    fn put(&mut self, position: u8, record: Record) {
        self.ring[usize::from(position % ROOM)] = Some((position, record));
    }

    /// `Ok(None)`: reclaimed.
    fn read(&self, position: u8, fault: Fault) -> Result<Option<Record>, String> {
        if position < self.reclaimed {
            if fault != Fault::NoLookAtReclaimed {
                return Ok(None);
            }
            return Ok(self.ring[usize::from(position % ROOM)].map(|(_, record)| record));
        }
        self.slot(position).map(Some).ok_or("a record that was published is damaged".to_string())
    }

    fn pending(&self) -> bool {
        self.drained < self.published
    }
}

impl State {
    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("who has a log open has it")
    }

    fn stored(&self) -> u8 {
        self.rows.len() as u8
    }

    fn is_alive(&self, incarnation: u8) -> bool {
        self.processes.iter().any(|process| process.incarnation == incarnation)
    }

    fn others_present(&self, me: usize) -> bool {
        self.processes.iter().enumerate().any(|(index, process)| index != me && process.at != At::Out)
    }

    /// Everything that there is, as one who opens it would find it.
    fn truth(&self) -> Result<Vec<Tag>, String> {
        let mut truth = self.rows.clone();
        let Some(log) = self.log.as_ref().filter(|log| log.finished) else { return Ok(truth) };
        let mut previous = None;
        for position in log.reclaimed..log.published {
            let record = log.slot(position).ok_or("a record that was published is damaged")?;
            let (first, last) = match record {
                Record::Entry { id, .. } => (id, id),
                Record::Elsewhere { first, last } => (first, last),
            };
            // What the file has may leave a gap before it: of a batch whose writer died.
            if position > log.drained && previous.is_some_and(|previous| first != previous + 1) {
                return Err("ids are not contiguous".into());
            }
            previous = Some(last);
            let Record::Entry { id, tag, .. } = record else { continue };
            match self.rows.get(usize::from(id) - 1) {
                Some(row) if *row != tag => return Err("an id was given twice".into()),
                Some(_) => {}
                None if position < log.drained => return Err("what was said to be stored is not".into()),
                None if usize::from(id) != truth.len() + 1 => return Err("ids are not contiguous".into()),
                None => truth.push(tag),
            }
        }
        Ok(truth)
    }

    /// It does not matter which process is which.
    fn bring_in_order(&mut self) {
        let mut order: Vec<usize> = (0..self.processes.len()).collect();
        order.sort_by_key(|index| &self.processes[*index]);
        let place = |old: u8| order.iter().position(|index| *index == usize::from(old));
        for held in [&mut self.writer, &mut self.gate, &mut self.sole] {
            *held = held.and_then(place).map(|place| place as u8);
        }
        self.processes = order.iter().map(|index| self.processes[*index].clone()).collect();
    }

    /// What must be so at every moment.
    fn check(&self) -> Result<(), String> {
        let truth = self.truth()?;
        for (id, tag) in &self.acknowledged {
            if truth.get(usize::from(*id) - 1) != Some(tag) {
                return Err("what was acknowledged is lost".into());
            }
        }
        let mut sorted = truth.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("something is stored twice".into());
        }
        let mut rest = &truth[..];
        while let Some(first) = rest.first() {
            let count = usize::from(count_of(*first));
            let whole = (0..count).all(|index| rest.get(index) == Some(&(first + index as u8)));
            if !whole || first & 3 != 0 {
                return Err("a batch is not whole".into());
            }
            rest = &rest[count..];
        }
        if let Some(log) = &self.log {
            let Log { reclaimed, drained, published, .. } = *log;
            if !(reclaimed <= drained && drained <= published && published <= reclaimed + ROOM) {
                return Err("the positions are out of order".into());
            }
            if self.through.is_none() && log.pending() {
                return Err("the log has something that nobody looks for".into());
            }
        } else if self.processes.iter().any(Process::has_log) {
            return Err("the log was taken away from somebody".into());
        }
        if self.through.is_some_and(|through| through != self.stored()) && self.writer.is_none() {
            return Err("the file does not know how far it is".into());
        }
        let turns = self.processes.iter().filter(|process| process.has_turn()).count();
        if turns > 1 {
            return Err("two have the turn".into());
        }
        let holder = self.log.as_ref().map_or(0, |log| log.lock);
        let is_named = |process: &Process| holder != 0 && process.incarnation == holder;
        if self.processes.iter().any(|process| is_named(process) && !process.has_turn()) {
            return Err("the turn is that of one who has not taken it".into());
        }
        Ok(())
    }
}

impl Process {
    fn has_log(&self) -> bool {
        (self.incarnation != 0 && self.at != At::Leave) || self.at == At::Reading
    }

    fn has_turn(&self) -> bool {
        matches!(
            self.at,
            At::Decode(..)
                | At::Mend(..)
                | At::Noted(..)
                | At::Put(..)
                | At::Publish(..)
                | At::Told(..)
                | At::DirectBegun(..)
                | At::DirectDone(..)
                | At::DirectNoted(..)
                | At::DirectTold(..)
                | At::ToSqlite
                | At::Flush(For::Direct(_) | For::Change)
                | At::Folding(For::Direct(_) | For::Change, ..)
                | At::Rows(For::Direct(_) | For::Change, ..)
                | At::Folded(For::Direct(_) | For::Change, ..)
                | At::Stored(For::Direct(_) | For::Change, ..)
        )
    }

    /// `Feeding::begin_after`.
    fn begin_after(&mut self, id: u8, position: u8) {
        (self.after, self.added, self.position) = (id, id, position);
    }

    /// `Logged::restart` with `first_pending`.
    fn restart(&mut self, log: &Log) -> Result<(), String> {
        if !log.pending() {
            self.begin_after(log.stored_id, log.drained);
            return Ok(());
        }
        match log.slot(log.drained).ok_or("a record that was published is damaged")? {
            Record::Entry { id, .. } => self.begin_after(id - 1, log.drained),
            Record::Elsewhere { first, .. } => self.begin_after(first - 1, log.drained),
        }
        Ok(())
    }

    /// `Logged::decode`.
    fn decode(&mut self, log: &Log, fault: Fault) -> Result<(), String> {
        while self.position < log.published {
            match log.read(self.position, fault)? {
                None => self.restart(log)?,
                Some(Record::Elsewhere { last, .. }) => self.begin_after(last, self.position + 1),
                Some(Record::Entry { id, .. }) => {
                    if id > self.added + 1 {
                        if matches!(fault, Fault::NoLookForGaps | Fault::ToldOfOthers) {
                            return Err("a reader misses an id".into());
                        }
                        // The file has what is between.
                        self.begin_after(id - 1, self.position);
                    }
                    self.added = self.added.max(id);
                    self.position += 1;
                }
            }
        }
        Ok(())
    }
}

impl Model {
    fn first(&self) -> State {
        State {
            processes: vec![OUT; self.bounds.processes],
            log: None,
            rows: Vec::new(),
            through: Some(0),
            writer: None,
            gate: None,
            sole: None,
            acknowledged: Vec::new(),
            appends: self.bounds.appends,
            deaths: self.bounds.deaths,
            openings: self.bounds.openings,
            changes: self.bounds.changes,
            failures: self.bounds.failures,
        }
    }

    fn nexts(&self, state: &State) -> Vec<Next> {
        let mut nexts = Vec::new();
        for me in 0..state.processes.len() {
            self.steps(state, me, &mut nexts);
            if state.deaths > 0 && state.processes[me].at != At::Out {
                nexts.push(("dies", me, Ok(die(state, me))));
            }
        }
        nexts
    }

    /// All that a process may do next.
    fn steps(&self, state: &State, me: usize, nexts: &mut Vec<Next>) {
        let fault = self.fault;
        let mut step = |name: &'static str, change: &dyn Fn(&mut State) -> Result<At, String>| {
            let mut next = state.clone();
            let changed = change(&mut next).and_then(|at| {
                next.processes[me].at = at;
                next.check()
            });
            nexts.push((name, me, changed.map(|()| next)));
        };
        let process = &state.processes[me];
        let number = Some(me as u8);
        match process.at.clone() {
            // Whoever changes how it commits is waited for.
            At::Out if state.openings > 0 && state.sole.is_none() => {
                step("opens", &|next| {
                    next.openings -= 1;
                    Ok(if next.through.is_some() { At::Gate } else { At::Sqlite })
                });
                let is_log = state.log.as_ref().is_some_and(|log| log.finished);
                if self.bounds.readers && state.through.is_some() && is_log && state.gate.is_none() {
                    step("opens to read", &|next| {
                        next.openings -= 1;
                        let log = next.log().clone();
                        next.processes[me].restart(&log)?;
                        Ok(At::Reading)
                    });
                }
            }
            At::Gate if state.gate.is_none() => step("passes the gate", &|next| {
                next.gate = number;
                let alone = next.processes.iter().all(|process| process.incarnation == 0)
                    || fault == Fault::RecoveredBesideOthers;
                Ok(At::Found { alone, stored: next.stored() })
            }),
            At::Found { alone, stored } => step("finds or makes the log", &|next| match &mut next.log {
                None if !alone => Err("an opening is refused without need".into()),
                None => {
                    next.log = Some(Log::new(stored, 0));
                    Ok(At::Made)
                }
                Some(log) if !log.finished => {
                    *log = Log::new(stored, 0);
                    Ok(At::Made)
                }
                Some(_) if !alone => Ok(At::Join),
                Some(log) => {
                    recover(log, stored)?;
                    Ok(At::Join)
                }
            }),
            At::Made => step("finishes it", &|next| {
                next.log().finished = true;
                Ok(At::Join)
            }),
            At::Join => step("joins", &|next| {
                let mut incarnation = next.log().incarnations + 1;
                if fault == Fault::NumberGivenAgain {
                    incarnation = (1..).find(|number| !next.is_alive(*number)).expect("one is free");
                }
                next.log().incarnations = incarnation;
                next.processes[me].incarnation = incarnation;
                next.gate = None;
                if next.sole == number {
                    next.sole = None;
                }
                Ok(At::Begin)
            }),
            At::Begin => step("begins to decode", &|next| {
                let log = next.log().clone();
                next.processes[me].restart(&log)?;
                Ok(At::Idle)
            }),
            At::Idle => {
                if state.appends > 0 {
                    let direct = self.bounds.directs.then_some((2, true));
                    let batch = self.bounds.batches.then_some((2, false));
                    for (count, direct) in [Some((1, false)), batch, direct].into_iter().flatten() {
                        step("appends", &|next| {
                            next.appends -= 1;
                            Ok(At::Turn(Append { number: next.appends, count, direct, first_id: 0 }))
                        });
                    }
                }
                let log = state.log.as_ref().expect("who has a log open has it");
                if log.pending() {
                    step("folds", &|_| Ok(At::Flush(For::Itself)));
                }
                if process.position < log.published {
                    step("reads", &|next| read(next, me, fault).map(|()| At::Idle));
                }
                step("closes", &|_| Ok(At::Flush(For::Close)));
                if state.changes > 0 && state.gate.is_none() && !state.others_present(me) {
                    step("changes to sqlite", &|next| {
                        (next.gate, next.sole) = (number, number);
                        next.changes -= 1;
                        Ok(At::ChangeTurn)
                    });
                }
            }

            At::Reading => {
                let log = state.log.as_ref().expect("who has the ledger open keeps it");
                if process.position < log.published {
                    step("reads", &|next| read(next, me, fault).map(|()| At::Reading));
                }
                step("closes what it read", &|next| {
                    next.processes[me] = OUT;
                    Ok(At::Out)
                });
            }

            // An append.
            At::Turn(append) => {
                let lock = state.log.as_ref().expect("there").lock;
                if lock == 0 {
                    step("takes the turn", &|next| {
                        next.log().lock = next.processes[me].incarnation;
                        Ok(At::Decode(append, false))
                    });
                } else if lock != process.incarnation && !state.is_alive(lock) {
                    step("finds the holder dead", &|_| Ok(At::TakeOver(append, lock)));
                }
            }
            At::TakeOver(append, holder) => step("takes over", &|next| {
                if next.log().lock != holder {
                    return Ok(At::Turn(append));
                }
                next.log().lock = next.processes[me].incarnation;
                Ok(At::Decode(append, true))
            }),
            At::Decode(append, from_the_dead) => {
                step("decodes and looks for room", &|next| {
                    let log = next.log().clone();
                    next.processes[me].decode(&log, fault)?;
                    let mends = match fault {
                        Fault::NoMending => false,
                        Fault::MendingForgotten | Fault::ToldOfOthers => from_the_dead,
                        _ => log.direct,
                    };
                    let (stored, last) = (next.stored(), next.processes[me].added);
                    if mends && stored > last {
                        return Ok(At::Mend(append, last + 1));
                    }
                    let append = Append { first_id: last + 1, ..append };
                    if append.direct {
                        return Ok(At::Flush(For::Direct(append)));
                    }
                    let log = next.log();
                    let end = log.published + append.count;
                    if end - log.drained > ROOM && fault != Fault::NoLookForRoom {
                        log.lock = 0;
                        return Ok(At::Flush(For::Room(append)));
                    }
                    reclaim(log, end);
                    Ok(At::Put(append, 0))
                });
                if state.failures > 0 {
                    // Out of memory, interrupted, out of time.
                    step("fails", &|next| {
                        next.failures -= 1;
                        next.log().lock = 0;
                        Ok(At::Idle)
                    });
                }
            }
            At::Mend(append, first) => step("notes what was left", &|next| {
                let last = next.stored();
                let end = next.log().published;
                reclaim(next.log(), end + 1);
                next.log().put(end, Record::Elsewhere { first, last });
                Ok(At::Noted(append, end + 1, last))
            }),
            At::Noted(append, end, last) => step("publishes the note", &|next| {
                let log = next.log();
                log.published = end;
                (log.stored_id, log.drained, log.direct) = (last.max(log.stored_id), end, false);
                Ok(At::Decode(append, false))
            }),
            At::Put(append, index) => step("puts a record", &|next| {
                let Append { number, count, first_id, .. } = append;
                let more = index + 1 < count;
                let record = Record::Entry { id: first_id + index, tag: tag(number, count, index), more };
                let log = next.log();
                if fault == Fault::BatchInPieces {
                    log.put(log.published, record);
                    log.published += 1;
                    return Ok(if more { At::Put(append, index + 1) } else { At::Told(append) });
                }
                log.put(log.published + index, record);
                Ok(if more { At::Put(append, index + 1) } else { At::Publish(append) })
            }),
            At::Publish(append) => step("publishes", &|next| {
                next.log().published += append.count;
                Ok(At::Told(append))
            }),
            At::Told(append) => step("gives the turn back", &|next| {
                next.log().lock = 0;
                for index in 0..append.count {
                    let entry = (append.first_id + index, tag(append.number, append.count, index));
                    next.acknowledged.push(entry);
                }
                next.acknowledged.sort_unstable();
                Ok(At::Idle)
            }),

            // A fold; `flush` is one after the other.
            At::Flush(purpose) => {
                let log = state.log.as_ref().expect("there");
                if !log.pending() {
                    step("has folded", &|next| {
                        // Said before it is begun.
                        next.log().direct |= matches!(purpose, For::Direct(_));
                        Ok(match purpose {
                            For::Itself => At::Idle,
                            For::Room(append) => At::Turn(append),
                            For::Direct(append) => At::DirectBegun(append),
                            For::Close => At::CloseGate,
                            For::Change => At::ToSqlite,
                        })
                    });
                    if state.writer.is_none() && purpose == For::Itself {
                        // It was not, when it began.
                        step("folds what is folded", &|next| {
                            next.writer = number;
                            let drained = next.log().drained;
                            Ok(At::Folding(purpose, Vec::new(), drained, next.stored()))
                        });
                    }
                } else if state.writer.is_none() {
                    step("begins a fold", &|next| {
                        next.writer = number;
                        let stored = next.stored();
                        let log = next.log().clone();
                        let (mut rows, mut last) = (Vec::new(), log.stored_id);
                        for position in log.drained..log.published {
                            match log.read(position, fault)? {
                                None => return Err("a fold finds what is pending reclaimed".into()),
                                Some(Record::Entry { id, tag, .. }) => {
                                    if id > stored {
                                        rows.push(tag);
                                    }
                                    last = id;
                                }
                                Some(Record::Elsewhere { last: through, .. }) => last = through,
                            }
                        }
                        if fault == Fault::ToldBeforeCommit {
                            next.log().drained = log.published;
                        }
                        Ok(At::Folding(purpose, rows, log.published, last))
                    });
                }
            }
            At::Folding(purpose, rows, end, last) => step("commits", &|next| {
                let last = if fault == Fault::ToldOfOthers { next.stored() + rows.len() as u8 } else { last };
                next.rows.extend(rows.clone());
                if fault == Fault::TwoTransactions {
                    next.writer = number;
                    return Ok(At::Rows(purpose, end, last));
                }
                next.writer = None;
                next.through = next.through.map(|_| next.rows.len() as u8);
                Ok(At::Folded(purpose, end, last))
            }),
            At::Rows(purpose, end, last) => step("commits how far it is", &|next| {
                next.writer = None;
                next.through = next.through.map(|_| next.rows.len() as u8);
                Ok(At::Folded(purpose, end, last))
            }),
            At::Folded(purpose, end, last) => step("tells the stored id", &|next| {
                if let Some(log) = &mut next.log {
                    log.stored_id = log.stored_id.max(last);
                }
                Ok(At::Stored(purpose, end))
            }),
            At::Stored(purpose, end) => step("tells drained", &|next| {
                let log = next.log();
                log.drained = if fault == Fault::NoMaximum { end } else { log.drained.max(end) };
                Ok(At::Flush(purpose))
            }),

            // A batch straight into the file.
            At::DirectBegun(append) if state.writer.is_none() => step("commits a batch", &|next| {
                let Append { number, count, .. } = append;
                next.rows.extend((0..count).map(|index| tag(number, count, index)));
                next.through = next.through.map(|_| next.rows.len() as u8);
                Ok(At::DirectDone(append))
            }),
            At::DirectDone(append) => step("publishes where it is", &|next| {
                let (first, last) = (append.first_id, append.first_id + append.count - 1);
                let log = next.log();
                let end = log.published + 1;
                reclaim(log, end);
                log.put(end - 1, Record::Elsewhere { first, last });
                log.published = end;
                Ok(At::DirectNoted(append, end))
            }),
            At::DirectNoted(append, end) => step("tells that it is stored", &|next| {
                let log = next.log();
                log.stored_id = log.stored_id.max(append.first_id + append.count - 1);
                log.drained = log.drained.max(end);
                Ok(At::DirectTold(append))
            }),
            At::DirectTold(append) => step("has told all", &|next| {
                next.log().direct = false;
                Ok(At::Told(append))
            }),

            // Closing.
            At::CloseGate if state.gate.is_none() => step("closes the log", &|next| {
                next.gate = number;
                let others = next.others_present(me) && fault != Fault::RemovedBesideOthers;
                let is_empty = !next.log().pending() || fault == Fault::RemovedFull;
                if is_empty && !others {
                    next.log = None;
                }
                if fault != Fault::LeftBehindTheGate {
                    next.processes[me].incarnation = 0;
                }
                next.gate = None;
                Ok(At::Leave)
            }),
            At::Leave => step("leaves", &|next| {
                next.processes[me] = OUT;
                Ok(At::Out)
            }),

            // Changing how it commits.
            At::ChangeTurn => {
                let lock = state.log.as_ref().expect("there").lock;
                if lock == 0 || !state.is_alive(lock) {
                    step("takes the turn to change", &|next| {
                        next.log().lock = next.processes[me].incarnation;
                        let flushed = fault != Fault::ChangedBeforeFlush;
                        Ok(if flushed { At::Flush(For::Change) } else { At::ToSqlite })
                    });
                }
            }
            At::ToSqlite if state.writer.is_none() => step("says sqlite", &|next| {
                next.through = None;
                next.log().lock = 0;
                Ok(At::Remove)
            }),
            At::Remove => step("removes the log", &|next| {
                next.log = None;
                next.processes[me] = OUT;
                (next.gate, next.sole) = (None, None);
                Ok(At::Sqlite)
            }),
            At::Sqlite => {
                if state.appends > 0 && state.writer.is_none() {
                    step("appends to the file", &|next| {
                        next.appends -= 1;
                        let tag = tag(next.appends, 1, 0);
                        next.rows.push(tag);
                        let id = next.stored();
                        next.acknowledged.push((id, tag));
                        next.acknowledged.sort_unstable();
                        Ok(At::Sqlite)
                    });
                }
                if state.changes > 0 && state.gate.is_none() && !state.others_present(me) {
                    step("says log", &|next| {
                        (next.gate, next.sole) = (number, number);
                        next.changes -= 1;
                        next.through = Some(next.stored());
                        Ok(At::ToLog)
                    });
                }
                step("closes the file", &|_| Ok(At::Out));
            }
            At::ToLog => step("opens the log", &|next| Ok(At::Found { alone: true, stored: next.stored() })),
            _ => {} // Waits.
        }
    }

    /// Looks at every state; how many, or what failed and how it came to that.
    fn explore(&self) -> Result<usize, (String, Vec<String>)> {
        let mut seen = HashSet::new();
        let mut came: Vec<(usize, String)> = vec![(0, String::new())];
        let mut queue = VecDeque::from([(0, self.first())]);
        while let Some((index, state)) = queue.pop_front() {
            for (name, process, next) in self.nexts(&state) {
                match next {
                    Ok(mut next) => {
                        next.bring_in_order();
                        let mut hasher = DefaultHasher::new();
                        next.hash(&mut hasher);
                        if seen.insert(hasher.finish()) {
                            came.push((index, format!("{process} {name}")));
                            queue.push_back((came.len() - 1, next));
                        }
                    }
                    Err(what) => {
                        let mut trace = vec![format!("{process} {name}")];
                        let mut at = index;
                        while at != 0 {
                            trace.push(came[at].1.clone());
                            at = came[at].0;
                        }
                        trace.reverse();
                        return Err((what, trace));
                    }
                }
            }
        }
        Ok(seen.len() + 1)
    }
}

/// `Logged::refresh`, and a look at what it gives.
fn read(next: &mut State, me: usize, fault: Fault) -> Result<(), String> {
    let log = next.log().clone();
    let (acknowledged, stored) = (&next.acknowledged, next.rows.len() as u8);
    let process = &mut next.processes[me];
    process.decode(&log, fault)?;
    if process.after > stored {
        return Err("a reader looks in the file for what is not there".into());
    }
    if acknowledged.iter().any(|(id, _)| *id > process.added) {
        return Err("a reader misses an id".into());
    }
    Ok(())
}

/// Whatever a process has of the kernel is given up when it dies.
fn die(state: &State, me: usize) -> State {
    let mut next = state.clone();
    let number = Some(me as u8);
    next.deaths -= 1;
    next.processes[me] = OUT;
    for held in [&mut next.writer, &mut next.gate, &mut next.sole] {
        if *held == number {
            *held = None;
        }
    }
    next
}

fn reclaim(log: &mut Log, end: u8) {
    log.reclaimed = log.reclaimed.max(end.saturating_sub(ROOM));
}

/// `CommitLog::recover` on the same boot.
fn recover(log: &mut Log, stored: u8) -> Result<(), String> {
    let mut drained = log.published;
    for position in log.drained..log.published {
        let last = match log.slot(position).ok_or("a record that was published is damaged")? {
            Record::Entry { id, .. } => id,
            Record::Elsewhere { last, .. } => last,
        };
        if last > stored {
            drained = drained.min(position);
        }
    }
    log.drained = drained;
    log.reclaimed = log.reclaimed.max(drained.saturating_sub(ROOM));
    (log.lock, log.direct, log.stored_id) = (0, false, stored);
    Ok(())
}

/// One process at FULL whose machine may go down: what it has in memory, and what is on the medium, where
/// the pages come to one by one and in any order, at the latest when they are synced. Entries are single,
/// so that the record at a position has the id after it. Mirrors `Turn::put`, `Syncs::reach`, a fold that is
/// synced, and `CommitLog::recover` when the machine went down.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Medium {
    /// Reclaimed, drained, published: one page.
    header: [u8; 3],
    /// Which position each place of the ring has.
    ring: [Option<u8>; ROOM as usize],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Machine {
    memory: Medium,
    medium: Medium,
    /// Rows of the file, which are synced.
    rows: u8,
    acknowledged: u8,
}

impl Machine {
    fn nexts(&self, most: u8) -> Vec<Machine> {
        let mut nexts = Vec::new();
        let [_, drained, published] = self.memory.header;
        if published < most && published - drained < ROOM {
            let mut next = *self;
            next.memory.header[0] = self.memory.header[0].max((published + 1).saturating_sub(ROOM));
            next.memory.ring[usize::from(published % ROOM)] = Some(published);
            nexts.push(next);
            next.memory.header[2] += 1;
            nexts.push(next);
        }
        for folded in drained + 1..=published {
            let mut next = Machine { rows: folded, ..*self };
            nexts.push(next);
            next.memory.header[1] = folded;
            nexts.push(next);
        }
        for page in 0..=usize::from(ROOM) {
            let mut next = *self;
            match page.checked_sub(1) {
                None => next.medium.header = next.memory.header,
                Some(place) => next.medium.ring[place] = next.memory.ring[place],
            }
            nexts.push(next);
        }
        nexts.push(Machine { medium: self.memory, acknowledged: published, ..*self });
        nexts
    }

    /// How many entries there are when it went down in this state.
    fn left(&self, searched: bool) -> u8 {
        let [reclaimed, drained, published] = self.medium.header;
        let is_there = |position: u8| self.medium.ring[usize::from(position % ROOM)] == Some(position);
        let mut at = drained;
        if searched {
            at = (reclaimed..published).find(|at| is_there(*at) && *at == self.rows).unwrap_or(published);
        }
        while at < published && is_there(at) {
            at += 1;
        }
        self.rows.max(at.min(published))
    }

    /// Whether all that was acknowledged is left, whenever it goes down; of how many states.
    fn explore(searched: bool, most: u8) -> Result<usize, ()> {
        let nothing = Medium { header: [0; 3], ring: [None; ROOM as usize] };
        let first = Machine { memory: nothing, medium: nothing, rows: 0, acknowledged: 0 };
        let (mut seen, mut left) = (HashSet::from([first]), vec![first]);
        while let Some(machine) = left.pop() {
            if machine.left(searched) < machine.acknowledged {
                return Err(());
            }
            left.extend(machine.nexts(most).into_iter().filter(|next| seen.insert(*next)));
        }
        Ok(seen.len())
    }
}

#[test]
fn a_machine_that_goes_down_loses_nothing_at_full() {
    let most = 2 * ROOM + 2 + deeper();
    let states = Machine::explore(true, most).expect("what was acknowledged is there");
    println!("the machine goes down: {states} states");
    assert!(Machine::explore(false, most).is_err(), "from drained on, it is not all found");
}

fn deeper() -> u8 {
    std::env::var("LEDGER_MODEL_DEPTH").map_or(0, |depth| depth.parse().expect("a number"))
}

const SMALL: Bounds = Bounds {
    processes: 2,
    appends: 2,
    deaths: 2,
    openings: 3,
    changes: 0,
    batches: true,
    failures: 1,
    directs: true,
    readers: false,
};

const THREE: Bounds = Bounds { processes: 3, appends: 2, deaths: 1, failures: 0, batches: false, ..SMALL };

const CHANGES: Bounds = Bounds { changes: 2, deaths: 1, failures: 0, directs: false, ..SMALL };

fn holds(what: &str, bounds: Bounds) {
    let bounds = Bounds { appends: bounds.appends + deeper(), ..bounds };
    match (Model { fault: Fault::None, bounds }).explore() {
        Ok(states) => println!("{what}: {states} states"),
        Err((failed, trace)) => panic!("{what}: {failed}\n{}", trace.join("\n")),
    }
}

#[test]
fn two_processes_that_die_lose_nothing() {
    holds("single entries and batches", Bounds { directs: false, ..SMALL });
    holds("batches straight into the file", Bounds { batches: false, ..SMALL });
}

#[test]
fn three_processes_that_die_lose_nothing() {
    holds("three processes", Bounds { directs: deeper() > 0, ..THREE });
}

#[test]
fn who_only_reads_misses_nothing() {
    holds("a reader", Bounds { readers: true, batches: false, ..SMALL });
}

#[test]
fn a_change_of_how_it_commits_loses_nothing() {
    holds("changes", CHANGES);
}

#[test]
fn every_fault_is_found() {
    let many = Bounds { appends: 5, batches: false, directs: false, deaths: 0, openings: 2, ..SMALL };
    let two = Bounds { processes: 2, ..THREE };
    let faults = [
        (Fault::ToldBeforeCommit, SMALL),
        (Fault::NoLookForRoom, SMALL),
        (Fault::NoLookAtReclaimed, many),
        (Fault::NumberGivenAgain, Bounds { directs: false, ..two }),
        (Fault::BatchInPieces, SMALL),
        (Fault::NoMending, SMALL),
        (Fault::MendingForgotten, Bounds { appends: 3, failures: 1, ..two }),
        (Fault::NoLookForGaps, Bounds { readers: true, ..two }),
        (Fault::ToldOfOthers, Bounds { appends: 3, ..two }),
        (Fault::TwoTransactions, SMALL),
        (Fault::NoMaximum, many),
        (Fault::RemovedBesideOthers, SMALL),
        (Fault::RemovedFull, SMALL),
        (Fault::ChangedBeforeFlush, CHANGES),
        (Fault::LeftBehindTheGate, SMALL),
        (Fault::RecoveredBesideOthers, SMALL),
    ];
    let mut missed = Vec::new();
    for (fault, bounds) in faults {
        match (Model { fault, bounds }).explore() {
            Ok(states) => missed.push(format!("{fault:?} is not found in {states} states")),
            Err((what, trace)) => println!("{fault:?}: {what}, after {} steps", trace.len()),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
