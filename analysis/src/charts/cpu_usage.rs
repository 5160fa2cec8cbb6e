//! CPU by role as stacked bars, per backend and scenario.

use plotters::prelude::RGBColor;
use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::model::Model;
use super::scale::Scale;
use super::theme::{self, Align};
use crate::tables::number;

/// A role: its name, its colour, its figure.
type Role = (&'static str, RGBColor, fn(&SummaryRow) -> Option<f64>);

const ROLES: [Role; 5] = [
    ("server under test", theme::SERVER, |row| row.cpu_server_pct),
    ("harness", theme::HARNESS, |row| row.cpu_harness_pct),
    ("background load", theme::BACKGROUND, |row| row.cpu_background_pct),
    ("kernel", theme::KERNEL, |row| row.cpu_kernel_pct),
    ("meters", theme::METER, |row| row.cpu_meter_pct),
];

/// Thickest bar.
const BAR_MAX: f64 = 140.0;
/// Room on the right of the longest bar for its figure.
const FIGURE_WIDTH: f64 = 240.0;
/// The same where some figure comes with the name of an unknown role.
const FIGURE_WIDTH_UNKNOWN: f64 = 420.0;

/// The known roles of a row.
fn known(row: &SummaryRow) -> Vec<(Role, f64)> {
    ROLES
        .into_iter()
        .filter_map(|role| Some((role, role.2(row)?)))
        .filter(|(_, pct)| pct.is_finite() && *pct >= 0.0)
        .collect()
}

/// What a row cannot tell, if anything. A missing background role is none: most scenarios have no background load.
fn unknown(row: &SummaryRow) -> Option<&'static str> {
    match (row.cpu_server_pct, row.cpu_harness_pct) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some("server unknown"),
        (Some(_), None) => Some("harness unknown"),
        (None, None) => Some("roles unknown"),
    }
}

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let solid = |(text, colour, _): Role| Entry::new(text, colour, Patch::Solid);
    let mut legend: Vec<Entry> = ROLES.into_iter().map(solid).collect();
    let rows = || model.rows().iter().filter(|row| row.runs > 0);
    if rows().any(|row| row.cpu_host_pct.is_some()) {
        legend.push(Entry::new("whole host, all processes", theme::INK, Patch::Dashed));
    }
    legend.extend(frame::marks(model));
    let mut notes = Vec::new();
    let has_unknown = rows().any(|row| unknown(row).is_some());
    if has_unknown {
        notes.push(
            "\"unknown\": the process of that role could not be watched, for instance a server elsewhere.".to_owned(),
        );
    }
    notes.extend(frame::notes(model, false));
    let area = frame::surround(
        canvas,
        "CPU by role",
        &format!("mean over the measured phase · {}", frame::conditions(model.rows())),
        &legend,
        &notes,
    )?;

    let figure_width = if has_unknown { FIGURE_WIDTH_UNKNOWN } else { FIGURE_WIDTH };
    let sums = rows().map(|row| known(row).iter().map(|(_, pct)| pct).sum());
    let scale = Scale::linear(rows().filter_map(|row| row.cpu_host_pct).chain(sums));
    let names_width = frame::names_width(canvas, model)?;
    let panels = area.inset(names_width, 80.0, 0.0, frame::AXIS_X_HEIGHT).columns(model.scenarios.len(), 40.0);
    for (column, (scenario, panel)) in model.scenarios.iter().zip(panels).enumerate() {
        let plot = panel.inset(0.0, 0.0, figure_width, 0.0);
        canvas.text(plot.centre_x(), plot.y0 - 45.0, scenario, theme::PANEL.align(Align::Centre))?;
        frame::grid_x(canvas, plot, &scale)?;
        frame::axis_x(canvas, plot, &scale, "CPU, % (100 % = one core)")?;
        let slots = plot.inset(0.0, 16.0, 0.0, 16.0).rows(model.series.len(), 16.0);
        if column == 0 {
            frame::names(canvas, model, &slots, plot.x0, names_width)?;
        }
        for (series, slot) in model.series.iter().zip(slots) {
            let state = model.state(series, scenario);
            let Some(row) = state.row() else {
                frame::missing_row(canvas, Rect { x1: panel.x1, ..slot }, state.missing_text())?;
                continue;
            };
            let bar = slot.at_most_high(BAR_MAX);
            let x = |pct: f64| scale.x(plot, pct);
            let mut sum = 0.0;
            for ((_, colour, _), pct) in known(row) {
                frame::bar(canvas, Rect { x0: x(sum), x1: x(sum + pct), ..bar }, colour, state)?;
                sum += pct;
            }
            let mut end = x(sum);
            if let Some(host) = row.cpu_host_pct.filter(|host| host.is_finite()) {
                canvas.dashed((x(host), bar.y0 - 4.0), (x(host), bar.y1 + 4.0), theme::INK, 5)?;
                end = end.max(x(host));
            }
            let figure = if sum > 0.0 { format!("sum {}", number(sum)) } else { String::new() };
            let text = [figure.as_str(), unknown(row).unwrap_or_default(), state.mark().trim()].join(" ");
            let text = canvas.fitted(text.trim(), theme::LABEL, panel.x1 - end - 14.0)?;
            canvas.text(end + 14.0, slot.centre_y(), &text, theme::LABEL)?;
        }
    }
    Ok(())
}
