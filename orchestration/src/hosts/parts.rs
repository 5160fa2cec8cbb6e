//! Which host makes which part of a matrix.

use std::path::Path;

use qbench_schema::SCHEMA_VERSION;
use qbench_schema::files::HOSTS_JSON;
use qbench_schema::hosts::{Design, HostPart, HostsRecord};

use super::agent::StartRequest;
use super::error::{Error, Result};
use super::file::Host;

/// What one host makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The host.
    pub host: Host,
    /// Folder of its results here, below the output folder.
    pub folder: String,
    /// What it is asked for.
    pub request: StartRequest,
}

/// The folder of matrix `key` on a host.
pub fn remote_dir(host: &Host, key: &str) -> String {
    format!("{}/matrices/{key}", host.work_dir)
}

/// Writes down what is about to be started, so that it can be found again.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_record(out: &Path, design: Design, key: &str, parts: &[Part]) -> Result<()> {
    let of_part = |part: &Part| HostPart {
        name: part.host.name.clone(),
        folder: part.folder.clone(),
        arguments: part.request.arguments.clone(),
    };
    let record = HostsRecord {
        schema_version: SCHEMA_VERSION,
        design,
        key: key.to_owned(),
        hosts: parts.iter().map(of_part).collect(),
    };
    let path = out.join(HOSTS_JSON);
    crate::verdict::write_whole(&path, &record).map_err(Error::file("write", &path))
}

/// What was started from `out`; `None` where nothing was.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn read_record(out: &Path) -> Result<Option<HostsRecord>> {
    let path = out.join(HOSTS_JSON);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::Usage(format!("{} is damaged ({error}): choose another --out for new results", path.display()))
    })
}
