//! Keeps passwords out of the process list.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, anyhow};
use qbench_backends::ServerUrl;
use qbench_engines::engine::UrlFlag;

use super::url_args::server_engines;

/// Variable that names the settings that stood in flags and were moved to variables, separated by commas: the manifest says
/// where the user gave a value.
const MOVED_FLAGS_VARIABLE: &str = "QBENCH_MOVED_FLAGS";
/// The same as a name of a setting.
pub const MOVED_FLAGS_NAME: &str = "moved-flags";

/// The arguments of a process are readable by every user of the machine, its environment only by its owner. When an
/// address with a password was given as a flag, this process is replaced by one that has it in the environment.
///
/// Does nothing when no argument holds a password.
///
/// # Errors
/// When the replacement fails. The program must not go on then: the password would stay where it is, and children would
/// get it in the same way.
pub fn move_passwords_out_of_arguments() -> anyhow::Result<()> {
    let (kept, moved) = split(std::env::args_os().skip(1).collect());
    if moved.is_empty() {
        return Ok(());
    }
    let variables: Vec<&str> = server_engines().map(|(_, flag)| flag.variable).collect();
    let attempted = format!(
        "cannot hide the password in the arguments from the process list; give the address in {}, or the password in \
         PGPASSWORD",
        variables.join(" or ")
    );
    let program = std::env::current_exe().context(attempted.clone())?;
    let names: Vec<&str> = moved.iter().map(|(flag, _)| flag.name).collect();
    let variables = moved.iter().map(|(flag, url)| (flag.variable, url));
    let error = Command::new(program).args(kept).env(MOVED_FLAGS_VARIABLE, names.join(",")).envs(variables).exec();
    Err(anyhow!(error).context(attempted))
}

/// The arguments as the user gave them, without passwords: addresses that were moved stand at the end. An argument that is
/// not UTF-8 shows what it has in place of the rest.
pub fn arguments_as_given() -> Vec<String> {
    let mut arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let moved = std::env::var(MOVED_FLAGS_VARIABLE).unwrap_or_default();
    for (_, flag) in server_engines().filter(|(_, flag)| moved.split(',').any(|name| name == flag.name)) {
        if let Ok(url) = std::env::var(flag.variable) {
            arguments.extend([flag.flag.to_owned(), ServerUrl::new(url).redacted()]);
        }
    }
    arguments
}

/// The arguments without addresses that hold a password, and these addresses.
fn split(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<(&'static UrlFlag, OsString)>) {
    let mut kept = Vec::with_capacity(arguments.len());
    let mut moved: Vec<(&UrlFlag, OsString)> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        let found = server_engines().find_map(|(_, flag)| match bytes.strip_prefix(flag.flag.as_bytes())? {
            [] => Some((flag, None)),
            [b'=', url @ ..] => Some((flag, Some(OsStr::from_bytes(url).to_owned()))),
            _ => None,
        });
        let Some((flag, in_place)) = found else {
            kept.push(argument);
            continue;
        };
        let url = in_place.clone().or_else(|| arguments.peek().cloned()).unwrap_or_default();
        let shown = url.to_string_lossy();
        if ServerUrl::new(shown.as_ref()).redacted() == shown {
            kept.push(argument);
            continue;
        }
        if in_place.is_none() {
            arguments.next();
        }
        moved.push((flag, url));
    }
    (kept, moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> (Vec<String>, Vec<(&'static str, String)>) {
        let (kept, moved) = split(arguments.iter().map(OsString::from).collect());
        let text = |text: OsString| text.into_string().unwrap();
        (
            kept.into_iter().map(text).collect(),
            moved.into_iter().map(|(flag, url)| (flag.variable, text(url))).collect(),
        )
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

    #[test]
    fn an_argument_that_is_no_text_is_left_to_the_parser() {
        let broken = OsStr::from_bytes(b"--out=\xff").to_owned();
        let (kept, moved) = split(vec![broken.clone()]);
        assert_eq!(kept, [broken]);
        assert!(moved.is_empty());
    }
}
