//! A streaming JSON validator over UTF-8 text (RFC 8259), with the ledger's stricter rules.
//!
//! It reads each byte once, keeps its own stack instead of recursing, and hands out the compact
//! text of a value: borrowed from the input where that has no white space between its tokens.

use std::borrow::Cow;
use std::fmt;

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

/// Above this many keys, an object is checked for duplicates by sorting instead of pairwise.
const PAIRWISE_KEYS_MAX: usize = 16;

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Open containers: whether it is an object. A byte each, since what is read has any depth.
    open: Stack<bool>,
    /// The keys of all open objects, innermost last; only under the strict rules.
    keys: Vec<Cow<'a, str>>,
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
        match self.few.get_mut(self.len) {
            Some(place) => *place = value,
            None if self.more.try_reserve(1).is_err() => return false,
            None => self.more.push(value),
        }
        self.len += 1;
        true
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
        Scanner { text, at: 0, open: Stack::default(), keys: Vec::new(), keys_from: Stack::default() }
    }

    /// Where the scanner stands, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Skips white space; the next byte, if there is one.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
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
        match self.peek() {
            None => Err(self.fault(Reason::End)),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'N' | b'I' | b'+' | b'.') => Err(self.fault(Reason::NotANumber)),
            Some(_) => Err(self.fault(Reason::Expected("a value"))),
        }
    }

    /// Skips white space and then exactly this byte.
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fault(Reason::Expected(what))),
            None => Err(self.fault(Reason::End)),
        }
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
            Some(_) => Err(self.fault(Reason::Expected("the end of the text"))),
        }
    }

    /// A string, decoded.
    pub fn string(&mut self, rules: Rules) -> Result<Cow<'a, str>, Fault> {
        if self.kind()? != Kind::String {
            return Err(self.fault(Reason::Expected("a string")));
        }
        let start = self.at;
        let escaped = self.skip_string(rules)?;
        self.decode(start, escaped)
    }

    /// A number, as it is written.
    pub fn number(&mut self) -> Result<&'a str, Fault> {
        if self.kind()? != Kind::Number {
            return Err(self.fault(Reason::Expected("a number")));
        }
        let start = self.at;
        self.skip_number()?;
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
        self.peek();
        let outside = self.open.len();
        'value: loop {
            match self.kind()? {
                kind @ (Kind::Object | Kind::Array) => {
                    if self.open.len() - outside >= rules.depth_max {
                        return Err(self.fault(Reason::TooDeep(rules.depth_max)));
                    }
                    let has_room = self.open.push(kind == Kind::Object)
                        && (!rules.strict || kind != Kind::Object || self.keys_from.push(self.keys.len()));
                    if !has_room {
                        return Err(self.fault(Reason::OutOfMemory));
                    }
                    self.at += 1;
                    self.space(&mut gap)?;
                    let closing = if kind == Kind::Object { b'}' } else { b']' };
                    if self.byte() != Some(closing) {
                        if kind == Kind::Object {
                            self.key(rules, &mut gap)?;
                        }
                        continue 'value;
                    }
                }
                Kind::String => {
                    self.skip_string(rules)?;
                }
                Kind::Number => self.skip_number()?,
                Kind::Boolean => self.literal(if self.byte() == Some(b't') { "true" } else { "false" })?,
                Kind::Null => self.literal("null")?,
            }
            // A value has ended, or an empty container is about to: close what closes here.
            while self.open.len() > outside {
                self.space(&mut gap)?;
                let is_object = self.open.last() == Some(true);
                match self.byte() {
                    Some(b',') => {
                        self.at += 1;
                        self.space(&mut gap)?;
                        if is_object {
                            self.key(rules, &mut gap)?;
                        }
                        continue 'value;
                    }
                    Some(b'}') if is_object => {
                        if let Some(from) = rules.strict.then(|| self.keys_from.pop()).flatten() {
                            self.refuse_duplicates(from)?;
                            self.keys.truncate(from);
                        }
                    }
                    Some(b']') if !is_object => {}
                    Some(_) if is_object => return Err(self.fault(Reason::Expected("',' or '}'"))),
                    Some(_) => return Err(self.fault(Reason::Expected("',' or ']'"))),
                    None => return Err(self.fault(Reason::End)),
                }
                self.at += 1;
                self.open.pop();
            }
            return Ok(());
        }
    }

    /// `"key" :`, and up to the value.
    fn key(
        &mut self,
        rules: Rules,
        gap: &mut impl FnMut(usize, usize) -> Result<(), Reason>,
    ) -> Result<(), Fault> {
        if self.byte() != Some(b'"') {
            let end = self.byte().is_none();
            return Err(self.fault(if end { Reason::End } else { Reason::Expected("a key in quotes") }));
        }
        let start = self.at;
        let escaped = self.skip_string(rules)?;
        if rules.strict {
            let key = self.decode(start, escaped)?;
            self.keys.push(key);
        }
        self.space(gap)?;
        match self.byte() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.fault(Reason::Expected("':'"))),
            None => return Err(self.fault(Reason::End)),
        }
        self.space(gap)
    }

    /// For the caller that reads an object's members itself: remembers `key` for
    /// [`Scanner::refuse_duplicates`].
    pub fn remember_key(&mut self, key: Cow<'a, str>) {
        self.keys.push(key);
    }

    /// Refuses the object whose keys begin at `from` in the list of keys if one stands twice.
    pub fn refuse_duplicates(&mut self, from: usize) -> Result<(), Fault> {
        let keys = &mut self.keys[from..];
        let twice = if keys.len() <= PAIRWISE_KEYS_MAX {
            (1..keys.len()).find(|&i| keys[..i].contains(&keys[i])).map(|i| keys[i].clone())
        } else {
            // The keys are thrown away next, so their order is free.
            keys.sort_unstable();
            keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
        };
        match twice {
            Some(key) => {
                Err(Fault { offset: self.at, reason: Reason::DuplicateKey(crate::error::excerpt(&key)) })
            }
            None => Ok(()),
        }
    }

    /// Forgets all remembered keys: before the next object of a caller that reads its members.
    pub fn forget_keys(&mut self) {
        self.keys.clear();
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, reason: Reason) -> Fault {
        Fault { offset: self.at, reason }
    }

    fn space(&mut self, gap: &mut impl FnMut(usize, usize) -> Result<(), Reason>) -> Result<(), Fault> {
        let from = self.at;
        self.peek();
        if self.at > from {
            gap(from, self.at).map_err(|reason| Fault { offset: from, reason })?;
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault(Reason::Expected("true, false or null")));
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > from {
            return Ok(());
        }
        let end = self.byte().is_none();
        Err(self.fault(if end { Reason::End } else { Reason::Expected("a digit") }))
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        if self.byte() == Some(b'-') {
            self.at += 1;
            if self.byte() == Some(b'I') {
                return Err(self.fault(Reason::NotANumber));
            }
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
            if matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.fault(Reason::Expected("no digit after a leading 0")));
            }
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes over a string, from its opening quote on; whether it holds escapes.
    fn skip_string(&mut self, rules: Rules) -> Result<bool, Fault> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = end_of_plain(bytes, self.at);
            match bytes.get(self.at) {
                None => return Err(self.fault(Reason::End)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape(rules)?;
                }
                Some(0..=0x1f) => return Err(self.fault(Reason::ControlCharacter)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn skip_escape(&mut self, rules: Rules) -> Result<(), Fault> {
        let start = self.at;
        match self.text.as_bytes().get(start + 1) {
            None => {
                return Err(Fault { offset: start + 1, reason: Reason::End });
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.hex4(start + 2)?;
                self.at += 6;
                if !rules.strict || !(0xd800..0xe000).contains(&unit) {
                    return Ok(());
                }
                // UTF-16: a high half must be followed by a low one (RFC 8259, section 7).
                let follows = self.text.as_bytes()[self.at..].starts_with(b"\\u");
                if unit >= 0xdc00 || !follows {
                    return Err(Fault { offset: start, reason: Reason::LoneSurrogate });
                }
                if !(0xdc00..0xe000).contains(&self.hex4(self.at + 2)?) {
                    return Err(Fault { offset: start, reason: Reason::LoneSurrogate });
                }
                self.at += 6;
            }
            Some(_) => return Err(self.fault(Reason::Escape)),
        }
        Ok(())
    }

    fn hex4(&self, from: usize) -> Result<u32, Fault> {
        let mut unit = 0;
        for offset in from..from + 4 {
            let digit = match self.text.as_bytes().get(offset) {
                None => {
                    return Err(Fault { offset, reason: Reason::End });
                }
                Some(&byte) => char::from(byte).to_digit(16),
            };
            unit = unit * 16 + digit.ok_or(Fault { offset, reason: Reason::Escape })?;
        }
        Ok(unit)
    }

    /// The string whose opening quote is at `start` and that ends here.
    fn decode(&self, start: usize, escaped: bool) -> Result<Cow<'a, str>, Fault> {
        if !escaped {
            return Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1]));
        }
        // Checked already, so this cannot fail but for what is not checked: lone surrogates.
        serde_json::from_str(&self.text[start..self.at])
            .map(Cow::Owned)
            .map_err(|_| Fault { offset: start, reason: Reason::LoneSurrogate })
    }
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

/// Passes over bytes of a string that stand for themselves, eight at a time: at the latest up to the
/// first that does not.
///
/// Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a zero byte" and "has a byte
/// less than n"; the lowest byte that they find is always one.
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        // A byte with its top bit set is none of them, and neither mask changes that bit.
        let borrowed =
            word.wrapping_sub(ONES * 0x20) | quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES);
        let found = borrowed & !word & TOPS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at
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
    fn plain_bytes_end_where_they_would_one_by_one() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                bytes[19] = b'"';
                let expected = bytes.iter().position(|byte| *byte < 0x20 || b"\"\\".contains(byte)).unwrap();
                let end = end_of_plain(&bytes, 0);
                assert!(end == expected || (end < expected && end >= 16), "{byte} {place} {end}");
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
}
