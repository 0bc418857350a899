//! Deaths in the middle of a commit in the WAL, at any moment of it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use crate::common::batches::Batch;
use crate::common::{Line, Place, Process, Random, config, entry, parameter};
use crate::known::Known;
use crate::rounds;
use simledger::Ledger;

#[test]
#[ignore = "a process that is killed"]
fn appends_until_it_is_killed() {
    let Some(path) = parameter("LEDGER") else { return };
    let round = parameter("ROUND").unwrap();
    let synchronous = parameter("SYNCHRONOUS").unwrap_or("NORMAL".to_string());
    let ledger = Ledger::open(&config(&path, &[("synchronous_mode", &synchronous)])).unwrap();
    let line = Line::to_the_test();
    let threads: i64 = parameter("THREADS").unwrap().parse().unwrap();
    thread::scope(|scope| {
        for thread in 0..threads {
            let (ledger, line, writer) = (&ledger, &line, format!("{round}.{thread}"));
            scope.spawn(move || {
                let mut k = 0;
                loop {
                    let count = if k % 3 == thread { 1 + k * 7 % 60 } else { 1 };
                    let batch = Batch { writer: writer.clone(), k, count };
                    let first_id = batch.append(ledger);
                    line.say(&format!("{first_id} {count} {k} {writer}"));
                    k += count;
                }
            });
        }
    });
}

/// Whether the WAL holds the beginning of a commit that was never finished: something of this
/// generation (by the salts) behind the last valid commit frame. <https://sqlite.org/fileformat2.html#walformat>
fn holds_an_unfinished_commit(wal: &[u8]) -> bool {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let word = |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap());
    if wal.len() < HEADER {
        return false;
    }
    let big_endian = match word(0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        other => panic!("{other:x} is no WAL"),
    };
    let checksum = |mut sum: (u32, u32), bytes: &[u8]| {
        for pair in bytes.chunks_exact(8) {
            let [x, y] = [0, 4].map(|at| {
                let bytes = pair[at..at + 4].try_into().unwrap();
                if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            });
            sum.0 = sum.0.wrapping_add(x).wrapping_add(sum.1);
            sum.1 = sum.1.wrapping_add(y).wrapping_add(sum.0);
        }
        sum
    };
    let page = word(8) as usize;
    let mut sum = checksum((0, 0), &wal[..24]);
    assert_eq!(sum, (word(24), word(28)), "the header of the WAL is valid");
    let salts = &wal[16..24];
    let mut at = HEADER;
    let mut is_open = false;
    // A frame header alone, or with a part of its page, counts as well.
    while at + FRAME_HEADER <= wal.len() && &wal[at + 8..at + 16] == salts {
        is_open = true;
        let end = at + FRAME_HEADER + page;
        if end > wal.len() {
            break;
        }
        sum = checksum(checksum(sum, &wal[at..at + 8]), &wal[at + FRAME_HEADER..end]);
        if sum != (word(at + 16), word(at + 20)) {
            break;
        }
        is_open = word(at + 4) == 0;
        at = end;
    }
    is_open
}

/// Whether a commit is being written at this moment: the WAL holds a frame of this generation right
/// behind the last one that the WAL-index knows as committed.
fn sees_a_commit_in_progress(wal: &Path, shm: &Path) -> bool {
    let look = || -> std::io::Result<bool> {
        let mut index = [0; 48];
        fs::File::open(shm)?.read_exact_at(&mut index, 0)?;
        let page = u64::from(u16::from_ne_bytes([index[14], index[15]]));
        let committed = u64::from(u32::from_ne_bytes(index[16..20].try_into().unwrap()));
        let mut salts = [0; 8];
        fs::File::open(wal)?.read_exact_at(&mut salts, 32 + committed * (24 + page) + 8)?;
        Ok(salts == index[32..40])
    };
    look().unwrap_or(false)
}

#[test]
fn no_acknowledged_entry_is_lost_when_a_process_is_killed_in_a_commit() {
    /// Rounds that go on in the same file.
    const ROUNDS_A_FILE: u64 = 5;
    const ACKNOWLEDGED_MIN: usize = 300;
    let mut random = Random::new();
    let (mut round, mut hit, mut entries) = (0, 0, 0);
    let mut place = Place::new();
    let mut known = Known::default();
    while round < 3 * rounds() || hit * 3 < round {
        assert!(round < 3 * rounds() + 30, "only {hit} rounds hit a commit in progress");
        if round % ROUNDS_A_FILE == 0 {
            place = Place::new();
            entries += std::mem::take(&mut known).len();
        }
        let (wal, shm) = (place.path("ledger.db-wal"), place.path("ledger.db-shm"));
        assert!(!wal.exists(), "what is found in the WAL is of this round");
        let (path, name) = (place.file("ledger.db"), round.to_string());
        // What survives a kill does not depend on it; where the kill hits does.
        let synchronous = ["OFF", "NORMAL", "FULL"][(round % 3) as usize];
        let parameters =
            [("LEDGER", &*path), ("ROUND", &name), ("THREADS", "3"), ("SYNCHRONOUS", synchronous)];
        let mut process = Process::start("wal::appends_until_it_is_killed", &parameters);
        let target = known.len() + ACKNOWLEDGED_MIN + random.below(600) as usize;
        let mut is_killed = false;
        // What it said before it was killed is heard to the end.
        while let Some(said) = process.line.hear() {
            known.note(&said);
            if known.len() < target || is_killed {
                continue;
            }
            // What was heard was said between two commits: a moment later is anywhere. In most
            // rounds this moment must be one in a commit.
            random.pass_microseconds(600);
            if round % 4 == 0 || (0..100).any(|_| sees_a_commit_in_progress(&wal, &shm)) {
                process.kill();
                is_killed = true;
            }
        }
        process.end_by_a_kill();

        let is_unfinished = holds_an_unfinished_commit(&fs::read(&wal).unwrap());
        let ledger = place.open(&[]);
        let before = known.len();
        known.check(&place, &ledger, &mut random);
        // One was appended by the check.
        let unheard = known.len() - before - 1;
        hit += u64::from(is_unfinished || unheard > 0);
        ledger.close().unwrap();
        round += 1;
    }
    entries += known.len();
    println!("crash: {round} rounds, {hit} died there, {entries} entries: appends in a commit to the WAL");
}

/// The parser above finds what it looks for, and nothing where there is nothing.
#[test]
fn an_unfinished_commit_is_told_from_a_finished_one() {
    let place = Place::new();
    // Each append is a transaction in the WAL.
    let ledger = place.open(&[("commit", "sqlite")]);
    let wal = place.path("ledger.db-wal");
    let mut finished = fs::read(&wal).unwrap();
    for i in 0..20 {
        ledger.append_json(&entry(f64::from(i), "n")).unwrap();
        let longer = fs::read(&wal).unwrap();
        assert!(!holds_an_unfinished_commit(&longer));
        // All that is cut off inside the last commit is unfinished, to a byte.
        for cut in [finished.len() + 24, finished.len() + 2000, longer.len() - 4120, longer.len() - 1] {
            assert!(holds_an_unfinished_commit(&longer[..cut]), "{} {cut} {}", finished.len(), longer.len());
        }
        assert!(!holds_an_unfinished_commit(&longer[..finished.len()]));
        let mut damaged = longer.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(holds_an_unfinished_commit(&damaged));
        finished = longer;
    }
}
