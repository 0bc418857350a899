//! Making a log, finding one, leaving it.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::layout::*;
use super::{CommitLog, lock};
use crate::call;
use crate::companion;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::logging::Level;
use crate::sys;
use crate::sys::files::FileLocks;
use crate::sys::mapping::{Mapping, allocate};

/// What the ledger file says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub ledger: [u64; 2],
    /// The last id that it has.
    pub stored_id: i64,
    /// The largest id that a cleanup deleted.
    pub removed_id: i64,
}

/// A log that was opened for writing.
pub(crate) struct Opened {
    pub log: CommitLog,
    /// Whether nobody else had it, so that it was made or recovered.
    pub alone: bool,
}

/// Where the log of a ledger is.
fn path_of(ledger: &Path) -> PathBuf {
    companion::path_of(ledger, "-log")
}

impl CommitLog {
    /// Opens the log of a ledger to append to it; makes it if there is none, with a ring of so many
    /// bytes, and recovers what a process left that died. While nobody else opens or closes the ledger.
    /// `sync_file` brings to the medium what the ledger file has.
    pub fn open(
        ledger: &Path,
        identity: &Identity,
        ring_bytes: RangeInclusive<u64>,
        durable: bool,
        locks: Arc<FileLocks>,
        sync_file: impl FnOnce() -> Result<()>,
    ) -> Result<Opened> {
        let path = path_of(ledger);
        let failed = |error: io::Error| io(&path, &error);
        let alone = !locks.is_locked_by_others(lock::bytes_of_all()).map_err(failed)?;
        let found = companion::find(&path, true).map_err(failed)?;
        if found.is_none() && !alone {
            let message = format!(
                "the log \"{}\" was removed while other processes have the ledger open; close it there first",
                path.display()
            );
            return Err(Error::new(Status::Io, message).with_field("path"));
        }
        let file = match found {
            Some(file) => file,
            None => companion::create(&path, ledger).map_err(failed)?,
        };
        let is_empty = alone && is_unfinished(&file).map_err(failed)?;
        let map = if is_empty {
            make_what_fits(file, &path, identity, ring_bytes).inspect_err(|_| {
                // Nothing is in it.
                let _ = fs::remove_file(&path);
            })?
        } else {
            map(file, &path, true)?
        };
        let mut log = CommitLog::of(map, path, locks, identity)?;
        // Only a new log begins again with the first number. What is refused is not put in order before.
        if log.map.half(AT_INCARNATIONS).load(Ordering::Relaxed) >= lock::INCARNATION_MAX {
            return Err(header_damaged(&log.path));
        }
        if alone && !is_empty {
            if log.is_durable() && !log.went_down() {
                // Recovery gives up what the file has, and who stored that may have died before it was on the medium.
                sync_file()?;
            }
            log.recover(identity)?;
        }
        log.join()?;
        if durable {
            log.begin_to_sync().inspect_err(|_| log.leave())?;
        }
        Ok(Opened { log, alone })
    }

    /// From now on appends are brought to the medium, and before that what others appended who did not care.
    fn begin_to_sync(&self) -> Result<()> {
        self.sync()?;
        // The name of the file.
        companion::sync_folder(&self.path).map_err(|error| self.io(&error))?;
        self.word(AT_DURABLE).store(1, Ordering::Release);
        Ok(())
    }

    /// Opens the log of a ledger to read from it; `None` if there is none. `is_in_use`: this process has it open for
    /// writing too.
    pub fn open_to_read(
        ledger: &Path,
        identity: &Identity,
        locks: Arc<FileLocks>,
        is_in_use: bool,
    ) -> Result<Option<CommitLog>> {
        let path = path_of(ledger);
        let failed = |error: io::Error| io(&path, &error);
        let Some(file) = companion::find(&path, false).map_err(failed)? else { return Ok(None) };
        hooks::point("log.found");
        if is_unfinished(&file).map_err(failed)? {
            return Ok(None);
        }
        let map = map(file, &path, false)?;
        let log = CommitLog::of(map, path, locks, identity)?;
        // What the machine left when it went down must be put in order first, by who can write.
        if !is_in_use && !log.has_others() {
            if log.went_down() {
                return Ok(None);
            }
            log.check(identity)?;
        }
        Ok(Some(log))
    }

