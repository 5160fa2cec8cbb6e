//! Cells against each other: those of one analysis against a reference, and those of two result sets. What is computed stands in
//! [`crate::statistics`]; here is what may be compared with what, and what pairs (METHODOLOGY S3).
//!
//! Reading order: [`pair`] (two cells), [`mod@blocks`] (what their blocks say), [`eligible`] (what must not be compared), [`judged`] (rows with
//! words), [`mod@within`], [`mod@crossed`] and [`mod@between`] (which cells meet).

mod across;
mod between;
mod blocks;
mod crossed;
mod eligible;
mod judged;
mod pair;
mod within;

pub use across::Across;
pub(crate) use between::between;
pub(crate) use blocks::blocks;
pub(crate) use crossed::crossed;
pub(crate) use eligible::too_few_jobs;
pub(crate) use pair::Cell;
pub(crate) use within::{across_scenarios, within};
