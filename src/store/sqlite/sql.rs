//! SQL of callers: one statement that reads, with bound parameters, to JSON.
//!
//! What a statement may do is decided by the authorizer of the connections that read; how long it
//! may run by the progress handler of all connections; how much it may give, here.

use std::borrow::Cow;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Batch, Connection, Statement};

use super::fault::translate_sql;
use crate::error::{Error, Result, Status, excerpt};
use crate::json::{self, Kind, Rules, Scanner, Text};
use crate::store::Sql;
use crate::sys::Budget;

/// What a statement may take beside its result, in memory and temporary files, however small that may be.
const WORK_BYTES_MIN: usize = 64 << 20;

/// Carries out a statement; its result as JSON.
pub(super) fn run(connection: &Connection, sql: &Sql<'_>) -> Result<String> {
    let most = sql.bytes_max.max(WORK_BYTES_MIN);
    let budget = Budget::begin(most);
    carry_out(connection, sql).map_err(|error| match error.status() {
        Status::OutOfMemory | Status::NoSpace if budget.is_spent() => {
            let message = format!(
                "the statement needs more than {most} bytes of memory and temporary files (result_bytes_max, \
                 but at least {WORK_BYTES_MIN}); let it read less or sort less, or raise the limit"
            );
            Error::new(Status::LimitExceeded, message).with_field("result_bytes_max")
        }
        _ => error,
    })
}

fn carry_out(connection: &Connection, sql: &Sql<'_>) -> Result<String> {
    // A value inside SQLite may not be larger than the whole result.
    let _limit = ValueLimit::set(connection, sql.bytes_max).map_err(|error| translate_sql(&error))?;
    let mut statements = Batch::new(connection, sql.text);
    let none = || Error::argument("sql", "there is no statement in the text");
    let mut statement = statements.next().map_err(|error| translate_sql(&error))?.ok_or_else(none)?;
    if statement.column_count() == 0 {
        return Err(Error::argument(
            "sql",
            "the statement gives no rows; only statements that read are carried out",
        ));
    }
    match statements.next().map_err(|error| translate_sql(&error)) {
        Ok(None) => {}
        // The time was up, or the memory, and not a word about what follows.
        Err(error) if error.status() != Status::InvalidArgument => return Err(error),
        _ => {
            return Err(Error::argument("sql", "the text has more than one statement; pass them one by one"));
        }
    }
    bind(&mut statement, sql)?;
    collect(&mut statement, sql)
}

/// SQLite's largest value, as long as this lives.
struct ValueLimit<'c> {
    connection: &'c Connection,
    before: i32,
}

impl<'c> ValueLimit<'c> {
    fn set(connection: &'c Connection, bytes_max: usize) -> rusqlite::Result<ValueLimit<'c>> {
        let before = connection.limit(Limit::SQLITE_LIMIT_LENGTH)?;
        // Below this not even the schema could be read.
        let wanted = i32::try_from(bytes_max).unwrap_or(i32::MAX).max(1 << 16);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, wanted.min(before))?;
        Ok(ValueLimit { connection, before })
    }
}

impl Drop for ValueLimit<'_> {
    fn drop(&mut self) {
        let _ = self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, self.before);
    }
}

/// Binds a JSON array by position, or an object by name.
fn bind(statement: &mut Statement<'_>, sql: &Sql<'_>) -> Result<()> {
    let wanted = statement.parameter_count();
    let mut bound = vec![false; wanted];
    if let Some(parameters) = sql.parameters {
        let mut scanner = Scanner::new(parameters);
        match scanner.kind().map_err(not_json)? {
            Kind::Array => each(&mut scanner, parameters, false, |index, _, value| {
                if index >= wanted {
                    let message = format!("there are more parameters than the {wanted} of the statement");
                    return Err(Error::argument("parameters_json", message).with_index(index));
                }
                bound[index] = true;
                bind_one(statement, index + 1, &value)
            })?,
            Kind::Object => each(&mut scanner, parameters, true, |_, name, value| {
                let mut found = false;
                // No longer one is part of the statement.
                for sign in [":", "@", "$"].iter().filter(|_| name.len() < sql.text.len()) {
                    if let Ok(Some(place)) = statement.parameter_index(&format!("{sign}{name}")) {
                        found = true;
                        bound[place - 1] = true;
                        bind_one(statement, place, &value)?;
                    }
                }
                if found {
                    return Ok(());
                }
                let message = format!("the statement has no parameter named \"{}\"", excerpt(name));
                Err(Error::argument("parameters_json", message))
            })?,
            kind => {
                let message =
                    format!("the parameters are {kind}; they must be an array, or an object with names");
                return Err(Error::argument("parameters_json", message));
            }
        }
        scanner.end().map_err(not_json)?;
    }
    if let Some(missing) = bound.iter().position(|bound| !bound) {
        let name = statement.parameter_name(missing + 1).map_or(String::new(), |name| format!(" ({name})"));
        let message =
            format!("parameter {} of the {wanted} of the statement{name} has no value", missing + 1);
        return Err(Error::argument("parameters_json", message));
    }
    Ok(())
}

fn bind_one(statement: &mut Statement<'_>, place: usize, value: &Value) -> Result<()> {
    statement.raw_bind_parameter(place, value).map_err(|error| translate_sql(&error))
}

