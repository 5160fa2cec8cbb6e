//! Hosts out of network namespaces, for trying everything on one machine: each has an address, a host name, a machine id and an sshd of its own, and
//! is reached as any other host is. CPU, memory and disk they share, so what is measured there says nothing about queues on two machines.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::error::{Error, Result};
use super::file::{Host, Hosts};

/// What is needed beside root, with the Debian package that brings it.
const TOOLS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("sshd", "openssh-server"), ("ssh-keygen", "openssh-client"), ("unshare", "util-linux")];
/// Where programs of the system are that no user's search path names.
const SYSTEM_PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
/// Networks 198.18.0.0/15 are set aside for benchmarks of network devices (RFC 2544), so nobody's real address is among them.
const NETWORK: &str = "198.18";
/// The folder that sshd insists on.
const SSHD_RUN_DIR: &str = "/run/sshd";
/// What `ip netns exec` lays over the files of /etc of the same names.
const NETNS_ETC: &str = "/etc/netns";
/// How long an sshd has to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(10);

/// Namespaces with a running sshd each. Dropping it takes everything away again.
pub struct LocalNamespaces {
    /// How to reach them.
    pub hosts: Hosts,
    folder: tempfile::TempDir,
    bridge: String,
    /// Address of this machine's end of the bridge.
    bridge_address: String,
    namespaces: Vec<Namespace>,
}

struct Namespace {
    /// Its name for `ip netns`.
    name: String,
    address: String,
    sshd: Option<Child>,
}

impl LocalNamespaces {
    /// Why this cannot be done here; `None` where it can.
    pub fn missing() -> Option<String> {
        if !Uid::effective().is_root() {
            return Some("network namespaces are made by root only".to_owned());
        }
        let is_there = |tool: &str| SYSTEM_PATH.split(':').any(|dir| Path::new(dir).join(tool).exists());
        let missing: Vec<String> = TOOLS
            .iter()
            .filter(|(tool, _)| !is_there(tool))
            .map(|(tool, package)| format!("{tool} (package {package})"))
            .collect();
        (!missing.is_empty()).then(|| format!("{} is missing", missing.join(", ")))
    }

    /// Makes `names.len()` hosts of these names, whose work folders lie in `work_dir`.
    ///
    /// # Errors
    /// [`Error::Usage`] where this machine cannot do it ([`LocalNamespaces::missing`]); [`Error::File`] with what failed. Nothing is left behind.
    pub fn start(names: &[&str], work_dir: &Path) -> Result<Self> {
        if let Some(missing) = Self::missing() {
            return Err(Error::Usage(format!("hosts out of network namespaces cannot be made here: {missing}")));
        }
        let folder = tempfile::Builder::new()
            .prefix("qbench-hosts-")
            .tempdir()
            .map_err(Error::file("make a folder in", &std::env::temp_dir()))?;
        let tag = free_tag()?;
        let mut local = LocalNamespaces {
            hosts: Hosts { hosts: Vec::new(), ssh_config: Some(folder.path().join("ssh_config")) },
            bridge: format!("qbench{tag}"),
            bridge_address: format!("{NETWORK}.{tag}.254"),
            namespaces: Vec::new(),
            folder,
        };
        local.connect(names, tag, work_dir)?;
        Ok(local)
    }

