//! Starting a matrix on a host, detached, and stopping it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::Flock;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{Pid, setsid};
use qbench_schema::files::MATRIX_JSON;
use qbench_schema::progress::{PROGRESS_JSON, PROGRESS_VARIABLE};
use serde::{Deserialize, Serialize};

use super::command::{AGENT_COMMAND, AgentResult};
use super::matrix_dir::{MatrixDir, State};
use super::transfer::unpack;

/// What a host is asked to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRequest {
    /// Arguments of `qbench matrix`, but for `--out` and `--resume`.
    pub arguments: Vec<String>,
    /// Settings that were in the environment here; no secrets.
    pub environment: BTreeMap<String, String>,
    /// Files that the arguments name, by their path from the folder of the matrix: scenarios, plans and settings of the user's own.
    pub files: BTreeMap<String, String>,
}

/// How long a supervisor has to take its lock.
const START_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Sees to it that the matrix in `dir` runs: starts it, lets it go on where it did not come to its end, and leaves it alone where it runs or has
/// ended with nothing left to do. `again` makes one go on that has ended, too. Returns how it stands then.
///
/// # Errors
/// When the folder cannot be written, its supervisor does not start, or the folder belongs to another request.
pub fn start(dir: &MatrixDir, request: &StartRequest, again: bool) -> AgentResult<State> {
    match dir.state()? {
        State::Running => return Ok(State::Running),
        state @ State::Ended { .. } if !again => return Ok(state),
        _ => {}
    }
    fs::create_dir_all(dir.path())?;
    // What is to be run now: a matrix that goes on may be given more blocks.
    crate::verdict::write_whole(&dir.request(), request)?;
    unpack(dir.path(), &request.files)?;
    dir.goes_on()?;
    let mut supervisor = Command::new(std::env::current_exe()?);
    supervisor.args([AGENT_COMMAND, "supervise", "--dir"]).arg(dir.path());
    supervisor.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only the system call setsid is made, which is async-signal-safe, and nothing is allocated.
    unsafe {
        supervisor.pre_exec(|| {
            // In a session of its own, so that the end of the connection does not reach it.
            setsid()?;
            Ok(())
        });
    }
    let mut supervisor = supervisor.spawn()?;
    let begun = Instant::now();
    loop {
        match dir.state()? {
            State::Vanished if begun.elapsed() < START_LIMIT => {}
            State::Vanished | State::Absent => {
                return Err(io::Error::other(format!("its supervisor did not start within {START_LIMIT:?}")));
            }
            state => return Ok(state),
        }
        if let Some(status) = supervisor.try_wait()? {
            return match dir.state()? {
                State::Vanished => Err(io::Error::other(format!(
                    "its supervisor ended at once ({status}); see {}",
                    dir.log().display()
                ))),
                state => Ok(state),
            };
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Runs the matrix in `dir` to its end; only [`start`] calls it, in a process of its own.
///
/// # Errors
/// When the folder cannot be written, or another supervisor has it.
pub fn supervise(dir: &MatrixDir) -> AgentResult<()> {
    let mut lock = take_lock(dir)?;
    // Whoever wants to stop it tells the matrix itself, which ends its runs; nobody ends the one who writes down how it went.
    let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None)?;
    let request: StartRequest = serde_json::from_slice(&fs::read(dir.request())?)?;
    let log = OpenOptions::new().create(true).append(true).open(dir.log())?;
    let status = match run_matrix(dir, &request, &log, &mut lock) {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        Err(error) => {
            writeln!(&log, "qbench: the matrix could not be started: {error}")?;
            1
        }
    };
    dir.has_ended(status)
}

/// The lock of the supervisor. Whoever asks for the state holds it for an instant.
fn take_lock(dir: &MatrixDir) -> AgentResult<Flock<File>> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = dir.lock()? {
            return Ok(lock);
        }
        if begun.elapsed() > START_LIMIT / 2 {
            return Err(io::Error::other("another supervisor has it"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn run_matrix(dir: &MatrixDir, request: &StartRequest, log: &File, lock: &mut File) -> io::Result<ExitStatus> {
    let mut matrix = Command::new(std::env::current_exe()?);
    matrix.arg("matrix").args(&request.arguments).arg("--out").arg(dir.results());
    if dir.results().join(MATRIX_JSON).exists() {
        matrix.arg("--resume");
    }
    matrix.envs(&request.environment).env(PROGRESS_VARIABLE, PROGRESS_JSON);
    // There the files lie that the arguments name, and a qbench.toml where one was sent along.
    matrix.current_dir(dir.path());
    matrix.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    // SAFETY: between fork and exec only the system calls prctl and sigprocmask are made, which are async-signal-safe, and nothing is
    // allocated.
    unsafe {
        matrix.pre_exec(|| {
            // A matrix without its supervisor would be one that nobody can find.
            prctl::set_pdeathsig(Signal::SIGTERM)?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            Ok(())
        });
    }
    let mut child = matrix.spawn()?;
    lock.set_len(0)?;
    write!(lock, "{}", child.id())?;
    child.wait()
}

/// Asks the matrix in `dir` to stop, as Ctrl-C would: the present run ends and keeps its files. Returns how it stands.
///
/// # Errors
/// When its files cannot be read.
pub fn stop(dir: &MatrixDir) -> AgentResult<State> {
    let state = dir.state()?;
    if state == State::Running {
        // Its supervisor waits for it, so the number is still its own.
        let pid = fs::read_to_string(dir.pid())?.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
        let pid = pid.ok_or_else(|| io::Error::other("it is just being started; ask again in a moment"))?;
        kill(Pid::from_raw(pid), Signal::SIGINT)?;
    }
    Ok(state)
}
