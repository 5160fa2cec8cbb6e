//! Finds a Valkey, or a Redis in its place, and refuses what is too old.

use std::path::{Path, PathBuf};

use super::flag::URL_FLAG;
use crate::services::Result;
use crate::services::programs::{INSTALLER, Programs, Version, first_usable, is_executable, output_of, search_path};

/// Oldest Valkey accepted.
const VALKEY_MIN_MAJOR: u32 = 8;
/// Oldest Redis accepted in Valkey's place: XAUTOCLAIM tells of deleted entries since 7.
const REDIS_MIN_MAJOR: u32 = 7;

/// A server that speaks the Redis protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValkeyProgram {
    /// What it says it is, whatever its file is called: `valkey` or `redis`.
    pub product: &'static str,
    /// Its version.
    pub version: Version,
    /// The server.
    pub server: PathBuf,
}

impl Programs for ValkeyProgram {
    fn version(&self) -> &Version {
        &self.version
    }

    fn server(&self) -> &Path {
        &self.server
    }
}

impl ValkeyProgram {
    /// The first `valkey-server` of PATH that is new enough, else the first such `redis-server`.
    ///
    /// # Errors
    /// [`crate::services::Error::Programs`]: what was found, what is needed, how to get it.
    pub fn of_machine() -> Result<Self> {
        Self::find_in(&search_path())
    }

    /// The first in `places`, likewise.
    ///
    /// # Errors
    /// As [`ValkeyProgram::of_machine`].
    pub fn find_in(places: &[PathBuf]) -> Result<Self> {
        let named = |name| places.iter().map(move |directory| directory.join(name));
        let servers = named("valkey-server").chain(named("redis-server")).filter(|server| is_executable(server));
        let needed = format!("Valkey {VALKEY_MIN_MAJOR} or newer (or Redis {REDIS_MIN_MAJOR} or newer)");
        first_usable(servers.map(program_at), &needed, INSTALLER, URL_FLAG.flag)
    }
}

/// The server at `server`, or the reason against it.
fn program_at(server: PathBuf) -> Result<ValkeyProgram, String> {
    // "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=39f7c371e0a96e3d"
    let stated = output_of(&server, "--version").unwrap_or_default();
    let (product, needed) =
        if stated.starts_with("Valkey ") { ("valkey", VALKEY_MIN_MAJOR) } else { ("redis", REDIS_MIN_MAJOR) };
    let version = stated
        .split_once(" v=")
        .and_then(|(_, rest)| Version::parse(rest))
        .ok_or_else(|| format!("{} (which does not state a Valkey or Redis version)", server.display()))?;
    if version.major() < needed {
        return Err(format!("{product} {version} at {} (too old)", server.display()));
    }
    Ok(ValkeyProgram { product, version, server })
}
