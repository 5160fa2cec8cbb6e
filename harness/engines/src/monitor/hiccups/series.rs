//! What a meter saw: how late it woke up for each of its ticks, and the pauses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use qbench_schema::latency::LatencyHistogram;
use qbench_schema::result::Percentiles;
use serde::{Deserialize, Serialize};

/// Time between two ticks of a meter.
pub(super) const INTERVAL_NS: u64 = 1_000_000;

/// A wake-up that is later than this is listed by itself. Pauses of one core do not overlap, so there are at most 500 of them a
/// second.
const PAUSE_NS: u64 = 2_000_000;

/// Most pauses that are listed, a few megabytes. More than this is a machine that never runs.
const PAUSES_MAX: usize = 100_000;

/// Ticks that are not counted yet: those of the last ten seconds. The mark of the window may reach a meter late, above all when
/// the machine pauses, and must find the ticks behind it.
const HELD_BACK: usize = 10_000;

/// Most seconds with a row of their own: a day, and a day to drain.
const SECONDS_MAX: usize = 2 * 24 * 3600;

/// What a meter is told while it works. Instants are nanoseconds of `CLOCK_MONOTONIC`, which all processes share.
#[derive(Debug)]
pub(super) struct Control {
    from_ns: AtomicU64,
    to_ns: AtomicU64,
    stop: AtomicBool,
    /// Wake-ups so far, which are context switches that are nobody's but the meter's.
    wake_ups: AtomicU64,
    /// CPU time that its thread had used at its latest wake-up.
    cpu_ns: AtomicU64,
}

impl Default for Control {
    /// A window that has not begun.
    fn default() -> Self {
        Control {
            from_ns: AtomicU64::new(u64::MAX),
            to_ns: AtomicU64::new(u64::MAX),
            stop: AtomicBool::new(false),
            wake_ups: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
        }
    }
}

impl Control {
    /// The window begins, or began, at `at_ns`.
    pub(super) fn begin(&self, at_ns: u64) {
        self.from_ns.store(at_ns, Ordering::Release);
    }

    /// The window ends, or ended, at `at_ns`.
    pub(super) fn end(&self, at_ns: u64) {
        self.to_ns.store(at_ns, Ordering::Release);
    }

    /// Asks the meters to stop; each does so at its next tick.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// A thread of the meter woke up, having used `cpu_ns` since it began.
    pub(super) fn woke_up(&self, cpu_ns: u64) {
        self.wake_ups.fetch_add(1, Ordering::Relaxed);
        self.cpu_ns.store(cpu_ns, Ordering::Relaxed);
    }

    pub(super) fn wake_ups(&self) -> u64 {
        self.wake_ups.load(Ordering::Relaxed)
    }

    /// Of the thread that woke up last: of use where there is one.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }
}

/// A wake-up that came more than 2 ms late, in microseconds since the start of the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When the meter wanted to be woken up.
    pub at_us: u64,
    /// How late it was.
    pub late_us: u64,
    /// Which of the meter's cores it was on, counted from 0. The harness's own meter is on the first one.
    pub place: usize,
}

/// What a meter says about the measured phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How late wake-ups were, over the ticks of all its cores. Ticks that fell into a pause count as HdrHistogram's correction
    /// for an expected interval counts them: a pause of 48 ms is one wake-up that was 48 ms late, and then 47 of 47, 46, … 1 ms.
    pub late_ms: Percentiles,
    /// Ticks counted.
    pub ticks: u64,
    /// The latest wake-up of each second since the start of the measured phase, the drain included.
    pub seconds_max_ms: Vec<f64>,
    /// Wake-ups more than 2 ms late in the measured phase, in the order of time.
    pub pauses: Vec<Pause>,
    /// Cores that it was bound to, each with a thread of its own.
    pub cores: usize,
    /// Whether all its threads had the pacing thread's real-time priority. Without it a wake-up also waits for a core that is free.
    pub real_time: bool,
}

/// What one thread of a meter saw.
pub(super) struct Series {
    control: Arc<Control>,
    place: usize,
    pub(super) real_time: bool,
    held: VecDeque<WakeUp>,
    late: LatencyHistogram,
    seconds_max_us: Vec<u64>,
    pauses: Vec<Pause>,
}

