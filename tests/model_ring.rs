//! All interleavings, and all that the memory model allows, of the places where threads and processes meet
//! without a lock: a record that is read while its room is used again, the lock word, and rows that are
//! read while further ones are added.
//!
//! The lock is the code itself, with loom's atomics, a clock that stands still but for sleeps, and sleeps
//! that end at once. The other two are models, since loom must know of every access: each says what it
//! mirrors. `LEDGER_MODEL_PREEMPTIONS` is how many preemptions are tried, 2 by default; the lock's slow way
//! has too many steps for more than that in a few seconds.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use loom::thread;

#[allow(dead_code)] // What has to do with the bytes of a file.
#[path = "../src/commit_log/lock.rs"]
mod lock;

/// What the lock needs of the crate.
mod call {
    pub fn remaining() -> std::time::Duration {
        std::time::Duration::from_secs(3600)
    }
}

mod sys {
    pub mod moment {
        use std::time::Duration;

        pub use loom::hint::spin_loop;
        pub use loom::sync::atomic::{AtomicU32, Ordering};

        pub const SPINS: u32 = 1;

        loom::thread_local! {
            /// How long this thread has slept.
            static SLEPT: std::cell::Cell<Duration> = std::cell::Cell::new(Duration::ZERO);
        }

        #[derive(Clone, Copy)]
        pub struct Instant(Duration);

        impl Instant {
            pub fn now() -> Instant {
                Instant(SLEPT.with(std::cell::Cell::get))
            }

            pub fn elapsed(self) -> Duration {
                Instant::now().0 - self.0
            }
        }

        pub fn sleep(time: Duration) {
            SLEPT.with(|slept| slept.set(slept.get() + time));
            loom::thread::yield_now();
        }
    }

    pub mod futex {
        use super::moment::{AtomicU32, Ordering, sleep};
        use std::time::Duration;

        /// Nobody is ever woken: whatever is to come of a sleep comes of its end.
        pub fn wait(word: &AtomicU32, value: u32, timeout: Duration) {
            if word.load(Ordering::Relaxed) == value {
                sleep(timeout);
            }
        }

        pub fn wake(_: &AtomicU32, _: u32) {}
    }

    pub mod files {
        /// The number of a process that is dead; 0: none.
        pub struct FileLocks(pub u32);

        impl FileLocks {
            pub fn is_locked_by_others(&self, bytes: std::ops::Range<u64>) -> std::io::Result<bool> {
                Ok(bytes.start & u64::from(u32::MAX) != u64::from(self.0))
            }
        }
    }
}

/// The main thread only starts others and waits for them: loom does not let what they do come before what
/// it does itself.
fn check(what: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    let preemptions = std::env::var("LEDGER_MODEL_PREEMPTIONS");
    model.preemption_bound = Some(preemptions.map_or(2, |bound| bound.parse().expect("a number")));
    model.check(what);
}

/// Whether some interleaving fails.
fn fails(what: impl Fn() + Send + Sync + 'static) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(what))).is_err()
}

/// What of the reading and writing of records may be left out, to see that it is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Without {
    Nothing,
    /// The look at the reclaimed position behind the words.
    Look,
    /// The fence between the reclaimed position and the words that are written.
    ReleaseFence,
    /// The fence between the words that are read and the reclaimed position.
    AcquireFence,
    /// The order of the words before the published position.
    ReleaseOfPublished,
}

/// The ring with room for one record of two words, which both say which record it is. As in the log, but
/// there a checksum says whether words are of one record: here nobody looks, so that it is the positions
/// and fences alone that must keep a reader from using what was written over.
struct Ring {
    words: [AtomicU64; 2],
    reclaimed: AtomicU64,
    published: AtomicU64,
    without: Without,
}

impl Ring {
    fn new(without: Without) -> Ring {
        Ring {
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            reclaimed: AtomicU64::new(0),
            published: AtomicU64::new(0),
            without,
        }
    }

