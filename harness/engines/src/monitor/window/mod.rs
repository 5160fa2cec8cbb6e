//! What the run cost within the measured window, as totals: the inputs of the cost per job (METHODOLOGY M6).
//!
//! The server's own counters are read right after the two marks of the window, over a connection of their own, so that no
//! sample of a second stands in their way: a round trip after the mark as a rule.

mod postgres;
mod valkey;

use tokio::sync::{mpsc, watch};

use super::ServerTarget;
use super::book::Snapshot;
use super::notes::Notes;
use postgres::PostgresCounters;
use qbench_ground::clock::RunClock;
use valkey::ValkeyCounters;

pub(crate) use valkey::AofSize;

const SUBJECT: &str = "read the server's counters at the ends of the measured window, costs per job stay empty";

/// Totals over the measured window. Empty where the engine has no such thing, or does not tell.
///
/// PostgreSQL hands what a busy backend counted to its views once a second, so `fsyncs` and `dead_tuples` trail by up to a
/// second at both ends. In a steady load the two cancel; a window without a warm-up before it lacks up to its last second.
/// `pg_stat_force_next_flush` would not help: it speaks for the session that calls it alone. `wal_bytes` are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WindowCost {
    /// WAL that PostgreSQL wrote (`pg_current_wal_insert_lsn`). Empty beside a background load on the same server.
    pub wal_bytes: Option<u64>,
    /// Growth of Valkey's append-only file. Seconds in which a rewrite of the file ended are taken to have grown as much as
    /// the others.
    pub aof_bytes: Option<u64>,
    /// Flushes of PostgreSQL's WAL. Empty beside a background load on the same server, and where `wal_sync_method` flushes
    /// with the write itself. Valkey does not count its own.
    pub fsyncs: Option<u64>,
    /// Updates and deletes of rows in the backend's tables, each of which leaves a row version to clean up.
    pub dead_tuples: Option<u64>,
    /// Growth of the backend's keys in Valkey (`MEMORY USAGE`). The whole server's `used_memory_dataset` would hold the
    /// buffers of the clients too, which move by more than a short run's jobs.
    pub valkey_memory_growth_bytes: Option<i64>,
    /// Context switches of the server's processes.
    pub server_ctx_switches: Option<u64>,
    /// Context switches of this harness.
    pub harness_ctx_switches: Option<u64>,
}

/// One end of the measured window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Start,
    End,
}

/// Counters of a server since it started, at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ServerCounters {
    at_us: u64,
    wal_bytes: Option<u64>,
    fsyncs: Option<u64>,
    dead_tuples: Option<u64>,
    keys_bytes: Option<u64>,
    aof: Option<AofSize>,
}

/// What the server said at the two ends.
#[derive(Debug, Default)]
pub(crate) struct WindowCounters {
    start: Option<ServerCounters>,
    end: Option<ServerCounters>,
}

/// Waits for the marks and asks the server at each.
pub(crate) struct WindowProbe {
    clock: RunClock,
    engine: Option<Engine>,
    edges: mpsc::UnboundedReceiver<Edge>,
    notes: Notes,
}

enum Engine {
    Postgres(PostgresCounters),
    Valkey(ValkeyCounters),
}

impl WindowProbe {
    /// A probe of `target` that asks when something comes through `edges`.
    pub(crate) fn new(
        clock: RunClock,
        target: &ServerTarget,
        edges: mpsc::UnboundedReceiver<Edge>,
        notes: &Notes,
    ) -> Self {
        let engine = match target {
            ServerTarget::Postgres { url, objects } => {
                Some(Engine::Postgres(PostgresCounters::new(url.clone(), objects.clone())))
            }
            ServerTarget::Valkey { url, objects } => {
                Some(Engine::Valkey(ValkeyCounters::new(url.clone(), objects.clone())))
            }
            ServerTarget::None => None,
        };
        WindowProbe { clock, engine, edges, notes: notes.clone() }
    }

    /// Runs until the monitors are stopped and every mark until then has been answered.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> WindowCounters {
        let mut counters = WindowCounters::default();
        let Some(mut engine) = self.engine.take() else { return counters };
        // The connection is there before it is needed. Trouble is told when it matters, and the sampling monitor tells too.
        let _ = engine.connect().await;
        loop {
            let edge = tokio::select! {
                biased;
                edge = self.edges.recv() => edge,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(edge) = edge else { return counters };
            let at_us = self.clock.now_us();
            let answer = match engine.read(at_us).await {
                Ok(answer) => Some(answer),
                Err(error) => {
                    self.notes.add(SUBJECT, error);
                    None
                }
            };
            match edge {
                Edge::Start => counters.start = answer,
                Edge::End => counters.end = answer,
            }
        }
    }
}

impl Engine {
    async fn connect(&mut self) -> Result<(), String> {
        match self {
            Engine::Postgres(postgres) => postgres.connect().await,
            Engine::Valkey(valkey) => valkey.connect().await,
        }
    }

    async fn read(&mut self, at_us: u64) -> Result<ServerCounters, String> {
        self.connect().await?;
        match self {
            Engine::Postgres(postgres) => postgres.read(at_us).await,
            Engine::Valkey(valkey) => valkey.read(at_us).await,
        }
    }
}

impl WindowCost {
    /// The cost of the window between two snapshots of the roles. `shared` says that a background load worked on the same
    /// server: what cannot be told apart from it then stays empty, and a note says so. `aof` holds sizes of Valkey's
    /// append-only file in the order of time.
    pub(crate) fn between(
        (from, to): (&Snapshot, &Snapshot),
        counters: &WindowCounters,
        aof: &[AofSize],
        shared: bool,
        notes: &Notes,
    ) -> Self {
        let grown = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        let mut cost = WindowCost {
            server_ctx_switches: grown(from.server.ctx_switches, to.server.ctx_switches),
            harness_ctx_switches: grown(from.harness.ctx_switches, to.harness.ctx_switches),
            ..WindowCost::default()
        };
        if let (Some(start), Some(end)) = (&counters.start, &counters.end) {
            cost.wal_bytes = grown(start.wal_bytes, end.wal_bytes);
            cost.fsyncs = grown(start.fsyncs, end.fsyncs);
            cost.dead_tuples = grown(start.dead_tuples, end.dead_tuples);
            cost.valkey_memory_growth_bytes = start
                .keys_bytes
                .zip(end.keys_bytes)
                .and_then(|(start, end)| end.try_into().ok().zip(start.try_into().ok()))
                .map(|(end, start): (i64, i64)| end - start);
            if let (Some(start), Some(end)) = (start.aof, end.aof) {
                cost.aof_bytes = valkey::aof_growth(start, aof, end, notes);
            }
        }
        if shared {
            (cost.wal_bytes, cost.fsyncs) = (None, None);
            notes.add(
                "WAL and flushes per job are left out",
                "the background load works on the same server, which does not tell its share",
            );
        }
        cost
    }
}
