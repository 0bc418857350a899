//! Processes that are killed at any moment: what was acknowledged is there, and nothing is half
//! there.

mod common;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::batches::{Batch, acknowledged, check_whole};
use common::{Line, Place, Process, Random, config, entry, integrity, parameter};
use simledger::{Ledger, NO_LIMIT};

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
fn no_acknowledged_entry_is_lost_when_a_process_is_killed() {
    const ROUNDS: usize = 30;
    /// Rounds that go on in the same file.
    const ROUNDS_A_FILE: usize = 5;
    const ACKNOWLEDGED_MIN: u64 = 1000;
    let mut random = Random::new();
    let (mut unfinished, mut unacknowledged, mut hit, mut in_all) = (0, 0, 0, 0);
    let mut place = Place::new();
    let mut known: HashMap<i64, Batch> = HashMap::new();
    for round in 0..ROUNDS {
        if round % ROUNDS_A_FILE == 0 {
            place = Place::new();
            known.clear();
        }
        let (wal, shm) = (place.path("ledger.db-wal"), place.path("ledger.db-shm"));
        assert!(!wal.exists(), "what is found in the WAL is of this round");
        let (path, name) = (place.file("ledger.db"), round.to_string());
        // What survives a kill does not depend on it; where the kill hits does.
        let synchronous = ["OFF", "NORMAL", "FULL"][round % 3];
        let parameters =
            [("LEDGER", &*path), ("ROUND", &name), ("THREADS", "3"), ("SYNCHRONOUS", synchronous)];
        let mut process = Process::start("appends_until_it_is_killed", &parameters);
        let target = ACKNOWLEDGED_MIN + random.below(2000);
        let (mut count, mut is_killed) = (0, false);
        // What it said before it was killed is heard to the end.
        while let Some(said) = process.line.hear() {
            let (first_id, batch) = acknowledged(&said);
            count += batch.count as u64;
            assert_eq!(known.insert(first_id, batch), None, "an id was given twice");
            if count < target || is_killed {
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
        assert!(is_killed && !process.end());
        in_all += count;

        let is_unfinished = holds_an_unfinished_commit(&fs::read(&wal).unwrap());
        let ledger = place.open(&[]);
        let all = ledger.read_all().unwrap();
        let found = check_whole(&all, 1);
        for (first_id, batch) in &found {
            if let Some(known) = known.get(first_id) {
                assert_eq!(known, batch, "under an acknowledged id is what its writer wrote");
            }
        }
        let more = found.iter().filter(|(first_id, _)| !known.contains_key(first_id)).count();
        assert_eq!(found.len() - more, known.len(), "an acknowledged entry is lost");
        // From now on those that nobody heard of must stay as well.
        known.extend(found);
        unfinished += usize::from(is_unfinished);
        unacknowledged += usize::from(more > 0);
        hit += usize::from(is_unfinished || more > 0);
        println!(
            "round {round}, {synchronous}: {count} acknowledged, unfinished {is_unfinished}, {more} more"
        );

        let after = Batch { writer: format!("{round}.after"), k: 0, count: 1 };
        let id = ledger.append_json(&after.entry(0)).unwrap();
        assert_eq!(id, all.len() as i64 + 1, "the next id is larger");
        known.insert(id, after);
        assert_eq!(ledger.count().unwrap(), id);
        assert_eq!(integrity(&place.sqlite()), "ok");
        ledger.close().unwrap();
    }
    println!(
        "{in_all} entries acknowledged in {ROUNDS} rounds; {hit} rounds hit a commit in progress \
         (unfinished in the WAL {unfinished}, there but not acknowledged {unacknowledged})"
    );
    assert!(hit >= 10, "only {hit} rounds hit a commit in progress");
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

#[test]
fn others_go_on_when_a_process_is_killed() {
    let mut random = Random::new();
    for round in 0..8 {
        let place = Place::new();
        let path = place.file("ledger.db");
        let ledger = place.open(&[]);
        let start = |name: &str| {
            let name = format!("{round}-{name}");
            let parameters = [("LEDGER", &*path), ("ROUND", &name), ("THREADS", "2")];
            Process::start("appends_until_it_is_killed", &parameters)
        };
        let mut killed = start("killed");
        let mut goes_on = start("goes-on");
        let heard = AtomicU64::new(0);
        let listen = |process: &mut Process, enough: &dyn Fn(u64) -> bool| {
            let mut known = Vec::new();
            let mut is_killed = false;
            while let Some(said) = process.line.hear() {
                let (first_id, batch) = acknowledged(&said);
                heard.fetch_max((first_id + batch.count - 1) as u64, Ordering::Release);
                known.push((first_id, batch));
                if !is_killed && enough(known.len() as u64) {
                    process.kill();
                    is_killed = true;
                }
            }
            assert!(is_killed, "it ended by itself");
            known
        };
        let target = 100 + random.below(200);
        let first_is_dead = AtomicBool::new(false);
        let (first, second, mine) = thread::scope(|scope| {
            let first = scope.spawn(|| {
                let known = listen(&mut killed, &|count| count >= target);
                first_is_dead.store(true, Ordering::Release);
                known
            });
            let second = scope.spawn(|| {
                let after = std::cell::Cell::new(None);
                listen(&mut goes_on, &|count| {
                    if first_is_dead.load(Ordering::Acquire) && after.get().is_none() {
                        after.set(Some(count));
                    }
                    after.get().is_some_and(|after| count > after + 200)
                })
            });
            // This process polls and appends all the time.
            let mut mine = Vec::new();
            let mut position = 0;
            while !second.is_finished() {
                let acknowledged = heard.load(Ordering::Acquire) as i64;
                let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
                assert!(fresh.iter().map(|entry| entry.id()).eq(position + 1..=fresh.position()));
                assert!(fresh.position() >= acknowledged);
                position = fresh.position();
                let batch = Batch { writer: format!("{round}.mine"), k: mine.len() as i64, count: 1 };
                mine.push((ledger.append_json(&batch.entry(0)).unwrap(), batch));
            }
            (first.join().unwrap(), second.join().unwrap(), mine)
        });
        let found: HashMap<i64, Batch> = check_whole(&ledger.read_all().unwrap(), 1).into_iter().collect();
        for (first_id, batch) in first.iter().chain(&second).chain(&mine) {
            assert_eq!(found.get(first_id), Some(batch));
        }
        assert_eq!(integrity(&place.sqlite()), "ok");
    }
}

#[test]
#[ignore = "a process that is killed"]
fn opens_and_closes_until_it_is_killed() {
    let Some(folder) = parameter("FOLDER") else { return };
    let line = Line::to_the_test();
    for number in 0.. {
        let path = Path::new(&folder).join(format!("{number}.db"));
        let asked = path.to_str().unwrap();
        if parameter("PREPARED").is_some() && !path.exists() {
            line.say("no more");
        }
        line.say("opening");
        let ledger = Ledger::open_path(asked).unwrap();
        let count = ledger.count().unwrap();
        for i in 0..5 {
            ledger.append_json(&entry(1e6 + f64::from(i), "new")).unwrap();
        }
        line.say(&format!("closing {number} {}", count + 5));
        ledger.close().unwrap();
        line.say("closed");
    }
}

/// Starts the process above and kills it at a random moment; how many entries it said each file had.
fn killed_while_opening_and_closing(
    random: &mut Random,
    parameters: &[(&str, &str)],
    steps_max: u64,
) -> HashMap<String, i64> {
    let mut process = Process::start("opens_and_closes_until_it_is_killed", parameters);
    let mut said_of = HashMap::new();
    let mut left = Some(1 + random.below(steps_max));
    while let Some(said) = process.line.hear() {
        assert_ne!(said, "no more", "the test prepared too few files");
        if let ["closing", number, count] = said.split(' ').collect::<Vec<_>>()[..] {
            said_of.insert(number.to_string(), count.parse().unwrap());
        }
        left = match left {
            Some(1) => {
                random.pass_microseconds(200);
                process.kill();
                None
            }
            Some(left) => Some(left - 1),
            None => None,
        };
    }
    assert!(!process.end());
    said_of
}

fn ledgers_in(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    files.filter_map(|name| name.strip_suffix(".db").map(str::to_string)).collect()
}

#[test]
fn a_kill_while_ledgers_are_created_and_closed_leaves_ledgers_that_open() {
    const ROUNDS: usize = 30;
    let mut random = Random::new();
    let (mut unmade, mut unclosed) = (0, 0);
    for _ in 0..ROUNDS {
        let place = Place::new();
        let folder = place.path(".");
        let parameters = [("FOLDER", folder.to_str().unwrap())];
        let said_of = killed_while_opening_and_closing(&mut random, &parameters, 30);
        for number in ledgers_in(&folder) {
            let path = place.file(&format!("{number}.db"));
            unclosed += usize::from(Path::new(&format!("{path}-wal")).exists());
            let ledger = Ledger::open(&config(&path, &[("timeout", "0")])).unwrap();
            let count = ledger.count().unwrap();
            match said_of.get(&number) {
                Some(said) => assert_eq!(count, *said),
                None => unmade += 1,
            }
            assert!(ledger.read_all().unwrap().iter().map(|entry| entry.id()).eq(1..=count));
            assert_eq!(ledger.append_json(&entry(0.0, "after")).unwrap(), count + 1);
            ledger.close().unwrap();
            assert_eq!(integrity(&rusqlite::Connection::open(&path).unwrap()), "ok");
        }
    }
    println!("{unmade} files were being made, {unclosed} were not closed");
    assert!(unmade > 0 && unclosed > 0, "the kills hit what they were to hit");
}

/// A ledger as the Python module made it, with rows in it.
fn seed_file(path: &str, rows: usize) {
    let seed = rusqlite::Connection::open(path).unwrap();
    seed.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS ledger (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             timestamp REAL NOT NULL,
             node_id TEXT NOT NULL,
             features TEXT NOT NULL,
             confidence REAL NOT NULL,
             created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
             UNIQUE(timestamp, node_id)
         );
         CREATE INDEX idx_ledger_timestamp ON ledger(timestamp);
         CREATE INDEX idx_ledger_node_id ON ledger(node_id);
         CREATE INDEX idx_ledger_confidence ON ledger(confidence);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO ledger (timestamp, node_id, features, confidence)
             SELECT i + 0.25, 'Node_' || (i % 7), '[{{\"packet_size\": ' || i || '}}]', (i % 10) / 10.0 FROM n;"
    ))
    .unwrap();
}

/// The rows that the seed wrote, as they are stored.
fn seed_rows(path: &str) -> Vec<String> {
    let sqlite = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT id || typeof(id) || quote(timestamp) || quote(node_id) || quote(features) || quote(confidence)
               || quote(created_at) FROM ledger WHERE node_id <> 'new' ORDER BY id";
    let mut statement = sqlite.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_kill_while_a_file_of_the_seed_is_upgraded_leaves_its_rows() {
    const ROUNDS: usize = 20;
    const FILES: u64 = 12;
    const ROWS: usize = 3000;
    let mut random = Random::new();
    let master = Place::new();
    seed_file(&master.file("master"), ROWS);
    let rows = seed_rows(&master.file("master"));
    assert_eq!(rows.len(), ROWS);
    let (mut upgraded, mut plain) = (0, 0);
    for _ in 0..ROUNDS {
        let place = Place::new();
        for number in 0..FILES {
            fs::copy(master.path("master"), place.path(&format!("{number}.db"))).unwrap();
        }
        let folder = place.path(".");
        let parameters = [("FOLDER", folder.to_str().unwrap()), ("PREPARED", "")];
        // Three lines a file.
        let said_of = killed_while_opening_and_closing(&mut random, &parameters, 3 * (FILES - 2));
        for number in ledgers_in(&folder) {
            let path = place.file(&format!("{number}.db"));
            let sqlite = rusqlite::Connection::open(&path).unwrap();
            let count = |sql: &str| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            // All of the upgrade or nothing of it.
            let index = count("SELECT count(*) FROM pragma_index_info('idx_ledger_node_id')");
            let ours =
                count("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'simledger%' AND type <> 'index'");
            match index {
                1 => {
                    assert_eq!(ours, 0);
                    plain += 1;
                }
                _ => {
                    assert_eq!((index, ours), (2, 10));
                    upgraded += 1;
                }
            }
            assert_eq!(seed_rows(&path), rows);
            let ledger = Ledger::open_path(&path).unwrap();
            let entries = ledger.count().unwrap();
            if let Some(said) = said_of.get(&number) {
                assert_eq!(entries, *said);
            }
            assert_eq!(ledger.append_json(&entry(0.0, "new")).unwrap(), entries + 1);
            ledger.close().unwrap();
            assert_eq!(seed_rows(&path), rows);
            assert_eq!(integrity(&rusqlite::Connection::open(&path).unwrap()), "ok");
        }
    }
    println!("{upgraded} files were upgraded, {plain} were not");
    assert!(upgraded > 0 && plain > 0);
}

#[test]
#[ignore = "a process that is killed"]
fn cleans_up_until_it_is_killed() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open_path(&path).unwrap();
    if parameter("BY_ID").is_some() {
        ledger.cleanup_before_id(1_000_000).unwrap();
    } else {
        ledger.cleanup_before_timestamp(1e9).unwrap();
    }
    Line::to_the_test().say("done");
}

#[test]
fn a_kill_during_cleanup_leaves_a_mark_that_says_what_is_gone() {
    const ENTRIES: i64 = 30_000;
    let mut random = Random::new();
    let mut in_the_middle = 0;
    let master = Place::new();
    let ledger = master.open(&[]);
    // Timestamps go up and down, so that the oldest have ids all over the ledger.
    let entries: Vec<String> = (0..ENTRIES).map(|i| entry((i * 7919 % ENTRIES) as f64, "n")).collect();
    ledger.append_many_json(&entries.join("\n")).unwrap();
    ledger.close().unwrap();
    for round in 0..12 {
        let place = Place::new();
        let path = place.file("ledger.db");
        fs::copy(master.path("ledger.db"), &path).unwrap();
        let ledger = place.open(&[]);
        let by_id = round % 2 == 0;
        let mut parameters = vec![("LEDGER", &*path)];
        if by_id {
            parameters.push(("BY_ID", ""));
        }
        let mut process = Process::start("cleans_up_until_it_is_killed", &parameters);
        let target = ENTRIES - 1000 * (1 + random.below(15) as i64);
        while ledger.count().unwrap() > target {
            thread::yield_now();
        }
        process.kill();
        process.end();

        let sqlite = place.sqlite();
        let sql = "SELECT deleted_through FROM simledger_retention";
        let mark: i64 = sqlite.query_row(sql, [], |row| row.get(0)).unwrap();
        let all = ledger.read_all().unwrap();
        let left = all.len() as i64;
        assert!(left <= target, "{left}");
        in_the_middle += usize::from(left > 0);
        let above = all.iter().filter(|entry| entry.id() > mark).count() as i64;
        assert_eq!(above, ENTRIES - mark, "nothing above the mark is gone");
        if by_id {
            assert_eq!(above, left, "nothing below the mark is left");
        } else if left > 0 {
            let oldest = all.iter().map(|entry| entry.timestamp()).reduce(f64::min).unwrap();
            assert_eq!(oldest, (ENTRIES - left) as f64, "the oldest went first");
        }
        let poll = ledger.poll_since(0, NO_LIMIT).unwrap();
        assert_eq!((poll.gap_before(), poll.position()), (mark, ENTRIES));
        assert_eq!(ledger.last_id().unwrap(), ENTRIES);
        assert_eq!(integrity(&sqlite), "ok");
        // Cleanup goes on where it was.
        assert_eq!(ledger.cleanup_before_timestamp(1e9).unwrap(), left);
        assert_eq!(ledger.append_json(&entry(0.0, "n")).unwrap(), ENTRIES + 1);
    }
    println!("{in_the_middle} of 12 cleanups were killed in the middle");
    assert!(in_the_middle >= 6);
}
