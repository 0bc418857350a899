//! The C functions as the fuzzers call them: what every call promises is asserted at every call.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ptr;

use simledger::ffi::*;

/// What a call answered.
#[derive(Debug)]
pub struct Answer {
    pub status: i32,
    pub message: String,
    pub field: String,
    pub index: usize,
    pub entry_id: i64,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.status == SIMLEDGER_OK
    }

    #[track_caller]
    pub fn ok(&self) {
        assert!(self.is_ok(), "{self:?}");
    }

    #[track_caller]
    pub fn is(&self, status: i32) {
        assert_eq!(self.status, status, "{self:?}");
    }

    #[track_caller]
    pub fn is_one_of(&self, statuses: &[i32]) {
        assert!(statuses.contains(&self.status), "{self:?}");
    }
}

/// Calls a fallible function, whose last argument is where its error goes.
#[track_caller]
pub fn call(work: impl FnOnce(*mut *mut simledger_error) -> simledger_status) -> Answer {
    // Never read, always overwritten.
    let mut error = ptr::without_provenance_mut::<simledger_error>(1);
    let status = work(&raw mut error);
    let is_outcome = [SIMLEDGER_OK, SIMLEDGER_NOT_FOUND, SIMLEDGER_TIMEOUT].contains(&status);
    assert_eq!(error.is_null(), is_outcome, "status {status}");
    // SAFETY: NULL, or an error that the call gave, freed once.
    let answer = unsafe {
        let text = |text| CStr::from_ptr(text).to_str().expect("UTF-8").to_string();
        let answer = Answer {
            status,
            message: text(simledger_error_message(error)),
            field: text(simledger_error_field(error)),
            index: simledger_error_index(error),
            entry_id: simledger_error_entry_id(error),
        };
        assert_eq!(simledger_error_status(error), if is_outcome { SIMLEDGER_OK } else { status });
        assert!(simledger_error_work_done(error) >= 0);
        let _ = (simledger_error_sqlite_code(error), simledger_error_retryable(error));
        simledger_error_free(error);
        answer
    };
    assert_eq!(answer.message.is_empty(), is_outcome, "{answer:?}");
    assert_ne!(status, SIMLEDGER_INTERNAL, "{answer:?}");
    answer
}

/// A text as C gets it: where it begins, and its length.
pub fn lent(text: &str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

/// An entry, and the model's entry.
#[derive(Clone, PartialEq)]
pub struct Row {
    pub id: i64,
    pub timestamp: f64,
    pub node: String,
    pub features: String,
    pub confidence: f64,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { id, timestamp, node, features, confidence } = self;
        let begin: String = features.chars().take(60).collect();
        write!(f, "{id}: {timestamp:?} {node:?} {begin} ({} bytes) {confidence}", features.len())
    }
}

/// A text with its length, and the NUL behind it.
unsafe fn text(pointer: *const c_char, len: usize) -> String {
    // SAFETY: as long as the library says, and a NUL behind that.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len + 1) };
    assert_eq!(bytes[len], 0, "a NUL behind it");
    std::str::from_utf8(&bytes[..len]).expect("UTF-8").to_string()
}

/// A text that the library gave away.
pub fn owned(pointer: *mut c_char, len: usize) -> Option<String> {
    if pointer.is_null() {
        assert_eq!(len, 0);
        return None;
    }
    // SAFETY: from a call that gave it, and freed once.
    unsafe {
        let text = text(pointer, len);
        simledger_string_free(pointer);
        Some(text)
    }
}

/// Reads an entry that is alive.
pub fn row(entry: *const simledger_entry) -> Row {
    let (mut node_len, mut features_len) = (usize::MAX, usize::MAX);
    // SAFETY: an entry of a result that is alive, or a retained one.
    unsafe {
        Row {
            id: simledger_entry_id(entry),
            timestamp: simledger_entry_timestamp(entry),
            confidence: simledger_entry_confidence(entry),
            node: {
                let node = simledger_entry_node_id(entry, &raw mut node_len);
                text(node, node_len)
            },
            features: {
                let features = simledger_entry_features_json(entry, &raw mut features_len);
                text(features, features_len)
            },
        }
    }
}

/// A result.
#[derive(Debug)]
pub struct Rows(*mut simledger_entries);

impl Rows {
    /// Of a read; nothing where it failed.
    #[track_caller]
    pub fn of(
        read: impl FnOnce(*mut *mut simledger_entries, *mut *mut simledger_error) -> simledger_status,
    ) -> (Answer, Rows) {
        let mut entries = ptr::without_provenance_mut(1);
        let answer = call(|error| read(&raw mut entries, error));
        let has_some = [SIMLEDGER_OK, SIMLEDGER_TIMEOUT].contains(&answer.status);
        assert_eq!(!entries.is_null(), has_some, "{answer:?}");
        (answer, Rows(entries))
    }

    pub fn len(&self) -> usize {
        // SAFETY: NULL, or alive as long as this.
        unsafe { simledger_entries_len(self.0) }
    }

