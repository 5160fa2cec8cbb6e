//! The figures that people compare queues by, in the order in which they are shown everywhere.

/// A figure of `comparison.csv` and what it is called.
#[derive(Debug)]
pub(crate) struct Headline {
    /// The column.
    pub(crate) column: &'static str,
    /// Its name above a picture.
    pub(crate) title: &'static str,
    /// Its name above a column.
    pub(crate) short: &'static str,
    /// Its name within a sentence.
    pub(crate) phrase: &'static str,
}

/// All of them. `comparison.csv` has more.
pub(crate) const HEADLINES: [Headline; 5] = [
    Headline { column: "throughput_jobs_s", title: "Throughput", short: "jobs/s", phrase: "its throughput" },
    Headline { column: "latency_p50_ms", title: "Latency p50", short: "p50", phrase: "its median latency" },
    Headline { column: "latency_p99_ms", title: "Latency p99", short: "p99", phrase: "its p99 latency" },
    Headline {
        column: "cpu_server_us_per_job",
        title: "Server CPU per job",
        short: "server CPU per job",
        phrase: "its server CPU per job",
    },
    Headline {
        column: "background_tps",
        title: "pgbench beside it",
        short: "pgbench tps",
        phrase: "the rate of pgbench beside it",
    },
];

/// How a sentence calls the figure of that column.
pub(crate) fn phrase(column: &str) -> String {
    let headline = HEADLINES.iter().find(|headline| headline.column == column);
    headline.map_or_else(|| format!("its {column}"), |headline| headline.phrase.to_owned())
}
