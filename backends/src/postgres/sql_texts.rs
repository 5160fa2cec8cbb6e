//! The SQL of a backend with its names filled in.

use std::sync::Arc;

use qbench_schema::result::Durability;
use qbench_schema::sql::SqlFile;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::settings::Settings;

/// Joins statements that each look at one table into one that looks at all of them.
pub(super) const UNION: &str = "\nUNION ALL\n";

/// SqlTexts of one backend in one schema.
pub(super) struct SqlTexts<'a> {
    settings: &'a Settings,
}

impl<'a> SqlTexts<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        SqlTexts { settings }
    }

    /// The queue that they are for.
    pub(super) fn settings(&self) -> &Settings {
        self.settings
    }

    /// The text of statement `name` of `file` with the schema, the persistence and further braces filled in.
    pub(super) fn filled(&self, file: SqlFile, name: &str, braces: &[(&str, impl AsRef<str>)]) -> String {
        let unlogged = if self.settings.durability == Durability::D0 { "UNLOGGED" } else { "" };
        let mut text =
            file.statement(name).replace("{schema}", self.settings.namespace.quoted()).replace("{unlogged}", unlogged);
        for (brace, value) in braces {
            text = text.replace(brace, value.as_ref());
        }
        text
    }

    /// The text of statement `name` of `file`, which needs nothing further.
    pub(super) fn text(&self, file: SqlFile, name: &str) -> String {
        self.filled(file, name, &[] as &[(&str, &str)])
    }

    /// Statement `name` of `file`, ready to be prepared.
    pub(super) fn get(&self, file: SqlFile, name: &str) -> SqlStr {
        prepared(self.text(file, name))
    }
}

/// A statement that is executed over and over: shared, so that no call copies its text.
///
/// Nothing dynamic is in these texts but names that [`super::namespace::Namespace`] has checked, and numbers.
pub(super) fn prepared(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}
