//! Durable storage, behind two traits.
//!
//! [`Feed`] is the seam between storage and what keeps recent entries in memory: what is new, and is
//! there anything. [`Store`] is the rest. A store knows nothing of caches; it finds the time budget
//! and the log of the call in [`crate::call`].
//!
//! [`sqlite`] is the ledger file, and all of a ledger with `commit = sqlite`; [`logged`] is the store
//! that ledgers are opened as, with the commit log before the file where there is one.

pub(crate) mod logged;
pub(crate) mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use self::sqlite::Usage;
use crate::chunk::Entry;
use crate::config::Settings;
use crate::entries::Entries;
use crate::entry::NewEntry;
use crate::error::Result;
use crate::event_count::EventCount;
use crate::query::Read;

/// The state of the ledger, as far as it can be told apart. Two equal values, one taken after the
/// other, mean that nothing of the kind happened between them, by anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Changes with every append and whatever else changes what there is.
    pub any: (i64, i64),
    /// Changes whenever an entry may have gone that was there.
    pub removed: i64,
}

/// What is new, and is there anything.
pub(crate) trait Feed {
    /// Brings the [tail](crate::tail) up to date, as far as there is one, with every append
    /// acknowledged before, in any process. The version of what memory knows then.
    fn refresh(&self) -> Result<Version>;

    /// The same for those who need no version: nothing where there is no tail.
    fn catch_up(&self) -> Result<()>;

    /// How one hears of what is new without asking all the time.
    fn signals(&self) -> Signals<'_>;

    /// Whether there is a tail, which then knows all that is not stored yet.
    fn is_fed(&self) -> bool;
}

/// How one hears of what is new.
pub(crate) struct Signals<'a> {
    /// Notified whenever something was appended.
    pub events: EventCount<'a>,
    /// One looks this often all the same, for what nobody notifies of.
    pub look: Duration,
}

/// Where entries are kept.
pub(crate) trait Store: Feed + Send + Sync {
    /// Writes all of the batch or nothing.
    fn append(&self, batch: &Batch<'_>) -> Result<Appended>;

    /// The entries that a query asks for, of those that are stored: newer ones may be in the tail.
    fn read(&self, read: &Read<'_>) -> Result<Stored>;

    /// How it would look for them, a line for each step.
    fn plan(&self, read: &Read<'_>) -> Result<String>;

    /// The entry with this id.
    fn get(&self, id: i64) -> Result<Option<Entry>>;

    /// How many entries are stored, and the last id of those that were counted.
    fn count(&self) -> Result<(i64, i64)>;

    /// The ids at both ends.
    fn ends(&self) -> Result<Ends>;

    /// Deletes old entries; how many.
    fn cleanup(&self, cutoff: Cutoff) -> Result<i64>;

    /// Carries out a statement that reads; its result as JSON.
    fn sql(&self, sql: &Sql<'_>) -> Result<String>;

    /// Stores all that was acknowledged.
    fn flush(&self) -> Result<()>;

    /// Puts all that was acknowledged into the file proper.
    fn checkpoint(&self) -> Result<()>;

    /// Builds the indexes anew.
    fn reindex(&self) -> Result<()>;

    /// Lets the storage learn how its data are distributed.
    fn optimize(&self) -> Result<()>;

    /// Gives space back; how many bytes.
    fn vacuum(&self, how: Vacuum) -> Result<i64>;

    /// What is not as it should be: at most so many findings, LIMIT_EXCEEDED where they take more than so many bytes.
    fn integrity_check(
        &self,
        findings_max: usize,
        bytes_max: usize,
        progress: Option<&Arc<ProgressFunction>>,
    ) -> Result<Vec<String>>;

    /// Changes a setting that is stored with the entries. Where that ends this store, the one that is
    /// in its place from now on; calls that come to this one still are CLOSED, if they write.
    fn change_setting(&self, settings: &Settings, name: &str, value: &str) -> Result<Option<Box<dyn Store>>>;

    /// Lets so many read at once from now on.
    fn set_connections_max(&self, connections_max: usize);

    /// Lets go of connections that nobody uses.
    fn release_connections(&self);

    /// The connections that read.
    fn usage(&self) -> Usage;

    /// How large it is.
    fn sizes(&self) -> Sizes;

    /// Whether other code of the process cannot drop the locks of the file; `None` where there is none.
    fn has_own_locks(&self) -> Option<bool>;

    /// Whether the storage is still where it was opened. Cheap enough for every call.
    fn check_place(&self) -> Result<()>;

    /// Ends all use of the storage, with what there is left to do. `last`: nobody else in this process
    /// has it.
    fn close(self: Box<Self>, last: bool) -> Result<()>;
}

/// What a read gave.
pub(crate) struct Stored {
    pub entries: Entries,
    /// The last id of what was stored and asked for. Above that if more was deleted already.
    pub through: i64,
    /// Whether all of that was looked at.
    pub complete: bool,
}

/// What a second entry with the same timestamp and node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDuplicate {
    Refuse,
    /// Left out if it is equal.
    IgnoreEqual,
}

/// Entries that are written together.
pub(crate) struct Batch<'a> {
    pub entries: &'a [NewEntry<'a>],
    pub on_duplicate: OnDuplicate,
    /// Written only if this is the last id that was given.
    pub expected_last_id: Option<i64>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The first id that was given; 0 if none was. The others follow without gaps.
    pub first_id: i64,
    /// How many were added.
    pub count: usize,
    /// The id of the last entry that was there already.
    pub existing_id: i64,
}

/// A statement of a caller.
pub(crate) struct Sql<'a> {
    pub text: &'a str,
    /// A JSON array or object.
    pub parameters: Option<&'a str>,
    /// What it may take.
    pub time: Duration,
    pub rows_max: usize,
    pub bytes_max: usize,
}

/// How space is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Vacuum {
    /// Free pages at the end of the file, in small transactions.
    Incremental = 1,
    /// The file is written anew, in one transaction that nobody can write beside.
    Full = 2,
}

impl Vacuum {
    /// The way with this number.
    pub fn from_code(code: i32) -> Option<Vacuum> {
        [Vacuum::Incremental, Vacuum::Full].into_iter().find(|how| *how as i32 == code)
    }
}

/// Told how far something is, from 0 to 1; false ends it.
pub type ProgressFunction = dyn Fn(f64) -> bool + Send + Sync;

/// Bytes that a ledger takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    pub file: Option<u64>,
    /// Its write-ahead log.
    pub wal: Option<u64>,
    /// What of the commit log is not yet folded in.
    pub log_pending: u64,
}

/// The ids at both ends of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Of the oldest entry there is; 0 if there is none.
    pub first: i64,
    /// Of the newest entry that ever was, cleaned up or not; 0 if there never was one.
    pub last: i64,
}

/// Which entries are old.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cutoff {
    /// Those more than so many seconds behind the ledger's clock.
    Age(f64),
    /// Those with a smaller timestamp.
    BeforeTimestamp(f64),
    /// Those with a smaller id.
    BeforeId(i64),
}
