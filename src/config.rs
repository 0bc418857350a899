//! Configuration: keys with text values, in layers, checked when they are set.
//!
//! Every key stands once in [`KEYS`], with its default, its range and what it is for. A value is
//! kept in one normal form, so that two openings of the same file can be compared key by key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::Limits;
use crate::error::{Error, Result, Status, excerpt};
use crate::json;
use crate::logging::{Level, LogFunction, Sink};

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

#[derive(Clone, Copy, Debug)]
enum Kind {
    Path,
    Bool,
    Choice(&'static [&'static str]),
    Integer { min: u64, max: u64 },
    Seconds { max: f64 },
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
    kind: Kind,
}

const fn key(name: &'static str, default: &'static str, scope: Scope, kind: Kind, doc: &'static str) -> Key {
    Key { name, default, doc, scope, kind }
}

const SECONDS_MAX: f64 = 1e9;
const SWITCH: Kind = Kind::Choice(&["on", "off"]);

/// All keys.
#[rustfmt::skip] // A table.
pub static KEYS: &[Key] = &[
    key("path", "ledger.db", Scope::Handle, Kind::Path,
        "The ledger file; \":memory:\" is a new ledger in memory."),
    key("read_only", "false", Scope::Handle, Kind::Bool,
        "Whether to open an existing file for reading only."),
    key("timeout", "30", Scope::Handle, Kind::Seconds { max: SECONDS_MAX },
        "Seconds that a call may take in all when it must wait; decimals allowed; 0: try once."),
    key("check_same_thread", "false", Scope::Handle, Kind::Bool,
        "Whether only the thread that opened the ledger may use the handle."),
    key("on_duplicate", "error", Scope::Handle, Kind::Choice(&["error", "ignore"]),
        "What a second entry with the same timestamp and node is: an error, or ignored if it is equal."),
    key("strict_fields", "false", Scope::Handle, Kind::Bool,
        "Whether fields other than the four of an entry are refused instead of ignored."),
    key("entry_bytes_max", "16777216", Scope::Handle, Kind::Integer { min: 1, max: 900_000_000 },
        "Most bytes of one entry's JSON."),
    key("features_depth_max", "128", Scope::Handle, Kind::Integer { min: 1, max: json::DEPTH_MAX as u64 },
        "Most containers inside one another in features."),
    key("result_bytes_max", "1073741824", Scope::Handle, Kind::Integer { min: 1, max: u64::MAX >> 1 },
        "Most bytes of memory that the entries of one result take."),
    key("journal_mode", "WAL", Scope::Engine, Kind::Choice(&["WAL", "DELETE", "TRUNCATE", "PERSIST"]),
        "SQLite's journal. WAL lets readers go on during a write."),
    key("synchronous_mode", "NORMAL", Scope::Engine, Kind::Choice(&["OFF", "NORMAL", "FULL", "EXTRA"]),
        "When SQLite syncs: at FULL an acknowledged append survives a power cut."),
    key("cache_size", "10000", Scope::Engine, Kind::Integer { min: 0, max: i32::MAX as u64 },
        "SQLite's page cache in KB, for each connection."),
    key("max_connections", "10", Scope::Engine, Kind::Integer { min: 1, max: 1000 },
        "Most connections that read at once."),
    key("entry_cache_size", "32", Scope::Engine, Kind::Integer { min: 0, max: 10_000_000 },
        "Entries kept in memory by id, the least recently used going first; 0: none."),
    key("query_cache_size", "32", Scope::Engine, Kind::Integer { min: 0, max: 1_000_000 },
        "By-node results kept in memory, the least recently used going first; 0: none."),
    key("cache_ttl", "300", Scope::Engine, Kind::Seconds { max: SECONDS_MAX },
        "Seconds that either cache keeps what nobody asks for, looked at when it is next used. Answers are never stale, whatever it is."),
    key("unique", "timestamp_node_id", Scope::File, Kind::Choice(&["timestamp_node_id", "none"]),
        "Whether a node may have one entry for each timestamp, or any number."),
    key("clock", "wall", Scope::File, Kind::Choice(&["wall", "simulated"]),
        "What age counts from in a cleanup: the system's clock, or the newest timestamp."),
    key("guards", "on", Scope::File, SWITCH,
        "Whether triggers in the file keep other programs from changing entries."),
    key("commit", "sqlite", Scope::File, Kind::Choice(&["sqlite"]),
        "How an append is made durable: a transaction of SQLite."),
];

