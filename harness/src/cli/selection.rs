//! Backends by name: by id, by the short name of their product, or all.

use qbench_backends::external;
use qbench_backends::registry::backends;
use qbench_backends::{EngineKind, Entry};
use qbench_engines::engine::{Engine, UrlFlag};
use qbench_ground::usage::Usage;

use super::layers::find_backend;
use super::url_args::server_engines;

/// Name of all backends on servers that belong to every installation.
pub const ALL: &str = "all";

/// What `--backends` takes.
pub fn backends_help() -> String {
    let names: Vec<&str> = server_engines().map(|(_, flag)| flag.short).collect();
    let standard: Vec<&str> =
        server_engines().filter(|(engine, _)| engine.is_standard()).map(|(_, flag)| flag.short).collect();
    format!(
        "{}, {ALL} ({}), or backends by id, separated by commas (default: those of the plan, else {ALL})",
        names.join(", "),
        standard.join(" and ")
    )
}

/// The backends that `names` mean, each once.
///
/// # Errors
/// [`Usage`] for a name that means none.
pub fn select_backends(names: &[String]) -> Result<Vec<&'static Entry>, Usage> {
    // A product by its short name, or all that belong to every installation.
    let engines = |name: &str| {
        let means = |engine: &dyn Engine, flag: &UrlFlag| flag.short == name || (name == ALL && engine.is_standard());
        server_engines().filter(|(engine, flag)| means(*engine, flag)).map(|(engine, _)| engine.kind()).collect()
    };
    let mut selected: Vec<&'static Entry> = Vec::new();
    for name in names {
        let named: Vec<EngineKind> = engines(name);
        let group: Vec<&'static Entry> = if named.is_empty() {
            let entry = find_backend(name)?;
            external::require_findable(name, entry).map_err(|error| Usage(error.to_string()))?;
            vec![entry]
        } else {
            backends().filter(|entry| named.contains(&entry.engine)).collect()
        };
        for entry in group {
            if !selected.iter().any(|known| known.id == entry.id) {
                selected.push(entry);
            }
        }
    }
    Ok(selected)
}
