//! Configuration.

use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, OnceLock};

use super::arguments::{TextOut, null, text};
use super::guard::{call_back, guard};
use super::own::Owned;
use super::{simledger_error, simledger_status};
use crate::config::{Config, KEYS};
use crate::error::{Error, Result, Status};
use crate::logging::Level;
use crate::sys::fork;

/// How to open a ledger. Yours until `simledger_config_free`; for one thread at a time.
pub struct simledger_config {
    _opaque: [u8; 0],
}

/// Log level: something failed, and not only for the caller, who has a status for that.
pub const SIMLEDGER_LOG_ERROR: i32 = 1;
/// Log level: something is not as it should be, such as a row that is no valid entry.
pub const SIMLEDGER_LOG_WARN: i32 = 2;
/// Log level: opening, closing, cleanup.
pub const SIMLEDGER_LOG_INFO: i32 = 3;
/// Log level: for those who look into simledger itself.
pub const SIMLEDGER_LOG_DEBUG: i32 = 4;

/// Receives a line of the log. `message` is UTF-8 of `message_len` bytes with a NUL behind it, lent
/// for the call; it never holds features.
///
/// Called at the end of a call on the ledger, on that call's thread, with no lock held. It may call
/// the library, but not close this ledger, and it may wait: other threads go on meanwhile. A C++
/// exception out of it ends the program: catch it inside, or use `simledger.hpp`, which does. It may not
/// be left by `longjmp`.
pub type simledger_log_callback = Option<
    unsafe extern "C-unwind" fn(
        level: i32,
        message: *const c_char,
        message_len: usize,
        user_data: *mut c_void,
    ),
>;

/// Told once that `user_data` is not used any more.
///
/// Called at the end of `simledger_config_free`, of a call on the configuration that replaces it, or
/// of the close of the last ledger that used it, on that call's thread, with no lock held.
pub type simledger_drop_callback = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// A new configuration: the defaults. Never NULL.
///
/// Any thread. Free it with `simledger_config_free`; ledgers that were opened with it do not need
/// it any more.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_new() -> *mut simledger_config {
    simledger_config::give(Config::new())
}

/// Ends a configuration. NULL is nothing.
///
/// Faults: memory.
///
/// # Safety
/// `config` is NULL or a configuration that was not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_free(config: *mut simledger_config) {
    // SAFETY: as the caller promises.
    unsafe { simledger_config::free(config) };
}

