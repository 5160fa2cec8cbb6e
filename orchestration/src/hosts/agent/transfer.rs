//! The result files of a matrix on a host: which there are, and their bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::command::AgentResult;
use super::hello::sha256_of;
use super::matrix_dir::MatrixDir;

/// A result file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path from the folder of the results.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// Writes a line per result file of the matrix in `dir`, in the order of their paths.
///
/// # Errors
/// When a file cannot be read, or `to` no longer takes anything.
pub fn list(dir: &MatrixDir, to: &mut dyn Write) -> AgentResult<()> {
    let results = dir.results();
    let mut paths = Vec::new();
    if results.exists() {
        files_below(&results, &mut paths)?;
    }
    paths.sort();
    for path in paths {
        let Ok(below) = path.strip_prefix(&results) else { continue };
        let entry = FileEntry {
            path: below.to_string_lossy().into_owned(),
            bytes: path.metadata()?.len(),
            sha256: sha256_of(&path)?,
        };
        serde_json::to_writer(&mut *to, &entry)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Links are nobody's results, and could lead anywhere.
        match entry.file_type()? {
            kind if kind.is_dir() => files_below(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// Writes the bytes of one result file from byte `from` on.
///
/// # Errors
/// When `path` does not lie below the results or cannot be read, or `to` no longer takes anything.
pub fn send(dir: &MatrixDir, path: &str, from: u64, to: &mut dyn Write) -> AgentResult<()> {
    if !is_below(path) {
        return Err(io::Error::other(format!("{path}: not a path below the folder of the results")));
    }
    let mut file = File::open(dir.results().join(path))?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file, to)?;
    to.flush()
}

/// Writes `files` below `dir`, by their paths from it.
///
/// # Errors
/// When one of them would lie elsewhere, or cannot be written.
pub fn unpack(dir: &Path, files: &BTreeMap<String, String>) -> AgentResult<()> {
    for (path, text) in files {
        if !is_below(path) {
            return Err(io::Error::other(format!("{path}: not a path below {}", dir.display())));
        }
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// Whether a path stays below the folder that it is joined to.
pub(crate) fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_with_their_sums_and_sent_from_where_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let dir = MatrixDir::new(folder.path());
        let mut listed = Vec::new();
        list(&dir, &mut listed).unwrap();
        assert!(listed.is_empty());
        std::fs::create_dir_all(dir.results().join("rep-01")).unwrap();
        std::fs::write(dir.results().join("rep-01/a.json"), "abc").unwrap();
        list(&dir, &mut listed).unwrap();
        let entry: FileEntry = serde_json::from_slice(&listed).unwrap();
        assert_eq!((entry.path.as_str(), entry.bytes), ("rep-01/a.json", 3));
        assert!(entry.sha256.starts_with("ba7816bf"));
        let mut sent = Vec::new();
        send(&dir, "rep-01/a.json", 1, &mut sent).unwrap();
        assert_eq!(sent, b"bc");
        assert!(send(&dir, "../request.json", 0, &mut sent).is_err());
    }

    #[test]
    fn files_are_unpacked_below_their_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let files = |path: &str| BTreeMap::from([(path.to_owned(), "text".to_owned())]);
        unpack(folder.path(), &files("given/own.toml")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("given/own.toml")).unwrap(), "text");
        for path in ["../own.toml", "/tmp/own.toml", "given/../../own.toml", ""] {
            assert!(unpack(folder.path(), &files(path)).is_err(), "{path}");
        }
    }
}
