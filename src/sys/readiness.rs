//! A descriptor that is readable or not, as one likes: for event loops.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};

/// A pipe to oneself, or what the system has for that.
pub(crate) struct Readiness {
    read: File,
    /// `None` where one descriptor serves both.
    write: Option<File>,
}

impl Readiness {
    /// Not readable yet. Programs that are executed do not have it.
    pub fn new() -> io::Result<Readiness> {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: numbers.
            let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: a new descriptor, nobody else's.
            Ok(Readiness { read: unsafe { File::from_raw_fd(descriptor) }, write: None })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let mut ends = [0; 2];
            // SAFETY: room for two descriptors.
            if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: two new descriptors, nobody else's.
            let [read, write] = ends.map(|end| unsafe { File::from_raw_fd(end) });
            for file in [&read, &write] {
                // SAFETY: a descriptor that is open, and numbers.
                unsafe {
                    libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
                    libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
                }
            }
            Ok(Readiness { read, write: Some(write) })
        }
    }

    /// Makes it readable. Done once between two times of [`Readiness::clear`].
    pub fn set(&self) {
        // It has room for one.
        let mut end = self.write.as_ref().unwrap_or(&self.read);
        let _ = end.write(&1u64.to_ne_bytes());
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        // Whoever has read it himself has done the same.
        let _ = (&self.read).read(&mut [0; 8]);
    }

    /// Its number.
    pub fn descriptor(&self) -> i32 {
        self.read.as_raw_fd()
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
