#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simledger_fuzz::fuzzed::json::run(data));
