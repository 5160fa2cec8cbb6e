//! What the charts show: backends x scenarios, and the state of each cell.

use std::collections::HashMap;

use plotters::prelude::RGBColor;
use qbench_schema::result::{LoadMode, RunStatus};
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

use super::theme::{self, Marker};
use crate::class::is_overload;
use crate::order::distinct_scenarios;
use crate::palette::Palette;
use crate::summary::is_of_cell;
use crate::variant::variants;

/// Engine, backend, variant and scenario of a cell.
type CellKey<'a> = (&'a str, &'a str, String, &'a str);

/// What a row of `distribution.csv` has in common with its row of `summary.csv`.
type RowKey<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

/// Shares of jobs with their latencies in milliseconds.
type Quantiles = Vec<(f64, f64)>;

/// A backend on one server product, on one machine, with one set of settings.
#[derive(Debug, Clone)]
pub struct Series {
    engine: String,
    backend: String,
    variant: String,
    /// Its name; with product, machine and settings where the backend is shown with several.
    pub label: String,
    /// Its colour in every chart.
    pub colour: RGBColor,
    /// Its point in line charts.
    pub marker: Marker,
}

/// What can be drawn of a cell.
#[derive(Debug, Clone, Copy)]
pub enum State<'a> {
    /// It was never run.
    Absent,
    /// No run of it finished; the row says why.
    NoRun(&'a SummaryRow),
    /// It has figures that may not be ranked.
    Invalid(&'a SummaryRow),
    /// It has figures, and the offered load was above capacity.
    Overload(&'a SummaryRow),
    /// It has figures.
    Good(&'a SummaryRow),
}

impl<'a> State<'a> {
    /// The state of a cell that has a row.
    pub fn of(row: &'a SummaryRow) -> Self {
        match row {
            row if row.runs == 0 => State::NoRun(row),
            row if !row.valid => State::Invalid(row),
            // Flat out nobody offered more than the queue took.
            row if is_overload(row) && row.mode != LoadMode::Saturation => State::Overload(row),
            row => State::Good(row),
        }
    }

    /// The row, where it has figures.
    pub fn row(self) -> Option<&'a SummaryRow> {
        match self {
            State::Absent | State::NoRun(_) => None,
            State::Invalid(row) | State::Overload(row) | State::Good(row) => Some(row),
        }
    }

    /// What stands behind a figure; see [`super::frame`] for the legend.
    pub fn mark(self) -> &'static str {
        match self {
            State::Invalid(_) => " ✕",
            State::Overload(_) => " ▲",
            State::Absent | State::NoRun(_) | State::Good(_) => "",
        }
    }

    /// What stands where a figure would be.
    pub fn missing_text(self) -> &'static str {
        if matches!(self, State::NoRun(_)) { "no data (no run finished)" } else { "no data" }
    }
}

/// What stands over a bar beside its figure.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// The figure of each run, where there are several.
    pub runs: Vec<f64>,
    /// Both ends of the interval.
    pub interval: Option<(f64, f64)>,
}

impl Spread {
    /// The largest value of all, or `figure`.
    pub fn reach(&self, figure: f64) -> f64 {
        self.runs.iter().copied().chain(self.interval.map(|(_, high)| high)).fold(figure, f64::max)
    }
}

/// Everything that charts are drawn from.
pub struct Model<'a> {
    /// Scenarios in their order.
    pub scenarios: Vec<&'a str>,
    /// Backends in their order.
    pub series: Vec<Series>,
    rows: &'a [SummaryRow],
    runs: &'a [RunRow],
    by_cell: HashMap<CellKey<'a>, &'a SummaryRow>,
    quantiles: Option<HashMap<RowKey<'a>, Quantiles>>,
}

