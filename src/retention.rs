//! Cleanup in the background: entries older than `retention_seconds` go by themselves.
//!
//! One thread for a ledger that wants it, and none for the others. It ends when the ledger is
//! closed, and is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::call::{Call, Terms};
use crate::error::{Error, Result, Status};
use crate::interrupt::Claim;
use crate::logging::Level;
use crate::shared::Shared;
use crate::store::Cutoff;
use crate::sys;

/// The thread that cleans up.
pub(crate) struct Retention {
    stop: Arc<Stop>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

struct Stop {
    stopped: AtomicBool,
    interrupts: Claim,
}

/// A cleanup waits at most so long for its turn; then it is tried again at the next time.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Retention {
    /// Begins to delete what is older than this.
    pub fn begin(shared: Arc<Shared>, seconds: Duration) -> Result<Retention> {
        let stop = Arc::new(Stop { stopped: AtomicBool::new(false), interrupts: Claim::new() });
        let body = {
            let stop = Arc::clone(&stop);
            move || run(&shared, seconds, &stop)
        };
        let thread = sys::spawn_quiet("simledger-retention", body).map_err(|error| {
            let message = format!("the thread for retention_seconds cannot be started: {error}");
            Error::new(Status::Io, message).with_field("retention_seconds")
        })?;
        Ok(Retention { stop, thread: Some(thread) })
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.stop.stopped.store(true, Ordering::Release);
        self.stop.interrupts.get().interrupt();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, seconds: Duration, stop: &Stop) {
    // What is gone a twentieth late is gone in time.
    let pause = (seconds / 20).clamp(Duration::from_millis(100), Duration::from_secs(60));
    let terms = Terms {
        timeout: TIMEOUT,
        retry_count: u32::MAX,
        retry_delay: Duration::from_millis(1),
        log_level: Some(Level::Info),
        interrupts: Some(stop.interrupts.get()),
    };
    while !stop.stopped.load(Ordering::Acquire) {
        let call = Call::begin(terms);
        // An interruption ends the calls that had begun before it; this one may have begun after.
        if stop.stopped.load(Ordering::Acquire) {
            break;
        }
        let cleaned = shared.check_place().and_then(|()| shared.cleanup(Cutoff::Age(seconds.as_secs_f64())));
        let mut ended = call.end();
        shared.metrics().retention_runs.add(1);
        match cleaned {
            Ok(0) => {}
            Ok(deleted) => {
                ended.lines.push((Level::Info, format!("retention_seconds: {deleted} entries were deleted")));
            }
            Err(error) if error.status() == Status::Interrupted => {}
            Err(error) => {
                shared.metrics().retention_failures.add(1);
                ended.lines.push((Level::Warn, format!("retention_seconds: cleanup failed: {error}")));
            }
        }
        shared.put_notices(ended.lines);
        // What woke the thread while it waited inside the cleanup may have been the stop: looked at
        // before sleeping, since a wake-up is given once.
        if !stop.stopped.load(Ordering::Acquire) {
            thread::park_timeout(pause);
        }
    }
}
