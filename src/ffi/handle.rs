//! Ledger handles: a place in a table and a serial number, dressed as a pointer.
//!
//! The table is never freed, so that whatever C passes in can be checked without touching memory
//! that is not ours: a stale handle has a serial number that its place no longer has, a made-up one
//! has a number that was never given. The state of a place, its serial number and how many calls
//! are inside, is one atomic word, so that entering and leaving cost an atomic operation each.
//!
//! A child that was forked inherits the table. Its places stay taken there for ever: what is in
//! them belongs to the parent.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, PoisonError};

use super::arguments::null;
use super::simledger_ledger;
use crate::error::{Error, Result, Status};
use crate::ledger::Ledger;
use crate::sys::fork;

// A handle is 40 bits of serial number, 16 of place and 8 of tag.
const _: () = assert!(usize::BITS == 64, "handles need pointers of 64 bits");
const TAG: u64 = 0xd7;
const PLACE_SHIFT: u32 = 8;
const SERIAL_SHIFT: u32 = 24;
const SERIALS: u64 = 1 << 40;

const BLOCKS: usize = 256;
const BLOCK_PLACES: usize = 256;

// A state is 40 bits of serial number, one that says it is being closed, and 23 that count calls.
const CLOSING: u64 = 1 << 23;
const CALLS: u64 = CLOSING - 1;
/// Nobody's.
const FREE: u64 = 0;
/// Being filled: no serial number is 0.
const RESERVED: u64 = CLOSING;

struct Place {
    state: AtomicU64,
    epoch: AtomicU64,
    ledger: UnsafeCell<Option<Ledger>>,
}

// SAFETY: `ledger` is written only by the one thread that took the place from FREE to RESERVED, or
// that set CLOSING and saw no calls left; it is read only by threads that are counted in `state`.
unsafe impl Sync for Place {}

type Block = [Place; BLOCK_PLACES];

static TABLE: [AtomicPtr<Block>; BLOCKS] = [const { AtomicPtr::new(ptr::null_mut()) }; BLOCKS];
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
/// No place below this is free, as far as was known a moment ago.
static FREE_FROM: AtomicU64 = AtomicU64::new(0);

/// Told when the last call has left a place that is being closed, and when a place is free.
static LEFT: Condvar = Condvar::new();

/// A call in progress on a ledger.
pub(super) struct InUse {
    place: &'static Place,
}

impl InUse {
    pub fn ledger(&self) -> &Ledger {
        // SAFETY: this call is counted in the state, so that nobody takes the ledger out.
        let ledger = unsafe { &*self.place.ledger.get() };
        ledger.as_ref().expect("a place with a serial number holds a ledger")
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let before = self.place.state.fetch_sub(1, Ordering::Release);
        if before & CLOSING != 0 && before & CALLS == 1 {
            announce();
        }
    }
}

/// Gives a ledger a handle.
pub(super) fn insert(ledger: Ledger) -> Result<*mut simledger_ledger> {
    let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
    let places = (BLOCKS * BLOCK_PLACES) as u64;
    let start = FREE_FROM.load(Ordering::Relaxed);
    let possible = if serial < SERIALS { places } else { 0 };
    for index in (0..possible).map(|offset| (start + offset) % places) {
        let place = place_to_fill(index);
        let taken = place.state.compare_exchange(FREE, RESERVED, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            continue;
        }
        FREE_FROM.store((index + 1) % places, Ordering::Relaxed);
        place.epoch.store(ledger.epoch(), Ordering::Relaxed);
        // SAFETY: this thread took the place from FREE to RESERVED.
        unsafe { *place.ledger.get() = Some(ledger) };
        place.state.store(serial << SERIAL_SHIFT, Ordering::Release);
        let handle = serial << SERIAL_SHIFT | index << PLACE_SHIFT | TAG;
        return Ok(ptr::without_provenance_mut(usize::try_from(handle).unwrap_or(0)));
    }
    let message = format!("{places} ledgers are open in this process, the most there can be; close some");
    Err(Error::new(Status::LimitExceeded, message))
}

/// Begins a call.
pub(super) fn enter(handle: *const simledger_ledger) -> Result<InUse> {
    let (place, serial) = find(handle)?;
    let mut state = place.state.load(Ordering::Relaxed);
    loop {
        if state >> SERIAL_SHIFT != serial || state & CLOSING != 0 {
            return Err(closed());
        }
        check_epoch(place)?;
        match place.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(InUse { place }),
            Err(now) => state = now,
        }
    }
}

/// Closes the ledger of a handle with `close`, when the calls in flight have ended.
pub(super) fn remove<T>(
    handle: *const simledger_ledger,
    close: impl FnOnce(Ledger) -> Result<T>,
) -> Result<T> {
    let (place, serial) = find(handle)?;
    if enter(handle)?.ledger().is_receiving_log() {
        return Err(inside_callback("the ledger cannot be closed"));
    }
    take(place, serial, close)
}

