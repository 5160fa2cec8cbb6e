//! CPU time of the host and of every role at one instant, and what lies between two of them.

use std::sync::{Arc, Mutex, PoisonError};

use super::host::HostCpu;
use super::notes::Notes;
use super::roles::{Member, ProcessTable, RoleCpu, Roles, harness_cpu_ns};
use crate::clock::RunClock;

/// Cumulative CPU time at one instant. Empty where the role does not exist or the kernel does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuSnapshot {
    /// Instant, microseconds since the start of the run.
    pub(crate) at_us: u64,
    pub(crate) host: Option<HostCpu>,
    pub(crate) server_ns: Option<u64>,
    pub(crate) harness_ns: Option<u64>,
    pub(crate) background_ns: Option<u64>,
}

/// CPU time between two snapshots, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuSeconds {
    /// All cores of the host: user, nice, system, irq and softirq.
    pub host: Option<f64>,
    /// The server under test with all its processes.
    pub server: Option<f64>,
    /// This harness.
    pub harness: Option<f64>,
    /// Background load.
    pub background: Option<f64>,
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
        CpuSpan {
            elapsed_s: to.at_us.saturating_sub(from.at_us) as f64 / 1e6,
            cpu_s: CpuSeconds {
                host: host(|cpu| cpu.busy_s),
                server: seconds(from.server_ns, to.server_ns),
                harness: seconds(from.harness_ns, to.harness_ns),
                background: seconds(from.background_ns, to.background_ns),
            },
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

/// Living processes of the roles at a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) server: Vec<Member>,
    pub(crate) background: Vec<Member>,
}

/// The account of all CPU time, shared between the monitor's thread and the driver, which marks the measured window.
#[derive(Clone)]
pub(crate) struct CpuBook {
    clock: RunClock,
    notes: Notes,
    roles: Arc<Mutex<RoleBooks>>,
}

struct RoleBooks {
    server: RoleCpu,
    background: RoleCpu,
}

impl CpuBook {
    pub(crate) fn new(clock: RunClock, roles: &Roles, notes: &Notes) -> Self {
        let roles = RoleBooks { server: RoleCpu::new(&roles.server), background: RoleCpu::new(&roles.background) };
        CpuBook { clock, notes: notes.clone(), roles: Arc::new(Mutex::new(roles)) }
    }

    /// Reads everything now: one pass over `/proc`, a few milliseconds.
    pub(crate) fn snapshot(&self) -> (CpuSnapshot, Members) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = CpuSnapshot { at_us: self.clock.now_us(), ..CpuSnapshot::default() };
        let mut members = Members::default();
        snapshot.harness_ns = harness_cpu_ns();
        match HostCpu::read() {
            Ok(cpu) => snapshot.host = Some(cpu),
            Err(error) => self.notes.add("read the host's CPU time", error),
        }
        if roles.server.exists() || roles.background.exists() {
            match ProcessTable::read() {
                Ok(table) => {
                    (snapshot.server_ns, members.server) = roles.server.read(&table);
                    (snapshot.background_ns, members.background) = roles.background.read(&table);
                }
                Err(error) => self.notes.add("list the processes of the roles", error),
            }
        }
        if roles.server.exists() && members.server.is_empty() {
            self.notes.add("watch the server's processes", "none of them is left");
        }
        if roles.background.exists() && members.background.is_empty() {
            self.notes.add("watch the processes of the background load", "none of them is left");
        }
        (snapshot, members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_time_used_over_time_passed_and_100_is_one_core() {
        let host = |busy_s, steal_s| Some(HostCpu { busy_s, steal_s, iowait_s: 0.0, all_s: busy_s + steal_s + 10.0 });
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
}
