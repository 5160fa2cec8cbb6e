//! What `analyze` makes of result folders.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use qbench_schema::files::RunFiles;
use qbench_schema::record::JobRecord;

use std::fs;
use std::path::{Path, PathBuf};

use common::{QUICK, Run, SCENARIOS, exact_quantile_ms, sorted_us, write_matrix};
use qbench_analysis::{Analysis, Asked, Error, analyze};
use qbench_schema::record::Stage;
use qbench_schema::result::{Durability, RunStatus};
use qbench_schema::shard::ShardIdentity;
use qbench_schema::summary::{DistributionRow, OrMixed, RunRow, SummaryRow};
use serde::Serialize;
use serde::de::DeserializeOwned;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn results(&self) -> PathBuf {
        self.0.path().join("results")
    }

    fn output(&self) -> PathBuf {
        self.0.path().join("analysis")
    }

    fn analyze(&self) -> Analysis {
        analyze(&[self.results()], &self.output(), &Asked::default(), &common::palette()).unwrap()
    }
}

fn cell<'a>(analysis: &'a Analysis, backend: &str, scenario: &str) -> &'a SummaryRow {
    analysis.summary.iter().find(|row| row.backend == backend && row.scenario == scenario).unwrap()
}

fn read_csv<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    csv::Reader::from_path(path).unwrap().into_deserialize().map(|row| row.unwrap()).collect()
}

/// The header that the `csv` crate writes for a row: its fields in the order of their declaration.
fn serde_header<T: Serialize>(row: &T) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.serialize(row).unwrap();
    let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    text.lines().next().unwrap().to_owned()
}

fn header_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn csv_files_of_polars_read_back_as_the_rows_of_the_schema() {
    let folder = Folder::new();
    write_matrix(&folder.results());
    // Text that a careless writer of CSV would break, cells without a value, and a cell without a run.
    Run::new("partitioned", "load").invalid("p99, \"the worst\"\nof all; far too late").write(&folder.results());
    Run::new("skip_locked", "warm").with(|result| result.cpu_pct.server = None).write(&folder.results());
    Run::new("skip_locked", "cold").failed("no server").write(&folder.results());
    let analysis = folder.analyze();

    let output = folder.output();
    assert_eq!(read_csv::<RunRow>(&output.join("runs.csv")), analysis.runs);
    assert_eq!(read_csv::<SummaryRow>(&output.join("summary.csv")), analysis.summary);
    assert_eq!(read_csv::<DistributionRow>(&output.join("distribution.csv")), analysis.distribution);
    let json: Vec<SummaryRow> = serde_json::from_slice(&fs::read(output.join("summary.json")).unwrap()).unwrap();
    assert_eq!(json, analysis.summary);

    // Old columns of runs.csv stand where they always stood.
    let sorted = |header: String| header.split(',').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(header_of(&output.join("runs.csv"))), sorted(serde_header(&analysis.runs[0])));
    assert_eq!(header_of(&output.join("summary.csv")), serde_header(&analysis.summary[0]));
    assert_eq!(header_of(&output.join("distribution.csv")), serde_header(&analysis.distribution[0]));
}

#[test]
fn summary_csv_begins_with_the_columns_of_the_contract() {
    let folder = Folder::new();
    Run::new("skip_locked", "warm").write(&folder.results());
    folder.analyze();
    assert!(header_of(&folder.output().join("summary.csv")).starts_with(
        "engine,backend,queue_type,scenario,runs,offered_jobs_s,throughput_jobs_s,latency_p50_ms,latency_p95_ms,\
         latency_p99_ms,latency_p999_ms,cpu_host_pct,cpu_server_pct,rss_server_mb,lost,duplicated,valid,regime,durability"
    ));
}

