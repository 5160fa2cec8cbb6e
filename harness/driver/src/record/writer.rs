//! The writer thread: histograms, timeline, the job file and the latency log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use qbench_schema::latency::StageHistograms;
use qbench_schema::record::{JobRecord, Outcome, Phase};
use qbench_schema::result::TimelineRow;
use qbench_schema::shard::ForeignRecord;
use serde::Serialize;

use super::intervals::{Interval, OpenIntervals};
use super::latency_log::LatencyLog;
use super::timeline::Timeline;
use crate::schedule::Schedule;

/// Where records go; `None` where nobody wants them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordFiles<'a> {
    /// `<run>_metrics.jsonl`.
    pub metrics: Option<&'a Path>,
    /// `<run>_latency.hlog`.
    pub latency_log: Option<&'a Path>,
    /// `<run>_account.jsonl`, of a shard.
    pub account: Option<&'a Path>,
    /// `<run>_foreign.jsonl`, of a shard.
    pub foreign: Option<&'a Path>,
}

/// What was kept of a run.
pub struct Recording {
    /// Stages of the measured jobs whose ack was confirmed.
    pub histograms: StageHistograms,
    /// Latencies that were too large to be kept.
    pub overflows: u64,
    /// Measured jobs acked by each worker, whoever sent them.
    pub completed_by_worker: Vec<u64>,
    /// Last ack of a measured job, as done or as failed, in microseconds of the run's clock; whoever sent it.
    pub last_settled_us: u64,
    /// Jobs of other generators that were completed here, in whatever phase. They are in no histogram.
    pub foreign_completed: u64,
    /// Why records are missing, if they are.
    pub error: Option<String>,
    timeline: Timeline,
}

impl Recording {
    fn new(workers: u32) -> Self {
        Recording {
            histograms: StageHistograms::new(),
            overflows: 0,
            completed_by_worker: vec![0; workers as usize],
            last_settled_us: 0,
            foreign_completed: 0,
            error: None,
            timeline: Timeline::default(),
        }
    }

    pub(super) fn broken(reason: &str) -> Self {
        Recording { error: Some(reason.to_owned()), ..Recording::new(0) }
    }

    /// The measured phase second by second; `intended` and `backlog` (at the end of each second) come from the driver.
    pub fn timeline(&self, intended: &[u64], backlog: &[u64]) -> Vec<TimelineRow> {
        self.timeline.rows(intended, backlog)
    }
}

/// An output file that is given up after its first error.
struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    fn create(path: Option<&Path>) -> std::io::Result<Option<Output>> {
        path.map(|path| Ok(Output { path: path.to_path_buf(), file: File::create(path)? })).transpose()
    }
}

pub(super) struct Writer {
    metrics: Option<Output>,
    latency_log: Option<Output>,
    foreign: Option<Output>,
    clock_start: SystemTime,
    schedule: Arc<Schedule>,
    recording: Recording,
}

impl Writer {
    pub(super) fn create(
        files: &RecordFiles<'_>,
        clock_start: SystemTime,
        schedule: Arc<Schedule>,
        workers: u32,
    ) -> std::io::Result<Writer> {
        Ok(Writer {
            metrics: Output::create(files.metrics)?,
            latency_log: Output::create(files.latency_log)?,
            foreign: Output::create(files.foreign)?,
            clock_start,
            schedule,
            recording: Recording::new(workers),
        })
    }

    /// Takes buffers until every sink is gone.
    pub(super) fn run(self, full: Receiver<Vec<JobRecord>>, give_back: Sender<Vec<JobRecord>>) -> Recording {
        let Writer { mut metrics, latency_log, mut foreign, clock_start, schedule, mut recording } = self;
        let share = schedule.share();
        let mut latency_log = latency_log;
        let mut serializer = V2DeflateSerializer::new();
        let mut log = match &mut latency_log {
            None => None,
            Some(output) => match LatencyLog::begin(&mut output.file, &mut serializer, clock_start) {
                Ok(log) => Some((log, output.path.clone())),
                Err(error) => {
                    recording.error = Some(format!("writing {} failed: {error}", output.path.display()));
                    None
                }
            },
        };
        let mut intervals = OpenIntervals::default();
        let (mut lines, mut foreign_lines) = (Vec::new(), Vec::new());
        while let Ok(mut records) = full.recv() {
            lines.clear();
            foreign_lines.clear();
            for record in &records {
                let is_foreign = share.own_of(record.job).is_none();
                if is_foreign {
                    add_line(&mut foreign_lines, &of_another(record));
                    recording.foreign_completed += u64::from(record.outcome == Outcome::Acked);
                }
                if record.phase != Phase::Measured {
                    continue;
                }
                if metrics.is_some() && !is_foreign {
                    add_line(&mut lines, record);
                }
                if matches!(record.outcome, Outcome::Acked | Outcome::Failed | Outcome::Panicked) {
                    recording.last_settled_us = recording.last_settled_us.max(record.acked_us);
                }
                if record.outcome != Outcome::Acked {
                    continue;
                }
                if let Some(completed) = recording.completed_by_worker.get_mut(record.worker as usize) {
                    *completed += 1;
                }
                // What it took from its intended instant on is for those to say who have that instant.
                if is_foreign {
                    continue;
                }
                if let Some(start_us) = schedule.measured().start_us() {
                    recording.timeline.add(record, start_us);
                }
                if let Some(complete) = intervals.add(record) {
                    settle(&complete, &mut log, &mut recording);
                    intervals.reuse(complete);
                }
            }
            write_lines(&mut metrics, &lines, &mut recording);
            write_lines(&mut foreign, &foreign_lines, &mut recording);
            records.clear();
            // Nobody takes buffers back any more once the last sink is gone.
            let _ = give_back.send(records);
        }
        for interval in intervals.close() {
            settle(&interval, &mut log, &mut recording);
        }
        recording
    }
}

/// Adds a line to what will be written.
fn add_line(lines: &mut Vec<u8>, record: &impl Serialize) {
    // Writing to memory cannot fail, and integers always have a JSON form.
    let _ = serde_json::to_writer(&mut *lines, record);
    lines.push(b'\n');
}

/// What is known here of a delivery of another generator's job.
fn of_another(record: &JobRecord) -> ForeignRecord {
    let JobRecord { job, worker, attempt, claimed_us, started_us, finished_us, acked_us, outcome, .. } = *record;
    ForeignRecord { job, worker, attempt, claimed_us, started_us, finished_us, acked_us, outcome }
}

/// Adds a complete interval to the whole, and to the log.
fn settle(interval: &Interval, log: &mut Option<(LatencyLog<'_>, PathBuf)>, recording: &mut Recording) {
    recording.histograms.merge(&interval.histograms);
    recording.overflows += interval.overflows;
    if let Some((writer, path)) = log
        && let Err(error) = writer.write(interval)
    {
        recording.error = Some(format!("writing {} failed: {error}", path.display()));
        *log = None;
    }
}

/// Writes whole lines in one call, so that a harness that is killed leaves a file that parses.
fn write_lines(file: &mut Option<Output>, lines: &[u8], recording: &mut Recording) {
    if let Some(output) = file
        && let Err(error) = output.file.write_all(lines)
    {
        recording.error = Some(format!("writing {} failed: {error}", output.path.display()));
        *file = None;
    }
}
