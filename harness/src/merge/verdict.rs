//! Figures, audit and gates of a merged run: those of any run, made of what all shards said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qbench_backends::{Capabilities, Census, Wake};
use qbench_driver::backlog::BacklogSamples;
use qbench_driver::incidents::Incidents;
use qbench_driver::ledger::Counts;
use qbench_driver::outcome::LoadOutcome;
use qbench_driver::record::{RecordFiles, Recorder, Recording};
use qbench_engines::monitor::{CpuSeconds, MonitorSummary, WindowCost};
use qbench_ground::short_hash::short_hash;
use qbench_schema::files::RunFiles;
use qbench_schema::record::{JobRecord, Outcome};
use qbench_schema::result::{
    Audit, Blame, CostPerJob, CpuPct, Rates, RunIdentity, RunResult, Validity, Verdict, WakeCounts,
};
use qbench_schema::shard::{EnqueueEnd, MergedRun};

use super::clocks::Clocks;
use super::shards::{Shard, ShardSet};
use super::told::{self, Told};
use super::whole::{self, Whole};
use crate::run::figures::{self, Evidences};
use crate::run::measured::Measured;

/// Time between two samples of the backlog, as in a run.
const SAMPLE_US: u64 = 100_000;

/// The verdict on the whole of `set`. Job file and latency log of the whole go to `files`.
///
/// # Errors
/// When a file of a shard cannot be used, or one of the whole cannot be written.
pub(super) fn of(set: &ShardSet, files: &RunFiles) -> anyhow::Result<RunResult> {
    let clocks = Clocks::of(set)?;
    let told: Vec<Told> = set.shards.iter().map(told::read).collect::<anyhow::Result<_>>()?;
    let start_us = clocks.whole_us(0, set.first().figures.measured_start_us);
    let ends =
        set.shards.iter().enumerate().map(|(place, shard)| clocks.whole_us(place, shard.figures.measured_end_us));
    let end_us = ends.max().unwrap_or(start_us);
    let whole = whole::put_together(set, &told, &clocks, start_us, Duration::from_micros(end_us - start_us));
    let recording = record(&whole, files, clock_start(set))?;
    let load = load(set, &whole, recording, (start_us, end_us));
    let merged = MergedRun {
        shards: set.shards.iter().map(|shard| shard.result.identity.run_id.clone()).collect(),
        run_key: set.first().identity.run_key.clone(),
        start_at: set.first().identity.start_at.clone(),
        queue_per_shard: set.queue_per_shard(),
        foreign_completed: whole.foreign_completed,
        clock_error_us: clocks.error_us.filter(|_| whole.foreign_completed > 0),
        moved_max_us: whole.moved_max_us,
    };
    let differences: Vec<String> = told.into_iter().flat_map(|told| told.differences).collect();
    let mut result = judged(set, load);
    add_reasons(&mut result, set, differences);
    result.merged = Some(merged);
    Ok(result)
}

/// Wall clock at instant 0 of the whole, which the log of histograms tells its readers.
fn clock_start(set: &ShardSet) -> SystemTime {
    let figures = &set.first().figures;
    let zero_us = figures.server_clock.map(|clock| clock.zero_us).or_else(|| {
        let start_at: jiff::Timestamp = set.first().identity.start_at.parse().ok()?;
        Some(start_at.as_microsecond() - figures.measured_start_us as i64)
    });
    UNIX_EPOCH + Duration::from_micros(zero_us.unwrap_or_default().unsigned_abs())
}

/// Records everything once more, as one generator would have: job file, latency log, histograms.
fn record(whole: &Whole, files: &RunFiles, clock_start: SystemTime) -> anyhow::Result<Recording> {
    let (metrics, latency_log) = (files.metrics(), files.latency_log());
    let to = RecordFiles { metrics: Some(&metrics), latency_log: Some(&latency_log), ..RecordFiles::default() };
    // The schedule of the whole has no instants of its own, so that whoever records waits for the writer and drops nothing.
    let recorder =
        Recorder::start(to, clock_start, Arc::clone(&whole.schedule), whole.workers, Arc::new(Incidents::default()))?;
    let mut sink = recorder.sink();
    whole.records.iter().for_each(|record| sink.push(*record));
    drop(sink);
    let recording = recorder.finish();
    match &recording.error {
        Some(error) => anyhow::bail!("{error}"),
        None => Ok(recording),
    }
}