#[test]
fn percentiles_are_those_of_the_job_records_within_one_percent() {
    let folder = Folder::new();
    write_matrix(&folder.results());
    let analysis = folder.analyze();
    assert_eq!(analysis.summary.len(), 12);
    assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
    for row in &analysis.summary {
        let sorted = sorted_us(&Run::new(&row.backend, &row.scenario).records(), Stage::EndToEnd);
        for (quantile, ours) in [
            (0.50, row.latency_p50_ms),
            (0.95, row.latency_p95_ms),
            (0.99, row.latency_p99_ms),
            (0.999, row.latency_p999_ms),
        ] {
            let exact = exact_quantile_ms(&sorted, quantile);
            assert!((ours / exact - 1.0).abs() < 0.01, "{} {}: {ours} for {exact}", row.backend, row.scenario);
        }
    }
}

#[test]
fn a_cell_s_percentile_is_the_median_of_its_runs_and_its_distribution_that_of_all_jobs() {
    let folder = Folder::new();
    let repeat = |block: u32| {
        let mut run = Run::new("skip_locked", "warm").block(block);
        // One block is far worse than the others: an average of percentiles would lie between.
        run.wait_ms = if block == 3 { 300.0 } else { 1.0 };
        run
    };
    for block in 1..=3 {
        repeat(block).write(&folder.results().join(format!("rep-{block:02}")));
    }
    let analysis = folder.analyze();
    let row = cell(&analysis, "skip_locked", "warm");
    // The headline is the median over runs, and the curve is that of all jobs together (METHODOLOGY S6).
    let mut p99: Vec<f64> = analysis.runs.iter().map(|run| run.latency_p99_ms).collect();
    p99.sort_by(f64::total_cmp);
    assert!(p99[2] > 5.0 * p99[1], "{p99:?}");
    assert_eq!(row.latency_p99_ms, p99[1]);
    let records: Vec<_> = (1..=3).flat_map(|block| repeat(block).records()).collect();
    let sorted = sorted_us(&records, Stage::EndToEnd);
    for quantile in [0.50, 0.99] {
        let of_all = analysis.distribution.iter().find(|row| row.quantile == quantile).unwrap().latency_ms;
        let exact = exact_quantile_ms(&sorted, quantile);
        assert!((of_all / exact - 1.0).abs() < 0.01, "{of_all} for {exact}");
    }
    assert_eq!((row.runs, analysis.runs.len()), (3, 3));
    assert!((row.throughput_jobs_s - 499.4).abs() < 1e-9, "throughput is the mean over runs");
}

#[test]
fn cells_come_in_one_order_whatever_the_order_of_files() {
    let folder = Folder::new();
    for backend in ["zzz_queue", "valkey_streams", "aaa_queue", "partitioned", "skip_locked"] {
        for scenario in ["surge", "load", "cold", "warm"] {
            Run::new(backend, scenario).write(&folder.results());
        }
    }
    Run::new("memory", "warm").with(|result| result.identity.engine = "in_process".into()).write(&folder.results());
    let analysis = folder.analyze();
    let mut backends: Vec<&str> = analysis.summary.iter().map(|row| row.backend.as_str()).collect();
    backends.dedup();
    assert_eq!(backends, ["skip_locked", "partitioned", "aaa_queue", "zzz_queue", "valkey_streams", "memory"]);
    let scenarios: Vec<&str> = analysis.summary[..4].iter().map(|row| row.scenario.as_str()).collect();
    assert_eq!(scenarios, ["cold", "warm", "load", "surge"]);
}

#[test]
fn runs_that_did_not_finish_are_rows_that_say_why_and_count_in_no_figure() {
    let folder = Folder::new();
    let rep = |block: u32| folder.results().join(format!("rep-{block:02}"));
    let run = |block: u32| Run::new("skip_locked", "warm").block(block);
    run(1).write(&rep(1));
    run(2).with(|result| result.status = RunStatus::Running).write(&rep(2));
    run(3).with(|result| result.status = RunStatus::Interrupted).write(&rep(3));
    Run::new("partitioned", "warm").failed("the server refused the password").write(&rep(1));
    let analysis = folder.analyze();

    let row = cell(&analysis, "skip_locked", "warm");
    assert_eq!((row.runs, row.failed_runs), (1, 2));
    assert!(row.valid, "runs that the user or the system stopped say nothing against the others");
    assert!((row.throughput_jobs_s - run(1).result.throughput_jobs_s).abs() < 1e-9);
    let reasons: Vec<&str> = analysis.runs.iter().map(|run| run.reasons.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "",
            "killed: its verdict was never completed",
            "interrupted: the user stopped it",
            "failed: the server refused the password"
        ]
    );
    let failed = cell(&analysis, "partitioned", "warm");
    assert_eq!((failed.runs, failed.failed_runs, failed.valid), (0, 1, false));
    assert_eq!(failed.reasons, "failed: the server refused the password");
    assert!(analysis.table.contains("the server refused the password"), "{}", analysis.table);
}

