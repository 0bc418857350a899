//! Many threads and processes on one ledger: order, freshness, creation, locks.

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::batches::{Batch, check_whole};
use common::{Line, Place, Process, config, entry, ids, integrity, metric, parameter};
use simledger::{EntryRef, Ledger, Level, NO_LIMIT, Status};

/// What a writer writes as its entry number `k`.
fn written(writer: usize, k: usize) -> String {
    let confidence = (k % 101) as f64 / 101.0;
    format!(
        r#"{{"timestamp":{k},"node_id":"{writer}","features":{{"by":{writer},"k":{k}}},"confidence":{confidence}}}"#
    )
}

/// The writer of an entry and its number; all of it must be as it was written.
fn who_wrote(entry: EntryRef<'_>) -> (usize, usize) {
    let writer = entry.node_id().parse().expect("the node is the number of the writer");
    let k = entry.timestamp() as usize;
    assert_eq!(entry.features(), format!(r#"{{"by":{writer},"k":{k}}}"#));
    assert_eq!((entry.timestamp(), entry.confidence()), (k as f64, (k % 101) as f64 / 101.0));
    (writer, k)
}

/// An append that was acknowledged: its ids, and the writer's number of the first entry.
struct Acknowledged {
    first_id: i64,
    count: usize,
    k: usize,
}

/// Appends entries, one at a time and each eighth time a batch.
fn write(ledger: &Ledger, writer: usize, entries: usize) -> Vec<Acknowledged> {
    const BATCH: usize = 26;
    let mut acknowledged = Vec::new();
    let mut k = 0;
    while k < entries {
        let count = if acknowledged.len() % 8 == 7 { BATCH.min(entries - k) } else { 1 };
        let first_id = if count == 1 {
            ledger.append_json(&written(writer, k)).unwrap()
        } else {
            let lines: Vec<String> = (k..k + count).map(|k| written(writer, k)).collect();
            let batched = ledger.append_many_json(&lines.join("\n")).unwrap();
            assert_eq!(batched.count, count);
            batched.first_id
        };
        acknowledged.push(Acknowledged { first_id, count, k });
        k += count;
    }
    acknowledged
}

/// Polls until nothing more comes after `done`; who wrote each entry, in the order of ids.
fn poll(ledger: &Ledger, done: &AtomicBool) -> Vec<(usize, usize)> {
    let mut seen = Vec::new();
    for turn in 0.. {
        let was_done = done.load(Ordering::Acquire);
        let limit = [1, 7, 1000, NO_LIMIT][turn % 4];
        let fresh = ledger.poll_since(seen.len() as i64, limit).unwrap();
        for entry in fresh.iter() {
            seen.push(who_wrote(entry));
            assert_eq!(entry.id(), seen.len() as i64, "ids follow one another without a gap");
        }
        assert_eq!((fresh.position(), fresh.gap_before()), (seen.len() as i64, 0));
        if fresh.is_empty() {
            if was_done {
                break;
            }
            thread::yield_now();
        }
    }
    seen
}

fn digest(seen: &[(usize, usize)]) -> String {
    let mut hasher = DefaultHasher::new();
    seen.hash(&mut hasher);
    format!("{} entries, {:x}", seen.len(), hasher.finish())
}

#[test]
#[ignore = "a process of all_append_together"]
fn a_writer() {
    let Some(path) = parameter("LEDGER") else { return };
    let number = |name| parameter(name).unwrap().parse().unwrap();
    let ledger = Ledger::open_path(&path).unwrap();
    let mut line = Line::to_the_test();
    line.say("ready");
    line.hear().unwrap();
    for Acknowledged { first_id, count, k } in write(&ledger, number("WRITER"), number("ENTRIES")) {
        line.say(&format!("{first_id} {count} {k}"));
    }
    ledger.close().unwrap();
}

#[test]
#[ignore = "a process of all_append_together"]
fn a_poller() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open_path(&path).unwrap();
    let mut line = Line::to_the_test();
    line.say("ready");
    line.hear().unwrap();
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            Line::to_the_test().hear().unwrap();
            done.store(true, Ordering::Release);
        });
        poll(&ledger, &done)
    });
    line.say(&digest(&seen));
}

