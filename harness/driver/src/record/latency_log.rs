//! `<run>_latency.hlog`: the standard HdrHistogram interval log (format 1.3, compressed V2 histograms), which the viewers of
//! that project open. One tag per stage, one line per stage and second; times are seconds since the start of the run's clock.

use std::fs::File;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};
use qbench_schema::record::Stage;

use super::intervals::Interval;

/// The log's `Interval_Max` column is in milliseconds; histograms are in microseconds.
const MAX_VALUE_DIVISOR: f64 = 1e3;

/// An open log.
pub(super) struct LatencyLog<'a>(IntervalLogWriter<'a, 'a, File, V2DeflateSerializer>);

impl<'a> LatencyLog<'a> {
    /// Writes the head of the log. `clock_start` is the wall clock at the start of the run's clock.
    pub(super) fn begin(
        file: &'a mut File,
        serializer: &'a mut V2DeflateSerializer,
        clock_start: SystemTime,
    ) -> std::io::Result<Self> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(
                "[Latencies of measured jobs by stage (Tag), in microseconds; an interval is the second of the ack]",
            )
            .with_start_time(clock_start)
            .with_base_time(clock_start)
            .with_max_value_divisor(MAX_VALUE_DIVISOR)
            .begin_log_with(file, serializer)
            .map(LatencyLog)
    }

    /// Writes one line per stage.
    ///
    /// # Errors
    /// What the system or the serialiser said.
    pub(super) fn write(&mut self, interval: &Interval) -> Result<(), String> {
        for stage in Stage::ALL {
            let start = Duration::from_secs(interval.second);
            let histogram = interval.histograms.stage(stage).counters();
            self.0
                .write_histogram(histogram, start, Duration::from_secs(1), Tag::new(stage.name()))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
