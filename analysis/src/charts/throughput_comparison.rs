//! Completed jobs per second as bars, grouped by scenario, with the offered load beside them.

use qbench_schema::result::LoadMode;
use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::model::{Model, Spread};
use super::scale::Scale;
use super::theme::{self, Align};
use crate::tables::number;

/// Share of a group's width that stays empty on each side.
const GROUP_MARGIN: f64 = 0.06;
/// Height that a figure above a bar takes, its distance included.
const FIGURE_HEIGHT: f64 = 60.0;
/// Widest bar, so that one backend alone does not fill the picture.
const BAR_MAX: f64 = 260.0;

/// Whether a row was offered a load: flat out the producers send what the queue takes.
fn has_offer(row: &SummaryRow) -> bool {
    row.runs > 0 && row.mode != LoadMode::Saturation && row.offered_jobs_s.is_finite()
}

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let mut legend = frame::legend(model, |_| Patch::Solid);
    if model.rows().iter().any(has_offer) {
        legend.push(Entry::new("offered load", theme::INK, Patch::Dashed));
    }
    let area = frame::surround(
        canvas,
        "Throughput by scenario",
        &frame::conditions(model.rows()),
        &legend,
        &frame::notes(model, false),
    )?;
    let is_flat_out = |scenario: &&&str| {
        let mut rows = model.rows().iter().filter(|row| row.scenario == ***scenario && row.runs > 0);
        rows.next().is_some_and(|row| row.mode == LoadMode::Saturation)
    };
    let (flat_out, on_schedule): (Vec<&&str>, Vec<&&str>) = model.scenarios.iter().partition(is_flat_out);
    if flat_out.is_empty() || on_schedule.is_empty() {
        return draw_panel(canvas, model, &model.scenarios, area);
    }
    // Capacities are of another size than what was offered, so they have an axis of their own.
    let groups = (on_schedule.len() + flat_out.len()) as f64 + 0.6;
    let middle = area.x0 + area.width() * on_schedule.len() as f64 / groups;
    draw_panel(
        canvas,
        model,
        &on_schedule.into_iter().copied().collect::<Vec<_>>(),
        Rect { x1: middle - 30.0, ..area },
    )?;
    draw_panel(canvas, model, &flat_out.into_iter().copied().collect::<Vec<_>>(), Rect { x0: middle + 30.0, ..area })
}

/// The groups of some scenarios over one axis.
fn draw_panel(canvas: &Canvas, model: &Model, scenarios: &[&str], area: Rect) -> Drawn {
    let plot = area.inset(frame::AXIS_Y_WIDTH, 60.0, 0.0, 80.0);
    let is_here = |row: &&SummaryRow| row.runs > 0 && scenarios.contains(&row.scenario.as_str());
    let figures = model.rows().iter().filter(is_here);
    // Room above the highest bar for its figure.
    let offered = |row: &SummaryRow| if has_offer(row) { row.offered_jobs_s } else { 0.0 };
    let scale = Scale::linear(figures.flat_map(|row| {
        [row.throughput_jobs_s_high.unwrap_or(0.0).max(row.throughput_jobs_s) * 1.05, offered(row) * 1.05]
    }));
    frame::axis_y(canvas, plot, &scale, "jobs completed per second")?;
    let y = |value: f64| scale.y(plot, value);

    for (scenario, group) in scenarios.iter().zip(plot.columns(scenarios.len(), 0.0)) {
        canvas.text(group.centre_x(), plot.y1 + 50.0, scenario, theme::PANEL.align(Align::Centre))?;
        let inner = group.inset(group.width() * GROUP_MARGIN, 0.0, group.width() * GROUP_MARGIN, 0.0);
        for (series, slot) in model.series.iter().zip(inner.columns(model.series.len(), 10.0)) {
            let width = slot.width().min(BAR_MAX);
            let slot = Rect { x0: slot.centre_x() - width / 2.0, x1: slot.centre_x() + width / 2.0, ..slot };
            let state = model.state(series, scenario);
            let Some(row) = state.row() else {
                canvas.fill(slot, theme::EMPTY)?;
                canvas.text_upwards(slot.centre_x(), slot.centre_y(), state.missing_text(), theme::SMALL)?;
                continue;
            };
            let top = y(row.throughput_jobs_s);
            frame::bar(canvas, Rect { y0: top, ..slot }, series.colour, state)?;
            let of_row = |row: &SummaryRow| (row.throughput_jobs_s_low, row.throughput_jobs_s_high);
            let spread = model.spread(row, |run| run.throughput_jobs_s, of_row);
            // At a given rate all runs complete what was offered.
            let spread = if has_offer(row) { Spread::default() } else { spread };
            if let Some((low, high)) = spread.interval {
                canvas.line(&[(slot.centre_x(), y(low)), (slot.centre_x(), y(high))], theme::INK, 4)?;
            }
            for run in &spread.runs {
                canvas.marker(theme::Marker::Circle, (slot.centre_x(), y(*run)), 7.0, theme::INK, false)?;
            }
            let top = y(spread.reach(row.throughput_jobs_s));
            let figure = format!("{}{}", number(row.throughput_jobs_s), state.mark());
            let look = theme::LABEL.align(Align::Centre);
            // A figure between the bar and the line of the offered load just above it would be struck through.
            let offered = y(offered(row));
            let base = if (top - FIGURE_HEIGHT..top).contains(&offered) { offered } else { top };
            // Narrow bars carry their figure inside, upright text would run into the neighbours.
            if canvas.text_width(&figure, look)? <= slot.width() + 10.0 {
                canvas.text(slot.centre_x(), base - 30.0, &figure, look)?;
            } else {
                let half = canvas.text_width(&figure, look)? / 2.0;
                canvas.text_upwards(slot.centre_x(), base - half - 14.0, &figure, look)?;
            }
        }
        let mut offered: Vec<f64> = model
            .rows()
            .iter()
            .filter(|row| row.scenario == *scenario && has_offer(row))
            .map(|row| row.offered_jobs_s)
            .collect();
        offered.sort_by(f64::total_cmp);
        offered.dedup();
        for offered in offered {
            canvas.dashed((group.x0, y(offered)), (group.x1, y(offered)), theme::INK, 4)?;
        }
    }
    Ok(())
}
