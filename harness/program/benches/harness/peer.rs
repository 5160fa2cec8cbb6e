//! Running the harness and its peers as processes, and what each of them cost.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use qbench_backends::{Admin, Backend, BackendConfig, BackendOptions, Capabilities, ServerUrl, registry};
use qbench_schema::files::RunFiles;
use qbench_schema::result::{Durability, RunResult, Verdict};

/// Schema and key prefix of what the peers work on; the harness's own is another one.
pub const NAMESPACE: &str = "qbench_peer";

/// Turns of each side.
pub const TURNS: usize = 5;

/// One side's turn.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub jobs_s: f64,
    pub client_cpu_us_per_job: f64,
}

/// `qbench run` with these arguments and a server of ours; its audited verdict.
pub fn qbench(arguments: &[&str], server: Option<(&str, &ServerUrl)>) -> anyhow::Result<RunResult> {
    let out = tempfile::TempDir::new()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbench"));
    // What the developer's shell sets, and cargo itself, is no part of a measurement.
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("QBENCH_")) {
        command.env_remove(key);
    }
    command.current_dir(out.path()).env("QBENCH_OUT", out.path()).arg("run").args(arguments);
    if let Some((variable, url)) = server {
        command.env(variable, url.expose());
    }
    let output = command.output().context("qbench does not start")?;
    let value =
        |flag: &str| arguments.iter().position(|argument| *argument == flag).and_then(|at| arguments.get(at + 1));
    let (backend, scenario) = (value("--backend").unwrap_or(&""), value("--scenario").unwrap_or(&""));
    let files = RunFiles::new(out.path(), backend, scenario);
    let text = std::fs::read(files.result())
        .with_context(|| format!("qbench left no verdict: {}", String::from_utf8_lossy(&output.stderr)))?;
    let result: RunResult = serde_json::from_slice(&text)?;
    ensure!(
        result.audit.verdict == Verdict::Ok,
        "a run with {arguments:?} is not audited as ok: {:?} {:?}",
        result.error,
        result.audit.reasons
    );
    Ok(result)
}

/// Three turns of [`qbench`] with these groups of arguments and no server of ours.
pub fn three_turns(arguments: &[&[&str]]) -> anyhow::Result<Vec<RunResult>> {
    (0..3).map(|_| qbench(&arguments.concat(), None)).collect()
}

/// The harness's side of a comparison of capacity.
pub fn turn_of(result: &RunResult) -> Turn {
    Turn {
        jobs_s: result.throughput_jobs_s,
        client_cpu_us_per_job: result.cost_per_job.harness_cpu_us.unwrap_or(f64::NAN),
    }
}

/// Runs a peer to its end: what it printed, and the CPU time of it and its children in seconds.
pub fn run(command: &mut Command) -> anyhow::Result<(String, f64)> {
    let before = children_cpu_s()?;
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("{} does not start", Path::new(command.get_program()).display()))?;
    let said = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{} failed: {said}", Path::new(command.get_program()).display());
    Ok((String::from_utf8_lossy(&stdout).into_owned(), children_cpu_s()? - before))
}

fn children_cpu_s() -> anyhow::Result<f64> {
    cpu_s(UsageWho::RUSAGE_CHILDREN)
}

/// CPU time of this process so far, in seconds.
pub fn own_cpu_s() -> anyhow::Result<f64> {
    cpu_s(UsageWho::RUSAGE_SELF)
}

fn cpu_s(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// What the backend `id` states about itself.
pub fn capabilities(id: &str) -> anyhow::Result<Capabilities> {
    let entry = registry::find(id).with_context(|| format!("there is no backend {id}"))?;
    Ok(entry.capabilities(&BackendOptions::default())?)
}

/// The backend `id` on `url` in the peers' namespace.
pub fn backend(
    id: &str,
    url: Option<&ServerUrl>,
    durability: Durability,
    options: &[(&str, &str)],
) -> anyhow::Result<std::sync::Arc<dyn Backend>> {
    let entry = registry::find(id).with_context(|| format!("there is no backend {id}"))?;
    let mut config = config(url, durability, options);
    config.wake = entry.capabilities(&config.options)?.wakes[0];
    Ok(entry.open(&config)?)
}

/// A configuration on `url` in the peers' namespace.
pub fn config(url: Option<&ServerUrl>, durability: Durability, options: &[(&str, &str)]) -> BackendConfig {
    BackendConfig {
        url: url.cloned(),
        durability,
        lease: std::time::Duration::from_secs(60),
        workers: 8,
        timeout: std::time::Duration::from_secs(15),
        options: BackendOptions::new(options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))),
        ..BackendConfig::new(NAMESPACE)
    }
}

/// Puts `jobs` jobs of `payload_bytes` into the peers' queue, as fast as one producer can.
pub async fn fill(backend: &dyn Backend, admin: &mut dyn Admin, jobs: u64, payload_bytes: usize) -> anyhow::Result<()> {
    use qbench_backends::{JobId, NewJob, ProducerId};
    admin.reset().await?;
    let payload = bytes::Bytes::from(vec![0xA5; payload_bytes]);
    let mut producer = backend.producer(ProducerId(0)).await?;
    for first in (0..jobs).step_by(500) {
        let batch: Vec<NewJob> =
            (first..(first + 500).min(jobs)).map(|job| NewJob { job: JobId(job), payload: payload.clone() }).collect();
        producer.enqueue(&batch).await?;
    }
    admin.settle().await?;
    Ok(())
}
