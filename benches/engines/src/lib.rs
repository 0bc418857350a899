//! fjall behind a few C functions. What fails returns -1 or NULL, and says why by `fjall_error`.
//!
//! A tree is a keyspace, named by one byte. Pointers must be what the functions gave; keys and values are
//! lent for the call.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::slice;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

fn told<T>(result: fjall::Result<T>) -> Option<T> {
    result
        .map_err(|error| {
            let text = CString::new(format!("{error:?}")).unwrap_or_default();
            ERROR.with(|last| *last.borrow_mut() = text);
        })
        .ok()
}

pub struct Db {
    database: Database,
    entries: Keyspace,
    trees: HashMap<u8, Keyspace>,
}

impl Db {
    fn open(folder: &str) -> fjall::Result<Self> {
        let database = Database::builder(folder).open()?;
        let mut trees = HashMap::new();
        for name in ["e", "u", "t", "n", "c"] {
            let tree = database.keyspace(name, KeyspaceCreateOptions::default)?;
            trees.insert(name.as_bytes()[0], tree);
        }
        Ok(Self { database, entries: trees[&b'e'].clone(), trees })
    }
}

pub struct Batch {
    db: *const Db,
    writing: Option<OwnedWriteBatch>,
}

type Visit = extern "C" fn(*mut c_void, u64, *const c_char, usize);

unsafe fn bytes<'a>(at: *const c_char, len: usize) -> &'a [u8] {
    // SAFETY: the caller lends `len` bytes there.
    unsafe { slice::from_raw_parts(at.cast(), len) }
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_version() -> *const c_char {
    concat!(env!("FJALL_VERSION"), "\0").as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn honker_version() -> *const c_char {
    concat!(env!("HONKER_VERSION"), "\0").as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_error() -> *const c_char {
    ERROR.with(|last| last.borrow().as_ptr())
}

/// # Safety
/// `folder` ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fjall_open(folder: *const c_char) -> *mut Db {
    // SAFETY: see above.
    let folder = unsafe { CStr::from_ptr(folder) }.to_string_lossy();
    told(Db::open(&folder)).map_or(std::ptr::null_mut(), |db| Box::into_raw(Box::new(db)))
}

/// # Safety
/// `db` is from `fjall_open` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fjall_close(db: *mut Db) {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(db) });
}

/// # Safety
/// See the comment of the crate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fjall_has(db: &Db, tree: u8, key: *const c_char, len: usize) -> c_int {
    // SAFETY: lent by the caller.
    let key = unsafe { bytes(key, len) };
    told(db.trees[&tree].contains_key(key)).map_or(-1, c_int::from)
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_last_id(db: &Db) -> u64 {
    let last = db.entries.last_key_value().and_then(|guard| told(guard.key()));
    last.map_or(0, |key| id_of(&key))
}

fn id_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_sync(db: &Db) -> c_int {
    told(db.database.persist(PersistMode::SyncData)).map_or(-1, |()| 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_batch_new(db: &Db) -> *mut Batch {
    Box::into_raw(Box::new(Batch { db, writing: None }))
}

/// # Safety
/// `batch` is from `fjall_batch_new` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fjall_batch_free(batch: *mut Batch) {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(batch) });
}

/// # Safety
/// See the comment of the crate; the database is still open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fjall_batch_put(
    batch: &mut Batch,
    tree: u8,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
) {
    // SAFETY: the database outlives its batches, and the caller lends the bytes.
    let (db, key, value) = unsafe { (&*batch.db, bytes(key, key_len), bytes(value, value_len)) };
    let writing = batch.writing.get_or_insert_with(|| db.database.batch());
    writing.insert(&db.trees[&tree], key, value);
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_batch_write(batch: &mut Batch) -> c_int {
    batch.writing.take().map_or(0, |writing| told(writing.commit()).map_or(-1, |()| 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_get(db: &Db, id: u64, visit: Visit, user: *mut c_void) -> c_int {
    let Some(found) = told(db.entries.get(id.to_be_bytes())) else { return -1 };
    if let Some(value) = found {
        visit(user, id, value.as_ptr().cast(), value.len());
    }
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn fjall_scan(db: &Db, from: u64, limit: usize, visit: Visit, user: *mut c_void) -> c_int {
    for guard in db.entries.range(from.to_be_bytes()..).take(limit) {
        let Some((key, value)) = told(guard.into_inner()) else { return -1 };
        visit(user, id_of(&key), value.as_ptr().cast(), value.len());
    }
    0
}
