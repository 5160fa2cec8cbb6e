//! What the hypervisor gave to others.

use procfs::{CurrentSI, KernelStats};

/// CPU time of the host since it started, in ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ticks {
    steal: u64,
    all: u64,
}

impl Ticks {
    /// Zero where the kernel does not tell.
    pub(super) fn now() -> Self {
        let Ok(stats) = KernelStats::current() else { return Ticks::default() };
        let cpu = stats.total;
        let steal = cpu.steal.unwrap_or(0);
        let rest = [
            cpu.user,
            cpu.nice,
            cpu.system,
            cpu.idle,
            cpu.iowait.unwrap_or(0),
            cpu.irq.unwrap_or(0),
            cpu.softirq.unwrap_or(0),
        ];
        Ticks { steal, all: steal + rest.iter().sum::<u64>() }
    }

    /// Share that was stolen since `before`, in percent.
    pub(super) fn steal_pct_since(&self, before: &Ticks) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { 100.0 * self.steal.saturating_sub(before.steal) as f64 / all as f64 }
    }
}
