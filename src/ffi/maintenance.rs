//! Maintenance.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::arguments::{Out, TextOut};
use super::guard::{call_back, guard};
use super::handle;
use super::shapes::{amount, number, run};
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::error::{Error, Result, Status};
use crate::ledger::Ledger;
use crate::store::{ProgressFunction, Vacuum};

/// Gives free pages at the end of the file back, in transactions of a thousand pages between which
/// others write.
pub const SIMLEDGER_VACUUM_INCREMENTAL: i32 = 1;
/// Writes the whole file anew, in one transaction that nobody can write beside.
pub const SIMLEDGER_VACUUM_FULL: i32 = 2;

/// Told how far something is, from 0 to 1, never less than before. Returns 0 to go on; anything
/// else ends it.
///
/// Called during the call, on its thread, with no lock of the library held but the snapshot that
/// the check reads. It may call the library, but not close this ledger; its connection is in use
/// meanwhile, so that reading with `max_connections = 1` is BUSY. For a ledger in memory it is
/// called at the beginning and the end only. A C++ exception out of it ends the program: catch it
/// inside, or use `simledger.hpp`, which does. It may not be left by `longjmp`.
pub type simledger_progress_callback =
    Option<unsafe extern "C-unwind" fn(part: f64, user_data: *mut c_void) -> i32>;

/// Deletes entries whose timestamp is more than `max_age_seconds` behind the ledger's clock: the
/// system's, or with `clock = simulated` the newest timestamp in the ledger.
///
/// **Where timestamps are simulated time, set `clock` to `simulated` before the file is first
/// created**: by the system's clock everything that happened at second 5 is decades old, and goes.
///
/// The only way entries ever go. Pollers that had not seen them are told
/// (`simledger_entries_gap_before`), and ids are never used again. Works in transactions of about a
/// millisecond (of 50 with `commit = log`, where appends do not wait for them, and where each is synced
/// anyway), and then leaves the file to others for some time; `timeout` bounds what it waits for one.
///
/// - `max_age_seconds`: finite and above 0.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; or as any call on a ledger: BUSY, INTERRUPTED,
/// READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL. After a failure
/// `simledger_error_work_done` says how many were deleted before it; call again for the rest.
///
/// Faults: maintenance.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup(
    ledger: *mut simledger_ledger,
    max_age_seconds: f64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { amount(ledger, deleted, error, |ledger| ledger.cleanup(max_age_seconds)) }
}

/// Deletes entries with a timestamp smaller than `timestamp`; otherwise as `simledger_cleanup`.
///
/// - `timestamp`: in seconds, finite.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_cleanup` returns.
///
/// Faults: maintenance.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup_before_timestamp(
    ledger: *mut simledger_ledger,
    timestamp: f64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { amount(ledger, deleted, error, |ledger| ledger.cleanup_before_timestamp(timestamp)) }
}

/// Deletes entries with an id smaller than `id`; otherwise as `simledger_cleanup`.
///
/// - `id`: from 1.
/// - `deleted`: gets how many were deleted; 0 on failure. May be NULL.
///
/// Any thread. Returns what `simledger_cleanup` returns.
///
/// Faults: maintenance.
///
/// # Safety
/// `deleted` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cleanup_before_id(
    ledger: *mut simledger_ledger,
    id: i64,
    deleted: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { amount(ledger, deleted, error, |ledger| ledger.cleanup_before_id(id)) }
}

/// Folds all that was appended before, by anybody, from the commit log into the ledger file, where
/// programs that know nothing of simledger see it. By itself that happens in the background, some 20
/// milliseconds later at most while the drain keeps up.
///
/// Not needed for durability or for readers of simledger. With `commit = sqlite` there is nothing to
/// do. A handle with `read_only` waits for others to do it, and returns where nobody does.
///
/// Any thread. Returns OK; BUSY (another program kept the file locked); NO_SPACE (the entries stay in the
/// log); or as any call on a ledger: INTERRUPTED, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
/// INVALID_ARGUMENT, INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_flush(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::flush) }
}

/// Puts all that was acknowledged into the ledger file itself, from the commit log and from SQLite's
/// WAL, and empties the WAL, waiting for readers within `timeout`. Both happen by themselves in the
/// background and when the last handle closes; after this call, and before the next append, the one
/// file is all there is to copy. Nothing to do for a ledger in memory.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; BUSY (a reader or another process kept the WAL in use;
/// what could be folded in was); or as any call that writes: INTERRUPTED, READ_ONLY, NO_SPACE, IO,
/// CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_checkpoint(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::checkpoint) }
}

/// Builds the indexes of the ledger anew, in one transaction: seconds for a million entries, in
/// which nobody else appends. Only needed after an integrity check found an index damaged.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; CORRUPT (also where the rows contradict the unique
/// constraint); or as any call that writes: BUSY, INTERRUPTED, READ_ONLY, NO_SPACE, IO, CLOSED,
/// WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_reindex(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::reindex) }
}

/// Lets SQLite see how the data of the ledger's table are distributed (its ANALYZE), for the plans of
/// `simledger_sql`. The library's own queries do not need it. Fast, also on large ledgers.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; or as any call that writes: BUSY, INTERRUPTED,
/// READ_ONLY, NO_SPACE, IO, CORRUPT, CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_optimize(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::optimize) }
}

