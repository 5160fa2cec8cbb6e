//! The account of the roles: CPU, memory, storage traffic and context switches at any instant.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cpu::CpuSnapshot;
use super::footprint::{Footprint, FootprintReader, of_harness};
use super::hiccups::{HiccupMeters, InnerMeter};
use super::host::HostCpu;
use super::notes::Notes;
use super::roles::{BystanderCpu, ProcessTable, RoleCpu, Roles, harness_cpu_ns};
use qbench_ground::clock::RunClock;

/// Everything of the roles at one instant.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Snapshot {
    pub(crate) cpu: CpuSnapshot,
    pub(crate) server: Footprint,
    pub(crate) harness: Footprint,
    pub(crate) background: Footprint,
}

/// The account of the roles, shared between the monitors' thread and the driver, which marks the measured window.
#[derive(Clone)]
pub struct RoleBook {
    clock: RunClock,
    notes: Notes,
    accounts: Arc<Mutex<Accounts>>,
    /// Of the harness's own meter.
    inner_meter: InnerMeter,
}

struct Accounts {
    server: RoleCpu,
    background: RoleCpu,
    adapter: RoleCpu,
    /// The meter that is a process of its own, and other instruments.
    meter: RoleCpu,
    bystanders: BystanderCpu,
    server_footprint: FootprintReader,
    background_footprint: FootprintReader,
}

impl RoleBook {
    pub(crate) fn new(clock: RunClock, roles: &Roles, meters: &HiccupMeters, notes: &Notes) -> Self {
        let accounts = Accounts {
            server: RoleCpu::new(&roles.server),
            background: RoleCpu::new(&roles.background),
            adapter: RoleCpu::of_children(roles.adapter),
            meter: RoleCpu::new(&meters.pid().into_iter().chain(roles.instruments.iter().copied()).collect::<Vec<_>>()),
            bystanders: BystanderCpu::new(),
            server_footprint: FootprintReader::new(notes),
            background_footprint: FootprintReader::new(notes),
        };
        RoleBook { clock, notes: notes.clone(), accounts: Arc::new(Mutex::new(accounts)), inner_meter: meters.inner() }
    }

    /// Counts the sessions that the server serves the background load with for the background load, with all that they
    /// have used since they began. They are processes of the server until the first call, which therefore has to come
    /// before the measured window. What serves everybody (checkpointer, WAL writer, autovacuum) stays with the server. Does
    /// nothing in a run without background load, and for pids that are no processes of the server.
    pub(crate) fn lend_to_background(&self, sessions: &[i32]) {
        let accounts = &mut *self.lock();
        if !accounts.background.exists() {
            return;
        }
        for pid in sessions {
            if let Some(process) = accounts.server.lend(*pid) {
                accounts.background.adopt(*pid, process);
            }
        }
    }

    /// Reads everything now: one pass over `/proc`, a few milliseconds.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let accounts = &mut *self.lock();
        let mut snapshot = Snapshot::default();
        let cpu = &mut snapshot.cpu;
        cpu.at_us = self.clock.now_us();
        // The thread is one of this process, and no part of the load.
        let inner_meter_ns = self.inner_meter.cpu_ns();
        cpu.harness_ns = harness_cpu_ns().map(|harness_ns| harness_ns.saturating_sub(inner_meter_ns));
        cpu.meter_ns = Some(inner_meter_ns);
        match HostCpu::read() {
            Ok(host) => cpu.host = Some(host),
            Err(error) => self.notes.add("read the host's CPU time", error),
        }
        let mut server = Vec::new();
        let mut background = Vec::new();
        match ProcessTable::read() {
            Ok(table) => {
                let mut members = HashSet::from([std::process::id() as i32]);
                (cpu.server_ns, server) = accounts.server.read(&table, &members);
                (cpu.background_ns, background) = accounts.background.read(&table, &members);
                members.extend(server.iter().chain(&background).map(|member| member.pid));
                let (meter_ns, meter) = accounts.meter.read(&table, &members);
                cpu.meter_ns = Some(inner_meter_ns + meter_ns.unwrap_or(0));
                members.extend(meter.iter().map(|member| member.pid));
                let adapter;
                (cpu.adapter_ns, adapter) = accounts.adapter.read_children(&table, &members);
                members.extend(adapter.iter().map(|member| member.pid));
                (cpu.kernel_ns, cpu.others_ns) = accounts.bystanders.read(&table, &members);
            }
            Err(error) => self.notes.add("list the processes of the host", error),
        }
        if accounts.server.exists() && server.is_empty() {
            self.notes.add("watch the server's processes", "none of them is left");
        }
        if accounts.background.exists() && background.is_empty() {
            self.notes.add("watch the processes of the background load", "none of them is left");
        }
        snapshot.server = accounts.server_footprint.read(&server);
        snapshot.background = accounts.background_footprint.read(&background);
        snapshot.harness = of_harness();
        // Its wake-ups are a thousand a second, whatever the jobs are.
        let of_jobs = |switches: u64| switches.saturating_sub(self.inner_meter.switches());
        snapshot.harness.ctx_switches = snapshot.harness.ctx_switches.map(of_jobs);
        snapshot
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
