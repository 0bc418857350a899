//! Rows of the file as entries. Other programs may have written them, so each is checked.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::chunk::Fields;
use crate::json::{Kind, Rules, Scanner};
use crate::utc;

/// The columns that [`decode`] takes, in its order.
pub(super) const COLUMNS: &str = "id, timestamp, node_id, features, confidence, created_at";

/// The id of a row, which is always a number.
pub(super) fn id_of(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

/// The entry in a row, or why it is none. The limits for new entries do not apply.
pub(super) fn decode<'row>(row: &'row Row<'_>) -> Result<Fields<'row>, String> {
    let number = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Real(number)) if number.is_finite() => Ok(number),
        #[allow(clippy::cast_precision_loss)] // What SQLite's REAL columns do with integers.
        Ok(ValueRef::Integer(number)) => Ok(number as f64),
        _ => Err(()),
    };
    let text = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).map_err(|_| ()),
        _ => Err(()),
    };
    let timestamp = number(1).map_err(|()| "its timestamp is not a finite number")?;
    let node_id = text(2).map_err(|()| "its node_id is not text in UTF-8")?;
    if node_id.trim().is_empty() || node_id.contains('\0') {
        return Err("its node_id is blank or holds a NUL".to_string());
    }
    let features = text(3).map_err(|()| "its features are not text in UTF-8")?;
    check_features(features)?;
    let confidence = number(4).map_err(|()| "its confidence is not a number")?;
    if !(0.0..=1.0).contains(&confidence) {
        return Err("its confidence is not from 0 to 1".to_string());
    }
    let created_at = match row.get_ref(5) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok().and_then(utc::parse).unwrap_or(0.0),
        _ => number(5).unwrap_or(0.0),
    };
    let id = id_of(row).map_err(|error| error.to_string())?;
    Ok(Fields { id, timestamp, node_id, features, confidence, created_at })
}

fn check_features(features: &str) -> Result<(), String> {
    let mut scanner = Scanner::new(features);
    match scanner.kind() {
        Ok(Kind::Object | Kind::Array) => {}
        _ => return Err("its features are neither an object nor an array".to_string()),
    }
    scanner
        .skip(Rules::GRAMMAR)
        .and_then(|()| scanner.end())
        .map_err(|fault| format!("its features are not valid JSON: {fault}"))
}
