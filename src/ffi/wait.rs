//! Waiting for entries.

use std::ptr;
use std::time::Duration;

use super::arguments::Out;
use super::guard::guard;
use super::handle::{self, LedgerHandle};
use super::own::Owned;
use super::{simledger_entries, simledger_error, simledger_ledger, simledger_query, simledger_status};
use crate::error::{Error, Result, Status};
use crate::sys::fork;

/// A place in the ledger with a descriptor for event loops (epoll, poll, libuv, asyncio), which is
/// readable while something comes next. Like a ledger, not an address but a number that is checked
/// at every call.
///
/// One thread of the library, `simledger-watch`, makes the descriptors of all watches of a file
/// readable. It begins with the first watch and ends when the ledger is closed.
pub struct simledger_watch {
    _opaque: [u8; 0],
}

/// What is new, as `simledger_poll_since` gives it; where there is nothing, waits for it. The next
/// call goes on from `simledger_entries_position`.
///
/// Whoever appends wakes those who wait, in all processes that have the ledger open, and makes no
/// system call where nobody waits. No wake-up is lost: where a process is killed between an append
/// and the waking, or something else goes wrong with it, those who wait find the entry within a
/// quarter of a second. With `commit = sqlite`, what programs append that know nothing of simledger
/// is found within 50 milliseconds. Handles that cannot write (`read_only`), and all others where no
/// file could be made beside the ledger to wake each other by (`<path>-wake`), look every 20
/// milliseconds.
///
/// Any number of threads may wait. A wait holds no connection and no lock, and sleeps.
///
/// - `last_seen_id`: 0, or the position of an earlier result.
/// - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
///   more than `result_bytes_max`. It does not wait for so many: the first one ends the wait.
/// - `timeout_seconds`: how long to wait at most, in seconds, decimals allowed; from 0 (look once)
///   to infinity (no end). It has nothing to do with the ledger's `timeout`, which each look at the
///   ledger has for itself.
/// - `filter`: wait for entries that pass this query, of which also its limit counts; the position
///   passes over what it does not give. As of `simledger_query_poll`. Lent for the call, and not to
///   be changed meanwhile. NULL: all entries.
/// - `entries`: gets the result, yours until `simledger_entries_free`: also after TIMEOUT, where it
///   is empty and has a position. NULL on failure.
///
/// Any thread. Returns OK; TIMEOUT (nothing came; without an error object); INVALID_ARGUMENT; CLOSED
/// (also where another thread closes the ledger meanwhile); INTERRUPTED (`simledger_interrupt`);
/// LIMIT_EXCEEDED (one entry alone takes more than `result_bytes_max`); or as any call on a ledger:
/// BUSY, IO, CORRUPT, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `filter` is NULL or a query that nobody changes. `entries` can be written to. `error` is NULL or
/// can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_wait_since(
    ledger: *mut simledger_ledger,
    last_seen_id: i64,
    limit: usize,
    timeout_seconds: f64,
    filter: *const simledger_query,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(entries, ptr::null_mut()) };
        let ledger = handle::enter(ledger)?;
        out.required("entries")?;
        // SAFETY: as the caller promises.
        let filter = unsafe { simledger_query::look(filter) };
        let found = ledger.wait(last_seen_id, limit, duration(timeout_seconds)?, filter)?;
        let status = if found.is_empty() { Status::Timeout } else { Status::Ok };
        out.set(simledger_entries::give(found));
        Ok(status)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Begins to watch a ledger: a descriptor that is readable while there are entries that the watch
/// has not given yet.
///
/// - `last_seen_id`: the watch begins behind it: 0, or the position of an earlier result.
/// - `filter`: the entries to watch for, as of `simledger_wait_since`. Copied. NULL: all.
/// - `watch`: gets the handle, yours until `simledger_watch_close`, also after the ledger was
///   closed; NULL on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; LIMIT_EXCEEDED (65,536 open watches, or no descriptor
/// left); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD,
/// OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `filter` is NULL or a query that nobody changes. `watch` can be written to. `error` is NULL or can
/// be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_watch_open(
    ledger: *mut simledger_ledger,
    last_seen_id: i64,
    filter: *const simledger_query,
    watch: *mut *mut simledger_watch,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(watch, ptr::null_mut()) };
        let in_use = handle::enter(ledger)?;
        out.required("watch")?;
        // SAFETY: as the caller promises.
        let filter = unsafe { simledger_query::look(filter) };
        let opened = in_use.watch(last_seen_id, filter)?;
        out.set(handle::insert((opened, LedgerHandle::of(ledger)), fork::epoch())?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// The descriptor of a watch, for `epoll_ctl`, `poll` and the like: readable while
/// `simledger_watch_poll` would give entries, or an error, and for good once the ledger was closed.
/// It is the watch's: do not read from it, and do not close it. Programs that are executed do not
/// have it.
///
/// - `descriptor`: gets it; -1 on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `descriptor` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_watch_descriptor(
    watch: *mut simledger_watch,
    descriptor: *mut i32,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(descriptor, -1) };
        let watch = handle::enter(watch)?;
        out.required("descriptor")?;
        out.set(watch.0.descriptor());
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// What comes next for a watch: the entries behind those that it gave before, in the order of their
/// ids. Returns at once, also with none. The descriptor is readable afterwards if there are more
/// than `limit`, or more came meanwhile, and otherwise not.
///
/// - `limit`: most entries, from 1; `SIMLEDGER_NO_LIMIT` for all. Fewer come where they would take
///   more than `result_bytes_max`.
/// - `entries`: gets the result, yours until `simledger_entries_free`; NULL on failure, after which
///   the watch is where it was.
///
/// Any thread; of several that call it at once each gets other entries. Returns OK;
/// INVALID_ARGUMENT; CLOSED (the watch or its ledger); LIMIT_EXCEEDED (one entry alone takes more
/// than `result_bytes_max`); or as any call on a ledger: BUSY, INTERRUPTED, IO, CORRUPT,
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: read.
///
/// # Safety
/// `entries` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_watch_poll(
    watch: *mut simledger_watch,
    limit: usize,
    entries: *mut *mut simledger_entries,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(entries, ptr::null_mut()) };
        let watch = handle::enter(watch)?;
        out.required("entries")?;
        let (watch, ledger) = &*watch;
        let found = handle::enter(ledger.get())?.poll_watch(watch, limit)?;
        out.set(simledger_entries::give(found));
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Ends a watch and closes its descriptor: take it out of the event loop first. NULL is nothing.
/// Calls in flight on it are waited for.
///
/// Any thread, but not from inside a callback of its ledger. Returns OK; INVALID_ARGUMENT; CLOSED
/// (it was closed before); INTERNAL.
///
/// Faults: close.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_watch_close(
    watch: *mut simledger_watch,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        if watch.is_null() {
            return Ok(Status::Ok);
        }
        if handle::enter(watch)?.0.is_in_callback() {
            return Err(handle::inside_callback("a watch cannot be closed"));
        }
        handle::remove(watch, |_| Ok(()))?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

fn duration(seconds: f64) -> Result<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        let message = format!("timeout_seconds is {seconds}; it must be a number from 0, or infinity");
        return Err(Error::argument("timeout_seconds", message));
    }
    // What is longer than can be said has no end.
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
