//! The address of the shared value that something is part of.
//!
//! C gets a bare pointer to a row of a chunk, and from that row alone everything must be found:
//! its text, and the reference count that keeps it alive. A weak reference in each row would do in
//! safe Rust, at the price of two atomic operations a row; this is one word.

use std::sync::Arc;

/// Where the `Arc<T>` lives that the holder is a part of.
pub(crate) struct Backref<T>(*const T);

// SAFETY: a `Backref` is an address and nothing more; what is reached through it, in the unsafe
// functions below, is a shared `T`, which `T: Send + Sync` lets any thread hold.
unsafe impl<T: Send + Sync> Send for Backref<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Backref<T> {}

impl<T> Backref<T> {
    /// A shared value whose parts may know where it is: `build` gets the function that makes
    /// references to it.
    pub fn cyclic(build: impl FnOnce(&dyn Fn() -> Backref<T>) -> T) -> Arc<T> {
        Arc::new_cyclic(|weak| build(&|| Backref(weak.as_ptr())))
    }

    /// The value.
    ///
    /// # Safety
    /// The `Arc` must be alive, and stay so for `'a`.
    pub unsafe fn get<'a>(&self) -> &'a T {
        // SAFETY: the address is that of the value inside an `Arc`, alive as the caller promises.
        unsafe { &*self.0 }
    }

    /// One more reference to the value, to be given back with [`Backref::release`].
    ///
    /// # Safety
    /// The `Arc` must be alive.
    pub unsafe fn retain(&self) {
        // SAFETY: the address is what `Arc::as_ptr` gives for an `Arc` that is alive.
        unsafe { Arc::increment_strong_count(self.0) }
    }

    /// Gives back a reference made by [`Backref::retain`] or `Arc::into_raw`.
    ///
    /// # Safety
    /// There must be such a reference, and nobody may use it afterwards.
    pub unsafe fn release(pointer: *const T) {
        // SAFETY: the caller gives up a reference that it owns.
        unsafe { Arc::decrement_strong_count(pointer) }
    }

    /// The address, for [`Backref::release`], which may free what `self` is part of.
    pub fn address(&self) -> *const T {
        self.0
    }
}