/// Gives the space of deleted entries back to the file system. Without it the file keeps its size
/// and new entries use the space again.
///
/// - `how`: `SIMLEDGER_VACUUM_INCREMENTAL` or `SIMLEDGER_VACUUM_FULL`. A full one needs twice the
///   space of the file meanwhile, partly in SQLite's folder for temporary files, and time in
///   proportion to it; only it helps files of the Python module, which can give space back in steps
///   from then on.
/// - `freed`: gets how many bytes were given back; 0 on failure. May be NULL. While a reader uses
///   the WAL the file shrinks at a later checkpoint.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; UNSUPPORTED (an incremental one on a file that needs a
/// full one); or as any call that writes: BUSY, INTERRUPTED, READ_ONLY, NO_SPACE, IO, CORRUPT,
/// CLOSED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `freed` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_vacuum(
    ledger: *mut simledger_ledger,
    how: i32,
    freed: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |ledger: &Ledger| {
        let how = Vacuum::from_code(how).ok_or_else(|| {
            let message = format!(
                "how is {how}; it must be SIMLEDGER_VACUUM_INCREMENTAL (1) or SIMLEDGER_VACUUM_FULL (2)"
            );
            Error::argument("how", message)
        })?;
        ledger.vacuum(how)
    };
    // SAFETY: as the caller promises.
    unsafe { amount(ledger, freed, error, work) }
}

/// Reads the whole file and says what is not as it should be: SQLite's own check of pages and
/// indexes, then whether ids are in order, rows are valid entries, and tables, indexes and guards
/// as they were made. Others append meanwhile.
///
/// - `findings_max`: most findings, from 1; `SIMLEDGER_NO_LIMIT` for all. What one quotes from the file is cut short.
/// - `progress`: see `simledger_progress_callback`; may be NULL. The metric
///   `integrity_check_progress` says the same.
/// - `user_data`: passed to `progress`, during this call only; may be NULL.
/// - `findings`: gets the findings, each on a line of its own; "" where there are none. Yours until
///   `simledger_string_free`; NULL on failure. May be NULL.
/// - `count`: gets how many there are: 0 means that all is well. 0 on failure too.
///
/// Any thread. Takes seconds for a million entries. The first hundred findings are logged. Returns OK (also with
/// findings); INVALID_ARGUMENT; INTERRUPTED (`progress` ended it, or `simledger_interrupt`); CORRUPT (so
/// damaged that it cannot be checked); LIMIT_EXCEEDED (the findings take more than `result_bytes_max`: ask for
/// fewer); or as any call on a ledger: BUSY, INTERRUPTED, IO, CLOSED, WRONG_THREAD, OUT_OF_MEMORY,
/// INTERNAL.
///
/// Faults: maintenance.
///
/// # Safety
/// `progress` can be called with `user_data`. `count` can be written to. `findings` and `error` are
/// NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_integrity_check(
    ledger: *mut simledger_ledger,
    findings_max: usize,
    progress: simledger_progress_callback,
    user_data: *mut c_void,
    findings: *mut *mut c_char,
    count: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let (out, count) = unsafe { (TextOut::new(findings, std::ptr::null_mut()), Out::new(count, 0)) };
        let ledger = handle::enter(ledger)?;
        count.required("count")?;
        let receiver = ProgressReceiver { callback: progress, user_data };
        let progress: Arc<ProgressFunction> = Arc::new(move |part| receiver.tell(part));
        let found = ledger.integrity_check(findings_max, Some(progress))?;
        if out.required("findings").is_ok() {
            out.set(&lines(&found)?)?;
        }
        count.set(found.len());
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Texts of one line each, one below the other.
fn lines(texts: &[String]) -> Result<String> {
    let mut lines = String::new();
    lines
        .try_reserve_exact(texts.iter().map(|text| text.len() + 1).sum())
        .map_err(|_| Error::no_memory("the findings", "ask for fewer (findings_max)"))?;
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            lines.push('\n');
        }
        lines.push_str(text);
    }
    Ok(lines)
}

/// A progress receiver of C.
struct ProgressReceiver {
    callback: simledger_progress_callback,
    user_data: *mut c_void,
}

// SAFETY: it is only called during the call that it was given to, on that call's thread.
unsafe impl Send for ProgressReceiver {}
// SAFETY: as above.
unsafe impl Sync for ProgressReceiver {}

impl ProgressReceiver {
    fn tell(&self, part: f64) -> bool {
        // SAFETY: the C caller promises that it can be called with `user_data` during the call.
        self.callback.is_none_or(|callback| call_back(|| unsafe { callback(part, self.user_data) }) == 0)
    }
}

/// Forgets what the caches of the ledger hold. Never needed for fresh answers; it frees memory.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
/// WRONG_THREAD; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_invalidate_caches(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::invalidate_caches) }
}

/// How long ago the oldest thing was read from the file that the caches of the ledger hold.
///
/// - `seconds`: gets the age, with decimals; 0 if the caches are empty, and on failure.
///
/// Any thread. Answers are never stale, whatever the age. Returns OK; NOT_FOUND (the caches are
/// empty); INVALID_ARGUMENT; IO (the file is not where it was); CLOSED; WRONG_THREAD; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `seconds` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_cache_age(
    ledger: *mut simledger_ledger,
    seconds: *mut f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { number(ledger, (seconds, "seconds"), error, Ledger::cache_age) }
}

/// Closes the connections of the ledger that no call is using, and frees their memory. They are
/// opened again when they are needed.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; IO (the file is not where it was); CLOSED;
/// WRONG_THREAD; INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_release_connections(
    ledger: *mut simledger_ledger,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    unsafe { run(ledger, error, Ledger::release_connections) }
}
