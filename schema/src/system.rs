//! `<run>_system.csv`: a row a second of the host and the three roles.

use serde::{Deserialize, Serialize};

/// One second of the host. CPU percentages count 100 for one busy core; byte and count columns are totals of that second.
/// An empty cell means that the machine could not tell, or that the role does not exist in this run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemRow {
    /// Instant of the sample, microseconds since the start of the run.
    pub at_us: u64,
    /// Phase at that instant: `setup`, `warmup`, `measured` or `drain`.
    pub phase: String,
    /// Busy time of all cores (user, nice, system, irq, softirq).
    pub cpu_host_pct: f64,
    /// Time stolen by the hypervisor.
    pub cpu_steal_pct: f64,
    /// Time idle while waiting for I/O.
    pub cpu_iowait_pct: f64,
    /// Memory in use (total less available), in bytes.
    pub mem_used_bytes: u64,
    /// Memory available, in bytes.
    pub mem_available_bytes: u64,
    /// Read from block devices.
    pub disk_read_bytes: u64,
    /// Written to block devices.
    pub disk_write_bytes: u64,
    /// Received over all interfaces, loopback included.
    pub net_rx_bytes: u64,
    /// Sent over all interfaces, loopback included.
    pub net_tx_bytes: u64,
    /// Share of the last ten seconds in which some task waited for a CPU (PSI).
    pub psi_cpu_some_avg10_pct: Option<f64>,
    /// Share of the last ten seconds in which some task waited for I/O (PSI).
    pub psi_io_some_avg10_pct: Option<f64>,
    /// CPU of the server under test, its children and exited children; without the sessions that serve the background load.
    pub server_cpu_pct: Option<f64>,
    /// Resident memory of the server's processes; shared pages are counted once (proportional set size) where the kernel tells.
    pub server_rss_bytes: Option<u64>,
    /// Read from storage by the server's live processes.
    pub server_read_bytes: Option<u64>,
    /// Written to storage by the server's live processes, as the kernel accounts for it: when a page becomes dirty. One that keeps
    /// pages in large units counts the whole unit for each byte changed in it; `disk_write_bytes` is what reached the disk.
    pub server_write_bytes: Option<u64>,
    /// Context switches, voluntary and not, of the server's live processes.
    pub server_ctx_switches: Option<u64>,
    /// CPU of this harness.
    pub harness_cpu_pct: Option<f64>,
    /// Resident memory of this harness.
    pub harness_rss_bytes: Option<u64>,
    /// Read from storage by this harness.
    pub harness_read_bytes: Option<u64>,
    /// Written to storage by this harness.
    pub harness_write_bytes: Option<u64>,
    /// Context switches of this harness.
    pub harness_ctx_switches: Option<u64>,
    /// CPU of the background load: pgbench with the server's sessions that serve it, and the whole server where that is not
    /// the one under test.
    pub background_cpu_pct: Option<f64>,
    /// Resident memory of the background load.
    pub background_rss_bytes: Option<u64>,
    /// Read from storage by the background load.
    pub background_read_bytes: Option<u64>,
    /// Written to storage by the background load.
    pub background_write_bytes: Option<u64>,
    /// Context switches of the background load.
    pub background_ctx_switches: Option<u64>,
    /// CPU of the kernel's own threads (writeback, journal, block devices); empty in a container, and in files of earlier versions.
    #[serde(default)]
    pub kernel_cpu_pct: Option<f64>,
    /// CPU of processes that have nothing to do with the run; empty in files of earlier versions.
    #[serde(default)]
    pub others_cpu_pct: Option<f64>,
    /// CPU of the kernel on idle cores that woke up for an interrupt or a task: busy time of the host that no task used; empty where
    /// `kernel_cpu_pct` is.
    #[serde(default)]
    pub wake_ups_cpu_pct: Option<f64>,
    /// CPU of the meters of hiccups; in files of earlier versions it is part of `harness_cpu_pct`.
    #[serde(default)]
    pub meter_cpu_pct: Option<f64>,
}
