//! One run of the load: connect, warm up, fill, measure, drain, stop.

mod agreed;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use qbench_backends::Admin;
use qbench_schema::result::{Activity, Rates, WakeCounts};
use tokio::time::{Instant, sleep};

use super::crew::Shared;
use super::ledger::Counts;
use super::outcome::LoadOutcome;
use super::pacer::{self, FlatOutLimit};
pub use super::run::LoadRun;
use super::schedule::Segment;
use crate::record::{RecordFiles, Recorder, account};
use qbench_ground::clock::RunPhase;

/// How often the driver looks at backlog, interruption and fatal errors.
const TICK: Duration = Duration::from_millis(100);

/// An empty queue in which nothing completed for so long (and the length of the work) has given everything it will give.
const QUIET: Duration = Duration::from_secs(1);

/// With producers alone and flat out: jobs released and not yet answered. More than the producers can have in flight, and
/// little to take back at the end.
const UNANSWERED_MAX: u64 = 20_000;

/// What the run tells others while it goes on.
pub trait Observer: Send {
    /// Called about ten times a second.
    fn progress(&mut self, phase: RunPhase, done: Duration, total: Duration, backlog: u64);
    /// The measured phase begins now.
    fn measured_start(&mut self);
    /// The measured phase ends now.
    fn measured_end(&mut self);
}

/// Why a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    AsPlanned,
    DeadlinePassed,
    Interrupted,
    Broken,
}

/// What happened between start and end of the measured phase.
#[derive(Default)]
struct Window {
    jobs: Counts,
    round_trips: u64,
    wake: WakeCounts,
    busiest_thread_pct: Option<f64>,
    /// Whether it was over because the backlog was worked off.
    emptied: bool,
}