    /// Whether there is a file where the log of a ledger is.
    pub fn is_there(ledger: &Path) -> bool {
        fs::symlink_metadata(path_of(ledger)).is_ok()
    }

    /// Takes the log away, when nobody has it open and nothing is in it that the ledger file has not.
    pub fn take_away(&self) -> Result<()> {
        hooks::point("log.take_away");
        match companion::remove(&self.path, self.map.file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(&error)),
            _ => Ok(()),
        }
    }

    /// Whether another process has it open for writing.
    pub fn has_others(&self) -> bool {
        // Not known is taken for yes.
        self.locks.is_locked_by_others(lock::bytes_of_all()).unwrap_or(true)
    }

    fn of(map: Mapping, path: PathBuf, locks: Arc<FileLocks>, identity: &Identity) -> Result<CommitLog> {
        let mut fixed = [0; FIXED_WORDS];
        map.read(AT_FIXED, &mut fixed);
        if fixed[..2] != identity.ledger {
            let message = format!(
                "\"{}\" is the log of another ledger; put it back to that one, or take it away",
                path.display()
            );
            return Err(Error::new(Status::Incompatible, message).with_field("path"));
        }
        let log =
            CommitLog { map, path, capacity: fixed[2], locks, incarnation: 0, ready: AtomicU64::new(0) };
        let (reclaimed, drained, published) = (log.map.load(AT_RECLAIMED), log.drained(), log.published());
        let is_sound = |position: u64| position.is_multiple_of(8) && position < POSITION_MAX;
        // Of a log that is in use they may move between these looks, but only up.
        if ![reclaimed, drained, published].into_iter().all(is_sound)
            || reclaimed > drained
            || drained > log.published()
        {
            return Err(header_damaged(&log.path));
        }
        Ok(log)
    }

    /// Becomes one of those who append. There is a number left.
    fn join(&mut self) -> Result<()> {
        let incarnation = self.map.half(AT_INCARNATIONS).fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let locked = self.locks.try_exclusive(lock::byte_of(incarnation)).map_err(|error| self.io(&error))?;
        if !locked {
            return Err(Error::new(Status::Corrupt, "the log gave out a number twice").with_field("path"));
        }
        self.incarnation = incarnation;
        Ok(())
    }

    /// Is none of those who append any more.
    pub fn leave(&self) {
        if self.incarnation != 0 {
            self.set_folding(false);
            // Otherwise it is given up when the process ends.
            let _ = self.locks.unlock(lock::byte_of(self.incarnation));
        }
    }

    /// Puts down that this is the log's present, with all that was lost of it. Whoever dies in here leaves
    /// positions that are in order, and from which the same is found again.
    pub(super) fn settle(&self, begin: u64, end: u64, last_id: i64, stored: &Identity) {
        let set = |at, value: u64| {
            hooks::point("log.settle");
            self.word(at).store(value, Ordering::Relaxed);
        };
        // At each step reclaimed <= drained <= published.
        set(AT_PUBLISHED, end.max(self.published()));
        set(AT_DRAINED, begin);
        set(AT_RECLAIMED, begin);
        set(AT_PUBLISHED, end);
        set(AT_LAST_ID, last_id.cast_unsigned());
        set(AT_STORED_ID, stored.stored_id.cast_unsigned());
        set(AT_REMOVED_ID, stored.removed_id.cast_unsigned());
        set(AT_REMOVALS, (self.removals() | 1).wrapping_add(1));
        set(AT_STRAIGHT, 0);
        // Whoever had it or waited for it is no more.
        self.map.half(AT_LOCK).store(0, Ordering::Relaxed);
        self.map.half(AT_DRAINER).store(0, Ordering::Relaxed);
        self.set_boot();
    }

    /// Puts down which start of the machine this is. The header is valid all the time.
    fn set_boot(&self) {
        let mut fixed = [0; FIXED_WORDS];
        self.map.read(AT_FIXED, &mut fixed);
        let boot = sys::boot_id();
        if fixed[BOOT..] == boot {
            return;
        }
        write_checksum(&self.map, &without_boot(&fixed));
        for (index, word) in boot.iter().enumerate() {
            hooks::point("log.settle");
            self.map.write(AT_FIXED + 8 * (BOOT + index), &[*word]);
        }
        hooks::point("log.settle");
        fixed[BOOT..].copy_from_slice(&boot);
        write_checksum(&self.map, &fixed);
    }
}

