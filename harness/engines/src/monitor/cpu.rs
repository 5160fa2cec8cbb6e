//! CPU time of the host and of every role at one instant, and what lies between two of them.

use serde::{Deserialize, Serialize};

use super::host::HostCpu;

/// Most CPU time that a core may have been awake for an interrupt beside what tasks used. Measured 3 to 12 us on virtual machines;
/// what is beyond this has another cause, and stays nobody's.
const WAKE_UP_MAX_S: f64 = 30e-6;

/// Cumulative CPU time at one instant. Empty where the role does not exist or the kernel does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuSnapshot {
    /// Instant, microseconds since the start of the run.
    pub(crate) at_us: u64,
    pub(crate) host: Option<HostCpu>,
    pub(crate) server_ns: Option<u64>,
    pub(crate) harness_ns: Option<u64>,
    /// The meters of hiccups.
    pub(crate) meter_ns: Option<u64>,
    pub(crate) background_ns: Option<u64>,
    pub(crate) adapter_ns: Option<u64>,
    /// Threads of the kernel.
    pub(crate) kernel_ns: Option<u64>,
    /// Processes that are in no role.
    pub(crate) others_ns: Option<u64>,
}

/// CPU time between two snapshots, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuSeconds {
    /// All cores of the host: user, nice, system, irq and softirq.
    pub host: Option<f64>,
    /// The server under test with all its processes.
    pub server: Option<f64>,
    /// This harness, without its meters of hiccups.
    pub harness: Option<f64>,
    /// The meters of hiccups: a process and a thread of the harness. What the measuring costs is no part of the load.
    pub meter: Option<f64>,
    /// Background load.
    pub background: Option<f64>,
    /// Adapter processes.
    pub adapter: Option<f64>,
    /// Threads of the kernel: writeback, journal, block devices. Empty where they are not visible, as in a container.
    pub kernel: Option<f64>,
    /// The kernel on idle cores that woke up for an interrupt or a task: busy time of the host that no task used. The kernel keeps
    /// no clock for it. Time of interrupts that hit a running task is that task's. Empty where not every task is visible.
    pub wake_ups: Option<f64>,
    /// Processes that have nothing to do with the run.
    pub others: Option<f64>,
}

impl CpuSeconds {
    /// What the kernel used on behalf of all others.
    pub(crate) fn of_kernel(&self) -> Option<f64> {
        Some(self.kernel? + self.wake_ups.unwrap_or(0.0))
    }

    /// All roles together; empty when none of them is known.
    fn roles(&self) -> Option<f64> {
        [self.server, self.harness, self.meter, self.background, self.adapter, self.of_kernel()]
            .into_iter()
            .flatten()
            .reduce(|sum, cpu_s| sum + cpu_s)
    }

    /// Lays what no task used at the kernel's door, as far as `interrupts` explain it.
    ///
    /// A core that leaves its idle state for an interrupt or a wake-up, and comes back to it, is busy meanwhile, and no task is
    /// charged. A queue under light load wakes up thousands of times a second; on a core that is never idle this time
    /// vanishes. Only where every task is visible is the rest the kernel's.
    fn add_wake_ups(&mut self, interrupts: Option<f64>) {
        if let (Some(host_s), Some(_), Some(others_s)) = (self.host, self.kernel, self.others) {
            let tasks_s = self.roles().unwrap_or(0.0) + others_s;
            self.wake_ups = Some((host_s - tasks_s).clamp(0.0, interrupts.unwrap_or(0.0) * WAKE_UP_MAX_S));
        }
    }

    /// The roles' share of the host's busy time, in percent. Empty where one of the two is not known.
    pub(crate) fn roles_of_host_pct(&self) -> Option<f64> {
        let host_s = self.host.filter(|host_s| *host_s > 0.0)?;
        Some(100.0 * self.roles()? / host_s)
    }

    /// Where the host's busy time went that no role used, as a sentence.
    pub(crate) fn remainder(&self) -> Option<String> {
        let host_s = self.host.filter(|host_s| *host_s > 0.0)?;
        let share = |cpu_s: f64| format!("{:.1} %", 100.0 * cpu_s / host_s);
        let roles_s = self.roles()?;
        let mut parts = Vec::new();
        parts.extend(self.others.map(|cpu_s| format!("other processes {}", share(cpu_s))));
        let nobody_s = host_s - roles_s - self.others.unwrap_or(0.0);
        parts.push(format!("nobody that can be seen from here {}", share(nobody_s.max(0.0))));
        let roles = match (self.adapter, self.kernel) {
            (Some(_), Some(_)) => "server, harness, meters, adapters, background load and kernel",
            (Some(_), None) => "server, harness, meters, adapters and background load",
            (None, Some(_)) => "server, harness, meters, background load and kernel",
            (None, None) => "server, harness, meters and background load",
        };
        Some(format!(
            "{roles} used {} of the host's busy time in the measured window; the rest: {}",
            share(roles_s),
            parts.join(", ")
        ))
    }
}

/// What the cores did between two snapshots.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuSpan {
    pub(crate) elapsed_s: f64,
    pub(crate) cpu_s: CpuSeconds,
    pub(crate) steal_s: f64,
    pub(crate) iowait_s: f64,
    /// Everything that the cores had to give.
    pub(crate) all_s: f64,
}