/// Some threads and processes append `entries` in all, while others poll.
fn all_append_together(keys: &[(&str, &str)], threads: usize, processes: usize, entries: usize) {
    const POLLERS: usize = 2;
    let place = Place::new();
    let path = place.file("ledger.db");
    let ledger = place.open(keys);
    let writers = threads + processes;
    let share = |writer: usize| entries / writers + usize::from(writer < entries % writers);

    let mut writing: Vec<Process> = (threads..writers)
        .map(|writer| {
            let (writer, entries) = (writer.to_string(), share(writer).to_string());
            Process::start("a_writer", &[("LEDGER", &path), ("WRITER", &writer), ("ENTRIES", &entries)])
        })
        .collect();
    let mut polling: Vec<Process> =
        (0..POLLERS).map(|_| Process::start("a_poller", &[("LEDGER", &path)])).collect();
    for process in writing.iter_mut().chain(&mut polling) {
        assert_eq!(process.line.hear().as_deref(), Some("ready"));
    }
    for process in writing.iter().chain(&polling) {
        process.line.say("go");
    }

    let done = AtomicBool::new(false);
    let mut owners = vec![None; entries];
    let mut singles = 0;
    let mut own = |writer, acknowledged: Acknowledged| {
        singles += usize::from(acknowledged.count == 1);
        for index in 0..acknowledged.count {
            let owner = &mut owners[acknowledged.first_id as usize - 1 + index];
            assert_eq!(*owner, None, "an id was given twice");
            *owner = Some((writer, acknowledged.k + index));
        }
    };
    let seen: Vec<Vec<(usize, usize)>> = thread::scope(|scope| {
        let ledger = &ledger;
        let done = Done(&done);
        let pollers: Vec<_> = (0..POLLERS).map(|_| scope.spawn(|| poll(ledger, done.0))).collect();
        let writers: Vec<_> =
            (0..threads).map(|writer| scope.spawn(move || write(ledger, writer, share(writer)))).collect();
        for (writer, acknowledged) in writers.into_iter().enumerate() {
            acknowledged.join().unwrap().into_iter().for_each(|one| own(writer, one));
        }
        for (index, process) in writing.iter_mut().enumerate() {
            while let Some(said) = process.line.hear() {
                let numbers: Vec<usize> = said.split(' ').map(|number| number.parse().unwrap()).collect();
                let [first_id, count, k] = numbers[..] else { panic!("{said}") };
                own(threads + index, Acknowledged { first_id: first_id as i64, count, k });
            }
            assert!(process.end(), "a writing process failed");
        }
        drop(done);
        pollers.into_iter().map(|poller| poller.join().unwrap()).collect()
    });

    let owners: Vec<(usize, usize)> =
        owners.into_iter().map(|owner| owner.expect("every id was acknowledged to somebody")).collect();
    for seen in &seen {
        assert!(*seen == owners, "under an id is what its writer wrote there");
    }
    for process in &mut polling {
        assert_eq!(process.ask("done"), digest(&owners));
        assert!(process.end());
    }
    println!("{singles} of {entries} entries were appended one at a time");
    assert!(singles >= entries / 5);
    assert_eq!(ledger.count().unwrap(), entries as i64);
    assert_eq!(ledger.last_id().unwrap(), entries as i64);
    let all = ledger.read_all().unwrap();
    assert!(all.iter().map(|entry| entry.id()).eq(1..=entries as i64));
    assert_eq!(integrity(&place.sqlite()), "ok");
}

/// Says that it is done when dropped, so that pollers end also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_poller_never_misses_an_id_across_processes() {
    all_append_together(&[], 8, 4, 100_000);
}

#[test]
fn a_poller_never_misses_an_id_with_a_rollback_journal() {
    all_append_together(&[("journal_mode", "DELETE")], 3, 2, 2_000);
}

