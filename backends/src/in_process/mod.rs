//! The queues that live in this process: the reference of what every word means, and the harness's own floor.

mod designs;

use std::collections::BTreeMap;

use qbench_schema::result::Durability;

use crate::entry::{EngineKind, Room};
use crate::error::Result;
use crate::probe::{Probe, ServerProbe, failed};
use crate::seam::Description;
use crate::url::ServerUrl;

/// No product at all: it lives in this process.
pub const ENGINE: EngineKind = EngineKind {
    id: qbench_schema::result::IN_PROCESS,
    has_server: false,
    has_objects: false,
    for_other_processes: std::convert::identity,
    probe: &NothingToSee,
    tuned: &[],
    tuned_objects: None,
};

/// Its queues.
pub static ROOM: Room = Room { engine: ENGINE, entries: &[designs::memory::ENTRY, designs::null::ENTRY] };

/// What there is to say of a queue of design `queue_type`.
fn describe(queue_type: &'static str) -> Description {
    Description {
        engine: ENGINE.id.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queue_type,
        durability: Durability::D0,
        settings: BTreeMap::new(),
        objects: Vec::new(),
        notes: Vec::new(),
    }
}

struct NothingToSee;

#[async_trait::async_trait]
impl Probe for NothingToSee {
    async fn connect(&self, _url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        Err(failed("there is no server to look at"))
    }
}
