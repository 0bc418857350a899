//! Another library written in Rust, as a host may have one: it panics and catches that itself.

#[unsafe(no_mangle)]
pub extern "C" fn other_catches_a_panic() -> bool {
    std::panic::set_hook(Box::new(|_| ()));
    let caught = std::panic::catch_unwind(|| panic!("on purpose"));
    caught.is_err()
}
