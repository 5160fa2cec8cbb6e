//! What the whole machine does: CPU, steal, memory, block devices, network, pressure.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use procfs::{CpuPressure, Current, FromReadSI, IoPressure, KernelStats, Meminfo};

use super::notes::Notes;
use super::rows::two_digits;

/// Bytes in a sector of `/proc/diskstats`, whatever the device's own sectors are (kernel `Documentation/admin-guide/iostats.rst`).
const SECTOR_BYTES: u64 = 512;

/// CPU time of all cores since boot, in seconds. Only differences of two readings mean anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostCpu {
    /// All the time there was, less what was idle or stolen. The kernel measures idle time exactly where it stops its tick on
    /// idle cores; user and system time it samples by that tick, and a load of many short wake-ups, such as a queue's,
    /// slips through: a process that used 26 % of a core was seen as 1 %.
    pub(crate) busy_s: f64,
    /// Taken by the hypervisor.
    pub(crate) steal_s: f64,
    /// Idle with I/O outstanding. The kernel lets this one fall at times.
    pub(crate) iowait_s: f64,
    /// Everything that the cores had: busy, stolen, idle.
    pub(crate) all_s: f64,
    /// Interrupts served since boot, those between cores and of timers included; 0 where the kernel does not tell.
    pub(crate) interrupts: u64,
}

impl HostCpu {
    /// Reads `/proc/stat` and the clock.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn read() -> Result<Self, procfs::ProcError> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let stat = KernelStats::from_read(text.as_bytes(), procfs::current_system_info())?;
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(std::io::Error::from)?;
        let ticks_per_s = procfs::ticks_per_second() as f64;
        let idle_s = stat.total.idle as f64 / ticks_per_s;
        let iowait_s = stat.total.iowait.unwrap_or(0) as f64 / ticks_per_s;
        let steal_s = stat.total.steal.unwrap_or(0) as f64 / ticks_per_s;
        let all_s = Duration::from(now).as_secs_f64() * stat.cpu_time.len() as f64;
        let interrupts = interrupts(&text).unwrap_or(0);
        Ok(HostCpu { busy_s: all_s - idle_s - iowait_s - steal_s, steal_s, iowait_s, all_s, interrupts })
    }

    /// Share of all CPU time that the hypervisor took since `before`, in percent; 0 where no time has passed.
    pub fn steal_pct_since(&self, before: &HostCpu) -> f64 {
        let all_s = self.all_s - before.all_s;
        if all_s > 0.0 { 100.0 * (self.steal_s - before.steal_s).max(0.0) / all_s } else { 0.0 }
    }
}

/// The sum of all interrupts in the text of `/proc/stat`: the first number of the line `intr`.
fn interrupts(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("intr "))?.split(' ').next()?.parse().ok()
}

/// Memory of the machine, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HostMemory {
    /// Total less available.
    pub(crate) used_bytes: u64,
    /// What could be given to a new process without swapping.
    pub(crate) available_bytes: u64,
}

/// Bytes moved since boot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HostTraffic {
    pub(crate) disk_read_bytes: u64,
    pub(crate) disk_write_bytes: u64,
    pub(crate) net_rx_bytes: u64,
    pub(crate) net_tx_bytes: u64,
}

/// Reads the machine's counters. What cannot be read becomes a note and zero, or an empty cell where the file has one.
pub(crate) struct HostReader {
    disks: HashSet<String>,
    notes: Notes,
}

impl HostReader {
    /// Finds the block devices to count.
    pub(crate) fn new(notes: &Notes) -> Self {
        let disks = whole_devices(Path::new("/sys/block")).unwrap_or_else(|error| {
            notes.add("find block devices, disk traffic is not counted", error);
            HashSet::new()
        });
        HostReader { disks, notes: notes.clone() }
    }

    /// Reads `/proc/meminfo`.
    pub(crate) fn memory(&self) -> HostMemory {
        match Meminfo::current() {
            Ok(info) => {
                let available_bytes = info.mem_available.unwrap_or(info.mem_free);
                HostMemory { used_bytes: info.mem_total.saturating_sub(available_bytes), available_bytes }
            }
            Err(error) => {
                self.notes.add("read the machine's memory", error);
                HostMemory::default()
            }
        }
    }