#[test]
fn a_cell_of_which_one_run_failed_is_not_valid() {
    let folder = Folder::new();
    Run::new("skip_locked", "warm").block(1).write(&folder.results().join("rep-01"));
    Run::new("skip_locked", "warm").block(2).failed("deadlock").write(&folder.results().join("rep-02"));
    let analysis = folder.analyze();
    let row = cell(&analysis, "skip_locked", "warm");
    assert!(!row.valid, "the runs that survived flatter the cell");
    assert_eq!(row.reasons, "run 2: failed: deadlock");
}

#[test]
fn runs_under_different_conditions_do_not_make_a_valid_cell() {
    let folder = Folder::new();
    Run::new("skip_locked", "warm").block(1).write(&folder.results().join("rep-01"));
    Run::new("skip_locked", "warm")
        .block(2)
        .with(|result| result.identity.durability = Durability::D1)
        .write(&folder.results().join("rep-02"));
    let analysis = folder.analyze();
    let row = cell(&analysis, "skip_locked", "warm");
    assert_eq!((row.valid, row.durability), (false, OrMixed::Mixed));
    assert_eq!(row.reasons, "its runs differ in durability (d1, d2)");
}

#[test]
fn valkey_and_redis_are_not_merged() {
    let folder = Folder::new();
    Run::new("valkey_streams", "warm").block(1).write(&folder.results().join("rep-01"));
    Run::new("valkey_streams", "warm")
        .block(2)
        .with(|result| result.identity.engine = "redis".into())
        .write(&folder.results().join("rep-02"));
    let engines: Vec<String> = folder.analyze().summary.into_iter().map(|row| row.engine).collect();
    assert_eq!(engines, ["valkey", "redis"]);
}

#[test]
fn a_run_that_failed_before_it_met_its_server_belongs_to_the_cell_of_the_others() {
    let folder = Folder::new();
    Run::new("valkey_streams", "cold").write(&folder.results());
    Run::new("valkey_streams", "warm")
        .failed("nobody listens")
        .with(|result| result.identity.engine.clear())
        .write(&folder.results());
    assert!(folder.analyze().summary.iter().all(|row| row.engine == "valkey"));
}

#[test]
fn without_job_records_the_verdict_of_a_single_run_stands() {
    let folder = Folder::new();
    Run::new("skip_locked", "warm").without_metrics().write(&folder.results());
    let analysis = folder.analyze();
    assert_eq!(cell(&analysis, "skip_locked", "warm").latency_p99_ms, analysis.runs[0].latency_p99_ms);
    let quantiles: Vec<f64> = analysis.distribution.iter().map(|row| row.quantile).collect();
    assert_eq!(quantiles, [0.5, 0.95, 0.99, 0.999, 1.0]);
    assert!(analysis.problems.is_empty(), "results are often copied without their largest files");
}

#[test]
fn without_job_records_the_distribution_is_that_of_the_run_with_the_median_p99_and_says_so() {
    let folder = Folder::new();
    for block in 1..=3 {
        let run = Run::new("skip_locked", "warm").block(block).without_metrics();
        run.write(&folder.results().join(format!("rep-{block:02}")));
    }
    let analysis = folder.analyze();
    let mut p99: Vec<f64> = analysis.runs.iter().map(|run| run.latency_p99_ms).collect();
    p99.sort_by(f64::total_cmp);
    assert_eq!(cell(&analysis, "skip_locked", "warm").latency_p99_ms, p99[1]);
    assert_eq!(analysis.problems.len(), 1);
    assert!(analysis.problems[0].message.contains("the one with the median p99"), "{}", analysis.problems[0]);
}

