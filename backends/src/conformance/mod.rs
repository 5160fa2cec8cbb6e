//! The conformance suite: what every backend must do, as cases that run against the real thing.
//!
//! One entry, [`run`], fans out to a file per topic. Each case states what it claims and what it requires; a requirement
//! that the backend's declared capabilities do not meet makes the case *not applicable*, and the report says which one.
//! How many cases apply is computed before anything runs, and a report with fewer results than that is a failure: a suite
//! that skips silently proves nothing.
//!
//! Each case runs in a namespace of its own, against a deadline, in a task of its own: a case that hangs or panics is one
//! failed case. A few cases run at once, because most of them wait for leases to expire; so a case must not look at, count or
//! cut anything outside its namespace. A backend's own tests and `qbench verify` run the same cases. So a backend can be
//! checked from its first method on: what is not written yet fails the cases that need it, and the others still run.
//!
//! To extend the suite, add a case to the list of its topic. If a backend cannot meet it by design, that is a
//! capability; add it to [`Requirement`].

/// The `CASES` of a topic: of each its name, the function that tries it (with what it gets beside the stage), what a backend must
/// have for it, and the claim as a sentence.
macro_rules! cases {
    ($($name:literal, $body:ident($($argument:expr),*), [$($requires:ident $(($way:expr))?),*], $claim:literal;)*) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: $name,
            claim: $claim,
            requires: &[$(super::Requirement::$requires $(($way))?),*],
            body: |stage| Box::pin($body(stage, $($argument),*)),
        }),*];
    };
}

/// Fails with the sentence, written as for [`format!`], unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($sentence:tt)+) => {
        if $holds { Ok(()) } else { Err(super::stage::Failure(format!($($sentence)+))) }
    };
}

mod attempts;
mod batches;
mod connection;
mod counts;
mod exclusivity;
mod failures;
mod lease;
mod nack;
mod order;
mod ownership;
mod payload;
mod report;
mod requirement;
mod reset;
mod round_trip;
mod stage;
mod stale;
mod wake;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::capability::Capabilities;
use crate::config::BackendConfig;
use crate::entry::{EngineKind, Entry};
use crate::error::{Error, Result};

pub use report::{CaseResult, Outcome, Report};
pub use requirement::Requirement;
use stage::{Checked, Stage};

/// Longest time for one case. Generous: no case needs more than a few seconds, and a hang must end.
pub const CASE_DEADLINE: Duration = Duration::from_secs(60);

/// Cases that run at once. The most demanding ones open about 20 connections each, and a PostgreSQL server that was given has
/// room for 100 unless it was told otherwise.
const AT_ONCE: usize = 4;

/// Longest time for cleaning up after one case.
const CLEANUP_DEADLINE: Duration = Duration::from_secs(20);

/// One thing that a backend must do.
pub struct Case {
    /// What fails, as a name to select and to look for: `topic.words`.
    pub name: &'static str,
    /// The claim, as a sentence.
    pub claim: &'static str,
    /// What a backend must have for the claim to be about it.
    pub requires: &'static [Requirement],
    /// Tries it.
    body: fn(Stage) -> Pin<Box<dyn Future<Output = Checked> + Send>>,
}

impl Case {
    fn ended(&self, outcome: Outcome, took: Duration) -> CaseResult {
        CaseResult { name: self.name, claim: self.claim, outcome, took }
    }
}

/// The cases of every topic.
const TOPICS: &[&[Case]] = &[
    round_trip::CASES,
    payload::CASES,
    batches::CASES,
    exclusivity::CASES,
    nack::CASES,
    failures::CASES,
    lease::CASES,
    stale::CASES,
    attempts::CASES,
    wake::CASES,
    order::CASES,
    counts::CASES,
    reset::CASES,
    connection::CASES,
    ownership::CASES,
];

/// Every case, in the order in which they begin.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    TOPICS.iter().flat_map(|topic| topic.iter())
}

/// How many cases a backend with these capabilities must pass, of those whose name contains `filter`.
pub fn expected_count(capabilities: &Capabilities, engine: EngineKind, filter: &str) -> usize {
    cases()
        .filter(|case| case.name.contains(filter))
        .filter(|case| case.requires.iter().all(|requirement| requirement.is_met(capabilities, engine)))
        .count()
}

/// What a run of the suite tells while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A case begins.
    Started {
        /// Its name.
        name: &'static str,
        /// Cases begun so far, this one included.
        number: usize,
        /// Cases that will run.
        expected: usize,
    },
    /// A case ended, or does not apply.
    Ended(&'a CaseResult),
}

