//! Finds a NATS server, and refuses what is too old.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use qbench_backends::nats::{OLDEST, is_new_enough};

use super::flag::URL_FLAG;
use crate::services::Result;
use crate::services::programs::{Programs, Version, first_usable, is_executable, output_of, search_path};

/// A NATS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsProgram {
    /// Its version.
    pub version: Version,
    /// The server.
    pub server: PathBuf,
}

impl Programs for NatsProgram {
    fn version(&self) -> &Version {
        &self.version
    }

    fn server(&self) -> &Path {
        &self.server
    }
}

impl NatsProgram {
    /// The first `nats-server` of PATH that is new enough, else the one in `~/.local/bin`, where `install.sh` puts it for a user
    /// who is not root. (Root's servers run as somebody else, who does not get there.)
    ///
    /// # Errors
    /// [`crate::services::Error::Programs`]: what was found, what is needed, how to get it.
    pub fn of_machine() -> Result<Self> {
        let home = std::env::var_os("HOME").filter(|_| !geteuid().is_root()).map(PathBuf::from);
        let places: Vec<PathBuf> = search_path().into_iter().chain(home.map(|home| home.join(".local/bin"))).collect();
        Self::find_in(&places)
    }

    /// The first in `places`, likewise.
    ///
    /// # Errors
    /// As [`NatsProgram::of_machine`].
    pub fn find_in(places: &[PathBuf]) -> Result<Self> {
        let servers = places.iter().map(|place| place.join("nats-server")).filter(|server| is_executable(server));
        let found = servers.map(|server| version_of(&server).map(|version| NatsProgram { version, server }));
        let needed = format!("NATS {OLDEST} or newer");
        first_usable(found, &needed, "orchestration/install.sh --with nats", URL_FLAG.flag)
    }
}

/// The version of `server`, or the reason against it.
fn version_of(server: &Path) -> Result<Version, String> {
    // "nats-server: v2.15.1"
    let stated = output_of(server, "--version").unwrap_or_default();
    let number = stated.trim().rsplit(' ').next().map(|word| word.trim_start_matches('v')).unwrap_or_default();
    match Version::parse(number) {
        Some(version) if is_new_enough(number) => Ok(version),
        Some(version) => Err(format!("nats-server {version} at {} (too old)", server.display())),
        None => Err(format!("{} (which does not state a version)", server.display())),
    }
}
