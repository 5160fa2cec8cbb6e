//! `<run>_system.csv`: the host and the roles, a row per tick.

use qbench_schema::system::SystemRow;

use super::book::{RoleBook, Snapshot};
use super::cpu::CpuSpan;
use super::host::{HostReader, HostTraffic};
use super::notes::Notes;
use super::rows::{RowFile, RowsOf, RowsTo, two_digits};
use super::ticks::Ticks;
use qbench_ground::clock::PhaseCell;

/// Largest memory seen, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PeakMemory {
    pub(crate) server_bytes: Option<u64>,
    pub(crate) harness_bytes: Option<u64>,
}

/// Samples the host and the roles.
pub(crate) struct SystemMonitor {
    book: RoleBook,
    phase: PhaseCell,
    host: HostReader,
    file: RowFile,
    last: Sample,
}

/// Everything cumulative of one tick.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    roles: Snapshot,
    traffic: HostTraffic,
}

impl SystemMonitor {
    /// Creates the file and takes the sample that the first row starts from.
    pub(crate) fn new(book: RoleBook, phase: PhaseCell, rows: &RowsTo, notes: &Notes) -> Self {
        let mut monitor = SystemMonitor {
            book,
            phase,
            host: HostReader::new(notes),
            file: RowFile::create(rows, RowsOf::System, "", notes),
            last: Sample::default(),
        };
        monitor.last = monitor.sample();
        monitor
    }

    /// Writes a row per tick until the monitors are stopped.
    pub(crate) async fn run(mut self, mut ticks: Ticks) -> PeakMemory {
        let mut peak = PeakMemory::default();
        loop {
            peak.server_bytes = peak.server_bytes.max(self.last.roles.server.rss_bytes);
            peak.harness_bytes = peak.harness_bytes.max(self.last.roles.harness.rss_bytes);
            if !ticks.next().await {
                return peak;
            }
            let sample = self.sample();
            let row = self.row(&sample);
            self.file.append(&row);
            self.last = sample;
        }
    }

    fn sample(&self) -> Sample {
        Sample { roles: self.book.snapshot(), traffic: self.host.traffic() }
    }

    fn row(&self, sample: &Sample) -> SystemRow {
        let (last, now) = (&self.last.roles, &sample.roles);
        let span = CpuSpan::between(&last.cpu, &now.cpu);
        let pct = |cpu_s| span.pct_of_a_core(cpu_s).map(two_digits);
        let memory = self.host.memory();
        let (psi_cpu_some_avg10_pct, psi_io_some_avg10_pct) = self.host.pressure_pct();
        let since = |field: fn(&HostTraffic) -> u64| field(&sample.traffic).saturating_sub(field(&self.last.traffic));
        let grown = |now: Option<u64>, last: Option<u64>| Some(now?.saturating_sub(last?));
        SystemRow {
            at_us: now.cpu.at_us,
            phase: self.phase.current().name().to_owned(),
            cpu_host_pct: pct(span.cpu_s.host).unwrap_or(0.0),
            cpu_steal_pct: pct(Some(span.steal_s)).unwrap_or(0.0),
            cpu_iowait_pct: pct(Some(span.iowait_s)).unwrap_or(0.0),
            mem_used_bytes: memory.used_bytes,
            mem_available_bytes: memory.available_bytes,
            disk_read_bytes: since(|traffic| traffic.disk_read_bytes),
            disk_write_bytes: since(|traffic| traffic.disk_write_bytes),
            net_rx_bytes: since(|traffic| traffic.net_rx_bytes),
            net_tx_bytes: since(|traffic| traffic.net_tx_bytes),
            psi_cpu_some_avg10_pct,
            psi_io_some_avg10_pct,
            server_cpu_pct: pct(span.cpu_s.server),
            server_rss_bytes: now.server.rss_bytes,
            server_read_bytes: grown(now.server.read_bytes, last.server.read_bytes),
            server_write_bytes: grown(now.server.write_bytes, last.server.write_bytes),
            server_ctx_switches: grown(now.server.ctx_switches, last.server.ctx_switches),
            harness_cpu_pct: pct(span.cpu_s.harness),
            harness_rss_bytes: now.harness.rss_bytes,
            harness_read_bytes: grown(now.harness.read_bytes, last.harness.read_bytes),
            harness_write_bytes: grown(now.harness.write_bytes, last.harness.write_bytes),
            harness_ctx_switches: grown(now.harness.ctx_switches, last.harness.ctx_switches),
            background_cpu_pct: pct(span.cpu_s.background),
            background_rss_bytes: now.background.rss_bytes,
            background_read_bytes: grown(now.background.read_bytes, last.background.read_bytes),
            background_write_bytes: grown(now.background.write_bytes, last.background.write_bytes),
            background_ctx_switches: grown(now.background.ctx_switches, last.background.ctx_switches),
            kernel_cpu_pct: pct(span.cpu_s.kernel),
            others_cpu_pct: pct(span.cpu_s.others),
            wake_ups_cpu_pct: pct(span.cpu_s.wake_ups),
            meter_cpu_pct: pct(span.cpu_s.meter),
        }
    }
}
