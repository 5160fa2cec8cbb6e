//! A mistake in what the user asked for.

/// One sentence that says what is wrong, where, and what to do. The program ends with exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
