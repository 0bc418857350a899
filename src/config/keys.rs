//! The configuration keys: each stands once here, with its default, its range and what it is for.

use crate::commit_log::{RING_MAX, RING_MIN};
use crate::error::{Error, Result, Status, excerpt};
use crate::json;

/// What a key belongs to, and so who may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each opening has its own.
    Handle,
    /// All that have the file open in this process share it: the first opening decides.
    Engine,
    /// Stored in the file when it is created.
    File,
}

/// When a value can change after the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Never.
    Never,
    /// At any time.
    Anytime,
    /// While no other handle of the file is open in this process.
    Alone,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Path,
    Bool,
    Choice(&'static [&'static str]),
    Integer {
        min: u64,
        max: u64,
    },
    Seconds {
        max: f64,
    },
    /// The rights of a file.
    Mode,
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its value where nobody sets it.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// What it belongs to.
    pub scope: Scope,
    /// When its value can change.
    pub change: Change,
    kind: Kind,
}

const fn key(
    name: &'static str,
    default: &'static str,
    scope: Scope,
    change: Change,
    kind: Kind,
    doc: &'static str,
) -> Key {
    Key { name, default, doc, scope, change, kind }
}

const SECONDS_MAX: f64 = 1e9;
const SWITCH: Kind = Kind::Choice(&["on", "off"]);

/// All keys.
#[rustfmt::skip] // A table.
pub static KEYS: &[Key] = &[
    key("path", "ledger.db", Scope::Handle, Change::Never, Kind::Path,
        "The ledger file; \":memory:\" is a new ledger in memory."),
    key("read_only", "false", Scope::Handle, Change::Never, Kind::Bool,
        "Whether to open an existing file for reading only."),
    key("timeout", "30", Scope::Handle, Change::Anytime, Kind::Seconds { max: SECONDS_MAX },
        "Seconds that a call may take in all when it must wait; decimals allowed; 0: try once."),
    key("retry_count", "1000000", Scope::Handle, Change::Anytime, Kind::Integer { min: 0, max: u32::MAX as u64 },
        "Most waits of retry_delay that a call makes when another process holds a lock, within the timeout, after shorter ones that grow to it; 0: none at all."),
    key("retry_delay", "0.001", Scope::Handle, Change::Anytime, Kind::Seconds { max: 3600.0 },
        "Seconds between two tries at most: the first wait is 50 microseconds, each further one twice as long up to this, and a random part of it is taken."),
    key("sql_timeout", "30", Scope::Handle, Change::Anytime, Kind::Seconds { max: SECONDS_MAX },
        "Seconds that a statement of simledger_sql may run."),
    key("check_same_thread", "false", Scope::Handle, Change::Never, Kind::Bool,
        "Whether only the thread that opened the ledger may use the handle."),
    key("on_duplicate", "error", Scope::Handle, Change::Anytime, Kind::Choice(&["error", "ignore"]),
        "What a second entry with the same timestamp and node is: an error, or ignored if it is equal."),
    key("strict_fields", "false", Scope::Handle, Change::Anytime, Kind::Bool,
        "Whether fields other than the four of an entry are refused instead of ignored."),
    key("entry_bytes_max", "16777216", Scope::Handle, Change::Anytime, Kind::Integer { min: 1, max: 900_000_000 },
        "Most bytes of one entry's JSON."),
    key("features_depth_max", "128", Scope::Handle, Change::Anytime, Kind::Integer { min: 1, max: json::DEPTH_MAX as u64 },
        "Most containers inside one another in features."),
    key("result_bytes_max", "1073741824", Scope::Handle, Change::Anytime, Kind::Integer { min: 1, max: u64::MAX >> 1 },
        "Most bytes of memory that the entries of one result, the JSON of one SQL statement, or the findings of an integrity check take."),
    key("file_mode", "umask", Scope::Handle, Change::Never, Kind::Mode,
        "The rights of a ledger file that is made, in octal, whatever the umask says; umask: 0644 without what that takes away. All companions of a file have its own."),
    key("journal_mode", "WAL", Scope::Engine, Change::Never, Kind::Choice(&["WAL", "DELETE", "TRUNCATE", "PERSIST"]),
        "SQLite's journal. WAL lets readers go on during a write."),
    key("synchronous_mode", "NORMAL", Scope::Engine, Change::Never, Kind::Choice(&["OFF", "NORMAL", "FULL", "EXTRA"]),
        "When SQLite syncs: at FULL an acknowledged append survives a power cut."),
    key("cache_size", "10000", Scope::Engine, Change::Never, Kind::Integer { min: 0, max: i32::MAX as u64 },
        "SQLite's page cache in KB, for each connection; that which writes has 64000 unless the key is set."),
    key("max_connections", "10", Scope::Engine, Change::Anytime, Kind::Integer { min: 1, max: 1000 },
        "Most connections that read at once."),
    key("entry_cache_size", "32", Scope::Engine, Change::Anytime, Kind::Integer { min: 0, max: 10_000_000 },
        "Entries kept in memory by id, the least recently used going first; 0: none."),
    key("query_cache_size", "32", Scope::Engine, Change::Anytime, Kind::Integer { min: 0, max: 1_000_000 },
        "By-node results kept in memory, the least recently used going first; 0: none."),
    key("tail_bytes_max", "67108864", Scope::Engine, Change::Anytime, Kind::Integer { min: 0, max: u64::MAX >> 1 },
        "Bytes of the newest entries kept in memory; what the ledger file does not have yet is kept anyway."),
    key("log_bytes", "67108864", Scope::Engine, Change::Never, Kind::Integer { min: RING_MIN, max: RING_MAX },
        "Bytes of the commit log where one is made: when so much is not folded into the ledger file, appends wait."),
    key("cache_ttl", "300", Scope::Engine, Change::Anytime, Kind::Seconds { max: SECONDS_MAX },
        "Seconds that either cache keeps what nobody asks for, looked at when it is next used. Answers are never stale, whatever it is."),
    key("retention_seconds", "0", Scope::Engine, Change::Anytime, Kind::Seconds { max: SECONDS_MAX },
        "Entries older than this are deleted in the background, by the ledger's clock; 0: none."),
    key("unique", "timestamp_node_id", Scope::File, Change::Alone, Kind::Choice(&["timestamp_node_id", "none"]),
        "Whether a node may have one entry for each timestamp, or any number."),
    key("clock", "wall", Scope::File, Change::Alone, Kind::Choice(&["wall", "simulated"]),
        "What age counts from in a cleanup: the system's clock, or the newest timestamp (for simulated time)."),
    key("guards", "on", Scope::File, Change::Alone, SWITCH,
        "Whether triggers in the file keep other programs from changing entries."),
    key("commit", "log", Scope::File, Change::Alone, Kind::Choice(&["log", "sqlite"]),
        "How an append is made durable: a record in a commit log beside the file, folded into it in the background; or a transaction of SQLite. The latter where the former is not possible: in memory, on network file systems, and with guards = off."),
];

