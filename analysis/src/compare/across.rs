//! Parts of an identity in which two result sets may differ on purpose.

use std::fmt;
use std::str::FromStr;

use qbench_schema::summary::SummaryRow;

use crate::variant::{bare, settings_of};

/// A part of a cell's identity (METHODOLOGY F12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// Version of the server product.
    Version,
    /// The machine.
    Host,
    /// Settings of the run, and of the server.
    Setting,
    /// Revision that the harness was built from.
    Revision,
    /// Where the server was.
    Topology,
}

impl Across {
    /// All of them.
    pub const ALL: [Across; 5] = [Across::Version, Across::Host, Across::Setting, Across::Revision, Across::Topology];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Across::Version => "version",
            Across::Host => "host",
            Across::Setting => "setting",
            Across::Revision => "revision",
            Across::Topology => "topology",
        }
    }

    /// In what two cells differ here, in words; `None` where they do not.
    pub(super) fn difference(self, a: &SummaryRow, b: &SummaryRow) -> Option<String> {
        let differing = |a: &str, b: &str| (a != b).then(|| format!("{a} and {b}"));
        match self {
            Across::Version => differing(&a.engine_version, &b.engine_version),
            Across::Host => match differing(&a.host_id, &b.host_id) {
                Some(_) if a.host != b.host => differing(&a.host, &b.host),
                Some(ids) => Some(format!("two machines named {}, {ids}", a.host)),
                None => None,
            },
            Across::Setting => {
                let settings = settings(a, b);
                (!settings.is_empty()).then(|| settings.join(", "))
            }
            Across::Revision => differing(&a.git_revision, &b.git_revision),
            Across::Topology => differing(&a.topology, &b.topology),
        }
    }
}

/// Every part in which two cells differ, with the difference in words.
pub(super) fn differences(a: &SummaryRow, b: &SummaryRow) -> impl Iterator<Item = (Across, String)> {
    let of = |part: Across| part.difference(a, b).map(|difference| (part, difference));
    Across::ALL.map(of).into_iter().flatten()
}

/// Most settings that a sentence names.
const NAMED: usize = 4;

/// `rate=500 and 1000`, for each setting of run or server in which two cells differ.
fn settings(a: &SummaryRow, b: &SummaryRow) -> Vec<String> {
    let mut differing = Vec::new();
    let (of_a, of_b) = (settings_of(a), settings_of(b));
    let keys: std::collections::BTreeSet<&str> = of_a.keys().chain(of_b.keys()).copied().collect();
    for key in keys.into_iter().filter(|key| of_a.get(key) != of_b.get(key)) {
        let told = |value: Option<&&str>| value.map_or("not set", |value| *value).to_owned();
        differing.push(format!("{}={} and {}", bare(key), told(of_a.get(key)), told(of_b.get(key))));
    }
    // A server of another version has other settings: that it is one is said by the version.
    if a.engine_version == b.engine_version && a.server_settings != b.server_settings {
        differing.push("settings of the server".to_owned());
    }
    if differing.len() > NAMED {
        let more = differing.len() - NAMED;
        differing.truncate(NAMED);
        differing.push(format!("and {more} more"));
    }
    differing
}

impl fmt::Display for Across {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Across {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Across::ALL.map(Across::name).join(", ");
        Across::ALL.into_iter().find(|across| across.name() == text).ok_or_else(|| format!("it is one of {}", names()))
    }
}
