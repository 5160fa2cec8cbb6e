//! The capacity of queues: for each the highest rate that keeps a limit, as a bracket (METHODOLOGY S10).
//!
//! Reading order: [`Slo`] (the limit), [`Search`] (which rate is next), `judge` (whether a probe passed), and here how a probe is run. Each is
//! a run in a fresh process on servers of its own, so it begins with an empty queue.

mod judge;
mod search;
mod slo;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qbench_schema::SCHEMA_VERSION;
use qbench_schema::capacity::{CapacityRow, Probe};
use qbench_schema::files::{CAPACITY_JSON, MATRIX_JSON, RunFiles};
use qbench_schema::matrix::MatrixRecord;
use qbench_schema::result::{RunResult, RunStatus};

use crate::child::{self, RunCommand, StopSignals};
use crate::error::{Error, Result};
use crate::plan::{Cell, PlannedRun};
use crate::progress::Progress;
use crate::resume;
use crate::verdict::{self, Settled};

use judge::judge;
pub use search::{CLOSE, FailedEnd, Outcome, Search, Step};
pub use slo::Slo;

/// Most probes of one search; it ends by itself long before.
const PROBES_MAX: usize = 60;

/// How often a probe is made that the machine alone spoiled.
const TRIES: u32 = 4;

/// A queue whose capacity is searched.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Backend, scenario and everything of its runs but the rate.
    pub cell: Cell,
    /// The first rate that is tried.
    pub start_jobs_s: f64,
    /// What its workers can do at all.
    pub bound: Option<FailedEnd>,
}

/// How large a probe is: both hold.
#[derive(Debug, Clone, Copy)]
pub struct ProbeSize {
    /// Shortest measured phase.
    pub duration: Duration,
    /// Fewest jobs.
    pub jobs: u32,
}

impl ProbeSize {
    /// The measured phase at `rate_jobs_s`, in whole seconds.
    fn at(&self, rate_jobs_s: f64) -> Duration {
        let for_jobs = (f64::from(self.jobs) / rate_jobs_s).ceil();
        self.duration.max(Duration::from_secs(for_jobs as u64))
    }
}

/// What is searched for, and where its files go.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The queues, one after the other.
    pub candidates: Vec<Candidate>,
    /// The limit.
    pub slo: Slo,
    /// The size of probes.
    pub size: ProbeSize,
    /// Output folder.
    pub out: PathBuf,
    /// Seed of the arrivals, for the record.
    pub seed: u64,
    /// Every setting that all probes share; a search with others is refused in the same folder.
    pub configuration: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// A row per queue, those that were not begun left out.
    pub rows: Vec<CapacityRow>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

/// Searches for the capacity of every candidate. What was found so far stands in `capacity.json` after each probe.
///
/// Await it directly from `Runtime::block_on` on the main thread, as [`crate::execute()`].
///
/// # Errors
/// [`Error::Occupied`] when the folder has files and `resume` is false, [`Error::Changed`] when they are of other settings; when a file cannot
/// be written or the program cannot be started.
pub async fn find(plan: &Plan, resume: bool, command: &RunCommand, progress: &mut Progress) -> Result<Found> {
    prepare(plan, resume)?;
    let mut stop = StopSignals::watch()?;
    let mut found = Found::default();
    for candidate in &plan.candidates {
        let mut search = Searching::new(plan, candidate);
        while let Step::Probe(rate_jobs_s) = search.search.next() {
            if search.row.probes.len() >= PROBES_MAX {
                search.row.unfinished = format!("it was given up after {PROBES_MAX} probes");
                break;
            }
            let result = search.probe(rate_jobs_s, command, &mut stop, progress).await?;
            let Some(result) = result else {
                found.interrupted = true;
                search.row.unfinished = "it was interrupted".to_owned();
                break;
            };
            let Some((outcome, probe)) = judge(&result, plan.slo) else {
                search.row.unfinished =
                    format!("this machine spoiled {TRIES} probes at {rate_jobs_s} jobs/s, one after the other");
                break;
            };
            search.take(&result, &outcome, probe);
            progress.notice(&search.so_far());
            found.write(&plan.out, &search.row)?;
        }
        let row = search.finish();
        progress.notice(&in_words(&row));
        found.write(&plan.out, &row)?;
        found.rows.push(row);
        if found.interrupted {
            break;
        }
    }
    progress.end();
    Ok(found)
}

