//! Handles of ledgers, transactions and watches: a place in a table and a serial number, dressed as a
//! pointer.
//!
//! A table is never freed, so that whatever C passes in can be checked without touching memory that
//! is not ours: a stale handle has a serial number that its place no longer has, a made-up one has
//! a number that was never given. The state of a place, its serial number and how many calls are
//! inside, is one atomic word, so that entering and leaving cost an atomic operation each.
//!
//! A child that was forked inherits the table. Its places stay taken there for ever: what is in
//! them belongs to the parent.

use std::cell::UnsafeCell;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::arguments::null;
use super::{simledger_ledger, simledger_transaction, simledger_watch};
use crate::error::{Error, Result, Status};
use crate::ledger::Ledger;
use crate::sys::fork;
use crate::transaction::Transaction;
use crate::watch::Watch;

/// A C type whose pointers are handles.
pub(super) trait Handled: Sized + 'static {
    /// The Rust value behind it.
    type Inner: Send + Sync;

    /// Where the values are.
    fn table() -> &'static Table<Self::Inner>;
}

impl Handled for simledger_ledger {
    type Inner = Ledger;

    fn table() -> &'static Table<Ledger> {
        static TABLE: Table<Ledger> = Table::new(0xd7, "ledger", "simledger_open");
        &TABLE
    }
}

/// A transaction of C, and the handle of the ledger that it is for.
pub(super) type Pending = Mutex<(Transaction, LedgerHandle)>;

/// The number of a ledger handle, which may have been closed meanwhile.
#[derive(Clone, Copy)]
pub(super) struct LedgerHandle(usize);

impl LedgerHandle {
    pub fn of(handle: *const simledger_ledger) -> LedgerHandle {
        LedgerHandle(handle.addr())
    }

    pub fn get(self) -> *const simledger_ledger {
        ptr::without_provenance(self.0)
    }
}

/// A watch of C, and the handle of the ledger that it is for.
pub(super) type Watching = (Watch, LedgerHandle);

impl Handled for simledger_watch {
    type Inner = Watching;

    fn table() -> &'static Table<Watching> {
        static TABLE: Table<Watching> = Table::new(0x93, "watch", "simledger_watch_open");
        &TABLE
    }
}

impl Handled for simledger_transaction {
    type Inner = Pending;

    fn table() -> &'static Table<Pending> {
        static TABLE: Table<Pending> = Table::new(0xb5, "transaction", "simledger_transaction_begin");
        &TABLE
    }
}

// A handle is 40 bits of serial number, 16 of place and 8 of tag.
const _: () = assert!(usize::BITS == 64, "handles need pointers of 64 bits");
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

struct Place<T> {
    state: AtomicU64,
    epoch: AtomicU64,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `value` is written only by the one thread that took the place from FREE to RESERVED, or
// that set CLOSING and saw no calls left; it is read only by threads that are counted in `state`.
// Values go from thread to thread, and several threads read one at once.
unsafe impl<T: Send + Sync> Sync for Place<T> {}

type Block<T> = [Place<T>; BLOCK_PLACES];

/// The values of one kind of handle.
pub(super) struct Table<T> {
    /// The lowest byte of its handles.
    tag: u64,
    /// What its handles are called as arguments, and which function gives them.
    name: &'static str,
    giver: &'static str,
    blocks: [AtomicPtr<Block<T>>; BLOCKS],
    next_serial: AtomicU64,
    /// No place below this is free, as far as was known a moment ago.
    free_from: AtomicU64,
}

/// Told when the last call has left a place that is being closed, and when a place is free.
static LEFT: Condvar = Condvar::new();

/// A value in use by a call.
pub(super) struct InUse<T: 'static> {
    place: &'static Place<T>,
}

impl<T> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this call is counted in the state, so that nobody takes the value out.
        let value = unsafe { &*self.place.value.get() };
        value.as_ref().expect("a place with a serial number holds a value")
    }
}

impl<T> Drop for InUse<T> {
    fn drop(&mut self) {
        let before = self.place.state.fetch_sub(1, Ordering::Release);
        if before & CLOSING != 0 && before & CALLS == 1 {
            announce();
        }
    }
}

