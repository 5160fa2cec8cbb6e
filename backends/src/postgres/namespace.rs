//! The schema that holds everything a backend makes.

use crate::error::{Error, Result};

/// Longest name that PostgreSQL keeps whole.
pub(super) const LONGEST: usize = 63;

/// Name of a schema, checked once, so that it can stand in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    name: String,
    quoted: String,
}

impl Namespace {
    /// Takes letters, digits and `_`, 63 at most, not starting with `pg_`, which PostgreSQL keeps for itself.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] otherwise.
    pub(super) fn new(name: &str) -> Result<Self> {
        let well_formed = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !well_formed || name.len() > LONGEST || name.starts_with("pg_") {
            return Err(Error::config(format!(
                "{name:?} cannot name a schema for the queue: use letters, digits and _, {LONGEST} at most, not starting with pg_"
            )));
        }
        Ok(Namespace { name: name.to_owned(), quoted: format!("\"{name}\"") })
    }

    /// The name as it was given.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name as it stands in SQL.
    pub(super) fn quoted(&self) -> &str {
        &self.quoted
    }

    /// A table of the schema as it stands in SQL.
    pub(super) fn table(&self, table: &str) -> String {
        format!("{}.{table}", self.quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn namespace() -> Namespace {
        Namespace::new("qb_1").expect("a good name")
    }

    #[test]
    fn a_name_that_could_break_out_of_its_quotes_is_refused() {
        for name in ["", "a\"b", "a.b", "a b", "ä", "pg_queue", &"x".repeat(64)] {
            let error = Namespace::new(name).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("letters, digits and _"), "{error}");
        }
        assert_eq!(namespace().table("jobs"), "\"qb_1\".jobs");
    }
}
