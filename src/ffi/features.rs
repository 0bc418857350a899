//! Making features from keys and values.

use std::ffi::c_char;

use super::arguments::{array, lend_with_nul, null, text};
use super::guard::{catch, guard};
use super::own::Owned;
use super::{simledger_error, simledger_status};
use crate::error::{Result, Status};
use crate::features::Features;

/// Makes the JSON text of features from keys and values, with the escapes that are needed: an
/// object, its keys in the order in which they were first set. Yours until
/// `simledger_features_free`; for one thread at a time.
pub struct simledger_features {
    _opaque: [u8; 0],
}

/// Sets a key.
unsafe fn set(
    features: *mut simledger_features,
    (key, key_len): (*const c_char, usize),
    error: *mut *mut simledger_error,
    work: impl FnOnce(&mut Features, &str) -> Result<()>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let features = unsafe { simledger_features::change(features) }.ok_or_else(|| null("features"))?;
        // SAFETY: as the caller promises.
        work(features, unsafe { text(key, key_len, "key") }?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// New features without keys: `{}`. Never NULL.
///
/// Any thread. Free them with `simledger_features_free`.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_features_new() -> *mut simledger_features {
    simledger_features::give(Features::new())
}

/// Ends features and the text they lent. NULL is nothing.
///
/// Faults: memory.
///
/// # Safety
/// `features` is NULL or features that were not freed; nobody uses them any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_free(features: *mut simledger_features) {
    // SAFETY: as the caller promises.
    unsafe { simledger_features::free(features) };
}

/// Takes all keys away, to begin the next features. NULL is nothing.
///
/// Faults: memory.
///
/// # Safety
/// `features` is NULL or features that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_clear(features: *mut simledger_features) {
    // SAFETY: as the caller promises.
    if let Some(features) = unsafe { simledger_features::change(features) } {
        features.clear();
    }
}

/// The features as JSON, to be appended.
///
/// - `len`: gets the length in bytes; may be NULL.
///
/// The text ends with a NUL and lives until the features are changed or freed. "" with length 0 for
/// NULL; NULL with length 0, which no append takes, where there is no memory for it.
///
/// Faults: memory.
///
/// # Safety
/// `features` is NULL or features that nobody else uses now. `len` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_json(
    features: *const simledger_features,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises; the text is part of the features.
    let features = unsafe { simledger_features::look(features) };
    let json = match features {
        Some(features) => catch(|| Ok(features.json_with_nul())).ok().flatten(),
        None => Some("\0"),
    };
    // SAFETY: as the caller promises; both texts end with a NUL.
    unsafe { lend_with_nul(json, len) }
}

/// Sets a key to a number, written in its shortest form that reads back. A key that is set already
/// gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: finite.
///
/// Returns OK; INVALID_ARGUMENT (also NaN and infinities), and then nothing is changed; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. `key` is as long as its length says. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_number(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    value: f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| features.set_number(key, value);
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to a whole number. A key that is set already gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
///
/// Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. `key` is as long as its length says. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_integer(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    value: i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| features.set_integer(key, value);
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to true or false. A key that is set already gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
///
/// Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. `key` is as long as its length says. `error`
/// is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_boolean(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    value: bool,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| features.set_boolean(key, value);
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to a string. A key that is set already gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: likewise; what needs escapes gets them.
///
/// Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. The texts are as long as their lengths say.
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_text(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| {
        // SAFETY: as the caller promises.
        features.set_text(key, unsafe { text(value, value_len, "value") }?)
    };
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to any JSON value: an object or an array inside, null, a number digit for digit. A
/// key that is set already gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `json`: likewise; checked as features are.
///
/// Returns OK; INVALID_ARGUMENT; INVALID_ENTRY (it is no valid JSON), and then nothing is changed;
/// OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. The texts are as long as their lengths say.
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_json(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| {
        // SAFETY: as the caller promises.
        features.set_json(key, unsafe { text(json, json_len, "json") }?)
    };
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to an array of numbers. A key that is set already gets the new value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `values`: `len` numbers, finite, lent for the call; may be NULL if `len` is 0.
///
/// Returns OK; INVALID_ARGUMENT (also NaN and infinities; `simledger_error_index` says which), and
/// then nothing is changed; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. `key` is as long as its length says, and
/// `values` has `len` numbers. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_numbers(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    values: *const f64,
    len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| {
        // SAFETY: as the caller promises.
        features.set_numbers(key, unsafe { array(values, len, "values", "len") }?)
    };
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}

/// Sets a key to an array of whole numbers, such as ids. A key that is set already gets the new
/// value.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `values`: `len` numbers, lent for the call; may be NULL if `len` is 0.
///
/// Returns OK; INVALID_ARGUMENT; OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `features` are features that nobody else uses now. `key` is as long as its length says, and
/// `values` has `len` numbers. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_features_set_integers(
    features: *mut simledger_features,
    key: *const c_char,
    key_len: usize,
    values: *const i64,
    len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let work = |features: &mut Features, key: &str| {
        // SAFETY: as the caller promises.
        features.set_integers(key, unsafe { array(values, len, "values", "len") }?)
    };
    // SAFETY: as the caller promises.
    unsafe { set(features, (key, key_len), error, work) }
}
