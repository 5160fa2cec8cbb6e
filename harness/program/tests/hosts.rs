//! A matrix on hosts over a real sshd: network namespaces of this machine, each with an address, a name and an sshd of its own. Where the rights or
//! the programs are missing, each test says so and what is missing.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use program::{pid, qbench, result_in, said, wait_for, words};
use qbench_orchestration::hosts::LocalNamespaces;
use qbench_schema::files::RunFiles;
use qbench_schema::result::{RunStatus, Verdict};

/// Two hosts with the file that names them.
struct Two {
    local: LocalNamespaces,
    dir: tempfile::TempDir,
}

impl Two {
    /// `None`, said, where this machine cannot have them.
    fn start() -> Option<Self> {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// In a folder in which something is there already.
    fn start_in(dir: tempfile::TempDir) -> Option<Self> {
        if let Some(missing) = LocalNamespaces::missing() {
            eprintln!("not tested: {missing}");
            return None;
        }
        let local = LocalNamespaces::start(&["vm1", "vm2"], &dir.path().join("work")).unwrap();
        let two = Two { local, dir };
        two.write_hosts("");
        Some(two)
    }

    fn write_hosts(&self, more: &str) {
        let hosts = &self.local.hosts;
        let mut text = format!("ssh-config = \"{}\"\n", hosts.ssh_config.as_ref().unwrap().display());
        for host in &hosts.hosts {
            text += &format!("[[host]]\nname = \"{}\"\nwork-dir = \"{}\"\n{more}", host.name, host.work_dir);
        }
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("hosts.toml")
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("results")
    }

    fn hosts(&self, action: &str) -> Output {
        qbench().args(["hosts", action, "--hosts"]).arg(self.file()).output().unwrap()
    }

    fn prepare(&self) {
        let output = self.hosts("prepare");
        assert!(output.status.success(), "{}", said(&output));
    }

    /// The matrix of the tests, with `more` arguments; `lines` is where it says what happens.
    fn matrix(&self, more: &str) -> Command {
        let mut command = qbench();
        command
            .args(words("matrix --scenarios warm --rate 100 --warmup 1s --repeat 1 --retries 0 --hosts"))
            .arg(self.file());
        command.arg("--out").arg(self.out()).args(words(more));
        command
    }

    /// Starts it with what it says in a file.
    fn start_matrix(&self, more: &str) -> Running {
        let lines = self.dir.path().join("lines");
        let file = fs::File::create(&lines).unwrap();
        let mut command = self.matrix(more);
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Running { child, lines }
    }

    /// The result files of host number `number`, where they are made.
    fn remote_results(&self, number: usize) -> PathBuf {
        let matrices = Path::new(&self.local.hosts.hosts[number].work_dir).join("matrices");
        let matrix = fs::read_dir(matrices).unwrap().next().unwrap().unwrap().path();
        matrix.join("results")
    }

    fn wait_until_measuring(&self, number: usize, backend: &str) {
        let matrices = Path::new(&self.local.hosts.hosts[number].work_dir).join("matrices");
        let is_measuring = || {
            let entries = fs::read_dir(&matrices).into_iter().flatten().flatten();
            entries
                .map(|entry| RunFiles::new(&entry.path().join("results"), backend, "warm"))
                .any(|files| fs::metadata(files.metrics()).is_ok_and(|metadata| metadata.len() > 0))
        };
        wait_for("measuring on the host", Duration::from_secs(120), is_measuring);
    }
}

/// A matrix that is being made.
struct Running {
    child: Child,
    lines: PathBuf,
}

impl Running {
    fn said(&self) -> String {
        fs::read_to_string(&self.lines).unwrap()
    }

    fn wait_until_it_says(&self, text: &str) {
        wait_for(text, Duration::from_secs(120), || self.said().contains(text));
    }

    /// Its exit status and all that it said.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.said())
    }
}

