//! What happens to the files of one folder, in the order in which it happens.
//!
//! Of a file that is mapped there are no writes to be seen: it is compared with what it was, by sectors,
//! before everything else that is noted, and at every place where the library says that it passes.

use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::SECTOR;

/// A file, by the number that it has in a recording.
pub type File = usize;

#[derive(Clone, Debug)]
pub enum Event {
    /// The name leads to this file from here on, or to none.
    Name {
        name: String,
        file: Option<File>,
    },
    /// Bytes were written, or stored in memory that is mapped.
    Bytes {
        file: File,
        at: u64,
        bytes: Vec<u8>,
        mapped: bool,
    },
    Size {
        file: File,
        len: u64,
    },
    /// All of the file, with its size, is on the medium from here on.
    Sync {
        file: File,
    },
    /// All names are.
    SyncFolder,
    /// What the program that made this knows from here on.
    Told(Told),
}

/// What was told to whoever uses the ledger.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// The entry with this id, and all before it, are in the ledger.
    Appended(i64),
    /// Entries up to this id are about to be removed.
    Removing(i64),
    /// They are.
    Removed(i64),
    /// What is told from here on must have reached the medium, or need not.
    Durable(bool),
}

/// Device and number.
type Inode = (u64, u64);

struct Recording {
    /// With the slash at its end.
    folder: Vec<u8>,
    folder_itself: Inode,
    events: Vec<Event>,
    names: HashMap<String, File>,
    by_inode: HashMap<Inode, File>,
    files: usize,
    mapped: Vec<Mapped>,
}

struct Mapped {
    file: File,
    descriptor: c_int,
    seen: Vec<u8>,
}

static ON: AtomicBool = AtomicBool::new(false);
static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

