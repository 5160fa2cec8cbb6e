//! Box plots of the end-to-end latency per backend and scenario.

use super::canvas::{Canvas, Drawn, Rect};
use super::frame;
use super::model::{Model, Series, State};
use super::scale::Scale;
use super::theme::{self, Align, Marker};

/// Thickest box.
const BOX_MAX: f64 = 160.0;

/// What a box is drawn from, in milliseconds; the outer parts are absent where only percentiles of a verdict are known.
struct Figures {
    p5: Option<f64>,
    p25: Option<f64>,
    p50: f64,
    p75: Option<f64>,
    p95: f64,
    p99: f64,
}

impl Figures {
    fn of(model: &Model, series: &Series, scenario: &str, state: State) -> Option<Self> {
        let row = state.row()?;
        let quantile = |quantile| model.quantile_ms(series, scenario, quantile);
        Some(Figures {
            p5: quantile(0.05),
            p25: quantile(0.25),
            p50: quantile(0.50).unwrap_or(row.latency_p50_ms),
            p75: quantile(0.75),
            p95: quantile(0.95).unwrap_or(row.latency_p95_ms),
            p99: quantile(0.99).unwrap_or(row.latency_p99_ms),
        })
    }

    fn is_complete(&self) -> bool {
        self.p5.is_some() && self.p25.is_some() && self.p75.is_some()
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        [self.p5, self.p25, Some(self.p50), self.p75, Some(self.p95), Some(self.p99)].into_iter().flatten()
    }
}

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let figures = |series: &Series, scenario: &str| Figures::of(model, series, scenario, model.state(series, scenario));
    let all: Vec<(&Series, &str, Figures)> = model
        .cells()
        .filter_map(|(series, scenario, _)| Some((series, scenario, figures(series, scenario)?)))
        .collect();

    let mut notes = vec!["Box: p25 to p75. Line in it: p50. Whiskers: p5 and p95. ◆: p99.".to_owned()];
    let incomplete: Vec<String> = all
        .iter()
        .filter(|(_, _, figures)| !figures.is_complete())
        .map(|(series, scenario, _)| format!("{} {scenario}", series.label))
        .collect();
    if !model.has_distribution() {
        notes.push(
            "There is no distribution.csv beside summary.csv, so boxes are missing: only p50, p95 and p99 are known."
                .to_owned(),
        );
    } else if !incomplete.is_empty() {
        notes.push(format!("Without job records only p50, p95 and p99 are known: {}", incomplete.join(", ")));
    }
    notes.extend(frame::notes(model, true));
    let area = frame::surround(
        canvas,
        "Distribution of the end-to-end latency",
        &format!("intended arrival to ack · {}", frame::conditions(model.rows())),
        &frame::marks(model),
        &notes,
    )?;

    let scale = Scale::automatic(all.iter().flat_map(|(_, _, figures)| figures.values()));
    let names_width = frame::names_width(canvas, model)?;
    let panels = area.inset(names_width, 80.0, 30.0, frame::AXIS_X_HEIGHT).columns(model.scenarios.len(), 110.0);
    for (column, (scenario, plot)) in model.scenarios.iter().zip(panels).enumerate() {
        canvas.text(plot.centre_x(), plot.y0 - 45.0, scenario, theme::PANEL.align(Align::Centre))?;
        frame::grid_x(canvas, plot, &scale)?;
        frame::axis_x(canvas, plot, &scale, &scale.title("ms"))?;
        let slots = plot.inset(0.0, 16.0, 0.0, 16.0).rows(model.series.len(), 24.0);
        if column == 0 {
            frame::names(canvas, model, &slots, plot.x0, names_width)?;
        }
        for (series, slot) in model.series.iter().zip(slots) {
            let state = model.state(series, scenario);
            match figures(series, scenario) {
                Some(figures) => draw_box(canvas, plot, slot, &scale, series, state, &figures)?,
                None => frame::missing_row(canvas, slot, state.missing_text())?,
            }
        }
    }
    Ok(())
}

fn draw_box(
    canvas: &Canvas,
    plot: Rect,
    slot: Rect,
    scale: &Scale,
    series: &Series,
    state: State,
    figures: &Figures,
) -> Drawn {
    let x = |value: f64| scale.x(plot, value);
    let y = slot.centre_y();
    let half = slot.height().min(BOX_MAX) / 2.0;
    let (low, high) = (figures.p5.unwrap_or(figures.p50), figures.p95);

    canvas.line(&[(x(low), y), (x(high), y)], theme::INK, 4)?;
    for end in [figures.p5, Some(high)].into_iter().flatten() {
        canvas.line(&[(x(end), y - half * 0.5), (x(end), y + half * 0.5)], theme::INK, 4)?;
    }
    if let (Some(p25), Some(p75)) = (figures.p25, figures.p75) {
        // A box of no width would not be seen.
        let body = Rect::new(x(p25), y - half, x(p75).max(x(p25) + 6.0), y + half);
        frame::bar(canvas, body, series.colour, state)?;
        canvas.outline(body, theme::INK, 3)?;
    }
    canvas.line(&[(x(figures.p50), y - half), (x(figures.p50), y + half)], theme::INK, 8)?;
    canvas.marker(Marker::Diamond, (x(figures.p99), y), 15.0, series.colour, true)?;
    let mark = state.mark().trim();
    if mark.is_empty() { Ok(()) } else { canvas.text(x(figures.p99) + 28.0, y, mark, theme::LABEL) }
}
