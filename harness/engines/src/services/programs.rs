//! Server programs on this machine: where they may be, what they say about themselves, and how a missing one is told.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{Error, Result};

/// A version as a program states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    text: String,
}

impl Version {
    /// Reads the number at the start of `text`: `15.18`, `8.0.1`, `19beta2`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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

/// Programs that a server is started from.
pub trait Programs: Send + Sync {
    /// Their version.
    fn version(&self) -> &Version;
    /// The server itself; the other programs of the installation stand beside it.
    fn server(&self) -> &Path;
}

/// What installs the products that belong to every installation.
pub(crate) const INSTALLER: &str = "orchestration/install.sh";

/// The directories of PATH, in order.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// The first usable one of the programs that were `found`, each with the reason against it where there is one. An error says what is
/// `needed`, what was found instead, the `installer`, and the `flag` that takes the address of a server that runs already.
pub(crate) fn first_usable<P>(
    found: impl IntoIterator<Item = Result<P, String>>,
    needed: &str,
    installer: &str,
    flag: &str,
) -> Result<P> {
    let mut refused = Vec::new();
    for program in found {
        match program {
            Ok(program) => return Ok(program),
            Err(reason) => refused.push(reason),
        }
    }
    let found = match &refused[..] {
        [] => "none was found".to_owned(),
        _ => format!("only this was found: {}", refused.join(", ")),
    };
    Err(Error::Programs(format!(
        "{needed} is needed and {found}; {installer} installs it, and {flag} uses a server that runs already"
    )))
}

/// The first of `directories` that holds a program of this name.
pub(crate) fn find_executable(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    directories.iter().map(|directory| directory.join(name)).find(|path| is_executable(path))
}

pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What `program argument` prints, when it succeeds.
pub(crate) fn output_of(program: &Path, argument: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
