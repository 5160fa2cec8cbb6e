//! What a session syncs, and what that promises.

use qbench_schema::result::Durability;
use sqlx::sqlite::SqliteSynchronous;

/// What a session is asked to sync, by class.
pub(super) fn synchronous(durability: Durability) -> SqliteSynchronous {
    match durability {
        Durability::D0 => SqliteSynchronous::Off,
        Durability::D1 => SqliteSynchronous::Normal,
        Durability::D2 => SqliteSynchronous::Full,
    }
}

/// Class of a session, by `PRAGMA synchronous`, and what has to be said about it.
pub(super) fn durability(synchronous: &str) -> (Durability, &'static str) {
    match synchronous {
        "2" | "3" => (Durability::D2, "the log is synced before every commit returns"),
        "1" => (Durability::D1, "the log is synced before a checkpoint, not at every commit"),
        _ => (Durability::D0, "nothing is synced: a crash of the machine may leave a file that cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_what_the_session_syncs() {
        assert_eq!(durability("3").0, Durability::D2);
        assert_eq!(durability("2").0, Durability::D2);
        assert_eq!(durability("1").0, Durability::D1);
        assert_eq!(durability("0").0, Durability::D0);
        assert_eq!(durability("").0, Durability::D0);
    }
}
