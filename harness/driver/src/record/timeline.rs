//! The measured phase second by second: what shows a stall that percentiles of a whole run hide.

use hdrhistogram::Histogram;
use qbench_schema::record::JobRecord;
use qbench_schema::result::TimelineRow;

/// Two significant digits: an error of 1 %, and a few kilobytes a second.
const DIGITS: u8 = 2;

#[derive(Clone)]
struct Second {
    /// End-to-end latency of the jobs intended in it, in microseconds.
    latency: Histogram<u32>,
    /// Jobs acked in it.
    completed: u64,
}

/// Seconds since the start of the measured phase.
#[derive(Default)]
pub(super) struct Timeline {
    seconds: Vec<Second>,
}

/// Most seconds kept: a day, and a day to drain.
const SECONDS_MAX: usize = 2 * 24 * 3600;

impl Timeline {
    /// Adds an acked job of the measured phase, which began at `start_us`.
    pub(super) fn add(&mut self, record: &JobRecord, start_us: u64) {
        let (latency_us, intended_us) = (record.acked_us.saturating_sub(record.intended_us), record.intended_us);
        if let Some(second) = self.second(intended_us, start_us) {
            // An auto-resizing histogram takes any value that a clock can give.
            let _ = second.latency.record(latency_us);
        }
        if let Some(second) = self.second(record.acked_us, start_us) {
            second.completed += 1;
        }
    }

    fn second(&mut self, at_us: u64, start_us: u64) -> Option<&mut Second> {
        let index = (at_us.saturating_sub(start_us) / 1_000_000) as usize;
        if index >= SECONDS_MAX {
            return None;
        }
        if self.seconds.len() <= index {
            let empty = Histogram::new(DIGITS).expect("two digits are permitted");
            self.seconds.resize(index + 1, Second { latency: empty, completed: 0 });
        }
        Some(&mut self.seconds[index])
    }

    /// The rows, with what others counted: `intended` by second, and the backlog at the end of each.
    pub(super) fn rows(&self, intended: &[u64], backlog: &[u64]) -> Vec<TimelineRow> {
        let length = self.seconds.len().max(intended.len()).max(backlog.len());
        let ms = |us: u64| us as f64 / 1e3;
        let row = |index: usize| {
            let mut row = TimelineRow {
                at_s: index as u32,
                intended: intended.get(index).copied().unwrap_or(0),
                // Once nobody looks any more, nothing is left.
                backlog: backlog.get(index).copied().unwrap_or(0),
                ..TimelineRow::default()
            };
            if let Some(second) = self.seconds.get(index) {
                row.completed = second.completed;
                if !second.latency.is_empty() {
                    row.end_to_end_p50_ms = ms(second.latency.value_at_quantile(0.50));
                    row.end_to_end_p99_ms = ms(second.latency.value_at_quantile(0.99));
                    row.end_to_end_max_ms = ms(second.latency.max());
                }
            }
            row
        };
        (0..length).map(row).collect()
    }
}
