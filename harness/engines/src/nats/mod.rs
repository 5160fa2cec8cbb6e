//! NATS with JetStream.

mod flag;
mod jsz;
mod locate;
mod lock;
mod monitor;
mod process;
mod start;
mod window;

use async_trait::async_trait;
use qbench_backends::{EngineKind, ServerUrl};
use qbench_schema::result::Durability;

use crate::engine::{Engine, TcpPlace, UrlFlag};
use crate::monitor::server::{Sampler, SamplerContext, WindowReader};
use crate::services::lock::Taken;
use crate::services::{Result, Server, StartOptions};

pub use locate::NatsProgram;
pub use start::NatsServer;

/// NATS as the harness deals with it.
pub struct NatsEngine;

#[async_trait]
impl Engine for NatsEngine {
    fn kind(&self) -> EngineKind {
        qbench_backends::nats::ENGINE
    }

    fn title(&self) -> &'static str {
        "NATS"
    }

    fn url_flag(&self) -> Option<&'static UrlFlag> {
        Some(&flag::URL_FLAG)
    }

    /// It is a third server, for who wants it.
    fn is_standard(&self) -> bool {
        false
    }

    /// JetStream stores in files by default, and syncs them now and then.
    fn default_durability(&self) -> Durability {
        Durability::D1
    }

    async fn start(&self, options: StartOptions) -> Result<Option<Box<dyn Server>>> {
        Ok(Some(Box::new(NatsServer::start(options).await?)))
    }

    async fn process_of(&self, url: &ServerUrl) -> Result<u32, String> {
        process::find(url)
    }

    fn is_on_this_host(&self, url: &ServerUrl) -> bool {
        process::check_here(url).is_ok()
    }

    fn place_of(&self, url: &ServerUrl) -> Result<TcpPlace, String> {
        process::place_of(url)
    }

    fn moved(&self, url: &ServerUrl, place: &TcpPlace) -> ServerUrl {
        process::moved(url, place)
    }

    async fn try_lock(&self, url: &ServerUrl, namespace: &str) -> Result<Taken, String> {
        lock::take(url, namespace).await
    }

    fn statistics(&self) -> Option<&'static str> {
        Some("nats")
    }

    fn sampler(&self, context: SamplerContext) -> Option<Box<dyn Sampler>> {
        Some(Box::new(monitor::NatsSampler::new(context)))
    }

    fn window_reader(&self, url: &ServerUrl, objects: &[String]) -> Option<Box<dyn WindowReader>> {
        Some(Box::new(window::NatsCounters::new(url.clone(), objects.to_vec())))
    }

    fn describe_programs(&self) -> Result<Vec<String>> {
        let program = NatsProgram::of_machine()?;
        Ok(vec![format!("nats-server {} as {}", program.version, program.server.display())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_whether_its_server_is_here() {
        for (url, is_here) in [("nats://localhost:4222", true), ("nats://192.0.2.1:4222", false), ("no address", false)]
        {
            assert_eq!(NatsEngine.is_on_this_host(&ServerUrl::new(url)), is_here, "{url}");
        }
    }
}
