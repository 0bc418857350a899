//! One descriptor for each file that SQLite has open.
//!
//! SQLite counts the locks of a file once for the process, and then sets them through whichever of
//! its descriptors is at hand. Locks of this kind belong to one open file description: so all opens
//! of a file share one.

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::OURS;
use super::kinds::{Kind, kind_of, set_kind};
use super::system::{self, FileNumbers};

/// Descriptors that wait to be closed, at most; more would be missed by the program they are in.
pub(super) const PARKED_MAX: usize = 64;

static TABLE: Mutex<Table> = Mutex::new(Table { entries: Vec::new() });

/// The files that SQLite has open.
pub(in crate::sys) struct Table {
    entries: Vec<Entry>,
}

/// A file that is open, or that could not be closed yet.
struct Entry {
    file: FileNumbers,
    descriptor: c_int,
    /// Others of the same file, closed together with it: each close(2) drops locks of the host.
    spare: Vec<c_int>,
    /// How often it is open; at 0 it is parked.
    count: usize,
    writable: bool,
}

/// What is to become of an open.
pub(super) enum Opening {
    Shared(io::Result<c_int>),
    /// Nothing for the table: to be opened as it is.
    Plain,
}

/// The table, for as long as this is held.
pub(in crate::sys) fn hold() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// Opens a file that may be locked.
    pub(super) fn open(&mut self, path: &CStr, flags: c_int, mode: c_int) -> Opening {
        // Asked by name, before anything is opened: to close a descriptor that turns out to be a
        // second one would drop the locks that other code of this process has on the file.
        match system::lstat(path) {
            Ok(found) if !system::is_regular(&found) => return Opening::Plain,
            Ok(found) => {
                if let Some(at) = self.find(FileNumbers::of(&found)) {
                    return Opening::Shared(self.share(at, path, flags, mode));
                }
            }
            Err(_) => {} // To be made, or the open says why not.
        }
        if self.is_beside_one(path) {
            return Opening::Plain;
        }
        self.close_parked();
        let opened = open_for_all(path, flags, mode);
        Opening::Shared(opened.and_then(|(descriptor, writable)| self.register(descriptor, writable, flags)))
    }

    /// Makes a file. It is closed as all others are: somebody may have found it at once.
    pub(super) fn create(&mut self, path: &CStr, mode: Option<u32>) -> io::Result<()> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let descriptor = system::open(path, flags, mode.map_or(0o644, u32::cast_signed))?;
        let made = mode.map_or(Ok(()), |mode| system::set_mode(descriptor, mode));
        match self.register(descriptor, true, flags) {
            Ok(registered) if kind_of(registered) != Kind::Foreign => self.close(registered),
            Ok(unregistered) => drop(system::close(unregistered)),
            // It is closed already, or will be with others of its file.
            Err(_) => {}
        }
        made
    }

    /// One use less of a descriptor of the table.
    pub(super) fn close(&mut self, descriptor: c_int) {
        let entry = self.entries.iter_mut().find(|entry| entry.descriptor == descriptor);
        if let Some(entry) = entry {
            entry.count = entry.count.saturating_sub(1);
        }
        self.close_parked();
    }

    /// One use more of the file at `path`, which must be in use.
    pub(super) fn join(&mut self, path: &CStr) -> io::Result<c_int> {
        let at = self.find(FileNumbers::of(&system::lstat(path)?));
        let entry = at.map(|at| &mut self.entries[at]).filter(|entry| entry.count > 0);
        let entry = entry.ok_or_else(|| io::Error::other("the file is not open in this process"))?;
        entry.count += 1;
        Ok(entry.descriptor)
    }

    /// What the locks of an open file belong to.
    pub(super) fn kind(&self, file: FileNumbers) -> Option<Kind> {
        self.find(file).map(|at| kind_of(self.entries[at].descriptor))
    }

    /// In a forked child: gives up all that was inherited. The descriptions are the parent's, with
    /// its locks. Their numbers stay taken, since inherited state of SQLite names them, and lead to
    /// where nothing can be read, written or locked.
    pub fn give_up(&mut self) {
        let nowhere = system::open(c"/", libc::O_PATH | libc::O_CLOEXEC, 0);
        for entry in &self.entries {
            set_kind(entry.descriptor, Kind::Foreign);
            let replaced =
                nowhere.as_ref().is_ok_and(|&nowhere| system::put_over(nowhere, entry.descriptor).is_ok());
            if !replaced {
                let _ = system::close(entry.descriptor);
            }
            entry.spare.iter().for_each(|&spare| drop(system::close(spare)));
        }
        if let Ok(nowhere) = nowhere {
            let _ = system::close(nowhere);
        }
        self.entries.clear();
    }

    fn find(&self, file: FileNumbers) -> Option<usize> {
        self.entries.iter().position(|entry| entry.file == file)
    }

    /// One use more of an entry.
    fn share(&mut self, at: usize, path: &CStr, flags: c_int, mode: c_int) -> io::Result<c_int> {
        let entry = &mut self.entries[at];
        if !entry.writable && writes(flags) {
            if entry.count > 0 {
                return Err(io::Error::from_raw_os_error(libc::EACCES));
            }
            // Nobody has it, and now it may perhaps be written.
            let descriptor = system::open(path, flags, mode)?;
            return self.register(descriptor, true, flags);
        }
        entry.count += 1;
        Ok(entry.descriptor)
    }

    /// Takes in a descriptor that was just opened; the one to use.
    fn register(&mut self, descriptor: c_int, writable: bool, flags: c_int) -> io::Result<c_int> {
        let found = match system::fstat(descriptor) {
            Ok(found) => found,
            Err(error) => {
                // What it is of is not known; it is no file of the table, or one that nobody can be asked about.
                let _ = system::close(descriptor);
                return Err(error);
            }
        };
        // SQLite gives back those below 3, and asks again.
        if descriptor <= libc::STDERR_FILENO || !system::is_regular(&found) {
            return Ok(descriptor);
        }
        let file = FileNumbers::of(&found);
        if let Some(at) = self.find(file) {
            let entry = &mut self.entries[at];
            entry.spare.push(descriptor);
            if entry.count == 0
                && writable
                && !entry.writable
                && set_kind(descriptor, kind_of(entry.descriptor))
            {
                set_kind(entry.descriptor, Kind::Foreign);
                entry.spare.pop();
                entry.spare.push(std::mem::replace(&mut entry.descriptor, descriptor));
                entry.writable = true;
            }
            if writes(flags) && !entry.writable {
                return Err(io::Error::from_raw_os_error(libc::EACCES));
            }
            entry.count += 1;
            return Ok(entry.descriptor);
        }
        if set_kind(descriptor, probe(descriptor)) {
            self.entries.push(Entry { file, descriptor, spare: Vec::new(), count: 1, writable });
        }
        Ok(descriptor)
    }

    /// Whether the path is that of a WAL or a journal of a file in the table. Nobody locks these. What
    /// is only called so may be a ledger.
    fn is_beside_one(&self, path: &CStr) -> bool {
        let of = companion_of(path.to_bytes(), &["-wal", "-journal"])
            .or_else(|| super_journal_of(path.to_bytes()))
            .and_then(|of| file_of(of).ok());
        of.is_some_and(|of| self.find(of).is_some())
    }

    /// Whether SQLite has a reason to delete this: what it made beside a database that it has open, and its
    /// temporary files. A journal names another file that is to be deleted with it, a super-journal, and
    /// whoever wrote the journal may have named any.
    pub(super) fn may_delete(&self, path: &CStr) -> io::Result<bool> {
        let path = path.to_bytes();
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if name.starts_with(b"etilqs_") || super_journal_of(path).is_some() {
            return Ok(true);
        }
        let Some(of) = companion_of(path, &["-wal", "-shm", "-journal"]) else { return Ok(false) };
        match file_of(of) {
            // One that was open before this library was first used is not in the table.
            Ok(of) => Ok(self.find(of).is_some() || system::is_open_here(of)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes what nobody uses, as far as that harms nobody.
    fn close_parked(&mut self) {
        self.entries.retain(|entry| entry.count > 0 || !entry.close_unharmed());
        let parked = self.entries.iter().filter(|entry| entry.count == 0).count();
        let mut surplus = parked.saturating_sub(PARKED_MAX);
        self.entries.retain(|entry| {
            let goes = surplus > 0 && entry.count == 0 && !entry.is_locked_by_the_host();
            if goes {
                entry.close();
                surplus -= 1;
            }
            !goes
        });
    }
}

impl Entry {
    /// Closes it if no lock of other code of this process can be lost by that.
    fn close_unharmed(&self) -> bool {
        let nobody_can_find_it = system::fstat(self.descriptor).is_ok_and(|found| found.st_nlink == 0);
        let mut all = system::lock_of(libc::F_WRLCK, 0, OURS);
        // Who holds this lock knows that nobody else has one, or gets one before the close has ended:
        // the locks of the process go first at a close, and then those of the description. Only SQLite's
        // bytes: above, others ask whether anybody has a lock, and are not to meet this one. (A process
        // that is being spawned meanwhile, which runs no fork handlers, keeps the lock until its exec; one
        // that clone made, and that executes nothing, until its end: the header says so.)
        if !nobody_can_find_it
            && kind_of(self.descriptor) == Kind::Description
            && system::lock(self.descriptor, libc::F_OFD_SETLK, &mut all).is_err()
        {
            let mut none = system::lock_of(libc::F_UNLCK, 0, 0);
            let _ = system::lock(self.descriptor, libc::F_OFD_SETLK, &mut none);
            return false;
        }
        self.close();
        true
    }

    /// Whether other code of this process is seen to have a lock. It may get one a moment later.
    fn is_locked_by_the_host(&self) -> bool {
        let mut all = system::lock_of(libc::F_WRLCK, 0, OURS);
        let asked = system::lock(self.descriptor, libc::F_OFD_GETLK, &mut all);
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        asked.is_err() || (libc::c_int::from(all.l_type) != libc::F_UNLCK && all.l_pid == own)
    }

    fn close(&self) {
        set_kind(self.descriptor, Kind::Foreign);
        for &descriptor in self.spare.iter().chain([&self.descriptor]) {
            let _ = system::close(descriptor);
        }
    }
}

/// The path of the file that this is beside by its name, if it ends with one of these.
fn companion_of<'a>(path: &'a [u8], endings: &[&str]) -> Option<&'a [u8]> {
    endings.iter().find_map(|ending| path.strip_suffix(ending.as_bytes()))
}

