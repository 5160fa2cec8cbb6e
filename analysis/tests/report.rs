//! The page: what it says, what it weighs, and that it asks nobody for anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::path::Path;

use common::{QUICK, Run, SCENARIOS, seconds};
use qbench_analysis::{Asked, analyze, report};
use qbench_schema::files::RunFiles;
use qbench_schema::result::{LoadMode, TimelineRow};

/// Largest page for twelve cells of ten blocks.
const MOST_BYTES: usize = 2_000_000;

/// Twelve cells of ten blocks, each run with 60 seconds.
fn write_set(dir: &Path) {
    for block in 1..=10 {
        let block_dir = dir.join(format!("rep-{block:02}"));
        std::fs::create_dir_all(&block_dir).unwrap();
        for (backend, ..) in QUICK {
            for (scenario, _) in SCENARIOS {
                let run = Run::new(backend, scenario).block(block).with(|result| {
                    result.jobs.completed = 30_000;
                    let figure = 10.0 + backend.len() as f64 / 10.0 + f64::from(block) / 50.0;
                    (result.end_to_end_ms.p50, result.end_to_end_ms.p99) = (figure, 2.0 * figure);
                    result.timeline = seconds(60, figure);
                });
                let path = RunFiles::new(&block_dir, backend, scenario).result();
                std::fs::write(path, serde_json::to_vec(&run.result).unwrap()).unwrap();
            }
        }
    }
}

fn page(dir: &Path) -> String {
    let output = dir.join("report.html");
    report(dir, &output, &Asked::default(), &common::palette()).unwrap();
    std::fs::read_to_string(output).unwrap()
}

#[test]
fn it_is_one_small_file_that_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path());
    let page = page(folder.path());
    assert!(page.len() <= MOST_BYTES, "{} bytes", page.len());
    assert!(page.contains("default-src 'none'"), "the page itself forbids every request");
    for asks in ["src=\"http", "href=\"http", "@import", "url(http", "<link", "<img", "<iframe"] {
        assert!(!page.contains(asks), "{asks}");
    }
}

#[test]
fn it_begins_with_answers_and_its_figures_are_those_of_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path());
    let analysis =
        analyze(&[folder.path().to_path_buf()], &folder.path().join("analysis"), &Asked::default(), &common::palette())
            .unwrap();
    let page = page(folder.path());
    let (answers, latency) = (page.find("id=\"answers\"").unwrap(), page.find("id=\"latency\"").unwrap());
    assert!(answers < latency);
    for row in analysis.comparison.iter().filter(|row| row.figure == "latency_p50_ms") {
        let Some((ratio, low, high)) = row.ratio.zip(row.low).zip(row.high).map(|((a, b), c)| (a, b, c)) else {
            continue;
        };
        assert!(page.contains(&format!("{ratio:.2} times [{low:.2}, {high:.2}], n = 10")), "{row:?}");
        assert!(page.contains(&format!("[{low:.3}, {high:.3}]")), "{row:?}");
    }
    for row in &analysis.summary {
        let (low, high) = (row.latency_p50_ms_low.unwrap(), row.latency_p50_ms_high.unwrap());
        let figure = format!("{:.1} [{low:.1}, {high:.1}]", row.latency_p50_ms);
        assert!(page.contains(&figure), "{}: {figure}", row.backend);
    }
    for section in ["capacity", "ratios", "cost", "background", "validity", "attack", "settings"] {
        assert!(page.contains(&format!("id=\"{section}\"")), "{section}");
    }
    assert!(page.matches("<svg").count() >= 9 && page.matches("role=\"img\"").count() == page.matches("<svg").count());
}

/// What the page's script is given.
fn data(page: &str) -> serde_json::Value {
    let text = page.split_once("id=\"data\">").unwrap().1;
    serde_json::from_str(text.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_largest_latency_is_no_percentile_and_runs_flat_out_have_no_latencies_to_explore() {
    let folder = tempfile::tempdir().unwrap();
    Run::new("skip_locked", "warm").with(|result| result.timeline = seconds(5, 10.0)).write(folder.path());
    let flat_out = Run::new("skip_locked", "flat_out").with(|result| {
        result.identity.mode = LoadMode::Saturation;
        result.timeline = seconds(5, 10.0);
    });
    flat_out.write(folder.path());
    let data = data(&page(folder.path()));

    let percentiles = data["percentiles"].as_array().unwrap();
    assert_eq!(percentiles.iter().map(|of| of["scenario"].as_str().unwrap()).collect::<Vec<_>>(), ["warm"]);
    let nines = percentiles[0]["curves"][0]["nines"].as_array().unwrap();
    let [.., last, largest] = nines.as_slice() else { panic!("{nines:?}") };
    assert_eq!(largest, &percentiles[0]["largest"], "it stands at the place that is called so");
    assert!(largest.as_f64() > last.as_f64(), "{nines:?}");

    for run in data["runs"].as_array().unwrap() {
        let is_flat_out = run["name"].as_str().unwrap().contains("flat_out");
        for key in ["p50", "p99", "max"] {
            assert!(run[key].as_array().unwrap().iter().all(|value| value.is_null() == is_flat_out), "{key}: {run}");
        }
        assert_eq!(run["completed"][0], 500);
    }
}

#[test]
fn what_a_result_says_cannot_become_a_part_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let evil = "</script><script>alert(1)</script>";
    let run = Run::new("skip_locked", "warm").invalid(evil).with(|result| {
        result.identity.host = evil.to_owned();
        result.timeline = vec![TimelineRow { intended: 1, end_to_end_p99_ms: 1.0, ..TimelineRow::default() }];
    });
    std::fs::write(
        RunFiles::new(folder.path(), "skip_locked", "warm").result(),
        serde_json::to_vec(&run.result).unwrap(),
    )
    .unwrap();
    let page = page(folder.path());
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
}
