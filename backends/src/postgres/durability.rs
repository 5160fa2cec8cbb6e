//! What a session asks of the server, so that a commit is as durable as its class.

use qbench_schema::result::Durability;

/// The setting of every session that decides it, sent with the connection itself so that it costs no round trip.
///
/// Only class D1 lets a commit return before it is on the disk. D0 needs no such thing: its tables are unlogged, so there is
/// nothing of a job to wait for, and the class stays one difference and not two.
pub(super) fn session_setting(durability: Durability) -> (&'static str, &'static str) {
    let synchronous_commit = match durability {
        Durability::D0 | Durability::D2 => "on",
        Durability::D1 => "off",
    };
    ("synchronous_commit", synchronous_commit)
}