/// Calls `each` with the index, name and value of every member.
fn each(
    scanner: &mut Scanner<'_>,
    text: &str,
    named: bool,
    mut each: impl FnMut(usize, &str, Value) -> Result<()>,
) -> Result<()> {
    const STRICT: Rules = Rules { depth_max: 128, strict: true };
    let (opening, closing) = if named { (b'{', b'}') } else { (b'[', b']') };
    scanner.accept(opening);
    let mut index = 0;
    let mut more = !scanner.accept(closing);
    while more {
        let mut name = Cow::default();
        if named {
            name = scanner.string(STRICT).map_err(not_json)?;
            scanner.expect(b':', "':'").map_err(not_json)?;
        }
        let kind = scanner.kind().map_err(not_json)?;
        let value = match kind {
            Kind::Null => Value::Null,
            Kind::String => Value::Text(json::own(scanner.string(STRICT).map_err(not_json)?)?),
            Kind::Number => {
                let number = scanner.number().map_err(not_json)?;
                match number.parse::<i64>() {
                    Ok(integer) => Value::Integer(integer),
                    Err(_) => Value::Real(number.parse().unwrap_or(f64::NAN)),
                }
            }
            Kind::Boolean => Value::Integer(i64::from(text.as_bytes().get(scanner.offset()) == Some(&b't'))),
            Kind::Object | Kind::Array => Value::Text(json::own(scanner.value(STRICT).map_err(not_json)?)?),
        };
        if matches!(kind, Kind::Null | Kind::Boolean) {
            scanner.skip(STRICT).map_err(not_json)?;
        }
        each(index, &name, value)?;
        index += 1;
        more = scanner.accept(b',');
        if !more {
            scanner.expect(closing, "',' or the end of the parameters").map_err(not_json)?;
        }
    }
    Ok(())
}

fn not_json(fault: json::Fault) -> Error {
    let message = format!("the parameters are not valid JSON: {fault}");
    Error::new(fault.status_or(Status::InvalidArgument), message).with_field("parameters_json")
}

fn collect(statement: &mut Statement<'_>, sql: &Sql<'_>) -> Result<String> {
    let mut out = Text::default();
    out.raw("{\"columns\":[")?;
    for (index, name) in statement.column_names().iter().enumerate() {
        out.raw(if index > 0 { "," } else { "" })?;
        out.string(name)?;
    }
    let columns = statement.column_count();
    out.raw("],\"rows\":[")?;
    check_size(out.len(), 0, sql.bytes_max)?;
    let mut count = 0;
    let mut truncated = false;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| translate_sql(&error))? {
        if count == sql.rows_max {
            truncated = true;
            break;
        }
        out.raw(if count > 0 { ",[" } else { "[" })?;
        for column in 0..columns {
            out.raw(if column > 0 { "," } else { "" })?;
            let value = row.get_ref(column).map_err(|error| translate_sql(&error))?;
            write_value(&mut out, value, sql.bytes_max)?;
        }
        out.raw("]")?;
        count += 1;
        check_size(out.len(), count, sql.bytes_max)?;
    }
    out.raw(if truncated { "],\"truncated\":true}" } else { "],\"truncated\":false}" })?;
    Ok(out.into_string())
}

fn write_value(out: &mut Text, value: ValueRef<'_>, bytes_max: usize) -> Result<()> {
    // As they will be written: an escape has up to six bytes, and U+FFFD three.
    let written = |byte: &u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        0x80.. => 3,
        _ => 1,
    };
    let bytes: usize = match value {
        ValueRef::Text(bytes) => bytes.iter().map(written).sum(),
        ValueRef::Blob(bytes) => bytes.len() * 2,
        _ => 0,
    };
    check_size(out.len().saturating_add(bytes), 0, bytes_max)?;
    out.reserve(bytes)?;
    match value {
        ValueRef::Null => out.raw("null"),
        ValueRef::Integer(number) => out.raw(&number.to_string()),
        // Infinities become null: JSON has no others.
        ValueRef::Real(number) => out.number(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => out.string(text),
            Err(_) => out.string(&replaced(bytes)?),
        },
        ValueRef::Blob(bytes) => {
            out.raw("\"")?;
            for byte in bytes {
                const DIGITS: &str = "0123456789abcdef";
                for digit in [usize::from(byte >> 4), usize::from(byte & 15)] {
                    out.raw(&DIGITS[digit..=digit])?;
                }
            }
            out.raw("\"")
        }
    }
}

/// The text with U+FFFD for what is no UTF-8.
fn replaced(bytes: &[u8]) -> Result<String> {
    let mut text = Text::default();
    for chunk in bytes.utf8_chunks() {
        text.raw(chunk.valid())?;
        text.raw(if chunk.invalid().is_empty() { "" } else { "\u{fffd}" })?;
    }
    Ok(text.into_string())
}

fn check_size(bytes: usize, rows: usize, bytes_max: usize) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "the result takes more than {bytes_max} bytes (result_bytes_max) after {rows} rows; \
         select less, or raise the limit"
    );
    Err(Error::new(Status::LimitExceeded, message).with_field("result_bytes_max"))
}