/// Sets a key. Keys, with their defaults:
///
/// | key | default | what it is |
/// |---|---|---|
/// | `path` | `ledger.db` | the ledger file; `:memory:` is a new ledger in memory |
/// | `read_only` | `false` | open an existing file for reading only |
/// | `timeout` | `30` | seconds a call may take in all when it must wait, 0 to 1e9, decimals allowed; 0: try once |
/// | `retry_count` | `1000000` | most waits of `retry_delay` that a call makes when another process holds a lock, within `timeout`, after shorter ones that grow to it; 0: none at all |
/// | `retry_delay` | `0.001` | seconds between two tries at most: the first wait is 50 microseconds, each further one twice as long up to this; a random part of it is taken |
/// | `sql_timeout` | `30` | seconds that a statement of `simledger_sql` may run |
/// | `check_same_thread` | `false` | only the thread that opened the ledger may use the handle (close is free) |
/// | `on_duplicate` | `error` | `error`, or `ignore`: an equal entry that is there already is OK |
/// | `strict_fields` | `false` | refuse fields other than the four of an entry, instead of ignoring them |
/// | `entry_bytes_max` | `16777216` | most bytes of one entry's JSON, 1 to 900000000 |
/// | `features_depth_max` | `128` | most containers inside one another in features, 1 to 1024 |
/// | `result_bytes_max` | `1073741824` | most bytes of memory that the entries of one result, the JSON of one `simledger_sql`, or the findings of an integrity check take |
/// | `file_mode` | `umask` | the rights of a ledger file that is made, in octal from 0600 to 0666 (`0640`), whatever the umask says; `umask`: 0644 without what that takes away. An existing file keeps its own; all companions of a file have the same, and where root opens it its owner |
/// | `journal_mode` | `WAL` | `WAL`, `DELETE`, `TRUNCATE` or `PERSIST` (`OFF` and `MEMORY` are refused) |
/// | `synchronous_mode` | `NORMAL` | `OFF`, `NORMAL`, `FULL` or `EXTRA`; see Durability above |
/// | `cache_size` | `10000` | SQLite's page cache in KB for each connection; that which writes has 64000 unless the key is set |
/// | `max_connections` | `10` | most connections that read at once, 1 to 1000 |
/// | `tail_bytes_max` | `67108864` | bytes of the newest entries kept in memory by each process; what the ledger file does not have yet is kept anyway |
/// | `log_bytes` | `67108864` | bytes of the commit log, 64 KiB to 64 GiB, where one is made; with so much not yet folded into the file, appends wait |
/// | `entry_cache_size` | `32` | entries kept in memory by id; 0: none |
/// | `query_cache_size` | `32` | by-node results kept in memory; 0: none |
/// | `cache_ttl` | `300` | seconds that a cache keeps what nobody asks for; answers are never stale, whatever it is |
/// | `retention_seconds` | `0` | entries older than this are deleted in the background, by the ledger's clock, on a thread that ends with the last handle; 0: none |
/// | `unique` | `timestamp_node_id` | one entry for each timestamp and node, or `none`: any number |
/// | `clock` | `wall` | what age counts from in a cleanup: the system's clock, or `simulated`: the newest timestamp (for simulated time) |
/// | `guards` | `on` | triggers in the file that keep other programs from changing entries; `off` leaves them out |
/// | `commit` | `log` | how an append is made durable: `log`, a record in a commit log beside the file (see Commit above); `sqlite`, a transaction of SQLite. `log` is not possible in memory and on network file systems: where nobody asked for it, and with `guards = off`, it is `sqlite` then. A file that another program made is `sqlite` unless `log` is asked for |
/// | `profile` | `default` | `high_throughput`: max_connections 20, timeout 60, cache_size 50000 (up to 20 times 50 MB); `low_latency`: max_connections 5, timeout 10, synchronous_mode OFF (a power cut may damage the file) |
///
/// Booleans are `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`; the case of letters does not
/// matter, in named values neither.
///
/// Where several say something, what is set by this function wins over the environment, that over a
/// file, that over the profile, and that over the defaults, whatever the order of the calls.
/// `connection_pool_size` is another name for `max_connections`, and `retry_attempts` for
/// `retry_count`.
///
/// `unique`, `clock`, `guards` and `commit` are settled in the file when it is created;
/// `journal_mode`, `synchronous_mode`, the cache keys, `max_connections` and `retention_seconds` by
/// whoever opens the file first in this process. Whoever then asks for something else gets
/// `INVALID_CONFIG` when opening; who sets nothing takes what is there. `simledger_option_set`
/// changes what can change later.
///
/// - `key`, `value`: UTF-8, lent for the call, `key_len` and `value_len` bytes long, or
///   `SIMLEDGER_NUL_TERMINATED`.
///
/// Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name; a value out of
/// range), and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `config` is a configuration that nobody else uses now. The texts are as long as their lengths
/// say. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_set(
    config: *mut simledger_config,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises, for all three.
        let config = unsafe { simledger_config::change(config) }.ok_or_else(|| null("config"))?;
        // SAFETY: as above.
        let key = unsafe { text(key, key_len, "key") }?;
        // SAFETY: as above.
        let value = unsafe { text(value, value_len, "value") }?;
        config.set(key, value)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// The value that a key, or `profile`, has in a configuration, all layers put together, in its
