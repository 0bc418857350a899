//! A file that several processes have in memory at once.
//!
//! All access is by atomic operations, so that whatever another process does at the same moment is
//! an answer like any other and never undefined behaviour.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::thread::without_signals;

/// The whole of a file, mapped.
pub(crate) struct Mapping {
    address: NonNull<u64>,
    /// In words.
    len: usize,
    writable: bool,
    file: File,
}

// SAFETY: the memory is only reached by atomic operations.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps so many bytes of a file that has them. A forked child does not have the mapping.
    pub fn new(file: File, bytes: usize, writable: bool) -> io::Result<Mapping> {
        assert!(bytes > 0 && bytes.is_multiple_of(size_of::<u64>()));
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: a new mapping, wherever the kernel has room.
        let address =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        #[cfg(target_os = "linux")]
        // SAFETY: the mapping was made above. Where it fails, a child has a mapping that nobody uses.
        unsafe {
            libc::madvise(address, bytes, libc::MADV_DONTFORK)
        };
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { address, len: bytes / size_of::<u64>(), writable, file })
    }

    /// The word at this byte, which can be divided by 8.
    pub fn word(&self, byte: usize) -> &AtomicU64 {
        assert!(self.writable);
        self.word_to_read(byte)
    }

    /// The half word at this byte, which can be divided by 4.
    pub fn half(&self, byte: usize) -> &AtomicU32 {
        assert!(self.writable && byte.is_multiple_of(4) && byte / 8 < self.len);
        // SAFETY: in bounds and aligned; the memory lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.address.as_ptr().cast::<u32>().add(byte / 4)) }
    }

    /// The value of the word at this byte.
    pub fn load(&self, byte: usize) -> u64 {
        self.word_to_read(byte).load(Ordering::Acquire)
    }

    /// Copies words from this byte on.
    pub fn read(&self, byte: usize, out: &mut [u64]) {
        let words = self.words(byte, out.len());
        for (out, word) in out.iter_mut().zip(words) {
            *out = word.load(Ordering::Relaxed);
        }
    }

    /// Copies words to this byte and behind it.
    pub fn write(&self, byte: usize, words: &[u64]) {
        assert!(self.writable);
        for (place, word) in self.words(byte, words.len()).iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
    }

    /// Lets the kernel find the page of this byte now, and not when somebody is in a hurry to write to
    /// it. Changes nothing, whoever writes there at the same time.
    pub fn touch(&self, byte: usize) {
        self.word(byte).fetch_or(0, Ordering::Relaxed);
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn word_to_read(&self, byte: usize) -> &AtomicU64 {
        &self.words(byte, 1)[0]
    }

    fn words(&self, byte: usize, count: usize) -> &[AtomicU64] {
        let first = byte / size_of::<u64>();
        assert!(byte.is_multiple_of(size_of::<u64>()) && count <= self.len && first <= self.len - count);
        // SAFETY: in bounds and aligned, and atomics are like the integers in them; the memory lives
        // as long as `self`. Nobody stores where it cannot be written: see `word` and `write`.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr().add(first).cast(), count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.len * size_of::<u64>()) };
    }
}

/// Sees to it that the file has so many bytes on its medium, so that writing to them in memory
/// cannot fail for want of space.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    // Beyond what the process may write, the kernel would end it with a signal.
    if bytes > largest_file() {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "the process may not write so large a file (RLIMIT_FSIZE)",
        ));
    }
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // On tmpfs, with older kernels, a signal undoes what was done so far: under a timer that is faster than the
    // whole this would never end.
    without_signals(|| {
        loop {
            // SAFETY: a descriptor that is open, and numbers.
            match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes) } {
                0 => return Ok(()),
                libc::EINTR => {}
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    })
}

/// The size that a file of this process may have.
pub(super) fn largest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a place to write to. It stays as it is where that fails.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

/// Whether all processes that map a file of this file system see the same memory: not where other
/// machines can have it mapped too.
pub(crate) fn is_local(path: &std::path::Path) -> io::Result<bool> {
    if crate::hooks::is_remote() {
        return Ok(false);
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        /// NFS, SMB (three names), 9P, Ceph, AFS, Coda, Lustre, FUSE: `statfs(2)`, linux/magic.h.
        const REMOTE: [u32; 10] = [
            0x6969,
            0x517b,
            0xff53_4d42,
            0xfe53_4d42,
            0x0102_1997,
            0x00c3_6400,
            0x5346_414f,
            0x7375_7245,
            0x0bd0_0bd0,
            0x6573_5546,
        ];
        let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: a path with its NUL, and a place to write to.
        if unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: statfs succeeded and filled it in.
        let kind = unsafe { found.assume_init() }.f_type;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Magic numbers have 32 bits.
        Ok(!REMOTE.contains(&(kind as u32)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let file = open();
        allocate(&file, 8192).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 8192);
        let (one, other) = (
            Mapping::new(file, 8192, true).unwrap(),
            Mapping::new(File::open(&path).unwrap(), 8192, false).unwrap(),
        );
        one.write(8184, &[7]);
        one.word(8).store(9, Ordering::Release);
        one.half(4).store(5, Ordering::Release);
        let mut words = [0; 2];
        other.read(0, &mut words);
        assert_eq!((words, other.load(8184)), ([5 << 32, 9], 7));
        assert!(is_local(&path).unwrap());
    }
}