    fn connect(&mut self, names: &[&str], tag: u8, work_dir: &Path) -> Result<()> {
        let dir = self.folder.path().to_path_buf();
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(Error::file("write", &path))
        };
        keygen(&dir.join("client_key"))?;
        keygen(&dir.join("host_key"))?;
        fs::copy(dir.join("client_key.pub"), dir.join("authorized_keys"))
            .map_err(Error::file("write", &dir.join("authorized_keys")))?;
        fs::create_dir_all(SSHD_RUN_DIR).map_err(Error::file("make", Path::new(SSHD_RUN_DIR)))?;
        run("ip", &["link", "add", &self.bridge, "type", "bridge"])?;
        run("ip", &["addr", "add", &format!("{}/24", self.bridge_address), "dev", &self.bridge])?;
        run("ip", &["link", "set", &self.bridge, "up"])?;
        let host_key =
            fs::read_to_string(dir.join("host_key.pub")).map_err(Error::file("read", &dir.join("host_key.pub")))?;
        let (mut ssh_config, mut known_hosts) = (String::new(), String::new());
        for (number, host) in (1_u8..).zip(names) {
            let namespace = Namespace {
                name: format!("qbench{tag}-{host}"),
                address: format!("{NETWORK}.{tag}.{number}"),
                sshd: None,
            };
            known_hosts += &format!("{} {host_key}", namespace.address);
            ssh_config += &format!(
                "Host {host}\n  HostName {}\n  User root\n  IdentityFile {1}/client_key\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
                 UserKnownHostsFile {1}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  LogLevel ERROR\n",
                namespace.address,
                dir.display()
            );
            let link = (format!("qb{tag}h{number}"), format!("qb{tag}n{number}"));
            self.namespaces.push(namespace);
            self.add(number, host, &link, &format!("{number:032x}"))?;
            self.hosts.hosts.push(Host {
                name: (*host).to_owned(),
                ssh: (*host).to_owned(),
                work_dir: work_dir.join(host).display().to_string(),
                roles: Vec::new(),
            });
        }
        write("ssh_config", &ssh_config)?;
        write("known_hosts", &known_hosts)?;
        for number in 0..self.namespaces.len() {
            self.start_sshd(number)?;
        }
        Ok(())
    }

    /// The namespace in the last place, with its end of a link to the bridge.
    fn add(&mut self, number: u8, host: &str, link: &(String, String), machine_id: &str) -> Result<()> {
        let namespace = &self.namespaces[usize::from(number) - 1];
        let (name, address) = (namespace.name.as_str(), format!("{}/24", namespace.address));
        run("ip", &["netns", "add", name])?;
        let etc = Path::new(NETNS_ETC).join(name);
        fs::create_dir_all(&etc).map_err(Error::file("make", &etc))?;
        for (file, text) in [("machine-id", format!("{machine_id}\n")), ("hostname", format!("{host}\n"))] {
            fs::write(etc.join(file), text).map_err(Error::file("write", &etc))?;
        }
        run("ip", &["link", "add", &link.0, "type", "veth", "peer", "name", &link.1, "netns", name])?;
        run("ip", &["link", "set", &link.0, "master", &self.bridge, "up"])?;
        run("ip", &["-n", name, "addr", "add", &address, "dev", &link.1])?;
        run("ip", &["-n", name, "link", "set", &link.1, "up"])?;
        run("ip", &["-n", name, "link", "set", "lo", "up"])
    }

    /// Starts the sshd of host number `number`, counted from 0, and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_sshd(&mut self, number: usize) -> Result<()> {
        let dir = self.folder.path();
        let (name, address) = (self.namespaces[number].name.clone(), self.namespaces[number].address.clone());
        let host = &self.hosts.hosts[number].name;
        let config = dir.join(format!("sshd_{host}"));
        let text = format!(
            "ListenAddress {address}\nHostKey {0}/host_key\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n",
            dir.display()
        );
        fs::write(&config, text).map_err(Error::file("write", &config))?;
        let log = dir.join(format!("sshd_{host}.log"));
        // A name of its own, so that results say where they were made; its sshd and all that is started over it have it too.
        let start =
            format!("hostname {host} && exec {} -D -f {} -E {}", sshd()?.display(), config.display(), log.display());
        let mut child = command("ip", &["netns", "exec", &name, "unshare", "--uts", "sh", "-c", &start])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::file("start", Path::new("ip")))?;
        let begun = Instant::now();
        let target = format!("{address}:22");
        loop {
            if std::net::TcpStream::connect(&target).is_ok() {
                self.namespaces[number].sshd = Some(child);
                return Ok(());
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || begun.elapsed() > LISTEN_LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                let words = fs::read_to_string(&log).unwrap_or_default();
                let last = words.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(Error::Host {
                    host: host.clone(),
                    problem: format!("its sshd does not listen on {target}: {last}"),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Name of host number `number` for `ip netns`, counted from 0; for tests that cut its link.
    pub fn namespace(&self, number: usize) -> &str {
        &self.namespaces[number].name
    }

    /// Address of host number `number`, counted from 0.
    pub fn address(&self, number: usize) -> &str {
        &self.namespaces[number].address
    }

    /// Address of this machine as the hosts see it.
    pub fn bridge_address(&self) -> &str {
        &self.bridge_address
    }

    /// Ends every process of host number `number`, counted from 0, as a power switch would; its files stay.
    ///
    /// # Errors
    /// When the system does not tell which they are.
    pub fn kill_all(&mut self, number: usize) -> Result<()> {
        let namespace = &mut self.namespaces[number];
        end_processes(&namespace.name)?;
        if let Some(mut sshd) = namespace.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
        Ok(())
    }
}

impl Drop for LocalNamespaces {
    fn drop(&mut self) {
        for number in 0..self.namespaces.len() {
            // Nobody is left to be told.
            let _ = self.kill_all(number);
            let name = &self.namespaces[number].name;
            let _ = run("ip", &["netns", "del", name]);
            let _ = fs::remove_dir_all(Path::new(NETNS_ETC).join(name));
        }
        let _ = run("ip", &["link", "del", &self.bridge]);
    }
}

/// Ends the processes of a namespace until there is none: one that dies may have been just about to start another.
fn end_processes(namespace: &str) -> Result<()> {
    for _ in 0..20 {
        let listed = output("ip", &["netns", "pids", namespace])?;
        let pids: Vec<i32> = listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // It may have ended in this very moment.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A number that no other bridge of ours has now.
fn free_tag() -> Result<u8> {
    const TAGS: u32 = 250;
    // Counted from one that others hardly begin with.
    let mut tags = (0..TAGS).map(|step| ((std::process::id() + step) % TAGS) as u8);
    let is_free = |tag: &u8| !Path::new(&format!("/sys/class/net/qbench{tag}")).exists();
    tags.find(is_free).ok_or_else(|| {
        Error::Usage(
            "250 bridges called qbench… are there: remove those of hosts that are gone (ip link del)".to_owned(),
        )
    })
}

fn keygen(path: &Path) -> Result<()> {
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "qbench", "-f", &path.display().to_string()])?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::file("change", path))
}

/// sshd insists on being called by its whole path.
fn sshd() -> Result<PathBuf> {
    let paths = SYSTEM_PATH.split(':').map(|dir| Path::new(dir).join("sshd"));
    paths
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| Error::Usage("sshd is missing (package openssh-server)".to_owned()))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", format!("{path}:{SYSTEM_PATH}"));
    command
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    output(program, arguments).map(|_| ())
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let failed =
        |source: io::Error| Error::File { what: "run", path: format!("{program} {}", arguments.join(" ")), source };
    let output = command(program, arguments).stdin(Stdio::null()).output().map_err(failed)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(io::Error::other(words)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
