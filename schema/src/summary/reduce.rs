//! How the values of several runs become the one of their cell.

use super::value::OrMixed;
use crate::result::Percentiles;

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
    /// End-to-end latency of all finished runs together.
    pub latency: Percentiles,
    /// Whether the cell may be ranked.
    pub valid: bool,
    /// Why not, or why some run is left out.
    pub reasons: String,
}

impl<Run> CellRuns<'_, Run> {
    pub(super) fn over<T, R>(&self, of: fn(&Run) -> T, reduce: impl FnOnce(&mut dyn Iterator<Item = T>) -> R) -> R {
        reduce(&mut self.finished.iter().map(|run| of(run)))
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

/// A figure that has a mean, which counts have not.
pub(super) trait Mean: Reduce {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self;
}

impl Mean for Option<f64> {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self {
        let (sum, count) = values.flatten().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Mean for f64 {
    fn mean(values: &mut dyn Iterator<Item = Self>) -> Self {
        Option::mean(&mut values.map(Some)).unwrap_or_default()
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
