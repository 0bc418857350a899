//! JSON as the ledger needs it: checked and compacted in one pass, without recursion, and compared
//! by meaning.
//!
//! serde_json's `Value` lets duplicate keys pass and changes numbers, its `RawValue` lets lone
//! surrogates and any depth pass, and both recurse. An entry's features are stored as the text that
//! came in, so what is needed is a validator rather than a data model: [`Scanner`].

mod canonical;
mod keys;
mod pointer;
#[cfg(test)]
mod reference;
mod scan;

pub(crate) use canonical::{DEPTH_MAX, same_meaning};
pub(crate) use pointer::{PointerFault, find, value};
pub(crate) use scan::{Fault, Kind, Reason, Rules, Scanner};

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail, and a str always has a JSON form.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `number` in its shortest form that reads back as the same double.
///
/// Numbers that JSON cannot express become `null`; the ledger never holds any.
pub(crate) fn write_f64(out: &mut Vec<u8>, number: f64) {
    let _ = serde_json::to_writer(out, &number);
}
