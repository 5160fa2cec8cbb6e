//! What a column of the tables is, and the macro that makes rows of a list of them.

use super::value::Value;

/// One column: a property of a run or of a cell, or a figure. `Run` is the row of a run, `Cell` that of a cell.
pub struct Column<Run: 'static, Cell: 'static> {
    /// Its name in files, unit last.
    pub name: &'static str,
    /// Unit of a figure; empty for a word.
    pub unit: &'static str,
    /// What it is, one sentence.
    pub sentence: &'static str,
    /// Its value in a row of `runs.csv`, where it has one.
    pub run: Option<fn(&Run) -> Value>,
    /// Its value in a row of `summary.csv`, where it has one.
    pub cell: Option<fn(&Cell) -> Value>,
    /// How the one of a cell comes from those of its runs.
    pub over_runs: Option<&'static str>,
    /// Which value is the best.
    pub better: Better,
    /// When it does not describe the queue.
    pub unless: Option<Unless>,
    /// Tables of a terminal that show it.
    pub shown: &'static [Shown],
}

/// Which value of a column is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The largest.
    More,
    /// The smallest.
    Less,
    /// The column is not ranked.
    Neither,
}

/// When a figure does not describe the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unless {
    /// In overload: it measures how long the run was. It stands in brackets there.
    Overload,
    /// Beside a background load: it is shared with that. It is not ranked there.
    Background,
    /// At a given rate: it is what was offered. It is ranked flat out only.
    OnSchedule,
}

/// A place in a table of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The table.
    pub table: TableKind,
    /// Where among its columns.
    pub place: u32,
    /// Its heading there.
    pub title: &'static str,
}

/// The tables of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Backends in one scenario, on a schedule.
    Scenario,
    /// Backends in one scenario, flat out.
    Capacity,
    /// What one job cost.
    Cost,
    /// Rungs of a climb.
    Ladder,
    /// Numbers of workers.
    Scaling,
}

impl<Run, Cell> Column<Run, Cell> {
    /// Whether cells are compared in it: runs and cells have it, and one of two values is the better one.
    pub fn is_compared(&self) -> bool {
        self.run.is_some() && self.cell.is_some() && self.better != Better::Neither
    }

    /// Its place and heading in `table`, where that shows it.
    pub fn shown_in(&self, table: TableKind) -> Option<&'static Shown> {
        self.shown.iter().find(|shown| shown.table == table)
    }
}

/// How the value of a cell is made: a word, or how it is told and an expression over the [`super::CellRuns`].
macro_rules! reduce {
    ($runs:ident, $field:ident, mean) => {
        $runs.over(|run| run.$field, Mean::mean)
    };
    ($runs:ident, $field:ident, median) => {
        $runs.over(|run| run.$field, Mean::median)
    };
    ($runs:ident, $field:ident, largest) => {
        $runs.over(|run| run.$field, Reduce::largest)
    };
    ($runs:ident, $field:ident, sum) => {
        $runs.over(|run| run.$field, Reduce::sum)
    };
    ($runs:ident, $field:ident, the_same) => {
        $runs.first(|run| run.$field.clone())
    };
    ($runs:ident, $field:ident, same_or_mixed) => {
        $runs.same_or_mixed(|run| run.$field)
    };
    ($runs:ident, $field:ident, ($told:literal, |$cell:ident| $made:expr)) => {{
        let $cell = $runs;
        $made
    }};
}

/// How a reduction is told.
macro_rules! reduction {
    (mean) => {
        "mean"
    };
    (median) => {
        "median"
    };
    (largest) => {
        "largest"
    };
    (sum) => {
        "sum"
    };
    (the_same) => {
        "the same in all"
    };
    (same_or_mixed) => {
        "the same in all, or `mixed`"
    };
    (($told:literal, |$cell:ident| $made:expr)) => {
        $told
    };
}

/// Makes `RunRow`, `SummaryRow` and [`COLUMNS`](super::COLUMNS) of one list. An entry has a name, a unit, a sentence, and
/// any of: its value from a [`RunResult`](crate::result::RunResult), its value in a cell, which direction is better, when it
/// does not describe the queue, and where a terminal shows it.
macro_rules! columns {
    ($(
        $name:ident, $unit:literal, $sentence:literal {
            $(run $run:ty = |$result:ident| $value:expr;)?
            $(cell $(#[$attribute:meta])? $cell:ty = $how:tt;)?
            $(better $better:ident;)?
            $(unless $unless:ident;)?
            $(shown $($table:ident $place:literal $title:literal),+;)?
        }
    )*) => {
        /// A row of `runs.csv`: one execution of a cell.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct RunRow {
            $($(
                #[doc = $sentence]
                pub $name: $run,
            )?)*
        }

        impl RunRow {
            /// The row of a run.
            pub fn of(of: &RunResult) -> Self {
                RunRow { $($($name: { let $result = of; $value },)?)* }
            }
        }

        /// A row of `summary.csv` and an entry of `summary.json`: one cell, all its repeats together. Runs of different
        /// machines or with different settings are never pooled: a cell then has a row for each, and so it has for each
        /// variant of a matrix.
        ///
        /// A percentile is the median over the runs of each one's own: the run is the unit (METHODOLOGY S6). Means (throughput, CPU)
        /// are over runs. The same backend on two server products (Valkey and Redis) makes two rows.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct SummaryRow {
            $($(
                #[doc = $sentence]
                $(#[$attribute])?
                pub $name: $cell,
            )?)*
        }

        impl SummaryRow {
            /// The row of a cell.
            pub fn of(runs: &CellRuns<'_, RunRow>) -> Self {
                SummaryRow { $($($name: { let value: $cell = reduce!(runs, $name, $how); value },)?)* }
            }
        }

        /// Every column of `runs.csv` and `summary.csv`, in the order of the latter.
        pub static COLUMNS: &[Column] = &[$(
            columns::Column {
                name: stringify!($name),
                unit: $unit,
                sentence: $sentence,
                run: [$(Some((|row| { let value: &$run = &row.$name; value.into() }) as fn(&RunRow) -> Value),)? None][0],
                cell: [$(Some((|row| { let value: &$cell = &row.$name; value.into() }) as fn(&SummaryRow) -> Value),)? None][0],
                over_runs: [$(Some(reduction!($how)),)? None][0],
                better: [$(Better::$better,)? Better::Neither][0],
                unless: [$(Some(Unless::$unless),)? None][0],
                shown: &[$($(Shown { table: TableKind::$table, place: $place, title: $title }),+)?],
            },
        )*];
    };
}

pub(super) use {columns, reduce, reduction};