#[test]
#[ignore = "a process of several tests"]
fn does_as_told() {
    if parameter("OBEY").is_none() {
        return;
    }
    let mut line = Line::to_the_test();
    let mut ledger = None;
    let mut sqlite = None;
    while let Some(told) = line.hear() {
        let (command, rest) = told.split_once(' ').unwrap_or((&told, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        let open = || ledger.as_ref().expect("an open ledger");
        let answer = match command {
            "open" => open_and_describe(words[0], &words[1..]).map(|(opened, description)| {
                ledger = Some(opened);
                description
            }),
            "append" => {
                let timestamp = words[0].parse().unwrap();
                open().append_json(&entry(timestamp, words[1])).map(|id| id.to_string())
            }
            "clean" => open().cleanup_before_id(words[0].parse().unwrap()).map(|n| n.to_string()),
            "last" => open().last_id().map(|id| id.to_string()),
            "close" => ledger.take().expect("an open ledger").close().map(|()| "closed".to_string()),
            "sqlite" => {
                sqlite = Some(rusqlite::Connection::open(rest).unwrap());
                Ok("open".to_string())
            }
            "sql" => Ok(match sqlite.as_ref().expect("an open database").execute_batch(rest) {
                Ok(()) => "done".to_string(),
                Err(error) => error.to_string(),
            }),
            _ => panic!("told to {told}"),
        };
        line.say(
            &answer.unwrap_or_else(|error| {
                format!("{:?} {}: {}", error.status(), error.field(), error.message())
            }),
        );
    }
}

/// Opens a ledger; with it, what the log says of its settings.
fn open_and_describe(path: &str, keys: &[&str]) -> simledger::Result<(Ledger, String)> {
    let keys: Vec<(&str, &str)> = keys.iter().map(|key| key.split_once('=').unwrap()).collect();
    let mut config = config(path, &keys);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let receiver = Arc::clone(&lines);
    config.set_log(Level::Info, Arc::new(move |_, line| receiver.lock().unwrap().push(line.to_string())));
    let ledger = Ledger::open(&config)?;
    let description = lines.lock().unwrap().last().expect("the log says how it was opened").clone();
    Ok((ledger, description))
}

fn obedient() -> Process {
    Process::start("does_as_told", &[("OBEY", "")])
}

/// What another process acknowledged is seen by every kind of read right after, cached or not.
fn what_another_process_did_is_seen_at_once(keys: &[(&str, &str)], rounds: i64) {
    let place = Place::new();
    let ledger = place.open(keys);
    let mut other = obedient();
    assert!(other.ask(&format!("open {}", place.file("ledger.db"))).starts_with("opened"));
    let (mut id, mut cleaned) = (0, 0);
    for round in 0..rounds {
        // Both caches are filled twice, so that the second answer comes from them.
        for _ in 0..2 {
            assert!(ledger.get_by_id(id + 1).unwrap().is_none());
            assert_eq!(ledger.read_by_node("n", 3).unwrap().get(0).map_or(cleaned, |e| e.id()), id);
            let _ = (id > cleaned).then(|| ledger.get_by_id(id).unwrap().expect("it is there"));
        }
        let given: i64 = other.ask(&format!("append {round} n")).parse().unwrap();
        assert_eq!(given, id + 1);
        // Each kind of read is the first one after the append in some of the rounds.
        for turn in 0..5 {
            match (round + turn) % 5 {
                0 => assert_eq!(ids(&ledger.poll_since(id, NO_LIMIT).unwrap()), [given]),
                1 => {
                    let got = ledger.get_by_id(given).unwrap().expect("it was acknowledged");
                    assert_eq!(got.as_ref().timestamp(), round as f64);
                }
                2 => assert_eq!(ledger.read_by_node("n", 3).unwrap().get(0).unwrap().id(), given),
                3 => assert_eq!(ledger.count().unwrap(), given - cleaned),
                _ => assert_eq!(ledger.last_id().unwrap(), given),
            }
        }
        id = given;
        if round % 10 == 9 {
            assert_eq!(other.ask(&format!("clean {}", id + 1)), (id - cleaned).to_string());
            cleaned = id;
            match round % 3 {
                0 => assert!(ledger.get_by_id(id).unwrap().is_none()),
                1 => assert!(ledger.read_by_node("n", 3).unwrap().is_empty()),
                _ => assert_eq!((ledger.count().unwrap(), ledger.first_id().unwrap()), (0, 0)),
            }
            assert!(ledger.get_by_id(id).unwrap().is_none());
            assert_eq!(ledger.poll_since(id - 1, 1).unwrap().gap_before(), id);
        }
    }
    let hits = metric(&ledger, "query_cache_hits");
    assert!(hits >= rounds as f64, "the caches were in use: {hits} hits");
    assert!(metric(&ledger, "entry_cache_hits") > 0.0);
}

#[test]
fn what_another_process_appended_or_deleted_is_seen_at_once() {
    what_another_process_did_is_seen_at_once(&[], 3000);
}

#[test]
fn what_another_process_did_is_seen_at_once_with_a_rollback_journal() {
    what_another_process_did_is_seen_at_once(&[("journal_mode", "DELETE")], 200);
}

/// Another process with plain SQLite, and plain SQLite in this one.
#[test]
fn what_plain_sqlite_did_is_seen_at_once() {
    const COLUMNS: &str = "INTO ledger (timestamp, node_id, features, confidence)";
    let place = Place::new();
    let ledger = place.open(&[("guards", "off")]);
    let near = place.sqlite();
    let mut far = obedient();
    far.ask(&format!("sqlite {}", place.file("ledger.db")));
    let mut run = |round: i64, sql: &str| {
        if round % 2 == 0 {
            near.execute_batch(sql).unwrap()
        } else {
            assert_eq!(far.ask(&format!("sql {sql}")), "done")
        }
    };
    for round in 0..500 {
        let id = ledger.last_id().unwrap() + 1;
        assert!(ledger.get_by_id(id).unwrap().is_none());
        let older = ledger.read_by_node("n", 1).unwrap().get(0).map_or(0, |entry| entry.id());

        run(round, &format!("INSERT {COLUMNS} VALUES ({round}, 'n', '[1]', 0.5)"));
        assert_eq!(ids(&ledger.read_by_node("n", 1).unwrap()), [id]);
        assert_eq!(ledger.get_by_id(id).unwrap().unwrap().as_ref().features(), "[1]");
        assert_eq!(ids(&ledger.poll_since(id - 1, 10).unwrap()), [id]);

        // The seed's way to change something: a new row takes the place of the old one.
        run(round, &format!("INSERT OR REPLACE {COLUMNS} VALUES ({round}, 'n', '[2]', 0.5)"));
        assert!(ledger.get_by_id(id).unwrap().is_none());
        let replaced = ledger.read_by_node("n", 1).unwrap();
        assert_eq!((ids(&replaced), replaced.get(0).unwrap().features()), (vec![id + 1], "[2]"));

        run(round, &format!("UPDATE ledger SET features = '[3]' WHERE id = {}", id + 1));
        assert_eq!(ledger.get_by_id(id + 1).unwrap().unwrap().as_ref().features(), "[3]");

        if round % 3 > 0 {
            run(round, &format!("DELETE FROM ledger WHERE timestamp = {round}"));
            assert!(ledger.get_by_id(id + 1).unwrap().is_none());
            let left = ledger.read_by_node("n", 1).unwrap().get(0).map_or(0, |entry| entry.id());
            assert_eq!(left, older);
            // So that the next id is known: the deleted ones are not given again.
            assert_eq!(ledger.append_json(&entry(round as f64, "other")).unwrap(), id + 2);
        }
    }
    assert_eq!(integrity(&near), "ok");
}

#[test]
fn ids_are_never_given_again() {
    let place = Place::new();
    let path = place.file("ledger.db");
    let mut other = obedient();
    let mut last = 0;
    for round in 0..6 {
        let ledger = place.open(&[]);
        for i in 0..3 {
            last += 1;
            assert_eq!(ledger.append_json(&entry(f64::from(i), "n")).unwrap(), last);
        }
        assert!(other.ask(&format!("open {path}")).starts_with("opened"));
        // Everything is cleaned up, here or there.
        if round % 2 == 0 {
            assert_eq!(ledger.cleanup_before_id(last + 1).unwrap(), 3);
        } else {
            assert_eq!(other.ask(&format!("clean {}", last + 1)), "3");
        }
        assert_eq!((ledger.count().unwrap(), ledger.last_id().unwrap()), (0, last));
        assert_eq!(other.ask("last"), last.to_string());
        assert_eq!(ledger.poll_since(0, 1).unwrap().position(), last);
        if round % 3 == 0 {
            ledger.close().unwrap();
            assert_eq!(other.ask("close"), "closed");
            assert!(other.ask(&format!("open {path}")).starts_with("opened"));
        }
        last += 1;
        assert_eq!(other.ask("append 7 n"), last.to_string());
        assert_eq!(other.ask(&format!("clean {}", last + 1)), "1");
        // An append that fails uses no id up.
        assert_eq!(other.ask("close"), "closed");
    }
    let sqlite = place.sqlite();
    assert_eq!(integrity(&sqlite), "ok");
}

/// Whoever has seen an id finds every smaller one, whatever it was that showed the id.
#[test]
fn an_id_is_visible_only_when_all_smaller_ones_are() {
    const ENTRIES: usize = 3000;
    let place = Place::new();
    let path = place.file("ledger.db");
    let ledger = place.open(&[("entry_cache_size", "0")]);
    let mut writing: Vec<Process> = (0..2)
        .map(|writer: usize| {
            let (writer, entries) = (writer.to_string(), ENTRIES.to_string());
            Process::start("a_writer", &[("LEDGER", &path), ("WRITER", &writer), ("ENTRIES", &entries)])
        })
        .collect();
    for process in &mut writing {
        process.line.hear();
        process.line.say("go");
    }
    let mut checked = 0;
    for turn in 0.. {
        let newest = match turn % 3 {
            0 => ledger.last_id().unwrap(),
            1 => ledger.count().unwrap(),
            _ => ["0", "1"]
                .into_iter()
                .filter_map(|node| ledger.read_by_node(node, 1).unwrap().get(0).map(|entry| entry.id()))
                .max()
                .unwrap_or(0),
        };
        for id in (checked + 1..=newest).rev() {
            assert!(ledger.get_by_id(id).unwrap().is_some(), "{newest} was there before {id}");
        }
        let behind = ledger.poll_since(newest, NO_LIMIT).unwrap();
        assert!(behind.iter().map(|entry| entry.id()).eq(newest + 1..=behind.position()));
        checked = checked.max(newest);
        if checked == 2 * ENTRIES as i64 {
            break;
        }
        thread::yield_now();
    }
    for process in &mut writing {
        while process.line.hear().is_some() {}
        assert!(process.end());
    }
}

const BATCHES: i64 = 60;
const IN_A_BATCH: i64 = 400;

#[test]
#[ignore = "the process of the test below"]
fn a_writer_of_batches() {
    let Some(path) = parameter("LEDGER") else { return };
    let ledger = Ledger::open_path(&path).unwrap();
    let mut line = Line::to_the_test();
    line.say("ready");
    line.hear().unwrap();
    for nth in 0..BATCHES {
        let batch = Batch { writer: "w".to_string(), k: nth * IN_A_BATCH, count: IN_A_BATCH };
        assert_eq!(batch.append(&ledger), nth * IN_A_BATCH + 1);
    }
    ledger.close().unwrap();
}

/// While one thread takes in what another process appended, the others read what was there before.
#[test]
fn batches_of_another_process_are_whole_for_each_of_many_threads() {
    const READERS: usize = 4;
    let place = Place::new();
    let ledger = place.open(&[]);
    let mut writer = Process::start("a_writer_of_batches", &[("LEDGER", &place.file("ledger.db"))]);
    assert_eq!(writer.line.hear().as_deref(), Some("ready"));
    writer.line.say("go");
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut position = 0;
                while position < BATCHES * IN_A_BATCH {
                    let fresh = ledger.poll_since(position, NO_LIMIT).unwrap();
                    check_whole(&fresh, position + 1);
                    position = fresh.position();
                    thread::yield_now();
                }
            });
        }
    });
    assert!(writer.end());
}