/// A wake-up for the tick at `intended_ns`, and for those that passed meanwhile.
#[derive(Debug, Clone, Copy)]
struct WakeUp {
    intended_ns: u64,
    late_ns: u64,
}

impl WakeUp {
    /// Ticks that it is for. Those that passed before it are at least an interval old.
    fn ticks(self) -> u64 {
        (self.late_ns / INTERVAL_NS).max(1)
    }
}

impl Series {
    /// Of a thread on core number `place` of its meter.
    pub(super) fn new(control: Arc<Control>, place: usize, real_time: bool) -> Self {
        Series {
            control,
            place,
            real_time,
            held: VecDeque::with_capacity(HELD_BACK + 1),
            late: LatencyHistogram::new(),
            seconds_max_us: Vec::new(),
            pauses: Vec::new(),
        }
    }

    /// Notes that the tick at `intended_ns` was woken up for at `now_ns`. Returns the next tick: those that have been
    /// missed are counted with this one and are not waited for.
    pub(super) fn woke_up(&mut self, intended_ns: u64, now_ns: u64) -> u64 {
        let wake_up = WakeUp { intended_ns, late_ns: now_ns.saturating_sub(intended_ns) };
        self.held.push_back(wake_up);
        if self.held.len() > HELD_BACK
            && let Some(oldest) = self.held.pop_front()
        {
            self.count(oldest);
        }
        intended_ns + wake_up.ticks() * INTERVAL_NS
    }

    /// Counts every tick of a wake-up that lies in the window.
    fn count(&mut self, wake_up: WakeUp) {
        let from_ns = self.control.from_ns.load(Ordering::Acquire);
        let to_ns = self.control.to_ns.load(Ordering::Acquire);
        let mut is_new = true;
        for tick in 0..wake_up.ticks() {
            let passed_ns = tick * INTERVAL_NS;
            let (at_ns, late_ns) = (wake_up.intended_ns + passed_ns, wake_up.late_ns - passed_ns);
            if at_ns < from_ns {
                continue;
            }
            let (at_us, late_us) = ((at_ns - from_ns) / 1_000, late_ns / 1_000);
            self.show(at_us, late_us);
            if at_ns >= to_ns {
                continue;
            }
            // A wake-up that is a day late is the end of the run, not a figure of it.
            let _ = self.late.record_us(late_us);
            // The first of its ticks that lies in the window is the whole pause; the others are within it.
            if std::mem::take(&mut is_new) && late_ns >= PAUSE_NS && self.pauses.len() < PAUSES_MAX {
                self.pauses.push(Pause { at_us, late_us, place: self.place });
            }
        }
    }

    fn show(&mut self, at_us: u64, late_us: u64) {
        let second = (at_us / 1_000_000) as usize;
        if second < SECONDS_MAX {
            if self.seconds_max_us.len() <= second {
                self.seconds_max_us.resize(second + 1, 0);
            }
            self.seconds_max_us[second] = self.seconds_max_us[second].max(late_us);
        }
    }