/// The recording, as long as this is held; nothing happens to the files meanwhile.
pub struct Held(Option<MutexGuard<'static, Option<Recording>>>);

pub fn hold() -> Held {
    let is_on = ON.load(Ordering::Acquire);
    Held(is_on.then(|| RECORDING.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Begins to record what happens in a folder, whose files have these numbers.
pub fn begin(folder: &Path, names: &[(String, File)], files: usize) {
    static OBSERVED: std::sync::Once = std::sync::Once::new();
    OBSERVED.call_once(|| {
        simledger::test_hooks::open_plainly();
        simledger::test_hooks::observe(|_| hold().look());
    });
    let inode_of = |path: &Path| {
        let found = path.metadata().unwrap();
        (found.dev(), found.ino())
    };
    let recording = Recording {
        folder: [folder.as_os_str().as_bytes(), b"/"].concat(),
        folder_itself: inode_of(folder),
        events: Vec::new(),
        names: names.iter().cloned().collect(),
        by_inode: names.iter().map(|(name, file)| (inode_of(&folder.join(name)), *file)).collect(),
        files,
        mapped: Vec::new(),
    };
    *RECORDING.lock().unwrap_or_else(PoisonError::into_inner) = Some(recording);
    ON.store(true, Ordering::Release);
}

/// Ends it; what happened.
pub fn end() -> Vec<Event> {
    hold().look();
    ON.store(false, Ordering::Release);
    let recording = RECORDING.lock().unwrap_or_else(PoisonError::into_inner).take();
    let recording = recording.expect("a recording was begun");
    for mapped in recording.mapped {
        // SAFETY: a descriptor of our own.
        unsafe { libc::close(mapped.descriptor) };
    }
    recording.events
}

/// Notes what is known from here on.
pub fn tell(told: Told) {
    hold().with(|recording| recording.events.push(Event::Told(told)));
}

impl Held {
    fn with(&mut self, note: impl FnOnce(&mut Recording)) {
        if let Some(recording) = self.0.as_deref_mut().and_then(Option::as_mut) {
            recording.look();
            note(recording);
        }
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Notes what was stored in mapped files since the last look.
    pub fn look(&mut self) {
        self.with(|_| ());
    }

    pub fn opened(&mut self, path: &CStr, descriptor: c_int, created: bool, emptied: bool) {
        self.with(|recording| {
            let Some(name) = recording.name(path) else { return };
            if created {
                let file = recording.files;
                recording.files += 1;
                recording.by_inode.insert(inode(descriptor), file);
                recording.names.insert(name.clone(), file);
                recording.events.push(Event::Name { name, file: Some(file) });
            } else if emptied && let Some(file) = recording.file(descriptor) {
                recording.events.push(Event::Size { file, len: 0 });
            }
        });
    }

    pub fn wrote<'b>(&mut self, descriptor: c_int, at: u64, bytes: impl FnOnce() -> &'b [u8]) {
        self.with(|recording| {
            if let Some(file) = recording.file(descriptor) {
                recording.events.push(Event::Bytes { file, at, bytes: bytes().to_vec(), mapped: false });
            }
        });
    }

    /// Its size may be another.
    pub fn sized(&mut self, descriptor: c_int) {
        self.with(|recording| {
            if let Some(file) = recording.file(descriptor) {
                let len = u64::try_from(stat(descriptor).st_size).unwrap();
                recording.events.push(Event::Size { file, len });
            }
        });
    }

    pub fn synced(&mut self, descriptor: c_int) {
        self.with(|recording| {
            if inode(descriptor) == recording.folder_itself {
                recording.events.push(Event::SyncFolder);
            } else if let Some(file) = recording.file(descriptor) {
                recording.events.push(Event::Sync { file });
            }
        });
    }

    pub fn unlinked(&mut self, path: &CStr) {
        self.with(|recording| {
            if let Some(name) = recording.name(path) {
                recording.names.remove(&name);
                recording.events.push(Event::Name { name, file: None });
            }
        });
    }

    pub fn renamed(&mut self, from: &CStr, to: &CStr) {
        self.with(|recording| {
            if let (Some(from), Some(to)) = (recording.name(from), recording.name(to))
                && let Some(file) = recording.names.remove(&from)
            {
                recording.names.insert(to.clone(), file);
                recording.events.push(Event::Name { name: from, file: None });
                recording.events.push(Event::Name { name: to, file: Some(file) });
            }
        });
    }

    pub fn mapped(&mut self, descriptor: c_int) {
        self.with(|recording| {
            let Some(file) = recording.file(descriptor) else { return };
            if recording.mapped.iter().any(|mapped| mapped.file == file) {
                return;
            }
            // SAFETY: a descriptor that is open.
            let descriptor = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 100) };
            assert!(descriptor >= 0);
            recording.mapped.push(Mapped { file, descriptor, seen: contents(descriptor) });
        });
    }
}

impl Recording {
    /// What a path is called in the folder, if it is one of those that are durable: SQLite makes its index
    /// of the WAL anew.
    fn name(&self, path: &CStr) -> Option<String> {
        let name = path.to_bytes().strip_prefix(&*self.folder)?;
        let name = std::str::from_utf8(name).ok()?;
        (!name.ends_with("-shm") && !name.contains('/')).then(|| name.to_string())
    }

    fn file(&self, descriptor: c_int) -> Option<File> {
        self.by_inode.get(&inode(descriptor)).copied()
    }

    fn look(&mut self) {
        for mapped in &mut self.mapped {
            let now = contents(mapped.descriptor);
            let len = now.len().max(mapped.seen.len());
            mapped.seen.resize(len, 0);
            for (number, sector) in now.chunks(SECTOR).enumerate() {
                let at = number * SECTOR;
                if mapped.seen[at..at + sector.len()] != *sector {
                    self.events.push(Event::Bytes {
                        file: mapped.file,
                        at: at as u64,
                        bytes: sector.to_vec(),
                        mapped: true,
                    });
                }
            }
            mapped.seen = now;
        }
    }
}

fn stat(descriptor: c_int) -> libc::stat {
    let mut found = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a place to write to; zeroes are a value of it.
    unsafe {
        libc::fstat(descriptor, found.as_mut_ptr());
        found.assume_init()
    }
}

fn inode(descriptor: c_int) -> Inode {
    let found = stat(descriptor);
    (found.st_dev, found.st_ino)
}

/// All of a file.
fn contents(descriptor: c_int) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(stat(descriptor).st_size).unwrap()];
    // SAFETY: a descriptor that is open, and room for so many bytes.
    let read = unsafe { libc::pread(descriptor, bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(usize::try_from(read), Ok(bytes.len()));
    bytes
}
