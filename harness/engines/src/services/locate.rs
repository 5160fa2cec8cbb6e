//! Finds server programs on this machine, and refuses those that are too old.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{Error, Result};
use super::server::Programs;

/// Oldest PostgreSQL that every backend and collector works with.
pub const POSTGRES_MIN_MAJOR: u32 = 15;
/// Oldest Valkey accepted.
pub const VALKEY_MIN_MAJOR: u32 = 8;
/// Oldest Redis accepted in Valkey's place: XAUTOCLAIM tells of deleted entries since 7.
pub const REDIS_MIN_MAJOR: u32 = 7;

/// A version as a program states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    text: String,
}

impl Version {
    /// Reads the number at the start of `text`: `15.18`, `8.0.1`, `19beta2`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.split_whitespace().next()?.trim_end_matches(',');
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        Some(Version { major: text[..digits].parse().ok()?, text: text.to_owned() })
    }

    /// Its first number.
    pub fn major(&self) -> u32 {
        self.major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The programs of one PostgreSQL installation, all from the same directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// Version of `postgres`.
    pub version: Version,
    /// The server.
    pub postgres: PathBuf,
    /// Makes data directories.
    pub initdb: PathBuf,
    /// The background load.
    pub pgbench: PathBuf,
}

/// A server that speaks the Redis protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValkeyProgram {
    /// What it says it is, whatever its file is called: `valkey` or `redis`.
    pub engine: &'static str,
    /// Its version.
    pub version: Version,
    /// The server.
    pub server: PathBuf,
}

impl Programs for PostgresPrograms {
    fn version(&self) -> &Version {
        &self.version
    }
}

impl Programs for ValkeyProgram {
    fn version(&self) -> &Version {
        &self.version
    }
}

/// Where programs are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPlaces {
    /// Directories of PATH, in order.
    pub path: Vec<PathBuf>,
    /// Directories that hold a PostgreSQL installation's programs, in order; looked at after PATH.
    pub postgres: Vec<PathBuf>,
}

impl SearchPlaces {
    /// The places of this machine: PATH, what `pg_config --bindir` says, and Debian's `/usr/lib/postgresql/*/bin`,
    /// newest version first.
    pub fn of_machine() -> Self {
        let path: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        let mut postgres = Vec::new();
        if let Some(pg_config) = find_executable(&path, "pg_config")
            && let Some(bindir) = output_of(&pg_config, "--bindir")
        {
            postgres.push(PathBuf::from(bindir.trim()));
        }
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        postgres.extend(versions.into_iter().map(|(_, bin)| bin));
        SearchPlaces { path, postgres }
    }

    /// The first complete PostgreSQL that is new enough.
    ///
    /// # Errors
    /// [`Error::Programs`]: what was found, what is needed, how to get it.
    pub fn find_postgres(&self) -> Result<PostgresPrograms> {
        let mut refused = Vec::new();
        for directory in self.postgres_directories() {
            match postgres_in(&directory) {
                Ok(programs) => return Ok(programs),
                Err(reason) => refused.push(reason),
            }
        }
        Err(not_found(
            &format!("PostgreSQL {POSTGRES_MIN_MAJOR} or newer with initdb and pgbench"),
            &refused,
            "--pg-url",
        ))
    }

    /// The first `valkey-server` that is new enough, else the first such `redis-server`.
    ///
    /// # Errors
    /// [`Error::Programs`]: what was found, what is needed, how to get it.
    pub fn find_valkey(&self) -> Result<ValkeyProgram> {
        let mut refused = Vec::new();
        for name in ["valkey-server", "redis-server"] {
            for directory in &self.path {
                let server = directory.join(name);
                if is_executable(&server) {
                    match valkey_at(server) {
                        Ok(program) => return Ok(program),
                        Err(reason) => refused.push(reason),
                    }
                }
            }
        }
        Err(not_found(
            &format!("Valkey {VALKEY_MIN_MAJOR} or newer (or Redis {REDIS_MIN_MAJOR} or newer)"),
            &refused,
            "--valkey-url",
        ))
    }

    /// Directories with a `postgres` in them. A link is followed first: beside a link the rest of the installation may
    /// be missing, or be wrappers that choose a version by themselves.
    fn postgres_directories(&self) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        for directory in self.path.iter().chain(&self.postgres) {
            let postgres = directory.join("postgres");
            if is_executable(&postgres)
                && let Ok(real) = postgres.canonicalize()
                && let Some(parent) = real.parent()
                && !directories.iter().any(|known| known == parent)
            {
                directories.push(parent.to_owned());
            }
        }
        directories
    }
}

/// The installation in `directory`, or the reason against it.
fn postgres_in(directory: &Path) -> Result<PostgresPrograms, String> {
    let postgres = directory.join("postgres");
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let version = output_of(&postgres, "--version")
        .as_deref()
        .and_then(|text| text.split_once("(PostgreSQL)"))
        .and_then(|(_, rest)| Version::parse(rest))
        .ok_or_else(|| format!("{} (which does not state a PostgreSQL version)", postgres.display()))?;
    let found = format!("PostgreSQL {version} in {}", directory.display());
    if version.major() < POSTGRES_MIN_MAJOR {
        return Err(format!("{found} (too old)"));
    }
    let sibling = |name: &str| {
        let path = directory.join(name);
        if is_executable(&path) { Ok(path) } else { Err(format!("{found} (without {name})")) }
    };
    Ok(PostgresPrograms { initdb: sibling("initdb")?, pgbench: sibling("pgbench")?, version, postgres })
}

/// The server at `server`, or the reason against it.
fn valkey_at(server: PathBuf) -> Result<ValkeyProgram, String> {
    // "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=39f7c371e0a96e3d"
    let stated = output_of(&server, "--version").unwrap_or_default();
    let (engine, needed) =
        if stated.starts_with("Valkey ") { ("valkey", VALKEY_MIN_MAJOR) } else { ("redis", REDIS_MIN_MAJOR) };
    let version = stated
        .split_once(" v=")
        .and_then(|(_, rest)| Version::parse(rest))
        .ok_or_else(|| format!("{} (which does not state a Valkey or Redis version)", server.display()))?;
    if version.major() < needed {
        return Err(format!("{engine} {version} at {} (too old)", server.display()));
    }
    Ok(ValkeyProgram { engine, version, server })
}

fn not_found(needed: &str, refused: &[String], flag: &str) -> Error {
    let found = match refused {
        [] => "none was found".to_owned(),
        _ => format!("only this was found: {}", refused.join(", ")),
    };
    Error::Programs(format!(
        "{needed} is needed and {found}; orchestration/install.sh installs it, and {flag} uses a server that runs already"
    ))
}

fn find_executable(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    directories.iter().map(|directory| directory.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What `program argument` prints, when it succeeds.
fn output_of(program: &Path, argument: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
