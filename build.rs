//! Compiles the one function that Rust cannot define, and gives the shared library what a C library needs
//! and Rust does not set by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    println!("cargo:rerun-if-changed=src/sys/files/fcntl.c");
    cc::Build::new()
        .file("src/sys/files/fcntl.c")
        .define("_FILE_OFFSET_BITS", "64")
        .flag("-fvisibility=hidden")
        .compile("ledger_files_fcntl");
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    // Programs record this name when they are linked, so that an incompatible version can be
    // installed beside this one.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsimledger.so.{major}");
    // A thread that called in may end after dlclose: the thread-local destructors of Rust's
    // standard library must still be there then.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