/// Gives a value a handle. It belongs to the process with this epoch.
pub(super) fn insert<H: Handled>(value: H::Inner, epoch: u64) -> Result<*mut H> {
    let table = H::table();
    let serial = table.next_serial.fetch_add(1, Ordering::Relaxed);
    let places = (BLOCKS * BLOCK_PLACES) as u64;
    let start = table.free_from.load(Ordering::Relaxed);
    let possible = if serial < SERIALS { places } else { 0 };
    for index in (0..possible).map(|offset| (start + offset) % places) {
        let place = table.place_to_fill(index);
        let taken = place.state.compare_exchange(FREE, RESERVED, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            continue;
        }
        table.free_from.store((index + 1) % places, Ordering::Relaxed);
        place.epoch.store(epoch, Ordering::Relaxed);
        // SAFETY: this thread took the place from FREE to RESERVED.
        unsafe { *place.value.get() = Some(value) };
        place.state.store(serial << SERIAL_SHIFT, Ordering::Release);
        let handle = serial << SERIAL_SHIFT | index << PLACE_SHIFT | table.tag;
        return Ok(ptr::without_provenance_mut(usize::try_from(handle).unwrap_or(0)));
    }
    let message =
        format!("{places} {}s are open in this process, the most there can be; close some", table.name);
    Err(Error::new(Status::LimitExceeded, message))
}

/// Begins a call.
pub(super) fn enter<H: Handled>(handle: *const H) -> Result<InUse<H::Inner>> {
    let table = H::table();
    let (place, serial) = table.find(handle)?;
    let mut state = place.state.load(Ordering::Relaxed);
    loop {
        if state >> SERIAL_SHIFT != serial || state & CLOSING != 0 {
            return Err(table.closed());
        }
        table.check_epoch(place)?;
        match place.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(InUse { place }),
            Err(now) => state = now,
        }
    }
}

/// Ends a handle, and `close`s its value when the calls in flight have ended.
pub(super) fn remove<H: Handled, T>(
    handle: *const H,
    close: impl FnOnce(H::Inner) -> Result<T>,
) -> Result<T> {
    let table = H::table();
    let (place, serial) = table.find(handle)?;
    table.check_epoch(place)?;
    table.take(place, serial, |_| {}, close)
}

/// The same of a ledger, where whoever waits for entries leaves at once.
pub(super) fn remove_ledger(
    handle: *const simledger_ledger,
    close: impl FnOnce(Ledger) -> Result<()>,
) -> Result<()> {
    let table = simledger_ledger::table();
    let (place, serial) = table.find(handle)?;
    table.check_epoch(place)?;
    table.take(place, serial, Ledger::begin_close, close)
}

/// Closes all ledgers of this process, one after the other. Those that others are closing at this
/// moment are waited for.
pub(super) fn close_all_ledgers(mut close: impl FnMut(Ledger) -> Result<()>) -> Result<()> {
    let table = simledger_ledger::table();
    let mut result = Ok(());
    for index in 0..(BLOCKS * BLOCK_PLACES) as u64 {
        let Some(place) = table.place_at(index) else { continue };
        let serial = place.state.load(Ordering::Acquire) >> SERIAL_SHIFT;
        if serial == 0 || table.check_epoch(place).is_err() {
            continue;
        }
        match table.take(place, serial, Ledger::begin_close, &mut close) {
            // Somebody else is closing it, or has.
            Err(error) if error.status() == Status::Closed => {
                wait(|| place.state.load(Ordering::Acquire) >> SERIAL_SHIFT != serial);
            }
            closed => result = result.and(closed),
        }
    }
    result
}

/// An error that says what cannot be done from inside a callback.
pub(super) fn inside_callback(what: &str) -> Error {
    let message =
        format!("{what} from inside its own callback, which runs within a call; do it after that call");
    Error::argument("ledger", message)
}

