//! Turns what happened into the verdict's figures.

use std::sync::atomic::Ordering;

use qbench_backends::Capabilities;
use qbench_driver::audit;
use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_engines::monitor::{MonitorSummary, WindowCost};
use qbench_schema::record::Stage;
use qbench_schema::result::{
    Activity, Audit, BackgroundLoad, Backlog, Blame, CostPerJob, CpuUsPerJob, Floor, LoadMode, Regime, RoundTrips,
    RunIdentity, RunResult, RunStatus, ServerHost, Skew, Validity, WireFloor, WorkerShare,
};

use super::hiccups;
use super::measured::Measured;
use crate::machine;
use crate::validity::hiccups::{Latency, Spoiled};
use crate::validity::{self, Evidence, Reason};

/// Below this many times the run's rate the harness itself may be what is measured (METHODOLOGY M5).
const ENOUGH_CEILING: f64 = 5.0;

/// What the run left behind, once everything has stopped.
pub(super) struct Evidences<'a> {
    /// Whether the queue lives in this process, so that its cost is the harness's own.
    pub(super) in_process: bool,
    pub(super) capabilities: &'a Capabilities,
    /// The harness's own floor, where it could be measured.
    pub(super) ceiling_jobs_s: Option<f64>,
    /// The floor of the wire, where there is one.
    pub(super) wire_floor: Option<WireFloor>,
    /// How far away the server was.
    pub(super) round_trips: RoundTrips,
    /// The host of the server, where an observer was there.
    pub(super) server_host: Option<ServerHost>,
    pub(super) notes: Vec<String>,
    pub(super) measured: Measured,
}

/// The verdict of a run whose load was driven, to its end or not.
pub(super) fn conclude(mut identity: RunIdentity, evidences: Evidences<'_>) -> RunResult {
    let Evidences {
        in_process,
        capabilities,
        ceiling_jobs_s,
        wire_floor,
        round_trips,
        server_host,
        mut notes,
        measured,
    } = evidences;
    let Measured { incidents, mut load, monitors, background } = measured;
    let audit = audit::judge(&load.totals, &incidents, &load.census, load.end(), capabilities);
    identity.measured_s = measured_s(&load);
    identity.offered_jobs_s = offered_jobs_s(&identity, &load);
    let (status, error) = ending(&incidents, &load);
    let before_figures = broken(status, error.as_deref(), &background);
    let background = background.and_then(Result::ok);
    let spoiled = spoiled(&identity, &load, &monitors);
    hiccups::add_to(&mut load.timeline, &monitors.hiccups);
    notes.extend(spoiled.tail.iter().map(|tail| tail.reason.clone()));
    let server_host_steal_pct = server_host.as_ref().and_then(|host| host.steal_pct);
    let gates = Gates {
        identity: &identity,
        in_process,
        audit: &audit,
        incidents: &incidents,
        spoiled: &spoiled,
        server_host_steal_pct,
    };
    let validity = gates.judge(&load, &monitors, background.as_ref(), before_figures);

    let (throughput_jobs_s, jobs_in_window) = throughput(identity.activity, &load);
    let floor = floor(ceiling_jobs_s, identity.offered_jobs_s.max(throughput_jobs_s), throughput_jobs_s);
    notes.extend(floor.filter(|_| !in_process).and_then(low_ceiling));
    let per_job = PerJob(jobs_in_window);
    let cpu_us_per_job = per_job.cpu(&monitors);
    let histograms = &load.recording.histograms;
    let workers = worker_shares(&load);
    let partitions = load.census.as_ref().map_or_else(|_| Vec::new(), |census| census.partitions.clone());
    RunResult {
        error,
        throughput_jobs_s,
        rates: load.rates,
        jobs: load.totals.measured,
        prefilled: load.prefilled,
        end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
        schedule_lag_ms: histograms.percentiles_ms(Stage::ScheduleLag),
        release_lag_ms: histograms.percentiles_ms(Stage::ReleaseLag),
        producer_wait_ms: histograms.percentiles_ms(Stage::ProducerWait),
        confirm_time_ms: load.confirm_time.percentiles(),
        enqueue_time_ms: histograms.percentiles_ms(Stage::EnqueueTime),
        queue_wait_ms: histograms.percentiles_ms(Stage::QueueWait),
        local_wait_ms: histograms.percentiles_ms(Stage::LocalWait),
        work_time_ms: histograms.percentiles_ms(Stage::WorkTime),
        ack_time_ms: histograms.percentiles_ms(Stage::AckTime),
        skew: Skew {
            workers_max_over_min: evenness(workers.iter().map(|share| share.completed)),
            partitions_max_over_min: evenness(partitions.iter().map(|share| share.enqueued)),
        },
        workers,
        partitions,
        claim_order: load.claim_order,
        audit,
        validity,
        backlog: load.backlog,
        drain_s: load.drain_s,
        cpu_pct: monitors.cpu_pct,
        cpu_us_per_job,
        cpu_roles_of_host_pct: monitors.cpu_roles_of_host_pct,
        cost_per_job: per_job.cost(&cpu_us_per_job, &monitors.cost, load.round_trips),
        maintenance: monitors.cost.maintenance,
        wake: load.wake.filter(|_| !in_process),
        rss_server_bytes: monitors.rss_server_bytes,
        rss_harness_bytes: monitors.rss_harness_bytes,
        errors: incidents.errors(),
        deadlocks: monitors.deadlocks,
        background,
        floor,
        wire_floor,
        round_trip_us: Some(round_trips).filter(|ends| ends.p50_ms().is_some()),
        server_host,
        timeline: load.timeline,
        notes: notes.into_iter().chain(monitors.notes).collect(),
        hiccup_ms: monitors.hiccups.host.map(|host| host.late_ms),
        hiccup_harness_ms: monitors.hiccups.harness.map(|harness| harness.late_ms),
        tail_spoiled: spoiled.tail,
        ..RunResult::without_figures(identity, status, "")
    }
}

