//! What a run does at instants that it has agreed on with other generators of the same schedule.

use qbench_ground::clock::RunPhase;
use tokio::time::{Instant, sleep_until};

use super::{Ended, TICK};
use crate::run::LoadRun;

/// So long before the agreed start everybody has to be there.
const LOOK_ROUND_US: u64 = 250_000;

/// So long before an agreed instant its phase is begun, so that the pacer sleeps to the first arrival and not past it.
const AWAKE_US: u64 = 100_000;

impl LoadRun<'_> {
    /// Waits for the agreed start together with the other generators. A run alone does not wait.
    pub(super) async fn gather(&self) -> anyhow::Result<Ended> {
        let Some(company) = &self.company else { return Ok(Ended::AsPlanned) };
        company.ready().await?;
        let ended = self.wait_until(company.start_us().saturating_sub(LOOK_ROUND_US)).await;
        if ended != Ended::AsPlanned {
            return Ok(ended);
        }
        company.all_are_ready().await?;
        Ok(self.wait_until(company.start_us().saturating_sub(AWAKE_US)).await)
    }

    /// Waits for an instant of the run's clock, unless the run must end before.
    async fn wait_until(&self, at_us: u64) -> Ended {
        let at = Instant::from_std(self.clock.at(at_us));
        loop {
            if let Some(ended) = self.must_end() {
                return ended;
            }
            let now = Instant::now();
            if now >= at {
                return Ended::AsPlanned;
            }
            sleep_until((now + TICK).min(at)).await;
        }
    }

    /// The agreed start of the measured phase, awaited; `None` in a run alone, whose measured phase begins when it is ready.
    pub(super) async fn agreed_start(&self) -> Result<Option<u64>, Ended> {
        let Some(start_us) = self.company.as_ref().map(|company| company.measured_start_us()) else { return Ok(None) };
        let now_us = self.clock.now_us();
        if now_us > start_us {
            self.incidents.fail(format!(
                "the measured phase had to begin with those of the other shards, and this one was ready {:.1} s later: lower the \
                 warm-up's rate or add workers",
                (now_us - start_us) as f64 / 1e6
            ));
            return Err(Ended::Broken);
        }
        match self.wait_until(start_us.saturating_sub(AWAKE_US)).await {
            Ended::AsPlanned => Ok(Some(start_us)),
            ended => Err(ended),
        }
    }

    /// Whether nobody puts jobs of `phase` into the queue any more. Others that cannot be asked end the run.
    pub(super) async fn all_have_sent(&self, phase: RunPhase) -> bool {
        let Some(company) = &self.company else { return true };
        match company.all_have_sent(phase).await {
            Ok(all) => all,
            Err(error) => {
                self.incidents.fail(format!("{error:#}"));
                false
            }
        }
    }
}