/// What came of the load as a whole.
fn load(set: &ShardSet, whole: &Whole, recording: Recording, (start_us, end_us): (u64, u64)) -> LoadOutcome {
    let mut totals = whole.ledger.totals();
    totals.measured.intended = whole.measured.len() as u64;
    // Numbers that a shard saw and that nobody can have are in no other file.
    totals.unexpected += sum(set, |shard| shard.result.audit.unexpected);
    let until_end = |at_us: u64| at_us != 0 && at_us <= end_us;
    let sent = whole.measured.iter().filter(|line| until_end(line.sent_us)).count() as u64;
    let confirmed = whole
        .measured
        .iter()
        .filter(|line| line.enqueue == EnqueueEnd::Confirmed && until_end(line.confirmed_us))
        .count() as u64;
    let in_time = |outcome: Outcome| {
        whole.records.iter().filter(|record| record.outcome == outcome && until_end(record.acked_us)).count() as u64
    };
    let completed = in_time(Outcome::Acked);
    let in_window = Counts {
        sent,
        answered: confirmed,
        confirmed,
        completed,
        measured_completed: completed,
        failed: in_time(Outcome::Failed) + in_time(Outcome::Panicked),
    };
    let measured_s = (end_us - start_us) as f64 / 1e6;
    let per_second = |jobs: u64| if measured_s > 0.0 { jobs as f64 / measured_s } else { 0.0 };
    let last_us = recording.last_settled_us.max(end_us);
    let samples = backlog(whole, start_us, end_us, last_us);
    LoadOutcome {
        totals,
        in_window,
        round_trips: per_job_total(set, |cost| cost.round_trips).unwrap_or_default().round() as u64,
        wake: wake(set),
        busiest_thread_pct: None,
        rates: Rates {
            sent_jobs_s: per_second(sent),
            enqueued_jobs_s: per_second(confirmed),
            completed_jobs_s: per_second(completed),
            prefilled_completed_jobs_s: 0.0,
        },
        prefilled: 0,
        backlog: samples.describe(),
        timeline: recording.timeline(&intended_by_second(whole, start_us), &samples.by_second()),
        confirm_time: whole.ledger.confirm_time(),
        claim_order: whole.claim_order(),
        measured_start_us: Some(start_us),
        measured_end_us: end_us,
        drain_s: (last_us - end_us) as f64 / 1e6,
        drained: set.shards.iter().all(|shard| shard.figures.drained),
        interrupted: false,
        census: census(set),
        recording,
    }
}

/// Jobs in the system over the measured phase and the drain, from the instants of all jobs.
fn backlog(whole: &Whole, start_us: u64, end_us: u64, last_us: u64) -> BacklogSamples {
    let mut left = Vec::with_capacity(whole.records.len());
    let mut entered: BTreeMap<u64, u64> = BTreeMap::new();
    for line in whole.measured.iter().filter(|line| line.confirmed_us != 0) {
        entered.insert(line.job, line.confirmed_us);
    }
    for JobRecord { job, enqueued_us, acked_us, outcome, .. } in &whole.records {
        if matches!(outcome, Outcome::Acked | Outcome::Failed | Outcome::Panicked) {
            // A job that was claimed had been enqueued, also where the confirmation was still on its way.
            entered.entry(*job).and_modify(|at_us| *at_us = (*at_us).min(*enqueued_us)).or_insert(*enqueued_us);
            left.push(*acked_us);
        }
    }
    let mut entered: Vec<u64> = entered.into_values().collect();
    entered.sort_unstable();
    left.sort_unstable();
    let at = |at_us: u64| {
        let until = |instants: &[u64]| instants.partition_point(|instant| *instant <= at_us) as u64;
        until(&entered).saturating_sub(until(&left))
    };
    let mut samples = BacklogSamples::with_room_for((last_us - start_us) / 1_000_000);
    let ticks = |from_us: u64, to_us: u64| (from_us..to_us).step_by(SAMPLE_US as usize).chain([to_us]);
    ticks(start_us, end_us).for_each(|at_us| samples.add(at_us, at(at_us)));
    samples.end_of_measured_phase();
    ticks(end_us, last_us).for_each(|at_us| samples.add(at_us, at(at_us)));
    samples
}

