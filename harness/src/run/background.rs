//! The scenario's background load over the course of one run.

use std::time::Duration;

use qbench_scenarios::Pgbench as PgbenchSize;
use qbench_schema::result::BackgroundLoad;

use super::servers::RunServers;
use qbench_engines::background::{Pgbench, PgbenchConfig, PreparedPgbench};
use qbench_engines::postgres::pgbench_for;
use qbench_ground::clock::RunClock;
use qbench_ground::pinning::Cores;

/// How long pgbench may take until its first report.
const START_LIMIT: Duration = Duration::from_secs(20);

/// pgbench reports once a second; after this long its last report covers the end of the measured phase.
const LAST_REPORT: Duration = Duration::from_millis(1_200);

/// A running background load.
pub(super) struct BackgroundRun {
    pgbench: Pgbench,
    clock: RunClock,
}

/// Fills pgbench's tables on the PostgreSQL of the run's host. The program will be bound to `cores`, where some are given.
pub(super) async fn prepare(
    servers: &RunServers,
    size: PgbenchSize,
    cores: Option<Cores>,
) -> anyhow::Result<PreparedPgbench> {
    let server = servers.of_background()?;
    let config = PgbenchConfig {
        program: pgbench_for(server)?,
        server: server.url().clone(),
        clients: size.clients.get(),
        scale: size.scale.get(),
        cores,
    };
    Ok(Pgbench::prepare(config).await?)
}

/// Removes what [`prepare`] made, after a run that broke before the background load could be ended in order.
pub(super) async fn remove_leftovers(servers: &RunServers) -> anyhow::Result<()> {
    Ok(qbench_engines::background::remove_leftovers(servers.of_background()?.url()).await?)
}

impl BackgroundRun {
    /// Starts the clients and waits until they are at work.
    pub(super) async fn start(prepared: PreparedPgbench, clock: RunClock) -> anyhow::Result<Self> {
        let pgbench = prepared.start(clock)?;
        pgbench.wait_until_running(START_LIMIT).await?;
        Ok(BackgroundRun { pgbench, clock })
    }

    /// Its process, for the accounting of roles.
    pub(super) fn pid(&self) -> u32 {
        self.pgbench.pid()
    }

    /// Ends it and returns what it measured of itself between two instants of the run, or why that is not known.
    /// `window_us` is `None` when nothing was measured.
    pub(super) async fn finish(mut self, window_us: Option<(u64, u64)>) -> Result<BackgroundLoad, String> {
        if let Some((_, to_us)) = window_us {
            let last_report = self.clock.at(to_us) + LAST_REPORT;
            tokio::time::sleep_until(last_report.into()).await;
        }
        self.pgbench.stop();
        let report = match window_us {
            None => Err("nothing was measured".to_owned()),
            Some((from_us, to_us)) => self.pgbench.report(from_us, to_us).map_err(|error| error.to_string()),
        };
        let removed = self.pgbench.remove().await;
        let report = report?;
        removed.map(|()| report).map_err(|error| error.to_string())
    }
}
