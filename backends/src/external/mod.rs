//! `external:<name>`: a queue library of any language, behind a child process that speaks a line protocol.
//!
//! The child, called an *adapter*, is producer and consumer of its own library; schedule, clock and audit stay here.
//! docs/EXTERNAL_ADAPTERS.md is the protocol's reference. Reading order: `folders` (where adapters are found),
//! `manifest` (what one states about itself), `protocol` (the messages), `process` (a running adapter: requests, answers, what
//! is known when it breaks), `child` (that it cannot outlive us), `channel` (a producer or consumer within it), `closing` (the
//! end of one), `backend` (the seam).

mod backend;
mod channel;
mod child;
mod closing;
mod folders;
mod manifest;
mod payloads;
mod pipes;
mod process;
mod protocol;

use std::path::Path;

pub use folders::{FOLDERS_VARIABLE, PREFIX};
use manifest::Manifest;

use crate::config::{BackendConfig, BackendOptions};
use crate::entry::Entry;
use crate::error::{Error, Result};

/// The adapter that `name` means: the name of a folder in one of the adapter folders, or a path (anything with a `/`) of such
/// a folder. `None` when there is none of that name.
///
/// Entries are made for the length of the program, as those of the registry are.
///
/// # Errors
/// [`crate::ErrorKind::Config`] when its `adapter.toml` cannot be read or says what cannot be.
pub fn resolve(name: &str) -> Result<Option<&'static Entry>> {
    if name.contains('/') {
        return Ok(Some(entry(Manifest::read(Path::new(name))?)));
    }
    match folders::folder_of(name) {
        Some(folder) => Ok(Some(entry(Manifest::read_named(&folder)?))),
        None => Ok(None),
    }
}

/// Refuses an adapter that was named by its path where only its id will be known: another process would not find it, or
/// find another one.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with what to do instead.
pub fn require_findable(given: &str, entry: &Entry) -> Result<()> {
    match given.starts_with(PREFIX) && given.contains('/') {
        true => Err(Error::config(format!(
            "{given}: give the name {} here, with the folder that the adapter's folder is in in {FOLDERS_VARIABLE}",
            entry.id
        ))),
        false => Ok(()),
    }
}

/// Every adapter in the adapter folders, by name; one that cannot be read is an error in its place.
pub fn all() -> Vec<Result<&'static Entry>> {
    folders::folders().into_iter().map(|folder| Manifest::read_named(&folder).map(entry)).collect()
}

/// Makes a registry's line of a manifest.
fn entry(manifest: Manifest) -> &'static Entry {
    let manifest: &'static Manifest = Box::leak(Box::new(manifest));
    let summary = match manifest.require_installed() {
        Ok(()) => manifest.summary,
        Err(error) => String::leak(format!("{} ({error})", manifest.summary)),
    };
    let contract =
        move |options: &BackendOptions| backend::choices(manifest, options).map(|_| manifest.capabilities.clone());
    let open = move |config: &BackendConfig| backend::open(manifest, config);
    Box::leak(Box::new(Entry {
        id: manifest.id,
        engine: manifest.engine,
        summary,
        colour: None,
        options: manifest.options,
        variants: manifest.variants,
        contract: Box::leak(Box::new(contract)),
        opener: Box::leak(Box::new(open)),
    }))
}