    /// Reads `/proc/diskstats` and `/proc/net/dev`.
    pub(crate) fn traffic(&self) -> HostTraffic {
        let mut traffic = HostTraffic::default();
        match procfs::diskstats() {
            Ok(disks) => {
                for disk in disks.iter().filter(|disk| self.disks.contains(&disk.name)) {
                    traffic.disk_read_bytes += disk.sectors_read * SECTOR_BYTES;
                    traffic.disk_write_bytes += disk.sectors_written * SECTOR_BYTES;
                }
            }
            Err(error) => self.notes.add("read disk traffic", error),
        }
        match procfs::net::dev_status() {
            Ok(interfaces) => {
                for interface in interfaces.values() {
                    traffic.net_rx_bytes += interface.recv_bytes;
                    traffic.net_tx_bytes += interface.sent_bytes;
                }
            }
            Err(error) => self.notes.add("read network traffic", error),
        }
        traffic
    }

    /// Share of the last ten seconds in which some task waited for a CPU, and for I/O. Many kernels are built or booted
    /// without PSI, so its absence is an empty cell and no note.
    pub(crate) fn pressure_pct(&self) -> (Option<f64>, Option<f64>) {
        // The kernel prints two digits, which a 32-bit float cannot hold exactly.
        let cpu = CpuPressure::current().ok().map(|pressure| two_digits(pressure.some.avg10.into()));
        let io = IoPressure::current().ok().map(|pressure| two_digits(pressure.some.avg10.into()));
        (cpu, io)
    }
}

/// Names of the devices in `sys_block` that move bytes themselves. Partitions do not stand there; loop, RAM and
/// device-mapper devices have no `device` behind them and would count the bytes of the device below a second time;
/// `hidden` ones are single paths of a multipath device that is listed too.
fn whole_devices(sys_block: &Path) -> std::io::Result<HashSet<String>> {
    let mut names = HashSet::new();
    for entry in std::fs::read_dir(sys_block)? {
        let entry = entry?;
        let device = entry.path();
        let hidden = std::fs::read_to_string(device.join("hidden")).is_ok_and(|text| text.trim() == "1");
        if device.join("device").exists() && !hidden {
            // The kernel writes `/` in a device's name as `!` here, and as `/` in diskstats.
            names.insert(entry.file_name().to_string_lossy().replace('!', "/"));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_mappers_and_multipath_members_are_not_counted_beside_the_disk_below_them() {
        let sys_block = tempfile::tempdir().unwrap();
        let make = |name: &str, backed: bool, hidden: &str| {
            let device = sys_block.path().join(name);
            std::fs::create_dir(&device).unwrap();
            std::fs::write(device.join("hidden"), hidden).unwrap();
            if backed {
                std::fs::create_dir(device.join("device")).unwrap();
            }
        };
        make("sda", true, "0\n");
        make("cciss!c0d0", true, "0\n");
        make("nvme0n1", true, "0\n");
        make("nvme0c0n1", true, "1\n");
        make("dm-0", false, "0\n");
        make("loop0", false, "0\n");
        let expected: HashSet<String> = ["sda", "cciss/c0d0", "nvme0n1"].map(String::from).into();
        assert_eq!(whole_devices(sys_block.path()).unwrap(), expected);
    }

    #[test]
    fn a_busy_thread_is_busy_time_of_the_host() {
        let before = HostCpu::read().unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            std::hint::spin_loop();
        }
        let after = HostCpu::read().unwrap();
        let all_s = after.all_s - before.all_s;
        let (busy_s, steal_s) = (after.busy_s - before.busy_s, after.steal_s - before.steal_s);
        // Two ticks of rounding per core; what the hypervisor took was not ours to be busy in.
        assert!(busy_s + steal_s >= 0.25, "{busy_s} s busy in {all_s} s");
        assert!(busy_s <= all_s + 0.05, "{busy_s} s busy in {all_s} s");
    }
}
