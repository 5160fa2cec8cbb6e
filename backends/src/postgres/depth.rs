//! The statement that counts waiting jobs at a price that does not grow with their number.

use qbench_schema::sql;
use sqlx::SqlStr;

use super::statements::{Statements, UNION, prepared};

/// Waiting jobs that are read at most, over all tables. Up to about so many the count is exact.
const READ_AT_MOST: usize = 10_000;

/// Depth over `tables`, which share out the waiting jobs between them. `waits` is the condition by which a waiting row is
/// known, `in_flight` the statement that counts claimed jobs.
pub(super) fn statement(statements: &Statements<'_>, tables: &[String], waits: &str, in_flight: &str) -> SqlStr {
    let count = tables.len().max(1);
    let (bound, partitions) = ((READ_AT_MOST / count).to_string(), count.to_string());
    let branches: Vec<String> = tables
        .iter()
        .map(|table| {
            let braces =
                [("{table}", table.as_str()), ("{waits}", waits), ("{bound}", &bound), ("{partitions}", &partitions)];
            statements.filled(sql::QUEUE, "ready", &braces)
        })
        .collect();
    let braces = [("{ready}", branches.join(UNION)), ("{in_flight}", in_flight.to_owned())];
    let braces = braces.each_ref().map(|(brace, text)| (*brace, text.as_str()));
    prepared(statements.filled(sql::QUEUE, "depth", &braces))
}
