//! Whose a stream is.

use serde_json::Value;

use super::connection::Link;
use super::failure::{STREAM_NOT_FOUND, api_error, of_api};
use crate::error::{Error, ErrorKind, Result};

/// The key in a stream's metadata by which we know it, and its value.
pub(super) const OWNER_KEY: &str = "owner";
pub(super) const OWNER: &str = "qbench";

/// Whose the stream is.
pub(super) enum Ownership {
    /// Its metadata say ours.
    Ours {
        /// What `STREAM.INFO` tells of it.
        info: Value,
    },
    /// There is none.
    Nobody,
}

/// Looks whose `stream` is, touching nothing.
///
/// # Errors
/// [`ErrorKind::Foreign`] when there is one that is not ours.
pub(super) async fn of(link: &mut Link, stream: &str) -> Result<Ownership> {
    const OPERATION: &str = "look for the owner of";
    let info = link.try_api(OPERATION, &format!("STREAM.INFO.{stream}"), &Value::Null).await?;
    match api_error(&info) {
        Some(error) if error.err_code == STREAM_NOT_FOUND => return Ok(Ownership::Nobody),
        Some(error) => return Err(of_api(link.context(OPERATION), &error)),
        None => {}
    }
    if info["config"]["metadata"][OWNER_KEY] == OWNER {
        return Ok(Ownership::Ours { info });
    }
    let message = format!(
        "the stream {stream} exists and is not ours; nothing was touched. Choose another namespace, or remove it yourself"
    );
    Err(Error::new(ErrorKind::Foreign, link.context("set up"), message))
}
