//! The page in a real browser: it draws without a word in the console, asks nobody for anything, and says what `summary.csv` says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Run, seconds};
use qbench_analysis::{Asked, analyze, report};
use qbench_schema::files::RunFiles;
use qbench_schema::summary::SummaryRow;

/// Names under which Chromium is installed.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What became of a page that the browser opened.
struct Opened {
    /// The document, scripts having run.
    dom: String,
    /// What stood in the console.
    console: Vec<String>,
    /// What the page asked the network for.
    requests: Vec<String>,
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found =
        std::env::split_paths(&path).flat_map(|dir| PROGRAMS.map(|name| dir.join(name))).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("there is no Chromium: orchestration/install.sh --with chromium installs it"))
}

fn open(page: &Path) -> Opened {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("net.json");
    let output = Command::new(program())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--virtual-time-budget=5000", "--window-size=1000,2000"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        // Its caches and settings go where its profile is.
        .env("HOME", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Opened { dom: String::from_utf8(output.stdout).unwrap(), console, requests: requests_of_pages(&log) }
}

/// The addresses that documents asked for; what the browser asks on its own account has no document behind it.
fn requests_of_pages(log: &Path) -> Vec<String> {
    let log: serde_json::Value = serde_json::from_slice(&std::fs::read(log).unwrap()).unwrap();
    let params = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    params
        .filter(|params| params["initiator"].as_str().is_some_and(|initiator| initiator != "not an origin"))
        .filter_map(|params| params["url"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Two queues in two scenarios, four blocks each.
fn write_set(dir: &Path) {
    for block in 1..=4 {
        let block_dir = dir.join(format!("rep-{block:02}"));
        std::fs::create_dir_all(&block_dir).unwrap();
        for (backend, factor) in [("skip_locked", 1.0), ("valkey_streams", 0.7)] {
            for scenario in ["warm", "load"] {
                let figure = factor * (10.0 + f64::from(block) / 50.0);
                let run = Run::new(backend, scenario).block(block).with(|result| {
                    result.jobs.completed = 30_000;
                    (result.end_to_end_ms.p50, result.end_to_end_ms.p99) = (figure, 2.0 * figure);
                    (result.end_to_end_ms.p95, result.end_to_end_ms.p999) = (1.5 * figure, 3.0 * figure);
                    result.timeline = seconds(30, figure);
                });
                let path = RunFiles::new(&block_dir, backend, scenario).result();
                std::fs::write(path, serde_json::to_vec(&run.result).unwrap()).unwrap();
            }
        }
    }
}

/// The text of each cell of each row of the table with that caption.
fn table(dom: &str, caption: &str) -> Vec<Vec<String>> {
    let begin = dom.find(&format!("<caption>{caption}</caption>")).unwrap_or_else(|| panic!("no table {caption}"));
    let body = dom[begin..].split("</table>").next().unwrap().split("<tbody>").nth(1).unwrap();
    let text = |cell: &str| {
        let mut text = String::new();
        let mut is_tag = false;
        for letter in cell.split_once('>').unwrap().1.chars() {
            match letter {
                '<' => is_tag = true,
                '>' => is_tag = false,
                letter if !is_tag => text.push(letter),
                _ => {}
            }
        }
        text
    };
    let cells = |row: &str| row.split("<td").skip(1).map(text).collect();
    body.split("<tr>").skip(1).map(cells).collect()
}

#[test]
fn the_page_draws_silently_asks_nobody_and_says_what_the_summary_says() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path());
    let analysis =
        analyze(&[folder.path().to_path_buf()], &folder.path().join("analysis"), &Asked::default(), &common::palette())
            .unwrap();
    // From another folder than the results: the page is all that it needs.
    let elsewhere = tempfile::tempdir().unwrap();
    let page = elsewhere.path().join("report.html");
    report(folder.path(), &page, &Asked::default(), &common::palette()).unwrap();

    let opened = open(&page);
    assert!(opened.console.is_empty(), "{:?}", opened.console);
    assert!(opened.requests.is_empty(), "{:?}", opened.requests);
    assert!(opened.dom.contains("<canvas"), "the script drew");
    assert_eq!(opened.dom.matches("<option").count(), 2 + analysis.runs.len(), "scenarios and runs can be chosen");

    for scenario in ["warm", "load"] {
        let rows = table(&opened.dom, &format!("Latency in ms, scenario {scenario}"));
        let of_page: BTreeMap<&str, &[String]> = rows.iter().map(|row| (row[0].as_str(), &row[2..6])).collect();
        let of_summary = analysis.summary.iter().filter(|row| row.scenario == scenario);
        let of_summary: BTreeMap<&str, Vec<String>> =
            of_summary.map(|row| (row.backend.as_str(), figures(row))).collect();
        assert_eq!(of_page.len(), 2);
        for (backend, figures) in of_summary {
            assert_eq!(of_page[backend], figures, "{backend} in {scenario}");
        }
    }

    // A reader who forbids scripts.
    let forbidden = "<head><meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'\">";
    let silent = elsewhere.path().join("silent.html");
    std::fs::write(&silent, std::fs::read_to_string(&page).unwrap().replacen("<head>", forbidden, 1)).unwrap();
    let silent = open(&silent);
    assert!(!silent.dom.contains("<canvas") && silent.dom.contains("<svg"), "without scripts it has its drawings");
    assert_eq!(table(&silent.dom, "Latency in ms, scenario warm"), table(&opened.dom, "Latency in ms, scenario warm"));
}

/// The percentiles of a row with their intervals, as the page writes them.
fn figures(row: &SummaryRow) -> Vec<String> {
    let number = |value: f64| if value >= 10.0 { format!("{value:.1}") } else { format!("{value:.2}") };
    [
        (row.latency_p50_ms, row.latency_p50_ms_low, row.latency_p50_ms_high),
        (row.latency_p95_ms, row.latency_p95_ms_low, row.latency_p95_ms_high),
        (row.latency_p99_ms, row.latency_p99_ms_low, row.latency_p99_ms_high),
        (row.latency_p999_ms, row.latency_p999_ms_low, row.latency_p999_ms_high),
    ]
    .map(|(value, low, high)| format!("{} [{}, {}]", number(value), number(low.unwrap()), number(high.unwrap())))
    .to_vec()
}

#[test]
fn percentiles_can_be_explored_where_no_run_has_its_seconds() {
    let folder = tempfile::tempdir().unwrap();
    Run::new("skip_locked", "warm").write(folder.path());
    let page = folder.path().join("report.html");
    report(folder.path(), &page, &Asked::default(), &common::palette()).unwrap();
    let opened = open(&page);
    assert!(opened.console.is_empty(), "{:?}", opened.console);
    assert!(
        opened.dom.contains("<section id=\"explorer\">") && opened.dom.contains("<canvas"),
        "it is shown and drawn"
    );
    assert!(opened.dom.contains("<div id=\"seconds\" hidden=\"\">"), "without a list of runs that is empty");
}

#[test]
fn a_page_that_asks_and_complains_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("asks.html");
    std::fs::write(&page, "<img src=\"http://127.0.0.1:9/picture\"><script>console.error('a complaint')</script>")
        .unwrap();
    let opened = open(&page);
    assert!(opened.requests.iter().any(|url| url.contains("127.0.0.1:9/picture")), "{:?}", opened.requests);
    assert!(opened.console.iter().any(|line| line.contains("a complaint")), "{:?}", opened.console);
}
