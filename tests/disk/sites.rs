//! Where a job can fail: which calls it makes on which files.

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, PoisonError};

use super::common::Random;
use super::faults::Fault;

/// The calls of a job with which nothing fails, in their order: of what kinds, and which on which file.
pub struct Sites(Vec<(c_int, String)>);

static NOTED: Mutex<Vec<(c_int, String)>> = Mutex::new(Vec::new());

/// Told of each call.
pub unsafe extern "C" fn note(call: *const c_char, file: *const c_char, kinds: c_int) {
    // SAFETY: the preloaded library gives C strings.
    let [call, file] = [call, file].map(|text| unsafe { CStr::from_ptr(text) }.to_string_lossy());
    // The folder is another one for each job.
    let name = file.rsplit_once('/').map_or("its folder", |(_, name)| name);
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).push((kinds, format!("{call} {name}")));
}

impl Sites {
    /// What was told since the last time.
    pub fn take() -> Sites {
        Sites(std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The number of a call that can fail in this way. First is chosen which call on which file it is, and then
    /// which of those, so that what is called once is tried as often as what is called a hundred times.
    pub fn choose(&self, fault: &Fault, random: &mut Random) -> Option<i64> {
        let may_fail = self.0.iter().filter(|(kinds, _)| kinds & fault.kinds != 0);
        let may_fail: Vec<&str> = may_fail.map(|(_, site)| site.as_str()).collect();
        let mut sites = may_fail.clone();
        sites.sort_unstable();
        sites.dedup();
        let mut any = |len: usize| (len > 0).then(|| random.below(len as u64) as usize);
        let site = sites[any(sites.len())?];
        let numbers: Vec<i64> =
            (1..).zip(&may_fail).filter(|(_, other)| **other == site).map(|(n, _)| n).collect();
        Some(numbers[any(numbers.len())?])
    }
}