impl<'a> Model<'a> {
    /// From the rows of `summary.csv` and, where they are there, of `runs.csv` and `distribution.csv`.
    pub fn new(
        rows: &'a [SummaryRow],
        runs: &'a [RunRow],
        distribution: Option<&'a [DistributionRow]>,
        palette: &Palette,
    ) -> Self {
        let variants = variants(rows);
        let mut ids: Vec<(&str, &str, &str)> = Vec::new();
        for (row, variant) in rows.iter().zip(&variants) {
            if !ids.contains(&(&row.engine, &row.backend, variant)) {
                ids.push((&row.engine, &row.backend, variant));
            }
        }
        let backends: Vec<&str> = ids.iter().map(|(_, backend, _)| *backend).collect();
        let series = ids
            .iter()
            .zip(theme::paints(palette, &backends))
            .map(|((engine, backend, variant), paint)| {
                let is_on_several = ids.iter().any(|(other, same, _)| same == backend && other != engine);
                let engine_word = if is_on_several { *engine } else { "" };
                let words: Vec<&str> = [engine_word, *variant].into_iter().filter(|word| !word.is_empty()).collect();
                Series {
                    engine: (*engine).to_owned(),
                    backend: (*backend).to_owned(),
                    variant: (*variant).to_owned(),
                    label: match words.is_empty() {
                        true => (*backend).to_owned(),
                        false => format!("{backend} ({})", words.join(", ")),
                    },
                    colour: paint.colour,
                    marker: paint.marker,
                }
            })
            .collect();
        let quantiles = distribution.map(|distribution| {
            let mut quantiles: HashMap<RowKey, Quantiles> = HashMap::new();
            for row in distribution.iter().filter(|row| row.latency_ms.is_finite()) {
                let key: RowKey =
                    (&row.engine, &row.backend, &row.scenario, &row.host, &row.configuration_hash, &row.variant);
                quantiles.entry(key).or_default().push((row.quantile, row.latency_ms));
            }
            quantiles
        });
        Model {
            scenarios: distinct_scenarios(rows.iter().map(|row| row.scenario.as_str())),
            series,
            rows,
            runs,
            by_cell: rows
                .iter()
                .zip(variants)
                .map(|(row, variant)| {
                    ((row.engine.as_str(), row.backend.as_str(), variant, row.scenario.as_str()), row)
                })
                .collect(),
            quantiles,
        }
    }

    /// The finished runs of a cell, where `runs.csv` has them.
    pub fn runs_of(&self, cell: &SummaryRow) -> impl Iterator<Item = &'a RunRow> {
        self.runs.iter().filter(move |run| run.status == RunStatus::Finished && is_of_cell(run, cell))
    }

    /// What the finished runs of a cell say, where there are several: a value each, and the interval that they make.
    pub fn spread(
        &self,
        cell: &SummaryRow,
        value: fn(&RunRow) -> f64,
        interval: fn(&SummaryRow) -> (Option<f64>, Option<f64>),
    ) -> Spread {
        let runs: Vec<f64> = self.runs_of(cell).map(value).collect();
        let (low, high) = interval(cell);
        Spread { runs: if runs.len() > 1 { runs } else { Vec::new() }, interval: low.zip(high) }
    }

    /// Every row.
    pub fn rows(&self) -> &'a [SummaryRow] {
        self.rows
    }

    fn row(&self, series: &Series, scenario: &str) -> Option<&'a SummaryRow> {
        let key = (series.engine.as_str(), series.backend.as_str(), series.variant.clone(), scenario);
        self.by_cell.get(&key).copied()
    }

    /// State of one cell.
    pub fn state(&self, series: &Series, scenario: &str) -> State<'a> {
        self.row(series, scenario).map_or(State::Absent, State::of)
    }

    /// True when there is a `distribution.csv`.
    pub fn has_distribution(&self) -> bool {
        self.quantiles.is_some()
    }

    /// One quantile of the end-to-end latency of a cell, in milliseconds, from `distribution.csv`.
    pub fn quantile_ms(&self, series: &Series, scenario: &str, quantile: f64) -> Option<f64> {
        let row = self.row(series, scenario)?;
        let key: RowKey = (&row.engine, &row.backend, &row.scenario, &row.host, &row.configuration_hash, &row.variant);
        let cell = self.quantiles.as_ref()?.get(&key)?;
        cell.iter().find(|(known, _)| (known - quantile).abs() < 1e-9).map(|(_, latency_ms)| *latency_ms)
    }

    /// Every cell, by scenario.
    pub fn cells(&self) -> impl Iterator<Item = (&Series, &'a str, State<'a>)> {
        self.scenarios.iter().flat_map(move |scenario| {
            self.series.iter().map(move |series| (series, *scenario, self.state(series, scenario)))
        })
    }
}
