//! An entry on its way in: read from JSON or from its parts, checked, ready to be stored.

use std::borrow::Cow;

use crate::error::{Error, Result, Status, excerpt};
use crate::json::{self, Fault, Kind, Rules, Scanner};

/// Most bytes of a node's name.
pub const NODE_ID_BYTES_MAX: usize = 1024;

/// What an entry may be at most. Never applied to what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one entry's JSON.
    pub entry_bytes_max: usize,
    /// Most containers inside one another in features, the outermost included.
    pub features_depth_max: usize,
    /// Whether keys other than the four of an entry are refused.
    pub strict_fields: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entry_bytes_max: 16 << 20, features_depth_max: 128, strict_fields: false }
    }
}

impl Limits {
    fn rules(&self) -> Rules {
        Rules { depth_max: self.features_depth_max, strict: true }
    }
}

/// A valid entry that has no id yet. Borrows from the text it was read from where it can.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry<'a> {
    timestamp: f64,
    node_id: Cow<'a, str>,
    features: Cow<'a, str>,
    confidence: f64,
}

impl<'a> NewEntry<'a> {
    /// An entry from its parts: seconds, the node's name, its findings as JSON (an object or an
    /// array), and how sure it is, from 0 to 1.
    pub fn new(
        timestamp: f64,
        node_id: &'a str,
        features: &'a str,
        confidence: f64,
        limits: &Limits,
    ) -> Result<NewEntry<'a>> {
        check_size(node_id.len().saturating_add(features.len()), limits)?;
        let mut scanner = Scanner::new(features);
        let features = features_of(&mut scanner, limits)?;
        scanner.end().map_err(|fault| invalid("features", fault.without_text()))?;
        Ok(NewEntry {
            timestamp: check_timestamp(timestamp, || timestamp.to_string())?,
            node_id: check_node_id(Cow::Borrowed(node_id))?,
            features,
            confidence: check_confidence(confidence, || confidence.to_string())?,
        })
    }

    /// An entry from a JSON object with `timestamp`, `node_id`, `features` and `confidence`.
    pub fn from_json(json: &'a str, limits: &Limits) -> Result<NewEntry<'a>> {
        check_size(json.len(), limits)?;
        let mut scanner = Scanner::new(json);
        let entry = entry_of(&mut scanner, limits)?;
        scanner.end().map_err(not_json)?;
        Ok(entry)
    }

    /// Many entries: a JSON array of objects, or objects on a line each (JSON lines; blank lines
    /// do not count). One that is not valid makes the whole batch invalid.
    pub fn many_from_json(json: &'a str, limits: &Limits) -> Result<Vec<NewEntry<'a>>> {
        let mut entries = Vec::new();
        let mut scanner = Scanner::new(json);
        let in_array = scanner.accept(b'[');
        if in_array && scanner.accept(b']') {
            scanner.end().map_err(not_json)?;
            return Ok(entries);
        }
        while scanner.peek().is_some() || in_array {
            let index = entries.len();
            let at_index = |error: Error| {
                error.with_index(index).context(format!("entry {index} of the batch, counted from 0"))
            };
            let start = scanner.offset();
            let entry = entry_of(&mut scanner, limits).map_err(at_index)?;
            check_size(scanner.offset() - start, limits).map_err(at_index)?;
            entries.try_reserve(1).map_err(|_| Error::no_memory("the batch", "append it in parts"))?;
            entries.push(entry);
            if in_array {
                if scanner.accept(b',') {
                    continue;
                }
                scanner.expect(b']', "',' or ']' after an entry").map_err(|f| at_index(not_json(f)))?;
                scanner.end().map_err(not_json)?;
                break;
            }
            if !matches!(scanner.peek_in_line(), None | Some(b'\n')) {
                let message = format!(
                    "something follows the entry at byte {}; put one entry on each line, or all in an array",
                    scanner.offset()
                );
                return Err(at_index(Error::new(Status::InvalidEntry, message)));
            }
        }
        Ok(entries)
    }

    /// The same, with its texts its own.
    pub(crate) fn into_owned(self) -> Result<NewEntry<'static>> {
        let own = |text| json::own(text).map(Cow::Owned);
        let NewEntry { timestamp, node_id, features, confidence } = self;
        Ok(NewEntry { timestamp, node_id: own(node_id)?, features: own(features)?, confidence })
    }

    /// A copy with texts of its own.
    pub(crate) fn to_own(&self) -> Result<NewEntry<'static>> {
        let (node_id, features) = (Cow::Borrowed(self.node_id()), Cow::Borrowed(self.features()));
        NewEntry { node_id, features, ..*self }.into_owned()
    }

    /// Seconds, Unix or simulated.
    pub fn timestamp(&self) -> f64 {
        self.timestamp
    }

    /// The node that found it.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// What it found, as compact JSON.
    pub fn features(&self) -> &str {
        &self.features
    }

    /// How sure it is, from 0 to 1.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }
}

