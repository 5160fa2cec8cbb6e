//! Where a value of a setting came from.

/// Where a value came from, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// [`crate::Workload::default`].
    Default,
    /// The profile.
    Profile,
    /// The scenario.
    Scenario,
    /// The base of a plan file.
    Plan,
    /// A settings file.
    File,
    /// A `QBENCH_…` variable.
    Environment,
    /// The command line.
    Flag,
}

impl Source {
    /// The word in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::Profile => "profile",
            Source::Scenario => "scenario",
            Source::Plan => "plan",
            Source::File => "file",
            Source::Environment => "environment",
            Source::Flag => "flag",
        }
    }
}
