//! The harness: private servers, the driver, the recorder, the auditor, the monitors, and the command line over them.
//!
//! How a job flows: `driver::schedule` gives intended instants, a `driver::producer` sends, the backend keeps, a
//! `driver::worker` claims, works and acks, one [`qbench_schema::record::JobRecord`] goes to `record` and `audit`, and
//! they make the run's result and files.

pub mod cli;
pub mod run;
pub mod validity;
