//! Histograms second by second: what `<run>_latency.hlog` is written from.

use std::collections::VecDeque;

use qbench_schema::latency::StageHistograms;
use qbench_schema::record::JobRecord;

/// Intervals that are still open. A record reaches the writer up to a quarter of a second after its ack, and later from a
/// worker that has nothing to do; one that comes later still is counted in the oldest open interval.
const OPEN: usize = 3;

/// Latencies of the jobs acked in one second.
pub(super) struct Interval {
    /// Second of the run's clock.
    pub(super) second: u64,
    pub(super) histograms: StageHistograms,
    /// Latencies that were too large to be kept.
    pub(super) overflows: u64,
}

impl Interval {
    fn add(&mut self, record: &JobRecord) {
        self.overflows += self.histograms.add(record).count() as u64;
    }
}

/// The latest intervals, in order.
#[derive(Default)]
pub(super) struct OpenIntervals {
    open: VecDeque<Interval>,
    spare: Option<StageHistograms>,
}

impl OpenIntervals {
    /// Adds a record to the second of its ack. Returns the oldest interval when that is complete now; give it back to
    /// [`OpenIntervals::reuse`].
    pub(super) fn add(&mut self, record: &JobRecord) -> Option<Interval> {
        let second = record.acked_us / 1_000_000;
        let place = self.open.partition_point(|interval| interval.second < second);
        let is_full = self.open.len() >= OPEN;
        match self.open.get_mut(place) {
            Some(interval) if interval.second == second => interval.add(record),
            Some(oldest) if place == 0 && is_full => oldest.add(record),
            _ => {
                let histograms = self.spare.take().unwrap_or_default();
                let mut interval = Interval { second, histograms, overflows: 0 };
                interval.add(record);
                self.open.insert(place, interval);
            }
        }
        if self.open.len() > OPEN { self.open.pop_front() } else { None }
    }

    /// Takes the memory of a written interval.
    pub(super) fn reuse(&mut self, interval: Interval) {
        let mut histograms = interval.histograms;
        histograms.clear();
        self.spare = Some(histograms);
    }

    /// What is still open at the end, in order.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Interval> {
        std::mem::take(&mut self.open).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use qbench_schema::record::{Outcome, Phase, Stage};

    use super::*;

    fn acked_at(acked_us: u64) -> JobRecord {
        JobRecord {
            job: 0,
            worker: 0,
            attempt: 1,
            intended_us: 0,
            released_us: 0,
            sent_us: 0,
            enqueued_us: 0,
            claimed_us: 0,
            started_us: 0,
            finished_us: 0,
            acked_us,
            phase: Phase::Measured,
            outcome: Outcome::Acked,
        }
    }

    #[test]
    fn every_record_is_in_exactly_one_interval_and_intervals_come_in_order() {
        let mut intervals = OpenIntervals::default();
        let mut written: Vec<(u64, u64)> = Vec::new();
        let note = |interval: &Interval, written: &mut Vec<(u64, u64)>| {
            written.push((interval.second, interval.histograms.stage(Stage::EndToEnd).count()));
        };
        // In second 1 twice, out of order around 3 and 4, a gap to 9, and one that is far too late.
        for acked_s in [1.2, 1.8, 2.1, 4.0, 3.9, 9.5, 10.1, 0.3, 11.0] {
            if let Some(complete) = intervals.add(&acked_at((acked_s * 1e6) as u64)) {
                note(&complete, &mut written);
                intervals.reuse(complete);
            }
        }
        for interval in intervals.close() {
            note(&interval, &mut written);
        }
        assert_eq!(written, [(1, 2), (2, 1), (3, 1), (4, 2), (9, 1), (10, 1), (11, 1)]);
    }
}