/// Named sets of values, applied below what is set by key.
const PROFILES: &[(&str, &[(&str, &str)])] = &[
    ("default", &[]),
    ("high_throughput", &[("max_connections", "20"), ("timeout", "60"), ("cache_size", "50000")]),
    ("low_latency", &[("max_connections", "5"), ("timeout", "10"), ("synchronous_mode", "OFF")]),
];

/// How to open a ledger.
#[derive(Clone, Default)]
pub struct Config {
    set: BTreeMap<&'static str, String>,
    profile: Option<usize>,
    log: Option<Sink>,
}

impl Config {
    /// The defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// The defaults, with this path.
    pub fn with_path(path: &str) -> Result<Config> {
        let mut config = Config::new();
        config.set("path", path)?;
        Ok(config)
    }

    /// Sets a key, or the `profile`, whose values count only where no key is set, whatever the
    /// order of the calls.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if name == "profile" {
            let found = PROFILES.iter().position(|(profile, _)| *profile == value);
            self.profile = Some(found.ok_or_else(|| {
                let names: Vec<&str> = PROFILES.iter().map(|(profile, _)| *profile).collect();
                refuse(name, value, &format!("one of {}", names.join(", ")))
            })?);
            return Ok(());
        }
        let key = KEYS.iter().find(|key| key.name == name).ok_or_else(|| unknown(name))?;
        self.set.insert(key.name, key.normalize(value)?);
        Ok(())
    }

    /// Where the log goes, from lines of this level to the graver ones. Belongs to each ledger that
    /// is opened with this configuration, from its opening on.
    pub fn set_log(&mut self, level: Level, function: Arc<LogFunction>) {
        self.log = Some(Sink { level, function });
    }

    /// No log.
    pub fn clear_log(&mut self) {
        self.log = None;
    }

    pub(crate) fn log(&self) -> Option<&Sink> {
        self.log.as_ref()
    }

    /// All layers put together.
    pub(crate) fn resolve(&self) -> Settings {
        let profile = self.profile.map_or(&[][..], |index| PROFILES[index].1);
        let values = KEYS
            .iter()
            .map(|key| {
                let from_profile =
                    || profile.iter().find(|(name, _)| *name == key.name).map(|(_, value)| *value);
                let asked = self.set.get(key.name).map(String::as_str).or_else(from_profile);
                let value = asked.unwrap_or(key.default).to_string();
                (key.name, Value { value, asked: asked.is_some() })
            })
            .collect();
        Settings { values }
    }
}

impl Key {
    /// The value in its normal form, if it is one this key can have.
    fn normalize(&self, value: &str) -> Result<String> {
        let refuse = |must: &str| refuse(self.name, value, must);
        match self.kind {
            Kind::Path => {
                if value.is_empty() || value.contains('\0') {
                    return Err(refuse("the name of a file, without NUL characters"));
                }
                Ok(value.to_string())
            }
            Kind::Bool => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => Ok("true".to_string()),
                "false" | "0" | "off" | "no" => Ok("false".to_string()),
                _ => Err(refuse("true or false")),
            },
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
            Kind::Seconds { max } => match value.parse::<f64>() {
                Ok(seconds) if (0.0..=max).contains(&seconds) => Ok(seconds.to_string()),
                _ => Err(refuse(&format!("a number of seconds from 0 to {max}"))),
            },
        }
    }
}

fn refuse(name: &str, value: &str, must: &str) -> Error {
    let message = format!("{name} is \"{}\"; it must be {must}", excerpt(value));
    Error::new(Status::InvalidConfig, message).with_field(name)
}

fn unknown(name: &str) -> Error {
    let names = KEYS.iter().map(|key| key.name).chain(["profile"]);
    let distance = |known: &&str| strsim::damerau_levenshtein(known, &excerpt(name));
    // A name that differs in more than half of its letters is no misspelling of it.
    let nearest = names.min_by_key(distance).filter(|known| distance(known) * 2 <= known.len());
    let hint = match nearest {
        Some(nearest) => format!("the nearest name is \"{nearest}\""),
        None => format!("the keys are {}", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no configuration key \"{}\"; {hint}", excerpt(name));
    Error::new(Status::InvalidConfig, message).with_field(name)
}

/// A value, and whether somebody asked for it.
#[derive(Clone, Debug)]
struct Value {
    value: String,
    asked: bool,
}

/// The value of every key.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Value>,
}

impl Settings {
    pub fn text(&self, name: &str) -> &str {
        &self.values[name].value
    }

