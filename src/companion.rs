//! The files that lie beside a ledger file and are ours: their names, how they are found and made.
//! SQLite's own are its affair.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Where the companion of a ledger with this ending is.
pub(crate) fn path_of(ledger: &Path, ending: &str) -> PathBuf {
    let mut path = ledger.as_os_str().to_os_string();
    path.push(ending);
    PathBuf::from(path)
}

/// The file at this path, if there is one; nothing is followed.
pub(crate) fn find(path: &Path, writable: bool) -> io::Result<Option<File>> {
    let no_file = || io::Error::other("it is not a regular file");
    // Before it is opened: to open a device can have consequences.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(no_file());
    }
    let opened = OpenOptions::new()
        .read(true)
        .write(writable)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(no_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Brings the names in the folder of a file to the medium.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A new file, for all who may write the ledger.
pub(crate) fn create(path: &Path, ledger: &Path) -> io::Result<File> {
    let ledger = fs::metadata(ledger)?;
    let mode = ledger.permissions().mode() & 0o666;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode & !0o066)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    give(&file, &ledger, mode).inspect_err(|_| {
        // Nobody else knows of it.
        let _ = fs::remove_file(path);
    })?;
    Ok(file)
}

/// Gives a new file the ledger's owner, and this mode.
fn give(file: &File, ledger: &fs::Metadata, mode: u32) -> io::Result<()> {
    // The owner, where root makes it for somebody, and then what the umask took away: as SQLite does with
    // its own companions of a file. Where it fails, others cannot append, and are told so.
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (ledger.uid(), ledger.gid()) {
        let to = |uid| fchown(file, uid, Some(ledger.gid()));
        let _ = to(Some(ledger.uid())).or_else(|_| to(None));
    }
    let mine = file.metadata()?;
    // To another group than the ledger's it gives nothing.
    let mode = if mine.gid() == ledger.gid() { mode } else { mode & !0o060 };
    if mine.permissions().mode() & 0o777 != mode {
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
    }
    Ok(())
}

/// Takes a file away that is open, if its path still leads to it.
pub(crate) fn remove(path: &Path, file: &File) -> io::Result<()> {
    let same =
        |one: &fs::Metadata, other: &fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let found = fs::symlink_metadata(path)?;
    if same(&found, &file.metadata()?) { fs::remove_file(path) } else { Ok(()) }
}
