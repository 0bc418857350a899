//! Changing what is stored with the entries, also how the ledger commits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::open::wake_of;
use super::wake::Wake;
use super::{LedgerStore, Logged};
use crate::call;
use crate::commit_log::CommitLog;
use crate::config::Settings;
use crate::error::{Error, Result, Status};
use crate::hooks;
use crate::logging::Level;
use crate::store::Store;

impl LedgerStore {
    /// Changes a setting. A change of `commit` ends this store: the one that goes on.
    pub(super) fn change(
        &self,
        settings: &Settings,
        name: &str,
        value: &str,
    ) -> Result<Option<Box<dyn Store>>> {
        let Some(gate) = &self.gate else {
            if name == "commit" && value == "log" {
                let message = "a ledger in memory cannot have commit = log; open one in a file";
                return Err(Error::new(Status::Unsupported, message).with_field(name));
            }
            return self.sqlite.change_setting(name, value).map(|()| None);
        };
        if name == "commit" && settings.is("commit", value) {
            return Ok(None);
        }
        if name != "commit" && self.logged.is_none() {
            return self.sqlite.change_setting(name, value).map(|()| None);
        }
        gate.alone(name, || match (name, &self.logged) {
            ("commit", None) => self.to_log(settings).map(Some),
            ("commit", Some(logged)) => self.to_sqlite(logged).map(Some),
            (_, None) => self.sqlite.change_setting(name, value).map(|()| None),
            (_, Some(logged)) => self.change_beside_log(logged, name, value).map(|()| None),
        })
    }

    fn to_log(&self, settings: &Settings) -> Result<Box<dyn Store>> {
        let mut next = self.successor(Wake::alone());
        // Appends that come to this store from here on find it said in the file.
        let begun = self.sqlite.change_setting("commit", "log").and_then(|()| {
            hooks::point("change.to_log");
            next.begin_log(&mut settings.clone(), true)
        });
        match begun {
            Ok(()) => {
                self.wake.take_away();
                Ok(Box::new(next))
            }
            Err(error) => {
                drop(next);
                // Where this fails too, whoever writes next tries again.
                self.unfinished.store(true, Ordering::Release);
                let _ = self.put_back();
                Err(error)
            }
        }
    }

    /// Ends a change of `commit` that failed half-way: the file may say how it was to be, and this store does as it was.
    /// Alone.
    fn put_back(&self) -> Result<()> {
        let Some(gate) = &self.gate else { return Ok(()) };
        let said = self.sqlite.file_settings()?;
        let is_logged = said.iter().any(|(name, value)| *name == "commit" && value.as_deref() == Some("log"));
        if let Some(logged) = &self.logged {
            if !is_logged {
                self.sqlite.change_setting("commit", "log")?;
            }
            logged.ended.store(false, Ordering::Release);
        } else if is_logged {
            let identity = self.sqlite.log_identity()?;
            let locks = Arc::clone(&gate.locks);
            if let Some(log) = CommitLog::open_to_read(&gate.path, &identity, locks, false)? {
                if log.pending() > 0 {
                    let message =
                        "another process has gone on with commit = log; close this ledger, and open it again";
                    return Err(Error::new(Status::InvalidConfig, message).with_field("commit"));
                }
                log.take_away()?;
            }
            self.sqlite.change_setting("commit", "sqlite")?;
        }
        self.unfinished.store(false, Ordering::Release);
        Ok(())
    }

    /// The same before something is written.
    #[inline]
    pub(super) fn finish_change(&self) -> Result<()> {
        if !self.unfinished.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(gate) = &self.gate else { return Ok(()) };
        gate.alone("commit", || {
            if !self.unfinished.load(Ordering::Acquire) {
                return Ok(());
            }
            // Nor must a power cut bring back what is put back now.
            self.sqlite.sync()?;
            self.put_back()
        })
    }

    fn to_sqlite(&self, logged: &Arc<Logged>) -> Result<Box<dyn Store>> {
        let log = logged.log()?;
        {
            let _turn = log.turn()?;
            logged.flush()?;
            // From here on appends and the drain wait for what becomes of it.
            logged.ended.store(true, Ordering::Release);
            if let Err(error) = self.sqlite.change_setting("commit", "sqlite") {
                // It may be so all the same. Where that cannot be known nobody appends until it is.
                self.unfinished.store(true, Ordering::Release);
                let _ = self.put_back();
                return Err(error);
            }
            hooks::point("change.to_sqlite");
            // What memory has is all in the file, and is not kept up any more.
            logged.feeding().feeder.restart(0);
        }
        let drain = self.drain.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(drain);
        // A log that cannot be taken away has nothing in it, and is in nobody's way.
        if let Err(error) = log.take_away() {
            call::log(Level::Warn, || format!("the empty commit log stays: {error}"));
        }
        log.leave();
        Ok(Box::new(self.successor(wake_of(&self.sqlite))))
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
    fn successor(&self, wake: Wake) -> LedgerStore {
        LedgerStore {
            sqlite: Arc::clone(&self.sqlite),
            gate: self.gate.clone(),
            tail: Arc::clone(&self.tail),
            notices: Arc::clone(&self.notices),
            wake,
            logged: None,
            unfinished: AtomicBool::new(false),
            drain: Mutex::new(None),
        }
    }
}