    /// What several threads of one meter saw.
    pub(super) fn report(all: Vec<Series>) -> Report {
        let mut late = LatencyHistogram::new();
        let mut report = Report { cores: all.len(), real_time: !all.is_empty(), ..Report::default() };
        for mut series in all {
            for wake_up in std::mem::take(&mut series.held) {
                series.count(wake_up);
            }
            late.merge(&series.late);
            report.real_time &= series.real_time;
            report.pauses.extend(series.pauses);
            let length = report.seconds_max_ms.len().max(series.seconds_max_us.len());
            report.seconds_max_ms.resize(length, 0.0);
            for (all_ms, one_us) in report.seconds_max_ms.iter_mut().zip(series.seconds_max_us) {
                *all_ms = all_ms.max(one_us as f64 / 1e3);
            }
        }
        report.pauses.sort_by_key(|pause| pause.at_us);
        report.ticks = late.count();
        report.late_ms = late.percentiles();
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A meter that ticks from 0 ms on, is told of its window when `told_at_tick` has passed, and wakes up late where
    /// `late` says so: `(tick, lateness in ns)`.
    fn metered(ticks: u64, window_ms: (u64, u64), told_at_tick: u64, late: &[(u64, u64)]) -> Report {
        let control = Arc::new(Control::default());
        let mut series = Series::new(Arc::clone(&control), 0, true);
        let mut at_ns = 0;
        while at_ns < ticks * MS {
            if at_ns >= told_at_tick * MS {
                control.begin(window_ms.0 * MS);
            }
            let late_ns = late.iter().find(|(tick, _)| tick * MS == at_ns).map_or(0, |(_, late_ns)| *late_ns);
            at_ns = series.woke_up(at_ns, at_ns + late_ns);
        }
        control.end(window_ms.1 * MS);
        Series::report(vec![series])
    }

    #[test]
    fn a_pause_counts_as_hdrhistogram_corrects_it_for_the_ticks_that_fell_into_it() {
        for late_us in [80, 999, 1_000, 1_050, 48_000, 48_300] {
            let report = metered(1_000, (0, 1_000), 0, &[(500, late_us * 1_000)]);
            let mut corrected = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 86_400_000_000, 3).unwrap();
            corrected.record_correct(late_us, INTERVAL_NS / 1_000).unwrap();
            let missing = 1_000 - corrected.len();
            corrected.record_n(0, missing).unwrap();
            assert_eq!(report.ticks, 1_000, "every tick is counted once, {late_us} us late or not");
            assert_eq!(report.late_ms.p99, corrected.value_at_quantile(0.99) as f64 / 1e3);
            assert_eq!(report.late_ms.max, corrected.max() as f64 / 1e3);
            assert_eq!(report.late_ms.mean, corrected.mean() / 1e3);
        }
    }

    #[test]
    fn a_pause_is_listed_once_and_shown_in_every_second_that_it_touches() {
        let report = metered(4_000, (1_000, 4_000), 0, &[(1_990, 48 * MS), (3_200, 3 * MS / 2)]);
        assert_eq!(report.pauses, [Pause { at_us: 990_000, late_us: 48_000, place: 0 }]);
        assert_eq!(report.seconds_max_ms, [48.0, 38.0, 1.5]);
        assert_eq!(report.ticks, 3_000);
    }

    #[test]
    fn a_mark_that_comes_late_finds_the_ticks_behind_it() {
        let at_once = metered(20_000, (5_000, 15_000), 5_000, &[(5_003, 40 * MS)]);
        let late = metered(20_000, (5_000, 15_000), 14_000, &[(5_003, 40 * MS)]);
        assert_eq!(at_once, late);
        assert_eq!(late.ticks, 10_000);
        assert_eq!(late.pauses, [Pause { at_us: 3_000, late_us: 40_000, place: 0 }]);
    }

    #[test]
    fn what_lies_before_the_window_is_nowhere_and_what_lies_behind_it_only_in_its_second() {
        let report = metered(5_000, (1_000, 2_000), 0, &[(500, 90 * MS), (3_500, 70 * MS)]);
        assert_eq!((report.ticks, report.late_ms.max), (1_000, 0.0));
        assert_eq!(report.pauses, []);
        assert_eq!(report.seconds_max_ms, [0.0, 0.0, 70.0, 0.0]);
    }

    #[test]
    fn a_pause_that_reaches_into_the_window_counts_from_its_start_on() {
        let report = metered(2_000, (1_000, 2_000), 0, &[(990, 48 * MS)]);
        assert_eq!(report.pauses, [Pause { at_us: 0, late_us: 38_000, place: 0 }]);
        assert!((report.late_ms.max - 38.0).abs() < 0.04, "{} ms, to three digits", report.late_ms.max);
    }

    #[test]
    fn without_a_window_nothing_is_counted() {
        let control = Arc::new(Control::default());
        let mut series = Series::new(control, 0, true);
        series.woke_up(0, 50 * MS);
        assert_eq!(Series::report(vec![series]), Report { cores: 1, real_time: true, ..Report::default() });
    }
}
