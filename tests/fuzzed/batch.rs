//! Batches: each entry of one that is accepted is what it is alone, and one that is refused has an entry at fault that is
//! refused alone, or is no batch.

use simledger::internals::json_by_the_rules;
use simledger::{Error, Limits, NewEntry};

/// The first byte says which limits there are, the rest is the text.
pub fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits = Limits {
        strict_fields: first & 1 != 0,
        entry_bytes_max: if first & 2 != 0 { 64 } else { 1 << 20 },
        features_depth_max: if first & 4 != 0 { 2 } else { 128 },
    };
    match NewEntry::many_from_json(text, &limits) {
        Ok(entries) => accepted(text, &entries, &limits),
        Err(error) => refused(text, &error, &limits),
    }
}

fn accepted(text: &str, entries: &[NewEntry<'_>], limits: &Limits) {
    let parts = values(text);
    assert_eq!(parts.len(), entries.len());
    for (part, entry) in parts.iter().zip(entries) {
        assert_eq!(NewEntry::from_json(part, limits).ok().as_ref(), Some(entry));
    }
    // The same in the other way to write a batch, of lines or of an array.
    let compact: Vec<String> =
        parts.iter().map(|part| json_by_the_rules(part, usize::MAX, true).expect("JSON")).collect();
    for other in
        [compact.join("\n"), format!("[{}]", compact.join(",")), format!(" [ {} ]\n", parts.join("\n,\n"))]
    {
        assert_eq!(NewEntry::many_from_json(&other, limits).ok().as_deref(), Some(entries), "{other}");
    }
}

fn refused(text: &str, error: &Error, limits: &Limits) {
    let Some(index) = error.index() else {
        assert!(
            json_by_the_rules(text, usize::MAX, false).is_err(),
            "no entry is at fault, nor the whole: {error}"
        );
        return;
    };
    let parts = values(text);
    assert!(index <= parts.len(), "{error}");
    for part in &parts[..index] {
        assert!(NewEntry::from_json(part, limits).is_ok(), "an earlier one is at fault: {part}");
    }
    if let Some(part) = parts.get(index)
        && NewEntry::from_json(part, limits).is_ok()
    {
        // The fault is what stands behind it.
        let all = json_by_the_rules(text, usize::MAX, false);
        assert!(all.is_err(), "nothing is at fault: {error}");
    }
}

/// The texts of the values that stand in an array, or behind one another, up to where there is none any more.
fn values(text: &str) -> Vec<&str> {
    let in_array = text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('[');
    let mut found = Vec::new();
    let (mut depth, mut begin, mut in_string, mut escaped) = (0_usize, None, false, false);
    let level = usize::from(in_array);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if in_string {
            (in_string, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        let is_between = matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',');
        // One that is no container ends before what stands behind it.
        if depth == level
            && (is_between || *byte == b']')
            && let Some(begin) = begin.take()
        {
            found.push(&text[begin..at]);
        }
        if depth == level && !is_between && *byte != b']' {
            begin.get_or_insert(at);
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth < level {
                    break;
                }
                if depth == level
                    && let Some(begin) = begin.take()
                {
                    found.push(&text[begin..=at]);
                }
            }
            _ => {}
        }
    }
    if let Some(begin) = begin {
        found.push(&text[begin..]);
    }
    found
}
