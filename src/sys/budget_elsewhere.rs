//! Bytes of a statement that a caller wrote, where the system does not say how large an allocation is: they are
//! not counted. See budget.rs, for Linux.

pub(crate) struct Budget;

impl Budget {
    pub fn begin(_: usize) -> Budget {
        Budget
    }

    /// Whether something was refused since it began.
    pub fn is_spent(&self) -> bool {
        false
    }
}

/// # Safety
/// None needed.
pub(super) unsafe fn install() {}
