//! Which processes belong to a role, and how much CPU they have used, the exited ones included.

use std::collections::{HashMap, HashSet};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::process::all_processes;

/// Root processes of the roles, by pid. A role is its roots with all their descendants; a role without roots does not
/// exist in the run (a server on another machine, no background load). The role `harness` is always this very process, without
/// its meters of hiccups, which are a role of their own, and without its children: servers and pgbench are children of the harness too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The server under test.
    pub server: Vec<u32>,
    /// pgbench, and the server it runs on where that is not the one under test.
    pub background: Vec<u32>,
    /// Processes that belong to the measuring and not to the load, beside the meter of hiccups: a relay.
    pub instruments: Vec<u32>,
    /// Whether children of this process that are in no other role do the queue's client work
    /// ([`qbench_backends::Backend::works_in_processes`]). They come and go with the connections that are opened.
    pub adapter: bool,
}

/// Root of the processes of users. In a container it may be the harness itself.
const FIRST_USER_PROCESS: u32 = 1;
/// Root of the threads of the kernel, where they are visible.
const FIRST_KERNEL_THREAD: u32 = 2;

/// Bit of the flags in `/proc/<pid>/stat` by which the kernel marks its own threads (`PF_KTHREAD`).
const KERNEL_THREAD_FLAG: u32 = 0x0020_0000;

/// One process of the machine, as `/proc/<pid>/stat` had it.
#[derive(Debug, Clone, Copy)]
struct ProcessStat {
    parent: i32,
    /// Together with the pid this names a process for good: pids are used again.
    started_ticks: u64,
    own_ticks: u64,
    /// Of children that exited and were waited for, and of theirs.
    children_ticks: u64,
    threads: i64,
    of_kernel: bool,
}

/// Every process of the machine at one instant.
pub(crate) struct ProcessTable {
    by_pid: HashMap<i32, ProcessStat>,
    by_parent: HashMap<i32, Vec<i32>>,
}

impl ProcessTable {
    /// Reads `/proc/<pid>/stat` of every process. A process that exits meanwhile is left out.
    pub(crate) fn read() -> Result<Self, procfs::ProcError> {
        let mut table = ProcessTable { by_pid: HashMap::new(), by_parent: HashMap::new() };
        for process in all_processes()?.flatten() {
            let Ok(stat) = process.stat() else { continue };
            table.by_parent.entry(stat.ppid).or_default().push(stat.pid);
            table.by_pid.insert(
                stat.pid,
                ProcessStat {
                    parent: stat.ppid,
                    started_ticks: stat.starttime,
                    own_ticks: stat.utime + stat.stime,
                    children_ticks: (stat.cutime + stat.cstime).max(0) as u64,
                    threads: stat.num_threads,
                    of_kernel: stat.flags & KERNEL_THREAD_FLAG != 0,
                },
            );
        }
        Ok(table)
    }
}

/// A living process of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) pid: i32,
    pub(crate) started_ticks: u64,
    pub(crate) threads: i64,
}

/// CPU account of one role.
///
/// A living process is read from its CPU clock (nanoseconds, threads that ended included). When a process exits and is
/// waited for, the kernel adds its time to its parent's children time (10 ms ticks, of the sum, so the error does not
/// grow), which is read with every living process. So a backend that ends stays counted as soon as the postmaster has
/// collected it. Only where nobody of the role collects it, its last known time is kept here.
#[derive(Debug)]
pub(crate) struct RoleCpu {
    exists: bool,
    /// Roots that are not known to have exited.
    roots: HashSet<i32>,
    known: HashMap<i32, Known>,
    /// Processes below these roots that count for another role.
    lent: HashMap<i32, Known>,
    /// Time of processes that exited with nobody of the role to inherit it.
    departed_ns: u64,
    /// Time of lent processes that exited: their parent here inherited it, though it is another role's.
    foreign_ns: u64,
    /// Largest total handed out; what is handed out never falls, except by what is lent.
    highest_ns: u64,
}

/// A process at the latest reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    started_ticks: u64,
    parent: i32,
    cpu_ns: u64,
}

impl RoleCpu {
    /// An account of the processes below `roots`.
    pub(crate) fn new(roots: &[u32]) -> Self {
        RoleCpu {
            exists: !roots.is_empty(),
            roots: roots.iter().map(|pid| *pid as i32).collect(),
            known: HashMap::new(),
            lent: HashMap::new(),
            departed_ns: 0,
            foreign_ns: 0,
            highest_ns: 0,
        }
    }

    /// An account of the children of this process that are in no other role.
    pub(crate) fn of_children(exists: bool) -> Self {
        RoleCpu { exists, ..RoleCpu::new(&[]) }
    }

    /// [`RoleCpu::read`] of an account of children, with those that were started since the latest reading.
    pub(crate) fn read_children(
        &mut self,
        table: &ProcessTable,
        elsewhere: &HashSet<i32>,
    ) -> (Option<u64>, Vec<Member>) {
        if self.exists {
            let own = std::process::id() as i32;
            let children = table.by_parent.get(&own).into_iter().flatten();
            self.roots.extend(children.filter(|pid| !elsewhere.contains(*pid)));
        }
        self.read(table, elsewhere)
    }

    /// Whether the role exists in this run. It still does when all its processes have exited.
    pub(crate) fn exists(&self) -> bool {
        self.exists
    }

    /// Counts the process `pid` of this role for another one from now on, with all that it has used so far; returns it for
    /// [`RoleCpu::adopt`]. `None` when it was no process of this role at the latest reading.
    pub(crate) fn lend(&mut self, pid: i32) -> Option<Known> {
        let known = self.known.remove(&pid)?;
        self.lent.insert(pid, known);
        self.highest_ns = self.highest_ns.saturating_sub(known.cpu_ns);
        Some(known)
    }

