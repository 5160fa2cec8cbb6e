//! The sections below the answers.

use std::collections::BTreeMap;

use maud::{Markup, html};
use qbench_schema::comparison::{ComparisonRow, Verdict, percent};
use qbench_schema::result::{LoadMode, RunStatus, word};
use qbench_schema::summary::{BETWEEN_SETTINGS, SummaryRow};

use super::charts::{self, WithInterval};
use super::table::{Head, plain, table};
use super::{Material, class, verdict_word};
use crate::headline::{HEADLINES, Headline};
use crate::order::distinct_scenarios;
use crate::tables::aa::{Scatter, scatter};
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

fn scenarios<'a>(of: &'a Material, is_shown: impl Fn(&SummaryRow) -> bool) -> Vec<&'a str> {
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

fn valid(row: &SummaryRow) -> Markup {
    yes_or_no(row.valid)
}

fn yes_or_no(valid: bool) -> Markup {
    html! { @if valid { "yes" } @else { span.invalid { "NO" } } }
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
            @if of.capacity.iter().any(|row| !row.probes.is_empty()) {
                (charts::rate_latency(&of.capacity, &of.capacity_colours))
            }
            (table("Brackets", &[Head::words("queue"), Head::words("scenario"), Head::figures("passed, jobs/s"), Head::figures("failed, jobs/s"), Head::figures("probes did not agree between, jobs/s"), Head::words("limit"), Head::figures("server CPU, us/job"), Head::figures("probes"), Head::words("confirmed"), Head::prose("what failed")], of.capacity.iter().map(|row| vec![
                plain(&row.backend),
                plain(&row.scenario),
                plain(row.passed_jobs_s.map_or("-".to_owned(), number)),
                plain(row.failed_jobs_s.map_or("-".to_owned(), number)),
                plain(row.contested_jobs_s().map_or("-".to_owned(), |(low, high)| format!("{} and {}", number(low), number(high)))),
                plain(&row.slo),
                plain(row.cpu_server_us_per_job.map_or("-".to_owned(), number)),
                plain(row.probes.len().to_string()),
                plain(if row.confirmed { "yes" } else { "no" }),
                plain(row.failed_because.clone().unwrap_or_default()),
            ]).collect()))
        }
        @for scenario in scenarios(of, is_flat_out) {
            h3 { "Scenario " (scenario) ": flat out" }
            @if let Some(drawing) = charts::bars(of, scenario, "Throughput flat out", "jobs/s", |run| Some(run.throughput_jobs_s), throughput) { (drawing) }
            (table(&format!("Flat out, scenario {scenario}"), &[Head::words("queue"), Head::figures("jobs/s"), Head::figures("server CPU, us/job"), Head::figures("n"), Head::words("valid"), Head::words("class")],
                of.cells().filter(|(row, ..)| row.scenario == scenario && is_flat_out(row)).map(|(row, name, _)| vec![
                    plain(name),
                    plain(figure(throughput(row))),
                    plain(figure((row.cpu_server_us_per_job, row.cpu_server_us_per_job_low, row.cpu_server_us_per_job_high))),
                    plain(row.runs.to_string()),
                    valid(row),
                    plain(class(row)),
                ]).collect()))
        }
    }
}