#[test]
fn processes_that_create_a_file_at_the_same_moment_agree() {
    const ROUNDS: usize = 60;
    let place = Place::new();
    let mut processes: Vec<Process> = (0..3).map(|_| obedient()).collect();
    for round in 0..ROUNDS {
        let path = place.file(&format!("{round}.db"));
        // In some rounds they ask for what the file has otherwise if this process makes it.
        let keys = ["", " unique=none clock=simulated", " guards=off", " journal_mode=DELETE"][round % 4];
        for process in &processes {
            process.line.say(&format!("open {path}{keys}"));
        }
        // The journal is no setting of the file, so that here all ask for the same.
        let mine: &[&str] = if keys.contains("journal") { &["journal_mode=DELETE"] } else { &[] };
        let mine = open_and_describe(&path, mine).unwrap();
        let said: Vec<String> = processes.iter_mut().map(|process| process.line.hear().unwrap()).collect();
        let settled = mine.1.rsplit_once("unique").unwrap().1.to_string();
        for said in &said {
            if said.starts_with("opened") {
                assert_eq!(said.rsplit_once("unique").unwrap().1, settled, "round {round}");
            } else {
                assert!(!keys.is_empty() && said.starts_with("InvalidConfig "), "round {round}: {said}");
            }
        }
        if keys.is_empty() || keys.contains("journal") {
            assert!(said.iter().all(|said| *said == mine.1), "round {round}: {} and {said:?}", mine.1);
        }
        assert_eq!(mine.0.append_json(&entry(0.0, "n")).unwrap(), 1);
        let mut next = 2;
        for (process, said) in processes.iter_mut().zip(&said) {
            if said.starts_with("opened") {
                assert_eq!(process.ask(&format!("append {next} n")), next.to_string());
                next += 1;
                assert_eq!(process.ask("close"), "closed");
            }
        }
        assert_eq!(mine.0.count().unwrap(), next - 1);
        let sqlite = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(integrity(&sqlite), "ok");
        let vacuum: i64 = sqlite.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
        assert_eq!(vacuum, 2, "incremental");
    }
}

