//! What a machine can do: what `qbench calibrate --json` prints.

use serde::{Deserialize, Serialize};

/// How long something takes, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// How late somebody who sleeps is woken up, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Hiccup {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The latest of all.
    pub max: f64,
}

/// One pass over everything that is measured. Two machines are compared by what their rounds say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Steps of a fixed loop on one core, in millions per second.
    pub cpu_one_core: f64,
    /// The same on all cores at once, added up.
    pub cpu_all_cores: f64,
    /// Memory that one core copies, in 10^6 bytes per second: the upper quartile over pieces of 4 MiB.
    pub memory_mb_s: f64,
    /// Median of `fdatasync` behind 8 KiB that overwrite the same place, in microseconds.
    pub fdatasync_us: f64,
    /// Median of `fsync` behind 8 KiB that make the file longer, in microseconds.
    pub fsync_us: f64,
    /// Round trip of 64 bytes over a TCP connection to this machine itself, both ends on one core, in microseconds: the lower quartile.
    pub loopback_us: f64,
}

/// CPU of all cores at the beginning and at the end of a long calibration: a machine that runs on credit is slower in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// Steps in the first minute, in millions per second.
    pub first_minute: f64,
    /// Steps in the last.
    pub last_minute: f64,
    /// Minutes in all.
    pub minutes: u32,
}

/// What one machine did. Figures are medians over [`Calibration::rounds`]; percentiles of delays are over all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Version of this record.
    pub schema_version: u32,
    /// Name of the machine.
    pub host: String,
    /// Which machine it was, whatever its name: a short hash.
    pub host_id: String,
    /// Kernel.
    pub kernel: String,
    /// Model of its CPU.
    pub cpu_model: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// CPU frequency governor; `None` where there is none, as in most virtual machines.
    pub cpu_governor: Option<String>,
    /// Where files were written.
    pub dir: String,
    /// When it began, UTC.
    pub started_at: String,
    /// Steps of a fixed loop on one core, in millions per second.
    pub cpu_one_core: f64,
    /// The same on all cores at once, added up.
    pub cpu_all_cores: f64,
    /// Memory that one core copies, in 10^6 bytes per second.
    pub memory_mb_s: f64,
    /// `fdatasync` behind 8 KiB that overwrite the same place.
    pub fdatasync_us: Delay,
    /// `fsync` behind 8 KiB that make the file longer.
    pub fsync_us: Delay,
    /// Round trip of 64 bytes over a TCP connection to this machine itself, both ends on one core.
    pub loopback_us: Delay,
    /// Late wake-ups of a thread that sleeps from millisecond to millisecond.
    pub hiccup_us: Hiccup,
    /// Share of CPU time that the hypervisor gave to others meanwhile.
    pub steal_pct: f64,
    /// PostgreSQL's own `pg_test_fsync`, its `fdatasync`, in microseconds; `None` where it is not there.
    pub pg_test_fsync_us: Option<f64>,
    /// Of a long calibration.
    pub burst: Option<Burst>,
    /// What it is made of.
    pub rounds: Vec<Round>,
}
