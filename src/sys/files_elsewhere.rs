//! The locks of a ledger where the system has only those of the process: see `files/`, for Linux.

use std::path::Path;

pub(super) struct Table;

/// Nothing is held, nothing to give up.
pub(super) fn hold() -> Box<Table> {
    Box::new(Table)
}

impl Table {
    pub fn give_up(&mut self) {}
}

/// # Safety
/// None needed.
pub(super) unsafe fn install() {}

pub(crate) fn has_own_locks(_: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// What the system said of a file when a call of SQLite failed: not known here.
#[derive(Debug)]
pub(crate) struct Said {
    pub error: std::io::Error,
}

impl Said {
    pub fn last() -> Option<Said> {
        None
    }

    pub fn last_lock() -> Option<Said> {
        None
    }

    pub fn last_read() -> Option<Said> {
        None
    }

    pub fn of_a_sync() -> Option<Said> {
        None
    }

    pub fn forget() {}
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

/// Makes an empty file where none is: see `files/`.
pub(crate) fn create(path: &Path, mode: Option<u32>) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let made =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode.unwrap_or(0o644)).open(path)?;
    mode.map_or(Ok(()), |mode| made.set_permissions(std::fs::Permissions::from_mode(mode)))
}

/// Without such locks processes agree on nothing: a ledger has no commit log here, and changing how it
/// commits is never asked of others.
#[derive(Debug)]
pub(crate) struct FileLocks;

impl FileLocks {
    pub fn of(_: &Path) -> std::io::Result<FileLocks> {
        Ok(FileLocks)
    }

    pub fn try_exclusive(&self, _: u64) -> std::io::Result<bool> {
        Ok(true)
    }

    pub fn try_shared(&self, _: u64) -> std::io::Result<bool> {
        Ok(true)
    }

    pub fn unlock(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    pub fn is_locked_by_others(&self, _: std::ops::Range<u64>) -> std::io::Result<bool> {
        Ok(false)
    }

    /// SQLite syncs the file itself, later.
    pub fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}