#[test]
fn of_processes_that_create_a_file_differently_one_wins() {
    let place = Place::new();
    let mut one = obedient();
    let mut other = obedient();
    let mut wins = [0, 0];
    for round in 0..60 {
        let path = place.file(&format!("{round}.db"));
        // Who is told first has a lead; both orders, so that both can win.
        let told = [format!("open {path} unique=none"), format!("open {path} unique=timestamp_node_id")];
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            [&one, &other][which].line.say(&told[which]);
        }
        let said = [one.line.hear().unwrap(), other.line.hear().unwrap()];
        let winner = said.iter().position(|said| said.starts_with("opened")).expect("one of them opens it");
        assert!(said[1 - winner].starts_with("InvalidConfig unique: "), "{said:?}");
        wins[winner] += 1;
        let winner = [&mut one, &mut other].into_iter().nth(winner).unwrap();
        assert_eq!(winner.ask("append 1 n"), "1");
        let is_unique = winner.ask("append 1 n").starts_with("Duplicate timestamp: ");
        let sqlite = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT value FROM simledger_settings WHERE name = 'unique'";
        let settled: String = sqlite.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(settled, if is_unique { "timestamp_node_id" } else { "none" });
        assert_eq!(winner.ask("close"), "closed");
    }
    println!("unique = none won {} times, the other {} times", wins[0], wins[1]);
    assert!(wins[0] > 0 && wins[1] > 0);
}

