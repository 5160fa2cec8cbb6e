//! Cells against a reference and result sets against each other: sets whose ratios are known.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::path::Path;

use common::{Run, calibration};
use qbench_analysis::{Across, Asked, analyze, compare, report};
use qbench_schema::calibration::Calibration;
use qbench_schema::comparison::{ComparisonRow, Verdict};
use qbench_schema::files::{CALIBRATION_AFTER_JSON, CALIBRATION_BEFORE_JSON, RunFiles};
use qbench_schema::result::{Delivery, LoadMode, RunResult};
use qbench_schema::study::{Answer, Question};
use serde_json::json;

/// What each block does to everybody.
const HOURS: [f64; 8] = [1.0, 1.3, 0.8, 1.1, 0.95, 1.2, 0.9, 1.05];
/// What it does to one run, in percent.
const SCATTER: [f64; 8] = [0.3, -0.7, 0.9, -0.4, 0.1, 0.8, -0.9, -0.1];

/// Writes `blocks` runs of `backend` whose p50, p99 and server CPU are `ratio` times 10, 20 and 1,000, give or take `spread` percent.
fn write(dir: &Path, backend: &str, blocks: usize, ratio: f64, spread: f64, change: &dyn Fn(&mut RunResult)) {
    write_in("warm", dir, backend, blocks, ratio, spread, change);
}

fn write_in(
    scenario: &str,
    dir: &Path,
    backend: &str,
    blocks: usize,
    ratio: f64,
    spread: f64,
    change: &dyn Fn(&mut RunResult),
) {
    for block in 0..blocks {
        let scatter = SCATTER[(block + backend.len()) % SCATTER.len()];
        let figure = ratio * HOURS[block % HOURS.len()] * (1.0 + spread * scatter / 100.0);
        let run = Run::new(backend, scenario).block(block as u32 + 1).with(|result| {
            result.jobs.completed = 20_000;
            result.identity.delivery = Delivery::AtLeastOnce;
            (result.end_to_end_ms.p50, result.end_to_end_ms.p99) = (10.0 * figure, 20.0 * figure);
            result.cpu_us_per_job.server = Some(1_000.0 * figure);
            change(result);
        });
        let dir = dir.join(format!("rep-{:02}", block + 1));
        std::fs::create_dir_all(&dir).unwrap();
        let path = RunFiles::new(&dir, backend, scenario).result();
        std::fs::write(path, serde_json::to_vec(&run.result).unwrap()).unwrap();
    }
}

fn unchanged(_: &mut RunResult) {}

fn asked(reference: Option<&str>) -> Asked {
    Asked { reference: reference.map(str::to_owned), ..Asked::default() }
}

fn within(dir: &Path, reference: Option<&str>) -> Vec<ComparisonRow> {
    analyze(&[dir.to_path_buf()], &dir.join("analysis"), &asked(reference), &common::palette()).unwrap().comparison
}

