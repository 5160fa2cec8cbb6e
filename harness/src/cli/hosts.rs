//! `qbench hosts`: the machines of a comparison, made ready from here, and their results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use qbench_analysis::{Apart, machines_apart};
use qbench_engines::ENGINES;
use qbench_ground::usage::Usage;
use qbench_orchestration::hosts::agent::{AGENT_COMMAND, Hello, hello};
use qbench_orchestration::hosts::board::Board;
use qbench_orchestration::hosts::probe::{Facts, InstallRight, differences, facts};
use qbench_orchestration::hosts::{Connection, Error, Host, Hosts, LocalNamespaces, collect, parts, prepare};
use qbench_schema::calibration::Calibration;
use qbench_schema::hosts::HostsRecord;
use serde::Serialize;

use super::Status;
use super::calibrate;
use super::layers::prepare_out;
use crate::run;

/// File of hosts that is read where none is named.
const HOSTS_FILE: &str = "hosts.toml";
/// The script that installs what runs need, from the root of the sources.
const INSTALL_SCRIPT: &str = "orchestration/install.sh";
/// Where the parts of the products lie there.
const INSTALL_PARTS: &str = "harness/engines/src";

/// Look at the hosts of a comparison, make them ready, and bring their results here
///
/// A file names them, and how ssh reaches them (docs/TWO_HOSTS.md). For instance:
/// qbench hosts check && qbench hosts prepare && qbench matrix --hosts hosts.toml --out results
#[derive(Debug, Args)]
pub struct HostsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what each host is, what keeps runs from it, and in what they differ; writes nothing there
    Check(CheckArgs),
    /// Bring this very program to each host, and install there what its runs need
    Prepare(Reach),
    /// Measure each host, one after the other, and say whether they are alike; status 4 where they are not
    Calibrate(CalibrateHosts),
    /// Bring the results of a matrix on hosts here; files that are here already are not sent again
    Collect(OfMatrix),
    /// Ask the runs of a matrix on hosts to end, as Ctrl-C would; what they have made is kept
    Stop(OfMatrix),
}

/// Which hosts.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// File that names the hosts
    #[arg(long, value_name = "FILE", default_value = HOSTS_FILE)]
    hosts: PathBuf,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    reach: Reach,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct CalibrateHosts {
    #[command(flatten)]
    reach: Reach,
    /// How often each host is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    turns: u32,
    /// Print as JSON: what each host has apart from the first
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct OfMatrix {
    #[command(flatten)]
    reach: Reach,
    /// Folder that the matrix was given as its --out
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn main(args: HostsArgs, revision: &str) -> anyhow::Result<Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.action {
            Action::Check(args) => check(&Hosts::load(&args.reach.hosts)?, args.json, revision).await,
            Action::Prepare(reach) => prepare_all(&Hosts::load(&reach.hosts)?, revision).await,
            Action::Calibrate(args) => calibrate_all(&args).await,
            Action::Collect(of) => {
                let (hosts, record) = of.find()?;
                let board = Board::on_stderr(&names(&hosts));
                let collected = collect_all(&hosts, &record, &of.out, &board).await;
                board.end();
                Ok(report_collected(&collected))
            }
            Action::Stop(of) => of.stop().await,
        }
    })
}

fn names(hosts: &Hosts) -> Vec<&str> {
    hosts.hosts.iter().map(|host| host.name.as_str()).collect()
}

/// What `check` has to say of one host.
#[derive(Serialize)]
struct Checked {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
    problems: Vec<String>,
    cautions: Vec<String>,
}

async fn check(hosts: &Hosts, json: bool, revision: &str) -> anyhow::Result<Status> {
    let ours = hello(&run::program(revision))?;
    let one = async |host: &Host| {
        let asked = async { facts(host, &Connection::open(host, hosts.ssh_config.as_deref()).await?).await };
        match asked.await {
            Ok(facts) => {
                let mut cautions = facts.cautions();
                cautions.extend(ours.refuses(facts.program.as_ref()));
                Checked { name: host.name.clone(), problems: facts.problems(), cautions, facts: Some(facts) }
            }
            Err(error) => Checked {
                name: host.name.clone(),
                facts: None,
                problems: vec![error.to_string()],
                cautions: Vec::new(),
            },
        }
    };
    let checked = join_all(hosts.hosts.iter().map(one)).await;
    let known: Vec<Facts> = checked.iter().filter_map(|checked| checked.facts.clone()).collect();
    let differences = differences(&known);
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&serde_json::json!({ "hosts": checked, "differences": differences }))?
        );
    } else {
        checked.iter().for_each(|checked| print!("{}", in_words(checked)));
        differences.iter().for_each(|difference| println!("The hosts differ in their {difference}"));
        if differences.is_empty() && known.len() > 1 {
            println!(
                "The hosts look alike; `qbench calibrate`, or --calibrate of the matrix, measures whether they are."
            );
        }
    }
    Ok(if checked.iter().all(|checked| checked.problems.is_empty()) { Status::Done } else { Status::Failed })
}

