//! Writing files so that a reader sees the old one or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Makes `dir` and the folders above it.
pub fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.to_path_buf(), source })
}

/// Writes `content` under a temporary name beside `path`, then renames it. Returns `path`.
pub fn publish(path: &Path, content: &[u8]) -> Result<PathBuf> {
    publish_with(path, |mut file| file.write_all(content))
}

/// The same for what is too large to be held in memory: `write` gets the file.
pub fn publish_with(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> Result<PathBuf> {
    let mut temporary = path.as_os_str().to_owned();
    // The process id keeps two analyses of the same folder from writing into each other's file.
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary).and_then(write).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The error that matters is the one at hand; a file that was never made cannot be removed either.
        let _ = fs::remove_file(&temporary);
        Error::Write { path: path.to_path_buf(), source }
    })?;
    Ok(path.to_path_buf())
}

/// Removes what was published before, where it is there.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_path_buf(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.csv");
        publish(&path, b"old").unwrap();
        publish(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_a_file_is_named_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = make_dir(&file).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("taken"), "{error}");
    }
}
