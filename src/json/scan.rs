//! A streaming JSON validator over UTF-8 text (RFC 8259), with the ledger's stricter rules.
//!
//! It reads each byte once, keeps its own stack instead of recursing, and hands out the compact
//! text of a value: borrowed from the input where that has no white space between its tokens.

use std::borrow::Cow;
use std::fmt;

use super::keys::Keys;
use crate::error::Status;
use crate::sys;

/// How strictly a value is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Most containers inside one another, the outermost included.
    pub depth_max: usize,
    /// Whether duplicate keys and lone surrogates are refused. What is read back from a file is
    /// only held against the grammar: other programs may have written it.
    pub strict: bool,
}

impl Rules {
    /// The grammar alone.
    pub const GRAMMAR: Rules = Rules { depth_max: usize::MAX, strict: false };
}

/// What kind of value begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::Boolean => "a boolean",
            Kind::Null => "null",
        })
    }
}

/// Why the text is not acceptable JSON, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes from the start of the text.
    pub offset: usize,
    pub reason: Reason,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    End,
    Expected(&'static str),
    NotANumber,
    ControlCharacter,
    Escape,
    LoneSurrogate,
    DuplicateKey(String),
    TooDeep(usize),
    OutOfMemory,
}

impl Fault {
    /// The status of a call that ends with this: `otherwise` but where only memory was missing.
    pub fn status_or(&self, otherwise: Status) -> Status {
        if self.reason == Reason::OutOfMemory { Status::OutOfMemory } else { otherwise }
    }

    /// The same without a part of the text: messages never hold features, and their keys are some.
    pub fn without_text(self) -> Fault {
        match self.reason {
            Reason::DuplicateKey(_) => Fault { reason: Reason::DuplicateKey(String::new()), ..self },
            _ => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::End => write!(f, "the text ends early, at byte {}", self.offset),
            Reason::Expected(what) => write!(f, "expected {what} at byte {}", self.offset),
            Reason::NotANumber => {
                write!(f, "not a number JSON knows at byte {} (NaN and infinities are not JSON)", self.offset)
            }
            Reason::ControlCharacter => {
                write!(f, "a control character inside a string at byte {}; write it as \\u00XX", self.offset)
            }
            Reason::Escape => write!(f, "not an escape JSON knows at byte {}", self.offset),
            Reason::LoneSurrogate => write!(
                f,
                "half of a surrogate pair at byte {}; write the character itself or both halves",
                self.offset
            ),
            Reason::DuplicateKey(key) if key.is_empty() => {
                write!(f, "a key stands twice in the object that ends at byte {}", self.offset)
            }
            Reason::DuplicateKey(key) => {
                write!(f, "the key \"{key}\" stands twice in the object that ends at byte {}", self.offset)
            }
            Reason::TooDeep(max) => {
                write!(
                    f,
                    "nested deeper than the limit of {max} at byte {} (features_depth_max)",
                    self.offset
                )
            }
            Reason::OutOfMemory => {
                write!(f, "no memory left for the value at byte {}", self.offset)
            }
        }
    }
}

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Open containers: whether it is an object. A byte each, since what is read has any depth.
    open: Stack<bool>,
    /// The keys of all open objects, innermost last; only under the strict rules.
    keys: Keys<'a>,
    /// Where the keys of each open object begin.
    keys_from: Stack<usize>,
}

/// A stack whose first few values need no memory of their own: most texts are not deep.
#[derive(Default)]
struct Stack<T> {
    few: [T; FEW],
    /// How many there are in all.
    len: usize,
    more: Vec<T>,
}

const FEW: usize = 16;

impl<T: Copy> Stack<T> {
    fn len(&self) -> usize {
        self.len
    }

    fn last(&self) -> Option<T> {
        if self.len > FEW {
            self.more.last().copied()
        } else {
            self.few.get(self.len.wrapping_sub(1)).copied()
        }
    }

