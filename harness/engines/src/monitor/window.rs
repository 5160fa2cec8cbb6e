//! What the run cost within the measured window, as totals: the inputs of the cost per job (METHODOLOGY M6).
//!
//! The server's own counters are read right after the two marks of the window, over a connection of their own, so that no
//! sample of a second stands in their way: a round trip after the mark as a rule.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::book::Snapshot;
use super::notes::Notes;
use super::server::{LogSize, ServerCounters, WindowReader};
use qbench_ground::clock::RunClock;
use qbench_schema::result::Maintenance;

const SUBJECT: &str = "read the server's counters at the ends of the measured window, costs per job stay empty";

/// Totals over the measured window. Empty where the engine has no such thing, or does not tell.
///
/// PostgreSQL hands what a busy backend counted to its views once a second, so `fsyncs` and `dead_tuples` trail by up to a
/// second at both ends. In a steady load the two cancel; a window without a warm-up before it lacks up to its last second.
/// `pg_stat_force_next_flush` would not help: it speaks for the session that calls it alone. `wal_bytes` are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowCost {
    /// What the server wrote to its log: PostgreSQL to its WAL (`pg_current_wal_insert_lsn`), Valkey to its append-only file.
    /// Seconds in which a rewrite of the file ended are taken to have grown as much as the others. Empty beside a background
    /// load on the same server.
    pub log_bytes: Option<u64>,
    /// Flushes of that log. Empty beside a background load on the same server, and where `wal_sync_method` flushes
    /// with the write itself. Valkey does not count its own.
    pub fsyncs: Option<u64>,
    /// Updates and deletes of rows in the backend's tables, each of which leaves a row version to clean up.
    pub dead_tuples: Option<u64>,
    /// Growth of the backend's keys in Valkey (`MEMORY USAGE`), or of its stream in NATS where that is in memory. Valkey's whole server's `used_memory_dataset` would hold the
    /// buffers of the clients too, which move by more than a short run's jobs.
    pub memory_growth_bytes: Option<i64>,
    /// How often the server looked after itself.
    pub maintenance: Maintenance,
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

/// What the server said at the two ends.
#[derive(Debug, Default)]
pub(crate) struct WindowCounters {
    start: Option<ServerCounters>,
    end: Option<ServerCounters>,
}

/// Waits for the marks and asks the server at each.
pub(crate) struct WindowProbe {
    clock: RunClock,
    reader: Option<Box<dyn WindowReader>>,
    edges: mpsc::UnboundedReceiver<Edge>,
    notes: Notes,
}

impl WindowProbe {
    /// A probe that asks `reader` when something comes through `edges`.
    pub(crate) fn new(
        clock: RunClock,
        reader: Option<Box<dyn WindowReader>>,
        edges: mpsc::UnboundedReceiver<Edge>,
        notes: &Notes,
    ) -> Self {
        WindowProbe { clock, reader, edges, notes: notes.clone() }
    }

