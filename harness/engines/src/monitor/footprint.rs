//! Memory, storage traffic and context switches of a role's living processes.

use std::collections::HashMap;

use nix::sys::resource::{UsageWho, getrusage};
use procfs::ProcResult;
use procfs::process::{Process, Status};

use super::notes::Notes;
use super::roles::Member;

/// Most processes, and most mapped memory, for which the kernel is asked for proportional set sizes. It walks every
/// mapped page for that: 46 PostgreSQL processes with 0.9 GB of shared buffers each cost 230 to 310 ms of CPU per
/// sample on the machine this was measured on, which is 7 ms per mapped gigabyte. Within these limits it is at most
/// about 15 ms, and only a server that has forked (Valkey while it saves) comes this way.
const PSS_MAX_PROCESSES: usize = 4;
const PSS_MAX_MAPPED_BYTES: u64 = 2 << 30;

const KIB: u64 = 1024;

/// What a role's processes hold now and have done so far. `None`: the kernel does not tell us.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Footprint {
    /// Memory in use, pages that its processes share counted once.
    pub(crate) rss_bytes: Option<u64>,
    /// Read from storage. The kernel adds what a child did to its parent when the child is collected.
    pub(crate) read_bytes: Option<u64>,
    /// Written to storage.
    pub(crate) write_bytes: Option<u64>,
    /// Context switches, voluntary and not, since the first reading. What a process did between its last reading and its
    /// end is not known.
    pub(crate) ctx_switches: Option<u64>,
}

/// Reads the footprint of one role, second after second.
#[derive(Debug)]
pub(crate) struct FootprintReader {
    /// Context switches of each living process at the previous reading.
    switches: HashMap<(i32, u64), u64>,
    /// Context switches since the first reading.
    switched: u64,
    notes: Notes,
}

impl FootprintReader {
    pub(crate) fn new(notes: &Notes) -> Self {
        FootprintReader { switches: HashMap::new(), switched: 0, notes: notes.clone() }
    }

    /// Footprint of `members`; empty when there are none. A process that exits meanwhile is left out.
    pub(crate) fn read(&mut self, members: &[Member]) -> Footprint {
        if members.is_empty() {
            return Footprint::default();
        }
        let mut memory = Vec::with_capacity(members.len());
        let mut switches = HashMap::with_capacity(members.len());
        let mut io = Some((0, 0));
        for member in members {
            let Ok(process) = Process::new(member.pid) else { continue };
            let Ok(status) = process.status() else { continue };
            memory.push(MemoryUse::of(&status));
            if let Ok(count) = context_switches(&process, &status, member.threads) {
                switches.insert((member.pid, member.started_ticks), count);
            }
            match process.io() {
                Ok(done) => io = io.map(|(read, write)| (read + done.read_bytes, write + done.write_bytes)),
                // Gone, or a zombie: its parent has, or will have, what it did.
                Err(procfs::ProcError::NotFound(_)) => {}
                Err(error) => {
                    io = None;
                    self.notes.add("read the storage traffic of a role, its cells stay empty", error);
                }
            }
        }
        self.switched += switches
            .iter()
            .map(|(process, count)| count.saturating_sub(self.switches.get(process).copied().unwrap_or(0)))
            .sum::<u64>();
        self.switches = switches;
        Footprint {
            rss_bytes: rss_bytes(&memory, members),
            read_bytes: io.map(|(read, _)| read),
            write_bytes: io.map(|(_, write)| write),
            ctx_switches: Some(self.switched),
        }
    }
}