    /// False where there is no memory for it.
    fn push(&mut self, value: T) -> bool {
        let has_room = match self.few.get_mut(self.len) {
            Some(place) => {
                *place = value;
                true
            }
            None => self.push_more(value),
        };
        self.len += usize::from(has_room);
        has_room
    }

    #[cold]
    fn push_more(&mut self, value: T) -> bool {
        let has_room = self.more.try_reserve(1).is_ok();
        if has_room {
            self.more.push(value);
        }
        has_room
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.last()?;
        if self.len > FEW {
            self.more.pop();
        }
        self.len -= 1;
        Some(last)
    }
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0, open: Stack::default(), keys: Keys::default(), keys_from: Stack::default() }
    }

    /// Where the scanner stands, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Skips white space; the next byte, if there is one.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = end_of_space(self.text.as_bytes(), self.at);
        self.byte()
    }

    /// The same, but stops at the end of the line: for JSON lines. A value must have ended there.
    pub fn peek_in_line(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// What kind of value comes next.
    pub fn kind(&mut self) -> Result<Kind, Fault> {
        let next = self.peek();
        kind_of(next).ok_or_else(|| no_value(next, self.at))
    }

    /// Skips white space and then exactly this byte.
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.accept(byte) { Ok(()) } else { Err(unexpected(self.text.as_bytes(), self.at, what)) }
    }

    /// Whether the next byte, white space aside, is this one; skips it if so.
    pub fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Fault { offset: self.at, reason: Reason::Expected("the end of the text") }),
        }
    }

    /// A string, decoded.
    pub fn string(&mut self, rules: Rules) -> Result<Cow<'a, str>, Fault> {
        if self.kind()? != Kind::String {
            return Err(Fault { offset: self.at, reason: Reason::Expected("a string") });
        }
        let start = self.at;
        let (end, escaped) = end_of_string(self.text.as_bytes(), start, rules)?;
        self.at = end;
        if escaped { self.decoded(start, end) } else { Ok(Cow::Borrowed(&self.text[start + 1..end - 1])) }
    }

    /// A number, as it is written.
    pub fn number(&mut self) -> Result<&'a str, Fault> {
        if self.kind()? != Kind::Number {
            return Err(Fault { offset: self.at, reason: Reason::Expected("a number") });
        }
        let start = self.at;
        self.at = end_of_number(self.text.as_bytes(), start)?;
        Ok(&self.text[start..self.at])
    }

    /// One whole value: its compact text.
    pub fn value(&mut self, rules: Rules) -> Result<Cow<'a, str>, Fault> {
        self.peek();
        let start = self.at;
        let mut compact = Compact { text: self.text, run: start, kept: None };
        self.walk(rules, |from, to| compact.cut(from, to))?;
        compact.finish(start, self.at).map_err(|_| Fault { offset: start, reason: Reason::OutOfMemory })
    }

    /// One whole value, checked and passed over.
    pub fn skip(&mut self, rules: Rules) -> Result<(), Fault> {
        self.walk(rules, |_, _| Ok(()))
    }

    /// Checks one value, and calls `gap` for each stretch of white space between its tokens.
    fn walk(
        &mut self,
        rules: Rules,
        mut gap: impl FnMut(usize, usize) -> Result<(), Reason>,
    ) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let outside = self.open.len();
        let mut at = end_of_space(bytes, self.at);
        let mut space = |at: usize| {
            let end = end_of_space(bytes, at);
            if end > at {
                gap(at, end).map_err(|reason| Fault { offset: at, reason })?;
            }
            Ok(end)
        };
        // Whether what comes next is a member of an object, which begins with its key.
        let mut is_member = false;
        'value: loop {
            if is_member {
                if bytes.get(at) != Some(&b'"') {
                    return Err(unexpected(bytes, at, "a key in quotes"));
                }
                let (end, escaped) = end_of_string(bytes, at, rules)?;
                if rules.strict {
                    let key = if escaped {
                        self.decoded(at, end)?.into_owned().into_bytes().into()
                    } else {
                        Cow::Borrowed(&bytes[at + 1..end - 1])
                    };
                    self.keys.add(key, end)?;
                }
                at = space(end)?;
                if bytes.get(at) != Some(&b':') {
                    return Err(unexpected(bytes, at, "':'"));
                }
                at = space(at + 1)?;
            }
            match bytes.get(at) {
                Some(b'"') => at = end_of_string(bytes, at, rules)?.0,
                Some(b'-' | b'0'..=b'9') => at = end_of_number(bytes, at)?,
                Some(opening @ (b'{' | b'[')) => {
                    is_member = *opening == b'{';
                    self.begin(is_member, outside, at, rules)?;
                    at = space(at + 1)?;
                    if bytes.get(at) != Some(if is_member { &b'}' } else { &b']' }) {
                        continue 'value;
                    }
                }
                _ => at = end_of_literal(bytes, at)?,
            }
            // A value has ended, or an empty container is about to: close what closes here.
            while self.open.len() > outside {
                at = space(at)?;
                is_member = self.open.last() == Some(true);
                match bytes.get(at) {
                    Some(b',') => {
                        at = space(at + 1)?;
                        continue 'value;
                    }
                    Some(b'}') if is_member => {
                        if let Some(from) = rules.strict.then(|| self.keys_from.pop()).flatten() {
                            self.keys.refuse_duplicates(from, at)?;
                            self.keys.forget(from);
                        }
                    }
                    Some(b']') if !is_member => {}
                    _ => {
                        let what = if is_member { "',' or '}'" } else { "',' or ']'" };
                        return Err(unexpected(bytes, at, what));
                    }
                }
                at += 1;
                self.open.pop();
            }
            self.at = at;
            return Ok(());
        }
    }

    /// A container begins at `at`, inside all that were begun since there were `outside`.
    #[inline(always)]
    fn begin(&mut self, is_object: bool, outside: usize, at: usize, rules: Rules) -> Result<(), Fault> {
        if self.open.len() - outside >= rules.depth_max {
            return Err(Fault { offset: at, reason: Reason::TooDeep(rules.depth_max) });
        }
        let has_room = self.open.push(is_object)
            && (!rules.strict || !is_object || self.keys_from.push(self.keys.len()));
        if has_room { Ok(()) } else { Err(Fault { offset: at, reason: Reason::OutOfMemory }) }
    }

    /// For the caller that reads an object's members itself: remembers `key` for
    /// [`Scanner::refuse_duplicates`].
    pub fn remember_key(&mut self, key: Cow<'a, str>) -> Result<(), Fault> {
        let key = match key {
            Cow::Borrowed(key) => Cow::Borrowed(key.as_bytes()),
            Cow::Owned(key) => Cow::Owned(key.into_bytes()),
        };
        self.keys.add(key, self.at)
    }

    /// Refuses the object whose keys begin at `from` in the list of keys if one stands twice.
    pub fn refuse_duplicates(&mut self, from: usize) -> Result<(), Fault> {
        self.keys.refuse_duplicates(from, self.at)
    }

    /// Forgets all remembered keys: before the next object of a caller that reads its members.
    pub fn forget_keys(&mut self) {
        self.keys.forget(0);
    }

    /// The string with escapes whose opening quote is at `start` and that ends at `end`. Checked already, but
    /// perhaps not for lone surrogates.
    fn decoded(&self, start: usize, end: usize) -> Result<Cow<'a, str>, Fault> {
        let mut rest = &self.text[start + 1..end - 1];
        let mut decoded = String::new();
        let fault = |reason| move || Fault { offset: start, reason };
        // No escape is shorter than what it stands for.
        decoded.try_reserve(rest.len()).map_err(|_| fault(Reason::OutOfMemory)())?;
        while let Some(at) = rest.find('\\') {
            decoded.push_str(&rest[..at]);
            let (character, behind) = escape(&rest[at..]).ok_or_else(fault(Reason::LoneSurrogate))?;
            decoded.push(character);
            rest = behind;
        }
        decoded.push_str(rest);
        Ok(Cow::Owned(decoded))
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

