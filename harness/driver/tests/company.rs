//! Several generators on one queue: each drives its share of one schedule, and none judges what another one did.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::{Backend, BackendOptions, ClientCounters, registry};
use qbench_driver::audit;
use qbench_driver::company::Company;
use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_driver::phases::LoadRun;
use qbench_driver::plan::LoadPlan;
use qbench_driver::record::RecordFiles;
use qbench_driver::shards::threads_beside;
use qbench_driver::share::Share;
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_schema::result::{Delivery, Verdict};
use qbench_schema::shard::{AccountRecord, ForeignRecord, ShardNumber};
use support::{Nobody, memory, on_schedule, plan};

/// Generators of one process, which meet in its memory.
#[derive(Default)]
struct Table {
    ready: AtomicU32,
    sent: Mutex<BTreeMap<u32, bool>>,
}

struct Seat {
    table: Arc<Table>,
    number: u32,
    of: u32,
    start_us: u64,
}

#[async_trait]
impl Company for Seat {
    fn shares_queue(&self) -> bool {
        true
    }
    fn settles(&self) -> bool {
        self.number == 1
    }
    fn first_worker(&self) -> u32 {
        (self.number - 1) * 4
    }
    fn start_us(&self) -> u64 {
        self.start_us
    }
    fn measured_start_us(&self) -> u64 {
        self.start_us
    }
    async fn ready(&self) -> anyhow::Result<()> {
        self.table.ready.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
    async fn all_are_ready(&self) -> anyhow::Result<()> {
        let ready = self.table.ready.load(Ordering::Acquire);
        anyhow::ensure!(ready == self.of, "only {ready} of {} are there", self.of);
        Ok(())
    }
    async fn all_have_sent(&self, _: RunPhase) -> anyhow::Result<bool> {
        let mut sent = self.table.sent.lock().unwrap();
        sent.insert(self.number, true);
        Ok(sent.len() == self.of as usize)
    }
}

/// One generator of `of`, on a clock that all of them have.
async fn generate(
    backend: Arc<dyn Backend>,
    seat: Seat,
    clock: RunClock,
    dir: &Path,
) -> anyhow::Result<(LoadOutcome, Arc<Incidents>)> {
    let number = ShardNumber { number: seat.number, of: seat.of };
    let whole = on_schedule(400.0, Duration::from_secs(1));
    let plan = LoadPlan { schedule: Arc::new(whole.shared(Share::of_shard(number))), ..plan(400.0) };
    let capabilities = registry::find("memory").unwrap().capabilities(&BackendOptions::default())?;
    let mut admin = backend.admin().await?;
    let incidents = Arc::new(Incidents::default());
    let path = |name: &str| dir.join(format!("{}_{name}", number.number));
    let (metrics, account, foreign) = (path("metrics"), path("account"), path("foreign"));
    let files =
        RecordFiles { metrics: Some(&metrics), account: Some(&account), foreign: Some(&foreign), latency_log: None };
    let run = LoadRun {
        plan: &plan,
        threads: threads_beside(false),
        backend,
        capabilities: &capabilities,
        counters: ClientCounters::default(),
        clock,
        phase: PhaseCell::default(),
        incidents: Arc::clone(&incidents),
        interrupt: Arc::new(AtomicBool::new(false)),
        company: Some(Arc::new(seat)),
    };
    let outcome = run.drive(admin.as_mut(), files, &mut Nobody).await?;
    Ok((outcome, incidents))
}

fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generators_on_one_queue_send_the_whole_schedule_and_settle_each_other_s_jobs() {
    let dir = std::env::temp_dir().join(format!("qbench-company-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (backend, table, clock) = (memory(), Arc::new(Table::default()), RunClock::start());
    backend.admin().await.unwrap().setup().await.unwrap();
    let seat = |number| Seat { table: Arc::clone(&table), number, of: 2, start_us: 700_000 };
    let both = tokio::join!(
        generate(Arc::clone(&backend), seat(1), clock, &dir),
        generate(Arc::clone(&backend), seat(2), clock, &dir),
    );
    let (first, second) = (both.0.unwrap(), both.1.unwrap());

    let mut completions: BTreeMap<u64, u64> = BTreeMap::new();
    for (number, (outcome, incidents)) in [(1, &first), (2, &second)] {
        assert!(outcome.drained);
        assert_eq!(outcome.measured_start_us, Some(700_000), "both begin at the agreed instant");
        assert_eq!((outcome.totals.measured.intended, outcome.totals.measured.enqueued), (200, 200));
        let audit = audit::judge_share(&outcome.totals, incidents, Delivery::AtLeastOnce);
        assert_eq!((audit.verdict, audit.unexpected, audit.lost), (Verdict::Inconclusive, 0, 0), "{audit:?}");
        let own: Vec<AccountRecord> = lines(&dir.join(format!("{number}_account")));
        let foreign: Vec<ForeignRecord> = lines(&dir.join(format!("{number}_foreign")));
        assert_eq!(own.len(), 200);
        assert!(own.iter().all(|job| job.job % 2 == number - 1) && foreign.iter().all(|job| job.job % 2 != number - 1));
        assert_eq!(outcome.recording.foreign_completed, foreign.len() as u64);
        own.iter().for_each(|job| *completions.entry(job.job).or_default() += u64::from(job.completions));
        foreign.iter().for_each(|job| *completions.entry(job.job).or_default() += 1);
    }
    assert!(first.0.recording.foreign_completed + second.0.recording.foreign_completed > 0, "jobs crossed");
    assert_eq!(completions.len(), 400);
    assert!(completions.values().all(|completed| *completed == 1), "each was completed once, by one of them");
    let census = second.0.census.unwrap();
    assert_eq!((census.enqueued, census.done), (Some(400), Some(400)));
    fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_whose_company_is_not_there_does_not_begin() {
    let dir = std::env::temp_dir().join(format!("qbench-alone-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (backend, table) = (memory(), Arc::new(Table::default()));
    backend.admin().await.unwrap().setup().await.unwrap();
    let alone = Seat { table, number: 3, of: 7, start_us: 400_000 };
    let refused = generate(Arc::clone(&backend), alone, RunClock::start(), &dir).await;
    assert_eq!(refused.err().unwrap().to_string(), "only 1 of 7 are there");
    assert_eq!(backend.admin().await.unwrap().census().await.unwrap().enqueued, Some(0), "nothing was sent");
    fs::remove_dir_all(&dir).unwrap();
}
