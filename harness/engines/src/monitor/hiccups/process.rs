//! The meter that is a process of its own: what stops only the harness does not stop it.
//!
//! The harness writes `from <ns>` and `to <ns>` to its input, instants of `CLOCK_MONOTONIC`. It writes `ready` when it ticks, and
//! its report as a line of JSON when its input ends. So it ends with the harness, whatever becomes of that; the kernel's
//! parent-death signal does the same at once.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use qbench_ground::priority;

use super::meter::{Meter, cores};
use super::series::{Control, Report, Series};
use crate::helper::HelperProgram;

/// Longest wait for the process to tick. It takes some hundredths of a second.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// Longest wait for its report.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

const READY: &str = "ready";
const FROM: &str = "from";
const TO: &str = "to";

/// The command that starts the process, which the kernel ends with the harness.
fn command(program: HelperProgram) -> Command {
    let mut command = program.into_command();
    let parent = std::process::id();
    // SAFETY: the closure only makes async-signal-safe system calls and neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The harness may have died before the line above.
            if nix::unistd::getppid().as_raw() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    command
}

/// What the process does: a thread on each core, until `input` ends.
///
/// # Errors
/// When there are no threads to be had, or when nobody reads the report.
pub fn serve(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    // Where the system refuses real-time priority the harness may still have a raised one.
    priority::raise_process();
    let control = Arc::new(Control::default());
    let cores = cores();
    let places = cores.len().max(1);
    let meters = (0..places)
        .map(|place| Meter::start(&control, cores.get(place).cloned(), place))
        .collect::<io::Result<Vec<_>>>()?;
    writeln!(output, "{READY}")?;
    output.flush()?;
    for line in input.lines() {
        let line = line?;
        match line.split_once(' ').and_then(|(word, instant)| Some((word, instant.parse().ok()?))) {
            Some((FROM, at_ns)) => control.begin(at_ns),
            Some((TO, at_ns)) => control.end(at_ns),
            _ => return Err(io::Error::other(format!("`{line}` is nothing that a meter is told"))),
        }
    }
    let report = Series::report(meters.into_iter().filter_map(Meter::finish).collect());
    serde_json::to_writer(&mut output, &report)?;
    output.write_all(b"\n")
}

/// The running process. Dropping it ends it.
pub(super) struct MeterProcess {
    pid: u32,
    input: Mutex<Option<ChildStdin>>,
    child: Arc<Mutex<Child>>,
    heard: Mutex<Receiver<Heard>>,
    keeper: Option<JoinHandle<()>>,
}

enum Heard {
    Ready,
    Ended(Result<Report, String>),
}

impl MeterProcess {
    /// Starts it and waits until it ticks, some hundredths of a second.
    ///
    /// # Errors
    /// A sentence on why there is none.
    pub(super) fn start(program: HelperProgram) -> Result<Self, String> {
        let (started, start) = mpsc::sync_channel(1);
        let (tell, heard) = mpsc::channel();
        // The parent-death signal is bound to the thread that starts the process, so that is one which ends after it.
        let keeper = std::thread::Builder::new().name("qbench-hiccup-child".to_owned()).spawn(move || {
            let mut command = command(program);
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            let (pid, input, output) = (child.id(), child.stdin.take(), child.stdout.take());
            let child = Arc::new(Mutex::new(child));
            drop(started.send(Ok((pid, input, Arc::clone(&child)))));
            keep(&child, output.into_iter().map(BufReader::new).next(), &tell);
        });
        let keeper = keeper.map_err(|error| format!("its thread does not start: {error}"))?;
        let (pid, input, child) = match start.recv() {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => return Err(format!("it does not start: {error}")),
            Err(_) => return Err("its thread ended before it".to_owned()),
        };
        let process =
            MeterProcess { pid, input: Mutex::new(input), child, heard: Mutex::new(heard), keeper: Some(keeper) };
        match process.hear(READY_LIMIT) {
            Ok(Heard::Ready) => Ok(process),
            Ok(Heard::Ended(Err(reason))) => Err(reason),
            Ok(Heard::Ended(Ok(_))) => Err("it ended at once".to_owned()),
            Err(_) => Err(format!("it did not begin within {READY_LIMIT:?}")),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The window begins at `at_ns`.
    pub(super) fn begin(&self, at_ns: u64) {
        self.say(FROM, at_ns);
    }

    /// The window ends at `at_ns`.
    pub(super) fn end(&self, at_ns: u64) {
        self.say(TO, at_ns);
    }

    fn hear(&self, limit: Duration) -> Result<Heard, RecvTimeoutError> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit)
    }