fn kind_of(byte: Option<u8>) -> Option<Kind> {
    match byte? {
        b'{' => Some(Kind::Object),
        b'[' => Some(Kind::Array),
        b'"' => Some(Kind::String),
        b't' | b'f' => Some(Kind::Boolean),
        b'n' => Some(Kind::Null),
        b'-' | b'0'..=b'9' => Some(Kind::Number),
        _ => None,
    }
}

// Where the parts of a value end, each from its first byte on. Faults are made out of the way.

#[inline(always)]
fn end_of_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Also whether it holds escapes.
#[inline(always)]
fn end_of_string(bytes: &[u8], at: usize, rules: Rules) -> Result<(usize, bool), Fault> {
    let end = sys::end_of_plain(bytes, at + 1);
    if bytes.get(end) == Some(&b'"') { Ok((end + 1, false)) } else { end_of_escaped(bytes, end, rules) }
}

/// The end of a string that has more to it than plain bytes, from the first of the others on.
#[inline(never)]
fn end_of_escaped(bytes: &[u8], mut at: usize, rules: Rules) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        match bytes.get(at) {
            None => return Err(Fault { offset: at, reason: Reason::End }),
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = end_of_escape(bytes, at, rules)?;
            }
            Some(_) => return Err(Fault { offset: at, reason: Reason::ControlCharacter }),
        }
        at = sys::end_of_plain(bytes, at);
    }
}

