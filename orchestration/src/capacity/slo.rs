//! The limit that a rate has to keep.

use std::fmt;
use std::str::FromStr;

use qbench_schema::result::Percentiles;

/// A percentile of the end-to-end latency and its limit: `p99=50ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    percentile: Percentile,
    limit_ms: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percentile {
    P50,
    P95,
    P99,
    P999,
}

const PERCENTILES: [(Percentile, &str); 4] =
    [(Percentile::P50, "p50"), (Percentile::P95, "p95"), (Percentile::P99, "p99"), (Percentile::P999, "p999")];

impl Slo {
    /// The percentile's name.
    pub fn name(&self) -> &'static str {
        PERCENTILES.iter().find(|(percentile, _)| *percentile == self.percentile).map_or("p99", |(_, name)| name)
    }

    /// The limit in milliseconds.
    pub fn limit_ms(&self) -> f64 {
        self.limit_ms
    }

    /// The percentile of a run that is held against the limit, in milliseconds.
    pub fn of(&self, latency: &Percentiles) -> f64 {
        match self.percentile {
            Percentile::P50 => latency.p50,
            Percentile::P95 => latency.p95,
            Percentile::P99 => latency.p99,
            Percentile::P999 => latency.p999,
        }
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}ms", self.name(), self.limit_ms)
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let what =
            || format!("{text}: expected a percentile and a limit, for instance p99=50ms (p50, p95, p99 or p999)");
        let (name, limit) = text.split_once('=').ok_or_else(what)?;
        let (percentile, _) = PERCENTILES.into_iter().find(|(_, known)| *known == name).ok_or_else(what)?;
        let limit: jiff::SignedDuration = limit.parse().map_err(|_| what())?;
        let limit_ms = limit.as_secs_f64() * 1e3;
        if limit_ms > 0.0 { Ok(Slo { percentile, limit_ms }) } else { Err(what()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_reads_back_as_it_was_written_and_nonsense_is_refused_with_an_example() {
        for text in ["p99=50ms", "p50=2.5ms", "p999=1s"] {
            let slo: Slo = text.parse().expect(text);
            assert_eq!(slo.to_string().parse::<Slo>(), Ok(slo));
        }
        assert_eq!("p99=1s".parse::<Slo>().map(|slo| slo.to_string()), Ok("p99=1000ms".to_owned()));
        for text in ["p99", "p98=50ms", "p99=fast", "p99=0ms", "p99=-1ms"] {
            assert!(text.parse::<Slo>().is_err_and(|error| error.contains("p99=50ms")), "{text}");
        }
    }
}
