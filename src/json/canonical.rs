//! Whether two JSON texts mean the same: key order does not matter, numbers are compared as text.

use std::ops::Range;

use super::{Fault, Kind, Reason, Rules, Scanner};
use crate::error::{self, Error};

/// Deeper texts are only compared to the letter: putting one in order may move each level once.
pub(crate) const DEPTH_MAX: usize = 1024;

/// Whether the two values mean the same. False where either is not JSON; an error where there is no memory to
/// tell.
///
/// Numbers that are written differently are different: `1.0` is not `1`, since the ledger keeps
/// numbers digit for digit and a reader may care.
pub(crate) fn same_meaning(left: &str, right: &str) -> error::Result<bool> {
    if left == right {
        return Ok(true);
    }
    match canonical(left).and_then(|left| Ok(left == canonical(right)?)) {
        Ok(is_same) => Ok(is_same),
        Err(fault) if fault.reason == Reason::OutOfMemory => {
            Err(Error::no_memory("comparing entries", "try again when there is some"))
        }
        Err(_) => Ok(false),
    }
}

/// An object or an array that has begun.
struct Container {
    is_object: bool,
    /// Where its first member begins in the output.
    start: usize,
    /// Of an object: each member with its key, in the output.
    members: Vec<Member>,
}

struct Member {
    key: Range<usize>,
    all: Range<usize>,
}

/// The text with the members of each object in the order of their keys, each string written the
/// same way, and no white space.
fn canonical(text: &str) -> Result<Vec<u8>, Fault> {
    Scanner::new(text).skip(Rules { depth_max: DEPTH_MAX, strict: false })?;
    let mut scanner = Scanner::new(text);
    let mut out = Vec::new();
    out.try_reserve(text.len()).map_err(|_| no_memory(0))?;
    let mut open: Vec<Container> = Vec::new();
    loop {
        // A value begins here.
        match scanner.kind()? {
            kind @ (Kind::Object | Kind::Array) => {
                let is_object = kind == Kind::Object;
                let (opening, closing) = if is_object { (b'{', b'}') } else { (b'[', b']') };
                scanner.accept(opening);
                out.push(opening);
                if !scanner.accept(closing) {
                    let mut container = Container { is_object, start: out.len(), members: Vec::new() };
                    if is_object {
                        container.begin_member(&mut scanner, &mut out)?;
                    }
                    open.push(container);
                    continue;
                }
                out.push(closing);
            }
            Kind::String => write_string(&mut out, &mut scanner)?,
            Kind::Number => out.extend_from_slice(scanner.number()?.as_bytes()),
            Kind::Boolean | Kind::Null => {
                out.extend_from_slice(scanner.value(Rules::GRAMMAR)?.as_bytes());
            }
        }
        // It has ended: so may the containers around it.
        loop {
            let Some(container) = open.last_mut() else {
                return scanner.end().map(|()| out);
            };
            container.end_member(&out);
            if scanner.accept(b',') {
                out.push(b',');
                if container.is_object {
                    container.begin_member(&mut scanner, &mut out)?;
                }
                break;
            }
            let closing = if container.is_object { b'}' } else { b']' };
            scanner.expect(closing, "the end")?;
            container.put_in_order(&mut out)?;
            out.push(closing);
            open.pop();
        }
    }
}

/// Nothing grows here: a string is at its shortest as it is written, and there is room for the whole text.
fn write_string(out: &mut Vec<u8>, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    let text = scanner.value(Rules::GRAMMAR)?;
    match Scanner::new(&text).string(Rules::GRAMMAR) {
        Ok(string) => {
            let _ = serde_json::to_writer(out, &string);
        }
        // Half of a surrogate pair is no character, and can be written only as it stands.
        Err(fault) if fault.reason == Reason::LoneSurrogate => out.extend_from_slice(text.as_bytes()),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn no_memory(offset: usize) -> Fault {
    Fault { offset, reason: Reason::OutOfMemory }
}

impl Container {
    fn begin_member(&mut self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        write_string(out, scanner)?;
        self.members.try_reserve(1).map_err(|_| no_memory(scanner.offset()))?;
        self.members.push(Member { key: start..out.len(), all: start..start });
        scanner.expect(b':', "':'")?;
        out.push(b':');
        Ok(())
    }

    fn end_member(&mut self, out: &[u8]) {
        if let Some(member) = self.members.last_mut() {
            member.all.end = out.len();
        }
    }

    /// Sorts the members, and moves them only if they were not in order.
    fn put_in_order(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.members.is_sorted_by_key(|member| &out[member.key.clone()]) {
            return Ok(());
        }
        // Without the room that a stable sort takes.
        let key = |member: &Member| (&out[member.key.clone()], member.all.start);
        self.members.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
        let mut sorted = Vec::new();
        sorted.try_reserve(out.len() - self.start).map_err(|_| no_memory(self.start))?;
        for member in &self.members {
            if !sorted.is_empty() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(&out[member.all.clone()]);
        }
        out.truncate(self.start);
        out.append(&mut sorted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::same_meaning;

    #[test]
    fn key_order_spacing_and_escapes_do_not_matter() {
        for (left, right) in [
            (r#"{"a":1,"b":[{"c":2,"d":3}]}"#, r#"{ "b" : [ { "d":3, "c":2 } ], "a":1 }"#),
            (
                r#"{"a":[1,{"y":{"q":0,"p":0},"x":[]}],"b":0,"c":0}"#,
                r#"{"c":0,"b":0,"a":[1,{"x":[],"y":{"p":0,"q":0}}]}"#,
            ),
            (r#""A""#, r#""\u0041""#),
            ("[]", "[ ]"),
            (r#"{"a":{"b":{}}}"#, r#"{"a":{"b":{ }}}"#),
            // Which only other programs write.
            (r#"{"\udc00":["\ud800\ud800"],"b":1}"#, r#"{"b":1, "\udc00":[ "\ud800\ud800"]}"#),
        ] {
            assert!(same_meaning(left, right).unwrap(), "{left} {right}");
        }
    }

    #[test]
    fn values_array_order_and_digits_do() {
        for (left, right) in [
            ("[1,2]", "[2,1]"),
            ("1.0", "1"),
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#),
            ("{}", "[]"),
            ("[[],1]", "[1,[]]"),
            ("[[1],2]", "[[1,2]]"),
            ("[\"1\"]", "[1]"),
            ("[", "[ "),
        ] {
            assert!(!same_meaning(left, right).unwrap(), "{left} {right}");
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = |n: usize, space: &str| "[".repeat(n) + space + &"]".repeat(n);
        assert!(same_meaning(&deep(1000, ""), &deep(1000, " ")).unwrap());
        assert!(!same_meaning(&deep(1_000_000, ""), &deep(1_000_000, " ")).unwrap());
    }
}