fn end_of_escape(bytes: &[u8], start: usize, rules: Rules) -> Result<usize, Fault> {
    match bytes.get(start + 1) {
        None => Err(Fault { offset: start + 1, reason: Reason::End }),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(start + 2),
        Some(b'u') => {
            let unit = hex4(bytes, start + 2)?;
            let end = start + 6;
            if !rules.strict || !(0xd800..0xe000).contains(&unit) {
                return Ok(end);
            }
            // UTF-16: a high half must be followed by a low one (RFC 8259, section 7).
            if unit >= 0xdc00 || !bytes[end..].starts_with(b"\\u") {
                return Err(Fault { offset: start, reason: Reason::LoneSurrogate });
            }
            if !(0xdc00..0xe000).contains(&hex4(bytes, end + 2)?) {
                return Err(Fault { offset: start, reason: Reason::LoneSurrogate });
            }
            Ok(end + 6)
        }
        Some(_) => Err(Fault { offset: start, reason: Reason::Escape }),
    }
}

/// What the escape stands for that the text begins with, and the text behind it; `None` for half of a surrogate
/// pair. The escape is one that JSON knows.
fn escape(text: &str) -> Option<(char, &str)> {
    let bytes = text.as_bytes();
    let character = match bytes.get(1)? {
        b'u' => {
            let unit = hex4(bytes, 2).ok()?;
            if !(0xd800..0xdc00).contains(&unit) {
                return Some((char::from_u32(unit)?, &text[6..]));
            }
            // UTF-16 (RFC 8259, section 7).
            let low = bytes.get(6..8).filter(|next| *next == b"\\u").and_then(|_| hex4(bytes, 8).ok())?;
            let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return Some((char::from_u32(0x10000 + ((unit - 0xd800) << 10) + low)?, &text[12..]));
        }
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(*other),
    };
    Some((character, &text[2..]))
}

fn hex4(bytes: &[u8], from: usize) -> Result<u32, Fault> {
    let mut unit = 0;
    for offset in from..from + 4 {
        let digit = match bytes.get(offset) {
            None => return Err(Fault { offset, reason: Reason::End }),
            Some(&byte) => char::from(byte).to_digit(16),
        };
        unit = unit * 16 + digit.ok_or(Fault { offset, reason: Reason::Escape })?;
    }
    Ok(unit)
}

