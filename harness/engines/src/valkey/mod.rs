//! Valkey, and a Redis in its place.

mod flag;
mod info;
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
use crate::services::given::said;
use crate::services::lock::Taken;
use crate::services::{Result, Server, StartOptions};

pub use locate::ValkeyProgram;
pub use start::ValkeyServer;

/// Valkey as the harness deals with it.
pub struct ValkeyEngine;

#[async_trait]
impl Engine for ValkeyEngine {
    fn kind(&self) -> EngineKind {
        qbench_backends::valkey::ENGINE
    }

    fn title(&self) -> &'static str {
        "Valkey"
    }

    fn url_flag(&self) -> Option<&'static UrlFlag> {
        Some(&flag::URL_FLAG)
    }

    fn default_durability(&self) -> Durability {
        Durability::D0
    }

    async fn start(&self, options: StartOptions) -> Result<Option<Box<dyn Server>>> {
        Ok(Some(Box::new(ValkeyServer::start(options).await?)))
    }

    async fn process_of(&self, url: &ServerUrl) -> Result<u32, String> {
        process::find(url).await
    }

    fn is_on_this_host(&self, url: &ServerUrl) -> bool {
        process::check_here(url).is_ok()
    }

    fn place_of(&self, url: &ServerUrl) -> Result<TcpPlace, String> {
        process::place_of(url)
    }

    async fn try_lock(&self, url: &ServerUrl, namespace: &str) -> Result<Taken, String> {
        lock::take(url, namespace).await.map_err(said)
    }

    fn statistics(&self) -> Option<&'static str> {
        Some("valkey")
    }

    fn sampler(&self, context: SamplerContext) -> Option<Box<dyn Sampler>> {
        Some(Box::new(monitor::ValkeySampler::new(context)))
    }

    fn window_reader(&self, url: &ServerUrl, objects: &[String]) -> Option<Box<dyn WindowReader>> {
        Some(Box::new(window::ValkeyCounters::new(url.clone(), objects.to_vec())))
    }

    fn describe_programs(&self) -> Result<Vec<String>> {
        let program = ValkeyProgram::of_machine()?;
        Ok(vec![format!("{} {} in {}", program.product, program.version, program.server.display())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_whether_its_server_is_here() {
        for (url, is_here) in
            [("redis://localhost:6379", true), ("redis://192.0.2.1:6379", false), ("no address", false)]
        {
            assert_eq!(ValkeyEngine.is_on_this_host(&ServerUrl::new(url)), is_here, "{url}");
        }
    }
}