/// Closes all ledgers of this process, one after the other. Those that others are closing at this
/// moment are waited for.
pub(super) fn remove_all(mut close: impl FnMut(Ledger) -> Result<()>) -> Result<()> {
    let mut result = Ok(());
    for index in 0..(BLOCKS * BLOCK_PLACES) as u64 {
        let Some(place) = place_at(index) else { continue };
        let serial = place.state.load(Ordering::Acquire) >> SERIAL_SHIFT;
        if serial == 0 || check_epoch(place).is_err() {
            continue;
        }
        match take(place, serial, &mut close) {
            // Somebody else is closing it, or has.
            Err(error) if error.status() == Status::Closed => {
                wait(|| place.state.load(Ordering::Acquire) >> SERIAL_SHIFT != serial);
            }
            closed => result = result.and(closed),
        }
    }
    result
}

fn take<T>(place: &Place, serial: u64, close: impl FnOnce(Ledger) -> Result<T>) -> Result<T> {
    /// The place is only free when the ledger is closed, however that ends.
    struct Free<'a>(&'a Place);
    impl Drop for Free<'_> {
        fn drop(&mut self) {
            self.0.state.store(FREE, Ordering::Release);
            FREE_FROM.store(0, Ordering::Relaxed);
            announce();
        }
    }
    let open = |state| (state >> SERIAL_SHIFT == serial && state & CLOSING == 0).then_some(state | CLOSING);
    if place.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, open).is_err() {
        return Err(closed());
    }
    let _free = Free(place);
    wait(|| place.state.load(Ordering::Acquire) & CALLS == 0);
    // SAFETY: this thread set CLOSING, no call is left, and none can enter.
    let ledger = unsafe { (*place.ledger.get()).take() };
    close(ledger.ok_or_else(closed)?)
}

/// An error that says what cannot be done from inside a log callback.
pub(super) fn inside_callback(what: &str) -> Error {
    let message =
        format!("{what} from inside its own log callback, which runs within a call; do it after that call");
    Error::argument("ledger", message)
}

fn find(handle: *const simledger_ledger) -> Result<(&'static Place, u64)> {
    if handle.is_null() {
        return Err(null("ledger"));
    }
    let bits = handle.addr() as u64;
    let (serial, index) = (bits >> SERIAL_SHIFT, (bits >> PLACE_SHIFT) & 0xffff);
    let given = serial > 0 && serial < NEXT_SERIAL.load(Ordering::Relaxed);
    match place_at(index) {
        Some(place) if bits & 0xff == TAG && given => Ok((place, serial)),
        _ => Err(Error::argument("ledger", "ledger is not a handle that simledger_open gave")),
    }
}

fn place_at(index: u64) -> Option<&'static Place> {
    let index = usize::try_from(index).ok()?;
    let block = TABLE.get(index / BLOCK_PLACES)?.load(Ordering::Acquire);
    // SAFETY: what is in the table is a block that `place_to_fill` leaked.
    let block = unsafe { block.as_ref() }?;
    block.get(index % BLOCK_PLACES)
}

fn place_to_fill(index: u64) -> &'static Place {
    loop {
        if let Some(place) = place_at(index) {
            return place;
        }
        let block: Box<Block> = Box::new(std::array::from_fn(|_| Place {
            state: AtomicU64::new(FREE),
            epoch: AtomicU64::new(0),
            ledger: UnsafeCell::new(None),
        }));
        let block = Box::into_raw(block);
        let entry = &TABLE[usize::try_from(index).unwrap_or(0) / BLOCK_PLACES];
        let put = entry.compare_exchange(ptr::null_mut(), block, Ordering::AcqRel, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: another thread put a block there first; nobody has seen this one.
            drop(unsafe { Box::from_raw(block) });
        }
    }
}

fn check_epoch(place: &Place) -> Result<()> {
    if place.epoch.load(Ordering::Relaxed) == fork::epoch() {
        return Ok(());
    }
    let message = "the handle was inherited from the process that forked this one; open the ledger here";
    Err(Error::new(Status::Closed, message))
}

fn closed() -> Error {
    Error::new(Status::Closed, "the ledger was closed")
}

fn wait(until: impl Fn() -> bool) {
    // Under the one mutex that is never held at a fork: a child can close its own ledgers.
    let mut steady = fork::steady();
    while !until() {
        steady = LEFT.wait(steady).unwrap_or_else(PoisonError::into_inner);
    }
}

fn announce() {
    // Taken so that nobody is between looking and waiting.
    drop(fork::steady());
    LEFT.notify_all();
}