/// The same if it is called as a super-journal is: -mj and nine hexadecimal digits.
fn super_journal_of(path: &[u8]) -> Option<&[u8]> {
    let (of, ending) = path.split_at_checked(path.len().checked_sub(12)?)?;
    ending.strip_prefix(b"-mj").filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).map(|_| of)
}

fn file_of(path: &[u8]) -> io::Result<FileNumbers> {
    system::lstat(&CString::new(path)?).map(|found| FileNumbers::of(&found))
}

fn writes(flags: c_int) -> bool {
    flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// Opens a file for reading and writing where that is permitted, whatever is asked for: others will
/// share it. Whether it is.
fn open_for_all(path: &CStr, flags: c_int, mode: c_int) -> io::Result<(c_int, bool)> {
    match system::open(path, flags & !libc::O_ACCMODE | libc::O_RDWR, mode) {
        Ok(descriptor) => Ok((descriptor, true)),
        Err(error) if !writes(flags) && is_refusal(&error) => Ok((system::open(path, flags, mode)?, false)),
        Err(error) => Err(error),
    }
}

pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ETXTBSY))
}

/// What the locks of a file that was just opened can belong to.
fn probe(descriptor: c_int) -> Kind {
    let mut all = system::lock_of(libc::F_WRLCK, 0, 0);
    if crate::hooks::has_plain_locks() || system::lock(descriptor, libc::F_OFD_GETLK, &mut all).is_err() {
        Kind::Process
    } else {
        Kind::Description
    }
}
