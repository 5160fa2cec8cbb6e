//! Result folders, read once for all that is made of them.

use std::path::PathBuf;

use crate::error::{Problem, Result};
use crate::load::{self, Run};
use crate::machines::Machines;
use crate::palette::Palette;
use crate::summary::{self, Summary};

/// The runs of result folders, and their rows.
#[derive(Debug, Clone)]
pub struct Results {
    pub(crate) runs: Vec<Run>,
    pub(crate) summary: Summary,
    pub(crate) machines: Machines,
    /// Files that could not be used, or only in part, and what to do about them.
    pub problems: Vec<Problem>,
}

impl Results {
    /// Reads every run in `inputs`: result folders; `rep-NN` folders and those of variants below them are read, too. Rows come in the order of
    /// `palette`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a folder cannot be read, [`crate::Error::NothingToAnalyze`] when no run can be read at all.
    pub fn read(inputs: &[PathBuf], palette: &Palette) -> Result<Self> {
        let load::Loaded { runs, calibrations, mut problems } = load::load(inputs)?;
        let mut summary = summary::summarize(&runs, palette);
        problems.append(&mut summary.problems);
        Ok(Results { runs, summary, machines: Machines::new(calibrations), problems })
    }
}