#[test]
fn a_lock_that_another_process_holds_is_busy_after_the_timeout() {
    let place = Place::new();
    let ledger = place.open(&[("timeout", "0.2"), ("commit", "sqlite")]);
    let at_once = place.open(&[("timeout", "0")]);
    let patient = place.open(&[("timeout", "60")]);
    assert_eq!(ledger.append_json(&entry(0.0, "n")).unwrap(), 1);
    let mut other = obedient();
    other.ask(&format!("sqlite {}", place.file("ledger.db")));
    assert_eq!(other.ask("sql BEGIN IMMEDIATE"), "done");

    let busy_before = metric(&ledger, "errors.BUSY");
    for (ledger, timeout) in [(&ledger, 200), (&at_once, 0)] {
        for work in [
            (&|| ledger.append_json(&entry(1.0, "n"))) as &dyn Fn() -> simledger::Result<i64>,
            &|| ledger.append_many_json(&entry(1.0, "n")).map(|batched| batched.first_id),
            &|| ledger.cleanup_before_id(2),
        ] {
            let begun = Instant::now();
            let error = work().unwrap_err();
            assert!(begun.elapsed() >= Duration::from_millis(timeout), "the time budget is for waiting");
            assert_eq!(error.status(), Status::Busy);
            assert!(error.is_retryable());
            assert_eq!(error.sqlite_code(), rusqlite::ffi::SQLITE_BUSY);
            let said = format!("lock for all of the {:?}", Duration::from_millis(timeout));
            assert!(
                error.message().contains(&said) && error.message().contains("raise the timeout"),
                "{error}"
            );
        }
    }
    assert_eq!(metric(&ledger, "errors.BUSY") - busy_before, 6.0);
    // Who reads does not wait for who writes.
    assert_eq!(ids(&at_once.poll_since(0, NO_LIMIT).unwrap()), [1]);
    assert_eq!((at_once.count().unwrap(), at_once.get_by_id(1).unwrap().is_some()), (1, true));

    thread::scope(|scope| {
        // One that waits for the other process stands before all others of this process.
        let waiting = scope.spawn(|| patient.append_json(&entry(2.0, "n")));
        let error = loop {
            let error = at_once.append_json(&entry(3.0, "n")).unwrap_err();
            if error.sqlite_code() == 0 {
                break error;
            }
            assert!(!waiting.is_finished(), "it does not wait");
            thread::yield_now();
        };
        assert_eq!((error.status(), error.is_retryable()), (Status::Busy, true));
        assert!(error.message().contains("other threads were writing"), "{error}");
        assert_eq!(other.ask("sql COMMIT"), "done");
        assert_eq!(waiting.join().unwrap().unwrap(), 2);
    });
    assert_eq!(at_once.append_json(&entry(3.0, "n")).unwrap(), 3);
}

