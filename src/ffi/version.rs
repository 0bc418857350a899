//! Versions, at run time. Those at compile time are macros of the header.

use std::ffi::c_char;

/// The version of the C API: grows when something of it is changed or removed. A program may
/// compare it with the `SIMLEDGER_ABI_VERSION` that it was compiled with.
const ABI_VERSION: u32 = 0;

/// The version of the library that runs, such as "0.1.0".
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the C API of the library that runs; compare with `SIMLEDGER_ABI_VERSION`.
///
/// Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_abi_version() -> u32 {
    ABI_VERSION
}

/// The version of the SQLite inside the library that runs, such as "3.53.2". It is the library's
/// own, whatever SQLite the program is linked with.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_sqlite_version() -> *const c_char {
    rusqlite::ffi::SQLITE_VERSION.as_ptr()
}
