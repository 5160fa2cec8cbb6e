//! The folder of one matrix on a host, and what it tells about it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// How a matrix stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was never started.
    Absent,
    /// Its supervisor lives.
    Running,
    /// It ended by itself.
    Ended {
        /// Its exit status.
        status: i32,
    },
    /// It was started, and neither runs nor has ended: it was killed, or the host went down.
    Vanished,
}

/// How it ended, in a file.
#[derive(Serialize, Deserialize)]
struct EndRecord {
    status: i32,
}

/// `<work folder>/matrices/<key>` on a host.
#[derive(Debug, Clone)]
pub struct MatrixDir(PathBuf);

impl MatrixDir {
    /// The one in `dir`, which need not be there.
    pub fn new(dir: &Path) -> Self {
        MatrixDir(dir.to_path_buf())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it was started with.
    pub(super) fn request(&self) -> PathBuf {
        self.0.join("request.json")
    }

    /// Who runs it: the supervisor, which holds a lock on this file, and the matrix.
    pub(super) fn pid(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// What it said.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Its result files.
    pub fn results(&self) -> PathBuf {
        self.0.join("results")
    }

    fn end(&self) -> PathBuf {
        self.0.join("end.json")
    }

    /// Takes the lock of its supervisor; `None` while another one holds it. The lock ends with the process that holds it, however it ends, so it
    /// cannot be left behind as a process number can.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn lock(&self) -> io::Result<Option<Flock<File>>> {
        self.lock_as(FlockArg::LockExclusiveNonblock)
    }

    fn lock_as(&self, how: FlockArg) -> io::Result<Option<Flock<File>>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.pid())?;
        match Flock::lock(file, how) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// How the matrix stands.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn state(&self) -> io::Result<State> {
        if !self.request().exists() {
            return Ok(State::Absent);
        }
        // Asked first: it may end in between, and writes down how before it lets go. Shared, so that two who ask do not take each other for it.
        let lives = self.lock_as(FlockArg::LockSharedNonblock)?.is_none();
        match std::fs::read(self.end()) {
            _ if lives => Ok(State::Running),
            Ok(text) => {
                let end: EndRecord = serde_json::from_slice(&text)?;
                Ok(State::Ended { status: end.status })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::Vanished),
            Err(error) => Err(error),
        }
    }

    /// Writes down how it ended.
    pub(super) fn has_ended(&self, status: i32) -> io::Result<()> {
        crate::verdict::write_whole(&self.end(), &EndRecord { status })
    }

    /// It goes on: how it ended before no longer counts.
    pub(super) fn goes_on(&self) -> io::Result<()> {
        match std::fs::remove_file(self.end()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_by_the_lock_and_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let dir = MatrixDir::new(folder.path());
        assert_eq!(dir.state().unwrap(), State::Absent);
        std::fs::write(dir.request(), "{}").unwrap();
        assert_eq!(dir.state().unwrap(), State::Vanished);
        let lock = dir.lock().unwrap().unwrap();
        assert_eq!(dir.state().unwrap(), State::Running);
        dir.has_ended(3).unwrap();
        assert_eq!(dir.state().unwrap(), State::Running, "it ends when the lock does");
        drop(lock);
        assert_eq!(dir.state().unwrap(), State::Ended { status: 3 });
        dir.goes_on().unwrap();
        assert_eq!(dir.state().unwrap(), State::Vanished);
    }
}
