//! Scenarios, profiles and settings: data in, one validated plan of a run out.
//!
//! A *scenario* says what state the server is in and what else happens (`cold.toml`); a *profile* says how large the
//! load is (`profiles/quick.toml`); *overrides* come from a file, the environment and the command line. [`resolve`] lays
//! them over each other, remembers where every value came from, checks that the whole is possible (Little's law
//! included), and gives a [`RunPlan`].
//!
//! Reading order: [`units`] (how quantities are written), [`workload`] (the validated values), [`keys`] (the one table of
//! names), [`overrides`] (a layer of values), [`scenario`] and [`profile`] (the files), [`settings`] (the layers laid
//! over each other), [`capacity`] (what to expect of it). A matrix that varies settings is described by [`vary`] (the
//! combinations) and [`sweep`] (the same as data); [`study`] adds questions to it, written down before the runs.

pub mod capacity;
pub mod error;
pub mod keys;
mod nearest;
pub mod overrides;
pub mod profile;
pub mod scenario;
pub mod settings;
pub mod source;
pub mod study;
pub mod sweep;
pub mod units;
pub mod vary;
mod wire;
pub mod workload;

pub use capacity::{Capacity, OVERLOAD_UTILISATION};
pub use error::{Error, Result};
pub use keys::{KEYS, KeySpec};
pub use nearest::{did_you_mean, nearest};
pub use overrides::{Layer, Origin, Overrides};
pub use profile::Profile;
pub use scenario::{Pgbench, Scenario, ServerState, Warmup};
pub use settings::{RunPlan, resolve, resolve_shared};
pub use source::Source;
pub use study::{CapacityPart, Study};
pub use sweep::Sweep;
pub use vary::{Axis, Pairs, Variant, combinations};
pub use workload::{JobsPerSecond, Workload};
