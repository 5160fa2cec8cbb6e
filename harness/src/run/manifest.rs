//! What ran, with what, on what.

use std::collections::BTreeMap;

use qbench_backends::{Capabilities, ServerUrl};
use qbench_schema::SCHEMA_VERSION;
use qbench_schema::manifest::{Manifest, ServerDescription};

use super::load;
use super::request::RunRequest;
use super::servers::RunServers;
use crate::machine;

/// This program as precisely as it can be named, built from `revision`.
pub fn program(revision: &str) -> String {
    format!("{} ({revision})", env!("CARGO_PKG_VERSION"))
}

/// Builds the manifest of a run whose servers are up and described.
pub(super) fn build(
    request: &RunRequest,
    run_id: &str,
    capabilities: &Capabilities,
    described: Vec<ServerDescription>,
    servers: &RunServers,
) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: run_id.to_owned(),
        qbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_revision: request.revision.clone(),
        command_line: request.command_line.iter().map(|argument| ServerUrl::new(argument).redacted()).collect(),
        configuration: request.all_settings(),
        scenario: request.plan.scenario.as_written.clone(),
        seed: request.plan.workload.seed,
        block_seed: load::block_seed(request.plan.workload.seed, request.block),
        study: request.study.clone(),
        capabilities: describe_capabilities(capabilities),
        servers: described,
        server_host: servers.apart().map(|apart| apart.machine().clone()),
        network: servers.network(),
        host: machine::describe(&servers.data_dir()),
        clock: machine::describe_clock(),
        scheduling: request.scheduling.clone(),
    }
}

fn describe_capabilities(capabilities: &Capabilities) -> BTreeMap<String, String> {
    let wakes: Vec<&str> = capabilities.wakes.iter().map(|wake| wake.name()).collect();
    [
        ("delivery", format!("{:?}", capabilities.delivery)),
        ("recovery", format!("{:?}", capabilities.recovery)),
        ("wakes", wakes.join(", ")),
        ("max_enqueue_batch", capabilities.max_enqueue_batch.to_string()),
        ("max_claim_batch", capabilities.max_claim_batch.to_string()),
        ("max_ack_batch", capabilities.max_ack_batch.to_string()),
        ("one_claim_at_a_time", capabilities.one_claim_at_a_time.to_string()),
        ("nack", capabilities.nack.to_string()),
        ("detects_stale_ack", capabilities.detects_stale_ack.to_string()),
        ("counts_attempts", capabilities.counts_attempts.to_string()),
        ("sees_in_flight", capabilities.sees_in_flight.to_string()),
        ("counts_returned_as_ready", capabilities.counts_returned_as_ready.to_string()),
        ("records_failures", capabilities.records_failures.to_string()),
        ("ack_buffer", format!("{} jobs, {:?}", capabilities.ack_buffer.jobs, capabilities.ack_buffer.linger)),
        ("order", format!("{:?}", capabilities.order)),
        (
            "connections",
            capabilities.connections.map_or("as the library has it".to_owned(), |connections| {
                format!(
                    "{} per producer, {} per worker, {} per slot of a worker",
                    connections.per_producer, connections.per_worker, connections.per_slot
                )
            }),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
