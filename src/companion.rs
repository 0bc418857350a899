//! The files that lie beside a ledger file and are ours: their names, how they are found and made.
//! SQLite's own are its affair.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the companion of a ledger with this ending is.
pub(crate) fn path_of(ledger: &Path, ending: &str) -> PathBuf {
    let mut path = ledger.as_os_str().to_os_string();
    path.push(ending);
    PathBuf::from(path)
}

/// The file at this path, if there is one; nothing is followed.
pub(crate) fn find(path: &Path, writable: bool) -> io::Result<Option<File>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(writable)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new file, for all who may write the ledger.
pub(crate) fn create(path: &Path, ledger: &Path) -> io::Result<File> {
    let ledger = fs::metadata(ledger)?;
    let mode = ledger.permissions().mode() & 0o666;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    // What the umask took away, and the owner where root makes it for somebody: as SQLite does with
    // its own companions of a file. Where it fails, others cannot append, and are told so.
    let mine = file.metadata()?;
    if mine.permissions().mode() & 0o777 != mode {
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
    }
    if (mine.uid(), mine.gid()) != (ledger.uid(), ledger.gid()) {
        let _ = std::os::unix::fs::fchown(&file, Some(ledger.uid()), Some(ledger.gid()));
    }
    Ok(file)
}