    pub fn position(&self) -> i64 {
        // SAFETY: as above.
        unsafe { simledger_entries_position(self.0) }
    }

    pub fn gap_before(&self) -> i64 {
        // SAFETY: as above.
        unsafe { simledger_entries_gap_before(self.0) }
    }

    pub fn get(&self, index: usize) -> *const simledger_entry {
        // SAFETY: as above.
        unsafe { simledger_entries_get(self.0, index) }
    }

    /// All of them, by each of the ways to read them.
    pub fn list(&self) -> Vec<Row> {
        let rows: Vec<Row> = (0..self.len()).map(|index| row(self.get(index))).collect();
        assert!(self.get(rows.len()).is_null() && self.get(usize::MAX).is_null());
        if !self.0.is_null() {
            self.check_views(&rows);
            self.check_columns(&rows);
            self.check_json(&rows);
        }
        rows
    }

    fn check_views(&self, rows: &[Row]) {
        // SAFETY: zeroes are numbers and NULLs; as many views as are said.
        unsafe {
            let mut views: Vec<simledger_entry_view> =
                (0..rows.len() + 1).map(|_| std::mem::zeroed()).collect();
            views[0].struct_size = size_of::<simledger_entry_view>();
            let mut filled = usize::MAX;
            let (first, most) = (0, views.len());
            call(|error| {
                simledger_entries_views(self.0, first, views.as_mut_ptr(), most, &raw mut filled, error)
            })
            .ok();
            assert_eq!(filled, rows.len());
            for (view, row) in views.iter().zip(rows) {
                let seen = Row {
                    id: view.id,
                    timestamp: view.timestamp,
                    node: text(view.node_id, view.node_id_len),
                    features: text(view.features_json, view.features_json_len),
                    confidence: view.confidence,
                };
                assert_eq!(&seen, row);
            }
        }
    }

    fn check_columns(&self, rows: &[Row]) {
        let mut seen = Vec::new();
        // SAFETY: arrays as long as the columns say.
        unsafe {
            for chunk in 0..simledger_entries_chunk_count(self.0) {
                let mut columns: simledger_columns = std::mem::zeroed();
                columns.struct_size = size_of::<simledger_columns>();
                call(|error| simledger_entries_columns(self.0, chunk, &raw mut columns, error)).ok();
                for index in 0..columns.len {
                    let part = |offsets: *const usize, lengths: *const usize| {
                        let (offset, len) = (*offsets.add(index), *lengths.add(index));
                        assert!(offset + len < columns.text_len);
                        text(columns.text.add(offset), len)
                    };
                    seen.push(Row {
                        id: *columns.ids.add(index),
                        timestamp: *columns.timestamps.add(index),
                        node: part(columns.node_id_offsets, columns.node_id_lengths),
                        features: part(columns.features_offsets, columns.features_lengths),
                        confidence: *columns.confidences.add(index),
                    });
                }
            }
        }
        assert_eq!(seen, rows);
    }

    fn check_json(&self, rows: &[Row]) {
        let mut len = usize::MAX;
        // SAFETY: alive as long as this; the text ends with a NUL.
        let json = unsafe {
            let json = simledger_entries_json(self.0, &raw mut len);
            text(json, len)
        };
        let mut at = 1;
        assert!(json.starts_with('[') && json.ends_with(']'));
        for row in rows {
            // Numbers are serde_json's affair; the features stand there to the letter.
            let found = json[at..].find(&row.features).expect("the features");
            assert!(json[at..at + found].contains(&format!("{{\"id\":{},", row.id)));
            at += found + row.features.len();
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: NULL, or from a read, and freed once.
        unsafe { simledger_entries_free(self.0) };
    }
}

/// A configuration.
pub struct Config(pub *mut simledger_config);

impl Config {
    pub fn new(values: &[(&str, &str)]) -> Config {
        let config = Config(simledger_config_new());
        for (key, value) in values {
            let ((key, key_len), (value, value_len)) = (lent(key), lent(value));
            // SAFETY: texts as long as they are.
            call(|error| unsafe { simledger_config_set(config.0, key, key_len, value, value_len, error) })
                .ok();
        }
        config
    }

    /// Opens a ledger.
    pub fn open(&self) -> (Answer, *mut simledger_ledger) {
        let mut ledger = ptr::without_provenance_mut(1);
        // SAFETY: alive as long as this.
        let answer = call(|error| unsafe { simledger_open(self.0, &raw mut ledger, error) });
        assert_eq!(ledger.is_null(), !answer.is_ok());
        (answer, ledger)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and freed once.
        unsafe { simledger_config_free(self.0) };
    }
}

/// Closes a ledger.
pub fn close(ledger: *mut simledger_ledger) -> Answer {
    // SAFETY: any number will do.
    call(|error| unsafe { simledger_close(ledger, error) })
}

/// A query.
pub struct Query(pub *mut simledger_query);

impl Query {
    pub fn new() -> Query {
        Query(simledger_query_new())
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and freed once.
        unsafe { simledger_query_free(self.0) };
    }
}