fn intended_by_second(whole: &Whole, start_us: u64) -> Vec<u64> {
    let mut seconds = Vec::new();
    for line in &whole.measured {
        let second = (line.intended_us.saturating_sub(start_us) / 1_000_000) as usize;
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        seconds[second] += 1;
    }
    seconds
}

/// The server's own account: of one queue what the first shard read, of a queue for each what all of them read.
fn census(set: &ShardSet) -> Result<Census, String> {
    let shards = if set.queue_per_shard() { &set.shards[..] } else { &set.shards[..1] };
    let mut census = Census { enqueued: Some(0), done: Some(0), ..Census::default() };
    for shard in shards {
        let account =
            shard.figures.server_account.ok_or_else(|| format!("shard {} could not", shard.identity.which()))?;
        let add = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        census.enqueued = add(census.enqueued, account.enqueued);
        census.done = add(census.done, account.done);
        census.ready += account.ready;
        census.in_flight += account.in_flight;
        census.dead += account.dead;
    }
    Ok(census)
}

fn wake(set: &ShardSet) -> Option<WakeCounts> {
    set.shards.iter().map(|shard| shard.result.wake).try_fold(WakeCounts::default(), |sum, wake| {
        let wake = wake?;
        Some(WakeCounts {
            notifications_sent: sum.notifications_sent + wake.notifications_sent,
            notifications_received: sum.notifications_received + wake.notifications_received,
            empty_claims: sum.empty_claims + wake.empty_claims,
            listener_reconnects: sum.listener_reconnects + wake.listener_reconnects,
        })
    })
}

fn sum(set: &ShardSet, of: impl Fn(&Shard) -> u64) -> u64 {
    set.shards.iter().map(of).sum()
}

/// Jobs that a shard's workers completed in the measured phase, whoever sent them: what its figures per job were divided by.
fn jobs_in_window(shard: &Shard) -> f64 {
    let rates = shard.result.rates;
    (rates.completed_jobs_s + rates.prefilled_completed_jobs_s) * shard.result.identity.measured_s
}

/// A figure per job, as the total of all shards; `None` where one of them does not tell.
fn per_job_total(set: &ShardSet, of: impl Fn(&CostPerJob) -> Option<f64>) -> Option<f64> {
    let totals = set.shards.iter().map(|shard| Some(of(&shard.result.cost_per_job)? * jobs_in_window(shard)));
    totals.sum()
}

