//! A disk that fails: each job is done with the first call on a file failing, then the second, and so on
//! until it passes, in all the ways in which a disk fails, once and for good.
//!
//! Whatever fails, the caller has a status that fits and a message with the file and what the system said of it;
//! what was acknowledged is there and what was refused is not, in the same handle and after the next
//! opening; and the ledger works again when the fault is gone. What was acknowledged at FULL is on the medium,
//! also where syncs fail.
//!
//! `tests/disk/failing.c` is preloaded for that. `LEDGER_DISK_CASES` says how many cases are tried, chosen at random by
//! `LEDGER_TEST_SEED`, each call on each file as often as any other; `all`: every call in every way, for hours.
//! `LEDGER_DISK_CASE=<what stands behind "found at">` tries that again, 50 times, since threads make calls in turn.

mod common;
#[path = "disk/faults.rs"]
mod faults;
#[path = "disk/jobs.rs"]
mod jobs;
#[path = "disk/medium.rs"]
mod medium;
#[path = "disk/sites.rs"]
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::batches::Batch;
use common::{Random, again, config, integrity, parameter};
use faults::{Disk, FAULTS, Fault, LOOK, REMOVE, SIZE, SYNC, WRITE};
use jobs::{Before, JOBS, Job, Run, WAYS, Way};
use simledger::{Ledger, Status};
use sites::Sites;

/// Ledgers as they are before a job.
struct Templates {
    closed: PathBuf,
    left: PathBuf,
    known: BTreeMap<i64, Batch>,
    left_known: BTreeMap<i64, Batch>,
    next: i64,
}

