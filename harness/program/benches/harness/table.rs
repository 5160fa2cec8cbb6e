//! What the benchmarks print.

use std::fmt;

/// A table with a title and a sentence about how its figures came about.
pub struct Table {
    title: String,
    note: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, note: &'static str, head: &[&str]) -> Self {
        Table { title: title.into(), note, rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n  {}", self.title, self.note)?;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        for row in &self.rows {
            let cells = (0..columns).map(|column| {
                let cell = row.get(column).map_or("", String::as_str);
                let width = width(column).unwrap_or(0);
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The middle of an odd number of figures; the lower middle of an even one.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// `ratio`, and whether it is what it should be.
pub fn judged(ratio: f64, wanted: &str, is_met: bool) -> String {
    format!("{ratio:.2} ({wanted}: {})", if is_met { "met" } else { "NOT MET" })
}
