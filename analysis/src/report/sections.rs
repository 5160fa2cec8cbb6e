//! The sections below the answers.

use maud::{Markup, html};
use qbench_schema::comparison::{ComparisonRow, Verdict};
use qbench_schema::result::{LoadMode, RunStatus, word};
use qbench_schema::summary::{BETWEEN_SETTINGS, SummaryRow};

use super::charts::{self, WithInterval};
use super::{Material, class, verdict_word};
use crate::order::distinct_scenarios;
use crate::tables::number;
use crate::variant::named;

/// Figures of a latency section: heading, figure and interval of a cell, figure of a run.
type Percentile = (&'static str, fn(&SummaryRow) -> WithInterval, fn(&qbench_schema::summary::RunRow) -> Option<f64>);

const PERCENTILES: [Percentile; 4] = [
    (
        "p50",
        |row| (Some(row.latency_p50_ms), row.latency_p50_ms_low, row.latency_p50_ms_high),
        |run| Some(run.latency_p50_ms),
    ),
    (
        "p95",
        |row| (Some(row.latency_p95_ms), row.latency_p95_ms_low, row.latency_p95_ms_high),
        |run| Some(run.latency_p95_ms),
    ),
    (
        "p99",
        |row| (Some(row.latency_p99_ms), row.latency_p99_ms_low, row.latency_p99_ms_high),
        |run| Some(run.latency_p99_ms),
    ),
    (
        "p99.9",
        |row| (Some(row.latency_p999_ms), row.latency_p999_ms_low, row.latency_p999_ms_high),
        |run| Some(run.latency_p999_ms),
    ),
];

fn scenarios(of: &Material, is_shown: impl Fn(&SummaryRow) -> bool) -> Vec<&str> {
    distinct_scenarios(of.summary.cells.iter().filter(|row| is_shown(row)).map(|row| row.scenario.as_str()))
}

fn is_flat_out(row: &SummaryRow) -> bool {
    row.mode == LoadMode::Saturation
}

/// `9.6 [9.1, 10.1]`.
fn figure((value, low, high): WithInterval) -> String {
    match (value, low, high) {
        (Some(value), Some(low), Some(high)) => format!("{} [{}, {}]", number(value), number(low), number(high)),
        (Some(value), ..) => number(value),
        (None, ..) => "-".to_owned(),
    }
}

/// A table that a narrow screen scrolls by itself.
fn table(caption: &str, head: &[&str], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for title in head { th scope="col" { (title) } } } }
                tbody { @for row in rows { tr { @for cell in row { (cell) } } } }
            }
        }
    }
}

fn td(text: impl AsRef<str>) -> Markup {
    html! { td { (text.as_ref()) } }
}

fn words(text: impl AsRef<str>) -> Markup {
    html! { td.text { (text.as_ref()) } }
}

fn prose(text: impl AsRef<str>) -> Markup {
    html! { td.text.long { (text.as_ref()) } }
}

fn valid(row: &SummaryRow) -> Markup {
    html! { td.text { @if row.valid { "yes" } @else { span.invalid { "NO" } } } }
}

pub(super) fn capacity(of: &Material) -> Markup {
    let throughput =
        |row: &SummaryRow| (Some(row.throughput_jobs_s), row.throughput_jobs_s_low, row.throughput_jobs_s_high);
    html! {
        @if of.capacity.is_empty() && !of.summary.cells.iter().any(is_flat_out) {
            p.note { "Nothing here ran flat out, and no capacity was searched (qbench capacity)." }
        }
        @if !of.capacity.is_empty() {
            p { "A bracket is the last rate that passed, and the first that failed. A probe passes below the limit, with a backlog that does not grow and no gate tripped." }
            (charts::rate_latency(&of.capacity, &of.capacity_colours))
            (table("Brackets", &["queue", "scenario", "passed, jobs/s", "failed, jobs/s", "limit", "server CPU, us/job", "probes", "confirmed", "what failed"], of.capacity.iter().map(|row| vec![
                words(&row.backend),
                words(&row.scenario),
                td(row.passed_jobs_s.map_or("-".to_owned(), number)),
                td(row.failed_jobs_s.map_or("-".to_owned(), number)),
                words(&row.slo),
                td(row.cpu_server_us_per_job.map_or("-".to_owned(), number)),
                td(row.probes.len().to_string()),
                words(if row.confirmed { "yes" } else { "no" }),
                prose(row.failed_because.clone().unwrap_or_default()),
            ]).collect()))
        }
        @for scenario in scenarios(of, is_flat_out) {
            h3 { "Scenario " (scenario) ": flat out" }
            @if let Some(drawing) = charts::bars(of, scenario, "Throughput flat out", "jobs/s", |run| Some(run.throughput_jobs_s), throughput) { (drawing) }
            (table(&format!("Flat out, scenario {scenario}"), &["queue", "jobs/s", "server CPU, us/job", "n", "valid", "class"],
                of.cells().filter(|(row, ..)| row.scenario == scenario && is_flat_out(row)).map(|(row, name, _)| vec![
                    words(name),
                    td(figure(throughput(row))),
                    td(figure((row.cpu_server_us_per_job, row.cpu_server_us_per_job_low, row.cpu_server_us_per_job_high))),
                    td(row.runs.to_string()),
                    valid(row),
                    words(class(row)),
                ]).collect()))
        }
    }
}

