//! Finds the programs of a PostgreSQL, and refuses those that are too old.

use std::path::{Path, PathBuf};

use super::flag::URL_FLAG;
use crate::services::programs::{
    INSTALLER, Programs, Version, find_executable, first_usable, is_executable, output_of, search_path,
};
use crate::services::{Result, Server};

/// Oldest PostgreSQL that every backend and collector works with.
const MIN_MAJOR: u32 = 15;

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

impl Programs for PostgresPrograms {
    fn version(&self) -> &Version {
        &self.version
    }

    fn server(&self) -> &Path {
        &self.postgres
    }
}

impl PostgresPrograms {
    /// The first complete installation on this machine that is new enough. Looked at are PATH, what `pg_config --bindir`
    /// says, and Debian's `/usr/lib/postgresql/*/bin`, newest version first.
    ///
    /// # Errors
    /// [`crate::services::Error::Programs`]: what was found, what is needed, how to get it.
    pub fn of_machine() -> Result<Self> {
        let mut places = search_path();
        if let Some(pg_config) = find_executable(&places, "pg_config")
            && let Some(bindir) = output_of(&pg_config, "--bindir")
        {
            places.push(PathBuf::from(bindir.trim()));
        }
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        places.extend(versions.into_iter().map(|(_, bin)| bin));
        Self::find_in(&places)
    }

    /// The first complete installation in `places` that is new enough.
    ///
    /// # Errors
    /// As [`PostgresPrograms::of_machine`].
    pub fn find_in(places: &[PathBuf]) -> Result<Self> {
        let found = directories_with_postgres(places).into_iter().map(|directory| programs_in(&directory));
        let needed = format!("PostgreSQL {MIN_MAJOR} or newer with initdb and pgbench");
        first_usable(found, &needed, INSTALLER, URL_FLAG.flag)
    }
}

/// The pgbench of the installation that `server` was started from; of this machine's for a server that was given.
///
/// # Errors
/// As [`PostgresPrograms::of_machine`].
pub fn pgbench_for(server: &dyn Server) -> Result<PathBuf> {
    match server.private() {
        Some(own) => Ok(own.program.with_file_name("pgbench")),
        None => Ok(PostgresPrograms::of_machine()?.pgbench),
    }
}

/// Directories with a `postgres` in them. A link is followed first: beside a link the rest of the installation may be
/// missing, or be wrappers that choose a version by themselves.
fn directories_with_postgres(places: &[PathBuf]) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for place in places {
        let postgres = place.join("postgres");
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

/// The installation in `directory`, or the reason against it.
fn programs_in(directory: &Path) -> Result<PostgresPrograms, String> {
    let postgres = directory.join("postgres");
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let version = output_of(&postgres, "--version")
        .as_deref()
        .and_then(|text| text.split_once("(PostgreSQL)"))
        .and_then(|(_, rest)| Version::parse(rest))
        .ok_or_else(|| format!("{} (which does not state a PostgreSQL version)", postgres.display()))?;
    let found = format!("PostgreSQL {version} in {}", directory.display());
    if version.major() < MIN_MAJOR {
        return Err(format!("{found} (too old)"));
    }
    let sibling = |name: &str| {
        let path = directory.join(name);
        if is_executable(&path) { Ok(path) } else { Err(format!("{found} (without {name})")) }
    };
    Ok(PostgresPrograms { initdb: sibling("initdb")?, pgbench: sibling("pgbench")?, version, postgres })
}
