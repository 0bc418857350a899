//! What each descriptor is, found without a lock: SQLite asks at every transaction.

use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a descriptor is, as far as locks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not one of the table's.
    Foreign,
    /// The one of its file, whose locks belong to its open file description.
    Description,
    /// The one of its file, whose locks belong to the process: the file system has no others.
    Process,
}

const IN_A_PAGE: usize = 4096;
/// Enough for every descriptor that a kernel gives by default (fs.nr_open is 1,048,576).
static PAGES: [OnceLock<Box<[AtomicU8; IN_A_PAGE]>>; 1024] = [const { OnceLock::new() }; 1024];

/// The page of a descriptor, and its place there.
fn place(descriptor: c_int) -> Option<(&'static OnceLock<Box<[AtomicU8; IN_A_PAGE]>>, usize)> {
    let descriptor = usize::try_from(descriptor).ok()?;
    Some((PAGES.get(descriptor / IN_A_PAGE)?, descriptor % IN_A_PAGE))
}

pub(super) fn kind_of(descriptor: c_int) -> Kind {
    let found = place(descriptor).and_then(|(page, at)| Some(page.get()?[at].load(Ordering::Acquire)));
    match found {
        Some(1) => Kind::Description,
        Some(2) => Kind::Process,
        _ => Kind::Foreign,
    }
}

/// Only while the table is held. False for a descriptor that is too large.
pub(super) fn set_kind(descriptor: c_int, kind: Kind) -> bool {
    let Some((page, at)) = place(descriptor) else { return false };
    let page = page.get_or_init(|| Box::new([const { AtomicU8::new(0) }; IN_A_PAGE]));
    page[at].store(kind as u8, Ordering::Release);
    true
}
