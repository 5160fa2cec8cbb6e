//! PostgreSQL.

mod flag;
mod locate;
mod lock;
mod memory;
mod monitor;
mod process;
pub(crate) mod session;
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

pub use locate::{PostgresPrograms, pgbench_for};
pub use start::PostgresServer;

/// PostgreSQL as the harness deals with it.
pub struct PostgresEngine;

#[async_trait]
impl Engine for PostgresEngine {
    fn kind(&self) -> EngineKind {
        qbench_backends::postgres::ENGINE
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn url_flag(&self) -> Option<&'static UrlFlag> {
        Some(&flag::URL_FLAG)
    }

    fn default_durability(&self) -> Durability {
        Durability::D2
    }

    async fn start(&self, options: StartOptions) -> Result<Option<Box<dyn Server>>> {
        Ok(Some(Box::new(PostgresServer::start(options).await?)))
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
        Some("db")
    }

    fn sampler(&self, context: SamplerContext) -> Option<Box<dyn Sampler>> {
        Some(Box::new(monitor::PostgresSampler::new(context)))
    }

    fn window_reader(&self, url: &ServerUrl, objects: &[String]) -> Option<Box<dyn WindowReader>> {
        Some(Box::new(window::PostgresCounters::new(url.clone(), objects.to_vec())))
    }

    fn describe_programs(&self) -> Result<Vec<String>> {
        let programs = PostgresPrograms::of_machine()?;
        Ok(vec![
            format!("PostgreSQL {} in {}", programs.version, programs.postgres.display()),
            format!("pgbench in {}", programs.pgbench.display()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_whether_its_server_is_here() {
        for (url, is_here) in [
            ("postgres://ann@127.0.0.1:5432/x", true),
            ("postgres://ann@db.example.org/x", false),
            ("no address", false),
        ] {
            assert_eq!(PostgresEngine.is_on_this_host(&ServerUrl::new(url)), is_here, "{url}");
        }
    }
}
