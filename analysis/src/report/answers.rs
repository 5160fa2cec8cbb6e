//! What the data say, in sentences: first of all on the page.

use maud::{Markup, html};
use qbench_schema::comparison::{ComparisonRow, Verdict, percent};
use qbench_schema::result::word;
use qbench_schema::study::Answer;

use super::Material;
use crate::headline::{HEADLINES, phrase};
use crate::order::distinct_scenarios;
use crate::variant::named;

pub(super) fn render(of: &Material) -> Markup {
    let scenarios = distinct_scenarios(of.summary.cells.iter().map(|row| row.scenario.as_str()));
    html! {
        @for Answer { question, rows } in &of.answers {
            h3 { (question.text) }
            p.faint { (question.because) }
            @if rows.is_empty() {
                p { "The data cannot answer it: none of the runs that it asks for is here." }
            } @else {
                ul.answers { @for sentence in sentences(rows.iter(), question.over.as_deref()) { li { (sentence) } } }
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
            @let is_told = |row: &&ComparisonRow| row.scenario == scenario && HEADLINES.iter().any(|headline| headline.column == row.figure);
            @let rows: Vec<&ComparisonRow> = of.comparison.iter().filter(is_told).collect();
            @if !rows.is_empty() {
                h3 { "In " (scenario) ", against " (super::distinct(rows.iter().map(|row| row.reference.as_str()))) }
                ul.answers { @for sentence in sentences(rows.into_iter(), None) { li { (sentence) } } }
            }
        }
        @if of.comparison.iter().all(|row| matches!(row.verdict, Verdict::Refused)) {
            p { "No comparison here has a word. The reasons stand with each ratio below; most often it takes more blocks (--repeat), or cells of one class." }
        }
    }
}

/// A sentence per figure and cell that may be said, then one that says what may not and why. `over` is the scenario that each cell's own
/// figure is divided by, where it is not another cell's.
fn sentences<'a>(rows: impl Iterator<Item = &'a ComparisonRow>, over: Option<&str>) -> Vec<Markup> {
    let mut said = Vec::new();
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    let than = |word: &str| over.map(|over| format!(" {word} in {over}")).unwrap_or_default();
    for row in rows {
        let name = format!("{} in {}", named(&row.backend, &row.variant), row.scenario);
        let what = phrase(&row.figure);
        let figures = match (row.ratio, row.low, row.high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} times [{low:.2}, {high:.2}], n = {}", row.n),
            _ => {
                note(&mut refused, &row.reason, format!("{name}, {what}"));
                continue;
            }
        };
        let is_more = row.ratio.is_some_and(|ratio| ratio > 1.0);
        let sentence = match row.verdict {
            Verdict::Faster | Verdict::Slower if is_more => format!("{what} is higher{}", than("than")),
            Verdict::Faster | Verdict::Slower => format!("{what} is lower{}", than("than")),
            Verdict::Same => format!("{what} is the same within {}{}", percent(row.same_within), than("as")),
            Verdict::Undecided => format!("these runs do not tell whether {what} differs{}", than("from that")),
            Verdict::Refused => {
                note(&mut refused, &row.reason, format!("{name}, {what}: {figures}"));
                continue;
            }
        };
        said.push(html! { b { (name) } ": " span class=(word(row.verdict)) { (sentence) } " (" (figures) ")." });
    }
    for (reason, what) in refused {
        said.push(html! { span.refused { "No word on " (what.join("; ")) ": " (reason) "." } });
    }
    said
}

fn note(refused: &mut Vec<(String, Vec<String>)>, reason: &str, what: String) {
    match refused.iter_mut().find(|(known, _)| known == reason) {
        Some((_, all)) => all.push(what),
        None => refused.push((reason.to_owned(), vec![what])),
    }
}
