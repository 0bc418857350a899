//! Places where a test can make the library fail or its process die. Nothing at all without the
//! feature `test-hooks`.

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn point(_name: &str) {}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn has_plain_locks() -> bool {
    false
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn is_remote() -> bool {
    false
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn default_of(_key: &str) -> Option<&'static str> {
    None
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn look(usual: std::time::Duration) -> std::time::Duration {
    usual
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn is_memory_refused() -> bool {
    false
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn opens_plainly() -> bool {
    false
}

#[cfg(feature = "test-hooks")]
pub(crate) use armed::{
    default_of, has_plain_locks, is_due, is_memory_refused, is_remote, look, opens_plainly, point,
};

/// Arms the places; only with the feature `test-hooks`.
#[cfg(feature = "test-hooks")]
pub mod armed {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    static ARMED: Mutex<Option<String>> = Mutex::new(None);
    static OBSERVER: OnceLock<fn(&str)> = OnceLock::new();

    thread_local! {
        static ARMED_HERE: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// From here on whoever passes a place calls this with its name; only the first that is given.
    pub fn observe(observer: fn(&str)) {
        let _ = OBSERVER.set(observer);
    }

    static OPENS_PLAINLY: AtomicBool = AtomicBool::new(false);

    /// From here on files are opened by open(2) alone, as before Linux 5.6: a test that stands between the library and
    /// the C library sees that.
    pub fn open_plainly() {
        OPENS_PLAINLY.store(true, Ordering::SeqCst);
    }

    pub(crate) fn opens_plainly() -> bool {
        OPENS_PLAINLY.load(Ordering::SeqCst)
    }

    /// The next time any thread passes the place with this name, it panics there, once. For a process of its own: other
    /// tests have threads too.
    pub fn panic_at(name: &str) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_string());
    }

    /// Whether it has been passed since.
    pub fn has_panicked() -> bool {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The next time this thread passes the place with this name, it panics there, once.
    pub fn panic_here_at(name: &str) {
        ARMED_HERE.set(Some(name.to_string()));
    }

    /// How many allocations of SQLite pass before one is refused; whether all are from then on; how many were.
    static MEMORY: (AtomicI64, AtomicU64, AtomicU64) =
        (AtomicI64::new(i64::MAX), AtomicU64::new(0), AtomicU64::new(0));

    /// Refuses SQLite the memory it asks for, of all threads: for the n-th time from now, counted from 0, or
    /// from then on.
    pub fn refuse_memory(nth: i64, for_ever: bool) {
        MEMORY.1.store(u64::from(for_ever), Ordering::SeqCst);
        MEMORY.2.store(0, Ordering::SeqCst);
        MEMORY.0.store(nth, Ordering::SeqCst);
    }

    /// Refuses nothing from now on; how often it did.
    pub fn memory_refused() -> u64 {
        MEMORY.0.store(i64::MAX, Ordering::SeqCst);
        MEMORY.2.load(Ordering::SeqCst)
    }

    pub(crate) fn is_memory_refused() -> bool {
        let (left, for_ever, refused) = &MEMORY;
        if left.load(Ordering::SeqCst) == i64::MAX {
            return false;
        }
        let before = left.fetch_sub(1, Ordering::SeqCst);
        let is_refused = before == 0 || (before < 0 && for_ever.load(Ordering::SeqCst) == 1);
        refused.fetch_add(u64::from(is_refused), Ordering::SeqCst);
        is_refused
    }

    /// Whether this process is to do as if the file system had no locks but those of processes.
    pub(crate) fn has_plain_locks() -> bool {
        std::env::var_os("SIMLEDGER_TEST_LOCKS").is_some_and(|locks| locks == "plain")
    }

    /// Whether this process is to do as if other machines had the file system mounted.
    pub(crate) fn is_remote() -> bool {
        std::env::var_os("SIMLEDGER_TEST_FILES").is_some_and(|files| files == "remote")
    }

    /// How often those who wait look without being told: with `SIMLEDGER_TEST_LOOKS=never` a wake-up that
    /// is lost is never made up for.
    pub(crate) fn look(usual: std::time::Duration) -> std::time::Duration {
        static NEVER: OnceLock<bool> = OnceLock::new();
        let never = || std::env::var_os("SIMLEDGER_TEST_LOOKS").is_some_and(|looks| looks == "never");
        if *NEVER.get_or_init(never) { std::time::Duration::MAX } else { usual }
    }

    /// The value that a key has where nobody sets it, for tests of all that there is in one mode:
    /// `LEDGER_TEST_COMMIT` for `commit`.
    pub(crate) fn default_of(key: &str) -> Option<&'static str> {
        static COMMIT: OnceLock<Option<String>> = OnceLock::new();
        if key != "commit" {
            return None;
        }
        COMMIT.get_or_init(|| std::env::var("LEDGER_TEST_COMMIT").ok()).as_deref()
    }

    /// What is to happen to this process at a place.
    struct Fate {
        place: String,
        /// How often it is passed before that.
        times: u64,
        passed: AtomicU64,
    }

    impl Fate {
        /// `<name>:<times>` in this variable.
        fn of(variable: &str) -> Option<Fate> {
            let fate = std::env::var(variable).ok()?;
            let (place, times) = fate.split_once(':')?;
            Some(Fate { place: place.to_string(), times: times.parse().ok()?, passed: AtomicU64::new(0) })
        }

        /// Passes a place; whether it is there and then.
        fn is_now(&self, name: &str) -> bool {
            self.place == name && self.passed.fetch_add(1, Ordering::Relaxed) == self.times
        }
    }

    /// Where this process is to die: `SIMLEDGER_TEST_KILL`.
    fn death() -> Option<&'static Fate> {
        static DEATH: OnceLock<Option<Fate>> = OnceLock::new();
        DEATH.get_or_init(|| Fate::of("SIMLEDGER_TEST_KILL")).as_ref()
    }

    /// Where this process is to be stopped, until somebody lets it go on: `SIMLEDGER_TEST_STOP`.
    fn stop() -> Option<&'static Fate> {
        static STOP: OnceLock<Option<Fate>> = OnceLock::new();
        STOP.get_or_init(|| Fate::of("SIMLEDGER_TEST_STOP")).as_ref()
    }

    /// How often the place was passed where this process is to die.
    pub fn passed() -> u64 {
        death().map_or(0, |death| death.passed.load(Ordering::Relaxed))
    }

    /// Whether this process is to die now, in the middle of what is done at this place.
    pub(crate) fn is_due(name: &str) -> bool {
        death().is_some_and(|death| death.is_now(name))
    }

    pub(crate) fn point(name: &str) {
        if let Some(observer) = OBSERVER.get() {
            observer(name);
        }
        if is_due(name) {
            crate::sys::kill_this_process();
        }
        if stop().is_some_and(|stop| stop.is_now(name)) {
            crate::sys::stop_this_process();
        }
        let is_named = |armed: &mut Option<String>| armed.take_if(|armed| armed == name).is_some();
        let hit = is_named(&mut ARMED.lock().unwrap_or_else(PoisonError::into_inner))
            || ARMED_HERE.try_with(|armed| is_named(&mut armed.borrow_mut())).unwrap_or(false);
        assert!(!hit, "injected at {name}");
    }
}
