//! `qbench calibrate`: what this machine can do, and whether another one is like it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qbench_analysis::{Apart, machines_apart};
use qbench_engines::services::data_directory;
use qbench_ground::usage::Usage;
use qbench_schema::calibration::Calibration;

use super::Status;
use crate::calibrate::{self, Plan};

/// Measure what this machine can do: CPU, memory, disk, loopback, timer; or say whether two machines are alike
///
/// Two machines are alike where the 90 % interval of the ratio lies between 1/1.03 and 1.03, for the disk between 1/1.1 and 1.1. Otherwise what
/// differs between them is in every ratio of their runs. For instance, on each of two machines, and then on one of them:
/// qbench calibrate --output vm1.json
/// qbench calibrate --compare vm1.json vm2.json
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Two files that it wrote: say whether their machines are alike, and measure nothing; status 4 where they are not
    #[arg(long, num_args = 2, value_names = ["FILE", "FILE"], conflicts_with_all = ["dir", "long", "output"])]
    compare: Option<Vec<PathBuf>>,
    /// Folder whose disk is measured (default: where private servers have their data: $QBENCH_TMPDIR, else $TMPDIR, else /tmp)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep all cores busy for ten minutes first: a machine that runs on credit is slower in the end
    #[arg(long)]
    long: bool,
    /// Write it to a file, too
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: CalibrateArgs) -> anyhow::Result<Status> {
    if let Some([first, second]) = args.compare.as_deref() {
        return compare(first, second, args.json);
    }
    let dir = match args.dir {
        Some(dir) => dir,
        None => data_directory()?,
    };
    let bar = ProgressBar::new(1_000);
    let style = ProgressStyle::with_template("calibrate {spinner} {bar:30} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let told = |what: &str, share: f64| {
        bar.set_position((1_000.0 * share) as u64);
        bar.set_message(what.to_owned());
    };
    let measured = calibrate::measure(Plan { dir: &dir, long: args.long }, told);
    bar.finish_and_clear();
    let calibration = measured
        .with_context(|| format!("cannot measure the disk in {}: is the folder there and writable?", dir.display()))?;
    let text = serde_json::to_string_pretty(&calibration)?;
    if let Some(path) = &args.output {
        std::fs::write(path, format!("{text}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        println!("{text}");
    } else {
        print!("{}", in_words(&calibration));
    }
    Ok(Status::Done)
}

fn in_words(of: &Calibration) -> String {
    let delay = |delay: &qbench_schema::calibration::Delay| format!("{:.0} us, {:.0} us at p99", delay.p50, delay.p99);
    let mut lines = vec![
        format!("{}: {} cores, {}, kernel {}", of.host, of.cores, of.cpu_model, of.kernel),
        format!("CPU        {:.0} million steps/s on one core, {:.0} on all", of.cpu_one_core, of.cpu_all_cores),
        format!("memory     {:.0} MB/s copied by one core", of.memory_mb_s),
        format!("fdatasync  {} ({})", delay(&of.fdatasync_us), of.dir),
        format!("fsync      {}", delay(&of.fsync_us)),
        format!("loopback   {}", delay(&of.loopback_us)),
        format!(
            "timer      late by {:.0} us, {:.0} us at p99, {:.0} us at most",
            of.hiccup_us.p50, of.hiccup_us.p99, of.hiccup_us.max
        ),
        format!("steal      {:.1} %", of.steal_pct),
    ];
    lines.extend(of.pg_test_fsync_us.map(|us| format!("fdatasync  {us:.0} us by pg_test_fsync")));
    lines.extend(of.burst.map(|burst| {
        format!(
            "burst      {:.0} million steps/s on all cores in the first minute, {:.0} in minute {}",
            burst.first_minute, burst.last_minute, burst.minutes
        )
    }));
    lines.join("\n") + "\n"
}

fn read(path: &Path) -> anyhow::Result<Calibration> {
    let text = std::fs::read(path)
        .map_err(|error| Usage(format!("{}: {error}; qbench calibrate --output writes such a file", path.display())))?;
    serde_json::from_slice(&text).map_err(|error| {
        Usage(format!("{}: {error}; it is not what qbench calibrate --output writes", path.display())).into()
    })
}

fn compare(first: &Path, second: &Path, json: bool) -> anyhow::Result<Status> {
    let (a, b) = (read(first)?, read(second)?);
    let apart = machines_apart(std::slice::from_ref(&a), std::slice::from_ref(&b));
    if json {
        println!("{}", serde_json::to_string_pretty(&apart)?);
    } else {
        show(&first.display().to_string(), &second.display().to_string(), &apart);
    }
    Ok(if are_alike(&apart) { Status::Done } else { Status::Found })
}

/// Whether two machines are alike in everything.
pub(super) fn are_alike(apart: &[Apart]) -> bool {
    apart.iter().all(|figure| figure.alike)
}

/// What the second of two machines has apart from the first, for people.
pub(super) fn show(first: &str, second: &str, apart: &[Apart]) {
    println!("{second} over {first}");
    apart.iter().for_each(|figure| println!("{}", line(figure)));
    let word = match are_alike(apart) {
        true => "The machines are alike.",
        false => "The machines are not alike: what they have apart is in every ratio of their runs.",
    };
    println!("{word}");
}

fn line(apart: &Apart) -> String {
    let interval = match (apart.ratio, apart.low, apart.high) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.3} [{low:.3}, {high:.3}]"),
        _ => "not known".to_owned(),
    };
    let limit = 100.0 * apart.alike_within;
    let word = if apart.alike { "alike" } else { "not alike" };
    format!("  {:<14} {interval:<24} {word} (limit {limit:.0} %, n = {})", apart.figure, apart.n)
}