#[test]
fn a_question_may_divide_a_scenario_by_another_and_say_what_counts_as_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (backend, beside_a_load) in [("skip_locked", 2.0), ("partitioned", 1.08)] {
        write_in("warm", dir, backend, 8, 1.0, 1.0, &unchanged);
        write_in("load", dir, backend, 8, beside_a_load, 2.0, &unchanged);
    }
    let question = |over: Option<&str>| Question {
        text: "How does tail latency change?".to_owned(),
        figures: vec!["latency_p99_ms".to_owned()],
        backends: vec!["skip_locked".to_owned(), "partitioned".to_owned()],
        scenarios: vec!["load".to_owned()],
        over: over.map(str::to_owned),
        because: "It is the tail.".to_owned(),
    };
    let asked = Asked {
        reference: Some("skip_locked".to_owned()),
        same_within: 0.1,
        questions: vec![question(Some("warm")), question(None)],
        ..Asked::default()
    };
    let analysis = analyze(&[dir.to_path_buf()], &dir.join("analysis"), &asked, &common::palette()).unwrap();
    let [over, against] = analysis.answers.as_slice() else { panic!("{:?}", analysis.answers) };
    let told: Vec<_> = over.rows.iter().map(|row| (row.reference.as_str(), row.verdict)).collect();
    assert_eq!(told, [("skip_locked in warm", Verdict::Slower), ("partitioned in warm", Verdict::Same)]);
    assert!(over.rows.iter().all(|row| row.n == 8 && row.scenario == "load" && row.same_within == 0.1));
    assert!((over.rows[0].ratio.unwrap() - 2.0).abs() < 0.02, "{:?}", over.rows[0]);
    // The reference is not compared with itself.
    let told: Vec<_> = against.rows.iter().map(|row| (row.backend.as_str(), row.reference.as_str())).collect();
    assert_eq!(told, [("partitioned", "skip_locked")]);
    let written: Vec<Answer> =
        serde_json::from_slice(&std::fs::read(dir.join("analysis/answers.json")).unwrap()).unwrap();
    assert_eq!(written.iter().map(|answer| answer.rows.len()).collect::<Vec<_>>(), [2, 1]);

    let page = dir.join("report.html");
    report(dir, &page, &asked, &common::palette()).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("its p99 latency is higher than in warm"), "the sentence names what it is divided by");
    assert!(page.contains("its p99 latency is the same within 10 % as in warm"));

    // Where nobody asks, no answers of before are left.
    within(dir, None);
    assert!(!dir.join("analysis/answers.json").exists());
    within(dir, None);
}

fn p99<'a>(rows: &'a [ComparisonRow], backend: &str) -> &'a ComparisonRow {
    rows.iter().find(|row| row.backend == backend && row.figure == "latency_p99_ms").unwrap()
}

#[test]
fn eight_blocks_against_a_reference_have_the_words_that_their_ratios_deserve() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "skip_locked", 8, 1.0, 1.0, &unchanged);
    write(dir, "partitioned", 8, 1.3, 1.0, &unchanged);
    write(dir, "batch_sql", 8, 1.01, 1.0, &unchanged);
    write(dir, "advisory_lock", 8, 1.0, 40.0, &unchanged);
    let rows = within(dir, Some("skip_locked"));
    let words = ["partitioned", "batch_sql", "advisory_lock"].map(|backend| p99(&rows, backend).verdict);
    assert_eq!(words, [Verdict::Slower, Verdict::Same, Verdict::Undecided]);
    let slower = p99(&rows, "partitioned");
    assert!(slower.low.unwrap() < 1.3 && 1.3 < slower.high.unwrap() && slower.high.unwrap() < 1.35, "{slower:?}");
    assert_eq!((slower.n, slower.paired, slower.p, slower.p_smallest), (8, true, Some(2.0 / 256.0), Some(2.0 / 256.0)));
    assert!(rows.iter().all(|row| row.figure != "throughput_jobs_s"), "at a given rate it is what was offered");
    let csv = std::fs::read_to_string(dir.join("analysis/comparison.csv")).unwrap();
    assert!(
        csv.starts_with(
            "figure,backend,scenario,variant,reference,n,paired,ratio,low,high,p,p_smallest,verdict,reason"
        )
    );
    assert!(csv.contains("slower") && csv.lines().count() == rows.len() + 1);
    // With the slow one as the reference the others are the better ones.
    assert_eq!(p99(&within(dir, Some("partitioned")), "skip_locked").verdict, Verdict::Faster);
    let unknown = analyze(&[dir.to_path_buf()], &dir.join("analysis"), &asked(Some("sqlite")), &common::palette());
    assert!(unknown.unwrap_err().to_string().contains("no run of sqlite"), "names what there is");
}

#[test]
fn a_verdict_that_does_not_tell_its_contract_is_ranked_with_none_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "skip_locked", 8, 1.0, 1.0, &unchanged);
    write(dir, "batch_sql", 8, 2.0, 1.0, &|result| result.identity.delivery = Delivery::AtMostOnce);
    write(dir, "partitioned", 8, 2.0, 1.0, &unchanged);
    for block in 1..=8 {
        let path = RunFiles::new(&dir.join(format!("rep-{block:02}")), "partitioned", "warm").result();
        let mut verdict: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(verdict.as_object_mut().unwrap().remove("delivery").is_some());
        std::fs::write(path, verdict.to_string()).unwrap();
    }
    let rows = within(dir, Some("partitioned"));
    for backend in ["skip_locked", "batch_sql"] {
        let row = p99(&rows, backend);
        assert_eq!(row.verdict, Verdict::Refused, "{row:?}");
        assert!(row.reason.contains("the classes differ") && row.reason.contains("delivery not told"), "{row:?}");
    }
}

