//! What a live server is, and what it promises.

use std::collections::BTreeMap;

use qbench_schema::result::Durability;

use super::arguments::Array;
use super::connection::Link;
use super::sql_texts::prepared;
use crate::error::{ErrorKind, Result};

/// Oldest server that the statements and the monitors are written for.
const OLDEST_VERSION_NUM: u32 = 150_000;

/// Settings that can move a number even at their defaults. Whatever else somebody changed is listed too.
const ALWAYS_SHOWN: &[&str] = &[
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "bgwriter_delay",
    "block_size",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "commit_delay",
    "commit_siblings",
    "data_checksums",
    "deadlock_timeout",
    "debug_assertions",
    "default_transaction_isolation",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_seqscan",
    "fsync",
    "full_page_writes",
    "huge_pages",
    "io_method",
    "jit",
    "maintenance_work_mem",
    "max_connections",
    "max_wal_size",
    "min_wal_size",
    "plan_cache_mode",
    "random_page_cost",
    "server_version",
    "shared_buffers",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_activities",
    "track_counts",
    "track_io_timing",
    "wal_buffers",
    "wal_compression",
    "wal_init_zero",
    "wal_level",
    "wal_recycle",
    "wal_segment_size",
    "wal_sync_method",
    "wal_writer_delay",
    "work_mem",
];

/// Settings that move nothing, only say where the server is found, belong to our own session, or may hold a secret (connection
/// strings, commands).
const NEVER_SHOWN: &[&str] = &[
    "application_name",
    "archive_cleanup_command",
    "archive_command",
    "cluster_name",
    "external_pid_file",
    "krb_server_keyfile",
    "listen_addresses",
    "port",
    "primary_conninfo",
    "recovery_end_command",
    "restore_command",
    "ssl_passphrase_command",
    "unix_socket_directories",
];

const SETTINGS: &str = "
    SELECT name, current_setting(name)
    FROM pg_settings
    WHERE (name = ANY ($1) OR source NOT IN ('default', 'override', 'client', 'session')) AND name <> ALL ($2)
    ORDER BY name";

/// What decides whether a server can be measured.
const CHECKED: &str = "
    SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('fsync')";

/// Persistence of our tables: null where there are none yet. Indexes and sequences follow their tables.
const PERSISTENCE: &str = "
    SELECT bool_or(relpersistence = 'u')
    FROM pg_class
    WHERE oid = ANY (SELECT to_regclass(name) FROM unnest($1::text[]) AS named (name))";

/// A server as [`describe`] found it.
pub(super) struct Server {
    /// Its own word, for instance `16.4 (Debian 16.4-1)`.
    pub(super) version: String,
    /// Settings by name, values with their units.
    pub(super) settings: BTreeMap<String, String>,
    /// Class that settings and tables really give.
    pub(super) durability: Durability,
    /// What a reader of its figures must know.
    pub(super) notes: Vec<String>,
}

/// Reads back what the server is and gives. `tables` hold the jobs; where they do not exist yet, `intended` says how they
/// will be made.
///
/// # Errors
/// Those of [`check`].
pub(super) async fn describe(link: &mut Link, tables: &[String], intended: Durability) -> Result<Server> {
    let mut settings = BTreeMap::new();
    let arguments = (Array(ALWAYS_SHOWN.iter().copied()), Array(NEVER_SHOWN.iter().copied()));
    let version_num = check(link).await?;
    link.run("read the server's settings", &prepared(SETTINGS.to_owned()), arguments, |row| {
        settings.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })
    .await?;
    settings.insert("server_version_num".to_owned(), version_num.to_string());

    let mut unlogged = None;
    let arguments = (Array(tables.iter().map(String::as_str)),);
    link.run("read how the queue's tables are kept", &prepared(PERSISTENCE.to_owned()), arguments, |row| {
        unlogged = row.get(0)?;
        Ok(())
    })
    .await?;

    let on = |name: &str| settings.get(name).is_some_and(|value| value != "off");
    let durability = durability_of(unlogged.unwrap_or(intended == Durability::D0), on("synchronous_commit"));
    let version = settings.get("server_version").cloned().unwrap_or_default();
    let mut notes = Vec::new();
    if !on("full_page_writes") && durability != Durability::D0 {
        notes.push(
            "full_page_writes = off: the class holds only if the file system writes a page as a whole; else a crash of the \
             host may tear pages, and WAL figures are smaller than those of other servers"
                .to_owned(),
        );
    }
    Ok(Server { version, settings, durability, notes })
}

/// The server's version as a number, if this is a server that can be measured at all.
///
/// # Errors
/// [`ErrorKind::Connect`] for a server that is too old; [`ErrorKind::Config`] for one without fsync (METHODOLOGY F1).
pub(super) async fn check(link: &mut Link) -> Result<u32> {
    const WHAT: &str = "check the server";
    let (mut version_num, mut version, mut fsync) = (0, String::new(), String::new());
    link.run(WHAT, &prepared(CHECKED.to_owned()), (), |row| {
        version_num = row.get::<i32>(0)?.cast_unsigned();
        (version, fsync) = (row.get(1)?, row.get(2)?);
        Ok(())
    })
    .await?;
    if version_num < OLDEST_VERSION_NUM {
        let message =
            format!("the server is PostgreSQL {version}, and the oldest supported version is 15: use a newer server");
        return Err(link.error(ErrorKind::Connect, WHAT, message));
    }
    if fsync != "on" {
        let message = "the server runs with fsync = off, so a crash may lose or damage everything and no durability class \
                       holds: set fsync = on, and use --durability d0 or d1 for cheaper commits";
        return Err(link.error(ErrorKind::Config, WHAT, message));
    }
    Ok(version_num)
}

/// The class of a server that syncs (METHODOLOGY F1).
fn durability_of(unlogged: bool, synchronous_commit: bool) -> Durability {
    match (unlogged, synchronous_commit) {
        (true, _) => Durability::D0,
        (false, false) => Durability::D1,
        (false, true) => Durability::D2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_what_the_server_gives() {
        assert_eq!(durability_of(true, true), Durability::D0);
        assert_eq!(durability_of(false, false), Durability::D1);
        assert_eq!(durability_of(false, true), Durability::D2);
    }

    #[test]
    fn no_setting_is_both_shown_and_hidden() {
        assert!(NEVER_SHOWN.iter().all(|name| !ALWAYS_SHOWN.contains(name)));
        assert!(ALWAYS_SHOWN.is_sorted(), "keep the list sorted, so that nothing stands in it twice");
    }
}