impl Found {
    /// Writes what is known, with `row` as the last one.
    fn write(&self, out: &Path, row: &CapacityRow) -> Result<()> {
        let rows: Vec<&CapacityRow> = self.rows.iter().chain([row]).collect();
        let path = out.join(CAPACITY_JSON);
        verdict::write_whole(&path, &rows).map_err(Error::file("write", &path))
    }
}

/// A bracket as a sentence.
pub fn in_words(row: &CapacityRow) -> String {
    let name = format!("{} in {}", row.backend, row.scenario);
    let bracket = match (row.passed_jobs_s, row.failed_jobs_s) {
        (Some(passed), Some(failed)) => format!("carries {passed} jobs/s and not {failed}"),
        (Some(passed), None) => format!("carries {passed} jobs/s, and no rate failed yet"),
        (None, Some(failed)) => format!("does not carry {failed} jobs/s, and no rate passed"),
        (None, None) => "nothing is known yet".to_owned(),
    };
    let because = row.failed_because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
    let cost =
        row.cpu_server_us_per_job.map(|cost| format!("; {cost:.0} us of server CPU per job")).unwrap_or_default();
    let unfinished = if row.unfinished.is_empty() { String::new() } else { format!("; {}", row.unfinished) };
    format!("{name}: {bracket}{because}{cost}{unfinished}")
}

/// One search under way.
struct Searching<'a> {
    plan: &'a Plan,
    candidate: &'a Candidate,
    search: Search,
    row: CapacityRow,
}

impl<'a> Searching<'a> {
    fn new(plan: &'a Plan, candidate: &'a Candidate) -> Self {
        let identity = &candidate.cell.identity;
        Searching {
            plan,
            candidate,
            search: Search::new(candidate.start_jobs_s, candidate.bound.clone()),
            row: CapacityRow {
                backend: identity.backend.clone(),
                scenario: identity.scenario.clone(),
                durability: identity.durability,
                delivery: identity.delivery,
                waiting: identity.waiting,
                engine: identity.engine.clone(),
                slo: plan.slo.to_string(),
                passed_jobs_s: None,
                failed_jobs_s: None,
                failed_because: None,
                confirmed: false,
                unfinished: String::new(),
                cpu_server_us_per_job: None,
                probe_s: plan.size.duration.as_secs_f64(),
                probes: Vec::new(),
            },
        }
    }

    /// The result of a probe that is there already, else of one that is made now; one that the machine spoiled is made again. `None` when
    /// the user stopped it.
    async fn probe(
        &self,
        rate_jobs_s: f64,
        command: &RunCommand,
        stop: &mut StopSignals,
        progress: &mut Progress,
    ) -> Result<Option<RunResult>> {
        let planned = self.planned(rate_jobs_s);
        let path = planned.files.result();
        let stands = |result: &RunResult| {
            result.status == RunStatus::Finished
                && (result.identity.offered_jobs_s / rate_jobs_s - 1.0).abs() < 1e-6
                && judge(result, self.plan.slo).is_some()
        };
        if let Some(result) = verdict::read(&path).filter(stands) {
            return Ok(Some(result));
        }
        fs::create_dir_all(planned.files.dir()).map_err(Error::file("create the folder", planned.files.dir()))?;
        let mut last = None;
        for _ in 0..TRIES {
            // Of an attempt that was cut off or spoiled.
            resume::set_aside(&planned.files.all())?;
            let started_at = jiff::Timestamp::now().to_string();
            progress.run_started(&planned);
            let ended = child::run(&planned, command, stop, progress).await?;
            let settled = verdict::settle(&planned, &ended, started_at)?;
            if ended.interrupted {
                progress.run_ended("interrupted");
                return Ok(None);
            }
            let result = match settled {
                Settled::Finished(result) => *result,
                Settled::Broken(reason) => {
                    RunResult::without_figures(planned.cell.identity.clone(), RunStatus::Failed, &reason)
                }
            };
            let judged = judge(&result, self.plan.slo);
            progress.run_ended(&match &judged {
                Some((Outcome::Passed, probe)) => format!("passed, p99 {:.1} ms,", probe.p99_ms),
                Some((Outcome::Failed(because), _)) => format!("did not pass ({because})"),
                None => "spoiled by this machine, and made again".to_owned(),
            });
            if judged.is_some() {
                return Ok(Some(result));
            }
            last = Some(result);
        }
        Ok(last)
    }

