//! What came of a matrix.

use std::fmt;

/// A run that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `<backend>_<scenario>`, after the variant's folder where there is one.
    pub run: String,
    /// Its block, counted from 1.
    pub block: u32,
    /// Why.
    pub reason: String,
}

/// All runs of the plan, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatrixOutcome {
    /// Finished and valid.
    pub finished: usize,
    /// Finished, but its figures may not be ranked.
    pub invalid: Vec<Finding>,
    /// Broke; its result file says so too.
    pub failed: Vec<Finding>,
    /// Tried again, because this machine alone spoiled the attempt. The last attempt is counted above.
    pub repeated: Vec<Finding>,
    /// Finished in an earlier session.
    pub skipped: usize,
    /// Left to do when the user stopped the matrix, the run that was stopped included.
    pub remaining: usize,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

impl fmt::Display for MatrixOutcome {
    /// One line of counts, a line per finding, and how to go on after an interruption.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = vec![format!("{} valid", self.finished)];
        for (number, word) in [
            (self.invalid.len(), "not valid"),
            (self.failed.len(), "failed"),
            (self.skipped, "skipped (finished before)"),
            (self.remaining, "not run"),
            (self.repeated.len(), "tried again"),
        ] {
            if number > 0 {
                counts.push(format!("{number} {word}"));
            }
        }
        writeln!(f, "{}", counts.join(", "))?;
        let again = "was tried again, because of this machine and not of the queue";
        for (findings, word) in [(&self.invalid, "not valid"), (&self.failed, "failed"), (&self.repeated, again)] {
            for finding in findings {
                writeln!(f, "  {} (block {}) {word}: {}", finding.run, finding.block, finding.reason)?;
            }
        }
        if self.interrupted {
            writeln!(f, "interrupted: the same command with --resume runs what is left")?;
        }
        Ok(())
    }
}
