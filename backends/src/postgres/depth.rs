//! The statement that counts waiting jobs at a price that does not grow with their number.

use qbench_schema::sql;
use sqlx::SqlStr;

use super::sql_texts::{SqlTexts, UNION, prepared};

/// Waiting jobs that are read at most, over all tables. Up to about so many the count is exact.
const READ_AT_MOST: usize = 10_000;

/// Depth over `tables`, which share out the waiting jobs between them. `waits` is the condition by which a waiting row is
/// known, `in_flight` the statement that counts claimed jobs.
pub(super) fn statement(statements: &SqlTexts<'_>, tables: &[String], waits: &str, in_flight: &str) -> SqlStr {
    let shares: Vec<Share> =
        tables.iter().map(|table| Share { table: table.clone(), waits: waits.to_owned() }).collect();
    over(statements, &shares, in_flight)
}

/// An equal share of the waiting jobs, of which claims take the smallest ids first.
pub(super) struct Share {
    /// Where they are.
    pub(super) table: String,
    /// The condition by which a waiting row of this share is known.
    pub(super) waits: String,
}

/// Depth over `shares`, which are all the waiting jobs together.
pub(super) fn over(statements: &SqlTexts<'_>, shares: &[Share], in_flight: &str) -> SqlStr {
    let count = shares.len().max(1);
    let (bound, partitions) = ((READ_AT_MOST / count).to_string(), count.to_string());
    let branches: Vec<String> = shares
        .iter()
        .map(|Share { table, waits }| {
            let braces =
                [("{table}", table.as_str()), ("{waits}", waits), ("{bound}", &bound), ("{partitions}", &partitions)];
            statements.filled(sql::QUEUE, "ready", &braces)
        })
        .collect();
    let braces = [("{ready}", branches.join(UNION)), ("{in_flight}", in_flight.to_owned())];
    prepared(statements.filled(sql::QUEUE, "depth", &braces))
}
