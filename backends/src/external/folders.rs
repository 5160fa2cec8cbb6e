//! Where adapters are found, and where what they install goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an external backend's id starts with; the name of its folder follows.
pub const PREFIX: &str = "external:";

/// Variable with folders of adapters, separated by `:`, that are looked into before the others.
pub const FOLDERS_VARIABLE: &str = "QBENCH_ADAPTERS";

/// File that makes a folder an adapter.
pub(super) const FILE: &str = "adapter.toml";

/// Folder for what install commands make: `qbench/adapters` in the user's cache. `adapters/common/cache.sh` says the same.
pub(super) fn cache_folder() -> String {
    let cache = std::env::var("XDG_CACHE_HOME").ok().filter(|path| !path.is_empty());
    let cache = cache.or_else(|| Some(format!("{}/.cache", std::env::var("HOME").ok()?)));
    format!("{}/qbench/adapters", cache.unwrap_or_else(|| "/tmp".to_owned()))
}

/// Where adapters are looked for, in this order: what the variable names, `adapters` in the working directory, and
/// `adapters` of the checkout that this program was built from.
fn places() -> Vec<PathBuf> {
    let named = std::env::var_os(FOLDERS_VARIABLE).unwrap_or_default();
    let mut places: Vec<PathBuf> =
        std::env::split_paths(&named).filter(|place| !place.as_os_str().is_empty()).collect();
    places.push(PathBuf::from("adapters"));
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters"));
    places
}

/// The folder of the adapter `name`.
pub(super) fn folder_of(name: &str) -> Option<PathBuf> {
    places().into_iter().map(|place| place.join(name)).find(|folder| folder.join(FILE).is_file())
}

/// Folders of all adapters, by name; where two have one name, the one that [`folder_of`] gives.
pub(super) fn folders() -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    for entry in places().iter().filter_map(|place| place.read_dir().ok()).flatten().flatten() {
        if entry.path().join(FILE).is_file() {
            found.entry(entry.file_name()).or_insert_with(|| entry.path());
        }
    }
    found.into_values().collect()
}