impl CpuSpan {
    /// What lies between two snapshots of the same book.
    pub(crate) fn between(from: &CpuSnapshot, to: &CpuSnapshot) -> Self {
        let seconds = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?) as f64 / 1e9);
        let host = |field: fn(&HostCpu) -> f64| Some((field(to.host.as_ref()?) - field(from.host.as_ref()?)).max(0.0));
        let mut cpu_s = CpuSeconds {
            host: host(|cpu| cpu.busy_s),
            server: seconds(from.server_ns, to.server_ns),
            harness: seconds(from.harness_ns, to.harness_ns),
            meter: seconds(from.meter_ns, to.meter_ns),
            background: seconds(from.background_ns, to.background_ns),
            adapter: seconds(from.adapter_ns, to.adapter_ns),
            kernel: seconds(from.kernel_ns, to.kernel_ns),
            wake_ups: None,
            others: seconds(from.others_ns, to.others_ns),
        };
        cpu_s.add_wake_ups(host(|cpu| cpu.interrupts as f64));
        CpuSpan {
            elapsed_s: to.at_us.saturating_sub(from.at_us) as f64 / 1e6,
            cpu_s,
            steal_s: host(|cpu| cpu.steal_s).unwrap_or(0.0),
            iowait_s: host(|cpu| cpu.iowait_s).unwrap_or(0.0),
            all_s: host(|cpu| cpu.all_s).unwrap_or(0.0),
        }
    }

    /// `cpu_s` as a percentage of one core over the span; empty when no time has passed.
    pub(crate) fn pct_of_a_core(&self, cpu_s: Option<f64>) -> Option<f64> {
        (self.elapsed_s > 0.0).then_some(100.0 * cpu_s? / self.elapsed_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_time_used_over_time_passed_and_100_is_one_core() {
        let host = |busy_s, steal_s| {
            Some(HostCpu { busy_s, steal_s, iowait_s: 0.0, all_s: busy_s + steal_s + 10.0, interrupts: 0 })
        };
        let from = CpuSnapshot { at_us: 1_000_000, host: host(5.0, 1.0), server_ns: Some(7), ..Default::default() };
        let to = CpuSnapshot {
            at_us: 3_000_000,
            host: host(8.0, 1.5),
            server_ns: Some(1_500_000_007),
            ..Default::default()
        };
        let span = CpuSpan::between(&from, &to);
        assert_eq!(span.pct_of_a_core(span.cpu_s.host), Some(150.0));
        assert_eq!(span.pct_of_a_core(span.cpu_s.server), Some(75.0));
        assert_eq!(span.pct_of_a_core(span.cpu_s.background), None, "a role that does not exist has no CPU");
        assert_eq!(span.steal_s, 0.5);
        assert_eq!(CpuSpan::between(&to, &to).pct_of_a_core(Some(1.0)), None);
    }
    #[test]
    fn the_busy_time_of_the_host_is_divided_without_a_rest() {
        let cpu_s = CpuSeconds {
            host: Some(10.0),
            server: Some(6.0),
            harness: Some(2.5),
            meter: Some(0.5),
            background: None,
            adapter: None,
            kernel: None,
            wake_ups: None,
            others: Some(0.5),
        };
        assert_eq!(cpu_s.roles_of_host_pct(), Some(90.0));
        assert_eq!(
            cpu_s.remainder().unwrap(),
            "server, harness, meters and background load used 90.0 % of the host's busy time in the measured window; the rest: \
             other processes 5.0 %, nobody that can be seen from here 5.0 %"
        );
        assert_eq!(CpuSeconds { host: None, ..cpu_s }.roles_of_host_pct(), None, "nothing to compare with");
    }

    #[test]
    fn what_no_task_used_is_the_kernel_s_as_far_as_interrupts_explain_it() {
        let at = |busy_s, interrupts, ns: u64| CpuSnapshot {
            host: Some(HostCpu { busy_s, interrupts, ..HostCpu::default() }),
            server_ns: Some(6 * ns),
            harness_ns: Some(2 * ns),
            meter_ns: Some(ns),
            kernel_ns: Some(ns / 4),
            others_ns: Some(ns / 4),
            ..CpuSnapshot::default()
        };
        let cpu_s = |interrupts| CpuSpan::between(&at(0.0, 0, 0), &at(10.0, interrupts, 1_000_000_000)).cpu_s;
        let explained = cpu_s(50_000);
        assert_eq!((explained.of_kernel(), explained.wake_ups), (Some(0.75), Some(0.5)));
        assert_eq!(explained.roles_of_host_pct(), Some(97.5));
        let in_part = cpu_s(10_000);
        assert_eq!(in_part.wake_ups, Some(0.3));
        assert!(
            in_part.remainder().unwrap().ends_with("other processes 2.5 %, nobody that can be seen from here 2.0 %")
        );
        let mut unseen = at(10.0, 50_000, 1_000_000_000);
        unseen.kernel_ns = None;
        let unseen = CpuSpan::between(&at(0.0, 0, 0), &unseen).cpu_s;
        assert_eq!((unseen.kernel, unseen.wake_ups), (None, None), "in a container others are not visible either");
    }
}