/// normal form.
///
/// - `key`: UTF-8, lent for the call, `key_len` bytes long or `SIMLEDGER_NUL_TERMINATED`.
/// - `value`: gets the value, yours until `simledger_string_free`; NULL on failure.
/// - `value_len`: gets its length in bytes; 0 on failure. May be NULL.
///
/// Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (unknown key, with the nearest name);
/// OUT_OF_MEMORY; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `config` is a configuration that nobody changes now. `key` is as long as its length says.
/// `value` can be written to. `value_len` and `error` are NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_get(
    config: *const simledger_config,
    key: *const c_char,
    key_len: usize,
    value: *mut *mut c_char,
    value_len: *mut usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let out = unsafe { TextOut::new(value, value_len) };
        // SAFETY: as the caller promises.
        let config = unsafe { simledger_config::look(config) }.ok_or_else(|| null("config"))?;
        // SAFETY: as the caller promises.
        let key = unsafe { text(key, key_len, "key") }?;
        out.required("value")?;
        out.set(&config.get(key)?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Loads the section `database:` of a YAML file, as the Python module has it: keys of
/// `simledger_config_set`, or `profile`, with plain values. Other sections are passed over. A key
/// that is not known is no error: the logs of the ledgers that are opened say so. A second file
/// adds to the first.
///
/// - `path`: UTF-8, lent for the call, `path_len` bytes long or `SIMLEDGER_NUL_TERMINATED`. A
///   regular file of at most 1 MiB in UTF-8. Never the path of an open ledger. The `path` inside it
///   counts from the current folder.
///
/// Returns OK; INVALID_ARGUMENT; IO (missing, a directory, no permission); LIMIT_EXCEEDED (too
/// large); INVALID_CONFIG (no valid YAML, a list or mapping or alias as value, a value out of
/// range: the message names the line); INTERNAL. Whatever is not OK changed nothing.
///
/// Faults: configuration.
///
/// # Safety
/// `config` is a configuration that nobody else uses now. `path` is as long as its length says.
/// `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_load_file(
    config: *mut simledger_config,
    path: *const c_char,
    path_len: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let config = unsafe { simledger_config::change(config) }.ok_or_else(|| null("config"))?;
        // SAFETY: as the caller promises.
        config.load_file(unsafe { text(path, path_len, "path") }?)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Loads the environment: variables named `SIMLEDGER_` with a key in capitals behind it, such as
/// `SIMLEDGER_TIMEOUT` or `SIMLEDGER_PROFILE`. One that names no key is no error: the logs of the
/// ledgers that are opened say so. Nothing else of the library reads the environment.
///
/// Not while another thread calls setenv or putenv. Returns OK; INVALID_ARGUMENT; INVALID_CONFIG (a
/// value out of range: the message names the variable), and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `config` is a configuration that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_load_environment(
    config: *mut simledger_config,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        unsafe { simledger_config::change(config) }.ok_or_else(|| null("config"))?.load_environment()?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// How many configuration keys there are.
///
/// Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_key_count() -> usize {
    KEYS.len()
}

/// The name of a configuration key, counted from 0; "" where there is none.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_key_name(index: usize) -> *const c_char {
    key_text(index, |texts| &texts.name)
}

/// The default of a configuration key, counted from 0; "" where there is none.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_key_default(index: usize) -> *const c_char {
    key_text(index, |texts| &texts.default)
}

/// What the values of a configuration key may be, counted from 0; "" where there is none.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_key_range(index: usize) -> *const c_char {
    key_text(index, |texts| &texts.range)
}

/// What a configuration key is for, in a sentence, counted from 0; "" where there is none.
///
/// The string is constant. Any thread.
///
/// Faults: memory.
#[unsafe(no_mangle)]
pub extern "C" fn simledger_config_key_doc(index: usize) -> *const c_char {
    key_text(index, |texts| &texts.doc)
}

struct KeyTexts {
    name: CString,
    default: CString,
    range: CString,
    doc: CString,
}

