//! What is notified of appends where no commit log is: a word in a small file beside the ledger, or one of
//! this process alone.
//!
//! The file (`<ledger>-wake`, 64 bytes) begins with `SIMLWAKE`; bytes 8 to 12 are an
//! [event count](crate::event_count). Nothing of the ledger is in it: whoever finds none to be had, or loses it, hears of
//! what others append only when he looks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::companion;
use crate::event_count::EventCount;
use crate::store::Signals;
use crate::sys::mapping::{Mapping, allocate};
use crate::sys::moment::AtomicU32;

const MAGIC: u64 = u64::from_le_bytes(*b"SIMLWAKE");
const BYTES: usize = 64;
const AT_EVENTS: usize = 8;

/// Everybody notifies, but who is killed before. Also with a commit log.
pub(super) const SELDOM: Duration = Duration::from_millis(250);
/// Others may commit who do not notify, or not here. To be woken by a clock costs some 50 microseconds.
const OFTEN: Duration = Duration::from_millis(20);

pub(super) enum Wake {
    Shared(Mapping, PathBuf),
    Own(AtomicU32, Duration),
}

impl Wake {
    /// Of a ledger in memory, which nobody else has.
    pub fn of_memory() -> Wake {
        Wake::Own(AtomicU32::new(0), SELDOM)
    }

    /// Of a process that may not write, or has nowhere to.
    pub fn alone() -> Wake {
        Wake::Own(AtomicU32::new(0), OFTEN)
    }

    /// Of all processes that have the ledger open for writing. While nobody else opens or closes it.
    pub fn shared(ledger: &Path) -> io::Result<Wake> {
        let path = companion::path_of(ledger, "-wake");
        match companion::find(&path, true)? {
            Some(file) => Wake::of(file, path),
            None => Wake::of(companion::create(&path, ledger)?, path.clone()).inspect_err(|_| {
                // Nobody else knows of it.
                let _ = fs::remove_file(&path);
            }),
        }
    }

    fn of(file: File, path: PathBuf) -> io::Result<Wake> {
        match file.metadata()?.len() {
            0 => allocate(&file, BYTES as u64)?,
            len if len != BYTES as u64 => return Err(something_else(&path)),
            _ => {}
        }
        let map = Mapping::new(file, BYTES, true)?;
        let mut words = [0; BYTES / 8];
        map.read(0, &mut words);
        match words[0] {
            MAGIC => {}
            // A new one: nobody else makes it, or opens it, at the same time.
            0 if words == [0; BYTES / 8] => map.word(0).store(MAGIC, Ordering::Relaxed),
            _ => return Err(something_else(&path)),
        }
        Ok(Wake::Shared(map, path))
    }

    pub fn signals(&self) -> Signals<'_> {
        match self {
            Wake::Shared(map, _) => Signals { events: EventCount::new(map.half(AT_EVENTS)), look: OFTEN },
            Wake::Own(word, look) => Signals { events: EventCount::new(word), look: *look },
        }
    }

    /// Whether there is a file.
    pub fn is_shared(&self) -> bool {
        matches!(self, Wake::Shared(..))
    }

    /// Takes the file away, when nobody else has it.
    pub fn take_away(&self) {
        if let Wake::Shared(map, path) = self {
            // One that stays is found by the next opening.
            let _ = companion::remove(path, map.file());
        }
    }
}

fn something_else(path: &Path) -> io::Error {
    io::Error::other(format!("\"{}\" is something else", path.display()))
}
