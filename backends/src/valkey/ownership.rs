//! Whose the keys are.

use std::time::Duration;

use redis::Pipeline;

use super::connection::Link;
use super::reply::{count, text};
use super::settings::Keys;
use crate::error::{Error, ErrorKind, Result};

/// Whose the keys are.
pub(super) enum Ownership {
    /// The marker says ours.
    Ours,
    /// There is nothing of that name, or an empty stream.
    Nobody,
}

/// Looks whose `keys` are, touching nothing.
///
/// # Errors
/// [`ErrorKind::Foreign`] when one of our names is taken by something that is not ours and not empty.
pub(super) async fn of(link: &mut Link, owner: &String, keys: &[String]) -> Result<Ownership> {
    const OPERATION: &str = "look for the owner of";
    let names: Vec<&String> = keys.iter().chain([owner]).collect();
    let mut look = Pipeline::with_capacity(names.len());
    for name in &names {
        look.cmd("TYPE").arg(name.as_str());
    }
    let types = link.pipeline(OPERATION, &look).await?;
    let types: Vec<&str> = types.iter().map(|kind| text(kind).unwrap_or("unreadable")).collect();

    if types.last() == Some(&"string") {
        let marker = link.call(OPERATION, redis::cmd("GET").arg(owner), Duration::ZERO).await?;
        if text(&marker) == Some(Keys::OWNER) {
            return Ok(Ownership::Ours);
        }
    }
    for (name, kind) in names.into_iter().zip(types) {
        let taken = match kind {
            "none" => false,
            "stream" => {
                let length = link.call(OPERATION, redis::cmd("XLEN").arg(name), Duration::ZERO).await?;
                count(&length) != Some(0)
            }
            _ => true,
        };
        if taken {
            return Err(Error::new(
                ErrorKind::Foreign,
                link.context("set up"),
                format!(
                    "the key {name} exists ({kind}) and is not ours; nothing was touched. Choose another namespace, or remove it yourself"
                ),
            ));
        }
    }
    Ok(Ownership::Nobody)
}