#[test]
fn what_must_not_be_compared_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    write(dir, "skip_locked", 8, 1.0, 1.0, &unchanged);
    write(dir, "batch_sql", 8, 2.0, 1.0, &|result| result.identity.delivery = Delivery::AtMostOnce);
    write(dir, "partitioned", 8, 2.0, 1.0, &|result| result.jobs.completed = 9_000);
    write(dir, "delete_returning", 8, 2.0, 1.0, &|result| {
        if result.identity.block == 3 {
            *result = Run::new("delete_returning", "warm").block(3).invalid("1 job was lost").result;
        }
    });
    write(dir, "advisory_lock", 5, 2.0, 1.0, &unchanged);
    write(dir, "sqlite", 2, 2.0, 1.0, &unchanged);
    write(dir, "valkey_streams", 8, 2.0, 1.0, &|result| result.identity.host_id = "other".to_owned());
    let rows = within(dir, Some("skip_locked"));
    for (backend, reason) in [
        ("batch_sql", "the classes differ"),
        ("partitioned", "9000 jobs, and this percentile takes 10000"),
        ("delete_returning", "it is not valid"),
        ("advisory_lock", "5 blocks allow no word: the smallest p that they can have is 0.062"),
        ("sqlite", "2 blocks: an interval takes 3"),
        ("valkey_streams", "different machines"),
    ] {
        let row = p99(&rows, backend);
        assert_eq!(row.verdict, Verdict::Refused, "{backend}");
        assert!(row.reason.contains(reason), "{backend}: {}", row.reason);
    }
    let p50 = rows.iter().find(|row| row.backend == "partitioned" && row.figure == "latency_p50_ms").unwrap();
    assert_eq!(p50.verdict, Verdict::Slower, "9,000 jobs are enough for a median");
    let five = p99(&rows, "advisory_lock");
    assert!(five.low.is_some() && five.p == Some(0.0625), "shown, though nothing is said: {five:?}");
}

#[test]
fn two_sets_are_compared_cell_by_cell_and_what_differs_has_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    for (dir, ratio) in [(&before, 1.0), (&after, 1.2)] {
        write(dir, "skip_locked", 8, ratio, 1.0, &|result| {
            if ratio > 1.0 {
                result.identity.git_revision = "deadbeef0000".to_owned();
                result.identity.run_id.push('b');
            }
        });
    }
    write(&before, "partitioned", 8, 1.0, 1.0, &unchanged);
    let of = |across: &[Across]| compare(&before, &after, across, &common::palette()).unwrap();
    let refused = of(&[]);
    assert!(refused.rows.iter().all(|row| row.verdict == Verdict::Refused && row.reason.contains("--across revision")));
    assert_eq!(refused.alone, ["partitioned in warm is only in the first set"]);
    let compared = of(&[Across::Revision]);
    let row = p99(&compared.rows, "skip_locked");
    assert_eq!((row.verdict, row.paired, row.n), (Verdict::Slower, true, 8));
    assert!((row.ratio.unwrap() - 1.2).abs() < 0.001, "after over before: {row:?}");
    assert!(compared.table.contains("slower") && compared.table.contains("1.200"), "{}", compared.table);
}

#[test]
fn sets_whose_blocks_do_not_pair_are_compared_without_pairs_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    write(&before, "skip_locked", 8, 1.0, 1.0, &unchanged);
    write(&after, "skip_locked", 8, 3.0, 1.0, &|result| {
        result.identity.block += 100;
        result.identity.run_id.push('b');
    });
    let compared = compare(&before, &after, &[], &common::palette()).unwrap();
    let row = p99(&compared.rows, "skip_locked");
    assert_eq!((row.verdict, row.paired, row.n), (Verdict::Slower, false, 8));
    assert!(
        compared.table.contains("8 runs") && compared.table.contains("the blocks do not pair"),
        "{}",
        compared.table
    );
}

