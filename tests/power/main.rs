//! Power cuts: everything that is done to the files of a ledger is recorded, and then what a cut could leave
//! at any moment is put together and opened, as after another start of the machine.
//!
//! At `synchronous_mode` FULL every acknowledged entry must be there; at NORMAL a prefix in the order of
//! ids, in whole batches. The recovery is recorded too, and cut; and so is what comes after a kill, whose
//! writes the next power cut may still take.
//!
//! `LEDGER_POWER_RECORDINGS` says how many recordings there are, `LEDGER_POWER_STATES` how many states are
//! opened of each. The files of a state that fails are left in a folder, which is named with the seed;
//! `LEDGER_POWER_STATE=<folder>` opens it again, and nothing else.
#![cfg(feature = "test-hooks")]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod disk;
mod judge;
mod moments;
mod recorder;
mod work;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::Random;
use common::batches::Batch;
use disk::{CUTS, Cut, Disk, Folder};
use judge::{Known, go_on, judge};
use recorder::Event;
use work::{History, Mode, Work};

/// A recording: what there was before it, what happened, and what was appended in it.
struct Recording {
    boot: u64,
    before: Disk,
    known: Known,
    events: Vec<Event>,
    history: History,
}

impl Recording {
    /// What there is when so many events have happened.
    fn until(&self, moment: usize) -> (Disk, Known) {
        let (mut disk, mut known) = (self.before.clone(), self.known);
        for event in &self.events[..moment] {
            disk.apply(event);
            known.hear(event);
        }
        (disk, known)
    }
}

#[derive(Default)]
struct Figures {
    recordings: u64,
    events: usize,
    states: u64,
    again: u64,
    failed: u64,
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// One test at a time: a process has one recording, and one start of the machine.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where states are put together: in memory, if there is such a file system.
fn room() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn write(folder: &Path, files: &Folder) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn record(boot: u64, before: Disk, known: Known, folder: &Path, work: impl FnOnce() -> History) -> Recording {
    let (names, files) = before.names();
    recorder::begin(folder, &names, files);
    let done = catch_unwind(AssertUnwindSafe(work));
    let events = recorder::end();
    let history = done.unwrap_or_else(|why| std::panic::resume_unwind(why));
    Recording { boot, before, known, events, history }
}

#[test]
fn what_a_power_cut_leaves_is_what_is_promised() {
    let _alone = alone();
    let mut random = Random::new();
    if let Ok(state) = std::env::var("LEDGER_POWER_STATE") {
        return open_again(Path::new(&state));
    }
    let (recordings, states) = (number("LEDGER_POWER_RECORDINGS", 2), number("LEDGER_POWER_STATES", 8));
    let room = room();
    let mut figures = Figures::default();
    for nth in 0..recordings {
        let mut random = Random::of(random.below(u64::MAX));
        let mode = Mode {
            journal: ["WAL", "WAL", "DELETE", "DELETE", "WAL", "WAL", "TRUNCATE", "PERSIST"]
                [nth as usize % 8],
            synchronous: ["FULL", "NORMAL"][nth as usize % 2],
        };
        let folder = room.path().join("recorded");
        // From nothing on, or from a file of the Python module.
        let history =
            if nth % 3 == 2 { of_the_module(1 + random.below(80) as i64) } else { History::default() };
        let files = if history.entries.is_empty() { Folder::default() } else { file_of_the_module(&history) };
        write(&folder, &files);
        let known = Known::with(history.entries.len() as i64);
        let recording = record(calls::start_anew(), Disk::of(&files), known, &folder, || {
            let work = Work::new(&folder, "first", history);
            work.run(mode, 20 + random.below(40), &mut random);
            work.history.into_inner().unwrap()
        });
        fs::remove_dir_all(&folder).unwrap();
        figures.recordings += 1;
        let what = format!("recording {nth}");
        cut(&recording, states, true, &what, room.path(), &mut random, &mut figures);
    }
    println!(
        "done: {} recordings with {} events, {} states opened after a power cut, {} of them after two or after a \
         kill before; {} were not as promised",
        figures.recordings, figures.events, figures.states, figures.again, figures.failed
    );
    assert_eq!(figures.failed, 0);
}

/// So many entries, one by one.
fn of_the_module(count: i64) -> History {
    let mut history = History::default();
    (0..count).for_each(|k| {
        history.add(k + 1, &Batch { writer: "module".to_string(), k: k * k % 97 * 1000 + k, count: 1 })
    });
    history
}

/// A ledger of the Python module with them, which is brought up to date when it is opened.
fn file_of_the_module(history: &History) -> Folder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(&format!("{} BEGIN;", common::SEED)).unwrap();
    for (writer, k) in history.entries.values() {
        let batch = Batch { writer: writer.clone(), k: *k, count: 1 };
        let row = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (?1, ?2, ?3, ?4)";
        file.execute(row, (*k as f64, writer, batch.features(0), batch.confidence(0))).unwrap();
    }
    file.execute_batch("COMMIT").unwrap();
    file.close().unwrap();
    Folder::from([("ledger.db".to_string(), fs::read(path).unwrap())])
}

