//! Longer and longer ways to the server: what each millisecond of round trip costs.

use comfy_table::{CellAlignment, Table};

use super::figure::{ABSENT, number};
use super::{STYLE, lines_of, runs_label};
use crate::round_trip::{FIGURES, Queue, Sweep};
use crate::statistics::Slope;

/// One block per scenario.
pub(super) fn render(sweep: &Sweep) -> String {
    let mut delays: Vec<f64> =
        sweep.queues.iter().flat_map(|queue| queue.points.iter().map(|at| at.delay_ms)).collect();
    delays.sort_by(f64::total_cmp);
    delays.dedup();
    let mut table = Table::new();
    table.load_style(STYLE);
    let mut header = vec!["backend".to_owned(), "round trips\n/job".to_owned()];
    header.extend(delays.iter().map(|delay| format!("p50 ms\n+{delay} ms")));
    header.extend(FIGURES.iter().map(|figure| format!("ms of {}\nper ms", figure.title)));
    header.push("blocks".to_owned());
    table.set_header(&header);
    let mut notes = Vec::new();
    for queue in &sweep.queues {
        let round_trips = queue.points.first().and_then(|point| point.row.round_trips_per_job);
        let mut cells = vec![queue.name.clone(), round_trips.map_or(ABSENT.to_owned(), number)];
        cells.extend(delays.iter().map(|delay| latency(queue, *delay, &mut notes)));
        let slopes = FIGURES.each_ref().map(|figure| queue.slope(figure));
        cells.extend(slopes.iter().map(|slope| slope.as_ref().map_or(ABSENT.to_owned(), in_words)));
        cells.push(slopes[0].map_or(ABSENT.to_owned(), |slope| slope.blocks.to_string()));
        table.add_row(cells);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let runs = runs_label(sweep.queues.iter().flat_map(|queue| queue.points.iter().map(|point| point.row)));
    let mut text = format!(
        "Round trips in scenario {}: what a millisecond between clients and server costs, {runs}\n{}",
        sweep.scenario,
        lines_of(&table)
    );
    text.push_str(
        "per ms: slope of the least-squares line over the round trips that were measured, of valid runs, a line for each block\n",
    );
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}

/// The median latency with so much added; with the number of a note where it is not valid.
fn latency(queue: &Queue, delay_ms: f64, notes: &mut Vec<String>) -> String {
    let Some(point) = queue.points.iter().find(|point| point.delay_ms == delay_ms) else { return ABSENT.to_owned() };
    let row = point.row;
    let figure = if row.runs > 0 { number((FIGURES[0].of_cell)(row)) } else { ABSENT.to_owned() };
    if row.runs > 0 && row.valid {
        return figure;
    }
    notes.push(format!("[{}] {}, +{delay_ms} ms: not valid: {}", notes.len() + 1, queue.name, row.reasons));
    format!("{figure} [{}]", notes.len())
}

/// `2.9 [2.7, 3.1]`.
pub(crate) fn in_words(slope: &Slope) -> String {
    match slope.interval {
        Some((low, high)) => format!("{} [{}, {}]", number(slope.slope), number(low), number(high)),
        None => number(slope.slope),
    }
}
