//! One engine for each ledger file in a process, however often and by whatever name it is opened.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, Weak};

use parking_lot::Mutex;
use scheduled_thread_pool::{OnPoolDropBehavior, ScheduledThreadPool};

use crate::call;
use crate::config::Settings;
use crate::engine::Engine;
use crate::error::{Error, Result, Status};
use crate::store::sqlite::{FileId, Place, touch};
use crate::sys::fork;

/// What is open in this process. Only looked at while [`fork::steady`] is held, and never for long.
static REGISTRY: std::sync::Mutex<Option<Registry>> = std::sync::Mutex::new(None);

struct Registry {
    epoch: u64,
    slots: HashMap<FileId, Arc<Slot>>,
    /// Files that the parent had open when it forked this process.
    inherited: HashSet<FileId>,
    /// Opens pooled connections; ends with the last engine.
    scheduler: Weak<ScheduledThreadPool>,
}

/// The engines of a file. Locked while one is being opened.
#[derive(Default)]
struct Slot(Mutex<Engines>);

/// A file may be read through an engine that cannot write, but never written through two.
#[derive(Default)]
struct Engines {
    writing: Weak<Engine>,
    reading: Weak<Engine>,
}

/// Opens the ledger that the settings name. They become what is so.
pub(crate) fn open(settings: &mut Settings) -> Result<Arc<Engine>> {
    let path = settings.text("path").to_string();
    let read_only = settings.flag("read_only");
    if path == ":memory:" {
        if read_only {
            let message =
                "a ledger in memory is new and empty, so that it cannot be opened with read_only = true";
            return Err(Error::new(Status::InvalidConfig, message).with_field("read_only"));
        }
        return create(None, settings);
    }
    let place = match Place::find(&path)? {
        Some(place) => place,
        None if read_only => return Err(missing(&path, "and read_only = true creates none")),
        None => {
            // One at a time, so that nobody closes a file that another has begun to use.
            let _steady = fork::steady();
            if Place::find(&path)?.is_none() {
                touch(&path)?;
            }
            Place::find(&path)?.ok_or_else(|| missing(&path, "it was removed while it was opened"))?
        }
    };
    let slot = slot(place.id(), &path)?;
    let mut engines = match slot.0.try_lock() {
        Some(engines) => engines,
        None => slot.0.try_lock_for(call::remaining()).ok_or_else(|| {
            let message = format!("another thread has been opening \"{path}\" for all of the time-out");
            Error::new(Status::Busy, message)
        })?,
    };
    let open = engines.writing.upgrade().or_else(|| if read_only { engines.reading.upgrade() } else { None });
    if let Some(engine) = open {
        engine.check_place()?;
        engine.settle(settings)?;
        return Ok(engine);
    }
    let engine = create(Some(place), settings)?;
    *(if read_only { &mut engines.reading } else { &mut engines.writing }) = Arc::downgrade(&engine);
    Ok(engine)
}

fn create(place: Option<Place>, settings: &mut Settings) -> Result<Arc<Engine>> {
    let engine = Engine::open(place, settings.clone(), scheduler())?;
    // The engine knows what its file had settled.
    engine.settle(settings)?;
    Ok(Arc::new(engine))
}

fn missing(path: &str, why: &str) -> Error {
    Error::new(Status::Io, format!("there is no file \"{path}\", {why}")).with_field("path")
}

/// The place of a file's engines.
fn slot(id: FileId, path: &str) -> Result<Arc<Slot>> {
    with_registry(|registry| {
        if registry.inherited.contains(&id) {
            let message = format!(
                "the process that forked this one had \"{path}\" open, and SQLite in a child cannot use such a file: \
                 start the child by exec, fork before the ledger is opened, or close it in the parent before the fork"
            );
            return Err(Error::new(Status::Unsupported, message).with_field("path"));
        }
        Ok(Arc::clone(registry.slots.entry(id).or_default()))
    })
}

/// Forgets the files that nobody has open any more: after a close.
pub(crate) fn tidy() {
    with_registry(|registry| {
        registry.slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_used());
        if registry.slots.is_empty() {
            registry.slots = HashMap::new();
        }
    });
}

impl Slot {
    /// Whether an engine lives, or is being opened.
    fn is_used(&self) -> bool {
        self.0
            .try_lock()
            .is_none_or(|engines| engines.writing.strong_count() + engines.reading.strong_count() > 0)
    }
}

/// The thread that opens pooled connections, one for all ledgers.
fn scheduler() -> Arc<ScheduledThreadPool> {
    with_registry(|registry| {
        registry.scheduler.upgrade().unwrap_or_else(|| {
            let pool = ScheduledThreadPool::builder()
                .num_threads(1)
                .thread_name_pattern("simledger-{}")
                .on_drop_behavior(OnPoolDropBehavior::DiscardPendingScheduled)
                .build();
            let scheduler = Arc::new(pool);
            registry.scheduler = Arc::downgrade(&scheduler);
            scheduler
        })
    })
}

fn with_registry<T>(work: impl FnOnce(&mut Registry) -> T) -> T {
    let _steady = fork::steady();
    let mut place = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let epoch = fork::epoch();
    if let Some(parents) = place.take_if(|registry| registry.epoch != epoch) {
        let open = parents.slots.iter().filter(|(_, slot)| slot.is_used()).map(|(id, _)| *id);
        let inherited = parents.inherited.iter().copied().chain(open).collect();
        *place = Some(Registry::new(epoch, inherited));
        // What the parent had is the parent's: it must not be closed here.
        std::mem::forget(parents);
    }
    work(place.get_or_insert_with(|| Registry::new(epoch, HashSet::new())))
}

impl Registry {
    fn new(epoch: u64, inherited: HashSet<FileId>) -> Registry {
        Registry { epoch, slots: HashMap::new(), inherited, scheduler: Weak::new() }
    }
}
