//! Each test has a file of its own; what else the process has open is no matter.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::sys::fork;

/// The first of SQLite's own bytes, and the one that a writer has.
const PENDING_BYTE: i64 = 1 << 30;
const RESERVED_BYTE: i64 = PENDING_BYTE + 1;

fn new_file(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join(name);
    open(&path).execute_batch("PRAGMA journal_mode = DELETE; CREATE TABLE t (i)").unwrap();
    (folder, path)
}

fn open(path: &Path) -> Connection {
    fork::watch();
    Connection::open(path).unwrap()
}

fn read(connection: &Connection) {
    connection.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
}

/// How many descriptors of this process lead to the file.
fn descriptors(path: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).filter(|to| to == path).count()
}

/// Other code of the process, which has the file open in its own way.
struct Host(File);

impl Host {
    fn open(path: &Path) -> Host {
        Host(File::options().read(true).write(true).open(path).unwrap())
    }

    fn lock(&self, command: c_int, kind: c_int, byte: i64) -> io::Result<libc::flock> {
        let mut lock = system::lock_of(kind, byte, 1);
        system::lock(self.0.as_raw_fd(), command, &mut lock).map(|_| lock)
    }

    /// Who has a lock on the byte; -1 stands for an open file description.
    fn holder(&self, byte: i64) -> Option<i32> {
        let found = self.lock(libc::F_OFD_GETLK, libc::F_WRLCK, byte).unwrap();
        (c_int::from(found.l_type) != libc::F_UNLCK).then_some(found.l_pid)
    }
}

#[test]
fn all_opens_share_one_descriptor_and_it_is_closed_with_the_last() {
    let (_folder, path) = new_file("ledger.db");
    assert_eq!(descriptors(&path), 0);
    let connections: Vec<_> = (0..3).map(|_| open(&path)).collect();
    let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(&path, read_only).unwrap();
    read(&reader);
    assert_eq!(descriptors(&path), 1);
    assert!(has_own_locks(&path).unwrap());
    drop(connections);
    assert_eq!(descriptors(&path), 1);
    drop(reader);
    assert_eq!(descriptors(&path), 0);
    assert!(!has_own_locks(&path).unwrap());
}

#[test]
fn a_lock_outlives_whatever_the_host_closes() {
    let (_folder, path) = new_file("ledger.db");
    let connection = open(&path);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 {
        drop(Host::open(&path));
    }
    let host = Host::open(&path);
    assert_eq!(host.holder(RESERVED_BYTE), Some(-1));
    assert!(
        host.lock(libc::F_SETLK, libc::F_WRLCK, RESERVED_BYTE).is_err(),
        "nor does it exclude itself only"
    );
    connection.execute_batch("INSERT INTO t VALUES (1); COMMIT").unwrap();
    assert_eq!(host.holder(RESERVED_BYTE), None);
}

#[test]
fn what_would_drop_a_lock_of_the_host_is_not_closed_until_it_is_gone() {
    let (_folder, path) = new_file("ledger.db");
    let host = Host::open(&path);
    let own = i32::try_from(std::process::id()).unwrap();
    host.lock(libc::F_SETLK, libc::F_RDLCK, PENDING_BYTE + 2).unwrap();
    for _ in 0..2 {
        read(&open(&path));
        assert_eq!((host.holder(PENDING_BYTE + 2), descriptors(&path)), (Some(own), 2));
    }
    host.lock(libc::F_SETLK, libc::F_UNLCK, PENDING_BYTE + 2).unwrap();
    drop(new_file("another.db"));
    assert_eq!(descriptors(&path), 1, "the host's");
}

#[test]
fn what_nobody_can_open_any_more_is_closed_whoever_locks_it() {
    let (_folder, path) = new_file("ledger.db");
    let host = Host::open(&path);
    host.lock(libc::F_SETLK, libc::F_RDLCK, PENDING_BYTE + 2).unwrap();
    read(&open(&path));
    assert_eq!(descriptors(&path), 2);
    std::fs::remove_file(&path).unwrap();
    drop(new_file("another.db"));
    let removed = PathBuf::from(format!("{} (deleted)", path.display()));
    assert_eq!(descriptors(&removed), 1, "the host's");
}

#[test]
fn only_so_many_wait_to_be_closed() {
    let files: Vec<_> = (0..2 * table::PARKED_MAX).map(|_| new_file("ledger.db")).collect();
    let hosts: Vec<_> = files.iter().map(|(_, path)| Host::open(path)).collect();
    for ((_, path), host) in files.iter().zip(&hosts) {
        // As another process would have it.
        host.lock(libc::F_OFD_SETLK, libc::F_RDLCK, PENDING_BYTE + 2).unwrap();
        read(&open(path));
    }
    let waiting: usize = files.iter().map(|(_, path)| descriptors(path) - 1).sum();
    assert!(waiting > 0 && waiting <= table::PARKED_MAX, "{waiting}");
    drop(hosts);
    drop(new_file("another.db"));
    assert!(files.iter().all(|(_, path)| descriptors(path) == 0));
}

#[test]
fn a_ledger_may_be_called_like_a_journal() {
    for name in ["x-journal", "x-wal", "x-shm", "x-mj0123456AB"] {
        let (_folder, path) = new_file(name);
        let connections = [open(&path), open(&path)];
        connections.iter().for_each(read);
        assert!(has_own_locks(&path).unwrap(), "{name}");
        assert_eq!(descriptors(&path), 1, "{name}");
        connections[0].execute_batch("BEGIN IMMEDIATE").unwrap();
        connections[1].execute_batch("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE").unwrap_err();
    }
}