#[test]
fn incomplete_job_records_are_set_aside_and_told() {
    let folder = Folder::new();
    let run = Run::new("skip_locked", "warm");
    run.write(&folder.results());
    let metrics = folder.results().join("skip_locked_warm_metrics.jsonl");
    let whole = fs::read(&metrics).unwrap();
    fs::write(&metrics, &whole[..whole.len() / 2]).unwrap();
    let analysis = folder.analyze();
    assert_eq!(cell(&analysis, "skip_locked", "warm").latency_p99_ms, analysis.runs[0].latency_p99_ms);
    let told: Vec<String> = analysis.problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|problem| problem.contains("last line is cut off")), "{told:?}");
    assert!(told.iter().any(|problem| problem.contains("the percentiles of the verdict are used instead")), "{told:?}");
}

#[test]
fn broken_and_foreign_files_are_told_one_by_one_and_the_rest_is_analyzed() {
    let folder = Folder::new();
    write_matrix(&folder.results());
    let write = |name: &str, content: &str| fs::write(folder.results().join(name), content).unwrap();
    let whole = fs::read_to_string(folder.results().join("skip_locked_warm_result.json")).unwrap();
    write("a_result.json", "");
    write("b_result.json", &whole[..whole.len() / 2]);
    write("c_result.json", "<html></html>");
    write("d_result.json", "{\"answer\": 42}");
    write("e_result.json", &whole.replace("\"schema_version\": 1", "\"schema_version\": 7"));
    write("f_result.json", &whole.replace("\"offered_jobs_s\": 500.0", "\"offered_jobs_s\": null"));
    write("g_result.json", &whole);
    let analysis = folder.analyze();
    assert_eq!(analysis.summary.len(), 12);
    let told: Vec<String> = analysis.problems.iter().map(ToString::to_string).collect();
    for (problem, expected) in told.iter().zip([
        ("a_result.json: is empty"),
        ("b_result.json: is cut off after"),
        ("c_result.json: is not a verdict of qbench"),
        ("d_result.json: is not a verdict of qbench (it has no schema_version)"),
        ("e_result.json: has schema version 7 and this qbench reads version 1"),
        ("f_result.json: says schema version 1 but does not follow it"),
    ]) {
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(told[6].contains("is a second copy of run skip_locked-warm-1"), "{}", told[6]);
    assert_eq!(told.len(), 7);
}

#[test]
fn nothing_to_analyze_is_an_error_that_says_what_to_do() {
    let folder = Folder::new();
    let missing =
        analyze(&[folder.results()], &folder.output(), &Asked::default(), &common::palette()).unwrap_err().to_string();
    assert!(missing.contains("there is no such folder"), "{missing}");

    fs::create_dir_all(folder.results().join("vm1_pg")).unwrap();
    let empty = analyze(&[folder.results()], &folder.output(), &Asked::default(), &common::palette()).unwrap_err();
    assert!(matches!(empty, Error::NothingToAnalyze { .. }));

    Run::new("skip_locked", "warm").write(&folder.results().join("vm1_pg"));
    let hint =
        analyze(&[folder.results()], &folder.output(), &Asked::default(), &common::palette()).unwrap_err().to_string();
    assert!(hint.contains("did you mean") && hint.contains("vm1_pg"), "{hint}");

    fs::write(folder.results().join("x_result.json"), "").unwrap();
    let broken =
        analyze(&[folder.results()], &folder.output(), &Asked::default(), &common::palette()).unwrap_err().to_string();
    assert!(broken.contains("x_result.json: is empty"), "{broken}");
    assert!(!folder.output().exists(), "a failed analysis writes nothing");
}

#[test]
fn two_hosts_and_a_folder_given_twice_make_one_comparison() {
    let folder = Folder::new();
    let (pg, valkey) = (folder.0.path().join("vm1_pg"), folder.0.path().join("vm2_valkey"));
    for (scenario, _) in SCENARIOS {
        for (backend, ..) in &QUICK[..3] {
            Run::new(backend, scenario).write(&pg);
        }
        Run::new("valkey_streams", scenario).write(&valkey);
    }
    let analysis = analyze(&[pg.clone(), valkey, pg], &folder.output(), &Asked::default(), &common::palette()).unwrap();
    assert_eq!((analysis.runs.len(), analysis.summary.len()), (12, 12));
    assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
    assert!(analysis.summary.iter().all(|row| row.runs == 1));
}

/// Writes `records` as the standard interval log, an interval a second, one tag per stage.
fn write_latency_log(path: &Path, records: &[JobRecord]) {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new().begin_log_with(&mut text, &mut serializer).unwrap();
    let second = |record: &JobRecord| record.acked_us / 1_000_000;
    for at_s in records.iter().map(second).collect::<BTreeSet<_>>() {
        for stage in Stage::ALL {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 86_400_000_000, 3).unwrap();
            for record in records.iter().filter(|record| second(record) == at_s) {
                histogram.record(record.stage_us(stage)).unwrap();
            }
            let start = Duration::from_secs(at_s);
            log.write_histogram(&histogram, start, Duration::from_secs(1), Tag::new(stage.name())).unwrap();
        }
    }
    drop(log);
    fs::write(path, text).unwrap();
}

