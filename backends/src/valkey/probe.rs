//! A look past the backends of this room.

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use crate::error::Result;
use crate::probe::{NOTE, Probe, ServerProbe, failed};
use crate::url::ServerUrl;

/// How a Valkey is looked at.
pub(super) struct ValkeyProbe;

#[async_trait]
impl Probe for ValkeyProbe {
    async fn connect(&self, url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        let client = redis::Client::open(url.expose()).map_err(failed)?;
        Ok(Box::new(Valkey(client.get_multiplexed_async_connection().await.map_err(failed)?)))
    }

    fn dead_address(&self) -> Option<ServerUrl> {
        Some(ServerUrl::new("redis://ann:s3cret@127.0.0.1:1"))
    }
}

struct Valkey(MultiplexedConnection);

#[async_trait]
impl ServerProbe for Valkey {
    async fn objects(&mut self, namespace: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{namespace}:*")).arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<String>) = scan.query_async(&mut self.0).await.map_err(failed)?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    async fn plant(&mut self, _namespace: &str, object: &str) -> Result<()> {
        redis::cmd("SET").arg(object).arg(NOTE).exec_async(&mut self.0).await.map_err(failed)?;
        Ok(())
    }

    async fn is_intact(&mut self, _namespace: &str, object: &str) -> Result<bool> {
        let note: Option<String> = redis::cmd("GET").arg(object).query_async(&mut self.0).await.map_err(failed)?;
        Ok(note.as_deref() == Some(NOTE))
    }

    async fn uproot(&mut self, _namespace: &str, object: &str) -> Result<()> {
        redis::cmd("DEL").arg(object).exec_async(&mut self.0).await.map_err(failed)?;
        Ok(())
    }

    async fn cut_connections(&mut self, namespace: &str) -> Result<usize> {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut self.0).await.map_err(failed)?;
        let mut cut = 0;
        for client in clients.lines() {
            let field = |key: &str| client.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
            let ours = field("name").is_some_and(|name| {
                name.starts_with("qbench:") && name.rsplit(':').next().is_some_and(|last| last == namespace)
            });
            if let (true, Some(id)) = (ours, field("id")) {
                let killed: u64 =
                    redis::cmd("CLIENT").arg(&["KILL", "ID", id]).query_async(&mut self.0).await.map_err(failed)?;
                cut += killed as usize;
            }
        }
        Ok(cut)
    }
}
