//! The `database:` section of a YAML file.
//!
//! Only what is needed of YAML is taken from the parser's events, in one pass and without building
//! anything: nothing in a hostile file is ever multiplied by its aliases or recursed into.

use std::collections::HashSet;

use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use crate::error::{Error, Result, Status, excerpt};

/// Most bytes of a configuration file.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// The section that is ours.
const SECTION: &str = "database";

/// A key of the section, with its value as it is written and its line, counted from 1.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    pub key: String,
    pub value: String,
    pub line: usize,
}

struct Reader<'a> {
    parser: Parser<std::str::Chars<'a>>,
}

/// The members of the section; `None` where the file has no such section.
pub(crate) fn section(text: &str) -> Result<Option<Vec<Member>>> {
    if let Some(at) = text.find('\0') {
        // The parser takes it for the end of the text.
        return Err(Error::new(
            Status::InvalidConfig,
            format!("the file holds a NUL character at byte {at}"),
        ));
    }
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    loop {
        match reader.next()? {
            (Event::MappingStart(..), _) => break,
            // An empty file, or one of comments.
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
            (Event::StreamStart | Event::DocumentStart, _) => {}
            (Event::Scalar(text, style, ..), _) if is_null(&text, style) => return Ok(None),
            (_, at) => return Err(fault(at, "the file is no mapping of names to values")),
        }
    }
    let mut found = None;
    loop {
        let (event, at) = reader.next()?;
        match event {
            Event::MappingEnd => break,
            Event::Scalar(name, ..) if name == SECTION => {
                if found.is_some() {
                    return Err(fault(at, "the section \"database\" stands twice"));
                }
                found = Some(reader.members()?);
            }
            key => {
                reader.skip(key)?;
                let value = reader.next()?.0;
                reader.skip(value)?;
            }
        }
    }
    reader.end()?;
    Ok(found)
}

impl Reader<'_> {
    /// Nothing may follow the first document, and nothing that is no YAML.
    fn end(&mut self) -> Result<()> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, at) => return Err(fault(at, "the file has more than one document")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event, Marker)> {
        self.parser.next_token().map_err(|error: ScanError| fault(*error.marker(), error.info()))
    }

    fn members(&mut self) -> Result<Vec<Member>> {
        let mut members: Vec<Member> = Vec::new();
        let mut keys = HashSet::new();
        match self.next()? {
            (Event::MappingStart(..), _) => {}
            (Event::Scalar(text, style, ..), _) if is_null(&text, style) => return Ok(members),
            (_, at) => return Err(fault(at, "the section \"database\" is no mapping of names to values")),
        }
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(members),
                (Event::Scalar(key, ..), _) => key,
                (_, at) => return Err(fault(at, "a key of the section \"database\" is no plain name")),
            };
            let (event, at) = self.next()?;
            let shown = excerpt(&key);
            if !keys.insert(key.clone()) {
                return Err(fault(at, format!("the key \"{shown}\" stands twice")));
            }
            let line = at.line();
            let value = match event {
                Event::Scalar(value, style, ..) if !is_null(&value, style) => value,
                Event::Scalar(..) => return Err(fault(at, format!("\"{shown}\" has no value"))),
                Event::Alias(_) => {
                    let why = format!("\"{shown}\" is an alias; write the value itself");
                    return Err(fault(at, why));
                }
                _ => {
                    return Err(fault(
                        at,
                        format!("\"{shown}\" is a list or a mapping; it must be one value"),
                    ));
                }
            };
            members.push(Member { key, value, line });
        }
    }

    /// Passes over a node whose first event was read.
    fn skip(&mut self, first: Event) -> Result<()> {
        let mut depth = 0u64;
        let mut event = first;
        loop {
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
            event = self.next()?.0;
        }
    }
}

