//! The queues that live in this process: the reference of what every word means, and the harness's own floor.

mod designs;

use crate::entry::{EngineKind, Room};
use crate::error::Result;
use crate::probe::{Probe, ServerProbe, failed};
use crate::url::ServerUrl;

/// No product at all: it lives in this process.
pub const ENGINE: EngineKind = EngineKind {
    id: qbench_schema::result::IN_PROCESS,
    has_server: false,
    has_objects: false,
    for_other_processes: std::convert::identity,
    probe: &NothingToSee,
};

/// Its queues.
pub static ROOM: Room = Room { engine: ENGINE, entries: &[designs::memory::ENTRY, designs::null::ENTRY] };

struct NothingToSee;

#[async_trait::async_trait]
impl Probe for NothingToSee {
    async fn connect(&self, _url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        Err(failed("there is no server to look at"))
    }
}
