//! Reading TOML into wire types, with refusals that name file, line and the nearest known name.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::nearest::{did_you_mean, nearest};

/// The text of the shipped file of that name, or of the one at that path (anything with a `/` or ending in `.toml`), and the path for
/// messages. `what` it is a file of: `scenario`.
///
/// # Errors
/// [`Error::UnknownName`] with the nearest name; [`Error::Read`].
pub(crate) fn find(
    what: &'static str,
    name_or_path: &str,
    shipped: &[(&str, &'static str)],
) -> Result<(Cow<'static, str>, String)> {
    if let Some((id, text)) = shipped.iter().find(|(id, _)| *id == name_or_path) {
        return Ok((Cow::Borrowed(text), format!("{id}.toml")));
    }
    let path = name_or_path.to_owned();
    if !path.contains('/') && !path.ends_with(".toml") {
        let hint = did_you_mean(&path, shipped.iter().map(|(id, _)| *id));
        let hint = format!("{hint} (a file of your own is given by its path)");
        return Err(Error::UnknownName { what, name: path, hint });
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((Cow::Owned(text), path)),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Reads `text` as `T`.
///
/// # Errors
/// [`Error::Shape`].
pub(crate) fn read<T: DeserializeOwned>(text: &str, path: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| Error::Shape {
        path: path.to_owned(),
        line: error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        problem: with_nearest(error.message()),
    })
}

/// Adds the nearest known name to serde's sentence about an unknown one: it quotes the unknown name first and the known
/// ones after it. A sentence of any other form stays as it is.
fn with_nearest(message: &str) -> String {
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return message.to_owned();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let near = quoted.next().and_then(|unknown| nearest(unknown, quoted));
    match near {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message.to_owned(),
    }
}
