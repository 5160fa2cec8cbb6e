//! Calibrations of a block, and the runs that stand between them.

use std::fs;
use std::path::{Path, PathBuf};

use qbench_schema::calibration::Calibration;
use qbench_schema::files::{CALIBRATION_AFTER_JSON, CALIBRATION_BEFORE_JSON};

use crate::error::{Problem, Result};

/// What the machine could do around the runs of one block, in the order of time.
#[derive(Debug, Default)]
pub(super) struct OfBlock(Vec<(Place, Calibration)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    After,
}

impl Place {
    /// Of the file of that name. One that a later session of the matrix set aside belongs to the runs of its own session, and these still count.
    fn of_file(name: &str) -> Option<Self> {
        let is =
            |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(".attempt-"));
        let places = [(CALIBRATION_BEFORE_JSON, Place::Before), (CALIBRATION_AFTER_JSON, Place::After)];
        places.into_iter().find(|(known, _)| is(known)).map(|(_, place)| place)
    }
}

impl OfBlock {
    /// Those among the files of a block's folder. What cannot be read goes to `problems`.
    pub(super) fn read(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Self {
        let mut found = Vec::new();
        for path in paths {
            let Some(place) = path.file_name().and_then(|name| Place::of_file(name.to_str()?)) else { continue };
            match read(path) {
                Ok(calibration) => found.push((place, calibration)),
                Err(problem) => problems.push(problem),
            }
        }
        found.sort_by(|(_, a), (_, b)| a.started_at.cmp(&b.started_at));
        OfBlock(found)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Calibration> {
        self.0.iter().map(|(_, calibration)| calibration)
    }

    /// Whether the last calibration until `started_at` was one before runs, and the next is one after them.
    pub(super) fn surround(&self, started_at: &str) -> bool {
        let next = self.0.partition_point(|(_, calibration)| calibration.started_at.as_str() <= started_at);
        let place = |at: usize| self.0.get(at).map(|(place, _)| *place);
        next.checked_sub(1).and_then(place) == Some(Place::Before) && place(next) == Some(Place::After)
    }
}

fn read(path: &Path) -> Result<Calibration, Problem> {
    let text = fs::read(path).map_err(|error| Problem::new(path, format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text)
        .map_err(|error| Problem::new(path, format!("is no calibration of qbench ({error}), and is left out")))
}