fn in_words(checked: &Checked) -> String {
    let mut lines = Vec::new();
    if let Some(facts) = &checked.facts {
        lines.push(format!(
            "{}: {} with {} cores ({}), {} MB, kernel {}, {}, governor {}",
            facts.name,
            facts.cpu_model,
            facts.cores,
            facts.architecture,
            facts.memory_mb,
            facts.kernel,
            facts.libc,
            facts.governor.as_deref().unwrap_or("not said")
        ));
        let install = match facts.install {
            InstallRight::Root => "as root",
            InstallRight::Sudo => "with sudo",
            InstallRight::None => "by a person only",
        };
        lines.push(format!(
            "  {} MB free, installs {install}, clock {:+.1} ms (within {:.1} ms), load {:.1}",
            facts.free_bytes / 1_000_000,
            1e3 * facts.clock_offset_s,
            1e3 * facts.clock_error_s,
            facts.load
        ));
    }
    lines.extend(checked.problems.iter().map(|problem| match checked.facts {
        Some(_) => format!("  problem: {problem}"),
        // The sentence begins with the name of the host.
        None => problem.clone(),
    }));
    lines.extend(checked.cautions.iter().map(|caution| format!("  note: {caution}")));
    lines.join("\n") + "\n"
}

/// What is brought to hosts: this program, and the script that installs what its runs need.
pub(super) struct Luggage {
    program: PathBuf,
    pub(super) hello: Hello,
    install: BTreeMap<String, String>,
    sources: Option<PathBuf>,
}

impl Luggage {
    pub(super) fn pack(revision: &str) -> anyhow::Result<Self> {
        let part = |part: qbench_engines::engine::InstallPart| {
            (format!("{INSTALL_PARTS}/{}/install.sh", part.folder), part.text.to_owned())
        };
        let parts = ENGINES.iter().filter_map(|engine| engine.install_part()).map(part);
        let script = include_str!("../../../orchestration/install.sh");
        let here = std::env::current_dir().context("the working directory is gone")?;
        Ok(Luggage {
            program: std::env::current_exe()?,
            hello: hello(&run::program(revision))?,
            install: parts.chain([(INSTALL_SCRIPT.to_owned(), script.to_owned())]).collect(),
            sources: prepare::checkout(&here),
        })
    }

    fn payload(&self) -> prepare::Payload<'_> {
        prepare::Payload {
            program: &self.program,
            hello: &self.hello,
            install: &self.install,
            install_script: INSTALL_SCRIPT,
            sources: self.sources.as_deref(),
        }
    }

    /// Makes a host ready.
    pub(super) async fn bring_to(
        &self,
        host: &Host,
        ssh_config: Option<&Path>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let connection = Connection::open(host, ssh_config).await?;
        prepare::prepare(host, &connection, &self.payload(), tell).await.map(|_| ())
    }
}

async fn prepare_all(hosts: &Hosts, revision: &str) -> anyhow::Result<Status> {
    let luggage = Luggage::pack(revision)?;
    let ssh_config = hosts.ssh_config.as_deref();
    let one = async |host: &Host| {
        let mut tell = |line: &str| eprintln!("{}: {line}", host.name);
        luggage.bring_to(host, ssh_config, &mut tell).await
    };
    let mut status = Status::Done;
    for (host, result) in hosts.hosts.iter().zip(join_all(hosts.hosts.iter().map(one)).await) {
        match result {
            Ok(()) => println!("{}: ready", host.name),
            Err(error) => {
                eprintln!("qbench: {error}");
                status = Status::Failed;
            }
        }
    }
    Ok(status)
}

async fn calibrate_all(args: &CalibrateHosts) -> anyhow::Result<Status> {
    let hosts = Hosts::load(&args.reach.hosts)?;
    if hosts.hosts.len() < 2 {
        return Err(Usage("one host is like itself: name two in the file of hosts".into()).into());
    }
    let mut measured: Vec<Vec<Calibration>> = vec![Vec::new(); hosts.hosts.len()];
    // One after the other: hosts that share a machine, as namespaces do, would measure each other.
    for turn in 1..=args.turns.max(1) {
        for (host, of_host) in hosts.hosts.iter().zip(&mut measured) {
            eprintln!("{}: measuring, turn {turn} of {}, about 15 seconds", host.name, args.turns.max(1));
            let connection = Connection::open(host, hosts.ssh_config.as_deref()).await?;
            let text = connection.ask("it cannot be measured", &host.program(), &["calibrate", "--json"], b"").await?;
            let calibration = serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{}: what its qbench says of it cannot be read; qbench hosts prepare brings this one there",
                    host.name
                )
            })?;
            of_host.push(calibration);
        }
    }
    let first = &hosts.hosts[0].name;
    let apart: Vec<(&str, Vec<Apart>)> = (hosts.hosts.iter().zip(&measured).skip(1))
        .map(|(host, of_host)| (host.name.as_str(), machines_apart(&measured[0], of_host)))
        .collect();
    if args.json {
        let rows =
            apart.iter().map(|(host, apart)| serde_json::json!({ "host": host, "over": first, "figures": apart }));
        println!("{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?);
    } else {
        apart.iter().for_each(|(host, apart)| calibrate::show(first, host, apart));
    }
    let alike = apart.iter().all(|(_, apart)| calibrate::are_alike(apart));
    Ok(if alike { Status::Done } else { Status::Found })
}