impl LoadRun<'_> {
    /// Runs warm-up, prefill, measured phase and drain. Records go to `files`; `admin` settles, counts and is asked for
    /// the depth.
    ///
    /// # Errors
    /// When connections cannot be opened, a file cannot be created, or the system gives no thread.
    pub async fn drive(
        &self,
        admin: &mut dyn Admin,
        files: RecordFiles<'_>,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<LoadOutcome> {
        let plan = self.plan;
        let account = files.account;
        let clock_start = SystemTime::now() - Duration::from_micros(self.clock.now_us());
        let recorder =
            Recorder::start(files, clock_start, Arc::clone(&plan.schedule), plan.workers, Arc::clone(&self.incidents))?;
        let (mut shared, crew) = self.start_crew(&recorder).await?;

        let measured = plan.schedule.measured();
        let mut ended = match self.gather().await {
            Ok(ended) => ended,
            Err(refused) => {
                shared.gate.close(0);
                self.dismiss(crew).await;
                return Err(refused);
            }
        };
        if ended == Ended::AsPlanned {
            ended = self.prepare(&mut shared, admin, observer).await?;
        }
        let mut window = Window::default();
        if ended == Ended::AsPlanned {
            (ended, window) = self.measure(&mut shared, admin, observer).await?;
        }
        let measured_end_us = self.clock.now_us();
        self.phase.enter(RunPhase::Drain);
        shared.valve.reopen();
        shared.pacer.stop();
        let released = shared.pacer.released();
        // What fell due and no producer has taken is not sent any more after a stop.
        let given_up = if ended == Ended::AsPlanned { 0 } else { shared.gate.revoke() };
        shared.gate.close(released - given_up);
        let mut drained = false;
        if ended == Ended::AsPlanned {
            drained = self.come_to_rest(&mut shared, admin, observer, RunPhase::Drain).await == Ended::AsPlanned;
        }
        self.dismiss(crew).await;
        let mut recording = recorder.finish();
        if let Some(path) = account
            && let Err(reason) = account::write(path, shared.ledger.account())
        {
            recording.error = Some(reason);
        }
        // A backlog was worked off when its last job was acked, and that is noticed only later.
        let measured_end_us = if window.emptied { recording.last_settled_us } else { measured_end_us };
        let ledger = &shared.ledger;
        let mut totals = ledger.totals();
        // An interrupted schedule only intended what had fallen due.
        totals.measured.intended = totals.measured.intended.min(released.saturating_sub(measured.first_job()));
        let start_us = measured.start_us();
        let measured_s = start_us.map_or(0.0, |start_us| measured_end_us.saturating_sub(start_us) as f64 / 1e6);
        let in_window = window.jobs;
        let per_second = |jobs: u64| if measured_s > 0.0 { jobs as f64 / measured_s } else { 0.0 };
        let last_us = recording.last_settled_us.max(measured_end_us);
        Ok(LoadOutcome {
            totals,
            in_window,
            round_trips: window.round_trips,
            wake: Some(window.wake).filter(|_| !self.backend.works_in_processes()),
            busiest_thread_pct: window.busiest_thread_pct,
            rates: Rates {
                sent_jobs_s: per_second(in_window.sent),
                enqueued_jobs_s: per_second(in_window.confirmed),
                completed_jobs_s: per_second(in_window.measured_completed),
                prefilled_completed_jobs_s: per_second(in_window.completed - in_window.measured_completed),
            },
            prefilled: plan.beforehand(),
            backlog: shared.samples.describe(),
            timeline: start_us.map_or_else(Vec::new, |start_us| {
                recording.timeline(&ledger.intended_by_second(start_us, released), &shared.samples.by_second())
            }),
            claim_order: ledger.claim_order(),
            confirm_time: ledger.confirm_time(),
            measured_start_us: start_us,
            measured_end_us,
            drain_s: if drained { last_us - measured_end_us } else { self.clock.now_us() - measured_end_us } as f64
                / 1e6,
            drained,
            interrupted: self.interrupt.load(Ordering::Acquire),
            census: admin.census().await.map_err(|error| error.to_string()),
            recording,
        })
    }

    /// Brings the queue into the state from which the measured phase starts.
    async fn prepare(
        &self,
        shared: &mut Shared,
        admin: &mut dyn Admin,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Ended> {
        let plan = self.plan;
        let mut ended = Ended::AsPlanned;
        if let Some(warmup) = plan.schedule.warmup() {
            self.phase.enter(RunPhase::Warmup);
            let begin_us = self.company.as_ref().map(|company| company.start_us());
            ended = self.release(warmup, begin_us, shared, observer).await?;
            if ended == Ended::AsPlanned {
                ended = self.come_to_rest(shared, admin, observer, RunPhase::Warmup).await;
                if ended == Ended::DeadlinePassed {
                    self.incidents.fail(format!(
                        "the warm-up was not drained within {} s: {} jobs are left; lower the rate or add workers",
                        plan.drain_deadline.as_secs_f64(),
                        shared.ledger.backlog()
                    ));
                    ended = Ended::Broken;
                }
            }
        }
        let beforehand = plan.beforehand();
        if ended == Ended::AsPlanned && (beforehand > 0 || plan.activity == Activity::Enqueue) {
            ended = self.hold_workers(shared).await;
        }
        if ended == Ended::AsPlanned && beforehand > 0 {
            ended = self.fill(beforehand, shared, observer).await;
        }
        let changed_something = plan.schedule.warmup().is_some() || beforehand > 0;
        let settles = self.company.as_ref().is_none_or(|company| company.settles());
        if ended == Ended::AsPlanned
            && changed_something
            && settles
            && let Err(error) = admin.settle().await
        {
            self.incidents.fail(format!("settling the server before the measured phase failed: {error}"));
            ended = Ended::Broken;
        }
        Ok(ended)
    }

    /// The measured phase: how it ended, and what happened in it.
    async fn measure(
        &self,
        shared: &mut Shared,
        admin: &mut dyn Admin,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<(Ended, Window)> {
        let measured = self.plan.schedule.measured();
        let begin_us = match self.agreed_start().await {
            Ok(begin_us) => begin_us,
            Err(ended) => return Ok((ended, Window::default())),
        };
        self.phase.enter(RunPhase::Measured);
        self.sample(shared);
        observer.measured_start();
        let before = shared.ledger.counts();
        let (round_trips_before, wake_before) = (self.counters.requests(), self.counters.wake());
        let (begun, cpu_before) = (Instant::now(), shared.shards.cpu_s());
        let mut emptied = false;
        let ended = match self.plan.activity {
            Activity::Drain => {
                measured.begin(self.clock.now_us());
                shared.valve.reopen();
                let ended = self.come_to_rest(shared, admin, observer, RunPhase::Measured).await;
                emptied = ended == Ended::AsPlanned;
                // What is left is the drain's to say.
                if ended == Ended::DeadlinePassed { Ended::AsPlanned } else { ended }
            }
            Activity::Both => {
                shared.valve.reopen();
                self.release(measured, begin_us, shared, observer).await?
            }
            Activity::Enqueue => self.release(measured, begin_us, shared, observer).await?,
        };
        let after = shared.ledger.counts();
        let busiest_thread_pct = busiest_pct(cpu_before, shared.shards.cpu_s(), begun.elapsed());
        let round_trips = self.counters.requests() - round_trips_before;
        let wake = self.counters.wake().since(wake_before);
        observer.measured_end();
        self.sample(shared);
        shared.samples.end_of_measured_phase();
        Ok((ended, Window { jobs: after.since(before), round_trips, wake, busiest_thread_pct, emptied }))
    }

    /// Releases the jobs of `segment`, on its schedule or flat out, and waits for the end of its duration. It begins at the instant that was agreed
    /// on, else now.
    async fn release(
        &self,
        segment: &Segment,
        begin_us: Option<u64>,
        shared: &mut Shared,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Ended> {
        let start_us = begin_us.unwrap_or_else(|| self.clock.now_us());
        segment.begin(start_us);
        shared.pacer.go_on();
        let pacer = self.spawn_pacer(segment, shared)?;
        let end = Instant::from_std(self.clock.at(start_us)) + segment.duration();
        let phase = self.phase.current();
        let ended = loop {
            let now = Instant::now();
            self.sample(shared);
            let done = segment.duration().saturating_sub(end.saturating_duration_since(now));
            observer.progress(phase, done, segment.duration(), shared.ledger.backlog());
            if let Some(ended) = self.must_end() {
                break ended;
            }
            let all_released = segment.is_flat_out() || shared.pacer.released() >= segment.end_job();
            if now >= end && all_released {
                break Ended::AsPlanned;
            }
            tokio::time::sleep_until((now + TICK).min(end.max(now + Duration::from_millis(1)))).await;
        };
        shared.pacer.stop();
        // It ends within one of its sleeps; until then what it released is not final.
        while !pacer.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(ended)
    }

    fn spawn_pacer(&self, segment: &Segment, shared: &Shared) -> std::io::Result<std::thread::JoinHandle<()>> {
        let (gate, state, ledger) = (Arc::clone(&shared.gate), Arc::clone(&shared.pacer), Arc::clone(&shared.ledger));
        let (schedule, phase) = (Arc::clone(&self.plan.schedule), segment.phase());
        let limit = segment.is_flat_out().then(|| {
            let ledger = Arc::clone(&shared.ledger);
            match self.plan.activity {
                Activity::Enqueue => FlatOutLimit {
                    outstanding_max: UNANSWERED_MAX,
                    settled: Box::new(move || ledger.counts().answered),
                },
                Activity::Both | Activity::Drain => FlatOutLimit {
                    outstanding_max: self.plan.max_backlog,
                    settled: Box::new(move || ledger.counts().settled()),
                },
            }
        });
        pacer::spawn(self.clock, move |clock| {
            let Some(segment) = schedule.segment(phase) else { return };
            match limit {
                None => pacer::release_segment(clock, segment, &ledger, &gate, &state),
                Some(limit) => pacer::release_flat_out(clock, segment, &limit, &gate, &state),
            }
        })
    }

    /// Keeps workers from claiming, and waits until none does.
    async fn hold_workers(&self, shared: &Shared) -> Ended {
        shared.valve.close();
        let deadline = Instant::now() + self.plan.drain_deadline;
        while !shared.valve.is_idle() {
            if let Some(ended) = self.must_end() {
                return ended;
            }
            if Instant::now() >= deadline {
                self.incidents.fail("a worker's claim did not return in time to fill the queue".to_owned());
                return Ended::Broken;
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ended::AsPlanned
    }

    /// Puts `jobs` jobs into the queue as fast as producers can, in large batches.
    async fn fill(&self, jobs: u64, shared: &mut Shared, observer: &mut dyn Observer) -> Ended {
        self.phase.enter(RunPhase::Prefill);
        let already_answered = shared.ledger.counts().answered;
        shared.producers.enqueue_batch.store(self.plan.prefill_batch, Ordering::Release);
        shared.pacer.release_now(jobs, &shared.gate);
        let ended = loop {
            let filled = shared.ledger.counts().answered - already_answered;
            if filled >= jobs {
                break Ended::AsPlanned;
            }
            if let Some(ended) = self.must_end() {
                break ended;
            }
            let (done, total) = (Duration::from_secs(filled), Duration::from_secs(jobs));
            observer.progress(RunPhase::Prefill, done, total, shared.ledger.backlog());
            sleep(Duration::from_millis(5)).await;
        };
        shared.producers.enqueue_batch.store(self.plan.enqueue_batch, Ordering::Release);
        ended
    }

    fn sample(&self, shared: &mut Shared) {
        // Where others put jobs into the queue and take them out, what this one sent less what it settled is no backlog.
        if self.phase.current() != RunPhase::Warmup && !self.shares_queue() {
            shared.samples.add(self.clock.now_us(), shared.ledger.backlog());
        }
    }

    fn must_end(&self) -> Option<Ended> {
        if self.incidents.fatal().is_some() {
            Some(Ended::Broken)
        } else if self.interrupt.load(Ordering::Acquire) {
            Some(Ended::Interrupted)
        } else {
            None
        }
    }

    /// Waits until every released job was sent and answered, every confirmed one settled, and the server says that
    /// nothing is left; at most for the drain deadline.
    async fn come_to_rest(
        &self,
        shared: &mut Shared,
        admin: &mut dyn Admin,
        observer: &mut dyn Observer,
        phase: RunPhase,
    ) -> Ended {
        let begun = Instant::now();
        // A worker may hold jobs that the server does not show any more; this long after the last ack it holds none.
        let quiet = QUIET + self.plan.work + self.plan.worker.linger();
        let mut last_progress = (shared.ledger.counts().settled(), begun);
        // Short at first, because coming to rest usually takes as long as one job.
        let mut pause = Duration::from_millis(2);
        loop {
            let counts = shared.ledger.counts();
            if counts.settled() != last_progress.0 {
                last_progress = (counts.settled(), Instant::now());
            }
            let all_answered = counts.answered >= shared.pacer.released();
            // On a queue with others our own account is never complete: then only quiet counts, after everybody has sent everything.
            let may_be_empty = (!self.shares_queue() && shared.ledger.drained()) || last_progress.1.elapsed() >= quiet;
            if all_answered && self.all_have_sent(phase).await && may_be_empty {
                // Asked even when every confirmed job is done: one whose enqueue got no answer may still surface.
                match admin.depth().await {
                    // An empty queue in which nothing moves any more is drained, whatever is missing: that is lost.
                    Ok(depth) if depth.ready + depth.in_flight == 0 => return Ended::AsPlanned,
                    Ok(_) => {}
                    Err(error) => self.incidents.count(&error),
                }
            }
            if let Some(ended) = self.must_end() {
                return ended;
            }
            if begun.elapsed() >= self.plan.drain_deadline {
                return Ended::DeadlinePassed;
            }
            self.sample(shared);
            observer.progress(phase, begun.elapsed(), self.plan.drain_deadline, shared.ledger.backlog());
            sleep(pause).await;
            pause = (pause * 2).min(TICK);
        }
    }
}

/// CPU of the busiest thread over `elapsed`, 100 is one core.
fn busiest_pct(before_s: Option<Vec<f64>>, after_s: Option<Vec<f64>>, elapsed: Duration) -> Option<f64> {
    let used_s = before_s?.into_iter().zip(after_s?).map(|(before_s, after_s)| after_s - before_s);
    used_s.reduce(f64::max).map(|used_s| used_s / elapsed.as_secs_f64() * 100.0)
}
