//! One engine for each ledger file in a process, however often and by whatever name it is opened.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use crate::call;
use crate::config::Settings;
use crate::engine::Engine;
use crate::error::{Error, Result, Status};
use crate::gate::Locked;
use crate::store::logged::Here;
use crate::store::sqlite::{FileId, Place, touch};
use crate::sys::fork;

/// What is open in this process. Only looked at while [`fork::steady`] is held, and never for long.
static REGISTRY: std::sync::Mutex<Option<Registry>> = std::sync::Mutex::new(None);

struct Registry {
    epoch: u64,
    slots: HashMap<FileId, Arc<Slot>>,
    /// What the process had open that forked this one. It is that one's: it must not be closed here, and
    /// so stays for ever.
    _parents: Option<&'static Registry>,
}

/// A file that is open, or is being opened or closed.
struct Slot {
    /// Locked while an engine is being opened.
    engines: Locked<Engines>,
    /// Engines that have something of the file open, those included that are ending.
    tenants: AtomicUsize,
    /// For the commit log.
    here: Arc<Here>,
}

/// A file may be read through an engine that cannot write, but never written through two.
#[derive(Default)]
struct Engines {
    writing: Weak<Engine>,
    reading: Weak<Engine>,
}

/// Held by an engine for as long as it has anything of its file open.
pub(crate) struct Tenancy(Arc<Slot>);

impl Tenancy {
    fn new(slot: &Arc<Slot>) -> Tenancy {
        slot.tenants.fetch_add(1, Ordering::AcqRel);
        Tenancy(Arc::clone(slot))
    }
}

impl Tenancy {
    /// Runs `work` while no handle of the file can be opened.
    pub fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.0.engines.with(|_| work())
    }

    /// What all engines of the file in this process have in common.
    pub fn here(&self) -> Arc<Here> {
        Arc::clone(&self.0.here)
    }

    /// Whether no other engine of this process has the file.
    pub fn is_alone(&self) -> bool {
        self.0.tenants.load(Ordering::Acquire) == 1
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.0.tenants.fetch_sub(1, Ordering::AcqRel);
        with_registry(|registry| {
            registry
                .slots
                .retain(|_, slot| Arc::strong_count(slot) > 1 + usize::from(Arc::ptr_eq(slot, &self.0)));
            if registry.slots.is_empty() {
                registry.slots = HashMap::new();
            }
        });
    }
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
        return create(None, None, settings);
    }
    let place = match Place::find(&path)? {
        Some(place) => place,
        None if read_only => return Err(missing(&path, "and read_only = true creates none")),
        None => {
            // One at a time, so that nobody closes a file that another has begun to use.
            let _steady = fork::steady();
            if Place::find(&path)?.is_none() {
                touch(&path, settings.mode("file_mode"))?;
            }
            Place::find(&path)?.ok_or_else(|| missing(&path, "it was removed while it was opened"))?
        }
    };
    let slot = slot(place.id());
    let waited =
        || call::waited_for(&format!("another thread was opening or closing \"{path}\""), "try again");
    let mut place = Some(place);
    for tries in 0.. {
        let opened = slot.engines.with(|engines| engines.open(&mut place, &slot, settings));
        match opened.ok_or_else(waited)?? {
            Some(engine) => return Ok(engine),
            // Nobody can wait in here for an engine that ends: it comes through here itself.
            None if call::pause(tries) => {}
            None => break,
        }
    }
    Err(waited())
}

impl Engines {
    /// The engine that serves these settings, one that is open or a new one. `None` while another one is
    /// ending: what processes agree by is one for all engines of a process.
    fn open(
        &mut self,
        place: &mut Option<Place>,
        slot: &Arc<Slot>,
        settings: &mut Settings,
    ) -> Result<Option<Arc<Engine>>> {
        let read_only = settings.flag("read_only");
        let (writing, reading) = (self.writing.upgrade(), self.reading.upgrade());
        for engine in [&writing, &reading].into_iter().flatten() {
            engine.shared().check_place()?;
            engine.settle(settings)?;
        }
        let alive = usize::from(writing.is_some()) + usize::from(reading.is_some());
        if let Some(engine) = writing.or(reading.filter(|_| read_only)) {
            return Ok(Some(engine));
        }
        if slot.tenants.load(Ordering::Acquire) > alive {
            return Ok(None);
        }
        let engine = create(place.take(), Some(Tenancy::new(slot)), settings)?;
        *(if read_only { &mut self.reading } else { &mut self.writing }) = Arc::downgrade(&engine);
        Ok(Some(engine))
    }
}

fn create(place: Option<Place>, tenancy: Option<Tenancy>, settings: &mut Settings) -> Result<Arc<Engine>> {
    let engine = Engine::open(place, settings.clone(), tenancy)?;
    // The engine knows what its file had settled.
    engine.settle(settings)?;
    Ok(Arc::new(engine))
}

fn missing(path: &str, why: &str) -> Error {
    Error::new(Status::Io, format!("there is no file \"{path}\", {why}")).with_field("path")
}

/// The place of a file's engines.
fn slot(id: FileId) -> Arc<Slot> {
    with_registry(|registry| {
        let new = || {
            Arc::new(Slot {
                tenants: AtomicUsize::new(0),
                here: Arc::default(),
                engines: Locked::new(Engines::default()),
            })
        };
        Arc::clone(registry.slots.entry(id).or_insert_with(new))
    })
}

fn with_registry<T>(work: impl FnOnce(&mut Registry) -> T) -> T {
    let _steady = fork::steady();
    let mut place = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let epoch = fork::epoch();
    if let Some(parents) = place.take_if(|registry| registry.epoch != epoch) {
        let parents: &'static Registry = Box::leak(Box::new(parents));
        *place = Some(Registry { _parents: Some(parents), ..Registry::new(epoch) });
    }
    work(place.get_or_insert_with(|| Registry::new(epoch)))
}

impl Registry {
    fn new(epoch: u64) -> Registry {
        Registry { epoch, slots: HashMap::new(), _parents: None }
    }
}
