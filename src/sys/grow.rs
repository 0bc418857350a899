//! Rows of numbers and texts in fixed memory, that one thread at a time adds to while any number of
//! threads read the rows before.
//!
//! This is what lets a result share memory with entries that are still being added: nothing that was
//! ever read moves or changes.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::UnsafeCell;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of `NUMBERS` words and `TEXTS` texts. The words of a column stand behind one another; the
/// place and length of each text are two more columns. Each text is followed by a NUL.
pub(crate) struct Grow<const NUMBERS: usize, const TEXTS: usize> {
    rows_max: usize,
    words: Box<[UnsafeCell<u64>]>,
    text: Box<[UnsafeCell<u8>]>,
    /// Rows that somebody has begun to add.
    begun: AtomicUsize,
    /// Rows that may be read.
    filled: AtomicUsize,
    /// Bytes of their texts.
    text_filled: AtomicUsize,
}

// SAFETY: what may be read, `filled` rows and `text_filled` bytes, is never written again; what lies
// behind is written only by the one thread that moved `begun` on (see `push`), and becomes readable by
// a release store.
unsafe impl<const NUMBERS: usize, const TEXTS: usize> Sync for Grow<NUMBERS, TEXTS> {}

const _: () = assert!(usize::BITS == 64, "columns hold sizes as words");

impl<const NUMBERS: usize, const TEXTS: usize> Grow<NUMBERS, TEXTS> {
    /// Room for so many rows and so many bytes of text, NULs included. `None` without the memory.
    /// Memory that nothing is added to is never touched.
    pub fn new(rows_max: usize, text_max: usize) -> Option<Self> {
        Some(Grow {
            rows_max,
            words: zeroed(rows_max.checked_mul(NUMBERS + 2 * TEXTS)?)?,
            text: zeroed(text_max)?,
            begun: AtomicUsize::new(0),
            filled: AtomicUsize::new(0),
            text_filled: AtomicUsize::new(0),
        })
    }

    /// Adds a row; false if there is no room for it.
    ///
    /// # Panics
    /// When two threads do so at once.
    pub fn push(&self, numbers: [u64; NUMBERS], texts: [&str; TEXTS]) -> bool {
        let row = self.filled.load(Ordering::Acquire);
        let mut at = self.text_filled.load(Ordering::Relaxed);
        let added: usize = texts.iter().map(|text| text.len() + 1).sum();
        if row == self.rows_max || added > self.text.len() - at {
            return false;
        }
        let begun = self.begun.compare_exchange(row, row + 1, Ordering::Acquire, Ordering::Relaxed);
        assert!(begun.is_ok(), "rows are added by one thread at a time");
        let put = |column: usize, word: u64| {
            // SAFETY: this thread alone has begun this row, and nobody reads it before it is filled.
            unsafe { *self.words[column * self.rows_max + row].get() = word };
        };
        for (column, number) in numbers.into_iter().enumerate() {
            put(column, number);
        }
        for (index, text) in texts.into_iter().enumerate() {
            put(NUMBERS + 2 * index, at as u64);
            put(NUMBERS + 2 * index + 1, text.len() as u64);
            let place = self.text[at..at + text.len()].as_ptr();
            // SAFETY: as above, for bytes behind those that may be read; they are in bounds, and no
            // text from outside lies in this memory's unread part. The NUL is there already.
            unsafe { UnsafeCell::raw_get(place).copy_from_nonoverlapping(text.as_ptr(), text.len()) };
            at += text.len() + 1;
        }
        self.text_filled.store(at, Ordering::Release);
        self.filled.store(row + 1, Ordering::Release);
        true
    }

    /// How many rows may be read.
    pub fn len(&self) -> usize {
        self.filled.load(Ordering::Acquire)
    }

    /// Bytes of text that may be read.
    pub fn text_len(&self) -> usize {
        self.text_filled.load(Ordering::Acquire)
    }

    /// A word of a row that may be read.
    pub fn word(&self, column: usize, row: usize) -> u64 {
        assert!(row < self.len() && column < NUMBERS + 2 * TEXTS, "a row that is there");
        // SAFETY: in bounds, since there are no more rows than `rows_max`; a row that may be read is never
        // written again.
        unsafe { *self.words.get_unchecked(column * self.rows_max + row).get() }
    }