fn templates(folder: &Path, way: &Way) -> Templates {
    let [closed, left, made] = ["closed", "left", "made"].map(|name| folder.join(name));
    for path in [&closed, &left, &made] {
        let _ = fs::remove_dir_all(path);
        fs::create_dir(path).unwrap();
    }
    let fault = &FAULTS[0];
    let mut run = Run::new(made.join("ledger.db"), way.keys(), fault);
    assert!(run.open());
    for count in [1, 7, 1, 12, 1, 30, 1] {
        assert!(run.append(count));
    }
    run.close();
    copy(&made, &closed);
    let (known, next) = (run.known.clone(), run.next);
    assert!(run.open());
    assert!(run.append(1));
    run.call("flush", Ledger::flush);
    // The drain cannot store what follows while somebody else has SQLite's lock.
    let commits_by_log = run.ledger.as_ref().unwrap().option("commit").unwrap() == "log";
    let other = commits_by_log.then(|| rusqlite::Connection::open(made.join("ledger.db")).unwrap());
    if let Some(other) = &other {
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
    }
    assert!(run.append(4) && run.append(1));
    copy(&made, &left);
    drop(other);
    run.close();
    assert_eq!(run.errors, Vec::<String>::new());
    Templates { closed, left, known, left_known: run.known, next }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        // Without a process there is nothing in it.
        if !file.file_name().to_str().unwrap().ends_with("-shm") {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// What is open or mapped below a folder.
fn held(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let open =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let open = open.map(|path| path.display().to_string());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().map(str::to_string);
    open.chain(mapped).filter(|name| name.contains(folder)).collect()
}

/// Nothing stays beside a ledger that was closed.
fn nothing_else_is_in(place: &Path, way: &Way, job: &Job) {
    for file in fs::read_dir(place).unwrap() {
        let name = file.unwrap().file_name();
        // A change that failed may leave what nobody needs.
        let of_a_change = job.name == "change" && (name == "ledger.db-log" || name == "ledger.db-wake");
        let of_its_mode = ["TRUNCATE", "PERSIST"].contains(&way.journal_mode) && name == "ledger.db-journal";
        let may_stay = name == "ledger.db" || of_a_change || of_its_mode;
        assert!(may_stay, "{name:?} stays beside a ledger that was closed");
    }
}

/// Does a job with the call of this number failing. Whether any did; what is not as it should be.
fn attempt(
    disk: &Disk,
    folder: &Path,
    templates: &Templates,
    way: &Way,
    job: &Job,
    (fault, number, lasts): (&Fault, i64, bool),
) -> (bool, Vec<String>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let place = folder.join("now").join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    match job.before {
        Before::Nothing => fs::create_dir(&place).unwrap(),
        Before::Left => copy(&templates.left, &place),
        Before::Closed | Before::Open => copy(&templates.closed, &place),
    }
    let mut run = Run::new(place.join("ledger.db"), way.keys(), fault);
    run.next = templates.next + 100;
    run.known = match job.before {
        Before::Nothing => BTreeMap::new(),
        Before::Left => templates.left_known.clone(),
        Before::Closed | Before::Open => templates.known.clone(),
    };
    let mut failed = false;
    let done = panic::catch_unwind(AssertUnwindSafe(|| {
        if job.before == Before::Open {
            assert!(run.open());
        }
        disk.arm(fault, number, lasts);
        (job.work)(&mut run);
        failed = disk.disarm();
        run.keys.push(("timeout", "10"));
        // The fault is gone: the same handle goes on, where there is one.
        if run.ledger.is_none() {
            assert!(run.open(), "it opens when the fault is gone: {:?}", run.errors);
        }
        run.ledger.as_ref().unwrap().set_option("timeout", "10").unwrap();
        run.look("in the handle");
        let appends = run.append(1) || (run.is_read_only && reopened(&mut run) && run.append(1));
        assert!(appends, "it appends when the fault is gone: {:?}", run.errors);
        run.look("in the handle");
        let ledger = run.ledger.as_ref().unwrap();
        ledger.flush().unwrap_or_else(|error| panic!("flush when the fault is gone: {error}"));
        ledger.checkpoint().unwrap_or_else(|error| panic!("checkpoint when the fault is gone: {error}"));
        run.close();
        assert_eq!(held(&place), Vec::<String>::new(), "something of it stays open");
        assert_eq!(disk.closed_twice(), 0, "a descriptor was closed that was not open");
        // On a disk that goes on failing nothing can be taken away; and what a dead process left is only taken away by
        // who could use it, where the file system could be asked for that.
        if !lasts && job.before != Before::Left {
            nothing_else_is_in(&place, way, job);
        }
        assert!(run.open(), "it opens again: {:?}", run.errors);
        run.look("after the next opening");
        let findings = run.ledger.as_ref().unwrap().integrity_check(10, None).unwrap();
        assert_eq!(findings, Vec::<String>::new());
        run.close();
        let other = rusqlite::Connection::open(&run.path).unwrap();
        assert_eq!(integrity(&other), "ok");
        drop(other);
        nothing_else_is_in(&place, way, job);
    }));
    failed |= disk.disarm();
    if let Err(payload) = done {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        run.errors.push(text.unwrap_or_default());
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(run.ledger.take())));
    }
    for error in &mut run.errors {
        *error = error.replace(place.to_str().unwrap(), "");
    }
    let _ = fs::remove_dir_all(&place);
    (failed, run.errors)
}

fn reopened(run: &mut Run) -> bool {
    run.close();
    run.open()
}

static AT: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Says where it was when a case does not come to its end.
fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            if let Some((at, since)) = AT.lock().unwrap().as_ref()
                && since.elapsed() > Duration::from_secs(60)
            {
                println!("found: it hangs: {at}");
                std::process::abort();
            }
        }
    });
}

/// The disk of a process that is started with one, and the folder of its cases; `None` in others.
fn begin() -> Option<(Disk, PathBuf)> {
    let folder = PathBuf::from(parameter("FOLDER")?);
    let disk = Disk::find().expect("the library that lets calls fail is loaded");
    watch();
    fs::create_dir(folder.join("now")).unwrap();
    disk.below(&folder.join("now"));
    Some((disk, folder))
}

fn title_of(way: &Way, job: &Job, (fault, number, lasts): (&Fault, i64, bool)) -> String {
    let times = if lasts { "for good" } else { "once" };
    format!(
        "{}, {} {}, {} {times}, call {number}",
        job.name, way.journal_mode, way.synchronous_mode, fault.name
    )
}