    fn say(&self, word: &str, at_ns: u64) {
        if let Some(input) = &mut *self.input.lock().unwrap_or_else(PoisonError::into_inner) {
            // A process that has ended hears nothing, which the absence of its report tells.
            let _ = writeln!(input, "{word} {at_ns}");
        }
    }

    /// Ends it; what it saw, or a sentence on why it does not tell.
    pub(super) fn finish(self) -> Result<Report, String> {
        drop(self.input.lock().unwrap_or_else(PoisonError::into_inner).take());
        match self.hear(REPORT_LIMIT) {
            Ok(Heard::Ended(outcome)) => outcome,
            Ok(Heard::Ready) => Err("it began twice".to_owned()),
            Err(RecvTimeoutError::Timeout) => Err(format!("it gave no report within {REPORT_LIMIT:?}")),
            Err(RecvTimeoutError::Disconnected) => Err("its thread ended before it".to_owned()),
        }
    }
}

impl Drop for MeterProcess {
    fn drop(&mut self) {
        drop(self.input.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Nothing happens where it has been waited for.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Reads what the process says to its end, and collects it.
fn keep(child: &Mutex<Child>, output: Option<BufReader<impl Read>>, tell: &Sender<Heard>) {
    let mut said = String::new();
    if let Some(mut output) = output {
        let mut first = String::new();
        if output.read_line(&mut first).is_ok() && first.trim() == READY {
            drop(tell.send(Heard::Ready));
        }
        // What is no text is no report.
        let _ = output.read_to_string(&mut said);
    }
    let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    let report = serde_json::from_str(&said).map_err(|_| match status {
        Ok(status) => format!("it ended without a report ({status})"),
        Err(error) => format!("it ended without a report ({error})"),
    });
    drop(tell.send(Heard::Ended(report)));
}

#[cfg(test)]
mod tests {
    use qbench_ground::clock::monotonic_ns;

    use super::*;

    #[test]
    fn it_says_that_it_is_ready_and_reports_when_its_input_ends() {
        let now_ns = monotonic_ns().unwrap();
        let said = format!("{FROM} {now_ns}\n{TO} {}\n", now_ns + 1_000_000_000);
        let mut output = Vec::new();
        serve(said.as_bytes(), &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let (ready, report) = output.split_once('\n').unwrap();
        assert_eq!(ready, READY);
        let report: Report = serde_json::from_str(report).unwrap();
        assert!(report.cores >= 1, "{report:?}");
    }

    #[test]
    fn what_it_is_not_told_in_its_own_words_ends_it() {
        let error = serve("from soon\n".as_bytes(), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("`from soon` is nothing that a meter is told"), "{error}");
    }

    #[test]
    fn a_process_that_does_not_start_or_says_nothing_is_a_sentence() {
        let started = |program, args: &[&str]| MeterProcess::start(HelperProgram::other(program, args)).err().unwrap();
        assert_eq!(started("/nowhere/prog", &[]), "it does not start: No such file or directory (os error 2)");
        assert_eq!(started("/bin/sh", &["-c", "exit 7"]), "it ended without a report (exit status: 7)");
    }

    #[test]
    fn one_that_is_killed_says_so_and_one_that_is_dropped_is_gone() {
        let program = || HelperProgram::other("/bin/sh", &["-c", "echo ready; read -r _; exec sleep 600"]);
        let killed = MeterProcess::start(program()).unwrap();
        let pid = nix::unistd::Pid::from_raw(killed.pid() as i32);
        nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
        assert_eq!(killed.finish().unwrap_err(), "it ended without a report (signal: 9 (SIGKILL))");
        let dropped = MeterProcess::start(program()).unwrap();
        let path = std::path::PathBuf::from(format!("/proc/{}", dropped.pid()));
        assert!(path.exists());
        drop(dropped);
        assert!(!path.exists());
    }
}
