//! Which variant of a matrix a run is: the settings that are varied get a name, a place and a folder of their own.

use serde::{Deserialize, Serialize};

/// What the folder of a named rung begins with, before its place.
const RUNG: &str = "rung-";

/// One of the variants of a matrix that varies settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunVariant {
    /// Id of the plan file; empty where the command line alone says what varies.
    pub plan: String,
    /// The varied settings, `workers=2,claim-batch=10`, or the name of a rung.
    pub name: String,
    /// Its place among the variants as they were listed, counted from 1.
    pub place: u32,
    /// Whether the variants climb: each of them is the one before it and exactly one change.
    pub climbs: bool,
    /// Settings that some rung of the climb changes: runs that agree in all others belong to one climb. Empty without a climb.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub climbed_keys: Vec<String>,
}

impl RunVariant {
    /// Name of the folder that its runs are in, below that of the block: `workers=2,claim-batch=10`, `rung-02-notify`.
    /// Characters that a file system or a shell could take amiss are replaced by `_`.
    pub fn folder(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '=' | ',');
        let name: String = self.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if name.contains('=') { name } else { format!("{RUNG}{:02}-{name}", self.place) }
    }
}

/// Whether a folder of that name holds the runs of a variant.
pub fn is_variant_folder(name: &str) -> bool {
    let is_rung = |rest: &str| rest.split_once('-').is_some_and(|(place, _)| place.parse::<u32>().is_ok());
    name.contains('=') || name.strip_prefix(RUNG).is_some_and(is_rung)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_variant_is_readable_safe_and_known_for_what_it_is() {
        let folder = |name: &str| RunVariant { name: name.to_owned(), place: 3, ..RunVariant::default() }.folder();
        assert_eq!(folder("workers=2,claim-batch=10"), "workers=2,claim-batch=10");
        assert_eq!(folder("batch-claim"), "rung-03-batch-claim");
        assert_eq!(folder("path=../a b"), "path=.._a_b");
        assert!(["workers=2", "a=b", "rung-03-batch-claim"].into_iter().all(|name| is_variant_folder(&folder(name))));
        assert!(["rep-01", "analysis", "graphs", "rung", "rung-up"].into_iter().all(|name| !is_variant_folder(name)));
    }
}
