//! What a session asks of the server, so that a commit is as durable as its class.

use qbench_schema::result::Durability;

/// Settings of every session, sent with the connection itself so that they cost no round trip.
///
/// Only class D1 lets a commit return before it is on the disk. D0 needs no such thing: its tables are unlogged, so there is
/// nothing of a job to wait for, and the class stays one difference and not two.
///
/// Plans are pinned, for all backends alike. A worker prepares its statements on an empty table; left alone, the server
/// would either plan every single call (the limit of a claim makes a generic plan look dear) or keep a sequential scan
/// that was free on the empty table, until autovacuum looks at the table for the first time. And once a backlog is large,
/// the estimate of a generic claim passes the JIT threshold, and every call would be compiled. The manifest shows these settings.
pub(super) fn session_settings(durability: Durability) -> [(&'static str, &'static str); 4] {
    let synchronous_commit = match durability {
        Durability::D0 | Durability::D2 => "on",
        Durability::D1 => "off",
    };
    [
        ("synchronous_commit", synchronous_commit),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
    ]
}
