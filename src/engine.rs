//! One engine for each open file: what its handles share, with its settings and its background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{Key, Scope, Settings};
use crate::error::{Error, Result, Status};
use crate::registry::Tenancy;
use crate::retention::Retention;
use crate::shared::Shared;
use crate::store::sqlite::Place;
use crate::watch::{Watches, Watching};

/// An open ledger and what runs beside it.
pub(crate) struct Engine {
    /// These end before what they work with.
    retention: Mutex<Option<Retention>>,
    watching: Mutex<Option<Watching>>,
    watches: Arc<Watches>,
    shared: Arc<Shared>,
    settings: Mutex<Settings>,
    /// Given up last, when nothing of the file is open any more.
    tenancy: Option<Tenancy>,
}

impl Engine {
    /// Opens the ledger at `place`, or a new one in memory.
    pub fn open(place: Option<Place>, mut settings: Settings, tenancy: Option<Tenancy>) -> Result<Engine> {
        let here = tenancy.as_ref().map_or_else(Arc::default, Tenancy::here);
        let shared = Arc::new(Shared::open(place, &mut settings, here)?);
        let engine = Engine {
            retention: Mutex::new(None),
            watching: Mutex::new(None),
            watches: Arc::default(),
            shared,
            settings: Mutex::new(settings),
            tenancy,
        };
        engine.follow_retention(&engine.settings())?;
        Ok(engine)
    }

    /// Brings the settings of one more handle in line with those of the engine and its file.
    pub fn settle(&self, settings: &mut Settings) -> Result<()> {
        let mine = self.settings();
        for scope in [Scope::File, Scope::Engine] {
            settings.settle(scope, |name| Some(mine.text(name).to_string()))?;
        }
        Ok(())
    }

    /// The value of a key as it is.
    pub fn setting(&self, name: &str) -> String {
        self.settings().text(name).to_string()
    }

    /// What the handles work with.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Changes a value that all handles share.
    pub fn set(&self, key: &Key, value: &str) -> Result<()> {
        let mut changed = self.settings().clone();
        changed.note(key.name, value);
        if key.name == "retention_seconds" {
            self.follow_retention(&changed)?;
        }
        let mut settings = self.settings();
        settings.note(key.name, value);
        self.shared.follow(&settings);
        Ok(())
    }

    /// Changes a value that is stored in the file, if `engine` is used by one handle alone.
    pub fn set_in_file(engine: &Arc<Engine>, key: &Key, value: &str) -> Result<()> {
        let change = || {
            if Arc::strong_count(engine) > 1 || !engine.tenancy.as_ref().is_none_or(Tenancy::is_alone) {
                let message = format!(
                    "{} can be changed while no other handle of the file is open in this process; close the others",
                    key.name
                );
                return Err(Error::new(Status::InvalidConfig, message).with_field(key.name));
            }
            let settings = engine.settings().clone();
            engine.shared.change_setting(&settings, key.name, value)?;
            engine.settings().note(key.name, value);
            Ok(())
        };
        match &engine.tenancy {
            // In memory there is one handle.
            None => change(),
            Some(tenancy) => tenancy.undisturbed(change).unwrap_or_else(|| {
                Err(crate::call::waited_for("another thread was opening the ledger", "try again"))
            }),
        }
    }

    /// The watches of its handles, which are looked after from now on.
    pub fn watches(&self) -> Result<Arc<Watches>> {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        if watching.is_none() {
            *watching = Some(Watching::begin(&self.shared, &self.watches)?);
        }
        Ok(Arc::clone(&self.watches))
    }

    /// Ends the watches of a handle that is being closed.
    pub fn end_watches(&self, serial: u64) {
        self.watches.end(serial);
    }

    /// Ends all use of the file.
    pub fn close(self) -> Result<()> {
        let Engine { retention, watching, shared, tenancy, .. } = self;
        drop((retention, watching));
        let closed = match Arc::into_inner(shared) {
            Some(shared) => match &tenancy {
                None => shared.close(true),
                // While nobody opens it, so that it is known whether anybody else of this process has it.
                Some(tenancy) => {
                    let mut shared = Some(shared);
                    let mut close = |alone| shared.take().map_or(Ok(()), |shared| shared.close(alone));
                    let closed = tenancy.undisturbed(|| close(tenancy.is_alone()));
                    closed.unwrap_or_else(|| close(false))
                }
            },
            None => Ok(()), // The background has ended, and nobody else has it.
        };
        drop(tenancy);
        closed
    }

    fn follow_retention(&self, settings: &Settings) -> Result<()> {
        let seconds = settings.seconds("retention_seconds");
        let mut retention = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = !seconds.is_zero() && !settings.flag("read_only");
        let next = if wanted { Some(Retention::begin(Arc::clone(&self.shared), seconds)?) } else { None };
        // The one before ends here, and is waited for.
        drop(std::mem::replace(&mut *retention, next));
        Ok(())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
