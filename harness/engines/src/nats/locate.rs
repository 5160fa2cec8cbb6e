//! Finds a NATS server, and refuses what is too old.

use std::path::{Path, PathBuf};

use super::flag::URL_FLAG;
use crate::services::Error;
use crate::services::Result;
use crate::services::programs::{Programs, Version, is_executable, output_of, search_path};

/// Oldest version accepted: streams have metadata since 2.10.
const OLDEST: (u32, u32) = (2, 10);

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
    /// who is not root.
    ///
    /// # Errors
    /// [`Error::Programs`]: what was found, what is needed, how to get it.
    pub fn of_machine() -> Result<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let places: Vec<PathBuf> = search_path().into_iter().chain(home.map(|home| home.join(".local/bin"))).collect();
        Self::find_in(&places)
    }

    /// The first in `places`, likewise.
    ///
    /// # Errors
    /// As [`NatsProgram::of_machine`].
    pub fn find_in(places: &[PathBuf]) -> Result<Self> {
        let mut refused = Vec::new();
        for server in places.iter().map(|place| place.join("nats-server")).filter(|server| is_executable(server)) {
            match version_of(&server) {
                Ok(version) => return Ok(NatsProgram { version, server }),
                Err(reason) => refused.push(reason),
            }
        }
        let found = match refused.as_slice() {
            [] => "none was found".to_owned(),
            _ => format!("only this was found: {}", refused.join(", ")),
        };
        Err(Error::Programs(format!(
            "NATS {}.{} or newer is needed and {found}; orchestration/install.sh --with nats installs it, and {} uses a \
             server that runs already",
            OLDEST.0, OLDEST.1, URL_FLAG.flag,
        )))
    }
}

/// The version of `server`, or the reason against it.
fn version_of(server: &Path) -> Result<Version, String> {
    // "nats-server: v2.15.1"
    let stated = output_of(server, "--version").unwrap_or_default();
    let number = stated.trim().rsplit(' ').next().map(|word| word.trim_start_matches('v')).unwrap_or_default();
    let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
    match (Version::parse(number), parts.next().zip(parts.next())) {
        (Some(version), Some(found)) if found >= OLDEST => Ok(version),
        (Some(version), Some(_)) => Err(format!("nats-server {version} at {} (too old)", server.display())),
        _ => Err(format!("{} (which does not state a version)", server.display())),
    }
}
