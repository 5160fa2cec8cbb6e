//! `qbench services`: private servers that outlive the command.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Status;
use super::layers::{ServerArgs, SettingsArgs, durability_help};
use super::signals::Interrupts;
use super::url_args::{UrlArgs, server_engines};
use qbench_engines::keeper::{self, Kept};
use qbench_ground::usage::Usage;

/// Longest time that the end of the servers may take; their own limits are shorter.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Start private servers that outlive this command, show them, stop them
///
/// For looking around, and for many runs on one server. A run that is given no address starts its own.
#[derive(Debug, Args)]
pub struct ServicesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start them and print their addresses as QBENCH_… variables
    Start(StartArgs),
    /// Print their addresses again, and whether they run
    Status {
        /// Print everything that is known of them as JSON
        #[arg(long)]
        json: bool,
    },
    /// End them and remove their data
    Stop,
    /// Keep servers until a signal to stop; what `start` leaves behind
    #[command(hide = true)]
    Keep(StartArgs),
}

#[derive(Debug, Args)]
struct StartArgs {
    /// Which servers
    #[arg(long, value_name = "ENGINE", default_value = ALL, value_parser = engine_names())]
    engine: String,
    #[arg(long, value_name = "d0|d1|d2", help = durability_help(|engine| engine.url_flag().is_some()))]
    durability: Option<String>,
    /// Print everything that is known of them as JSON
    #[arg(long)]
    json: bool,
}

/// Name of all servers that belong to every installation.
const ALL: &str = "all";

fn engine_names() -> PossibleValuesParser {
    [ALL].into_iter().chain(server_engines().map(|(_, flag)| flag.short)).collect::<Vec<_>>().into()
}

pub fn main(args: ServicesArgs) -> anyhow::Result<Status> {
    match args.action {
        Action::Start(args) => start(&args),
        Action::Status { json } => status(json),
        Action::Stop => stop(),
        Action::Keep(args) => keep(args),
    }
}

/// Leaves a keeper behind in a session of its own, so that neither the end of this command nor that of its terminal ends
/// it. Its first line says that everything runs; until that has been read, the end of this command is the end of it.
fn start(args: &StartArgs) -> anyhow::Result<Status> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.args(["services", "keep", "--engine", &args.engine]);
    if let Some(durability) = &args.durability {
        command.args(["--durability", durability]);
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into));
    }
    let mut keeper = command.spawn().context("cannot start the keeper of the servers")?;
    let mut line = String::new();
    if let Some(stdout) = keeper.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).context("cannot hear from the keeper of the servers")?;
    }
    if line.is_empty() {
        let mut said = String::new();
        if let Some(mut stderr) = keeper.stderr.take() {
            stderr.read_to_string(&mut said).context("cannot hear from the keeper of the servers")?;
        }
        let status = keeper.wait().context("cannot wait for the keeper of the servers")?;
        let said = said.trim().trim_start_matches("qbench: ").to_owned();
        return match status.code() {
            Some(2) => Err(Usage(said).into()),
            _ => Err(anyhow::anyhow!(said)),
        };
    }
    let kept: Kept = serde_json::from_str(&line).context("the keeper of the servers said something else")?;
    print(&kept, args.json)?;
    eprintln!("The servers run until `qbench services stop`.");
    Ok(Status::Done)
}

fn status(json: bool) -> anyhow::Result<Status> {
    let Some(kept) = keeper::ask(&keeper::state_dir()?)? else {
        eprintln!("No servers are kept; `qbench services start` starts some.");
        return Ok(Status::Failed);
    };
    print(&kept, json)?;
    let mut running = true;
    for server in kept.servers.values().flatten() {
        if let Some(ended) = &server.ended {
            running = false;
            eprintln!("qbench: {ended}");
        }
    }
    Ok(if running { Status::Done } else { Status::Failed })
}

fn print(kept: &Kept, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(kept)?);
        return Ok(());
    }
    for (engine, flag) in server_engines() {
        if let Some(Some(server)) = kept.servers.get(engine.kind().id) {
            // As a shell takes it: an address may hold `&`.
            println!("{}='{}'", flag.variable, server.url);
        }
    }
    Ok(())
}

fn stop() -> anyhow::Result<Status> {
    let Some(kept) = keeper::ask(&keeper::state_dir()?)? else {
        eprintln!("No servers are kept; there is nothing to stop.");
        return Ok(Status::Done);
    };
    // It answered a moment ago, so the pid is its own.
    kill(Pid::from_raw(i32::try_from(kept.keeper_pid)?), Signal::SIGTERM)
        .with_context(|| format!("cannot tell the keeper of the servers (process {}) to stop", kept.keeper_pid))?;
    let begun = Instant::now();
    while lives(kept.keeper_pid) {
        if begun.elapsed() > STOP_LIMIT {
            anyhow::bail!(
                "the keeper of the servers (process {}) did not end within {} s",
                kept.keeper_pid,
                STOP_LIMIT.as_secs()
            );
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    eprintln!("The servers have ended, and their data is removed.");
    Ok(Status::Done)
}

/// Whether the process runs. One that has ended and that nobody has waited for does not.
fn lives(pid: u32) -> bool {
    let process = i32::try_from(pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    process.and_then(|process| process.stat().ok()).is_some_and(|stat| stat.state != 'Z')
}

fn keep(args: StartArgs) -> anyhow::Result<Status> {
    let servers = ServerArgs { urls: UrlArgs::default(), durability: args.durability };
    let settings = SettingsArgs::of_servers(servers).read()?;
    let keep = server_engines()
        .map(|(engine, flag)| {
            let is_wanted = args.engine == flag.short || (args.engine == ALL && engine.is_standard());
            (engine, is_wanted.then(|| settings.durability_of(engine.kind())))
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let ready = |kept: &Kept| writeln!(io::stdout(), "{}", serde_json::to_string(kept)?);
        keeper::keep(&keeper::state_dir()?, keep, ready, interrupts.first()).await?;
        Ok(Status::Done)
    })
}
