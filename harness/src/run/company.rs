//! A shard among the others of its run: where they meet, what they have agreed on, and their clocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use async_trait::async_trait;
use qbench_driver::company::Company;
use qbench_engines::services::meeting::{Meeting, Stage};
use qbench_ground::clock::{RunClock, RunPhase};
use qbench_ground::short_hash::short_hash;
use qbench_schema::shard::{ServerClock, ShardIdentity};
use tokio::time::sleep;

use super::configuration;
use super::request::{RunRequest, ShardRequest};

/// So long before the agreed start a shard has to be ready, so that all of them can still see that all are there.
const MARGIN_US: u64 = 500_000;

/// Between the end of the warm-up and the agreed start of the measured phase: for the rest of the warm-up's jobs, and for the server to settle.
const PAUSE_AFTER_WARMUP: Duration = Duration::from_secs(10);

/// How often the server is asked for the time, of which the answer that came fastest counts.
const LOOKS_AT_CLOCK: u32 = 200;

/// A host whose clock differs by more from the server's is worth a word.
const WORTH_A_NOTE: Duration = Duration::from_secs(1);

/// Pause between two looks at the others.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long the first shard leaves the queue standing for others that are still busy with it.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(60);

/// Place of the shard that makes the queue, among the stages of all.
const FIRST: usize = 0;

/// Short name for everything that the shards of one run have in common, and no shard of another run.
pub(super) fn run_key(request: &RunRequest, shard: ShardRequest) -> String {
    let plan = &request.plan;
    let scenario: Vec<String> = plan.scenario.as_written.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let text = format!(
        "{} {} {} {:?} {} {:?} {} {}",
        request.entry.id,
        scenario.join(" "),
        configuration::describe(&request.all_settings()).1,
        request.durability,
        plan.workload.seed,
        request.variant,
        request.block,
        shard.start_at
    );
    short_hash(&text)
}

/// What a shard is, for its verdict and manifest; `None` for a run alone.
pub(super) fn identity(request: &RunRequest) -> Option<ShardIdentity> {
    let shard = request.shard?;
    Some(ShardIdentity {
        number: shard.which.number,
        of: shard.which.of,
        run_key: run_key(request, shard),
        start_at: shard.start_at.to_string(),
        queue_per_shard: shard.queue_per_shard,
        run_offered_jobs_s: request.plan.workload.rate.get(),
    })
}

/// One shard's side of what all of them have agreed on.
pub(super) struct ShardCompany {
    shard: ShardRequest,
    workers: u32,
    clock: RunClock,
    start_us: u64,
    measured_start_us: u64,
    /// The clocks before the load, where there is a server to ask.
    before: Option<ServerClock>,
    /// The seat; `None` where each shard is by itself, and once it was left.
    seat: tokio::sync::Mutex<Option<Box<dyn Meeting>>>,
    memory: Mutex<Memory>,
}

/// What was seen and said at the meeting.
#[derive(Default)]
struct Memory {
    announced: Option<Stage>,
    /// The furthest stage of each shard.
    seen: Vec<Option<Stage>>,
    notes: Vec<String>,
}

impl ShardCompany {
    /// Sits down at `seat` and works out the agreed instants; `None` for a run alone.
    ///
    /// # Errors
    /// When the agreed start is past, or the server does not tell the time.
    pub(super) async fn join(
        request: &RunRequest,
        mut seat: Option<Box<dyn Meeting>>,
        clock: RunClock,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(shard) = request.shard else { return Ok(None) };
        let mut notes = Vec::new();
        let here_us =
            SystemTime::now().duration_since(UNIX_EPOCH).context("this host's clock shows a time before 1970")?;
        let here_us = here_us.as_micros() as i64 - clock.now_us() as i64;
        let before = match &mut seat {
            None => None,
            Some(seat) => Some(look_at_clock(seat.as_mut(), clock).await?),
        };
        let zero_us = before.map_or(here_us, |server| server.zero_us);
        let apart = Duration::from_micros(zero_us.abs_diff(here_us));
        if apart >= WORTH_A_NOTE {
            notes.push(format!(
                "this host's clock and the server's are {:.1} s apart; the start was taken by the server's",
                apart.as_secs_f64()
            ));
        }
        let start_us = u64::try_from(shard.start_at.as_microsecond() - zero_us)
            .ok()
            .filter(|start_us| *start_us > clock.now_us())
            .ok_or_else(|| late(shard, "it is past"))?;
        let warmup = request.plan.workload.warmup;
        let until_measured = if warmup.is_zero() { Duration::ZERO } else { warmup + PAUSE_AFTER_WARMUP };
        Ok(Some(Arc::new(ShardCompany {
            shard,
            workers: request.plan.workload.workers.get(),
            clock,
            start_us,
            measured_start_us: start_us + until_measured.as_micros() as u64,
            before,
            seat: tokio::sync::Mutex::new(seat),
            memory: Mutex::new(Memory { notes, ..Memory::default() }),
        })))
    }

