//! Changing what is stored with the entries, also how the ledger commits.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::open::{PRESENCE, at_the_gate, io};
use super::{LedgerStore, Logged};
use crate::config::Settings;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::store::Store;

impl LedgerStore {
    /// Changes a setting. A change of `commit` ends this store: the one that goes on.
    pub(super) fn change(
        &self,
        settings: &Settings,
        name: &str,
        value: &str,
    ) -> Result<Option<Box<dyn Store>>> {
        let Some(locks) = &self.locks else {
            if name == "commit" && value == "log" {
                let message = "a ledger in memory cannot have commit = log; open one in a file";
                return Err(Error::new(Status::Unsupported, message).with_field(name));
            }
            return self.sqlite.change_setting(name, value).map(|()| None);
        };
        if settings.is("commit", "log") == (name == "commit" && value == "log") && name == "commit" {
            return Ok(None);
        }
        let path = self.sqlite.place().map(|place| place.path().to_path_buf()).unwrap_or_default();
        let failed = |error: std::io::Error| io(&path, &error);
        if name != "commit" && self.logged.is_none() {
            return self.sqlite.change_setting(name, value).map(|()| None);
        }
        at_the_gate(locks, &path, true, || {
            if !locks.try_exclusive(PRESENCE).map_err(failed)? {
                let message = format!(
                    "{name} can be changed while no other process has the ledger open; close it there first"
                );
                return Err(Error::new(Status::InvalidConfig, message).with_field(name));
            }
            let changed = match (name, &self.logged) {
                ("commit", None) => self.to_log(settings).map(Some),
                ("commit", Some(logged)) => self.to_sqlite(logged).map(Some),
                (_, None) => self.sqlite.change_setting(name, value).map(|()| None),
                (_, Some(logged)) => self.change_beside_log(logged, name, value).map(|()| None),
            };
            locks.try_shared(PRESENCE).map_err(failed)?;
            changed
        })
    }

    fn to_log(&self, settings: &Settings) -> Result<Box<dyn Store>> {
        // Appends that come to this store from here on find it said in the file.
        self.sqlite.change_setting("commit", "log")?;
        hooks::point("change.to_log");
        let mut next = self.successor();
        match next.begin_log(&mut settings.clone()) {
            Ok(()) => Ok(Box::new(next)),
            Err(error) => {
                self.sqlite.change_setting("commit", "sqlite")?;
                Err(error)
            }
        }
    }

    fn to_sqlite(&self, logged: &Arc<Logged>) -> Result<Box<dyn Store>> {
        let log = logged.log()?;
        {
            let _turn = log.turn()?;
            logged.flush()?;
            self.sqlite.change_setting("commit", "sqlite")?;
            hooks::point("change.to_sqlite");
            logged.ended.store(true, Ordering::Release);
            // What memory has is all in the file, and is not kept up any more.
            logged.feeding().feeder.restart(0);
        }
        let drain = self.drain.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        drop(drain);
        log.take_away()?;
        log.leave();
        Ok(Box::new(self.successor()))
    }

    /// Changes what the file has to say of its entries, while nobody appends.
    fn change_beside_log(&self, logged: &Logged, name: &str, value: &str) -> Result<()> {
        let _turn = logged.log()?.turn()?;
        logged.flush()?;
        self.sqlite.change_setting(name, value)?;
        if name == "unique" {
            logged.unique.store(value == "timestamp_node_id", Ordering::Release);
            // What was appended while it was not unique is not known: begun anew, from the file.
            logged.feeding().is_whole = false;
        }
        Ok(())
    }

    /// A store of the same file, without a log.
    fn successor(&self) -> LedgerStore {
        LedgerStore {
            sqlite: Arc::clone(&self.sqlite),
            locks: self.locks.clone(),
            tail: Arc::clone(&self.tail),
            notices: Arc::clone(&self.notices),
            logged: None,
            drain: Mutex::new(None),
        }
    }
}