/// The texts of the keys with NULs behind them, made once.
fn key_text(index: usize, which: impl FnOnce(&'static KeyTexts) -> &'static CString) -> *const c_char {
    static TEXTS: OnceLock<Vec<KeyTexts>> = OnceLock::new();
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let texts = fork::once(&TEXTS, || {
        let texts = KEYS.iter().map(|key| KeyTexts {
            name: text(key.name),
            default: text(key.default),
            range: text(&key.range()),
            doc: text(key.doc),
        });
        texts.collect()
    });
    texts.get(index).map_or(c"".as_ptr(), |texts| which(texts).as_ptr())
}

/// Sets where the log goes, of each ledger that is opened with this configuration from now on; the
/// log sees what opening says.
///
/// - `level`: `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; lines of this level and graver ones.
/// - `callback`: see `simledger_log_callback`; NULL: no log.
/// - `user_data`: passed to `callback`; may be NULL. Must be usable from every thread that calls
///   those ledgers, at once.
/// - `drop`: told when nobody uses `user_data` any more, once, on whatever thread that comes about:
///   after the configuration was freed or got another log, and the ledgers are closed. May be NULL.
///   Not told when this function fails.
///
/// Returns OK; INVALID_ARGUMENT (`config` is NULL, or `level` is no level); INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `config` is a configuration that nobody else uses now. `callback` and `drop` may be called with
/// `user_data` until `drop` was. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_set_log(
    config: *mut simledger_config,
    level: i32,
    callback: simledger_log_callback,
    user_data: *mut c_void,
    drop: simledger_drop_callback,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let config = unsafe { simledger_config::change(config) }.ok_or_else(|| null("config"))?;
        let level = level_of(level)?;
        let receiver = Receiver { callback, user_data, drop };
        if callback.is_some() {
            config.set_log(level, Arc::new(move |level, line: &str| receiver.tell(level, line)));
        } else {
            config.clear_log();
        }
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

/// Gives each ledger that is opened with this configuration from now on a queue for its log, to be
/// read with `simledger_log_next`: for programs that cannot be called from any thread. It is beside
/// the callback, if there is one.
///
/// - `level`: `SIMLEDGER_LOG_ERROR` to `SIMLEDGER_LOG_DEBUG`; lines of this level and graver ones.
/// - `lines_max`: most lines that wait, 1 to 1,000,000; when it is full the oldest goes, and the
///   metric `log_lines_dropped` counts. 0: no queue.
///
/// Returns OK; INVALID_ARGUMENT, and then nothing is changed; INTERNAL.
///
/// Faults: memory.
///
/// # Safety
/// `config` is a configuration that nobody else uses now. `error` is NULL or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simledger_config_set_log_queue(
    config: *mut simledger_config,
    level: i32,
    lines_max: usize,
    error: *mut *mut simledger_error,
) -> simledger_status {
    let body = || {
        // SAFETY: as the caller promises.
        let config = unsafe { simledger_config::change(config) }.ok_or_else(|| null("config"))?;
        config.set_log_queue(level_of(level)?, lines_max)?;
        Ok(Status::Ok)
    };
    // SAFETY: as the caller promises.
    unsafe { guard(error, body) }
}

fn level_of(level: i32) -> Result<Level> {
    Level::from_code(level).ok_or_else(|| {
        let message =
            format!("level is {level}; it must be SIMLEDGER_LOG_ERROR (1) to SIMLEDGER_LOG_DEBUG (4)");
        Error::argument("level", message)
    })
}

/// A log receiver of C.
struct Receiver {
    callback: simledger_log_callback,
    user_data: *mut c_void,
    drop: simledger_drop_callback,
}

// SAFETY: `user_data` is only passed to the callbacks, which the C caller promises to be callable
// from any thread.
unsafe impl Send for Receiver {}
// SAFETY: as above, and at once.
unsafe impl Sync for Receiver {}

impl Receiver {
    fn tell(&self, level: Level, line: &str) {
        let line = CString::new(line.replace('\0', "\\0")).unwrap_or_default();
        if let Some(callback) = self.callback {
            // SAFETY: the C caller promises that it can be called with `user_data` until `drop` is.
            call_back(|| unsafe {
                callback(level as i32, line.as_ptr(), line.as_bytes().len(), self.user_data)
            });
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: as above; this is the last use of `user_data`.
            call_back(|| unsafe { drop(self.user_data) });
        }
    }
}
