//! From pairs of cells to rows with words.

use qbench_schema::comparison::ComparisonRow;
use qbench_schema::summary::{Better, COLUMNS, Column, SummaryRow};

use super::eligible;
use super::pair::Pair;
use crate::order::distinct_scenarios;
use crate::statistics::{Direction, Judged, Observed, judge};

/// Judges all `pairs`, figure by figure: the comparisons of one figure in one scenario are one family. `same_within` is the share to either
/// side that counts as no difference. `refusal` says why two cells may not be compared at
/// all, `observe` what their runs say of a column.
pub(super) fn judge_pairs(
    pairs: &[Pair<'_>],
    same_within: f64,
    refusal: impl Fn(&Pair<'_>) -> Option<String>,
    observe: impl Fn(&Pair<'_>, &'static Column) -> Observed,
) -> Vec<ComparisonRow> {
    let refusals: Vec<Option<String>> = pairs.iter().map(refusal).collect();
    let scenarios = distinct_scenarios(pairs.iter().map(|pair| pair.cell.row.scenario.as_str()));
    let families = COLUMNS.iter().flat_map(|column| scenarios.iter().map(move |scenario| (column, *scenario)));
    let mut rows = Vec::new();
    for (column, scenario) in families {
        let Some(better) = direction(column) else { continue };
        let is_told = |pair: &&Pair<'_>| {
            pair.cell.row.scenario == scenario && eligible::is_told(column, pair.cell.row, pair.reference.row)
        };
        let family: Vec<&Pair<'_>> = pairs.iter().filter(is_told).collect();
        let observed: Vec<(Observed, Direction)> = pairs
            .iter()
            .zip(&refusals)
            .filter(|(pair, _)| is_told(pair))
            .map(|(pair, refusal)| {
                let refused = refusal.clone().or_else(|| eligible::of_figure(column, pair));
                (refused.map_or_else(|| observe(pair, column), Observed::Refused), better)
            })
            .collect();
        rows.extend(
            family
                .iter()
                .zip(judge(&observed, same_within))
                .map(|(pair, judged)| row(column, pair, judged, same_within)),
        );
    }
    // A reader looks for a cell and its figures, not for a figure and its cells.
    let place = |row: &ComparisonRow| {
        pairs.iter().position(|pair| {
            (&pair.cell.row.backend, &pair.cell.row.scenario, &pair.variant)
                == (&row.backend, &row.scenario, &row.variant)
        })
    };
    rows.sort_by_key(place);
    rows
}

/// Which way a column is better; `None` where it is not compared.
fn direction(column: &Column) -> Option<Direction> {
    match column.better {
        _ if !column.is_compared() => None,
        Better::Less => Some(Direction::Less),
        Better::More => Some(Direction::More),
        Better::Neither => None,
    }
}

fn row(column: &Column, pair: &Pair<'_>, judged: Judged, same_within: f64) -> ComparisonRow {
    let value = |row: &SummaryRow| column.cell.and_then(|value| value(row).number());
    ComparisonRow {
        figure: column.name.to_owned(),
        backend: pair.cell.row.backend.clone(),
        scenario: pair.cell.row.scenario.clone(),
        variant: pair.variant.clone(),
        reference: pair.reference_name.clone(),
        n: judged.n,
        paired: judged.paired,
        ratio: judged.ratio,
        low: judged.interval.map(|interval| interval.low),
        high: judged.interval.map(|interval| interval.high),
        p: judged.p,
        p_smallest: judged.p_smallest,
        verdict: judged.verdict,
        reason: judged.reason,
        p_adjusted: judged.p_adjusted,
        detectable_ratio: judged.detectable,
        value: value(pair.cell.row),
        reference_value: value(pair.reference.row),
        same_within,
    }
}