/// No path has so many bytes (Linux's PATH_MAX, which counts the NUL).
const PATH_BYTES_END: usize = 4096;

/// Other names, as the Python module has them.
const ALIASES: &[(&str, &str)] =
    &[("connection_pool_size", "max_connections"), ("retry_attempts", "retry_count")];

/// The key with this name, by its other name too.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// The value in its normal form, if it is one this key can have.
    pub(crate) fn normalize(&self, value: &str) -> Result<String> {
        let refuse = |must: &str| refuse(self.name, value, must);
        match self.kind {
            // Longer ones are nobody's, and nothing is to be copied that has any length.
            Kind::Path if value.is_empty() || value.contains('\0') || value.len() >= PATH_BYTES_END => {
                Err(refuse("the name of a file, without NUL characters, of 4095 bytes at most"))
            }
            Kind::Path => Ok(value.to_string()),
            Kind::Bool => {
                let is_one_of = |names: [&str; 4]| names.iter().any(|name| name.eq_ignore_ascii_case(value));
                if is_one_of(["true", "1", "on", "yes"]) {
                    Ok("true".to_string())
                } else if is_one_of(["false", "0", "off", "no"]) {
                    Ok("false".to_string())
                } else {
                    Err(refuse("true or false"))
                }
            }
            Kind::Choice(choices) => choices
                .iter()
                .find(|choice| choice.eq_ignore_ascii_case(value))
                .map(|choice| (*choice).to_string())
                .ok_or_else(|| {
                    let must = refuse(&format!("one of {}", choices.join(", ")));
                    let memory = self.name == "journal_mode"
                        && ["OFF", "MEMORY"].iter().any(|mode| mode.eq_ignore_ascii_case(value));
                    if memory { must.context("a kill could damage the file") } else { must }
                }),
            Kind::Integer { min, max } => match value.parse::<u64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(number.to_string()),
                _ => Err(refuse(&format!("a whole number from {min} to {max}"))),
            },
            Kind::Mode if value.eq_ignore_ascii_case("umask") => Ok("umask".to_string()),
            Kind::Mode => match mode(value) {
                Some(mode) => Ok(format!("{mode:04o}")),
                None => Err(refuse("umask, or octal from 0600 to 0666, such as 0640")),
            },
            Kind::Seconds { max } => match value.parse::<f64>() {
                // Without the sign that a zero may have.
                Ok(seconds) if (0.0..=max).contains(&seconds) => Ok((seconds + 0.0).to_string()),
                _ => Err(refuse(&format!("a number of seconds from 0 to {max}"))),
            },
        }
    }

    /// What its values may be, for people.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Path => "a path".to_string(),
            Kind::Bool => "true, false".to_string(),
            Kind::Choice(choices) => choices.join(", "),
            Kind::Integer { min, max } => format!("{min} to {max}"),
            Kind::Mode => "umask, or octal from 0600 to 0666".to_string(),
            Kind::Seconds { max } => format!("seconds, 0 to {max}"),
        }
    }
}

/// The rights that this text says: all that are for files which are no programs, and those of its owner to read and
/// write it at least.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
    (mode & !0o666 == 0 && mode & 0o600 == 0o600).then_some(mode)
}

/// The value is none that a key of this name can have.
pub(crate) fn refuse(name: &str, value: &str, must: &str) -> Error {
    let message = format!("{name} is \"{}\"; it must be {must}", excerpt(value));
    Error::new(Status::InvalidConfig, message).with_field(name)
}

/// There is no key with this name.
pub(crate) fn unknown(name: &str) -> Error {
    if name == "profile" {
        let message = "a profile is applied when a ledger is opened, and is no option of an open one";
        return Error::new(Status::InvalidConfig, message).with_field(name);
    }
    let field = excerpt(name);
    let message = format!("there is no configuration key \"{field}\"; {}", hint(name));
    Error::new(Status::InvalidConfig, message).with_field(field)
}

/// What may have been meant by a name that no key has.
pub(crate) fn hint(name: &str) -> String {
    let names = || KEYS.iter().map(|key| key.name).chain(["profile"]);
    match nearest(name, names()) {
        Some(nearest) => format!("the nearest name is \"{nearest}\""),
        None => format!("the keys are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The name that is meant, if one is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = excerpt(name);
    let distance = |known: &&str| strsim::damerau_levenshtein(known, &name);
    // A name that differs in more than half of its letters is no misspelling of it.
    names.min_by_key(distance).filter(|known| distance(known) * 2 <= known.len())
}
