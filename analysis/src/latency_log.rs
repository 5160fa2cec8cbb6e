//! Reads `<run>_latency.hlog` (the standard HdrHistogram interval log) into one histogram per latency stage.
//!
//! It holds the same latencies as the job file, with three significant digits, in a hundredth of its size; and its
//! intervals add up exactly.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};
use qbench_schema::record::Stage;

use crate::metrics::Metrics;

/// Why a latency log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LatencyLogError {
    /// The system could not read it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not an interval: the log is of something else, or was cut off.
    #[error("interval {interval} cannot be read ({reason}): the log is damaged or cut off")]
    Damaged {
        /// Interval, counted from 1.
        interval: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a whole log. Tags that are no stage of ours are left out: others may have added to the file.
///
/// # Errors
/// When it cannot be read, or any interval of it.
pub fn read(path: &Path) -> Result<Metrics, LatencyLogError> {
    let text = std::fs::read(path)?;
    let mut metrics = Metrics::default();
    let mut deserializer = Deserializer::new();
    for (index, entry) in IntervalLogIterator::new(&text).enumerate() {
        let damaged = |reason: String| LatencyLogError::Damaged { interval: index + 1, reason };
        match entry.map_err(|error| damaged(format!("{error:?}")))? {
            LogEntry::Interval(interval) => {
                let Some(stage) = stage_of(&interval) else { continue };
                let bytes =
                    STANDARD.decode(interval.encoded_histogram()).map_err(|error| damaged(error.to_string()))?;
                let histogram: Histogram<u64> =
                    deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| damaged(error.to_string()))?;
                let stage = metrics.stages.stage_mut(stage);
                stage.add_foreign(&histogram).map_err(|error| damaged(error.to_string()))?;
            }
            LogEntry::StartTime(_) | LogEntry::BaseTime(_) => {}
        }
    }
    Ok(metrics)
}

fn stage_of(interval: &IntervalLogHistogram<'_>) -> Option<Stage> {
    let tag = interval.tag()?;
    Stage::ALL.into_iter().find(|stage| stage.name() == tag.as_str())
}
