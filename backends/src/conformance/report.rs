//! What came out of a run of the suite.

use std::fmt;
use std::time::Duration;

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The claim held.
    Passed,
    /// It did not; the sentence says what happened instead.
    Failed(String),
    /// The backend does not declare what the claim is about; the sentence says what.
    NotApplicable(String),
}

/// One case and its end.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The case's name.
    pub name: &'static str,
    /// What it claims.
    pub claim: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, cleaning up included.
    pub took: Duration,
}

/// A run of the suite over one backend in one configuration.
#[derive(Debug, Clone)]
pub struct Report {
    /// The backend's id.
    pub backend: &'static str,
    /// Cases that had to run, computed from the declared capabilities before any did.
    pub expected: usize,
    /// Every case that was looked at.
    pub results: Vec<CaseResult>,
}

impl Report {
    /// Cases whose claim held.
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|result| result.outcome == Outcome::Passed).count()
    }

    /// Cases whose claim did not hold.
    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(|result| matches!(result.outcome, Outcome::Failed(_)))
    }

    /// The reasons of failures, in the order in which they came up, each with its cases.
    fn failed_by_reason(&self) -> Vec<(&str, Vec<&CaseResult>)> {
        let mut reasons: Vec<(&str, Vec<&CaseResult>)> = Vec::new();
        for result in &self.results {
            let Outcome::Failed(reason) = &result.outcome else { continue };
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, cases)) => cases.push(result),
                None => reasons.push((reason, vec![result])),
            }
        }
        reasons
    }

    /// Cases that are not about this backend.
    pub fn not_applicable(&self) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(|result| matches!(result.outcome, Outcome::NotApplicable(_)))
    }

    /// Good only if every expected case ran and passed.
    ///
    /// # Errors
    /// A sentence that says what is wrong, the names of failed cases included.
    pub fn verdict(&self) -> Result<(), String> {
        let failed: Vec<&str> = self.failed().map(|result| result.name).collect();
        let ran = self.passed() + failed.len();
        if !failed.is_empty() {
            return Err(format!("{}: {} of {ran} cases failed: {}", self.backend, failed.len(), failed.join(", ")));
        }
        if self.expected == 0 {
            return Err(format!("{}: no case was selected, so nothing is shown", self.backend));
        }
        if ran != self.expected {
            return Err(format!("{}: {ran} cases ran, but {} had to", self.backend, self.expected));
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    /// What failed, with the cases that failed so and what they claim; then a line of counts. In a half-written backend many
    /// cases fail for the same reason, which then stands there once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, cases) in self.failed_by_reason() {
            writeln!(f, "FAILED {reason}")?;
            for case in cases {
                writeln!(f, "       {}: {}", case.name, case.claim)?;
            }
        }
        write!(
            f,
            "{}: {} of {} expected cases passed, {} failed, {} not applicable",
            self.backend,
            self.passed(),
            self.expected,
            self.failed().count(),
            self.not_applicable().count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(expected: usize, outcomes: &[Outcome]) -> Report {
        let result = |outcome: &Outcome| CaseResult {
            name: "topic.words",
            claim: "Something holds.",
            outcome: outcome.clone(),
            took: Duration::ZERO,
        };
        Report { backend: "memory", expected, results: outcomes.iter().map(result).collect() }
    }

    #[test]
    fn fewer_cases_than_expected_is_a_failure() {
        let skipped = Outcome::NotApplicable("nack is not supported".to_owned());
        assert_eq!(report(2, &[Outcome::Passed, Outcome::Passed, skipped.clone()]).verdict(), Ok(()));
        let short = report(2, &[Outcome::Passed, skipped]).verdict().expect_err("one is missing");
        assert!(short.contains("1 cases ran, but 2 had to"), "{short}");
    }

    #[test]
    fn no_case_at_all_is_a_failure() {
        assert!(report(0, &[]).verdict().is_err());
    }

    #[test]
    fn a_reason_that_many_cases_share_is_said_once() {
        let missing = Outcome::Failed("nack: not written yet".to_owned());
        let text = report(3, &[missing.clone(), Outcome::Failed("2 of 3 came".to_owned()), missing]).to_string();
        let expected = "FAILED nack: not written yet\n       topic.words: Something holds.\n       topic.words: Something holds.\n\
                        FAILED 2 of 3 came\n       topic.words: Something holds.\n\
                        memory: 0 of 3 expected cases passed, 3 failed, 0 not applicable";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_failed_case_is_named() {
        let broken = report(1, &[Outcome::Failed("2 of 3 came".to_owned())]);
        assert!(broken.verdict().expect_err("failed").contains("topic.words"));
        assert!(broken.to_string().contains("2 of 3 came"));
    }
}