#[test]
fn intervals_of_a_latency_log_add_up_to_the_percentiles_of_the_job_records() {
    let folder = Folder::new();
    let run = Run::new("skip_locked", "warm").without_metrics();
    run.write(&folder.results());
    let files = RunFiles::new(&folder.results(), "skip_locked", "warm");
    write_latency_log(&files.latency_log(), &run.records());
    let analysis = folder.analyze();
    assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
    let row = cell(&analysis, "skip_locked", "warm");
    let sorted = sorted_us(&run.records(), Stage::EndToEnd);
    for (quantile, shown) in [(0.5, row.latency_p50_ms), (0.99, row.latency_p99_ms), (0.999, row.latency_p999_ms)] {
        let exact = exact_quantile_ms(&sorted, quantile);
        assert!((shown / exact - 1.0).abs() < 0.01, "{quantile}: {shown} against {exact}");
    }
    // Quantiles between those of a verdict can only come from the log.
    assert!(analysis.distribution.iter().any(|row| (row.quantile - 0.25).abs() < 1e-9));
}

#[test]
fn a_latency_log_that_was_cut_off_is_told_and_the_job_records_are_read() {
    let folder = Folder::new();
    let run = Run::new("skip_locked", "warm");
    run.write(&folder.results());
    let path = RunFiles::new(&folder.results(), "skip_locked", "warm").latency_log();
    write_latency_log(&path, &run.records());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let analysis = folder.analyze();
    assert_eq!(analysis.problems.len(), 1, "{:?}", analysis.problems);
    assert!(analysis.problems[0].to_string().contains("the job records are read instead"));
    let exact = exact_quantile_ms(&sorted_us(&run.records(), Stage::EndToEnd), 0.99);
    assert!((cell(&analysis, "skip_locked", "warm").latency_p99_ms / exact - 1.0).abs() < 0.01);
}

#[test]
fn a_shard_is_no_run_by_itself_and_one_that_was_merged_is() {
    let shard = ShardIdentity { number: 2, of: 4, ..ShardIdentity::default() };
    let of_a_shard = |run: Run| run.with(|result| result.identity.shard = Some(shard.clone()));
    let folder = Folder::new();
    of_a_shard(Run::new("skip_locked", "warm")).write(&folder.results());
    let nothing = analyze(&[folder.results()], &folder.output(), &Asked::default(), &common::palette()).unwrap_err();
    let said = nothing.to_string();
    assert!(said.contains("is shard 2/4 of a run") && said.contains("qbench merge"), "{said}");

    Run::new("valkey_streams", "warm").write(&folder.results());
    let analysis = folder.analyze();
    assert_eq!((analysis.runs.len(), analysis.problems.len()), (1, 1), "{:?}", analysis.problems);
    assert_eq!(analysis.runs[0].backend, "valkey_streams");
    let shards = qbench_analysis::load::load_shards(&[folder.results()]).unwrap();
    assert_eq!(shards.runs.len(), 1);
}