fn measured_s(load: &LoadOutcome) -> f64 {
    let start_us = load.measured_start_us.unwrap_or(load.measured_end_us);
    load.measured_end_us.saturating_sub(start_us) as f64 / 1e6
}

/// On a schedule what was asked for; flat out nobody asked, and it is what came.
fn offered_jobs_s(identity: &RunIdentity, load: &LoadOutcome) -> f64 {
    match (identity.mode, identity.activity) {
        (LoadMode::OpenLoop, _) => identity.offered_jobs_s,
        (LoadMode::Saturation, Activity::Drain) => load.rates.completed_jobs_s,
        (LoadMode::Saturation, _) => load.rates.sent_jobs_s,
    }
}

/// What the phase was about: its own jobs through the queue, or into it, per second. And the jobs that what the phase cost was
/// spent on, those put into the queue beforehand included.
fn throughput(activity: Activity, load: &LoadOutcome) -> (f64, u64) {
    match activity {
        Activity::Both | Activity::Drain => (load.rates.completed_jobs_s, load.in_window.completed),
        Activity::Enqueue => (load.rates.enqueued_jobs_s, load.in_window.confirmed),
    }
}

/// How far the run came, and why it broke.
fn ending(incidents: &Incidents, load: &LoadOutcome) -> (RunStatus, Option<String>) {
    match incidents.fatal() {
        Some(reason) => (RunStatus::Failed, Some(reason.to_owned())),
        None if load.interrupted => (RunStatus::Interrupted, None),
        None => (RunStatus::Finished, None),
    }
}

/// Reasons against a run whatever its figures are.
fn broken(status: RunStatus, error: Option<&str>, background: &Option<Result<BackgroundLoad, String>>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    match status {
        RunStatus::Failed => {
            reasons.push(Reason::new(Blame::Queue, format!("the run failed: {}", error.unwrap_or_default())));
        }
        RunStatus::Interrupted => reasons.push(Reason::new(Blame::User, "the run was interrupted")),
        RunStatus::Running | RunStatus::Finished => {}
    }
    if let Some(Err(reason)) = background {
        reasons.push(Reason::new(Blame::Harness, format!("the background load failed: {reason}")));
    }
    reasons
}

/// What pauses of the host and of the harness did. Flat out and in overload latency says how long the run was.
fn spoiled(identity: &RunIdentity, load: &LoadOutcome, monitors: &MonitorSummary) -> Spoiled {
    let is_of_the_queue = identity.mode == LoadMode::OpenLoop && identity.regime == Regime::Normal;
    let end_to_end_ms = load.recording.histograms.percentiles_ms(Stage::EndToEnd);
    let latency =
        Latency { end_to_end_ms: Some(end_to_end_ms).filter(|_| is_of_the_queue), measured_s: identity.measured_s };
    validity::hiccups::judge(&monitors.hiccups, latency)
}

/// What the gates have to know beside the figures.
struct Gates<'a> {
    identity: &'a RunIdentity,
    in_process: bool,
    audit: &'a Audit,
    incidents: &'a Incidents,
    spoiled: &'a Spoiled,
    server_host_steal_pct: Option<f64>,
}