pub(super) fn latency(of: &Material) -> Markup {
    html! {
        p { "From the instant at which the schedule wanted a job to its ack. A figure is the median over runs; brackets hold its 95 % interval, dots are single runs." }
        @for scenario in scenarios(of, |row| !is_flat_out(row)) {
            h3 { "Scenario " (scenario) }
            (table(&format!("Latency in ms, scenario {scenario}"), &[Head::words("queue"), Head::figures("offered, jobs/s"), Head::figures("p50"), Head::figures("p95"), Head::figures("p99"), Head::figures("p99.9"), Head::figures("n"), Head::words("valid"), Head::words("steady"), Head::words("class")],
                of.cells().filter(|(row, ..)| row.scenario == scenario).map(|(row, name, _)| {
                    let mut cells = vec![plain(name), plain(number(row.offered_jobs_s))];
                    cells.extend(PERCENTILES.iter().map(|(_, value, _)| plain(if row.runs == 0 { "-".to_owned() } else { figure(value(row)) })));
                    cells.extend([
                        plain(row.runs.to_string()),
                        valid(row),
                        plain(match row.steady { Some(true) => "yes", Some(false) => "no", None => "too short to tell" }),
                        plain(class(row)),
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
    let of_figure =
        |figure: &str| of.comparison.iter().filter(|row| row.figure == figure).collect::<Vec<&ComparisonRow>>();
    html! {
        p {
            "The word takes the exact sign-flip test over blocks, adjusted by Holm for all comparisons of the figure in its scenario, at 5 %; \"same\" is within " (percent(of.same_within())) " to either side. What is refused says why. "
            "Shaded: within " (percent(of.same_within())) "."
        }
        @for Headline { column, title, .. } in &HEADLINES {
            @let rows = of_figure(column);
            @if !rows.is_empty() {
                @if let Some(drawing) = charts::forest(&rows, title) { (drawing) }
                (table(&format!("{title}: ratios"), &[Head::words("queue"), Head::words("scenario"), Head::words("against"), Head::figures("ratio"), Head::figures("95 % interval"), Head::figures("n"), Head::figures("p"), Head::words("word"), Head::prose("why")], rows.iter().map(|row| vec![
                    plain(named(&row.backend, &row.variant)),
                    plain(&row.scenario),
                    plain(&row.reference),
                    plain(row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))),
                    plain(row.low.zip(row.high).map_or("-".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"))),
                    plain(row.n.to_string()),
                    plain(row.p_adjusted.map_or("-".to_owned(), |p| format!("{p:.3}"))),
                    html! { span class=(verdict_word(row)) { (verdict_word(row)) } },
                    plain(match row.verdict {
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
    let optional = |value: Option<f64>| plain(value.map_or("-".to_owned(), number));
    html! {
        @for scenario in scenarios(of, |row| !is_flat_out(row)) {
            (table(&format!("Cost of one job, scenario {scenario}"), &[Head::words("queue"), Head::figures("server CPU, us"), Head::figures("harness CPU, us"), Head::figures("round trips"), Head::figures("log, bytes"), Head::figures("fsyncs"), Head::figures("dead tuples"), Head::figures("connections per worker")],
                of.cells().filter(|(row, ..)| row.scenario == scenario && row.runs > 0).map(|(row, name, _)| vec![
                    plain(name),
                    plain(figure((row.cpu_server_us_per_job, row.cpu_server_us_per_job_low, row.cpu_server_us_per_job_high))),
                    optional(row.cpu_harness_us_per_job),
                    optional(row.round_trips_per_job),
                    optional(row.log_bytes_per_job),
                    optional(row.fsyncs_per_job),
                    optional(row.dead_tuples_per_job),
                    plain(row.connections_per_worker.map_or("-".to_owned(), |count| count.to_string())),
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
                plain(name),
                plain(&row.scenario),
                plain(figure((row.background_tps, row.background_tps_low, row.background_tps_high))),
                plain(row.background_latency_ms.map_or("-".to_owned(), number)),
                plain(row.cpu_background_pct.map_or("-".to_owned(), number)),
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() {
            p.note { "No run here had a background load (scenario load)." }
        } @else {
            (table("What pgbench achieved beside each queue", &[Head::words("queue"), Head::words("scenario"), Head::figures("pgbench, transactions/s"), Head::figures("its latency, ms"), Head::figures("its CPU, % of a core")], rows))
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
            (table("Runs that a reader must know more about", &[Head::words("run"), Head::figures("block"), Head::words("audit"), Head::figures("lost"), Head::figures("doubled"), Head::words("valid"), Head::prose("why")], told.iter().map(|run| vec![
                plain(format!("{} {}", run.backend, run.scenario)),
                plain(run.block.to_string()),
                plain(word(run.verdict)),
                plain(run.lost.to_string()),
                plain(run.duplicated.to_string()),
                yes_or_no(run.valid),
                plain([run.reasons.as_str(), run.unsteady.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")),
            ]).collect()))
        }
    }
}

pub(super) fn machines(of: &Material) -> Markup {
    html! {
        @let calibrations = of.machines.calibrations();
        @if calibrations.is_empty() {
            p.note { "No machine was calibrated here (qbench matrix --calibrate); what a block's hour did to all its runs cancels out in the ratios." }
        } @else {
            @for (first, second, apart) in of.machines.pairs() {
                p {
                    @if apart.iter().all(|figure| figure.alike) {
                        b { (second) } " and " b { (first) } " are alike in all that was measured before and after their blocks, so their cells are compared."
                    } @else {
                        b { (second) } " and " b { (first) } " are not alike, so ratios across them are withheld."
                    }
                }
                (table(&format!("{second} over {first}"), &[Head::words("figure"), Head::figures("ratio"), Head::figures("90 % interval"), Head::figures("limit"), Head::figures("n"), Head::words("word")], apart.iter().map(|figure| vec![
                    plain(&figure.figure),
                    plain(figure.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))),
                    plain(figure.low.zip(figure.high).map_or("-".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"))),
                    plain(percent(figure.alike_within)),
                    plain(figure.n.to_string()),
                    plain(if figure.alike { "alike" } else { "not alike" }),
                ]).collect()))
            }
            (table("Calibrations, in the order of time", &[Head::words("machine"), Head::words("when"), Head::figures("CPU, one core"), Head::figures("all cores"), Head::figures("memory, MB/s"), Head::figures("fdatasync, us"), Head::figures("fsync, us"), Head::figures("loopback, us"), Head::figures("timer late at p99, us"), Head::figures("steal, %")], calibrations.iter().map(|one| vec![
                plain(format!("{} {}", one.host, one.host_id)),
                plain(one.started_at.get(..16).unwrap_or(&one.started_at)),
                plain(number(one.cpu_one_core)),
                plain(number(one.cpu_all_cores)),
                plain(number(one.memory_mb_s)),
                plain(number(one.fdatasync_us.p50)),
                plain(number(one.fsync_us.p50)),
                plain(number(one.loopback_us.p50)),
                plain(number(one.hiccup_us.p99)),
                plain(number(one.steal_pct)),
            ]).collect()))
        }
    }
}

pub(super) fn aa(of: &Material) -> Markup {
    let spread = scatter(&of.summary.cells, &of.summary.runs_of_cells);
    html! {
        @if spread.is_empty() {
            p.note {
                "No queue was run against itself here. How far runs that do the same lie apart shows in the dots above, and in the smallest ratio that "
                "the blocks of each comparison find; qbench matrix --plan aa measures it by itself."
            }
        } @else {
            p { "Standard deviation of runs that do the same, both arms together. Between hours: what they have apart beyond the scatter within them." }
            (table("Runs of the same against each other", &Scatter::HEAD.map(Head::words), spread.iter().map(|line| line.cells().iter().map(plain).collect()).collect()))
        }
    }
}

pub(super) fn attack(of: &Material) -> Markup {
    let hosts = super::distinct(of.summary.cells.iter().map(|row| row.host.as_str()));
    let fewest = of.summary.cells.iter().map(|row| row.runs).min().unwrap_or(0);
    html! {
        @if !of.limitations.is_empty() {
            p { "What was known before the runs, and stays true after them:" }
            ul { @for limitation in of.limitations { li { (limitation) } } }
            p { "And beyond that:" }
        }
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
    let cells: Vec<(&SummaryRow, &str, &str)> = of.cells().filter(|(row, ..)| row.runs > 0).collect();
    let of_runs: Vec<Column> = cells
        .iter()
        .map(|(row, name, _)| Column::new(format!("{name} in {}", row.scenario), &row.configuration, " "))
        .collect();
    html! {
        details {
            summary { "Settings of the runs" }
            (side_by_side("Settings of the runs, a column per cell; those that differ first", &of_runs))
        }
        @for (engine, servers) in servers(&cells) {
            details {
                summary { "Settings of " (engine) ", as read back" }
                (side_by_side(&format!("Settings of {engine}, a column per server; those that differ first"), &servers))
            }
        }
    }
}

/// Settings that stand in one column: whose they are, and keys with their values.
struct Column<'a> {
    title: String,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Column<'a> {
    fn new(title: String, text: &'a str, between: &str) -> Self {
        Column { title, pairs: text.split(between).filter_map(|pair| pair.split_once('=')).collect() }
    }

    fn value(&self, key: &str) -> &'a str {
        self.pairs.iter().find(|(known, _)| *known == key).map_or("-", |(_, value)| *value)
    }
}

/// The servers of each engine, those of one version with equal settings together.
fn servers<'a>(cells: &[(&'a SummaryRow, &str, &str)]) -> BTreeMap<&'a str, Vec<Column<'a>>> {
    let mut alike: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
    for (row, name, _) in cells {
        let server = (row.engine.as_str(), row.engine_version.as_str(), row.server_settings.as_str());
        alike.entry(server).or_default().push(format!("{name} in {}", row.scenario));
    }
    let mut engines: BTreeMap<&str, Vec<Column>> = BTreeMap::new();
    for ((engine, version, settings), of_cells) in alike {
        let title = format!("{version}: {}", of_cells.join(", "));
        engines.entry(engine).or_default().push(Column::new(title, settings, BETWEEN_SETTINGS));
    }
    engines
}

/// A row per setting; those in which the columns differ come first.
fn side_by_side(caption: &str, columns: &[Column]) -> Markup {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in columns.iter().flat_map(|column| &column.pairs) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    keys.sort_by_key(|key| columns.windows(2).all(|pair| pair[0].value(key) == pair[1].value(key)));
    let of_columns = columns.iter().map(|column| Head::prose(&column.title));
    let heads: Vec<Head> = [Head::words("setting")].into_iter().chain(of_columns).collect();
    let row =
        |key: &&str| [plain(key)].into_iter().chain(columns.iter().map(|column| plain(column.value(key)))).collect();
    table(caption, &heads, keys.iter().map(row).collect())
}
