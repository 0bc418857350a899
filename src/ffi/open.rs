//! Opening and closing.

use std::ffi::c_char;

use super::arguments::{Out, text};
use super::guard::guard;
use super::handle;
use super::own::Owned;
use super::{simledger_config, simledger_error, simledger_status};
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::ledger::Ledger;
use crate::logging;

/// An open ledger. Not an address but a number that is checked at every call, so that a handle that
/// was closed, closed twice or made up is a clean error. Any number of threads may use it at once.
pub struct simledger_ledger {
    _opaque: [u8; 0],
}

/// Opens the ledger file at `path` with the defaults, and creates it if there is none.
///
/// - `path`: UTF-8, lent for the call, `path_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. A
///   relative path is resolved now. ":memory:" is a new ledger in memory of at most
///   1 GiB, gone when it is closed.
/// - `ledger`: gets the handle, yours until `simledger_close`; NULL on failure.
///
/// Any thread. Returns what `simledger_open` returns.
///
/// Faults: open.
///
/// # Safety
/// `path` is as long as its length says. `ledger` can be written to. `error` is NULL or can be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_open_path(
    path: *const c_char,
    path_len: usize,
    ledger: *mut *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(ledger, std::ptr::null_mut()) };
        // SAFETY: as the caller promises.
        let path = unsafe { text(path, path_len, "path") }?;
        let config = Config::with_path(path).map_err(|error| Error::argument("path", error.message()))?;
        open(&config, &out)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Opens a ledger as a configuration says, and creates it if there is none (unless `read_only`).
///
/// A symbolic link to a ledger file is followed; nothing is created through one. All openings of
/// one file in a process share their storage and caches, by whatever name they found it.
///
/// - `config`: lent for the call; NULL: the defaults.
/// - `ledger`: gets the handle, yours until `simledger_close`; NULL on failure.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (a key asks for something else than the
/// file or its other handles in this process have); READ_ONLY (the file cannot be written:
/// open it with `read_only`); NO_SPACE; IO (no such folder or file, a directory, no permission);
/// CORRUPT; INCOMPATIBLE (not a ledger, or one of a newer version); BUSY (locked by another
/// process for all of `timeout`); LIMIT_EXCEEDED (65,536 open ledgers); UNSUPPORTED (`commit = log`
/// where there can be none; a process that was made without the handlers of fork); OUT_OF_MEMORY;
/// INTERNAL.
///
/// Faults: open.
///
/// # Safety
/// `config` is NULL or a configuration that nobody changes now. `ledger` can be written to. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_open(
    config: *const simledger_config,
    ledger: *mut *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(ledger, std::ptr::null_mut()) };
        // SAFETY: as the caller promises.
        let config = unsafe { simledger_config::look(config) };
        open(&config.cloned().unwrap_or_default(), &out)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

fn open(config: &Config, out: &Out<*mut simledger_ledger>) -> Result<Status> {
    out.required("ledger")?;
    let ledger = Ledger::open(config)?;
    let epoch = ledger.epoch();
    out.set(handle::insert(ledger, epoch)?);
    Ok(Status::Ok)
}

/// Closes a ledger: waits for the calls that other threads have in flight on it (those that wait for
/// entries end with CLOSED), and lets go of the file when it was the last handle. The handle is closed whatever is returned; later calls with it
/// are `CLOSED`. Entries and results that came from it stay valid.
///
/// - `ledger`: NULL is nothing, and OK.
///
/// Any thread, also with `check_same_thread`; but not from inside this ledger's log callback.
///
/// Returns OK; CLOSED (it was closed before, or inherited over a fork); INVALID_ARGUMENT (not a
/// handle; from inside its callback: it stays open); IO, NO_SPACE, CORRUPT (the file could not be
/// put in order; all that was acknowledged is in it, in its WAL or in its commit log, and the next
/// opening goes on from there); INTERNAL.
///
/// Faults: close.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_close(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        if !ledger.is_null() {
            if handle::enter(ledger)?.is_in_callback() {
                return Err(handle::inside_callback("the ledger cannot be closed"));
            }
            handle::remove_ledger(ledger, Ledger::close)?;
        }
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Closes all ledgers that are open in this process, those of other plug-ins included, each as
/// `simledger_close` does. The library can be used again at once.
///
/// Any thread, but not from inside a log callback. Returns OK; INVALID_ARGUMENT (inside a
/// callback: nothing is closed); otherwise the first failure that a `simledger_close` returned,
/// INTERNAL among them, with all ledgers closed all the same.
///
/// Faults: close.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_shutdown(error: *mut *mut simledger_error) -> simledger_status {
    let body = || {
        if logging::in_callback() {
            return Err(handle::inside_callback("a ledger cannot be closed"));
        }
        handle::close_all_ledgers(Ledger::close)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}
