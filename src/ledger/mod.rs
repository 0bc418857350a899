//! The ledger, as Rust programs use it. The C API is a thin skin over this.

mod maintain;
mod observe;
mod read;
mod wait;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

pub use self::write::Batched;
use crate::call::{self, Call, Terms};
use crate::config::{self, Change, Config, Options, Scope, Settings};
use crate::engine::Engine;
use crate::entry::Limits;
use crate::error::{Error, Result, Status};
use crate::interrupt::Claim;
use crate::logging::{self, Level, Log};
use crate::metrics::{Operation, Timer};
use crate::registry;
use crate::seldom::Seldom;
use crate::shared::Shared;
use crate::sys::fork;

/// No limit to the number of entries that a read gives.
pub const NO_LIMIT: usize = usize::MAX;

/// An open ledger. May be used from any number of threads at once; dropping it closes it.
pub struct Ledger {
    engine: Arc<Engine>,
    serial: u64,
    /// The process it belongs to.
    epoch: u64,
    /// The only thread that may use it, with `check_same_thread`.
    thread: Option<ThreadId>,
    /// Also where the engine could write, for another handle.
    read_only: bool,
    /// Its own values; those of scope `Engine` and `File` are the engine's.
    settings: Mutex<Settings>,
    /// What of them is needed at every call.
    options: Seldom<{ Options::WORDS }>,
    interrupts: Claim,
    /// Whether whoever waits for entries shall leave.
    closing: AtomicBool,
    log: Arc<Log>,
}

impl Ledger {
    /// Opens the ledger that the configuration names, and creates it if need be.
    pub fn open(config: &Config) -> Result<Ledger> {
        static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        let epoch = fork::settled_epoch().ok_or_else(astray)?;
        let mut settings = config.resolve();
        let log = Arc::new(Log::new(config.log().cloned(), config.log_queue()));
        let terms = Terms::new(&settings.options(), log.level(), None);
        let engine = speaking(terms, &log, serial, || {
            for warning in config.warnings() {
                call::log(Level::Warn, || warning.clone());
            }
            let opened = registry::open(&mut settings);
            match &opened {
                Ok(engine) => call::log(Level::Info, || describe(engine, &settings)),
                Err(error) => call::log(Level::Error, || format!("not opened: {error}")),
            }
            opened
        });
        let ledger = Ledger {
            engine: engine.0?,
            serial,
            epoch,
            thread: settings.flag("check_same_thread").then(|| thread::current().id()),
            read_only: settings.flag("read_only"),
            options: Seldom::new(settings.options().words()),
            settings: Mutex::new(settings),
            interrupts: Claim::new(),
            closing: AtomicBool::new(false),
            log,
        };
        // The log's receiver may have forked, and this may be the child.
        ledger.check_epoch()?;
        Ok(ledger)
    }

    /// Opens the ledger at a path, with the defaults. `":memory:"` is a new ledger in memory.
    pub fn open_path(path: &str) -> Result<Ledger> {
        Ledger::open(&Config::with_path(path)?)
    }

    /// The process it belongs to.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What an entry may be at most.
    pub fn limits(&self) -> Limits {
        self.options().limits
    }

    /// The value that a configuration key has now.
    pub fn option(&self, name: &str) -> Result<String> {
        let key = config::find(name).ok_or_else(|| config::unknown(name))?;
        self.call(Operation::Other, |_, _| {
            if key.scope == Scope::Handle {
                let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
                return Ok(settings.text(key.name).to_string());
            }
            Ok(self.engine.setting(key.name))
        })
    }

    /// Changes the value of a configuration key: of this handle alone, of all handles of the file
    /// in this process, or of the file, as the key says; see [`KEYS`](crate::KEYS).
    pub fn set_option(&self, name: &str, value: &str) -> Result<()> {
        let key = config::find(name).ok_or_else(|| config::unknown(name))?;
        let value = key.normalize(value)?;
        self.call(Operation::Other, |_, _| match (key.change, key.scope) {
            (Change::Never, _) => {
                let message = format!(
                    "{} cannot change while the ledger is open; close it, and open it with another value",
                    key.name
                );
                Err(Error::new(Status::InvalidConfig, message).with_field(key.name))
            }
            (_, Scope::Handle) => {
                let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
                settings.note(key.name, &value);
                // One at a time: the settings are locked.
                self.options.set(settings.options().words());
                Ok(())
            }
            (_, Scope::Engine) => {
                if key.name == "retention_seconds" {
                    self.check_writable()?;
                }
                self.engine.set(key, &value)
            }
            (_, Scope::File) => {
                self.check_writable()?;
                Engine::set_in_file(&self.engine, key, &value)
            }
        })
    }

