//! The rules of the scanner byte by byte and as plainly as they can be said: what it is tested against.

use super::scan::{Fault, Reason, Rules};

/// The compact text of the one value in `text`, or what is wrong with it.
pub(crate) fn check(text: &str, rules: Rules) -> Result<String, Fault> {
    let mut reading = Reading { bytes: text.as_bytes(), at: 0, depth: 0, rules, compact: Vec::new() };
    reading.space();
    reading.value()?;
    reading.space();
    match reading.next() {
        None => Ok(String::from_utf8(reading.compact).expect("white space alone was left out")),
        Some(_) => reading.fault(Reason::Expected("the end of the text")),
    }
}

struct Reading<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    rules: Rules,
    compact: Vec<u8>,
}

impl Reading<'_> {
    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault<T>(&self, reason: Reason) -> Result<T, Fault> {
        Err(Fault { offset: self.at, reason })
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        self.fault(if self.next().is_none() { Reason::End } else { Reason::Expected(what) })
    }

    fn space(&mut self) {
        while self.next().is_some_and(|byte| b" \n\r\t".contains(&byte)) {
            self.at += 1;
        }
    }

    fn take(&mut self) {
        self.compact.push(self.bytes[self.at]);
        self.at += 1;
    }

    fn take_if(&mut self, any: &[u8]) -> bool {
        let is_one = self.next().is_some_and(|byte| any.contains(&byte));
        if is_one {
            self.take();
        }
        is_one
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.next() {
            None => self.fault(Reason::End),
            Some(opening @ (b'{' | b'[')) => self.container(opening == b'{'),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(first @ (b't' | b'f' | b'n')) => {
                let word = ["true", "false", "null"].into_iter().find(|word| word.as_bytes()[0] == first);
                let word = word.expect("one of them");
                if !self.bytes[self.at..].starts_with(word.as_bytes()) {
                    return self.fault(Reason::Expected("true, false or null"));
                }
                word.bytes().for_each(|_| self.take());
                Ok(())
            }
            Some(b'N' | b'I' | b'+' | b'.') => self.fault(Reason::NotANumber),
            Some(_) => self.fault(Reason::Expected("a value")),
        }
    }

    fn container(&mut self, is_object: bool) -> Result<(), Fault> {
        if self.depth == self.rules.depth_max {
            return self.fault(Reason::TooDeep(self.depth));
        }
        self.depth += 1;
        let (closing, what) = if is_object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
        let mut keys = Vec::new();
        self.take();
        self.space();
        if self.next() != Some(closing) {
            loop {
                if is_object {
                    if self.next() != Some(b'"') {
                        return self.expected("a key in quotes");
                    }
                    keys.push(self.string()?);
                    self.space();
                    if !self.take_if(b":") {
                        return self.expected("':'");
                    }
                    self.space();
                }
                self.value()?;
                self.space();
                if !self.take_if(b",") {
                    break;
                }
                self.space();
            }
        }
        if self.next() != Some(closing) {
            return self.expected(what);
        }
        if self.rules.strict {
            let is_twice = |index: &usize| keys[..*index].contains(&keys[*index]);
            if let Some(index) = (1..keys.len()).find(is_twice) {
                let key = crate::error::excerpt(&keys[index]);
                return self.fault(Reason::DuplicateKey(key));
            }
        }
        self.take();
        self.depth -= 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.take_if(b"-") && self.next() == Some(b'I') {
            return self.fault(Reason::NotANumber);
        }
        if self.take_if(b"0") {
            if self.next().is_some_and(|byte| byte.is_ascii_digit()) {
                return self.fault(Reason::Expected("no digit after a leading 0"));
            }
        } else {
            self.digits()?;
        }
        if self.take_if(b".") {
            self.digits()?;
        }
        if self.take_if(b"eE") {
            self.take_if(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !self.take_if(b"0123456789") {
            return self.expected("a digit");
        }
        while self.take_if(b"0123456789") {}
        Ok(())
    }

    /// What it means; where halves of surrogates may stand alone, something like it.
    fn string(&mut self) -> Result<String, Fault> {
        let mut units = Vec::new();
        self.take();
        loop {
            match self.next() {
                None => return self.fault(Reason::End),
                Some(b'"') => break,
                Some(0..=0x1f) => return self.fault(Reason::ControlCharacter),
                Some(b'\\') => {
                    let from = self.at;
                    let unit = self.escape(from)?;
                    if self.rules.strict && (0xd800..0xe000).contains(&unit) {
                        let lone = Err(Fault { offset: from, reason: Reason::LoneSurrogate });
                        if unit >= 0xdc00 || !self.bytes[self.at..].starts_with(b"\\u") {
                            return lone;
                        }
                        let low = self.escape(self.at)?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return lone;
                        }
                        units.extend([unit, low]);
                    } else {
                        units.push(unit);
                    }
                }
                Some(_) => {
                    let from = self.at;
                    self.take();
                    while self.next().is_some_and(|byte| byte & 0xc0 == 0x80) {
                        self.take();
                    }
                    let text = std::str::from_utf8(&self.bytes[from..self.at]).expect("the text is UTF-8");
                    units.extend(text.encode_utf16());
                }
            }
        }
        self.take();
        Ok(String::from_utf16_lossy(&units))
    }

    fn escape(&mut self, from: usize) -> Result<u16, Fault> {
        self.take();
        let simple = [
            (b'"', b'"'),
            (b'\\', b'\\'),
            (b'/', b'/'),
            (b'b', 8),
            (b'f', 12),
            (b'n', b'\n'),
            (b'r', b'\r'),
            (b't', b'\t'),
        ];
        let Some(letter) = self.next() else { return self.fault(Reason::End) };
        if let Some((_, meaning)) = simple.into_iter().find(|(known, _)| *known == letter) {
            self.take();
            return Ok(u16::from(meaning));
        }
        if letter != b'u' {
            return Err(Fault { offset: from, reason: Reason::Escape });
        }
        self.take();
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.next() else { return self.fault(Reason::End) };
            let Some(digit) = char::from(digit).to_digit(16) else { return self.fault(Reason::Escape) };
            unit = unit * 16 + u16::try_from(digit).expect("a digit");
            self.take();
        }
        Ok(unit)
    }
}
