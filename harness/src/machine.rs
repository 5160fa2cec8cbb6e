//! This machine: its name, what it is known by, and what it is made of.

use std::path::Path;

use qbench_ground::short_hash::short_hash;
use qbench_schema::manifest::Host;
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

/// Logical cores that this process may use: fewer than the machine has, where it is bound to some of them.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Name of this machine.
pub(crate) fn name() -> String {
    System::host_name().ok().unwrap_or_else(|| "unknown".to_owned())
}

/// A short name for this machine that a clone of it does not share, whatever both are called: from systemd's machine id and
/// the addresses of its network cards, which are nobody's business and are not told. Of a container, which may have neither: from its host name.
pub(crate) fn id() -> String {
    let mut words: Vec<String> = read_word("/etc/machine-id").into_iter().collect();
    let cards = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    // Bridges, tunnels and the like come and go; a card has a device behind it.
    let own = cards.map(|card| card.path()).filter(|card| card.join("device").exists());
    let mut addresses: Vec<String> = own.filter_map(|card| read_word(card.join("address"))).collect();
    addresses.sort();
    words.append(&mut addresses);
    if words.is_empty() {
        words.push(name());
    }
    short_hash(&words.join("\n"))
}

/// Describes this machine; `data_dir` is where private servers keep their data.
pub(crate) fn describe(data_dir: &Path) -> Host {
    let system = System::new_with_specifics(
        RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::nothing().with_ram()),
    )
    .ok();
    let known = |word: Option<String>| word.unwrap_or_else(|| "unknown".to_owned());
    Host {
        hostname: name(),
        os: known(System::long_os_version().ok()),
        kernel: known(System::kernel_version().ok()),
        cpu_model: known(system.as_ref().and_then(|system| Some(system.cpus().first()?.brand().trim().to_owned()))),
        cpu_count: system.as_ref().map_or_else(cores, |system| system.cpus().len() as u32),
        memory_bytes: system.as_ref().map_or(0, System::total_memory),
        data_filesystem: known(filesystem_of(data_dir)),
        cpu_governor: read_word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }
}

/// The monotonic clock and what the kernel reads below it.
pub(crate) fn describe_clock() -> String {
    match read_word("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Some(source) => format!("CLOCK_MONOTONIC over {source}"),
        None => "CLOCK_MONOTONIC".to_owned(),
    }
}

fn read_word(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Type of the file system with the longest mount point above `path`.
fn filesystem_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    Disks::new_with_refreshed_list()
        .ok()?
        .iter()
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(|disk| disk.file_system().to_string_lossy().into_owned())
}
