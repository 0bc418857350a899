//! Deaths at any moment while ledgers are made, brought up to date, opened and closed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::common::{Line, Place, Process, Random, SEED, config, entry, integrity, parameter};
use crate::rounds;
use simledger::Ledger;

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
    let mut process = Process::start("files::opens_and_closes_until_it_is_killed", parameters);
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
    process.end_by_a_kill();
    said_of
}

fn ledgers_in(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    files.filter_map(|name| name.strip_suffix(".db").map(str::to_string)).collect()
}

#[test]
fn a_kill_while_ledgers_are_created_and_closed_leaves_ledgers_that_open() {
    let mut random = Random::new();
    let (mut round, mut unmade, mut unclosed, mut made) = (0, 0, 0, 0);
    while round < 3 * rounds() || unmade == 0 || unclosed == 0 {
        assert!(round < 3 * rounds() + 30, "{unmade} were being made, {unclosed} were not closed");
        round += 1;
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
                Some(said) => {
                    assert_eq!(count, *said);
                    made += count;
                }
                None => unmade += 1,
            }
            assert!(ledger.read_all().unwrap().iter().map(|entry| entry.id()).eq(1..=count));
            assert_eq!(ledger.append_json(&entry(0.0, "after")).unwrap(), count + 1);
            ledger.close().unwrap();
            assert_eq!(integrity(&rusqlite::Connection::open(&path).unwrap()), "ok");
        }
    }
    println!("crash: {round} rounds, {round} died there, {made} entries: opens and closes new files");
}

/// A ledger as the Python module made it, with rows in it.
pub fn seed_file(path: &str, rows: usize) {
    let seed = rusqlite::Connection::open(path).unwrap();
    seed.execute_batch(&format!(
        "{SEED}
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO ledger (timestamp, node_id, features, confidence)
             SELECT i + 0.25, 'Node_' || (i % 7), '[{{\"packet_size\": ' || i || '}}]', (i % 10) / 10.0 FROM n;"
    ))
    .unwrap();
}

/// The rows that the seed wrote, as they are stored.
pub fn seed_rows(path: &str) -> Vec<String> {
    let sqlite = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT id || typeof(id) || quote(timestamp) || quote(node_id) || quote(features) || quote(confidence)
               || quote(created_at) FROM ledger WHERE node_id <> 'new' ORDER BY id";
    let mut statement = sqlite.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// Whether a file of the seed was brought up to date: all of it or nothing.
pub fn is_upgraded(path: &str) -> bool {
    let sqlite = rusqlite::Connection::open(path).unwrap();
    let count = |sql: &str| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let index = count("SELECT count(*) FROM pragma_index_info('idx_ledger_node_id')");
    let ours = count("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'simledger%' AND type <> 'index'");
    match (index, ours) {
        (1, 0) => false,
        (2, 10) => true,
        half => panic!("half of the upgrade: {half:?}"),
    }
}

#[test]
fn a_kill_while_a_file_of_the_seed_is_upgraded_leaves_its_rows() {
    const FILES: u64 = 12;
    const ROWS: usize = 3000;
    let mut random = Random::new();
    let master = Place::new();
    seed_file(&master.file("master"), ROWS);
    let rows = seed_rows(&master.file("master"));
    assert_eq!(rows.len(), ROWS);
    let (mut round, mut upgraded, mut plain) = (0, 0, 0);
    while round < rounds() || upgraded == 0 || plain == 0 {
        assert!(round < rounds() + 30, "{upgraded} files were upgraded, {plain} were not");
        round += 1;
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
            if is_upgraded(&path) {
                upgraded += 1;
            } else {
                plain += 1;
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
    println!("crash: {round} rounds, {round} died there, {upgraded} entries: upgrades files of the seed");
}