#[test]
fn flat_out_throughput_is_compared_and_more_is_better() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let flat_out = |jobs_s: f64| {
        move |result: &mut RunResult| {
            result.identity.mode = LoadMode::Saturation;
            result.throughput_jobs_s = jobs_s * HOURS[result.identity.block as usize - 1];
        }
    };
    write(dir, "skip_locked", 8, 1.0, 1.0, &flat_out(1_000.0));
    write(dir, "partitioned", 8, 1.0, 1.0, &flat_out(1_500.0));
    let rows = within(dir, None);
    let throughput = rows.iter().find(|row| row.figure == "throughput_jobs_s").unwrap();
    assert_eq!((throughput.backend.as_str(), throughput.verdict), ("partitioned", Verdict::Faster));
    assert!(rows.iter().all(|row| row.figure != "latency_p99_ms"), "flat out a latency is the length of the queue");
}

#[test]
fn verdicts_that_have_no_more_than_the_contract_asks_for_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let percentiles = |p50: f64| json!({"p50": p50, "p95": 1.5 * p50, "p99": 2.0 * p50, "p999": 3.0 * p50, "max": 4.0 * p50, "mean": p50});
    for (set, factor) in [("before", 1.0), ("after", 1.2)] {
        for block in 1..=8_u32 {
            let dir = folder.path().join(set).join(format!("rep-{block:02}"));
            std::fs::create_dir_all(&dir).unwrap();
            let figure = 10.0 * factor * (1.0 + SCATTER[block as usize - 1] / 100.0);
            let mut verdict = json!({
                "schema_version": 1, "run_id": format!("{set}-{block}"), "backend": "skip_locked", "engine": "postgresql",
                "queue_type": "skip_locked", "scenario": "warm", "profile": "standard", "durability": "d1", "regime": "normal",
                "offered_jobs_s": 1000.0, "throughput_jobs_s": 999.0,
                "jobs": {"intended": 20_000, "sent": 20_000, "enqueued": 20_000, "completed": 20_000},
                "audit": {"verdict": "ok", "lost": 0, "duplicated": 0, "unexpected": 0, "redelivered": 0, "unknown_outcome": 0},
                "validity": {"valid": true, "reasons": []},
                "backlog": {"start": 0, "end": 0, "max": 4, "slope_jobs_s": 0.0}, "drain_s": 0.0,
                "cpu_pct": {"host": 60.0, "server": 40.0, "harness": 12.0, "background": null},
                "cpu_us_per_job": {"server": 900.0, "harness": 200.0}, "errors": {}, "workers": [], "deadlocks": 0
            });
            for stage in ["end_to_end", "schedule_lag", "release_lag", "producer_wait", "confirm_time", "hiccup"] {
                verdict[format!("{stage}_ms")] = percentiles(figure);
            }
            for stage in ["enqueue_time", "queue_wait", "local_wait", "work_time", "ack_time"] {
                verdict[format!("{stage}_ms")] = percentiles(figure);
            }
            std::fs::write(dir.join("skip_locked_warm_result.json"), verdict.to_string()).unwrap();
        }
    }
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    let compared = compare(&before, &after, &[], &common::palette()).unwrap();
    let p99 = p99(&compared.rows, "skip_locked");
    assert_eq!(
        (p99.n, p99.paired, p99.verdict),
        (8, true, Verdict::Slower),
        "{p99:?}: blocks are those of the folders"
    );
    assert!((p99.ratio.unwrap() - 1.2).abs() < 1e-9 && compared.problems.is_empty(), "{:?}", compared.problems);
}

/// Writes the runs of `backend` in `scenario` under the name of a machine, or whatever else tells them from others of the same name.
fn write_called(called: &str, scenario: &str, dir: &Path, backend: &str, ratio: f64, change: &dyn Fn(&mut RunResult)) {
    write_in(scenario, &dir.join(called), backend, 8, ratio, 1.0, &|result| {
        result.identity.run_id.push_str(called);
        change(result);
    });
}