fn entry_of<'a>(scanner: &mut Scanner<'a>, limits: &Limits) -> Result<NewEntry<'a>> {
    let kind = scanner.kind().map_err(not_json)?;
    if kind != Kind::Object {
        let message = format!("the entry is {kind}; it must be an object");
        return Err(Error::new(Status::InvalidEntry, message));
    }
    let (mut timestamp, mut node_id, mut features, mut confidence) = (None, None, None, None);
    scanner.forget_keys();
    scanner.expect(b'{', "'{'").map_err(not_json)?;
    let mut more = !scanner.accept(b'}');
    while more {
        let key = scanner.string(limits.rules()).map_err(not_json)?;
        scanner.expect(b':', "':'").map_err(not_json)?;
        match &*key {
            "timestamp" => timestamp = Some(timestamp_of(scanner)?),
            "node_id" => node_id = Some(node_id_of(scanner, limits)?),
            "features" => features = Some(features_of(scanner, limits)?),
            "confidence" => confidence = Some(confidence_of(scanner)?),
            other if limits.strict_fields => {
                let field = excerpt(other);
                let message = format!(
                    "unknown field \"{field}\"; strict_fields allows timestamp, node_id, features and confidence only"
                );
                return Err(Error::new(Status::InvalidEntry, message).with_field(field));
            }
            other => scanner.skip(limits.rules()).map_err(|fault| invalid(&excerpt(other), fault))?,
        }
        scanner.remember_key(key).map_err(not_json)?;
        more = scanner.accept(b',');
        if !more {
            scanner.expect(b'}', "',' or '}'").map_err(not_json)?;
        }
    }
    scanner.refuse_duplicates(0).map_err(not_json)?;
    Ok(NewEntry {
        timestamp: timestamp.ok_or_else(|| missing("timestamp", "a number of seconds"))?,
        node_id: node_id.ok_or_else(|| missing("node_id", "a string that is not blank"))?,
        features: features.ok_or_else(|| missing("features", "an object or an array"))?,
        confidence: confidence.ok_or_else(|| missing("confidence", "a number from 0 to 1"))?,
    })
}

fn timestamp_of(scanner: &mut Scanner<'_>) -> Result<f64> {
    let (number, text) = number_of(scanner, "timestamp", "a number of seconds")?;
    check_timestamp(number, || excerpt(text))
}

fn confidence_of(scanner: &mut Scanner<'_>) -> Result<f64> {
    let (number, text) = number_of(scanner, "confidence", "a number from 0 to 1")?;
    check_confidence(number, || excerpt(text))
}

fn number_of<'a>(scanner: &mut Scanner<'a>, field: &str, must: &str) -> Result<(f64, &'a str)> {
    expect_kind(scanner, field, &[Kind::Number], must)?;
    let text = scanner.number().map_err(|fault| invalid(field, fault))?;
    // Every JSON number is one Rust reads; too large ones become infinite and are refused later.
    Ok((text.parse().unwrap_or(f64::NAN), text))
}

fn node_id_of<'a>(scanner: &mut Scanner<'a>, limits: &Limits) -> Result<Cow<'a, str>> {
    expect_kind(scanner, "node_id", &[Kind::String], "a string that is not blank")?;
    check_node_id(scanner.string(limits.rules()).map_err(|fault| invalid("node_id", fault))?)
}

#[inline]
fn features_of<'a>(scanner: &mut Scanner<'a>, limits: &Limits) -> Result<Cow<'a, str>> {
    expect_kind(scanner, "features", &[Kind::Object, Kind::Array], "an object or an array")?;
    scanner.value(limits.rules()).map_err(|fault| invalid("features", fault.without_text()))
}

