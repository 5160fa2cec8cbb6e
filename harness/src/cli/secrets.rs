//! Keeps passwords out of the process list.

use std::os::unix::process::CommandExt;
use std::process::Command;

use qbench_backends::ServerUrl;

/// Flags that take a server's address, with the variable that says the same.
const URL_FLAGS: [(&str, &str); 2] = [("--pg-url", "QBENCH_PG_URL"), ("--valkey-url", "QBENCH_VALKEY_URL")];

/// Names the variables whose values were flags, so that the manifest can say where they came from.
const MOVED_VARIABLE: &str = "QBENCH_MOVED_FLAGS";

/// Whether the value of `variable` was given as a flag.
pub fn was_a_flag(variable: &str) -> bool {
    std::env::var(MOVED_VARIABLE).is_ok_and(|moved| moved.split(',').any(|name| name == variable))
}

/// The arguments of a process are readable by every user of the machine, its environment only by its owner. When an
/// address with a password was given as a flag, this process is replaced by one that has it in the environment.
///
/// Does nothing when no argument holds a password. Should the replacement fail, the program goes on as it is and says so.
pub fn move_passwords_out_of_arguments() {
    // An argument that is no text holds no address; the parser refuses it with a sentence.
    let Ok(arguments) = std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    let (kept, moved) = split(arguments);
    if moved.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        eprintln!(
            "qbench: cannot hide the password in the arguments from the process list; use PGPASSWORD or QBENCH_PG_URL"
        );
        return;
    };
    let names = moved.iter().map(|(variable, _)| *variable).collect::<Vec<_>>().join(",");
    let error = Command::new(program).args(kept).envs(moved).env(MOVED_VARIABLE, names).exec();
    eprintln!("qbench: cannot hide the password in the arguments from the process list: {error}");
}

/// The arguments without addresses that hold a password, and these addresses as variables.
fn split(arguments: Vec<String>) -> (Vec<String>, Vec<(&'static str, String)>) {
    let mut kept = Vec::with_capacity(arguments.len());
    let mut moved = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let flag = URL_FLAGS.iter().find(|(flag, _)| argument.strip_prefix(flag).is_some_and(starts_value));
        let Some((flag, variable)) = flag else {
            kept.push(argument);
            continue;
        };
        let url = match argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            Some(url) => url.to_owned(),
            None => match arguments.peek() {
                Some(url) => url.clone(),
                None => String::new(),
            },
        };
        if ServerUrl::new(&url).redacted() == url {
            kept.push(argument);
            continue;
        }
        if !argument.contains('=') {
            arguments.next();
        }
        moved.push((*variable, url));
    }
    (kept, moved)
}

fn starts_value(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> (Vec<String>, Vec<(&'static str, String)>) {
        split(arguments.iter().map(|argument| (*argument).to_owned()).collect())
    }

    #[test]
    fn only_addresses_with_a_password_leave_the_arguments() {
        let (kept, moved) =
            of(&["run", "--pg-url", "postgres://ann:pw@db/x", "--rate", "5", "--valkey-url=redis://:pw@h"]);
        assert_eq!(kept, ["run", "--rate", "5"]);
        assert_eq!(
            moved,
            [("QBENCH_PG_URL", "postgres://ann:pw@db/x".to_owned()), ("QBENCH_VALKEY_URL", "redis://:pw@h".to_owned())]
        );
        let harmless = ["run", "--pg-url", "postgres://ann@db/x", "--pg-url=postgres://db/x"];
        assert_eq!(of(&harmless), (harmless.map(str::to_owned).to_vec(), vec![]));
        assert_eq!(of(&["--pg-url"]).0, ["--pg-url"], "a missing value is for the parser to refuse");
    }
}
