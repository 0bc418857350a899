//! How every connection is opened: the same safety settings for the writer and the readers.

use std::path::PathBuf;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::checkpoints;
use super::fault::translate;
use crate::call;
use crate::error::Result;
use crate::sys::{self, fork};

/// Statements that each connection keeps prepared: more than the store has.
const STATEMENTS_MAX: usize = 32;

/// Steps of SQLite's virtual machine, some nanoseconds each, between two looks whether to stop.
pub(super) const OPS_BETWEEN_LOOKS: i32 = 1000;

/// Bytes of the longest value while a file's schema is read. SQLite reads tables of its own then, before anybody
/// can look whether they were tampered with; what they could have it compute comes to an end with such values.
const SCHEMA_BYTES_MAX: i32 = 256 << 10;

/// What to open, and how.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// An absolute path, or the URI of a database in memory: never a text that SQLite could take
    /// for something else.
    pub name: PathBuf,
    pub in_memory: bool,
    pub read_only: bool,
    /// As SQLite takes it.
    pub synchronous: String,
    pub cache_kilobytes: usize,
    /// Of the connection that writes: what it inserts goes to all places of the indexes.
    pub writer_cache_kilobytes: usize,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

impl Source {
    /// The flags to open it with.
    pub fn flags(&self) -> OpenFlags {
        // Each connection is used by one thread at a time, so SQLite need not lock it.
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        flags |=
            if self.read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
        if self.in_memory {
            flags |= OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_CREATE;
            flags.remove(OpenFlags::SQLITE_OPEN_NOFOLLOW);
        }
        flags
    }

    /// Opens a connection.
    pub fn open(&self, role: Role) -> rusqlite::Result<Connection> {
        fork::watch();
        let connection = Connection::open_with_flags(&self.name, self.flags())?;
        self.prepare(&connection, role)?;
        Ok(connection)
    }

    /// Sets up a connection that was just opened.
    pub fn prepare(&self, connection: &Connection, role: Role) -> rusqlite::Result<()> {
        connection.busy_handler(Some(wait_while_busy))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // What is planted in a file must not run: no trigger, no view, no function of the schema, no virtual
        // table, and below no CHECK constraint. What cannot be switched off is looked for: see `planted.rs`.
        // The guards in the file are for other programs; this library keeps their rules itself.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        sys::drop_modules(connection);
        // Keeps statements from being prepared anew when a bound value changes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The descriptor may be shared with others who write: a reader that closes last would otherwise
        // fold the WAL into the file.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.read_only)?;
        // Nor may anything reach into another file; a full vacuum lifts this for a moment.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        // A pattern can take its length times that of the text to be compared.
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)?;
        connection.progress_handler(OPS_BETWEEN_LOOKS, Some(call::should_stop))?;
        let bytes_max = connection.limit(Limit::SQLITE_LIMIT_LENGTH)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, SCHEMA_BYTES_MAX)?;
        connection.execute_batch(&format!(
            "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = {}; PRAGMA mmap_size = 0; \
             PRAGMA cache_size = -{}; PRAGMA synchronous = {}; \
             PRAGMA journal_size_limit = {}; PRAGMA query_only = {};",
            // Reading needs none, but for SQL of callers: what that sorts must not fill the memory.
            if role == Role::Reader { "FILE" } else { "MEMORY" },
            if role == Role::Reader { self.cache_kilobytes } else { self.writer_cache_kilobytes },
            self.synchronous,
            checkpoints::FILE_BYTES_MAX,
            if role == Role::Reader { "ON" } else { "OFF" },
        ))?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes_max)?;
        if role == Role::Reader {
            connection.authorizer(Some(authorize))?;
        }
        Ok(())
    }
}

/// What SQLite is told for a synchronous mode (<https://sqlite.org/pragma.html#pragma_synchronous>). With a
/// rollback journal its levels promise less than ours: at its NORMAL a power cut can damage the file, since how
/// much of the journal is valid is written before that is on the medium; and at its FULL a journal that was
/// removed can come back and take the last transaction back, though it was committed.
pub(super) fn level<'a>(synchronous: &'a str, journal_mode: &str) -> &'a str {
    match synchronous {
        "FULL" => "EXTRA",
        "NORMAL" if journal_mode != "WAL" => "FULL",
        other => other,
    }
}

/// Has the commits of `work` on the medium when they return, whatever the synchronous mode says.
pub(super) fn durably<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let sql = |error: rusqlite::Error| translate(&error);
    let usual: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(sql)?;
    connection.execute_batch(DURABLE).map_err(sql)?;
    let done = work(connection);
    // Where this fails it stays so, which is slower and nothing else.
    let _ = connection.execute_batch(&format!("PRAGMA synchronous = {usual}"));
    done
}

/// From here on each commit is on the medium when it returns.
pub(super) const DURABLE: &str = "PRAGMA synchronous = EXTRA";

/// What a connection that reads may do: read. It carries out statements that callers write.
fn authorize(context: AuthContext<'_>) -> Authorization {
    /// Ask about the file and change nothing.
    const PRAGMAS: [&str; 12] = [
        "application_id",
        "auto_vacuum",
        "collation_list",
        "compile_options",
        "data_version",
        "encoding",
        "freelist_count",
        "journal_mode",
        "page_count",
        "page_size",
        "schema_version",
        "user_version",
    ];
    /// Ask about what their argument names.
    const PRAGMAS_OF: [&str; 9] = [
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "table_info",
        "table_list",
        "table_xinfo",
    ];
    let is_in = |list: &[&str], name: &str| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => true,
        AuthAction::Function { function_name } => !function_name.eq_ignore_ascii_case("load_extension"),
        AuthAction::Transaction { operation } => {
            matches!(operation, TransactionOperation::Begin | TransactionOperation::Rollback)
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            is_in(&PRAGMAS_OF, pragma_name) || (pragma_value.is_none() && is_in(&PRAGMAS, pragma_name))
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

/// SQLite found a lock taken: wait for a moment, as long as the time budget of the call lasts.
fn wait_while_busy(attempts: i32) -> bool {
    call::pause(u32::try_from(attempts).unwrap_or(0))
}
