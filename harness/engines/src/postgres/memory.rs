//! Memory settings of PostgreSQL, fitted to the machine.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::services::{Error, Result};

/// Machine that the full settings are for: 8 GB, of which the kernel shows a little less than 8 GiB.
const REFERENCE_BYTES: u64 = 8_000_000_000;

/// PostgreSQL's memory settings in megabytes (MiB, as PostgreSQL counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemorySettings {
    pub(super) shared_buffers_mb: u64,
    pub(super) effective_cache_size_mb: u64,
    pub(super) maintenance_work_mem_mb: u64,
    pub(super) work_mem_mb: u64,
}

impl MemorySettings {
    /// The full settings for a machine of 8 GB or more, in proportion on a smaller one. More
    /// memory changes nothing, so that results of different machines stay comparable.
    pub(super) fn for_machine(memory_bytes: u64) -> Self {
        let memory_bytes = memory_bytes.min(REFERENCE_BYTES);
        // In MB first: the product fits 64 bits either way, and whole megabytes are exact enough.
        let scaled = |reference_mb: u64, least_mb: u64| (reference_mb * memory_bytes / REFERENCE_BYTES).max(least_mb);
        MemorySettings {
            shared_buffers_mb: scaled(2048, 16),
            effective_cache_size_mb: scaled(6144, 64),
            maintenance_work_mem_mb: scaled(512, 16),
            work_mem_mb: scaled(32, 4),
        }
    }
}

/// Memory that this process may use: what the machine has, or the limit of its control group where that is lower.
pub(super) fn machine_memory_bytes() -> Result<u64> {
    let ram = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(ram).map_err(|error| Error::Refused {
        attempted: "ask this machine for its memory, which the settings of PostgreSQL follow".to_owned(),
        message: error.to_string(),
    })?;
    Ok(match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 => limits.total_memory.min(system.total_memory()),
        _ => system.total_memory(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_settings_shrink_with_the_machine_and_never_grow() {
        let reference = MemorySettings {
            shared_buffers_mb: 2048,
            effective_cache_size_mb: 6144,
            maintenance_work_mem_mb: 512,
            work_mem_mb: 32,
        };
        assert_eq!(MemorySettings::for_machine(8_200_000_000), reference);
        assert_eq!(MemorySettings::for_machine(256_000_000_000), reference);
        let half = MemorySettings::for_machine(4_000_000_000);
        assert_eq!((half.shared_buffers_mb, half.effective_cache_size_mb), (1024, 3072));
        assert_eq!((half.maintenance_work_mem_mb, half.work_mem_mb), (256, 16));
        assert!(MemorySettings::for_machine(0).shared_buffers_mb > 0);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(machine_memory_bytes().unwrap() > 64 << 20);
    }
}
