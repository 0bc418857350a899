//! Tells the library which versions of fjall and honker it was locked to.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock is here");
    for (variable, package) in [("FJALL_VERSION", "fjall"), ("HONKER_VERSION", "honker-extension")] {
        let after = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1).unwrap_or_default();
        println!("cargo::rustc-env={variable}={}", after.split('"').next().unwrap_or_default());
    }
}
