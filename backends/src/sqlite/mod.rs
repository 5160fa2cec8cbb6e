//! SQLite, as a library of this process. The embedded queue: there is no server.
//!
//! The statements are in `schema/sql/sqlite.sql`. Here:
//!
//! * `settings`: where the file is, what a connection to it is opened with, and the line in which writers wait;
//! * `connection`: one connection to the file; `failure`: what its errors mean to the harness;
//! * `ownership`: whose the file is; `describe`: what SQLite is; `durability`: what its settings promise;
//! * `designs/`: the queue.
//!
//! **One writer at a time.** SQLite lets one connection write, whatever the journal mode; WAL only lets others read meanwhile.
//! A second writer would ask again and again, sleeping up to 100 ms in between, and whoever asks at the right moment goes
//! first. All writers of a queue live in this process, so they wait in a line instead (`settings::Settings::turn`): nobody sleeps
//! too long, and nobody is passed over. SQLite's own waiting (`busy_timeout`) stays on behind it.
//!
//! **Durability** is `PRAGMA synchronous`, in WAL mode. D2 is `FULL`: the log is synced before every commit returns. D1 is
//! `NORMAL`: it is synced before a checkpoint, so a crash of the machine takes at most the commits since the last one (a
//! thousand pages by default). D0 is `OFF`: never. A crash of this program alone loses nothing in any of them.

mod connection;
mod describe;
mod designs;
mod durability;
mod failure;
mod ownership;
mod probe;
mod settings;
mod tuning;

use crate::entry::{EngineKind, Room};

/// Nothing to install or to start: SQLite is a library of this process. A directory for its file.
pub const ENGINE: EngineKind = EngineKind {
    id: "sqlite",
    has_server: false,
    has_objects: true,
    for_other_processes: std::convert::identity,
    probe: &probe::SqliteProbe,
    tuned: tuning::TUNED,
    tuned_objects: Some("the sessions of the queue"),
};

/// Its queue.
pub static ROOM: Room = Room { engine: ENGINE, entries: &[designs::embedded::ENTRY] };
