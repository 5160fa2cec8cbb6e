//! What leads to an observer.

use std::fmt;
use std::process::Command;

use super::COMMAND;

/// What leads to an observer: words, and the program over there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserverCommand {
    prefix: Vec<String>,
    program: String,
}

impl ObserverCommand {
    /// `prefix` is put before `program observe`: `ssh db1`, `ip netns exec db1`, or nothing, which is this host. Its words are separated by
    /// spaces; none of them can hold one.
    pub fn new(prefix: &str, program: impl Into<String>) -> Self {
        ObserverCommand { prefix: prefix.split_whitespace().map(str::to_owned).collect(), program: program.into() }
    }

    /// By ssh, to a destination as it is known to that: nobody is asked for a password, and a connection that is gone is noticed.
    pub fn by_ssh(destination: &str, program: impl Into<String>) -> Self {
        const SSH: [&str; 8] =
            ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"];
        let prefix = SSH.into_iter().chain([destination]).map(str::to_owned).collect();
        ObserverCommand { prefix, program: program.into() }
    }

    /// Whether it leads nowhere else.
    pub fn is_here(&self) -> bool {
        self.prefix.is_empty()
    }

    pub(super) fn into_command(self) -> Command {
        let mut words = self.prefix.into_iter().chain([self.program, COMMAND.to_owned()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

impl fmt::Display for ObserverCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: ObserverCommand) -> Vec<String> {
        let command = command.into_command();
        let all = std::iter::once(command.get_program()).chain(command.get_args());
        all.map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_words_stand_before_the_program_and_none_is_this_host() {
        let command = ObserverCommand::new(" ip netns  exec db1 ", "/opt/qbench");
        assert_eq!((command.to_string().as_str(), command.is_here()), ("ip netns exec db1", false));
        assert_eq!(words(command), ["ip", "netns", "exec", "db1", "/opt/qbench", "observe"]);
        let here = ObserverCommand::new("", "/opt/qbench");
        assert!(here.is_here());
        assert_eq!(words(here), ["/opt/qbench", "observe"]);
        let by_ssh = words(ObserverCommand::by_ssh("db1", "qbench"));
        assert_eq!(
            (by_ssh[0].as_str(), &by_ssh[by_ssh.len() - 3..]),
            ("ssh", &["db1", "qbench", "observe"].map(str::to_owned)[..])
        );
        assert!(by_ssh.contains(&"BatchMode=yes".to_owned()), "nobody is there to be asked");
    }
}