#[inline(always)]
fn end_of_number(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
        if bytes.get(at) == Some(&b'I') {
            return Err(Fault { offset: at, reason: Reason::NotANumber });
        }
    }
    if bytes.get(at) == Some(&b'0') {
        at += 1;
        if matches!(bytes.get(at), Some(b'0'..=b'9')) {
            let reason = Reason::Expected("no digit after a leading 0");
            return Err(Fault { offset: at, reason });
        }
    } else {
        at = end_of_digits(bytes, at)?;
    }
    if bytes.get(at) == Some(&b'.') {
        at = end_of_digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = end_of_digits(bytes, at)?;
    }
    Ok(at)
}

#[inline(always)]
fn end_of_digits(bytes: &[u8], from: usize) -> Result<usize, Fault> {
    let mut at = from;
    // Without a branch for each: how many there are is what a processor cannot guess.
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let digits = digits_of_eight(*eight);
        at += digits;
        if digits < 8 {
            return if at > from { Ok(at) } else { Err(unexpected(bytes, at, "a digit")) };
        }
    }
    while matches!(bytes.get(at), Some(b'0'..=b'9')) {
        at += 1;
    }
    if at > from { Ok(at) } else { Err(unexpected(bytes, at, "a digit")) }
}

/// How many of the bytes, from the first on, are digits.
#[inline(always)]
fn digits_of_eight(bytes: [u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // Digits become 0 to 9, and their top bit stays clear when 0x76 is added. What is none may carry into
    // the next byte, but not into one before it.
    let values = u64::from_le_bytes(bytes) ^ (ONES * u64::from(b'0'));
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES << 7);
    (others.trailing_zeros() / 8) as usize
}

fn end_of_literal(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let word: &[u8] = match bytes.get(at) {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        next => return Err(no_value(next.copied(), at)),
    };
    if bytes[at..].starts_with(word) {
        return Ok(at + word.len());
    }
    Err(Fault { offset: at, reason: Reason::Expected("true, false or null") })
}

#[cold]
fn unexpected(bytes: &[u8], at: usize, what: &'static str) -> Fault {
    let reason = if at < bytes.len() { Reason::Expected(what) } else { Reason::End };
    Fault { offset: at, reason }
}

#[cold]
fn no_value(next: Option<u8>, offset: usize) -> Fault {
    let reason = match next {
        None => Reason::End,
        Some(b'N' | b'I' | b'+' | b'.') => Reason::NotANumber,
        Some(_) => Reason::Expected("a value"),
    };
    Fault { offset, reason }
}

/// Leaves the white space out of a value, and copies nothing where there is none.
struct Compact<'a> {
    text: &'a str,
    /// Where the stretch begins that has not been copied yet.
    run: usize,
    kept: Option<String>,
}

impl<'a> Compact<'a> {
    /// The white space from `from` to `to` is left out.
    fn cut(&mut self, from: usize, to: usize) -> Result<(), Reason> {
        self.copy(from)?;
        self.run = to;
        Ok(())
    }

    fn copy(&mut self, to: usize) -> Result<(), Reason> {
        let kept = self.kept.get_or_insert_default();
        kept.try_reserve(to - self.run).map_err(|_| Reason::OutOfMemory)?;
        kept.push_str(&self.text[self.run..to]);
        Ok(())
    }

