//! Bringing appends to the medium: one of those who wait does it for all.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::commit_log::CommitLog;
use crate::error::Result;

/// How far the log is on the medium.
#[derive(Default)]
pub(super) struct Syncs {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Everything below this position is on the medium.
    synced: u64,
    /// Somebody is at it.
    running: bool,
}

impl Syncs {
    /// Returns when everything below this position is on the medium; an error where that is not to be had by
    /// syncing the log.
    pub fn reach(&self, log: &CommitLog, position: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.synced >= position {
                return Ok(());
            }
            if !log.can_be_synced() {
                return Err(log.not_synced());
            }
            if !state.running {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        drop(state);
        // Whoever published by now waits for this one, and needs none of his own.
        let published = log.published();
        let synced = log.sync();
        // Not if another process has heard of a failure meanwhile.
        let counts = synced.is_ok() && log.can_be_synced();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = false;
        if counts {
            state.synced = published.max(state.synced);
        }
        drop(state);
        self.ended.notify_all();
        synced.and_then(|()| if counts { Ok(()) } else { Err(log.not_synced()) })
    }
}