/// What is found, each once.
struct Found<'d> {
    disk: &'d Disk,
    folder: &'d Path,
    seen: BTreeSet<String>,
    jobs: u64,
    faults: u64,
}

impl Found<'_> {
    /// Does a job with nothing failing, to learn what it calls.
    fn sites(&mut self, templates: &Templates, way: &Way, job: &Job) -> Sites {
        self.disk.note(Some(sites::note));
        self.attempt(templates, way, job, (&FAULTS[0], i64::MAX, false));
        self.disk.note(None);
        Sites::take()
    }

    /// Tries the case with this title, if it is one of this way.
    fn again(&mut self, templates: &Templates, way: &Way, title: &str) {
        let (_, number) = title.rsplit_once(", call ").expect("what a case is called");
        let number = number.parse().expect("the number of a call");
        for (job, fault) in JOBS.iter().flat_map(|job| FAULTS.iter().map(move |fault| (job, fault))) {
            for case in [(fault, number, false), (fault, number, true)] {
                if title_of(way, job, case) == title {
                    for _ in 0..50 {
                        self.attempt(templates, way, job, case);
                    }
                }
            }
        }
    }

    /// Tries a case. Whether anything failed in it.
    fn attempt(&mut self, templates: &Templates, way: &Way, job: &Job, case: (&Fault, i64, bool)) -> bool {
        let (fault, title) = (case.0, title_of(way, job, case));
        *AT.lock().unwrap() = Some((title.clone(), Instant::now()));
        let (failed, errors) = attempt(self.disk, self.folder, templates, way, job, case);
        self.jobs += 1;
        self.faults += u64::from(failed);
        // The file without the folder of the case.
        let call = self.disk.first();
        let (name, path) = call.split_once(' ').unwrap_or_default();
        let call = format!("{name} {}", path.rsplit('/').next().unwrap_or_default());
        for error in errors {
            if self.seen.insert(format!("{} {} {call} {error}", job.name, fault.name)) {
                println!("found at {title}: {call}: {error}");
            }
        }
        failed
    }
}

#[test]
#[ignore = "it is started with a disk that fails"]
fn fails_at_every_call() {
    let Some((disk, folder)) = begin() else { return };
    let mut random = Random::new();
    panic::set_hook(Box::new(|_| ()));
    let mut found = Found { disk: &disk, folder: &folder, seen: BTreeSet::new(), jobs: 0, faults: 0 };
    for way in &WAYS {
        let templates = templates(&folder, way);
        if let Ok(case) = std::env::var("LEDGER_DISK_CASE") {
            found.again(&templates, way, &case);
            continue;
        }
        if let Some(cases) = cases() {
            let mut sites = BTreeMap::new();
            for _ in 0..cases / WAYS.len() as u64 {
                let job = &JOBS[random.below(JOBS.len() as u64) as usize];
                let fault = &FAULTS[random.below(FAULTS.len() as u64) as usize];
                let lasts = fault.lasts && random.below(2) == 1;
                let sites = sites.entry(job.name).or_insert_with(|| found.sites(&templates, way, job));
                // Not every job makes calls that can fail in this way.
                if let Some(number) = sites.choose(fault, &mut random) {
                    found.attempt(&templates, way, job, (fault, number, lasts));
                }
            }
            continue;
        }
        for (job, fault) in JOBS.iter().flat_map(|job| FAULTS.iter().map(move |fault| (job, fault))) {
            for lasts in [false, true].into_iter().filter(|lasts| fault.lasts || !lasts) {
                let mut numbers = 1..;
                while numbers
                    .next()
                    .is_some_and(|number| found.attempt(&templates, way, job, (fault, number, lasts)))
                {
                }
            }
        }
    }
    let Found { seen, jobs, faults, .. } = found;
    println!("done: {jobs} jobs, {faults} of them on a disk that failed, {} findings", seen.len());
    assert!(seen.is_empty());
    assert!(faults > 0, "no call failed in any of them");
}

