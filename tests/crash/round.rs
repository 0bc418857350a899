//! One round: a process that dies, at a place of the library or at any moment, and some that go on until
//! more was acknowledged to them after that. Then all are killed, and the ledger is looked at.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::agent::KEYS;
use crate::common::{Place, Process, Random};
use crate::known::Known;

pub struct Round<'a> {
    pub place: &'a Place,
    /// Of this round, for the names of its writers.
    pub name: String,
    /// What the process does that dies.
    pub role: &'a str,
    /// Where it dies, and how often it passes there before.
    pub death: Option<(&'a str, u64)>,
    /// Who else appends.
    pub others: usize,
    /// Whether they begin when it has begun.
    pub before_others: bool,
    /// Who waits for entries: a `waiter`, which nothing wakes but a notification, or a `reader`, which may
    /// only read the ledger.
    pub watcher: Option<&'a str>,
    /// Where processes die one after another that open the ledger next, and find what the one before left.
    pub heirs: &'a [(&'a str, u64)],
    pub synchronous: &'a str,
    pub journal: &'a str,
}

/// Acknowledged to another process after the death, until it is seen to go on.
const AFTER: u64 = 50;

impl Round<'_> {
    /// Whether it died where it was to.
    pub fn run(&self, random: &mut Random, known: &Mutex<Known>) -> bool {
        let note = |said: &str| known.lock().unwrap().note(said);
        let start_victim = || self.start(self.role, &format!("{}v", self.name), self.death, &[]);
        let first = self.before_others.then(start_victim);
        let mut others: Vec<Process> = (0..self.others)
            .map(|i| self.start("worker", &format!("{}o{i}", self.name), None, &[]))
            .collect();
        let watcher = self.watcher.map(|role| {
            let looks = (role == "waiter").then_some(("LOOKS", "never"));
            let mut watcher = self.start(role, &format!("{}w", self.name), None, looks.as_slice());
            assert_eq!(watcher.line.hear().as_deref(), Some("ready"));
            watcher
        });
        let mut victim = first.unwrap_or_else(start_victim);
        let is_dead = AtomicBool::new(false);
        let waited_for = AtomicU64::new(others.len() as u64);
        let died_there = thread::scope(|scope| {
            for other in &mut others {
                let (is_dead, waited_for) = (&is_dead, &waited_for);
                scope.spawn(move || {
                    let (mut after, mut done) = (0, false);
                    while let Some(said) = other.line.hear() {
                        note(&said);
                        after += u64::from(is_dead.load(Ordering::Acquire));
                        if after >= AFTER && !done {
                            done = true;
                            waited_for.fetch_sub(1, Ordering::AcqRel);
                        }
                        if done && waited_for.load(Ordering::Acquire) == 0 {
                            other.kill();
                        }
                    }
                    assert!(done, "it ended by itself");
                });
            }
            let died_there = self.outlive(&mut victim, self.role, self.death.is_some(), random, known);
            is_dead.store(true, Ordering::Release);
            died_there
        });
        for (i, heir) in self.heirs.iter().enumerate() {
            let mut heir = self.start("opener", &format!("{}h{i}", self.name), Some(*heir), &[]);
            self.outlive(&mut heir, "opener", true, random, known);
        }
        self.check(watcher, random, &mut known.lock().unwrap());
        died_there
    }

    fn start(&self, role: &str, name: &str, death: Option<(&str, u64)>, more: &[(&str, &str)]) -> Process {
        let path = self.place.file("ledger.db");
        let kill = death.map(|(point, times)| format!("{point}:{times}"));
        let mut parameters =
            vec![("LEDGER", &*path), ("NAME", name), ("ROLE", role), ("SYNCHRONOUS", self.synchronous)];
        parameters.push(("JOURNAL", self.journal));
        parameters.extend(kill.as_deref().map(|kill| ("KILL", kill)));
        parameters.extend((self.role == "keeper").then_some(("CLEANED", "")));
        parameters.extend(more);
        Process::start("agent::works_until_it_is_killed", &parameters)
    }

    /// Hears a process to its end. If it does not die by itself it is killed: at a random moment, or after so
    /// long that it will not come to the place any more. Whether it died by itself.
    fn outlive(
        &self,
        process: &mut Process,
        role: &str,
        by_itself: bool,
        random: &mut Random,
        known: &Mutex<Known>,
    ) -> bool {
        let most = match (by_itself, role) {
            (true, "opener") => 60 + random.below(100),
            (true, _) => 400 + random.below(1000),
            (false, _) => 20 + random.below(300),
        };
        let (mut count, mut killed) = (0, false);
        while let Some(said) = process.line.hear() {
            known.lock().unwrap().note(&said);
            count += 1;
            if count >= most && !killed {
                // What was heard was said between two appends: a moment later is anywhere.
                random.pass_microseconds(2000);
                process.kill();
                killed = true;
            }
        }
        process.end_by_a_kill();
        !killed
    }

    fn check(&self, watcher: Option<Process>, random: &mut Random, known: &mut Known) {
        let mut keys = KEYS.to_vec();
        keys.extend([("synchronous_mode", self.synchronous), ("journal_mode", self.journal)]);
        let ledger = self.place.try_open(&keys).unwrap();
        known.check(self.place, &ledger, random);
        // Who waited all the time is woken by what is appended now, and has passed nothing over.
        if let Some(mut watcher) = watcher {
            let mut seen = 0;
            for _ in 0..3 {
                while seen < known.last_id() {
                    let said = watcher.line.hear().expect("whoever waits is woken, and finds all in order");
                    let position = said.strip_prefix("seen ").unwrap().parse().unwrap();
                    assert!(position > seen, "it goes on");
                    seen = position;
                }
                known.append_one(&ledger);
            }
            watcher.kill();
            watcher.end_by_a_kill();
        }
        ledger.close().unwrap();
    }
}