fn expect_kind(scanner: &mut Scanner<'_>, field: &str, wanted: &[Kind], must: &str) -> Result<()> {
    let kind = scanner.kind().map_err(|fault| invalid(field, fault))?;
    if wanted.contains(&kind) {
        return Ok(());
    }
    let message = format!("{field} is {kind}; it must be {must}");
    Err(Error::new(Status::InvalidEntry, message).with_field(field))
}

fn check_size(bytes: usize, limits: &Limits) -> Result<()> {
    if bytes <= limits.entry_bytes_max {
        return Ok(());
    }
    let message = format!(
        "the entry has {bytes} bytes; the limit is {} (entry_bytes_max): make its features smaller, or raise the limit",
        limits.entry_bytes_max
    );
    Err(Error::new(Status::InvalidEntry, message).with_field("features"))
}

fn check_timestamp(timestamp: f64, shown: impl Fn() -> String) -> Result<f64> {
    if timestamp.is_finite() {
        // SQLite does not keep the sign of a zero.
        return Ok(timestamp + 0.0);
    }
    let message = format!("timestamp is {}; it must be a finite number of seconds", shown());
    Err(Error::new(Status::InvalidEntry, message).with_field("timestamp"))
}

fn check_confidence(confidence: f64, shown: impl Fn() -> String) -> Result<f64> {
    if (0.0..=1.0).contains(&confidence) {
        return Ok(confidence + 0.0);
    }
    let message = format!("confidence is {}; it must be a number from 0 to 1", shown());
    Err(Error::new(Status::InvalidEntry, message).with_field("confidence"))
}

fn check_node_id(node_id: Cow<'_, str>) -> Result<Cow<'_, str>> {
    let bytes = node_id.as_bytes();
    // Most are of this kind, and need no look at their characters.
    if bytes.len() <= NODE_ID_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_graphic)
        && bytes.iter().fold(true, |all, byte| all & (*byte != 0))
    {
        return Ok(node_id);
    }
    let message = match node_id_fault(&node_id) {
        None => return Ok(node_id),
        Some(fault) => fault,
    };
    Err(Error::new(Status::InvalidEntry, message).with_field("node_id"))
}

/// Why this cannot be the name of a node, if it cannot.
pub(crate) fn node_id_fault(node_id: &str) -> Option<String> {
    if node_id.trim().is_empty() {
        Some(format!("node_id is \"{}\"; it must not be blank", excerpt(node_id)))
    } else if node_id.len() > NODE_ID_BYTES_MAX {
        Some(format!(
            "node_id has {} bytes (\"{}\"); the limit is {NODE_ID_BYTES_MAX}",
            node_id.len(),
            excerpt(node_id)
        ))
    } else if node_id.contains('\0') {
        Some(format!("node_id \"{}\" holds a NUL character; leave it out", excerpt(node_id)))
    } else {
        None
    }
}

/// Why these, which were stored or put into the commit log, are no entry. The limits for new entries do not apply.
pub(crate) fn fault_of_stored(
    timestamp: f64,
    node_id: &str,
    features: &str,
    confidence: f64,
) -> Option<String> {
    if !timestamp.is_finite() {
        return Some("its timestamp is not a finite number".to_string());
    }
    if node_id.trim().is_empty() || node_id.contains('\0') {
        return Some("its node_id is blank or holds a NUL".to_string());
    }
    if !(0.0..=1.0).contains(&confidence) {
        return Some("its confidence is not from 0 to 1".to_string());
    }
    let mut scanner = Scanner::new(features);
    if !matches!(scanner.kind(), Ok(Kind::Object | Kind::Array)) {
        return Some("its features are neither an object nor an array".to_string());
    }
    let fault = scanner.skip(Rules::GRAMMAR).and_then(|()| scanner.end()).err();
    fault.map(|fault| format!("its features are not valid JSON: {fault}"))
}

fn missing(field: &str, must: &str) -> Error {
    let message = format!("{field} is missing; it must be {must}");
    Error::new(Status::InvalidEntry, message).with_field(field)
}

fn invalid(field: &str, fault: Fault) -> Error {
    Error::new(fault.status_or(Status::InvalidEntry), format!("{field}: {fault}")).with_field(field)
}

fn not_json(fault: Fault) -> Error {
    Error::new(fault.status_or(Status::InvalidEntry), format!("the entry is not valid JSON: {fault}"))
}