pub(super) fn latency(of: &Material) -> Markup {
    html! {
        p { "From the instant at which the schedule wanted a job to its ack. A figure is the median over runs; brackets hold its 95 % interval, dots are single runs." }
        @for scenario in scenarios(of, |row| !is_flat_out(row)) {
            h3 { "Scenario " (scenario) }
            (table(&format!("Latency in ms, scenario {scenario}"), &["queue", "offered, jobs/s", "p50", "p95", "p99", "p99.9", "n", "valid", "steady", "class"],
                of.cells().filter(|(row, ..)| row.scenario == scenario).map(|(row, name, _)| {
                    let mut cells = vec![words(name), td(number(row.offered_jobs_s))];
                    cells.extend(PERCENTILES.iter().map(|(_, value, _)| td(if row.runs == 0 { "-".to_owned() } else { figure(value(row)) })));
                    cells.extend([
                        td(row.runs.to_string()),
                        valid(row),
                        words(match row.steady { Some(true) => "yes", Some(false) => "no", None => "too short to tell" }),
                        words(class(row)),
                    ]);
                    cells
                }).collect()))
            @for (title, value, of_run) in [PERCENTILES[0], PERCENTILES[2]] {
                @if let Some(drawing) = charts::bars(of, scenario, title, "ms", of_run, value) { (drawing) }
            }
            @if let Some(drawing) = charts::percentiles(of, scenario) { (drawing) }
        }
    }
}

pub(super) fn ratios(of: &Material) -> Markup {
    const SHOWN: [(&str, &str); 4] = [
        ("throughput_jobs_s", "Throughput flat out"),
        ("latency_p50_ms", "Latency p50"),
        ("latency_p99_ms", "Latency p99"),
        ("cpu_server_us_per_job", "Server CPU per job"),
    ];
    let of_figure =
        |figure: &str| of.comparison.iter().filter(|row| row.figure == figure).collect::<Vec<&ComparisonRow>>();
    html! {
        p {
            "The word takes the exact sign-flip test over blocks, adjusted by Holm for all comparisons of the figure in its scenario, at 5 %; \"same\" is within 5 % to either side. What is refused says why. "
            "Shaded: within 5 %."
        }
        @for (figure, title) in SHOWN {
            @let rows = of_figure(figure);
            @if !rows.is_empty() {
                @if let Some(drawing) = charts::forest(&rows, title) { (drawing) }
                (table(&format!("{title}: ratios"), &["queue", "scenario", "against", "ratio", "95 % interval", "n", "p", "word", "why"], rows.iter().map(|row| vec![
                    words(named(&row.backend, &row.variant)),
                    words(&row.scenario),
                    words(&row.reference),
                    td(row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))),
                    td(row.low.zip(row.high).map_or("-".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"))),
                    td(row.n.to_string()),
                    td(row.p_adjusted.map_or("-".to_owned(), |p| format!("{p:.3}"))),
                    html! { td.text { span class=(verdict_word(row)) { (verdict_word(row)) } } },
                    prose(match row.verdict {
                        Verdict::Undecided => match row.detectable_ratio {
                            Some(ratio) => format!("{}; such blocks find a ratio of {ratio:.2} in four of five studies", row.reason),
                            None => row.reason.clone(),
                        },
                        _ => row.reason.clone(),
                    }),
                ]).collect()))
            }
        }
    }
}

pub(super) fn cost(of: &Material) -> Markup {
    let optional = |value: Option<f64>| td(value.map_or("-".to_owned(), number));
    html! {
        @for scenario in scenarios(of, |row| !is_flat_out(row)) {
            (table(&format!("Cost of one job, scenario {scenario}"), &["queue", "server CPU, us", "harness CPU, us", "round trips", "log, bytes", "fsyncs", "dead tuples", "connections per worker"],
                of.cells().filter(|(row, ..)| row.scenario == scenario && row.runs > 0).map(|(row, name, _)| vec![
                    words(name),
                    td(figure((row.cpu_server_us_per_job, row.cpu_server_us_per_job_low, row.cpu_server_us_per_job_high))),
                    optional(row.cpu_harness_us_per_job),
                    optional(row.round_trips_per_job),
                    optional(row.log_bytes_per_job),
                    optional(row.fsyncs_per_job),
                    optional(row.dead_tuples_per_job),
                    td(row.connections_per_worker.map_or("-".to_owned(), |count| count.to_string())),
                ]).collect()))
        }
    }
}

