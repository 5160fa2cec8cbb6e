//! A matrix of runs: every backend x scenario, in randomised complete blocks (METHODOLOGY S2), each run in a fresh process.
//!
//! Reading order: [`plan`] (which runs, in which order, into which folders), [`resume`] (what is there already and must
//! not be overwritten), [`mod@execute`] (a child process per run), [`progress`] (what the user sees meanwhile), [`outcome`]
//! (what came of it).
//!
//! [`hosts`] has all of it done on several machines, over ssh.
//!
//! [`capacity`] runs one queue at rate after rate instead, to find the highest that it carries.
//!
//! This crate starts `qbench run` and reads `result.json`; it never links the driver, so that no run can warm up, slow
//! down or take down the next one.

pub mod capacity;
mod child;
pub mod error;
pub mod execute;
pub mod hosts;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod resume;
mod verdict;

pub use child::RunCommand;
pub use error::{Error, Result};
pub use execute::execute;
pub use outcome::{Finding, MatrixOutcome};
pub use plan::{Action, Cell, MatrixPlan, PlannedRun, Survey};
pub use progress::Progress;
pub use resume::survey;
