//! A value out of an entry's features, found by JSON Pointer (RFC 6901).

use std::borrow::Cow;

use crate::chunk::EntryRef;
use crate::error::{Error, Result, Status, excerpt};
use crate::json::{self, Kind, PointerFault, Reason, Rules, Scanner};

/// A value inside the features of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Feature<'a> {
    kind: Kind,
    json: &'a str,
}

impl<'a> EntryRef<'a> {
    /// The value at `pointer` in the features; `None` if it leads nowhere. "" is all of them.
    pub fn feature(self, pointer: &str) -> Result<Option<Feature<'a>>> {
        let found = json::find(self.features(), pointer).map_err(|fault| {
            let why = match fault {
                PointerFault::Beginning => "it must be empty or begin with '/'".to_string(),
                PointerFault::Escape(at) => format!("write '~' as ~0 (byte {at}); ~1 stands for '/'"),
                PointerFault::OutOfMemory => return out_of_memory(),
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

    /// The whole number, exactly, also where it is written with decimals or an exponent, such as `1e3`.
    pub fn integer(self) -> Result<i64> {
        self.expect(Kind::Number)?;
        match whole(self.json) {
            Some(Whole::Number(number)) => Ok(number),
            Some(Whole::TooLarge) => Err(self.too_large("64 bits")),
            None => Err(Error::argument("pointer", "the value is no whole number")),
        }
    }

    /// The string, decoded.
    pub fn text(self) -> Result<Cow<'a, str>> {
        self.expect(Kind::String)?;
        Scanner::new(self.json).string(Rules::GRAMMAR).map_err(|fault| {
            if fault.reason == Reason::OutOfMemory {
                return out_of_memory();
            }
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
        self.put_numbers(numbers.len(), |index, number| numbers[index] = number)
    }

    /// The same for who has room for so many, one after the other.
    pub(crate) fn put_numbers(self, room: usize, mut put: impl FnMut(usize, f64)) -> Result<usize> {
        let len = self.array_len()?;
        if len > room {
            let message =
                format!("the array has {len} elements, and there is room for {room}; give room for all");
            return Err(Error::new(Status::LimitExceeded, message).with_field("values_max"));
        }
        let mut index = 0;
        self.elements(|element| {
            put(index, element.number()?);
            index += 1;
            Ok(())
        })
    }

    fn elements(self, mut each: impl FnMut(Feature<'a>) -> Result<()>) -> Result<usize> {
        self.expect(Kind::Array)?;
        let mut scanner = Scanner::new(self.json);
        scanner.accept(b'[');
        let mut len = 0;
        while !scanner.accept(b']') {
            // What was read from a row is valid JSON: only memory can be missing.
            let (kind, json) = json::value(&mut scanner, self.json).map_err(|_| out_of_memory())?;
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
        Error::new(Status::LimitExceeded, format!("the value is too large for {what}")).with_field("pointer")
    }
}

fn out_of_memory() -> Error {
    Error::no_memory("the value", "try again when there is some")
}

/// A whole number.
#[derive(Debug, PartialEq)]
enum Whole {
    Number(i64),
    TooLarge,
}

/// The whole number that a JSON number is, if it is one: decided on its digits, not on the nearest
/// double.
fn whole(json: &str) -> Option<Whole> {
    let (mantissa, exponent) = json.split_once(['e', 'E']).unwrap_or((json, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || before.bytes().chain(behind.bytes());
    let is_zero = |digit: &u8| *digit == b'0';
    let (leading, trailing) =
        (digits().take_while(is_zero).count(), digits().rev().take_while(is_zero).count());
    let len = before.len() + behind.len();
    if trailing == len {
        return Some(Whole::Number(0));
    }
    let significant = len - leading - trailing;
    let shift = i64::try_from(trailing).ok()? - i64::try_from(behind.len()).ok()?;
    let negative = exponent.starts_with('-');
    // An exponent beyond all bounds is so in its own direction.
    let exponent = exponent.parse::<i64>().unwrap_or(if negative { i64::MIN } else { i64::MAX });
    let zeros = usize::try_from(exponent.saturating_add(shift)).ok()?;
    /// More than 64 bits can have.
    const DIGITS_MAX: usize = 20;
    if significant.saturating_add(zeros) > DIGITS_MAX {
        return Some(Whole::TooLarge);
    }
    let digits: String = digits().skip(leading).take(significant).map(char::from).collect();
    let number = format!("{sign}{digits}{}", "0".repeat(zeros)).parse();
    Some(number.map_or(Whole::TooLarge, Whole::Number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_told_by_their_digits() {
        for (json, expected) in [
            ("0", 0),
            ("-0.0", 0),
            ("0e999999999999999999999", 0),
            ("12", 12),
            ("1e3", 1000),
            ("1.250E2", 125),
            ("-1.0", -1),
            ("120e-1", 12),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("922337203685477580700e-2", i64::MAX),
            ("0.00000000000000000000000001e26", 1),
        ] {
            assert_eq!(whole(json), Some(Whole::Number(expected)), "{json}");
        }
        for json in
            ["1.5", "0.99999999999999999999", "1e-400", "9007199254740992.5", "1e-99999999999999999999"]
        {
            assert_eq!(whole(json), None, "{json}");
        }
        for json in
            ["9223372036854775808", "1e19", "-1e999", "1e99999999999999999999", "123456789012345678901"]
        {
            assert_eq!(whole(json), Some(Whole::TooLarge), "{json}");
        }
    }
}
