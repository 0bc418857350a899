//! JSON Pointer (RFC 6901): the value at a place in a JSON text, found without building anything.

use super::{Fault, Kind, Reason, Rules, Scanner};

/// Why nothing can be said of what a pointer leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PointerFault {
    /// It is not empty and does not begin with a slash.
    Beginning,
    /// At this byte is a tilde that neither 0 nor 1 follows.
    Escape(usize),
    /// There is no memory to read the text.
    OutOfMemory,
}

/// The kind of the value at `pointer`, and its text; `None` where the pointer leads nowhere. Of
/// duplicate keys, which only other programs write, the first counts.
pub(crate) fn find<'a>(text: &'a str, pointer: &str) -> Result<Option<(Kind, &'a str)>, PointerFault> {
    check(pointer)?;
    follow(text, pointer).or_else(|fault| match fault.reason {
        Reason::OutOfMemory => Err(PointerFault::OutOfMemory),
        // Of texts of other programs it takes what it can.
        _ => Ok(None),
    })
}

fn follow<'a>(text: &'a str, pointer: &str) -> Result<Option<(Kind, &'a str)>, Fault> {
    let mut scanner = Scanner::new(text);
    // The first token is what stands before the first slash: nothing.
    for token in pointer.split('/').skip(1) {
        if !descend(&mut scanner, token)? {
            return Ok(None);
        }
    }
    value(&mut scanner, text).map(Some)
}

/// Passes over the value that comes next; its kind and text.
pub(crate) fn value<'a>(scanner: &mut Scanner<'a>, text: &'a str) -> Result<(Kind, &'a str), Fault> {
    let kind = scanner.kind()?;
    let start = scanner.offset();
    scanner.skip(Rules::GRAMMAR)?;
    Ok((kind, &text[start..scanner.offset()]))
}

fn check(pointer: &str) -> Result<(), PointerFault> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(PointerFault::Beginning);
    }
    let is_bad = |(at, _): &(usize, &str)| !matches!(pointer.as_bytes().get(at + 1), Some(b'0' | b'1'));
    match pointer.match_indices('~').find(is_bad) {
        Some((at, _)) => Err(PointerFault::Escape(at)),
        None => Ok(()),
    }
}

/// Whether this is the name of the key, with its escapes.
fn names(token: &str, key: &str) -> bool {
    let mut parts = token.split('~');
    let begun = parts.next().and_then(|part| key.strip_prefix(part));
    // What follows a tilde was checked.
    let ended = parts.fold(begun, |rest, part| {
        let sign = if part.starts_with('1') { '/' } else { '~' };
        rest?.strip_prefix(sign)?.strip_prefix(&part[1..])
    });
    ended == Some("")
}

/// Moves to the member or element with this name; whether there is one.
fn descend(scanner: &mut Scanner<'_>, token: &str) -> Result<bool, Fault> {
    match scanner.kind()? {
        Kind::Object => {
            scanner.accept(b'{');
            while !scanner.accept(b'}') {
                let is_it = match scanner.string(Rules::GRAMMAR) {
                    Ok(key) => names(token, &key),
                    // It has been passed over, and is nobody's name.
                    Err(fault) if fault.reason == Reason::LoneSurrogate => false,
                    Err(fault) => return Err(fault),
                };
                scanner.expect(b':', "':'")?;
                if is_it {
                    return Ok(true);
                }
                scanner.skip(Rules::GRAMMAR)?;
                scanner.accept(b',');
            }
            Ok(false)
        }
        Kind::Array => {
            let Some(mut index) = index(token) else { return Ok(false) };
            scanner.accept(b'[');
            while !scanner.accept(b']') {
                if index == 0 {
                    return Ok(true);
                }
                index -= 1;
                scanner.skip(Rules::GRAMMAR)?;
                scanner.accept(b',');
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let is_index =
        token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    is_index.then(|| token.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
        find(text, pointer).unwrap().map(|(_, found)| found)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6901, section 5.
        let document = r#"{ "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
            "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8 }"#;
        for (pointer, expected) in [
            ("", document),
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/foo/1", r#""baz""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(text(document, pointer), Some(expected), "{pointer}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_nothing() {
        let document = r#"{"a":[1,{"b":null}],"c":"x","~1":9}"#;
        for pointer in [
            "/b",
            "/a/2",
            "/a/-",
            "/a/01",
            "/a/x",
            "/a/",
            "/a/1/b/c",
            "/c/0",
            "//",
            "/a/99999999999999999999",
        ] {
            assert_eq!(text(document, pointer), None, "{pointer}");
        }
        assert_eq!(text(document, "/a/1/b"), Some("null"));
        assert_eq!(text(document, "/~01"), Some("9"));
        for pointer in ["/~1", "/~0", "/~01~0", "/~0~01", "/~01x"] {
            assert_eq!(text(document, pointer), None, "{pointer}");
        }
        assert_eq!(text("[]", "/0"), None);
    }

    #[test]
    fn what_is_no_pointer_is_said() {
        assert_eq!(find("{}", "a"), Err(PointerFault::Beginning));
        assert_eq!(find("{}", "/a~"), Err(PointerFault::Escape(2)));
        assert_eq!(find("{}", "/~2/b"), Err(PointerFault::Escape(1)));
    }

    #[test]
    fn of_texts_of_other_programs_it_takes_what_it_can() {
        assert_eq!(text(r#"{"\ud800":1,"a":2,"a":3}"#, "/a"), Some("2"));
        assert_eq!(text(r#"{"\u0061":1}"#, "/a"), Some("1"));
        for broken in ["{\"x\":1", "{\"x\"", "[1,", "{,}", ""] {
            assert_eq!(text(broken, "/a"), None);
            assert_eq!(text(broken, "/7"), None);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(text(&deep, "/0/0/0").map(str::len), Some(deep.len() - 6));
    }
}
