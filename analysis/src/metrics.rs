//! Streams `<run>_metrics.jsonl` into one histogram per latency stage.
//!
//! The file of a long run has over a million lines, so it is read with one reused line buffer and typed parsing, without
//! an allocation per line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use qbench_schema::latency::{LatencyHistogram, StageHistograms};
use qbench_schema::record::{JobRecord, Outcome, Phase, Stage};

/// Large reads, because the files are read from start to end.
const BUFFER_BYTES: usize = 1 << 20;

/// The job records of one run, as histograms.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Latencies over the acked jobs of the measured phase.
    pub stages: StageHistograms,
    /// True when the last line is incomplete: the writer was killed, or the copy was cut off.
    pub cut_off: bool,
}

impl Metrics {
    /// Latencies of one stage.
    pub fn stage(&self, stage: Stage) -> &LatencyHistogram {
        self.stages.stage(stage)
    }

    /// Acked jobs of the measured phase.
    pub fn jobs(&self) -> u64 {
        self.stage(Stage::EndToEnd).count()
    }
}

/// Why a metrics file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The system could not read it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line that is not the last one is not a job record.
    #[error("line {line} is not a job record: {reason}")]
    Damaged {
        /// Line, counted from 1.
        line: u64,
        /// What the parser said.
        reason: String,
    },
}

/// Reads a metrics file. Only acked deliveries of the measured phase count: a stale one is a job that another delivery
/// completes. An incomplete last line is left out and told in [`Metrics::cut_off`].
///
/// # Errors
/// [`MetricsError`] when the file cannot be read or a line within it is not a job record.
pub fn read(path: &Path) -> Result<Metrics, MetricsError> {
    read_from(open(path)?)
}

fn read_from(reader: impl BufRead) -> Result<Metrics, MetricsError> {
    let mut metrics = Metrics::default();
    metrics.cut_off = for_each(reader, |line, record| {
        if record.phase != Phase::Measured || record.outcome != Outcome::Acked {
            return Ok(());
        }
        match metrics.stages.add(&record).next() {
            None => Ok(()),
            Some(stage) => {
                let reason = format!("its {} is longer than a day", stage.name());
                Err(MetricsError::Damaged { line, reason })
            }
        }
    })?;
    Ok(metrics)
}

/// Opens a metrics file for [`for_each`].
///
/// # Errors
/// When the system cannot.
pub fn open(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
}

/// Hands every record of `reader` with its line, counted from 1, to `take`. True when the last line is incomplete; it is left out.
///
/// # Errors
/// That of the system, of `take`, and [`MetricsError::Damaged`] for a line within the file that is not a job record. It is an error of
/// any kind that a [`MetricsError`] can become.
pub fn for_each<E: From<MetricsError>>(
    mut reader: impl BufRead,
    mut take: impl FnMut(u64, JobRecord) -> Result<(), E>,
) -> Result<bool, E> {
    let mut line = Vec::with_capacity(512);
    let mut number = 0;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(MetricsError::Io)? == 0 {
            return Ok(false);
        }
        number += 1;
        match JobRecord::parse(&line) {
            Ok(record) => take(number, record)?,
            Err(_) if !line.ends_with(b"\n") => return Ok(true),
            Err(error) => return Err(MetricsError::Damaged { line: number, reason: error.to_string() }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(job: u64, latency_us: u64, phase: &str, outcome: &str) -> String {
        let acked = 1_000 + latency_us;
        format!(
            "{{\"job\":{job},\"worker\":0,\"attempt\":1,\"intended_us\":1000,\"sent_us\":1000,\"enqueued_us\":1000,\
             \"claimed_us\":1000,\"started_us\":1000,\"finished_us\":{acked},\"acked_us\":{acked},\
             \"phase\":\"{phase}\",\"outcome\":\"{outcome}\"}}\n"
        )
    }

    #[test]
    fn only_acked_jobs_of_the_measured_phase_count() {
        let text = [
            line(0, 999_000, "warmup", "acked"),
            line(1, 2_000, "measured", "acked"),
            line(2, 888_000, "measured", "stale"),
        ]
        .concat();
        let metrics = read_from(text.as_bytes()).unwrap();
        assert_eq!(metrics.jobs(), 1);
        assert!((metrics.stage(Stage::EndToEnd).quantile_ms(1.0) - 2.0).abs() < 0.002);
        assert!((metrics.stage(Stage::WorkTime).quantile_ms(1.0) - 2.0).abs() < 0.002);
        assert_eq!(metrics.stage(Stage::QueueWait).quantile_ms(1.0), 0.0);
    }

    #[test]
    fn a_cut_off_last_line_is_left_out_and_told() {
        let text = [line(0, 1_000, "measured", "acked"), line(1, 1_000, "measured", "acked")].concat();
        let metrics = read_from(&text.as_bytes()[..text.len() - 10]).unwrap();
        assert!(metrics.cut_off);
        assert_eq!(metrics.jobs(), 1);
    }

    #[test]
    fn a_whole_last_line_without_a_newline_counts() {
        let text = line(0, 1_000, "measured", "acked");
        let metrics = read_from(text.trim_end().as_bytes()).unwrap();
        assert!(!metrics.cut_off);
        assert_eq!(metrics.jobs(), 1);
    }

    #[test]
    fn damage_within_the_file_names_its_line() {
        let text = format!("{}garbage\n{}", line(0, 1, "measured", "acked"), line(1, 1, "measured", "acked"));
        let error = read_from(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 is not a job record"), "{error}");
    }

    #[test]
    fn a_latency_of_more_than_a_day_is_damage_not_a_figure() {
        let error = read_from(line(0, 90_000_000_000, "measured", "acked").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("end_to_end is longer than a day"), "{error}");
    }
}
