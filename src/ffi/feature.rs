//! Values out of the features of an entry, by JSON Pointer.

use std::ffi::c_char;

use super::arguments::{Out, TextOut, null, text};
use super::guard::guard;
use super::{simledger_entry, simledger_error, simledger_status};
use crate::error::{Error, Result, Status};
use crate::feature::Feature;
use crate::json::Kind;

/// Type of a feature: null.
pub const SIMLEDGER_TYPE_NULL: i32 = 1;
/// Type of a feature: true or false.
pub const SIMLEDGER_TYPE_BOOLEAN: i32 = 2;
/// Type of a feature: a number.
pub const SIMLEDGER_TYPE_NUMBER: i32 = 3;
/// Type of a feature: a string.
pub const SIMLEDGER_TYPE_STRING: i32 = 4;
/// Type of a feature: an array.
pub const SIMLEDGER_TYPE_ARRAY: i32 = 5;
/// Type of a feature: an object.
pub const SIMLEDGER_TYPE_OBJECT: i32 = 6;

/// Reads a feature: `work` hands it out, if the pointer leads to one.
unsafe fn feature(
    entry: *const simledger_entry,
    (pointer, pointer_len): (*const c_char, usize),
    required: Result<()>,
    error: *mut *mut simledger_error,
    work: impl FnOnce(Feature<'_>) -> Result<()>,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let entry = unsafe { simledger_entry::look(entry) }.ok_or_else(|| null("entry"))?;
        // SAFETY: as the caller promises.
        let pointer = unsafe { text(pointer, pointer_len, "pointer") }?;
        required?;
        let Some(feature) = entry.feature(pointer)? else {
            return Ok(Status::NotFound);
        };
        work(feature).map_err(|error| error.context(format!("\"{}\"", crate::error::excerpt(pointer))))?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// The type of a value inside the features.
///
/// - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
///   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
///   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value_type`: gets one of the `SIMLEDGER_TYPE_` constants; 0 on failure.
///
/// Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
/// pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `value_type`
/// can be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_type(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    value_type: *mut i32,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(value_type, 0) };
    let work = |feature: Feature<'_>| {
        out.set(match feature.kind() {
            Kind::Null => SIMLEDGER_TYPE_NULL,
            Kind::Boolean => SIMLEDGER_TYPE_BOOLEAN,
            Kind::Number => SIMLEDGER_TYPE_NUMBER,
            Kind::String => SIMLEDGER_TYPE_STRING,
            Kind::Array => SIMLEDGER_TYPE_ARRAY,
            Kind::Object => SIMLEDGER_TYPE_OBJECT,
        });
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("value_type"), error, work) }
}

/// A number inside the features, as the nearest double.
///
/// - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
///   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
///   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets the number; 0 on failure.
///
/// Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
/// pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no
/// number); LIMIT_EXCEEDED (too large for a double); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `value` can
/// be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_number(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    value: *mut f64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(value, 0.0) };
    let work = |feature: Feature<'_>| {
        out.set(feature.number()?);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("value"), error, work) }
}

/// A whole number inside the features, exactly.
///
/// - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
///   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
///   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets the number; 0 on failure.
///
/// Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
/// pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no whole
/// number); LIMIT_EXCEEDED (too large for 64 bits, whatever way it is written); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `value` can
/// be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_integer(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    value: *mut i64,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(value, 0) };
    let work = |feature: Feature<'_>| {
        out.set(feature.integer()?);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("value"), error, work) }
}

/// A truth value inside the features.
///
/// - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
///   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
///   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets true or false; false on failure.
///
/// Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
/// pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is
/// neither); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `value` can
/// be written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_boolean(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    value: *mut bool,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(value, false) };
    let work = |feature: Feature<'_>| {
        out.set(feature.boolean()?);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("value"), error, work) }
}

/// The length of an array inside the features.
///
/// - `pointer`: a JSON Pointer (RFC 6901) such as `/rate` or `/values/0`; `~1` stands for a slash
///   in a key and `~0` for a tilde; "" is the features themselves. UTF-8, lent for the call,
///   `pointer_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `len`: gets the number of its elements; 0 on failure.
///
/// Any thread. Costs what it takes to read the features up to there. Returns OK; NOT_FOUND (the
/// pointer leads nowhere); INVALID_ARGUMENT (the pointer is malformed, or what is there is no
/// array); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `len` can be
/// written to. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_array_len(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(len, 0) };
    let work = |feature: Feature<'_>| {
        out.set(feature.array_len()?);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("len"), error, work) }
}

/// The numbers of an array inside the features, each as the nearest double.
///
/// - `pointer`: as of `simledger_entry_feature_number`.
/// - `values`: gets the numbers; room for `values_max`. May be NULL if `values_max` is 0. After a
///   failure what is there is undefined.
/// - `len`: gets how many there are; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
/// malformed, or what is there is no array of numbers); LIMIT_EXCEEDED (there are more than
/// `values_max`, and the message says how many; or one is too large for a double); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `values_max`
/// doubles can be written at `values`. `len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_numbers(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    values: *mut f64,
    values_max: usize,
    len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { Out::new(len, 0) };
    let work = |feature: Feature<'_>| {
        match (values.is_null(), values_max) {
            (true, 1..) => return Err(null("values")),
            (_, most) if most > isize::MAX as usize / size_of::<f64>() => {
                let message = format!("values_max is {most}, more than any array can have");
                return Err(Error::argument("values_max", message));
            }
            _ => {}
        }
        // SAFETY: not NULL where there is room, and below `values_max`, for which the caller promises
        // room. Nothing is read from there.
        let put = |index, number| unsafe { values.add(index).write(number) };
        out.set(feature.put_numbers(values_max, put)?);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), Ok(()), error, work) }
}

/// A string inside the features, decoded.
///
/// - `pointer`: as of `simledger_entry_feature_number`.
/// - `value`: gets the string, UTF-8 with a NUL behind it, yours until `simledger_string_free`;
///   NULL on failure. It may hold NULs (`\\u0000`).
/// - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
/// malformed, or what is there is no string); CORRUPT (another program wrote half of a surrogate
/// pair); OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `value` can
/// be written to. `value_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_text(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    value: *mut *mut c_char,
    value_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { TextOut::new(value, value_len) };
    let work = |feature: Feature<'_>| out.set(&feature.text()?);
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("value"), error, work) }
}

/// A value inside the features as JSON, whatever it is.
///
/// - `pointer`: as of `simledger_entry_feature_number`.
/// - `json`: gets the text, yours until `simledger_string_free`; NULL on failure.
/// - `json_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Any thread. Returns OK; NOT_FOUND (the pointer leads nowhere); INVALID_ARGUMENT (the pointer is
/// malformed); OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `entry` is NULL or an entry that is alive. `pointer` is as long as its length says. `json` can
/// be written to. `json_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_entry_feature_json(
    entry: *const simledger_entry,
    pointer: *const c_char,
    pointer_len: usize,
    json: *mut *mut c_char,
    json_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    // SAFETY: as the caller promises.
    let out = unsafe { TextOut::new(json, json_len) };
    let work = |feature: Feature<'_>| out.set(feature.json());
    // SAFETY: as the caller promises.
    unsafe { feature(entry, (pointer, pointer_len), out.required("json"), error, work) }
}
