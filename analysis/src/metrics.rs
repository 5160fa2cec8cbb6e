//! Streams `<run>_metrics.jsonl` into one histogram per latency stage.
//!
//! The file of a long run has over a million lines, so it is read with one reused line buffer and typed parsing, without
//! an allocation per line. Percentiles come from HdrHistograms with three significant digits (METHODOLOGY M2), which can
//! be merged over runs.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use hdrhistogram::Histogram;
use qbench_schema::record::{JobRecord, Outcome, Phase, Stage};
use qbench_schema::result::Percentiles;

/// Shortest latency that is told apart from zero.
const LOWEST_US: u64 = 1;
/// Longest latency that a record may show: beyond the longest run with its drain.
const HIGHEST_US: u64 = 24 * 60 * 60 * 1_000_000;
/// Significant decimal digits kept of each latency.
const DIGITS: u8 = 3;
/// Large reads, because the files are read from start to end.
const BUFFER_BYTES: usize = 1 << 20;

/// Latencies of one stage, in microseconds.
#[derive(Clone)]
pub struct LatencyHistogram(Histogram<u64>);

/// Without the tens of thousands of counters.
impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LatencyHistogram({} jobs, p99 {} ms)", self.count(), self.quantile_ms(0.99))
    }
}

impl LatencyHistogram {
    /// An empty one. All have the same bounds, so any two can be merged.
    pub fn new() -> Self {
        #[allow(clippy::expect_used)] // The bounds are constants; a test builds one.
        LatencyHistogram(Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, DIGITS).expect("constant bounds are valid"))
    }

    /// Counts one latency; false when it is longer than a day, which no run can show.
    #[must_use]
    pub fn record_us(&mut self, latency_us: u64) -> bool {
        // The histogram itself would take somewhat more: its last bucket ends at a power of two.
        latency_us <= HIGHEST_US && self.0.record(latency_us).is_ok()
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        #[allow(clippy::expect_used)] // Adding fails only between different bounds, and there is one set of bounds.
        self.0.add(&other.0).expect("all latency histograms have the same bounds");
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Latency that the share `quantile` (0 to 1) of jobs does not exceed, in milliseconds; 0 when empty.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// The figures that a verdict holds per stage.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.quantile_ms(0.50),
            p95: self.quantile_ms(0.95),
            p99: self.quantile_ms(0.99),
            p999: self.quantile_ms(0.999),
            max: self.0.max() as f64 / 1_000.0,
            mean: self.0.mean() / 1_000.0,
        }
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The job records of one run, as histograms.
#[derive(Debug, Clone)]
pub struct Metrics {
    stages: [LatencyHistogram; Stage::ALL.len()],
    /// True when the last line is incomplete: the writer was killed, or the copy was cut off.
    pub cut_off: bool,
}

impl Metrics {
    /// Of no job.
    pub(crate) fn new() -> Self {
        Metrics { stages: std::array::from_fn(|_| LatencyHistogram::new()), cut_off: false }
    }

    /// Adds latencies of one stage that were counted elsewhere.
    ///
    /// # Errors
    /// When they do not fit: some are longer than a day.
    pub(crate) fn add(&mut self, stage: Stage, latencies: &Histogram<u64>) -> Result<(), String> {
        self.stages[stage as usize].0.add(latencies).map_err(|error| error.to_string())
    }

    /// Latencies of one stage over the acked jobs of the measured phase.
    pub fn stage(&self, stage: Stage) -> &LatencyHistogram {
        &self.stages[stage as usize]
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
    read_from(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
}

fn read_from(mut reader: impl BufRead) -> Result<Metrics, MetricsError> {
    let mut metrics = Metrics::new();
    let mut line = Vec::with_capacity(512);
    let mut number = 0;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(metrics);
        }
        number += 1;
        let record: JobRecord = match serde_json::from_slice(&line) {
            Ok(record) => record,
            Err(_) if !line.ends_with(b"\n") => {
                metrics.cut_off = true;
                return Ok(metrics);
            }
            Err(error) => return Err(MetricsError::Damaged { line: number, reason: error.to_string() }),
        };
        if record.phase != Phase::Measured || record.outcome != Outcome::Acked {
            continue;
        }
        for stage in Stage::ALL {
            if !metrics.stages[stage as usize].record_us(record.stage_us(stage)) {
                let reason = format!("its {} is longer than a day", stage.name());
                return Err(MetricsError::Damaged { line: number, reason });
            }
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
    fn every_stage_has_its_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place, "the array of stages is indexed by discriminant");
        }
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

    #[test]
    fn merging_keeps_every_job_and_is_not_an_average() {
        let (mut fast, mut slow) = (LatencyHistogram::new(), LatencyHistogram::new());
        for _ in 0..98 {
            assert!(fast.record_us(1_000) && slow.record_us(1_000));
        }
        assert!(fast.record_us(1_000) && fast.record_us(1_000));
        assert!(slow.record_us(900_000) && slow.record_us(900_000));
        // The p99 of one is 1 ms, of the other 900 ms; of the 200 jobs together 198 took 1 ms.
        fast.merge(&slow);
        assert_eq!(fast.count(), 200);
        assert!((fast.quantile_ms(0.99) - 1.0).abs() < 0.01);
        assert!((fast.quantile_ms(1.0) - 900.0).abs() < 1.0);
    }
}
