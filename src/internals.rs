//! What tests call of what is inside: parsers that no public call reaches alone, and the log's reader without a
//! ledger around it. Only with the feature `test-hooks`.

use std::path::Path;
use std::sync::Arc;

use crate::commit_log::{CommitLog, Found, Identity, RING_MIN, Record, Scratch};
use crate::config;
use crate::error::Result;
use crate::json::{self, Rules, Scanner};
use crate::sys::{self, files::FileLocks};

/// The compact text of one JSON value, or where the fault is and which.
pub type Judged = std::result::Result<String, (usize, String)>;

/// What the scanner says of a text.
pub fn json_scanned(text: &str, depth_max: usize, strict: bool) -> Judged {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(Rules { depth_max, strict }).map(std::borrow::Cow::into_owned);
    let whole = value.and_then(|value| scanner.end().map(|()| value));
    whole.map_err(|fault| (fault.offset, format!("{:?}", fault.reason)))
}

/// What the rules say of it, byte by byte.
pub fn json_by_the_rules(text: &str, depth_max: usize, strict: bool) -> Judged {
    let judged = json::reference::check(text, Rules { depth_max, strict });
    judged.map_err(|fault| (fault.offset, format!("{:?}", fault.reason)))
}

/// Whether two texts mean the same.
pub fn json_same_meaning(left: &str, right: &str) -> bool {
    json::same_meaning(left, right).is_ok_and(|is_same| is_same)
}

/// The text of the value at a JSON Pointer; an error where it is no pointer.
pub fn json_found(text: &str, pointer: &str) -> std::result::Result<Option<String>, String> {
    let found = json::find(text, pointer).map_err(|fault| format!("{fault:?}"))?;
    Ok(found.map(|(_, text)| text.to_string()))
}

/// The members of the section `database` of a YAML text: key, value and line.
pub fn yaml_section(text: &str) -> Result<Option<Vec<(String, String, usize)>>> {
    let members = config::yaml::section(text)?;
    let told = |member: config::yaml::Member| (member.key, member.value, member.line);
    Ok(members.map(|members| members.into_iter().map(told).collect()))
}

/// What the ledger file says of itself to its log.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Which ledger it is.
    pub ledger: [u64; 2],
    /// The last id that it has.
    pub last_id: i64,
    /// The largest id that a cleanup deleted.
    pub removed_id: i64,
}

/// An entry as the log has it, or the ids of a batch that the ledger file has.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// Its id, node, features, the bits of its timestamp and confidence, and whether more of its batch follow.
    Entry(i64, String, String, [u64; 2], bool),
    /// From the first id to the last.
    Elsewhere(i64, i64),
}

/// Where a log is, and what is in it behind what the ledger file has.
#[derive(Debug)]
pub struct LogRead {
    /// Reclaimed, drained, published.
    pub positions: [u64; 3],
    /// Bytes of the ring.
    pub capacity: u64,
    /// What was read from drained to published.
    pub records: Vec<Read>,
}

/// Which start of the machine this is, as logs have it.
pub fn boot_id() -> [u64; 2] {
    sys::boot_id()
}

/// Opens the log beside a ledger file, which is open in this process with `commit = sqlite`, as a process does that has
/// it alone: recovers it and reads it through.
pub fn log_read(ledger: &Path, stored: Stored) -> Result<LogRead> {
    let locks =
        FileLocks::of(ledger).map_err(|error| crate::error::Error::argument("ledger", error.to_string()))?;
    let identity =
        Identity { ledger: stored.ledger, stored_id: stored.last_id, removed_id: stored.removed_id };
    let on_the_medium = || Ok(());
    let log =
        CommitLog::open(ledger, &identity, RING_MIN..=RING_MIN, false, Arc::new(locks), on_the_medium)?.log;
    let read = read_through(&log);
    log.leave();
    read
}

fn read_through(log: &CommitLog) -> Result<LogRead> {
    let (mut records, mut scratch) = (Vec::new(), Scratch::default());
    let mut at = log.drained();
    while at < log.published() {
        match log.read(at, &mut scratch)? {
            Found::Reclaimed => panic!("nobody reclaims here"),
            Found::Record(Record::Elsewhere { first, last }, next) => {
                records.push(Read::Elsewhere(first, last));
                at = next;
            }
            Found::Record(Record::Entry { fields, more }, next) => {
                let numbers = [fields.timestamp.to_bits(), fields.confidence.to_bits()];
                records.push(Read::Entry(
                    fields.id,
                    fields.node_id.into(),
                    fields.features.into(),
                    numbers,
                    more,
                ));
                at = next;
            }
        }
    }
    let positions = [log.reclaimed(), log.drained(), log.published()];
    Ok(LogRead { positions, capacity: log.capacity(), records })
}
