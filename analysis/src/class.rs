//! Which rows may be ranked, and against which others.

use qbench_schema::result::{Delivery, Durability, IN_PROCESS, LoadMode, Regime, Waiting, word};
use qbench_schema::summary::{OrMixed, SummaryRow};

/// What stands where a row does not tell how its workers waited.
const NOT_TOLD: &str = "-";

/// Durability, delivery and waiting of a row: rows are ranked within one class. What a row does not tell is a class of its own, which is ranked
/// with none that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    durability: OrMixed<Durability>,
    delivery: OrMixed<Delivery>,
    waiting: Waiting,
}

impl Class {
    /// The class of a row.
    pub(crate) fn of(row: &SummaryRow) -> Self {
        Class { durability: row.durability, delivery: row.delivery, waiting: row.waiting }
    }

    /// For people: `D2, at least once, poll`.
    pub(crate) fn label(&self) -> String {
        let waiting = match self.waiting {
            Waiting::Unknown => String::new(),
            Waiting::Poll | Waiting::Push => format!(", {}", word(self.waiting)),
        };
        format!("{}, {}{waiting}", durability_label(self.durability), delivery_label(self.delivery))
    }
}

/// `d2` as people write it.
pub(crate) fn durability_label(durability: OrMixed<Durability>) -> String {
    match durability {
        OrMixed::Same(_) => durability.to_string().to_uppercase(),
        OrMixed::Mixed => durability.to_string(),
    }
}

/// `at_least_once` as people write it.
pub(crate) fn delivery_label(delivery: OrMixed<Delivery>) -> String {
    match delivery {
        OrMixed::Same(Delivery::Unknown) => "delivery not told".to_owned(),
        OrMixed::Same(_) | OrMixed::Mixed => delivery.to_string().replace('_', " "),
    }
}

/// How idle workers wait, for people: `poll 10 ms`, `push`.
pub(crate) fn waiting_label(row: &SummaryRow) -> String {
    match (row.waiting, row.poll_interval_ms) {
        (Waiting::Unknown, _) => NOT_TOLD.to_owned(),
        (Waiting::Poll, Some(interval_ms)) => format!("poll {interval_ms} ms"),
        (waiting, _) => word(waiting),
    }
}

/// True when the figures of a row describe the queue. In-process backends are the floor of the harness, not a queue to
/// choose, and would win every column.
pub(crate) fn is_ranked(row: &SummaryRow) -> bool {
    let is_describing = row.mode == LoadMode::Saturation || !is_overload(row);
    row.runs > 0 && row.valid && is_describing && row.engine != IN_PROCESS
}

pub(crate) fn is_overload(row: &SummaryRow) -> bool {
    row.regime == Regime::Overload
}
