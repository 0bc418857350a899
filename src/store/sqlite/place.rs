//! Where a ledger file is: its path resolved once, its identity, and whether it is still there.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, Status};
use crate::store::Sizes;
use crate::sys::clock;

/// What a file is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// How often an open ledger looks whether its file is still there.
const LOOK_MILLIS: u64 = 400;

/// The place of an existing regular file.
#[derive(Debug)]
pub(crate) struct Place {
    /// Absolute and free of symbolic links.
    path: PathBuf,
    id: FileId,
    next_look: AtomicU64,
}

impl Place {
    /// The file at `path`, if there is one. Whatever is there and is no regular file is an error,
    /// as is a symbolic link that leads nowhere: nothing is ever created through one.
    pub fn find(path: &str) -> Result<Option<Place>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
                Err(_) => return Ok(None),
                // Somebody has just made it.
                Ok(metadata) if !metadata.is_symlink() => metadata,
                Ok(_) => {
                    let message = format!(
                        "\"{path}\" is a symbolic link to a file that does not exist; create the file, or remove the link"
                    );
                    return Err(Error::new(Status::Io, message).with_field("path"));
                }
            },
            Err(error) => return Err(io(path, &error)),
        };
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            let message = format!("\"{path}\" is {what}; give the path of a ledger file");
            return Err(Error::new(Status::Io, message).with_field("path"));
        }
        let path = fs::canonicalize(path).map_err(|error| io(path, &error))?;
        Ok(Some(Place { path, id: FileId::of(&metadata), next_look: AtomicU64::new(0) }))
    }

    /// The absolute path that a new file at `path` will have.
    pub fn of_new(path: &str) -> Result<PathBuf> {
        let given = Path::new(path);
        let Some(name) = given.file_name().filter(|_| !path.ends_with('/')) else {
            let message = format!("\"{path}\" does not end in the name of a file");
            return Err(Error::new(Status::Io, message).with_field("path"));
        };
        let folder = match given.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = fs::canonicalize(folder).map_err(|error| io(path, &error))?;
        Ok(folder.join(name))
    }

    /// The resolved path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// How large the file and its WAL are.
    pub fn sizes(&self) -> Sizes {
        let size = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.len());
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        Sizes { file: size(&self.path), wal: Some(size(Path::new(&wal)).unwrap_or(0)), ..Sizes::default() }
    }

    /// What failed at the file or beside it, with its name if that is not said yet.
    pub fn named(&self, error: Error) -> Error {
        let path = self.path.display().to_string();
        let is_of_files = matches!(
            error.status(),
            Status::Io | Status::NoSpace | Status::ReadOnly | Status::Corrupt | Status::Incompatible
        );
        if !is_of_files || error.sqlite_code() == 0 || error.message().contains(&path) {
            return error;
        }
        let error = error.context(format_args!("\"{path}\""));
        if error.field().is_empty() { error.with_field("path") } else { error }
    }

    /// An error if the file is gone or another one is in its place. Looks now and then only, so
    /// that every call can ask: what happens to the file is noticed within a second.
    pub fn check(&self) -> Result<()> {
        let now = clock::coarse_millis();
        if now < self.next_look.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.look()?;
        self.next_look.store(now + LOOK_MILLIS, Ordering::Relaxed);
        Ok(())
    }

    /// The same, and looks at once.
    pub fn look(&self) -> Result<()> {
        let path = self.path.display();
        let what = match fs::metadata(&self.path) {
            Ok(metadata) if FileId::of(&metadata) == self.id => return Ok(()),
            Ok(_) => "was replaced by another file",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "was removed or renamed",
            Err(error) => return Err(io(path, &error)),
        };
        let message = format!(
            "the ledger file \"{path}\" {what} while it was open; close this ledger, and open the path again"
        );
        Err(Error::new(Status::Io, message).with_field("path"))
    }
}

/// What the system says of a file.
pub(crate) fn io(path: impl std::fmt::Display, error: &std::io::Error) -> Error {
    let status = match Status::of_system(error) {
        // To be looked for, which need not be writing.
        Status::ReadOnly if error.kind() == std::io::ErrorKind::PermissionDenied => Status::Io,
        status => status,
    };
    Error::new(status, format!("\"{path}\": {error}")).with_field("path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_made_at_this_moment_is_there_or_not_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |index: usize| folder.path().join(index.to_string()).to_str().unwrap().to_string();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..5000).for_each(|index| fs::write(path(index), "").unwrap()));
            for index in 0..5000 {
                let path = path(index);
                while Place::find(&path).unwrap().is_none() {}
            }
        });
    }
}
