//! `<run>_db_stats.csv`, `<run>_valkey_stats.csv` and `<run>_nats_stats.csv`: a row a second from the server itself.
//!
//! Columns named `_total` are the server's own counters less their value at the first sample, so every file starts at zero.

use serde::{Deserialize, Serialize};

/// One second of a PostgreSQL server. Empty cells: this version does not tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DbStatsRow {
    /// Instant of the sample, microseconds since the start of the run.
    pub at_us: u64,
    /// Jobs waiting, from the backend's own tables.
    pub backlog_ready: Option<u64>,
    /// Jobs claimed and not yet acked.
    pub backlog_in_flight: Option<u64>,
    /// Live tuples of our tables (`pg_stat_user_tables.n_live_tup`).
    pub live_tuples: u64,
    /// Dead tuples of our tables (`n_dead_tup`).
    pub dead_tuples: u64,
    /// Heap size of our tables, in bytes.
    pub table_bytes: u64,
    /// Index size of our tables, in bytes.
    pub index_bytes: u64,
    /// Rows updated in our tables.
    pub tup_updated_total: u64,
    /// Of these, updated without touching an index (HOT).
    pub tup_hot_updated_total: u64,
    /// Autovacuum runs on our tables.
    pub autovacuum_total: u64,
    /// Transactions committed in this database (`pg_stat_database.xact_commit`).
    pub commits_total: u64,
    /// Transactions rolled back.
    pub rollbacks_total: u64,
    /// Deadlocks.
    pub deadlocks_total: u64,
    /// Blocks read from outside shared buffers.
    pub blocks_read_total: u64,
    /// Blocks found in shared buffers.
    pub blocks_hit_total: u64,
    /// WAL written (`pg_current_wal_insert_lsn` difference), in bytes.
    pub wal_bytes_total: u64,
    /// WAL syncs, where the version tells.
    pub wal_syncs_total: Option<u64>,
    /// Checkpoints, timed and requested.
    pub checkpoints_total: u64,
    /// Backends of clients that are active at this instant.
    pub active_backends: u64,
    /// Sampled wait events of active backends, as `type:event=count` joined by `;`.
    pub wait_events: String,
}

/// One second of a Valkey (or Redis) server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ValkeyStatsRow {
    /// Instant of the sample, microseconds since the start of the run.
    pub at_us: u64,
    /// Entries in the stream (`XLEN`).
    pub stream_length: Option<u64>,
    /// Entries delivered and not acked (`XPENDING`).
    pub pending: Option<u64>,
    /// `used_memory`, in bytes.
    pub used_memory_bytes: u64,
    /// `used_memory_rss`, in bytes.
    pub rss_bytes: u64,
    /// Memory of the stream key (`MEMORY USAGE`), in bytes.
    pub stream_bytes: Option<u64>,
    /// `instantaneous_ops_per_sec`.
    pub ops_s: u64,
    /// Commands processed.
    pub commands_total: u64,
    /// Connected clients.
    pub clients: u64,
    /// Clients blocked in XREADGROUP.
    pub blocked_clients: u64,
    /// CPU of the main thread in the last second, where 100 is one core: the engine's capacity signal.
    pub cpu_main_thread_pct: Option<f64>,
    /// Write-ahead file size, in bytes; empty while the AOF is off.
    pub aof_bytes: Option<u64>,
    /// `XADD` calls.
    pub xadd_calls_total: u64,
    /// Server time in `XADD`, in microseconds.
    pub xadd_us_total: u64,
    /// `XREADGROUP` calls.
    pub xreadgroup_calls_total: u64,
    /// Server time in `XREADGROUP`, in microseconds.
    pub xreadgroup_us_total: u64,
    /// `XACK` calls.
    pub xack_calls_total: u64,
    /// Server time in `XACK`, in microseconds.
    pub xack_us_total: u64,
    /// `XDEL` calls.
    pub xdel_calls_total: u64,
    /// Server time in `XDEL`, in microseconds.
    pub xdel_us_total: u64,
    /// `XAUTOCLAIM` calls.
    pub xautoclaim_calls_total: u64,
}

/// One second of a NATS server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NatsStatsRow {
    /// Instant of the sample, microseconds since the start of the run.
    pub at_us: u64,
    /// Messages in our stream: jobs that are not done.
    pub messages: Option<u64>,
    /// Their size, in bytes.
    pub stream_bytes: Option<u64>,
    /// Messages that were never delivered (`num_pending` of the consumer).
    pub ready: Option<u64>,
    /// Messages that were delivered and not acked (`num_ack_pending`).
    pub ack_pending: Option<u64>,
    /// Of these, delivered more than once (`num_redelivered`).
    pub redelivered: Option<u64>,
    /// Pull requests that wait for a message (`num_waiting`).
    pub waiting_pulls: Option<u64>,
    /// Connected clients.
    pub connections: u64,
    /// Memory of the server's process (`mem`), in bytes.
    pub rss_bytes: u64,
    /// CPU of the server's process as it tells it, where 100 is one core.
    pub cpu_pct: Option<f64>,
    /// JetStream's memory storage in use, in bytes.
    pub memory_store_bytes: u64,
    /// JetStream's file storage in use, in bytes.
    pub file_store_bytes: u64,
    /// Messages that the server received.
    pub in_messages_total: u64,
    /// Messages that the server sent.
    pub out_messages_total: u64,
    /// Payload received, in bytes.
    pub in_bytes_total: u64,
    /// Payload sent, in bytes.
    pub out_bytes_total: u64,
    /// Clients that did not keep up.
    pub slow_consumers_total: u64,
    /// Requests to JetStream.
    pub api_requests_total: u64,
    /// Of these, those that it refused.
    pub api_errors_total: u64,
}
