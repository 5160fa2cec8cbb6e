//! Job files as Parquet: read back, they are what was written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::Run;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use qbench_analysis::export_parquet;
use qbench_schema::files::RunFiles;
use qbench_schema::record::{JobRecord, Outcome, Phase};

/// More than a row group holds.
const JOBS: u64 = 140_000;

fn record(job: u64) -> JobRecord {
    let at_us = 1_000 * job;
    JobRecord {
        job,
        worker: (job % 7) as u32,
        attempt: 1 + (job % 2) as u32,
        intended_us: at_us,
        released_us: at_us + 1,
        sent_us: at_us + 2,
        enqueued_us: at_us + 30,
        claimed_us: at_us + 400,
        started_us: at_us + 401,
        finished_us: at_us + 10_000,
        acked_us: at_us + 11_000 + job % 13,
        phase: if job < 10 { Phase::Warmup } else { Phase::Measured },
        outcome: if job.is_multiple_of(5) { Outcome::Stale } else { Outcome::Acked },
    }
}

fn write(dir: &Path, block: u32, lines: &[u8]) {
    write_as(&format!("run-{block}"), dir, block, lines);
}

fn write_as(run_id: &str, dir: &Path, block: u32, lines: &[u8]) {
    let run = Run::new("skip_locked", "warm").block(block);
    let run = run.with(|result| result.identity.run_id = run_id.to_owned());
    let dir = dir.join(format!("rep-{block:02}"));
    std::fs::create_dir_all(&dir).unwrap();
    let files = RunFiles::new(&dir, "skip_locked", "warm");
    std::fs::write(files.result(), serde_json::to_vec(&run.result).unwrap()).unwrap();
    File::create(files.metrics()).unwrap().write_all(lines).unwrap();
}

fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
    row.get_column_iter().find(|(known, _)| *known == name).map(|(_, field)| field).unwrap()
}

#[test]
fn every_record_is_a_row_with_its_run_and_its_types() {
    let folder = tempfile::tempdir().unwrap();
    let (results, output) = (folder.path().join("results"), folder.path().join("parquet"));
    let mut lines = Vec::new();
    for job in 0..JOBS {
        serde_json::to_writer(&mut lines, &record(job)).unwrap();
        lines.push(b'\n');
    }
    write(&results, 1, &lines);
    // Of the second run the last line was cut off.
    let two = lines.split_inclusive(|byte| *byte == b'\n').take(2).collect::<Vec<_>>().concat();
    write(&results, 2, &two[..two.len() - 20]);
    // The third is damaged.
    write(&results, 3, &[b"no record\n".as_slice(), &two].concat());

    let exported = export_parquet(std::slice::from_ref(&results), &output).unwrap();
    let names: Vec<_> = exported.written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["skip_locked_warm_block-01_metrics.parquet", "skip_locked_warm_block-02_metrics.parquet"]);
    let told: Vec<String> = exported.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|problem| problem.contains("cut off")), "{told:?}");
    let damaged = told.iter().find(|problem| problem.contains("line 1 is not a job record")).unwrap();
    assert!(damaged.contains("rep-03") && !damaged.contains("has space"), "{damaged}");
    assert_eq!(std::fs::read_dir(&output).unwrap().count(), 2, "nothing half written is left");

    let reader = SerializedFileReader::new(File::open(&exported.written[0]).unwrap()).unwrap();
    assert_eq!(reader.num_row_groups(), 2);
    let mut job = 0;
    for row in reader.get_row_iter(None).unwrap() {
        let (row, record) = (row.unwrap(), record(job));
        assert_eq!(field(&row, "job"), &Field::ULong(record.job));
        assert_eq!(field(&row, "worker"), &Field::UInt(record.worker));
        assert_eq!(field(&row, "attempt"), &Field::UInt(record.attempt));
        assert_eq!(field(&row, "intended_us"), &Field::ULong(record.intended_us));
        assert_eq!(field(&row, "acked_us"), &Field::ULong(record.acked_us));
        let outcome = if job.is_multiple_of(5) { "stale" } else { "acked" };
        assert_eq!(field(&row, "outcome"), &Field::Str(outcome.to_owned()));
        assert_eq!(field(&row, "phase"), &Field::Str(if job < 10 { "warmup" } else { "measured" }.to_owned()));
        assert_eq!(field(&row, "backend"), &Field::Str("skip_locked".to_owned()));
        assert_eq!(field(&row, "block"), &Field::UInt(1));
        job += 1;
    }
    assert_eq!(job, JOBS);
    let second = SerializedFileReader::new(File::open(&exported.written[1]).unwrap()).unwrap();
    assert_eq!(second.get_row_iter(None).unwrap().count(), 1);
}

#[test]
fn runs_of_one_name_and_block_in_several_folders_have_a_file_each() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = ["again/vm1", "vm1", "vm2"].map(|name| folder.path().join(name));
    for (input, jobs) in inputs.iter().zip(1..) {
        let lines = (0..jobs).map(|job| serde_json::to_string(&record(job)).unwrap() + "\n").collect::<String>();
        write_as(&format!("run of {}", input.display()), input, 1, lines.as_bytes());
    }
    let output = folder.path().join("parquet");
    let exports = [inputs.clone().to_vec(), inputs.iter().rev().cloned().collect()].map(|inputs| {
        let exported = export_parquet(&inputs, &output).unwrap();
        assert!(exported.problems.is_empty(), "{:?}", exported.problems);
        let jobs = |path: &PathBuf| {
            SerializedFileReader::new(File::open(path).unwrap()).unwrap().get_row_iter(None).unwrap().count()
        };
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        exported.written.iter().map(|path| (name(path), jobs(path))).collect::<Vec<_>>()
    });
    assert_eq!(exports[0], exports[1], "whatever the order of the folders");
    let expected = [
        ("skip_locked_warm_block-01_vm1_metrics.parquet", 1),
        ("skip_locked_warm_block-01_vm1-2_metrics.parquet", 2),
        ("skip_locked_warm_block-01_vm2_metrics.parquet", 3),
    ];
    assert_eq!(exports[0], expected.map(|(name, jobs)| (name.to_owned(), jobs)));
}

#[test]
fn results_without_job_files_say_so() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, b"");
    let files = RunFiles::new(&folder.path().join("rep-01"), "skip_locked", "warm");
    std::fs::remove_file(files.metrics()).unwrap();
    let error = export_parquet(&[folder.path().to_path_buf()], &folder.path().join("parquet")).unwrap_err().to_string();
    assert!(error.contains("has a job file"), "{error}");
}
