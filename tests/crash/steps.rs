//! Deaths at each step of what a process does, alone and among others.

use std::sync::Mutex;

use crate::agent::LOG_BYTES;
use crate::common::batches::{Batch, check_whole};
use crate::common::{Place, Process, Random, SEED};
use crate::known::Known;
use crate::round::Round;
use crate::{by_log, rounds};
use simledger::{Ledger, NO_LIMIT};

/// Where a process may die, and how often it passes there before that, at most.
type Point = Option<(&'static str, u64)>;

/// Anywhere.
const ANY: Point = None;

const fn at(name: &'static str, times: u64) -> Point {
    Some((name, times))
}

const JOURNALS: [&str; 3] = ["DELETE", "TRUNCATE", "PERSIST"];

fn pick<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

fn open(place: &Place, journal: &str) -> Ledger {
    place.open(&[("log_bytes", LOG_BYTES), ("journal_mode", journal)])
}

/// Rounds at each of these points; some go on in one file. In half of them the process must die where it was
/// to.
fn die_at(role: &str, points: &[Point], others: usize, heirs: &[(&str, u64)]) {
    let mut random = Random::new();
    for point in points {
        let (mut there, mut round) = (0, 0);
        let (mut place, mut journal, mut entries) = (Place::new(), "WAL", 0);
        let known = Mutex::new(Known::default());
        // With others about it may not be the one that comes there: then there are some more.
        while round < rounds() || (point.is_some() && there * 2 < rounds()) {
            assert!(round < rounds() + 20, "{role} did not come to {point:?}");
            if round % 5 == 0 || role == "creator" {
                place = Place::new();
                // With a rollback journal all is slower, and there is no more to be seen of the commit log.
                journal = if by_log() || random.below(2) == 0 { "WAL" } else { pick(&mut random, &JOURNALS) };
                match (role, random.below(2)) {
                    // It makes the ledger, or makes one of a file of the Python module.
                    ("creator", 0) => {}
                    ("creator", _) => place.sqlite().execute_batch(SEED).unwrap(),
                    _ => open(&place, journal).close().unwrap(),
                }
                entries += std::mem::take(&mut *known.lock().unwrap()).len();
            }
            let death = point.map(|(name, most)| (name, random.below(most + 1)));
            let heirs: Vec<_> = heirs.iter().map(|(name, most)| (*name, random.below(most + 1))).collect();
            let what = Round {
                place: &place,
                name: round.to_string(),
                role: if role == "creator" { "opener" } else { role },
                death,
                others,
                before_others: role == "creator",
                watcher: (!["changer", "creator"].contains(&role) && heirs.is_empty())
                    .then(|| pick(&mut random, &["", "waiter", "reader"]))
                    .filter(|role| !role.is_empty()),
                heirs: &heirs,
                synchronous: pick(&mut random, &["NORMAL", "FULL"]),
                journal,
            };
            there += u64::from(what.run(&mut random, &known));
            round += 1;
        }
        entries += known.lock().unwrap().len();
        println!(
            "crash: {round} rounds, {there} died there, {entries} entries: {role} at {point:?}, {others} others, {journal}"
        );
    }
}

#[test]
fn who_appends_dies_at_each_step() {
    let logged = [
        at("log.locked", 60),
        at("log.put", 60),
        at("log.wrap", 4),
        at("log.publish", 60),
        at("log.publishing", 60),
        at("log.published", 60),
        at("append.told", 60),
        at("append.elsewhere", 4),
    ];
    let stored = [at("writer.insert", 600), at("writer.commit", 60)];
    let both = [ANY, at("append.notify", 60), at("file.change", 600), at("file.tear", 600)];
    let points = [&both[..], if by_log() { &logged } else { &stored }].concat();
    die_at("worker", &points, 1, &[]);
}

#[test]
fn who_folds_dies_at_each_step() {
    if !by_log() {
        return;
    }
    let points = [
        at("fold.insert", 600),
        at("fold.commit", 4),
        at("writer.commit", 4),
        at("fold.committed", 4),
        at("log.fold", 4),
    ];
    die_at("worker", &points, 0, &[]);
    die_at("worker", &points, 2, &[]);
}

#[test]
fn who_opens_or_closes_dies_at_each_step() {
    let logged = [at("log.make", 4), at("log.take_away", 4), at("fold.commit", 4), at("log.fold", 4)];
    let both = [ANY, at("file.change", 100), at("file.tear", 100)];
    let points = [&both[..], if by_log() { &logged } else { &[] }].concat();
    die_at("opener", &points, 0, &[]);
    die_at("opener", &[ANY, at("append.notify", 60)], 1, &[]);
}

#[test]
fn who_makes_a_ledger_beside_others_dies_at_each_step() {
    let points = [ANY, at("schema.commit", 0), at("file.change", 40), at("file.tear", 40)];
    die_at("creator", &points, 0, &[]);
    die_at("creator", &points, 2, &[]);
}

#[test]
fn who_puts_in_order_what_a_dead_process_left_dies_too() {
    let logged: [&[(&str, u64)]; 5] = [
        &[("log.forget", 1), ("log.forget", 1)],
        &[("log.recover", 0), ("log.recover", 0)],
        &[("log.settle", 12), ("log.settle", 12), ("log.settle", 12)],
        &[("fold.commit", 1), ("fold.committed", 1), ("log.fold", 1)],
        &[("file.change", 30), ("log.settle", 6), ("fold.insert", 60)],
    ];
    let both: [&[(&str, u64)]; 1] = [&[("file.change", 10), ("file.tear", 10), ("file.change", 20)]];
    let from_file = [ANY, at("file.tear", 600), at("writer.commit", 4)];
    let from_log =
        [at("fold.committed", 4), at("log.fold", 4), at("log.publishing", 60), at("append.elsewhere", 2)];
    let mut random = Random::new();
    for heirs in both.iter().chain(if by_log() { &logged[..] } else { &[] }) {
        die_at("worker", &[from_file[random.below(3) as usize]], 0, heirs);
        if by_log() {
            die_at("worker", &[from_log[random.below(4) as usize]], 0, heirs);
        }
    }
}

#[test]
fn who_changes_how_it_commits_dies_at_each_step() {
    let points = [
        ANY,
        at("change.to_log", 4),
        at("change.to_sqlite", 4),
        at("schema.change", 4),
        at("writer.commit", 20),
        at("log.make", 4),
        at("log.take_away", 4),
        at("file.change", 300),
        at("file.tear", 300),
    ];
    die_at("changer", &points, 0, &[]);
}

#[test]
fn who_keeps_the_ledger_in_order_dies_at_each_step() {
    let logged = [at("cleanup.deleted", 4)];
    let both = [
        ANY,
        at("writer.delete", 200),
        at("writer.commit", 60),
        at("file.change", 2000),
        at("file.tear", 2000),
    ];
    let points = [&both[..], if by_log() { &logged } else { &[] }].concat();
    die_at("keeper", &points, 0, &[]);
    die_at("keeper", &points, 1, &[]);
}

/// The file has the batch, and the log never came to say so.
#[test]
fn who_reads_misses_nothing_of_a_batch_whose_writer_died() {
    for _ in 0..rounds() {
        let place = Place::new();
        place.open(&[("commit", "log"), ("log_bytes", LOG_BYTES)]).close().unwrap();
        let reader = place.open(&[("read_only", "true"), ("log_bytes", LOG_BYTES)]);
        let path = place.file("ledger.db");
        let parameters =
            [("LEDGER", &*path), ("NAME", "w"), ("ROLE", "worker"), ("KILL", "append.elsewhere:0")];
        let mut writer = Process::start("agent::works_until_it_is_killed", &parameters);
        let mut seen = 0;
        let mut poll = || {
            let fresh = reader.poll_since(seen, NO_LIMIT).unwrap();
            check_whole(&fresh, seen + 1);
            assert_eq!(fresh.position(), seen + fresh.len() as i64, "an id was passed over");
            seen = fresh.position();
            seen
        };
        while writer.line.hear().is_some() {
            poll();
        }
        writer.end_by_a_kill();
        poll();
        // Alone, and so it recovers the log, while the reader has it.
        let ledger = place.open(&[("log_bytes", LOG_BYTES)]);
        let after = Batch { writer: "after".to_string(), k: 0, count: 1 };
        let id = after.append(&ledger);
        assert_eq!(poll(), id);
        assert_eq!(reader.count().unwrap(), id);
        check_whole(&ledger.read_all().unwrap(), 1);
    }
}
