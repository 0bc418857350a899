//! Configuration: keys with text values, in layers, checked when they are set.
//!
//! A value is kept in one normal form, so that two openings of the same file can be compared key by
//! key. The layers are, from the lowest: defaults, profile, file, environment, what is set by key;
//! the order of the calls does not matter.

mod keys;
mod settings;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::sync::Arc;

pub use keys::{Change, KEYS, Key, Scope};
pub(crate) use keys::{find, hint, nearest, unknown};
pub(crate) use settings::{Options, Settings};

use self::keys::refuse;
use crate::error::{Error, Result, Status, excerpt};
use crate::logging::{Level, LogFunction, QUEUE_LINES_MAX, Sink};

/// Named sets of values, applied below what is set by key.
const PROFILES: &[(&str, &[(&str, &str)])] = &[
    ("default", &[]),
    ("high_throughput", &[("max_connections", "20"), ("timeout", "60"), ("cache_size", "50000")]),
    ("low_latency", &[("max_connections", "5"), ("timeout", "10"), ("synchronous_mode", "OFF")]),
];

/// Where a value comes from, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    File,
    Environment,
    Set,
}

/// Values by key. A profile stands among them under its own name.
type Values = BTreeMap<&'static str, String>;

const PROFILE: &str = "profile";

/// What the names of environment variables begin with; the key in capitals follows.
const VARIABLE_PREFIX: &str = "SIMLEDGER_";

/// How to open a ledger.
#[derive(Clone, Default)]
pub struct Config {
    layers: [Values; 3],
    /// What loading had to say, for the log of the ledgers that are opened.
    warnings: Vec<String>,
    log: Option<Sink>,
    queue: Option<(Level, usize)>,
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

