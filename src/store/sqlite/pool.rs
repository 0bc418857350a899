//! The pool of reading connections: opened by who needs one, at most so many, back when the call
//! ends.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

use rusqlite::Connection;

use super::connection::{Role, Source};
use super::fault::translate;
use crate::call;
use crate::error::{Error, Result, Status};
use crate::metrics::{Metrics, Operation};

/// Connections that read.
pub(super) struct Pool {
    source: Source,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// What a pool has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub connections_max: usize,
    pub open: usize,
    pub idle: usize,
    pub waiting: usize,
    /// How many seconds each connection that is in use has been, the longest first.
    pub out_seconds: Vec<f64>,
}

#[derive(Default)]
struct State {
    /// Ready, the one that was used last at the end: its page cache is the warmest.
    idle: Vec<Connection>,
    /// Connections that are open or being opened.
    open: usize,
    connections_max: usize,
    /// Since when each connection that was handed out is in use, with its ticket.
    out: Vec<(u64, Instant)>,
    next_ticket: u64,
    /// Who waits for one, the longest first.
    queue: VecDeque<Thread>,
}

/// A connection from the pool, back in it when dropped.
pub(super) struct Pooled<'a> {
    pool: &'a Pool,
    ticket: u64,
    /// `None` only while it is opened or handed back.
    connection: Option<Connection>,
}

impl Pool {
    pub fn new(source: Source, connections_max: usize, metrics: Arc<Metrics>) -> Pool {
        let state = State { connections_max, ..State::default() };
        Pool { source, metrics, state: Mutex::new(state) }
    }

    /// Lets there be so many connections from now on. Those that are too many go as they come back.
    pub fn set_max(&self, connections_max: usize) {
        let mut state = self.state();
        state.connections_max = connections_max;
        let surplus = state.surplus();
        let surplus = state.let_go(surplus);
        // There may be room for several.
        for waiting in &state.queue {
            waiting.unpark();
        }
        drop(state);
        // Closed when nobody has to wait for it.
        drop(surplus);
    }

    /// Closes the connections that nobody uses.
    pub fn release(&self) {
        let idle = {
            let mut state = self.state();
            let all = state.idle.len();
            state.let_go(all)
        };
        drop(idle);
    }

    /// What it has now.
    pub fn usage(&self) -> Usage {
        let state = self.state();
        Usage {
            connections_max: state.connections_max,
            open: state.open,
            idle: state.idle.len(),
            waiting: state.queue.len(),
            // Tickets grow, and are kept in their order.
            out_seconds: state.out.iter().map(|(_, since)| since.elapsed().as_secs_f64()).collect(),
        }
    }

    /// A connection. `check_place` says whether the file is still there, before one is opened on it.
    pub fn get(&self, check_place: impl Fn() -> Result<()>) -> Result<Pooled<'_>> {
        let mut state = self.state();
        if !state.has_room() {
            state = self.wait(state)?;
        }
        if let Some(connection) = state.idle.pop() {
            // Two may have come back before the first in line was awake.
            state.wake_first();
            let ticket = state.hand_out();
            return Ok(Pooled { pool: self, ticket, connection: Some(connection) });
        }
        // From here on the place is given back whatever happens.
        state.open += 1;
        let ticket = state.hand_out();
        drop(state);
        let mut pooled = Pooled { pool: self, ticket, connection: None };
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
        let began = Instant::now();
        state.queue.push_back(me);
        loop {
            let left = call::remaining();
            drop(state);
            call::park(left);
            state = self.state();
            let has_room = state.has_room();
            if has_room || left.is_zero() {
                state.queue.retain(|waiting| waiting.id() != id);
                self.metrics.waited(Operation::ConnectionWait, began.elapsed());
                if has_room && !call::interrupted() {
                    return Ok(state);
                }
                // Who gave up may have been woken in the place of another.
                state.wake_first();
                return Err(exhausted(state.connections_max));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted(connections_max: usize) -> Error {
    let what = format!("all {connections_max} connections were in use");
    let error = call::waited_for(&what, "raise max_connections");
    if error.status() == Status::Busy { error.with_field("max_connections") } else { error }
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
        state.out.retain(|(ticket, _)| *ticket != self.ticket);
        let surplus = match usable {
            Some(connection) => {
                state.idle.push(connection);
                let surplus = state.surplus();
                state.let_go(surplus)
            }
            None => {
                state.open -= 1;
                Vec::new()
            }
        };
        state.wake_first();
        drop(state);
        drop(surplus);
    }
}

impl State {
    fn has_room(&self) -> bool {
        !self.idle.is_empty() || self.open < self.connections_max
    }

    fn wake_first(&self) {
        if let Some(first) = self.queue.front().filter(|_| self.has_room()) {
            first.unpark();
        }
    }

    fn hand_out(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.out.push((ticket, Instant::now()));
        ticket
    }

    /// How many connections are open above what there may be.
    fn surplus(&self) -> usize {
        self.open.saturating_sub(self.connections_max)
    }

    /// Takes idle connections out, at most so many, to be closed without the lock.
    fn let_go(&mut self, most: usize) -> Vec<Connection> {
        let gone = most.min(self.idle.len());
        self.open -= gone;
        self.idle.drain(..gone).collect()
    }
}
