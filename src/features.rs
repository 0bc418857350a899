//! Makes features: the JSON text of an object, from keys and values.

use std::cell::OnceCell;

use crate::entry::Limits;
use crate::error::{Error, Result, Status, excerpt};
use crate::json::{self, Rules, Scanner, Text};

/// The features of an entry to be, key by key, in the order in which the keys were first set.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Each key with the JSON of its value.
    members: Vec<(String, String)>,
    /// The whole text with a NUL behind it, once it was asked for.
    json: OnceCell<String>,
}

impl Features {
    /// None yet: `{}`.
    pub fn new() -> Features {
        Features::default()
    }

    /// Sets a key to a number, which must be finite.
    pub fn set_number(&mut self, key: &str, value: f64) -> Result<()> {
        self.set_with(key, |out| number(out, value))
    }

    /// Sets a key to an array of numbers, each of them finite.
    pub fn set_numbers(&mut self, key: &str, values: &[f64]) -> Result<()> {
        self.set_array(key, values, |out, value| number(out, *value))
    }

    /// Sets a key to a whole number.
    pub fn set_integer(&mut self, key: &str, value: i64) -> Result<()> {
        self.set_with(key, |out| out.raw(&value.to_string()))
    }

    /// Sets a key to an array of whole numbers.
    pub fn set_integers(&mut self, key: &str, values: &[i64]) -> Result<()> {
        self.set_array(key, values, |out, value| out.raw(&value.to_string()))
    }

    /// Sets a key to a string.
    pub fn set_text(&mut self, key: &str, value: &str) -> Result<()> {
        self.set_with(key, |out| out.string(value))
    }

    /// Sets a key to true or false.
    pub fn set_boolean(&mut self, key: &str, value: bool) -> Result<()> {
        self.set_with(key, |out| out.raw(if value { "true" } else { "false" }))
    }

    /// Sets a key to any JSON value: an object or array inside, null, a number digit for digit.
    pub fn set_json(&mut self, key: &str, value: &str) -> Result<()> {
        let rules = Rules { depth_max: Limits::default().features_depth_max, strict: true };
        let mut scanner = Scanner::new(value);
        let compact =
            scanner.value(rules).and_then(|json| scanner.end().map(|()| json)).map_err(|fault| {
                let status = fault.status_or(Status::InvalidEntry);
                Error::new(status, format!("the value is not valid JSON: {}", fault.without_text()))
                    .with_field(excerpt(key))
            })?;
        self.set_with(key, |out| out.raw(&compact))
    }

    /// Takes all keys away.
    pub fn clear(&mut self) {
        self.members.clear();
        self.json.take();
    }

    /// The object as JSON. `None` where there is no memory for it.
    pub fn json(&self) -> Option<&str> {
        self.json_with_nul()?.strip_suffix('\0')
    }

    /// The same, with a NUL behind it.
    pub(crate) fn json_with_nul(&self) -> Option<&str> {
        if self.json.get().is_none() {
            let _ = self.json.set(self.build().ok()?);
        }
        self.json.get().map(String::as_str)
    }

    fn build(&self) -> Result<String> {
        let mut out = Text::default();
        out.raw("{")?;
        for (index, (key, value)) in self.members.iter().enumerate() {
            if index > 0 {
                out.raw(",")?;
            }
            out.string(key)?;
            out.raw(":")?;
            out.raw(value)?;
        }
        out.raw("}\0")?;
        Ok(out.into_string())
    }

    fn set_array<T>(
        &mut self,
        key: &str,
        values: &[T],
        write: impl Fn(&mut Text, &T) -> Result<()>,
    ) -> Result<()> {
        self.set_with(key, |out| {
            out.raw("[")?;
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.raw(",")?;
                }
                write(out, value).map_err(|error| error.with_index(index))?;
            }
            out.raw("]")
        })
    }

    fn set_with(&mut self, key: &str, write: impl FnOnce(&mut Text) -> Result<()>) -> Result<()> {
        let mut json = Text::default();
        write(&mut json).map_err(|error| error.context(format!("\"{}\"", excerpt(key))))?;
        let value = json.into_string();
        if let Some((_, old)) = self.members.iter_mut().find(|(known, _)| known == key) {
            *old = value;
        } else {
            let key = json::copy(key)?;
            self.members.try_reserve(1).map_err(|_| Error::no_memory("another key", "use fewer"))?;
            self.members.push((key, value));
        }
        self.json.take();
        Ok(())
    }
}

fn number(out: &mut Text, value: f64) -> Result<()> {
    if !value.is_finite() {
        let message = format!("the value is {value}, which JSON cannot express; leave it out, or use a text");
        return Err(Error::argument("value", message));
    }
    out.number(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds_are_escaped_and_read_back() {
        let mut features = Features::new();
        assert_eq!(features.json().unwrap(), "{}");
        features.set_number("rate", 0.1).unwrap();
        features.set_integer("count", i64::MIN).unwrap();
        features.set_text("a \"key\"\n", "x\\y\u{1}é\0").unwrap();
        features.set_boolean("ok", true).unwrap();
        features.set_numbers("values", &[1.0, -2.5e300]).unwrap();
        features.set_json("nested", r#" { "a" : [ 1.50 , null ] } "#).unwrap();
        features.set_integers("ids", &[1, -2, i64::MAX]).unwrap();
        features.set_number("rate", 910.0).unwrap();
        let expected: serde_json::Value = serde_json::json!({
            "rate": 910.0, "count": i64::MIN, "a \"key\"\n": "x\\y\u{1}é\0", "ok": true,
            "values": [1.0, -2.5e300], "ids": [1, -2, i64::MAX], "nested": {"a": [1.5, null]},
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(features.json().unwrap()).unwrap(), expected);
        assert!(
            features.json().unwrap().starts_with(r#"{"rate":910.0,"count""#),
            "{}",
            features.json().unwrap()
        );
        assert!(features.json().unwrap().contains("1.50"), "digits stay");
        features.clear();
        assert_eq!(features.json().unwrap(), "{}");
    }

    #[test]
    fn what_json_cannot_express_is_refused_and_changes_nothing() {
        let mut features = Features::new();
        features.set_number("a", 1.0).unwrap();
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(features.set_number("a", value).unwrap_err().field(), "value");
            assert_eq!(features.set_numbers("a", &[0.0, value]).unwrap_err().index(), Some(1));
        }
        for value in ["", "{", "1 2", r#"{"a":1,"a":2}"#, "\"\\ud800\"", &"[".repeat(200)] {
            assert_eq!(features.set_json("a", value).unwrap_err().status(), Status::InvalidEntry);
        }
        assert_eq!(features.json().unwrap(), r#"{"a":1.0}"#);
    }
}
