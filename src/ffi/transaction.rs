//! Transactions.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::arguments::{Out, text};
use super::guard::{catch, guard};
use super::handle::{self, LedgerHandle, Pending};
use super::{simledger_error, simledger_ledger, simledger_status};
use crate::entry::NewEntry;
use crate::error::{Error, Result, Status};
use crate::sys::fork;
use crate::transaction::Transaction;

/// Entries that are collected and then written together, all or nothing. Like a ledger, not an
/// address but a number that is checked at every call. For one thread at a time.
///
/// Nothing of the ledger is held while a transaction is open: no writer waits for it, and dropping
/// it costs nothing.
pub struct simledger_transaction {
    _opaque: [u8; 0],
}

/// The transaction of a handle that is in use, for this thread alone.
fn lock(pending: &Pending) -> Result<MutexGuard<'_, (Transaction, LedgerHandle)>> {
    match pending.try_lock() {
        Ok(locked) => Ok(locked),
        // Nothing in it is ever half changed.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            let message = "another thread uses the transaction; it is for one thread at a time";
            Err(Error::argument("transaction", message))
        }
    }
}

/// Begins a transaction, empty. Nothing is written before `simledger_transaction_commit`.
///
/// - `transaction`: gets the handle, yours until `simledger_transaction_free` or until it is
///   committed; NULL on failure. The ledger may be closed before, and then it cannot be committed.
///
/// Any thread. Returns OK; INVALID_ARGUMENT; CLOSED; LIMIT_EXCEEDED (65,536 open transactions);
/// INTERNAL.
///
/// Faults: handle.
///
/// # Safety
/// `transaction` can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_transaction_begin(
    ledger: *mut simledger_ledger,
    transaction: *mut *mut simledger_transaction,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(transaction, ptr::null_mut()) };
        let begun = handle::enter(ledger)?.transaction();
        out.required("transaction")?;
        out.set(handle::insert(Mutex::new((begun, LedgerHandle::of(ledger))), fork::epoch())?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Adds an entry to a transaction, checked as by `simledger_append` but for duplicates, which the
/// commit finds.
///
/// - `timestamp`, `node_id`, `features_json`, `confidence`: as of `simledger_append`.
/// - `index`: gets which entry of the transaction it is, counted from 0; 0 on failure. May be NULL.
///
/// One thread at a time. Returns OK; INVALID_ARGUMENT; INVALID_ENTRY (and the transaction is as it
/// was); CLOSED (committed or freed); OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// The texts are as long as their lengths say. `index` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_transaction_append(
    transaction: *mut simledger_transaction,
    timestamp: f64,
    node_id: *const c_char,
    node_id_len: usize,
    features_json: *const c_char,
    features_json_len: usize,
    confidence: f64,
    index: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(index, 0) };
        let pending = handle::enter(transaction)?;
        // SAFETY: as the caller promises.
        let node_id = unsafe { text(node_id, node_id_len, "node_id") }?;
        // SAFETY: as the caller promises.
        let features = unsafe { text(features_json, features_json_len, "features_json") }?;
        let (transaction, _) = &mut *lock(&pending)?;
        let entry = NewEntry::new(timestamp, node_id, features, confidence, transaction.limits())?;
        out.set(transaction.append(entry)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Adds an entry from JSON to a transaction, checked as by `simledger_append_json` but for
/// duplicates, which the commit finds.
///
/// - `json`: UTF-8, lent for the call, `json_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `index`: gets which entry of the transaction it is, counted from 0; 0 on failure. May be NULL.
///
/// One thread at a time. Returns what `simledger_transaction_append` returns.
///
/// Faults: memory.
///
/// # Safety
/// `json` is as long as its length says. `index` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_transaction_append_json(
    transaction: *mut simledger_transaction,
    json: *const c_char,
    json_len: usize,
    index: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(index, 0) };
        let pending = handle::enter(transaction)?;
        // SAFETY: as the caller promises.
        let json = unsafe { text(json, json_len, "json") }?;
        let (transaction, _) = &mut *lock(&pending)?;
        out.set(transaction.append_json(json)?);
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Lets the commit fail with CONFLICT unless the ledger's last id is this one then: unless nobody
/// appended since the caller read it. So a decision that rests on what was read is only written
/// down while it still holds.
///
/// - `id`: what `simledger_last_id` or the position of a poll gave, 0 for a ledger that never had
///   an entry.
///
/// One thread at a time. Returns OK; INVALID_ARGUMENT; CLOSED; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_transaction_expect_last_id(
    transaction: *mut simledger_transaction,
    id: i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        let pending = handle::enter(transaction)?;
        lock(&pending)?.0.expect_last_id(id)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// How many entries a transaction holds; 0 for NULL and for one that was committed or freed.
///
/// One thread at a time.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_transaction_len(transaction: *const simledger_transaction) -> usize {
    catch(|| Ok(lock(&*handle::enter(transaction)?)?.0.len())).unwrap_or(0)
}

/// Writes all entries of a transaction or none, with ids that follow one another. They are durable
/// when this returns OK (see Durability above), and the transaction has ended: it need not be
/// freed.
///
/// After a failure the transaction is as it was: commit it again (BUSY, NO_SPACE), or free it.
///
/// - `first_id`: gets the first id; 0 on failure or if nothing was added. May be NULL.
/// - `count`: gets how many were added, equal ones that were there already (`on_duplicate =
///   ignore`) not counted; 0 on failure. May be NULL.
///
/// One thread at a time. Returns OK; INVALID_ARGUMENT; DUPLICATE (`simledger_error_index` names the
/// entry); CONFLICT (`simledger_error_entry_id` is the last id that was found); CLOSED (the
/// transaction has ended, or the ledger was closed); or as any append: BUSY, INTERRUPTED,
/// READ_ONLY, NO_SPACE, IO, CORRUPT, LIMIT_EXCEEDED, WRONG_THREAD, OUT_OF_MEMORY, INTERNAL.
/// Whatever is not OK wrote nothing, but for what Faults says of FULL.
///
/// Faults: append.
///
/// # Safety
/// `first_id`, `count` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_transaction_commit(
    transaction: *mut simledger_transaction,
    first_id: *mut i64,
    count: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let (first_id, count) = unsafe { (Out::new(first_id, 0), Out::new(count, 0)) };
        let batched = {
            let pending = handle::enter(transaction)?;
            let (transaction, ledger) = &mut *lock(&pending)?;
            handle::enter(ledger.get())?.commit(transaction)?
        };
        first_id.set(batched.first_id);
        count.set(batched.count);
        // Somebody may have freed it in the meantime, against the rule.
        let _ = handle::remove(transaction, |_| Ok(()));
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Drops a transaction that was not committed; nothing of it was written. NULL, and one that has
/// ended, is nothing; so is one that is being committed at this moment, from inside a callback.
///
/// One thread at a time.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_transaction_free(transaction: *mut simledger_transaction) {
    let _ = catch(|| {
        // Whoever waited here for a commit, from inside its log callback, would wait for itself.
        drop(lock(&*handle::enter(transaction)?)?);
        handle::remove(transaction, |_| Ok(()))
    });
}