    /// Ends the calls that other threads have in flight on this handle with INTERRUPTED. Later
    /// calls are not touched.
    pub fn interrupt(&self) -> Result<()> {
        self.check_epoch()?;
        self.interrupts.get().interrupt();
        self.engine.shared().notify_waiters();
        Ok(())
    }

    /// Closes the ledger; an error if something was left undone. Dropping does the same in silence.
    pub fn close(self) -> Result<()> {
        self.check_epoch()?;
        let (options, serial, log) = (self.options(), self.serial, Arc::clone(&self.log));
        // Whoever closes last closes the file.
        let engine = Arc::clone(&self.engine);
        drop(self);
        let terms = Terms::new(&options, log.level(), None);
        let close = || match Arc::into_inner(engine) {
            None => Ok(()),
            Some(engine) => {
                call::log(Level::Info, || "closed".to_string());
                engine.close()
            }
        };
        speaking(terms, &log, serial, close).0
    }

    /// Whether this thread is in a callback of this ledger, and so inside a call on it.
    pub(crate) fn is_in_callback(&self) -> bool {
        logging::in_callback_of(self.serial)
    }

    /// What every call goes through.
    fn call<T>(&self, operation: Operation, work: impl FnOnce(&Shared, &Options) -> Result<T>) -> Result<T> {
        self.check_epoch()?;
        let shared = self.engine.shared();
        let timer = Timer::start(operation);
        let options = self.options();
        let terms = Terms::new(&options, self.log.level(), Some(self.interrupts.get()));
        let result = self.check_thread().and_then(|()| {
            let (result, ended) = speaking(terms, &self.log, self.serial, || {
                if let Some(most) = terms.log_level {
                    for (level, line) in shared.take_notices(most) {
                        call::log(level, || line);
                    }
                }
                shared.check_place()?;
                work(shared, &options)
            });
            if ended.retries > 0 {
                shared.metrics().retries.add(u64::from(ended.retries));
            }
            if ended.log_lines_dropped > 0 {
                shared.metrics().log_lines_dropped.add(ended.log_lines_dropped);
            }
            result
        });
        shared.metrics().end(operation, &timer, result.as_ref().err().map(Error::status));
        result
    }

    #[inline]
    fn options(&self) -> Options {
        Options::of(self.options.get())
    }

    fn check_thread(&self) -> Result<()> {
        if self.thread.is_none_or(|thread| thread == thread::current().id()) {
            return Ok(());
        }
        let message = "the ledger was opened with check_same_thread = true, and this is another thread";
        Err(Error::new(Status::WrongThread, message).with_field("check_same_thread"))
    }

    fn check_writable(&self) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = "the ledger was opened with read_only = true; open it without, to write";
        Err(Error::new(Status::ReadOnly, message).with_field("read_only"))
    }

    fn check_epoch(&self) -> Result<()> {
        if self.epoch == fork::epoch() {
            return Ok(());
        }
        let message = "the handle was inherited from the process that forked this one; open the ledger here";
        Err(Error::new(Status::Closed, message))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.epoch != fork::epoch() {
            // The connections are the parent's: not even closing them is allowed here.
            std::mem::forget(Arc::clone(&self.engine));
        } else {
            self.engine.end_watches(self.serial);
        }
    }
}

#[cold]
fn astray() -> Error {
    let message = "this process was made by clone or _Fork, without the fork handlers of the C library, from one \
                   that had used ledgers; it can have none until it runs another program (exec)";
    Error::new(Status::Unsupported, message)
}

/// What became of a call beside its result.
struct Ended {
    retries: u32,
    log_lines_dropped: u64,
}

/// Runs a call on its terms, and gives its lines to the log when it has ended.
fn speaking<T>(terms: Terms, log: &Log, serial: u64, work: impl FnOnce() -> T) -> (T, Ended) {
    let call = Call::begin(terms);
    let result = work();
    let call::Ended { lines, retries } = call.end();
    let log_lines_dropped = log.deliver(serial, lines);
    (result, Ended { retries, log_lines_dropped })
}

fn describe(engine: &Engine, settings: &Settings) -> String {
    format!(
        "opened \"{}\" (simledger {}, SQLite {}, journal_mode {}, synchronous_mode {}, unique {}, guards {})",
        settings.text("path"),
        env!("CARGO_PKG_VERSION"),
        rusqlite::version(),
        engine.setting("journal_mode"),
        engine.setting("synchronous_mode"),
        engine.setting("unique"),
        engine.setting("guards"),
    )
}
