//! Child processes that cannot outlive the harness, whatever becomes of it.
//!
//! Two mechanisms, because neither is enough alone:
//! 1. The kernel's parent-death signal. It is bound to the *thread* that started the child, so each child has a thread
//!    of its own that starts it, waits for it, and ends after it.
//! 2. A guard process (see `guard.rs`), for what a signal cannot do.
//!
//! Children run in a process group of their own, so that Ctrl-C in a terminal reaches the harness alone, which drains
//! first and ends them afterwards.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::error::{Error, Result};
use super::guard::Guard;
use super::run_as::RunAs;
use qbench_ground::pinning::Cores;

/// A child to start. Standard input is empty; output is discarded unless said otherwise.
#[derive(Debug)]
pub struct ChildSpec {
    command: Command,
    cores: Option<Cores>,
    death_signal: Signal,
}

impl ChildSpec {
    /// Runs `program`, a path. Its environment holds PATH and `LC_ALL=C` only, so that nothing of the user's (PGHOST,
    /// PGOPTIONS, …) reaches it by accident and its messages are in one language.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        ChildSpec { command, cores: None, death_signal: Signal::SIGKILL }
    }

    /// Adds an argument. Arguments can be read by every user of the machine: no passwords here.
    #[must_use]
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment, which only its own user and root can read.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it as another user; `None` keeps ours.
    #[must_use]
    pub fn run_as(mut self, user: Option<&RunAs>) -> Self {
        if let Some(user) = user {
            // The standard library drops the supplementary groups, then sets gid and uid, before `pre_exec`.
            self.command.gid(user.gid().as_raw()).uid(user.uid().as_raw());
        }
        self
    }

    /// Binds it, with every thread and process that it will start, to cores; `None` leaves it on ours.
    #[must_use]
    pub fn cores(mut self, cores: Option<Cores>) -> Self {
        self.cores = cores;
        self
    }

    /// Signal that it gets from the kernel when the harness dies, and when the [`GuardedChild`] is dropped. SIGKILL
    /// unless said otherwise.
    #[must_use]
    pub fn death_signal(mut self, signal: Signal) -> Self {
        self.death_signal = signal;
        self
    }

    /// Where its standard output goes.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    fn into_command(self) -> Command {
        let ChildSpec { mut command, cores, death_signal } = self;
        let parent = std::process::id();
        // SAFETY: the closure only makes async-signal-safe system calls and neither allocates nor locks.
        unsafe {
            command.pre_exec(move || {
                cores.as_ref().map_or(Ok(()), Cores::bind_calling_thread)?;
                prepare(parent, death_signal)
            });
        }
        command
    }
}

/// Runs in the child between fork and exec, after the change of user: a change of credentials clears the death signal.
fn prepare(parent: u32, death_signal: Signal) -> io::Result<()> {
    // A harness that raised its own priority must not hand that to the server under test. Towards the normal priority
    // this needs no privilege.
    // SAFETY: plain system calls on this process.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) < 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
    }
    // Ignored signals stay ignored over exec (nohup, background jobs of a script); the child starts with none.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: sets the default disposition; no handler of ours is involved.
            unsafe { sigaction(signal, &default) }?;
        }
    }
    nix::sys::prctl::set_pdeathsig(death_signal)?;
    // The harness may have died before the line above.
    if nix::unistd::getppid().as_raw() as u32 != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// How long a dropped child may take over its death signal before it is killed.
const DEATH_LIMIT: Duration = Duration::from_secs(5);

