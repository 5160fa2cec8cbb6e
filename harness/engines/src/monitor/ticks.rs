//! When monitors sample: at whole multiples of the interval on the run's clock.

use std::time::Duration;

use tokio::sync::watch;

use qbench_ground::clock::RunClock;

/// Absolute ticks on the run's clock, so that a slow sample does not shift the later ones. A tick that was overslept is
/// skipped, never made up for: the next row covers the true elapsed time.
pub(crate) struct Ticks {
    clock: RunClock,
    interval_us: u64,
    last: u64,
    stop: watch::Receiver<bool>,
}

impl Ticks {
    /// Ticks every `interval` (at least a millisecond) until `stop` becomes true.
    pub(crate) fn new(clock: RunClock, interval: Duration, stop: watch::Receiver<bool>) -> Self {
        let interval_us = (interval.as_micros() as u64).max(1_000);
        Ticks { clock, interval_us, last: clock.now_us() / interval_us, stop }
    }

    /// Waits for the next tick. Returns false, at once, when the monitors are being stopped.
    pub(crate) async fn next(&mut self) -> bool {
        self.last = next_tick(self.last, self.clock.now_us(), self.interval_us);
        let instant = tokio::time::Instant::from_std(self.clock.at(self.last * self.interval_us));
        tokio::select! {
            () = tokio::time::sleep_until(instant) => true,
            // An error means that the sender is gone, which is a stop as well.
            _ = self.stop.wait_for(|stop| *stop) => false,
        }
    }
}

/// Number of the tick to wait for at `now_us`, when tick `last` was the latest one handed out.
fn next_tick(last: u64, now_us: u64, interval_us: u64) -> u64 {
    (now_us / interval_us).max(last) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stay_on_multiples_of_the_interval_and_overslept_ones_are_skipped() {
        let second = 1_000_000;
        assert_eq!(next_tick(0, 300_000, second), 1);
        assert_eq!(next_tick(1, 1_020_000, second), 2, "a slow sample does not shift the next tick");
        assert_eq!(next_tick(2, 5_500_000, second), 6, "ticks 3 to 5 have passed");
        assert_eq!(next_tick(7, 6_999_999, second), 8, "a timer that fires early does not give a tick twice");
    }
}