    /// The next run: its number is its block, so that it has arrivals of its own.
    fn planned(&self, rate_jobs_s: f64) -> PlannedRun {
        let cell = &self.candidate.cell;
        let number = self.row.probes.len() as u32 + 1;
        let folder = format!("{}_{}/probe-{number:02}", cell.identity.backend, cell.identity.scenario);
        let duration = self.plan.size.at(rate_jobs_s);
        let mut cell = cell.clone();
        let arguments = [format!("rate={rate_jobs_s}"), format!("duration={}s", duration.as_secs())];
        cell.arguments.extend(arguments.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
        cell.identity.offered_jobs_s = rate_jobs_s;
        cell.estimate += duration;
        let files = RunFiles::new(&self.plan.out.join(folder), &cell.identity.backend, &cell.identity.scenario);
        let name = format!("{} at {rate_jobs_s} jobs/s", files.run());
        PlannedRun { cell, block: number, files, name }
    }

    fn take(&mut self, result: &RunResult, outcome: &Outcome, probe: Probe) {
        // The rate that was asked for names the probe: that of a result has gone through a file.
        let rate_jobs_s = match self.search.next() {
            Step::Probe(rate_jobs_s) => rate_jobs_s,
            Step::Done => return,
        };
        self.search.record(rate_jobs_s, outcome);
        self.row.probes.push(Probe { rate_jobs_s, ..probe });
        if result.status == RunStatus::Finished {
            self.row.engine.clone_from(&result.identity.engine);
            self.row.durability = result.identity.durability;
        }
        self.row.passed_jobs_s = self.search.passed_jobs_s();
        let failed = self.search.failed();
        self.row.failed_jobs_s = failed.as_ref().map(|failed| failed.rate_jobs_s);
        self.row.failed_because = failed.map(|failed| failed.because);
        let mut costs: Vec<f64> = self
            .row
            .probes
            .iter()
            .filter(|probe| probe.passed && Some(probe.rate_jobs_s) == self.row.passed_jobs_s)
            .filter_map(|probe| probe.cpu_server_us_per_job)
            .collect();
        costs.sort_by(f64::total_cmp);
        self.row.cpu_server_us_per_job = costs.get(costs.len() / 2).copied();
    }

    fn so_far(&self) -> String {
        format!("so far: {}", in_words(&self.row))
    }

    fn finish(mut self) -> CapacityRow {
        self.row.confirmed = self.row.unfinished.is_empty() && self.search.is_confirmed();
        self.row
    }
}

/// Checks that the folder is free, or holds a search with the same settings that is to be gone on with, and writes down what it is.
fn prepare(plan: &Plan, resume: bool) -> Result<()> {
    let path = plan.out.join(CAPACITY_JSON);
    if path.exists() && !resume {
        return Err(Error::Occupied { dir: plan.out.clone(), run: CAPACITY_JSON.to_owned() });
    }
    let record = MatrixRecord {
        schema_version: SCHEMA_VERSION,
        seed: plan.seed,
        blocks: 1,
        configuration: plan.configuration.clone(),
    };
    resume::check_record(&plan.out, &record)?;
    fs::create_dir_all(&plan.out).map_err(Error::file("create the folder", &plan.out))?;
    let path = plan.out.join(MATRIX_JSON);
    verdict::write_whole(&path, &record).map_err(Error::file("write", &path))
}