    /// `Turn::begin` with `CommitLog::reclaim`, `Turn::finish` with `Mapping::write`, and `Turn::publish`.
    fn append(&self) {
        let end = self.published.load(Ordering::Acquire);
        if end > 0 {
            self.reclaimed.store(end, Ordering::Relaxed);
            if self.without != Without::ReleaseFence {
                fence(Ordering::Release);
            }
        }
        for word in &self.words {
            word.store(end + 1, Ordering::Relaxed);
        }
        let order = match self.without {
            Without::ReleaseOfPublished => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        self.published.store(end + 1, order);
    }

    /// `CommitLog::read` with `Mapping::read` and `CommitLog::is_reclaimed`. `None`: reclaimed.
    fn read(&self, position: u64) -> Option<[u64; 2]> {
        let words = [self.words[0].load(Ordering::Relaxed), self.words[1].load(Ordering::Relaxed)];
        if self.without != Without::AcquireFence {
            fence(Ordering::Acquire);
        }
        // `Mapping::load` is an acquire load; what it stands behind is ordered by the fence alone.
        let reclaimed = self.reclaimed.load(Ordering::Acquire);
        (self.without == Without::Look || reclaimed <= position).then_some(words)
    }
}

fn read_beside_appends(without: Without) -> impl Fn() {
    move || {
        let ring = Arc::new(Ring::new(without));
        let writer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || (0..2).for_each(|_| ring.append()))
        };
        let reader = thread::spawn(move || {
            let published = ring.published.load(Ordering::Acquire);
            if let Some(position) = published.checked_sub(1)
                && let Some(words) = ring.read(position)
            {
                assert_eq!(words, [position + 1; 2], "a record that was written over is used");
            }
        });
        writer.join().unwrap();
        reader.join().unwrap();
    }
}

#[test]
fn what_is_read_of_a_record_is_of_that_record_or_not_used() {
    check(read_beside_appends(Without::Nothing));
}

#[test]
fn each_part_of_that_is_needed() {
    for without in [Without::Look, Without::ReleaseFence, Without::AcquireFence, Without::ReleaseOfPublished]
    {
        assert!(fails(read_beside_appends(without)), "{without:?}");
    }
}

/// Two processes with a fold between them: what the folder has read is not written over before it has
/// read it, though it never looks at the reclaimed position. `CommitLog::fold` and `Turn::has_room`.
fn fold_beside_append(order: Ordering) -> impl Fn() {
    move || {
        let shared = Arc::new((AtomicU64::new(1), AtomicU64::new(0)));
        let folder = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                assert_eq!(shared.0.load(Ordering::Relaxed), 1, "it was written over");
                shared.1.fetch_max(1, Ordering::AcqRel);
            })
        };
        let writer = thread::spawn(move || {
            if shared.1.load(order) == 1 {
                shared.0.store(2, Ordering::Relaxed);
            }
        });
        folder.join().unwrap();
        writer.join().unwrap();
    }
}

#[test]
fn room_is_used_again_when_it_was_folded() {
    check(fold_beside_append(Ordering::Acquire));
}

/// `Grow::push` and its readers (src/sys/grow.rs), with loom's cells, which know of every access that is
/// not ordered.
struct Rows {
    words: Vec<loom::cell::UnsafeCell<u64>>,
    begun: AtomicUsize,
    filled: AtomicUsize,
    text_filled: AtomicUsize,
    order: Ordering,
}

impl Rows {
    fn new(order: Ordering) -> Rows {
        Rows {
            words: (0..3).map(|_| loom::cell::UnsafeCell::new(0)).collect(),
            begun: AtomicUsize::new(0),
            filled: AtomicUsize::new(0),
            text_filled: AtomicUsize::new(0),
            order,
        }
    }

    fn push(&self, value: u64) {
        let row = self.filled.load(Ordering::Acquire);
        let at = self.text_filled.load(Ordering::Relaxed);
        assert_eq!(at, row * 10, "the texts of all rows before");
        let begun = self.begun.compare_exchange(row, row + 1, Ordering::Acquire, Ordering::Relaxed);
        assert!(begun.is_ok(), "rows are added by one thread at a time");
        self.words[row].with_mut(|word| {
            // SAFETY: loom finds it if anybody else has it.
            unsafe { *word = value }
        });
        self.text_filled.store(at + 10, self.order);
        self.filled.store(row + 1, self.order);
    }

    fn read(&self) {
        let filled = self.filled.load(Ordering::Acquire);
        assert!(self.text_filled.load(Ordering::Acquire) >= filled * 10, "their texts may be read too");
        for row in 0..filled {
            self.words[row].with(|word| {
                // SAFETY: as above.
                assert_eq!(unsafe { *word }, row as u64 + 7);
            });
        }
    }
}

/// Two that add in turn, as the feeder does under its mutex, and one that reads without it.
fn read_beside_rows(order: Ordering) -> impl Fn() {
    move || {
        let rows = Arc::new(Rows::new(order));
        let turn = Arc::new(loom::sync::Mutex::new(7));
        let add = |rows: &Rows, turn: &loom::sync::Mutex<u64>| {
            let mut next = turn.lock().unwrap();
            rows.push(*next);
            *next += 1;
        };
        let other = {
            let (rows, turn) = (Arc::clone(&rows), Arc::clone(&turn));
            thread::spawn(move || add(&rows, &turn))
        };
        let reader = {
            let rows = Arc::clone(&rows);
            thread::spawn(move || rows.read())
        };
        let one = thread::spawn(move || {
            add(&rows, &turn);
            rows.read();
        });
        one.join().unwrap();
        other.join().unwrap();
        reader.join().unwrap();
    }
}

