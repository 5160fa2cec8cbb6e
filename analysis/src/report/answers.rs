//! What the data say, in sentences: first of all on the page.

use maud::{Markup, html};
use qbench_schema::comparison::{ComparisonRow, Verdict};
use qbench_schema::result::word;
use qbench_schema::study::Question;

use super::Material;
use crate::order::distinct_scenarios;
use crate::variant::named;

/// Figures that sentences are made about: what they are, and the words for better and worse.
const FIGURES: [(&str, &str, &str, &str); 5] = [
    ("throughput_jobs_s", "throughput", "higher", "lower"),
    ("latency_p50_ms", "median latency", "lower", "higher"),
    ("latency_p99_ms", "p99 latency", "lower", "higher"),
    ("latency_p999_ms", "p99.9 latency", "lower", "higher"),
    ("cpu_server_us_per_job", "server CPU per job", "lower", "higher"),
];

pub(super) fn render(of: &Material) -> Markup {
    let scenarios = distinct_scenarios(of.summary.cells.iter().map(|row| row.scenario.as_str()));
    html! {
        @for question in &of.questions {
            @let rows: Vec<&ComparisonRow> = of.comparison.iter().filter(|row| is_asked(question, row)).collect();
            h3 { (question.text) }
            p.faint { (question.because) }
            @if rows.is_empty() {
                p { "The data cannot answer it: none of the runs that it asks for is here." }
            } @else {
                ul.answers { @for sentence in sentences(&rows, true) { li { (sentence) } } }
            }
        }
        @if !of.capacity.is_empty() {
            h3 { "How much does each queue carry?" }
            ul.answers {
                @for row in &of.capacity {
                    li {
                        b { (row.backend) } " in " (row.scenario) ": "
                        @match (row.passed_jobs_s, row.failed_jobs_s) {
                            (Some(passed), Some(failed)) => { "it carries " (passed) " jobs/s and not " (failed) " with " (row.slo) }
                            (Some(passed), None) => { "it carries " (passed) " jobs/s or more with " (row.slo) }
                            (None, Some(failed)) => { "it does not carry " (failed) " jobs/s with " (row.slo) }
                            (None, None) => { "not known" }
                        }
                        @if let Some(because) = &row.failed_because { " (" (because) ")" } "."
                    }
                }
            }
        }
        @for scenario in scenarios {
            @let rows: Vec<&ComparisonRow> = of.comparison.iter().filter(|row| row.scenario == scenario).collect();
            @if !rows.is_empty() {
                h3 { "In " (scenario) ", against " (super::distinct(rows.iter().map(|row| row.reference.as_str()))) }
                ul.answers { @for sentence in sentences(&rows, false) { li { (sentence) } } }
            }
        }
        @if of.comparison.iter().all(|row| matches!(row.verdict, Verdict::Refused)) {
            p { "No comparison here has a word. The reasons stand with each ratio below; most often it takes more blocks (--repeat), or cells of one class." }
        }
    }
}

fn is_asked(question: &Question, row: &ComparisonRow) -> bool {
    question.figures.contains(&row.figure)
        && question.backends.contains(&row.backend)
        && question.scenarios.contains(&row.scenario)
}

/// A sentence per figure and cell that may be said, then one that says what may not and why. Where rows are of several scenarios, each says
/// its own.
fn sentences(rows: &[&ComparisonRow], says_scenario: bool) -> Vec<Markup> {
    let mut sentences = Vec::new();
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    for (figure, what, better, worse) in FIGURES {
        for row in rows.iter().filter(|row| row.figure == figure) {
            let name = named(&row.backend, &row.variant);
            let name = if says_scenario { format!("{name} in {}", row.scenario) } else { name };
            let (Some(ratio), Some(low), Some(high)) = (row.ratio, row.low, row.high) else {
                note(&mut refused, &row.reason, format!("{name}, {what}"));
                continue;
            };
            let figures = format!("{ratio:.2} times [{low:.2}, {high:.2}], n = {}", row.n);
            let said = match row.verdict {
                Verdict::Faster => format!("its {what} is {better}"),
                Verdict::Slower => format!("its {what} is {worse}"),
                Verdict::Same => format!("its {what} is the same within 5 %"),
                Verdict::Undecided => format!("these runs do not tell whether its {what} differs"),
                Verdict::Refused => {
                    note(&mut refused, &row.reason, format!("{name}, {what}: {figures}"));
                    continue;
                }
            };
            sentences.push(html! { b { (name) } ": " span class=(word(row.verdict)) { (said) } " (" (figures) ")." });
        }
    }
    for (reason, what) in refused {
        sentences.push(html! { span.refused { "No word on " (what.join("; ")) ": " (reason) "." } });
    }
    sentences
}

fn note(refused: &mut Vec<(String, Vec<String>)>, reason: &str, what: String) {
    match refused.iter_mut().find(|(known, _)| known == reason) {
        Some((_, all)) => all.push(what),
        None => refused.push((reason.to_owned(), vec![what])),
    }
}
