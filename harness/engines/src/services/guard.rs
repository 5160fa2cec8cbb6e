//! The guard: a small `sh` beside the harness that cleans up when the harness cannot, because it was killed.
//!
//! The kernel's parent-death signal (see [`super::child`]) ends children at once, but nobody then removes their
//! directory, and a server's own children or a stopped process can survive it. The guard closes that gap. It also does
//! the last part of an ordinary stop, so that the path which matters after a SIGKILL is the one that every run takes.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Error, Result};

/// File that marks a directory as ours; the guard removes no directory without it.
pub(super) const MARKER_FILE: &str = ".qbench-private";

/// The guard's program; says itself what it does.
const SCRIPT: &str = include_str!("guard.sh");

/// Longest time that the guard may take for an ordinary stop. It needs a few milliseconds when nothing is left to kill,
/// and gives up by itself after this.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// A running guard. Dropping it lets it act and waits for its end.
pub(crate) struct Guard {
    inner: Mutex<Inner>,
}

struct Inner {
    shell: Child,
    /// Close-on-exec, as every descriptor of the standard library: another child that kept it open would blind the guard.
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard for a private directory of servers and the program that runs in its `data` subdirectory; for
    /// `None`, one that only looks after processes. The directory may be made afterwards: that way no kill of the
    /// harness finds one without a guard.
    pub(super) fn start(private: Option<(&Path, &Path)>) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        // By way of the environment, so that a process list shows one short line.
        command.args(["-c", "eval \"$QBENCH_GUARD\"", "qbench-guard"]);
        match private {
            Some((directory, program)) => command.arg(directory).arg(program),
            None => command.args(["", ""]),
        };
        // Our own output must not be held open by it: who reads the harness's output waits for its end.
        command
            .env_clear()
            .env("QBENCH_GUARD", SCRIPT)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
        unsafe {
            command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into));
        }
        let mut shell = command.spawn().map_err(Error::system("start the guard /bin/sh"))?;
        let pipe = shell.stdin.take();
        Ok(Guard { inner: Mutex::new(Inner { shell, pipe }) })
    }

    /// Tells it of a process that must not outlive the harness.
    pub(super) fn add(&self, pid: u32) -> Option<u64> {
        let start = start_ticks(pid)?;
        self.tell(&format!("add {pid} {start}\n"));
        Some(start)
    }

    /// Tells it that a process has ended. To be called before the process is reaped, while its pid is still its own.
    pub(super) fn remove(&self, pid: u32, start: u64) {
        self.tell(&format!("remove {pid} {start}\n"));
    }

    /// A guard that somebody killed cannot be told anything; the parent-death signal still holds then.
    fn tell(&self, line: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = &mut inner.pipe
            && let Err(error) = pipe.write_all(line.as_bytes())
        {
            tracing::warn!("the guard process has gone ({error}); children are still ended by the kernel");
            inner.pipe = None;
        }
    }

    /// Lets it act now and waits until it has ended.
    pub(super) fn finish(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.pipe = None;
        let deadline = Instant::now() + FINISH_LIMIT;
        while Instant::now() < deadline {
            match inner.shell.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // Stopped or stuck. What it would have removed, the owner of the directory reports.
        let _ = inner.shell.kill();
        let _ = inner.shell.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish();
    }
}

/// When a process started, in clock ticks since boot (field 22 of /proc/PID/stat).
fn start_ticks(pid: u32) -> Option<u64> {
    procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok().map(|stat| stat.starttime)
}