impl Gates<'_> {
    fn judge(
        &self,
        load: &LoadOutcome,
        monitors: &MonitorSummary,
        background: Option<&BackgroundLoad>,
        before_figures: Vec<Reason>,
    ) -> Validity {
        let histograms = &load.recording.histograms;
        // Flat out there is no schedule to fall behind, and a queue in this process is measured by the CPU that it takes.
        let on_schedule = self.identity.mode == LoadMode::OpenLoop;
        let may_be_bound = on_schedule || !self.in_process;
        validity::judge(
            &Evidence {
                audit: self.audit,
                intended: load.totals.measured.intended,
                // A backlog that is worked off was sent before the phase.
                sent_in_phase: match self.identity.activity {
                    Activity::Drain => load.totals.measured.sent,
                    Activity::Both | Activity::Enqueue => load.in_window.sent,
                },
                end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
                release_lag_ms: histograms.percentiles_ms(Stage::ReleaseLag),
                producer_wait_ms: histograms.percentiles_ms(Stage::ProducerWait),
                backlog: if on_schedule { load.backlog } else { Backlog::default() },
                measured_s: self.identity.measured_s,
                regime: self.identity.regime,
                harness_cpu_pct: monitors.cpu_pct.harness.filter(|_| may_be_bound),
                busiest_thread_pct: load.busiest_thread_pct.filter(|_| may_be_bound),
                cores: machine::cores(),
                steal_pct: monitors.steal_pct,
                server_host_steal_pct: self.server_host_steal_pct,
                dropped_records: self.incidents.dropped_records.load(Ordering::Relaxed),
                overflows: load.recording.overflows,
                background_covered_s: background.map(|background| background.covered_s),
                recording_error: load.recording.error.as_deref(),
                spoiled: self.spoiled,
            },
            before_figures,
        )
    }
}

fn floor(ceiling_jobs_s: Option<f64>, rate_jobs_s: f64, throughput_jobs_s: f64) -> Option<Floor> {
    let ceiling_jobs_s = ceiling_jobs_s.filter(|_| throughput_jobs_s > 0.0)?;
    Some(Floor { ceiling_jobs_s, ceiling_over_rate: ceiling_jobs_s / rate_jobs_s })
}

/// A note where the harness itself may be what was measured.
fn low_ceiling(floor: Floor) -> Option<String> {
    (floor.ceiling_over_rate < ENOUGH_CEILING).then(|| {
        format!(
            "the harness itself carries {:.0} jobs/s with these producers, workers and batches when the queue costs nothing: \
             only {:.1} times the rate of this run, and at least {ENOUGH_CEILING:.0} times are wanted",
            floor.ceiling_jobs_s, floor.ceiling_over_rate
        )
    })
}

fn worker_shares(load: &LoadOutcome) -> Vec<WorkerShare> {
    let completed = load.recording.completed_by_worker.iter().enumerate();
    completed.map(|(worker, completed)| WorkerShare { worker: worker as u32, completed: *completed }).collect()
}

/// Divides totals of the measured phase by the jobs of that phase.
struct PerJob(u64);

impl PerJob {
    fn of(&self, total: Option<f64>) -> Option<f64> {
        total.filter(|_| self.0 > 0).map(|total| total / self.0 as f64)
    }

    fn of_count(&self, total: Option<u64>) -> Option<f64> {
        self.of(total.map(|total| total as f64))
    }

    fn cpu(&self, monitors: &MonitorSummary) -> CpuUsPerJob {
        let us = |cpu_s: Option<f64>| self.of(cpu_s.map(|cpu_s| cpu_s * 1e6));
        let spent = &monitors.cpu_s;
        CpuUsPerJob { server: us(spent.server), harness: us(spent.harness), adapter: us(spent.adapter) }
    }

    fn cost(&self, cpu: &CpuUsPerJob, cost: &WindowCost, round_trips: u64) -> CostPerJob {
        CostPerJob {
            server_cpu_us: cpu.server,
            harness_cpu_us: cpu.harness,
            log_bytes: self.of_count(cost.log_bytes),
            fsyncs: self.of_count(cost.fsyncs),
            // A queue in this process may have nothing that is asked, and what an adapter's library asks is not seen.
            round_trips: self.of_count(Some(round_trips).filter(|asked| *asked > 0)),
            dead_tuples: self.of_count(cost.dead_tuples),
            server_memory_bytes: self.of(cost.memory_growth_bytes.map(|bytes| bytes as f64)),
            server_ctx_switches: self.of_count(cost.server_ctx_switches),
            harness_ctx_switches: self.of_count(cost.harness_ctx_switches),
        }
    }
}

/// Largest share over the smallest; nothing where there are no shares or one of them is nothing.
fn evenness(shares: impl Iterator<Item = u64> + Clone) -> Option<f64> {
    let (least, most) = (shares.clone().min()?, shares.max()?);
    (least > 0).then(|| most as f64 / least as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenness_is_the_largest_share_over_the_smallest_where_nobody_went_without() {
        assert_eq!(evenness([10, 12, 11].into_iter()), Some(1.2));
        assert_eq!(evenness([10, 0].into_iter()), None);
        assert_eq!(evenness(std::iter::empty()), None);
    }
}
