//! `qbench matrix --hosts`: each host makes its part, and all of it is followed, collected and read here as one.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdin};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures_util::future::join_all;
use qbench_analysis::{Asked, Results};
use qbench_backends::Entry;
use qbench_ground::usage::Usage;
use qbench_orchestration::hosts::agent::{StartRequest, State};
use qbench_orchestration::hosts::board::Board;
use qbench_orchestration::hosts::remote::{Remote, Wish};
use qbench_orchestration::hosts::{Error, Host, Hosts, Part, parts};
use qbench_schema::files::{HOSTS_JSON, SUMMARY_CSV};
use qbench_schema::hosts::{Design, HostsRecord};
use tokio::sync::watch;

use super::Status;
use super::hosts::{Luggage, collect_all, local_namespaces};
use super::layers::{SettingsArgs, prepare_out, settings_in_environment};
use super::palette::palette;
use super::selection::select_backends;
use super::signals::Interrupts;
use super::url_args::server_engines;

/// Where hosts out of namespaces have their work folders, below the output folder.
const LOCAL_WORK_DIR: &str = ".hosts";
/// Where files lie on a host that are named by a path which leads out of the working directory here.
const GIVEN: &str = "given";
/// How long a host may be out of reach before nobody waits for it here any longer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Other hosts that make the matrix.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub struct OnHostsArgs {
    /// Make the matrix on the hosts of this file (docs/TWO_HOSTS.md), detached there; follow it here, collect it, and read it as one
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// The same on N hosts out of network namespaces of this machine, for trying it; needs root
    #[arg(long, value_name = "N", conflicts_with = "hosts", value_parser = clap::value_parser!(u8).range(1..=9))]
    local_namespaces: Option<u8>,
    /// Which cells run where: split, each queue on one host, by its role (default: the first host PostgreSQL, the second Valkey), or crossover, every
    /// queue on every host
    #[arg(long, value_enum)]
    design: Option<DesignArg>,
    /// What Ctrl-C does to runs on hosts where nobody can be asked, because this is no terminal
    #[arg(long, value_name = "WHAT", value_enum, default_value = "leave")]
    on_interrupt: OnInterrupt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DesignArg {
    Split,
    Crossover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnInterrupt {
    /// They go on there, and --resume finds them again
    Leave,
    /// They end, and what they have made is collected
    Stop,
}

impl OnHostsArgs {
    /// Whether other hosts make the matrix.
    pub fn is_asked(&self) -> bool {
        self.hosts.is_some() || self.local_namespaces.is_some()
    }

    /// What belongs to hosts only, where there are none.
    ///
    /// # Errors
    /// [`Usage`].
    pub fn refuse_without_hosts(&self) -> Result<(), Usage> {
        match self.design {
            Some(_) => Err(Usage("--design says which host runs what: give --hosts FILE, too".into())),
            None => Ok(()),
        }
    }

    fn design(&self) -> Design {
        match self.design {
            None | Some(DesignArg::Split) => Design::Split,
            Some(DesignArg::Crossover) => Design::Crossover,
        }
    }
}

/// A matrix for hosts, as it is asked for.
pub struct OnHosts<'a> {
    pub args: &'a OnHostsArgs,
    pub settings: &'a SettingsArgs,
    /// Ids of the backends.
    pub backends: Vec<&'static Entry>,
    /// Arguments of `qbench matrix` but for those of settings and `--backends`.
    pub arguments: Vec<String>,
    /// Among them, those that may name a file.
    pub may_be_files: Vec<String>,
    pub out: &'a Path,
    pub resume: bool,
    pub revision: &'a str,
}

