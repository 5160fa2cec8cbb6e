//! Jobs in the system over the measured phase.

use qbench_schema::result::Backlog;

/// Samples of the backlog, some ten a second, from the start of the measured phase to the end of the drain.
#[derive(Debug, Default)]
pub struct BacklogSamples {
    /// Instant in microseconds of the run's clock, and jobs in the system.
    samples: Vec<(u64, u64)>,
    /// How many of them belong to the measured phase.
    measured: usize,
}

impl BacklogSamples {
    /// Room for a measured phase of `duration_s` seconds, so that none is made during it.
    pub fn with_room_for(duration_s: u64) -> Self {
        BacklogSamples { samples: Vec::with_capacity((duration_s.min(86_400) as usize + 10) * 10), measured: 0 }
    }

    /// Adds a sample.
    pub fn add(&mut self, at_us: u64, jobs: u64) {
        self.samples.push((at_us, jobs));
    }

    /// The measured phase ends: later samples are of the drain.
    pub fn end_of_measured_phase(&mut self) {
        self.measured = self.samples.len();
    }

    /// Start, end, maximum and least-squares slope over the measured phase.
    pub fn describe(&self) -> Backlog {
        let samples = &self.samples[..self.measured];
        let (Some((first_us, start)), Some((_, end))) = (samples.first(), samples.last()) else {
            return Backlog::default();
        };
        let points = samples.iter().map(|(at_us, jobs)| ((at_us - first_us) as f64 / 1e6, *jobs as f64));
        let count = samples.len() as f64;
        let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), (at_s, jobs)| (x + at_s, y + jobs));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (covariance, variance) = points.fold((0.0, 0.0), |(c, v), (at_s, jobs)| {
            (c + (at_s - mean_x) * (jobs - mean_y), v + (at_s - mean_x).powi(2))
        });
        Backlog {
            start: *start,
            end: *end,
            max: samples.iter().map(|(_, jobs)| *jobs).max().unwrap_or_default(),
            slope_jobs_s: if variance > 0.0 { covariance / variance } else { 0.0 },
        }
    }

    /// Jobs in the system at the end of each second since the first sample; a second without a sample keeps the one before.
    pub fn by_second(&self) -> Vec<u64> {
        let Some((first_us, _)) = self.samples.first() else { return Vec::new() };
        let mut seconds: Vec<u64> = Vec::new();
        for (at_us, jobs) in &self.samples {
            let second = ((at_us - first_us) / 1_000_000) as usize;
            let before = seconds.last().copied().unwrap_or(*jobs);
            if seconds.len() <= second {
                seconds.resize(second + 1, before);
            }
            seconds[second] = *jobs;
        }
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_that_grows_by_fifty_a_second_has_that_slope_whatever_the_drain_does() {
        let mut samples = BacklogSamples::default();
        (0..100).for_each(|tick| samples.add(1_000_000 + tick * 100_000, 7 + tick * 5));
        samples.end_of_measured_phase();
        samples.add(12_000_000, 0);
        let backlog = samples.describe();
        assert_eq!((backlog.start, backlog.end, backlog.max), (7, 502, 502));
        assert!((backlog.slope_jobs_s - 50.0).abs() < 1e-6);
    }

    #[test]
    fn no_samples_mean_no_backlog_and_no_slope() {
        let mut samples = BacklogSamples::default();
        assert_eq!(samples.describe(), Backlog::default());
        samples.add(5, 3);
        samples.end_of_measured_phase();
        assert_eq!(samples.describe().slope_jobs_s, 0.0);
    }

    #[test]
    fn a_second_in_which_nobody_looked_keeps_the_figure_before() {
        let mut samples = BacklogSamples::default();
        for (at_us, jobs) in [(0, 4), (900_000, 6), (3_200_000, 9)] {
            samples.add(at_us, jobs);
        }
        assert_eq!(samples.by_second(), [6, 6, 6, 9]);
    }
}
