//! What the server's settings promise.

use std::collections::BTreeMap;

use qbench_schema::result::Durability;

/// Class that the settings give, and what has to be said about it.
///
/// Snapshots alone are D0: they lose everything since the last one, without a bound on how much that is.
pub(super) fn durability(settings: &BTreeMap<String, String>) -> (Durability, &'static str) {
    let settings = |name: &str| settings.get(name).map(String::as_str);
    match (settings("appendonly"), settings("appendfsync"), settings("save")) {
        (Some("yes"), Some("always"), _) => (Durability::D2, "AOF, synced before every reply"),
        (Some("yes"), Some("everysec"), _) => (Durability::D1, "AOF, synced every second"),
        (Some("yes"), _, _) => {
            (Durability::D0, "AOF that only the operating system syncs, at a time of its own choice")
        }
        (Some("no"), _, Some("")) => (Durability::D0, "neither AOF nor snapshots"),
        (Some("no"), _, Some(_)) => (
            Durability::D0,
            "snapshots but no AOF: the server forks for each one, and a crash loses all since the last",
        ),
        _ => (
            Durability::D0,
            "unknown, because the server does not let us read its settings (CONFIG GET): the weakest is assumed",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_class_is_what_the_settings_give() {
        for (appendonly, fsync, save, class) in [
            ("yes", "always", "", Durability::D2),
            ("yes", "everysec", "3600 1", Durability::D1),
            ("yes", "no", "", Durability::D0),
            ("no", "always", "", Durability::D0),
            ("no", "everysec", "60 10000", Durability::D0),
        ] {
            let read = settings(&[("appendonly", appendonly), ("appendfsync", fsync), ("save", save)]);
            assert_eq!(durability(&read).0, class, "{appendonly} {fsync} {save}");
        }
    }

    #[test]
    fn snapshots_are_said_and_a_silent_server_is_not_trusted() {
        assert!(durability(&settings(&[("appendonly", "no"), ("save", "60 1")])).1.contains("forks"));
        let (class, why) = durability(&BTreeMap::new());
        assert_eq!(class, Durability::D0);
        assert!(why.contains("CONFIG GET"));
    }
}
