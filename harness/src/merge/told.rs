//! What a shard says of its jobs, and of those of others that came to it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail};
use qbench_analysis::latency_log;
use qbench_analysis::metrics::{self, MetricsError};
use qbench_schema::latency::StageHistograms;
use qbench_schema::record::{JobRecord, Outcome, Phase, Stage};
use qbench_schema::shard::{AccountRecord, ForeignRecord};
use serde::de::DeserializeOwned;

use super::shards::Shard;

/// What one shard says.
pub(super) struct Told {
    /// Of each of its jobs, in the order of their numbers.
    pub(super) account: Vec<AccountRecord>,
    /// Of the deliveries of its own measured jobs to its own workers.
    pub(super) own: Vec<JobRecord>,
    /// Of the deliveries of other shards' jobs to its workers.
    pub(super) foreign: Vec<ForeignRecord>,
    /// What its files do not agree on, a sentence each.
    pub(super) differences: Vec<String>,
}

/// Reads the files of `shard` and holds them against each other.
///
/// # Errors
/// When one is missing, damaged or of another shard.
pub(super) fn read(shard: &Shard) -> anyhow::Result<Told> {
    let account = read_account(shard)?;
    let foreign =
        if shard.identity.queue_per_shard { Vec::new() } else { read_lines::<ForeignRecord>(&shard.files.foreign())? };
    let own = read_jobs(&shard.files.metrics())?;
    let which = shard.identity.which();
    let differences = [disagreement_on_jobs(shard, &account, &own), disagreement_on_latencies(shard, &own)?];
    let differences =
        differences.into_iter().flatten().map(|difference| format!("shard {which}: {difference}")).collect();
    Ok(Told { account, own, foreign, differences })
}

fn read_account(shard: &Shard) -> anyhow::Result<Vec<AccountRecord>> {
    let path = shard.files.account();
    let account: Vec<AccountRecord> = read_lines(&path)?;
    let (step, place) = (u64::from(shard.identity.of), u64::from(shard.identity.number) - 1);
    for (own, line) in (0_u64..).zip(&account) {
        if line.job != own * step + place {
            bail!(
                "{} is no account of shard {}: line {} is of job {}, and of job {} it should be",
                path.display(),
                shard.identity.which(),
                own + 1,
                line.job,
                own * step + place
            );
        }
    }
    Ok(account)
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let attempt = || -> anyhow::Result<Vec<T>> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let (mut records, mut line) = (Vec::new(), Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let number = records.len() + 1;
            records
                .push(serde_json::from_slice(&line).with_context(|| format!("line {number} is damaged or cut off"))?);
            line.clear();
        }
        Ok(records)
    };
    attempt().with_context(|| format!("cannot read {}", path.display()))
}

fn read_jobs(path: &Path) -> anyhow::Result<Vec<JobRecord>> {
    let mut records = Vec::new();
    let mut attempt = || -> Result<bool, MetricsError> {
        metrics::for_each(metrics::open(path)?, |_, record| {
            records.push(record);
            Ok(())
        })
    };
    match attempt() {
        Ok(false) => Ok(records),
        Ok(true) => bail!("cannot read {}: its last line is cut off; copy the file again", path.display()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Whether the records of the shard's own jobs and its account tell the same of every measured job.
fn disagreement_on_jobs(shard: &Shard, account: &[AccountRecord], own: &[JobRecord]) -> Option<String> {
    let (step, place) = (u64::from(shard.identity.of), u64::from(shard.identity.number) - 1);
    // By own number: acks as done and as failed.
    let mut acks = vec![(0_u32, 0_u32); account.len()];
    let mut unlike = Vec::new();
    for record in own {
        let line = (record.job % step == place).then(|| acks.get_mut((record.job / step) as usize)).flatten();
        match (line, record.outcome) {
            (None, _) => unlike.push(record.job),
            (Some(line), Outcome::Acked) => line.0 += 1,
            (Some(line), Outcome::Failed | Outcome::Panicked) => line.1 += 1,
            (Some(_), Outcome::Stale | Outcome::Unknown) => {}
        }
    }
    let measured = account.iter().zip(&acks).filter(|(line, _)| line.phase == Phase::Measured);
    let differs = |(line, acks): &(&AccountRecord, &(u32, u32))| {
        (u32::from(line.completions), u32::from(line.failures)) != **acks
    };
    unlike.extend(measured.filter(differs).map(|(line, _)| line.job));
    let first = unlike.iter().min()?;
    Some(format!("its job file and its account differ in {} jobs, of which the first is number {first}", unlike.len()))
}

/// Whether the latencies of the shard's own jobs are those in its log of histograms.
fn disagreement_on_latencies(shard: &Shard, own: &[JobRecord]) -> anyhow::Result<Option<String>> {
    let path = shard.files.latency_log();
    let logged = latency_log::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut recorded = StageHistograms::new();
    for record in own.iter().filter(|record| record.outcome == Outcome::Acked) {
        // What is longer than a day is in neither, and makes the shard not valid.
        recorded.add(record).for_each(drop);
    }
    let unlike =
        Stage::ALL.into_iter().find(|stage| recorded.stage(*stage).counters() != logged.stage(*stage).counters());
    Ok(unlike.map(|stage| {
        format!(
            "its job file and its latency log differ in {} ({} and {} jobs)",
            stage.name(),
            recorded.stage(stage).count(),
            logged.stage(stage).count()
        )
    }))
}
