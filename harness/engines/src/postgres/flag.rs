//! How the user gives the address of a PostgreSQL.

use crate::engine::UrlFlag;

/// `--pg-url`.
pub(super) const URL_FLAG: UrlFlag = UrlFlag {
    short: "pg",
    name: "pg-url",
    flag: "--pg-url",
    variable: "QBENCH_PG_URL",
    help: "Use this PostgreSQL; touches nothing outside the schemas qbench makes. PGPASSWORD is honoured",
};
