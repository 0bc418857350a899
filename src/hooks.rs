//! Places where a test can make the library fail. Nothing at all without the feature `test-hooks`.

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn point(_name: &str) {}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn has_plain_locks() -> bool {
    false
}

#[cfg(feature = "test-hooks")]
pub(crate) use armed::{has_plain_locks, point};

/// Arms the places; only with the feature `test-hooks`.
#[cfg(feature = "test-hooks")]
pub mod armed {
    use std::sync::{Mutex, PoisonError};

    static ARMED: Mutex<Option<String>> = Mutex::new(None);

    /// The next time any thread passes the place with this name, it panics there, once.
    pub fn panic_at(name: &str) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_string());
    }

    /// Whether this process is to do as if the file system had no locks but those of processes.
    pub(crate) fn has_plain_locks() -> bool {
        std::env::var_os("SIMLEDGER_TEST_LOCKS").is_some_and(|locks| locks == "plain")
    }

    pub(crate) fn point(name: &str) {
        let hit = {
            let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
            let hit = armed.as_deref() == Some(name);
            if hit {
                *armed = None;
            }
            hit
        };
        assert!(!hit, "injected at {name}");
    }
}
