//! Disks that are full, file systems that turn read-only, files that may not grow and folders that are gone, as
//! the kernel has them: a status that fits, no signal, nothing acknowledged is lost, and the ledger goes on
//! in the same handle when there is room again.
//!
//! `campaigns/disk` makes small file systems and says where: `LEDGER_DISK_FULL`, folders divided by colons, and
//! `LEDGER_DISK_READ_ONLY`, a folder and the file that lets its file system fail. Without them, and without the right to
//! be somebody else, these tests pass and say so.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::batches::{Batch, check_whole};
use common::{Place, again, config, integrity, parameter};
use simledger::{Ledger, NO_LIMIT, Result, Status};

/// A ledger that is used until something fails, with what was acknowledged.
struct Used {
    path: PathBuf,
    ledger: Ledger,
    acknowledged: i64,
}

fn open(path: &Path) -> Result<Ledger> {
    open_with(path, "NORMAL")
}

fn open_with(path: &Path, synchronous_mode: &str) -> Result<Ledger> {
    let keys = [("log_bytes", "65536"), ("timeout", "20"), ("synchronous_mode", synchronous_mode)];
    Ledger::open(&config(path.to_str().unwrap(), &keys))
}

impl Used {
    fn new(path: &Path, acknowledged: i64) -> Result<Used> {
        Ok(Used { path: path.to_path_buf(), ledger: open(path)?, acknowledged })
    }

    /// One of them takes a page or so, in many places.
    fn append(&mut self, count: i64) -> Result<()> {
        let batch = Batch { writer: "w".to_string(), k: self.acknowledged, count };
        let entries: Vec<String> = (0..count).map(|index| batch.entry(index)).collect();
        self.ledger.append_many_json(&entries.join("\n"))?;
        self.acknowledged += count;
        Ok(())
    }

    fn check(&self) {
        self.check_with(0);
    }

    /// With perhaps so many more, of which it was said that they may be there.
    fn check_with(&self, doubtful: i64) {
        let all = self.ledger.poll_since(0, NO_LIMIT).unwrap();
        check_whole(&all, 1);
        let more = all.len() as i64 - self.acknowledged;
        assert!(more == 0 || more == doubtful, "what was acknowledged, and nothing else: {more} more");
    }

    /// After it was closed.
    fn check_again(self) {
        let Used { path, ledger, acknowledged } = self;
        ledger.close().unwrap();
        let again = Used::new(&path, acknowledged).unwrap();
        again.check();
        again.ledger.close().unwrap();
        assert_eq!(integrity(&rusqlite::Connection::open(&path).unwrap()), "ok");
    }
}

fn is_about(error: &simledger::Error, status: Status, folder: &Path) {
    assert_eq!(error.status(), status, "{error}");
    assert!(error.message().contains(folder.to_str().unwrap()), "{error}");
    assert!(error.message().contains("os error"), "{error}");
}

/// Runs a test of this program in a process of its own, which no signal may end.
fn alone(test: &str, parameters: &[(&str, &Path)]) {
    let mut command = again(test);
    for (name, value) in parameters {
        command.env(format!("SIMLEDGER_TEST_{name}"), value);
    }
    let status = command.status().unwrap();
    assert!(status.success(), "{test}: {status}");
}