/// The verdict as of any run.
fn judged(set: &ShardSet, load: LoadOutcome) -> RunResult {
    let first = set.first();
    let identity = identity(set);
    let incidents = Incidents::default();
    type Count = fn(&Audit) -> u64;
    let counters: [(&AtomicU64, Count); 3] = [
        (&incidents.corrupted, |audit| audit.corrupted),
        (&incidents.overclaimed, |audit| audit.overclaimed),
        (&incidents.stale_acks, |audit| audit.stale_acks),
    ];
    for (counter, of) in counters {
        counter.store(sum(set, |shard| of(&shard.result.audit)), Ordering::Relaxed);
    }
    // What was drained is judged by the contract alone.
    let capabilities =
        Capabilities { delivery: identity.delivery, ..Capabilities::leased(&[Wake::Poll], std::num::NonZeroU32::MIN) };
    // The shard that was closest to what its harness carries.
    let floors = set.shards.iter().map(|shard| shard.result.floor.map(|floor| floor.ceiling_over_rate));
    let lowest = floors.collect::<Option<Vec<f64>>>().and_then(|ratios| ratios.into_iter().reduce(f64::min));
    let ceiling_jobs_s = lowest.map(|ratio| ratio * identity.offered_jobs_s);
    let cpu_pct = cpu_pct(set);
    let measured = Measured {
        incidents: Arc::new(incidents),
        monitors: monitors(set, cpu_pct),
        background: set.shards.iter().find_map(|shard| shard.result.background.clone()).map(Ok),
        server_clock: None,
        load,
    };
    let result = figures::conclude(
        identity,
        Evidences {
            in_process: first.result.identity.topology == "in process",
            capabilities: &capabilities,
            ceiling_jobs_s,
            wire_floor: None,
            notes: notes(set),
            measured,
        },
    );
    let on_one_host = is_on_one_host(set);
    RunResult {
        // Each shard's was judged by its own host's cores.
        cpu_pct: CpuPct { harness: cpu_pct.harness, ..result.cpu_pct },
        errors: set.shards.iter().flat_map(|shard| &shard.result.errors).fold(
            BTreeMap::new(),
            |mut errors, (code, count)| {
                *errors.entry(code.clone()).or_default() += count;
                errors
            },
        ),
        hiccup_ms: first.result.hiccup_ms.filter(|_| on_one_host),
        tail_spoiled: set.shards.iter().find_map(|shard| {
            let mut tail = shard.result.tail_spoiled.clone()?;
            tail.reason = format!("shard {}: {}", shard.identity.which(), tail.reason);
            Some(tail)
        }),
        ..result
    }
}

fn is_on_one_host(set: &ShardSet) -> bool {
    let host = |shard: &Shard| shard.result.identity.host_id.clone();
    set.shards.iter().all(|shard| host(shard) == host(set.first()))
}

/// What the whole is: what all shards are, where they do not differ.
fn identity(set: &ShardSet) -> RunIdentity {
    let first = &set.first().result.identity;
    let all = |of: fn(&RunIdentity) -> &str| {
        let mut words: Vec<&str> = set.shards.iter().map(|shard| of(&shard.result.identity)).collect();
        words.sort_unstable();
        words.dedup();
        words.join(" + ")
    };
    let host_ids = all(|identity| &identity.host_id);
    RunIdentity {
        run_id: format!(
            "{}_{}_{}_merged",
            first.backend.replace(':', "-"),
            first.scenario,
            set.first().identity.run_key
        ),
        host: all(|identity| &identity.host),
        host_id: if is_on_one_host(set) { host_ids } else { short_hash(&host_ids) },
        topology: all(|identity| &identity.topology),
        shard: None,
        offered_jobs_s: set.first().identity.run_offered_jobs_s,
        ..first.clone()
    }
}

/// CPU of generators is the sum; of the server, and of what else there is once, what a shard beside it saw.
fn cpu_pct(set: &ShardSet) -> CpuPct {
    let total = |of: fn(&CpuPct) -> Option<f64>| -> Option<f64> {
        set.shards.iter().map(|shard| of(&shard.result.cpu_pct)).sum()
    };
    let seen = |of: fn(&CpuPct) -> Option<f64>| set.shards.iter().find_map(|shard| of(&shard.result.cpu_pct));
    let host = set.first().result.cpu_pct;
    let on_one_host = is_on_one_host(set);
    CpuPct {
        host: host.host.filter(|_| on_one_host),
        server: seen(|cpu| cpu.server),
        harness: total(|cpu| cpu.harness),
        meter: total(|cpu| cpu.meter),
        adapter: total(|cpu| cpu.adapter),
        background: seen(|cpu| cpu.background),
        kernel: host.kernel.filter(|_| on_one_host),
    }
}