    /// A text of a row that may be read.
    pub fn text_of(&self, index: usize, row: usize) -> &str {
        let column = NUMBERS + 2 * index;
        // Sizes were sizes when they were put in.
        let (at, len) = (self.word(column, row) as usize, self.word(column + 1, row) as usize);
        // SAFETY: these bytes may be read, since the row may; `push` copied a whole `str` there.
        unsafe {
            str::from_utf8_unchecked(slice::from_raw_parts(self.text.as_ptr().cast::<u8>().add(at), len))
        }
    }

    /// All texts, each with its NUL.
    pub fn text(&self) -> &str {
        // SAFETY: these bytes may be read; they are texts and NULs behind one another.
        unsafe { str::from_utf8_unchecked(slice::from_raw_parts(self.text.as_ptr().cast(), self.text_len())) }
    }

    /// A column as integers.
    pub fn integers(&self, column: usize) -> &[i64] {
        // SAFETY: any word is one.
        unsafe { self.column(column) }
    }

    /// A column as floating-point numbers.
    pub fn reals(&self, column: usize) -> &[f64] {
        // SAFETY: any word is one.
        unsafe { self.column(column) }
    }

    /// A column as sizes.
    pub fn sizes(&self, column: usize) -> &[usize] {
        // SAFETY: any word is one.
        unsafe { self.column(column) }
    }

    /// # Safety
    /// Any word is a `T`.
    unsafe fn column<T>(&self, column: usize) -> &[T] {
        const { assert!(size_of::<T>() == 8 && align_of::<T>() <= 8) };
        let words = &self.words[column * self.rows_max..(column + 1) * self.rows_max];
        // SAFETY: rows that may be read are in bounds and never written again; a cell is like what is
        // in it, and that is a `T`.
        unsafe { slice::from_raw_parts(words.as_ptr().cast(), self.len()) }
    }
}

/// Zeroes, in memory that is not touched yet.
fn zeroed<T: Zeroable>(count: usize) -> Option<Box<[UnsafeCell<T>]>> {
    if count == 0 {
        return Some(Box::new([]));
    }
    let layout = Layout::array::<UnsafeCell<T>>(count).ok()?;
    // SAFETY: the layout is not of size 0.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        return None;
    }
    let cells = std::ptr::slice_from_raw_parts_mut(memory.cast::<UnsafeCell<T>>(), count);
    // SAFETY: allocated for such a slice, by the allocator of `Box`, and zero is a value of it.
    Some(unsafe { Box::from_raw(cells) })
}

/// Types of which zeroed memory is a value.
trait Zeroable {}
impl Zeroable for u64 {}
impl Zeroable for u8 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_there_stays() {
        let rows = Grow::<1, 2>::new(2, 9).unwrap();
        assert!(rows.push([7], ["ab", "c"]));
        assert!(!rows.push([8], ["abc", ""]), "5 bytes of 4");
        assert!(rows.push([9], ["", "de"]));
        assert!(!rows.push([10], ["", ""]), "a third row of two");
        assert_eq!((rows.integers(0), rows.text()), (&[7, 9][..], "ab\0c\0\0de\0"));
        assert_eq!((rows.text_of(0, 1), rows.text_of(1, 1)), ("", "de"));
        assert_eq!((rows.sizes(1), rows.sizes(4)), (&[0, 5][..], &[1, 2][..]));
    }

    #[test]
    fn who_reads_sees_whole_rows_while_others_are_added() {
        const ROWS: usize = 20_000;
        let rows = Grow::<1, 1>::new(ROWS, ROWS * 8).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut seen = 0;
                    while seen < ROWS {
                        let now = rows.len();
                        assert!(now >= seen);
                        for row in seen..now {
                            assert_eq!(rows.text_of(0, row), rows.word(0, row).to_string());
                        }
                        seen = now;
                    }
                });
            }
            scope.spawn(|| (0..ROWS).for_each(|row| assert!(rows.push([row as u64], [&row.to_string()]))));
        });
    }
}
