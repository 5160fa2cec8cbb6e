//! `hosts.toml`: which hosts there are, and how to reach them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{Error, Result};

/// Work folder of a host that names none, in the home of the user there.
const DEFAULT_WORK_DIR: &str = "qbench-work";

/// All hosts of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// In the order of the file.
    pub hosts: Vec<Host>,
    /// Configuration of ssh that is read instead of the user's own (`ssh -F`).
    pub ssh_config: Option<PathBuf>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What we call it.
    pub name: String,
    /// Where `ssh` goes: a name of `~/.ssh/config`, `user@host`, or `ssh://user@host:port`.
    pub ssh: String,
    /// Folder of its own there; a relative one is in the user's home.
    pub work_dir: String,
    /// What of a matrix it makes where each queue runs on one host: products by their short names, or backends by id. Empty: by its place in the
    /// file.
    pub roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HostsToml {
    #[serde(default)]
    ssh_config: Option<PathBuf>,
    #[serde(default, rename = "host")]
    hosts: Vec<HostToml>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HostToml {
    name: String,
    ssh: Option<String>,
    work_dir: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

impl Hosts {
    /// Reads `hosts.toml`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that cannot be read, an unknown key, no host at all, or one that cannot be.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("cannot read the file of hosts {}: {error}", path.display())))?;
        Self::parse(&text).map_err(|problem| Error::Usage(format!("{}: {problem}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: HostsToml = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.hosts.is_empty() {
            return Err(
                "it names no host: write [[host]] with a name, and with ssh = \"user@machine\" below it".to_owned()
            );
        }
        let mut names = HashSet::new();
        let mut hosts = Vec::with_capacity(file.hosts.len());
        for host in file.hosts {
            let host = host.checked()?;
            if !names.insert(host.name.clone()) {
                return Err(format!("two hosts are called {}", host.name));
            }
            hosts.push(host);
        }
        Ok(Hosts { hosts, ssh_config: file.ssh_config })
    }

    /// The host of that name.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is none.
    pub fn named(&self, name: &str) -> Result<&Host> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            Error::Usage(format!("there is no host {name}; the file of hosts names {}", names.join(", ")))
        })
    }
}

impl HostToml {
    fn checked(self) -> Result<Host, String> {
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !text.starts_with('-')
        };
        if !is_word(&self.name) {
            return Err(format!(
                "a host is called `{}`: a name has letters, digits, - and _, because folders of results are named after it",
                self.name
            ));
        }
        let ssh = self.ssh.unwrap_or_else(|| self.name.clone());
        // A destination that begins so would be an option of ssh.
        if ssh.is_empty() || ssh.starts_with('-') || ssh.contains(char::is_whitespace) {
            return Err(format!(
                "ssh = \"{ssh}\" of host {}: expected what `ssh` is given, as in user@machine",
                self.name
            ));
        }
        let work_dir = self.work_dir.unwrap_or_else(|| DEFAULT_WORK_DIR.to_owned());
        let work_dir = work_dir.strip_prefix("~/").unwrap_or(&work_dir).trim_end_matches('/').to_owned();
        if work_dir.is_empty() || work_dir == "~" || work_dir.starts_with('-') {
            return Err(format!(
                "work-dir of host {}: give a folder of its own, as in work-dir = \"{DEFAULT_WORK_DIR}\"",
                self.name
            ));
        }
        Ok(Host { name: self.name, ssh, work_dir, roles: self.roles })
    }
}

impl Host {
    /// Where this program stands there.
    pub fn program(&self) -> String {
        // With a slash, so that no search path is asked.
        let folder = if self.work_dir.starts_with('/') { String::new() } else { "./".to_owned() };
        format!("{folder}{}/bin/qbench", self.work_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_its_name_where_nothing_else_is_said() {
        let hosts =
            Hosts::parse("[[host]]\nname = \"vm1\"\n[[host]]\nname = \"vm2\"\nssh = \"me@db2\"\nwork-dir = \"~/q/\"")
                .unwrap();
        assert_eq!(
            (hosts.hosts[0].ssh.as_str(), hosts.hosts[0].program().as_str()),
            ("vm1", "./qbench-work/bin/qbench")
        );
        assert_eq!((hosts.hosts[1].ssh.as_str(), hosts.hosts[1].work_dir.as_str()), ("me@db2", "q"));
        assert_eq!(hosts.named("vm2").unwrap(), &hosts.hosts[1]);
        assert!(hosts.named("vm3").unwrap_err().to_string().contains("vm1, vm2"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "names no host"),
            ("[[host]]\nname = \"a b\"", "called `a b`"),
            ("[[host]]\nname = \"a\"\n[[host]]\nname = \"a\"", "two hosts are called a"),
            ("[[host]]\nname = \"a\"\nssh = \"-oProxyCommand=x\"", "expected what `ssh` is given"),
            ("[[host]]\nname = \"a\"\nwork-dir = \"~/\"", "folder of its own"),
            ("[[host]]\nname = \"a\"\nport = 22", "unknown field `port`"),
        ] {
            let problem = Hosts::parse(text).unwrap_err();
            assert!(problem.contains(reason), "{text:?}: {problem}");
        }
    }
}