impl OfMatrix {
    /// The hosts of the matrix in the folder, those that have a part in it, and what was started there.
    fn find(&self) -> anyhow::Result<(Hosts, HostsRecord)> {
        let mut hosts = Hosts::load(&self.reach.hosts)?;
        let record = parts::read_record(&self.out)?.ok_or_else(|| {
            Usage(format!("{} is no folder of a matrix on hosts: no hosts.json is in it", self.out.display()))
        })?;
        let of = record.hosts.iter().map(|part| hosts.named(&part.name).cloned()).collect::<Result<_, _>>()?;
        hosts.hosts = of;
        Ok((hosts, record))
    }

    async fn stop(&self) -> anyhow::Result<Status> {
        let (hosts, record) = self.find()?;
        let mut status = Status::Done;
        for host in &hosts.hosts {
            let dir = parts::remote_dir(host, &record.key);
            let stopped = async {
                let connection = Connection::open(host, hosts.ssh_config.as_deref()).await?;
                connection
                    .ask("it cannot be stopped", &host.program(), &[AGENT_COMMAND, "stop", "--dir", &dir], b"")
                    .await
            };
            match stopped.await {
                Ok(_) => println!("{}: asked to stop; the run that is being made ends first", host.name),
                Err(error) => {
                    eprintln!("qbench: {error}");
                    status = Status::Failed;
                }
            }
        }
        Ok(status)
    }
}

/// Brings the results of all hosts here; for each, what came of it.
pub(super) async fn collect_all(
    hosts: &Hosts,
    record: &HostsRecord,
    out: &Path,
    board: &Board,
) -> Vec<(String, Result<collect::Collected, Error>)> {
    let one = async |(row, host): (usize, &Host)| {
        let folder = record.hosts.iter().find(|part| part.name == host.name).map(|part| out.join(&part.folder));
        let to = folder.unwrap_or_else(|| out.join(&host.name));
        let collected = collect_patiently(
            host,
            hosts.ssh_config.as_deref(),
            &parts::remote_dir(host, &record.key),
            &to,
            row,
            board,
        )
        .await;
        (host.name.clone(), collected)
    };
    join_all(hosts.hosts.iter().enumerate().map(one)).await
}

/// How often a connection that breaks while files come is made again.
const COLLECT_TRIES: u32 = 5;

async fn collect_patiently(
    host: &Host,
    ssh_config: Option<&Path>,
    remote_dir: &str,
    to: &Path,
    row: usize,
    board: &Board,
) -> Result<collect::Collected, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let attempt = async {
            let connection = Connection::open(host, ssh_config).await?;
            collect::collect(host, &connection, remote_dir, to, &mut |files, of| board.collected(row, files, of)).await
        };
        match attempt.await {
            Err(error @ Error::Lost { .. }) if tries < COLLECT_TRIES => {
                board.say(row, &format!("{error}; going on with what is missing"));
                tokio::time::sleep(std::time::Duration::from_secs(u64::from(tries))).await;
            }
            result => return result,
        }
    }
}

fn report_collected(collected: &[(String, Result<collect::Collected, Error>)]) -> Status {
    let mut status = Status::Done;
    for (name, result) in collected {
        match result {
            Ok(of) => println!(
                "{name}: {} files here, {} of them new ({} MB)",
                of.files,
                of.fetched,
                of.fetched_bytes / 1_000_000
            ),
            Err(error) => {
                eprintln!("qbench: {error}; the same command goes on from here");
                status = Status::Failed;
            }
        }
    }
    status
}

/// Hosts out of network namespaces, made ready; `vm1`, `vm2`, … .
pub(super) async fn local_namespaces(count: u8, work_dir: &Path, luggage: &Luggage) -> anyhow::Result<LocalNamespaces> {
    let names: Vec<String> = (1..=count).map(|number| format!("vm{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    prepare_out(work_dir)?;
    let work_dir = std::path::absolute(work_dir)?;
    let local = LocalNamespaces::start(&names, &work_dir)?;
    for (number, host) in local.hosts.hosts.iter().enumerate() {
        eprintln!("{}: network namespace {}, address {}", host.name, local.namespace(number), local.address(number));
        luggage
            .bring_to(host, local.hosts.ssh_config.as_deref(), &mut |line| eprintln!("{}: {line}", host.name))
            .await?;
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_install_script_travels_with_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/src");
        let entries = std::fs::read_dir(folder).expect("the engines are there");
        let mut parts: Vec<String> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.join("install.sh").exists())
            .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        parts.sort();
        let mut sent: Vec<&str> =
            ENGINES.iter().filter_map(|engine| engine.install_part()).map(|part| part.folder).collect();
        sent.sort_unstable();
        assert_eq!(sent, parts);
    }
}
