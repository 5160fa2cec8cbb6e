//! Which value of a column is marked as the best of its class.
//!
//! A mark is a claim, so it needs an interval (METHODOLOGY S3): the ratio of the best to each of its rivals, over the blocks in
//! which both ran, must exclude 1. The level is divided by all comparisons of the table, so that a table of cells that do
//! the same has a mark in one of twenty cases, whatever its size.

use std::collections::BTreeMap;

use qbench_schema::summary::{Better, RunRow, SummaryRow};

use super::class::{Class, is_ranked};
use super::figure::Figure;
use crate::statistics::{FEWEST_BLOCKS, paired_ratio};

/// Share of tables without any difference that may have a mark.
const FALSE_MARKS: f64 = 0.05;

/// Runs of one cell by machine and block.
type Blocks = BTreeMap<(String, u32), f64>;

/// A cell that may be ranked, with its runs.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) row: &'a SummaryRow,
    pub(super) runs: &'a [RunRow],
}

impl Candidate<'_> {
    fn blocks(&self, figure: &Figure) -> Option<Blocks> {
        let value = figure.column.run?;
        let mut logarithms: BTreeMap<(String, u32), Vec<f64>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.valid) {
            let block = (format!("{} {}", run.host, run.host_id), run.block);
            logarithms.entry(block).or_default().push(value(run).number()?.ln());
        }
        // Two runs of one block, from two folders, are one observation.
        let mean = |values: Vec<f64>| (values.iter().sum::<f64>() / values.len() as f64).exp();
        Some(logarithms.into_iter().map(|(block, values)| (block, mean(values))).collect())
    }
}

/// The rivals of one class, and how sure a mark among them has to be.
pub(super) struct Rivals<'a> {
    candidates: Vec<Candidate<'a>>,
    confidence: f64,
}

