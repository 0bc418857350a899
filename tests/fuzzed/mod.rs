//! What the fuzzers' targets do with a text of bytes, each in its file: they assert, and give nothing back. Called by
//! `fuzz/fuzz_targets` with what libFuzzer makes up, and by `tests/fuzz_corpus.rs` with what is kept of it.

#![allow(dead_code)] // Each target of the fuzzer uses one of them.

pub mod api;
pub mod batch;
pub mod c;
pub mod conditions;
pub mod json;
pub mod log;
pub mod model;
pub mod query;
pub mod sql;
pub mod yaml;

/// A folder that goes away, where `TMPDIR` says.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
