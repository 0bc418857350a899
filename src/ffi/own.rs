//! What stands behind each opaque C type, and who owns it.

use super::{simledger_config, simledger_entries, simledger_error, simledger_features, simledger_query};
use crate::config::Config;
use crate::entries::Entries;
use crate::features::Features;
use crate::query::Query;

/// A C type that is a boxed Rust value: C owns the pointer until it calls the type's `_free`.
pub(super) trait Owned: Sized {
    /// The Rust value.
    type Inner;

    /// Gives a value to C.
    fn give(inner: Self::Inner) -> *mut Self {
        Box::into_raw(Box::new(inner)).cast()
    }

    /// Looks at a value that C owns; `None` for NULL.
    ///
    /// # Safety
    /// `pointer` is NULL, or came from [`Owned::give`] and was not freed, and nobody changes the
    /// value during `'a`.
    unsafe fn look<'a>(pointer: *const Self) -> Option<&'a Self::Inner> {
        // SAFETY: as the caller promises; `give` made the pointer of an `Inner`.
        unsafe { pointer.cast::<Self::Inner>().as_ref() }
    }

    /// The same, to change it.
    ///
    /// # Safety
    /// As for [`Owned::look`], and nobody else looks at the value during `'a`.
    unsafe fn change<'a>(pointer: *mut Self) -> Option<&'a mut Self::Inner> {
        // SAFETY: as the caller promises; `give` made the pointer of an `Inner`.
        unsafe { pointer.cast::<Self::Inner>().as_mut() }
    }

    /// Takes a value back from C, and ends it. NULL is nothing.
    ///
    /// # Safety
    /// `pointer` is NULL, or came from [`Owned::give`] and was not freed; nobody uses it any more.
    unsafe fn free(pointer: *mut Self) {
        if !pointer.is_null() {
            // SAFETY: as the caller promises; `give` made the pointer of a boxed `Inner`.
            drop(unsafe { Box::from_raw(pointer.cast::<Self::Inner>()) });
        }
    }
}

impl Owned for simledger_config {
    type Inner = Config;
}

impl Owned for simledger_entries {
    type Inner = Entries;
}

impl Owned for simledger_features {
    type Inner = Features;
}

impl Owned for simledger_query {
    type Inner = Query;
}

impl Owned for simledger_error {
    type Inner = super::error::Shown;
}