impl<'a> Rivals<'a> {
    /// Those that `of` may be compared with, itself among them; none where it may not be ranked. The table marks `figures`
    /// columns.
    pub(super) fn new(all: &[Candidate<'a>], of: &SummaryRow, figures: usize) -> Self {
        let mut candidates: Vec<_> =
            all.iter().copied().filter(|rival| is_ranked(rival.row) && Class::of(rival.row) == Class::of(of)).collect();
        if !is_ranked(of) {
            candidates.clear();
        }
        let comparisons = figures.max(1) * candidates.len().saturating_sub(1).max(1);
        Rivals { candidates, confidence: 1.0 - FALSE_MARKS / comparisons as f64 }
    }

    /// Most runs that one of them has.
    pub(super) fn blocks(&self) -> usize {
        self.candidates.iter().map(|candidate| candidate.runs.len()).max().unwrap_or(0)
    }

    /// Whether `row` is the best of them for certain.
    pub(super) fn is_best(&self, figure: &Figure, row: &SummaryRow) -> bool {
        let sign = match figure.column.better {
            Better::Less => -1.0,
            Better::More => 1.0,
            Better::Neither => return false,
        };
        let (own, others): (Vec<Candidate>, Vec<Candidate>) =
            self.candidates.iter().partition(|rival| std::ptr::eq(rival.row, row));
        let Some(own) = own.first().and_then(|own| own.blocks(figure)) else { return false };
        !others.is_empty()
            && others.iter().all(|rival| {
                let interval = rival.blocks(figure).and_then(|rival| paired_ratio(&own, &rival, self.confidence));
                interval.is_some_and(|interval| interval.excludes_one() && interval.ratio.ln() * sign > 0.0)
            })
    }
}

/// Why a table has no marks, where its cells have too few runs for one.
pub(super) fn too_few(blocks: usize) -> Option<String> {
    (blocks < FEWEST_BLOCKS).then(|| {
        let runs = if blocks == 1 { "1 run".to_owned() } else { format!("{blocks} runs") };
        format!("No value is marked as best: that takes at least {FEWEST_BLOCKS} runs of each cell (--repeat), and here is {runs}")
    })
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use qbench_schema::result::{RunIdentity, RunResult, RunStatus, Validity};
    use qbench_schema::summary::{CellRuns, TableKind};

    use super::super::figure::figures;
    use super::*;

    /// Even numbers from 0 to 1 in a fixed order (Numerical Recipes' linear congruential generator).
    struct Draws(u32);

    impl Draws {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(self.0 >> 8) / f64::from(1 << 24)
        }

        /// About normal: twelve even ones have a variance of one.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.next()).sum::<f64>() - 6.0
        }
    }

    /// `blocks` runs of a cell whose figures scatter by `spread` around `level`, what a block did to all of them included.
    fn runs(name: &str, level: f64, spread: f64, hours: &[f64], draws: &mut Draws) -> Vec<RunRow> {
        let figure = |hour: f64, draws: &mut Draws| level * (hour + spread * draws.normal()).exp();
        hours
            .iter()
            .zip(1..)
            .map(|(hour, block)| {
                let identity = RunIdentity {
                    backend: name.to_owned(),
                    engine: "postgresql".to_owned(),
                    block,
                    ..RunIdentity::default()
                };
                let mut result = RunResult::without_figures(identity, RunStatus::Finished, "");
                result.validity = Validity { valid: true, ..Validity::default() };
                let mut draw = || figure(*hour, draws);
                let latency = &mut result.end_to_end_ms;
                (latency.p50, latency.p95, latency.p99, latency.p999) = (draw(), draw(), draw(), draw());
                (result.cpu_pct.server, result.cpu_us_per_job.server) = (Some(draw()), Some(draw()));
                result.throughput_jobs_s = draw();
                RunRow::of(&result)
            })
            .collect()
    }

    fn row(runs: &[RunRow]) -> SummaryRow {
        SummaryRow::of(&CellRuns {
            finished: runs.iter().collect(),
            described: runs.iter().collect(),
            failed: 0,
            spoiled: 0,
            latency: qbench_schema::result::Percentiles::default(),
            valid: true,
            reasons: String::new(),
        })
    }

    /// Marks in a table of two cells, the second of which is at `level` times the first.
    fn marks(level: f64, blocks: usize, draws: &mut Draws) -> usize {
        let hours: Vec<f64> = (0..blocks).map(|_| 0.3 * draws.normal()).collect();
        let cells = [runs("a", 10.0, 0.1, &hours, draws), runs("b", 10.0 * level, 0.1, &hours, draws)];
        let rows = [row(&cells[0]), row(&cells[1])];
        let candidates: Vec<Candidate> = rows.iter().zip(&cells).map(|(row, runs)| Candidate { row, runs }).collect();
        let figures: Vec<Figure> =
            figures(TableKind::Scenario).into_iter().filter(|figure| figure.may_be_marked(false)).collect();
        assert!(figures.len() >= 5 && figures.iter().all(|figure| figure.column.name != "throughput_jobs_s"));
        let of = |row: &SummaryRow| {
            let rivals = Rivals::new(&candidates, row, figures.len());
            figures.iter().filter(|figure| rivals.is_best(figure, row)).count()
        };
        rows.iter().map(of).sum()
    }

    #[test]
    fn a_table_of_two_cells_that_do_the_same_seldom_has_a_mark() {
        let mut draws = Draws(1);
        for blocks in [3, 5, 10] {
            let tables = 1_000;
            let marked = (0..tables).filter(|_| marks(1.0, blocks, &mut draws) > 0).count();
            // At a level of 5 %, 1,000 tables have 50 with a standard deviation of 7.
            assert!(marked <= 71, "{marked} of {tables} tables with {blocks} blocks have a mark");
        }
    }

    #[test]
    fn a_difference_of_a_half_is_marked_once_there_are_ten_blocks() {
        let mut draws = Draws(2);
        let marked: usize = (0..100).map(|_| marks(1.5, 10, &mut draws)).sum();
        assert!(marked >= 480, "{marked} of 500 columns have a mark");
        assert_eq!(marks(1.5, 2, &mut draws), 0);
    }
}