/// How many cases are tried, chosen at random; `None`: all that there are.
fn cases() -> Option<u64> {
    match std::env::var("LEDGER_DISK_CASES").as_deref() {
        Ok("all") => None,
        Ok(number) => Some(number.parse().unwrap()),
        Err(_) => Some(80),
    }
}

/// How a ledger that is synced is used while syncs fail, and what of it is left when the power goes: in the middle of
/// that, or when it `goes_on` after that. Whether a sync failed.
fn cut_off(
    disk: &Disk,
    folder: &Path,
    templates: &Templates,
    way: &Way,
    (number, count, goes_on): (i64, u64, bool),
) -> bool {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let cut = folder.join(format!("cut-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let place = folder.join("now").join(cut.file_name().unwrap());
    copy(&templates.closed, &place);
    let fault = &FAULTS[0];
    let mut run = Run::new(place.join("ledger.db"), way.keys(), fault);
    (run.known, run.next) = (templates.known.clone(), templates.next);
    run.keys.push(("timeout", "10"));
    medium::begin(&place);
    disk.watch(Some(medium::watch));
    assert!(run.open());
    disk.arm(&Fault { kinds: SYNC, ..*fault }, number, true);
    for _ in 0..count {
        run.append(1);
        run.append(3);
    }
    // Who asks again meanwhile hears that it is there all the same.
    let again =
        |run: &Run<'_>, value: &str| run.ledger.as_ref().unwrap().set_option("on_duplicate", value).unwrap();
    again(&run, "ignore");
    for (id, batch) in &run.doubtful {
        if let Err(error) = batch.try_append(run.ledger.as_ref().unwrap()) {
            assert_eq!(error.entry_id(), Some(id + batch.count - 1), "{error}");
        }
    }
    again(&run, "error");
    let mut failed = false;
    if goes_on {
        failed |= disk.disarm();
        for _ in 0..3 {
            run.append(1);
        }
        // Who asks again hears that it is there, and then it stays.
        run.ledger.as_ref().unwrap().set_option("on_duplicate", "ignore").unwrap();
        let doubtful = std::mem::take(&mut run.doubtful);
        for (id, batch) in doubtful {
            // A batch of which nothing was added has no first id.
            assert!([0, id].contains(&batch.append(run.ledger.as_ref().unwrap())));
            run.known.insert(id, batch);
        }
    }
    disk.watch(None);
    medium::after_a_power_cut(&place, &cut);
    failed |= disk.disarm();
    // What was said to be in doubt may be there now.
    run.doubtful.clear();
    run.ledger = None;
    run.path = cut.join("ledger.db").to_str().unwrap().to_string();
    assert!(run.open(), "{:?}", run.errors);
    run.look("after a power cut");
    run.close();
    assert_eq!(run.errors, Vec::<String>::new());
    let _ = fs::remove_dir_all(&place);
    let _ = fs::remove_dir_all(&cut);
    failed
}

#[test]
#[ignore = "it is started with a disk that fails"]
fn syncs_fail_and_the_power_goes() {
    let Some((disk, folder)) = begin() else { return };
    let rounds = cases().map_or(2000, |cases| cases / 20);
    let (mut random, mut failed) = (Random::new(), 0);
    let ways = || WAYS.iter().filter(|way| way.synchronous_mode == "FULL");
    for way in ways() {
        let templates = templates(&folder, way);
        for _ in 0..rounds {
            let case = (1 + random.below(6) as i64, 1 + random.below(4), random.below(2) == 0);
            *AT.lock().unwrap() = Some((format!("{} {case:?}", way.journal_mode), Instant::now()));
            failed += u64::from(cut_off(&disk, &folder, &templates, way, case));
        }
    }
    println!(
        "done: {} power cuts, {failed} of them after syncs that failed, nothing acknowledged was lost",
        ways().count() as u64 * rounds
    );
    assert!(failed > 0, "no sync failed");
}

/// Runs a test of this program with the library preloaded.
fn with_a_failing_disk(test: &str) {
    let folder = folder();
    let library = folder.path().join("failing.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o"])
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/failing.c"))
        .arg("-ldl")
        .status();
    assert!(compiled.expect("a C compiler").success());
    let mut command = again(test);
    command.env("LD_PRELOAD", &library);
    let status = command.env("SIMLEDGER_TEST_FOLDER", folder.path()).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "it is started with a disk that fails"]
fn looks_fail_while_a_ledger_is_made() {
    let Some((disk, folder)) = begin() else { return };
    at_every_call(&disk, &folder, &WAYS[0], "create", &looks("EIO"), false);
}

/// A companion that was just made cannot be looked at.
#[test]
#[ignore = "it is started with a disk that fails"]
fn looks_fail_while_a_ledger_is_opened() {
    let Some((disk, folder)) = begin() else { return };
    at_every_call(&disk, &folder, &WAYS[0], "open", &looks("EIO"), false);
}

/// With a rollback journal a change may be carried out whose end fails, and nobody can find out.
#[test]
#[ignore = "it is started with a disk that fails"]
fn looks_fail_while_the_way_of_committing_changes() {
    let Some((disk, folder)) = begin() else { return };
    let way = WAYS.iter().find(|way| way.journal_mode == "PERSIST").unwrap();
    at_every_call(&disk, &folder, way, "change", &looks("ENOMEM"), true);
}

/// Without room for SQLite's -shm nothing may be stored there in memory: who did would be ended by a signal.
#[test]
#[ignore = "it is started with a disk that fails"]
fn room_for_shared_memory_cannot_be_had() {
    let Some((disk, folder)) = begin() else { return };
    let no_room = Fault { kinds: SIZE, ..*fault("ENOSPC") };
    let mut refused = 0;
    for number in 1.. {
        let place = folder.join("now").join(number.to_string());
        fs::create_dir(&place).unwrap();
        let path = place.join("ledger.db");
        disk.arm(&no_room, number, false);
        let opened = Ledger::open(&config(path.to_str().unwrap(), &[("journal_mode", "WAL")]));
        let failed = disk.disarm();
        let call = disk.first();
        if !failed {
            break;
        }
        if call.starts_with("fallocate") && call.ends_with("-shm") {
            assert_eq!(opened.err().map(|error| error.status()), Some(Status::NoSpace), "{call}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no room was asked for");
}

fn fault(name: &str) -> &'static Fault {
    FAULTS.iter().find(|fault| fault.name == name).unwrap()
}

fn looks(name: &str) -> Fault {
    Fault { kinds: LOOK, ..*fault(name) }
}

/// Does a job with each call failing, one after another, until it passes.
fn at_every_call(disk: &Disk, folder: &Path, way: &Way, job: &str, fault: &Fault, lasts: bool) {
    let templates = templates(folder, way);
    let job = JOBS.iter().find(|other| other.name == job).unwrap();
    let mut numbers = 1..;
    let mut has_failed = true;
    while has_failed {
        let case = (fault, numbers.next().unwrap(), lasts);
        let errors;
        (has_failed, errors) = attempt(disk, folder, &templates, way, job, case);
        assert_eq!(errors, Vec::<String>::new(), "{}", title_of(way, job, case));
    }
}

/// A journal that stays is there to be opened where it may not be written, or cannot be opened at all.
#[test]
#[ignore = "it is started with a disk that fails"]
fn a_journal_cannot_be_opened() {
    let Some((disk, folder)) = begin() else { return };
    for way in WAYS.iter().filter(|way| ["TRUNCATE", "PERSIST"].contains(&way.journal_mode)) {
        at_every_call(&disk, &folder, way, "append", fault("EROFS"), false);
        at_every_call(&disk, &folder, way, "open to read", fault("EMFILE"), false);
    }
}

/// What becomes of an append of which one sync failed, and of it and others at the same time, in the handle and after
/// a death of all processes.
#[test]
#[ignore = "it is started with a disk that fails"]
fn syncs_of_appends_fail_and_all_processes_die() {
    let Some((disk, folder)) = begin() else { return };
    for journal_mode in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
        let mut numbers = 1..;
        let mut has_failed = true;
        while has_failed {
            let number = numbers.next().unwrap();
            *AT.lock().unwrap() = Some((format!("{journal_mode} {number}"), Instant::now()));
            let [place, left] = ["now", "left"].map(|name| folder.join(name).join(number.to_string()));
            fs::create_dir(&place).unwrap();
            let way = Way { journal_mode, synchronous_mode: "FULL" };
            let fault = Fault { kinds: SYNC, ..FAULTS[0] };
            let mut run = Run::new(place.join("ledger.db"), way.keys(), &fault);
            run.keys.push(("commit", "sqlite"));
            assert!(run.open() && run.append(3));
            disk.arm(&fault, number, false);
            run.append(1);
            has_failed = disk.disarm();
            run.look("in the handle");
            fs::create_dir_all(folder.join("left")).unwrap();
            copy(&place, &left);
            let path = std::mem::replace(&mut run.path, left.join("ledger.db").to_str().unwrap().to_string());
            let ledger = run.ledger.take();
            assert!(run.open());
            run.look("after a death of all processes");
            run.close();
            (run.path, run.ledger) = (path, ledger);
            together(&disk, &mut run, number);
            run.close();
            assert_eq!(run.errors, Vec::<String>::new(), "{journal_mode}, sync {number}");
            for folder in [place, left] {
                fs::remove_dir_all(folder).unwrap();
            }
        }
    }
}

/// Appends of some threads at once while a sync fails: each hears what became of his own.
fn together(disk: &Disk, run: &mut Run, number: i64) {
    let ledger = run.ledger.take().unwrap();
    disk.arm(&Fault { kinds: SYNC, ..FAULTS[0] }, number, false);
    let next = run.next;
    let appended: Vec<_> = thread::scope(|scope| {
        let append = |index| {
            let batch = Batch { writer: "t".to_string(), k: next + index, count: 1 };
            (ledger.append_json(&batch.entry(0)), batch)
        };
        let threads: Vec<_> = (0..16).map(|index| scope.spawn(move || append(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    disk.disarm();
    run.ledger = Some(ledger);
    run.next += 16;
    for (result, batch) in appended {
        match result.map_err(|error| (error.entry_id(), error)) {
            Ok(id) => assert_eq!(run.known.insert(id, batch), None),
            Err((Some(id), error)) if error.status() == Status::Io => run.doubtful.push((id, batch)),
            Err((_, error)) => {
                run.check("append", &error);
                run.refused.push(batch);
            }
        }
    }
    run.look("with others");
}

#[test]
fn nothing_is_lost_whichever_call_fails() {
    with_a_failing_disk("fails_at_every_call");
}

#[test]
fn a_sync_that_failed_is_not_believed_later() {
    with_a_failing_disk("syncs_fail_and_the_power_goes");
}

#[test]
fn a_look_that_fails_leaves_no_descriptor_open_and_closes_none_twice() {
    with_a_failing_disk("looks_fail_while_a_ledger_is_made");
}

#[test]
fn a_look_that_fails_leaves_no_companion_beside_a_ledger() {
    with_a_failing_disk("looks_fail_while_a_ledger_is_opened");
}

#[test]
fn a_change_of_which_nobody_knows_whether_it_was_carried_out_is_put_back() {
    with_a_failing_disk("looks_fail_while_the_way_of_committing_changes");
}

#[test]
fn shared_memory_without_room_is_a_status() {
    with_a_failing_disk("room_for_shared_memory_cannot_be_had");
}

#[test]
fn a_journal_that_cannot_be_opened_is_said_to_be_that() {
    with_a_failing_disk("a_journal_cannot_be_opened");
}

#[test]
fn an_append_whose_sync_failed_is_there_or_not_as_it_was_said() {
    with_a_failing_disk("syncs_of_appends_fail_and_all_processes_die");
}

/// Where syncs cost little, if there is such a place.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
