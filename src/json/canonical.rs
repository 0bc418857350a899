//! Whether two JSON texts mean the same: key order does not matter, numbers are compared as text.

use super::{Kind, Rules, Scanner};

/// Deeper texts are only compared to the letter: putting one in order copies each level once.
pub(crate) const DEPTH_MAX: usize = 1024;

/// Whether the two values mean the same. False where either is not JSON.
///
/// Numbers that are written differently are different: `1.0` is not `1`, since the ledger keeps
/// numbers digit for digit and a reader may care.
pub(crate) fn same_meaning(left: &str, right: &str) -> bool {
    left == right || matches!((canonical(left), canonical(right)), (Some(left), Some(right)) if left == right)
}

/// The text with the members of each object in the order of their keys, and each string written
/// the same way.
fn canonical(text: &str) -> Option<String> {
    Scanner::new(text).skip(Rules { depth_max: DEPTH_MAX, strict: false }).ok()?;
    struct Container {
        is_object: bool,
        /// The key of each member, "" in arrays, and its canonical value.
        members: Vec<(String, String)>,
    }
    let mut scanner = Scanner::new(text);
    let mut open: Vec<Container> = Vec::new();
    let mut key = String::new();
    let mut pending_keys: Vec<String> = Vec::new();
    loop {
        // A value begins here.
        let mut done = match scanner.kind().ok()? {
            kind @ (Kind::Object | Kind::Array) => {
                let is_object = kind == Kind::Object;
                scanner.accept(if is_object { b'{' } else { b'[' });
                if scanner.accept(if is_object { b'}' } else { b']' }) {
                    if is_object { "{}".to_string() } else { "[]".to_string() }
                } else {
                    pending_keys.push(std::mem::take(&mut key));
                    open.push(Container { is_object, members: Vec::new() });
                    if is_object {
                        key = read_key(&mut scanner)?;
                    }
                    continue;
                }
            }
            Kind::String => quoted(&scanner.string(Rules::GRAMMAR).ok()?),
            Kind::Number => scanner.number().ok()?.to_string(),
            Kind::Boolean | Kind::Null => scanner.value(Rules::GRAMMAR).ok()?.into_owned(),
        };
        // It has ended: so may the containers around it.
        loop {
            let Some(container) = open.last_mut() else {
                return scanner.end().ok().map(|()| done);
            };
            container.members.push((std::mem::take(&mut key), done));
            if scanner.accept(b',') {
                if container.is_object {
                    key = read_key(&mut scanner)?;
                }
                break;
            }
            let is_object = container.is_object;
            scanner.expect(if is_object { b'}' } else { b']' }, "the end").ok()?;
            let mut members = open.pop()?.members;
            key = pending_keys.pop()?;
            if is_object {
                members.sort();
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("{}:{value}", quoted(&key))).collect();
                done = format!("{{{}}}", members.join(","));
            } else {
                let values: Vec<String> = members.into_iter().map(|(_, value)| value).collect();
                done = format!("[{}]", values.join(","));
            }
        }
    }
}

fn read_key(scanner: &mut Scanner<'_>) -> Option<String> {
    let key = scanner.string(Rules::GRAMMAR).ok()?.into_owned();
    scanner.expect(b':', "':'").ok()?;
    Some(key)
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    super::write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::same_meaning;

    #[test]
    fn key_order_spacing_and_escapes_do_not_matter() {
        for (left, right) in [
            (r#"{"a":1,"b":[{"c":2,"d":3}]}"#, r#"{ "b" : [ { "d":3, "c":2 } ], "a":1 }"#),
            (r#""A""#, r#""\u0041""#),
            ("[]", "[ ]"),
            (r#"{"a":{"b":{}}}"#, r#"{"a":{"b":{ }}}"#),
        ] {
            assert!(same_meaning(left, right), "{left} {right}");
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
            ("{}", "[]"),
            ("[[],1]", "[1,[]]"),
            ("[\"1\"]", "[1]"),
            ("[", "[ "),
        ] {
            assert!(!same_meaning(left, right), "{left} {right}");
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = |n: usize, space: &str| "[".repeat(n) + space + &"]".repeat(n);
        assert!(same_meaning(&deep(1000, ""), &deep(1000, " ")));
        assert!(!same_meaning(&deep(1_000_000, ""), &deep(1_000_000, " ")));
    }
}
