//! Which value of a column is marked as the best of its class.
//!
//! A mark is a claim, so it needs an interval (METHODOLOGY S3): the ratio of the best to each of its rivals, over the blocks in
//! which both ran, must exclude 1. The level is divided by all comparisons of the table, so that a table of cells that do
//! the same has a mark in one of twenty cases, whatever its size.

use qbench_schema::summary::{Better, SummaryRow};

use super::figure::Figure;
use crate::class::{Class, is_ranked};
use crate::compare::{Cell, blocks, too_few_jobs};
use crate::statistics::{FEWEST_BLOCKS, paired_ratio};

/// Share of tables without any difference that may have a mark.
const FALSE_MARKS: f64 = 0.05;

/// The rivals of one class, and how sure a mark among them has to be.
pub(super) struct Rivals<'a> {
    candidates: Vec<Cell<'a>>,
    confidence: f64,
}

impl<'a> Rivals<'a> {
    /// Those that `of` may be compared with, itself among them; none where it may not be ranked. The table marks `figures`
    /// columns.
    pub(super) fn new(all: &[Cell<'a>], of: &SummaryRow, figures: usize) -> Self {
        let mut candidates: Vec<_> =
            all.iter().copied().filter(|rival| is_ranked(rival.row) && Class::of(rival.row) == Class::of(of)).collect();
        if !is_ranked(of) {
            candidates.clear();
        }
        // Every class of the table has comparisons of its own, and all of them share the level.
        let mut classes: Vec<Class> = Vec::new();
        let mut comparisons = 0;
        for cell in all.iter().filter(|cell| is_ranked(cell.row)) {
            if classes.contains(&Class::of(cell.row)) {
                comparisons += figures;
            } else {
                classes.push(Class::of(cell.row));
            }
        }
        let comparisons = comparisons.max(1);
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
        // A percentile of too few jobs is shown, never compared.
        if too_few_jobs(figure.column, self.candidates.iter().flat_map(|cell| cell.runs)).is_some() {
            return false;
        }
        let (own, others): (Vec<Cell>, Vec<Cell>) =
            self.candidates.iter().partition(|rival| std::ptr::eq(rival.row, row));
        let Some(own) = own.first().and_then(|own| blocks(figure.column, own.runs)) else { return false };
        !others.is_empty()
            && others.iter().all(|rival| {
                let interval =
                    blocks(figure.column, rival.runs).and_then(|rival| paired_ratio(&own, &rival, self.confidence));
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
    use qbench_schema::result::{Durability, RunIdentity, RunResult, RunStatus, Validity};
    use qbench_schema::summary::{RunRow, TableKind};

    use super::super::figure::figures;
    use super::*;
    use crate::summary::cell::cell_of;

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
                result.jobs.completed = 1_000_000;
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

    /// Marks in a table of two cells, the second of which is at `level` times the first.
    fn marks(level: f64, blocks: usize, draws: &mut Draws) -> usize {
        marks_in_classes(1, level, blocks, draws)
    }

    /// The same for a table of so many classes, with two cells in each.
    fn marks_in_classes(classes: usize, level: f64, blocks: usize, draws: &mut Draws) -> usize {
        const CLASSES: [Durability; 3] = [Durability::D0, Durability::D1, Durability::D2];
        let hours: Vec<f64> = (0..blocks).map(|_| 0.3 * draws.normal()).collect();
        let mut cells: Vec<Vec<RunRow>> = Vec::new();
        for durability in &CLASSES[..classes] {
            for (name, level) in [("a", 10.0), ("b", 10.0 * level)] {
                let of_class = |run| RunRow { durability: *durability, ..run };
                cells.push(runs(name, level, 0.1, &hours, draws).into_iter().map(of_class).collect());
            }
        }
        let rows: Vec<SummaryRow> = cells.iter().map(|runs| cell_of(runs)).collect();
        let candidates = Cell::all(&rows, &cells);
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
    fn a_table_of_several_classes_has_no_more_marks_by_chance() {
        let mut draws = Draws(3);
        let marked = (0..1_000).filter(|_| marks_in_classes(3, 1.0, 10, &mut draws) > 0).count();
        assert!(marked <= 71, "{marked} of 1,000 tables have a mark");
    }

    #[test]
    fn a_difference_of_a_half_is_marked_once_there_are_ten_blocks() {
        let mut draws = Draws(2);
        let marked: usize = (0..100).map(|_| marks(1.5, 10, &mut draws)).sum();
        assert!(marked >= 480, "{marked} of 500 columns have a mark");
        assert_eq!(marks(1.5, 2, &mut draws), 0);
    }
}
