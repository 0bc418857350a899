//! What somebody may have planted in a file's schema for this library's statements to run.
//!
//! Triggers and views are switched off for its connections, CHECK constraints are passed over, and modules of
//! virtual tables are taken away (`connection.rs`). What is left is what SQLite computes with the rows
//! themselves: columns that are generated, indexes on expressions, partial indexes. A table of a ledger has none,
//! and none of those that simledger or SQLite keep beside it.

use rusqlite::{Connection, OptionalExtension};

use super::schema::{incompatible, not_ours};
use crate::error::Result;

/// The tables of SQLite that it reads for statements on others, as it makes them.
const OF_SQLITE: [(&str, &str); 3] = [
    ("sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)"),
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    ("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
];

/// Refuses the file if a table of SQLite's own is not as SQLite makes it.
pub(super) fn check_sqlites_own(connection: &Connection) -> Result<()> {
    for (name, made) in OF_SQLITE {
        if let Some(sql) = statement(connection, name)?
            && (sql != made || has_indexes(connection, name)?)
        {
            return Err(incompatible(&format!("its table \"{name}\" is not as SQLite makes it")));
        }
    }
    Ok(())
}

/// Whether this is a table that SQLite itself keeps.
pub(super) fn is_ordinary_table(connection: &Connection, name: &str) -> Result<bool> {
    Ok(statement(connection, name)?.is_some_and(|sql| is_ordinary(&sql)))
}

/// Whether this is an ordinary table whose columns are what they hold.
pub(super) fn is_plain_table(connection: &Connection, name: &str) -> Result<bool> {
    let Some(sql) = statement(connection, name)? else { return Ok(false) };
    Ok(is_ordinary(&sql) && !has_word(&sql, "AS"))
}

/// Whether this is an ordinary table, made by this statement and with no indexes but those of its keys.
pub(super) fn is_as_made(connection: &Connection, name: &str, made: &str) -> Result<bool> {
    Ok(statement(connection, name)?.is_some_and(|sql| sql == made) && !has_indexes(connection, name)?)
}

/// Why the table of the entries is none that can be used, as far as its expressions go.
pub(super) fn expression_of_ledger(connection: &Connection) -> Result<Option<String>> {
    let Some(sql) = statement(connection, "ledger")? else { return Ok(None) };
    if has_word(&sql, "CHECK") {
        return Ok(Some("its table \"ledger\" has a CHECK constraint, which no ledger has".to_string()));
    }
    let index = "SELECT list.name FROM pragma_index_list('ledger') AS list WHERE list.partial
                 OR EXISTS (SELECT 1 FROM pragma_index_xinfo(list.name) AS info
                            WHERE info.cid = -2 OR (list.\"unique\" AND info.key AND info.coll <> 'BINARY'))";
    let index: Option<String> = connection
        .prepare(index)
        .and_then(|mut found| found.query_row([], |row| row.get(0)).optional())
        .map_err(not_ours)?;
    Ok(index.map(|index| {
        format!(
            "the index \"{index}\" of its table \"ledger\" has an expression, a condition or a collation, which are \
             not computed for other programs; drop it"
        )
    }))
}

/// What of the tables of other programs SQLite would compute when it writes the whole file anew or checks it.
pub(super) fn expression_of_others(connection: &Connection) -> Result<Option<String>> {
    let tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL";
    let mut tables = connection.prepare(tables).map_err(not_ours)?;
    let mut tables = tables.query([]).map_err(not_ours)?;
    while let Some(row) = tables.next().map_err(not_ours)? {
        let (name, sql): (String, String) =
            row.get(0).and_then(|name| Ok((name, row.get(1)?))).map_err(not_ours)?;
        if is_ordinary(&sql) && has_word(&sql, "AS") {
            return Ok(Some(name));
        }
    }
    let indexes = "SELECT list.name FROM sqlite_schema AS tables, pragma_index_list(tables.name) AS list
                   WHERE tables.type = 'table' AND (list.partial
                       OR EXISTS (SELECT 1 FROM pragma_index_xinfo(list.name) WHERE cid = -2))";
    connection
        .prepare(indexes)
        .and_then(|mut found| found.query_row([], |row| row.get(0)).optional())
        .map_err(not_ours)
}

/// The statement that a table was made by; `None` if there is no table of this name.
fn statement(connection: &Connection, name: &str) -> Result<Option<String>> {
    // SQLite does not care for the case of letters in names.
    let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type = 'table'";
    connection
        .prepare_cached(sql)
        .and_then(|mut found| found.query_row([name], |row| row.get(0)).optional())
        .map_err(not_ours)
}

/// Whether somebody made an index on this table.
fn has_indexes(connection: &Connection, name: &str) -> Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'c')")
        .and_then(|mut found| found.query_row([name], |row| row.get(0)))
        .map_err(not_ours)
}

/// Whether it is the statement of an ordinary table, and not that of a virtual one.
fn is_ordinary(sql: &str) -> bool {
    let mut words = Words(sql);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
        && words.next().is_some_and(|word| word.eq_ignore_ascii_case("TABLE"))
}

/// Whether a keyword stands in a statement. `CHECK` and `AS` are no names unless they are quoted, and without
/// them a table has no constraint and no column that is computed.
fn has_word(sql: &str, keyword: &str) -> bool {
    Words(sql).any(|word| word.eq_ignore_ascii_case(keyword))
}

/// The words of a statement that are neither quoted nor in a comment.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let is_part = |letter: char| {
            letter.is_ascii_alphanumeric() || letter == '_' || letter == '$' || !letter.is_ascii()
        };
        loop {
            let first = self.0.chars().next()?;
            let rest = &self.0[first.len_utf8()..];
            // Behind what ends with this, or nothing if it does not end.
            let behind = |end: &str| rest.find(end).map_or("", |at| &rest[at + end.len()..]);
            self.0 = match first {
                // A quote that is doubled ends one quoted text and begins the next.
                '\'' | '"' | '`' => behind(first.encode_utf8(&mut [0; 4])),
                '[' => behind("]"),
                '-' if rest.starts_with('-') => behind("\n"),
                // SQLite passes over a byte order mark that begins a word.
                '\u{feff}' => rest,
                '/' if rest.starts_with('*') => rest[1..].find("*/").map_or("", |at| &rest[at + 3..]),
                first if is_part(first) => {
                    let word;
                    (word, self.0) =
                        self.0.split_at(self.0.find(|letter| !is_part(letter)).unwrap_or(self.0.len()));
                    return Some(word);
                }
                _ => rest,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_sqlite_takes_for_words() {
        for (sql, words) in [
            ("CREATE TABLE t(a,b)", &["CREATE", "TABLE", "t", "a", "b"][..]),
            ("a'check'b\"as\"c`as`d[as]e", &["a", "b", "c", "d", "e"]),
            ("a 'it''s as' b", &["a", "b"]),
            ("a -- as\nb /* as */ c /**/ d", &["a", "b", "c", "d"]),
            ("a/*as", &["a"]),
            ("a'as", &["a"]),
            ("x-as/y", &["x", "as", "y"]),
            ("été$1 _as as_ AS", &["été$1", "_as", "as_", "AS"]),
            ("a \u{feff}\u{feff}as as\u{feff}", &["a", "as", "as\u{feff}"]),
            ("", &[]),
        ] {
            assert_eq!(Words(sql).collect::<Vec<_>>(), words, "{sql}");
        }
        assert!(has_word("a INTEGER,c\tas(1)", "AS") && has_word("x CheCk(1)", "CHECK"));
        assert!(is_ordinary(" create/**/table x") && !is_ordinary("CREATE VIRTUAL TABLE x"));
    }
}