/// A running child. Dropping it sends its death signal, SIGKILL where that does not help, and waits for its end.
pub struct GuardedChild {
    pid: u32,
    death_signal: Signal,
    exit: Arc<Exit>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// How the child ended, once it has. The lock is also held while the child is reaped, so that no signal is ever sent to
/// a pid that has passed on.
#[derive(Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Exit {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a child with a guard of its own. Blocks for about a millisecond.
///
/// # Errors
/// [`Error::System`] when the program cannot be started.
pub fn spawn_guarded(spec: ChildSpec) -> Result<GuardedChild> {
    spawn_under(spec, Arc::new(Guard::start(None)?))
}

/// Starts a child that `guard` looks after beside others.
pub(crate) fn spawn_under(spec: ChildSpec, guard: Arc<Guard>) -> Result<GuardedChild> {
    let death_signal = spec.death_signal;
    let attempted = format!("start {}", spec.command.get_program().display());
    let exit = Arc::new(Exit::default());
    let (started, start) = mpsc::sync_channel(1);
    let thread_exit = Arc::clone(&exit);
    std::thread::Builder::new()
        .name("qbench-child".to_owned())
        .spawn(move || {
            let mut command = spec.into_command();
            match command.spawn() {
                Err(error) => drop(started.send(Err(error))),
                Ok(mut child) => {
                    // The command holds our copies of its output; the reader would never see their end.
                    drop(command);
                    let pid = child.id();
                    let start = guard.add(pid);
                    drop(started.send(Ok((pid, child.stdout.take(), child.stderr.take()))));
                    wait_for(&mut child, &thread_exit, || {
                        if let Some(start) = start {
                            guard.remove(pid, start);
                        }
                    });
                }
            }
        })
        .map_err(Error::system(attempted.as_str()))?;
    match start.recv() {
        Ok(Ok((pid, stdout, stderr))) => Ok(GuardedChild { pid, death_signal, exit, stdout, stderr }),
        Ok(Err(error)) => Err(Error::system(attempted)(error)),
        Err(_) => Err(Error::system(attempted)(io::Error::other("its thread ended before it"))),
    }
}

/// Waits for the end of `child`, then reaps it; `ended` runs between the two.
fn wait_for(child: &mut Child, exit: &Exit, ended: impl FnOnce()) {
    let pid = Pid::from_raw(child.id() as i32);
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
    let mut status = exit.lock();
    ended();
    // It cannot be waited for when SIGCHLD is ignored in this process: it has ended, and nobody knows how.
    *status = Some(child.wait().unwrap_or(ExitStatus::from_raw(255 << 8)));
    exit.changed.notify_all();
}

impl GuardedChild {
    /// Its process id, which is also that of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs. Exit code 255 when the system did not tell.
    pub fn try_wait(&self) -> Option<ExitStatus> {
        *self.exit.lock()
    }

    /// Waits for its end. Blocks: not for a thread of an async runtime, unless its output has ended already.
    pub fn wait(&self) -> ExitStatus {
        let mut status = self.exit.lock();
        loop {
            match *status {
                Some(status) => return status,
                None => status = self.exit.changed.wait(status).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Waits for its end, at most `limit`; `None` when it still runs then. Blocks.
    pub fn wait_timeout(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut status = self.exit.lock();
        while status.is_none() {
            let left = deadline.checked_duration_since(Instant::now())?;
            status = self.exit.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *status
    }

    /// Sends it a signal; does nothing when it has ended.
    pub fn kill(&self, signal: Signal) {
        let status = self.exit.lock();
        if status.is_none() {
            // It is ours and not reaped, so the only possible refusal is a change of user by the program itself.
            let _ = nix::sys::signal::kill(Pid::from_raw(self.pid as i32), signal);
        }
    }

    /// Its standard output, once, when [`Stdio::piped`] was asked for.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Its standard error, once, when [`Stdio::piped`] was asked for.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        self.kill(self.death_signal);
        if self.wait_timeout(DEATH_LIMIT).is_none() {
            self.kill(Signal::SIGKILL);
            self.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn shell(script: &str) -> ChildSpec {
        ChildSpec::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn a_child_says_how_it_ended_and_what_it_printed() {
        let mut child = spawn_guarded(shell("echo out; exit 7").stdout(Stdio::piped())).unwrap();
        let mut text = String::new();
        child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\n");
        assert_eq!(child.wait().code(), Some(7));
        assert_eq!(child.try_wait().and_then(|status| status.code()), Some(7));
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let child = spawn_guarded(shell("exec sleep 600")).unwrap();
        let pid = child.pid();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_child_leads_a_process_group_of_its_own_without_ignored_signals_or_foreign_environment() {
        let mut child = spawn_guarded(
            shell("read -r _ _ _ _ group _ </proc/self/stat; echo $$ $group; grep SigIgn /proc/self/status; env")
                .env("KEY", "value")
                .stdout(Stdio::piped()),
        )
        .unwrap();
        let mut text = String::new();
        child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        let pid = child.pid();
        assert!(text.starts_with(&format!("{pid} {pid}\n")), "{text}");
        // The signals above 31 belong to the C library, which lets nobody touch the first of them.
        let ignored = text.split_once("SigIgn:\t").unwrap().1.split('\n').next().unwrap();
        assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 0, "{text}");
        assert!(text.contains("KEY=value"), "{text}");
        assert!(!text.contains("HOME="), "{text}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = spawn_guarded(ChildSpec::new("/nowhere/prog")).err().unwrap().to_string();
        assert_eq!(error, "cannot start /nowhere/prog: No such file or directory (os error 2)");
    }
}
