//! What the fuzzers are given to begin with, each once through what they would do with it: whatever was found by them is
//! kept there, so that it is found again without them.

mod fuzzed;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn each_of(name: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let passed = catch_unwind(AssertUnwindSafe(|| run(&bytes)));
        assert!(passed.is_ok(), "{}", file.display());
    }
}

#[test]
fn json_is_judged_as_the_rules_say() {
    each_of("json", fuzzed::json::run);
}

#[test]
fn a_batch_is_what_its_entries_are() {
    each_of("batch", fuzzed::batch::run);
}

#[test]
fn yaml_is_read_or_refused() {
    each_of("yaml", fuzzed::yaml::run);
}

#[test]
fn a_query_gives_what_its_conditions_say() {
    each_of("query", fuzzed::query::run);
}

#[test]
fn sql_reads_and_does_nothing_else() {
    each_of("sql", fuzzed::sql::run);
}

#[test]
fn a_log_is_recovered_or_refused() {
    each_of("log", fuzzed::log::run);
}

#[test]
fn calls_do_what_a_model_in_memory_does() {
    each_of("api", fuzzed::api::run);
}
