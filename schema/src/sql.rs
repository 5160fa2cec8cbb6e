//! The SQL of the backends, one readable file each and two for what those on PostgreSQL share, compiled in.
//!
//! A file is prose in comments and named statements: a line `-- name: claim` opens the statement (or the few statements)
//! `claim`, which ends at the next such line. Comments stand on lines of their own. Names in braces, such as `{schema}`, are
//! filled in by the backend; the file's first comment lists them.

/// One file of named statements.
#[derive(Debug, Clone, Copy)]
pub struct SqlFile {
    text: &'static str,
}

/// The files of SQL. Each becomes a constant, and each is checked.
macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: SqlFile = SqlFile { text: include_str!(concat!("../sql/", $file)) };)*

        /// All of them, by the names of their files.
        pub const FILES: &[(&str, SqlFile)] = &[$(($file, $name)),*];
    };
}

files! {
    /// Statements that every design runs.
    QUEUE = "queue.sql";
    /// Statements of the designs whose jobs stay in their table and are held by a lease: `skip_locked` and `partitioned`.
    LEASED = "leased.sql";
    /// Statements of the `skip_locked` backend.
    SKIP_LOCKED = "skip_locked.sql";
    /// Statements of the `delete_returning` backend.
    DELETE_RETURNING = "delete_returning.sql";
    /// Statements of the `advisory_lock` backend.
    ADVISORY_LOCK = "advisory_lock.sql";
    /// Statements of the `partitioned` backend.
    PARTITIONED = "partitioned.sql";
    /// Statements of the `batch_sql` backend.
    BATCH_SQL = "batch_sql.sql";
    /// Statements of the `sqlite` backend.
    SQLITE = "sqlite.sql";
}

const OPENING: &str = "-- name: ";

impl SqlFile {
    /// The names of the file's statements, in its order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines().filter_map(|line| line.strip_prefix(OPENING)).map(str::trim)
    }

    /// The statement `name` without its comments, braces not filled in.
    ///
    /// # Panics
    /// When the file has no such statement. Files and names are both compiled in, so that is a mistake in this program.
    pub fn statement(&self, name: &str) -> String {
        let mut lines = self.text.lines();
        let opened = lines.any(|line| line.strip_prefix(OPENING).map(str::trim) == Some(name));
        assert!(opened, "the SQL file has no statement named {name}");
        lines
            .take_while(|line| !line.starts_with(OPENING))
            .filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A file that nobody includes would be checked by nobody.
    #[test]
    fn every_file_in_the_folder_is_one_of_these() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sql");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("can be read").file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(there, FILES.iter().map(|(file, _)| (*file).to_owned()).collect());
    }

    #[test]
    fn a_statement_ends_where_the_next_one_begins_and_has_no_comments() {
        let file = SqlFile { text: "-- prose\n\n-- name: one\n-- why\nSELECT 1;\n\n-- name: two\nSELECT\n    2;\n" };
        assert_eq!(file.names().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(file.statement("one"), "SELECT 1;");
        assert_eq!(file.statement("two"), "SELECT\n    2;");
    }

    #[test]
    #[should_panic(expected = "no statement named three")]
    fn a_missing_statement_is_a_mistake_in_the_program() {
        SqlFile { text: "-- name: one\nSELECT 1;\n" }.statement("three");
    }

    #[test]
    fn names_are_unique_and_no_statement_is_empty() {
        for (_, file) in FILES {
            let names: Vec<_> = file.names().collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            for name in names {
                assert!(!file.statement(name).is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn only_documented_names_stand_in_braces() {
        for (_, file) in FILES {
            let prose: String = file.text.lines().filter(|line| line.starts_with("--")).collect();
            let documented: BTreeSet<&str> =
                prose.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            for name in file.names() {
                let mut rest = file.statement(name);
                for word in &documented {
                    rest = rest.replace(&format!("{{{word}}}"), "");
                }
                assert!(!rest.contains(['{', '}']), "{name}: {rest}");
            }
        }
    }

    #[test]
    fn no_comment_hides_behind_a_statement() {
        for (_, file) in FILES {
            for name in file.names() {
                assert!(!file.statement(name).contains("--"), "{name}");
            }
        }
    }
}
