//! One run second by second, from its verdict and from the files of its monitors.

use std::fs;
use std::path::Path;

use qbench_schema::result::{TimelineRow, word};
use qbench_schema::server_stats::DbStatsRow;
use qbench_schema::system::SystemRow;
use serde::de::DeserializeOwned;

use crate::load::Run;
use crate::tables::number;

/// Everything that its picture shows.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// What ran.
    pub(crate) title: String,
    /// Its conditions.
    pub(crate) subtitle: String,
    /// Why it is not valid, and what was not steady.
    pub(crate) notes: Vec<String>,
    /// The verdict's own seconds.
    pub(crate) seconds: Vec<TimelineRow>,
    /// Length of the measured phase, where the drain has seconds as well.
    pub(crate) measured_s: Option<f64>,
    /// CPU, second by second of the same clock.
    pub(crate) cpu: Vec<Cpu>,
    /// What the server did for itself.
    pub(crate) events: Vec<Event>,
}

/// CPU by role at one instant, 100 is one core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// Seconds since the measured phase began.
    pub(crate) at_s: f64,
    pub(crate) host_pct: f64,
    pub(crate) server_pct: Option<f64>,
    pub(crate) harness_pct: Option<f64>,
    pub(crate) background_pct: Option<f64>,
}

/// Something that the server did for itself, in seconds since the measured phase began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// A checkpoint ended.
    Checkpoint(f64),
    /// A run of autovacuum on the queue's tables ended.
    Autovacuum(f64),
}

impl Timeline {
    /// Of a run that has seconds; `None` for others. A file of a monitor that is missing or damaged leaves its lines out.
    pub(crate) fn of(run: &Run, unsteady: &str) -> Option<Self> {
        let result = &run.result;
        let last = result.timeline.last()?;
        let intended_last = result.timeline.iter().rev().find(|second| second.intended > 0)?;
        let system: Vec<SystemRow> = rows(&run.files.system());
        // The phases of the monitors' rows tell when the measured one began on their clock.
        let measured: Vec<&SystemRow> = system.iter().filter(|row| row.phase == "measured").collect();
        let began_us = measured.first().map(|first| {
            let before = system.iter().take_while(|row| row.at_us < first.at_us).last();
            before.map_or(first.at_us, |before| before.at_us)
        });
        let at_s = |at_us: u64| Some((at_us as f64 - began_us? as f64) / 1e6).filter(|at_s| *at_s >= 0.0);
        let is_shown = |at_s: &f64| *at_s <= f64::from(last.at_s) + 1.0;
        // Of a server on another host, its observer tells.
        let of_server: Vec<SystemRow> = rows(&run.files.system_server());
        let server_pct = |row: &SystemRow| {
            let nearest = of_server.iter().min_by_key(|there| there.at_us.abs_diff(row.at_us));
            row.server_cpu_pct
                .or_else(|| nearest.filter(|there| there.at_us.abs_diff(row.at_us) < 1_000_000)?.server_cpu_pct)
        };
        let cpu = system
            .iter()
            .filter_map(|row| {
                Some(Cpu {
                    at_s: at_s(row.at_us).filter(is_shown)?,
                    host_pct: row.cpu_host_pct,
                    server_pct: server_pct(row),
                    harness_pct: row.harness_cpu_pct,
                    background_pct: row.background_cpu_pct,
                })
            })
            .collect();
        let database: Vec<DbStatsRow> = rows(&run.files.server_stats("db"));
        let mut events = Vec::new();
        for pair in database.windows(2) {
            let Some(at_s) = at_s(pair[1].at_us).filter(is_shown) else { continue };
            if pair[1].checkpoints_total > pair[0].checkpoints_total {
                events.push(Event::Checkpoint(at_s));
            }
            if pair[1].autovacuum_total > pair[0].autovacuum_total {
                events.push(Event::Autovacuum(at_s));
            }
        }
        let identity = &result.identity;
        let mut notes = result.validity.reasons.clone();
        if !unsteady.is_empty() {
            notes.push(format!("not steady: {unsteady}"));
        }
        notes.extend(result.notes.iter().take(2).cloned());
        Some(Timeline {
            title: format!("{} in {}, block {}", identity.backend, identity.scenario, identity.block),
            subtitle: format!(
                "{} jobs/s offered · {} · {} {} · p99 {} ms · shaded: the queue is drained",
                number(identity.offered_jobs_s),
                word(identity.durability).to_uppercase(),
                identity.engine,
                identity.engine_version.split(' ').next().unwrap_or_default(),
                number(result.end_to_end_ms.p99)
            ),
            notes,
            measured_s: (intended_last.at_s < last.at_s).then_some(f64::from(intended_last.at_s) + 1.0),
            seconds: result.timeline.clone(),
            cpu,
            events,
        })
    }
}

/// The rows of a CSV file, as far as they can be read.
fn rows<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let Ok(content) = fs::read(path) else { return Vec::new() };
    csv::Reader::from_reader(content.as_slice()).into_deserialize().map_while(Result::ok).collect()
}
