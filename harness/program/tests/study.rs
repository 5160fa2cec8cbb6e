//! `qbench study` as its users meet it: questions are written down before the runs, and stay what they were.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::path::Path;

use program::{run, said};
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::Manifest;

const STUDY: &str = r#"
id = "small"
title = "An embedded queue and one on a server"
limitations = ["Seconds."]
reference = "sqlite"
blocks = 3
seed = 9
profile = "quick"
same-within-percent = 5
backends = ["sqlite", "valkey_streams"]
scenarios = ["cold"]

[base]
rate = 100
duration = "1s"
workers = 4

[[question]]
text = "Is a server slower than a file?"
figures = ["latency_p50_ms"]
backends = ["valkey_streams"]
scenarios = ["cold"]
because = "The median of what a job takes."
"#;

fn manifest(dir: &Path, block: u32) -> Manifest {
    let dir = dir.join(format!("rep-{block:02}"));
    serde_json::from_slice(&fs::read(RunFiles::new(&dir, "sqlite", "cold").manifest()).unwrap()).unwrap()
}

#[test]
fn questions_are_written_down_before_the_runs_and_cannot_be_changed_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("small.toml"), folder.path().join("out"));
    fs::write(&file, STUDY).unwrap();
    let study = |command: &str| run(&format!("study {command} {} --out {}", file.display(), out.display()));
    let words = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();

    assert!(words(&study("status")).contains("not begun"));
    let impossible = STUDY.replace(
        "[[question]]",
        "[capacity]\nslo = \"p98=1ms\"\nscenario = \"cold\"\nprofile = \"quick\"\n\n[[question]]",
    );
    fs::write(&file, impossible).unwrap();
    let refused = study("run");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("p98") && !out.exists(), "{}", said(&refused));
    fs::write(&file, STUDY).unwrap();

    let early = study("report");
    assert_eq!(early.status.code(), Some(2), "{}", said(&early));

    let made = study("run");
    assert!(matches!(made.status.code(), Some(0 | 3)), "{}", said(&made));
    assert_eq!(fs::read_to_string(out.join("study.toml")).unwrap(), STUDY);
    let hash = manifest(&out, 1).study.unwrap();
    assert!(said(&made).contains(&hash) && manifest(&out, 3).study == Some(hash));
    assert!(words(&study("status")).contains("6 of 6 runs finished"), "{}", words(&study("status")));

    let reported = study("report");
    assert_eq!(reported.status.code(), Some(0), "{}", said(&reported));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let (question, latency) =
        (page.find("Is a server slower than a file?").unwrap(), page.find("id=\"latency\"").unwrap());
    assert!(question < latency, "it begins with the questions");
    assert!(out.join("analysis/comparison.csv").exists() && out.join("graphs/latency_comparison.png").exists());

    // `analyze` knows the questions of the folder, too; of one without a study no old answers are left.
    let answers = out.join("analysis/answers.json");
    let reported = fs::read_to_string(&answers).unwrap();
    assert!(reported.contains("Is a server slower than a file?"), "{reported}");
    fs::remove_file(&answers).unwrap();
    let analyze = |more: &str| run(&format!("analyze {0} --output {0}/analysis {more}", out.display()));
    let analyzed = analyze("");
    assert_eq!(analyzed.status.code(), Some(0), "{}", said(&analyzed));
    assert_eq!(fs::read_to_string(&answers).unwrap(), reported);
    let comparison = || fs::read_to_string(out.join("analysis/comparison.csv")).unwrap();
    assert!(comparison().contains(",valkey_streams,cold,\"\",sqlite,"), "the study's reference: {}", comparison());
    assert_eq!(analyze("--reference valkey_streams").status.code(), Some(0));
    assert!(comparison().contains(",sqlite,cold,\"\",valkey_streams,"), "the flag's: {}", comparison());
    fs::rename(out.join("study.toml"), folder.path().join("kept.toml")).unwrap();
    assert_eq!(analyze("").status.code(), Some(0));
    assert!(!answers.exists(), "answers of before");
    fs::rename(folder.path().join("kept.toml"), out.join("study.toml")).unwrap();

    fs::write(&file, STUDY.replace("slower", "faster")).unwrap();
    for command in ["run", "status", "report"] {
        let refused = study(command);
        assert_eq!(refused.status.code(), Some(2), "{command}: {}", said(&refused));
        assert!(said(&refused).contains("does not change its questions"), "{command}: {}", said(&refused));
    }
}