/// Every run is there, finished, and nothing is lost, whatever this machine's hiccups make of its validity.
fn assert_whole(dir: &Path, backend: &str, host: &str) {
    let result = result_in(dir, backend, "warm");
    assert_eq!((result.status, result.audit.verdict, result.audit.lost), (RunStatus::Finished, Verdict::Ok, 0));
    assert_eq!(result.identity.host, host);
}

fn assert_done(status: Option<i32>, said: &str) {
    // A run that this machine spoiled is not valid, and still one that was made.
    assert!(matches!(status, Some(0 | 3)), "{status:?}: {said}");
}

#[test]
fn one_command_makes_a_matrix_on_two_hosts_and_reads_it_as_one() {
    if let Some(missing) = LocalNamespaces::missing() {
        eprintln!("not tested: {missing}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("results");
    let line = "matrix --local-namespaces 2 --backends skip_locked,valkey_streams --scenarios warm --rate 100 --duration 2s --warmup 1s --out";
    let output = qbench().args(words(line)).arg(&out).output().unwrap();
    assert_done(output.status.code(), &said(&output));
    assert_whole(&out.join("vm1_pg"), "skip_locked", "vm1");
    assert_whole(&out.join("vm2_valkey"), "valkey_streams", "vm2");
    let summary = fs::read_to_string(out.join("analysis/summary.csv")).unwrap();
    assert_eq!(summary.lines().count(), 3, "{summary}");
    let hosts = result_in(&out.join("vm1_pg"), "skip_locked", "warm").identity.host_id
        != result_in(&out.join("vm2_valkey"), "valkey_streams", "warm").identity.host_id;
    assert!(hosts, "they are two hosts");
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("valkey_streams"));
    let said = said(&output);
    let namespaces: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("network namespace ")?.1.split_once(','))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(namespaces.len(), 2, "{said}");
    let left = String::from_utf8(Command::new("ip").args(["netns", "list"]).output().unwrap().stdout).unwrap();
    assert!(namespaces.iter().all(|name| !left.contains(name)), "{left}");
}

