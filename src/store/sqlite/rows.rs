//! Rows of the file as entries. Other programs may have written them, so each is checked.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::chunk::Fields;
use crate::entry::fault_of_stored;
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
    let features = text(3).map_err(|()| "its features are not text in UTF-8")?;
    let confidence = number(4).map_err(|()| "its confidence is not a number")?;
    if let Some(why) = fault_of_stored(timestamp, node_id, features, confidence) {
        return Err(why);
    }
    let created_at = match row.get_ref(5) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok().and_then(utc::parse).unwrap_or(0.0),
        _ => number(5).unwrap_or(0.0),
    };
    let id = id_of(row).map_err(|error| error.to_string())?;
    Ok(Fields { id, timestamp, node_id, features, confidence, created_at })
}
