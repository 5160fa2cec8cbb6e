//! One run as a child process: started, listened to, stopped, and never left behind.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use qbench_schema::progress::{PROGRESS_JSON, PROGRESS_VARIABLE, ProgressLine};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::error::{Error, Result};
use crate::plan::PlannedRun;
use crate::progress::Progress;

/// How a run is started: `<program> run --backend … --scenario … --out … --block … <arguments> <arguments of the cell>`.
#[derive(Debug, Clone)]
pub struct RunCommand {
    /// `qbench` itself.
    pub program: PathBuf,
    /// Arguments that all runs share. They show in the process list, so they hold no secrets.
    pub arguments: Vec<String>,
    /// How often a run is tried again that the machine alone spoiled.
    pub retries: u32,
    /// Whether the machine is calibrated before and after each block.
    pub calibrate: bool,
}

/// Last lines of standard error that are kept for the sentence about a failure.
const LAST_LINES: usize = 20;
/// Most characters of one of them.
const LINE_CHARS: usize = 500;
/// How long to read on after the child has ended. A process that it left behind may hold its standard error open.
const LINGER: Duration = Duration::from_secs(1);

/// Ctrl-C and SIGTERM. While this exists neither ends the process.
pub(crate) struct StopSignals {
    interrupt: SignalStream,
    terminate: SignalStream,
}

impl StopSignals {
    pub(crate) fn watch() -> Result<Self> {
        let watch = |kind| signal(kind).map_err(Error::Signals);
        Ok(StopSignals { interrupt: watch(SignalKind::interrupt())?, terminate: watch(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// How a child ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether the user asked it to.
    pub(crate) interrupted: bool,
    last_lines: VecDeque<String>,
}

impl Ended {
    /// Whether a result file is to be expected: done, or done and not valid.
    pub(crate) fn has_result(&self) -> bool {
        matches!(self.status.code(), Some(0 | 3))
    }

    /// Exit status or signal, and the last words.
    pub(crate) fn reason(&self) -> String {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("killed by {signal}"),
                Err(_) => format!("killed by signal {number}"),
            },
            (None, None) => self.status.to_string(),
        };
        let last_words = match self.last_lines.is_empty() {
            true => "nothing was said".to_owned(),
            false => self.last_lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | "),
        };
        match self.has_result() {
            true => format!("{how}, but without a finished result: {last_words}"),
            false => format!("{how}: {last_words}"),
        }
    }
}

/// Runs `qbench run` for one cell to its end. The first signal to stop is passed on once, so that the run can end
/// gracefully and write its files; the second kills it.
///
/// # Errors
/// [`Error::Start`] when the program cannot be started at all.
pub(crate) async fn run(
    planned: &PlannedRun,
    command: &RunCommand,
    stop: &mut StopSignals,
    progress: &mut Progress,
) -> Result<Ended> {
    let mut arguments: Vec<OsString> = ["run", "--backend", &planned.cell.identity.backend].map(OsString::from).into();
    arguments.extend(["--scenario", &planned.cell.scenario_argument, "--out"].map(OsString::from));
    arguments.push(planned.files.dir().into());
    arguments.extend(["--block", &planned.block.to_string()].map(OsString::from));
    arguments.extend(command.arguments.iter().chain(&planned.cell.arguments).map(OsString::from));
    to_its_end(&command.program, &arguments, stop, progress).await
}

/// Runs `qbench calibrate`, which writes to `path`, to its end.
///
/// # Errors
/// As [`run`].
pub(crate) async fn calibrate(
    path: &Path,
    command: &RunCommand,
    stop: &mut StopSignals,
    progress: &mut Progress,
) -> Result<Ended> {
    let arguments = ["calibrate".into(), "--output".into(), path.into()];
    to_its_end(&command.program, &arguments, stop, progress).await
}

async fn to_its_end(
    program: &Path,
    arguments: &[OsString],
    stop: &mut StopSignals,
    progress: &mut Progress,
) -> Result<Ended> {
    let start_error = |source| Error::Start { program: program.to_path_buf(), source };
    let mut child = spawn(program, arguments).map_err(start_error)?;
    let stderr = child.stderr.take().ok_or_else(|| start_error(io::Error::other("no pipe for its standard error")))?;
    let mut lines = BufReader::new(stderr).split(b'\n');
    let mut last_lines = VecDeque::with_capacity(LAST_LINES);
    let mut open = true;
    let mut interrupted = false;

    let status = loop {
        tokio::select! {
            line = lines.next_segment(), if open => match line {
                Ok(Some(line)) => listen(&line, &mut last_lines, progress),
                Ok(None) | Err(_) => open = false,
            },
            status = child.wait() => break status.map_err(start_error)?,
            () = stop.next() => {
                if interrupted {
                    signal_child(&child, Signal::SIGKILL);
                } else {
                    interrupted = true;
                    progress.notice("stopping: waiting for the present run to end; Ctrl-C again kills it");
                    signal_child(&child, Signal::SIGINT);
                }
            }
        }
    };
    let rest = async {
        while let Ok(Some(line)) = lines.next_segment().await {
            listen(&line, &mut last_lines, progress);
        }
    };
    // Running out of time here only means that somebody else still holds the pipe.
    let _ = tokio::time::timeout(LINGER, rest).await;
    Ok(Ended { status, interrupted, last_lines })
}

fn spawn(program: &Path, arguments: &[OsString]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env(PROGRESS_VARIABLE, PROGRESS_JSON)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // In a group of its own, so that the terminal's Ctrl-C reaches it once, through us, and not twice.
        .process_group(0)
        .kill_on_drop(true);
    let parent = getpid();
    // SAFETY: between fork and exec only the system calls prctl and getppid are made, which are async-signal-safe, and
    // nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above took effect.
            if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
    command.spawn()
}

fn signal_child(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended in this very moment, and then there is nobody to tell.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn listen(line: &[u8], last_lines: &mut VecDeque<String>, progress: &mut Progress) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if let Ok(line) = serde_json::from_str::<ProgressLine>(text) {
        progress.advanced(&line);
        return;
    }
    if text.is_empty() {
        return;
    }
    if last_lines.len() == LAST_LINES {
        last_lines.pop_front();
    }
    last_lines.push_back(text.chars().take(LINE_CHARS).collect());
    progress.said(text);
}
