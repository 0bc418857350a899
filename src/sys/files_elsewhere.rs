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

pub(crate) fn has_own_locks(_: &Path) -> bool {
    false
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