impl OnHosts<'_> {
    /// Makes it.
    ///
    /// # Errors
    /// [`Usage`] for hosts that have nothing to do, or a matrix that cannot be made elsewhere; otherwise what keeps all of it from going on. A host
    /// that fails does not stop the others: it is said, and the status tells.
    pub fn run(&self) -> anyhow::Result<Status> {
        if !self.settings.read()?.given.is_empty() {
            return Err(Usage(
                "addresses of servers are not passed on to hosts, because passwords would travel with them: each run on a host starts a private \
                 server there; leave the address out"
                    .into(),
            )
            .into());
        }
        // Everything is checked before any host is touched.
        let record = parts::read_record(self.out)?;
        match (&record, self.resume) {
            (Some(_), false) => {
                return Err(Usage(format!(
                    "{} holds a matrix on hosts already: use --resume to find it again and go on, or choose another --out",
                    self.out.display()
                ))
                .into());
            }
            (None, true) if self.out.join(qbench_schema::files::MATRIX_JSON).exists() => {
                return Err(Usage(format!(
                    "{} holds a matrix of this machine, and no {HOSTS_JSON}",
                    self.out.display()
                ))
                .into());
            }
            _ => {}
        }
        prepare_out(self.out)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let status = runtime.block_on(self.on_hosts(record))?;
        // A question that nobody answered may still be waiting for its line.
        runtime.shutdown_background();
        Ok(status)
    }

    async fn on_hosts(&self, record: Option<HostsRecord>) -> anyhow::Result<Status> {
        let luggage = Luggage::pack(self.revision)?;
        let local_dir = self.out.join(LOCAL_WORK_DIR);
        let local = match self.args.local_namespaces {
            Some(count) => Some(local_namespaces(count, &local_dir, &luggage).await?),
            None => None,
        };
        let hosts = match (&local, &self.args.hosts) {
            (Some(local), _) => local.hosts.clone(),
            (None, Some(path)) => Hosts::load(path)?,
            (None, None) => return Err(Usage("no hosts were given".into()).into()),
        };
        let parts = self.parts(&hosts)?;
        let key = record.map_or_else(|| self.new_key(), |record| record.key);
        parts::write_record(self.out, self.args.design(), &key, &parts)?;
        let made = self.make(&parts, &hosts, &key, &luggage).await?;
        let status = self.conclude(&made, &hosts, &parts).await?;
        drop(local);
        if status == Status::Done && self.args.local_namespaces.is_some() {
            // Everything of it was collected.
            std::fs::remove_dir_all(&local_dir).with_context(|| format!("cannot remove {}", local_dir.display()))?;
        }
        Ok(status)
    }

    /// A name for the matrix on its hosts.
    fn new_key(&self) -> String {
        let name =
            std::path::absolute(self.out).ok().and_then(|out| Some(out.file_name()?.to_string_lossy().into_owned()));
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
        let name: String = name.unwrap_or_default().chars().filter(is_plain).collect();
        format!("{name}-{}-{:x}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S"), std::process::id())
    }

    /// What each host is to make.
    fn parts(&self, hosts: &Hosts) -> anyhow::Result<Vec<Part>> {
        let (files, arguments) = self.files()?;
        let part = |(host, backends, folder): (&Host, Vec<&'static str>, String)| {
            let mut own = vec!["--backends".to_owned(), backends.join(",")];
            own.extend(arguments.iter().cloned());
            let request = StartRequest { arguments: own, environment: settings_in_environment(), files: files.clone() };
            Part { host: host.clone(), folder, request }
        };
        Ok(self.assign(hosts)?.into_iter().map(part).collect())
    }

    /// Which backends each host runs, and the folder of its results.
    fn assign<'h>(&self, hosts: &'h Hosts) -> anyhow::Result<Vec<(&'h Host, Vec<&'static str>, String)>> {
        if self.args.design() == Design::Crossover {
            let all: Vec<&'static str> = self.backends.iter().map(|entry| entry.id).collect();
            return Ok(hosts.hosts.iter().map(|host| (host, all.clone(), host.name.clone())).collect());
        }
        let standard: Vec<String> = server_engines()
            .filter(|(engine, _)| engine.is_standard())
            .map(|(_, flag)| flag.short.to_owned())
            .collect();
        let mut assigned = Vec::new();
        let mut placed: Vec<&'static str> = Vec::new();
        for (place, host) in hosts.hosts.iter().enumerate() {
            let roles = match (host.roles.is_empty(), standard.get(place)) {
                (false, _) => host.roles.clone(),
                (true, Some(short)) => vec![short.clone()],
                (true, None) => {
                    return Err(Usage(format!(
                        "{}: no role follows from its place in the file of hosts; write roles = [\"pg\"], or backends by id, or take --design \
                         crossover",
                        host.name
                    ))
                    .into());
                }
            };
            let of_roles = select_backends(&roles).with_context(|| format!("roles of host {}", host.name))?;
            let is_asked = |entry: &&'static Entry| self.backends.iter().any(|asked| asked.id == entry.id);
            let backends: Vec<&'static str> = of_roles.into_iter().filter(is_asked).map(|entry| entry.id).collect();
            if backends.is_empty() {
                return Err(Usage(format!(
                    "{} would have nothing to do: none of the backends that are asked for is of its roles ({})",
                    host.name,
                    roles.join(", ")
                ))
                .into());
            }
            placed.extend(&backends);
            assigned.push((host, backends, format!("{}_{}", host.name, roles.join("_").replace(':', "-"))));
        }
        match self.backends.iter().find(|entry| !placed.contains(&entry.id)) {
            Some(entry) => Err(Usage(format!(
                "no host has the role of {}: write it into the roles of one, leave it out with --backends, or take --design crossover",
                entry.id
            ))
            .into()),
            None => Ok(assigned),
        }
    }

    /// The files that go along, by their path from the folder of the matrix there, and the arguments that name them so.
    fn files(&self) -> anyhow::Result<(BTreeMap<String, String>, Vec<String>)> {
        let mut files = BTreeMap::new();
        let mut arguments: Vec<String> = self.arguments.clone();
        arguments.extend(self.settings.to_matrix_arguments());
        let settings_file = self.settings.settings_file().map(|path| path.display().to_string());
        let named = self.may_be_files.iter().filter(|name| is_file(name)).chain(&settings_file);
        for name in named {
            let text = std::fs::read_to_string(name).map_err(|error| Usage(format!("cannot read {name}: {error}")))?;
            let there = place_there(Path::new(name));
            for argument in &mut arguments {
                // Scenarios are a list in one argument.
                let words: Vec<&str> =
                    argument.split(',').map(|word| if word == name { there.as_str() } else { word }).collect();
                *argument = words.join(",");
            }
            files.insert(there, text);
        }
        Ok((files, arguments))
    }

    /// Starts all parts and follows them to their ends, or to where the user left them.
    async fn make(
        &self,
        parts: &[Part],
        hosts: &Hosts,
        key: &str,
        luggage: &Luggage,
    ) -> anyhow::Result<Vec<Result<State, Error>>> {
        let names: Vec<&str> = parts.iter().map(|part| part.host.name.as_str()).collect();
        let board = Board::on_stderr(&names);
        let (wishes, wish) = watch::channel(Wish::Follow);
        let one = async |(row, part): (usize, &Part)| {
            let remote = Remote {
                part,
                ssh_config: hosts.ssh_config.as_deref(),
                key,
                ours: &luggage.hello,
                again: self.resume,
                patience: PATIENCE,
            };
            remote.carry_out(&mut wish.clone(), &mut |event| board.show(row, &event)).await
        };
        let mut all = std::pin::pin!(join_all(parts.iter().enumerate().map(one)));
        let mut interrupts = Interrupts::listen()?;
        let made = loop {
            tokio::select! {
                made = &mut all => break made,
                () = interrupts.first() => match self.ask_what_to_do(&board) {
                    Wish::Follow => {}
                    // The receivers live as long as what is awaited here.
                    wish => { let _ = wishes.send(wish); }
                },
            }
        };
        board.end();
        Ok(made)
    }

    fn ask_what_to_do(&self, board: &Board) -> Wish {
        if !stdin().is_terminal() {
            return match self.args.on_interrupt {
                OnInterrupt::Leave => Wish::Leave,
                OnInterrupt::Stop => Wish::Stop,
            };
        }
        board.suspend(|| {
            eprint!("Runs are being made on the hosts. [s]top them, [l]eave them running, or [f]ollow on? ");
            let _ = std::io::stderr().flush();
            let mut answer = String::new();
            match stdin().read_line(&mut answer).map(|_| answer.trim().to_lowercase()) {
                Ok(answer) if answer.starts_with('s') => Wish::Stop,
                Ok(answer) if answer.starts_with('l') => Wish::Leave,
                Ok(_) => Wish::Follow,
                Err(_) => Wish::Leave,
            }
        })
    }

    /// Collects what has ended, reads it as one, and says how it went.
    async fn conclude(&self, made: &[Result<State, Error>], hosts: &Hosts, parts: &[Part]) -> anyhow::Result<Status> {
        let mut status = Status::Done;
        let mut is_left = false;
        for (part, state) in parts.iter().zip(made) {
            let name = &part.host.name;
            match state {
                Ok(State::Ended { status: 0 }) => {}
                Ok(State::Ended { status: 3 }) => status = worse(status, Status::NotValid),
                Ok(State::Ended { status: of_host }) => {
                    eprintln!("qbench: {name}: its part ended with status {of_host}; what it said stands above");
                    status = Status::Failed;
                }
                Ok(State::Running) => is_left = true,
                Ok(State::Absent | State::Vanished) => status = Status::Failed,
                Err(error) => {
                    eprintln!("qbench: {error}");
                    status = Status::Failed;
                }
            }
        }
        if is_left {
            eprintln!(
                "The runs go on there. The same command with --resume follows them again; `qbench hosts stop --out {0}` ends them, `qbench hosts \
                 collect --out {0}` brings what there is.",
                self.out.display()
            );
            return Ok(Status::Failed);
        }
        let Some(record) = parts::read_record(self.out)? else { return Ok(Status::Failed) };
        let mut of_record = hosts.clone();
        of_record.hosts.retain(|host| record.hosts.iter().any(|part| part.name == host.name));
        let board = Board::on_stderr(&of_record.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>());
        let collected = collect_all(&of_record, &record, self.out, &board).await;
        board.end();
        for (name, result) in &collected {
            match result {
                Ok(of) => eprintln!("{name}: {} files here", of.files),
                Err(error) => {
                    eprintln!("qbench: {error}; `qbench hosts collect --out {}` goes on from here", self.out.display());
                    status = Status::Failed;
                }
            }
        }
        self.read_as_one()?;
        if status == Status::Failed {
            eprintln!("Something is missing; the same command with --resume makes it.");
        }
        Ok(status)
    }

    /// Tables, pictures and page of all hosts together.
    fn read_as_one(&self) -> anyhow::Result<()> {
        let tables = self.out.join("analysis");
        let results = match Results::read(&[self.out.to_path_buf()], &palette()) {
            Err(qbench_analysis::Error::NothingToAnalyze { .. }) => {
                eprintln!("qbench: there is no result yet that could be read");
                return Ok(());
            }
            results => results?,
        };
        let analysis = results.analyze(&tables, &Asked::default())?;
        print!("{}", analysis.table);
        for problem in &analysis.problems {
            eprintln!("qbench: {problem}");
        }
        let pictures = qbench_analysis::graph(&tables.join(SUMMARY_CSV), &self.out.join("graphs"), &palette())?;
        let page = self.out.join("report.html");
        results.report(self.out, &page, &Asked::default(), &palette())?;
        println!("\nresults   {}", self.out.display());
        println!("tables    {}", tables.display());
        println!("pictures  {} ({} PNG files)", self.out.join("graphs").display(), pictures.len());
        println!("page      {}", page.display());
        Ok(())
    }
}

fn worse(known: Status, new: Status) -> Status {
    if known == Status::Failed { known } else { new }
}

/// Whether the name of a scenario or plan is the path of a file: the rule by which they are read.
fn is_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// Where a file lies on a host, from the folder of the matrix: as here, so that other files may name it; one that lies outside the working directory,
/// in a folder of its own.
fn place_there(path: &Path) -> String {
    let plain: Option<PathBuf> = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| matches!(part, Component::Normal(_)).then_some(part))
        .collect();
    match plain {
        Some(plain) => plain.display().to_string(),
        None => format!("{GIVEN}/{}", path.file_name().unwrap_or_default().to_string_lossy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_there_as_it_does_here() {
        assert_eq!(place_there(Path::new("./mine/own.toml")), "mine/own.toml");
        assert_eq!(place_there(Path::new("/home/me/own.toml")), "given/own.toml");
        assert_eq!(place_there(Path::new("../own.toml")), "given/own.toml");
    }

    #[test]
    fn one_failure_is_not_hidden_by_a_run_that_is_not_valid() {
        assert_eq!(worse(Status::Done, Status::NotValid), Status::NotValid);
        assert_eq!(worse(Status::Failed, Status::NotValid), Status::Failed);
    }
}