#[test]
fn hosts_are_checked_and_prepared_and_a_strange_program_is_refused() {
    let Some(two) = Two::start() else { return };
    let output = two.hosts("check");
    let said_of = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said_of}{}", said(&output));
    assert!(said_of.contains("vm1: ") && said_of.contains("this program is not there"), "{said_of}");
    assert!(said_of.contains("look alike"), "{said_of}");

    let output = two.matrix("--backends skip_locked --dry-run").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // Valkey's host would have nothing to do.
    let output = two.matrix("--backends skip_locked").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("vm2 would have nothing to do"), "{}", said(&output));
    let output = two.matrix("--backends all --design crossover --pg-url postgres://me@localhost/x").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not passed on to hosts"), "{}", said(&output));
    // It was not brought there.
    let output = two.matrix("--backends skip_locked,valkey_streams").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("vm1: this program is not there: qbench hosts prepare"), "{}", said(&output));

    for (hello, words) in [
        (r#"{"program":"0.0.9 (abc)","architecture":"x86_64","sha256":"1"}"#, "another qbench is there, 0.0.9 (abc)"),
        (r#"{"program":"0.0.9 (abc)","architecture":"m68k","sha256":"1"}"#, "another architecture, m68k"),
    ] {
        for host in &two.local.hosts.hosts {
            let program = Path::new(&host.work_dir).join("bin/qbench");
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            fs::write(&program, format!("#!/bin/sh\necho '{hello}'\n")).unwrap();
            fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let output = two.matrix("--backends skip_locked,valkey_streams --resume").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(words), "{}", said(&output));
    }

    two.prepare();
    let again = two.hosts("prepare");
    assert!(said(&again).contains("is there already"), "{}", said(&again));
    let check = two.hosts("check");
    assert!(!String::from_utf8_lossy(&check.stdout).contains("is not there"), "{}", said(&check));
}

#[test]
fn a_connection_that_is_cut_twice_costs_nothing() {
    let Some(two) = Two::start() else { return };
    two.prepare();
    let running = two.start_matrix("--backends skip_locked,valkey_streams --duration 30s");
    two.wait_until_measuring(0, "skip_locked");
    // Reset: the far end of the connection dies.
    let reset = Command::new("sh")
        .args(["-c", &format!("ip netns pids {} | xargs -r ps -o pid=,args= -p | awk '/sshd.*@notty/ {{ print $1 }}' | xargs -r kill -9", two.local.namespace(0))])
        .status()
        .unwrap();
    assert!(reset.success());
    running.wait_until_it_says("no connection");
    // Silent: nothing comes through in either direction until the other side is given up.
    let blackhole = |verb: &str| {
        let route = Command::new("ip")
            .args([
                "-n",
                two.local.namespace(0),
                "route",
                verb,
                "blackhole",
                &format!("{}/32", two.local.bridge_address()),
            ])
            .status()
            .unwrap();
        assert!(route.success());
    };
    wait_for("a second connection", Duration::from_secs(60), || running.said().matches("vm1 connected").count() == 2);
    blackhole("add");
    wait_for("a second loss", Duration::from_secs(60), || running.said().matches("no connection").count() >= 2);
    blackhole("del");
    let (status, said) = running.end();
    assert_done(status, &said);
    assert!(said.matches("vm1 connected").count() >= 3, "{said}");
    assert_whole(&two.out().join("vm1_pg"), "skip_locked", "vm1");
    assert_whole(&two.out().join("vm2_valkey"), "valkey_streams", "vm2");
    assert_eq!(said.matches("skip_locked_warm block 1: started").count(), 1, "it was made once: {said}");
}

#[test]
fn runs_that_are_left_are_found_again_and_a_host_that_goes_down_goes_on() {
    let Some(mut two) = Two::start() else { return };
    two.prepare();
    let running = two.start_matrix("--backends skip_locked,valkey_streams --duration 15s");
    two.wait_until_measuring(1, "valkey_streams");
    kill(pid(&running.child), Signal::SIGINT).unwrap();
    let (status, said) = running.end();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("The runs go on there"), "{said}");

    // Everything of the first host dies: its sshd, its matrix, its servers. Its files stay, as after a reboot.
    two.local.kill_all(0).unwrap();
    two.local.start_sshd(0).unwrap();
    let (status, said) = two.start_matrix("--backends skip_locked,valkey_streams --duration 15s --resume").end();
    assert_done(status, &said);
    assert_whole(&two.out().join("vm1_pg"), "skip_locked", "vm1");
    assert_whole(&two.out().join("vm2_valkey"), "valkey_streams", "vm2");
    // The second host was never disturbed.
    let log = fs::read_to_string(two.remote_results(1).with_file_name("log")).unwrap();
    assert_eq!(log.matches("started").count(), 1, "{log}");
    assert!(two.remote_results(0).join("skip_locked_warm_result.json").exists());
}

#[test]
fn a_full_disk_on_a_host_is_said_and_what_there_is_comes_here() {
    // The program fits, and hardly anything else. A namespace sees what was mounted before it was made.
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work/vm1");
    fs::create_dir_all(&work).unwrap();
    let program_bytes = fs::metadata(env!("CARGO_BIN_EXE_qbench")).unwrap().len();
    let options = format!("size={}", program_bytes + 200_000);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "qbench-test"]).arg(&work).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("not tested: no tmpfs can be mounted here");
        return;
    }
    let unmount = Unmount(work.clone());
    let Some(two) = Two::start_in(dir) else { return };
    let check = two.hosts("check");
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stdout).contains("MB are free for its work folder"), "{}", said(&check));
    // As one would who does not care.
    let bin = work.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_qbench"), bin.join("qbench")).unwrap();
    let other = Path::new(&two.local.hosts.hosts[1].work_dir).join("bin");
    fs::create_dir_all(&other).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_qbench"), other.join("qbench")).unwrap();
    let (status, said) = two.start_matrix("--backends skip_locked,valkey_streams --duration 25s").end();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_whole(&two.out().join("vm2_valkey"), "valkey_streams", "vm2");
    drop(two);
    drop(unmount);
}

/// Takes a file system away again.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