/// A file that another process is writing to cannot become a ledger of ours at this moment.
#[test]
fn opening_a_file_that_another_process_has_locked_is_busy_after_the_timeout() {
    let place = Place::new();
    let mut other = obedient();
    other.ask(&format!("sqlite {}", place.file("ledger.db")));
    other.ask("sql BEGIN IMMEDIATE");
    for timeout in ["0", "0.1"] {
        let error = place.try_open(&[("timeout", timeout)]).err().expect("it is locked");
        assert_eq!((error.status(), error.is_retryable()), (Status::Busy, true), "{error}");
        assert!(error.message().contains("ledger.db"), "{error}");
    }
    other.ask("sql COMMIT");
    assert_eq!(place.open(&[("timeout", "60")]).append_json(&entry(0.0, "n")).unwrap(), 1);
}

#[test]
fn a_full_pool_is_busy_after_the_timeout_and_never_a_hang() {
    const TIMEOUT: Duration = Duration::from_millis(50);
    let place = Place::new();
    // With a rollback journal a foreign exclusive lock makes a reader wait, its connection in hand.
    let keys = [("journal_mode", "DELETE"), ("max_connections", "1"), ("commit", "sqlite")];
    let patient = place.open(&[&keys[..], &[("timeout", "60")]].concat());
    let hasty = place.open(&[&keys[..], &[("timeout", "0.05")]].concat());
    hasty.append_json(&entry(0.0, "n")).unwrap();
    assert_eq!(hasty.count().unwrap(), 1);
    let sqlite = place.sqlite();
    sqlite.execute_batch("BEGIN EXCLUSIVE").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| patient.count());
        let error = loop {
            let begun = Instant::now();
            let error = hasty.count().unwrap_err();
            assert!(begun.elapsed() >= TIMEOUT);
            assert_eq!((error.status(), error.is_retryable()), (Status::Busy, true), "{error}");
            // Until the other one has the connection, it is this one that meets the lock.
            if error.field() == "max_connections" {
                break error;
            }
        };
        assert!(error.message().contains("all 1 connections were in use for all of the 50ms"), "{error}");
        for result in [hasty.read_all(), hasty.poll_since(0, 1)] {
            assert_eq!(result.unwrap_err().field(), "max_connections");
        }
        sqlite.execute_batch("COMMIT").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
    });
    assert_eq!(hasty.count().unwrap(), 1);
}

