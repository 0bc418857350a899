//! The pool of reading connections: opened by who needs one, at most so many, back when the call
//! ends.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use rusqlite::Connection;

use super::connection::{Role, Source};
use super::fault::translate;
use crate::call;
use crate::error::{Error, Result, Status};

/// Connections that read.
pub(super) struct Pool {
    source: Source,
    connections_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ready, the one that was used last at the end: its page cache is the warmest.
    idle: Vec<Connection>,
    /// Connections that are open or being opened.
    open: usize,
    /// Who waits for one, the longest first.
    queue: VecDeque<Thread>,
}

/// A connection from the pool, back in it when dropped.
pub(super) struct Pooled<'a> {
    pool: &'a Pool,
    /// `None` only while it is opened or handed back.
    connection: Option<Connection>,
}

impl Pool {
    pub fn new(source: Source, connections_max: usize) -> Pool {
        Pool { source, connections_max, state: Mutex::default() }
    }

    /// A connection. `check_place` says whether the file is still there, before one is opened on it.
    pub fn get(&self, check_place: impl Fn() -> Result<()>) -> Result<Pooled<'_>> {
        let mut state = self.state();
        if !state.has_room(self.connections_max) {
            state = self.wait(state)?;
        }
        if let Some(connection) = state.idle.pop() {
            // Two may have come back before the first in line was awake.
            state.wake_first(self.connections_max);
            return Ok(Pooled { pool: self, connection: Some(connection) });
        }
        // From here on the place is given back whatever happens.
        state.open += 1;
        drop(state);
        let mut pooled = Pooled { pool: self, connection: None };
        check_place()?;
        let opened = self.source.open(Role::Reader);
        let opened = opened.map_err(|error| translate(&error).context("no further connection can be opened"));
        pooled.connection = Some(opened?);
        Ok(pooled)
    }

    /// Waits in line until there is a connection, or room for one.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        let me = thread::current();
        let id = me.id();
        state.queue.push_back(me);
        loop {
            let left = call::remaining();
            drop(state);
            thread::park_timeout(left);
            state = self.state();
            let has_room = state.has_room(self.connections_max);
            if has_room || left.is_zero() {
                state.queue.retain(|waiting| waiting.id() != id);
                if has_room {
                    return Ok(state);
                }
                return Err(self.exhausted());
            }
        }
    }

    fn exhausted(&self) -> Error {
        let message = format!(
            "all {} connections were in use for all of the {:?} that the call may take; \
             raise max_connections or the timeout",
            self.connections_max,
            call::timeout()
        );
        Error::new(Status::Busy, message).with_field("max_connections")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Pooled<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection that was handed out")
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        // One whose transaction would not end is closed, here and not under the lock.
        let usable = self.connection.take().filter(Connection::is_autocommit);
        let mut state = self.pool.state();
        match usable {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        state.wake_first(self.pool.connections_max);
    }
}

impl State {
    fn has_room(&self, connections_max: usize) -> bool {
        !self.idle.is_empty() || self.open < connections_max
    }

    fn wake_first(&self, connections_max: usize) {
        if let Some(first) = self.queue.front().filter(|_| self.has_room(connections_max)) {
            first.unpark();
        }
    }
}