#[test]
fn after_a_cross_over_each_queue_is_compared_with_the_reference_on_its_own_machine() {
    let folder = tempfile::tempdir().unwrap();
    for (host, slower) in [("one", 1.0), ("two", 2.0)] {
        for (backend, ratio) in [("skip_locked", 1.0), ("partitioned", 1.2)] {
            write_called(host, "warm", folder.path(), backend, slower * ratio, &|result| {
                (result.identity.host, result.identity.host_id) = (host.to_owned(), format!("id of {host}"));
            });
        }
    }
    let dirs = ["one", "two"].map(|host| folder.path().join(host));
    let asked = asked(Some("skip_locked"));
    let analysis = analyze(&dirs, &folder.path().join("analysis"), &asked, &common::palette()).unwrap();
    // What all hosts together say is another test's.
    let is_on_one_host = |row: &&ComparisonRow| !row.variant.starts_with("on ");
    let rows: Vec<_> = analysis
        .comparison
        .iter()
        .filter(|row| row.figure == "latency_p99_ms" && row.backend == "partitioned" && is_on_one_host(row))
        .map(|row| {
            (
                row.variant.as_str(),
                row.reference.as_str(),
                row.verdict,
                row.ratio.map(|ratio| ratio > 1.15 && ratio < 1.25),
            )
        })
        .collect();
    let expected = [
        ("one", "skip_locked (one)", Verdict::Slower, Some(true)),
        ("two", "skip_locked (two)", Verdict::Slower, Some(true)),
    ];
    assert_eq!(rows, expected);
    // The reference itself on the second machine stands beside that on the first one: what the machines have apart.
    let itself: Vec<_> = analysis
        .comparison
        .iter()
        .filter(|row| row.figure == "latency_p99_ms" && row.backend == "skip_locked" && is_on_one_host(row))
        .map(|row| (row.variant.as_str(), row.reference.as_str(), row.verdict))
        .collect();
    assert_eq!(itself, [("two", "skip_locked (one)", Verdict::Refused)]);
}

#[test]
fn a_scenario_is_divided_by_another_on_the_same_server() {
    let folder = tempfile::tempdir().unwrap();
    for (version, slower) in [("15.1", 1.0), ("17.2", 3.0)] {
        for (scenario, ratio) in [("warm", 1.0), ("load", 2.0)] {
            write_called(version, scenario, folder.path(), "skip_locked", slower * ratio, &|result| {
                result.identity.engine_version = version.to_owned();
            });
        }
    }
    let question = Question {
        text: "How does tail latency change?".to_owned(),
        figures: vec!["latency_p99_ms".to_owned()],
        backends: vec!["skip_locked".to_owned()],
        scenarios: vec!["load".to_owned()],
        over: Some("warm".to_owned()),
        because: "It is the tail.".to_owned(),
    };
    let asked = Asked { questions: vec![question], ..asked(Some("skip_locked")) };
    let dirs = ["15.1", "17.2"].map(|version| folder.path().join(version));
    let analysis = analyze(&dirs, &folder.path().join("analysis"), &asked, &common::palette()).unwrap();
    let ratios: Vec<f64> = analysis.answers[0].rows.iter().map(|row| row.ratio.unwrap()).collect();
    assert!(ratios.len() == 2 && ratios.iter().all(|ratio| (ratio - 2.0).abs() < 0.1), "{ratios:?}");
}

