//! The value of every key, all layers put together: what an opening asks for, then what is so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{self, KEYS, Scope};
use crate::entry::Limits;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::store::OnDuplicate;

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

/// What a handle goes by, read at every call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Options {
    pub timeout: Duration,
    pub retry_count: u32,
    pub retry_delay: Duration,
    pub sql_timeout: Duration,
    pub limits: Limits,
    pub result_bytes_max: usize,
    pub on_duplicate: OnDuplicate,
}

impl Options {
    pub const WORDS: usize = 9;

    /// These as numbers.
    pub fn words(&self) -> [u64; Options::WORDS] {
        let Options {
            timeout,
            retry_count,
            retry_delay,
            sql_timeout,
            limits,
            result_bytes_max,
            on_duplicate,
        } = *self;
        let ignores = u64::from(on_duplicate == OnDuplicate::IgnoreEqual);
        let flags = u64::from(limits.strict_fields) | ignores << 1;
        [
            timeout.as_secs(),
            u64::from(timeout.subsec_nanos()) | u64::from(retry_count) << 32,
            retry_delay.as_secs(),
            u64::from(retry_delay.subsec_nanos()) | flags << 32,
            sql_timeout.as_secs(),
            u64::from(sql_timeout.subsec_nanos()),
            limits.entry_bytes_max as u64,
            limits.features_depth_max as u64,
            result_bytes_max as u64,
        ]
    }

    /// Those that these numbers are.
    #[inline]
    pub fn of(words: [u64; Options::WORDS]) -> Options {
        #[allow(clippy::cast_possible_truncation)] // Halves of words, and sizes that were sizes.
        let (low, high, size) = (|word| word as u32, |word: u64| (word >> 32) as u32, |word| word as usize);
        let flags = high(words[3]);
        Options {
            timeout: Duration::new(words[0], low(words[1])),
            retry_count: high(words[1]),
            retry_delay: Duration::new(words[2], low(words[3])),
            sql_timeout: Duration::new(words[4], low(words[5])),
            limits: Limits {
                entry_bytes_max: size(words[6]),
                features_depth_max: size(words[7]),
                strict_fields: flags & 1 != 0,
            },
            result_bytes_max: size(words[8]),
            on_duplicate: if flags & 2 != 0 { OnDuplicate::IgnoreEqual } else { OnDuplicate::Refuse },
        }
    }
}

impl Settings {
    /// The values that `asked` gives, else the defaults.
    pub fn new<'a>(asked: impl Fn(&str) -> Option<&'a str>) -> Settings {
        let values = KEYS.iter().map(|key| {
            let asked = asked(key.name);
            let value =
                asked.unwrap_or_else(|| hooks::default_of(key.name).unwrap_or(key.default)).to_string();
            (key.name, Value { value, asked: asked.is_some() })
        });
        Settings { values: values.collect() }
    }

    pub fn text(&self, name: &str) -> &str {
        &self.values[name].value
    }

    /// Whether somebody asked for the value, by key, file, environment or profile.
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

    /// The rights of a new file, where they are not left to the umask.
    pub fn mode(&self, name: &str) -> Option<u32> {
        keys::mode(self.text(name))
    }

    pub fn options(&self) -> Options {
        Options {
            timeout: self.seconds("timeout"),
            retry_count: u32::try_from(self.integer("retry_count")).unwrap_or(u32::MAX),
            retry_delay: self.seconds("retry_delay"),
            sql_timeout: self.seconds("sql_timeout"),
            limits: Limits {
                entry_bytes_max: self.integer("entry_bytes_max"),
                features_depth_max: self.integer("features_depth_max"),
                strict_fields: self.flag("strict_fields"),
            },
            result_bytes_max: self.integer("result_bytes_max"),
            on_duplicate: if self.is("on_duplicate", "ignore") {
                OnDuplicate::IgnoreEqual
            } else {
                OnDuplicate::Refuse
            },
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
                return Err(contradiction(key, &mine.value, &current));
            }
            mine.value = current;
        }
        Ok(())
    }
}

fn contradiction(key: &keys::Key, mine: &str, current: &str) -> Error {
    let (owner, way) = match key.scope {
        Scope::File => (
            "the file",
            "leave the key out, use a new file, or change it with simledger_option_set while no other handle is open",
        ),
        _ => (
            "the ledger as it is open in this process",
            "leave the key out, or close the other handles first",
        ),
    };
    let message = format!("{} is \"{mine}\", but {owner} has \"{current}\"; {way}", key.name);
    Error::new(Status::InvalidConfig, message).with_field(key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_their_numbers_say() {
        let limits = Limits { entry_bytes_max: usize::MAX, features_depth_max: 7, strict_fields: true };
        let options = Options {
            timeout: Duration::MAX,
            retry_count: u32::MAX,
            retry_delay: Duration::from_nanos(1_999_999_999),
            sql_timeout: Duration::from_millis(250),
            limits,
            result_bytes_max: 1 << 40,
            on_duplicate: OnDuplicate::IgnoreEqual,
        };
        let defaults = Settings::new(|_| None).options();
        for options in [options, defaults, Options { limits: defaults.limits, ..options }] {
            assert_eq!(Options::of(options.words()), options);
        }
    }
}