fn checksum(fixed: &[u64; FIXED_WORDS]) -> u32 {
    crc32c::crc32c(sys::bytes(fixed))
}

/// As it is while another start of the machine is put down.
fn without_boot(fixed: &[u64; FIXED_WORDS]) -> [u64; FIXED_WORDS] {
    let mut without = *fixed;
    without[BOOT..].fill(0);
    without
}

fn write_checksum(map: &Mapping, fixed: &[u64; FIXED_WORDS]) {
    map.write(AT_VERSION, &[u64::from(VERSION) | u64::from(checksum(fixed)) << 32]);
}

/// Whether a log was begun and never finished: nothing was ever appended to it. What is not that, and no log
/// either, is not ours to write to.
fn is_unfinished(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut header = Vec::new();
    let len = file.metadata()?.len().min(HEADER as u64);
    header.resize(usize::try_from(len).unwrap_or(HEADER), 0);
    file.read_exact_at(&mut header, 0)?;
    let word = |at: usize| {
        header.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
    };
    // Positions are the same until something is appended, or were not put down yet.
    let positions = [AT_PUBLISHED, AT_DRAINED, AT_RECLAIMED].map(word);
    let begin = positions.into_iter().max().unwrap_or(0);
    let is_new = positions.into_iter().all(|position| position == 0 || position == begin);
    // With no room for the words that are put down there is nothing, but for the room that is being made.
    let known = if header.len() < HEADER { 0 } else { AT_DURABLE + 8 };
    Ok(word(AT_MAGIC) == 0 && is_new && header[known..].iter().all(|byte| *byte == 0))
}

/// Maps a log whose header is valid.
fn map(file: File, path: &Path, writable: bool) -> Result<Mapping> {
    let len = file.metadata().map_err(|error| io(path, &error))?.len();
    let size = usize::try_from(len).ok().filter(|len| *len > HEADER && len.is_multiple_of(8));
    let Some(size) = size else {
        let mut magic = [0; 8];
        let is_log = std::os::unix::fs::FileExt::read_exact_at(&file, &mut magic, AT_MAGIC as u64).is_ok()
            && u64::from_le_bytes(magic) == MAGIC;
        return Err(if is_log { header_damaged(path) } else { no_log(path) });
    };
    let map = Mapping::new(file, size, writable).map_err(|error| unmappable(path, &error))?;
    let version = map.load(AT_VERSION);
    if map.load(AT_MAGIC) != MAGIC {
        return Err(no_log(path));
    }
    let (number, crc) = super::record::parse_head(version);
    if number > VERSION {
        let message = format!(
            "the log \"{}\" has version {number}, and this library knows versions up to {VERSION}: use a newer library",
            path.display()
        );
        return Err(Error::new(Status::Incompatible, message).with_field("path"));
    }
    let mut fixed = [0; FIXED_WORDS];
    map.read(AT_FIXED, &mut fixed);
    let is_valid = [checksum(&fixed), checksum(&without_boot(&fixed))].contains(&crc);
    let is_whole = fixed[2] == (size - HEADER) as u64 && (RING_MIN..=RING_MAX).contains(&fixed[2]);
    if number != VERSION || !is_valid || !is_whole {
        return Err(header_damaged(path));
    }
    Ok(map)
}