/// Fills a file system but for so many pages. The file to be taken away again.
fn fill(folder: &Path, pages: usize) -> PathBuf {
    let (ballast, kept) = (folder.join("ballast"), folder.join("kept"));
    fs::write(&kept, vec![1; pages * 4096]).unwrap();
    let mut file = File::create(&ballast).unwrap();
    for size in [1 << 16, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    let _ = file.sync_all();
    fs::remove_file(&kept).unwrap();
    ballast
}

/// Opens, appends and closes with so little room that it comes to an end anywhere.
#[test]
#[ignore = "on a file system made for it"]
fn works_with_so_much_room() {
    let Some(folder) = parameter("FOLDER").map(PathBuf::from) else { return };
    let pages = parameter("PAGES").unwrap().parse().unwrap();
    let path = folder.join("ledger.db");
    let ballast = fill(&folder, pages);
    let mut used = match Used::new(&path, 0) {
        Ok(used) => used,
        Err(error) => {
            is_about(&error, Status::NoSpace, &folder);
            fs::remove_file(&ballast).unwrap();
            Used::new(&path, 0).unwrap()
        }
    };
    if ballast.exists() {
        let mut failed = None;
        for turn in 0..2000 {
            if let Err(error) = used.append(1 + turn % 40) {
                failed = Some(error);
                break;
            }
        }
        is_about(&failed.expect("the disk is full some time"), Status::NoSpace, &folder);
        used.check();
        for work in [Ledger::flush, Ledger::checkpoint] {
            if let Err(error) = work(&used.ledger) {
                is_about(&error, Status::NoSpace, &folder);
            }
        }
        used.check();
        fs::remove_file(&ballast).unwrap();
    }
    used.append(30).expect("there is room again");
    used.ledger.checkpoint().unwrap();
    used.check();
    used.check_again();
}

#[test]
fn a_full_disk_is_a_status_and_no_end() {
    let Some(folders) = std::env::var_os("LEDGER_DISK_FULL") else {
        return println!("skipped: full file systems (there are none; campaigns/disk makes some)");
    };
    let step = if std::env::var("LEDGER_DISK_CASES").is_ok_and(|cases| cases == "all") { 1 } else { 16 };
    let mut done = 0;
    for folder in std::env::split_paths(&folders) {
        for pages in (0..120).step_by(step) {
            for file in fs::read_dir(&folder).unwrap() {
                let _ = fs::remove_file(file.unwrap().path());
            }
            alone(
                "works_with_so_much_room",
                &[("FOLDER", &folder), ("PAGES", Path::new(&pages.to_string()))],
            );
            done += 1;
        }
    }
    println!("done: {done} times on a full file system, nothing acknowledged was lost");
}

#[test]
#[ignore = "on a file system made for it"]
fn works_until_the_file_system_is_read_only() {
    let Some(folder) = parameter("FOLDER").map(PathBuf::from) else { return };
    let trigger = parameter("TRIGGER").unwrap();
    let synchronous_mode = parameter("SYNCHRONOUS").unwrap();
    let path = folder.join("ledger.db");
    let mut used = Used { ledger: open_with(&path, &synchronous_mode).unwrap(), path, acknowledged: 0 };
    for _ in 0..20 {
        used.append(3).unwrap();
    }
    used.ledger.flush().unwrap();
    fs::write(trigger, "failing\n").unwrap();
    // What the log takes meanwhile is acknowledged, and readers have it.
    let failed = (0..2000).find_map(|_| used.append(10).err()).expect("nothing can be written any more");
    is_about(&failed, Status::ReadOnly, &folder);
    let doubtful = if failed.entry_id().is_some() { 10 } else { 0 };
    used.check_with(doubtful);
    if synchronous_mode == "FULL" {
        fs::write(acknowledged_on(&folder), format!("{} {doubtful}", used.acknowledged)).unwrap();
    }
    // Without a log there is nothing left to do for these.
    let commits_by_log = used.ledger.option("commit").unwrap() == "log";
    for done in [used.ledger.flush(), used.ledger.close()] {
        assert!(done.is_err() || !commits_by_log, "it cannot be stored");
        done.unwrap_or_else(|error| is_about(&error, Status::ReadOnly, &folder));
    }
}

/// What was acknowledged until the file system in this folder could not be written to any more, and how much more
/// may be there.
fn acknowledged_on(folder: &Path) -> PathBuf {
    folder.with_extension("acknowledged")
}

/// The file system is checked and writable again; what was not on its medium is gone.
#[test]
#[ignore = "run by campaigns/disk, after a_file_system_that_turns_read_only_is_a_status"]
fn what_was_acknowledged_is_there_when_the_file_system_is_writable_again() {
    let folder = PathBuf::from(std::env::var_os("LEDGER_DISK_WRITABLE").expect("the folder"));
    let said = fs::read_to_string(acknowledged_on(&folder)).unwrap();
    let (acknowledged, doubtful) = said.split_once(' ').unwrap();
    let mut used = Used::new(&folder.join("ledger.db"), acknowledged.parse().unwrap()).unwrap();
    used.check_with(doubtful.parse().unwrap());
    used.acknowledged = used.ledger.count().unwrap();
    used.append(30).unwrap();
    used.ledger.checkpoint().unwrap();
    used.check();
    used.check_again();
    println!("done: the file system was writable again, and all that was acknowledged there");
}

#[test]
fn a_file_system_that_turns_read_only_is_a_status() {
    let Some(place) = std::env::var_os("LEDGER_DISK_READ_ONLY") else {
        return println!(
            "skipped: a file system that turns read-only (there is none; campaigns/disk makes one)"
        );
    };
    let [folder, trigger] = std::env::split_paths(&place).collect::<Vec<_>>().try_into().unwrap();
    alone(
        "works_until_the_file_system_is_read_only",
        &[("FOLDER", &folder), ("TRIGGER", &trigger), ("SYNCHRONOUS", Path::new("FULL"))],
    );
    println!("done: a file system turned read-only while a ledger was open");
}

fn limit_files_to(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a limit of this process alone.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
}

#[test]
#[ignore = "a process whose files may not be large"]
fn works_with_a_limit_to_its_files() {
    let Some(folder) = parameter("FOLDER").map(PathBuf::from) else { return };
    // Less than the log takes.
    limit_files_to(60_000);
    let opened = open(&folder.join("small.db"));
    if std::env::var("LEDGER_TEST_COMMIT").is_ok_and(|commit| commit == "log") {
        let error = opened.err().expect("there is no room for the log");
        assert_eq!(error.status(), Status::NoSpace, "{error}");
        assert!(error.message().contains("RLIMIT_FSIZE"), "{error}");
    }
    for bytes in [100_000, 200_000, 1_000_000] {
        limit_files_to(bytes);
        let path = folder.join(format!("{bytes}.db"));
        let mut used = Used::new(&path, 0).unwrap();
        let failed = (0..2000).find_map(|turn| used.append(1 + turn % 40).err());
        is_about(&failed.expect("the file is as large as it may be"), Status::NoSpace, &folder);
        used.check();
        let freed = used.ledger.vacuum(simledger::Vacuum::Full);
        freed.map_or_else(|error| is_about(&error, Status::NoSpace, &folder), drop);
        used.check();
        limit_files_to(libc::RLIM_INFINITY);
        // The limit is looked at when a file is opened.
        let Used { ledger, acknowledged, .. } = used;
        let _ = ledger.close();
        let mut used = Used::new(&path, acknowledged).unwrap();
        used.append(30).unwrap();
        used.check();
        used.check_again();
    }
}

#[test]
fn a_limit_to_the_size_of_files_is_a_status_and_no_signal() {
    let place = Place::new();
    alone("works_with_a_limit_to_its_files", &[("FOLDER", &place.path(""))]);
}

/// Becomes somebody who may not do everything, where this process may.
fn become_nobody() -> bool {
    const NOBODY: u32 = 65534;
    // SAFETY: numbers.
    unsafe { libc::geteuid() != 0 || (libc::setgid(NOBODY) == 0 && libc::setuid(NOBODY) == 0) }
}

#[test]
#[ignore = "a process without rights"]
fn works_in_a_folder_that_it_may_not_write() {
    let Some(folder) = parameter("FOLDER").map(PathBuf::from) else { return };
    assert!(become_nobody());
    let path = folder.join("ledger.db");
    let may_write = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    let mut used = Used::new(&path, 0).unwrap();
    used.append(3).unwrap();
    // What is open goes on.
    may_write(0o500);
    used.append(3).unwrap();
    used.check();
    let Used { ledger, acknowledged, .. } = used;
    if let Err(error) = ledger.close() {
        is_about(&error, Status::ReadOnly, &folder);
    }
    match open(&path) {
        Err(error) => {
            assert!([Status::ReadOnly, Status::Io].contains(&error.status()), "{error}");
            assert!(error.message().contains(folder.to_str().unwrap()), "{error}");
        }
        Ok(ledger) => ledger.close().unwrap_or(()),
    }
    may_write(0o700);
    let mut used = Used::new(&path, acknowledged).unwrap();
    used.append(3).unwrap();
    used.check();
    used.check_again();
}

#[test]
fn a_folder_that_may_not_be_written_is_a_status() {
    let place = Place::new();
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } == 0 {
        std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
    }
    alone("works_in_a_folder_that_it_may_not_write", &[("FOLDER", &folder)]);
}

#[test]
fn a_folder_that_is_removed_is_a_status() {
    let place = Place::new();
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("ledger.db");
    let mut used = Used::new(&path, 0).unwrap();
    used.append(3).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    // It is noticed within a second.
    let error = loop {
        if let Err(error) = used.append(1) {
            break error;
        }
    };
    assert_eq!(error.status(), Status::Io, "{error}");
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    let _ = used.ledger.close();
    // Nothing of it is in the way of the next.
    fs::create_dir(&folder).unwrap();
    let mut used = Used::new(&path, 0).unwrap();
    used.append(3).unwrap();
    used.check_again();
}
