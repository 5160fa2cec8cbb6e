//! A NATS server's counters at one end of the measured window.

use async_trait::async_trait;
use qbench_backends::ServerUrl;

use super::jsz;
use crate::monitor::server::{ServerCounters, WindowReader};

/// Asks for them. Each question is a connection of its own.
pub(super) struct NatsCounters {
    url: ServerUrl,
    streams: Vec<String>,
}

impl NatsCounters {
    /// `streams` are the backend's.
    pub(super) fn new(url: ServerUrl, streams: Vec<String>) -> Self {
        NatsCounters { url, streams }
    }
}

#[async_trait]
impl WindowReader for NatsCounters {
    async fn connect(&mut self) -> Result<(), String> {
        Ok(())
    }

    async fn read(&mut self, _at_us: u64) -> Result<ServerCounters, String> {
        let streams = jsz::use_of(&jsz::read(&self.url).await?, &self.streams);
        let memory_bytes = streams.and_then(|streams| streams.memory_bytes);
        Ok(ServerCounters { memory_bytes, ..ServerCounters::default() })
    }
}
