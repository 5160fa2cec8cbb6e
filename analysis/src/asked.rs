//! What somebody wants to know of a result set.

use qbench_schema::comparison::{ComparisonRow, SAME_WITHIN};
use qbench_schema::result::IN_PROCESS;
use qbench_schema::study::{Answer, Question};

use crate::compare::{Cell, across_scenarios, crossed, within};
use crate::error::Result;
use crate::machines::Machines;
use crate::summary::Summary;

/// What a result set is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What the result set is about; without it, its folder says so.
    pub title: Option<String>,
    /// What it cannot tell, as whoever planned it wrote down.
    pub limitations: Vec<String>,
    /// Backend that all others are compared with; without one it is the first.
    pub reference: Option<String>,
    /// What counts as no difference: a share to either side.
    pub same_within: f64,
    /// Questions that were written down before the runs.
    pub questions: Vec<Question>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { title: None, limitations: Vec::new(), reference: None, same_within: SAME_WITHIN, questions: Vec::new() }
    }
}

impl Asked {
    /// Every cell of `summary` against the reference, and where queues ran on several hosts the mean over these and each host's part, and what that says to the questions. Cells of two `machines` are compared where these are
    /// alike.
    ///
    /// # Errors
    /// [`crate::Error::Reference`] when no cell is of the reference.
    pub(crate) fn of(&self, summary: &Summary, machines: &Machines) -> Result<(Vec<ComparisonRow>, Vec<Answer>)> {
        let cells = Cell::all(&summary.cells, &summary.runs_of_cells);
        let mut comparison = within(&cells, self.reference.as_deref(), self.same_within, machines)?;
        let first = || cells.iter().find(|cell| cell.row.engine != IN_PROCESS).map(|cell| cell.row.backend.as_str());
        if let Some(reference) = self.reference.as_deref().or_else(first) {
            comparison.extend(crossed(&cells, reference, self.same_within));
        }
        let answer = |question: &Question| {
            let is_asked = |row: &ComparisonRow| {
                question.figures.contains(&row.figure)
                    && question.backends.contains(&row.backend)
                    && question.scenarios.contains(&row.scenario)
            };
            let mut rows = match &question.over {
                Some(over) => across_scenarios(&cells, over, self.same_within, machines),
                None => comparison.clone(),
            };
            rows.retain(is_asked);
            Answer { question: question.clone(), rows }
        };
        let answers = self.questions.iter().map(answer).collect();
        Ok((comparison, answers))
    }
}
