//! Exit status and the last sentence.

use std::process::ExitCode;

use qbench_backends::ErrorKind;

use super::output;
use qbench_engines::{background, services};
use qbench_ground::usage::Usage;
use qbench_orchestration::hosts;

/// How a command ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Done, but a result is not valid.
    NotValid,
    /// Stopped or incomplete; what there is to say has been said.
    Failed,
    /// Done, and it found what it was asked to fail on.
    Found,
}

/// Turns the end of a command into the exit status, and prints why it failed, as one sentence, to standard error.
pub fn code(result: anyhow::Result<Status>) -> ExitCode {
    match result {
        Ok(_) if output::was_lost() => ExitCode::from(1),
        Ok(Status::Done) => ExitCode::SUCCESS,
        Ok(Status::Failed) => ExitCode::from(1),
        Ok(Status::NotValid) => ExitCode::from(3),
        Ok(Status::Found) => ExitCode::from(4),
        Err(error) => {
            eprintln!("qbench: {error:#}");
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

/// Whether the user asked for what cannot be, and nothing was begun.
fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<qbench_scenarios::Error>()
            || cause.downcast_ref::<qbench_backends::Error>().is_some_and(|error| error.kind() == ErrorKind::Config)
            || cause.downcast_ref::<services::Error>().is_some_and(|error| matches!(error, services::Error::Config(_)))
            || cause.downcast_ref::<background::Error>().is_some_and(background::Error::is_config)
            || cause.downcast_ref::<qbench_orchestration::Error>().is_some_and(is_usage_of_a_matrix)
            || cause.downcast_ref::<hosts::Error>().is_some_and(hosts::Error::is_usage)
    })
}

fn is_usage_of_a_matrix(error: &qbench_orchestration::Error) -> bool {
    use qbench_orchestration::Error;
    match error {
        Error::Empty | Error::Twice { .. } | Error::Occupied { .. } | Error::Unknown { .. } | Error::Changed { .. } => {
            true
        }
        Error::File { .. }
        | Error::Unsettled { .. }
        | Error::Record { .. }
        | Error::Start { .. }
        | Error::Signals(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_the_user_is_told_from_trouble_wherever_it_was_noticed() {
        let config = || services::Error::Config("no such place".to_owned());
        let mistakes: [anyhow::Error; 4] = [
            config().into(),
            background::Error::Start(config()).into(),
            background::Error::Config("no clients".to_owned()).into(),
            qbench_orchestration::Error::Empty.into(),
        ];
        for error in mistakes {
            assert!(is_usage(&error.context("on the way")));
        }
        assert!(!is_usage(&services::Error::Busy("another run".to_owned()).into()));
    }
}