#[test]
fn a_full_pool_opens_no_further_connection() {
    const READERS: usize = 3;
    let place = Place::new();
    // With a log the drain would have the lock now and then.
    let keys = [("journal_mode", "DELETE"), ("max_connections", "3"), ("commit", "sqlite")];
    let patient = place.open(&[&keys[..], &[("timeout", "60")]].concat());
    let at_once = place.open(&[&keys[..], &[("timeout", "0")]].concat());
    patient.append_json(&entry(0.0, "n")).unwrap();
    let sqlite = place.sqlite();
    // Readers wait at this lock, their connections in hand.
    sqlite.execute_batch("BEGIN EXCLUSIVE").unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..READERS).map(|_| scope.spawn(|| patient.count())).collect();
        while metric(&at_once, "connections_out") < READERS as f64 {
            assert!(!waiting.iter().any(|reader| reader.is_finished()), "it does not wait");
            thread::yield_now();
        }
        let error = at_once.count().unwrap_err();
        let opened = metric(&at_once, "connections_open");
        sqlite.execute_batch("COMMIT").unwrap();
        assert_eq!((error.status(), error.field()), (Status::Busy, "max_connections"), "{error}");
        assert_eq!(opened, READERS as f64);
        for reader in waiting {
            assert_eq!(reader.join().unwrap().unwrap(), 1);
        }
    });
    assert_eq!(at_once.count().unwrap(), 1);
    assert_eq!(metric(&at_once, "connections_open"), READERS as f64, "they are kept for the next");
}

/// Appends that wait go together into a transaction; each has its own answer all the same.
#[test]
fn of_equal_entries_one_is_added_and_the_others_hear_which() {
    const THREADS: usize = 8;
    for (on_duplicate, refuses) in [("error", true), ("ignore", false)] {
        let place = Place::new();
        let ledger = place.open(&[("commit", "sqlite"), ("on_duplicate", on_duplicate), ("timeout", "60")]);
        let append = |thread: usize| -> Vec<i64> {
            // Each in an order of its own, so that all of them meet.
            let order = (0..300).map(|index| (index * (2 * thread + 1) + 37 * thread) % 300);
            let mut ids = vec![0; 300];
            for time in order.filter(|time| time % 3 != 0 || thread == 0) {
                ids[time] = match ledger.append_json(&written(7, time)) {
                    Ok(id) => id,
                    Err(error) => {
                        assert!(refuses && error.status() == Status::Duplicate, "{error}");
                        error.entry_id().expect("the one that is there")
                    }
                };
            }
            ids
        };
        let answers: Vec<Vec<i64>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let append = &append;
                    scope.spawn(move || append(thread))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let all = ledger.read_all().unwrap();
        assert_eq!(ids(&all), (1..=300).collect::<Vec<_>>());
        for entry in all.iter() {
            let (_, time) = who_wrote(entry);
            for answer in answers.iter().map(|answer| answer[time]).filter(|answer| *answer != 0) {
                assert_eq!(answer, entry.id(), "{time}");
            }
        }
    }
}
