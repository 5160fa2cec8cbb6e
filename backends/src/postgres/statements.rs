//! The SQL of a backend with the schema's name filled in.

use std::sync::Arc;

use qbench_schema::sql::SqlFile;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::namespace::Namespace;

/// Statements of one backend in one schema.
pub(super) struct Statements<'a> {
    file: SqlFile,
    namespace: &'a Namespace,
}

impl<'a> Statements<'a> {
    pub(super) fn new(file: SqlFile, namespace: &'a Namespace) -> Self {
        Statements { file, namespace }
    }

    /// The text of statement `name`.
    pub(super) fn text(&self, name: &str) -> String {
        self.filled(name, &[])
    }

    /// The text of statement `name` with further braces filled in.
    pub(super) fn filled(&self, name: &str, braces: &[(&str, &str)]) -> String {
        let mut text = self.file.statement(name).replace("{schema}", self.namespace.quoted());
        for (brace, value) in braces {
            text = text.replace(brace, value);
        }
        text
    }

    /// Statement `name`, ready to be prepared.
    pub(super) fn get(&self, name: &str) -> SqlStr {
        prepared(self.text(name))
    }
}

/// A statement that is executed over and over: shared, so that no call copies its text.
///
/// Nothing dynamic is in these texts but names that [`Namespace`] has checked, and numbers.
pub(super) fn prepared(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}