/// YAML's ways to write nothing (the core schema, 10.3.2). In quotes it is a text.
fn is_null(text: &str, style: TScalarStyle) -> bool {
    style == TScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn fault(at: Marker, why: impl AsRef<str>) -> Error {
    let message = format!("line {}, column {}: {}", at.line(), at.col() + 1, excerpt_line(why.as_ref()));
    Error::new(Status::InvalidConfig, message)
}

/// What the parser says may quote the file.
fn excerpt_line(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect::<String>().replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        section(text).unwrap().unwrap().into_iter().map(|member| (member.key, member.value)).collect()
    }

    #[test]
    fn the_section_is_found_among_others_and_its_values_are_as_written() {
        let text = "
simulation: {agents: [1, 2, {a: b}], seed: 7}
? [a, complex, key]
: &anchor {x: 1}
database:
  path: \"run.db\"     # a comment
  timeout: 2.5
  check_same_thread: False
  synchronous_mode: OFF
  other: 'it''s'
logging: *anchor
";
        let expected = [
            ("path", "run.db"),
            ("timeout", "2.5"),
            ("check_same_thread", "False"),
            ("synchronous_mode", "OFF"),
            ("other", "it's"),
        ];
        assert_eq!(values(text), expected.map(|(key, value)| (key.to_string(), value.to_string())));
        assert_eq!(section(text).unwrap().unwrap()[1].line, 7);
        assert_eq!(values("database: {path: a, timeout: 3}").len(), 2);
        assert_eq!(values("{\"database\": {\"path\": \"json is yaml\"}}")[0].1, "json is yaml");
        assert_eq!(values("database:\n"), []);
        for none in ["", "# nothing\n", "---\n", "~", "other: 1\n"] {
            assert_eq!(section(none).unwrap(), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_hostile_or_wrong_is_an_error_with_its_place() {
        let bomb = {
            // "Billion laughs": ten levels of ten aliases each.
            let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_string();
            for level in 1..10 {
                let aliases = vec![format!("*a{}", level - 1); 10].join(",");
                text += &format!("a{level}: &a{level} [{aliases}]\n");
            }
            text + "database: {path: *a9}\n"
        };
        for (text, part) in [
            (bomb.as_str(), "alias"),
            ("database: [1, 2]", "no mapping"),
            ("database: 5", "no mapping"),
            ("- a\n- b", "no mapping"),
            ("database: {path: [a]}", "one value"),
            ("database: {path: {a: b}}", "one value"),
            ("database: {path: }", "no value"),
            ("database: {timeout: null}", "no value"),
            ("database: {path: a, path: b}", "twice"),
            ("database: {path: a}\ndatabase: {path: b}", "twice"),
            ("database: {<<: *unknown}", "line 1"),
            ("database: {[a]: b}", "no plain name"),
            ("database: {path: \"a", "line 1"),
            ("database:\n\tpath: a", "line 2"),
            ("database: {path: a", "line"),
            ("database: {path: a}\n\u{0}", "NUL"),
            ("database: {path: a}\n---\ndatabase: {path: b}", "more than one document"),
            ("database: {path: a}\n---\n[broken", "more than one document"),
        ] {
            let error = section(text).unwrap_err();
            assert_eq!(error.status(), Status::InvalidConfig, "{text}");
            assert!(error.message().contains(part), "{text:?}: {error}");
        }
        let most = FILE_BYTES_MAX as usize;
        // Looked for one by one they would take minutes.
        let many: String = (0..most / 12).map(|k| format!("  k{k}: 1\n")).collect();
        assert!(section(&format!("database:\n{many}")).is_ok());
        for unit in
            ["[", "{a: ", "- ", "? ", "&a ", "!!a ", "\"a\": ", "\\", "[a,", "{a, ", "a:\n ", "'", "%a\n"]
        {
            // Whatever it says, it says so, does not overflow the stack and does not take the square of it.
            let text = unit.repeat(most / unit.len() - 3);
            let _ = section(&text);
            let _ = section(&format!("x: {text}"));
        }
    }
}