/// What was watched: of the server by the first shard that could, of the generators by all of them.
fn monitors(set: &ShardSet, cpu_pct: CpuPct) -> MonitorSummary {
    let first = set.first();
    let measured_s = first.result.identity.measured_s;
    let seconds = |pct: Option<f64>| pct.map(|pct| pct / 100.0 * measured_s);
    // The totals of the server are the same for every shard; each has them divided by the jobs that it completed itself.
    let of_server = |of: fn(&CostPerJob) -> Option<f64>| {
        set.shards.iter().find_map(|shard| Some(of(&shard.result.cost_per_job)? * jobs_in_window(shard)))
    };
    // What is counted of a queue's own objects is of all queues together where there are several.
    let of_queues = |of: fn(&CostPerJob) -> Option<f64>| {
        if set.queue_per_shard() { per_job_total(set, of) } else { of_server(of) }
    };
    let count = |total: Option<f64>| total.map(|total| total.round().max(0.0) as u64);
    MonitorSummary {
        cpu_s: CpuSeconds {
            server: of_server(|cost| cost.server_cpu_us).map(|us| us / 1e6),
            harness: per_job_total(set, |cost| cost.harness_cpu_us).map(|us| us / 1e6),
            adapter: seconds(cpu_pct.adapter),
            ..CpuSeconds::default()
        },
        cost: WindowCost {
            log_bytes: count(of_server(|cost| cost.log_bytes)),
            fsyncs: count(of_server(|cost| cost.fsyncs)),
            dead_tuples: count(of_queues(|cost| cost.dead_tuples)),
            memory_growth_bytes: of_queues(|cost| cost.server_memory_bytes).map(|bytes| bytes.round() as i64),
            maintenance: first.result.maintenance,
            server_ctx_switches: count(of_server(|cost| cost.server_ctx_switches)),
            harness_ctx_switches: count(per_job_total(set, |cost| cost.harness_ctx_switches)),
        },
        rss_server_bytes: set.shards.iter().find_map(|shard| shard.result.rss_server_bytes),
        rss_harness_bytes: set.shards.iter().map(|shard| shard.result.rss_harness_bytes).sum(),
        deadlocks: set.shards.iter().find_map(|shard| shard.result.deadlocks),
        cpu_pct: CpuPct { harness: None, ..cpu_pct },
        ..MonitorSummary::default()
    }
}

/// Notes that all shards have once, the others with who says so.
fn notes(set: &ShardSet) -> Vec<String> {
    let of_first = &set.first().result.notes;
    let is_shared = |note: &String| set.shards.iter().all(|shard| shard.result.notes.contains(note));
    let shared = of_first.iter().filter(|note| is_shared(note)).cloned();
    let own = set.shards.iter().flat_map(|shard| {
        let which = shard.identity.which();
        shard.result.notes.iter().filter(|note| !is_shared(note)).map(move |note| format!("shard {which}: {note}"))
    });
    shared.chain(own).collect()
}

/// What speaks against the whole beside its own figures: what speaks against a shard, and shards whose files do not agree with themselves.
fn add_reasons(result: &mut RunResult, set: &ShardSet, differences: Vec<String>) {
    let of_shards = set.shards.iter().flat_map(|shard| {
        let validity = &shard.result.validity;
        let blame = validity.blame.iter().copied().chain(std::iter::repeat(Blame::default()));
        let which = shard.identity.which();
        blame.zip(&validity.reasons).map(move |(blame, reason)| (blame, format!("shard {which}: {reason}")))
    });
    let of_files = differences.iter().map(|difference| (Blame::Harness, difference.clone()));
    let own = &result.validity;
    let own = own.blame.iter().copied().zip(own.reasons.iter().cloned());
    result.validity = Validity::of(of_shards.chain(of_files).chain(own).collect::<Vec<_>>());
    if !differences.is_empty() {
        result.audit.verdict = Verdict::Violated;
        result.audit.reconciliation.extend(differences.iter().cloned());
        result.audit.reasons.extend(differences);
    }
}
