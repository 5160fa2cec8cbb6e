//! A child process that cannot outlive us, with pipes to all three of its streams.
//!
//! Three things end it: the end of its input, which every adapter must heed; the kernel's parent-death signal, which is bound
//! to the *thread* that started the child, so that each child has a thread of its own that starts it and waits for it; and a
//! guard, a small `sh` that kills the child's whole process group when we have gone without a word.

use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// Waits for a word that all is well, or for our end; then kills the process group `$1`.
const GUARD: &str = "trap '' HUP INT TERM; read -r word && exit 0; kill -s KILL -- \"-$1\"";

/// How a child ended, once it has. The lock is held while the child is reaped, so that no signal goes to a pid that has
/// passed on.
#[derive(Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

/// A running child. It is not ended by dropping this, but by [`Child::kill`] or the end of its input.
pub(super) struct Child {
    /// Also that of its process group.
    pid: u32,
    exit: Arc<Exit>,
}

/// The child's streams.
pub(super) struct Streams {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts `command` in a process group of its own, so that Ctrl-C in a terminal reaches the harness alone.
///
/// # Errors
/// What the system said.
pub(super) fn spawn(mut command: Command) -> io::Result<(Child, Streams)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let parent = std::process::id();
    // SAFETY: the closure only makes async-signal-safe system calls and neither allocates nor locks.
    unsafe { command.pre_exec(move || prepare(parent)) };
    let exit = Arc::new(Exit::default());
    let of_thread = Arc::clone(&exit);
    let (started, start) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("qbench-adapter".to_owned()).spawn(move || {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return drop(started.send(Err(error))),
        };
        // It holds our copies of nothing that matters, but of the environment, which may be large.
        drop(command);
        let pid = child.id();
        let streams = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let guard = Guard::start(pid);
        drop(started.send(Ok((pid, streams))));
        let leader = Pid::from_raw(pid as i32);
        while waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
        // While the leader is not reaped, its number is the group's and nobody else's.
        let _ = killpg(leader, Signal::SIGKILL);
        guard.dismiss();
        let mut status = of_thread.status.lock().unwrap_or_else(PoisonError::into_inner);
        *status = Some(child.wait().unwrap_or(ExitStatus::from_raw(255 << 8)));
        of_thread.changed.notify_all();
    })?;
    match start.recv() {
        Ok(Ok((pid, Some(((input, output), errors))))) => Ok((Child { pid, exit }, Streams { input, output, errors })),
        Ok(Err(error)) => Err(error),
        _ => Err(io::Error::other("its thread ended before it")),
    }
}

/// Runs in the child between fork and exec.
fn prepare(parent: u32) -> io::Result<()> {
    // A harness that raised its own priority does not hand it on: workers of native backends have the normal one for their
    // server's side too.
    // SAFETY: plain system calls on this process.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) < 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
    }
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The harness may have died before the line above.
    if nix::unistd::getppid().as_raw() as u32 != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

impl Child {
    /// Waits for its end, at most `limit`; `None` when it still runs then. Blocks.
    pub(super) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut status = self.exit.status.lock().unwrap_or_else(PoisonError::into_inner);
        while status.is_none() {
            let left = deadline.checked_duration_since(Instant::now())?;
            status = self.exit.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *status
    }

    /// Kills it with everything that it started and that is still in its process group; does nothing when it has ended.
    pub(super) fn kill(&self) {
        let status = self.exit.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_none() {
            let _ = killpg(Pid::from_raw(self.pid as i32), Signal::SIGKILL);
        }
    }
}

/// The guard of one process group; `None` where it could not be started: the parent-death signal still holds then.
struct Guard(Option<std::process::Child>);

impl Guard {
    fn start(group: u32) -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GUARD, "qbench-adapter-guard", &group.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
        unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
        let shell = command.spawn();
        if let Err(error) = &shell {
            tracing::warn!("the guard of an adapter could not be started: {error}");
        }
        Guard(shell.ok())
    }

    /// Its group has ended: there is nothing to kill.
    fn dismiss(self) {
        let Guard(Some(mut shell)) = self else { return };
        if let Some(mut pipe) = shell.stdin.take() {
            let _ = pipe.write_all(b"ended\n");
        }
        let _ = shell.wait();
    }
}
