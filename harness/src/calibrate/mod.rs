//! What this machine can do, measured by small loops of our own: `qbench calibrate` (METHODOLOGY S5).
//!
//! Each loop does one thing that a queue or its harness needs, and nothing that can be left out by a compiler or served from a cache that
//! another machine may have larger.

mod cpu;
mod disk;
mod loopback;
mod memory;

use std::io;
use std::path::Path;
use std::time::Duration;

use qbench_engines::monitor::HostCpu;
use qbench_schema::SCHEMA_VERSION;
use qbench_schema::calibration::{Burst, Calibration, Delay, Hiccup, Round};

use crate::machine;

/// How long each part of a round takes.
const PART: Duration = Duration::from_millis(120);

/// How often everything is measured. A part that a pause of the machine hits is one of many.
const ROUNDS: u32 = 10;

/// How long the timer is watched.
const TIMER_WATCHED: Duration = Duration::from_secs(2);

/// Minutes of a long calibration.
const LONG_MINUTES: u32 = 10;

/// What is asked of a calibration.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Where files are written: the folder of the servers' data.
    pub dir: &'a Path,
    /// Whether all cores are kept busy for ten minutes first, which shows a machine that runs on credit.
    pub long: bool,
}

/// Measures everything. `told` hears what is done now, and which share of all is done.
///
/// # Errors
/// When a file cannot be written in the folder, or this machine has no loopback.
pub fn measure(plan: Plan<'_>, mut told: impl FnMut(&str, f64)) -> io::Result<Calibration> {
    let started_at = jiff::Timestamp::now().to_string();
    let burst = plan.long.then(|| burst(&mut told));
    let before = HostCpu::read().ok();
    let mut file = disk::File::create(plan.dir)?;
    let mut echo = loopback::Echo::start()?;
    let mut memory = memory::Copy::new();
    let cores = machine::cores();
    let (mut fdatasync, mut fsync, mut loopback) = (Vec::new(), Vec::new(), Vec::new());
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        told(&format!("round {} of {ROUNDS}", round + 1), f64::from(round) / f64::from(ROUNDS + 2));
        let (mut of_data, mut of_all) = (file.fdatasync(PART)?, file.fsync(PART)?);
        let mut of_loopback = echo.round_trips(PART)?;
        rounds.push(Round {
            cpu_one_core: cpu::steps_per_us(1, PART),
            cpu_all_cores: cpu::steps_per_us(cores, PART),
            memory_mb_s: memory.mb_s(PART),
            fdatasync_us: quantile(&mut of_data, 0.5),
            fsync_us: quantile(&mut of_all, 0.5),
            loopback_us: quantile(&mut of_loopback, 0.5),
        });
        fdatasync.append(&mut of_data);
        fsync.append(&mut of_all);
        loopback.append(&mut of_loopback);
    }
    told("the timer", f64::from(ROUNDS) / f64::from(ROUNDS + 2));
    let hiccup_us = hiccup();
    let pg_test_fsync_us = disk::pg_test_fsync(plan.dir);
    let host = machine::describe(plan.dir);
    let over_rounds = |of: fn(&Round) -> f64| quantile(&mut rounds.iter().map(of).collect::<Vec<_>>(), 0.5);
    let delay = |mut all: Vec<f64>| Delay { p50: quantile(&mut all, 0.5), p99: quantile(&mut all, 0.99) };
    Ok(Calibration {
        schema_version: SCHEMA_VERSION,
        host: host.hostname,
        host_id: machine::id(),
        kernel: host.kernel,
        cpu_model: host.cpu_model,
        cores,
        cpu_governor: host.cpu_governor,
        dir: plan.dir.display().to_string(),
        started_at,
        cpu_one_core: over_rounds(|round| round.cpu_one_core),
        cpu_all_cores: over_rounds(|round| round.cpu_all_cores),
        memory_mb_s: over_rounds(|round| round.memory_mb_s),
        fdatasync_us: delay(fdatasync),
        fsync_us: delay(fsync),
        loopback_us: delay(loopback),
        hiccup_us,
        steal_pct: HostCpu::read().ok().zip(before).map_or(0.0, |(now, before)| now.steal_pct_since(&before)),
        pg_test_fsync_us,
        burst,
        rounds,
    })
}

/// Keeps all cores busy, and says what the first and the last minute of it did.
fn burst(told: &mut impl FnMut(&str, f64)) -> Burst {
    let cores = machine::cores();
    let mut of_minute = |minute: u32| {
        told(
            &format!("minute {minute} of {LONG_MINUTES}, all cores busy"),
            f64::from(minute - 1) / f64::from(LONG_MINUTES),
        );
        cpu::steps_per_us(cores, Duration::from_secs(60))
    };
    let first_minute = of_minute(1);
    let last_minute = (2..=LONG_MINUTES).map(&mut of_minute).last().unwrap_or(first_minute);
    Burst { first_minute, last_minute, minutes: LONG_MINUTES }
}

/// A thread that sleeps from millisecond to millisecond, and how late it was.
fn hiccup() -> Hiccup {
    const TICK: Duration = Duration::from_millis(1);
    let began = std::time::Instant::now();
    let mut late_us = Vec::new();
    let mut due = TICK;
    while due < TIMER_WATCHED {
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let late = began.elapsed().saturating_sub(due);
        late_us.push(late.as_secs_f64() * 1e6);
        // Ticks that passed meanwhile were late by what was left of the pause.
        let passed = (late.as_micros() / TICK.as_micros()) as u32;
        late_us.extend((1..=passed).map(|tick| (late - TICK * tick).as_secs_f64() * 1e6));
        due += TICK * (passed + 1);
    }
    Hiccup { p50: quantile(&mut late_us, 0.5), p99: quantile(&mut late_us, 0.99), max: quantile(&mut late_us, 1.0) }
}

/// The value that a share `quantile` of `values` does not exceed; 0 without any.
pub(crate) fn quantile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (quantile * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values = [3.0, 1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.5, 0.75, 1.0].map(|q| quantile(&mut values, q)), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn every_part_says_something() {
        let dir = tempfile::tempdir().unwrap();
        let part = Duration::from_millis(20);
        assert!(cpu::steps_per_us(1, part) > 1.0);
        assert!(cpu::steps_per_us(2, part) > 1.0);
        assert!(memory::Copy::new().mb_s(part) > 100.0);
        let mut file = disk::File::create(dir.path()).unwrap();
        let mut echo = loopback::Echo::start().unwrap();
        for delays in [file.fdatasync(part).unwrap(), file.fsync(part).unwrap(), echo.round_trips(part).unwrap()] {
            assert!(!delays.is_empty() && delays.iter().all(|delay| *delay > 0.0), "{delays:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "its file has no name");
    }
}