#[test]
fn a_descriptor_that_is_not_the_files_own_gets_no_lock_on_it() {
    let (_folder, path) = new_file("ledger.db");
    let host = Host::open(&path);
    let mut lock = system::lock_of(libc::F_WRLCK, RESERVED_BYTE, 1);
    // SAFETY: it is a lock.
    let mut ask = || match unsafe { calls::lock(host.0.as_raw_fd(), libc::F_SETLK, &raw mut lock) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap()),
    };
    let connection = open(&path);
    read(&connection);
    assert_eq!(ask(), Err(libc::ENOLCK));
    drop(connection);
    // A process that another test starts may have what was closed until its exec.
    while ask() == Err(libc::EAGAIN) {
        std::thread::yield_now();
    }
    assert_eq!(ask(), Ok(()), "nobody has the file open otherwise");
}

#[test]
fn what_may_only_be_read_is_shared_by_those_who_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    std::fs::copy("/bin/sleep", &path).unwrap();
    // Nobody may write to a program that runs, whatever rights they have.
    let mut program = loop {
        match Command::new(&path).arg("600").spawn() {
            // A child that another test forked has what was just written open a little longer.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            started => break started.unwrap(),
        }
    };
    let name = name(&path).unwrap();
    let open = |flags| match hold().open(&name, flags | libc::O_CLOEXEC, 0) {
        table::Opening::Shared(opened) => opened.map_err(|error| error.raw_os_error().unwrap()),
        table::Opening::Plain => panic!("it is a regular file"),
    };
    assert_eq!(open(libc::O_RDWR), Err(libc::ETXTBSY));
    let descriptor = open(libc::O_RDONLY).unwrap();
    assert_eq!(open(libc::O_RDONLY), Ok(descriptor));
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(open(libc::O_RDWR), Err(libc::EACCES), "others use it as it is");
    hold().close(descriptor);
    hold().close(descriptor);
    let writable = open(libc::O_RDWR).unwrap();
    assert_ne!(writable, descriptor);
    assert_eq!(open(libc::O_RDONLY), Ok(writable));
    hold().close(writable);
    hold().close(writable);
    assert_eq!(descriptors(&path), 0);
}

#[test]
fn locks_of_our_own_are_between_processes_and_sqlite_leaves_them_alone() {
    let (_folder, path) = new_file("ledger.db");
    assert!(FileLocks::of(&path).is_err(), "nobody has it open");
    let connection = open(&path);
    read(&connection);
    let locks = FileLocks::of(&path).unwrap();
    let host = Host::open(&path);
    assert!(locks.try_exclusive(3).unwrap() && locks.try_shared(4).unwrap());
    // After each of these SQLite unlocks the file as a whole.
    connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    read(&connection);
    drop(connection);
    assert_eq!((host.holder(OURS + 3), host.holder(OURS + 4)), (Some(-1), Some(-1)));
    assert!(!locks.is_locked_by_others(0..100).unwrap(), "its own");
    locks.unlock(3).unwrap();
    host.lock(libc::F_OFD_SETLK, libc::F_RDLCK, OURS + 3).unwrap();
    host.lock(libc::F_OFD_SETLK, libc::F_RDLCK, OURS + 4).unwrap();
    assert!(!locks.try_exclusive(3).unwrap() && !locks.try_exclusive(4).unwrap());
    assert!(locks.try_shared(3).unwrap());
    assert!(locks.is_locked_by_others(0..4).unwrap() && !locks.is_locked_by_others(5..100).unwrap());
    host.lock(libc::F_OFD_SETLK, libc::F_WRLCK, OURS + 7).unwrap();
    assert!(!locks.try_shared(7).unwrap());
    assert!(locks.try_shared(u64::MAX - 1).is_err() && locks.is_locked_by_others(9..9).is_err());
    drop(host);
    assert!(locks.try_exclusive(7).unwrap());
    drop(locks);
    assert_eq!(descriptors(&path), 0);
}

#[test]
fn a_child_has_no_locks_of_its_parent_and_cannot_harm_them() {
    let (_folder, path) = new_file("ledger.db");
    let connection = open(&path);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locks = FileLocks::of(&path).unwrap();
    assert!(locks.try_exclusive(1).unwrap());
    // SAFETY: the child does what the handlers have made it ready for, and ends without a return.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = |result: io::Result<bool>| result.is_err_and(|e| e.raw_os_error() == Some(libc::EBADF));
        let mut good = refused(locks.try_exclusive(2)) && refused(locks.is_locked_by_others(0..9));
        good &= locks.unlock(1).is_err() && FileLocks::of(&path).is_err();
        drop(locks);
        good &= descriptors(&path) == 0;
        let own = Connection::open(&path).unwrap();
        good &= own.execute_batch("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE").is_err();
        let locks = FileLocks::of(&path);
        good &= locks.is_ok_and(|own| own.is_locked_by_others(1..2).is_ok_and(|locked| locked));
        // SAFETY: this is always sound.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    let mut status = 0;
    // SAFETY: a child of ours, and a place for how it ended.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    let host = Host::open(&path);
    assert_eq!((host.holder(RESERVED_BYTE), host.holder(OURS + 1)), (Some(-1), Some(-1)));
}