/// Fills a new log: its room, then its header, and last what makes it one. How large it is.
fn make(file: &File, path: &Path, identity: &Identity, ring_bytes: u64) -> Result<Mapping> {
    let ring = ring_bytes.clamp(RING_MIN, RING_MAX).next_multiple_of(4096);
    let size = HEADER as u64 + ring;
    let allocated = file.set_len(0).and_then(|()| allocate(file, size)).and_then(|()| file.try_clone());
    let file = allocated.map_err(|error| {
        io(path, &error).context(format!("no room could be made for the log, of {ring} bytes (log_bytes)"))
    })?;
    hooks::point("log.make");
    let bytes = usize::try_from(size).unwrap_or(usize::MAX);
    let map = Mapping::new(file, bytes, true).map_err(|error| unmappable(path, &error))?;
    let mut fixed = [0; FIXED_WORDS];
    fixed[..2].copy_from_slice(&identity.ledger);
    fixed[2] = ring;
    fixed[3] = identity.stored_id.cast_unsigned();
    fixed[BOOT..].copy_from_slice(&sys::boot_id());
    map.write(AT_FIXED, &fixed);
    write_checksum(&map, &fixed);
    // Not where an earlier log of the ledger was: positions and numbers of cleanups label what caches keep.
    let seconds = u64::try_from(sys::clock::coarse_seconds()).unwrap_or(0);
    let begin = ((seconds % (1 << 34)) << 20) / ring * ring;
    for at in [AT_PUBLISHED, AT_DRAINED, AT_RECLAIMED] {
        map.write(at, &[begin]);
    }
    map.write(AT_REMOVALS, &[begin]);
    for (at, id) in [
        (AT_LAST_ID, identity.stored_id),
        (AT_STORED_ID, identity.stored_id),
        (AT_REMOVED_ID, identity.removed_id),
    ] {
        map.write(at, &[id.cast_unsigned()]);
    }
    fence(Ordering::Release);
    map.write(AT_MAGIC, &[MAGIC]);
    Ok(map)
}

/// Makes a log with the largest ring of these, or a fraction of it, that there is room for.
fn make_what_fits(
    file: File,
    path: &Path,
    identity: &Identity,
    ring_bytes: RangeInclusive<u64>,
) -> Result<Mapping> {
    let mut ring = *ring_bytes.end();
    loop {
        match make(&file, path, identity, ring) {
            Err(error) if error.status() == Status::NoSpace && ring / 4 >= *ring_bytes.start() => ring /= 4,
            made => return made,
        }
    }
}

fn unmappable(path: &Path, error: &io::Error) -> Error {
    // For want of memory, or by the file: nothing that is so for ever.
    if error.raw_os_error() != Some(libc::ENODEV) {
        return io(path, error).context("the log cannot be mapped");
    }
    let message = format!(
        "\"{}\" cannot be mapped ({error}); a ledger on such a file system needs commit = sqlite",
        path.display()
    );
    Error::new(Status::Unsupported, message).with_field("commit")
}

fn no_log(path: &Path) -> Error {
    let message = format!("\"{}\" is no log of a ledger; take it away", path.display());
    Error::new(Status::Incompatible, message).with_field("path")
}

pub(super) fn header_damaged(path: &Path) -> Error {
    let message = format!(
        "the log \"{}\" is damaged in its header; the entries that only it has cannot be read. To go on with those \
         in the ledger file, take it away",
        path.display()
    );
    Error::new(Status::Corrupt, message).with_field("path")
}

pub(super) fn io(path: &Path, error: &io::Error) -> Error {
    Error::new(Status::of_system(error), format!("\"{}\": {error}", path.display())).with_field("path")
}

/// Says what was lost of a log when the machine went down.
pub(super) fn say_lost(path: &Path, what: &str) {
    call::log(Level::Warn, || {
        format!("the machine went down since the log \"{}\" was written: {what}", path.display())
    });
}
