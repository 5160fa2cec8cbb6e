//! The result files of a host come here: each once, from where an earlier attempt broke off, and checked.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

use super::agent::transfer::is_below;
use super::agent::{AGENT_COMMAND, FileEntry, sha256_of};
use super::connection::Connection;
use super::error::{Error, Result};
use super::file::Host;

/// What came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that are there now.
    pub files: usize,
    /// Files among them that came this time.
    pub fetched: usize,
    /// Bytes that came this time.
    pub fetched_bytes: u64,
}

/// Copies the results of the matrix in `remote_dir` on `host` into `to`. What is here and the same is left alone. `tell` is told how many files of how
/// many are here.
///
/// # Errors
/// [`Error::Lost`]: the same call goes on from there. [`Error::Host`] where a file is not what the host says it is; [`Error::File`] where `to` cannot
/// be written.
pub async fn collect(
    host: &Host,
    connection: &Connection,
    remote_dir: &str,
    to: &Path,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Collected> {
    let program = host.program();
    let listed = connection
        .ask("its results cannot be listed", &program, &[AGENT_COMMAND, "list", "--dir", remote_dir], b"")
        .await?;
    let entries: Vec<FileEntry> = String::from_utf8_lossy(&listed)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| connection.refused(format!("its list of results cannot be read: {error}")))?;
    let mut collected = Collected::default();
    for entry in &entries {
        tell(collected.files, entries.len());
        if !is_below(&entry.path) {
            return Err(connection.refused(format!("{} is no path of a result", entry.path)));
        }
        let path = to.join(&entry.path);
        if !is_here(&path, entry)? {
            collected.fetched_bytes += fetch(host, connection, remote_dir, entry, &path).await?;
            collected.fetched += 1;
        }
        collected.files += 1;
    }
    tell(collected.files, entries.len());
    Ok(collected)
}

fn is_here(path: &Path, entry: &FileEntry) -> Result<bool> {
    match path.metadata() {
        Ok(metadata) if metadata.len() == entry.bytes => {
            Ok(sha256_of(path).map_err(Error::file("read", path))? == entry.sha256)
        }
        _ => Ok(false),
    }
}

/// Brings one file, from the byte on to which an earlier attempt had come. Returns the bytes that came.
async fn fetch(host: &Host, connection: &Connection, remote_dir: &str, entry: &FileEntry, path: &Path) -> Result<u64> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("write", parent))?;
    }
    // Of this very content: the half of another one is never completed.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", entry.sha256.get(..8).unwrap_or_default()));
    let part = PathBuf::from(name);
    let write =
        |part: &Path| OpenOptions::new().create(true).append(true).open(part).map_err(Error::file("write", part));
    let mut file = write(&part)?;
    let have = file.metadata().map_err(Error::file("read", &part))?.len();
    let from = have.min(entry.bytes);
    let came = receive(host, connection, remote_dir, &entry.path, from, &mut file, &part).await?;
    file.sync_all().map_err(Error::file("write", &part))?;
    if sha256_of(&part).map_err(Error::file("read", &part))? != entry.sha256 {
        fs::remove_file(&part).map_err(Error::file("remove", &part))?;
        return Err(connection.refused(format!(
            "{} is not what it said it would send: it is being written still, or was damaged on the way; collect again when its runs are over",
            entry.path
        )));
    }
    fs::rename(&part, path).map_err(Error::file("write", path))?;
    Ok(came)
}

async fn receive(
    host: &Host,
    connection: &Connection,
    remote_dir: &str,
    path: &str,
    from: u64,
    file: &mut File,
    part: &Path,
) -> Result<u64> {
    let from = from.to_string();
    let arguments = [AGENT_COMMAND, "send", "--dir", remote_dir, "--path", path, "--from", &from];
    let mut child = connection.spawn(&host.program(), &arguments).await?;
    let Some(mut stdout) = child.stdout().take() else { return Err(connection.refused("it has no standard output")) };
    let mut buffer = vec![0; 1 << 16];
    let mut came = 0;
    loop {
        // A connection that broke is told by the end of the program.
        let read = stdout.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(Error::file("write", part))?;
        came += read as u64;
    }
    let status = child.wait().await.map_err(|error| connection.lost(&error))?;
    if !status.success() {
        connection.check().await?;
        return Err(connection.refused(format!("{path} could not be sent ({status})")));
    }
    Ok(came)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_and_the_same_need_not_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let entry = FileEntry { path: "a.json".to_owned(), bytes: 3, sha256 };
        assert!(!is_here(&path, &entry).unwrap());
        std::fs::write(&path, "abc").unwrap();
        assert!(is_here(&path, &entry).unwrap());
        std::fs::write(&path, "abd").unwrap();
        assert!(!is_here(&path, &entry).unwrap());
    }
}
