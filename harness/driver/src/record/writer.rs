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
}

/// What was kept of a run.
pub struct Recording {
    /// Stages of the measured jobs whose ack was confirmed.
    pub histograms: StageHistograms,
    /// Latencies that were too large to be kept.
    pub overflows: u64,
    /// Measured jobs acked by each worker.
    pub completed_by_worker: Vec<u64>,
    /// Last ack of a measured job, as done or as failed, in microseconds of the run's clock.
    pub last_settled_us: u64,
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
            clock_start,
            schedule,
            recording: Recording::new(workers),
        })
    }

    /// Takes buffers until every sink is gone.
    pub(super) fn run(self, full: Receiver<Vec<JobRecord>>, give_back: Sender<Vec<JobRecord>>) -> Recording {
        let Writer { mut metrics, latency_log, clock_start, schedule, mut recording } = self;
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
        let mut lines = Vec::new();
        while let Ok(mut records) = full.recv() {
            lines.clear();
            for record in records.iter().filter(|record| record.phase == Phase::Measured) {
                if metrics.is_some() {
                    // Writing to memory cannot fail, and integers always have a JSON form.
                    let _ = serde_json::to_writer(&mut lines, record);
                    lines.push(b'\n');
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
                if let Some(start_us) = schedule.measured().start_us() {
                    recording.timeline.add(record, start_us);
                }
                if let Some(complete) = intervals.add(record) {
                    settle(&complete, &mut log, &mut recording);
                    intervals.reuse(complete);
                }
            }
            write_lines(&mut metrics, &lines, &mut recording);
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
fn write_lines(metrics: &mut Option<Output>, lines: &[u8], recording: &mut Recording) {
    if let Some(output) = metrics
        && let Err(error) = output.file.write_all(lines)
    {
        recording.error = Some(format!("writing {} failed: {error}", output.path.display()));
        *metrics = None;
    }
}
