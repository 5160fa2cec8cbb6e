//! Programs that a run starts beside itself, which are this very program with another command.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How such a process is started.
#[derive(Debug, Clone)]
pub struct HelperProgram {
    program: PathBuf,
    args: Vec<OsString>,
}

impl HelperProgram {
    /// This very program, with `command` as its first argument. The file may have been replaced meanwhile.
    pub fn this_one(command: &str) -> Self {
        HelperProgram { program: PathBuf::from("/proc/self/exe"), args: vec![command.into()] }
    }

    /// Another program with these arguments.
    pub fn other(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        HelperProgram { program: program.into(), args: args.iter().map(OsString::from).collect() }
    }

    /// The same with more arguments. They can be read by every user of the machine: no passwords here.
    #[must_use]
    pub(crate) fn with(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With pipes for its input and output. What it says on standard error is heard by nobody.
    pub(crate) fn into_command(self) -> Command {
        let mut command = Command::new(self.program);
        // Nothing of the user's environment is its concern, passwords least of all. In a process group of its own, what is
        // sent to the harness from a terminal does not reach it.
        command.arg0("qbench").args(self.args).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}
