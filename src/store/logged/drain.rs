//! The drain: what the log has is stored in the ledger file, in large transactions.
//!
//! Each process that can write has a thread for it, and one of them at a time does the work; the
//! others look now and then whether it is still done. That is for speed alone: who else folds at the
//! same time waits for SQLite's lock, which no dead process keeps, and then finds that nothing is left,
//! since how far the file is moves in the same transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::{LedgerStore, Logged};
use crate::call::{self, Call, Terms};
use crate::commit_log::{CommitLog, Found, Record, Scratch};
use crate::error::{Error, Result, Status, without_panics};
use crate::hooks;
use crate::interrupt::Claim;
use crate::logging::Level;
use crate::metrics::Operation;
use crate::sys;

/// An entry is stored at the latest so long after it was appended, and what a transaction takes, if
/// the drain keeps up.
const DELAY: Duration = Duration::from_millis(20);

/// With nothing to do, it looks so often for what others left that died.
const IDLE_LOOK: Duration = Duration::from_secs(1);

/// Somebody else who folds, and has not got on for so long, is not waited for.
const STALL: Duration = Duration::from_secs(1);

/// Most entries and bytes of one transaction; a batch is never divided. There are so many only where they come
/// faster than they are stored: then the more go together, the more share the pages of the indexes.
const ENTRIES_MAX: usize = 100_000;
const BYTES_MAX: u64 = 32 << 20;

/// Entries between two times that a fold makes the log ready for those who append meanwhile.
const READY_STEP: i64 = 256;