    /// Sets a key, or the `profile`, whose values count only where no key is set.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = normalize(name, value)?.ok_or_else(|| unknown(name))?;
        self.layers[Layer::Set as usize].insert(name, value);
        Ok(())
    }

    /// Loads the section `database` of a YAML file. All of it counts or, after an error, nothing. A
    /// key that is not known is no error: the ledgers that are opened say so in their logs.
    pub fn load_file(&mut self, path: &str) -> Result<()> {
        let about = |error: Error| error.context(format!("\"{path}\"")).with_field("path");
        let text = read_file(path).map_err(about)?;
        let mut values = Values::new();
        let mut warnings = Vec::new();
        match yaml::section(&text).map_err(about)? {
            None => {
                warnings.push(format!("\"{path}\" has no section \"database\": nothing was loaded from it"))
            }
            Some(members) => {
                for yaml::Member { key, value, line } in members {
                    let normal = normalize(&key, &value)
                        .map_err(|error| error.context(format!("\"{path}\", line {line}")))?;
                    match normal {
                        Some((name, value)) => {
                            if values.insert(name, value).is_some() {
                                let message = format!(
                                    "\"{path}\", line {line}: {name} is set twice, once by another name"
                                );
                                return Err(Error::new(Status::InvalidConfig, message).with_field(name));
                            }
                        }
                        None => warnings.push(format!(
                            "\"{path}\", line {line}: \"{}\" is no configuration key and is ignored; {}",
                            excerpt(&key),
                            hint(&key)
                        )),
                    }
                }
            }
        }
        self.take(Layer::File, values, warnings);
        Ok(())
    }

    /// Loads the environment variables `SIMLEDGER_` with the key in capitals, such as
    /// `SIMLEDGER_TIMEOUT`. All of them count or, after an error, none. One that names no key is no
    /// error: the ledgers that are opened say so in their logs.
    pub fn load_environment(&mut self) -> Result<()> {
        let mut values = Values::new();
        let mut warnings = Vec::new();
        for (variable, value) in std::env::vars_os() {
            let Some(key) = variable.to_str().and_then(|name| name.strip_prefix(VARIABLE_PREFIX)) else {
                continue;
            };
            let variable = format!("{VARIABLE_PREFIX}{key}");
            let key = key.to_ascii_lowercase();
            let value = value.to_str().ok_or_else(|| {
                let message = format!("the environment variable {variable} is not UTF-8");
                Error::new(Status::InvalidConfig, message).with_field(&key)
            });
            let normal = match find(&key) {
                None if key != PROFILE => None,
                _ => normalize(&key, value?).map_err(|error| error.context(&variable))?,
            };
            match normal {
                Some((name, value)) => _ = values.insert(name, value),
                None => warnings.push(format!(
                    "the environment variable {variable} names no configuration key and is ignored; {}",
                    hint(&key)
                )),
            }
        }
        self.take(Layer::Environment, values, warnings);
        Ok(())
    }

    /// The value that a key, or the profile, has now.
    pub fn get(&self, name: &str) -> Result<String> {
        if name == PROFILE {
            return Ok(self.find(PROFILE).unwrap_or(PROFILES[0].0).to_string());
        }
        let key = find(name).ok_or_else(|| unknown(name))?;
        Ok(self.resolve().text(key.name).to_string())
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

    /// Gives each ledger that is opened a queue of its own for lines of the log, of this level and
    /// graver ones, that holds so many; 0: none.
    pub fn set_log_queue(&mut self, level: Level, lines_max: usize) -> Result<()> {
        if lines_max > QUEUE_LINES_MAX {
            let message = format!("lines_max is {lines_max}; it must be at most {QUEUE_LINES_MAX}");
            return Err(Error::argument("lines_max", message));
        }
        self.queue = (lines_max > 0).then_some((level, lines_max));
        Ok(())
    }

    pub(crate) fn log(&self) -> Option<&Sink> {
        self.log.as_ref()
    }

    pub(crate) fn log_queue(&self) -> Option<(Level, usize)> {
        self.queue
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// All layers put together.
    pub(crate) fn resolve(&self) -> Settings {
        let named = self.find(PROFILE).unwrap_or(PROFILES[0].0);
        let profile = PROFILES.iter().find(|(name, _)| *name == named).map_or(&[][..], |(_, values)| *values);
        let from_profile = |key: &str| profile.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        Settings::new(|key| self.find(key).or_else(|| from_profile(key)))
    }

    /// What the strongest layer says.
    fn find(&self, name: &str) -> Option<&str> {
        self.layers.iter().rev().find_map(|values| values.get(name)).map(String::as_str)
    }

    fn take(&mut self, layer: Layer, values: Values, warnings: Vec<String>) {
        self.layers[layer as usize].extend(values);
        self.warnings.extend(warnings);
    }
}

/// The key's own name and the value in its normal form; `None` where there is no such key.
fn normalize(name: &str, value: &str) -> Result<Option<(&'static str, String)>> {
    if name == PROFILE {
        if PROFILES.iter().any(|(profile, _)| *profile == value) {
            return Ok(Some((PROFILE, value.to_string())));
        }
        let names: Vec<&str> = PROFILES.iter().map(|(profile, _)| *profile).collect();
        return Err(refuse(name, value, &format!("one of {}", names.join(", "))));
    }
    find(name).map(|key| Ok((key.name, key.normalize(value)?))).transpose()
}

fn read_file(path: &str) -> Result<String> {
    let io = |error: std::io::Error| {
        let is_memory = error.kind() == std::io::ErrorKind::OutOfMemory;
        Error::new(if is_memory { Status::OutOfMemory } else { Status::Io }, error.to_string())
    };
    // A FIFO would be waited for, and a device has no end.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::new(Status::Io, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(yaml::FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > yaml::FILE_BYTES_MAX {
        let message =
            format!("it has more than {} bytes, the most for a configuration", yaml::FILE_BYTES_MAX);
        return Err(Error::new(Status::LimitExceeded, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("it is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        Error::new(Status::InvalidConfig, message)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert!(config.layers.iter().all(BTreeMap::is_empty), "a refused value must not stay");
        let error = config.set("timout", "1").unwrap_err();
        assert!(error.message().contains("\"timeout\""), "{error}");
        let error = config.set("colour", "red").unwrap_err();
        assert!(error.message().contains("the keys are path, "), "{error}");
    }
}
