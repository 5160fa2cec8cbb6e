//! What an answer of the server means to the harness.

use async_nats::Message;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// Nobody listens on the subject that we sent to.
pub(super) const NO_RESPONDERS: u16 = 503;
/// `JSStreamNotFoundErr`.
pub(super) const STREAM_NOT_FOUND: u64 = 10059;
/// `JSConsumerNotFoundErr`.
pub(super) const CONSUMER_NOT_FOUND: u64 = 10014;
/// `JSStreamNameExistErr`: of another configuration.
const STREAM_NAME_EXISTS: u64 = 10058;
/// `JSStreamSubjectOverlapErr`.
const SUBJECTS_OVERLAP: u64 = 10065;
/// `JSNotEnabledErr` and `JSNotEnabledForAccountErr`.
const NOT_ENABLED: [u64; 2] = [10076, 10039];

/// `JSAccountResourcesExceededErr`.
const RESOURCES_EXCEEDED: u64 = 10002;
/// `JSStreamTooManyRequests`.
const TOO_MANY_REQUESTS: u64 = 10167;

/// `error` in an answer of JetStream.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    /// In the manner of HTTP.
    #[serde(default)]
    code: u16,
    /// Which of NATS's own errors.
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    description: String,
}

/// The error in an answer of JetStream, where it is one.
pub(super) fn api_error(answer: &Value) -> Option<ApiError> {
    let error = answer.get("error")?;
    let unread = || ApiError { code: 0, err_code: 0, description: error.to_string() };
    Some(serde_json::from_value(error.clone()).unwrap_or_else(|_| unread()))
}

/// Such an error as ours.
pub(super) fn of_api(context: String, error: &ApiError) -> Error {
    let (kind, hint) = match (error.err_code, error.code) {
        (STREAM_NOT_FOUND | CONSUMER_NOT_FOUND, _) => {
            (ErrorKind::Server, "; the queue is not set up, or was removed meanwhile")
        }
        (STREAM_NAME_EXISTS | SUBJECTS_OVERLAP, _) => {
            (ErrorKind::Foreign, "; nothing was touched. Choose another namespace, or remove it yourself")
        }
        (code, _) if NOT_ENABLED.contains(&code) => {
            (ErrorKind::Connect, "; start the server with JetStream (`jetstream {}` in its configuration, or -js)")
        }
        // Out of memory, storage or other resources: the one request was refused.
        (RESOURCES_EXCEEDED | TOO_MANY_REQUESTS, _) | (_, 503 | 500) => (ErrorKind::Rejected, ""),
        _ => (ErrorKind::Server, ""),
    };
    let message = format!("the server answered: {}{hint}", error.description);
    Error::new(kind, context, message).with_code(error.err_code.to_string())
}

/// A status that came in place of an answer, as our error.
pub(super) fn of_status(context: String, status: u16, message: &Message) -> Error {
    let said = message.description.as_deref().unwrap_or_default();
    let (kind, said) = match (status, said) {
        (NO_RESPONDERS, _) => {
            (ErrorKind::Server, "nobody answers there: the queue is not set up, or was removed meanwhile")
        }
        // It has too much to do or to wait for: nothing happened.
        (429, _) | (409, "Exceeded MaxWaiting") => (ErrorKind::Rejected, said),
        _ => (ErrorKind::Server, said),
    };
    Error::new(kind, context, format!("the server answered {status} {said}")).with_code(status.to_string())
}

/// What becomes of a batch of `all` parts of which these were refused: it happened, it did not, or nobody can say of the whole.
///
/// # Errors
/// The refusal itself when all parts were refused in the same way; else [`ErrorKind::Unknown`].
pub(super) fn of_parts(context: String, all: usize, refusals: &[Error]) -> Result<()> {
    let Some(first) = refusals.first() else { return Ok(()) };
    if refusals.len() == all && refusals.iter().all(|refusal| refusal.kind() == first.kind()) {
        return Err(first.clone());
    }
    let message = format!("{} of {all} were accepted, then: {first}", all - refusals.len());
    Err(Error::new(ErrorKind::Unknown, context, message).with_code(first.count_key()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_refused_only_where_all_of_it_was_and_in_one_way() {
        let refusal = |kind| Error::new(kind, "", "no");
        let (rejected, server) = (refusal(ErrorKind::Rejected), refusal(ErrorKind::Server));
        for (refusals, kind) in [
            (vec![], None),
            (vec![rejected.clone(), rejected.clone()], Some(ErrorKind::Rejected)),
            (vec![rejected.clone(), server], Some(ErrorKind::Unknown)),
            (vec![rejected], Some(ErrorKind::Unknown)),
        ] {
            assert_eq!(of_parts(String::new(), 2, &refusals).err().map(|error| error.kind()), kind, "{refusals:?}");
        }
    }

    #[test]
    fn an_error_of_jetstream_says_what_to_do() {
        for (text, kind, said) in [
            (
                r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#,
                ErrorKind::Server,
                "not set up",
            ),
            (
                r#"{"error":{"code":400,"err_code":10065,"description":"subjects overlap"}}"#,
                ErrorKind::Foreign,
                "another namespace",
            ),
            (r#"{"error":{"code":503,"err_code":10076,"description":"not enabled"}}"#, ErrorKind::Connect, "-js"),
            (
                r#"{"error":{"code":500,"err_code":10047,"description":"insufficient storage"}}"#,
                ErrorKind::Rejected,
                "storage",
            ),
        ] {
            let error = of_api(String::new(), &api_error(&serde_json::from_str(text).unwrap()).expect("an error"));
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(said), "{error}");
        }
        assert!(api_error(&serde_json::json!({"stream": "a", "seq": 1})).is_none());
    }
}