#[test]
fn cells_of_two_machines_are_compared_only_where_calibrations_say_that_these_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let dirs = ["one", "two"].map(|host| folder.path().join(host));
    for (dir, backend) in dirs.iter().zip(["skip_locked", "partitioned"]) {
        let host_id = dir.file_name().unwrap().to_str().unwrap();
        write(dir, backend, 8, if backend == "partitioned" { 1.3 } else { 1.0 }, 1.0, &|result| {
            result.identity.host_id = host_id.to_owned();
        });
    }
    let asked = asked(Some("skip_locked"));
    let compared = |cpu: [f64; 2]| {
        for (dir, (host_id, cpu)) in dirs.iter().zip([("one", cpu[0]), ("two", cpu[1])]) {
            for block in 1..=8 {
                for (name, minute) in [(CALIBRATION_BEFORE_JSON, 3), (CALIBRATION_AFTER_JSON, 5)] {
                    let started_at = format!("2026-01-02T03:{minute:02}:00Z");
                    let of_block = Calibration { started_at, ..calibration(host_id, cpu, 500.0) };
                    let text = serde_json::to_vec(&of_block).unwrap();
                    std::fs::write(dir.join(format!("rep-{block:02}")).join(name), text).unwrap();
                }
            }
        }
        let analysis = analyze(&dirs, &folder.path().join("analysis"), &asked, &common::palette()).unwrap();
        let is_told = analysis.problems.iter().any(|problem| problem.message.contains("calibration"));
        assert!(!is_told, "{:?}", analysis.problems);
        (p99(&analysis.comparison, "partitioned").clone(), analysis.table)
    };
    let uncalibrated = analyze(&dirs, &folder.path().join("analysis"), &asked, &common::palette()).unwrap();
    let refused = p99(&uncalibrated.comparison, "partitioned");
    assert!(refused.verdict == Verdict::Refused && refused.reason.contains("not calibrated"), "{refused:?}");

    let (alike, table) = compared([400.0, 404.0]);
    assert_eq!((alike.verdict, alike.n), (Verdict::Slower, 8), "{alike:?}");
    assert!(table.contains("are alike in all that was measured"), "{table}");

    let (slower, table) = compared([400.0, 320.0]);
    assert_eq!(slower.verdict, Verdict::Refused);
    assert!(slower.reason.contains("cpu_one_core 0.80"), "{}", slower.reason);
    assert!(table.contains("withheld"), "{table}");
}

#[test]
fn a_cross_over_tells_the_host_from_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    // The second host takes half as long again for everything, and the queue 0.8 times as long as the reference on either.
    for (host, slower) in [("one", 1.0), ("two", 1.5)] {
        for (backend, ratio) in [("skip_locked", 1.0), ("partitioned", 0.8)] {
            write(&folder.path().join(host), backend, 8, ratio * slower, 1.0, &|result| {
                result.identity.run_id = format!("{}-{host}", result.identity.run_id);
                result.identity.host = host.to_owned();
                result.identity.host_id = host.to_owned();
            });
        }
    }
    let dirs = ["one", "two"].map(|host| folder.path().join(host));
    let analysis = |dirs: &[std::path::PathBuf]| {
        analyze(dirs, &folder.path().join("analysis"), &asked(Some("skip_locked")), &common::palette()).unwrap()
    };
    let comparison = analysis(&dirs).comparison;
    let of = |backend: &str, variant: &str| -> &ComparisonRow {
        let rows: Vec<_> = comparison
            .iter()
            .filter(|row| row.figure == "latency_p99_ms" && row.backend == backend && row.variant == variant)
            .collect();
        rows.iter()
            .find(|row| row.ratio.is_some())
            .unwrap_or_else(|| panic!("{backend} {variant}: {rows:?} of {comparison:?}"))
    };
    let both = of("partitioned", "on 2 hosts");
    assert_eq!((both.reference.as_str(), both.n, both.paired), ("skip_locked (on 2 hosts)", 8, true));
    assert!((both.ratio.unwrap() - 0.8).abs() < 0.01 && both.verdict == Verdict::Faster, "{both:?}");
    let alone = of("partitioned", "two");
    assert_eq!(alone.reference, "skip_locked (two)");
    // The mean over two hosts scatters less than one of them.
    let width = |row: &ComparisonRow| row.high.unwrap() - row.low.unwrap();
    assert!((alone.ratio.unwrap() - 0.8).abs() < 0.02 && width(both) <= width(alone) * 1.01, "{alone:?}");
    for backend in ["skip_locked", "partitioned"] {
        let host = of(backend, "on two");
        assert_eq!(host.reference, format!("{backend} (on one)"));
        assert!((host.ratio.unwrap() - 1.5).abs() < 0.02 && host.verdict == Verdict::Slower, "{host:?}");
    }

    // One host alone is no cross-over.
    let comparison = analysis(&dirs[..1]).comparison;
    assert!(comparison.iter().all(|row| !row.variant.contains("on ")), "{comparison:?}");
}