    /// Whether somebody asked for the value, by key or by profile.
    pub fn asked(&self, name: &str) -> bool {
        self.values[name].asked
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == value
    }

    pub fn flag(&self, name: &str) -> bool {
        self.is(name, "true")
    }

    pub fn integer(&self, name: &str) -> usize {
        // Values were checked when they were set; only a 32-bit machine can be short of range.
        self.text(name).parse().unwrap_or(usize::MAX)
    }

    pub fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.text(name).parse().unwrap_or(0.0))
    }

    pub fn limits(&self) -> Limits {
        Limits {
            entry_bytes_max: self.integer("entry_bytes_max"),
            features_depth_max: self.integer("features_depth_max"),
            strict_fields: self.flag("strict_fields"),
        }
    }

    /// Puts down what a value turned out to be.
    pub fn note(&mut self, name: &str, current: &str) {
        if let Some(mine) = self.values.get_mut(name) {
            mine.value = current.to_string();
        }
    }

    /// Takes over what the file or the open engine has. Refuses what was asked to be otherwise.
    pub fn settle(&mut self, scope: Scope, current: impl Fn(&str) -> Option<String>) -> Result<()> {
        for key in KEYS.iter().filter(|key| key.scope == scope) {
            let Some(current) = current(key.name) else {
                continue;
            };
            let mine = self.values.get_mut(key.name).expect("every key has a value");
            if mine.asked && mine.value != current {
                let (owner, way) = match scope {
                    Scope::File => (
                        "the file",
                        "leave the key out, or use a new file: it is settled when the file is created",
                    ),
                    _ => (
                        "the ledger as it is open in this process",
                        "leave the key out, or close the other handles first",
                    ),
                };
                let message =
                    format!("{} is \"{}\", but {owner} has \"{current}\"; {way}", key.name, mine.value);
                return Err(Error::new(Status::InvalidConfig, message).with_field(key.name));
            }
            mine.value = current;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_and_profile_value_is_one_its_key_can_have() {
        for key in KEYS {
            assert_eq!(key.normalize(key.default).unwrap(), key.default);
        }
        for (name, value) in PROFILES.iter().flat_map(|(_, values)| *values) {
            let key = KEYS.iter().find(|key| key.name == *name).unwrap();
            assert_eq!(key.normalize(value).unwrap(), *value);
        }
    }

    #[test]
    fn a_set_key_wins_over_a_profile_in_either_order() {
        for profile_first in [true, false] {
            let mut config = Config::new();
            if profile_first {
                config.set("profile", "high_throughput").unwrap();
            }
            config.set("timeout", "0.5").unwrap();
            if !profile_first {
                config.set("profile", "high_throughput").unwrap();
            }
            let settings = config.resolve();
            assert_eq!(settings.seconds("timeout"), Duration::from_millis(500));
            assert_eq!(settings.integer("max_connections"), 20);
            assert!(settings.asked("max_connections") && !settings.asked("synchronous_mode"));
        }
    }

    #[test]
    fn refusals_name_the_key_the_value_and_the_range() {
        let mut config = Config::new();
        for (key, value, part) in [
            ("timeout", "-1", "from 0 to"),
            ("timeout", "NaN", "from 0 to"),
            ("timeout", "inf", "from 0 to"),
            ("timeout", "1e10", "from 0 to"),
            ("max_connections", "0", "from 1 to 1000"),
            ("max_connections", "1.5", "from 1 to 1000"),
            ("max_connections", " 3", "from 1 to 1000"),
            ("cache_size", "99999999999999999999", "whole number"),
            ("journal_mode", "OFF", "could damage the file"),
            ("journal_mode", "memory", "could damage the file"),
            ("journal_mode", "wall", "WAL, DELETE"),
            ("check_same_thread", "maybe", "true or false"),
            ("unique", "", "none"),
            ("path", "", "name of a file"),
            ("path", "a\0b", "name of a file"),
            ("profile", "fast", "high_throughput"),
        ] {
            let error = config.set(key, value).unwrap_err();
            assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key));
            assert!(error.message().contains(part), "{error}");
        }
        assert!(config.set.is_empty(), "a refused value must not stay");
        let error = config.set("timout", "1").unwrap_err();
        assert!(error.message().contains("\"timeout\""), "{error}");
        let error = config.set("colour", "red").unwrap_err();
        assert!(error.message().contains("the keys are path, "), "{error}");
    }
}
