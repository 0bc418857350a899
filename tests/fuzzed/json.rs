//! JSON: the scanner against its rules byte by byte, an entry against its rules on a document that serde_json read, and
//! the meaning of what was kept against that of what came in; and a JSON Pointer against serde_json's.

use serde_json::Value;
use simledger::internals::{json_by_the_rules, json_found, json_same_meaning, json_scanned};
use simledger::{Limits, NewEntry};

/// The first byte says how deep it may be, the rest is the text; behind a NUL stands a pointer.
pub fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Some((text, pointer)) = text.split_once('\0') {
        return point(text, pointer);
    }
    let depth_max = usize::from(*first);
    scan(text, depth_max);
    entry(text, &Limits { features_depth_max: depth_max.max(1), ..Limits::default() });
}

fn scan(text: &str, depth_max: usize) {
    for strict in [true, false] {
        let judged = json_scanned(text, depth_max, strict);
        assert_eq!(judged, json_by_the_rules(text, depth_max, strict), "strict = {strict}");
        let Ok(compact) = judged else { continue };
        assert!(compact.len() <= text.len());
        assert_eq!(json_scanned(&compact, depth_max, strict).as_ref(), Ok(&compact), "once is enough");
        assert!(json_same_meaning(text, &compact));
        assert!(json_same_meaning(&compact, text));
    }
}

fn point(text: &str, pointer: &str) {
    let found = json_found(text, pointer);
    let is_pointer = pointer.is_empty() || pointer.starts_with('/');
    let escapes = pointer.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
    assert_eq!(found.is_ok(), is_pointer && escapes);
    // Where serde_json reads it too, and no key stands twice.
    let Ok(document) = serde_json::from_str::<Value>(text) else { return };
    let (Ok(found), Ok(_)) = (found, json_by_the_rules(text, usize::MAX, true)) else { return };
    let found: Option<Value> = found.map(|text| serde_json::from_str(&text).expect("a value"));
    assert_eq!(found.as_ref(), document.pointer(pointer));
}

fn entry(text: &str, limits: &Limits) {
    let judged = NewEntry::from_json(text, limits);
    let document: Option<Value> = serde_json::from_str(text).ok().filter(|document: &Value| {
        // Its last digit may be another one, on the other side of the limit.
        document["confidence"].as_f64().is_none_or(|sure| sure == 1.0 || (sure - 1.0).abs() > 1e-9)
    });
    let entry = match judged {
        Ok(entry) => entry,
        Err(error) => return assert!(!is_entry(text, document.as_ref(), limits), "refused: {error}"),
    };
    assert!(entry.timestamp().is_finite() && (0.0..=1.0).contains(&entry.confidence()));
    assert!(!entry.node_id().trim().is_empty() && !entry.node_id().contains('\0'));
    if let Some(document) = &document {
        assert!(is_entry(text, Some(document), limits), "accepted");
        assert_eq!(document["node_id"], entry.node_id());
        let features: Value = serde_json::from_str(entry.features()).expect("JSON");
        assert_eq!(features, document["features"]);
        // As near as serde_json reads it.
        let read = document["confidence"].as_f64().expect("a number");
        assert!((read - entry.confidence()).abs() < 1e-9, "{read}");
    }
    // From its parts, and from its parts as JSON, it is the same again.
    let (timestamp, node, features, confidence) =
        (entry.timestamp(), entry.node_id(), entry.features(), entry.confidence());
    assert_eq!(NewEntry::new(timestamp, node, features, confidence, limits).ok().as_ref(), Some(&entry));
    let written = format!(
        "{{\"timestamp\":{},\"node_id\":{},\"features\":{features},\"confidence\":{}}}",
        Value::from(timestamp),
        Value::from(node),
        Value::from(confidence)
    );
    let strict = Limits { strict_fields: true, ..*limits };
    assert_eq!(NewEntry::from_json(&written, &strict).ok().as_ref(), Some(&entry));
}

/// Whether the rules say that it is an entry, where serde_json could read it: it gives up at 128 levels.
fn is_entry(text: &str, document: Option<&Value>, limits: &Limits) -> bool {
    let Some(Value::Object(fields)) = document else { return false };
    // Duplicate keys and lone surrogates anywhere; any depth outside of features is under the same limit.
    if json_by_the_rules(text, usize::MAX, true).is_err() {
        return false;
    }
    let number = |name: &str| fields.get(name).filter(|value| value.is_number()).and_then(Value::as_f64);
    let node = fields.get("node_id").and_then(Value::as_str).is_some_and(|node| {
        !node.trim().is_empty() && node.len() <= simledger::NODE_ID_BYTES_MAX && !node.contains('\0')
    });
    let features = fields.get("features").is_some_and(|value| value.is_object() || value.is_array());
    let shallow = fields.values().all(|value| depth(value) <= limits.features_depth_max);
    number("timestamp").is_some_and(f64::is_finite)
        && number("confidence").is_some_and(|sure| (0.0..=1.0).contains(&sure))
        && node
        && features
        && shallow
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
