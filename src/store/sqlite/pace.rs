//! Long work in short transactions: how much each of them does, and what is left to others between two.
//!
//! Who waits for a transaction that is under way is not to notice: with `commit = sqlite` all who append
//! do, with `commit = log` the drain alone. So a step takes its time, whatever the disk and the size of
//! the file make of it; and since other processes that wait look again after a while, and stand in no
//! line, the file is left alone after each step for as long as that took.

use std::thread;
use std::time::Duration;

use crate::call;
use crate::error::Result;

/// What a step is to take where appends wait for it.
const STEP: Duration = Duration::from_millis(1);

/// The same where the drain alone waits, or an append takes syncs of many milliseconds itself. In longer
/// steps more of the rows share their pages, and their syncs.
const LONG_STEP: Duration = Duration::from_millis(50);

/// Rows, or pages, of the smallest step, the first, and the largest.
const LEAST: i64 = 8;
const FIRST: i64 = 16;
const MOST: i64 = 10_000;

/// The longest rest, however long a step took.
const REST_MAX: Duration = Duration::from_millis(20);

/// How the work gets on.
pub(super) struct Pace {
    step: Duration,
    amount: i64,
}

impl Pace {
    /// `logged`: whether entries come by the commit log. `synced`: whether each transaction waits for the
    /// medium.
    pub fn new(logged: bool, synced: bool) -> Pace {
        let step = if logged || synced { LONG_STEP } else { STEP };
        Pace { step, amount: FIRST }
    }

    /// How much the next step is to do.
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// A step took so long: what follows is measured by it, and others get their turn before that.
    pub fn rest(&mut self, took: Duration) -> Result<()> {
        self.follow(took);
        let rest = took.min(REST_MAX);
        // Far too short to be interrupted.
        thread::sleep(rest);
        call::renew();
        call::check()
    }

    fn follow(&mut self, took: Duration) {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let fitting = self.amount.saturating_mul(nanos(self.step)) / nanos(took).max(1);
        // By and by: a single step may have waited for the disk.
        self.amount = fitting.clamp(self.amount / 2, self.amount * 2).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_what_fits_into_their_time() {
        let mut pace = Pace::new(false, false);
        for each in [2, 20, 100, 3] {
            let each = Duration::from_micros(each);
            for _ in 0..20 {
                pace.follow(each * u32::try_from(pace.amount()).unwrap());
            }
            let whole = each * u32::try_from(pace.amount()).unwrap();
            assert!(whole <= STEP && whole > STEP / 2, "{each:?} each: {} of them", pace.amount());
        }
        pace.follow(Duration::from_secs(1000));
        assert!(
            pace.amount() >= i64::try_from(STEP.as_micros()).unwrap() / 3 / 4,
            "one slow step does not slow all others"
        );
        (0..100).for_each(|_| pace.follow(Duration::ZERO));
        assert_eq!(pace.amount(), MOST);
        (0..100).for_each(|_| pace.follow(Duration::from_secs(1)));
        assert_eq!(pace.amount(), LEAST, "it always gets on");
    }
}
