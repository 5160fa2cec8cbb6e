//! What storage and settings promise.

use std::time::Duration;

use qbench_schema::result::Durability;
use serde_json::Value;

/// How JetStream calls the storage of a class: memory, or files.
pub(super) fn storage(durability: Durability) -> &'static str {
    match durability {
        Durability::D0 => "memory",
        Durability::D1 | Durability::D2 => "file",
    }
}

/// Class that a stream in `storage` has on a server with this `/varz`, and what has to be said about it.
pub(super) fn durability(storage: &str, varz: Result<&Value, &str>) -> (Durability, String) {
    if storage == "memory" {
        return (Durability::D0, "memory storage: a restart of the server loses all".to_owned());
    }
    let config = match varz {
        Ok(varz) => &varz["jetstream"]["config"],
        Err(reason) => {
            let why = format!(
                "file storage; it is not known when the server syncs it ({reason}), so the weaker class is assumed"
            );
            return (Durability::D1, why);
        }
    };
    if config["sync_always"] == true {
        return (Durability::D2, "file storage, synced before every answer (sync_interval: always)".to_owned());
    }
    let interval = config["sync_interval"].as_u64().map(Duration::from_nanos);
    let every = interval
        .map_or_else(|| "at an unknown interval".to_owned(), |every| format!("every {} s", every.as_secs_f64()));
    let why = format!("file storage, synced {every}: a crash of the machine loses what was confirmed since");
    (Durability::D1, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_what_storage_and_settings_give() {
        let varz = |config: Value| serde_json::json!({"jetstream": {"config": config}});
        let always = varz(serde_json::json!({"sync_always": true, "sync_interval": 120000000000_u64}));
        let at_times = varz(serde_json::json!({"sync_interval": 120000000000_u64}));
        assert_eq!(durability("memory", Ok(&always)).0, Durability::D0);
        assert_eq!(durability("file", Ok(&always)).0, Durability::D2);
        let (class, why) = durability("file", Ok(&at_times));
        assert_eq!(class, Durability::D1);
        assert!(why.contains("every 120 s"), "{why}");
    }

    #[test]
    fn a_server_that_cannot_be_asked_is_not_trusted() {
        let (class, why) = durability("file", Err("no port"));
        assert_eq!(class, Durability::D1);
        assert!(why.contains("no port") && why.contains("assumed"), "{why}");
    }
}