    /// Runs until the monitors are stopped and every mark until then has been answered.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> WindowCounters {
        let mut counters = WindowCounters::default();
        let Some(mut reader) = self.reader.take() else { return counters };
        // The connection is there before it is needed. Trouble is told when it matters, and the sampling monitor tells too.
        let _ = reader.connect().await;
        loop {
            let edge = tokio::select! {
                biased;
                edge = self.edges.recv() => edge,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(edge) = edge else { return counters };
            let at_us = self.clock.now_us();
            let answer = match ask(reader.as_mut(), at_us).await {
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

async fn ask(reader: &mut dyn WindowReader, at_us: u64) -> Result<ServerCounters, String> {
    reader.connect().await?;
    reader.read(at_us).await
}

impl WindowCost {
    /// The cost of the window between two snapshots of the roles. `shared` says that a background load worked on the same
    /// server: what cannot be told apart from it then stays empty, and a note says so. `log` holds sizes of the
    /// server's log in the order of time.
    pub(crate) fn between(
        (from, to): (&Snapshot, &Snapshot),
        counters: &WindowCounters,
        log: &[LogSize],
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
            cost.maintenance = end.maintenance.since(start.maintenance);
            cost.fsyncs = grown(start.fsyncs, end.fsyncs);
            cost.dead_tuples = grown(start.dead_tuples, end.dead_tuples);
            cost.memory_growth_bytes = start
                .memory_bytes
                .zip(end.memory_bytes)
                .and_then(|(start, end)| end.try_into().ok().zip(start.try_into().ok()))
                .map(|(end, start): (i64, i64)| end - start);
            if let (Some(start), Some(end)) = (start.log, end.log) {
                cost.log_bytes = log_growth(start, log, end, notes);
            }
        }
        if shared {
            (cost.log_bytes, cost.fsyncs) = (None, None);
            notes.add(
                "WAL and flushes per job are left out",
                "the background load works on the same server, which does not tell its share",
            );
        }
        cost
    }
}

/// Growth of a server's log from `start` to `end`, with `between` in the order of time. The end of a rewrite replaces
/// what was written by what is left of it, so the growth is summed up over the pieces of time without such an end. The other
/// pieces (a second each) are taken to have grown at the same rate, and a note says so; `None` when there are only such.
fn log_growth(start: LogSize, between: &[LogSize], end: LogSize, notes: &Notes) -> Option<u64> {
    let inside = between.iter().filter(|size| (start.at_us + 1..end.at_us).contains(&size.at_us));
    let sizes: Vec<&LogSize> = std::iter::once(&start).chain(inside).chain([&end]).collect();
    let (mut grown_bytes, mut covered_us) = (0, 0);
    for pair in sizes.windows(2) {
        if pair[0].rewritten_bytes == pair[1].rewritten_bytes
            && let Some(bytes) = pair[1].bytes.checked_sub(pair[0].bytes)
        {
            grown_bytes += bytes;
            covered_us += pair[1].at_us - pair[0].at_us;
        }
    }
    let window_us = end.at_us.saturating_sub(start.at_us);
    if covered_us == 0 {
        notes.add("the growth of the server's log is not known", "it was rewritten all the time");
        return None;
    }
    if covered_us < window_us {
        notes.add(
            "the growth of the server's log is counted in part",
            format!(
                "{:.1} of {:.1} s are counted, rewrites of it ended in the others, which are taken to be alike",
                covered_us as f64 / 1e6,
                window_us as f64 / 1e6
            ),
        );
    }
    Some((grown_bytes as f64 * window_us as f64 / covered_us as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(at_s: u64, bytes: u64, rewritten_bytes: u64) -> LogSize {
        LogSize { at_us: at_s * 1_000_000, bytes, rewritten_bytes }
    }

    #[test]
    fn a_rewrite_of_the_log_hides_no_growth() {
        let notes = Notes::default();
        let samples = [size(1, 7_777, 0), size(3, 1_100, 0), size(4, 1_200, 0), size(5, 90, 50), size(99, 7_777, 50)];
        let grown = log_growth(size(2, 1_000, 0), &samples, size(6, 190, 50), &notes);
        assert_eq!(grown, Some(400), "100 bytes in each of three seconds, and the one with the rewrite like them");
        assert!(notes.sentences()[0].contains("3.0 of 4.0 s are counted"), "{:?}", notes.sentences());
    }

    #[test]
    fn without_a_rewrite_the_growth_is_the_difference() {
        let notes = Notes::default();
        assert_eq!(log_growth(size(2, 1_000, 64), &[], size(6, 9_000, 64), &notes), Some(8_000));
        assert_eq!(notes.sentences(), Vec::<String>::new());
        assert_eq!(log_growth(size(2, 1_000, 64), &[], size(6, 9_000, 65), &notes), None, "nothing can be said");
    }
}