    fn finish(mut self, start: usize, end: usize) -> Result<Cow<'a, str>, Reason> {
        if self.kept.is_none() {
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        self.copy(end)?;
        Ok(Cow::Owned(self.kept.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Rules = Rules { depth_max: 128, strict: true };

    fn check(text: &str, rules: Rules) -> Result<String, Fault> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value(rules)?.into_owned();
        scanner.end()?;
        Ok(value)
    }

    #[test]
    fn white_space_goes_and_all_else_stays_to_the_letter() {
        let text = " { \"a b\" : [ 1.50E+07 , -0 , \"x \\u0041 y\" , { } , [ ] ] , \"c\":null } ";
        assert_eq!(check(text, STRICT).unwrap(), r#"{"a b":[1.50E+07,-0,"x \u0041 y",{},[]],"c":null}"#);
    }

    #[test]
    fn digits_end_where_they_would_one_by_one() {
        for count in 1..20 {
            for behind in 0..=255_u8 {
                for more in [0, 3, 9] {
                    let digits = b"98765432101234567890"[..count].iter();
                    let bytes: Vec<u8> =
                        digits.chain(&[behind]).chain(&[b'\xff'; 9][..more]).copied().collect();
                    let expected = bytes.iter().position(|byte| !byte.is_ascii_digit());
                    assert_eq!(end_of_digits(&bytes, 0), Ok(expected.unwrap_or(bytes.len())), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn compact_text_is_not_copied() {
        let text = r#"{"a":[1,2,3]}"#;
        assert!(matches!(Scanner::new(text).value(STRICT), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn it_accepts_and_refuses_what_the_grammar_says() {
        for good in [
            "0",
            "-0.0e-0",
            "1e999999",
            "\"\"",
            "\"\\ud83d\\ude00\"",
            "[[],{}]",
            "true",
            "false",
            "null",
            "{\"\":{\"\":0}}",
            "123456789012345678901234567890.5",
            "\"\u{7f}é😀\"",
        ] {
            assert_eq!(check(good, STRICT).as_deref(), Ok(good));
        }
        for bad in [
            "",
            " ",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "-Infinity",
            "Infinity",
            "nul",
            "tru",
            "True",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "\"\0\"",
            "'a'",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,]",
            "]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "{1:1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[1] x",
            "\u{feff}1",
            "[1 2]",
        ] {
            assert!(check(bad, Rules::GRAMMAR).is_err(), "accepted {bad:?}");
            assert!(check(bad, STRICT).is_err(), "accepted {bad:?}");
        }
    }

    #[test]
    fn duplicate_keys_are_found_however_they_are_written_and_wherever_they_stand() {
        let many: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{i}")).collect();
        let distinct = format!("{{{}}}", many.join(","));
        assert!(check(&distinct, STRICT).is_ok());
        for bad in [
            r#"{"a":1,"a":2}"#.to_string(),
            r#"{"a":1,"\u0061":2}"#.to_string(),
            r#"[{"x":{"b":0,"c":{"c":1},"b":0}}]"#.to_string(),
            format!("{{{},\"k50\":0}}", many.join(",")),
        ] {
            let fault = check(&bad, STRICT).unwrap_err();
            assert!(matches!(fault.reason, Reason::DuplicateKey(_)), "{bad}: {fault}");
            assert!(check(&bad, Rules::GRAMMAR).is_ok());
        }
        // The same key in two objects is no duplicate.
        assert!(check(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#, STRICT).is_ok());
    }

    #[test]
    fn lone_surrogates_are_refused_only_by_the_strict_rules() {
        for bad in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\udc00\ud800""#] {
            assert_eq!(check(bad, STRICT).unwrap_err().reason, Reason::LoneSurrogate, "{bad}");
            assert!(check(bad, Rules::GRAMMAR).is_ok());
        }
    }

    #[test]
    fn depth_is_counted_not_recursed() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check(&nested(128), STRICT).is_ok());
        assert_eq!(check(&nested(129), STRICT).unwrap_err().reason, Reason::TooDeep(128));
        assert!(check(&nested(1_000_000), Rules::GRAMMAR).is_ok());
        assert_eq!(check(&"[".repeat(1_000_000), Rules::GRAMMAR).unwrap_err().reason, Reason::End);
    }

    #[test]
    fn it_agrees_with_serde_json_on_mutated_text() {
        // Every prefix, and every one-byte change, of a text with one of everything.
        let text = r#"{"a":[1,-2.5e+3,true,false,null,"x\n\u00e9\ud83d\ude00"],"b":{"c":{}},"d":[]}"#;
        let mut texts: Vec<String> =
            (0..text.len()).filter(|&n| text.is_char_boundary(n)).map(|n| text[..n].to_string()).collect();
        for at in 0..text.len() {
            for byte in
                [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'9', b'e', b'-', b' ', b'u', 1]
            {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                texts.extend(String::from_utf8(bytes));
            }
        }
        for text in texts {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match check(&text, STRICT) {
                Ok(_) => assert!(theirs.is_ok(), "only we accept {text:?}"),
                Err(fault) if matches!(fault.reason, Reason::DuplicateKey(_)) => {}
                Err(fault) => assert!(theirs.is_err(), "only they accept {text:?}: {fault}"),
            }
        }
    }

    /// Random numbers, the same in every run: George Marsaglia, "Xorshift RNGs".
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % end
        }

        fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
            all[self.below(all.len())]
        }

        fn value(&mut self, depth: usize, out: &mut String) {
            match self.below(if depth == 0 { 3 } else { 6 }) {
                0 => out.push_str(
                    self.one_of(&["0", "-0", "12", "-3.25", "1e9", "4.5E-10", "true", "false", "null"]),
                ),
                1 | 2 => self.string(out),
                kind => {
                    let (opening, closing) = if kind == 3 { ('[', ']') } else { ('{', '}') };
                    out.push(opening);
                    for index in 0..self.below(6) {
                        out.push_str(if index > 0 { "," } else { "" });
                        out.push_str(self.one_of(&["", "", "", " ", "\n\t "]));
                        if kind != 3 {
                            self.string(out);
                            out.push_str(self.one_of(&[":", ":", " : "]));
                        }
                        self.value(depth - 1, out);
                        out.push_str(self.one_of(&["", "", "", " ", "\r\n"]));
                    }
                    out.push(closing);
                }
            }
        }

        fn string(&mut self, out: &mut String) {
            out.push('"');
            for _ in 0..self.below(4) {
                out.push_str(self.one_of(&[
                    "a",
                    "bc",
                    "k",
                    "é",
                    "日本",
                    "😀",
                    "\\n",
                    "\\\"",
                    "\\u00e9",
                    "\\ud83d\\ude00",
                    "fourteen bytes",
                    "more than sixteen bytes",
                    "\u{7f}",
                ]));
            }
            out.push('"');
        }
    }

    #[test]
    fn it_says_what_the_rules_say_byte_by_byte_of_random_text() {
        const PIECES: &[&str] = &[
            "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "0", "1", "-", ".", "e", "+", "t", "nul",
            "N", "\\u", "\\ud800", "\\udc00", "\\u12", "\\x", "\u{1}", "\u{1f}", "é", "{\"a\":", "x",
        ];
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut good, mut bad) = (0, 0);
        for round in 0..60_000 {
            let mut text = String::new();
            random.value(5, &mut text);
            for _ in 0..round % 4 {
                let places: Vec<_> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
                let (one, other) = (random.below(places.len()), random.below(3));
                let range = places[one]..places[(one + other).min(places.len() - 1)];
                text.replace_range(range, if random.below(3) == 0 { "" } else { random.one_of(PIECES) });
            }
            for rules in [Rules { depth_max: 4, strict: true }, STRICT, Rules::GRAMMAR] {
                let expected = super::super::reference::check(&text, rules);
                assert_eq!(check(&text, rules), expected, "{text:?} {rules:?}");
                *(if expected.is_ok() { &mut good } else { &mut bad }) += 1;
            }
        }
        assert!(good > 20_000 && bad > 20_000, "{good} {bad}");
    }

    #[test]
    fn escapes_are_decoded_as_serde_json_decodes_them() {
        for text in [
            r#""\n\"\\\/\b\f\r\t""#,
            r#""a\u0041é\u00e9\u20ac\ud83d\ude00z""#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ud83dx\ude00""#,
            r#""\ud83d\n""#,
            r#""\uDBFF\uDFFF\uFFFF\u0000""#,
        ] {
            let expected = serde_json::from_str::<String>(text).ok();
            let decoded = Scanner::new(text).string(Rules::GRAMMAR);
            assert_eq!(decoded.as_deref().ok(), expected.as_deref(), "{text}");
            if let Err(fault) = decoded {
                assert_eq!(fault.reason, Reason::LoneSurrogate, "{text}");
            }
        }
    }
}
