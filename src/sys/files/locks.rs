//! Locks of our own on a ledger, above those of SQLite.

use std::ffi::c_int;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::kinds::{Kind, kind_of};
use super::{OURS, calls, hold, name, system};
use crate::sys::fork;

/// Byte ranges of a ledger file that processes lock for each other; given up when the process dies.
///
/// They belong to the process as a whole: all that it has of these on a file are one, whoever asked
/// for them, and a second exclusive lock succeeds. Who wants one of several threads must see to that
/// elsewhere. They stay until they are unlocked, or the process has the file open no more.
#[derive(Debug)]
pub(crate) struct FileLocks {
    descriptor: c_int,
    epoch: u64,
}

impl FileLocks {
    /// Those of the file at an absolute, resolved path, which SQLite must have open in this process.
    pub fn of(path: &Path) -> io::Result<FileLocks> {
        let path = name(path).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(FileLocks { descriptor: hold().join(&path)?, epoch: fork::epoch() })
    }

    /// Locks a byte for this process alone; false if somebody else has it. An error where the file
    /// may only be read.
    pub fn try_exclusive(&self, byte: u64) -> io::Result<bool> {
        self.try_lock(libc::F_WRLCK, byte)
    }

    /// Locks a byte together with others who share it; false if somebody has it alone.
    pub fn try_shared(&self, byte: u64) -> io::Result<bool> {
        self.try_lock(libc::F_RDLCK, byte)
    }

    /// Gives up whatever lock there is on a byte.
    pub fn unlock(&self, byte: u64) -> io::Result<()> {
        self.carry_out(libc::F_SETLK, libc::F_UNLCK, byte..byte + 1).map(drop)
    }

    /// Whether another process has a lock in this range that an exclusive one would meet.
    pub fn is_locked_by_others(&self, bytes: Range<u64>) -> io::Result<bool> {
        let found = self.carry_out(libc::F_GETLK, libc::F_WRLCK, bytes)?;
        Ok(c_int::from(found.l_type) != libc::F_UNLCK)
    }

    /// Brings what was written to the file to the medium.
    pub fn sync(&self) -> io::Result<()> {
        if self.epoch != fork::epoch() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        system::sync(self.descriptor)
    }

    fn try_lock(&self, kind: c_int, byte: u64) -> io::Result<bool> {
        match self.carry_out(libc::F_SETLK, kind, byte..byte + 1) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            done => done.map(|_| true),
        }
    }

    fn carry_out(&self, command: c_int, kind: c_int, bytes: Range<u64>) -> io::Result<libc::flock> {
        // The number is the parent's, and leads nowhere here.
        if self.epoch != fork::epoch() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let place = || {
            let (start, end) = (i64::try_from(bytes.start).ok()?, i64::try_from(bytes.end).ok()?);
            Some((OURS.checked_add(start)?, end.checked_sub(start).filter(|len| *len > 0)?))
        };
        let (start, len) = place().ok_or(io::ErrorKind::InvalidInput)?;
        let mut lock = system::lock_of(kind, start, len);
        let plain = kind_of(self.descriptor) == Kind::Process;
        system::lock(self.descriptor, if plain { command } else { calls::twin(command) }, &mut lock)?;
        Ok(lock)
    }
}

impl Drop for FileLocks {
    fn drop(&mut self) {
        if self.epoch == fork::epoch() {
            hold().close(self.descriptor);
        }
    }
}
