//! The harness as a whole: [`run`] carries out one run on servers, with driver and monitors; [`validity`] judges what came of
//! it; `merge` puts the shards of a run together; [`cli`] is the command line over all of it.
//!
//! How a job flows: the driver's `schedule` gives intended instants, a `producer` sends, the backend keeps, a `worker` claims,
//! works and acks, one [`qbench_schema::record::JobRecord`] goes to `record` and `audit`, and they make the run's result and
//! files.

mod calibrate;
pub mod cli;
mod machine;
mod merge;
pub mod run;
pub mod validity;