/// Footprint of this very process. Its context switches are counted since it started. What a child read and wrote is
/// added by the kernel when the child is collected, so the row in which pgbench ends may show some of pgbench's.
pub(crate) fn of_harness() -> Footprint {
    let process = Process::myself();
    let status = process.as_ref().ok().and_then(|process| process.status().ok());
    let io = process.as_ref().ok().and_then(|process| process.io().ok());
    Footprint {
        rss_bytes: status.and_then(|status| status.vmrss).map(|rss| rss * KIB),
        read_bytes: io.map(|io| io.read_bytes),
        write_bytes: io.map(|io| io.write_bytes),
        ctx_switches: getrusage(UsageWho::RUSAGE_SELF)
            .ok()
            .map(|usage| (usage.voluntary_context_switches() + usage.involuntary_context_switches()) as u64),
    }
}

/// Memory of one process by kind, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MemoryUse {
    anonymous: u64,
    file: u64,
    /// Shared memory, huge pages included.
    shared: u64,
}

impl MemoryUse {
    fn of(status: &Status) -> Self {
        let bytes = |kib: Option<u64>| kib.unwrap_or(0) * KIB;
        MemoryUse {
            anonymous: bytes(status.rssanon),
            file: bytes(status.rssfile),
            shared: bytes(status.rssshmem) + bytes(status.hugetlbpages),
        }
    }

    fn all(&self) -> u64 {
        self.anonymous + self.file + self.shared
    }
}

/// Memory of a role. One process: what it holds. A few small ones: the sum of their proportional set sizes. More: an
/// estimate, because the exact figure costs too much (see [`PSS_MAX_PROCESSES`]).
fn rss_bytes(memory: &[MemoryUse], members: &[Member]) -> Option<u64> {
    let mapped: u64 = memory.iter().map(MemoryUse::all).sum();
    match memory {
        [] => None,
        [only] => Some(only.all()),
        few if few.len() <= PSS_MAX_PROCESSES && mapped <= PSS_MAX_MAPPED_BYTES => {
            proportional_bytes(members).or_else(|| Some(estimated_bytes(memory)))
        }
        many => Some(estimated_bytes(many)),
    }
}

/// Private memory of all, and the shared memory and the files of the process that maps most of them: PostgreSQL's
/// processes share one segment and one program. Measured beside the exact figure on 46 PostgreSQL processes:
/// 1,054 MB against 1,064 MB.
fn estimated_bytes(memory: &[MemoryUse]) -> u64 {
    let anonymous: u64 = memory.iter().map(|process| process.anonymous).sum();
    let file = memory.iter().map(|process| process.file).max().unwrap_or(0);
    let shared = memory.iter().map(|process| process.shared).max().unwrap_or(0);
    anonymous + file + shared
}

/// Sum of the proportional set sizes, where we may read them.
fn proportional_bytes(members: &[Member]) -> Option<u64> {
    members.iter().try_fold(0, |sum, member| {
        let rollup = Process::new(member.pid).and_then(|process| process.smaps_rollup()).ok()?;
        // procfs has made bytes of the kibibytes already.
        let pss = rollup.memory_map_rollup.0.first()?.extension.map.get("Pss").copied()?;
        Some(sum + pss)
    })
}

/// Context switches of all threads of a process.
fn context_switches(process: &Process, status: &Status, threads: i64) -> ProcResult<u64> {
    let of =
        |status: &Status| status.voluntary_ctxt_switches.unwrap_or(0) + status.nonvoluntary_ctxt_switches.unwrap_or(0);
    if threads <= 1 {
        return Ok(of(status));
    }
    let mut sum = 0;
    for task in process.tasks()?.flatten() {
        sum += task.status().map(|status| of(&status)).unwrap_or(0);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_buffers_of_many_backends_are_counted_once() {
        let backend = MemoryUse { anonymous: 3, file: 16, shared: 900 };
        let memory = [MemoryUse { shared: 400, ..backend }, backend, backend];
        assert_eq!(estimated_bytes(&memory), 3 * 3 + 16 + 900);
    }

    #[test]
    fn the_harness_has_a_footprint() {
        let footprint = of_harness();
        assert!(footprint.rss_bytes.is_some_and(|rss| rss > 100_000));
        assert!(footprint.ctx_switches.is_some());
    }
}
