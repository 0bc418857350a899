//! Storing entries of the commit log: many rows with a statement, and how far they go with them.

use std::sync::LazyLock;

use rusqlite::{Connection, ToSql, params};

use super::fault::translate;
use super::insert::{INSERT, next_id};
use super::schema;
use super::transaction::touch;
use crate::chunk::{Fields, out_of_memory};
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::utc;

/// Entries of the commit log, being stored in a transaction. Nothing is stored twice or skipped,
/// whatever dies when: how far the file has them moves with the entries.
pub(crate) struct Folding<'c> {
    connection: &'c Connection,
    /// The last id that the file has, those included that are about to be stored.
    stored_id: i64,
    created_at: (f64, String),
    /// About to be stored, so many of them.
    rows: Vec<FoldedRow>,
    waiting: usize,
    /// Whether what was there before is brought to the medium too.
    confirms: bool,
}

/// An entry that is about to be stored, in memory that is used again.
#[derive(Default)]
struct FoldedRow {
    id: i64,
    timestamp: f64,
    node_id: String,
    features: String,
    confidence: f64,
    created_at: String,
}

/// Rows that are stored by one statement: each statement has to find and move on SQLite's record of the
/// largest id, which costs as much as an index.
const ROWS_A_STATEMENT: usize = 32;

impl<'c> Folding<'c> {
    /// Begins in a transaction that can write.
    pub(super) fn begin(connection: &'c Connection) -> Result<Folding<'c>> {
        let through = schema::log_identity(connection)?.1;
        let last = next_id(connection)? - 1;
        if last != through {
            let message = format!(
                "the ledger file has ids up to {last}, but only those up to {through} came by the commit log: another \
                 program wrote to it in spite of its guards"
            );
            return Err(Error::new(Status::Corrupt, message));
        }
        Ok(Folding {
            connection,
            stored_id: through,
            created_at: (f64::NAN, String::new()),
            rows: Vec::new(),
            waiting: 0,
            confirms: false,
        })
    }

    /// The last id that the file has.
    pub fn stored_id(&self) -> i64 {
        self.stored_id
    }

    /// Brings what the file has already to the medium too: whoever stored it may not have heard that it is there,
    /// since the journal that takes it back could not be put away.
    pub fn confirm(&mut self) {
        self.confirms = true;
    }

    pub(super) fn confirms(&self) -> bool {
        self.confirms
    }

    /// Stores the entry with the id that follows.
    pub fn insert(&mut self, fields: &Fields<'_>) -> Result<()> {
        debug_assert_eq!(fields.id, self.stored_id + 1);
        #[allow(clippy::float_cmp)] // The same or not.
        if fields.created_at != self.created_at.0 {
            #[allow(clippy::cast_possible_truncation)] // Whole seconds.
            let text = utc::format(fields.created_at as i64);
            self.created_at = (fields.created_at, text);
        }
        hooks::point("fold.insert");
        if self.waiting == self.rows.len() {
            // At most those of a statement: too few to run out of memory.
            self.rows.push(FoldedRow::default());
        }
        let row = &mut self.rows[self.waiting];
        (row.id, row.timestamp, row.confidence) = (fields.id, fields.timestamp, fields.confidence);
        let texts = [
            (&mut row.node_id, fields.node_id),
            (&mut row.features, fields.features),
            (&mut row.created_at, &self.created_at.1),
        ];
        for (place, text) in texts {
            place.clear();
            place.try_reserve(text.len()).map_err(out_of_memory)?;
            place.push_str(text);
        }
        self.waiting += 1;
        self.stored_id = fields.id;
        if self.waiting == ROWS_A_STATEMENT { self.store() } else { Ok(()) }
    }

    /// Stores what waits.
    fn store(&mut self) -> Result<()> {
        let rows = &self.rows[..std::mem::take(&mut self.waiting)];
        let step = if rows.len() == ROWS_A_STATEMENT { ROWS_A_STATEMENT } else { 1 };
        for some in rows.chunks(step) {
            self.store_some(some).map_err(|error| {
                let error = translate(&error);
                let duplicate = error.status() == Status::Duplicate;
                let status = if duplicate { Status::Corrupt } else { error.status() };
                let what = format!("the entries of the log from id {} on cannot be stored", some[0].id);
                Error::new(status, error.message()).context(what).with_sqlite_code(error.sqlite_code())
            })?;
        }
        Ok(())
    }

    fn store_some(&self, rows: &[FoldedRow]) -> rusqlite::Result<()> {
        // On a failure the whole transaction is rolled back: then SQLite need not be able to undo the
        // statement alone.
        static MANY: LazyLock<String> = LazyLock::new(|| {
            let one = INSERT.replace("OR ABORT", "OR FAIL");
            format!("{one}{}", ", (?, ?, ?, ?, ?, ?)".repeat(ROWS_A_STATEMENT - 1))
        });
        let sql = if rows.len() == 1 { INSERT } else { &MANY };
        let mut statement = self.connection.prepare_cached(sql)?;
        for (index, row) in rows.iter().enumerate() {
            let FoldedRow { id, timestamp, node_id, features, confidence, created_at } = row;
            let values: [&dyn ToSql; 6] = [id, timestamp, node_id, features, confidence, created_at];
            for (column, value) in values.into_iter().enumerate() {
                statement.raw_bind_parameter(index * 6 + column + 1, value)?;
            }
        }
        statement.raw_execute().map(drop)
    }

    /// The same where the entries up to this id were stored in another way.
    pub(super) fn finish_at(mut self, stored_id: i64) -> Result<()> {
        self.stored_id = stored_id;
        self.finish()
    }

    /// Says how far the file has them.
    pub(super) fn finish(mut self) -> Result<()> {
        self.store()?;
        if self.confirms {
            touch(self.connection).map_err(|error| translate(&error))?;
        }
        let update = "UPDATE simledger_settings SET value = ?2 WHERE name = ?1";
        self.connection
            .prepare_cached(update)
            .and_then(|mut statement| {
                statement.execute(params![schema::LOG_THROUGH, self.stored_id.to_string()])
            })
            .map(drop)
            .map_err(|error| translate(&error))
    }
}
