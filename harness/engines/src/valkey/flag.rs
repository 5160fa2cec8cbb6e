//! How the user gives the address of a Valkey.

use crate::engine::UrlFlag;

/// `--valkey-url`.
pub(super) const URL_FLAG: UrlFlag = UrlFlag {
    short: "valkey",
    name: "valkey-url",
    flag: "--valkey-url",
    variable: "QBENCH_VALKEY_URL",
    help: "Use this Valkey; touches nothing outside the key prefix qbench makes",
};
