//! How the values of several runs become the one of their cell.

use std::collections::BTreeMap;

use super::value::OrMixed;

/// The runs of one cell, and what only the analysis of their files can tell about them.
#[derive(Debug, Clone)]
pub struct CellRuns<'a, Run> {
    /// Runs whose figures count: those that finished.
    pub finished: Vec<&'a Run>,
    /// Runs that say what was tried: those that finished, or all of them where none did. Never empty.
    pub described: Vec<&'a Run>,
    /// Runs that failed or never finished.
    pub failed: u32,
    /// Runs that finished and that the machine alone spoiled; they are not among the finished ones here.
    pub spoiled: u32,
    /// Both ends of the 95 % interval of a figure over the finished runs, by the name of its column; none below three runs.
    pub intervals: BTreeMap<&'static str, (f64, f64)>,
    /// What was not steady in its runs.
    pub unsteady: String,
    /// Whether the cell may be ranked.
    pub valid: bool,
    /// Why not, or why some run is left out.
    pub reasons: String,
}

impl<Run> CellRuns<'_, Run> {
    pub(super) fn over<T, R>(&self, of: fn(&Run) -> T, reduce: impl FnOnce(&mut dyn Iterator<Item = T>) -> R) -> R {
        reduce(&mut self.finished.iter().map(|run| of(run)))
    }

    /// The lower end of the interval of the figure in column `name`.
    pub(super) fn low(&self, name: &str) -> Option<f64> {
        self.intervals.get(name).map(|(low, _)| *low)
    }

    /// The upper end of it.
    pub(super) fn high(&self, name: &str) -> Option<f64> {
        self.intervals.get(name).map(|(_, high)| *high)
    }

    /// A property that all runs of a cell have in common: that of the first.
    pub(super) fn first<T>(&self, of: fn(&Run) -> T) -> T {
        of(self.described[0])
    }

    pub(super) fn same_or_mixed<T: PartialEq>(&self, of: fn(&Run) -> T) -> OrMixed<T> {
        let first = self.first(of);
        if self.described.iter().all(|run| of(run) == first) { OrMixed::Same(first) } else { OrMixed::Mixed }
    }
}

/// A figure that can be reduced over runs. One that no run tells is absent, or zero where it cannot be absent.
pub(super) trait Reduce: Sized {
    fn largest(values: &mut dyn Iterator<Item = Self>) -> Self;
    fn sum(values: &mut dyn Iterator<Item = Self>) -> Self;
}

/// A figure that has a mean and a median, which counts have not.
pub(super) trait Mean: Reduce {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self;
    fn median(values: &mut dyn Iterator<Item = Self>) -> Self;
}

impl Mean for Option<f64> {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self {
        let (sum, count) = values.flatten().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    fn median(values: &mut dyn Iterator<Item = Self>) -> Self {
        let mut values: Vec<f64> = values.flatten().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len().checked_sub(1)? / 2;
        Some((values[middle] + values[values.len() / 2]) / 2.0)
    }
}

impl Mean for f64 {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self {
        Option::mean(&mut values.map(Some)).unwrap_or_default()
    }

    fn median(values: &mut dyn Iterator<Item = Self>) -> Self {
        Option::median(&mut values.map(Some)).unwrap_or_default()
    }
}

impl<T: PartialOrd + std::ops::Add<Output = T>> Reduce for Option<T> {
    fn largest(values: &mut dyn Iterator<Item = Self>) -> Self {
        values.flatten().reduce(|most, value| if value > most { value } else { most })
    }

    fn sum(values: &mut dyn Iterator<Item = Self>) -> Self {
        values.flatten().reduce(|sum, value| sum + value)
    }
}

macro_rules! zero_without_runs {
    ($($number:ty),*) => { $(
        impl Reduce for $number {
            fn largest(values: &mut dyn Iterator<Item = Self>) -> Self {
                Option::largest(&mut values.map(Some)).unwrap_or_default()
            }

            fn sum(values: &mut dyn Iterator<Item = Self>) -> Self {
                Option::sum(&mut values.map(Some)).unwrap_or_default()
            }
        }
    )* };
}

zero_without_runs!(f64, u64);
