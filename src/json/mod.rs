//! JSON as the ledger needs it: checked and compacted in one pass, without recursion, and compared
//! by meaning.
//!
//! serde_json's `Value` lets duplicate keys pass and changes numbers, its `RawValue` lets lone
//! surrogates and any depth pass, and both recurse. An entry's features are stored as the text that
//! came in, so what is needed is a validator rather than a data model: [`Scanner`].

mod canonical;
mod keys;
mod pointer;
#[cfg(any(test, feature = "test-hooks"))]
pub(crate) mod reference;
mod scan;
mod write;

pub(crate) use canonical::{DEPTH_MAX, same_meaning};
pub(crate) use pointer::{PointerFault, find, value};
pub(crate) use scan::{Fault, Kind, Reason, Rules, Scanner};
pub(crate) use write::{Text, copy, own};
