//! What the targets do, which is a part of the crate's own tests.

#[path = "../../tests/fuzzed/mod.rs"]
pub mod fuzzed;