/// A fold in the background waits at most so long for its turn at the file; then it is tried again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The thread that drains.
pub(super) struct Drain {
    logged: Arc<Logged>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

/// What the drain is told by.
#[derive(Default)]
pub(super) struct Bell {
    stopped: AtomicBool,
    /// Whether the thread sleeps until somebody appends.
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
    interrupts: OnceLock<Claim>,
}

impl Drain {
    /// Begins to drain.
    pub fn begin(logged: &Arc<Logged>) -> Result<Drain> {
        let body = {
            let logged = Arc::clone(logged);
            move || run(&logged)
        };
        let thread = sys::spawn_quiet("simledger-drain", body).map_err(|error| {
            Error::new(
                Status::Io,
                format!("the thread that drains the commit log cannot be started: {error}"),
            )
        })?;
        Ok(Drain { logged: Arc::clone(logged), thread: Some(thread) })
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        let bell = &self.logged.bell;
        bell.stopped.store(true, Ordering::Release);
        bell.interrupts.get_or_init(Claim::new).get().interrupt();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Bell {
    /// There is something to drain.
    #[inline]
    pub fn ring(&self) {
        // A load alone in the usual case. What the thread misses while it falls asleep it finds at its
        // next look.
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Sleeps, at most this long.
    fn sleep(&self, most: Duration) {
        // What woke the thread before may have been the stop: a wake-up is given once.
        if !self.is_stopped() {
            thread::park_timeout(most);
        }
    }
}

fn run(logged: &Logged) {
    let Ok(log) = logged.log() else { return };
    let bell = &logged.bell;
    // Who appends goes first, as long as the log has room.
    sys::be_modest();
    let _ = bell.thread.set(thread::current());
    let terms = Terms {
        timeout: TIMEOUT,
        retry_count: u32::MAX,
        retry_delay: Duration::from_millis(1),
        log_level: Some(Level::Info),
        interrupts: Some(bell.interrupts.get_or_init(Claim::new).get()),
    };
    let mut last_seen = (log.drained(), Instant::now());
    while !bell.is_stopped() {
        if log.pending() == 0 {
            last_seen.1 = Instant::now();
            if log.was_left_straight() {
                let call = Call::begin(terms);
                // Otherwise whoever appends next does it.
                let _ = without_panics("the drain", || logged.mend_if_left(log));
                drop(call);
            }
            log.set_folding(false);
            bell.asleep.store(true, Ordering::SeqCst);
            if log.pending() == 0 {
                bell.sleep(IDLE_LOOK);
            }
            bell.asleep.store(false, Ordering::SeqCst);
            if log.pending() > 0 {
                // Some more may come, and go with it.
                wait(log, bell);
            }
            continue;
        }
        log.make_ready();
        let drained = log.drained();
        if drained != last_seen.0 {
            last_seen = (drained, Instant::now());
        }
        if !log.may_fold() {
            if last_seen.1.elapsed() < STALL {
                bell.sleep(DELAY);
                continue;
            }
            log.set_folding(true);
        }
        let call = Call::begin(terms);
        // An interruption ends the calls that had begun before it; this one may have begun after.
        if bell.is_stopped() {
            break;
        }
        let folded = without_panics("the drain", || logged.fold());
        let mut ended = call.end();
        let was_failing = logged.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        match folded {
            Ok(()) => {
                if was_failing {
                    ended.lines.push((
                        Level::Info,
                        "the commit log is folded into the ledger file again".to_string(),
                    ));
                }
                logged.notices.put(ended.lines);
                wait(log, bell);
            }
            Err(error) if error.status() == Status::Interrupted || logged.ended.load(Ordering::Acquire) => {}
            Err(error) => {
                if !was_failing {
                    let line = format!("the commit log cannot be folded into the ledger file: {error}");
                    ended.lines.push((Level::Error, line));
                }
                logged.notices.put(ended.lines);
                *logged.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                bell.sleep(DELAY * 5);
            }
        }
    }
}

/// Lets some entries come together, unless there are many already.
fn wait(log: &CommitLog, bell: &Bell) {
    if log.pending() < log.capacity().min(BYTES_MAX) / 8 {
        bell.sleep(DELAY);
    }
}

impl Logged {
    /// Stores all that was published before.
    pub fn flush(&self) -> Result<()> {
        let log = self.log()?;
        let published = log.published();
        while log.drained() < published {
            call::check()?;
            if !self.sqlite.is_writable() {
                return self.wait_for_others(log, published);
            }
            self.fold()?;
        }
        Ok(())
    }

    /// Waits until others have stored what was published, as long as they get on.
    fn wait_for_others(&self, log: &CommitLog, published: u64) -> Result<()> {
        let (mut drained, mut since) = (log.drained(), Instant::now());
        for tries in 0.. {
            let now = log.drained();
            if now >= published {
                break;
            }
            let is_stalled = now == drained && since.elapsed() >= STALL;
            if is_stalled && !self.is_written(log) {
                let message = "the commit log has entries that the ledger file has not, and no process that can write has \
                               the ledger open: open it once for writing";
                return Err(Error::new(Status::ReadOnly, message).with_field("read_only"));
            }
            if now != drained {
                (drained, since) = (now, Instant::now());
            }
            if !call::pause(tries) {
                return Err(call::waited_for(
                    "the commit log was being folded into the ledger file",
                    "try again",
                ));
            }
        }
        Ok(())
    }

    /// Whether anybody has the log open for writing.
    pub fn is_written(&self, log: &CommitLog) -> bool {
        log.has_others() || self.gate.is_written_here()
    }

    /// Stores a transaction's worth of what is published.
    pub fn fold(&self) -> Result<()> {
        let log = self.log()?;
        let began = Instant::now();
        let folded = self.folding.with(|()| {
            let mut scratch = Scratch::default();
            // In this order: who counts on synced folds published after he had said so.
            let limit = log.published();
            self.sqlite.fold(log.is_durable(), |folding| {
                let before = folding.stored_id();
                let mut position = log.drained();
                // Behind the last whole batch, and its last id.
                let (mut end, mut end_id, mut bytes) = (position, 0, 0);
                loop {
                    let is_enough = bytes >= BYTES_MAX || folding.stored_id() - before >= ENTRIES_MAX as i64;
                    if position >= limit || (is_enough && end == position) {
                        break;
                    }
                    match log.read(position, &mut scratch)? {
                        Found::Reclaimed => {
                            // Somebody else has stored it, and room was made; in this transaction nothing
                            // was stored yet.
                            position = log.drained();
                            end = position;
                        }
                        Found::Record(Record::Elsewhere { last, .. }, next) => {
                            if last > folding.stored_id() {
                                return Err(out_of_order(last, folding.stored_id()));
                            }
                            folding.confirm();
                            (position, end, end_id) = (next, next, last);
                        }
                        Found::Record(Record::Entry { fields, more }, next) => {
                            // What the file has was stored by somebody who had no time to say so.
                            if fields.id > folding.stored_id() {
                                if fields.id != folding.stored_id() + 1 {
                                    return Err(out_of_order(fields.id, folding.stored_id()));
                                }
                                folding.insert(&fields.fields())?;
                                bytes += next - position;
                                if fields.id % READY_STEP == 0 {
                                    log.make_ready();
                                }
                            } else {
                                folding.confirm();
                            }
                            position = next;
                            if !more {
                                (end, end_id) = (next, fields.id);
                            }
                        }
                    }
                }
                hooks::point("fold.commit");
                Ok((end, end_id, folding.stored_id() - before))
            })
        });
        let folded =
            folded.unwrap_or_else(|| Err(call::waited_for("another thread was folding", "try again")));
        let (end, end_id, count) = match folded {
            // Somebody else has stored everything, and perhaps ended the log.
            Err(_) if log.pending() == 0 => return Ok(()),
            folded => folded?,
        };
        hooks::point("fold.committed");
        if end_id > 0 {
            log.fold(end, end_id);
            // For whoever was killed between publishing and this.
            log.notify();
        }
        let metrics = self.sqlite.metrics();
        metrics.entries_folded.add(count.unsigned_abs());
        metrics.waited(Operation::Fold, began.elapsed());
        Ok(())
    }

    /// Whether the last fold in the background failed, and by more than a lock that somebody else had.
    pub fn is_in_trouble(&self) -> bool {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().is_some_and(|error| error.status() != Status::Busy)
    }
}

fn out_of_order(id: i64, stored_id: i64) -> Error {
    let message = format!("the commit log goes on with id {id}, but the ledger file ends with {stored_id}");
    Error::new(Status::Corrupt, message)
}

impl LedgerStore {
    /// Ends the drain, with what there is left to do. `last`: nobody else in this process has the ledger.
    pub(super) fn leave(&self, last: bool) -> Result<()> {
        let drain = self.drain.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(drain), Some(logged)) = (drain, &self.logged) else { return Ok(()) };
        drop(drain);
        let log = logged.log()?;
        let flushed = logged.flush();
        let left = log.pending();
        let gone = logged.leave_log(log, last);
        match flushed {
            Err(error) => Err(error.context(format!(
                "{left} bytes of entries are in \"{}\" and not yet in the ledger file; the next opening stores them",
                log.path().display()
            ))),
            Ok(()) => gone,
        }
    }
}
