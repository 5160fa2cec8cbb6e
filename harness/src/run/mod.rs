//! One run from request to verdict: servers, tables, manifest, load, figures, files.
//!
//! Reading order: `request` (what is asked), `session` (the verdict stands in the folder from the first moment on),
//! `steps` (what is set up for the load, in which order, and taken down again), then what the steps use: `servers`,
//! `opening`, `background`, `load`, and `figures` for the verdict.

mod apart;
mod background;
mod configuration;
mod figures;
mod files;
mod floor;
mod hiccups;
mod load;
mod manifest;
mod measured;
mod opening;
mod progress;
mod request;
mod round_trip;
mod servers;
mod session;
mod steps;

pub use files::record_stop;
pub use hiccups::{METER_COMMAND, meter_program};
pub use manifest::program;
pub use progress::Progress;
pub use request::RunRequest;
pub use servers::RELAY_COMMAND;
pub use session::{execute, identify};
