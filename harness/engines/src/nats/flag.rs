//! How the user gives the address of a NATS server.

use crate::engine::UrlFlag;

/// `--nats-url`.
pub(super) const URL_FLAG: UrlFlag = UrlFlag {
    short: "nats",
    name: "nats-url",
    flag: "--nats-url",
    variable: "QBENCH_NATS_URL",
    help: "Use this NATS server (?monitor=8222 names its monitoring port); touches nothing outside the streams qbench makes",
};