impl<T: 'static> Table<T> {
    const fn new(tag: u64, name: &'static str, giver: &'static str) -> Table<T> {
        Table {
            tag,
            name,
            giver,
            blocks: [const { AtomicPtr::new(ptr::null_mut()) }; BLOCKS],
            next_serial: AtomicU64::new(1),
            free_from: AtomicU64::new(0),
        }
    }

    /// `begin` is told that no further call can enter, and `close` gets the value when none is left.
    fn take<R>(
        &self,
        place: &Place<T>,
        serial: u64,
        begin: impl FnOnce(&T),
        close: impl FnOnce(T) -> Result<R>,
    ) -> Result<R> {
        /// The place is only free when the value is closed, however that ends.
        struct Free<'a, T: 'static>(&'a Table<T>, &'a Place<T>);
        impl<T> Drop for Free<'_, T> {
            fn drop(&mut self) {
                self.1.state.store(FREE, Ordering::Release);
                self.0.free_from.store(0, Ordering::Relaxed);
                announce();
            }
        }
        let open =
            |state| (state >> SERIAL_SHIFT == serial && state & CLOSING == 0).then_some(state | CLOSING);
        if place.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, open).is_err() {
            return Err(self.closed());
        }
        let _free = Free(self, place);
        // SAFETY: this thread set CLOSING, so that nobody else takes the value out.
        if let Some(value) = unsafe { &*place.value.get() } {
            begin(value);
        }
        wait(|| place.state.load(Ordering::Acquire) & CALLS == 0);
        // SAFETY: this thread set CLOSING, no call is left, and none can enter.
        let value = unsafe { (*place.value.get()).take() };
        close(value.ok_or_else(|| self.closed())?)
    }

    #[inline]
    fn find<H>(&self, handle: *const H) -> Result<(&'static Place<T>, u64)> {
        let bits = handle.addr() as u64;
        let (serial, index) = (bits >> SERIAL_SHIFT, (bits >> PLACE_SHIFT) & 0xffff);
        let given = serial > 0 && serial < self.next_serial.load(Ordering::Relaxed);
        match self.place_at(index) {
            Some(place) if bits & 0xff == self.tag && given => Ok((place, serial)),
            _ => Err(self.not_given(handle.is_null())),
        }
    }

    #[cold]
    fn not_given(&self, is_null: bool) -> Error {
        if is_null {
            return null(self.name);
        }
        Error::argument(self.name, format!("{} is not a handle that {} gave", self.name, self.giver))
    }

    fn place_at(&self, index: u64) -> Option<&'static Place<T>> {
        let index = usize::try_from(index).ok()?;
        let block = self.blocks.get(index / BLOCK_PLACES)?.load(Ordering::Acquire);
        // SAFETY: what is in the table is a block that `place_to_fill` leaked.
        let block = unsafe { block.as_ref() }?;
        block.get(index % BLOCK_PLACES)
    }

    fn place_to_fill(&self, index: u64) -> &'static Place<T> {
        loop {
            if let Some(place) = self.place_at(index) {
                return place;
            }
            let free = || Place {
                state: AtomicU64::new(FREE),
                epoch: AtomicU64::new(0),
                value: UnsafeCell::new(None),
            };
            // One by one: as a whole it would come by way of the stack of the caller, who may have little.
            let block: Box<[Place<T>]> = std::iter::repeat_with(free).take(BLOCK_PLACES).collect();
            let Ok(block) = <Box<Block<T>>>::try_from(block) else { unreachable!("as many as asked for") };
            let block = Box::into_raw(block);
            let entry = &self.blocks[usize::try_from(index).unwrap_or(0) / BLOCK_PLACES];
            let put = entry.compare_exchange(ptr::null_mut(), block, Ordering::AcqRel, Ordering::Relaxed);
            if put.is_err() {
                // SAFETY: another thread put a block there first; nobody has seen this one.
                drop(unsafe { Box::from_raw(block) });
            }
        }
    }

    fn check_epoch(&self, place: &Place<T>) -> Result<()> {
        if place.epoch.load(Ordering::Relaxed) == fork::epoch() { Ok(()) } else { Err(inherited()) }
    }

    #[cold]
    fn closed(&self) -> Error {
        Error::new(Status::Closed, format!("the {} was closed", self.name))
    }
}

#[cold]
fn inherited() -> Error {
    let message = "the handle was inherited from the process that forked this one; open the ledger here";
    Error::new(Status::Closed, message)
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