#[test]
fn rows_are_read_while_others_are_added() {
    check(read_beside_rows(Ordering::Release));
    assert!(fails(read_beside_rows(Ordering::Relaxed)));
}

/// `Tail::last`, stored by `Feeder::show`, against `Logged::decoded` and what `Logged::refresh` looks at: who
/// finds everything decoded sees all of it.
fn refresh_beside_decoding(order: Ordering) -> impl Fn() {
    move || {
        let shared = Arc::new([AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)]);
        let decoder = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let [published, last, decoded] = &*shared;
                published.store(1, Ordering::Release);
                last.store(1, Ordering::Release);
                decoded.store(1, order);
            })
        };
        let reader = thread::spawn(move || {
            let [published, last, decoded] = &*shared;
            let seen = published.load(Ordering::Acquire);
            if decoded.load(Ordering::Acquire) == seen {
                assert!(last.load(Ordering::Acquire) >= seen);
            }
        });
        decoder.join().unwrap();
        reader.join().unwrap();
    }
}

#[test]
fn who_finds_everything_decoded_sees_it() {
    check(refresh_beside_decoding(Ordering::Release));
    assert!(fails(refresh_beside_decoding(Ordering::Relaxed)));
}

/// `CommitLog::is_reclaimed` looks at `drained` behind `reclaimed`, and takes it for damage where nothing was
/// drained: who finds a record given up must find it drained.
fn reclaimed_then_drained(order: Ordering) -> impl Fn() {
    move || {
        let (drained, reclaimed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let folder = {
            let drained = Arc::clone(&drained);
            thread::spawn(move || {
                drained.fetch_max(1, Ordering::AcqRel);
            })
        };
        let writer = {
            let (drained, reclaimed) = (Arc::clone(&drained), Arc::clone(&reclaimed));
            thread::spawn(move || reclaimed.store(drained.load(Ordering::Acquire), order))
        };
        let reader = thread::spawn(move || {
            if reclaimed.load(Ordering::Acquire) == 1 {
                assert_eq!(drained.load(Ordering::Acquire), 1);
            }
        });
        for thread in [folder, writer, reader] {
            thread.join().unwrap();
        }
    }
}

#[test]
fn what_is_given_up_is_seen_to_be_drained() {
    check(reclaimed_then_drained(Ordering::Release));
    assert!(fails(reclaimed_then_drained(Ordering::Relaxed)));
}

/// Processes with these numbers take the lock that is at first like this, each once, while the process with
/// the number `dead` is dead; loom finds it if two have it at once.
fn take_turns(word: u32, dead: u32, numbers: &'static [u32]) -> impl Fn() {
    fn turn(shared: &(AtomicU32, loom::cell::UnsafeCell<u32>), number: u32, dead: u32) {
        assert!(lock::take(&shared.0, number, &sys::files::FileLocks(dead)).is_some());
        shared.1.with_mut(|count| {
            // SAFETY: loom finds it if anybody else has it.
            unsafe { *count += 1 }
            // Long enough that others look whether the holder is dead.
            let looks = if number == dead { 10 } else { 0 };
            (0..looks).for_each(|_| thread::yield_now());
        });
        lock::give_back(&shared.0);
    }
    move || {
        let shared = Arc::new((AtomicU32::new(word), loom::cell::UnsafeCell::new(0)));
        let threads: Vec<_> = numbers
            .iter()
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || turn(&shared, *number, dead))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // SAFETY: as above.
        shared.1.with(|count| assert_eq!(unsafe { *count }, numbers.len() as u32));
        let (waited_for, urgent) = (1 << 31, 1 << 30);
        assert_eq!(shared.0.load(Ordering::Relaxed) & !(waited_for | urgent), 0, "it was given back");
    }
}

#[test]
fn one_at_a_time_has_the_lock() {
    check(take_turns(0, 0, &[2, 3]));
    check(take_turns(0, 0, &[2, 2]));
}

#[test]
fn the_lock_of_the_dead_is_taken_over_by_one() {
    check(take_turns(1, 1, &[2, 3]));
}

#[test]
fn one_that_was_urgent_and_died_leaves_no_trace() {
    for word in [1 << 30, 1 << 31, 3 << 30, 1 | 3 << 30] {
        check(take_turns(word, 1, &[2, 3]));
    }
}

#[test]
fn a_number_that_lives_again_is_two_with_the_lock() {
    // Number 2 is said to be dead, and is not.
    assert!(fails(take_turns(0, 2, &[2, 3])));
}
