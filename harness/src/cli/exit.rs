//! Exit status and the last sentence.

use std::process::ExitCode;

use qbench_backends::ErrorKind;

use crate::services;
use crate::usage::Usage;

/// How a command ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Done, but a result is not valid.
    NotValid,
    /// Stopped or incomplete; what there is to say has been said.
    Failed,
}

/// Turns the end of a command into the exit status, and prints why it failed, as one sentence, to standard error.
pub fn code(result: anyhow::Result<Status>) -> ExitCode {
    match result {
        Ok(Status::Done) => ExitCode::SUCCESS,
        Ok(Status::Failed) => ExitCode::from(1),
        Ok(Status::NotValid) => ExitCode::from(3),
        Err(error) => {
            eprintln!("qbench: {error:#}");
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<qbench_scenarios::Error>()
            || matches!(cause.downcast_ref(), Some(services::Error::Config(_)))
            || cause.downcast_ref().is_some_and(qbench_orchestration::Error::is_usage)
            || cause.downcast_ref::<qbench_backends::Error>().is_some_and(|error| error.kind() == ErrorKind::Config)
    })
}
