//! A thread that sleeps from tick to tick and does nothing else.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use qbench_ground::clock::monotonic_ns;
use qbench_ground::pinning::Cores;
use qbench_ground::priority;

use super::series::{Control, INTERVAL_NS, Series};

/// Most cores that have a thread of a meter's process. On larger machines they are spread over all of them.
const CORES_MAX: usize = 8;

/// A running thread of a meter.
pub(super) struct Meter {
    control: Arc<Control>,
    thread: Option<JoinHandle<Series>>,
}

impl Meter {
    /// Starts a thread on `core`, which is number `place` of its meter. It has the pacing thread's priority, so that it is
    /// woken up as late as that. All threads tick at whole milliseconds of the clock: two on one core then share an interrupt, and
    /// the second costs a quarter of the first.
    ///
    /// # Errors
    /// When the operating system gives no more threads.
    pub(super) fn start(control: &Arc<Control>, core: Option<Cores>, place: usize) -> std::io::Result<Self> {
        let of_thread = Arc::clone(control);
        let thread = Builder::new().name("qbench-hiccups".to_owned()).spawn(move || {
            if let Some(core) = core {
                // A core that went away meanwhile: any other one will do.
                let _ = core.bind_calling_thread();
            }
            let real_time = priority::make_pacer_thread();
            tick(Series::new(Arc::clone(&of_thread), place, real_time), &of_thread)
        })?;
        Ok(Meter { control: Arc::clone(control), thread: Some(thread) })
    }

    /// Stops the thread, and everything that has the same control; what it saw. `None` when it panicked.
    pub(super) fn finish(mut self) -> Option<Series> {
        self.control.stop();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.control.stop();
    }
}

/// Sleeps to absolute instants, as the pacer does: a late wake-up is not added to the next one.
fn tick(mut series: Series, control: &Control) -> Series {
    let Some(now_ns) = monotonic_ns() else { return series };
    let mut next_ns = (now_ns / INTERVAL_NS + 1) * INTERVAL_NS;
    while !control.is_stopped() {
        let at = TimeSpec::from_duration(Duration::from_nanos(next_ns));
        // EINTR only means an early return: the same tick is waited for again.
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &at);
        control.woke_up(cpu_ns().unwrap_or(0));
        match monotonic_ns() {
            Some(now_ns) if now_ns >= next_ns => next_ns = series.woke_up(next_ns, now_ns),
            Some(_) => {}
            None => return series,
        }
    }
    series
}

/// CPU time of the calling thread.
fn cpu_ns() -> Option<u64> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// The cores of a meter's process: all that this process may use, or some of them, spread evenly. The first one is where the
/// harness's own meter is, so that a pause of that core is seen by both.
pub(super) fn cores() -> Vec<Cores> {
    let Ok(all) = Cores::of_this_process() else { return Vec::new() };
    let all: Vec<Cores> = all.singly().collect();
    let step = all.len().div_ceil(CORES_MAX).max(1);
    all.into_iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_every_tick_of_its_window_on_a_core_of_its_own() {
        let control = Arc::new(Control::default());
        let core = cores().into_iter().next();
        let meter = Meter::start(&control, core, 0).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let from_ns = monotonic_ns().unwrap();
        control.begin(from_ns);
        std::thread::sleep(Duration::from_millis(200));
        let to_ns = monotonic_ns().unwrap();
        control.end(to_ns);
        let report = Series::report(vec![meter.finish().unwrap()]);
        let ticks = to_ns / INTERVAL_NS - from_ns / INTERVAL_NS;
        assert!(report.ticks.abs_diff(ticks) <= 1, "{} of {ticks} ticks", report.ticks);
        assert!(report.late_ms.p50 > 0.0 && report.late_ms.p50 <= report.late_ms.max, "{:?}", report.late_ms);
    }
}