/// Opens so many states that a power cut could leave at some moment of the recording.
fn cut(
    recording: &Recording,
    states: u64,
    may_go_on: bool,
    what: &str,
    room: &Path,
    random: &mut Random,
    figures: &mut Figures,
) {
    figures.events += recording.events.len();
    let mut moments: Vec<usize> =
        (0..states).map(|_| random.below(recording.events.len() as u64 + 1) as usize).collect();
    moments.sort_unstable();
    let (mut disk, mut known) = (recording.before.clone(), recording.known);
    let mut happened = 0;
    for (nth, moment) in moments.into_iter().enumerate() {
        for event in &recording.events[happened..moment] {
            disk.apply(event);
            known.hear(event);
        }
        happened = moment;
        let mut random = Random::of(random.below(u64::MAX));
        let how = if random.below(2) == 0 { Cut::Mixed } else { CUTS[nth % CUTS.len()] };
        let folder = room.join("state");
        let files = disk.cut(how, &mut random);
        write(&folder, &files);
        let mode = Mode::any(&mut random);
        let what = format!("{what}, state {nth}: {how:?} before event {moment}, opened with {mode:?}");
        figures.states += 1;
        figures.again += u64::from(!may_go_on);
        let goes_on = may_go_on && random.below(12) == 0;
        let judged = catch_unwind(AssertUnwindSafe(|| {
            if goes_on {
                // A kill leaves all of it to the next opening; what is on the medium is another matter.
                let (before, boot, must) = if random.below(2) == 0 {
                    calls::go_back_to(recording.boot);
                    write(&folder, &disk.cut(Cut::Everything, &mut random));
                    (disk.clone(), recording.boot, known.of_a_kill())
                } else {
                    (Disk::of(&files), calls::start_anew(), known)
                };
                Some(record(boot, before, known, &folder, || {
                    go_on_recorded(&folder, mode, &recording.history, must, &mut random)
                }))
            } else {
                calls::start_anew();
                let ledger = judge(&folder, mode, &recording.history, known, |_, _| ());
                go_on(ledger, &folder, mode);
                None
            }
        }));
        match judged {
            Ok(Some(next)) => cut(&next, 12, false, &what, room, &mut random, figures),
            Ok(None) => {}
            Err(_) => {
                figures.failed += 1;
                keep(&files, mode, &what, &recording.events[..moment], &known);
            }
        }
    }
}

/// Opens what is in the folder and goes on with it; what there is then.
fn go_on_recorded(folder: &Path, mode: Mode, history: &History, must: Known, random: &mut Random) -> History {
    let mut found = History::default();
    let ledger = judge(folder, mode, history, must, |_, all| found = all.clone());
    recorder::tell(recorder::Told::Durable(mode.is_durable()));
    let work = Work::new(folder, "second", found);
    for _ in 0..1 + random.below(8) {
        work.append(&ledger, 1 + random.below(5) as i64);
    }
    ledger.close().unwrap();
    if random.below(2) == 0 {
        work.run(mode, 1 + random.below(6), random);
    }
    work.history.into_inner().unwrap()
}

/// Keeps the files of a state that is not as promised.
fn keep(files: &Folder, mode: Mode, what: &str, events: &[Event], known: &Known) {
    static KEPT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let nth = KEPT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    println!("not as promised: {what}; {known:?}");
    if nth < 20 {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("power-{}-{nth}", std::process::id()));
        write(&folder, files);
        let last = &events[events.len().saturating_sub(60)..];
        let events: Vec<String> = last.iter().map(show).collect();
        let why =
            format!("{} {}\n{what}\n{known:?}\n{}\n", mode.journal, mode.synchronous, events.join("\n"));
        fs::write(folder.join("why"), why).unwrap();
        println!("its files are in {}", folder.display());
    }
}

fn show(event: &Event) -> String {
    match event {
        Event::Bytes { file, at, bytes, mapped } => {
            format!("{} bytes to {at} of {file}{}", bytes.len(), if *mapped { ", mapped" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

/// Opens a state that was kept; what is in it.
fn open_again(kept: &Path) {
    let room = room();
    let why = fs::read_to_string(kept.join("why")).unwrap();
    let mut words = why.split_whitespace().map(|word| &*word.to_string().leak());
    let mode = Mode { journal: words.next().unwrap(), synchronous: words.next().unwrap() };
    for file in fs::read_dir(kept).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), room.path().join(file.file_name())).unwrap();
    }
    calls::start_anew();
    println!("{}", why.lines().nth(1).unwrap());
    let ledger = mode.open(room.path()).unwrap();
    let ids: Vec<i64> = ledger.read_all().unwrap().iter().map(|entry| entry.id()).collect();
    println!("ids {:?} to {:?}, {} in all", ids.first(), ids.last(), ids.len());
    assert_eq!(ledger.integrity_check(10, None).unwrap(), [""; 0]);
    go_on(ledger, room.path(), mode);
}
