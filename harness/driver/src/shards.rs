//! Threads that carry producers and workers: each with a reactor and a queue of tasks of its own.
//!
//! A runtime whose threads share their tasks wakes one thread for what another one read, some hundred thousand times a
//! second; that was a fifth of the harness's CPU beside `skip_locked`. Connections that stay where they were opened cost no
//! such wake-ups.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;

use nix::unistd::{Pid, gettid};
use procfs::process::Process;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The threads of one run. Dropping it ends them, with every task that still runs on them.
pub struct Shards {
    shards: Vec<Shard>,
}

struct Shard {
    handle: Handle,
    thread: Pid,
    /// Dropped to end the thread.
    _alive: oneshot::Sender<()>,
}

/// Threads that a run should have: one per core that this process may use, less one where the server is on this host.
///
/// A server that shares the cores with us answers from a core that we leave alone; with a thread of ours on every core, each
/// round trip waited for one of them to be taken off, and `valkey_streams` on two cores lost a quarter of its rate.
pub fn threads_beside(server_is_here: bool) -> NonZeroUsize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores - usize::from(server_is_here)).unwrap_or(NonZeroUsize::MIN)
}

impl Shards {
    /// `threads` threads.
    ///
    /// # Errors
    /// When the system gives no thread or no reactor.
    pub fn start(threads: NonZeroUsize) -> std::io::Result<Self> {
        let shards = (0..threads.get()).map(|_| Shard::start()).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Shards { shards })
    }

    /// Runs `future` on shard `number`, counted round and round.
    pub fn spawn<F>(&self, number: usize, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.shards[number % self.shards.len()].handle.spawn(future)
    }

    /// CPU time of each thread since its start, in seconds; `None` where the system does not tell.
    pub fn cpu_s(&self) -> Option<Vec<f64>> {
        let process = Process::myself().ok()?;
        let ticks_s = procfs::ticks_per_second() as f64;
        let of = |shard: &Shard| {
            let stat = process.task_from_tid(shard.thread.as_raw()).and_then(|task| task.stat()).ok()?;
            Some((stat.utime + stat.stime) as f64 / ticks_s)
        };
        self.shards.iter().map(of).collect()
    }
}

impl Shard {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name("shard".to_owned()).spawn(move || {
            // Whoever started the thread waits for this.
            let _ = tell.send(gettid());
            // Ends when the sender is dropped, which is an error of the channel and the end of the run.
            let _ = runtime.block_on(ended);
            // A connection that is still closing is not waited for.
            runtime.shutdown_background();
        })?;
        let thread = told.recv().map_err(std::io::Error::other)?;
        Ok(Shard { handle, thread, _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_spawned_on_a_shard_stays_on_its_thread() {
        let shards = Shards::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let thread_of = |number| shards.spawn(number, async { thread::current().id() });
        let first = thread_of(0).await.unwrap();
        assert_eq!(thread_of(0).await.unwrap(), first);
        assert_ne!(first, thread::current().id());
    }

    #[tokio::test]
    async fn a_thread_that_computes_has_used_its_cpu_and_the_others_have_not() {
        let shards = Shards::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let before = shards.cpu_s().unwrap();
        let compute = async {
            let own_s = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            let end = own_s() + nix::sys::time::TimeSpec::from_duration(std::time::Duration::from_millis(200));
            while own_s() < end {
                std::hint::black_box(0);
            }
        };
        shards.spawn(1, compute).await.unwrap();
        let after = shards.cpu_s().unwrap();
        assert!(after[1] - before[1] > 0.15, "{before:?} {after:?}");
        assert!(after[0] - before[0] < 0.05, "{before:?} {after:?}");
    }
}