/// Runs every case whose name contains `filter` (empty: all) against the backend of `entry`.
///
/// `config` gives address, durability, timeout and options; each case sets workers, lease, wake-up and poll interval as it
/// needs them, and works in a namespace that starts with the configured one.
///
/// # Errors
/// Those of [`Entry::capabilities`], and [`crate::ErrorKind::Config`] for a backend that does not say what it can do: no case could
/// run.
pub async fn run(
    entry: &'static Entry,
    config: &BackendConfig,
    filter: &str,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Report> {
    let capabilities = capabilities_of(entry, config).await?;
    let expected = expected_count(&capabilities, entry.engine, filter);
    let (mut results, mut waiting) = (Vec::new(), VecDeque::new());
    for (index, case) in cases().enumerate().filter(|(_, case)| case.name.contains(filter)) {
        let unmet = case.requires.iter().find(|requirement| !requirement.is_met(&capabilities, entry.engine));
        if let Some(requirement) = unmet {
            let result = case.ended(Outcome::NotApplicable(requirement.absence().to_owned()), Duration::ZERO);
            progress(Progress::Ended(&result));
            results.push((index, result));
        } else {
            waiting.push_back((index, case));
        }
    }
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((index, case)) = waiting.pop_front()
        {
            progress(Progress::Started { name: case.name, number: expected - waiting.len(), expected });
            let stage = Stage::new(entry, config, capabilities.clone(), index);
            running.push(async move {
                let started = Instant::now();
                let outcome = run_case(case, stage).await;
                (index, case.ended(outcome, started.elapsed()))
            });
        }
        let Some((index, result)) = running.next().await else { break };
        progress(Progress::Ended(&result));
        results.push((index, result));
    }
    // As they stand in the list of cases, whichever ended first.
    results.sort_by_key(|(index, _)| *index);
    Ok(Report { backend: entry.id, expected, results: results.into_iter().map(|(_, result)| result).collect() })
}

/// What the backend declares, in a task of its own, because a panic is a possible answer.
async fn capabilities_of(entry: &'static Entry, config: &BackendConfig) -> Result<Capabilities> {
    let options = config.options.clone();
    let asked = tokio::spawn(async move { entry.capabilities(&options) });
    let capabilities = match asked.await {
        Ok(capabilities) => capabilities?,
        Err(broken) => {
            return Err(Error::config(format!("asking {} what it can do {}", entry.id, panic_sentence(broken))));
        }
    };
    if capabilities.wakes.is_empty() {
        return Err(Error::config(format!(
            "{} declares no way to wait for work: name at least one in `wakes`",
            entry.id
        )));
    }
    Ok(capabilities)
}

/// Runs one case to its end, its deadline or its panic, and cleans up after it.
async fn run_case(case: &Case, stage: Stage) -> Outcome {
    let outcome = match within(CASE_DEADLINE, (case.body)(stage.clone())).await {
        Some(Ok(Ok(()))) => Outcome::Passed,
        Some(Ok(Err(failure))) => Outcome::Failed(failure.to_string()),
        Some(Err(broken)) => Outcome::Failed(panic_sentence(broken)),
        None => Outcome::Failed(format!("hung: no end within {CASE_DEADLINE:?}")),
    };
    match (outcome, clean_up(stage).await) {
        (Outcome::Passed, Err(trouble)) => Outcome::Failed(format!("passed, but cleaning up {trouble}")),
        (outcome, _) => outcome,
    }
}

/// Cleans up after a case, or says what happened instead.
async fn clean_up(stage: Stage) -> Result<(), String> {
    match within(CLEANUP_DEADLINE, async move { stage.clean_up().await }).await {
        Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(failure))) => Err(format!("failed: {failure}")),
        Some(Err(broken)) => Err(panic_sentence(broken)),
        None => Err(format!("did not end within {CLEANUP_DEADLINE:?}")),
    }
}

/// What came of `work` in a task of its own, where a panic ends nothing else; `None` after `limit`.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<Result<T, JoinError>> {
    let mut task = tokio::spawn(work);
    let ended = tokio::time::timeout(limit, &mut task).await.ok();
    if ended.is_none() {
        task.abort();
        // Waits for the abort, so that the connections of a case are closed before it is cleaned up.
        let _ = task.await;
    }
    ended
}

fn panic_sentence(broken: JoinError) -> String {
    match broken.try_into_panic() {
        Ok(payload) => {
            let words = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("without words");
            format!("panicked: {words}")
        }
        Err(_) => "was cancelled".to_owned(),
    }
}
