//! The writer thread: histograms and the job file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};

use qbench_schema::record::{JobRecord, Outcome, Phase};

use super::histograms::StageHistograms;

/// What was kept of a run.
pub struct Recording {
    /// Stages of the measured jobs whose ack was confirmed.
    pub histograms: StageHistograms,
    /// Measured jobs acked by each worker.
    pub completed_by_worker: Vec<u64>,
    /// Last ack of a measured job, in microseconds of the run's clock.
    pub last_acked_us: u64,
    /// Why records are missing, if they are.
    pub error: Option<String>,
}

impl Recording {
    fn new(workers: u32) -> Self {
        Recording {
            histograms: StageHistograms::new(),
            completed_by_worker: vec![0; workers as usize],
            last_acked_us: 0,
            error: None,
        }
    }

    pub(super) fn broken(reason: &str) -> Self {
        Recording { error: Some(reason.to_owned()), ..Recording::new(0) }
    }

    fn add(&mut self, record: &JobRecord) {
        if record.outcome == Outcome::Acked {
            self.histograms.add(record);
            self.last_acked_us = self.last_acked_us.max(record.acked_us);
            if let Some(completed) = self.completed_by_worker.get_mut(record.worker as usize) {
                *completed += 1;
            }
        }
    }
}

pub(super) struct Writer {
    metrics: Option<(PathBuf, File)>,
    recording: Recording,
}

impl Writer {
    pub(super) fn create(metrics: Option<&Path>, workers: u32) -> std::io::Result<Writer> {
        let metrics = match metrics {
            Some(path) => Some((path.to_path_buf(), File::create(path)?)),
            None => None,
        };
        Ok(Writer { metrics, recording: Recording::new(workers) })
    }

    /// Takes buffers until every sink is gone.
    pub(super) fn run(mut self, full: Receiver<Vec<JobRecord>>, give_back: Sender<Vec<JobRecord>>) -> Recording {
        let mut lines = Vec::new();
        while let Ok(mut records) = full.recv() {
            lines.clear();
            for record in records.iter().filter(|record| record.phase == Phase::Measured) {
                self.recording.add(record);
                if self.metrics.is_some() {
                    // Writing to memory cannot fail, and integers always have a JSON form.
                    let _ = serde_json::to_writer(&mut lines, record);
                    lines.push(b'\n');
                }
            }
            self.write(&lines);
            records.clear();
            // Nobody takes buffers back any more once the last sink is gone.
            let _ = give_back.send(records);
        }
        self.recording
    }

    /// Writes whole lines in one call, so that a harness that is killed leaves a file that parses.
    fn write(&mut self, lines: &[u8]) {
        if let Some((path, file)) = &mut self.metrics
            && let Err(error) = file.write_all(lines)
        {
            self.recording.error = Some(format!("writing {} failed: {error}", path.display()));
            self.metrics = None;
        }
    }
}
