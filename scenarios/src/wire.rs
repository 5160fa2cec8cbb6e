//! Reading TOML into wire types, with refusals that name file, line and the nearest known name.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::nearest::nearest;

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