pub(super) fn background(of: &Material) -> Markup {
    let rows: Vec<Vec<Markup>> = of
        .cells()
        .filter(|(row, ..)| row.background_tps.is_some())
        .map(|(row, name, _)| {
            vec![
                words(name),
                words(&row.scenario),
                td(row.background_tps.map_or("-".to_owned(), number)),
                td(row.background_latency_ms.map_or("-".to_owned(), number)),
                td(row.cpu_background_pct.map_or("-".to_owned(), number)),
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() {
            p.note { "No run here had a background load (scenario load)." }
        } @else {
            (table("What pgbench achieved beside each queue", &["queue", "scenario", "pgbench, transactions/s", "its latency, ms", "its CPU, % of a core"], rows))
        }
    }
}

pub(super) fn validity(of: &Material) -> Markup {
    let count =
        |is: &dyn Fn(&qbench_schema::summary::RunRow) -> bool| of.summary.runs.iter().filter(|run| is(run)).count();
    let finished = count(&|run| run.status == RunStatus::Finished);
    let all_valid = count(&|run| run.valid);
    html! {
        p {
            (of.summary.runs.len()) " runs, " (finished) " finished, " (all_valid) " valid; "
            (of.summary.runs.iter().map(|run| run.lost).sum::<u64>()) " jobs lost, "
            (of.summary.runs.iter().map(|run| run.duplicated).sum::<u64>()) " doubled. Every job of every run was followed and accounted for."
        }
        @let told: Vec<_> = of.summary.runs.iter().filter(|run| !run.valid || !run.unsteady.is_empty() || run.lost + run.duplicated > 0).collect();
        @if told.is_empty() {
            p { "No gate tripped, and no run was unsteady." }
        } @else {
            (table("Runs that a reader must know more about", &["run", "block", "audit", "lost", "doubled", "valid", "why"], told.iter().map(|run| vec![
                words(format!("{} {}", run.backend, run.scenario)),
                td(run.block.to_string()),
                words(word(run.verdict)),
                td(run.lost.to_string()),
                td(run.duplicated.to_string()),
                html! { td.text { @if run.valid { "yes" } @else { span.invalid { "NO" } } } },
                prose([run.reasons.as_str(), run.unsteady.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")),
            ]).collect()))
        }
    }
}

pub(super) fn attack(of: &Material) -> Markup {
    let hosts = super::distinct(of.summary.cells.iter().map(|row| row.host.as_str()));
    let fewest = of.summary.cells.iter().map(|row| row.runs).min().unwrap_or(0);
    html! {
        ul {
            li { "The machine: everything was measured on " (hosts) ". Another machine, disk or kernel may turn the order round." }
            li { "The blocks: the cell with the fewest runs has " (fewest) ". Intervals over blocks hold what the hours of this study did, and no others." }
            li { "The load: constant size, one kind of job, arrivals as the settings below say. A workload of your own is one command away: qbench run --help." }
            li { "The settings: they stand below, as read back from the live servers. Change one with --vary and see." }
            li { "The harness: qbench doctor and make bench show what it costs here; a run near its ceiling says so." }
            li { "Run it again: the manifest beside each result has every setting and seed." }
        }
    }
}

pub(super) fn settings(of: &Material) -> Markup {
    let pairs = |text: &str, between: &str| -> Vec<(String, String)> {
        text.split(between)
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let cells: Vec<(&SummaryRow, &str, &str)> = of.cells().filter(|(row, ..)| row.runs > 0).collect();
    let mut keys: Vec<String> = Vec::new();
    for (row, ..) in &cells {
        for (key, _) in pairs(&row.configuration, " ") {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let value = |row: &SummaryRow, key: &str| {
        pairs(&row.configuration, " ")
            .into_iter()
            .find(|(known, _)| known == key)
            .map_or("-".to_owned(), |(_, value)| value)
    };
    let mut engines: Vec<(&str, &str, &str)> = Vec::new();
    for (row, ..) in &cells {
        let engine = (row.engine.as_str(), row.engine_version.as_str(), row.server_settings.as_str());
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    let mut head = vec!["setting"];
    let titles: Vec<String> = cells.iter().map(|(row, name, _)| format!("{name}, {}", row.scenario)).collect();
    head.extend(titles.iter().map(String::as_str));
    html! {
        details {
            summary { "Settings of the runs" }
            (table("Settings of the runs, a column per cell", &head, keys.iter().map(|key| {
                let mut row = vec![words(key)];
                row.extend(cells.iter().map(|(cell, ..)| words(value(cell, key))));
                row
            }).collect()))
        }
        @for (engine, version, settings) in engines {
            details {
                summary { (engine) " " (version) }
                (table(&format!("Settings of {engine} {version}, as read back"), &["setting", "value"],
                    pairs(settings, BETWEEN_SETTINGS).into_iter().map(|(key, value)| vec![words(key), prose(value)]).collect()))
            }
        }
    }
}