    /// Whether the queue is made and removed from here.
    pub(super) fn makes_queue(&self) -> bool {
        self.shard.queue_per_shard || self.shard.which.number == 1
    }

    /// Makes known that the queue stands; or, where another shard makes it, waits until it does.
    ///
    /// # Errors
    /// When it does not stand by the agreed start, or `interrupt` was set.
    pub(super) async fn queue_stands(&self, interrupt: &AtomicBool) -> anyhow::Result<()> {
        if self.makes_queue() {
            return self.announce(Stage::QueueStands).await;
        }
        while self.stages().await?.get(FIRST).copied().flatten().is_none_or(|stage| stage < Stage::QueueStands) {
            if interrupt.load(Ordering::Acquire) || self.clock.now_us() >= self.start_us {
                bail!(
                    "shard {} waited for shard 1 to set up the queue, in vain: start all shards with the same settings, and long enough before {}",
                    self.shard.which,
                    self.shard.start_at
                );
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until no other shard is busy with the queue, so that it can be removed; at most for a while, and only where `all_went_well`.
    pub(super) async fn others_left(&self, all_went_well: bool) {
        if self.shard.queue_per_shard || !all_went_well {
            return;
        }
        let begun = tokio::time::Instant::now();
        while let Ok(stages) = self.stages().await {
            let busy = by_number(&stages, |stage| stage.is_some_and(|stage| stage < Stage::Left));
            let busy: Vec<u32> = busy.into_iter().filter(|number| *number != self.shard.which.number).collect();
            if busy.is_empty() {
                return;
            }
            if begun.elapsed() >= PATIENCE_WITH_OTHERS {
                let note = format!("the queue was removed though shards {} were still there", listed(&busy));
                return self.memory().notes.push(note);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The clocks over the whole load: asked again, now that it is over.
    pub(super) async fn server_clock(&self) -> Option<ServerClock> {
        let before = self.before?;
        let mut seat = self.seat.lock().await;
        match look_at_clock(seat.as_mut()?.as_mut(), self.clock).await {
            Ok(after) => Some(ServerClock {
                drift_us: after.zero_us - before.zero_us,
                error_us: before.error_us.max(after.error_us),
                ..before
            }),
            Err(error) => {
                self.memory()
                    .notes
                    .push(format!("the server's clock could not be looked at again after the load: {error:#}"));
                None
            }
        }
    }

    /// Leaves the others. Returns what there is to say about them.
    pub(super) async fn leave(&self) -> Vec<String> {
        if let Some(seat) = self.seat.lock().await.take() {
            seat.leave().await;
        }
        std::mem::take(&mut self.memory().notes)
    }

    /// That this shard has no more business with the queue. What cannot be told is seen when the seat is empty.
    pub(super) async fn done_with_queue(&self) {
        let _ = self.announce(Stage::Left).await;
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn announce(&self, stage: Stage) -> anyhow::Result<()> {
        if self.memory().announced >= Some(stage) {
            return Ok(());
        }
        if let Some(seat) = self.seat.lock().await.as_mut() {
            seat.announce(stage).await.map_err(|said| self.lost_touch(said))?;
        }
        self.memory().announced = Some(stage);
        Ok(())
    }

    /// How far each shard is; nothing where each is by itself.
    async fn stages(&self) -> anyhow::Result<Vec<Option<Stage>>> {
        match self.seat.lock().await.as_mut() {
            None => Ok(Vec::new()),
            Some(seat) => seat.stages().await.map_err(|said| self.lost_touch(said)),
        }
    }

    fn lost_touch(&self, said: String) -> anyhow::Error {
        anyhow!("shard {} lost touch with the others: {said}", self.shard.which)
    }

    /// Remembers how far everybody is, and who vanished before `stage`.
    fn notice(&self, stages: &[Option<Stage>], stage: Stage) {
        let mut memory = self.memory();
        let seen = std::mem::take(&mut memory.seen);
        let vanished = |place: usize| {
            let before = seen.get(place).copied().flatten();
            stages[place].is_none() && before.is_some_and(|before| before < stage)
        };
        let vanished: Vec<u32> =
            (0..stages.len()).filter(|place| vanished(*place)).map(|place| place as u32 + 1).collect();
        if !vanished.is_empty() {
            let note = format!("shards {} vanished before they had sent all of their jobs", listed(&vanished));
            memory.notes.push(note);
        }
        memory.seen = stages.to_vec();
    }
}

#[async_trait]
impl Company for ShardCompany {
    fn shares_queue(&self) -> bool {
        !self.shard.queue_per_shard
    }

    fn settles(&self) -> bool {
        self.makes_queue()
    }

    fn first_worker(&self) -> u32 {
        if self.shard.queue_per_shard { 0 } else { (self.shard.which.number - 1) * self.workers }
    }

    fn start_us(&self) -> u64 {
        self.start_us
    }

    fn measured_start_us(&self) -> u64 {
        self.measured_start_us
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let (now_us, due_us) = (self.clock.now_us(), self.start_us.saturating_sub(MARGIN_US));
        if now_us > due_us {
            let by_s = (now_us - due_us) as f64 / 1e6;
            let margin_s = MARGIN_US as f64 / 1e6;
            return Err(late(self.shard, &format!("it was ready {by_s:.1} s later than {margin_s} s before that")));
        }
        self.announce(Stage::Ready).await
    }

    async fn all_are_ready(&self) -> anyhow::Result<()> {
        let stages = self.stages().await?;
        // One that has given up has left.
        let missing = by_number(&stages, |stage| stage != Some(Stage::Ready));
        if !missing.is_empty() {
            bail!(
                "shard {} does not begin, because shards {} of {} are not ready at {}: start all of them with the same settings, and long enough before",
                self.shard.which,
                listed(&missing),
                self.shard.which.of,
                self.shard.start_at
            );
        }
        self.notice(&stages, Stage::Ready);
        Ok(())
    }

    async fn all_have_sent(&self, phase: RunPhase) -> anyhow::Result<bool> {
        if self.shard.queue_per_shard {
            return Ok(true);
        }
        let stage = if phase == RunPhase::Warmup { Stage::WarmedUp } else { Stage::Sent };
        self.announce(stage).await?;
        let stages = self.stages().await?;
        self.notice(&stages, stage);
        Ok(stages.iter().all(|reached| reached.is_none_or(|reached| reached >= stage)))
    }
}

/// That a shard is too late, and what to do.
fn late(shard: ShardRequest, why: &str) -> anyhow::Error {
    anyhow!(
        "shard {} is too late for --start-at {}: {why}; choose a later start for all shards",
        shard.which,
        shard.start_at
    )
}

/// Numbers of the shards whose stage is as asked, counted from 1.
fn by_number(stages: &[Option<Stage>], is_asked: impl Fn(Option<Stage>) -> bool) -> Vec<u32> {
    (1..).zip(stages).filter(|(_, stage)| is_asked(**stage)).map(|(number, _)| number).collect()
}

fn listed(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// What the server's clock shows at instant 0 of `clock`, by the fastest of many answers: the server looked at its clock somewhere between question and
/// answer, so the middle is wrong by half of that time at most.
async fn look_at_clock(seat: &mut dyn Meeting, clock: RunClock) -> anyhow::Result<ServerClock> {
    let mut best: Option<(u64, i64)> = None;
    for _ in 0..LOOKS_AT_CLOCK {
        let asked_us = clock.now_us();
        let server_us = seat.server_us().await.map_err(|said| anyhow!("the server does not tell the time: {said}"))?;
        let answered_us = clock.now_us();
        let took_us = answered_us - asked_us;
        if best.is_none_or(|(shortest_us, _)| took_us < shortest_us) {
            best = Some((took_us, server_us - ((asked_us + answered_us) / 2) as i64));
        }
    }
    let (took_us, zero_us) = best.context("the server was not asked for the time")?;
    // Both clocks are read in whole microseconds.
    Ok(ServerClock { zero_us, error_us: took_us.div_ceil(2) + 1, drift_us: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose clock runs `ahead_us` before that of the test and is read after a third of the way.
    struct FarServer {
        clock: RunClock,
        ahead_us: i64,
    }

    #[async_trait]
    impl Meeting for FarServer {
        async fn announce(&mut self, _: Stage) -> Result<(), String> {
            Ok(())
        }
        async fn stages(&mut self) -> Result<Vec<Option<Stage>>, String> {
            Ok(Vec::new())
        }
        async fn server_us(&mut self) -> Result<i64, String> {
            sleep(Duration::from_micros(300)).await;
            let shown_us = self.clock.now_us() as i64 + self.ahead_us;
            sleep(Duration::from_micros(600)).await;
            Ok(shown_us)
        }
        async fn leave(self: Box<Self>) {}
    }

    #[tokio::test]
    async fn the_offset_of_a_clock_is_known_to_within_its_error_bar() {
        let clock = RunClock::start();
        for ahead_us in [-3_000_000, 0, 1_700_000_000_000_000] {
            let found = look_at_clock(&mut FarServer { clock, ahead_us }, clock).await.unwrap();
            let wrong_us = found.zero_us.abs_diff(ahead_us);
            assert!(wrong_us <= found.error_us, "{wrong_us} us wrong, {found:?}");
        }
    }
}
