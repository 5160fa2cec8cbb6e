//! Whose a schema is, and everything in it.
//!
//! What we make carries a comment that starts with [`MARK`], schema, tables and types alike. Only what carries it is ever dropped,
//! and never with CASCADE, so that nothing of somebody else's can go with it: PostgreSQL then refuses, and so do we.

use std::fmt::Write;

use super::connection::Link;
use super::namespace::Namespace;
use super::sql_texts::prepared;
use crate::error::{ErrorKind, Result};

/// Start of the comment on everything that we made.
const MARK: &str = "qbench: ";
/// Comment on a schema that we made. A teardown drops it.
const MADE: &str = "qbench: made by qbench; dropped and remade by every run";
/// Comment on a schema that stood empty when we came. A teardown leaves it as it was.
const ADOPTED: &str = "qbench: adopted by qbench while empty; its contents are dropped and remade by every run";
/// Comment on a table or a type that we made.
pub(super) const OBJECT: &str = "qbench: made by qbench; dropped and remade by every run";

/// The state of a schema in three facts: is it there, does its comment carry the mark, is anything in it.
const INSPECT: &str = "
    SELECT coalesce(obj_description(namespace.oid, 'pg_namespace'), '') AS comment,
           EXISTS (SELECT FROM pg_depend
                   WHERE refclassid = 'pg_namespace'::regclass AND refobjid = namespace.oid AND deptype = 'n') AS filled
    FROM pg_namespace AS namespace
    WHERE namespace.nspname = $1";

/// Our tables in a schema. Partitions go with their parents.
const OUR_TABLES: &str = "
    SELECT format('%I.%I', namespace.nspname, class.relname)
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p') AND NOT class.relispartition
      AND starts_with(obj_description(class.oid, 'pg_class'), $2)
    ORDER BY 1";

/// Our types in a schema; not those that come with a table.
const OUR_TYPES: &str = "
    SELECT format('%I.%I', namespace.nspname, type.typname)
    FROM pg_type AS type JOIN pg_namespace AS namespace ON namespace.oid = type.typnamespace
    WHERE namespace.nspname = $1 AND type.typtype = 'e' AND starts_with(obj_description(type.oid, 'pg_type'), $2)
    ORDER BY 1";

/// What stands where our schema should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// Our own, or one that we adopted, with these tables and types of ours in it.
    Ours {
        adopted: bool,
        tables: Vec<String>,
        types: Vec<String>,
    },
    /// Somebody's, and empty.
    Empty,
}

impl Namespace {
    /// Looks what is there.
    ///
    /// # Errors
    /// [`ErrorKind::Foreign`] when a schema of this name is not ours and not empty.
    pub(super) async fn inspect(&self, link: &mut Link) -> Result<Found> {
        let mut state: Option<(String, bool)> = None;
        let arguments = (self.name(),);
        link.run("look for the queue's schema", &prepared(INSPECT.to_owned()), arguments, |row| {
            state = Some((row.get(0)?, row.get(1)?));
            Ok(())
        })
        .await?;
        match state {
            None => Ok(Found::Nothing),
            Some((comment, _)) if comment.starts_with(MARK) => Ok(Found::Ours {
                adopted: comment == ADOPTED,
                tables: self.ours(link, "list the queue's tables", OUR_TABLES).await?,
                types: self.ours(link, "list the queue's types", OUR_TYPES).await?,
            }),
            Some((_, false)) => Ok(Found::Empty),
            Some((_, true)) => Err(link.error(
                ErrorKind::Foreign,
                "set up the queue",
                "a schema of this name exists that qbench did not make, and it is not empty; nothing was touched. \
                 Choose another namespace, or drop the schema yourself if nobody needs it",
            )),
        }
    }

    /// Names of what is ours of one kind.
    async fn ours(&self, link: &mut Link, what: &'static str, query: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let arguments = (self.name(), MARK);
        link.run(what, &prepared(query.to_owned()), arguments, |row| {
            names.push(row.get(0)?);
            Ok(())
        })
        .await?;
        Ok(names)
    }

    /// The script that turns `found` into a schema with exactly what `create` makes, `tables` of it marked as ours.
    pub(super) fn setup_script(&self, found: &Found, create: &str, tables: &[String]) -> String {
        let mut script = String::new();
        match found {
            Found::Nothing => {
                let _ = writeln!(script, "CREATE SCHEMA {};", self.quoted());
                let _ = writeln!(script, "COMMENT ON SCHEMA {} IS '{MADE}';", self.quoted());
            }
            Found::Empty => {
                let _ = writeln!(script, "COMMENT ON SCHEMA {} IS '{ADOPTED}';", self.quoted());
            }
            Found::Ours { tables, types, .. } => drop_ours(&mut script, tables, types),
        }
        script.push_str(create);
        script.push('\n');
        for table in tables {
            let _ = writeln!(script, "COMMENT ON TABLE {table} IS '{OBJECT}';");
        }
        script
    }

    /// The script that removes what is ours; empty when nothing is.
    pub(super) fn teardown_script(&self, found: &Found) -> String {
        let mut script = String::new();
        if let Found::Ours { adopted, tables, types } = found {
            drop_ours(&mut script, tables, types);
            let _ = if *adopted {
                writeln!(script, "COMMENT ON SCHEMA {} IS NULL;", self.quoted())
            } else {
                writeln!(script, "DROP SCHEMA {};", self.quoted())
            };
        }
        script
    }
}

/// Tables first: they use the types.
fn drop_ours(script: &mut String, tables: &[String], types: &[String]) {
    for (kind, names) in [("TABLE", tables), ("TYPE", types)] {
        if !names.is_empty() {
            let _ = writeln!(script, "DROP {kind} {};", names.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(adopted: bool, tables: &[&str], types: &[&str]) -> Found {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Found::Ours { adopted, tables: named(tables), types: named(types) }
    }

    fn namespace() -> Namespace {
        Namespace::new("qb_1").expect("a good name")
    }

    #[test]
    fn setup_drops_only_marked_tables_and_never_cascades() {
        let found = ours(false, &["qb_1.jobs"], &["qb_1.job_status"]);
        let script = namespace().setup_script(&found, "CREATE TABLE \"qb_1\".jobs ();", &["\"qb_1\".jobs".to_owned()]);
        assert!(script.starts_with("DROP TABLE qb_1.jobs;\nDROP TYPE qb_1.job_status;\nCREATE TABLE"), "{script}");
        assert!(!script.contains("CASCADE") && !script.contains("SCHEMA"), "{script}");
        assert!(script.contains("COMMENT ON TABLE \"qb_1\".jobs IS 'qbench: "), "{script}");
    }

    #[test]
    fn teardown_leaves_an_adopted_schema_as_it_was() {
        let script = namespace().teardown_script(&ours(true, &["qb_1.jobs"], &[]));
        assert_eq!(script, "DROP TABLE qb_1.jobs;\nCOMMENT ON SCHEMA \"qb_1\" IS NULL;\n");
        let script = namespace().teardown_script(&ours(false, &[], &[]));
        assert_eq!(script, "DROP SCHEMA \"qb_1\";\n");
    }

    #[test]
    fn teardown_touches_nothing_that_is_not_ours() {
        assert_eq!(namespace().teardown_script(&Found::Nothing), "");
        assert_eq!(namespace().teardown_script(&Found::Empty), "");
    }
}