    /// Counts a process that another role has lent.
    pub(crate) fn adopt(&mut self, pid: i32, process: Known) {
        // Known processes are starting points of every reading.
        self.known.insert(pid, process);
    }

    /// CPU time of the role so far in nanoseconds, and its living processes; nothing for a role that does not exist.
    /// Processes of `elsewhere`, and those below them, belong to others.
    pub(crate) fn read(&mut self, table: &ProcessTable, elsewhere: &HashSet<i32>) -> (Option<u64>, Vec<Member>) {
        if !self.exists {
            return (None, Vec::new());
        }
        self.read_lent(table);
        let mut members = Vec::new();
        let mut known = HashMap::new();
        // Known processes are starting points of their own: one whose parent died has moved to another parent.
        let mut open: Vec<i32> = self.roots.iter().copied().chain(self.known.keys().copied()).collect();
        let mut seen: HashSet<i32> = elsewhere.iter().copied().chain(self.lent.keys().copied()).collect();
        while let Some(pid) = open.pop() {
            if !seen.insert(pid) {
                continue;
            }
            let Some((process, threads)) = self.look(table, pid) else { continue };
            known.insert(pid, process);
            members.push(Member { pid, started_ticks: process.started_ticks, threads });
            open.extend(table.by_parent.get(&pid).into_iter().flatten());
        }
        for (pid, gone) in self.known.iter().filter(|(pid, _)| !known.contains_key(pid)) {
            // The pid may be used again, by somebody else.
            self.roots.remove(pid);
            if !self.was_inherited(gone, &known) {
                self.departed_ns += gone.cpu_ns;
            }
        }
        let living_ns: u64 = known.values().map(|known| known.cpu_ns).sum();
        self.known = known;
        self.highest_ns = self.highest_ns.max((living_ns + self.departed_ns).saturating_sub(self.foreign_ns));
        (Some(self.highest_ns), members)
    }

    /// The process `pid` now, with the number of its threads; `None` when it has gone, or when somebody else has its pid.
    fn look(&self, table: &ProcessTable, pid: i32) -> Option<(Known, i64)> {
        let stat = table.by_pid.get(&pid)?;
        let earlier = self.known.get(&pid).or_else(|| self.lent.get(&pid));
        if earlier.is_some_and(|known| known.started_ticks != stat.started_ticks) {
            return None;
        }
        // A process that ended after the table was read is in nobody's children time yet; the next reading has it.
        let cpu_ns = own_cpu_ns(pid, stat)? + ticks_ns(stat.children_ticks);
        Some((Known { started_ticks: stat.started_ticks, parent: stat.parent, cpu_ns }, stat.threads))
    }

    /// Looks after the lent processes: what one of them had used when it exits is in its parent's children time.
    fn read_lent(&mut self, table: &ProcessTable) {
        for (pid, last) in std::mem::take(&mut self.lent) {
            match self.look(table, pid) {
                Some((process, _)) if process.started_ticks == last.started_ticks => {
                    self.lent.insert(pid, process);
                }
                _ => self.foreign_ns += last.cpu_ns,
            }
        }
    }

    /// Whether a living process of the role is an ancestor of `gone`, and so has its time among its children's.
    fn was_inherited(&self, gone: &Known, living: &HashMap<i32, Known>) -> bool {
        let mut parent = gone.parent;
        // Each step goes one generation up; the bound only guards against a table that contradicts itself.
        for _ in 0..=self.known.len() {
            if living.contains_key(&parent) {
                return true;
            }
            match self.known.get(&parent) {
                Some(known) => parent = known.parent,
                None => return false,
            }
        }
        false
    }
}

/// CPU account of everything that is in no role, so that the host's busy time can be explained.
#[derive(Debug)]
pub(crate) struct BystanderCpu {
    kernel: RoleCpu,
    others: RoleCpu,
}

impl BystanderCpu {
    pub(crate) fn new() -> Self {
        BystanderCpu { kernel: RoleCpu::new(&[FIRST_KERNEL_THREAD]), others: RoleCpu::new(&[FIRST_USER_PROCESS]) }
    }

    /// CPU time so far of the kernel's threads, and of processes that are not among `members`; in nanoseconds. The first is
    /// empty where the kernel's threads are not visible, as in a container.
    pub(crate) fn read(&mut self, table: &ProcessTable, members: &HashSet<i32>) -> (Option<u64>, Option<u64>) {
        let kernel_root = table.by_pid.get(&(FIRST_KERNEL_THREAD as i32));
        let kernel_ns = match kernel_root.is_some_and(|stat| stat.of_kernel) {
            true => self.kernel.read(table, members).0,
            false => None,
        };
        (kernel_ns, self.others.read(table, members).0)
    }
}

/// CPU time of this process with all threads that ever ran, without children, in nanoseconds.
pub(crate) fn harness_cpu_ns() -> Option<u64> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok().map(nanoseconds)
}

fn own_cpu_ns(pid: i32, stat: &ProcessStat) -> Option<u64> {
    match clock_getcpuclockid(Pid::from_raw(pid)).and_then(clock_gettime) {
        Ok(time) => Some(nanoseconds(time)),
        // Either the process is gone, or this kernel keeps its clock from us and the ticks must do.
        Err(_) => {
            let now = procfs::process::Process::new(pid).and_then(|process| process.stat()).ok()?;
            (now.starttime == stat.started_ticks).then(|| ticks_ns(stat.own_ticks))
        }
    }
}

fn nanoseconds(time: TimeSpec) -> u64 {
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

fn ticks_ns(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / procfs::ticks_per_second())
}
