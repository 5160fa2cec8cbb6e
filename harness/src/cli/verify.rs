//! `qbench verify`: the conformance suite, against a real server.

use clap::Args;
use qbench_backends::Entry;
use qbench_backends::conformance::{self, Outcome, Progress};
use qbench_backends::registry::backends;
use qbench_backends::{BackendConfig, BackendOptions, ServerUrl};

use super::Status;
use super::layers::{ServerArgs, Settings, SettingsArgs, find_backend};
use super::signals::Interrupts;
use qbench_engines::ENGINES;
use qbench_engines::servers::{Servers, Wanted};
use qbench_engines::services::StartOptions;

/// PostgreSQL schema and Valkey key prefix of the suite.
const NAMESPACE: &str = "qbench_verify";

/// Check backends against everything that a queue must do, on real servers
///
/// Every option set of a backend is checked. What a backend does not declare is listed as not applicable; a case that
/// should have run and did not is a failure.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Backend id, or all
    #[arg(long, value_name = "ID|all")]
    backend: String,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    #[command(flatten)]
    servers: ServerArgs,
}

pub fn main(args: VerifyArgs) -> anyhow::Result<Status> {
    let entries: Vec<&'static Entry> = match args.backend.as_str() {
        "all" => backends().collect(),
        id => vec![find_backend(id)?],
    };
    let settings = SettingsArgs::of_servers(args.servers).read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            status = verify_all(&entries, &settings, &args.case) => status,
            () = interrupts.first() => anyhow::bail!("interrupted"),
        }
    });
    runtime.shutdown_background();
    status
}

async fn verify_all(entries: &[&'static Entry], settings: &Settings, filter: &str) -> anyhow::Result<Status> {
    eprintln!("starting servers");
    let engines = ENGINES.iter().filter(|engine| entries.iter().any(|entry| entry.engine == engine.kind()));
    let mut services = Servers::start(engines.map(|engine| {
        let wanted = match settings.given.of(engine.kind()) {
            Some(url) => Wanted::Given(url.clone()),
            None => Wanted::Private(StartOptions::new(settings.durability_of(engine.kind()))),
        };
        (*engine, wanted)
    }))
    .await?;
    services.lock_given(NAMESPACE).await?;
    let (mut passed, mut expected, mut sets, mut failed) = (0, 0, 0, 0);
    for entry in entries {
        let url = services.of(entry.engine).map(|server| server.url().clone());
        for (name, options) in entry.option_sets() {
            sets += 1;
            match verify_one(entry, &name, url.clone(), options, settings, filter).await {
                Ok(report) => {
                    passed += report.passed();
                    expected += report.expected;
                    failed += usize::from(report.verdict().is_err());
                }
                // The other backends are checked all the same.
                Err(error) => {
                    println!("FAILED {}: it cannot be checked: {error:#}", title(entry, &name));
                    failed += 1;
                }
            }
        }
    }
    services.stop().await?;
    println!(
        "{passed} of {expected} cases passed (backends: {}, option sets: {sets}, failed option sets: {failed})",
        entries.len()
    );
    if expected == 0 && cases_named(filter) == 0 {
        anyhow::bail!("no case ran: no name contains `{filter}`");
    }
    Ok(if failed == 0 { Status::Done } else { Status::Failed })
}

/// Cases whose name contains `filter`.
fn cases_named(filter: &str) -> usize {
    conformance::cases().filter(|case| case.name.contains(filter)).count()
}

/// A backend with its option set; the defaults have no name.
fn title(entry: &Entry, option_set: &str) -> String {
    if option_set.is_empty() { entry.id.to_owned() } else { format!("{} {option_set}", entry.id) }
}

async fn verify_one(
    entry: &'static Entry,
    option_set: &str,
    url: Option<ServerUrl>,
    options: BackendOptions,
    settings: &Settings,
    filter: &str,
) -> anyhow::Result<conformance::Report> {
    let config = BackendConfig {
        url,
        durability: settings.durability_of(entry.engine),
        options,
        ..BackendConfig::new(NAMESPACE)
    };
    let title = title(entry, option_set);
    let report = conformance::run(entry, &config, filter, |progress| match progress {
        Progress::Started { name, number, expected } => {
            eprintln!("{title}: {number} of {expected} {name}");
        }
        Progress::Ended(result) => {
            if let Outcome::Failed(reason) = &result.outcome {
                eprintln!("{title}: {} FAILED: {reason}", result.name);
            }
        }
    })
    .await?;
    if !option_set.is_empty() {
        println!("{title}:");
    }
    println!("{report}");
    Ok(report)
}
