//! A value out of an entry's features, found by JSON Pointer (RFC 6901).

use std::borrow::Cow;

use crate::chunk::EntryRef;
use crate::error::{Error, Result, Status, excerpt};
use crate::json::{self, Kind, PointerFault, Rules, Scanner};

/// A value inside the features of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Feature<'a> {
    kind: Kind,
    json: &'a str,
}

/// Above this, not every whole number is a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl<'a> EntryRef<'a> {
    /// The value at `pointer` in the features; `None` if it leads nowhere. "" is all of them.
    pub fn feature(self, pointer: &str) -> Result<Option<Feature<'a>>> {
        let found = json::find(self.features(), pointer).map_err(|fault| {
            let why = match fault {
                PointerFault::Beginning => "it must be empty or begin with '/'".to_string(),
                PointerFault::Escape(at) => format!("write '~' as ~0 (byte {at}); ~1 stands for '/'"),
            };
            let message = format!("pointer is \"{}\", which is no JSON Pointer: {why}", excerpt(pointer));
            Error::argument("pointer", message)
        })?;
        Ok(found.map(|(kind, json)| Feature { kind, json }))
    }
}

impl<'a> Feature<'a> {
    /// Its text: JSON, as it is stored.
    pub fn json(self) -> &'a str {
        self.json
    }

    /// What kind of value it is.
    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    /// The number, as the nearest double.
    pub fn number(self) -> Result<f64> {
        self.expect(Kind::Number)?;
        let number: f64 = self.json.parse().unwrap_or(f64::NAN);
        if number.is_finite() { Ok(number) } else { Err(self.too_large("a double")) }
    }

    /// The whole number. One that is written with decimals or an exponent, such as `1e3`, must be
    /// exact as a double.
    pub fn integer(self) -> Result<i64> {
        self.expect(Kind::Number)?;
        if let Ok(integer) = self.json.parse() {
            return Ok(integer);
        }
        if !self.json.contains(['.', 'e', 'E']) {
            return Err(self.too_large("64 bits"));
        }
        let number: f64 = self.json.parse().unwrap_or(f64::NAN);
        if number.abs() > EXACT_MAX {
            return Err(
                self.too_large("53 bits, which is what a number with decimals or an exponent may have")
            );
        }
        if number.fract() != 0.0 {
            let message = format!("the value is {}, which is no whole number", excerpt(self.json));
            return Err(Error::argument("pointer", message));
        }
        #[allow(clippy::cast_possible_truncation)] // Whole, and far from the ends of an i64.
        Ok(number as i64)
    }

    /// The string, decoded.
    pub fn text(self) -> Result<Cow<'a, str>> {
        self.expect(Kind::String)?;
        Scanner::new(self.json).string(Rules::GRAMMAR).map_err(|_| {
            // Only another program can have written it.
            let message = "the string holds half of a surrogate pair, and so is no text";
            Error::new(Status::Corrupt, message).with_field("pointer")
        })
    }

    /// The truth value.
    pub fn boolean(self) -> Result<bool> {
        self.expect(Kind::Boolean)?;
        Ok(self.json == "true")
    }

    /// How many elements the array has.
    pub fn array_len(self) -> Result<usize> {
        self.elements(|_| Ok(()))
    }

    /// The numbers of the array, each as the nearest double, put into `numbers`; how many there
    /// are. An error if they are more, or if an element is no number.
    pub fn numbers(self, numbers: &mut [f64]) -> Result<usize> {
        let len = self.array_len()?;
        if len > numbers.len() {
            let message = format!(
                "the array has {len} elements, and there is room for {}; give room for all",
                numbers.len()
            );
            return Err(Error::new(Status::LimitExceeded, message).with_field("values_max"));
        }
        let mut places = numbers.iter_mut();
        self.elements(|element| {
            if let Some(place) = places.next() {
                *place = element.number()?;
            }
            Ok(())
        })
    }

    fn elements(self, mut each: impl FnMut(Feature<'a>) -> Result<()>) -> Result<usize> {
        self.expect(Kind::Array)?;
        let mut scanner = Scanner::new(self.json);
        scanner.accept(b'[');
        let mut len = 0;
        // What was read from a row is valid JSON: it ends with the bracket.
        while !scanner.accept(b']') {
            let Some((kind, json)) = json::value(&mut scanner, self.json) else { break };
            each(Feature { kind, json }).map_err(|error| error.context(format!("element {len}")))?;
            len += 1;
            scanner.accept(b',');
        }
        Ok(len)
    }

    fn expect(self, kind: Kind) -> Result<()> {
        if self.kind == kind {
            return Ok(());
        }
        Err(Error::argument("pointer", format!("the value there is {}, not {kind}", self.kind)))
    }

    fn too_large(self, what: &str) -> Error {
        let message = format!("the value is {}, too large for {what}", excerpt(self.json));
        Error::new(Status::LimitExceeded, message).with_field("pointer")
    }
}
