//! What the driver, the engines and the command line all stand on: the clock of a run, the cores and the priority that it is
//! given, short names for long texts, and the error that says "you asked for something impossible".

pub mod clock;
pub mod pinning;
pub mod priority;
pub mod short_hash;
pub mod usage;
